"""Labels: what each cluster is called, by whom and why, and what a person says to that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from pages.parts.ask_models import ask_models
from pages.parts.by_hand import by_hand
from pages.parts.closer_look import closer_look, replies
from pages.parts.votes import look_again, votes
from s2dash.annotation.legend import LegendEntry
from s2dash.dashboard import state
from s2dash.dashboard.labels import (
    FILTERS,
    ORDERS,
    answer_line,
    chosen_entries,
    class_areas,
    class_name,
    event_lines,
    unread_terms,
    votes_line,
    who,
)
from s2dash.dashboard.texts import plain
from s2dash.dashboard.view import ClusterView, named_legend
from s2dash.pipeline import RunResult
from s2dash.workspace import person

DECIDED = {
    "vote": "decided by the vote",
    "confidence": "tied, decided by confidence",
    "person": "decided by a person",
    "nobody": "waits for a person",
}
ON_A_PAGE = 8
UNKNOWN = 0  # no class has this code; a box cannot hold None


def set_class(run: str, cluster: int, place: str) -> None:
    """What a click does, before anything is drawn anew."""
    now = st.session_state
    with state.said(later=True):
        code, why = now[f"class {place}"], now[f"why {place}"]
        state.workspace().override(run, cluster, code or None, who=now.get("who", ""), why=why)
        if code and (term := now.get(f"learn {place}")):
            state.workspace().learn(run, term, code, who=now.get("who", ""))


def step(way: Callable[..., None], run: str) -> None:
    """Undo or redo."""
    with state.said(later=True):
        way(run, who=st.session_state.get("who", ""))


def decisions(result: RunResult, run: str) -> None:
    """How far the work is; undo, redo, history."""
    legend, space = result.legend, state.workspace()
    total, waiting = len(legend.entries), len(legend.queue)
    st.progress((total - waiting) / max(total, 1), text=f"{total - waiting} of {total} clusters have a class")
    st.text_input("Your name, for the history", key="who", persist_state="session", placeholder=person())
    undo, redo = st.columns(2)
    with st.popover("What the classes mean", icon=":material/legend_toggle:", width="stretch"):
        for one in legend.scheme.classes:
            st.markdown(f"**{plain(one.name)}**  \n{plain(one.definitions['en'])}")
    wide: dict[str, Any] = {"width": "stretch", "on_click": step}
    undo.button("Undo", icon=":material/undo:", disabled=not legend.can_undo, args=(space.undo, run), **wide)
    redo.button("Redo", icon=":material/redo:", disabled=not legend.can_redo, args=(space.redo, run), **wide)
    with st.expander(f"History ({len(legend.events)})", icon=":material/history:"):
        for event in legend.history[:30]:
            st.caption("  \n".join(plain(line) for line in event_lines(result, event)))
        if not legend.events:
            st.caption("Nobody has changed anything yet.")


def answers(result: RunResult, entry: LegendEntry) -> None:
    """What every annotator said, and the vote."""
    for answer in entry.voters:
        st.progress(answer.confidence, text=answer_line(result, answer))
        st.caption(plain(" · ".join(answer.evidence) or answer.fault))
    st.caption(plain(votes_line(result, entry)))
    if entry.override is not None:
        st.caption(plain(f"Set by {event_lines(result, entry.override)[1]}"))


def override_box(result: RunResult, entry: LegendEntry, run: str) -> None:
    """Where a person decides; stored the moment it happens."""
    codes = [*result.legend.scheme.codes, UNKNOWN]
    seen = sum(event.cluster == entry.cluster for event in result.legend.events)  # others' clusters reset nothing here
    place = f"{run} {entry.cluster} {seen}"
    chosen = st.selectbox(
        "Class",
        codes,
        index=codes.index(entry.code or UNKNOWN),
        format_func=lambda code: class_name(result, code or None),
        key=f"class {place}",
    )
    st.text_input("Why (optional)", key=f"why {place}", placeholder="e.g. visited in June")
    if terms := unread_terms(entry):
        options = {"": "remember nothing", **{term: f"remember “{term}” as this class" for term in terms}}
        st.selectbox("A word nobody knew", list(options), format_func=options.__getitem__, key=f"learn {place}")
    label = "Accept" if chosen == (entry.code or UNKNOWN) else "Set class"
    st.button(
        label,
        key=f"set {place}",
        icon=":material/check:",
        width="stretch",
        on_click=set_class,
        args=(run, entry.cluster, place),
    )


def areas(result: RunResult) -> None:
    """Area of each class."""
    rows = [
        {"Class": name, "ha": f"{hectares:,.1f}", "%": f"{100 * share:.1f}"}
        for name, hectares, share in class_areas(result)
    ]
    st.table(rows, border="horizontal", hide_index=True)


def annotators(result: RunResult, run: str) -> None:
    """Whom to ask, how they voted, and what to ask again."""
    listed = ", ".join(dict.fromkeys(who(answer) for answer in result.legend.answers)) or "nobody"
    with st.expander(f"Annotators: {plain(listed)}", icon=":material/forum:"):
        asking, hand, voting, again = st.tabs(["Ask models", "Ask one yourself", "Votes", "Second look"])
        with asking:
            names, budget = ask_models(result, run)
        with hand:
            by_hand(result, run)
        with voting:
            votes(result, run)
        with again:
            look_again(result, run, names, budget)


def landcover_map(result: RunResult, view: ClusterView, run: str) -> None:
    """The map as it is named now."""
    layers = [*view.base(), state.kept("landcover", lambda: view.landcover_layer(result.legend))]
    legend, credit = named_legend(result.legend), str(result.scene["attribution"])
    key = f"labels {run}"
    state.show_map(layers, key=key, height=505, legend=legend, legend_title="Land cover", attribution=credit)


def cluster_card(result: RunResult, view: ClusterView, entry: LegendEntry, run: str) -> None:
    """One cluster: picture, answers, decision."""
    card = result.cards[entry.cluster]
    with st.container(border=True):
        picture, said, decide = st.columns([3, 5, 3], gap="medium")
        with picture:
            st.image(view.highlight(entry.cluster), width="stretch")
            replies(entry, run)
        with said:
            st.markdown(f"##### {entry.cluster} · {class_name(result, entry.code)}")
            st.caption(f"{card.area_ha:,.1f} ha, {card.share:.1%} of the map · {DECIDED[entry.decided_by]}")
            answers(result, entry)
        with decide:
            override_box(result, entry, run)
        if st.toggle(
            "Closer look", key=f"closer {run} {entry.cluster}", help="Its spectrum, and what models are shown."
        ):
            closer_look(result, view, entry.cluster, run)


state.framed()
st.title("Labels")
run, seen, result = state.run_id() or "", state.changes(), state.result()
state.subject(str(result.scene["title"]), simulated=result.scene["kind"] == "simulated")
state.follow(run, seen)
left, right = st.columns([2, 1], gap="medium")
with left:
    view = state.run_view(result)
with right, st.container(border=True):
    decisions(result, run)
    areas(result)
annotators(result, run)
show, order, pages = st.columns([3, 2, 3], vertical_alignment="center")
hidden: dict[str, Any] = {"label_visibility": "collapsed", "persist_state": "session"}
picked = show.segmented_control("Show", FILTERS, key="labels_show", default="All", required=True, **hidden)
listed = chosen_entries(result, show=picked, order=order.selectbox("Order", ORDERS, key="labels_order", **hidden))
at = 0
if len(listed) > ON_A_PAGE:
    with pages:
        at = st.pagination(-(-len(listed) // ON_A_PAGE), key=f"labels_page {run} {picked} {len(listed)}") - 1
for entry in listed[at * ON_A_PAGE : (at + 1) * ON_A_PAGE]:
    cluster_card(result, view, entry, run)
if not listed:
    st.success("No cluster is left here.", icon=":material/check_circle:")
with left:  # last, so that the new label does not wait for the map
    landcover_map(result, view, run)
