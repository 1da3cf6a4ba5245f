"""A pack: every question of a run as files, so that anyone can ask any model, or a person, by hand.

A pack holds what a model is shown and nothing else: no reference, no answers, no class colours.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from s2dash.annotation.answer import Answer, Question
from s2dash.annotation.form import form_schema
from s2dash.annotation.question_text import question_text
from s2dash.annotation.reading import kept_text, read_reply
from s2dash.errors import AnnotationError, OutputError

README, FORM, TEMPLATE, MANIFEST = "README.txt", "form.json", "answers-template.json", "pack.json"
"""Files of a pack beside the folders of its questions."""
SYSTEM, QUESTION = "system.txt", "question.txt"
"""What every model is told first, and each cluster's question."""
MOST_BYTES = 20_000_000
"""Largest file of answers that is read."""
_OURS = frozenset({"cluster", "card"})
"""What the template says of each entry; the rest is for who answers."""
_BLANK: dict[str, Any] = {
    "land_cover": "",
    "second_choice": None,
    "term": "",
    "confidence": None,
    "evidence": [],
    "mixed": None,
}

_README = """\
Questions on the land cover of {count} groups of pixels ("targets") of one satellite scene.
Card style {style}, class scheme {scheme}.

How to answer, as a model or a person:

1. Read system.txt: the rules.
2. For every numbered folder, look at its pictures in the order of their numbers, then read its question.txt and answer
   it from that alone. Take each target by itself: what was said of one is no evidence on another.
3. Write the answers into a copy of answers-template.json: for each "cluster" the fields that form.json describes.
   "land_cover" is a key of the question's list, or "unknown". Leave "card" as it is: it says which pictures were shown.
   Fill in who answered ("model"), with the version if there is one, and the day ("date").

Then hand the file back:  python -m s2dash answers RUN answers.json --as NAME
"""


@dataclass(frozen=True)
class ReadAnswers:
    """What a file of answers held."""

    answers: tuple[Answer, ...]
    """One for each cluster that was answered; those that could not be read count as no vote."""
    notes: tuple[str, ...] = ()
    """What was wrong with it, an entry each, in whole sentences."""
    missing: tuple[int, ...] = ()
    """Clusters that nobody answered."""
    model: str = ""
    """Who answered, as the file says."""
    date: str = ""
    """When, as the file says."""


def write_pack(folder: Path, questions: Iterable[Question]) -> list[Path]:
    """Write questions as a pack.

    Args:
        folder: Made if it is not there; to leave nothing half-written, let it be a staging folder.
        questions: One scheme and style, each with its exhibit; what was said in earlier rounds is left out.

    Returns:
        The files.

    Raises:
        AnnotationError: If there is no question, or one without an exhibit, or they differ in scheme or style.
        OutputError: If a file cannot be written.
    """
    asked = [replace(question, earlier=()) for question in questions]
    styles = {question.exhibit.style for question in asked if question.exhibit is not None}
    if len(styles) != 1 or any(question.exhibit is None for question in asked):
        raise AnnotationError("A pack needs at least one question, and for all of them cards of one style.")
    if len({question.scheme.name for question in asked}) != 1:
        raise AnnotationError("A pack holds questions of one class scheme; write one pack for each scheme.")
    style, scheme = styles.pop(), asked[0].scheme
    files: dict[str, bytes] = {}
    template: list[dict[str, Any]] = []
    for question in asked:
        exhibit, cluster = question.exhibit, question.card.cluster
        if exhibit is None:
            continue
        text = question_text(question)
        files[SYSTEM] = f"{text.system}\n".encode()
        files[f"{cluster:02d}/{QUESTION}"] = f"{text.text}\n".encode()
        for place, picture in enumerate(exhibit.pictures, start=1):
            files[f"{cluster:02d}/{place}-{picture.key}.png"] = picture.png
        template.append({"cluster": cluster, "card": exhibit.fingerprint, **_BLANK})
    about = {"style": style, "scheme": scheme.name}
    files[FORM] = _json(form_schema(scheme))
    files[TEMPLATE] = _json({"model": "", "date": "", **about, "answers": template})
    files[README] = _README.format(count=len(asked), **about).encode()
    files[MANIFEST] = _json({"made_by": "s2dash", **about, "files": sorted([*files, MANIFEST])})
    written = []
    try:
        for name, content in files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            written.append(path)
    except OSError as error:
        raise OutputError(
            f"The pack cannot be written to {folder}: {error.strerror}. Choose another folder."
        ) from error
    return written


