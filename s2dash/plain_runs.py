"""Runs in plain folders, as `run --out` writes them: whoever changes one loses nothing that others put there."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from s2dash.errors import OutputBusyError, OutputError
from s2dash.export.folder import output_folder
from s2dash.export.run_files import LEGEND, RUN, RUN_FILES, earlier_files, read_run, run_tables, write_run
from s2dash.pipeline import RunResult

WAIT_S = 20.0
"""How long another program that writes to the same folder is waited for."""


def change_run(folder: Path, seen: RunResult, change: Callable[[RunResult], RunResult]) -> RunResult:
    """Change a run and write its files anew, all or none.

    What is changed is the run as it lies in the folder then, not as it was read: another command may have corrected it
    since.

    Args:
        folder: Where the run lies.
        seen: The run as it was read when the change was thought of.
        change: Makes the changed run of the present one.

    Returns:
        The run as it is then.

    Raises:
        OutputError: If the folder cannot be written, or holds another run by now.
        StoreError: If the run cannot be read any more.
    """
    until = time.monotonic() + WAIT_S
    while True:
        try:
            with output_folder(folder, owns=earlier_files(folder)) as staging:
                now = read_run(folder)
                if not _same_run(seen, now):
                    raise OutputError(
                        f"The run in {folder} was made anew since this command read it, so what was meant for the "
                        "earlier one was not put into it. Nothing was changed; look at it, and do it again."
                    )
                changed = change(now)
                listed = json.loads((folder / RUN).read_text("utf-8")).get("files", [])
                write_run(changed, staging, beside=[name for name in listed if name not in RUN_FILES])
                return changed
        except OutputBusyError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def refuse_to_lose(folder: Path, *, instead: RunResult | None = None) -> None:
    """See that writing a run into a folder takes away nothing that people did to the one that lies there.

    Call it while the folder is locked, in `output_folder`.

    Args:
        folder: Where the results are going.
        instead: What is going there, if it may hold the same work; None for a run that nobody has touched.

    Raises:
        OutputError: If something would be lost; the text says what, and what to do.
    """
    lost = _work(*_tables_in(folder))
    if instead is not None:
        tables = run_tables(instead)
        lost -= _work(tables[RUN], tables[LEGEND])
    if not lost:
        return
    people = sorted({str(json.loads(row).get("who") or "somebody") for row in lost})
    raise OutputError(
        f"The run in {folder} holds decisions or corrections by {', '.join(people[:5])} ({lost.total()}) that would be "
        "lost. Choose another folder, or move that one away."
    )


def _same_run(one: RunResult, other: RunResult) -> bool:
    return one.started == other.started and np.array_equal(one.clusters.labels, other.clusters.labels)


def _tables_in(folder: Path) -> tuple[Any, Any]:
    """The record and the legend of the run in a folder; empty where there is none that can be read."""
    found = []
    for name in (RUN, LEGEND):
        try:
            found.append(json.loads((folder / name).read_text("utf-8")))
        except (OSError, ValueError, RecursionError):
            found.append({})
    return found[0], found[1]


def _work(run: Any, legend: Any) -> Counter[str]:
    """What people did, each deed as text that is the same wherever it stands."""
    rows = []
    for table, names in ((run, ("map_edits", "edits")), (legend, ("events",))):
        for name in names:
            listed = table.get(name) if isinstance(table, dict) else None
            rows += [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
    return Counter(json.dumps(row, sort_keys=True) for row in rows)
