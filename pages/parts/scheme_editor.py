"""The classes of a run: what they are called, look like and mean; renamed, recoloured, defined anew, added."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.parts.sign_in import may_write, who, why_not
from s2dash.colours import free_colour, palette
from s2dash.dashboard import state
from s2dash.dashboard.language import LANGUAGES, language, t
from s2dash.dashboard.scheme_tables import (
    class_edits,
    class_rows,
    class_title,
    close_colours,
    edit_lines,
    passing_words,
    refusal,
    scheme_then,
    swatch,
)
from s2dash.dashboard.texts import number, plain
from s2dash.map_edit import MapEdit
from s2dash.pipeline import RunResult
from s2dash.scheme_edits import LONGEST_DEFINITION, LONGEST_NAME
from s2dash.schemes import LandCoverClass

OPS = {
    "rename": ":material/edit:",
    "recolour": ":material/palette:",
    "define": ":material/description:",
    "add": ":material/add_circle:",
}
ITSELF = 0  # no class has this code; a box cannot hold None
WIDE: dict[str, Any] = {"width": "stretch"}


def scheme_editor(result: RunResult, run: str) -> None:
    """The panel.

    Args:
        result: The run that is shown.
        run: Its id.
    """
    listing(result)
    why_not()
    tool = st.segmented_control(
        t("scheme.tool"),
        list(OPS),
        format_func=lambda op: f"{OPS[op]} {t(f'scheme.{op}')}",
        key="scheme_tool",
        default="rename",
        required=True,
        label_visibility="collapsed",
        persist_state="session",
        **WIDE,
    )
    place, code = new_class(result, run) if tool == "add" else changed_class(result, run, str(tool))
    preview(result, run, str(tool), place, code)
    st.caption(t("scheme.paid_again"))
    past(result, run)


def listing(result: RunResult) -> None:
    """Every class with its colour and how much of the map it is; what it means, where the pointer rests."""
    for row in state.kept(f"classes {language()} {palette()}", lambda: class_rows(result)):
        facts = [t("scheme.clusters", count=row.clusters), f"{number(row.hectares, 1)} ha"] if row.clusters else []
        facts += [f"{number(row.hectares, 1)} ha"] if row.hectares and not row.clusters else []
        facts += [t("scheme.added")] if row.added else []
        facts += [t("scheme.counts_as", name=plain(row.counts_as))] if row.counts_as else []
        st.markdown(
            f"{swatch(row.colour)} **{plain(row.name)}** · {' · '.join(facts) or t('scheme.unused')}",
            unsafe_allow_html=True,
            help=plain(row.definition) or None,
        )


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


def preview(result: RunResult, run: str, op: str, place: str, code: int | None) -> None:
    """What it would be, what speaks against it, and the button that does it."""
    scheme = result.legend.scheme
    cls = scheme[code] if code else None
    content = written(op, place, cls)
    changed = is_change(content, cls)
    names = {**(cls.names if cls else {}), **content.get("names", {})}
    named = any(name.strip() for name in names.values())
    fault = refusal(result, content) if changed and named else ""
    if changed and named:
        title = names.get(language()) or next(filter(None, names.values()))
        colour = content.get("colour") or (cls.colour if cls else "#808080")
        before = f"{swatch(cls.colour)} {plain(class_title(cls))} → " if cls else ""
        st.markdown(f"{before}{swatch(colour)} **{plain(title)}**", unsafe_allow_html=True)
        if fault:
            st.warning(plain(fault), icon=":material/block:")
        remarks = passing_words(scheme, content["names"], code=code) if "names" in content else ()
        remarks += close_colours(scheme, content["colour"], code=code) if "colour" in content else ()
        for remark in remarks if not fault else ():
            st.caption(f":material/info: {remark}")
    st.text_input(t("scheme.why"), key=f"scheme_why {run}", placeholder=t("scheme.why_example"))
    st.button(
        t(f"scheme.do_{content['op']}"),
        key=f"scheme_do {run}",
        icon=":material/check:",
        type="primary",
        disabled=bool(fault) or not may_write(),
        on_click=change,
        args=(run, op, place, code),
        **WIDE,
    )


def past(result: RunResult, run: str) -> None:
    """What people did to the classes, and taking it back."""
    edits = class_edits(result)
    with st.expander(t("scheme.history", count=len(edits)), icon=":material/history:"):
        for edit, holds in edits:
            said, button = st.columns([4, 1], vertical_alignment="center")
            what, by = map(plain, edit_lines(scheme_then(result, edit.when), edit))
            said.markdown(what if holds else f"~~{what}~~")
            said.caption(by)
            button.button(
                t("scheme.undo" if holds else "scheme.redo"),
                key=f"scheme_turn {run} {edit.seq}",
                disabled=not may_write(),
                on_click=keep,
                args=(run, MapEdit("withdraw" if holds else "restore", {"seq": edit.seq})),
                **WIDE,
            )
        if not edits:
            st.caption(t("scheme.nothing"))


def change(run: str, op: str, place: str, code: int | None) -> None:
    """What a click does, before anything is drawn anew."""
    with state.said(later=True):
        scheme = state.server().open_run(run).legend.scheme
        cls = scheme[code] if code else None
        content = written(op, place, cls)
        if is_change(content, cls):
            keep(run, MapEdit("class", content, why=st.session_state.get(f"scheme_why {run}") or ""))
        else:
            st.toast(t("scheme.same"), icon=":material/info:")


def keep(run: str, edit: MapEdit) -> None:
    """Keep a change of the classes, under the name of who made it."""
    now = st.session_state
    with state.said(later=True):
        state.workspace().change_map(run, MapEdit(edit.kind, edit.content, who=who(), why=edit.why))
        now[f"scheme_why {run}"] = ""
        if edit.content.get("op") == "add":
            now["scheme_added"] = now.get("scheme_added", 0) + 1
