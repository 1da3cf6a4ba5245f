"""How good the clusters of the run that is shown are, and how they were found."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.parts.cluster_tools import begin
from s2dash.clustering.sweep import KSweep
from s2dash.dashboard import state
from s2dash.dashboard.cluster_figures import distance_figure, separability_figure, sweep_figure, training_figure
from s2dash.dashboard.cluster_tables import COLUMNS, Remark, quality_table, remarks
from s2dash.dashboard.texts import plain
from s2dash.pipeline import RunResult

SHOWN = 5
FORMATS = {"ha": "%.1f", "%": "%.1f", "Silhouette": "%.2f", "JM": "%.2f", "Broken up": "%.0f %%"}
WIDTHS = dict(zip(COLUMNS, (58, 126, 62, 48, 76, 66, 50, 64, 76), strict=True))
"""Of the columns, pixels: together as wide as the map."""
KEEP: dict[str, Any] = {"persist_state": "session"}


def quality(result: RunResult, run: str, names: dict[int, str], colours: dict[int, str]) -> None:
    """What was measured of every cluster, and what to do about what is wrong."""
    st.subheader("Quality of each cluster")
    found = result.quality
    if found is None:
        st.caption("This map was made before clusters were measured.")
        if st.button("Measure them now", disabled=state.busy()):
            space = state.workspace()
            state.start_job("Measuring the clusters", lambda progress: space.measure(run, progress=progress))
            st.rerun()
        return
    if found.silhouette is not None:
        st.caption(f"Mean silhouette of the map **{found.silhouette:.2f}** · from {found.sampled:,} sampled pixels")
    classes = {cluster: name.partition(" · ")[2] for cluster, name in names.items()}
    columns = {
        name: st.column_config.NumberColumn(format=FORMATS[name], help=text, width=WIDTHS[name])
        if name in FORMATS
        else st.column_config.Column(help=text, width=WIDTHS[name])
        for name, text in COLUMNS.items()
    }
    table = state.kept("quality", lambda: quality_table(found, classes, colours))
    st.dataframe(table, hide_index=True, height="content", column_config=columns, placeholder="–")
    noticed = remarks(found)
    if noticed:
        st.markdown("**Worth a look**")
    for place, remark in enumerate(noticed[:SHOWN]):
        show(remark, run, place)
    if len(noticed) > SHOWN:
        with st.expander(f"{len(noticed) - SHOWN} more"):
            for place, remark in enumerate(noticed[SHOWN:], start=SHOWN):
                show(remark, run, place)
    with st.expander("Separability of every two clusters", icon=":material/grid_on:"):
        st.plotly_chart(state.kept("separability", lambda: separability_figure(found, colours)), key="separability")
        st.caption("Jeffries–Matusita distance, 0 to 2: the darker, the harder to tell apart.")


def show(remark: Remark, run: str, place: int) -> None:
    """One remark, with what could be done about it."""
    text, button = st.columns([3, 1], vertical_alignment="center")
    text.caption(plain(remark.text))
    for label, options in remark.edits:
        if button.button(label, key=f"remark {run} {place} {label}", disabled=state.busy(), width="stretch"):
            begin(run, label, **options)
            st.rerun()


def fit_charts(result: RunResult) -> None:
    """How the clusters were found, where the method has something to show."""
    settings = result.clusters.settings
    charts: list[tuple[str, str, Any]] = []
    if sweep := settings.get("k_sweep"):
        known = KSweep.from_json(sweep)
        charts.append(("How many clusters", known.reason, lambda: sweep_figure(known)))
    if curve := settings.get("k_distance"):
        said = f"The reach is {settings['eps']:.3g} standard deviations; where the curve bends up, noise begins."
        charts.append(("How dense the pixels lie", said, lambda: distance_figure(curve, eps=settings["eps"])))
    training = settings.get("training")
    if isinstance(training, dict):
        charts.append(("How the network learnt", "", lambda: training_figure(training)))
    for column, (title, said, make) in zip(st.columns(max(len(charts), 1), gap="medium"), charts, strict=False):
        with column:
            st.subheader(title)
            st.plotly_chart(state.kept(title, make), key=title)
            if said:
                st.caption(plain(said))
