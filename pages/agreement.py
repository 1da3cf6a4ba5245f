"""Agreement: how far the map agrees with a reference, and how far its clusters would let it."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from pages.parts.agreement_by import agreement_by
from pages.parts.agreement_map import disagreement_map, matrix
from pages.parts.area_table import areas
from pages.parts.charts import chart, kept, picture_kind
from pages.parts.choose_reference import choose_reference
from pages.parts.point_agreement import point_agreement
from s2dash.comparison import Agreement
from s2dash.confused_pairs import joint_area
from s2dash.dashboard import state
from s2dash.dashboard.agreement_figures import SCORES, ceiling_figure, class_figure
from s2dash.dashboard.agreement_tables import ceiling_rows, class_rows
from s2dash.dashboard.agreement_words import cautions, class_names, compared_line
from s2dash.dashboard.correction_texts import ceiling_note
from s2dash.dashboard.language import t
from s2dash.dashboard.texts import plain
from s2dash.pipeline import RunResult
from s2dash.reference import Reference


def number(value: float | None) -> str:
    """Three digits, or a dash."""
    return "–" if value is None else f"{value:.3f}"


def scores(report: dict[str, Any], result: RunResult, reference: Reference, present: set[int]) -> None:
    """What is compared, how to read it, the scores, and their ceiling."""
    st.caption(plain(compared_line(report, reference)))
    if result.scene["kind"] == "simulated" and reference.worldcover_year is None:
        st.info(t("agreement.simulated_truth"), icon=":material/science:")
    else:
        read = cautions(report, reference, scheme=result.landcover.scheme, present=present)
        st.info(plain(" ".join(read)), icon=":material/info:")
    for column, key in zip(st.columns(len(SCORES)), SCORES, strict=True):
        best = report["ceiling"]
        ceiling = t("agreement.ceiling_is", value=number(best[key])) if best else None
        column.metric(t(f"figures.{key}"), number(report[key]), ceiling, delta_color="off", delta_arrow="off")
    for note in reference.notes:
        st.caption(plain(note))


def show(result: RunResult, found: Agreement, reference: Reference, run: str) -> None:
    """Everything there is to see of a comparison."""
    report = found.to_json()
    scheme, landcover = result.landcover.scheme, result.landcover
    counted = state.kept("joint", lambda: joint_area(reference.codes, landcover.codes, grid=landcover.grid))
    joint = state.kept("joint folded", lambda: counted.folded(scheme.counted_table))
    names = class_names(scheme)
    scores(report, result, reference, set(counted.mapped_ha))
    heading, save = st.columns([3, 2], vertical_alignment="bottom")
    heading.subheader(t("agreement.costs"))
    with save:
        picture_kind()
    chart("ceiling", lambda: (ceiling_figure(report), ceiling_rows(report)))
    st.caption(t("agreement.costs_help"))
    if note := ceiling_note(result):
        st.caption(note)
    matrix(report, joint, names, run)
    st.subheader(t("agreement.where_differ"))
    disagreement_map(result, reference, joint, names, run)
    st.subheader(t("agreement.by_class"))
    chart("classes", lambda: (class_figure(report, names=names), class_rows(report, names)))
    rows = kept("class rows", lambda: class_rows(report, names))
    share = st.column_config.NumberColumn(format="%.3f")
    formats = {t(f"figures.{key}"): share for key in ("producers", "users", "f1", "iou")}
    st.dataframe(rows, hide_index=True, width="stretch", column_config=formats, placeholder="–")
    areas(result, reference, joint, names)
    agreement_by(result, reference, names)
    point_agreement(result)
    st.download_button(
        t("agreement.json"),
        json.dumps(report, indent=2),
        "agreement.json",
        "application/json",
        icon=":material/download:",
        on_click="ignore",
    )


state.framed()
st.title(t("agreement.title"))
result, run = state.result(), state.run_id() or ""
state.subject(str(result.scene["title"]), simulated=result.scene["kind"] == "simulated")
with st.expander(t("agreement.compare_with"), expanded=result.reference is None, icon=":material/compare:"):
    choose_reference(run)
if result.agreement is None or result.reference is None:
    st.info(t("agreement.not_compared"), icon=":material/fact_check:")
else:
    show(result, result.agreement, result.reference, run)
