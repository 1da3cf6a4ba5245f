"""The fields in which a person says what is to become of a class, and what they hold."""

from __future__ import annotations

from typing import Any

import streamlit as st

from s2dash.colours import free_colour
from s2dash.dashboard.language import LANGUAGES, t
from s2dash.dashboard.scheme_tables import (
    class_edits,
    class_title,
)
from s2dash.pipeline import RunResult
from s2dash.scheme_edits import LONGEST_DEFINITION, LONGEST_NAME
from s2dash.schemes import LandCoverClass

ITSELF = 0  # no class has this code; a box cannot hold None


def changed_class(result: RunResult, run: str, tool: str) -> tuple[str, int | None]:
    """The fields for what is to become of a class: what they are called, and the class."""
    scheme = result.legend.scheme
    code = st.selectbox(
        t("scheme.which"),
        scheme.codes,
        format_func=lambda one: class_title(scheme[one]),
        key=f"scheme_class {run}",
    )
    cls = scheme[code if code in scheme else scheme.codes[0]]
    # Fields begin anew when the class is another one by now, also by somebody else's hand.
    place = f"{run} {cls.code} {len([0 for edit, _ in class_edits(result) if edit.content['code'] == cls.code])}"
    if tool == "recolour":
        st.color_picker(t("scheme.colour"), cls.colour, key=f"scheme_colour {place}")
    elif tool == "rename":
        text_fields("names", dict(cls.names), place)
    else:
        text_fields("definitions", dict(cls.definitions), place)
    return place, cls.code


def new_class(result: RunResult, run: str) -> tuple[str, int | None]:
    """The fields for a new class."""
    scheme = result.legend.scheme
    place = f"{run} new {st.session_state.get('scheme_added', 0)}"
    text_fields("names", {}, place)
    taken = tuple(cls.colour for cls in scheme.classes)
    look, counts = st.columns([1, 4], vertical_alignment="bottom")
    look.color_picker(t("scheme.colour"), free_colour(taken), key=f"scheme_colour {place}")
    own = [cls.code for cls in scheme.classes if not cls.added]
    counts.selectbox(
        t("scheme.counts"),
        [ITSELF, *own],
        format_func=lambda one: class_title(scheme[one]) if one else t("scheme.itself"),
        key=f"scheme_counts {place}",
        help=t("scheme.counts_help"),
    )
    text_fields("definitions", {}, place)
    return place, None


def text_fields(field: str, texts: dict[str, str], place: str) -> None:
    """A text in every language of the interface."""
    for spoken, own in LANGUAGES.items():
        label, key = t(f"scheme.{field}", language=own), f"scheme_{field} {place} {spoken}"
        if field == "names":
            st.text_input(label, texts.get(spoken, ""), max_chars=LONGEST_NAME, key=key)
        else:
            st.text_area(label, texts.get(spoken, ""), max_chars=LONGEST_DEFINITION, height=80, key=key)


def written(op: str, place: str, cls: LandCoverClass | None) -> dict[str, Any]:
    """What the fields hold now, as a class edit; also in a click, when the field left last is newer than the page."""
    now = st.session_state

    def texts(field: str) -> dict[str, str]:
        return {spoken: now.get(f"scheme_{field} {place} {spoken}") or "" for spoken in LANGUAGES}

    colour = str(now.get(f"scheme_colour {place}", "")).lower()
    if cls is None:
        counted = now.get(f"scheme_counts {place}") or None
        about = {"colour": colour, "counts_as": counted}
        return {"op": op, "names": texts("names"), "definitions": texts("definitions"), **about}
    if op == "recolour":
        return {"op": op, "code": cls.code, "colour": colour}
    field, known = ("names", cls.names) if op == "rename" else ("definitions", cls.definitions)
    changed = {one: text for one, text in texts(field).items() if text != known.get(one, "")}
    return {"op": op, "code": cls.code, field: changed}


def is_change(content: dict[str, Any], cls: LandCoverClass | None) -> bool:
    """Whether anything would be another one."""
    if cls is None or content.get("names") or content.get("definitions"):
        return True
    return bool(content.get("colour", cls.colour.lower()) != cls.colour.lower())
