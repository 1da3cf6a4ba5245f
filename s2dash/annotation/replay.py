"""Recorded answers, replayed: what a model said of a scene once, shown as recorded and never as live.

A recorded answer belongs to the surface it was given about, not to a cluster's number: it fits a question that shows
the very same card, or else a cluster whose median spectrum and share are the same within a stated tolerance.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from functools import cache, cached_property
from hashlib import sha256
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from s2dash.annotation.answer import Answer, Question
from s2dash.annotation.reading import read_reply
from s2dash.errors import AnnotationError, SchemeError
from s2dash.schemes import NO_DATA, ClassScheme, load_scheme_map, scheme_with_edits

REFLECTANCE_TOLERANCE = 0.004
"""Most that a median reflectance may differ, in every band: the same surface measured from another sample of pixels."""
SHARE_TOLERANCE = 0.20
"""Most that a cluster's share of the scene may differ, relative to the larger of the two."""
FOLDER = "recordings"
"""Where the recordings that come with the package lie, in `s2dash/data`."""
NOTHING_FITS = "no recorded answer fits this cluster"


class RecordedAnswer(BaseModel):
    """What was said of one surface."""

    model_config = ConfigDict(frozen=True)

    cluster: int
    """Its number when it was asked about; for the reader only."""
    fingerprint: str = ""
    """Hash of the card that was shown."""
    median: dict[str, float]
    """Its median reflectance by band."""
    share: float = Field(gt=0.0, le=1.0)
    """Its share of the scene, 0-1."""
    reply: dict[str, Any] | str
    """The reply as it came: the form with all its fields, or whatever text came instead."""

    @property
    def text(self) -> str:
        """The reply as a text."""
        return self.reply if isinstance(self.reply, str) else json.dumps(self.reply, ensure_ascii=False)


