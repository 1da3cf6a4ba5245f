"""Tools that change the clusters of the run that is shown: merge, split, sieve, majority filter, undo, redo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from pages.parts.sign_in import may_write, name_box, who
from s2dash.clustering.filters import WINDOWS
from s2dash.dashboard import state
from s2dash.dashboard.cluster_tables import LARGE, edit_lines, edit_text, pixel_hectares, pixels_of, waiting_decisions
from s2dash.dashboard.language import t
from s2dash.dashboard.texts import plain
from s2dash.pipeline import RunResult

TOOLS = ("merge", "split", "sieve", "majority")
WIDE: dict[str, Any] = {"width": "stretch"}
KEEP: dict[str, Any] = {"persist_state": "session"}


def begin(run: str, title: str, kind: str, **options: Any) -> None:
    """Edit in the background."""
    space = state.workspace()
    work = {"who": who(), "why": st.session_state.pop("edit_why", ""), **options}
    state.start_job(title, lambda progress: space.edit_clusters(run, kind, progress=progress, **work))  # type: ignore[arg-type]


def step(run: str, way: Callable[..., Any], title: str, *, large: bool) -> None:
    """Undo or redo: at once, or in the background where the map is large."""
    with state.said(later=True):
        name = who()
        if large:
            state.start_job(title, lambda _: way(run, who=name))
        else:
            way(run, who=name)


def tools(result: RunResult, run: str, names: dict[int, str]) -> None:
    """The panel."""
    st.subheader(t("clusters.edit"))
    tool = st.segmented_control(
        t("clusters.tool"), TOOLS, format_func=lambda tool: t(f"clusters.tool_{tool}"), default="merge",
        key="tool", required=True, label_visibility="collapsed", width="stretch", **KEEP,
    )  # fmt: skip
    if tool == "merge":
        merge(run, names)
    elif tool == "split":
        split(run, names)
    elif tool == "sieve":
        sieve(run, pixel_hectares(result.clusters.grid))
    else:
        smooth(run)
    with st.expander(t("clusters.who_and_why"), icon=":material/person:"):
        name_box()
        st.text_input(t("clusters.why"), key="edit_why", placeholder=t("clusters.why_example"))
    take_back(result, run)
    history(result)


def act(label: str, run: str, title: str, kind: str, *, disabled: bool = False, **options: Any) -> None:
    """The button that does it."""
    blocked = disabled or state.busy() or not may_write()
    if st.button(label, key=f"do {kind}", type="primary", disabled=blocked, **WIDE):
        with state.said():
            begin(run, title, kind, **options)
            st.rerun()


def merge(run: str, names: dict[int, str]) -> None:
    """Several clusters into one."""
    chosen = st.multiselect(
        t("clusters.to_merge"),
        list(names),
        format_func=names.__getitem__,
        key=f"merge {run}",
        wrap=False,  # the button below must not move away from under the pointer when the field loses the focus
    )
    st.caption(t("clusters.merge_help"))
    listed = t("clusters.and").join(str(cluster) for cluster in chosen)
    act(
        t("clusters.tool_merge"),
        run,
        t("clusters.merging", clusters=listed),
        "merge",
        disabled=len(chosen) < 2,
        clusters=chosen,
    )


def split(run: str, names: dict[int, str]) -> None:
    """One cluster into several."""
    which, parts = st.columns([3, 1])
    chosen = which.selectbox(t("clusters.to_split"), list(names), format_func=names.__getitem__, key=f"split {run}")
    into = parts.number_input(t("clusters.parts"), 2, 8, 2, key="split_parts", **KEEP)
    st.caption(t("clusters.split_help"))
    doing = t("clusters.splitting", cluster=chosen)
    act(t("clusters.tool_split"), run, doing, "split", disabled=chosen is None, clusters=(chosen,), value=into)


def sieve(run: str, pixel: float) -> None:
    """Small patches into their neighbours; a pixel has so many hectares."""
    first = max(0.1, round(5 * pixel, 3))
    field: dict[str, Any] = {"min_value": 2 * pixel, "value": max(first, 2 * pixel), "step": pixel, "format": "%g"}
    unit = st.number_input(t("clusters.unit"), key=f"unit {run}", **field)
    pixels = pixels_of(unit, pixel)
    st.caption(t("clusters.sieve_help", count=pixels))
    act(t("clusters.tool_sieve"), run, t("clusters.sieving", unit=f"{unit:g}"), "sieve", value=pixels)


def smooth(run: str) -> None:
    """A majority filter."""
    title = t("clusters.window")
    side = st.select_slider(title, WINDOWS, key="window", format_func=lambda n: f"{n} × {n}", **KEEP)
    st.caption(t("clusters.smooth_help"))
    act(t("clusters.tool_majority"), run, t("clusters.smoothing", side=side), "majority", value=side)


def take_back(result: RunResult, run: str) -> None:
    """Undo and redo, and what they would do."""
    edits, space = result.edits, state.workspace()
    large = result.clusters.labels.size > LARGE
    back, again = edits.next_undo, edits.next_redo
    place = st.container(horizontal=True)
    for step_name, entry, way in (("undo", back, space.undo_edit), ("redo", again, space.redo_edit)):
        label = t(f"clusters.{step_name}")
        place.button(
            label,
            key=f"{step_name.capitalize()} edit",
            icon=f":material/{step_name}:",
            disabled=entry is None or state.busy() or not may_write(),
            help=plain(f"{label}: {edit_text(entry)}") if entry is not None else None,
            on_click=step,
            args=(run, way, f"{label}: {edit_text(entry)}" if entry is not None else ""),
            kwargs={"large": large},
            **WIDE,
        )
    both = ((t("clusters.undo"), back), (t("clusters.redo"), again))
    lines = [f"{label}: {edit_text(entry)}" for label, entry in both if entry is not None]
    if lines:
        st.caption("  \n".join(plain(line) for line in lines))
    for note in edits.entries[-1].notes if edits.entries else ():
        st.info(plain(note), icon=":material/info:")


def history(result: RunResult) -> None:
    """All that was done, newest first."""
    entries = result.edits.entries
    if not entries:
        return
    with st.expander(t("clusters.edits", count=len(entries)), icon=":material/history:"):
        for entry in reversed(entries):
            st.caption("  \n".join(plain(line) for line in edit_lines(entry)))
    waiting = waiting_decisions(state.workspace().store.events(state.run_id() or ""), result.legend)
    if waiting:
        st.caption(plain(waiting))
