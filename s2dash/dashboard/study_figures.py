"""Charts of compared strategies: how good each is, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from s2dash.confusion import Scores
from s2dash.dashboard.figures import _EDGE, _figure, _labels, _rows
from s2dash.study import StrategyResult, Study

if TYPE_CHECKING:
    import plotly.graph_objects as go

_CEILING, _REACHED, _OTHER, _TIME = "rgba(128, 128, 128, 0.22)", "#3A9BDC", "#5BA886", "#D98A3D"
_ROW = 38
_HEAD = 62

MEANING = (
    "Ceiling: what the clusters would reach if each had the name that fits the reference best; what is missing to 1 is "
    "lost by clustering. Reached: with the names the annotators gave; what is missing to the ceiling is lost by naming."
)
"""What the two figures of agreement say, for the person."""
NO_REFERENCE = "There is no reference map, so only silhouette, time and memory are compared: neither is an agreement."
"""What is said where there is no reference, for the person."""

COLUMNS = {
    "Seconds": ("%.2f", "From the opened scene to the cluster map; starting the process and its imports not counted."),
    "Peak MiB": ("%.0f", "Most memory the strategy's own process held, the program's libraries among it."),
    "Silhouette": ("%.3f", "How well the clusters are apart, -1 to 1: the same pixels and features for all."),
    "Ceiling": ("%.3f", "Overall agreement if each cluster had the name that fits the reference best."),
    "Reached": ("%.3f", "Overall agreement with the names the annotators gave."),
    "Kappa": ("%.3f", "Cohen's kappa of the agreement reached."),
    "Macro-F1": ("%.3f", "Mean F1 of the classes, reached."),
    "mIoU": ("%.3f", "Mean intersection over union of the classes, reached."),
    "Noise %": ("%.1f", "Share of the pixels that the method calls noise."),
}
"""Columns of numbers in the table: how they are written, and what they say, for the person."""


def study_figure(study: Study) -> go.Figure:
    """Every strategy that could be done: agreement reached within its ceiling, and seconds beside it.

    Without a reference the silhouette takes the place of the agreement. The best is in bold.

    Args:
        study: The strategies.
    """
    done = [(place, result) for place, result in enumerate(study.results) if result.done]
    places, results = [place for place, _ in done], [result for _, result in done]
    labels = _labels([unbroken(result.title) for result in results], width=22)
    figure = _figure(height=_rows(len(results), each=_ROW) + 50, left=10, bottom=40, top=_HEAD)
    what = "Agreement with the reference" if study.compared else "Silhouette"
    figure.set_subplots(
        rows=1,
        cols=2,
        shared_yaxes=True,
        column_widths=[0.64, 0.36],
        horizontal_spacing=0.05,
        subplot_titles=(what, "Seconds"),
    )
    if study.compared:
        _agreement_bars(figure, labels, results, best=[place in study.best("reached") for place in places])
    else:
        best = [place in study.best("silhouette") for place in places]
        _silhouette_bars(figure, labels, results, best=best)
    _time_bars(figure, labels, results)
    figure.update_layout(
        barmode="overlay",
        showlegend=study.compared,
        legend={
            "orientation": "h",
            "traceorder": "reversed",
            "x": 0,
            "y": 1,
            "yref": "container",
            "yanchor": "top",
        },
    )
    figure.update_annotations(font={"size": 14}, selector={"yanchor": "bottom"})
    line = {"linecolor": _EDGE, "zerolinecolor": _EDGE, "showgrid": False}  # every bar says its figure
    figure.update_xaxes(**line)
    figure.update_yaxes(**line, autorange="reversed", type="category", automargin=True)
    figure.update_yaxes(ticksuffix="  ", col=1)
    return figure


def _agreement_bars(
    figure: go.Figure, labels: Sequence[str], results: Sequence[StrategyResult], *, best: Sequence[bool]
) -> None:
    ceilings = [_overall(result.ceiling) for result in results]
    reached = [_overall(result.reached) for result in results]
    figure.add_bar(
        x=ceilings, y=labels, orientation="h", width=0.76, name="Ceiling", row=1, col=1,
        marker={"color": _CEILING, "line": {"color": _EDGE, "width": 1}},
        hovertemplate="<b>%{y}</b><br>ceiling %{x:.3f}<extra></extra>",
    )  # fmt: skip
    figure.add_bar(
        x=reached, y=labels, orientation="h", width=0.44, name="Reached", row=1, col=1,
        marker={"color": _REACHED, "line": {"width": 0}},
        hovertemplate="<b>%{y}</b><br>reached %{x:.3f}<extra></extra>",
    )  # fmt: skip
    for label, value, limit, first in zip(labels, reached, ceilings, best, strict=True):
        text = "–" if value is None else f"{value:.2f}"
        _say(
            figure,
            max(value or 0.0, limit or 0.0),
            label,
            (f"<b>{text}</b>" if first else text) + ("" if limit is None else f" of {limit:.2f}"),
            col=1,
        )
    figure.update_xaxes(range=[0, 1.3], tickvals=[0, 0.2, 0.4, 0.6, 0.8, 1], col=1)


def _silhouette_bars(
    figure: go.Figure, labels: Sequence[str], results: Sequence[StrategyResult], *, best: Sequence[bool]
) -> None:
    values = [result.silhouette for result in results]
    figure.add_bar(
        x=values, y=labels, orientation="h", width=0.6, name="Silhouette", row=1, col=1,
        marker={"color": _OTHER, "line": {"width": 0}},
        hovertemplate="<b>%{y}</b><br>silhouette %{x:.3f}<extra></extra>",
    )  # fmt: skip
    for label, value, first in zip(labels, values, best, strict=True):
        text = "–" if value is None else f"{value:.2f}"
        _say(figure, max(value or 0.0, 0.0), label, f"<b>{text}</b>" if first else text, col=1)
    known = [value for value in values if value is not None]
    figure.update_xaxes(range=[min([*known, 0.0]) * 1.1, max([*known, 0.0]) * 1.25 or 1.0], col=1)


def _time_bars(figure: go.Figure, labels: Sequence[str], results: Sequence[StrategyResult]) -> None:
    seconds = [result.seconds or 0.0 for result in results]
    memory = [f"{result.peak_mib or 0:,.0f}".replace(",", " ") for result in results]
    figure.add_bar(
        x=seconds, y=labels, orientation="h", width=0.6, name="Seconds", showlegend=False, row=1, col=2,
        marker={"color": _TIME, "line": {"width": 0}}, customdata=memory,
        hovertemplate="<b>%{y}</b><br>%{x:.2f} s<br>at most %{customdata} MiB<extra></extra>",
    )  # fmt: skip
    for label, value in zip(labels, seconds, strict=True):
        _say(figure, value, label, f"{seconds_text(value)} s", col=2)
    figure.update_xaxes(range=[0, max([*seconds, 0.0]) * 1.6 or 1.0], nticks=4, col=2)


def _say(figure: go.Figure, x: float, label: str, text: str, *, col: int) -> None:
    """A figure to the right of a bar."""
    figure.add_annotation(x=x, y=label, text=text, xanchor="left", xshift=5, showarrow=False, row=1, col=col)


def unbroken(title: str) -> str:
    """A strategy's title in which `K = 12` stays on one line."""
    return title.replace(" = ", "\u00a0=\u00a0")


