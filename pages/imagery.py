"""Area & imagery: which scene and which part of it, how it was read, and what it looks like."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.parts.band_layers import choose_layers
from pages.parts.choose_area import choose_area
from pages.parts.choose_scene import choose_scene
from pages.parts.chosen_area import chosen_area, take_drawing, used_area
from pages.parts.search_results import take_fetched
from pages.parts.split import split
from s2dash.dashboard import state
from s2dash.dashboard.area_words import apart, map_bounds, outlines
from s2dash.dashboard.language import t
from s2dash.dashboard.layers import MapLayer
from s2dash.dashboard.texts import plain, rule_name, scene_facts, scene_figures
from s2dash.dashboard.view import SceneView
from s2dash.dashboard.warping import Bounds


def draw_map(layers: list[MapLayer], key: str, bounds: Bounds | None, **options: Any) -> None:
    """The map, with the area on it and tools to draw one; also where there is no scene, and so no bounds of one."""
    area, used = chosen_area(), used_area()
    if bounds is not None and area is not None and apart(map_bounds(area), bounds):
        st.caption(t("imagery.elsewhere"))
    blank = bounds is None
    if bounds is None and area is not None:
        bounds = map_bounds(area)
    did = state.show_map(
        layers,
        key=key if used is None else f"{key} {used.geometry.wkt}",
        bounds=bounds,
        shapes=outlines(area, used),
        draw=True,
        base_map="OpenStreetMap",
        returned=("last_active_drawing",),
        **options,
    )
    if blank and state.request() is None:  # not while one is being opened
        st.caption(t("imagery.no_base_map"))
    take_drawing(did)


def show(view: SceneView) -> None:
    """The map, and the scene in figures."""
    about, provenance = view.about, view.scene.provenance
    layers, legend = choose_layers(view)
    title = t("imagery.masked") if view.mask and legend == list(view.mask[1]) else ""
    draw_map(
        layers,
        f"imagery {provenance.location}",
        view.base()[0].bounds,
        legend=legend,
        legend_title=title,
        attribution=provenance.attribution,
    )
    for column, (name, value) in zip(st.columns(4), scene_figures(about).items(), strict=True):
        column.metric(name, value)
    if about["scl"] is None:
        st.caption(t("imagery.no_scl"))


def details(view: SceneView) -> None:
    """How the scene was read, and where it is from."""
    about, radiometry = view.about, view.scene.radiometry
    (st.info if radiometry.certain else st.warning)(
        f"**{t('imagery.reflectance')}** ({plain(rule_name(radiometry.rule))}): {plain(radiometry.evidence)}",
        icon=":material/straighten:" if radiometry.certain else ":material/warning:",
    )
    st.markdown("  \n".join(f"**{name}** {plain(fact)}" for name, fact in scene_facts(about).items()))
    for note in about["notes"]:
        st.caption(plain(note))
    if about["scl"]:
        with st.expander(t("imagery.classification"), icon=":material/filter_drama:"):
            table = [
                {"class": row["name"], "share": row["percent"] / 100, "masked": row["masked"]} for row in about["scl"]
            ]
            columns = {
                "class": st.column_config.TextColumn(t("imagery.class")),
                "share": st.column_config.NumberColumn(t("imagery.share"), format="percent"),
                "masked": st.column_config.CheckboxColumn(t("imagery.is_masked")),
            }
            st.dataframe(table, hide_index=True, width="stretch", column_config=columns)


state.framed()
take_fetched()
st.title(t("imagery.title"))
left, right = split("map", [2, 1])
with left:
    view = state.present_scene()
    if view is None:
        draw_map([], "imagery nothing", None)
    else:
        state.subject(view.scene.provenance.title, simulated=view.scene.simulated)
        show(view)
with right:
    with st.container(border=True):
        choose_scene()
    with st.container(border=True):
        choose_area(view)
    if view is not None:
        details(view)
