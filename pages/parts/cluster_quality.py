"""How good the clusters of the run that is shown are, and how they were found."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.parts.cluster_tools import begin
from s2dash.colours import palette
from s2dash.dashboard import state
from s2dash.dashboard.cluster_figures import separability_figure
from s2dash.dashboard.cluster_tables import (
    COLUMNS,
    Remark,
    column_help,
    column_title,
    quality_table,
    remarks,
)
from s2dash.dashboard.language import language, t
from s2dash.dashboard.texts import number, plain
from s2dash.pipeline import RunResult

SHOWN = 5
FORMATS = {"ha": "%.1f", "%": "%.1f", "Silhouette": "%.2f", "JM": "%.2f", "Broken up": "%.0f %%"}
WIDTHS = dict(zip(COLUMNS, (54, 150, 58, 46, 74, 62, 48, 60, 74), strict=True))
"""Of the columns, pixels: together as wide as the map."""
KEEP: dict[str, Any] = {"persist_state": "session"}


def quality(result: RunResult, run: str, names: dict[int, str], colours: dict[int, str]) -> None:
    """What was measured of every cluster, and what to do about what is wrong."""
    st.subheader(t("clusters.quality"))
    found = result.quality
    if found is None:
        st.caption(t("clusters.not_measured"))
        if st.button(t("clusters.measure"), key="measure", disabled=state.busy()):
            space = state.workspace()
            state.start_job(t("clusters.measuring"), lambda progress: space.measure(run, progress=progress))
            st.rerun()
        return
    if found.silhouette is not None:
        st.caption(
            t("clusters.silhouette", mean=f"{found.silhouette:.2f}", count=found.sampled, pixels=number(found.sampled))
        )
    classes = {cluster: name.partition(" · ")[2] for cluster, name in names.items()}
    columns = {
        name: st.column_config.NumberColumn(column_title(name), format=FORMATS[name], help=text, width=WIDTHS[name])
        if name in FORMATS
        else st.column_config.Column(column_title(name), help=text, width=WIDTHS[name])
        for name in COLUMNS
        if (text := column_help(name))
    }
    table = state.kept(f"quality {language()} {palette()}", lambda: quality_table(found, classes, colours))
    st.dataframe(table, hide_index=True, height="content", column_config=columns, placeholder="–")
    noticed = remarks(found)
    if noticed:
        st.markdown(f"**{t('clusters.worth_a_look')}**")
    for place, remark in enumerate(noticed[:SHOWN]):
        show(remark, run, place)
    if len(noticed) > SHOWN:
        with st.expander(t("clusters.more_remarks", count=len(noticed) - SHOWN)):
            for place, remark in enumerate(noticed[SHOWN:], start=SHOWN):
                show(remark, run, place)
    with st.expander(t("clusters.separability"), icon=":material/grid_on:"):
        figure = state.kept(f"separability {language()} {palette()}", lambda: separability_figure(found, colours))
        st.plotly_chart(figure, key="separability")
        st.caption(t("clusters.separability_help"))


def show(remark: Remark, run: str, place: int) -> None:
    """One remark, with what could be done about it."""
    text, button = st.columns([3, 1], vertical_alignment="center")
    text.caption(plain(remark.text))
    for label, options in remark.edits:
        if button.button(label, key=f"remark {run} {place} {label}", disabled=state.busy(), width="stretch"):
            begin(run, label, **options)
            st.rerun()
