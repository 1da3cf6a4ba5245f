"""What all sessions of a running dashboard share: the workspace, work under way, and what is dear to make."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from s2dash.dashboard.assets import MapAssets
from s2dash.dashboard.language import t
from s2dash.dashboard.shelf import Shelf
from s2dash.dashboard.view import ClusterView, SceneView
from s2dash.jobs import Job, JobBoard
from s2dash.pipeline import RunResult
from s2dash.progress import Progress
from s2dash.sources.request import SceneRequest
from s2dash.store import Changes, RunRecord, Store
from s2dash.workspace import Workspace

T = TypeVar("T")

_DEMO_MADE = "dashboard.demo"


@dataclass(frozen=True)
class Server:
    """The shared part of the dashboard; safe to use from several threads."""

    workspace: Workspace
    """Where runs and decisions are."""
    assets: MapAssets
    """The map's browser files."""
    board: JobBoard = field(default_factory=JobBoard)
    """Work under way."""
    _scenes: Shelf = field(default_factory=lambda: Shelf(4))
    """`SceneView` by scene, ready to be shown."""
    _runs: Shelf = field(default_factory=lambda: Shelf(6))
    """`RunResult` by run and decisions, `ClusterView` by run and scene."""
    _layers: Shelf = field(default_factory=lambda: Shelf(128))
    """Layers and legends that change with the decisions."""
    _openings: dict[str, str] = field(default_factory=dict)
    """Id of the job that opens, opened or could not open a scene."""
    _demo_tried: threading.Event = field(default_factory=threading.Event)
    """Set once this server has begun to make the demo: one that failed is not begun again and again."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while deciding whether to begin what must begin once."""

    @property
    def store(self) -> Store:
        """The store of the workspace."""
        return self.workspace.store

    # ---- runs

    def finished_runs(self) -> list[RunRecord]:
        """Runs that can be shown, the newest first."""
        return [record for record in self.store.runs() if record.status == "finished"]

    def open_run(self, run_id: str) -> RunResult:
        """A run with all decisions made since, read and computed once.

        Raises:
            StoreError: If it is unknown, unfinished or damaged.
        """
        return self._runs.get(self._run_key(run_id), lambda: self.workspace.open_run(run_id))

    def kept(self, kind: str, run_id: str, make: Callable[[], T]) -> T:
        """Something made of a run, kept until the next decision or comparison."""
        return self._layers.get((kind, *self._run_key(run_id)), make)

    def cluster_view(self, run_id: str, found: RunResult, scene: SceneView | None, *, of: SceneRequest) -> ClusterView:
        """The pictures of a run over its scene."""
        key = ("view", run_id, found.started, found.edits.state, None if scene is None else scene_key(of))
        return self._runs.get(key, lambda: ClusterView(found.clusters, scene))

    def _run_key(self, run_id: str) -> tuple[str, int, Changes]:
        """Changes whenever the run does: by a decision, a cluster edit, an answer, or a comparison with another map."""
        try:
            written = (self.store.run_folder(run_id) / "run.json").stat().st_mtime_ns
        except OSError:
            written = 0
        return run_id, written, self.store.changes(run_id)

    # ---- scenes

    def open_scene(self, asked: SceneRequest, *, patience: float) -> tuple[SceneView | None, Job]:
        """A scene ready to be shown, or the job that is still at it, or that failed.

        Args:
            asked: The scene.
            patience: How long to wait for it, s; small scenes are there at once.
        """
        key = scene_key(asked)
        with self._lock:
            job = self.board.get(self._openings.get(key))
            if job is None or (job.state == "done" and self._scenes.peek(key) is None):

                def work(progress: Progress) -> None:
                    self._scenes.get(key, lambda: SceneView(asked.load()).prepare(progress))

                job = self.board.start(t("frame.opening", what=Path(asked.location).name or asked.location), work)
                self._openings[key] = job.id
        until = time.monotonic() + patience
        while job.running and time.monotonic() < until:
            time.sleep(0.02)
        return self._scenes.peek(key), job

    def forget_failure(self, asked: SceneRequest) -> None:
        """Let the next `open_scene` try again."""
        self._openings.pop(scene_key(asked), None)

    def is_opening(self, job_id: str) -> bool:
        """Whether a job only opens a scene: its end is seen on the page and needs no words."""
        return job_id in self._openings.values()

    # ---- the demo

    def first_start(self) -> Job | None:
        """Where nothing was ever made, begin the demo, once, however many browsers open at the same time."""
        with self._lock:
            if self._demo_tried.is_set() or self.board.running() or self.store.get_setting(_DEMO_MADE):
                return None
            return self.start_demo()

    def start_demo(self) -> Job:
        """Make the demo in the background."""

        def work(progress: Progress) -> str:
            made = self.workspace.ensure_demo(progress=progress)
            self.store.set_setting(_DEMO_MADE, made)
            return made

        self._demo_tried.set()
        return self.board.start(t("frame.making_demo"), work)


def scene_key(asked: SceneRequest) -> str:
    """What was asked for, and the state of the files it names: a file that is written anew is another scene."""
    stamps = []
    for place in filter(None, (asked.location, asked.scl)):
        try:
            found = Path(place).expanduser().stat()
        except (OSError, ValueError, RuntimeError):
            stamps.append(0)
        else:
            stamps += [found.st_mtime_ns, found.st_size]
    return json.dumps([asked.to_json(), stamps])
