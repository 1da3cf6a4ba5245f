"""Corrections below the cluster: areas, reference points and check points, and everything that was done so far."""

from __future__ import annotations

import streamlit as st

from pages.parts.check_places import check_places
from pages.parts.collect_points import collect_points
from pages.parts.correct_area import correct_area
from pages.parts.point_exchange import point_files
from pages.parts.sign_in import may_write, who, why_not
from s2dash.corrections import unusable_areas
from s2dash.dashboard import state
from s2dash.dashboard.correction_texts import edit_facts, edit_line
from s2dash.dashboard.language import t
from s2dash.dashboard.texts import plain
from s2dash.dashboard.view import ClusterView
from s2dash.map_edit import MapEdit
from s2dash.map_history import corrections, next_redo, next_undo, restoration, withdrawal
from s2dash.pipeline import RunResult

MODES = ("area", "points", "check")
LISTED = 30
"""Most corrections that are listed."""


def turn(run: str, edit: MapEdit, holds: bool) -> None:
    """Take a correction back, or bring it back."""
    with state.said(later=True):
        made = withdrawal(edit, who=who()) if holds else restoration(edit, who=who())
        state.workspace().change_map(run, made)


def history(result: RunResult, run: str) -> None:
    """Undo, redo, and all corrections, each of which can be taken back or brought back."""
    edits, shut = result.map_edits, not may_write()
    undo, redo = next_undo(edits), next_redo(edits)
    with st.container(horizontal=True):
        st.button(
            t("corrections.undo"),
            key=f"undo correction {run}",
            icon=":material/undo:",
            disabled=shut or undo is None,
            on_click=turn,
            args=(run, undo, True),
        )
        st.button(
            t("corrections.redo"),
            key=f"redo correction {run}",
            icon=":material/redo:",
            disabled=shut or redo is None,
            on_click=turn,
            args=(run, redo, False),
        )
    listed = corrections(edits)
    with st.expander(t("corrections.history", count=len(listed)), icon=":material/history:"):
        if not listed:
            st.caption(t("corrections.history_empty"))
        for edit, holds in listed[:LISTED]:
            said, button = st.columns([5, 2], vertical_alignment="center")
            line = plain(edit_line(result, edit))
            said.markdown(line if holds else f"~~{line}~~")
            said.caption(plain(edit_facts(edit, edits)))
            button.button(
                t("corrections.withdraw" if holds else "corrections.restore"),
                key=f"turn {run} {edit.seq} {holds}",
                disabled=shut,
                on_click=turn,
                args=(run, edit, holds),
                width="stretch",
            )
        if len(listed) > LISTED:
            st.caption(t("corrections.history_more", shown=LISTED, count=len(listed)))
    if lost := unusable_areas(edits, result.legend.scheme):
        st.caption(t("corrections.unusable", count=len(lost)))


def corrections_panel(result: RunResult, view: ClusterView, run: str) -> None:
    """The whole panel; draw it only where a person asks for it, because it has a map of its own."""
    st.subheader(t("corrections.title"))
    st.caption(t("corrections.about"))
    why_not()
    mode = st.segmented_control(
        t("corrections.mode"),
        MODES,
        format_func=lambda one: t(f"corrections.mode_{one}"),
        key="corrections_mode",
        default=MODES[0],
        required=True,
        label_visibility="collapsed",
        persist_state="session",
    )
    if mode == "check":
        check_places(result, view, run)
    elif mode == "points":
        collect_points(result, view, run)
    else:
        correct_area(result, view, run)
    done, files = st.columns(2, gap="medium")
    with done:
        history(result, run)
    with files:
        point_files(result, run)
