"""The panel that says which part of the Earth is meant: drawn, from a file, a box or a place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import streamlit as st

from pages.parts.area_cost import takes
from pages.parts.chosen_area import apply, choose, chosen_area, used_area
from s2dash.area import AreaOfInterest
from s2dash.area_files import SUFFIXES, area_layers, read_area
from s2dash.dashboard import state
from s2dash.dashboard.area_words import place_words
from s2dash.dashboard.files import keep_upload
from s2dash.dashboard.language import t
from s2dash.dashboard.texts import number
from s2dash.dashboard.view import SceneView
from s2dash.errors import S2DashError
from s2dash.places import SIZES_KM, find_places, prepare

WAYS = ["draw", "file", "bbox", "place"]
KEEP: dict[str, Any] = {"persist_state": "session"}


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
