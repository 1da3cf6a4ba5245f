"""Charts of what was computed: spectra, areas, agreement. Plotly figures that read on light and dark pages alike."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from s2dash.bands import sensor_table
from s2dash.colours import cluster_colour, rgb_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

# No text colour anywhere: the page's theme sets it. Lines are greys that show on white and on black.
_LINE = "rgba(128, 128, 128, 0.28)"
_EDGE = "rgba(128, 128, 128, 0.75)"
_SCORES = (("overall", "Overall agreement"), ("kappa", "Kappa"), ("macro_f1", "Macro-F1"), ("miou", "mIoU"))
_CLASS_SCORES = (
    ("producers", "Producer's", "#3A7FC4", "share of the reference's pixels that the map finds"),
    ("users", "User's", "#8FC1EA", "share of the map's pixels that the reference confirms"),
    ("f1", "F1", "#F4911B", "harmonic mean of the two"),
    ("iou", "IoU", "#C2620A", "intersection over union"),
)
_COUNTS = [[0.0, "#EEF3F8"], [0.25, "#B9D3EC"], [0.5, "#72A8D8"], [0.75, "#3277B5"], [1.0, "#0F4477"]]

_NEAR_INFRARED_END = 900  # nm
_GAP_SCALE = 0.35


def spectrum_figure(
    spectra: Mapping[int, Mapping[str, float]],
    *,
    spread: Mapping[int, Mapping[str, float]] | None = None,
    names: Mapping[int, str] | None = None,
    colours: Mapping[int, str] | None = None,
    highlight: int | None = None,
    statistic: str = "Mean",
) -> go.Figure:
    """Spectrum of each cluster: reflectance over wavelength.

    Between the near and the short-wave infrared, where Sentinel-2 has no band of the method, the axis is shortened;
    else ten bands would not fit beside each other. The tick labels say band and nm.

    Args:
        spectra: Reflectance by band, by cluster.
        spread: Width of a band around each line (an interquartile range, say), reflectance by band, by cluster; drawn
            for the highlighted cluster, or for all where none is.
        names: What to call the clusters; defaults to `Cluster 3`.
        colours: `#RRGGBB`; defaults to the colours of the cluster map.
        highlight: Draw this one thick and the others faint.
        statistic: What the numbers are, `Mean` or `Median`.
    """
    table = sensor_table()
    shown = [band for band in table.values() if any(band.name in spectrum for spectrum in spectra.values())]
    figure = _figure(height=440, left=64, bottom=96, top=20)
    order = sorted(spectra, key=lambda cluster: (cluster == highlight, cluster))
    for cluster in order:
        bands = [band for band in shown if band.name in spectra[cluster]]
        values = [float(spectra[cluster][band.name]) for band in bands]
        places = [_place(band.wavelength) for band in bands]
        colour = (colours or {}).get(cluster) or cluster_colour(cluster)
        name = escape((names or {}).get(cluster) or f"Cluster {cluster}", quote=False)
        faint = highlight is not None and cluster != highlight
        if spread is not None and cluster in spread and not faint:
            half = [float(spread[cluster].get(band.name, 0.0)) / 2 for band in bands]
            upper = [value + part for value, part in zip(values, half, strict=True)]
            lower = [value - part for value, part in zip(values, half, strict=True)]
            figure.add_scatter(
                x=places + places[::-1], y=upper + lower[::-1], fill="toself", mode="lines", line={"width": 0},
                fillcolor=_rgba(colour, 0.18), hoverinfo="skip", showlegend=False, legendgroup=str(cluster),
            )  # fmt: skip
        figure.add_scatter(
            x=places, y=values, mode="lines+markers", name=name, legendgroup=str(cluster), legendrank=cluster,
            line={"color": colour, "width": 3.5 if cluster == highlight else 2}, marker={"color": colour, "size": 6},
            opacity=0.22 if faint else 1.0,
            customdata=[[band.name, band.colour, band.wavelength] for band in bands],
            hovertemplate=(
                f"<b>{name}</b><br>%{{customdata[0]}} %{{customdata[1]}}, %{{customdata[2]}} nm"
                f"<br>{escape(statistic.lower())} reflectance %{{y:.3f}}<extra></extra>"
            ),
        )  # fmt: skip
    figure.update_xaxes(
        tickvals=[_place(band.wavelength) for band in shown],
        # Every other label one step lower, so that neighbours 20 nm apart do not overlap on a narrow page.
        ticktext=[("" if at % 2 == 0 else "<br><br>") + f"{b.name}<br>{b.wavelength}" for at, b in enumerate(shown)],
        tickangle=0,
        title={"text": "Wavelength, nm (shortened beyond 900)", "standoff": 12},
        showgrid=True,
        zeroline=False,
    )
    figure.update_yaxes(title=f"{statistic} reflectance", tickformat=".2f", zeroline=False, rangemode="tozero")
    figure.update_layout(showlegend=True, legend={"itemsizing": "constant", "traceorder": "normal"})
    return figure


def _place(wavelength: float) -> float:
    """Where a wavelength stands on the shortened axis."""
    beyond = max(wavelength - _NEAR_INFRARED_END, 0.0)
    return wavelength - beyond * (1.0 - _GAP_SCALE)


def area_figure(
    areas: Mapping[int, float], *, names: Mapping[int, str], colours: Mapping[int, str], title: str = "Area"
) -> go.Figure:
    """Area of clusters or classes, the largest on top.

    Args:
        areas: Hectares by cluster or code.
        names: What to call each.
        colours: `#RRGGBB` for each.
        title: Of the axis; the unit is added.
    """
    order = sorted(areas, key=lambda code: (-areas[code], code))
    total = sum(areas.values())
    shares = [100.0 * areas[code] / total if total else 0.0 for code in order]
    figure = _figure(height=_rows(len(order), each=28), left=10, bottom=52, top=8)
    figure.add_bar(
        x=[areas[code] for code in order],
        y=_labels([names.get(code, str(code)) for code in order]),
        orientation="h",
        marker={"color": [colours.get(code, "#808080") for code in order], "line": {"color": _EDGE, "width": 1}},
        text=[f"\u00a0{_hectares(areas[code])} ha · {share:.1f} %" for code, share in zip(order, shares, strict=True)],
        textposition="outside",
        textangle=0,
        cliponaxis=False,
        customdata=[[share, _hectares(areas[code])] for code, share in zip(order, shares, strict=True)],
        hovertemplate="<b>%{y}</b><br>%{customdata[1]} ha<br>%{customdata[0]:.2f} % of the map<extra></extra>",
        showlegend=False,
    )
    figure.update_xaxes(
        title=f"{title}, ha",
        range=[0, max([*areas.values(), 0.0]) * 1.45 or 1.0],
        showgrid=True,
        zeroline=False,
        separatethousands=True,
    )
    figure.update_yaxes(autorange="reversed", automargin=True, type="category", showgrid=False, ticksuffix="  ")
    return figure


def confusion_figure(agreement: Mapping[str, Any], *, counts: bool = False) -> go.Figure:
    """Confusion matrix: which class of the reference became which class of the map.

    Args:
        agreement: What `Agreement.to_json()` gives.
        counts: Show pixels instead of the share of each reference class, percent.
    """
    confusion = agreement["confusion"]
    named = {int(row["code"]): str(row["name"]) for row in agreement["classes"]}
    rows = [named.get(int(code), str(code)) for code in confusion["codes"]]
    columns, matrix = list(rows), [list(row) for row in confusion["matrix"]]
    undecided = confusion.get("undecided") or []
    if any(undecided):
        columns.append("Not named yet")
        matrix = [[*row, left] for row, left in zip(matrix, undecided, strict=True)]
    totals = [sum(row) for row in matrix]
    shares = [[100.0 * n / whole if whole else None for n in row] for row, whole in zip(matrix, totals, strict=True)]
    upright = len(columns) <= 7
    figure = _figure(height=_rows(len(rows), each=44) + 110, left=10, bottom=12, top=120)
    figure.add_heatmap(
        z=shares,
        x=_labels(columns, width=13 if upright else 30),
        y=_labels(rows),
        text=[
            [f"{_pixels(n)}" if counts else _percent(share) for n, share in zip(row, part, strict=True)]
            for row, part in zip(matrix, shares, strict=True)
        ],
        texttemplate="%{text}",
        customdata=[
            [
                [f"{n:,}".replace(",", " "), "–" if share is None else f"{share:.1f}"]
                for n, share in zip(*pair, strict=True)
            ]
            for pair in zip(matrix, shares, strict=True)
        ],
        hovertemplate=(
            "Reference: <b>%{y}</b><br>Map: <b>%{x}</b><br>%{customdata[0]} pixels"
            "<br>%{customdata[1]} % of this reference class<extra></extra>"
        ),
        hoverongaps=False,
        colorscale=_COUNTS,
        zmin=0,
        zmax=100,
        xgap=2,
        ygap=2,
        showscale=False,
    )
    for at in range(len(rows)):
        figure.add_shape(
            type="rect", x0=at - 0.5, x1=at + 0.5, y0=at - 0.5, y1=at + 0.5, line={"color": "#F4911B", "width": 2}
        )
    unit = "pixels" if counts else "% of each reference class"
    figure.update_layout(
        title={"text": f"Agreement with the reference: confusion matrix, {unit}", "x": 0, "xanchor": "left",
               "font": {"size": 14}, "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 8}}
    )  # fmt: skip
    figure.update_xaxes(title={"text": "Map", "standoff": 6}, side="top", type="category", tickangle=0, showgrid=False)
    if not upright:
        figure.update_xaxes(tickangle=-50)
        figure.update_layout(margin_t=182, height=figure.layout.height + 62)
    figure.update_yaxes(title="Reference", autorange="reversed", type="category", automargin=True, showgrid=False)
    return figure


def class_figure(agreement: Mapping[str, Any]) -> go.Figure:
    """Producer's and user's accuracy (the field's terms), F1 and IoU of every class: agreement with the reference.

    Args:
        agreement: What `Agreement.to_json()` gives; a score that is None has no bar.
    """
    classes = list(agreement["classes"])
    figure = _figure(height=_rows(len(classes), each=78) + 46, left=10, bottom=48, top=56)
    for key, title, colour, meaning in _CLASS_SCORES:
        values = [row[key] for row in classes]
        figure.add_bar(
            x=values,
            y=_labels([row["name"] for row in classes]),
            orientation="h",
            name=title,
            marker={"color": colour, "line": {"width": 0}},
            text=["" if value is None else f"\u00a0{value:.2f}" for value in values],
            textposition="outside",
            textangle=0,
            cliponaxis=False,
            customdata=[
                [f"{row['support']:,}".replace(",", " "), f"{row['mapped']:,}".replace(",", " ")] for row in classes
            ],
            hovertemplate=(
                f"<b>%{{y}}</b><br>{title} %{{x:.3f}}<br><i>{escape(meaning, quote=False)}</i>"
                "<br>%{customdata[0]} pixels in the reference, %{customdata[1]} in the map<extra></extra>"
            ),
        )
    figure.update_layout(
        barmode="group", bargap=0.28, bargroupgap=0.04, showlegend=True,
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
    )  # fmt: skip
    figure.update_xaxes(title="Agreement with the reference, 0–1", range=[0, 1.08], tickvals=[0, 0.2, 0.4, 0.6, 0.8, 1])
    figure.update_yaxes(autorange="reversed", automargin=True, type="category", showgrid=False, ticksuffix="  ")
    return figure


def ceiling_figure(agreement: Mapping[str, Any]) -> go.Figure:
    """The four scores reached, against what the same clusters would reach with the best name each.

    Args:
        agreement: What `Agreement.to_json()` gives; without a ceiling, only the scores reached are drawn.
    """
    best = agreement.get("ceiling") or {}
    labels = [title for _, title in _SCORES]
    reached = [agreement[key] for key, _ in _SCORES]
    limits = [best.get(key) for key, _ in _SCORES]
    figure = _figure(height=270, left=10, bottom=48, top=44)
    if any(limit is not None for limit in limits):
        figure.add_bar(
            x=limits, y=labels, orientation="h", width=0.72, name="With the best name for every cluster",
            marker={"color": "rgba(128, 128, 128, 0.22)", "line": {"color": _EDGE, "width": 1}},
            hovertemplate="<b>%{y}</b><br>ceiling of these clusters %{x:.3f}<extra></extra>",
        )  # fmt: skip
    figure.add_bar(
        x=reached, y=labels, orientation="h", width=0.42, name="Reached",
        marker={"color": "#3A9BDC", "line": {"width": 0}},
        customdata=[_costs(value, limit) for value, limit in zip(reached, limits, strict=True)],
        hovertemplate="<b>%{y}</b><br>reached %{x:.3f}%{customdata}<extra></extra>",
    )  # fmt: skip
    for label, value, limit in zip(labels, reached, limits, strict=True):
        of = "" if limit is None else f" of {limit:.2f}"
        figure.add_annotation(
            x=max(value or 0.0, limit or 0.0, 0.0), y=label, xanchor="left", xshift=8, showarrow=False,
            text="not defined" if value is None else f"<b>{value:.2f}</b>{of}",
        )  # fmt: skip
    figure.update_layout(
        barmode="overlay", showlegend=True,
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "traceorder": "reversed"},
    )  # fmt: skip
    lowest = min([value for value in [*reached, *limits] if value is not None] + [0.0])
    figure.update_xaxes(
        title="Agreement with the reference", range=[lowest * 1.1, 1.22], tickvals=[0, 0.2, 0.4, 0.6, 0.8, 1]
    )
    figure.update_yaxes(autorange="reversed", automargin=True, type="category", showgrid=False, ticksuffix="  ")
    return figure


def _costs(value: float | None, limit: float | None) -> str:
    """What naming and what clustering cost, where both are losses."""
    if value is None or limit is None or not value <= limit <= 1.0:
        return ""
    return f"<br>lost by naming {limit - value:.3f}<br>lost by clustering {1.0 - limit:.3f}"


def _figure(*, height: int, left: int, bottom: int, top: int) -> go.Figure:
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
    figure.update_xaxes(gridcolor=_LINE, linecolor=_EDGE, zerolinecolor=_EDGE)
    figure.update_yaxes(gridcolor=_LINE, linecolor=_EDGE, zerolinecolor=_EDGE)
    return figure


def _rows(count: int, *, each: int) -> int:
    """Height in pixels of a chart with so many rows."""
    return 70 + each * max(count, 1)


def _labels(names: Sequence[str], *, width: int = 24) -> list[str]:
    """Names as axis labels: escaped, in short lines, and no two alike, or the bars would fall on each other."""
    labels: list[str] = []
    for name in names:
        lines = textwrap.wrap(name, width=width) or ["–"]
        label = "<br>".join(escape(line, quote=False) for line in lines)
        while label in labels:
            label += "\u200b"
        labels.append(label)
    return labels


def _hectares(area: float) -> str:
    """Hectares with three figures that mean something."""
    if area >= 100 or area == 0:
        return f"{area:,.0f}".replace(",", " ")
    return f"{area:.{max(2 - math.floor(math.log10(area)), 0)}f}"


def _percent(share: float | None) -> str:
    if share is None:
        return ""
    if share == 0:
        return "·"
    return "<1" if share < 0.5 else f"{share:.0f}"


def _pixels(number: int) -> str:
    """A count short enough for a cell."""
    for limit, unit in ((10_000_000, "M"), (10_000, "k")):
        if number >= limit:
            return f"{number / (limit / 10):.0f} {unit}"
    return str(number) if number else "·"


def _rgba(colour: str, alpha: float) -> str:
    red, green, blue = rgb_of(colour)
    return f"rgba({red}, {green}, {blue}, {alpha:g})"
