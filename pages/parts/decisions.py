"""How far the naming is, undo and redo, what the classes mean, areas, and everything that people did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from pages.parts.sign_in import may_write, name_box, who
from s2dash.dashboard import state
from s2dash.dashboard.agreement_tables import csv_bytes
from s2dash.dashboard.labels import class_areas, class_name, event_text, next_in_doubt, work_done
from s2dash.dashboard.language import language, t
from s2dash.dashboard.run_history import history_rows, run_history
from s2dash.dashboard.texts import number, plain
from s2dash.pipeline import RunResult

ON_A_PAGE = 20
FEW, TALL = 5, 320
"""Entries of the history from which on it scrolls by itself, and how tall it is then, pixels."""
ICONS = {
    "label": ":material/label:",
    "note": ":material/sticky_note_2:",
    "clusters": ":material/bubble_chart:",
    "area": ":material/draw:",
    "points": ":material/location_on:",
    "class": ":material/palette:",
}
KEYS = {"undo": "Z", "redo": "Y", "next_disputed": "D"}
"""Keys of the buttons here; Streamlit keeps C and R for itself."""


def step(way: Callable[..., None], run: str) -> None:
    """Undo or redo, and show the cluster it was about."""
    with state.said(later=True):
        way(run, who=who())
        st.session_state[f"at {run}"] = state.workspace().store.events(run)[-1].cluster


def look_at(run: str, cluster: int) -> None:
    """Show one cluster by itself."""
    st.session_state["labels_mode"] = "one"
    st.session_state[f"at {run}"] = cluster


def work(result: RunResult) -> None:
    """How far the naming is."""
    done = work_done(result.legend)
    waits = t("labels.waiting", count=done.waiting) if done.waiting else t("labels.nothing_waits")
    text = f"{t('labels.progress', decided=done.decided, total=done.total)} · {waits}"
    st.progress(done.decided / max(done.total, 1), text=text)


def steps(result: RunResult, run: str, *, at: int | None = None, keys: bool = False) -> None:
    """Undo, redo, and on to what is in doubt, in a row that breaks where it is too long.

    Args:
        result: The run.
        run: Its id.
        at: The cluster that is shown by itself.
        keys: Whether keys undo and redo, too: only where a person works by keys, lest one is hit by chance.
    """
    legend, space, shut = result.legend, state.workspace(), not may_write()
    following = next_in_doubt(legend, at)
    rows: list[tuple[str, bool, Callable[..., None], tuple[Any, ...]]] = [
        ("undo", shut or not legend.can_undo, step, (space.undo, run)),
        ("redo", shut or not legend.can_redo, step, (space.redo, run)),
        ("next_disputed", following is None, look_at, (run, following)),
    ]
    icons = {"undo": "undo", "redo": "redo", "next_disputed": "flag"}
    for name, blocked, act, args in rows:
        st.button(
            t(f"labels.{name}"),
            key=f"{name} {run}",
            icon=f":material/{icons[name]}:",
            shortcut=KEYS[name] if keys or name == "next_disputed" else None,
            disabled=blocked,
            on_click=act,
            args=args,
        )
    if legend.next_undo is not None:
        st.caption(plain(t("labels.takes_back", what=event_text(result, legend.next_undo))))
    if result.legend.entries and following is None and at is None:
        st.caption(t("labels.all_decided"))


def meanings(result: RunResult) -> None:
    """What the classes mean."""
    with st.popover(t("labels.meanings"), icon=":material/legend_toggle:", width="stretch"):
        for one in result.legend.scheme.classes:
            said = one.definitions.get(language()) or one.definitions.get("en", "")
            st.markdown(f"**{plain(class_name(result, one.code))}**  \n{plain(said)}")
        st.caption(t("labels.progress_help"))


def history(result: RunResult, run: str) -> None:
    """Everything people did to the run, newest first; also to clusters that are not there now."""
    deeds = state.kept(f"history {language()}", lambda: run_history(result, state.workspace().store.events(run)))
    with st.expander(t("labels.history", count=len(deeds)), icon=":material/history:"):
        at = 0
        if len(deeds) > ON_A_PAGE:
            at = st.pagination(-(-len(deeds) // ON_A_PAGE), key=f"history page {run}", max_visible_pages=5) - 1
        if not deeds:
            st.caption(t("labels.history_empty"))
            return
        with st.container(height=TALL if len(deeds) > FEW else "content", border=False):
            for deed in deeds[at * ON_A_PAGE : (at + 1) * ON_A_PAGE]:
                st.caption(f"{ICONS[deed.kind]} {plain(deed.what)}  \n{plain(deed.facts)}")
        st.download_button(
            t("labels.history_csv"),
            lambda: csv_bytes(history_rows(deeds)),
            f"history-{run}.csv",
            "text/csv",
            key=f"history file {run}",
            icon=":material/download:",
            on_click="ignore",
            width="stretch",
        )


def areas(result: RunResult) -> None:
    """Area of each class."""
    rows = [
        {
            t("labels.areas_class"): plain(name),
            t("labels.areas_ha"): number(hectares, 1),
            t("labels.areas_share"): number(100 * share, 1),
        }
        for name, hectares, share in state.kept(f"class areas {language()}", lambda: class_areas(result))
    ]
    st.table(rows, border="horizontal", hide_index=True)


def decisions(result: RunResult, run: str) -> None:
    """All of it beside the map."""
    work(result)
    name_box()
    with st.container(horizontal=True):
        steps(result, run)
    meanings(result)
    history(result, run)
    areas(result)
