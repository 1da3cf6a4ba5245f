"""Where agreement comes from: cluster by cluster, annotator by annotator, and by how unanimous the vote was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.parts.charts import chart, kept
from s2dash.agreement_by import agreement_by_cluster, agreement_by_vote
from s2dash.colours import scheme_colours
from s2dash.dashboard import state
from s2dash.dashboard.agreement_by_figures import cluster_agreement_figure, vote_agreement_figure
from s2dash.dashboard.agreement_tables import cluster_rows, naming_rows, vote_rows
from s2dash.dashboard.agreement_words import how_titles
from s2dash.dashboard.language import t
from s2dash.naming_scores import naming_scores
from s2dash.pipeline import RunResult
from s2dash.reference import Reference


def agreement_by(result: RunResult, reference: Reference, names: Mapping[int, str]) -> None:
    """All three."""
    st.subheader(t("agreement.by_parts"))
    clusters, annotators, vote = st.tabs(
        [t("agreement.by_cluster"), t("agreement.by_annotator"), t("agreement.by_vote")]
    )
    with clusters:
        by_cluster(result, reference, names)
    with annotators:
        by_annotator(result)
    with vote:
        by_vote(result, reference)


def by_cluster(result: RunResult, reference: Reference, names: Mapping[int, str]) -> None:
    """Every cluster: how much of it agrees, and what a better name would win."""
    found = state.kept(
        "agreement by cluster",
        lambda: agreement_by_cluster(
            result.landcover,
            reference,
            clusters=result.clusters,
            legend=result.legend,
            area_ha={cluster: card.area_ha for cluster, card in result.cards.items()},
        ),
    )
    by_gain = st.toggle(t("agreement.lowest_first"), key="clusters_by_gain", persist_state="session")
    rows = sorted(found, key=lambda row: (-row.lost, -row.ha, row.cluster)) if by_gain else found
    colours = scheme_colours(result.landcover.scheme)

    def make() -> tuple[Any, Any]:
        return cluster_agreement_figure(rows, names=names, colours=colours), cluster_rows(rows, names)

    chart("agreement-by-cluster", make, of=str(by_gain))
    st.caption(t("agreement.by_cluster_help"))
    share = st.column_config.NumberColumn(format="percent")
    columns = {t("agreement.share_agreeing"): share, t("agreement.its_share"): share}
    area = st.column_config.NumberColumn(format="%.1f")
    columns |= {t("agreement.ha"): area, t("agreement.could_win"): area}
    st.dataframe(cluster_rows(rows, names), hide_index=True, width="stretch", column_config=columns, placeholder="–")


def by_annotator(result: RunResult) -> None:
    """Every annotator by itself, shown which cards."""
    found = state.kept("naming", lambda: naming_scores(result))
    if not found:
        st.info(t("agreement.nobody_answered"), icon=":material/forum:")
        return
    st.markdown(f"**{t('agreement.who_names')}**")
    ceiling = result.agreement.ceiling.overall if result.agreement and result.agreement.ceiling else None
    share = st.column_config.NumberColumn(format="%.3f")
    columns = dict.fromkeys((t("figures.overall"), t("agreement.of_ceiling"), t("agreement.mean_iou")), share)
    rows = naming_rows(found, ceiling=ceiling)
    st.dataframe(rows, hide_index=True, width="stretch", column_config=columns, placeholder="–")
    st.caption(t("agreement.who_names_help"))


def by_vote(result: RunResult, reference: Reference) -> None:
    """Ground on which annotators agree, against ground on which they do not."""
    found = state.kept(
        "agreement by vote",
        lambda: agreement_by_vote(result.landcover, reference, clusters=result.clusters, legend=result.legend),
    )
    chart("agreement-by-vote", lambda: (vote_agreement_figure(found, titles=how_titles()), vote_rows(found)))
    st.caption(t("agreement.by_vote_help"))
    share = st.column_config.NumberColumn(format="percent")
    columns = {t("agreement.of_compared"): share, t("agreement.share_agreeing"): share}
    columns[t("agreement.ha")] = st.column_config.NumberColumn(format="%.1f")
    rows = kept("vote rows", lambda: vote_rows(found))
    st.dataframe(rows, hide_index=True, width="stretch", column_config=columns, placeholder="–")