def pack_files(folder: Path) -> frozenset[str]:
    """Names of the files of the pack that lies in a folder, relative to it; empty where there is none."""
    try:
        manifest = json.loads((Path(folder) / MANIFEST).read_text("utf-8"))
        names = manifest["files"] if manifest["made_by"] == "s2dash" else []
        safe = [name for name in names if not Path(name).is_absolute() and ".." not in Path(name).parts]
        return frozenset(name for name in safe if (Path(folder) / name).is_file())
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()


def answers_about(path: Path) -> tuple[str, str]:
    """Card style and class scheme that a file of answers is for; empty where it does not say.

    Raises:
        AnnotationError: If it cannot be read.
    """
    content = _read(path)
    about = content if isinstance(content, dict) else {}
    return str(about.get("style") or ""), str(about.get("scheme") or "")


def read_answers(path: Path, questions: Sequence[Question], *, name: str, model: str = "") -> ReadAnswers:
    """Take answers back that somebody gave to a pack.

    A bad entry is named and does not stop the rest: one whose answer cannot be read is kept raw and counts as no vote;
    one about a cluster there is not, about one that was answered before, or to other pictures than these, is left out.

    Args:
        path: JSON: a list of objects with `cluster` and the fields of the form, or an object with `answers`.
        questions: What was asked.
        name: Name of the annotator.
        model: Who answered; by default what the file says, else the name.

    Raises:
        AnnotationError: If the file cannot be read, or holds no list of answers.
    """
    content = _read(path)
    about = content if isinstance(content, dict) else {}
    rows = about.get("answers") if about else content
    if not isinstance(rows, list):
        raise AnnotationError(f'{path} holds no list of answers, at the top or under "answers".')
    who = model or str(about.get("model") or "")[:120] or name
    asked = {question.card.cluster: question for question in questions}
    answers: dict[int, Answer] = {}
    notes = []
    for place, row in enumerate(rows, start=1):
        cluster = row.get("cluster") if isinstance(row, dict) else None
        if isinstance(cluster, str) and cluster.strip().isdecimal():
            cluster = int(cluster)
        if not isinstance(cluster, int) or isinstance(cluster, bool):
            notes.append(f"Entry {place} does not say which cluster it is about; it is left out.")
        elif cluster not in asked:
            notes.append(f"Entry {place} is about cluster {cluster}, which was not asked about; it is left out.")
        elif cluster in answers:
            notes.append(f"Entry {place} answers cluster {cluster} a second time; the first answer stays.")
        elif row.get("card") and row["card"] != asked[cluster].fingerprint:
            notes.append(
                f"Entry {place} answers other pictures of cluster {cluster} than this run and card style show; it is "
                "left out."
            )
        elif not _is_blank(row):
            said = {key: value for key, value in row.items() if key not in _OURS}
            answer = answer_from_text(json.dumps(said, ensure_ascii=False), asked[cluster], name=name, model=who)
            answers[cluster] = answer
            if answer.fault:
                notes.append(f"Entry {place}, cluster {cluster}, counts as no vote: {answer.fault}")
    missing = tuple(sorted(set(asked) - set(answers)))
    given = tuple(answers[cluster] for cluster in sorted(answers))
    return ReadAnswers(given, tuple(notes), missing, who, str(about.get("date") or "")[:40])


def answer_from_text(
    text: str, question: Question, *, name: str, model: str, synonyms: Mapping[str, int] | None = None
) -> Answer:
    """What somebody replied to one question by hand, as an answer; what cannot be read counts as no vote.

    Args:
        text: The reply as it was pasted.
        question: What was asked.
        name: Name of the annotator.
        model: Who replied.
        synonyms: More words → class code.
    """
    asked = question_text(question)
    shown = Answer(
        annotator=name,
        cluster=question.card.cluster,
        code=None,
        raw=kept_text(text),
        card=question.fingerprint,
        prompt=asked.fingerprint,
        model=model,
        listed=asked.listed,
        style=question.exhibit.style if question.exhibit is not None else "",
    )
    found = read_reply(text, question.scheme, synonyms=synonyms)
    return shown.model_copy(update={name: getattr(found, name) for name in found.__dataclass_fields__})


def _is_blank(row: dict[str, Any]) -> bool:
    """Whether an entry of the template was left as it was."""
    return not any(value not in (None, "", []) for key, value in row.items() if key not in _OURS)


def _json(content: Any) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode()


def _read(path: Path) -> Any:
    try:
        if Path(path).stat().st_size > MOST_BYTES:
            raise AnnotationError(f"{path} has more than {MOST_BYTES:,} bytes, which no file of answers has.")
        return json.loads(Path(path).read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise AnnotationError(f"{path} is not a readable JSON file of answers: {error}.") from error
