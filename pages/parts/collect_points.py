"""Collect reference points by clicking on the map."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.parts.correct_area import correction_map
from pages.parts.sign_in import may_write, who
from pages.parts.split import split
from s2dash.dashboard import state
from s2dash.dashboard.corrected_layers import place_shape, point_shapes
from s2dash.dashboard.correction_texts import code_name, place_text
from s2dash.dashboard.language import t
from s2dash.dashboard.maps import pixel_at
from s2dash.dashboard.texts import plain
from s2dash.dashboard.view import ClusterView
from s2dash.pipeline import RunResult
from s2dash.reference_points import ReferencePoint, point_edit, reference_points
from s2dash.schemes import NO_DATA


def collect_points(result: RunResult, view: ClusterView, run: str) -> None:
    """Click, see what the map says there, say what is there."""
    points = chosen_points(result)
    left, right = split("points", [2, 1])
    with left:
        shapes = point_shapes(points, result.legend.scheme)
        if waiting := st.session_state.get(f"clicked {run}"):
            shapes.append(place_shape(waiting[1], waiting[0]))
        did = correction_map(result, view, run, key="collect points", shapes=shapes, returned=("last_clicked",))
        place = clicked(did, run)
    with right:
        if place is None:
            st.info(t("points.click_first"), icon=":material/ads_click:")
        else:
            what_is_there(result, run, place)
        st.caption(t("points.no_sample"))


def what_is_there(result: RunResult, run: str, place: tuple[float, float]) -> None:
    """What the map says at a place, and what a person says."""
    latitude, longitude = place
    st.markdown(f"**{plain(place_text((longitude + 180) % 360 - 180, latitude))}**")
    pixel = pixel_at(result.clusters.grid, latitude=latitude, longitude=longitude)
    if pixel is None or result.landcover.codes[pixel] == NO_DATA:
        st.warning(t("points.outside"), icon=":material/warning:")
        st.button(t("points.discard"), key=f"leave point {run}", on_click=leave_point, args=(run,))
        return
    name = code_name(result, int(result.landcover.codes[pixel]))
    st.caption(plain(t("points.map_says", name=name, cluster=int(result.clusters.labels[pixel]))))
    chosen = st.selectbox(
        t("points.class"),
        result.legend.scheme.codes,
        index=None,  # what is chosen beforehand would be kept by who only looks at the map
        placeholder=t("corrections.choose"),
        format_func=lambda code: code_name(result, code),
        key=f"point class {run}",
    )
    st.text_input(t("points.note"), key=f"point note {run}", placeholder=t("points.note_hint"))
    with st.container(horizontal=True):
        st.button(
            t("points.keep"),
            key=f"keep point {run}",
            type="primary",
            icon=":material/add_location_alt:",
            disabled=chosen is None or not may_write(),
            on_click=keep_point,
            args=(run, latitude, longitude),
        )
        st.button(t("points.discard"), key=f"leave point {run}", on_click=leave_point, args=(run,))


def chosen_points(result: RunResult) -> tuple[ReferencePoint, ...]:
    """All points but those drawn by chance: their classes on the map would give away what the others saw."""
    points = reference_points(result.map_edits, scheme=result.legend.scheme)
    return tuple(point for point in points if point.origin != "sample")


def clicked(did: dict[str, Any], run: str) -> tuple[float, float] | None:
    """Latitude and longitude of the click that waits for an answer.

    It is kept here because the map, which is built anew to show it, forgets it.
    """
    now = st.session_state
    at = did.get("last_clicked")
    if at and (place := (float(at["lat"]), float(at["lng"]))) != now.get(f"last click {run}"):
        now[f"last click {run}"] = now[f"clicked {run}"] = place
        st.rerun()
    waiting: tuple[float, float] | None = now.get(f"clicked {run}")
    return waiting


def keep_point(run: str, latitude: float, longitude: float) -> None:
    """Keep the place that was clicked."""
    now = st.session_state
    with state.said(later=True):
        result = state.server().open_run(run)
        code = now[f"point class {run}"]
        edit = point_edit(
            longitude,
            latitude,
            code,
            grid=result.clusters.grid,
            scheme=result.legend.scheme,
            who=who(),
            note=now[f"point note {run}"],
        )
        state.workspace().change_map(run, edit)
        now[f"point note {run}"], now[f"point class {run}"] = "", None
        now.pop(f"clicked {run}", None)
        st.toast(t("points.kept", name=plain(code_name(result, code))), icon=":material/check_circle:")


def leave_point(run: str) -> None:
    """Forget the place that was clicked."""
    st.session_state.pop(f"clicked {run}", None)
