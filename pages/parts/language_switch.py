"""The switch between the languages of the interface."""

from __future__ import annotations

import streamlit as st

from s2dash.dashboard.language import LANGUAGES, t
from s2dash.dashboard.state import spoken

KEY = "language"
"""Where the session keeps the code of the language; `state.spoken` reads it."""


def language_switch() -> None:
    """Choose the language; the address remembers it, for a reload and for links."""
    st.session_state.setdefault(KEY, spoken())
    st.segmented_control(
        t("frame.language"),
        list(LANGUAGES),
        format_func=LANGUAGES.__getitem__,
        key=KEY,
        required=True,
        label_visibility="collapsed",
        width="stretch",
        persist_state="session",
        on_change=_chosen,
    )


def _chosen() -> None:
    st.session_state["address language"] = st.query_params["lang"] = st.session_state[KEY]


def language_of_address() -> None:
    """Speak the language that the address names; comes before the first text of a rerun."""
    asked = st.query_params.get("lang")
    if asked in LANGUAGES and asked != st.session_state.get("address language"):  # a link, or the browser's way back
        st.session_state["address language"] = st.session_state[KEY] = asked
