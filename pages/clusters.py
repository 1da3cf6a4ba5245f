"""Clusters: group the pixels by likeness, see what the groups are and how good, and edit them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.parts.cluster_charts import charts, fit_charts
from pages.parts.cluster_quality import quality
from pages.parts.cluster_tools import tools
from pages.parts.method_form import choose_settings
from pages.parts.probe import CLICKED, probe_panel
from pages.parts.split import split
from s2dash.area_budget import run_time
from s2dash.dashboard import state
from s2dash.dashboard.labels import class_name, noise_marked
from s2dash.dashboard.language import t
from s2dash.dashboard.maps import MapLayer
from s2dash.dashboard.products import PRODUCTS
from s2dash.dashboard.texts import duration, method_and_k, plain
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
        t("clusters.job", method=method_and_k(settings)),
        lambda progress: space.start(asked, settings, reference=reference, progress=progress),
    )
    st.rerun()


def panel(result: RunResult | None) -> None:
    """Settings of the next map."""
    st.subheader(t("clusters.new_map"))
    asked = state.request()
    scene = state.present_scene() if asked is not None else None
    if asked is None or scene is None:
        st.caption(t("clusters.choose_scene"))
        return
    st.caption(t("clusters.of_scene", title=plain(scene.scene.provenance.title)))
    settings = choose_settings(scene.scene, result)
    if st.button(t("clusters.make"), type="primary", width="stretch", disabled=state.busy() or not settings.annotators):
        start(asked, settings, result)
    if not settings.annotators:
        st.caption(t("clusters.somebody"))
    else:
        height, width = scene.scene.grid.shape
        st.caption(t("clusters.takes", time=duration(run_time(height * width, settings))))


def names_of(result: RunResult) -> dict[int, str]:
    """Number and class of every cluster."""
    names = {
        cluster: f"{cluster} · {t('clusters.not_named') if entry.code is None else class_name(result, entry.code)}"
        for cluster, entry in result.legend.entries.items()
    }
    return {cluster: noise_marked(result, cluster, name) for cluster, name in names.items()}


def cluster_map(result: RunResult, view: ClusterView, names: dict[int, str]) -> Any:
    """The clusters over the imagery, and what else the method made, switched off at first; where the person clicked."""
    colours = view.colours
    legend = [(names[cluster], colours[cluster]) for cluster in names]
    picked = st.session_state.get("picked")
    picked = picked if picked in names else None
    layers: list[MapLayer] = [*view.base(), view.layer(shown=picked is None)]
    if picked is not None:
        layers.append(view.picked_layer(picked))
    for name in PRODUCTS:
        path = result.kept_files.get(f"{name}.tif")
        if path is None:
            continue
        with state.said():
            layer, marks = view.product(name, path)
            layers, legend = [*layers, layer], [*legend, *marks]
    credit, key = str(result.scene["attribution"]), f"clusters {state.run_id()}"
    did = state.show_map(
        layers,
        key=key,
        height=620,
        returned=(CLICKED,),
        legend=legend,
        legend_title=t("map.clusters"),
        attribution=credit,
        base_map="OpenStreetMap",
    )
    return did.get(CLICKED)


def shown(result: RunResult, run: str, names: dict[int, str], place: Any) -> None:
    """All about the run that is shown: its map in `place`, the rest below."""
    with place:
        state.subject(str(result.scene["title"]), simulated=result.scene["kind"] == "simulated")
        view = state.run_view(result)
        clicked = cluster_map(result, view, names)
        probe_panel(clicked, result, view.scene)
        for note in result.clusters.notes:
            st.caption(plain(note))
    left, right = split("tools", [2, 1])
    with left:
        quality(result, run, names, view.colours)
    with right, st.container(border=True):
        tools(result, run, names)
    charts(result, names, view.colours)
    fit_charts(result)


state.framed()
st.title(t("clusters.title"))
run, seen, result = state.run_id() or "", state.changes(), state.shown_run()
left, right = split("map", [2, 1])
with right, st.container(border=True):
    panel(result)
if result is None:
    with left:
        state.nothing()
else:
    state.follow(run, seen)
    shown(result, run, names_of(result), left)
