"""The classes of a run: what they are called, look like and mean; renamed, recoloured, defined anew, added."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.parts.class_fields import changed_class, is_change, new_class, written
from pages.parts.sign_in import may_write, who, why_not
from s2dash.colours import palette
from s2dash.dashboard import state
from s2dash.dashboard.language import language, t
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

OPS = {
    "rename": ":material/edit:",
    "recolour": ":material/palette:",
    "define": ":material/description:",
    "add": ":material/add_circle:",
}
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
