"""Charts of how clusters were found: the sweep over K, the k-distance curve, training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from s2dash.clustering.quality import ClusterQuality
from s2dash.clustering.sweep import KSweep
from s2dash.dashboard.figures import _EDGE, _figure
from s2dash.dashboard.language import t

if TYPE_CHECKING:
    import plotly.graph_objects as go

_APART = [[0.0, "#8C2D04"], [0.5, "#D95F0E"], [0.8, "#FEC44F"], [1.0, "#FFF3CF"]]
_MAIN, _MARK = "#3A9BDC", "#F4911B"


def sweep_figure(sweep: KSweep) -> go.Figure:
    """Silhouette over K on the left, the fall of the inertia on the right, and on both the K that is proposed."""
    figure = _figure(height=300, left=56, bottom=52, top=30)
    sides = (
        ("x", "y", sweep.silhouette, t("clusters.mean_silhouette"), ".2f", [0.0, 0.44]),
        ("x2", "y2", sweep.inertia, t("clusters.mean_distance"), ".3~g", [0.56, 1.0]),
    )
    for x, y, values, title, form, place in sides:
        figure.add_scatter(
            x=list(sweep.ks), y=list(values), xaxis=x, yaxis=y, mode="lines+markers",
            line={"color": _MAIN, "width": 2}, marker={"color": _MAIN, "size": 6},
            hovertemplate=f"K = %{{x}}<br>{title.lower()} %{{y:.3f}}<extra></extra>", name=title,
        )  # fmt: skip
        across = {"domain": place, "anchor": y, "title": {"text": "K", "standoff": 6}, "dtick": 4, "tick0": 2}
        up = {"anchor": x, "title": {"text": title, "standoff": 14}, "tickformat": form}
        figure.update_layout({f"xaxis{x[1:]}": across, f"yaxis{y[1:]}": up})
        at = sweep.ks.index(sweep.proposed)
        figure.add_scatter(
            x=[sweep.proposed], y=[values[at]], xaxis=x, yaxis=y, mode="markers", hoverinfo="skip", name="proposed",
            marker={"color": _MARK, "size": 12, "symbol": "diamond"},
        )  # fmt: skip
        _point(figure, sweep.proposed, values[at], t("clusters.proposed_k", k=sweep.proposed), xref=x, yref=y)
    if sweep.elbow != sweep.proposed:
        height = sweep.inertia[sweep.ks.index(sweep.elbow)]
        _point(figure, sweep.elbow, height, t("clusters.elbow_k", k=sweep.elbow), xref="x2", yref="y2", ay=-62)
    _grid(figure)
    return figure


def _point(figure: Any, x: float, y: float, text: str, *, xref: str, yref: str, ay: int = -34) -> None:
    """Words that point at a place of a curve."""
    figure.add_annotation(
        x=x, y=y, xref=xref, yref=yref, text=text, ax=48, ay=ay, arrowcolor=_EDGE, arrowwidth=1, arrowhead=0
    )


def distance_figure(curve: Mapping[str, Any], *, eps: float) -> go.Figure:
    """The k-distance curve of density clustering: how far every pixel is from its k-th neighbour, and the reach taken.

    Args:
        curve: A run's `k_distance`: `neighbours`, and `distance` ascending over `share` (0-1) of the pixels.
        eps: The reach, in the same unit.
    """
    shares, distances = [100.0 * share for share in curve["share"]], list(curve["distance"])
    figure = _figure(height=300, left=56, bottom=52, top=24)
    figure.add_scatter(
        x=shares, y=distances, mode="lines", line={"color": _MAIN, "width": 2},
        hovertemplate=t("clusters.nearer_than", share="%{x:.0f}", distance="%{y:.3f}") + "<extra></extra>",
    )  # fmt: skip
    figure.add_hline(
        y=eps, line={"color": _MARK, "width": 2, "dash": "dash"},
        annotation_text=t("clusters.reach_mark", eps=f"{eps:.3g}"),
        annotation_position="top left",
    )  # fmt: skip
    figure.update_xaxes(title=t("clusters.pixels_percent"), range=[0, 100])
    most = [distance for share, distance in zip(shares, distances, strict=True) if share <= 99]
    figure.update_yaxes(
        title=t("clusters.neighbour_distance", number=curve["neighbours"]), range=[0, 1.15 * max([*most, eps])]
    )
    _grid(figure)
    return figure


def training_figure(curves: Mapping[str, Sequence[float]], *, step: str = "") -> go.Figure:
    """How the losses of a network fell while it was trained.

    Args:
        curves: Losses by name, one figure a step each.
        step: What a step is called; by default that.
    """
    step = step or t("clusters.step")
    figure = _figure(height=300, left=56, bottom=52, top=40)
    colours = (_MAIN, _MARK, "#5AAE61", "#9970AB")
    for place, (name, losses) in enumerate(curves.items()):
        shown = escape(name.replace("_", " "), quote=False)
        figure.add_scatter(
            x=list(range(1, len(losses) + 1)), y=list(losses), mode="lines", name=shown,
            line={"color": colours[place % len(colours)], "width": 2},
            hovertemplate=f"{escape(step, quote=False)} %{{x}}<br>{shown} %{{y:.4g}}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(
        showlegend=len(curves) > 1,
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
    )
    figure.update_xaxes(title=step)
    figure.update_yaxes(title=t("clusters.loss"), rangemode="tozero")
    _grid(figure)
    return figure


def separability_figure(quality: ClusterQuality, colours: Mapping[int, str]) -> go.Figure:
    """Jeffries–Matusita distance of every two clusters, low ones dark.

    Args:
        quality: What was measured.
        colours: `#RRGGBB` by cluster; the numbers on the axes have them.
    """
    numbers = [measures.cluster for measures in quality.clusters]
    labels = [f'<b><span style="color:{colours.get(number, "#808080")}">■</span> {number}</b>' for number in numbers]
    count = len(numbers)
    values = [[None if row == column else quality.separability[row][column] for column in range(count)]
              for row in range(count)]  # fmt: skip
    figure = _figure(height=110 + 24 * max(count, 4), left=10, bottom=10, top=40)
    figure.add_heatmap(
        z=values, x=labels, y=labels, zmin=0, zmax=2, xgap=1, ygap=1, colorscale=_APART, showscale=False,
        text=[["" if value is None else f"{value:.1f}" for value in row] for row in values],
        texttemplate="%{text}" if count <= 20 else None, hoverongaps=False,
        customdata=[[t("clusters.both", one=one, other=other) for other in numbers] for one in numbers],
        hovertemplate=t("clusters.pair", pair="%{customdata}", distance="%{z:.3f}") + "<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(side="top", type="category", tickangle=0, showgrid=False)
    figure.update_yaxes(autorange="reversed", type="category", automargin=True, showgrid=False)
    return figure


def _grid(figure: Any) -> None:
    figure.update_xaxes(showgrid=True, zeroline=False)
    figure.update_yaxes(showgrid=True, zeroline=False)
