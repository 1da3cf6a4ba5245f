"""The form in which a model answers: what it is asked to fill in, and how its reply is read, whatever came back."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from s2dash.errors import AnnotationError
from s2dash.schemes import ClassScheme

UNKNOWN = "unknown"
"""What stands for "none of the classes"."""
LONGEST_WORD = 200
"""Characters kept of a class or term; above what `normalise` looks at, so that a cut text never names a class."""
LONGEST_EVIDENCE = 240
"""Characters kept of each piece of evidence."""
MOST_EVIDENCE = 3
"""Pieces of evidence kept."""
LONGEST_REPLY = 200_000
"""Characters looked at: half from the start and half from the end. A form has a few hundred."""
_MOST_STARTS = 200
"""Brackets tried in a reply, from the end; bounds the time that a reply full of brackets costs."""

_NOTHING = frozenset({"", "none", "null", "nil", "n/a", "na", "-", "–", "—", "no", "немає", "нема"})
_YES = frozenset({"true", "yes", "y", "1", "так"})
_NO = frozenset({"false", "no", "n", "0", "ні", ""})
_KEYS = {
    "landcover": "land_cover",
    "landcoverclass": "land_cover",
    "class": "land_cover",
    "label": "land_cover",
    "secondchoice": "second_choice",
    "term": "term",
    "confidence": "confidence",
    "evidence": "evidence",
    "mixed": "mixed",
}
"""Keys as replies write them, in lower case and without what is no letter."""
_NUMBER = re.compile(r"([0-9]{1,12}(?:[.,][0-9]{1,20})?|[.,][0-9]{1,20})\s*(%|/\s*[0-9]{1,5})?")
_BRACKETS = re.compile(r"[\[{]")


class FormError(AnnotationError):
    """A reply is not the form that was asked for; the text names the fault so that the model can be told."""


def _line(value: Any) -> str:
    """One line of plain text: no control characters, no half characters."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("has to be a text")
    text = str(value).encode("utf-8", "replace").decode()
    return " ".join("".join(" " if unicodedata.category(letter) in {"Cc", "Cf"} else letter for letter in text).split())


def _word(value: Any) -> str:
    return _line(value)[:LONGEST_WORD]


def _choice(value: Any) -> str:
    return _word(value) or UNKNOWN


def _second(value: Any) -> str | None:
    word = _word(value)
    return None if word.casefold() in {*_NOTHING, UNKNOWN} else word


def _share(value: Any) -> float:
    """A confidence from 0 to 1, also where it was written as a percentage or a fraction."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None or isinstance(value, bool):
        raise ValueError("has to be a number from 0 to 1")
    number, whole = value, None
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value.strip())
        if match is None:
            raise ValueError(f"has to be a number from 0 to 1, not {value[:40]!a}")
        number = float(match[1].replace(",", "."))
        if match[2]:
            whole = 100.0 if match[2] == "%" else float(match[2].removeprefix("/"))
    if not isinstance(number, int | float):
        raise ValueError("has to be a number from 0 to 1")
    # 85 is a percentage; 8 may be 8 % or 8 of 10, so it is asked again. A reply may hold integers beyond any float.
    if whole is None:
        whole = 100.0 if 10 < number <= 100 else 1.0
    if not (math.isfinite(whole) and whole > 0 and 0 <= number <= whole):
        raise ValueError(f"has to be a number from 0 to 1, not {str(number)[:40]}")
    return float(number) / whole


def _pieces(value: Any) -> list[str]:
    """Up to three short texts."""
    if value is None:
        return []
    if isinstance(value, str):
        value = value.splitlines()
    if not isinstance(value, list):
        raise ValueError("has to be a list of up to three short texts")
    words = (piece for piece in value[: 10 * MOST_EVIDENCE] if isinstance(piece, str | int | float))
    lines = (_line(str(piece))[:LONGEST_EVIDENCE] for piece in words)
    return [line for line in lines if line][:MOST_EVIDENCE]


def _yes(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = _line(value).casefold()
    if word not in _YES | _NO:
        raise ValueError(f"has to be true or false, not {word[:40]!a}")
    return word in _YES


class AnswerForm(BaseModel):
    """What a model filled in. All of it is data that somebody else wrote: escape it wherever it is shown."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    land_cover: Annotated[str, BeforeValidator(_choice)]
    """Key of a class, in the model's spelling, or "unknown"; not yet checked against any scheme."""
    second_choice: Annotated[str | None, BeforeValidator(_second)] = None
    """Second choice, in the model's spelling."""
    term: Annotated[str, BeforeValidator(_word)] = ""
    """The model's own word for what it saw."""
    confidence: Annotated[float, BeforeValidator(_share), Field(ge=0.0, le=1.0)]
    """How sure it says it is, 0-1."""
    evidence: Annotated[list[str], BeforeValidator(_pieces)] = Field(default_factory=list)
    """Up to three short reasons."""
    mixed: Annotated[bool, BeforeValidator(_yes)] = False
    """Whether it thinks that the cluster mixes several classes."""


