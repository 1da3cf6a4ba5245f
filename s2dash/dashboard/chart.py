"""What all charts share: a plotly figure that reads on light and dark pages alike, and numbers and names as text."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from s2dash.colours import rgb_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

PictureKind = Literal["png", "svg"]
"""What a chart can be saved as."""

# No text colour anywhere: the page's theme sets it. Lines are greys that show on white and on black.
LINE = "rgba(128, 128, 128, 0.28)"
EDGE = "rgba(128, 128, 128, 0.75)"
FAINT = "rgba(128, 128, 128, 0.22)"
SHARES: Mapping[str, Any] = {"range": [0, 1.08], "tickvals": [0, 0.2, 0.4, 0.6, 0.8, 1]}
"""An axis for shares, with room for a number beyond the longest bar."""
NAMES: Mapping[str, Any] = {
    "autorange": "reversed", "automargin": True, "type": "category", "showgrid": False, "ticksuffix": "  ",
}  # fmt: skip
"""A vertical axis for names, the first on top."""


def blank_figure(*, height: int, left: int, bottom: int, top: int) -> go.Figure:
    """A chart with nothing in it yet; sizes in pixels."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_layout(
        height=height,
        margin={"l": left, "r": 16, "t": top, "b": bottom},
        paper_bgcolor="rgba(0, 0, 0, 0)",
        plot_bgcolor="rgba(0, 0, 0, 0)",
        showlegend=False,
        modebar={"bgcolor": "rgba(0, 0, 0, 0)"},
    )
    figure.update_xaxes(gridcolor=LINE, linecolor=EDGE, zerolinecolor=EDGE)
    figure.update_yaxes(gridcolor=LINE, linecolor=EDGE, zerolinecolor=EDGE)
    return figure


def legend_above() -> dict[str, Any]:
    """Where the legend of a bar chart stands."""
    return {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "traceorder": "normal"}


def save_options(name: str, kind: PictureKind) -> dict[str, Any]:
    """What the chart's own camera button does: save a picture, twice as sharp as on the screen, in the browser.

    Args:
        name: Of the file, without its ending.
        kind: Of the picture.
    """
    return {"displaylogo": False, "toImageButtonOptions": {"format": kind, "filename": name, "scale": 2}}


def rows_height(count: int, *, each: int) -> int:
    """Height in pixels of a chart with so many rows."""
    return 70 + each * max(count, 1)


def axis_labels(names: Sequence[str], *, width: int = 24) -> list[str]:
    """Names as axis labels: escaped, in short lines, and no two alike, or the bars would fall on each other."""
    labels: list[str] = []
    for name in names:
        lines = textwrap.wrap(name, width=width) or ["–"]
        label = "<br>".join(escape(line, quote=False) for line in lines)
        while label in labels:
            label += "\u200b"
        labels.append(label)
    return labels


def hectares_text(area: float) -> str:
    """Hectares with three figures that mean something."""
    if abs(area) >= 100 or area == 0:
        return count_text(area)
    return f"{area:.{max(2 - math.floor(math.log10(abs(area))), 0)}f}"


def count_text(number: float) -> str:
    """A whole number, its thousands apart."""
    return f"{number:,.0f}".replace(",", " ")


def percent_text(share: float | None) -> str:
    """Percent short enough for a cell; nothing for None."""
    if share is None:
        return ""
    if share == 0:
        return "·"
    return "<1" if share < 0.5 else f"{share:.0f}"


def short_count(number: int) -> str:
    """A count short enough for a cell."""
    for limit, unit in ((10_000_000, "M"), (10_000, "k")):
        if number >= limit:
            return f"{number / (limit / 10):.0f} {unit}"
    return str(number) if number else "·"


def rgba(colour: str, alpha: float) -> str:
    """`#RRGGBB` with transparency."""
    red, green, blue = rgb_of(colour)
    return f"rgba({red}, {green}, {blue}, {alpha:g})"
