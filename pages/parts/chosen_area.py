"""The part of the Earth that is chosen, and the one the present scene is cut to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from s2dash.area import AreaOfInterest
from s2dash.dashboard import state
from s2dash.errors import AreaError, S2DashError


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
