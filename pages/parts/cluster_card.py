"""What is said of one cluster and what a person answers: answers, vote, notes, the class in force; and the card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from pages.parts.closer_look import closer_look, replies
from pages.parts.sign_in import may_write, who
from s2dash.annotation.legend import LegendEntry
from s2dash.dashboard import state
from s2dash.dashboard.labels import (
    answer_line,
    class_name,
    event_lines,
    margin_line,
    noise_marked,
    unread_terms,
    votes_line,
)
from s2dash.dashboard.language import t, written_moment
from s2dash.dashboard.texts import number, plain
from s2dash.dashboard.view import ClusterView
from s2dash.pipeline import RunResult
from s2dash.store.replies import ReplyRecord

UNKNOWN = 0  # no class has this code; a box cannot hold None
KEEP: dict[str, Any] = {"persist_state": "session"}  # what is half typed stays, whichever cluster or page is shown next


def place_of(result: RunResult, cluster: int, run: str) -> str:
    """What the fields of a cluster are called: new ones after each decision on it, others' clusters reset nothing."""
    decided = sum(event.cluster == cluster and event.kind != "note" for event in result.legend.events)
    return f"{run} {cluster} {decided}"


def decide(run: str, cluster: int, code: int | None, place: str, then: int | None = None) -> None:
    """Set a class, before anything is drawn anew, and go on to another cluster if asked to."""
    now = st.session_state
    with state.said(later=True):
        name, why = who(), f"why {run} {cluster}"
        state.workspace().override(run, cluster, code, who=name, why=now.get(why, ""))
        now[why] = ""
        if code and (term := now.get(f"learn {place}")):
            state.workspace().learn(run, term, code, who=name)
        now[f"at {run}"] = cluster if then is None else then


def decide_chosen(run: str, cluster: int, place: str) -> None:
    """Set the class that is chosen now: a quick click may come before the page has seen the choice."""
    decide(run, cluster, st.session_state[f"class {place}"] or None, place)


def leave_note(run: str, cluster: int) -> None:
    """Keep what was typed as a note."""
    now, field = st.session_state, f"note {run} {cluster}"
    with state.said(later=True):
        state.workspace().note(run, cluster, now.get(field, ""), who=who())
        now[field] = ""


def heading(result: RunResult, entry: LegendEntry) -> None:
    """Number and class, how large it is and who decided."""
    card = result.cards[entry.cluster]
    name = noise_marked(result, entry.cluster, class_name(result, entry.code))
    st.markdown(f"##### {entry.cluster} · {plain(name)}")
    facts = {"area": number(card.area_ha, 1), "share": f"{number(100 * card.share, 1)}%"}
    st.caption(t("labels.card_facts", decided=t(f"labels.by_{entry.decided_by}"), **facts))


def answers(result: RunResult, entry: LegendEntry) -> None:
    """What every annotator said, the vote and how close it was, and what people said to it."""
    for answer in entry.voters:
        st.progress(answer.confidence, text=answer_line(result, answer))
        st.caption(plain(" · ".join(answer.evidence) or answer.fault))
    st.caption("  \n".join(plain(line) for line in (votes_line(result, entry), margin_line(result, entry)) if line))
    if entry.override is not None:
        st.caption(plain(t("labels.set_by", who=event_lines(result, entry.override)[1])))
    for note in result.legend.notes:
        if note.cluster == entry.cluster:
            said = t("labels.note_said", who=note.who, when=written_moment(note.when), text=note.why)
            st.caption(f":material/sticky_note_2: {plain(said)}")


def why_box(entry: LegendEntry, run: str, place: str) -> None:
    """The reason, and whether a word nobody knew is to be remembered."""
    shut = not may_write()
    example = t("labels.why_example")
    st.text_input(t("labels.why"), key=f"why {run} {entry.cluster}", placeholder=example, disabled=shut, **KEEP)
    if terms := unread_terms(entry):
        options = {
            "": t("labels.remember_nothing"),
            **{term: t("labels.remember", term=plain(term)) for term in terms},
        }
        label, key = t("labels.word"), f"learn {place}"
        st.selectbox(label, list(options), format_func=options.__getitem__, key=key, disabled=shut)


def note_box(entry: LegendEntry, run: str) -> None:
    """Where a note is left."""
    shut = not may_write()
    with st.popover(t("labels.note"), icon=":material/sticky_note_2:", width="stretch"):
        st.text_area(
            t("labels.note"),
            key=f"note {run} {entry.cluster}",
            placeholder=t("labels.note_example"),
            disabled=shut,
            height=90,
            label_visibility="collapsed",
            **KEEP,
        )
        st.button(
            t("labels.leave_note"),
            key=f"leave note {run} {entry.cluster}",
            disabled=shut,
            on_click=leave_note,
            args=(run, entry.cluster),
            width="stretch",
        )


def override_box(result: RunResult, entry: LegendEntry, run: str) -> None:
    """Where a person decides; stored the moment it happens."""
    codes = [*result.legend.scheme.codes, UNKNOWN]
    place, shut = place_of(result, entry.cluster, run), not may_write()
    now = entry.code if entry.code in codes else UNKNOWN
    names = {code: class_name(result, code or None) for code in codes}
    chosen = st.selectbox(
        t("labels.class"),
        codes,
        index=codes.index(now),
        format_func=names.__getitem__,
        key=f"class {place}",
        disabled=shut,
    )
    why_box(entry, run, place)
    st.button(
        t("labels.accept") if chosen == now else t("labels.set"),
        key=f"set {place}",
        icon=":material/check:",
        width="stretch",
        disabled=shut,
        on_click=decide_chosen,
        args=(run, entry.cluster, place),
    )
    note_box(entry, run)


def cluster_card(
    result: RunResult, view: ClusterView, entry: LegendEntry, run: str, kept: Sequence[ReplyRecord]
) -> None:
    """One cluster among others: picture, answers, decision."""
    with st.container(border=True):
        picture, said, act = st.columns([3, 5, 3], gap="medium")
        with picture:
            st.image(view.highlight(entry.cluster), width="stretch")
            replies(entry, kept)
        with said:
            heading(result, entry)
            answers(result, entry)
        with act:
            override_box(result, entry, run)
        if st.toggle(t("labels.closer"), key=f"closer {run} {entry.cluster}", help=t("labels.closer_help")):
            closer_look(result, view, entry.cluster, run)
