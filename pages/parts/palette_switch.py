"""The switch between the palettes of maps and charts."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from s2dash.colours import PALETTES, known_palette, palette, use_palette
from s2dash.dashboard.language import t

KEY = "palette"
"""Where the session keeps the name of the palette, and what the address calls it."""


def chosen() -> str:
    """The palette chosen by the switch or in the address; the usual one for work in the background."""
    if get_script_run_ctx(suppress_warning=True) is None:
        return "standard"
    return known_palette(st.session_state.get(KEY) or st.query_params.get(KEY))


use_palette(chosen)


def palette_switch() -> None:
    """Choose the palette; the address remembers it, for a reload and for links."""
    st.session_state.setdefault(KEY, palette())
    st.selectbox(
        t("palette.title"),
        PALETTES,
        format_func=lambda name: t(f"palette.{name}"),
        key=KEY,
        help=t("palette.help"),
        persist_state="session",
        on_change=_chosen,
    )


def palette_of_address() -> None:
    """Take the palette that the address names; comes before the first colour of a rerun."""
    asked = st.query_params.get(KEY)
    if asked in PALETTES and asked != st.session_state.get("address palette"):  # a link, or the browser's way back
        st.session_state["address palette"] = st.session_state[KEY] = asked


def _chosen() -> None:
    st.session_state["address palette"] = st.query_params[KEY] = st.session_state[KEY]
