"""Charts of compared strategies: how good each is, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from s2dash.confusion import Scores
from s2dash.dashboard.chart import EDGE, FAINT, axis_labels, blank_figure, rows_height
from s2dash.dashboard.language import language, t
from s2dash.study import StrategyResult, Study

if TYPE_CHECKING:
    import plotly.graph_objects as go

_REACHED, _OTHER, _TIME = "#3A9BDC", "#5BA886", "#D98A3D"
_ROW = 38
_HEAD = 62
_FORMATS = {
    "seconds": "%.2f",
    "peak": "%.0f",
    "silhouette": "%.3f",
    "ceiling": "%.3f",
    "reached": "%.3f",
    "kappa": "%.3f",
    "macro_f1": "%.3f",
    "miou": "%.3f",
    "noise": "%.1f",
}
"""How the numbers of the table are written, by column."""


def title(column: str) -> str:
    """What a column of `study_rows` is called."""
    return t(f"compare.column_{column}")


def number_columns() -> dict[str, tuple[str, str]]:
    """Format and meaning of every column of numbers, by title."""
    return {title(column): (form, t(f"compare.help_{column}")) for column, form in _FORMATS.items()}


def study_figure(study: Study) -> go.Figure:
    """Every strategy that could be done: agreement reached within its ceiling, and seconds beside it.

    Without a reference the silhouette takes the place of the agreement. The best is in bold.

    Args:
        study: The strategies.
    """
    done = [(place, result) for place, result in enumerate(study.results) if result.done]
    places, results = [place for place, _ in done], [result for _, result in done]
    labels = axis_labels([unbroken(result.title) for result in results], width=22)
    figure = blank_figure(height=rows_height(len(results), each=_ROW) + 50, left=10, bottom=40, top=_HEAD)
    what = t("compare.chart_agreement") if study.compared else title("silhouette")
    figure.set_subplots(
        rows=1,
        cols=2,
        shared_yaxes=True,
        column_widths=[0.64, 0.36],
        horizontal_spacing=0.05,
        subplot_titles=(what, title("seconds")),
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
    line = {"linecolor": EDGE, "zerolinecolor": EDGE, "showgrid": False}  # every bar says its figure
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
        x=ceilings, y=labels, orientation="h", width=0.76, name=title("ceiling"), row=1, col=1,
        marker={"color": FAINT, "line": {"color": EDGE, "width": 1}},
        hovertemplate=f"<b>%{{y}}</b><br>{title('ceiling')} %{{x:.3f}}<extra></extra>",
    )  # fmt: skip
    figure.add_bar(
        x=reached, y=labels, orientation="h", width=0.44, name=title("reached"), row=1, col=1,
        marker={"color": _REACHED, "line": {"width": 0}},
        hovertemplate=f"<b>%{{y}}</b><br>{title('reached')} %{{x:.3f}}<extra></extra>",
    )  # fmt: skip
    for label, value, limit, first in zip(labels, reached, ceilings, best, strict=True):
        text = "–" if value is None else f"{value:.2f}"
        _say(
            figure,
            max(value or 0.0, limit or 0.0),
            label,
            _best(text, first) if limit is None else t("compare.of", value=_best(text, first), whole=f"{limit:.2f}"),
            col=1,
        )
    figure.update_xaxes(range=[0, 1.3], tickvals=[0, 0.2, 0.4, 0.6, 0.8, 1], col=1)


def _silhouette_bars(
    figure: go.Figure, labels: Sequence[str], results: Sequence[StrategyResult], *, best: Sequence[bool]
) -> None:
    values = [result.silhouette for result in results]
    figure.add_bar(
        x=values, y=labels, orientation="h", width=0.6, name=title("silhouette"), row=1, col=1,
        marker={"color": _OTHER, "line": {"width": 0}},
        hovertemplate=f"<b>%{{y}}</b><br>{title('silhouette')} %{{x:.3f}}<extra></extra>",
    )  # fmt: skip
    for label, value, first in zip(labels, values, best, strict=True):
        text = "–" if value is None else f"{value:.2f}"
        _say(figure, max(value or 0.0, 0.0), label, _best(text, first), col=1)
    known = [value for value in values if value is not None]
    figure.update_xaxes(range=[min([*known, 0.0]) * 1.1, max([*known, 0.0]) * 1.25 or 1.0], col=1)


def _best(text: str, best: bool) -> str:
    return f"<b>{text}</b>" if best else text


def _time_bars(figure: go.Figure, labels: Sequence[str], results: Sequence[StrategyResult]) -> None:
    seconds = [result.seconds or 0.0 for result in results]
    most = t("compare.at_most", memory="%{customdata}")
    memory = [f"{result.peak_mib or 0:,.0f}".replace(",", " ") for result in results]
    figure.add_bar(
        x=seconds, y=labels, orientation="h", width=0.6, name=title("seconds"), showlegend=False, row=1, col=2,
        marker={"color": _TIME, "line": {"width": 0}}, customdata=memory,
        hovertemplate=f"<b>%{{y}}</b><br>%{{x:.2f}} s<br>{most}<extra></extra>",
    )  # fmt: skip
    for label, value in zip(labels, seconds, strict=True):
        _say(figure, value, label, t("compare.seconds_short", seconds=seconds_text(value)), col=2)
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
            "strategy": result.title,
            "best": ", ".join(t(f"compare.best_{name}") for name in shown if place in study.best(name)),
        }
        if study.compared:
            row |= {"ceiling": _overall(result.ceiling), "reached": _overall(result.reached)}
        row |= {
            "silhouette": result.silhouette,
            "clusters": result.clusters,
            "seconds": result.seconds,
            "peak": result.peak_mib,
        }
        if study.compared:
            scores = result.reached
            row |= {
                "kappa": scores.kappa if scores else None,
                "macro_f1": scores.macro_f1 if scores else None,
                "miou": scores.miou if scores else None,
            }
        if any(other.noise_share is not None for other in study.results):
            row["noise"] = None if result.noise_share is None else 100.0 * result.noise_share
        row["remarks"] = result.error or " ".join(result.notes)
        rows.append({title(column): value for column, value in row.items()})
    return rows


def _overall(scores: Scores | None) -> float | None:
    return scores.overall if scores else None


def study_page(study: Study) -> str:
    """Chart and table as one HTML file that needs nothing else, not even the internet (about 5 MB)."""
    heading = t("compare.page_title", scene=study.scene["title"])
    moment = f"{study.started[:16].replace('T', ' ')} UTC"
    said = [t("compare.page_size", width=study.scene["width"], height=study.scene["height"], moment=moment)]
    if study.simulated:
        said.insert(0, t("compare.page_simulated"))
    if study.reference is not None:
        said += [t("compare.page_reference", reference=study.reference["title"]), t("compare.meaning")]
        said += [] if study.simulated else [str(study.reference["caution"])]
    else:
        said.append(t("compare.no_reference"))
    if study.judged_pixels:
        features = ", ".join(study.judged_on)
        said.append(t("compare.page_silhouettes", pixels=study.judged_pixels, features=features))
    rows = study_rows(study)
    figure = study_figure(study)
    figure.update_layout(template="plotly_white")
    chart = figure.to_html(full_html=False, include_plotlyjs=True, config={"displaylogo": False, "responsive": True})
    head = "".join(f"<th>{escape(name)}</th>" for name in rows[0])
    body = "".join(f"<tr>{''.join(_cell(name, value) for name, value in row.items())}</tr>" for row in rows)
    return (
        f'<!DOCTYPE html>\n<html lang="{language()}"><head><meta charset="utf-8">'
        '<meta name="color-scheme" content="light">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(heading)}</title><style>{_STYLE}</style>'
        f"</head><body><h1>{escape(heading)}</h1>{''.join(f'<p>{escape(line)}</p>' for line in said)}"
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
        digits = {title("seconds"): 2, title("peak"): 0, title("noise"): 1}.get(name, 3)
        return f'<td class="n">{value:.{digits}f}</td>'
    return f'<td class="n">{value}</td>' if isinstance(value, int) else f"<td>{escape(unbroken(str(value)))}</td>"
