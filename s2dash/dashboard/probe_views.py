"""One pixel in words, and its spectrum beside that of its cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2dash.annotation.legend import LegendEntry
from s2dash.bands import sensor_table
from s2dash.colours import cluster_colour, series_colours
from s2dash.dashboard.chart import blank_figure
from s2dash.dashboard.labels import class_name, who
from s2dash.dashboard.language import t
from s2dash.masking import SCL_NAMES
from s2dash.pipeline import RunResult
from s2dash.probe import PixelProbe
from s2dash.schemes import UNDECIDED

if TYPE_CHECKING:
    import plotly.graph_objects as go


def probe_place(found: PixelProbe) -> str:
    """Where it is, on the globe and on the grid."""
    return t(
        "probe.place",
        latitude=f"{abs(found.latitude):.5f}",
        north=t("probe.north" if found.latitude >= 0 else "probe.south"),
        longitude=f"{abs(found.longitude):.5f}",
        east=t("probe.east" if found.longitude >= 0 else "probe.west"),
        row=found.row,
        column=found.column,
    )


def probe_facts(found: PixelProbe, result: RunResult | None) -> list[tuple[str, str]]:
    """What is known of it, as pairs of what and its value, both plain text.

    Args:
        found: The pixel.
        result: The run it was probed in; without one there is only what the scene says.
    """
    facts = [(t("probe.scl"), _scl(found))]
    if result is None:
        return facts
    facts.append((t("probe.cluster"), str(found.cluster) if found.cluster else t("probe.no_cluster")))
    if found.cluster and found.entry is not None:
        code = None if found.code in (None, UNDECIDED) else found.code
        decided = t("probe.corrected") if found.corrected else _decided(found.entry)
        facts.append((t("probe.label"), f"{class_name(result, code)} ({decided})"))
        facts.append((t("probe.votes"), _votes(result, found.entry)))
    if result.reference is not None:
        named = t("probe.no_reference") if found.reference is None else class_name(result, found.reference)
        facts.append((f"{t('probe.reference')} ({result.reference.title})", named))
    return facts


def pixel_figure(found: PixelProbe) -> go.Figure:
    """Its spectrum as a line, and the median of its cluster as a dashed one."""
    bands = [band for band in sensor_table().values() if band.name in found.spectrum]
    labels = [band.name for band in bands]
    hover = [t("probe.band_hover", band=band.name, wavelength=band.wavelength) for band in bands]
    figure = blank_figure(height=260, left=56, bottom=36, top=34)
    tail = "%{customdata}: %{y:.3f}<extra>%{fullData.name}</extra>"
    if found.typical:
        figure.add_scatter(
            x=labels, y=[found.typical.get(name) for name in labels], customdata=hover, hovertemplate=tail,
            mode="lines", name=t("probe.chart_typical", cluster=found.cluster),
            line={"color": cluster_colour(found.cluster), "width": 2, "dash": "dash"},
        )  # fmt: skip
    figure.add_scatter(
        x=labels, y=[found.spectrum[name] for name in labels], customdata=hover, hovertemplate=tail,
        mode="lines+markers", name=t("probe.chart_pixel"), line={"color": series_colours()[0], "width": 2},
    )  # fmt: skip
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0})
    figure.update_xaxes(type="category", showgrid=False)
    figure.update_yaxes(title=t("probe.reflectance"), rangemode="tozero", tickformat=".2f")
    return figure


def _scl(found: PixelProbe) -> str:
    if found.scl is None:
        return t("probe.scl_none")
    name = t(f"probe.scl_{found.scl}") if found.scl in SCL_NAMES else str(found.scl)
    return t("probe.scl_masked", name=name) if found.masked else name


def _decided(entry: LegendEntry) -> str:
    if entry.override is not None:
        return t("probe.by_person", who=entry.override.who)
    return t(f"probe.by_{entry.decided_by}")


def _votes(result: RunResult, entry: LegendEntry) -> str:
    if not entry.voters:
        return t("probe.no_votes")
    return ", ".join(
        f"{who(answer)}: {class_name(result, answer.code)} {answer.confidence:.0%}" for answer in entry.voters
    )
