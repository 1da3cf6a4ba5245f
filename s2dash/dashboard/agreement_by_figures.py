"""Charts of agreement by parts: areas in map and reference, cluster by cluster, and by how the class was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from s2dash.agreement_by import ClusterRow, VoteAgreement
from s2dash.area_estimate import AreaEstimate
from s2dash.colours import series_colours
from s2dash.dashboard.chart import (
    EDGE,
    FAINT,
    NAMES,
    SHARES,
    axis_labels,
    blank_figure,
    hectares_text,
    legend_above,
    rows_height,
)
from s2dash.dashboard.language import t
from s2dash.schemes import UNDECIDED

if TYPE_CHECKING:
    import plotly.graph_objects as go

_GREY = "#808080"


def areas_figure(
    mapped: Mapping[int, float],
    reference: Mapping[int, float],
    *,
    order: Sequence[int],
    names: Mapping[int, str],
    colours: Mapping[int, str],
    estimate: AreaEstimate | None = None,
) -> go.Figure:
    """Area of every class in the map and in the reference, and what a sample estimates.

    Args:
        mapped: Hectares by class code of the map.
        reference: The same of the reference.
        order: Class codes from top to bottom.
        names: By code.
        colours: `#RRGGBB` by code.
        estimate: From a sample; drawn as points with their 95 % confidence interval.
    """
    codes = [code for code in order if mapped.get(code) or reference.get(code)]
    labels, ha = axis_labels([names.get(code, str(code)) for code in codes]), t("figures.ha")
    figure = blank_figure(height=rows_height(len(codes), each=58) + 60, left=10, bottom=52, top=44)
    for title, areas, faint in ((t("figures.in_map"), mapped, False), (t("figures.in_reference"), reference, True)):
        values = [float(areas.get(code, 0.0)) for code in codes]
        figure.add_bar(
            x=values, y=labels, orientation="h", name=title,
            marker={
                "color": [colours.get(code, _GREY) for code in codes], "line": {"color": EDGE, "width": 1},
                "opacity": 0.45 if faint else 1.0, "pattern": {"shape": "/" if faint else "", "fgcolor": EDGE},
            },
            customdata=[hectares_text(value) for value in values],
            hovertemplate=f"<b>%{{y}}</b><br>{title}: %{{customdata}} {ha}<extra></extra>",
        )  # fmt: skip
    longest = [*mapped.values(), *reference.values()]
    if estimate is not None:
        known = {one.code: one.area for one in estimate.classes}
        drawn = [(label, known[code]) for label, code in zip(labels, codes, strict=True) if code in known]
        longest += [area.value + (area.half or 0.0) for _, area in drawn]
        figure.add_scatter(
            x=[area.value for _, area in drawn], y=[label for label, _ in drawn], mode="markers",
            name=t("figures.estimated"), marker={"color": _GREY, "size": 9, "symbol": "diamond"},
            error_x={"type": "data", "array": [area.half or 0.0 for _, area in drawn], "color": _GREY, "thickness": 2},
            customdata=[
                hectares_text(area.value) + (f" ± {hectares_text(area.half)}" if area.half else "") for _, area in drawn
            ],
            hovertemplate=f"<b>%{{y}}</b><br>{t('figures.estimated')}: %{{customdata}} {ha}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(barmode="group", bargap=0.3, bargroupgap=0.06, showlegend=True, legend=legend_above())
    figure.update_xaxes(
        title=f"{t('figures.area')}, {ha}", range=[0, max([*longest, 0.0]) * 1.08 or 1.0], separatethousands=True,
        zeroline=False,
    )  # fmt: skip
    figure.update_yaxes(**NAMES)
    return figure


def cluster_agreement_figure(
    rows: Sequence[ClusterRow], *, names: Mapping[int, str], colours: Mapping[int, str]
) -> go.Figure:
    """Share of every cluster that agrees, in front of the most that any one name could reach.

    Args:
        rows: Cluster by cluster, from top to bottom.
        names: Of the classes, by code.
        colours: `#RRGGBB` of the classes, by code.
    """

    def named(code: int | None) -> str:
        return names.get(UNDECIDED if code is None else code, "–")

    majority = t("figures.majority_hover", name="%{customdata}", share="%{x:.1%}")
    agrees = t("figures.agrees_hover", share="%{x:.1%}", ha="%{customdata}")
    labels = axis_labels([f"{row.cluster} · {named(row.code)}" for row in rows], width=40)
    figure = blank_figure(height=rows_height(len(rows), each=26) + 60, left=10, bottom=48, top=44)
    figure.add_bar(
        x=[row.purity for row in rows], y=labels, orientation="h", width=0.8, name=t("figures.best_name"),
        marker={"color": FAINT, "line": {"color": EDGE, "width": 1}},
        customdata=[named(row.majority) if row.majority is not None else "–" for row in rows],
        hovertemplate=f"<b>%{{y}}</b><br>{majority}<extra></extra>",
    )  # fmt: skip
    figure.add_bar(
        x=[row.agree for row in rows], y=labels, orientation="h", width=0.5, name=t("figures.agrees"),
        marker={
            "color": [colours.get(UNDECIDED if row.code is None else row.code, _GREY) for row in rows],
            "line": {"color": EDGE, "width": 1},
        },
        customdata=[hectares_text(row.ha) for row in rows],
        hovertemplate=f"<b>%{{y}}</b><br>{agrees}<extra></extra>",
    )  # fmt: skip
    figure.update_layout(barmode="overlay", showlegend=True, legend={**legend_above(), "traceorder": "reversed"})
    figure.update_xaxes(title=t("figures.cluster_axis"), **SHARES)
    figure.update_yaxes(**NAMES)
    return figure


def vote_agreement_figure(rows: Sequence[VoteAgreement], *, titles: Mapping[str, str]) -> go.Figure:
    """How much of the map was named in each way, and how far that part agrees.

    Args:
        rows: From top to bottom.
        titles: What to call each way.
    """
    labels = axis_labels([titles[row.how] for row in rows], width=34)
    figure = blank_figure(height=rows_height(len(rows), each=50) + 60, left=10, bottom=48, top=44)
    about: list[Any] = [[row.clusters, hectares_text(row.ha)] for row in rows]
    for title, values, colour in (
        (t("figures.share_of_map"), [row.share for row in rows], _GREY),
        (t("figures.agrees"), [row.agree for row in rows], series_colours()[0]),
    ):
        figure.add_bar(
            x=values, y=labels, orientation="h", name=title, marker={"color": colour, "line": {"width": 0}},
            text=["" if value is None else f"\u00a0{value:.0%}" for value in values], textposition="outside",
            textangle=0, cliponaxis=False, customdata=about,
            hovertemplate=(
                f"<b>%{{y}}</b><br>{title} %{{x:.1%}}<br>"
                f"{t('figures.vote_hover', clusters='%{customdata[0]}', ha='%{customdata[1]}')}<extra></extra>"
            ),
        )  # fmt: skip
    figure.update_layout(barmode="group", bargap=0.3, bargroupgap=0.06, showlegend=True, legend=legend_above())
    figure.update_xaxes(title=t("figures.vote_axis"), **SHARES)
    figure.update_yaxes(**NAMES)
    return figure
