"""Charts of clusters and classes: their spectra and areas. Plotly figures that read on light and dark pages alike."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from s2dash.bands import sensor_table
from s2dash.colours import cluster_colour
from s2dash.dashboard.chart import EDGE as _EDGE
from s2dash.dashboard.chart import NAMES, hectares_text, rgba
from s2dash.dashboard.chart import axis_labels as _labels
from s2dash.dashboard.chart import blank_figure as _figure
from s2dash.dashboard.chart import rows_height as _rows
from s2dash.dashboard.language import t

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["_EDGE", "_figure", "_labels", "_rows", "area_figure", "spectrum_figure"]

_NEAR_INFRARED_END = 900  # nm
_GAP_SCALE = 0.35


def spectrum_figure(
    spectra: Mapping[int, Mapping[str, float]],
    *,
    spread: Mapping[int, Mapping[str, float]] | None = None,
    names: Mapping[int, str] | None = None,
    colours: Mapping[int, str] | None = None,
    highlight: int | None = None,
    statistic: str = "",
) -> go.Figure:
    """Spectrum of each cluster: reflectance over wavelength.

    Between the near and the short-wave infrared, where Sentinel-2 has no band of the method, the axis is shortened;
    else ten bands would not fit beside each other. The tick labels say band and nm.

    Args:
        spectra: Reflectance by band, by cluster.
        spread: Width of a band around each line (an interquartile range, say), reflectance by band, by cluster; drawn
            for the highlighted cluster, or for all where none is.
        names: What to call the clusters; defaults to `Cluster 3`, in the session's language.
        colours: `#RRGGBB`; defaults to the colours of the cluster map.
        highlight: Draw this one thick and the others faint.
        statistic: What the numbers are, `Mean` or `Median`; by default the mean.
    """
    table, statistic = sensor_table(), statistic or t("figures.mean")
    shown = [band for band in table.values() if any(band.name in spectrum for spectrum in spectra.values())]
    reflectance = t("figures.reflectance", statistic=statistic)
    figure = _figure(height=440, left=64, bottom=96, top=20)
    order = sorted(spectra, key=lambda cluster: (cluster == highlight, cluster))
    for cluster in order:
        bands = [band for band in shown if band.name in spectra[cluster]]
        values = [float(spectra[cluster][band.name]) for band in bands]
        places = [_place(band.wavelength) for band in bands]
        colour = (colours or {}).get(cluster) or cluster_colour(cluster)
        name = escape((names or {}).get(cluster) or t("figures.cluster", cluster=cluster), quote=False)
        faint = highlight is not None and cluster != highlight
        if spread is not None and cluster in spread and not faint:
            half = [float(spread[cluster].get(band.name, 0.0)) / 2 for band in bands]
            upper = [value + part for value, part in zip(values, half, strict=True)]
            lower = [value - part for value, part in zip(values, half, strict=True)]
            figure.add_scatter(
                x=places + places[::-1], y=upper + lower[::-1], fill="toself", mode="lines", line={"width": 0},
                fillcolor=rgba(colour, 0.18), hoverinfo="skip", showlegend=False, legendgroup=str(cluster),
            )  # fmt: skip
        figure.add_scatter(
            x=places, y=values, mode="lines+markers", name=name, legendgroup=str(cluster), legendrank=cluster,
            line={"color": colour, "width": 3.5 if cluster == highlight else 2}, marker={"color": colour, "size": 6},
            opacity=0.22 if faint else 1.0,
            customdata=[[band.name, band.colour, band.wavelength] for band in bands],
            hovertemplate=(
                f"<b>{name}</b><br>%{{customdata[0]}} %{{customdata[1]}}, %{{customdata[2]}} nm"
                f"<br>{escape(reflectance.lower())} %{{y:.3f}}<extra></extra>"
            ),
        )  # fmt: skip
    figure.update_xaxes(
        tickvals=[_place(band.wavelength) for band in shown],
        # Every other label one step lower, so that neighbours 20 nm apart do not overlap on a narrow page.
        ticktext=[("" if at % 2 == 0 else "<br><br>") + f"{b.name}<br>{b.wavelength}" for at, b in enumerate(shown)],
        tickangle=0,
        title={"text": t("figures.wavelength"), "standoff": 12},
        showgrid=True,
        zeroline=False,
    )
    figure.update_yaxes(title=reflectance, tickformat=".2f", zeroline=False, rangemode="tozero")
    figure.update_layout(showlegend=True, legend={"itemsizing": "constant", "traceorder": "normal"})
    return figure


def _place(wavelength: float) -> float:
    """Where a wavelength stands on the shortened axis."""
    beyond = max(wavelength - _NEAR_INFRARED_END, 0.0)
    return wavelength - beyond * (1.0 - _GAP_SCALE)


def area_figure(
    areas: Mapping[int, float], *, names: Mapping[int, str], colours: Mapping[int, str], title: str = ""
) -> go.Figure:
    """Area of clusters or classes, the largest on top.

    Args:
        areas: Hectares by cluster or code.
        names: What to call each.
        colours: `#RRGGBB` for each.
        title: Of the axis; the unit is added. By default "Area".
    """
    order = sorted(areas, key=lambda code: (-areas[code], code))
    total, ha = sum(areas.values()), t("figures.ha")
    of_the_map = t("figures.of_the_map", share="%{customdata[0]:.2f}")
    shares = [100.0 * areas[code] / total if total else 0.0 for code in order]
    figure = _figure(height=_rows(len(order), each=28), left=10, bottom=52, top=8)
    figure.add_bar(
        x=[areas[code] for code in order],
        y=_labels([names.get(code, str(code)) for code in order]),
        orientation="h",
        marker={"color": [colours.get(code, "#808080") for code in order], "line": {"color": _EDGE, "width": 1}},
        text=[
            f"\u00a0{hectares_text(areas[code])} {ha} · {share:.1f} %"
            for code, share in zip(order, shares, strict=True)
        ],
        textposition="outside",
        textangle=0,
        cliponaxis=False,
        customdata=[[share, hectares_text(areas[code])] for code, share in zip(order, shares, strict=True)],
        hovertemplate=f"<b>%{{y}}</b><br>%{{customdata[1]}} {ha}<br>{of_the_map}<extra></extra>",
        showlegend=False,
    )
    figure.update_xaxes(
        title=f"{title or t('figures.area')}, {ha}",
        range=[0, max([*areas.values(), 0.0]) * 1.45 or 1.0],
        showgrid=True,
        zeroline=False,
        separatethousands=True,
    )
    figure.update_yaxes(**NAMES)
    return figure
