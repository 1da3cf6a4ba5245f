"""How the annotators of the run that is shown vote: the matrix, how far they agree, how votes count, a second look."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.parts.sign_in import may_write, who
from s2dash.annotation.vote import RuleKind
from s2dash.dashboard import state
from s2dash.dashboard.language import t
from s2dash.dashboard.texts import number, plain
from s2dash.dashboard.vote_tables import compliance_rows, concord_line, matrix_rows, round_line
from s2dash.pipeline import RunResult

KEEP: dict[str, Any] = {"persist_state": "session"}
VOTING: tuple[RuleKind, ...] = ("majority", "confidence", "record")


def set_voting(run: str) -> None:
    """Let votes count in another way."""
    with state.said(later=True):
        who()  # refuses those who may not write
        state.workspace().set_voting(run, st.session_state[f"voting {run}"])


def votes(result: RunResult, run: str) -> None:
    """The panel."""
    rule = result.legend.rule
    key = f"voting {run}"
    state.seed(key, rule.kind, options=list(VOTING))
    titles = {kind: t(f"asking.rule_{kind}") for kind in VOTING}
    st.selectbox(
        t("asking.votes_count"),
        list(VOTING),
        format_func=titles.__getitem__,
        key=key,
        disabled=not may_write(),
        on_change=set_voting,
        args=(run,),
    )
    if rule.kind == "record":
        weights = ", ".join(f"{plain(name)} {weight:.2f}" for name, weight in rule.weights.items())
        st.caption(t("asking.weights", weights=weights) if weights else t("asking.no_weights"))
    st.dataframe(matrix_rows(result), hide_index=True, width="stretch")
    st.caption(plain(concord_line(result)))
    rows = compliance_rows(result)
    if rows:
        st.markdown(f"**{t('asking.form_and_cost')}**")
        st.dataframe(rows, hide_index=True, width="stretch")
        spent = state.kept("spent", lambda: state.workspace().store.spent())
        tokens = spent.input_tokens + spent.output_tokens
        st.caption(t("asking.spent", tokens=number(tokens), dollars=plain(f"${spent.dollars:.2f}")))


def look_again(result: RunResult, run: str, names: list[str], budget: float | None) -> None:
    """A feedback round over the clusters in doubt."""
    doubts = state.workspace().doubts(run)
    for report in result.rounds:
        st.caption(plain(round_line(result, report)))
    if not doubts:
        st.caption(t("asking.no_doubt"))
        return
    listed = ", ".join(f"{doubt.cluster} ({t(f'asking.doubt_{doubt.reason}')})" for doubt in doubts[:12])
    st.caption(t("asking.doubts", count=len(doubts), listed=listed + (" …" if len(doubts) > 12 else "")))
    split = st.checkbox(
        t("asking.split_mixed"),
        value=True,
        key="look_split",
        help=t("asking.split_help"),
        **KEEP,
    )
    blocked = not names or not may_write() or state.busy()
    if st.button(t("asking.look_again"), icon=":material/replay:", disabled=blocked, width="stretch"):
        with state.said():
            space, keys, name = state.workspace(), state.keys(), who()
            state.start_job(
                t("asking.second_look"),
                lambda progress: space.second_look(
                    run, names, keys=keys, budget=budget, split=split, who=name, progress=progress
                ),
            )
            st.rerun()
    if not names:
        st.caption(t("asking.choose_first"))
