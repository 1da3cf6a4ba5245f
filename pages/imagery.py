"""Area & imagery: which scene, how it was read, and what it looks like."""

from __future__ import annotations

from datetime import date
from typing import Any

import streamlit as st

from s2dash.dashboard import state
from s2dash.dashboard.files import locate
from s2dash.dashboard.texts import plain, scene_facts, scene_figures
from s2dash.dashboard.view import SceneView
from s2dash.errors import S2DashError, UnnamedBandsError
from s2dash.masking import MaskRule
from s2dash.sources.load import SIMULATED
from s2dash.sources.request import SceneRequest

SOURCES = ["Path", "Upload", "Simulation"]
OFFSETS = {"auto": "find out", 0.0: "none", -0.1: "−0.1 (baseline 04.00 and later)"}
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


def choose_place(source: str) -> tuple[Any, Any]:
    """Where the scene is, and its classification: text, or a file that was uploaded."""
    if source == "Simulation":
        size = st.select_slider("Size, pixels", SIZES, key="sim_size", **KEEP)
        seed = st.number_input("Seed", 0, 9999, key="sim_seed", **KEEP)
        when = st.date_input("Day", date(2021, 7, 1), key="sim_day", **KEEP)
        clouds = st.slider("Clouds, %", 0, 80, key="sim_clouds", **KEEP)
        return f"simulated:size={size}x{size},seed={seed},day={when},clouds={clouds / 100}", ""
    if source == "Upload":
        image = st.file_uploader("GeoTIFF with named bands", ["tif", "tiff"], key="upload")
        return image, st.file_uploader("Scene classification (SCL), if separate", ["tif", "tiff", "jp2"], key="upload2")
    place = st.text_input(
        "File or folder",
        key="location",
        placeholder="/data/scene.tif",
        help="A GeoTIFF stack, a folder with one file a band, or an unpacked .SAFE folder.",
        **KEEP,
    )
    separate = "Scene classification (SCL), if separate"
    return place.strip(), st.text_input(separate, key="scl", placeholder="/data/scl.tif", **KEEP).strip()


def choose_reading(simulated: bool) -> dict[str, Any]:
    """Bands, offset and mask."""
    chosen: dict[str, Any] = {}
    if not simulated:
        bands = st.text_input("Bands in file order, where it names none", key="bands", placeholder="B02, B03", **KEEP)
        chosen["bands"] = tuple(bands.replace(",", " ").split())
        named = OFFSETS.__getitem__
        chosen["offset"] = st.selectbox("Offset of reflectance", list(OFFSETS), key="offset", format_func=named, **KEEP)
    st.caption("Masked always: no data, saturated, cloud, cirrus, cloud shadow. Mask also:")
    dark = st.checkbox("dark areas", key="mask_dark", help="Hurts water and shaded forest.", **KEEP)
    unclassified = st.checkbox("unclassified", key="mask_unclassified", **KEEP)
    snow = st.checkbox("snow", key="mask_snow", help="Removes the snow class from the map.", **KEEP)
    return chosen | {"mask": MaskRule(mask_dark=dark, mask_unclassified=unclassified, mask_snow=snow)}


def choose() -> None:
    """The form; what it was last is there again after a restart."""
    saved = (state.recall("imagery") or {}) if "source" not in st.session_state else {}
    for key, (first, options) in FORM.items():
        state.seed(key, first, saved=saved.get(key), options=options)
    source = st.segmented_control("Scene from", SOURCES, key="source", required=True, **KEEP)
    image, classes = choose_place(source)
    with st.expander("How to read it", icon=":material/tune:"):
        chosen = choose_reading(source == "Simulation")
    if not st.button("Open scene", type="primary", disabled=not image, width="stretch"):
        return
    uploads = state.workspace().folder / "scenes" / "uploads"
    try:
        location = image if str(image).startswith(SIMULATED) else locate(image, uploads=uploads)
        state.show_scene(SceneRequest(location, scl=locate(classes, uploads=uploads), **chosen))
    except UnnamedBandsError as error:
        state.say_error(error)
        st.info("On this page: *How to read it* › *Bands in file order*.", icon=":material/tune:")
    except S2DashError as error:
        state.say_error(error)
    else:
        state.remember("imagery", {key: st.session_state[key] for key in FORM if key in st.session_state})
        st.rerun()


def show(view: SceneView) -> None:
    """The map, and the scene in figures."""
    about, provenance = view.about, view.scene.provenance
    layers = [view.layer(kind, shown=kind == view.composites[0]) for kind in reversed(view.composites)]
    layers += [view.mask[0]] if view.mask else []
    key, legend, credit = f"imagery {provenance.location}", view.mask[1] if view.mask else (), provenance.attribution
    state.show_map(layers, key=key, legend=legend, legend_title="Masked", attribution=credit)
    for column, (name, value) in zip(st.columns(4), scene_figures(about).items(), strict=True):
        column.metric(name, value)
    if about["scl"] is None:
        st.caption("There is no scene classification, so clouds, if there are any, are not masked.")


def details(view: SceneView) -> None:
    """How the scene was read, and where it is from."""
    about, radiometry = view.about, view.scene.radiometry
    (st.info if radiometry.certain else st.warning)(
        f"**Reflectance** ({plain(radiometry.rule)}): {plain(radiometry.evidence)}",
        icon=":material/straighten:" if radiometry.certain else ":material/warning:",
    )
    st.markdown("  \n".join(f"**{name}** {plain(fact)}" for name, fact in scene_facts(about).items()))
    for note in about["notes"]:
        st.caption(plain(note))
    if about["scl"]:
        with st.expander("Scene classification", icon=":material/filter_drama:"):
            table = [
                {"class": row["name"], "share": row["percent"] / 100, "masked": row["masked"]} for row in about["scl"]
            ]
            share = st.column_config.NumberColumn(format="percent")
            st.dataframe(table, hide_index=True, width="stretch", column_config={"share": share})


state.framed()
st.title("Area & imagery")
left, right = st.columns([2, 1], gap="medium")
with left:
    view = state.present_scene()
    if view is not None:
        state.subject(view.scene.provenance.title, simulated=view.scene.simulated)
        show(view)
with right:
    with st.container(border=True):
        st.subheader("Choose a scene")
        choose()
    if view is not None:
        details(view)