def form_model(scheme: ClassScheme | None = None) -> type[BaseModel]:
    """The form as a pydantic model, for the structured output of an SDK.

    Only what every provider takes: all fields required, no lengths, no ranges, nothing besides the fields. The classes
    stand in the scheme's own order whatever the order in the question, because services prepare a schema once and
    then know it again.

    Args:
        scheme: Its keys and "unknown" are the only classes allowed; None allows any text.
    """
    return _form_model(() if scheme is None else tuple(cls.key for cls in scheme.classes))


@lru_cache(maxsize=64)
def _form_model(keys: tuple[str, ...]) -> type[BaseModel]:
    choice: Any = Literal[(*keys, UNKNOWN)] if keys else str
    fields: dict[str, Any] = {
        "land_cover": (choice, Field(description="Key of the class, or unknown where no class fits")),
        "second_choice": (choice | None, Field(description="Key of the next likely class, or null")),
        "term": (str, Field(description="Your own short term for what it is")),
        "confidence": (float, Field(description="How sure you are of land_cover, a number from 0 to 1")),
        "evidence": (list[str], Field(description="Up to three short reasons, from what was shown")),
        "mixed": (bool, Field(description="true if several classes are mixed in it")),
    }
    return create_model("AnswerForm", __config__=ConfigDict(extra="forbid"), **fields)


def form_schema(scheme: ClassScheme | None = None) -> dict[str, Any]:
    """The form as a JSON schema, a copy of its own.

    Args:
        scheme: As for `form_model`.
    """
    schema: dict[str, Any] = form_model(scheme).model_json_schema()
    schema.pop("title", None)
    for field in schema["properties"].values():
        field.pop("title", None)
    return schema


def read_form(text: str) -> AnswerForm:
    """Read a reply that should be the form, but may be fenced, wrapped in prose, or not be it at all.

    Of several JSON objects the last that can be read as the form counts: who thinks aloud writes drafts first. A list
    of several answers is none. An object that breaks off is not completed. A wrapper such as `{"answer": {…}}` is
    looked through. Time and memory are bounded whatever comes.

    Args:
        text: The reply as it came.

    Raises:
        FormError: If there is no such object; the text names the fault in words that can be sent back.
    """
    text = text.lstrip("\ufeff").strip()
    if not text:
        raise FormError("The reply was empty. Reply with the JSON object that was asked for.")
    fault = ""
    for value in _values(text):
        try:
            return _form(value)
        except FormError as error:
            fault = fault or str(error)
    if fault:
        raise FormError(fault)
    if "{" not in text:
        raise FormError(
            "The reply held no JSON object. Reply with the JSON object that was asked for, and nothing else."
        )
    raise FormError(
        "The JSON object in the reply is broken or breaks off. Reply with the whole object that was asked for, and "
        "nothing else."
    )


def _values(text: str) -> Iterator[Any]:
    """JSON objects, and lists with objects in them, that stand in a text; the last first."""
    half = LONGEST_REPLY // 2
    parts = [text] if len(text) <= LONGEST_REPLY else [text[:half], text[-half:]]
    decoder = json.JSONDecoder()
    found: list[Any] = []
    for part in parts:
        place, starts = 0, 0
        while starts < _MOST_STARTS and (match := _BRACKETS.search(part, place)):
            starts += 1
            try:
                value, place = decoder.raw_decode(part, match.start())
            except (ValueError, RecursionError):  # ValueError also for integers of thousands of digits
                place = match.end()
                continue
            if isinstance(value, dict) or any(isinstance(item, dict) for item in value):
                found.append(value)
    yield from reversed(found)


def _form(value: Any) -> AnswerForm:
    """The form from parsed JSON, through at most one wrapper."""
    if isinstance(value, list):
        answers = [item for item in value if isinstance(item, dict)]
        if len(answers) > 1:
            raise FormError(f"The reply was a list of {len(answers)} answers. Reply with one JSON object, not a list.")
        value = answers[0]
    fields = _fields(value)
    if "land_cover" not in fields:
        inner = [item for item in value.values() if isinstance(item, dict) and "land_cover" in _fields(item)]
        if len(inner) != 1:
            raise FormError('The JSON object lacks "land_cover". Reply with every field of the form.')
        fields = _fields(inner[0])
    if "confidence" not in fields:
        raise FormError('The JSON object lacks "confidence". Reply with every field of the form.')
    try:
        return AnswerForm.model_validate(fields)
    except ValidationError as error:
        faults = [
            f'"{".".join(str(step) for step in one["loc"])}" {one["msg"].removeprefix("Value error, ")}'
            for one in error.errors(include_url=False, include_input=False)
        ]
        raise FormError(f"In the JSON object {'; '.join(faults)}.") from None


def _fields(value: dict[str, Any]) -> dict[str, Any]:
    """The fields of the form under their own names; exact names go before look-alikes."""
    fields: dict[str, Any] = {}
    for key, item in value.items():
        name = _KEYS.get("".join(filter(str.isalpha, key[:60])).lower())
        if name is not None and (key == name or name not in fields):
            fields[name] = item
    return fields
