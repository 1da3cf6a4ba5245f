"""The panel that says which part of the Earth is meant: drawn, from a file, a box or a place, and what it takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st

from s2dash.area import AreaOfInterest
from s2dash.area_budget import area_budget, naming_cost
from s2dash.area_files import SUFFIXES, area_layers, read_area
from s2dash.dashboard import state
from s2dash.dashboard.area_words import budget_figures, cost_words, place_words, refusal
from s2dash.dashboard.files import keep_upload
from s2dash.dashboard.language import t
from s2dash.dashboard.texts import number, plain
from s2dash.dashboard.view import SceneView
from s2dash.errors import AreaError, S2DashError
from s2dash.places import SIZES_KM, find_places, prepare

WAYS = ["draw", "file", "bbox", "place"]
RULES = "rules"
MOST_PROPOSED = 30
"""Clusters that are counted with where K is to be proposed: the most that it may become."""
KEEP: dict[str, Any] = {"persist_state": "session"}


# ---- what is chosen


def chosen_area() -> AreaOfInterest | None:
    """The area chosen last, in this session or before a restart."""
    if "area" not in st.session_state:
        st.session_state["area"] = state.recall("area")
    kept = st.session_state["area"]
    try:
        return AreaOfInterest.from_json(json.loads(kept)) if kept else None
    except (AreaError, ValueError, TypeError):  # what an earlier version kept
        return None


def choose(area: AreaOfInterest | None) -> None:
    """Make an area the one that is chosen, here and after a restart."""
    st.session_state["area"] = None if area is None else json.dumps(area.to_json())
    state.remember("area", st.session_state["area"])


def used_area() -> AreaOfInterest | None:
    """The area that the present scene is cut to."""
    asked = state.request()
    if asked is None or asked.area is None:
        return None
    try:
        return AreaOfInterest.from_geojson(asked.area)
    except AreaError:
        return None


def take_drawing(did: Mapping[str, Any]) -> None:
    """What was drawn on the map, or moved there, becomes the area; once, however often the map repeats it."""
    drawn = did.get("last_active_drawing")
    if not drawn or json.dumps(drawn) == st.session_state.get("area_drawn"):
        return
    st.session_state["area_drawn"] = json.dumps(drawn)
    with state.said(later=True):
        choose(AreaOfInterest.from_drawing(drawn))
    st.rerun()


# ---- the panel


def choose_area(view: SceneView | None) -> None:
    """The ways in, and what is chosen."""
    st.subheader(t("area.title"))
    used = used_area()
    if used is not None:
        st.caption(t("area.in_use", area=number(used.area_km2, 1)))
        if st.button(t("area.whole"), icon=":material/fullscreen:", width="stretch"):
            apply(None)
    elif view is not None:
        st.caption(t("area.whole_in_use"))
    state.seed("area_from", WAYS[0], options=WAYS)
    names = {name: t(f"area.from_{name}") for name in WAYS}
    way = st.segmented_control(
        t("area.from"), WAYS, key="area_from", required=True, format_func=names.__getitem__, **KEEP
    )
    try:
        found = {"draw": by_hand, "file": from_file, "bbox": from_box, "place": from_place}[way]()
    except S2DashError as error:
        state.say_error(error)
        found = None
    if found is not None:
        choose(found)
        st.rerun()
    area = chosen_area()
    if area is not None:
        takes(area, view)


def by_hand() -> None:
    """How to draw; what is drawn comes through `take_drawing`."""
    st.caption(t("area.draw"))


def from_file() -> AreaOfInterest | None:
    """An area from a file that was just sent, or another choice of its layers."""
    sent = st.file_uploader(t("area.file"), list(SUFFIXES), key="area_file")
    if sent is None:
        return None
    path = keep_upload(state.workspace().folder / "scenes" / "areas", sent.name, sent.getbuffer())
    known = area_layers(path)
    layers: list[str] = []
    if len(known) > 1:
        state.seed("area_layers", [], options=list(known))
        layers = st.multiselect(
            t("area.layers"), known, key="area_layers", placeholder=t("area.layers_placeholder"), format_func=str
        )
    return read_new(path, tuple(layers) or known)


def read_new(path: Path, layers: tuple[str, ...]) -> AreaOfInterest | None:
    """The area of a file, unless it was read before: then what was chosen since stays."""
    asked = json.dumps([str(path), layers])
    if st.session_state.get("area_read") == asked:
        return None
    found = read_area(path, layers=layers)
    st.session_state["area_read"] = asked
    return found


def from_box() -> AreaOfInterest | None:
    """An area from four numbers."""
    with st.form("area_box", border=False):
        text = st.text_input(
            t("area.bbox"), key="area_bbox", placeholder="34.9, 48.4, 35.1, 48.55", help=t("area.bbox_help"), **KEEP
        )
        asked = st.form_submit_button(t("area.bbox_show"), width="stretch")
    return AreaOfInterest.from_text(text) if asked else None


def from_place() -> AreaOfInterest | None:
    """A box around a place."""
    query = st.text_input(
        t("area.place"), key="area_place", placeholder=t("area.place_placeholder"), help=t("area.place_help"), **KEEP
    )
    if not query.strip():
        return None
    with st.spinner(t("area.place_reading"), show_time=True):
        prepare()
    places = find_places(query)
    if not places:
        st.caption(t("area.place_none"))
        return None
    state.seed("area_side", SIZES_KM[1], options=SIZES_KM)
    lines = [place_words(place) for place in places]
    which = st.selectbox(t("area.place_which"), range(len(places)), format_func=lines.__getitem__, key=query)
    side = st.select_slider(t("area.place_size"), SIZES_KM, key="area_side", **KEEP)
    return places[which].around(side) if st.button(t("area.place_show"), width="stretch") else None


# ---- what it takes


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


def apply(area: AreaOfInterest | None) -> None:
    """Cut the present scene to an area, or take it whole again."""
    asked = state.request()
    if asked is None:
        return
    try:
        state.show_scene(replace(asked, area=None if area is None else area.geojson))
    except S2DashError as error:
        state.say_error(error)
    else:
        st.rerun()
