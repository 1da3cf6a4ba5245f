"""How the story is read: all on one page or step by step, and the file to print."""

from __future__ import annotations

from typing import Any

import streamlit as st

from s2dash.dashboard.language import t
from s2dash.dashboard.story import STEPS


def step_of_address() -> None:
    """Open the step that a link names; comes before the side bar, which shows the link."""
    asked = st.query_params.get("step")
    if asked is not None and asked != st.session_state.get("address step"):
        st.session_state["address step"] = asked
        if asked in map(str, range(1, len(STEPS) + 1)):
            _turn(int(asked))


def presented() -> int | None:
    """The step that is presented, 1-6; None where all are on one page."""
    place = st.session_state.get("story place")
    return None if place is None else min(max(int(place), 1), len(STEPS))


def ways(download: str, *, name: str, step: int | None) -> None:
    """Choose how to read, turn the steps where one is presented, and take the story away.

    Args:
        download: The file to print.
        name: Of that file.
        step: The step that is presented.
    """
    with st.container(horizontal=True, vertical_alignment="center", key="story-ways"):
        if step is None:
            st.button(t("story.mode_one"), icon=":material/slideshow:", type="primary", on_click=_turn, args=(1,))
        else:
            _turning(step)
            icon = ":material/view_agenda:"
            st.button(t("story.mode_all"), icon=icon, shortcut="Esc", on_click=_turn, args=(None,))
        st.space("stretch")
        label, what = t("story.download"), t("story.download_help")
        icon = ":material/print:"
        st.download_button(label, download, name, "text/html", icon=icon, help=what, on_click="ignore")


def _turning(step: int) -> None:
    """Back and next, by click or by the arrow keys."""
    wide: dict[str, Any] = {"on_click": _turn, "width": "content"}
    back, ahead = step == 1, step == len(STEPS)
    st.button(t("story.back"), icon=":material/arrow_back:", shortcut="Left", disabled=back, args=(step - 1,), **wide)
    st.markdown(t("story.step_of", number=step, count=len(STEPS)), width="content")
    st.button(
        t("story.next"),
        icon=":material/arrow_forward:",
        icon_position="right",
        type="primary",
        shortcut="Right",
        disabled=ahead,
        args=(step + 1,),
        **wide,
    )


def _turn(step: int | None) -> None:
    st.session_state["story place"] = step
