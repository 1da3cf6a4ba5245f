"""The form that says which scene to open, and how to read it."""

from __future__ import annotations

from datetime import date
from typing import Any

import streamlit as st

from pages.parts.search_form import search_form
from pages.parts.search_results import search_results
from s2dash.dashboard import state
from s2dash.dashboard.files import locate
from s2dash.dashboard.language import t
from s2dash.errors import S2DashError, UnnamedBandsError
from s2dash.masking import MaskRule
from s2dash.sources.load import SIMULATED
from s2dash.sources.request import SceneRequest

SOURCES = ["Path", "Upload", "Search", "Simulation"]
OFFSETS = {"auto": "auto", 0.0: "none", -0.1: "shifted"}
"""What can be chosen, and how the texts call it."""
SIZES = [256, 512, 1024, 2048]
YES_NO = [False, True]
FORM: dict[str, tuple[Any, Any]] = {  # field: first value, what it may be
    "source": (SOURCES[0], SOURCES),
    "location": ("", None),
    "scl": ("", None),
    "bands": ("", None),
    "offset": ("auto", list(OFFSETS)),
    "mask_dark": (False, YES_NO),
    "mask_unclassified": (False, YES_NO),
    "mask_snow": (False, YES_NO),
    "sim_size": (512, SIZES),
    "sim_seed": (0, range(10_000)),
    "sim_clouds": (5, range(81)),
}
KEEP: dict[str, Any] = {"persist_state": "session"}


def choose_scene() -> None:
    """The form; what it was last is there again after a restart."""
    st.subheader(t("imagery.choose"))
    saved = (state.recall("imagery") or {}) if "source" not in st.session_state else {}
    for key, (first, options) in FORM.items():
        state.seed(key, first, saved=saved.get(key), options=options)
    names = {name: t(f"imagery.from_{name}") for name in SOURCES}
    source = st.pills(
        t("imagery.from"),
        SOURCES,
        key="source",
        required=True,
        format_func=names.__getitem__,
        **KEEP,
    )
    if source == "Search":
        search_form()
    image, classes = choose_place(source)
    with st.expander(t("imagery.reading"), icon=":material/tune:"):
        chosen = choose_reading(known=source in ("Search", "Simulation"))
    if source == "Search":
        search_results(chosen["mask"])
        return
    if not st.button(t("imagery.open"), type="primary", disabled=not image, width="stretch"):
        return
    uploads = state.workspace().folder / "scenes" / "uploads"
    try:
        location = image if str(image).startswith(SIMULATED) else locate(image, uploads=uploads)
        state.show_scene(SceneRequest(location, scl=locate(classes, uploads=uploads), **chosen))
    except UnnamedBandsError as error:
        state.say_error(error)
        st.info(t("imagery.name_bands"), icon=":material/tune:")
    except S2DashError as error:
        state.say_error(error)
    else:
        state.remember("imagery", {key: st.session_state[key] for key in FORM if key in st.session_state})
        st.rerun()


def choose_place(source: str) -> tuple[Any, Any]:
    """Where the scene is, and its classification: text, or a file that was uploaded; nothing where it is searched."""
    if source == "Search":
        return "", ""
    if source == "Simulation":
        size = st.select_slider(t("imagery.size"), SIZES, key="sim_size", **KEEP)
        seed = st.number_input(t("imagery.seed"), 0, 9999, key="sim_seed", **KEEP)
        when = st.date_input(t("imagery.day"), date(2021, 7, 1), key="sim_day", **KEEP)
        clouds = st.slider(t("imagery.clouds"), 0, 80, key="sim_clouds", **KEEP)
        return f"simulated:size={size}x{size},seed={seed},day={when},clouds={clouds / 100}", ""
    if source == "Upload":
        image = st.file_uploader(t("imagery.upload"), ["tif", "tiff"], key="upload")
        return image, st.file_uploader(t("imagery.scl"), ["tif", "tiff", "jp2"], key="upload2")
    place = st.text_input(
        t("imagery.location"),
        key="location",
        placeholder="/data/scene.tif",
        help=t("imagery.location_help"),
        **KEEP,
    )
    return place.strip(), st.text_input(t("imagery.scl"), key="scl", placeholder="/data/scl.tif", **KEEP).strip()


def choose_reading(*, known: bool) -> dict[str, Any]:
    """Bands and offset, unless they are known, and mask."""
    chosen: dict[str, Any] = {}
    if not known:
        bands = st.text_input(t("imagery.bands"), key="bands", placeholder="B02, B03", **KEEP)
        chosen["bands"] = tuple(bands.replace(",", " ").split())
        offsets = {value: t(f"imagery.offset_{name}") for value, name in OFFSETS.items()}
        chosen["offset"] = st.selectbox(
            t("imagery.offset"),
            list(OFFSETS),
            key="offset",
            format_func=offsets.__getitem__,
            **KEEP,
        )
    st.caption(t("imagery.masked_always"))
    dark = st.checkbox(t("imagery.mask_dark"), key="mask_dark", help=t("imagery.mask_dark_help"), **KEEP)
    unclassified = st.checkbox(t("imagery.mask_unclassified"), key="mask_unclassified", **KEEP)
    snow = st.checkbox(t("imagery.mask_snow"), key="mask_snow", help=t("imagery.mask_snow_help"), **KEEP)
    return chosen | {"mask": MaskRule(mask_dark=dark, mask_unclassified=unclassified, mask_snow=snow)}
