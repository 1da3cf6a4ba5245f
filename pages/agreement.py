"""Agreement: how far the map agrees with a reference, and how far its clusters would let it."""

from __future__ import annotations

import json
from pathlib import Path

import streamlit as st

from s2dash.dashboard import state
from s2dash.dashboard.figures import ceiling_figure, class_figure, confusion_figure
from s2dash.dashboard.pictures import DISAGREEMENT_LEGEND
from s2dash.dashboard.texts import plain
from s2dash.dashboard.view import class_legend, disagreement_layer, landcover_layer, reference_layer
from s2dash.errors import S2DashError
from s2dash.pipeline import ReferenceSettings, RunResult

OWN_CODES = "its own codes (JSON file)"
SCHEMES = {
    "worldcover": "ESA WorldCover",
    "esri_lulc": "Esri land cover",
    "dynamic_world": "Dynamic World",
    "corine": "CORINE",
    OWN_CODES: OWN_CODES,
}
SCORES = {"overall": "Overall agreement", "kappa": "Kappa", "macro_f1": "Macro F1", "miou": "Mean IoU"}


def choose_reference(run: str) -> None:
    """Compare with another map."""
    source = st.segmented_control(
        "Reference", ["A file", "ESA WorldCover (internet)"], default="A file", key="ref_source"
    )
    path = map_file = ""
    scheme, year = "worldcover", None
    if source == "A file":
        path = st.text_input(
            "Land-cover raster", key="ref_path", persist_state="session", placeholder="/data/landcover.tif"
        )
        scheme = st.selectbox(
            "Its classes",
            list(SCHEMES),
            format_func=lambda name: SCHEMES[name],
            key="ref_scheme",
            persist_state="session",
        )
        if scheme == OWN_CODES:
            map_file = st.text_input(
                "JSON file: its code → WorldCover code",
                key="ref_map",
                persist_state="session",
                placeholder='{"1": 80, "2": 10}',
            )
    else:
        year = st.selectbox("Year", [2021, 2020], key="ref_year", persist_state="session")
    ready = (bool(path.strip()) and (scheme != OWN_CODES or bool(map_file.strip()))) or source != "A file"
    if not st.button("Compare", type="primary", disabled=not ready):
        return
    try:
        if map_file:
            chosen = ReferenceSettings.from_map_file(path.strip(), Path(map_file.strip()))
        else:
            chosen = ReferenceSettings(path=path.strip(), scheme=scheme, year=year)
        with st.spinner("Comparing …"):
            state.workspace().compare_with(run, chosen)
    except S2DashError as error:
        state.say_error(error)
    else:
        st.rerun()


def show(result: RunResult, run: str) -> None:
    """Scores, figures and the disagreement map."""
    found, reference = result.agreement, result.reference
    if found is None or reference is None:
        return
    report = found.to_json()
    st.caption(
        f"Image of {report['image_year'] or 'unknown year'} against **{plain(reference.title)}**"
        f"{f' of {reference.year}' if reference.year else ''} · {report['n']:,} pixels compared"
        f"{f' · {plain(reference.attribution)}' if reference.attribution else ''}"
    )
    if report.get("caution"):
        st.info(plain(report["caution"]), icon=":material/info:")
    for column, (key, title) in zip(st.columns(4), SCORES.items(), strict=True):
        ceiling = report["ceiling"][key] if report["ceiling"] else None
        column.metric(title, number(report[key]), help="Reached by the names the clusters have.")
        column.caption(f"ceiling {number(ceiling)}")
    if reference.unknown:
        codes = ", ".join(f"{code} ({count:,} pixels)" for code, count in reference.unknown.items())
        st.warning(f"Codes of the reference that are not known, and not scored: {codes}", icon=":material/warning:")
    st.subheader("What clustering costs, what naming costs")
    st.plotly_chart(ceiling_figure(report), key="ceiling")
    st.caption("The ceiling is what the same clusters would reach if each had the name that fits the reference best.")
    st.subheader("Where they differ")
    view = state.run_view()
    version = len(result.legend.events)
    named = state.kept_layer("landcover hidden", run, version, lambda: landcover_layer(result.landcover, shown=False))
    other = state.kept_layer(f"reference {reference.title}", run, 0, lambda: reference_layer(reference))
    differ = state.kept_layer(
        f"disagreement {reference.title}", run, version, lambda: disagreement_layer(result.landcover, reference)
    )
    base = [view.scene.layer("true colour")] if view.scene else []
    legend = [*DISAGREEMENT_LEGEND, *class_legend(result.legend.scheme, result.landcover.codes, reference.codes)]
    state.show_map([*base, other, named, differ], key=f"agreement {run}", legend=legend, legend_title="Disagreement")
    st.subheader("Which classes are confused")
    counts = st.segmented_control("Cells show", ["share of the row", "pixels"], default="share of the row", key="cells")
    st.plotly_chart(confusion_figure(report, counts=counts == "pixels"), key="confusion")
    st.subheader("Class by class")
    st.plotly_chart(class_figure(report), key="classes")
    percent = st.column_config.NumberColumn(format="percent")
    columns = {name: percent for name in ("producers", "users", "f1", "iou")}
    st.dataframe(report["classes"], hide_index=True, width="stretch", column_config=columns)
    st.download_button("Download agreement.json", json.dumps(report, indent=2), "agreement.json", "application/json")


def number(value: float | None) -> str:
    """Three digits, or a dash."""
    return "–" if value is None else f"{value:.3f}"


st.title("Agreement")
result, run = state.result(), state.run_id() or ""
if result.scene["kind"] == "simulated":
    st.warning(
        "This scene is **simulated**, and so is its reference: the figures say nothing of any real place.",
        icon=":material/science:",
    )
with st.expander("Compare with another map", expanded=result.reference is None, icon=":material/compare:"):
    choose_reference(run)
if result.reference is None:
    st.info("This map has not been compared with a reference yet.", icon=":material/fact_check:")
show(result, run)
