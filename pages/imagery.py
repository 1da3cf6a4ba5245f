"""Area & imagery: which scene, how it was read, and what it looks like."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal

import streamlit as st

from s2dash.dashboard import state
from s2dash.dashboard.texts import plain
from s2dash.dashboard.view import SceneView
from s2dash.errors import S2DashError
from s2dash.masking import MaskRule
from s2dash.names import safe_name
from s2dash.sources.request import SceneRequest

OFFSETS: list[float | Literal["auto"]] = ["auto", 0.0, -0.1]
OFFSET_TITLES = {"auto": "find out", 0.0: "none", -0.1: "−0.1 (baseline 04.00 and later)"}


def mask_controls() -> MaskRule:
    """Which SCL classes to mask besides clouds."""
    st.caption("Masked always: no data, saturated, cloud, cirrus, cloud shadow. Mask also:")
    dark = st.checkbox("dark areas", key="mask_dark", persist_state="session", help="Hurts water and shaded forest.")
    unclassified = st.checkbox("unclassified", key="mask_unclassified", persist_state="session")
    snow = st.checkbox("snow", key="mask_snow", persist_state="session", help="Removes the snow class from the map.")
    return MaskRule(mask_dark=dark, mask_unclassified=unclassified, mask_snow=snow)


def saved_upload(upload: object, folder: Path) -> str:
    """Keep an uploaded file in the workspace; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / safe_name(upload.name)  # type: ignore[attr-defined]
    path.write_bytes(upload.getbuffer())  # type: ignore[attr-defined]
    return str(path)


def choose_scene() -> None:
    """The three ways to a scene."""
    source = st.segmented_control(
        "Scene from",
        ["This computer", "Upload", "Simulation"],
        default="This computer",
        key="source",
        persist_state="session",
    )
    location = scl = ""
    if source == "Simulation":
        size = st.select_slider(
            "Size, pixels", [256, 512, 1024, 2048], value=512, key="sim_size", persist_state="session"
        )
        seed = st.number_input("Seed", 0, 9999, 0, key="sim_seed", persist_state="session")
        day = st.date_input("Day", date(2021, 7, 1), key="sim_day", persist_state="session")
        clouds = st.slider("Clouds, %", 0, 80, 5, key="sim_clouds", persist_state="session")
        location = f"simulated:size={size}x{size},seed={seed},day={day},clouds={clouds / 100}"
    elif source == "Upload":
        upload = st.file_uploader("GeoTIFF with named bands", type=["tif", "tiff"], key="upload")
        scl_upload = st.file_uploader(
            "Scene classification (SCL), if separate", type=["tif", "tiff", "jp2"], key="upload_scl"
        )
        folder = state.workspace().folder / "scenes" / "uploads"
        location = saved_upload(upload, folder) if upload else ""
        scl = saved_upload(scl_upload, folder) if scl_upload else ""
    else:
        location = st.text_input(
            "File or folder",
            key="location",
            persist_state="session",
            placeholder="/data/scene.tif, a folder of bands, or a .SAFE folder",
        )
        scl = st.text_input("Scene classification (SCL), if in a file of its own", key="scl", persist_state="session")
    with st.expander("How to read it"):
        bands = st.text_input(
            "Bands in file order, where the file names none", key="bands", placeholder="B02,B03,B04,B08"
        )
        offset = st.selectbox(
            "Offset of reflectance",
            OFFSETS,
            key="offset",
            persist_state="session",
            format_func=lambda value: OFFSET_TITLES[value],
        )
        mask = mask_controls()
    if st.button("Open scene", type="primary", disabled=not location.strip(), width="stretch"):
        names = tuple(name.strip() for name in bands.split(",") if name.strip())
        asked = SceneRequest(location.strip(), scl=scl.strip(), bands=names, offset=offset, mask=mask)
        try:
            state.show_scene(asked)
        except S2DashError as error:
            state.say_error(error)


def headline(view: SceneView) -> None:
    """The scene in three figures."""
    about = view.about
    st.subheader(plain(view.scene.provenance.title))
    if view.scene.simulated:
        st.warning("This scene is **simulated**: it shows no real place.", icon=":material/science:")
    one, two, three = st.columns(3)
    one.metric("Clear", f"{about['clear_percent']:.1f} %", help="Share of the pixels with data that no cloud hides.")
    two.metric("Area", f"{about['area_km2']:.1f} km²")
    three.metric("Date", str(about["acquired"] or "unknown"))


def details(view: SceneView) -> None:
    """How the scene was read, and where it is from."""
    about = view.about
    sure = view.scene.radiometry.certain
    (st.info if sure else st.warning)(
        f"**Reflectance** ({plain(view.scene.radiometry.rule)}): {plain(view.scene.radiometry.evidence)}",
        icon=":material/straighten:" if sure else ":material/warning:",
    )
    rows = {
        "Size": f"{about['width']} × {about['height']} pixels of {about['pixel_size_m']:.0f} m",
        "Bands": ", ".join(about["bands"]),
        "Missing": ", ".join(about["missing"]) or "none",
        "Reference system": about["crs"],
        "Product": about["product"] or "–",
        "Source": about["location"],
    }
    st.markdown("\n".join(f"- **{name}:** {plain(value)}" for name, value in rows.items()))
    for note in about["notes"]:
        st.caption(plain(note))


st.title("Area & imagery")
left, right = st.columns([2, 1], gap="large")
with right, st.container(border=True):
    st.subheader("Choose a scene")
    choose_scene()
view = state.present_scene()
with left:
    if view is None:
        st.info("Choose a scene on the right.", icon=":material/satellite_alt:")
    else:
        headline(view)
        layers = [view.layer("false colour", shown=False), view.layer("true colour")]
        state.show_map(
            layers, key=f"imagery {view.scene.provenance.location}", attribution=view.scene.provenance.attribution
        )
if view is not None:
    with right:
        details(view)
