"""`ask`: let models name the clusters of a run, after saying what that sends and costs."""

from __future__ import annotations

import argparse
from typing import Any

from s2dash.annotation.annotate import close_annotators, looks, make_annotators
from s2dash.annotation.asking import ask_all
from s2dash.annotation.card_style import DEFAULT_STYLE, card_style, load_card_styles
from s2dash.annotation.estimate import Estimate, estimate
from s2dash.annotation.file_book import FileBook, default_book
from s2dash.annotation.registry import annotator_names
from s2dash.cli.map_options import names_in
from s2dash.cli.output import Console, add_output_options
from s2dash.cli.run import show_agreement
from s2dash.cli.run_options import add_run_option, named_run
from s2dash.errors import AnnotationError
from s2dash.progress import Stage


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("ask", help="let models name the clusters of a run that is there")
    add_run_option(parser)
    known = ", ".join(annotator_names())
    parser.add_argument("--annotators", required=True, metavar="NAMES", help=f"whom to ask, by comma: {known}")
    styles = ", ".join(load_card_styles())
    parser.add_argument("--style", default=DEFAULT_STYLE, help=f"what they are shown: {styles}")
    parser.add_argument("--budget", type=float, metavar="DOLLARS", help="stop before it costs more")
    parser.add_argument("--estimate", action="store_true", help="only say what would be sent and what it would cost")
    add_output_options(parser)
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace, console: Console) -> None:
    """Estimate, ask, vote, write the run again."""
    style = card_style(options.style).label
    run = named_run(options)
    names = names_in(options.annotators)
    chosen, failures = make_annotators(names, live=not options.estimate)
    try:
        shown = run.questions(style=style, progress=Stage(console, 0.0, 0.3)) if any(map(looks, chosen)) else []
        plain = run.plain_questions()
        questions = [(who, question) for who in chosen for question in (shown if looks(who) else plain)]
        book = run.workspace.store.answer_book(run.run_id) if run.workspace is not None else FileBook(default_book())
        told = estimate(questions, book=book)
        say_estimate(told, console)
        if options.estimate:
            console.result({"calls": told.calls, "dollars": list(told.dollars), "leaves": list(told.leaves)})
            return
        asked = ask_all(questions, book=book, budget_dollars=options.budget, progress=Stage(console, 0.3, 1.0))
    finally:
        close_annotators(chosen)
    remarks = (*(f"{who} was not asked: {why}" for who, why in failures.items()), *asked.remarks)
    if not asked.answers:
        raise AnnotationError("Nobody answered. " + " ".join(remarks))
    result = run.give(asked.answers)
    legend = result.legend
    console.result(
        {
            "answers": [answer.model_dump(mode="json", exclude={"raw"}) for answer in asked.answers],
            "calls": asked.called,
            "found": asked.found,
            "usage": asked.usage.model_dump(mode="json"),
            "remarks": list(remarks),
            "queue": list(legend.queue),
            "agreement": result.agreement.to_json() if result.agreement else None,
        }
    )
    rows = []
    for cluster, entry in legend.entries.items():
        said = "; ".join(
            f"{answer.annotator}: {'no vote' if answer.code is None else legend.scheme[answer.code].name}"
            for answer in entry.voters
        )
        rows.append([str(cluster), "not decided" if entry.code is None else legend.scheme[entry.code].name, said])
    console.table("Clusters", ["cluster", "class", "who said what"], rows)
    if result.agreement:
        show_agreement(result.agreement.to_json(), console)
    for remark in remarks:
        console.line(remark)
    used = asked.usage
    console.line(
        f"{asked.called} calls, {used.input_tokens + used.output_tokens:,} tokens, ${used.dollars:.3f}; "
        f"{asked.found} answers were there already. Written to {run.folder}."
    )


def say_estimate(told: Estimate, console: Console) -> None:
    """What would be sent where, and what it would cost."""
    console.line(told.text)
    for sentence in told.leaves:
        console.line(f"- {sentence}")
