"""What a person does with runs: start one, open it again, decide, edit, take back, compare, export."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from s2dash.annotation.keys import Keys
from s2dash.asked_runs import AskedRuns
from s2dash.clustering import method_entry
from s2dash.clustering.quality import measure_quality
from s2dash.demo import DEMO_PROJECT, DEMO_SETTINGS, DEMO_TITLE, make_demo_scene
from s2dash.errors import Cancelled, S2DashError
from s2dash.export.folder import output_folder
from s2dash.export.run_files import MODEL, RUN_FILES, earlier_files, write_run
from s2dash.kept_runs import person, summary
from s2dash.pipeline import ReferenceSettings, RunSettings, run_chain
from s2dash.plain_runs import refuse_to_lose
from s2dash.progress import Progress, Silent, Stage
from s2dash.run_edits import run_features
from s2dash.schemes import load_scheme
from s2dash.sources.request import SceneRequest
from s2dash.store import Store

__all__ = ["PROJECT", "Workspace", "person"]

PROJECT = "My maps"
"""Project of runs that name none."""


class Workspace(AskedRuns):
    """One folder with all runs of a person or a team."""

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
        keys: Keys | None = None,
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
            title=title or f"{scene.provenance.title}, {_method_and_k(settings)}",
            scene=request.to_json(),
            settings=settings.to_json(),
        )
        try:
            book = self.store.answer_book(record.id)
            inner = Stage(watch, 0.02, 0.95)
            result = run_chain(
                scene,
                settings,
                reference=reference,
                request=request,
                book=book,
                keys=keys,
                catalogue=self.catalogue(),
                synonyms=self.store.synonyms(load_scheme(settings.scheme)),
                progress=inner,
            )
            watch.report(0.95, "Writing the maps")
            with output_folder(self.store.run_folder(record.id), owns=RUN_FILES) as staging:
                write_run(result, staging)
            self.store.finish_run(record.id, summary=summary(result))
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

    def measure(self, run_id: str, *, progress: Progress | None = None) -> None:
        """Measure how good the clusters of a run are, for one made before runs did so themselves.

        Raises:
            SceneError: If the scene has gone.
            Cancelled: If the person stopped it.
        """
        watch = progress or Silent()
        watch.report(0.0, "Opening the run")
        result = self.open_run(run_id)
        scene = self.scene(run_id)
        found = measure_quality(
            result.clusters,
            scene,
            cards=result.cards,
            features=run_features(result, scene, model=result.kept_files.get(MODEL)),
            seed=result.settings.seed,
            progress=Stage(watch, 0.1, 0.9),
        )
        watch.report(0.9, "Keeping the figures")
        self._change(run_id, lambda now: replace(now, quality=found) if now.edits == result.edits else now)

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
        self._change(run_id, lambda now: replace(now, reference=found, reference_settings=reference))

    def export(self, run_id: str, folder: Path) -> list[str]:
        """Write the files of a run, with all decisions made since, into a person's folder.

        Returns:
            Names of the files.

        Raises:
            OutputError: If they cannot be written, or would replace files that no run made.
        """
        with output_folder(folder, owns=earlier_files(folder)) as staging:
            result = self.open_run(run_id)
            refuse_to_lose(folder, instead=result)
            return [path.name for path in write_run(result, staging)]

    def delete(self, run_id: str) -> None:
        """Delete a run and its files.

        Raises:
            StoreError: If it is unknown.
        """
        self.store.delete_run(run_id)
        self._read.cache_clear()


def _method_and_k(settings: RunSettings) -> str:
    """What tells one run of a scene from another."""
    if not method_entry(settings.method).takes_k:
        return settings.method
    return f"{settings.method} K proposed" if settings.k == "auto" else f"{settings.method} K={settings.k}"
