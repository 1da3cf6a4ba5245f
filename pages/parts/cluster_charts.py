"""Charts of the clusters of the run that is shown: spectra and areas, and how the clusters were found."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.parts.split import split
from s2dash.clustering.sweep import KSweep
from s2dash.colours import palette
from s2dash.dashboard import state
from s2dash.dashboard.cluster_figures import distance_figure, sweep_figure, training_figure
from s2dash.dashboard.cluster_tables import sweep_reason
from s2dash.dashboard.figures import area_figure, spectrum_figure
from s2dash.dashboard.language import language, t
from s2dash.dashboard.texts import plain
from s2dash.pipeline import RunResult


def charts(result: RunResult, names: dict[int, str], colours: dict[int, str]) -> None:
    """Spectra and areas."""
    left, right = split("charts", [3, 2])
    with left:
        title, choice = st.columns([3, 2])
        title.subheader(t("clusters.spectra"))
        picked = choice.selectbox(
            t("clusters.bring_out"),
            [None, *names],
            format_func=lambda cluster: t("clusters.all_alike") if cluster is None else names[cluster],
            label_visibility="collapsed",
            key="picked",
            help=t("clusters.bring_out_help"),
        )
        means = {cluster: card.mean or card.median for cluster, card in result.cards.items()}
        statistic = t("clusters.mean" if all(card.mean for card in result.cards.values()) else "clusters.median")
        spread = {cluster: card.spread for cluster, card in result.cards.items()} if picked else None
        figure = state.kept(
            f"spectra {picked} {language()} {palette()}",
            lambda: spectrum_figure(
                means, spread=spread, names=names, colours=colours, highlight=picked, statistic=statistic
            ),
        )
        st.plotly_chart(figure, key="spectra")
        if picked:
            st.caption(t("clusters.band_help"))
    with right:
        st.subheader(t("clusters.areas"))
        areas = {cluster: card.area_ha for cluster, card in result.cards.items()}
        figure = state.kept(f"areas {language()} {palette()}", lambda: area_figure(areas, names=names, colours=colours))
        st.plotly_chart(figure, key="areas")


def fit_charts(result: RunResult) -> None:
    """How the clusters were found, where the method has something to show."""
    settings = result.clusters.settings
    charts: list[tuple[str, str, Any]] = []
    if sweep := settings.get("k_sweep"):
        known = KSweep.from_json(sweep)
        charts.append((t("clusters.how_many"), sweep_reason(known), lambda: sweep_figure(known)))
    if curve := settings.get("k_distance"):
        said = t("clusters.reach", eps=f"{settings['eps']:.3g}")
        charts.append((t("clusters.how_dense"), said, lambda: distance_figure(curve, eps=settings["eps"])))
    training = settings.get("training")
    if isinstance(training, dict):
        charts.append((t("clusters.how_learnt"), "", lambda: training_figure(training)))
    for column, (title, said, make) in zip(st.columns(max(len(charts), 1), gap="medium"), charts, strict=False):
        with column:
            st.subheader(title)
            st.plotly_chart(state.kept(f"{title} {palette()}", make), key=title)
            if said:
                st.caption(plain(said))