class Recording(BaseModel):
    """The answers of one model about the clusters of one scene, as they came."""

    model_config = ConfigDict(frozen=True)

    model: str = Field(min_length=1)
    """Which model answered, with its version where known."""
    date: date
    """The day it answered."""
    style: str
    """Card style it was shown, with version."""
    scheme: str
    """Class scheme it was asked in."""
    scene: str = ""
    """What the scene is called."""
    note: str = ""
    """How it was asked, in a sentence."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """How the clusters were made, so that they can be made again."""
    classes: dict[str, Any] = Field(default_factory=dict)
    """What people had changed of the scheme, as `ClassScheme.edits_json` says it."""
    answers: tuple[RecordedAnswer, ...]
    """One for each cluster that was asked about."""

    @property
    def title(self) -> str:
        """Model and date, as shown wherever its answers are: `… (recorded 2025-11-21)`."""
        return f"{self.model} (recorded {self.date.isoformat()})"

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all that it holds."""
        without = None if self.classes else {"classes"}  # recordings made before schemes could be edited stay the same
        return sha256(self.model_dump_json(exclude=without).encode()).hexdigest()

    def to_text(self) -> str:
        """As the JSON file it is kept in."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False, indent=1) + "\n"


def make_recording(
    answers: Sequence[Answer],
    questions: Sequence[Question],
    *,
    model: str,
    recorded: date,
    scene: str = "",
    note: str = "",
    settings: Mapping[str, Any] | None = None,
) -> Recording:
    """Keep answers as a recording; what was replied stays as it came, right or wrong.

    Args:
        answers: Of one annotator.
        questions: What it was asked: one scheme, one style.
        model: Which model answered, with its version where known.
        recorded: The day it answered.
        scene: What the scene is called.
        note: How it was asked.
        settings: How the clusters were made.

    Raises:
        AnnotationError: If an answer is about a cluster that was not asked about, or the questions differ in scheme or
            style.
    """
    asked = {question.card.cluster: question for question in questions}
    schemes = {question.scheme.name for question in questions}
    styles = {question.exhibit.style if question.exhibit is not None else "" for question in questions}
    if strange := sorted({answer.cluster for answer in answers} - set(asked)):
        raise AnnotationError(f"The clusters {strange} were answered but not asked about; record them with their run.")
    if len(schemes) != 1 or len(styles) != 1:
        raise AnnotationError("A recording holds answers in one class scheme to cards of one style.")
    return Recording(
        model=model,
        date=recorded,
        style=styles.pop(),
        scheme=schemes.pop(),
        scene=scene,
        note=note,
        settings=dict(settings or {}),
        classes=questions[0].scheme.edits_json(),
        answers=tuple(
            RecordedAnswer(
                cluster=answer.cluster,
                fingerprint=asked[answer.cluster].fingerprint,
                median={band: round(value, 5) for band, value in asked[answer.cluster].card.median.items()},
                share=round(asked[answer.cluster].card.share, 6),
                reply=_as_it_came(answer.raw),
            )
            for answer in answers
        ),
    )


def load_recording(path: Path | Traversable) -> Recording:
    """A recording from its file.

    Raises:
        AnnotationError: If it cannot be read or is no recording.
    """
    try:
        return Recording.model_validate_json(path.read_text("utf-8"))
    except (OSError, ValidationError, ValueError) as error:
        raise AnnotationError(f"{path.name} is no file of recorded answers that can be read: {error}.") from error


@cache
def packaged_recordings() -> tuple[Recording, ...]:
    """The recordings that come with the package, by file name."""
    folder = resources.files("s2dash.data").joinpath(FOLDER)
    if not folder.is_dir():
        return ()
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".json")), key=lambda item: item.name)
    return tuple(load_recording(file) for file in files)


@dataclass(frozen=True, init=False)
class ReplayAnnotator:
    """Answers questions from recordings."""

    recordings: tuple[Recording, ...]
    """Where answers are looked for, the first first."""
    name: str = "replay"
    """How it is chosen and shown."""
    model: str = field(default="")
    """The models that were recorded, and when."""

    def __init__(self, *recordings: Recording, name: str = "replay") -> None:
        titles = list(dict.fromkeys(recording.title for recording in recordings))
        object.__setattr__(self, "recordings", recordings)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "model", ", ".join(titles) or "no recording")

    def prompt_fingerprint(self, question: Question) -> str:
        """Hash of the recordings, of the scheme, and of what answers are matched by."""
        kept = "\n".join(recording.fingerprint for recording in self.recordings)
        card = question.card
        asked = f"{kept}\n{question.scheme.name}\n{card.fingerprint}\n{card.share:.6f}"
        asked += "".join(f"\n{cls.key} {cls.code}" for cls in question.scheme.classes if cls.added)
        return sha256(asked.encode()).hexdigest()

    def answer(self, question: Question) -> Answer:
        """What was recorded about this cluster, in the question's scheme; no vote where nothing fits.

        Raises:
            AnnotationError: If there is no map from the scheme of the recording that fits to the one asked for.
        """
        blank = Answer(
            annotator=self.name,
            cluster=question.card.cluster,
            code=None,
            card=question.fingerprint,
            prompt=self.prompt_fingerprint(question),
            model=self.model,
            recorded=True,
        )
        found = self._find(question)
        if found is None:
            return blank.model_copy(update={"fault": NOTHING_FITS})
        recording, recorded = found
        try:
            own = scheme_with_edits(recording.scheme, recording.classes)
            to = _translation(own, question.scheme)
        except SchemeError as error:
            raise AnnotationError(f"What was recorded cannot be told in {question.scheme.name!r}: {error}") from error
        read = read_reply(recorded.text, own)
        code = to.get(read.code or 0) or None
        second = to.get(read.second or 0) or None
        lost = read.code is not None and code is None
        return blank.model_copy(
            update={
                "code": code,
                "second": second if second != code and code is not None else None,
                "term": read.term,
                "confidence": read.confidence if code is not None else 0.0,
                "evidence": read.evidence,
                "mixed": read.mixed,
                "raw": recorded.text,
                "model": recording.title,
                "style": recording.style,
                "compliant": read.compliant,
                "fault": f"what was recorded is no class of {question.scheme.name}" if lost else read.fault,
                "answered": datetime.combine(recording.date, time(), tzinfo=UTC),
            }
        )

    def _find(self, question: Question) -> tuple[Recording, RecordedAnswer] | None:
        """The very card, else the likest spectrum; answers in the question's own scheme go before others."""
        every = [(recording, answer) for recording in self.recordings for answer in recording.answers]
        fitting = []
        for place, (recording, answer) in enumerate(every):
            same = question.exhibit is not None and answer.fingerprint == question.exhibit.fingerprint
            difference = -1.0 if same else _difference(answer, question.card.median, question.card.share)
            if difference is not None:
                fitting.append((recording.scheme != question.scheme.name, difference, place))
        return every[min(fitting)[2]] if fitting else None


def _translation(own: ClassScheme, asked: ClassScheme) -> dict[int, int]:
    """Codes of a recording's scheme → codes of the one asked for; an added class goes by its key, else by what it
    counts as.
    """
    to = dict(load_scheme_map(own.name, asked.name).codes)
    here = {cls.key: cls.code for cls in asked.classes if cls.added}
    for cls in own.classes:
        if cls.added:
            to[cls.code] = here.get(cls.key) or to.get(cls.counts_as or NO_DATA, NO_DATA)
    return to


def _as_it_came(raw: str) -> dict[str, Any] | str:
    """A reply as the object it is, where it is one: that reads better, and loses nothing."""
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError):
        return raw
    return content if isinstance(content, dict) else raw


def _difference(recorded: RecordedAnswer, median: Mapping[str, float], share: float) -> float | None:
    """Largest difference of the two spectra, reflectance; None where they are not of the same surface."""
    if set(recorded.median) != set(median) or not median:
        return None
    if abs(recorded.share - share) > SHARE_TOLERANCE * max(recorded.share, share):
        return None
    largest = max(abs(recorded.median[band] - value) for band, value in median.items())
    return largest if largest <= REFLECTANCE_TOLERANCE else None
