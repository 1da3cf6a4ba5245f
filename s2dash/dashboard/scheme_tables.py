"""What the panel of the classes shows: every class with its use, what a change would do, and the history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from s2dash.colour_vision import VISIONS, Vision, difference
from s2dash.colours import scheme_colours
from s2dash.dashboard.language import language, t
from s2dash.dashboard.texts import by_whom, plain
from s2dash.errors import SchemeError
from s2dash.map_edit import MapEdit, in_force
from s2dash.pipeline import RunResult
from s2dash.scheme_edits import checked_class_edit, edited_scheme, name_owner
from s2dash.schemes import ClassScheme, LandCoverClass, load_scheme

TOO_CLOSE = 10.0
"""CIEDE2000 difference below which two colours are hard to tell apart; the nearest two of WorldCover are 14 apart."""
TOO_CLOSE_FOR_SOME = 5.0
"""The same for colour-blind people: the usual colours of many schemes are nearer than `TOO_CLOSE` for them."""


@dataclass(frozen=True)
class ClassRow:
    """A class as the panel lists it."""

    code: int
    """Class code."""
    name: str
    """In the language spoken; data, escape wherever shown."""
    colour: str
    """`#RRGGBB`, of the palette in force."""
    definition: str
    """In the language spoken; may be empty; data."""
    clusters: int
    """Clusters that are called so."""
    hectares: float
    """Its area on the map."""
    counts_as: str
    """Name of the class it counts as in comparisons; empty where it counts as itself."""
    added: bool
    """Whether people added it."""


def class_title(cls: LandCoverClass) -> str:
    """Name of a class in the language spoken."""
    return cls.names.get(language()) or cls.name


def class_rows(result: RunResult) -> tuple[ClassRow, ...]:
    """Every class of a run, in the scheme's order."""
    scheme, areas, colours = result.legend.scheme, result.landcover.area_ha(), scheme_colours(result.legend.scheme)
    called = [entry.code for entry in result.legend.entries.values()]
    return tuple(
        ClassRow(
            code=cls.code,
            name=class_title(cls),
            colour=colours[cls.code],
            definition=cls.definitions.get(language(), ""),
            clusters=called.count(cls.code),
            hectares=areas.get(cls.code, 0.0),
            counts_as=class_title(scheme[scheme.counted_as[cls.code]]) if cls.code in scheme.counted_as else "",
            added=cls.added,
        )
        for cls in scheme.classes
    )


def refusal(result: RunResult, content: Mapping[str, Any]) -> str:
    """Why a class cannot be changed so, in a sentence; empty where it can."""
    try:
        checked_class_edit(MapEdit("class", content), result.legend, result.map_edits)
    except SchemeError as error:
        return str(error)
    return ""


def passing_words(scheme: ClassScheme, names: Mapping[str, str], *, code: int | None = None) -> tuple[str, ...]:
    """Sentences on names that have been words for another class so far, and will not be any more."""
    said = []
    for name in dict.fromkeys(filter(str.strip, names.values())):
        owner = name_owner(name, scheme, code=code)
        if owner is not None and not owner[1]:
            said.append(t("scheme.passes_over", word=plain(name), name=plain(class_title(owner[0]))))
    return tuple(said)


def close_colours(scheme: ClassScheme, colour: str, *, code: int | None = None) -> tuple[str, ...]:
    """Sentences on the classes whose colours are too near to one.

    Args:
        scheme: The scheme.
        colour: `#RRGGBB`.
        code: The class that is to have it.
    """
    said = []
    for cls in scheme.classes:
        if cls.code == code:
            continue
        apart: dict[Vision, float] = {vision: difference(colour, cls.colour, vision) for vision in VISIONS}
        if apart["full"] < TOO_CLOSE:
            said.append(t("scheme.close", name=plain(class_title(cls)), difference=f"{apart['full']:.0f}"))
        elif min(apart.values()) < TOO_CLOSE_FOR_SOME:
            said.append(t("scheme.close_for_some", name=plain(class_title(cls))))
    return tuple(said)


def class_edits(result: RunResult) -> tuple[tuple[MapEdit, bool], ...]:
    """Every class edit of a run with whether it holds, the newest first."""
    held = {edit.seq for edit in in_force(result.map_edits)}
    return tuple((edit, edit.seq in held) for edit in reversed(result.map_edits) if edit.kind == "class")


def scheme_then(result: RunResult, when: datetime) -> ClassScheme:
    """The classes of a run as they were called at a moment, just before what was done then."""
    earlier = tuple(edit for edit in result.map_edits if edit.when < when)
    return edited_scheme(load_scheme(result.legend.scheme.name), earlier)


def edit_lines(scheme: ClassScheme, edit: MapEdit) -> tuple[str, str]:
    """A class edit in two lines of plain text: what, and by whom, when and why.

    Args:
        scheme: The classes as they were called before it (`scheme_then`).
        edit: The edit.
    """
    return class_edit_text(scheme, edit), by_whom(edit.who, edit.when, edit.why)


def class_edit_text(scheme: ClassScheme, edit: MapEdit) -> str:
    """A class edit in a line of plain text."""
    content, code = edit.content, int(edit.content["code"])
    names = content.get("names", {})
    return t(
        f"scheme.did_{content['op']}",
        name=class_title(scheme[code]) if scheme.knows(code) else str(code),
        new=names.get(language()) or next(iter(names.values()), ""),
        colour=content.get("colour", ""),
    )


def swatch(colour: str) -> str:
    """A square of a colour, for Markdown with HTML allowed.

    Raises:
        ValueError: If it is no `#RRGGBB`: what stands in HTML must be nothing else.
    """
    if len(colour) != 7 or colour[0] != "#" or not all(char in "0123456789ABCDEFabcdef" for char in colour[1:]):
        raise ValueError(f"A colour is written #RRGGBB, not {colour!r}.")
    return (
        f'<span style="display:inline-block;width:0.95em;height:0.95em;vertical-align:-0.1em;border-radius:2px;'
        f'border:1px solid rgba(128,128,128,0.75);background:{colour}"></span>'
    )
