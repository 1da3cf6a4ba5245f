"""Compare strategies: each in a process of its own, one after the other, none of which can end the comparison."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from s2dash.confusion import Scores
from s2dash.errors import ClusteringError, OutputError
from s2dash.parallel import workers
from s2dash.progress import Progress, Silent, Stage, timetable
from s2dash.reference import Reference
from s2dash.run_settings import ReferenceSettings, RunSettings
from s2dash.scene import Scene
from s2dash.schemes import load_scheme
from s2dash.sources.request import SceneRequest
from s2dash.study.child import Outcome, run_in_child
from s2dash.study.job import Job
from s2dash.study.strategies import strategy_title
from s2dash.study.study import StrategyResult, Study

JUDGE_PIXELS = 5000
"""Pixels a silhouette is measured on: the distances between all of them still fit in memory."""
_MEASURED = ("clusters", "seconds", "peak_mib", "baseline_mib", "silhouette", "noise_share")
_START_S = 3.0
"""Seconds that starting a process and judging its map take."""


def compare_strategies(
    request: SceneRequest,
    strategies: Sequence[RunSettings],
    *,
    reference: ReferenceSettings | None = None,
    judge_pixels: int = JUDGE_PIXELS,
    progress: Progress | None = None,
) -> Study:
    """Make the map of every strategy, and measure what it costs and how good it is.

    Every strategy runs in a process of its own, so that its memory is its own and no failure, not even for want of
    memory, reaches the others: it becomes a result that says why. Silhouettes are measured on the same pixels in the
    same features for all: those the strategies share, or the bands alone where they look at different ones. Scene and
    reference are opened first, so that what is unusable is found out at once. Same input, same figures, but for time
    and memory.

    Args:
        request: The scene.
        strategies: What to compare, all with one class scheme.
        reference: The map to compare with; without one there are neither ceilings nor agreement.
        judge_pixels: Pixels the silhouettes are measured on, at most 5000; fewer where the scene has fewer.
        progress: Where to report, and through which to cancel; a child under way is then ended.

    Raises:
        ClusteringError: If there are no strategies, or their settings make no sense.
        SceneError: If the scene cannot be opened.
        ReferenceMapError: If the reference cannot be read or does not overlap.
        Cancelled: If the person stopped it.
    """
    watch = progress or Silent()
    judge = _check(strategies, judge_pixels)
    started = datetime.now(UTC)
    watch.report(0.0, "Opening the scene")
    scene = request.load()
    with tempfile.TemporaryDirectory(prefix="s2dash-study-") as folder:
        shared, about = None, None
        if reference is not None:
            watch.report(0.0, "Reading the reference map")
            found = reference.load(scene, load_scheme(judge.scheme), progress=Stage(watch, 0.0, 0.02))
            shared = _share(found, Path(folder))
            about = {
                "title": found.title,
                "year": found.year,
                "attribution": found.attribution,
                "scheme": judge.scheme,
                "notes": list(found.notes),
                "caution": "",
            }
            del found
        height, width = scene.grid.shape
        outcomes = _run_all(
            [Job(request, settings, judge, judge_pixels, shared) for settings in strategies],
            pixels=height * width,
            progress=Stage(watch, 0.02, 1.0),
        )
    first: Mapping[str, Any] = next((outcome.result for outcome in outcomes if not outcome.error), {})
    if about is not None:
        about["caution"] = first.get("caution", "")
    watch.report(1.0, "Done")
    return Study(
        request=request,
        scene=_about(scene),
        results=tuple(_result(job, outcome) for job, outcome in zip(strategies, outcomes, strict=True)),
        judged_on=tuple(first.get("judged_on", ())),
        judged_pixels=first.get("judged_pixels", 0),
        reference=about,
        reference_settings=reference,
        started=started.isoformat(timespec="seconds"),
        machine={"cores": workers(), **{name: metadata.version(name) for name in ("numpy", "scikit-learn", "torch")}},
    )


def _check(strategies: Sequence[RunSettings], judge_pixels: int) -> RunSettings:
    """See that the strategies can be compared; what all silhouettes are measured with."""
    if not strategies:
        raise ClusteringError("There is nothing to compare. Choose at least one method.")
    if not 2 <= judge_pixels <= JUDGE_PIXELS:
        raise ClusteringError(f"Silhouettes are measured on 2 to {JUDGE_PIXELS} pixels, not {judge_pixels}.")
    first = strategies[0]
    for settings in strategies:
        settings.check()
        if settings.model:
            raise ClusteringError("A comparison fits every strategy anew; leave the fitted model out.")
        if settings.scheme != first.scheme:
            raise ClusteringError(
                f"The strategies have different class schemes, {first.scheme!r} and {settings.scheme!r}, so their "
                "figures would not compare. Choose one."
            )
    looks = {(settings.indices, settings.texture, settings.season) for settings in strategies}
    return first if len(looks) == 1 else replace(first, indices=(), texture=0, season=())


def _run_all(jobs: Sequence[Job], *, pixels: int, progress: Progress) -> list[Outcome]:
    seconds = {f"{place}": _START_S + job.settings.effort(pixels).total for place, job in enumerate(jobs)}
    stages = timetable(progress, **seconds)
    outcomes: list[Outcome] = []
    lacking: dict[str, Outcome] = {}
    for place, job in enumerate(jobs):
        title, asked = strategy_title(job.settings), json.dumps([job.settings.method, dict(job.settings.options)])
        if asked in lacking:
            outcomes.append(lacking[asked])
            continue
        watch = _Named(stages[f"{place}"], f"{place + 1} of {len(jobs)} · {title}")
        outcomes.append(run_in_child(job.to_json(), progress=watch))
        if outcomes[-1].unmet:
            lacking[asked] = outcomes[-1]
    return outcomes


class _Named:
    """Progress of one strategy under its name."""

    def __init__(self, inner: Progress, name: str) -> None:
        self._inner, self._name = inner, name

    def report(self, share: float, text: str) -> None:
        self._inner.report(share, f"{self._name}: {text}")


def _share(reference: Reference, folder: Path) -> dict[str, Any]:
    """Put a reference, brought to the scene's grid once, where all children can read it."""
    path = folder / "reference.npy"
    try:
        np.save(path, reference.codes)
    except OSError as error:
        raise OutputError(
            f"The reference map cannot be put into the temporary folder {folder}: {error.strerror or error}. Free some "
            "space there, or name another folder in TMPDIR."
        ) from error
    return {
        "codes": str(path),
        "title": reference.title,
        "year": reference.year,
        "attribution": reference.attribution,
        "unknown": {str(code): count for code, count in reference.unknown.items()},
        "overlap_percent": reference.overlap_percent,
    }


def _about(scene: Scene) -> dict[str, Any]:
    height, width = (int(side) for side in scene.grid.shape)
    about = scene.provenance
    return {
        "title": about.title,
        "kind": about.kind,
        "width": width,
        "height": height,
        "acquired": about.acquired.isoformat() if about.acquired else None,
        "attribution": about.attribution,
    }


def _result(settings: RunSettings, outcome: Outcome) -> StrategyResult:
    found = outcome.result
    if outcome.error:  # half a row would look like a result: only what it took is kept
        peak, baseline = found.get("peak_mib"), found.get("baseline_mib")
        return StrategyResult(settings, peak_mib=peak, baseline_mib=baseline, error=outcome.error)
    figures: dict[str, Any] = {name: found[name] for name in _MEASURED}
    for name in ("ceiling", "reached"):
        figures[name] = Scores(**found[name]) if found.get(name) else None
    return StrategyResult(settings, **figures, notes=tuple(found["notes"]))
