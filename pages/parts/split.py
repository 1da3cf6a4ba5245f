"""Columns that stand below each other where the window is narrow, as on a tablet held upright."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

NARROW = 1000
"""Width of the window, pixels, up to which they do; Streamlit itself waits for that of a telephone."""
_COLUMNS = '[class*="st-key-split_"] > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"]'
STYLE = f"""<style>@media (max-width: {NARROW}px) {{
    {_COLUMNS} {{ flex-direction: column; }}
    {_COLUMNS} > [data-testid="stColumn"] {{ width: 100%; min-width: 100%; flex: none; }}
}}</style>"""


def split(name: str, widths: Sequence[float], *, align: Literal["top", "bottom"] = "top") -> list[DeltaGenerator]:
    """Columns beside each other, where there is room.

    Args:
        name: Tells them from others on the page.
        widths: Their widths, relative to each other.
        align: Where shorter ones stand.
    """
    return st.container(key=f"split_{name}").columns(widths, gap="medium", vertical_alignment=align)
