"""Which map to compare with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from s2dash.dashboard import state
from s2dash.dashboard.files import person_path
from s2dash.dashboard.language import t
from s2dash.pipeline import ReferenceSettings

FILE, WORLDCOVER = "file", "worldcover"
OWN_CODES = "own"
SCHEMES = {
    "worldcover": "ESA WorldCover",
    "esri_lulc": "Esri land cover",
    "dynamic_world": "Dynamic World",
    "corine": "CORINE",
}
KEEP: dict[str, Any] = {"persist_state": "session"}


def scheme_title(scheme: str) -> str:
    """What the classes of a reference are called; proper names are the same in every language."""
    return SCHEMES.get(scheme) or t("agreement.own_codes")


def choose_reference(run: str) -> None:
    """Compare with another map, in the background."""
    source = st.segmented_control(
        t("agreement.reference"),
        [FILE, WORLDCOVER],
        format_func=lambda one: t(f"agreement.source_{one}"),
        default=FILE,
        key="ref_source",
        required=True,
        **KEEP,
    )
    path = map_file = ""
    scheme, year = "worldcover", None
    if source == FILE:
        file, classes = st.columns([3, 2])
        path = file.text_input(t("agreement.raster"), key="ref_path", placeholder="/data/landcover.tif", **KEEP).strip()
        scheme = classes.selectbox(
            t("agreement.its_classes"), [*SCHEMES, OWN_CODES], format_func=scheme_title, key="ref_scheme", **KEEP
        )
        if scheme == OWN_CODES:
            map_file = st.text_input(
                t("agreement.map_file"),
                key="ref_map",
                placeholder="/data/about.json",
                help=t("agreement.map_file_help"),
                **KEEP,
            ).strip()
        ready = bool(path) and (scheme != OWN_CODES or bool(map_file))
    else:
        year, ready = st.selectbox(t("agreement.year"), [2021, 2020], key="ref_year", **KEEP), True
    if st.button(t("agreement.compare"), type="primary", key="compare", disabled=not ready or state.busy()):
        with state.said():
            if map_file:
                chosen = ReferenceSettings.from_map_file(person_path(path), Path(person_path(map_file)))
            else:
                chosen = ReferenceSettings(path=person_path(path), scheme=scheme, year=year)
            space = state.workspace()
            state.start_job(
                t("agreement.comparing"), lambda progress: space.compare_with(run, chosen, progress=progress)
            )
            st.rerun()
