"""What Streamlit's themes do not let one say: how the pages look besides."""

from __future__ import annotations

from pages.parts.split import STYLE as COLUMNS

INK = {"light": "#FFFFFF", "dark": "#04120C"}
"""Words on the main buttons, by theme. Streamlit writes white in both, hard to read on the green of the dark one."""
STYLE = f"""{COLUMNS}<style>
    button[data-testid^="stBaseButton-primary"]:not(:disabled) {{ color: light-dark({INK["light"]}, {INK["dark"]}); }}
</style>"""
