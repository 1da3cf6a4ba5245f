"""Which map to compare with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from pages.parts.reference_mapping import edited_mapping
from s2dash.dashboard import state
from s2dash.dashboard.files import person_path
from s2dash.dashboard.language import t
from s2dash.dashboard.reference_mapping import OWN_CODES, SCHEMES
from s2dash.errors import S2DashError
from s2dash.pipeline import ReferenceSettings

FILE, WORLDCOVER = "file", "worldcover"
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
    if source == FILE:
        chosen = from_file()
    else:
        year = st.selectbox(t("agreement.year"), [2021, 2020], key="ref_year", **KEEP)
        chosen = ReferenceSettings(year=year)
    if st.button(t("agreement.compare"), type="primary", key="compare", disabled=chosen is None or state.busy()):
        with state.said():
            if isinstance(chosen, S2DashError):
                raise chosen
            assert chosen is not None
            settings, space = chosen, state.workspace()
            state.start_job(
                t("agreement.comparing"), lambda progress: space.compare_with(run, settings, progress=progress)
            )
            st.rerun()


def from_file() -> ReferenceSettings | S2DashError | None:
    """A raster or polygons on disk with what their values mean; None before there is a path, or why it cannot be."""
    file, classes = st.columns([3, 2])
    path = file.text_input(
        t("agreement.raster"),
        key="ref_path",
        placeholder="/data/landcover.tif",
        help=t("agreement.raster_help"),
        **KEEP,
    ).strip()
    scheme = classes.selectbox(
        t("agreement.its_classes"), [*SCHEMES, OWN_CODES], format_func=scheme_title, key="ref_scheme", **KEEP
    )
    map_file = ""
    if scheme == OWN_CODES:
        map_file = st.text_input(
            t("agreement.map_file"),
            key="ref_map",
            placeholder="/data/about.json",
            help=t("agreement.map_file_help"),
            **KEEP,
        ).strip()
    if not path:
        return None
    try:
        if map_file:
            settings = ReferenceSettings.from_map_file(person_path(path), Path(person_path(map_file)))
        else:
            settings = ReferenceSettings(path=person_path(path), scheme=scheme)
    except S2DashError as error:
        return error  # said when it is to be used: a person may still be typing
    return edited_mapping(settings)
