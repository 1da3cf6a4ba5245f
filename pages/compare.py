"""Compare: clustering strategies side by side on the present scene."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import streamlit as st

from s2dash.annotation.registry import LOCAL
from s2dash.clustering import METHODS
from s2dash.dashboard import state
from s2dash.dashboard.study_figures import COLUMNS, MEANING, NO_REFERENCE, study_figure, study_rows
from s2dash.dashboard.texts import plain
from s2dash.pipeline import ReferenceSettings, RunResult, RunSettings
from s2dash.progress import Progress
from s2dash.sources.request import SceneRequest
from s2dash.study import Study, build_strategies, compare_strategies, keep_study, kept_study, parse_ks

FIRST_METHODS = ["kmeans", "gmm", "slic"]
FIRST_KS = "8, 12, 20"
WIDTHS: dict[str, Any] = {"Best": 110, "Remarks": "medium"}
KEEP: dict[str, Any] = {"persist_state": "session"}


def shared_settings(result: RunResult | None) -> RunSettings:
    """Features, sample, seed and scheme of all strategies: those chosen last on the page Clusters."""
    first = (result.settings if result is not None else RunSettings()).to_json()
    saved = state.recall("settings")
    known = saved if isinstance(saved, dict) else {}
    chosen = {key: st.session_state.get(key, known.get(key, value)) for key, value in first.items()}
    local = [name for name in chosen["annotators"] if name in LOCAL] or list(
        RunSettings().annotators
    )  # nobody is paid here
    chosen |= {"method": "kmeans", "k": first["k"], "options": {}, "model": "", "annotators": local}
    return RunSettings.from_json(chosen)


def reference_of(result: RunResult | None, asked: SceneRequest) -> ReferenceSettings | None:
    """The reference that the map shown is compared with, if it is one of the same scene."""
    same = result is not None and result.scene.get("request") == asked.to_json()
    return result.reference_settings if same and result is not None else None


def start(asked: SceneRequest, shared: RunSettings, reference: ReferenceSettings | None) -> None:
    """Compare in the background; the study is in the workspace when it is done."""
    methods, ks = st.session_state["compared methods"], parse_ks(st.session_state["compared ks"])
    strategies = build_strategies(methods, ks, base=shared)
    folder = state.workspace().folder
    state.remember("compare", {"methods": methods, "ks": st.session_state["compared ks"]})

    def work(progress: Progress) -> None:
        study = compare_strategies(asked, strategies, reference=reference, progress=progress)
        keep_study(study, folder)

    state.start_job(f"Comparing {len(strategies)} strategies", work)
    st.rerun()


def panel(asked: SceneRequest, shared: RunSettings, reference: ReferenceSettings | None) -> None:
    """Which strategies, and go."""
    saved = state.recall("compare")
    saved = saved if isinstance(saved, dict) else {}
    ks = saved.get("ks")
    state.seed("compared methods", FIRST_METHODS, saved=saved.get("methods"), options=METHODS)
    state.seed("compared ks", FIRST_KS, saved=ks if isinstance(ks, str) else None)
    names = {name: method.title for name, method in METHODS.items()}
    shown = names.__getitem__
    st.pills("Methods", METHODS, selection_mode="multi", key="compared methods", format_func=shown, **KEEP)
    left, _ = st.columns([1, 2])
    left.text_input("Clusters (K)", key="compared ks", help="Numbers by comma; auto proposes one.", **KEEP)
    look = ["the bands", *shared.indices, *([f"texture {shared.texture} × {shared.texture}"] if shared.texture else [])]
    st.caption(
        plain(
            f"All look at {', '.join(look)}; {shared.sample:,} pixels to fit on, seed {shared.seed}, as chosen last on"
        )
        + " *Clusters*. Each runs in a process of its own, one after the other."
    )
    if reference is None:
        st.caption(f"{NO_REFERENCE} Compare the map of this scene with one on *Agreement*, and do this again.")
    ready = bool(st.session_state["compared methods"]) and not state.busy()
    if st.button("Compare strategies", type="primary", icon=":material/compare_arrows:", disabled=not ready):
        with state.said():
            start(asked, shared, reference)


def show(study: Study) -> None:
    """Chart, table, and what to do with it."""
    st.subheader("How good, and at what cost")
    st.caption(f"Compared {datetime.fromisoformat(study.started):%d %b %Y, %H:%M} UTC")
    if study.reference is not None:
        against = f"Against {study.reference['title']}"
        st.caption(plain(against + (f" of {study.reference['year']}. " if study.reference["year"] else ". ") + MEANING))
        if study.reference["caution"] and not study.simulated:  # simulated truth has no errors of its own
            st.info(plain(study.reference["caution"]), icon=":material/info:")
    else:
        st.info(NO_REFERENCE, icon=":material/info:")
    done = [result for result in study.results if result.done]
    if done:
        st.plotly_chart(study_figure(study), key="strategies")
        use(study)
    rows = study_rows(study)
    columns: dict[str, Any] = {name: st.column_config.TextColumn(width=width) for name, width in WIDTHS.items()}
    for name, (form, text) in COLUMNS.items():
        columns[name] = st.column_config.NumberColumn(format=form, help=text)
    columns["Strategy"] = st.column_config.TextColumn(pinned=True)
    st.dataframe(rows, hide_index=True, width="stretch", column_config=columns, placeholder="–")
    failed = {result.error: result.title for result in study.results if result.error}
    for error, title in failed.items():
        st.warning(plain(f"{title}: {error}"), icon=":material/warning:")
    content = json.dumps(study.to_json(), indent=2, ensure_ascii=False)
    with st.container(horizontal=True):
        for name, text in (("study.json", content), ("study.csv", study.to_csv())):
            st.download_button(f"Download {name}", text, name, icon=":material/download:", on_click="ignore")


def use(study: Study) -> None:
    """Take a strategy over to the page Clusters, at first the one that reached most."""
    done = [place for place, result in enumerate(study.results) if result.done]
    best = study.best("reached") or study.best("silhouette")
    first = next((at for at, place in enumerate(done) if place in best), 0)
    pick, go = st.columns([3, 2], vertical_alignment="bottom")
    titles = [result.title for result in study.results]
    place = pick.selectbox("Strategy", done, index=first, format_func=titles.__getitem__, key=f"use {study.started}")
    what = "Sets method, K and features on the page Clusters, where the map is then made."
    if go.button("Use this strategy", icon=":material/arrow_forward:", width="stretch", help=what):
        chosen = study.results[place].settings.to_json()
        state.remember("settings", chosen)
        for key, value in chosen.items():  # widgets of the page Clusters that this session has seen
            if key in st.session_state:
                st.session_state[key] = value
        st.switch_page("pages/clusters.py", query_params={"run": run} if (run := state.run_id()) else None)


state.framed()
st.title("Compare")
result, asked = state.shown_run(), state.request()
scene = state.present_scene()
if asked is not None and scene is not None:
    state.subject(scene.scene.provenance.title, simulated=scene.scene.simulated)
    with st.container(border=True):
        panel(asked, shared_settings(result), reference_of(result, asked))
    with state.said():
        if (study := kept_study(asked, state.workspace().folder)) is not None:
            show(study)
        else:
            st.caption("No strategies have been compared on this scene yet.")
