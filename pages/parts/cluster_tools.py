"""Tools that change the clusters of the run that is shown: merge, split, sieve, majority filter, undo, redo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from s2dash.clustering.filters import WINDOWS
from s2dash.dashboard import state
from s2dash.dashboard.cluster_tables import LARGE, edit_lines, pixel_hectares, pixels_of, waiting_decisions
from s2dash.dashboard.texts import plain
from s2dash.pipeline import RunResult
from s2dash.workspace import person

TOOLS = {"merge": "Merge", "split": "Split", "sieve": "Sieve", "majority": "Smooth"}
WIDE: dict[str, Any] = {"width": "stretch"}
KEEP: dict[str, Any] = {"persist_state": "session"}


def begin(run: str, title: str, kind: str, **options: Any) -> None:
    """Edit in the background."""
    space, who = state.workspace(), st.session_state.get("who", "")
    why = st.session_state.pop("edit_why", "")
    work = {"who": who, "why": why, **options}
    state.start_job(title, lambda progress: space.edit_clusters(run, kind, progress=progress, **work))  # type: ignore[arg-type]


def step(run: str, way: Callable[..., Any], title: str, *, large: bool) -> None:
    """Undo or redo: at once, or in the background where the map is large."""
    who = st.session_state.get("who", "")
    if large:
        state.start_job(title, lambda _: way(run, who=who))
        return
    with state.said(later=True):
        way(run, who=who)


def tools(result: RunResult, run: str, names: dict[int, str]) -> None:
    """The panel."""
    st.subheader("Edit clusters")
    tool = st.segmented_control(
        "Tool", TOOLS, format_func=TOOLS.__getitem__, default="merge", key="tool", required=True,
        label_visibility="collapsed", width="stretch", **KEEP,
    )  # fmt: skip
    if tool == "merge":
        merge(run, names)
    elif tool == "split":
        split(run, names)
    elif tool == "sieve":
        sieve(run, pixel_hectares(result.clusters.grid))
    else:
        smooth(run)
    with st.expander("Your name and why", icon=":material/person:"):
        st.text_input("Your name, for the history", key="who", placeholder=person(), **KEEP)
        st.text_input("Why (optional)", key="edit_why", placeholder="e.g. both are wheat")
    take_back(result, run)
    history(result)


def act(label: str, run: str, title: str, kind: str, *, disabled: bool = False, **options: Any) -> None:
    """The button that does it."""
    blocked = disabled or state.busy()
    if st.button(label, key=f"do {kind}", type="primary", disabled=blocked, **WIDE):
        begin(run, title, kind, **options)
        st.rerun()


def merge(run: str, names: dict[int, str]) -> None:
    """Several clusters into one."""
    chosen = st.multiselect(
        "Clusters to merge",
        list(names),
        format_func=names.__getitem__,
        key=f"merge {run}",
        wrap=False,  # the button below must not move away from under the pointer when the field loses the focus
    )
    st.caption("They become one new cluster. What you called them stays, where it was the same.")
    listed = " and ".join(str(cluster) for cluster in chosen)
    act("Merge", run, f"Merging {listed}", "merge", disabled=len(chosen) < 2, clusters=chosen)


def split(run: str, names: dict[int, str]) -> None:
    """One cluster into several."""
    which, parts = st.columns([3, 1])
    chosen = which.selectbox("Cluster to split", list(names), format_func=names.__getitem__, key=f"split {run}")
    into = parts.number_input("Parts", 2, 8, 2, key="split_parts", **KEEP)
    st.caption("Its pixels are clustered once more, among themselves. The parts inherit what you called it.")
    act("Split", run, f"Splitting {chosen}", "split", disabled=chosen is None, clusters=(chosen,), value=into)


def sieve(run: str, pixel: float) -> None:
    """Small patches into their neighbours; a pixel has so many hectares."""
    first = max(0.1, round(5 * pixel, 3))
    field: dict[str, Any] = {"min_value": 2 * pixel, "value": max(first, 2 * pixel), "step": pixel, "format": "%g"}
    unit = st.number_input("Minimum mapping unit, ha", key=f"unit {run}", **field)
    pixels = pixels_of(unit, pixel)
    st.caption(f"Patches of fewer than {pixels} pixels go to their largest neighbour. Names stay.")
    act("Sieve", run, f"Sieving below {unit:g} ha", "sieve", value=pixels)


def smooth(run: str) -> None:
    """A majority filter."""
    side = st.select_slider("Window, pixels", WINDOWS, key="window", format_func=lambda n: f"{n} × {n}", **KEEP)
    st.caption("Every pixel goes to the cluster most frequent around it. Names stay.")
    act("Smooth", run, f"Smoothing by {side} × {side}", "majority", value=side)


def take_back(result: RunResult, run: str) -> None:
    """Undo and redo, and what they would do."""
    edits, space = result.edits, state.workspace()
    large = result.clusters.labels.size > LARGE
    back, again = edits.next_undo, edits.next_redo
    place = st.container(horizontal=True)
    for label, entry, way in (("Undo", back, space.undo_edit), ("Redo", again, space.redo_edit)):
        place.button(
            label,
            key=f"{label} edit",
            icon=f":material/{label.lower()}:",
            disabled=entry is None or state.busy(),
            help=plain(f"{label}: {entry.text}") if entry is not None else None,
            on_click=step,
            args=(run, way, f"{label} {entry.text}" if entry is not None else ""),
            kwargs={"large": large},
            **WIDE,
        )
    lines = [f"{label}: {entry.text}" for label, entry in (("Undo", back), ("Redo", again)) if entry is not None]
    if lines:
        st.caption("  \n".join(plain(line) for line in lines))
    for note in edits.entries[-1].notes if edits.entries else ():
        st.info(plain(note), icon=":material/info:")


def history(result: RunResult) -> None:
    """All that was done, newest first."""
    entries = result.edits.entries
    if not entries:
        return
    with st.expander(f"Edits ({len(entries)})", icon=":material/history:"):
        for entry in reversed(entries):
            st.caption("  \n".join(plain(line) for line in edit_lines(entry)))
    waiting = waiting_decisions(state.workspace().store.events(state.run_id() or ""), result.legend)
    if waiting:
        st.caption(plain(waiting))
