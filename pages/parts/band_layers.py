"""Which layers of a scene are on the map: composites, any three bands, any index, and what is masked."""

from __future__ import annotations

from functools import cache
from typing import Any

import streamlit as st

from s2dash.bands import sensor_table
from s2dash.dashboard import state
from s2dash.dashboard.band_pictures import PERCENTILES, index_title
from s2dash.dashboard.language import t
from s2dash.dashboard.maps import MapLayer
from s2dash.dashboard.texts import plain
from s2dash.dashboard.view import SceneView
from s2dash.indices import available_indices

KEEP: dict[str, Any] = {"persist_state": "session"}
FIRST_BANDS = ("B11", "B08", "B04")
"""Short-wave infrared, near infrared, red: what true and false colour do not show."""
COMPOSITES = {"true": "true colour", "false": "false colour", "grey": "grey"}


def choose_layers(view: SceneView) -> tuple[list[MapLayer], list[tuple[str, str]]]:
    """Fields to choose with, and what was chosen: layers, the lowest first, and the entries of the map's legend."""
    made = [key for key, kind in COMPOSITES.items() if kind in view.composites]
    offered = [*made, "bands", "index", *(["mask"] if view.mask else [])]
    state.seed("scene_layers", [*made, *(["mask"] if view.mask else [])], options=offered)
    chosen = st.pills(
        t("map.map_layers"), offered, selection_mode="multi", key="scene_layers", format_func=_layer_title, **KEEP
    )
    chosen = list(chosen or [])
    bottom = [COMPOSITES[key] for key in reversed(made) if key in chosen]
    layers = [view.layer(kind, shown=kind == bottom[-1]) for kind in bottom]  # type: ignore[arg-type]
    legend: list[tuple[str, str]] = []
    if "bands" in chosen:
        with state.said():
            layers.append(view.bands_layer(choose_bands(view.scene.bands)))
    if "index" in chosen:
        with state.said():
            add_index(view, layers, legend)
    if "mask" in chosen and view.mask:
        layers.append(view.mask[0])
        legend += [*([(t("map.masked"), "")] if legend else []), *view.mask[1]]
    return layers, legend


def choose_bands(bands: tuple[str, ...]) -> tuple[str, str, str]:
    """Three bands, as red, green and blue."""
    picked: list[str] = []
    for place, (column, colour) in enumerate(zip(st.columns(3), ("red", "green", "blue"), strict=True)):
        first = FIRST_BANDS[place] if FIRST_BANDS[place] in bands else bands[min(place, len(bands) - 1)]
        state.seed(f"band_{colour}", first, options=list(bands))
        with column:
            picked.append(
                st.selectbox(t(f"map.{colour}"), list(bands), key=f"band_{colour}", format_func=_band_title, **KEEP)
            )
    return picked[0], picked[1], picked[2]


def add_index(view: SceneView, layers: list[MapLayer], legend: list[tuple[str, str]]) -> None:
    """One index, and how its colours are to be read."""
    names = _indices(view.scene.bands)
    state.seed("shown_index", names[0], options=list(names))
    name = st.selectbox(t("map.which_index"), list(names), key="shown_index", format_func=_index_title, **KEEP)
    found = view.index(name)
    if found is None:
        st.caption(t("map.bar_empty", name=plain(name)))
        return
    layers.append(found.layer())
    legend += found.legend
    share = f"{PERCENTILES[1] - PERCENTILES[0]:g}"
    low, high = f"{found.low:.3g}", f"{found.high:.3g}"
    st.caption(plain(t("map.bar_caption", name=name, long=index_title(name), low=low, high=high, share=share)))


@cache
def _indices(bands: tuple[str, ...]) -> tuple[str, ...]:
    return available_indices(bands)


def _layer_title(key: str) -> str:
    return t(f"map.layer_{key}")


def _band_title(name: str) -> str:
    band = sensor_table()[name]
    return t("map.band_option", band=name, colour=band.colour, wavelength=band.wavelength)


def _index_title(name: str) -> str:
    return t("map.index_option", name=name, long=index_title(name))
