"""How the annotators of the run that is shown vote: the matrix, how far they agree, how votes count, a second look."""

from __future__ import annotations

from typing import Any

import streamlit as st

from s2dash.annotation.vote import RuleKind
from s2dash.dashboard import state
from s2dash.dashboard.texts import plain
from s2dash.dashboard.vote_tables import compliance_rows, concord_line, matrix_rows, round_line
from s2dash.pipeline import RunResult

KEEP: dict[str, Any] = {"persist_state": "session"}
VOTING: dict[RuleKind, str] = {
    "majority": "Majority: every annotator has one vote",
    "confidence": "By confidence: a vote counts as much as its giver is sure",
    "record": "By record: a vote counts by how often its giver agreed with people",
}
REASONS = {"disputed": "disputed", "unknown": "unknown", "mixed": "called mixed"}


def set_voting(run: str) -> None:
    """Let votes count in another way."""
    with state.said(later=True):
        state.workspace().set_voting(run, st.session_state[f"voting {run}"])


def votes(result: RunResult, run: str) -> None:
    """The panel."""
    rule = result.legend.rule
    key = f"voting {run}"
    state.seed(key, rule.kind, options=list(VOTING))
    st.selectbox(
        "Votes count", list(VOTING), format_func=VOTING.__getitem__, key=key, on_change=set_voting, args=(run,)
    )
    if rule.kind == "record":
        weights = ", ".join(f"{plain(who)} {weight:.2f}" for who, weight in rule.weights.items())
        st.caption(f"Weights: {weights}." if weights else "Nobody has decided anything yet, so all count alike.")
    st.dataframe(matrix_rows(result), hide_index=True, width="stretch")
    st.caption(plain(concord_line(result)))
    rows = compliance_rows(result)
    if rows:
        st.markdown("**How the models kept to the form, and what they cost**")
        st.dataframe(rows, hide_index=True, width="stretch")
        spent = state.kept("spent", lambda: state.workspace().store.spent())
        tokens = spent.input_tokens + spent.output_tokens
        st.caption(f"All runs of this workspace together: {tokens:,} tokens, {plain(f'${spent.dollars:.2f}')}.")


def look_again(result: RunResult, run: str, names: list[str], budget: float | None) -> None:
    """A feedback round over the clusters in doubt."""
    doubts = state.workspace().doubts(run)
    for report in result.rounds:
        st.caption(plain(round_line(result, report)))
    if not doubts:
        st.caption("No cluster is disputed, unknown or called mixed.")
        return
    listed = ", ".join(f"{doubt.cluster} ({REASONS[doubt.reason]})" for doubt in doubts[:12])
    st.caption(f"{len(doubts)} in doubt: {listed}{' …' if len(doubts) > 12 else ''}.")
    split = st.checkbox(
        "Split clusters that are called mixed",
        value=True,
        key="look_split",
        help="Each split can be undone on Clusters.",
        **KEEP,
    )
    if st.button("Look again", icon=":material/replay:", disabled=not names or state.busy(), width="stretch"):
        space, keys, who = state.workspace(), state.keys(), st.session_state.get("who", "")
        state.start_job(
            "A second look",
            lambda progress: space.second_look(
                run, names, keys=keys, budget=budget, split=split, who=who, progress=progress
            ),
        )
        st.rerun()
    if not names:
        st.caption(
            "Choose under *Ask models* who is to look. They are shown closer pictures, and what was said before."
        )
