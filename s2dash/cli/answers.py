"""`answers`: take back what somebody answered to a pack; the legend is voted on anew."""

from __future__ import annotations

import argparse
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from s2dash.annotation.card_style import DEFAULT_STYLE
from s2dash.annotation.pack import answers_about, read_answers
from s2dash.annotation.registry import check_annotator_name
from s2dash.annotation.replay import make_recording
from s2dash.cli.output import Console, add_output_options
from s2dash.cli.run import show_agreement
from s2dash.cli.run_options import add_run_option, named_run
from s2dash.errors import AnnotationError
from s2dash.export.folder import write_json

_MADE_BY = ("method", "k", "seed", "sample", "indices", "texture", "season", "options")
"""What of a run's settings decides its clusters."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("answers", help="take back the answers to a pack that `cards` wrote")
    add_run_option(parser)
    parser.add_argument("file", type=Path, metavar="FILE.json", help="the answers, as in the pack's template")
    parser.add_argument("--as", dest="annotator", required=True, metavar="NAME", help="name of who answered")
    parser.add_argument(
        "--model", default="", help="which model answered, with its version (default: what the file says)"
    )
    parser.add_argument("--style", default="", help="card style of the pack (default: as the file says)")
    parser.add_argument(
        "--record",
        type=Path,
        metavar="OUT.json",
        help="keep the answers as a recording too, to be replayed by --annotators OUT.json",
    )
    parser.add_argument("--note", default="", help="how the model was asked, for the recording")
    add_output_options(parser)
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace, console: Console) -> None:
    """Read them, vote, write the run again."""
    name = check_annotator_name(options.annotator)
    said_style, said_scheme = answers_about(options.file)
    run = named_run(options)
    scheme = run.result.legend.scheme.name
    if said_scheme and said_scheme != scheme:
        raise AnnotationError(
            f"{options.file} answers in the classes of {said_scheme!r}, but the run is in {scheme!r}. Write the cards "
            "of a run in that scheme, or ask again."
        )
    questions = run.questions(style=options.style or said_style or DEFAULT_STYLE, progress=console)
    read = read_answers(options.file, questions, name=name, model=options.model)
    if not read.answers:
        raise AnnotationError(f"{options.file} holds no answer for this run. {' '.join(read.notes)}".strip())
    result = run.give(read.answers)
    if options.record is not None:
        made = run.result.settings.to_json()
        recording = make_recording(
            read.answers,
            questions,
            model=options.model or read.model or name,
            recorded=_day(read.date),
            scene=str(run.result.scene["title"]),
            note=options.note,
            settings={field: made[field] for field in _MADE_BY},
        )
        write_json(options.record, recording.model_dump(mode="json"))
    legend = result.legend
    console.result(
        {
            "annotator": name,
            "model": read.model,
            "answers": [answer.model_dump(mode="json", exclude={"raw"}) for answer in read.answers],
            "notes": list(read.notes),
            "missing": list(read.missing),
            "queue": list(legend.queue),
            "agreement": result.agreement.to_json() if result.agreement else None,
        }
    )
    rows = []
    for answer in read.answers:
        entry = legend.entries[answer.cluster]
        rows.append(
            [
                str(answer.cluster),
                "no vote" if answer.code is None else legend.scheme[answer.code].name,
                f"{answer.confidence:.2f}",
                "not decided" if entry.code is None else legend.scheme[entry.code].name,
                "; ".join(answer.evidence),
            ]
        )
    console.table(f"Answers of {name}", ["cluster", "answer", "confidence", "the map says", "why"], rows)
    for note in read.notes:
        console.line(note)
    if read.missing:
        console.line(f"Not answered: {', '.join(map(str, read.missing))}.")
    if result.agreement:
        show_agreement(result.agreement.to_json(), console)
    console.line(f"Written to {run.folder}.")


def _day(said: str) -> date:
    """The day a file of answers names, else today."""
    with suppress(ValueError):
        return date.fromisoformat(said)
    return datetime.now(UTC).date()
