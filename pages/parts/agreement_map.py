"""Which classes are confused, and where: the matrix, a confusion picked from it, its pixels and its clusters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.parts.charts import chart, kept
from pages.parts.probe import CLICKED, probe_panel
from pages.parts.split import split
from s2dash.colours import scheme_colours
from s2dash.confused_pairs import ConfusedPair, JointArea, confused_pairs, pair_clusters
from s2dash.dashboard import state
from s2dash.dashboard.agreement_figures import CELLS_SHOW, PICKED_COLOUR, confusion_figure, pair_at
from s2dash.dashboard.agreement_layers import WarpedComparison, disagreement_legend
from s2dash.dashboard.agreement_tables import confusion_rows, matrix_hectares, pair_cluster_rows, pair_rows
from s2dash.dashboard.agreement_words import pair_line
from s2dash.dashboard.language import t
from s2dash.dashboard.texts import plain
from s2dash.pipeline import RunResult
from s2dash.reference import Reference
from s2dash.schemes import UNDECIDED

EVERYTHING = ""
"""Choice of all differences; a confusion is chosen as `map code-reference code`."""
MATRIX = "confusion"
LINKED = 5
"""Clusters of a confusion that are linked at most."""


def pick_cell(report: Mapping[str, Any], run: str) -> None:
    """What a click on a cell does: the list below follows."""
    points = st.session_state[f"{MATRIX} {run}"]["selection"]["points"]
    pair = pair_at(report, int(points[0]["point_index"])) if points else None
    st.session_state[f"pair {run}"] = f"{pair[0]}-{pair[1]}" if pair else EVERYTHING


def matrix(report: Mapping[str, Any], joint: JointArea, names: Mapping[int, str], run: str) -> None:
    """The confusion matrix; its cells can be clicked."""
    title, choice = split("matrix", [3, 2], align="bottom")
    title.subheader(t("agreement.confused"))
    cells = choice.segmented_control(
        t("agreement.cells_show"),
        CELLS_SHOW,
        default=CELLS_SHOW[0],
        format_func=lambda one: t(f"agreement.cells_{one}"),
        key="cells",
        required=True,
        persist_state="session",
    )

    def make() -> tuple[Any, Any]:
        areas = matrix_hectares(report, joint)
        figure = confusion_figure(report, names=names, cells=cells, hectares=areas, pickable=True)
        return figure, confusion_rows(report, joint, names)

    chart(
        MATRIX,
        make,
        of=cells,
        key=f"{MATRIX} {run}",
        on_select=lambda: pick_cell(report, run),
        selection_mode="points",
    )
    st.caption(t("agreement.click_cell"))


def picked_pair(joint: JointArea, names: Mapping[int, str], run: str) -> ConfusedPair | None:
    """The confusion that a person picked; None for all differences."""
    pairs = kept("pairs", lambda: confused_pairs(joint))
    known = {f"{pair.mapped}-{pair.reference}": pair for pair in pairs}
    key = f"pair {run}"
    if (asked := st.session_state.get(key)) and asked not in known:  # where both agree, or what has gone since
        mapped, reference = (int(code) for code in asked.split("-"))
        pair = joint.pair(mapped, reference)
        known |= {asked: pair} if pair.pixels else {}
    state.seed(key, EVERYTHING, options=[EVERYTHING, *known])
    lines = {EVERYTHING: t("agreement.everything"), **{at: pair_line(pair, names) for at, pair in known.items()}}
    picked = st.selectbox(t("agreement.show_on_map"), list(lines), format_func=lines.__getitem__, key=key)
    if not pairs:
        st.caption(t("agreement.none_differ"))
    return known.get(picked or EVERYTHING)


def disagreement_map(
    result: RunResult, reference: Reference, joint: JointArea, names: Mapping[int, str], run: str
) -> None:
    """Where the two maps differ, or where the confusion that was picked lies, and in which clusters."""
    view = state.run_view(result)
    scheme = result.landcover.scheme
    both = state.kept("warped comparison", lambda: WarpedComparison.of(result.landcover, reference))
    layers = [
        *view.base(),
        view.layer(shown=False),
        *kept("comparison layers", lambda: [both.reference_layer(reference.title), both.landcover_layer()]),
    ]
    pair = picked_pair(joint, names, run)
    codes = {*joint.mapped_ha, *joint.reference_ha}
    colours = scheme_colours(scheme)
    classes = [(names[code], colours[code]) for code in scheme.codes if code in codes]
    if pair is None:
        layers.append(kept("disagreement", lambda: both.disagreement_layer()))
        legend = disagreement_legend()[: 3 if UNDECIDED in codes else 2]
        title = t("agreement.map_title")
    else:
        at = f"{pair.mapped} {pair.reference}"
        layers.append(kept(f"pair layer {at}", lambda: both.pair_layer(mapped=pair.mapped, reference=pair.reference)))
        legend, title = [(pair_line(pair, names), PICKED_COLOUR)], t("agreement.map_title_pair")
    credit = str(result.scene["attribution"])
    legend = [*legend, (t("agreement.classes_both"), ""), *classes]
    options: dict[str, Any] = {"legend": legend, "legend_title": title, "attribution": credit}
    did = state.show_map(layers, key=f"agreement {run}", returned=(CLICKED,), **options)
    probe_panel(did.get(CLICKED), result, view.scene)
    if pair is not None:
        clusters_of(result, reference, pair, names, run)
    with st.expander(t("agreement.all_confusions"), icon=":material/list:"):
        share = st.column_config.NumberColumn(format="percent")
        columns = {t("agreement.of_compared"): share, t("agreement.of_differing"): share}
        pairs = kept("pairs", lambda: confused_pairs(joint))
        st.dataframe(pair_rows(pairs, names), hide_index=True, width="stretch", column_config=columns)


def clusters_of(
    result: RunResult, reference: Reference, pair: ConfusedPair, names: Mapping[int, str], run: str
) -> None:
    """The clusters that the picked confusion comes from, each with the way to its label."""
    parts = state.kept(
        f"clusters of {pair.mapped} {pair.reference}",
        lambda: pair_clusters(
            result.clusters.labels,
            result.landcover.codes,
            reference.codes,
            pair=pair,
            table=result.landcover.scheme.counted_table,
        ),
    )
    st.markdown(f"**{t('agreement.pair_clusters')}** · {plain(pair_line(pair, names))}")
    share = st.column_config.NumberColumn(format="percent")
    columns = {t("agreement.of_pair"): share, t("agreement.of_cluster"): share}
    st.dataframe(pair_cluster_rows(parts[:LINKED]), hide_index=True, width="stretch", column_config=columns)
    if len(parts) > LINKED:
        left = sum(part.of_pair for part in parts[LINKED:])
        st.caption(t("agreement.pair_rests", share=f"{100 * left:.1f}", clusters=len(parts) - LINKED))
    st.caption(t("agreement.open_labels"))
    with st.container(horizontal=True):
        for part in parts[:LINKED]:
            st.page_link(
                "pages/labels.py",
                label=f"{t('agreement.cluster')} {part.cluster}",
                icon=":material/label:",
                query_params={"run": run, "cluster": str(part.cluster)},
            )
