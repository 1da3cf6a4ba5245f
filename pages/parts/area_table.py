"""How large the classes are: counted in map and reference, estimated from a sample, and by what people judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.parts.charts import chart, kept
from s2dash.area_estimate import AreaEstimate, Estimate, estimate_areas, sampled_counts
from s2dash.colours import scheme_colours
from s2dash.confused_pairs import JointArea
from s2dash.dashboard import state
from s2dash.dashboard.agreement_by_figures import areas_figure
from s2dash.dashboard.agreement_tables import Row, area_rows, csv_bytes, estimate_rows
from s2dash.dashboard.chart import hectares_text
from s2dash.dashboard.language import t
from s2dash.dashboard.texts import plain
from s2dash.judged_sample import JudgedSample, judged_samples
from s2dash.pipeline import RunResult
from s2dash.reference import Reference
from s2dash.schemes import UNDECIDED

SAMPLE, LEAST, MOST = 500, 50, 5000
"""Pixels drawn: at first, at least, at most."""


def areas(result: RunResult, reference: Reference, joint: JointArea, names: Mapping[int, str]) -> None:
    """Area of every class three ways."""
    st.subheader(t("area_estimate.title"))
    simulated = result.scene["kind"] == "simulated"
    about = t("area_estimate.simulated") if simulated else t("area_estimate.reference_errors")
    st.caption(f"{t('area_estimate.exact', ha=hectares_text(joint.total_ha))} {about}")
    size, seed, _ = st.columns([1, 1, 2])
    n = size.number_input(
        t("area_estimate.size"), LEAST, MOST, SAMPLE, step=50, key="area_sample", persist_state="session"
    )
    drawn = seed.number_input(t("area_estimate.seed"), 0, 2**31 - 1, 0, key="area_seed", persist_state="session")
    estimate = state.kept(
        f"area estimate {n} {drawn}",
        lambda: estimate_areas(sampled_counts(joint.pixels, n=int(n), seed=int(drawn)), stratum_ha=joint.mapped_ha),
    )
    order = [*result.landcover.scheme.codes, UNDECIDED]
    mapped, expected = joint.mapped_ha, joint.reference_ha

    def rows() -> list[Row]:
        return area_rows(mapped, expected, order=order, names=names, estimate=estimate)

    def make() -> tuple[Any, list[Row]]:
        colours = scheme_colours(result.landcover.scheme)
        figure = areas_figure(mapped, expected, order=order, names=names, colours=colours, estimate=estimate)
        return figure, rows()

    chart("areas", make, of=f"{n} {drawn}")
    st.caption(plain(t("area_estimate.sample_is", n=estimate.n, seed=drawn, reference=reference.title)))
    said = result.agreement.overall if result.agreement else 0.0
    exact, value = f"{said:.3f}", f"{estimate.overall.value:.3f}"
    if estimate.overall.half:
        half = f"{estimate.overall.half:.3f}"
        st.caption(t("area_estimate.sample_overall", value=value, half=half, exact=exact))
    else:
        st.caption(t("area_estimate.sample_overall_bare", value=value, exact=exact))
    st.dataframe(
        kept(f"area rows {n} {drawn}", rows),
        hide_index=True,
        width="stretch",
        column_config=numbers(kept(f"area rows {n} {drawn}", rows), "%.1f"),
        placeholder="–",
    )
    gaps(estimate, names)
    for judged in state.kept("judged samples", lambda: judged_samples(result.landcover, result.map_edits)):
        check_points(judged, names)


def check_points(judged: JudgedSample, names: Mapping[int, str]) -> None:
    """What people found at places drawn by chance: the only figures here that are about the ground."""
    overall: Estimate = judged.estimate.overall
    who = ", ".join(judged.who) or t("area_estimate.nobody")
    said = {"n": judged.judged, "who": plain(who), "value": f"{overall.value:.3f}"}
    st.markdown(f"**{t('area_estimate.points')}**")
    if overall.half:
        st.markdown(t("area_estimate.points_is_half", half=f"{overall.half:.3f}", **said))
    else:
        st.markdown(t("area_estimate.points_is", **said))
    if left := len(judged.design.points) - judged.judged:
        st.caption(t("area_estimate.points_left", n=left, all=len(judged.design.points)))
    if judged.moved:
        st.caption(t("area_estimate.points_old", n=judged.moved))
    gaps(judged.estimate, names)
    rows = estimate_rows(judged.estimate, names)
    st.dataframe(rows, hide_index=True, width="stretch", column_config=numbers(rows, "%.3g"), placeholder="–")
    name = f"check-points-{judged.design.seq}.csv"
    st.download_button(
        t("agreement.csv"), csv_bytes(rows), name, "text/csv", key=f"csv {name}", icon=":material/download:",
        help=t("agreement.csv_help"), type="tertiary", on_click="ignore",
    )  # fmt: skip
    st.caption(t("area_estimate.points_people"))


def gaps(estimate: AreaEstimate, names: Mapping[int, str]) -> None:
    """What the sample cannot say."""
    if estimate.thin:
        listed = ", ".join(plain(names.get(code, str(code))) for code in estimate.thin)
        st.caption(t("area_estimate.map_note", names=listed))
    if estimate.unsampled:
        listed = ", ".join(plain(names.get(code, str(code))) for code in estimate.unsampled)
        st.caption(t("area_estimate.unsampled", names=listed))


def numbers(rows: list[Row], form: str) -> dict[str, Any]:
    """How columns of fractions are written."""
    fractions = {key for row in rows for key, value in row.items() if isinstance(value, float)}
    return {key: st.column_config.NumberColumn(format=form) for key in fractions}
