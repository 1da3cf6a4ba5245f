"""Asking models about the clusters of the run that is shown: whom, at what price, and what leaves the machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.parts.sign_in import may_write, who
from s2dash.annotation.card_style import DEFAULT_STYLE, load_card_styles
from s2dash.annotation.catalogue import ModelEntry
from s2dash.annotation.registry import LOCAL
from s2dash.dashboard import state
from s2dash.dashboard.language import t
from s2dash.dashboard.texts import plain
from s2dash.dashboard.vote_tables import estimate_rows
from s2dash.pipeline import RunResult

KEEP: dict[str, Any] = {"persist_state": "session"}
OFFLINE = ("rules", "replay")


def ask_models(result: RunResult, run: str) -> tuple[list[str], float | None]:
    """The panel; whom to ask, and what it may cost."""
    names: list[str] = []
    style, budget = DEFAULT_STYLE, None
    left, right = st.columns([2, 3], gap="medium")
    with state.said():
        catalogue = state.workspace().catalogue()
        with left:
            names = whom(catalogue)
            style = card_style_box()
            missing_keys([catalogue[name] for name in names if name in catalogue])
            budget = budget_box(catalogue, names)
        with right:
            if not names:
                st.caption(t("asking.invitation"))
                return names, budget
            cost(run, names, style, [catalogue[name] for name in names if name in catalogue])
        label = t("asking.ask", count=len(result.cards))
        blocked = not may_write() or state.busy() or not any(name in LOCAL or usable(catalogue[name]) for name in names)
        if left.button(label, type="primary", icon=":material/forum:", disabled=blocked, width="stretch"):
            begin(run, names, style, budget)
            st.rerun()
    return names, budget


def begin(run: str, names: list[str], style: str, budget: float | None) -> None:
    """Ask in the background; every answer is kept the moment it arrives."""
    who()  # refuses those who may not write
    space, keys = state.workspace(), state.keys()
    state.start_job(
        t("asking.asking", names=t("asking.and").join(names)),
        lambda progress: space.ask(run, names, keys=keys, style=style, budget=budget, progress=progress),
    )


def whom(catalogue: Mapping[str, ModelEntry]) -> list[str]:
    """Whom to ask."""
    titles = {name: t(f"asking.{name}") for name in OFFLINE} | {name: entry.title for name, entry in catalogue.items()}
    state.seed("ask_who", [], options=list(titles))
    chosen: list[str] = st.multiselect(
        t("asking.models"),
        list(titles),
        format_func=titles.__getitem__,
        key="ask_who",
        placeholder=t("asking.choose_models"),
        **KEEP,
    )
    return chosen


def card_style_box() -> str:
    """What they are shown."""
    styles = load_card_styles()
    state.seed("ask_style", DEFAULT_STYLE, options=list(styles))
    chosen = st.selectbox(
        t("asking.shown"),
        list(styles),
        format_func=lambda name: styles[name].title,
        key="ask_style",
        help=styles[st.session_state["ask_style"]].summary,
        **KEEP,
    )
    return str(chosen)


def usable(entry: ModelEntry) -> bool:
    """Whether the model's key is there, or needs not be."""
    return not entry.key_required or state.keys().get(entry.key_name) is not None


def missing_keys(entries: list[ModelEntry]) -> None:
    """A field for every key that is not there; what is typed stays in this session and goes nowhere else."""
    services = {entry.key_name[0]: entry for entry in reversed(entries) if entry.key_name}
    for name, entry in services.items():
        if state.keys().get(entry.key_name) is None or st.session_state.get(f"{state.KEY_FIELD}{name}"):
            st.text_input(
                t("asking.key" if entry.key_required else "asking.key_optional", host=entry.host),
                type="password",
                key=f"{state.KEY_FIELD}{name}",
                placeholder=name,
                help=t("asking.key_help"),
                **KEEP,
            )


def budget_box(catalogue: Mapping[str, ModelEntry], names: list[str]) -> float | None:
    """The most it may cost; not asked for where nothing costs anything."""
    if all(name in LOCAL or catalogue[name].free for name in names):
        return None
    return float(st.number_input(t("asking.budget"), 0.0, 1000.0, 1.0, 0.5, key="ask_budget", **KEEP))


def cost(run: str, names: list[str], style: str, entries: list[ModelEntry]) -> None:
    """What asking would send and cost, before anything is sent."""
    space = state.workspace()
    with st.spinner(t("asking.counting")):
        found = state.kept(f"estimate {names} {style}", lambda: space.estimate(run, names, style=style))
    if not found.models:
        return
    st.table(estimate_rows(found), border="horizontal", hide_index=True)
    st.caption("  \n".join(plain(f"{entry.title}: {entry.price_words}") for entry in entries))
    if found.leaves:
        with st.expander(t("asking.leaves"), icon=":material/upload:"):
            for sentence in found.leaves:
                st.markdown(f"- {plain(sentence)}")
