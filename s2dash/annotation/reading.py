"""From what a model wrote to what it means: validated again, whatever the service promised.

A reply is data. Nothing in it is followed, only read: the form, the class it names, and a few short texts to show.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from s2dash.annotation.form import AnswerForm, FormError, form_model, read_form
from s2dash.annotation.normalise import normalise
from s2dash.annotation.provider import ModelReply, Stop
from s2dash.schemes import ClassScheme

LONGEST_TERM = 120
"""Characters kept of the free term."""
LONGEST_EVIDENCE = 200
"""Characters kept of each piece of evidence."""
MOST_EVIDENCE = 3
"""Pieces of evidence kept."""
LONGEST_KEPT = 50_000
"""Characters kept of a reply; the form has a few hundred."""

_UNKNOWN = frozenset(
    {"unknown", "unclear", "uncertain", "unsure", "undetermined", "undecided", "unidentifiable", "indeterminate"}
    | {"not known", "not sure", "cannot tell", "can not tell", "can't tell", "cannot be determined", "no class fits"}
    | {"none of these", "none of them", "none of the above", "none fits", "none", "null", "n/a", "na", "?", "-"}
    | {"невідомо", "невідомий", "невідома", "невідоме", "не відомо", "невизначено", "неможливо визначити", "не знаю"}
    | {"жоден", "жодна", "жоден з них", "неизвестно", "unbekannt", "inconnu", "desconocido", "desconhecido"}
    | {"sconosciuto", "nieznane"}
)
"""What stands for "none of the classes"."""


@dataclass(frozen=True)
class Reading:
    """What a reply means in a scheme."""

    code: int | None = None
    """Class code; None for "unknown", and where there is a fault."""
    second: int | None = None
    """Second choice; None where there is none, or none of the list."""
    term: str = ""
    """The model's own word, one line without control characters, still data."""
    confidence: float = 0.0
    """How sure it says it is, 0-1."""
    evidence: tuple[str, ...] = ()
    """Up to `MOST_EVIDENCE` short reasons, one line each, still data."""
    mixed: bool = False
    """Whether it thinks that several classes are mixed."""
    fault: str = ""
    """What is wrong with the reply, in words the model can be told; empty where it can be used."""
    compliant: bool = False
    """Whether it was the form and nothing else, every field there, with a class as the list calls it or "unknown"."""


def read_reply(
    text: str, scheme: ClassScheme, *, synonyms: Mapping[str, int] | None = None, stop: Stop = "end"
) -> Reading:
    """Read a reply; never raises, whatever the text.

    Args:
        text: The reply as it came.
        scheme: The closed list of classes.
        synonyms: More words → class code; those with a code the scheme does not have are left out.
        stop: Why the model stopped, to name the fault of a reply that cannot be read.
    """
    try:
        form = read_form(text)
    except FormError as error:
        return Reading(fault=_stopped(stop) or str(error))
    known = {word: code for word, code in (synonyms or {}).items() if code in scheme}
    word = shown(form.land_cover, LONGEST_TERM)
    named = normalise(form.land_cover, scheme, synonyms=known)
    unknown = named.code is None and is_unknown(word)
    off_list = named.code is None and not unknown
    second = normalise(form.second_choice, scheme, synonyms=known).code
    return Reading(
        code=named.code,
        second=None if second == named.code or unknown else second,
        term=word if off_list else shown(form.term, LONGEST_TERM) or word,  # the word a person may teach
        confidence=0.0 if named.code is None else min(max(form.confidence, 0.0), 1.0),
        evidence=tuple(filter(None, (shown(one, LONGEST_EVIDENCE) for one in form.evidence)))[:MOST_EVIDENCE],
        mixed=form.mixed,
        fault=_off_list(word, scheme) if off_list else "",
        compliant=(unknown or named.how in {"code", "key", "name"}) and _is_bare_form(text, form),
    )


def is_unknown(word: str) -> bool:
    """Whether a word stands for "none of the classes"."""
    return " ".join(word.casefold().replace("_", " ").split()).strip(" .!\"'") in _UNKNOWN


def shown(text: str, longest: int) -> str:
    """What may be shown of a text that somebody else wrote: one line, no control or half characters, not too long."""
    kept = "".join(" " if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else char for char in text)
    line = " ".join(kept.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def kept_text(text: str) -> str:
    """A reply as it is kept: whole where it has a sane length, else its start and end with a note between."""
    text = text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
    if len(text) <= LONGEST_KEPT:
        return text
    half = LONGEST_KEPT // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half} of {len(text)} characters are left out …]\n{text[-half:]}"


def tidy(reply: ModelReply, text: str) -> ModelReply:
    """The reply as it is kept and read, with `text` for what it said."""
    return ModelReply(kept_text(text), reply.usage, shown(reply.model, LONGEST_TERM), reply.stop)


def _off_list(word: str, scheme: ClassScheme) -> str:
    keys = ", ".join(cls.key for cls in scheme.classes)
    return f"The class {word!r} is not exactly one of the list. Choose one key of: {keys}; or unknown."


def _stopped(stop: Stop) -> str:
    if stop == "refusal":
        return (
            "The reply was a refusal. The pictures are satellite images of land, and the question is only which land "
            "cover they show; unknown is a good answer. Reply with the JSON object that was asked for."
        )
    if stop == "length":
        return (
            "The reply was cut off because it was too long. Reply with the JSON object that was asked for, short, and "
            "nothing else."
        )
    return ""


def _is_bare_form(text: str, form: AnswerForm) -> bool:
    """Whether the text is the form as it was asked for, with nothing before, after or left out."""
    try:
        bare = form_model().model_validate_json(text.strip(), strict=True)
    except (ValidationError, ValueError):
        return False
    said = bare.model_dump()
    return said["confidence"] == form.confidence and len(said["evidence"]) <= MOST_EVIDENCE
