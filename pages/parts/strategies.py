"""Which clustering strategies are compared, and the start of it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from s2dash.annotation.registry import LOCAL
from s2dash.clustering import METHODS
from s2dash.dashboard import state
from s2dash.dashboard.language import t
from s2dash.dashboard.texts import number, plain
from s2dash.pipeline import ReferenceSettings, RunResult, RunSettings
from s2dash.progress import Progress
from s2dash.sources.request import SceneRequest
from s2dash.study import build_strategies, compare_strategies, keep_study, parse_ks

FIRST_METHODS = ["kmeans", "gmm", "slic"]
FIRST_KS = "8, 12, 20"
KEEP: dict[str, Any] = {"persist_state": "session"}


def shared_settings(result: RunResult | None) -> RunSettings:
    """Features, sample, seed and scheme of all strategies: those chosen last on the page Clusters."""
    first = (result.settings if result is not None else RunSettings()).to_json()
    saved = state.recall("settings")
    known = saved if isinstance(saved, dict) else {}
    chosen = {key: st.session_state.get(key, known.get(key, value)) for key, value in first.items()}
    named = [name for name in chosen["annotators"] if name in LOCAL]
    local = named or list(RunSettings().annotators)  # nobody is paid here
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

    state.start_job(t("compare.job", count=len(strategies)), work)
    st.rerun()


def strategies_panel(result: RunResult | None, asked: SceneRequest) -> None:
    """Which strategies, and go."""
    shared, reference = shared_settings(result), reference_of(result, asked)
    saved = state.recall("compare")
    saved = saved if isinstance(saved, dict) else {}
    ks = saved.get("ks")
    state.seed("compared methods", FIRST_METHODS, saved=saved.get("methods"), options=METHODS)
    state.seed("compared ks", FIRST_KS, saved=ks if isinstance(ks, str) else None)
    names = {name: method.title for name, method in METHODS.items()}
    shown = names.__getitem__
    st.pills(t("compare.methods"), METHODS, selection_mode="multi", key="compared methods", format_func=shown, **KEEP)
    left, _ = st.columns([1, 2])
    left.text_input(t("compare.ks"), key="compared ks", help=t("compare.ks_help"), **KEEP)
    texture = [t("compare.texture", side=shared.texture)] if shared.texture else []
    features = ", ".join([t("compare.the_bands"), *shared.indices, *texture])
    look = t("compare.look_at", features=features, pixels=number(shared.sample), seed=shared.seed)
    st.caption(f"{plain(look)} {t('compare.one_by_one')}")
    if reference is None:
        st.caption(f"{t('compare.no_reference')} {t('compare.add_reference')}")
    ready = bool(st.session_state["compared methods"]) and not state.busy()
    if st.button(t("compare.go"), type="primary", icon=":material/compare_arrows:", disabled=not ready):
        with state.said():
            start(asked, shared, reference)