def seconds_text(seconds: float) -> str:
    """Seconds with two figures that mean something."""
    return f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.1f}" if seconds >= 1 else f"{seconds:.2f}"


def study_rows(study: Study) -> list[dict[str, Any]]:
    """The table for people: one row a strategy, with the best of each figure named; None where there is no figure."""
    rows = []
    for place, result in enumerate(study.results):
        shown = ("ceiling", "reached", "silhouette") if study.compared else ("silhouette",)
        row: dict[str, Any] = {
            "Strategy": result.title,
            "Best": ", ".join(name for name in shown if place in study.best(name)),
        }
        if study.compared:
            row |= {
                name: _overall(scores) for name, scores in (("Ceiling", result.ceiling), ("Reached", result.reached))
            }
        row |= {
            "Silhouette": result.silhouette,
            "Clusters": result.clusters,
            "Seconds": result.seconds,
            "Peak MiB": result.peak_mib,
        }
        if study.compared:
            scores = result.reached
            row |= {
                "Kappa": scores.kappa if scores else None,
                "Macro-F1": scores.macro_f1 if scores else None,
                "mIoU": scores.miou if scores else None,
            }
        if any(other.noise_share is not None for other in study.results):
            row["Noise %"] = None if result.noise_share is None else 100.0 * result.noise_share
        row["Remarks"] = result.error or " ".join(result.notes)
        rows.append(row)
    return rows


def _overall(scores: Scores | None) -> float | None:
    return scores.overall if scores else None


def study_page(study: Study) -> str:
    """Chart and table as one HTML file that needs nothing else, not even the internet (about 5 MB)."""
    title = f"Clustering strategies on {study.scene['title']}"
    said = [
        f"{study.scene['width']} × {study.scene['height']} pixels, compared {study.started[:16].replace('T', ' ')} UTC."
    ]
    if study.simulated:
        said.insert(0, "The scene is simulated: it shows no real place.")
    if study.reference is not None:
        said += [f"Agreement with {study.reference['title']}.", MEANING]
        said += [] if study.simulated else [str(study.reference["caution"])]
    else:
        said.append(NO_REFERENCE)
    if study.judged_pixels:
        features = ", ".join(study.judged_on)
        said.append(f"Silhouettes: the same {study.judged_pixels} pixels for all strategies, in {features}.")
    rows = study_rows(study)
    figure = study_figure(study)
    figure.update_layout(template="plotly_white")
    chart = figure.to_html(full_html=False, include_plotlyjs=True, config={"displaylogo": False, "responsive": True})
    head = "".join(f"<th>{escape(name)}</th>" for name in rows[0])
    body = "".join(f"<tr>{''.join(_cell(name, value) for name, value in row.items())}</tr>" for row in rows)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{_STYLE}</style>'
        f"</head><body><h1>{escape(title)}</h1>{''.join(f'<p>{escape(line)}</p>' for line in said)}"
        f"{chart}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></body></html>\n"
    )


_STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:1100px;padding:0 1rem;color:#202124;"
    "background:#fff}h1{font-size:1.4rem}p{margin:.3rem 0}table{border-collapse:collapse;font-size:14px;width:100%}"
    "th,td{padding:.3rem .6rem;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}"
)


def _cell(name: str, value: object) -> str:
    if value is None:
        return '<td class="n">–</td>'
    if isinstance(value, float):
        digits = {"Seconds": 2, "Peak MiB": 0, "Noise %": 1}.get(name, 3)
        return f'<td class="n">{value:.{digits}f}</td>'
    return f'<td class="n">{value}</td>' if isinstance(value, int) else f"<td>{escape(unbroken(str(value)))}</td>"
