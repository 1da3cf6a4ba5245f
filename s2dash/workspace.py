"""What a person does with runs: start one, open it again, decide, take back, compare, export."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from s2dash.annotation.legend import Legend
from s2dash.demo import DEMO_PROJECT, DEMO_SETTINGS, DEMO_TITLE, make_demo_scene
from s2dash.errors import Cancelled, S2DashError
from s2dash.export.folder import output_folder
from s2dash.export.run_files import RUN_FILES, earlier_files, read_run, write_run
from s2dash.pipeline import ReferenceSettings, RunResult, RunSettings, run_chain
from s2dash.progress import Progress, Silent, Stage
from s2dash.scene import Scene
from s2dash.sources.request import SceneRequest
from s2dash.store import Store

PROJECT = "My maps"
"""Project of runs that name none."""
_OPEN_RUNS = 4


class Workspace:
    """One folder with all runs of a person or a team."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._read = lru_cache(maxsize=_OPEN_RUNS)(self._read_files)

    @classmethod
    def open(cls, folder: Path, *, url: str | None = None) -> Workspace:
        """Open the workspace in `folder`, creating it if needed.

        Raises:
            StoreError: If it cannot be read or written.
        """
        return cls(Store.open(folder, url=url))

    @property
    def folder(self) -> Path:
        """Where everything lies."""
        return self.store.folder

    def start(
        self,
        request: SceneRequest,
        settings: RunSettings,
        *,
        reference: ReferenceSettings | None = None,
        title: str = "",
        project: str = PROJECT,
        progress: Progress | None = None,
    ) -> str:
        """Run the chain and keep the result; what fails or is cancelled leaves a record and no files.

        Returns:
            The run's id.

        Raises:
            S2DashError: One of its kinds, if a step cannot be done.
        """
        watch = progress or Silent()
        watch.report(0.0, "Opening the scene")
        scene = request.load()
        record = self.store.begin_run(
            project=self.store.ensure_project(project).id,
            title=title or f"{scene.provenance.title}, {settings.method} K={settings.k}",
            scene=request.to_json(),
            settings=settings.to_json(),
        )
        try:
            book = self.store.answer_book(record.id)
            inner = Stage(watch, 0.02, 0.95)
            result = run_chain(scene, settings, reference=reference, request=request, book=book, progress=inner)
            watch.report(0.95, "Writing the maps")
            with output_folder(self.store.run_folder(record.id), owns=RUN_FILES) as staging:
                write_run(result, staging)
            self.store.finish_run(record.id, summary=_summary(result))
        except Cancelled:
            self.store.cancel_run(record.id)
            raise
        except S2DashError as error:
            self.store.fail_run(record.id, error=str(error))
            raise
        except BaseException as error:
            self.store.fail_run(record.id, error=f"stopped unexpectedly ({type(error).__name__})")
            raise
        watch.report(1.0, "Done")
        return record.id

    def ensure_demo(self, *, progress: Progress | None = None) -> str:
        """The demo run, made if the workspace has none that is complete.

        Raises:
            S2DashError: If it cannot be made.
        """
        for record in self.store.runs():
            if record.title == DEMO_TITLE and record.status == "finished":
                return record.id
        watch = progress or Silent()
        folder = self.folder / "scenes" / "demo"
        request, reference = make_demo_scene(folder, progress=Stage(watch, 0.0, 0.4))
        return self.start(
            request,
            DEMO_SETTINGS,
            reference=reference,
            title=DEMO_TITLE,
            project=DEMO_PROJECT,
            progress=Stage(watch, 0.4, 1.0),
        )

    def open_run(self, run_id: str) -> RunResult:
        """A run with all decisions made since.

        Raises:
            StoreError: If it is unknown, unfinished or damaged.
        """
        result = self._read(run_id)
        legend = result.legend.with_events(self.store.events(run_id))
        return result if legend == result.legend else result.with_legend(legend)

    def scene(self, run_id: str) -> Scene:
        """The scene of a run, opened again from where it was.

        Raises:
            SceneError: If it has gone.
        """
        return SceneRequest.from_json(self.store.run(run_id).scene).load()

    def override(self, run_id: str, cluster: int, code: int | None, *, who: str = "", why: str = "") -> None:
        """Decide what a cluster is; in the store before this returns.

        Raises:
            LegendError: If cluster or class is unknown.
        """
        self._decide(run_id, lambda legend: legend.override(cluster, code, who=who or person(), why=why))

    def undo(self, run_id: str, *, who: str = "") -> None:
        """Take the last decision back.

        Raises:
            LegendError: If there is none.
        """
        self._decide(run_id, lambda legend: legend.undo(who=who or person()))

    def redo(self, run_id: str, *, who: str = "") -> None:
        """Decide again what was taken back.

        Raises:
            LegendError: If nothing was.
        """
        self._decide(run_id, lambda legend: legend.redo(who=who or person()))

    def compare_with(self, run_id: str, reference: ReferenceSettings, *, progress: Progress | None = None) -> None:
        """Compare a finished run with a reference map.

        Raises:
            ReferenceMapError: If the map cannot be read or does not overlap.
            SceneError: If the scene has gone.
            Cancelled: If the person stopped it; the comparison before stays.
        """
        watch = progress or Silent()
        watch.report(0.0, "Opening the run")
        result = self.open_run(run_id)
        found = reference.load(self.scene(run_id), result.legend.scheme, progress=Stage(watch, 0.1, 0.8))
        watch.report(0.8, "Writing the comparison")
        self._rewrite(run_id, replace(result, reference=found, reference_settings=reference))

    def export(self, run_id: str, folder: Path) -> list[str]:
        """Write the files of a run, with all decisions made since, into a person's folder.

        Returns:
            Names of the files.

        Raises:
            OutputError: If they cannot be written, or would replace files that no run made.
        """
        with output_folder(folder, owns=earlier_files(folder)) as staging:
            return [path.name for path in write_run(self.open_run(run_id), staging)]

    def delete(self, run_id: str) -> None:
        """Delete a run and its files.

        Raises:
            StoreError: If it is unknown.
        """
        self.store.delete_run(run_id)
        self._read.cache_clear()

    def _decide(self, run_id: str, change: Callable[[Legend], Legend]) -> None:
        legend = self.open_run(run_id).legend
        for event in change(legend).events[len(legend.events) :]:
            self.store.add_event(run_id, event)

    def _rewrite(self, run_id: str, result: RunResult) -> None:
        folder = self.store.run_folder(run_id)
        with output_folder(folder, owns=RUN_FILES) as staging:
            write_run(result, staging)
        self._read.cache_clear()
        self.store.finish_run(run_id, summary=_summary(result))

    def _read_files(self, run_id: str) -> RunResult:
        return read_run(self.store.run_folder(run_id))


def person() -> str:
    """Who sits here, for the history of decisions: the account's name, until a person says another."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "someone"


def _summary(result: RunResult) -> dict[str, object]:
    """What the list of runs shows."""
    found = result.agreement
    return {
        "clusters": len(result.cards),
        "queue": len(result.legend.queue),
        "clear_percent": result.scene.get("clear_percent"),
        "overall": found.overall if found else None,
        "ceiling": found.ceiling.overall if found and found.ceiling else None,
        "reference": result.reference.title if result.reference else None,
        "seconds": round(sum(result.timings.values()), 2),
    }
