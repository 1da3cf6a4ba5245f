"""Charts of agreement: which class is taken for which, class by class, and what was reached of the ceiling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from s2dash.colours import series_colours
from s2dash.dashboard.chart import (
    EDGE,
    FAINT,
    NAMES,
    SHARES,
    axis_labels,
    blank_figure,
    count_text,
    hectares_text,
    legend_above,
    percent_text,
    rows_height,
    short_count,
)
from s2dash.dashboard.language import t
from s2dash.schemes import UNDECIDED

if TYPE_CHECKING:
    import plotly.graph_objects as go

CellsShow = Literal["row", "column", "pixels"]
"""What the cells of the confusion matrix say: shares of the reference class, shares of the map class, or pixels."""
CELLS_SHOW: tuple[CellsShow, ...] = ("row", "column", "pixels")
SCORES = ("overall", "kappa", "macro_f1", "miou")
"""The four scores of an agreement."""
PICKED_COLOUR = "#E6007E"
"""Of the confusion that is picked, in the matrix and on the map: no class of a scheme has it."""

_CLASS_SCORES = (("producers", 0), ("users", 5), ("f1", 1), ("iou", 4))  # and the place of their colour
_COUNTS = [[0.0, "#EEF3F8"], [0.25, "#B9D3EC"], [0.5, "#72A8D8"], [0.75, "#3277B5"], [1.0, "#0F4477"]]
_CELL = 38  # px, side of what can be clicked


def matrix_codes(agreement: Mapping[str, Any]) -> tuple[list[int], list[int]]:
    """Codes of the rows (reference) and columns (map) of the confusion matrix as it is drawn."""
    codes = [int(code) for code in agreement["confusion"]["codes"]]
    undecided = [UNDECIDED] if any(agreement["confusion"].get("undecided") or []) else []
    return codes, [*codes, *undecided]


def matrix_counts(agreement: Mapping[str, Any]) -> list[list[int]]:
    """Pixels of the confusion matrix as it is drawn, reference by map."""
    matrix = [list(row) for row in agreement["confusion"]["matrix"]]
    undecided = agreement["confusion"].get("undecided") or []
    return [[*row, left] for row, left in zip(matrix, undecided, strict=True)] if any(undecided) else matrix


def pair_at(agreement: Mapping[str, Any], place: int) -> tuple[int, int] | None:
    """Map code and reference code of the cell that was clicked; None where there is no such cell, or nothing in it.

    Args:
        agreement: What the matrix was drawn of.
        place: Number of the cell, row by row.
    """
    rows, columns = matrix_codes(agreement)
    row, column = divmod(place, len(columns))
    if not (0 <= row < len(rows) and matrix_counts(agreement)[row][column]):
        return None
    return columns[column], rows[row]


def confusion_figure(
    agreement: Mapping[str, Any],
    *,
    names: Mapping[int, str] | None = None,
    cells: CellsShow = "row",
    hectares: Sequence[Sequence[float]] | None = None,
    pickable: bool = False,
) -> go.Figure:
    """Confusion matrix: which class of the reference became which class of the map.

    Args:
        agreement: What `Agreement.to_json()` gives.
        names: Of the classes, by code; by default their English ones.
        cells: What the cells say; the colour is the share of the row, or of the column where that is what they say.
        hectares: Area of each cell, ha, in the order of the drawn matrix; for the hover text.
        pickable: Whether a click on a cell selects it. The numbers of its points run row by row, see `pair_at`.
    """
    named = names or {int(row["code"]): str(row["name"]) for row in agreement["classes"]}
    row_codes, column_codes = matrix_codes(agreement)
    rows = [named.get(code, str(code)) for code in row_codes]
    columns = [named.get(code, t("figures.undecided") if code == UNDECIDED else str(code)) for code in column_codes]
    matrix = matrix_counts(agreement)
    of_row = [_shares(row) for row in matrix]
    of_column = _transposed([_shares(column) for column in _transposed(matrix)], len(rows))
    shown = of_column if cells == "column" else of_row
    upright = len(columns) <= 7
    figure = blank_figure(height=rows_height(len(rows), each=44) + 110, left=10, bottom=12, top=120)
    about = [
        [
            [
                count_text(n),
                _share_text(of_row[y][x]),
                _share_text(of_column[y][x]),
                hectares_text(hectares[y][x]) if hectares is not None else "–",
            ]
            for x, n in enumerate(row)
        ]
        for y, row in enumerate(matrix)
    ]
    values = {"pixels": "%{customdata[0]}", "row": "%{customdata[1]}", "column": "%{customdata[2]}"}
    hover = t("figures.cell_hover", reference="%{y}", map="%{x}", **values)
    if hectares is not None:
        hover += "<br>" + t("figures.cell_hectares", ha="%{customdata[3]}")
    x, y = axis_labels(columns, width=13 if upright else 30), axis_labels(rows)
    figure.add_heatmap(
        z=shown,
        x=x,
        y=y,
        text=[
            [short_count(n) if cells == "pixels" else percent_text(share) for n, share in zip(*pair, strict=True)]
            for pair in zip(matrix, shown, strict=True)
        ],
        texttemplate="%{text}",
        customdata=about,
        hovertemplate=hover + "<extra></extra>",
        hoverongaps=False,
        colorscale=_COUNTS,
        zmin=0,
        zmax=100,
        xgap=2,
        ygap=2,
        showscale=False,
    )
    if pickable:  # a heat map takes no clicks in Streamlit, which asks plotly for selections; points do
        figure.add_scatter(
            x=[label for _ in y for label in x],
            y=[label for label in y for _ in x],
            customdata=[cell for row in about for cell in row],
            hovertemplate=hover + "<extra></extra>",
            mode="markers",
            marker={"symbol": "square-open", "size": _CELL, "opacity": 0, "color": PICKED_COLOUR, "line": {"width": 3}},
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 0}},
        )
        figure.update_layout(hoverdistance=120, hovermode="closest")
    for at in range(len(rows)):
        figure.add_shape(
            type="rect",
            x0=at - 0.5,
            x1=at + 0.5,
            y0=at - 0.5,
            y1=at + 0.5,
            line={"color": series_colours()[1], "width": 2},
        )
    title = t("figures.confusion_title", unit=t(f"figures.cells_{cells}"))
    figure.update_layout(
        title={"text": title, "x": 0, "xanchor": "left", "font": {"size": 14}, "y": 1, "yref": "container",
               "yanchor": "top", "pad": {"t": 8}}
    )  # fmt: skip
    figure.update_xaxes(
        title={"text": t("figures.map"), "standoff": 6}, side="top", type="category", tickangle=0, showgrid=False
    )
    if not upright:
        figure.update_xaxes(tickangle=-50)
        figure.update_layout(margin_t=182, height=figure.layout.height + 62)
    figure.update_xaxes(range=[-0.5, len(columns) - 0.5])
    figure.update_yaxes(
        title=t("figures.reference"), range=[len(rows) - 0.5, -0.5], type="category", automargin=True, showgrid=False
    )
    return figure


def class_figure(agreement: Mapping[str, Any], *, names: Mapping[int, str] | None = None) -> go.Figure:
    """Producer's and user's accuracy (the field's terms), F1 and IoU of every class: agreement with the reference.

    Args:
        agreement: What `Agreement.to_json()` gives; a score that is None has no bar.
        names: Of the classes, by code; by default their English ones.
    """
    classes = list(agreement["classes"])
    labels = axis_labels([(names or {}).get(int(row["code"]), str(row["name"])) for row in classes])
    counts = [[count_text(row["support"]), count_text(row["mapped"])] for row in classes]
    sizes = t("figures.class_pixels", reference="%{customdata[0]}", map="%{customdata[1]}")
    figure = blank_figure(height=rows_height(len(classes), each=78) + 46, left=10, bottom=48, top=56)
    for key, place in _CLASS_SCORES:
        values, title = [row[key] for row in classes], t(f"figures.{key}")
        meaning = escape(t(f"figures.{key}_means"), quote=False)
        figure.add_bar(
            x=values,
            y=labels,
            orientation="h",
            name=title,
            marker={"color": series_colours()[place], "line": {"width": 0}},
            text=["" if value is None else f"\u00a0{value:.2f}" for value in values],
            textposition="outside",
            textangle=0,
            cliponaxis=False,
            customdata=counts,
            hovertemplate=f"<b>%{{y}}</b><br>{title} %{{x:.3f}}<br><i>{meaning}</i><br>{sizes}<extra></extra>",
        )
    figure.update_layout(barmode="group", bargap=0.28, bargroupgap=0.04, showlegend=True, legend=legend_above())
    figure.update_xaxes(title=t("figures.agreement_0_1"), **SHARES)
    figure.update_yaxes(**NAMES)
    return figure


def ceiling_figure(agreement: Mapping[str, Any]) -> go.Figure:
    """The four scores reached, against what the same clusters would reach with the best name each.

    Args:
        agreement: What `Agreement.to_json()` gives; without a ceiling, only the scores reached are drawn.
    """
    best = agreement.get("ceiling") or {}
    labels = [t(f"figures.{key}") for key in SCORES]
    reached = [agreement[key] for key in SCORES]
    limits = [best.get(key) for key in SCORES]
    figure = blank_figure(height=270, left=10, bottom=48, top=44)
    if any(limit is not None for limit in limits):
        figure.add_bar(
            x=limits, y=labels, orientation="h", width=0.72, name=t("figures.best_names"),
            marker={"color": FAINT, "line": {"color": EDGE, "width": 1}},
            hovertemplate=f"<b>%{{y}}</b><br>{t('figures.ceiling_hover', value='%{x:.3f}')}<extra></extra>",
        )  # fmt: skip
    figure.add_bar(
        x=reached, y=labels, orientation="h", width=0.42, name=t("figures.reached"),
        marker={"color": series_colours()[0], "line": {"width": 0}},
        customdata=[_costs(value, limit) for value, limit in zip(reached, limits, strict=True)],
        hovertemplate=f"<b>%{{y}}</b><br>{t('figures.reached_hover', value='%{x:.3f}')}%{{customdata}}<extra></extra>",
    )  # fmt: skip
    for label, value, limit in zip(labels, reached, limits, strict=True):
        of = "" if limit is None else t("figures.of_limit", limit=f"{limit:.2f}")
        figure.add_annotation(
            x=max(value or 0.0, limit or 0.0, 0.0), y=label, xanchor="left", xshift=8, showarrow=False,
            text=t("figures.not_defined") if value is None else f"<b>{value:.2f}</b> {of}".rstrip(),
        )  # fmt: skip
    figure.update_layout(barmode="overlay", showlegend=True, legend={**legend_above(), "traceorder": "reversed"})
    lowest = min([value for value in [*reached, *limits] if value is not None] + [0.0])
    figure.update_xaxes(title=t("figures.agreement"), range=[lowest * 1.1, 1.22], tickvals=SHARES["tickvals"])
    figure.update_yaxes(**NAMES)
    return figure


def _costs(value: float | None, limit: float | None) -> str:
    """What naming and what clustering cost, where both are losses."""
    if value is None or limit is None or not value <= limit <= 1.0:
        return ""
    return "<br>" + t("figures.lost", naming=f"{limit - value:.3f}", clustering=f"{1.0 - limit:.3f}")


def _shares(counts: Sequence[int]) -> list[float | None]:
    """Percent of the sum; None where that is 0."""
    whole = sum(counts)
    return [100.0 * count / whole if whole else None for count in counts]


def _share_text(share: float | None) -> str:
    return "–" if share is None else f"{share:.1f}"


def _transposed(rows: Sequence[Sequence[Any]], count: int | None = None) -> list[list[Any]]:
    """Columns of a matrix as rows; as many as said where the matrix is empty."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(count or 0)]
