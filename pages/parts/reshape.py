"""Merging a cluster with others, or splitting it, without leaving it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from pages.parts.sign_in import may_write, who
from s2dash.dashboard import state
from s2dash.dashboard.cluster_tables import edit_text
from s2dash.dashboard.labels import class_name
from s2dash.dashboard.language import t
from s2dash.dashboard.texts import plain
from s2dash.pipeline import RunResult
from s2dash.progress import Progress


def reshape(result: RunResult, cluster: int, run: str) -> None:
    """The panel; the work itself goes on in the background."""
    shut = not may_write() or state.busy()
    others = [entry.cluster for entry in result.legend.entries.values() if entry.cluster != cluster]

    called = {number: f"{number} · {class_name(result, result.legend.entries[number].code)}" for number in others}
    with st.expander(t("labels.reshape"), icon=":material/call_split:"):
        left, right = st.columns(2, gap="medium", vertical_alignment="bottom")
        with left:
            chosen = st.multiselect(
                t("labels.merge_with"),
                others,
                format_func=called.__getitem__,
                key=f"merge with {run} {cluster}",
                placeholder=t("labels.merge_choose"),
                disabled=shut,
                wrap=False,
            )
            both = (cluster, *chosen)
            title = t("labels.merging", clusters=t("labels.and").join(map(str, both)))
            if st.button(t("labels.merge"), key=f"merge here {run}", disabled=shut or not chosen, width="stretch"):
                begin(title, run, "merge", clusters=both)
        with right:
            parts = st.number_input(t("labels.parts"), 2, 8, 2, key=f"parts {run} {cluster}", disabled=shut)
            if st.button(t("labels.split"), key=f"split here {run}", disabled=shut, width="stretch"):
                begin(t("labels.splitting", cluster=cluster), run, "split", clusters=(cluster,), value=int(parts))
        st.caption(t("labels.reshape_said"))
        if (back := result.edits.next_undo) is not None:
            st.button(
                plain(t("labels.undo_edit", what=edit_text(back))),
                key=f"undo edit here {run}",
                icon=":material/undo:",
                disabled=shut,
                on_click=take_back,
                args=(run,),
                width="stretch",
            )


def begin(title: str, run: str, kind: Any, **options: Any) -> None:
    """Edit in the background, with the reason typed for the cluster at hand."""
    space = state.workspace()
    with state.said():
        name = who()
        change: Callable[[Progress], Any] = lambda progress: space.edit_clusters(  # noqa: E731 - typed for the board
            run, kind, who=name, progress=progress, **options
        )
        state.start_job(title, change)
        st.rerun()


def take_back(run: str) -> None:
    """Undo the latest edit of the clusters."""
    with state.said(later=True):
        state.workspace().undo_edit(run, who=who())
