"""How far the map agrees with reference points that people collected: a second reference."""

from __future__ import annotations

import streamlit as st

from s2dash.dashboard import state
from s2dash.dashboard.correction_texts import code_name
from s2dash.dashboard.language import t
from s2dash.dashboard.texts import plain
from s2dash.pipeline import RunResult
from s2dash.point_agreement import PointAgreement
from s2dash.point_agreement import point_agreement as compare
from s2dash.reference_points import reference_points


def point_agreement(result: RunResult) -> None:
    """Agreement with the points that people chose; says where those drawn by chance are used."""
    points = reference_points(result.map_edits, scheme=result.legend.scheme)
    chosen = [point for point in points if point.origin != "sample"]
    judged = len(points) - len(chosen)
    st.subheader(t("points.agreement"))
    if not points:
        st.caption(t("points.none"))
        return
    if not chosen:
        st.caption(t("points.only_judged", count=judged))
        return
    with state.said():
        found = state.kept("agreement with points", lambda: compare(result.landcover, chosen))
        figures(result, found)
    if judged:
        st.caption(t("points.judged", count=judged))


def figures(result: RunResult, found: PointAgreement) -> None:
    """The share, how the points came about, and what is confused with what."""
    figure, words = st.columns([1, 3], vertical_alignment="center")
    figure.metric(t("points.agreement_n", count=found.n), f"{found.overall:.3f}")
    how = ", ".join(
        t("points.how_clicked" if origin == "click" else "points.how_file", count=count)
        for origin, count in sorted(found.origins.items())
    )
    words.caption(plain(t("points.caution", how=how)))
    if found.replaced:
        words.caption(t("points.replaced", count=found.replaced))
    if found.outside:
        words.caption(t("points.no_data", count=found.outside))
    confusion = found.confusion
    names = [code_name(result, code) for code in confusion.codes]
    undecided = [code_name(result, 255)] if any(confusion.undecided) else []
    rows = [
        {t("points.says"): name, **dict(zip([*names, *undecided], [*row, left], strict=False))}
        for name, row, left in zip(names, confusion.matrix, confusion.undecided, strict=True)
    ]
    st.dataframe(rows, hide_index=True, width="stretch")
    st.caption(t("points.confusion"))
