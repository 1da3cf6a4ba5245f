"""Agreement: how far the map agrees with a reference, and how far its clusters would let it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import streamlit as st

from s2dash.comparison import Agreement
from s2dash.dashboard import state
from s2dash.dashboard.figures import ceiling_figure, class_figure, confusion_figure
from s2dash.dashboard.files import person_path
from s2dash.dashboard.pictures import DISAGREEMENT_LEGEND
from s2dash.dashboard.texts import comparison, plain
from s2dash.dashboard.view import disagreement_layer, named_legend, reference_layer
from s2dash.naming_scores import naming_scores
from s2dash.pipeline import ReferenceSettings, RunResult
from s2dash.reference import Reference

SOURCES = ["A file", "ESA WorldCover (internet)"]
OWN_CODES = "own"
SCHEMES = {
    "worldcover": "ESA WorldCover",
    "esri_lulc": "Esri land cover",
    "dynamic_world": "Dynamic World",
    "corine": "CORINE",
    OWN_CODES: "its own codes (JSON file)",
}
SCORES = {"overall": "Overall agreement", "kappa": "Kappa", "macro_f1": "Macro-F1", "miou": "mIoU"}
COLUMNS = {
    "code": "Code",
    "name": "Class",
    "producers": "Producer's",
    "users": "User's",
    "f1": "F1",
    "iou": "IoU",
    "support": "Pixels in the reference",
    "mapped": "Pixels in the map",
}
KEEP: dict[str, Any] = {"persist_state": "session"}


def choose_reference(run: str) -> None:
    """Compare with another map, in the background."""
    source = st.segmented_control("Reference", SOURCES, default=SOURCES[0], key="ref_source", required=True, **KEEP)
    path = map_file = ""
    scheme, year = "worldcover", None
    if source == SOURCES[0]:
        file, classes = st.columns([3, 2])
        path = file.text_input("Land-cover raster", key="ref_path", placeholder="/data/landcover.tif", **KEEP).strip()
        named = SCHEMES.__getitem__
        scheme = classes.selectbox("Its classes", list(SCHEMES), format_func=named, key="ref_scheme", **KEEP)
        if scheme == OWN_CODES:
            map_file = st.text_input(
                "JSON file: its code → WorldCover code",
                key="ref_map",
                placeholder="/data/about.json",
                help='An object such as {"1": 80, "2": 10}, at the top or under reference.to_worldcover.',
                **KEEP,
            ).strip()
        ready = bool(path) and (scheme != OWN_CODES or bool(map_file))
    else:
        year, ready = st.selectbox("Year", [2021, 2020], key="ref_year", **KEEP), True
    if st.button("Compare", type="primary", disabled=not ready or state.busy()):
        with state.said():
            if map_file:
                chosen = ReferenceSettings.from_map_file(person_path(path), Path(person_path(map_file)))
            else:
                chosen = ReferenceSettings(path=person_path(path), scheme=scheme, year=year)
            space = state.workspace()
            state.start_job("Comparing", lambda progress: space.compare_with(run, chosen, progress=progress))
            st.rerun()


def number(value: float | None) -> str:
    """Three digits, or a dash."""
    return "–" if value is None else f"{value:.3f}"


def scores(report: dict[str, Any], reference: Reference, *, simulated: bool) -> None:
    """What is compared, the scores, and their ceiling."""
    st.caption(plain(comparison(report, reference)))
    if report.get("caution") and not simulated:  # simulated truth has no errors of its own
        st.info(plain(report["caution"]), icon=":material/info:")
    for column, (key, title) in zip(st.columns(4), SCORES.items(), strict=True):
        ceiling = f"ceiling {number(report['ceiling'][key])}" if report["ceiling"] else None
        column.metric(title, number(report[key]), ceiling, delta_color="off", delta_arrow="off")
    for note in reference.notes:
        st.caption(plain(note))


def naming(result: RunResult) -> None:
    """Every annotator by itself, shown which cards."""
    found = state.kept("naming", lambda: naming_scores(result))
    if not found:
        return
    st.subheader("Who names best")
    ceiling = result.agreement.ceiling.overall if result.agreement and result.agreement.ceiling else None
    rows = [
        {
            "Annotator": one.annotator,
            "Model": one.model,
            "Shown": one.style or "figures",
            "Named": f"{one.answered} of {one.asked}",
            "Overall agreement": one.overall,
            "Of the ceiling": one.overall / ceiling if ceiling else None,
            "Mean IoU": one.miou,
        }
        for one in found
    ]
    share = st.column_config.NumberColumn(format="%.3f")
    columns = dict.fromkeys(("Overall agreement", "Of the ceiling", "Mean IoU"), share)
    st.dataframe(rows, hide_index=True, width="stretch", column_config=columns, placeholder="–")
    st.caption("Each annotator's answers as a map of their own, without votes and without what people decided.")


def disagreement_map(result: RunResult, reference: Reference, run: str) -> None:
    """Where the two maps differ."""
    view = state.run_view(result)
    named = state.kept("hidden landcover", lambda: view.landcover_layer(result.legend, shown=False))
    other = state.kept("reference", lambda: reference_layer(reference))
    differ = state.kept("disagreement", lambda: disagreement_layer(result.landcover, reference))
    classes = state.kept("both classes", lambda: named_legend(result.legend, reference))
    legend = [*DISAGREEMENT_LEGEND[:2], ("Classes of both maps", ""), *classes]
    layers, credit = [*view.base(), other, named, differ], str(result.scene["attribution"])
    state.show_map(layers, key=f"agreement {run}", legend=legend, legend_title="Disagreement", attribution=credit)


def show(result: RunResult, found: Agreement, reference: Reference, run: str) -> None:
    """Scores, figures and the disagreement map."""
    report = found.to_json()
    scores(report, reference, simulated=result.scene["kind"] == "simulated")
    st.subheader("What clustering costs, what naming costs")
    st.plotly_chart(state.kept("ceiling", lambda: ceiling_figure(report)), key="ceiling")
    st.caption("The ceiling is what the same clusters would reach if each had the name that fits the reference best.")
    st.subheader("Where they differ")
    disagreement_map(result, reference, run)
    title, choice = st.columns([3, 2], vertical_alignment="bottom")
    title.subheader("Which classes are confused")
    cells = ["share of the row", "pixels"]
    counts = choice.segmented_control("Cells show", cells, default=cells[0], key="cells", required=True, **KEEP)
    by_pixels = counts == cells[1]
    confusion = state.kept(f"confusion {by_pixels}", lambda: confusion_figure(report, counts=by_pixels))
    st.plotly_chart(confusion, key="confusion")
    st.subheader("Class by class")
    st.plotly_chart(state.kept("class by class", lambda: class_figure(report)), key="classes")
    rows = [{title: row[key] for key, title in COLUMNS.items()} for row in report["classes"]]
    share = st.column_config.NumberColumn(format="%.3f")
    formats = {COLUMNS[key]: share for key in ("producers", "users", "f1", "iou")}
    st.dataframe(rows, hide_index=True, width="stretch", column_config=formats, placeholder="–")
    naming(result)
    st.download_button(
        "Download agreement.json",
        json.dumps(report, indent=2),
        "agreement.json",
        "application/json",
        icon=":material/download:",
        on_click="ignore",
    )


state.framed()
st.title("Agreement")
result, run = state.result(), state.run_id() or ""
state.subject(str(result.scene["title"]), simulated=result.scene["kind"] == "simulated")
with st.expander("Compare with another map", expanded=result.reference is None, icon=":material/compare:"):
    choose_reference(run)
if result.agreement is None or result.reference is None:
    st.info("This map has not been compared with a reference yet.", icon=":material/fact_check:")
else:
    show(result, result.agreement, result.reference, run)
