"""Clusters: group the pixels by likeness and see what the groups are."""

from __future__ import annotations

from typing import Any

import streamlit as st

from s2dash.annotation.registry import annotator_names
from s2dash.clustering import METHODS
from s2dash.dashboard import state
from s2dash.dashboard.figures import area_figure, spectrum_figure
from s2dash.dashboard.texts import METHOD_TITLES, plain
from s2dash.features import available_indices
from s2dash.pipeline import RunResult, RunSettings
from s2dash.schemes import load_scheme, scheme_names
from s2dash.sources.request import SceneRequest

TEXTURES = [0, 3, 5, 7, 9]
SAMPLES = [10_000, 50_000, 100_000, 200_000, 500_000]
MOST = 60
KEEP: dict[str, Any] = {"persist_state": "session"}


def choose_settings(bands: tuple[str, ...], result: RunResult | None) -> RunSettings:
    """What a run is asked for: at first what was asked for last, on whatever day."""
    first = result.settings if result is not None else RunSettings()
    saved = (state.recall("settings") or {}) if "k" not in st.session_state else {}
    offered = list(available_indices(bands))
    fields: dict[str, tuple[Any, Any]] = {
        "method": (first.method, METHODS),
        "k": (first.k, range(2, MOST + 1)),
        "seed": (first.seed, range(10_000)),
        "indices": (list(first.indices), offered),
        "texture": (first.texture, TEXTURES),
        "sample": (first.sample, SAMPLES),
        "scheme": (first.scheme, scheme_names()),
        "annotators": (list(first.annotators), annotator_names()),
    }
    for key, (value, options) in fields.items():
        state.seed(key, value, saved=saved.get(key), options=options)
    st.selectbox("Method", METHODS, key="method", format_func=lambda name: METHOD_TITLES.get(name, name), **KEEP)
    st.slider("Clusters (K)", 2, MOST, key="k", **KEEP)
    st.multiselect("Indices besides the bands", offered, key="indices", **KEEP)
    st.select_slider(
        "Texture window",
        TEXTURES,
        key="texture",
        format_func=lambda side: "none" if side == 0 else f"{side} × {side}",
        help="Local mean and spread of red, near infrared and NDVI: tells a town from a bare field.",
        **KEEP,
    )
    with st.expander("More", icon=":material/tune:"):
        st.number_input("Seed", 0, 9999, key="seed", help="Same seed, same map.", **KEEP)
        st.select_slider("Pixels to fit on", SAMPLES, key="sample", format_func="{:,}".format, **KEEP)
        schemes = scheme_names()
        st.selectbox("Class scheme", schemes, key="scheme", format_func=lambda name: load_scheme(name).title, **KEEP)
        st.multiselect("Who names the clusters", annotator_names(), key="annotators", **KEEP)
    return RunSettings.from_json({key: st.session_state[key] for key in fields})


def start(asked: SceneRequest, settings: RunSettings, result: RunResult | None) -> None:
    """Run in the background; a reference of the same scene is compared with again."""
    space = state.workspace()
    same = result is not None and result.scene.get("request") == asked.to_json()
    reference = result.reference_settings if same and result is not None else None
    state.remember("settings", settings.to_json())
    state.start_job(
        f"Mapping with K = {settings.k}",
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


state.framed()
st.title("Clusters")
result = state.shown_run()
left, right = st.columns([2, 1], gap="medium")
with right, st.container(border=True):
    panel(result)
if result is not None:
    names = names_of(result)
    with left:
        state.subject(str(result.scene["title"]), simulated=result.scene["kind"] == "simulated")
        view = state.run_view(result)
        legend = [(names[cluster], view.colours[cluster]) for cluster in names]
        credit, key = str(result.scene["attribution"]), f"clusters {state.run_id()}"
        layers = [*view.base(), view.layer()]
        state.show_map(layers, key=key, legend=legend, legend_title="Clusters", attribution=credit)
    charts(result, names, view.colours)
else:
    with left:
        state.nothing()
