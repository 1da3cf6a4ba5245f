"""One cluster at a time: what it looks like, what it could be, what was said of it; a click or a key decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from pages.parts.closer_look import kept_replies, models_view, replies
from pages.parts.cluster_card import answers, decide, heading, note_box, place_of, why_box
from pages.parts.decisions import KEYS, look_at, steps
from pages.parts.label_map import place_on_map
from pages.parts.reshape import reshape
from pages.parts.sign_in import may_write
from pages.parts.split import split
from s2dash.annotation.legend import LegendEntry
from s2dash.colours import palette
from s2dash.dashboard import state
from s2dash.dashboard.labels import class_name, event_lines, step_from
from s2dash.dashboard.language import language, t
from s2dash.dashboard.texts import plain
from s2dash.dashboard.typical_spectra import nearest_spectra, typical_figure, unlike_any
from s2dash.dashboard.view import ClusterView
from s2dash.pipeline import RunResult

MOVES = {"previous": ("P", -1), "next": ("N", 1)}
ACCEPT, UNKNOWN = "A", "U"
DIGITS = "1234567890"
"""Keys of the first classes of the scheme, in its order."""


def cluster_at(result: RunResult, listed: Sequence[int], run: str) -> int | None:
    """The cluster to show: the one moved to; what an edit has just made, where it is gone; else the first."""
    entries, at = result.legend.entries, st.session_state.get(f"at {run}")
    if at not in entries:
        made = result.edits.entries[-1].edit.made if at is not None and result.edits.entries else ()
        at = next((cluster for cluster in (*made, *listed, *entries) if cluster in entries), None)
    return at


def one_cluster(result: RunResult, view: ClusterView, listed: Sequence[int], run: str) -> None:
    """The whole of it; the clusters listed are those to go through."""
    at = cluster_at(result, listed, run)
    if at is None:
        return
    st.session_state[f"at {run}"] = at
    entry = result.legend.entries[at]
    with st.container(border=True):
        moves(result, listed, at, run)
        look, said, act = split("cluster", [1, 1, 1])
        with look:
            pictures(view, at, run)
            st.caption(t("labels.on_the_map"))
            place = st.container()
        with said:
            heading(result, entry)
            answers(result, entry)
            replies(entry, kept_replies(run))
        with act:
            classes(result, entry, listed, run)
        spectrum(result, view, at)
        reshape(result, at, run)
    with place:  # last, so that nothing else waits for the map
        place_on_map(result, view, at, run)


def moves(result: RunResult, listed: Sequence[int], at: int, run: str) -> None:
    """Where this is among the clusters listed, and the ways on; undo and redo too."""
    with st.container(horizontal=True):
        for name, (key, by) in MOVES.items():
            to = step_from(listed, at, by)
            blocked = to is None
            st.button(
                t(f"labels.{name}"),
                key=f"{name} {run}",
                shortcut=key,
                disabled=blocked,
                on_click=look_at,
                args=(run, to),
            )
        steps(result, run, at=at, keys=True)
        keyboard()
    where = t("labels.place", at=listed.index(at) + 1, total=len(listed)) if at in listed else t("labels.elsewhere")
    events = result.legend.events
    last = f" · {t('labels.last_done', what=event_lines(result, events[-1])[0])}" if events else ""
    st.caption(plain(where + last))


def keyboard() -> None:
    """All keys."""
    named = {key: t(f"labels.{name}") for name, (key, _) in MOVES.items()}
    named |= {key: t(f"labels.{name}") for name, key in KEYS.items()}
    named |= {ACCEPT: t("labels.accept"), UNKNOWN: t("labels.unknown"), "1 … 9, 0": t("labels.keyboard_classes")}
    with st.popover(t("labels.keyboard"), icon=":material/keyboard:"):
        st.markdown("  \n".join(f"`{key}` {plain(what)}" for key, what in named.items()))
        st.caption(t("labels.keyboard_intro"))


def pictures(view: ClusterView, cluster: int, run: str) -> None:
    """The cluster as a person sees it best, or as models see it."""
    kinds = {kind: t(f"labels.view_{kind}") for kind in ("person", "model")}
    chosen = st.segmented_control(
        t("labels.view"),
        list(kinds),
        format_func=kinds.__getitem__,
        key="labels_view",
        default="person",
        required=True,
        label_visibility="collapsed",
        persist_state="session",
        wrap=True,
    )
    if chosen == "model":
        with st.container(height=470, border=False):
            models_view(run, cluster, side_by_side=1)
    else:
        st.image(view.highlight(cluster), width="stretch")


def classes(result: RunResult, entry: LegendEntry, listed: Sequence[int], run: str) -> None:
    """Every class as a button, and the other things to say."""
    place, shut = place_of(result, entry.cluster, run), not may_write()
    advance = st.toggle(t("labels.advance"), value=True, key="labels_advance", persist_state="session")
    then = step_from(listed, entry.cluster, 1) if advance else None
    why_box(entry, run, place)
    set_to: dict[str, Any] = {"on_click": decide, "width": "stretch", "wrap": False}
    with st.container(gap="xxsmall"):
        nothing = shut or entry.code is None
        args = (run, entry.cluster, entry.code, place, then)
        st.button(
            t("labels.accept"),
            key=f"accept {run}",
            icon=":material/check:",
            shortcut=ACCEPT,
            disabled=nothing,
            args=args,
            **set_to,
        )
        for number, code in enumerate(result.legend.scheme.codes):
            st.button(
                plain(class_name(result, code)),
                key=f"class {code} {run}",
                type="primary" if code == entry.code else "secondary",
                shortcut=DIGITS[number] if number < len(DIGITS) else None,
                disabled=shut,
                args=(run, entry.cluster, code, place, then),
                **set_to,
            )
        args = (run, entry.cluster, None, place, then)
        st.button(
            t("labels.unknown"),
            key=f"unknown {run}",
            icon=":material/question_mark:",
            shortcut=UNKNOWN,
            disabled=shut,
            args=args,
            **set_to,
        )
    note_box(entry, run)


def spectrum(result: RunResult, view: ClusterView, cluster: int) -> None:
    """Its spectrum against the typical ones of the classes."""
    scheme, card = result.legend.scheme, result.cards[cluster]
    found = state.kept(f"nearest spectra {cluster}", lambda: nearest_spectra(card, scheme))
    if not found:
        st.caption(t("labels.typical_none"))
        return
    with st.expander(t("labels.typical"), icon=":material/show_chart:", expanded=True):
        figure = state.kept(
            f"typical spectra {cluster} {language()} {palette()}",
            lambda: typical_figure(card, scheme, colour=view.colours[cluster]),
        )
        st.plotly_chart(figure, key=f"typical {cluster}")
        missing = unlike_any(scheme, found)
        note = f" {t('labels.typical_missing', names=', '.join(map(plain, missing)))}" if missing else ""
        st.caption(t("labels.typical_source") + note)
