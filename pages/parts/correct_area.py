"""Set a class inside an area that a person draws on the map."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.parts.label_map import land_cover_marks
from pages.parts.sign_in import may_write, who
from pages.parts.split import split
from s2dash.colours import palette
from s2dash.corrections import area_edit, as_drawn, preview_area
from s2dash.dashboard import state
from s2dash.dashboard.corrected_layers import area_shapes, corrected_layer
from s2dash.dashboard.correction_texts import code_name
from s2dash.dashboard.language import language, t
from s2dash.dashboard.layers import MapShape
from s2dash.dashboard.texts import number, plain
from s2dash.dashboard.view import ClusterView
from s2dash.pipeline import RunResult


def correction_map(
    result: RunResult,
    view: ClusterView,
    run: str,
    *,
    key: str,
    shapes: list[MapShape],
    returned: tuple[str, ...],
    draw: bool = False,
) -> dict[str, Any]:
    """The map that corrections are made on: the imagery, the land cover as it is now, and shapes.

    Returns:
        What the person did on it.
    """
    said = f"corrected {language()} {palette()}"
    layers = [*view.base(), state.kept(said, lambda: corrected_layer(result, view, opacity=0.5))]
    credit = str(result.scene["attribution"])
    return state.show_map(
        layers,
        key=f"{key} {run}",
        height=520,
        returned=returned,
        draw=draw,
        shapes=shapes,
        legend=land_cover_marks(result),
        legend_title=t("labels.land_cover"),
        attribution=credit,
    )


def set_area(run: str, geometry: Mapping[str, Any], drawn: str) -> None:
    """Keep the area; what was drawn is done with."""
    now = st.session_state
    with state.said(later=True):
        result = state.server().open_run(run)
        code = now[f"area class {run}"]
        edit = area_edit(geometry, code, landcover=result.landcover, who=who(), why=now[f"area why {run}"])
        state.workspace().change_map(run, edit)
        now[f"area done {run}"] = drawn
        now[f"area why {run}"], now[f"area class {run}"] = "", None
        st.toast(t("corrections.set_done", name=plain(code_name(result, code))), icon=":material/check_circle:")


def correct_area(result: RunResult, view: ClusterView, run: str) -> None:
    """Draw, see what is there, choose, set."""
    left, right = split("area", [2, 1])
    with left:
        shapes = area_shapes(result.map_edits, result.legend.scheme)
        did = correction_map(
            result, view, run, key="correct area", shapes=shapes, returned=("last_active_drawing",), draw=True
        )
    with right:
        drawing = (did.get("last_active_drawing") or {}).get("geometry")
        drawn = json.dumps(drawing, sort_keys=True)
        if not drawing or st.session_state.get(f"area done {run}") == drawn:
            st.info(t("corrections.draw_first"), icon=":material/draw:")
            return
        with state.said():
            choose_class(result, run, drawing, drawn)


def choose_class(result: RunResult, run: str, drawing: Mapping[str, Any], drawn: str) -> None:
    """What the area covers, and which class it becomes."""
    geometry = as_drawn(drawing)
    found = state.kept(f"area {drawn}", lambda: preview_area(geometry, result.landcover))
    if not found.pixels:
        st.warning(t("corrections.nothing_inside"), icon=":material/warning:")
        return
    pixels, hectares = st.columns(2)
    pixels.metric(t("corrections.pixels"), number(found.pixels))
    hectares.metric(t("corrections.hectares"), number(found.hectares, 2))
    st.caption(t("corrections.now"))
    rows = [
        {
            t("corrections.column_class"): plain(code_name(result, code)),
            t("corrections.column_ha"): number(area, 2),
            t("corrections.column_share"): number(100 * area / found.hectares, 1),
        }
        for code, area in found.classes.items()
    ]
    st.table(rows, border="horizontal", hide_index=True)
    scheme = result.legend.scheme
    chosen = st.selectbox(
        t("corrections.class"),
        scheme.codes,
        index=None,  # no class is right before somebody looked
        placeholder=t("corrections.choose"),
        format_func=lambda code: code_name(result, code),
        key=f"area class {run}",
    )
    st.text_input(t("corrections.why"), key=f"area why {run}", placeholder=t("corrections.why_hint"))
    st.button(
        t("corrections.set"),
        key=f"set area {run}",
        type="primary",
        icon=":material/check:",
        disabled=chosen is None or not may_write(),
        on_click=set_area,
        args=(run, geometry, drawn),
        width="stretch",
    )
