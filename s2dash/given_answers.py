"""Answers that somebody gave by hand: they vote like any annotator's, and the map follows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from s2dash.annotation.answer import Answer
from s2dash.annotation.legend import Legend
from s2dash.export.folder import output_folder
from s2dash.export.run_files import RUN, RUN_FILES, earlier_files, write_run
from s2dash.pipeline import RunResult
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
    voted = result.with_legend(with_answers(result.legend, answers))
    listed = json.loads((folder / RUN).read_text("utf-8")).get("files", [])
    beside = [name for name in listed if name not in RUN_FILES]
    with output_folder(folder, owns=earlier_files(folder)) as staging:
        write_run(voted, staging, beside=beside)
    return voted


def keep_given(space: Workspace, run_id: str, answers: Sequence[Answer]) -> RunResult:
    """Let answers vote on a run of a workspace; each is in the store before the run's files change.

    Raises:
        LegendError: If an answer names a cluster or class the run does not have.
        StoreError: If the run is unknown, or cannot be written.
    """
    space.take_answers(run_id, answers)
    return space.open_run(run_id)
