"""Answers that somebody gave by hand: they vote like any annotator's, and the map follows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from s2dash.annotation.answer import Answer
from s2dash.annotation.legend import Legend
from s2dash.pipeline import RunResult
from s2dash.plain_runs import change_run
from s2dash.workspace import Workspace


def with_answers(legend: Legend, answers: Iterable[Answer]) -> Legend:
    """The legend after more answers: they replace earlier ones of the same annotator on the same cluster.

    Decisions that people made stay in force.

    Raises:
        LegendError: If an answer names a cluster or class the legend does not have.
    """
    given = {(answer.annotator, answer.cluster): answer for answer in answers}
    others = [answer for answer in legend.answers if (answer.annotator, answer.cluster) not in given]
    for answer in given.values():
        legend.override(answer.cluster, answer.code, who=answer.annotator)  # names what is not in the legend
    return replace(legend, answers=(*others, *given.values()))


def give_answers(result: RunResult, answers: Sequence[Answer], *, folder: Path) -> RunResult:
    """Let answers vote on a run that lies in a plain folder, and write its files anew, all or none.

    Args:
        result: The run as it was read from the folder.
        answers: What was given.
        folder: Where the run lies.

    Raises:
        LegendError: If an answer names a cluster or class the run does not have.
        OutputError: If the folder cannot be written.
    """
    return change_run(folder, result, lambda now: now.with_legend(with_answers(now.legend, answers)))


def keep_given(space: Workspace, run_id: str, answers: Sequence[Answer]) -> RunResult:
    """Let answers vote on a run of a workspace; each is in the store before the run's files change.

    Raises:
        LegendError: If an answer names a cluster or class the run does not have.
        StoreError: If the run is unknown, or cannot be written.
    """
    space.take_answers(run_id, answers)
    return space.open_run(run_id)
