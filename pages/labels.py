"""Labels: what each cluster is called, by whom and why, and what a person says to that."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.parts.ask_models import ask_models
from pages.parts.by_hand import by_hand
from pages.parts.closer_look import kept_replies
from pages.parts.cluster_card import cluster_card
from pages.parts.corrections import corrections_panel
from pages.parts.decisions import areas, decisions, history, meanings, work
from pages.parts.label_map import landcover_map
from pages.parts.one_cluster import one_cluster
from pages.parts.scheme_editor import scheme_editor
from pages.parts.sign_in import name_box
from pages.parts.split import split
from pages.parts.votes import look_again, votes
from s2dash.annotation.legend import LegendEntry
from s2dash.dashboard import state
from s2dash.dashboard.labels import FILTERS, ORDERS, chosen_entries, who
from s2dash.dashboard.language import t
from s2dash.dashboard.texts import plain
from s2dash.dashboard.view import ClusterView
from s2dash.pipeline import RunResult

MODES = ("grid", "one", "areas", "classes")
ON_A_PAGE = 8
KEEP: dict[str, Any] = {"label_visibility": "collapsed", "persist_state": "session"}


def asked_cluster(result: RunResult, run: str) -> None:
    """A link may name a cluster: it is shown by itself, and from then on the person goes where they want."""
    asked = st.query_params.get("cluster", "")
    if asked.isdecimal() and int(asked) in result.legend.entries:
        st.session_state["labels_mode"], st.session_state[f"at {run}"] = "one", int(asked)
    if asked:
        del st.query_params["cluster"]


def mode() -> str:
    """One cluster at a time or all in a grid; what lies below the clusters; the classes themselves."""
    state.seed("labels_mode", "grid", options=MODES)
    chosen: str = st.segmented_control(
        t("labels.mode"),
        MODES,
        format_func=lambda kind: t(f"labels.mode_{kind}"),
        key="labels_mode",
        required=True,
        **KEEP,
    )
    return chosen


def chosen(result: RunResult) -> list[LegendEntry]:
    """The clusters a person wants, in the order they want."""
    show, order = st.columns([3, 2], vertical_alignment="center")
    picked = show.segmented_control(
        t("labels.show"),
        FILTERS,
        format_func=lambda kind: t(f"labels.show_{kind}"),
        key="labels_show",
        default="all",
        required=True,
        **KEEP,
    )
    orders = {kind: t(f"labels.order_{kind}") for kind in ORDERS}
    by = order.selectbox(t("labels.order"), ORDERS, format_func=orders.__getitem__, key="labels_order", **KEEP)
    return chosen_entries(result, show=picked, order=by)


def annotators(result: RunResult, run: str) -> None:
    """Whom to ask, how they voted, and what to ask again."""
    named = ", ".join(dict.fromkeys(who(answer) for answer in result.legend.answers)) or t("asking.nobody")
    with st.expander(t("asking.panel", names=plain(named)), icon=":material/forum:"):
        tabs = ("tab_models", "tab_hand", "tab_votes", "tab_again")
        asking, hand, voting, again = st.tabs([t(f"asking.{tab}") for tab in tabs])
        with asking:
            names, budget = ask_models(result, run)
        with hand:
            by_hand(result, run)
        with voting:
            votes(result, run)
        with again:
            look_again(result, run, names, budget)


def grid(result: RunResult, view: ClusterView, run: str) -> None:
    """The cards, a page of them at a time."""
    entries = chosen(result)
    at = 0
    if len(entries) > ON_A_PAGE:
        pages = -(-len(entries) // ON_A_PAGE)
        at = st.pagination(pages, key=f"labels_page {run} {st.session_state['labels_show']} {len(entries)}") - 1
    kept = kept_replies(run)
    for entry in entries[at * ON_A_PAGE : (at + 1) * ON_A_PAGE]:
        cluster_card(result, view, entry, run, kept)
    if not entries:
        picked = str(st.session_state["labels_show"])
        if picked == "changed":
            st.info(t("labels.none_changed"), icon=":material/info:")
        else:
            st.success(t(f"labels.none_{picked}"), icon=":material/check_circle:")


def all_in_a_grid(result: RunResult, view: ClusterView, run: str) -> None:
    """The map and how far the work is, and below every cluster."""
    left, right = split("map", [2, 1])
    with right, st.container(border=True):
        decisions(result, run)
    annotators(result, run)
    grid(result, view, run)
    with left:  # last, so that the new label does not wait for the map
        landcover_map(result, view, run)


def one_at_a_time(result: RunResult, view: ClusterView, run: str) -> None:
    """One cluster with all there is to know of it, and below what concerns all of them."""
    work(result)
    one_cluster(result, view, [entry.cluster for entry in chosen(result)], run)
    left, right = split("below", [3, 2])
    with left:
        history(result, run)
        annotators(result, run)
    with right, st.container(border=True):
        name_box()
        meanings(result)
        areas(result)


state.framed()
st.title(t("labels.title"))
run, seen, result = state.run_id() or "", state.changes(), state.result()
state.subject(str(result.scene["title"]), simulated=result.scene["kind"] == "simulated")
state.follow(run, seen)
view = state.run_view(result)
asked_cluster(result, run)
way = mode()
if way == "one":
    one_at_a_time(result, view, run)
elif way == "areas":
    corrections_panel(result, view, run)
elif way == "classes":
    scheme_editor(result, run)
else:
    all_in_a_grid(result, view, run)
