"""A chart with its downloads: the picture by its own camera button, the numbers behind it as CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import streamlit as st

from s2dash.colours import palette
from s2dash.dashboard import state
from s2dash.dashboard.agreement_tables import Row, csv_bytes
from s2dash.dashboard.chart import PictureKind, save_options
from s2dash.dashboard.language import language, t

if TYPE_CHECKING:
    import plotly.graph_objects as go

T = TypeVar("T")

KINDS: tuple[PictureKind, ...] = ("png", "svg")


def kept(name: str, make: Callable[[], T]) -> T:
    """Something with words or colours, made of the run that is shown: kept for each language and palette by itself."""
    return state.kept(f"{name} {language()} {palette()}", make)


def picture_kind() -> None:
    """Choose what charts are saved as."""
    st.segmented_control(
        t("agreement.save_as"),
        KINDS,
        default=KINDS[0],
        format_func=lambda kind: t(f"agreement.{kind}"),
        key="save_as",
        help=t("agreement.save_as_help"),
        required=True,
        persist_state="session",
    )


def chart(name: str, make: Callable[[], tuple[go.Figure, Sequence[Row]]], *, of: str = "", **options: Any) -> None:
    """Show a chart, and under it a button for the numbers behind it.

    Args:
        name: Key of the chart, and name of its files.
        make: Gives the chart and its numbers.
        of: What else it depends on besides the run and the language.
        **options: For `st.plotly_chart`.
    """

    def made() -> tuple[go.Figure, bytes]:
        figure, rows = make()
        return figure, csv_bytes(rows)

    figure, table = kept(f"chart {name} {of}", made)
    config = save_options(name, st.session_state.get("save_as") or KINDS[0])
    st.plotly_chart(figure, key=options.pop("key", name), config=config, **options)
    st.download_button(
        t("agreement.csv"),
        table,
        f"{name}.csv",
        "text/csv",
        key=f"csv {name}",
        icon=":material/download:",
        help=t("agreement.csv_help"),
        type="tertiary",
        on_click="ignore",
    )
