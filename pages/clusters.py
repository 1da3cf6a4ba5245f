"""Clusters: group the pixels by likeness and see what the groups are."""

from __future__ import annotations

import streamlit as st

from s2dash.annotation.registry import annotator_names
from s2dash.clustering import METHODS
from s2dash.dashboard import state
from s2dash.dashboard.figures import area_figure, spectrum_figure
from s2dash.features import DEFAULT_INDICES, available_indices
from s2dash.pipeline import RunResult, RunSettings
from s2dash.schemes import load_scheme, scheme_names
from s2dash.sources.request import SceneRequest

METHOD_TITLES = {"kmeans": "K-Means"}


def choose_settings(bands: tuple[str, ...]) -> RunSettings:
    """What a run is asked for."""
    method = st.selectbox(
        "Method", METHODS, key="method", persist_state="session", format_func=lambda name: METHOD_TITLES.get(name, name)
    )
    k = st.slider("Clusters (K)", 2, 40, 12, key="k", persist_state="session")
    seed = st.number_input("Seed", 0, 9999, 0, key="seed", persist_state="session", help="Same seed, same map.")
    offered = available_indices(bands)
    indices = st.multiselect(
        "Indices besides the bands",
        offered,
        default=[name for name in DEFAULT_INDICES if name in offered],
        key="indices",
        persist_state="session",
    )
    texture = st.select_slider(
        "Texture window",
        [0, 3, 5, 7, 9],
        key="texture",
        persist_state="session",
        format_func=lambda side: "none" if side == 0 else f"{side} × {side}",
        help="Local mean and spread of red, near infrared and NDVI: tells a town from a bare field.",
    )
    with st.expander("More"):
        sample = st.select_slider(
            "Pixels to fit on", [10_000, 50_000, 100_000, 200_000], 100_000, key="sample", persist_state="session"
        )
        scheme = st.selectbox(
            "Class scheme",
            scheme_names(),
            index=scheme_names().index("worldcover"),
            key="scheme",
            persist_state="session",
            format_func=lambda name: load_scheme(name).title,
        )
        annotators = st.multiselect(
            "Who names the clusters", annotator_names(), ["rules"], key="annotators", persist_state="session"
        )
    return RunSettings(
        scheme=scheme,
        method=method,
        k=int(k),
        seed=int(seed),
        sample=int(sample),
        indices=tuple(indices),
        texture=int(texture),
        annotators=tuple(annotators),
    )


def start(asked: SceneRequest, settings: RunSettings, result: RunResult | None) -> None:
    """Run in the background; a reference of the same scene is compared with again."""
    space = state.workspace()
    same = result is not None and result.scene.get("request") == asked.to_json()
    reference = result.reference_settings if same and result is not None else None
    state.start_job(
        f"Mapping with K = {settings.k}",
        lambda progress: space.start(asked, settings, reference=reference, progress=progress),
    )
    st.rerun()


def show(result: RunResult) -> None:
    """The clusters of the run that is shown: map, spectra, areas."""
    view = state.run_view()
    names = {
        cluster: f"{cluster} · {'not named' if entry.code is None else result.legend.scheme[entry.code].name}"
        for cluster, entry in result.legend.entries.items()
    }
    layers = [view.scene.layer("true colour")] if view.scene else []
    layers.append(view.layer())
    legend = [(names[cluster], view.colours[cluster]) for cluster in names]
    state.show_map(
        layers,
        key=f"clusters {state.run_id()}",
        legend=legend,
        legend_title="Clusters",
        attribution=str(result.scene["attribution"]),
    )
    st.subheader("Spectrum of each cluster")
    picked = st.selectbox(
        "Bring out",
        [None, *names],
        format_func=lambda cluster: "all alike" if cluster is None else names[cluster],
        key="bring_out",
    )
    spectra = {cluster: card.median for cluster, card in result.cards.items()}
    spread = {cluster: card.spread for cluster, card in result.cards.items()} if picked else None
    st.plotly_chart(
        spectrum_figure(
            spectra, spread=spread, names=names, colours=view.colours, highlight=picked, statistic="Median"
        ),
        key="spectra",
    )
    st.subheader("Area")
    areas = {cluster: card.area_ha for cluster, card in result.cards.items()}
    st.plotly_chart(area_figure(areas, names=names, colours=view.colours), key="areas")


st.title("Clusters")
scene, asked = state.present_scene(), state.request()
shown = state.workspace().open_run(chosen) if (chosen := state.run_id()) else None
left, right = st.columns([2, 1], gap="large")
with right, st.container(border=True):
    st.subheader("New map")
    if scene is None or asked is None:
        st.info("Choose a scene on the page *Area & imagery* first.", icon=":material/satellite_alt:")
    else:
        st.caption(f"of **{scene.scene.provenance.title}**")
        settings = choose_settings(scene.scene.bands)
        job = state.present_job()
        busy = job is not None and job.running
        if st.button("Make the map", type="primary", width="stretch", disabled=busy or not settings.annotators):
            start(asked, settings, shown)
with left:
    if shown is None:
        st.info("No map yet. Choose settings on the right and make one.", icon=":material/bubble_chart:")
    else:
        if asked is not None and shown.scene.get("request") != asked.to_json():
            st.info(f"Shown below is the map of **{shown.scene['title']}**.", icon=":material/info:")
        show(shown)
