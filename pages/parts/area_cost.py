"""What the chosen area takes: size, memory, time and price, before it is used."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from pages.parts.chosen_area import apply, choose, used_area
from s2dash.area import AreaOfInterest
from s2dash.area_budget import area_budget, naming_cost
from s2dash.dashboard import state
from s2dash.dashboard.area_words import budget_figures, cost_words, refusal
from s2dash.dashboard.language import t
from s2dash.dashboard.texts import plain
from s2dash.dashboard.view import SceneView

RULES = "rules"
MOST_PROPOSED = 30
"""Clusters that are counted with where K is to be proposed: the most that it may become."""
KEEP: dict[str, Any] = {"persist_state": "session"}


def takes(area: AreaOfInterest, view: SceneView | None) -> None:
    """Size, memory, time and price of the chosen area, before it is used."""
    st.markdown(f"**{t('area.chosen_named', title=plain(area.title)) if area.title else t('area.chosen')}**")
    for note in area.notes:
        st.caption(plain(note))
    resolution = float(view.about["pixel_size_m"]) if view is not None else 10.0
    budget = area_budget(area, resolution=resolution)
    left, right = st.columns(2)
    for place, (name, figure, about) in enumerate(budget_figures(budget, resolution=resolution)):
        (left, right)[place % 2].metric(name, figure, help=about)
    if reason := refusal(budget):
        st.error(plain(reason), icon=":material/error:")
    else:
        price(budget.shape or (1, 1))
    used = used_area()
    same = used is not None and used.geometry == area.geometry
    blocked = budget.too_large or same or state.request() is None
    if st.button(t("area.use"), type="primary", icon=":material/crop:", disabled=blocked, width="stretch"):
        apply(area)
    if state.request() is None:
        st.caption(t("area.no_scene"))
    if st.button(t("area.forget"), icon=":material/close:", width="stretch"):
        choose(None)
        st.rerun()


def price(shape: tuple[int, int]) -> None:
    """What naming the clusters would cost, by one annotator."""
    with state.said():
        catalogue = state.workspace().catalogue()
        titles = {RULES: t("area.cost_rules")} | {name: entry.title for name, entry in catalogue.items()}
        state.seed("area_model", RULES, options=list(titles))
        name = st.selectbox(
            t("area.cost_model"), list(titles), key="area_model", format_func=titles.__getitem__, **KEEP
        )
        k = (state.recall("settings") or {}).get("k", 12)
        clusters = k if isinstance(k, int) else MOST_PROPOSED
        key = json.dumps([name, clusters, shape])
        if st.session_state.get("area_cost", ("", None))[0] != key:
            cost = naming_cost([name], clusters=clusters, shape=shape, catalogue=catalogue)
            st.session_state["area_cost"] = key, cost
        st.caption(plain(cost_words(st.session_state["area_cost"][1], clusters=clusters)))
