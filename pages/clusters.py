"""Clusters: group the pixels by likeness, see what the groups are and how good, and edit them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.parts.cluster_quality import fit_charts, quality
from pages.parts.cluster_tools import tools
from pages.parts.method_form import choose_settings
from s2dash.dashboard import state
from s2dash.dashboard.figures import area_figure, spectrum_figure
from s2dash.dashboard.maps import MapLayer
from s2dash.dashboard.products import PRODUCT_TITLES
from s2dash.dashboard.texts import method_and_k, plain
from s2dash.dashboard.view import ClusterView
from s2dash.pipeline import RunResult, RunSettings
from s2dash.sources.request import SceneRequest


def start(asked: SceneRequest, settings: RunSettings, result: RunResult | None) -> None:
    """Run in the background; a reference of the same scene is compared with again."""
    space = state.workspace()
    same = result is not None and result.scene.get("request") == asked.to_json()
    reference = result.reference_settings if same and result is not None else None
    state.remember("settings", settings.to_json())
    state.start_job(
        f"Mapping with {method_and_k(settings)}",
        lambda progress: space.start(asked, settings, reference=reference, progress=progress),
    )
    st.rerun()


def panel(result: RunResult | None) -> None:
    """Settings of the next map."""
    st.subheader("New map")
    asked = state.request()
    scene = state.present_scene() if asked is not None else None
    if asked is None or scene is None:
        st.caption("Choose a scene on the page *Area & imagery* first.")
        return
    st.caption(f"of **{plain(scene.scene.provenance.title)}**")
    settings = choose_settings(scene.scene.bands, result)
    if st.button("Make the map", type="primary", width="stretch", disabled=state.busy() or not settings.annotators):
        start(asked, settings, result)
    if not settings.annotators:
        st.caption("Choose somebody to name the clusters, under *More*.")


def names_of(result: RunResult) -> dict[int, str]:
    """Number and class of every cluster."""
    return {
        cluster: f"{cluster} · {'not named' if entry.code is None else result.legend.scheme[entry.code].name}"
        for cluster, entry in result.legend.entries.items()
    }


def cluster_map(result: RunResult, view: ClusterView, names: dict[int, str]) -> None:
    """The clusters over the imagery, and what else the method made, switched off at first."""
    legend = [(names[cluster], view.colours[cluster]) for cluster in names]
    picked = st.session_state.get("picked")
    picked = picked if picked in names else None
    layers: list[MapLayer] = [*view.base(), view.layer(shown=picked is None)]
    if picked is not None:
        layers.append(view.picked_layer(picked))
    for name in PRODUCT_TITLES:
        path = result.kept_files.get(f"{name}.tif")
        if path is None:
            continue
        with state.said():
            layer, marks = view.product(name, path)
            layers, legend = [*layers, layer], [*legend, *marks]
    credit, key = str(result.scene["attribution"]), f"clusters {state.run_id()}"
    state.show_map(layers, key=key, height=620, legend=legend, legend_title="Clusters", attribution=credit)


def charts(result: RunResult, names: dict[int, str], colours: dict[int, str]) -> None:
    """Spectra and areas."""
    left, right = st.columns([3, 2], gap="medium")
    with left:
        title, choice = st.columns([3, 2])
        title.subheader("Spectrum of each cluster")
        picked = choice.selectbox(
            "Bring out",
            [None, *names],
            format_func=lambda cluster: "All alike" if cluster is None else names[cluster],
            label_visibility="collapsed",
            key="picked",
            help="Brings out its line here, and its place on the map.",
        )
        means = {cluster: card.mean or card.median for cluster, card in result.cards.items()}
        statistic = "Mean" if all(card.mean for card in result.cards.values()) else "Median"
        spread = {cluster: card.spread for cluster, card in result.cards.items()} if picked else None
        figure = state.kept(
            f"spectra {picked}",
            lambda: spectrum_figure(
                means, spread=spread, names=names, colours=colours, highlight=picked, statistic=statistic
            ),
        )
        st.plotly_chart(figure, key="spectra")
        if picked:
            st.caption("The band around the line is as wide as the middle half of the cluster's pixels.")
    with right:
        st.subheader("Area of each cluster")
        areas = {cluster: card.area_ha for cluster, card in result.cards.items()}
        figure = state.kept("areas", lambda: area_figure(areas, names=names, colours=colours))
        st.plotly_chart(figure, key="areas")


def shown(result: RunResult, run: str, names: dict[int, str], place: Any) -> None:
    """All about the run that is shown: its map in `place`, the rest below."""
    with place:
        state.subject(str(result.scene["title"]), simulated=result.scene["kind"] == "simulated")
        view = state.run_view(result)
        cluster_map(result, view, names)
        for note in result.clusters.notes:
            st.caption(plain(note))
    left, right = st.columns([2, 1], gap="medium")
    with left:
        quality(result, run, names, view.colours)
    with right, st.container(border=True):
        tools(result, run, names)
    charts(result, names, view.colours)
    fit_charts(result)


state.framed()
st.title("Clusters")
run, seen, result = state.run_id() or "", state.changes(), state.shown_run()
left, right = st.columns([2, 1], gap="medium")
with right, st.container(border=True):
    panel(result)
if result is None:
    with left:
        state.nothing()
else:
    state.follow(run, seen)
    shown(result, run, names_of(result), left)
