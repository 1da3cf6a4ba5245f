"""Projects, their runs, and the processes that work on them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert, select, update

from s2dash.errors import StoreError
from s2dash.names import check_run_name
from s2dash.store import tables
from s2dash.store.owner import Owner, is_gone, this_process
from s2dash.store.part import RUNS_FOLDER, StorePart, clean, folder_lock, new_id, now, plain
from s2dash.store.records import JobRecord, ProjectRecord, RunRecord, RunStatus
from s2dash.store.secrecy import redact

_DELETED = ".deleted-"
_OPEN: tuple[RunStatus, ...] = ("running", "interrupted")


class Runs(StorePart):
    """What was run, by project."""

    # ---- projects

    def create_project(self, name: str) -> ProjectRecord:
        """Make a project.

        Raises:
            UnsafeNameError: If the name looks like a path or cannot be shown.
            StoreError: If there is one of that name.
        """
        project = ProjectRecord(new_id(), check_run_name(name), now())
        with self._database.write() as connection:
            row = {"id": project.id, "name": project.name, "created": project.created}
            if not self._database.insert(connection, tables.projects, row):
                raise StoreError(f"There is a project {project.name!r} already. Open it, or choose another name.")
        return project

    def ensure_project(self, name: str) -> ProjectRecord:
        """The project of that name, made where there is none.

        Raises:
            UnsafeNameError: If the name looks like a path or cannot be shown.
        """
        row = {"id": new_id(), "name": check_run_name(name), "created": now()}
        with self._database.write() as connection:
            self._database.insert(connection, tables.projects, row)
            found = connection.execute(select(tables.projects).where(tables.projects.c.name == row["name"])).one()
        return ProjectRecord(**found._mapping)

    def projects(self) -> tuple[ProjectRecord, ...]:
        """All projects, the oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(select(tables.projects).order_by(tables.projects.c.created, tables.projects.c.id))
            return tuple(ProjectRecord(**row._mapping) for row in rows)

    def project(self, project_id: str) -> ProjectRecord:
        """One project.

        Raises:
            StoreError: If there is none of that id.
        """
        with self._database.read() as connection:
            row = connection.execute(select(tables.projects).where(tables.projects.c.id == project_id)).one_or_none()
        if row is None:
            raise StoreError(f"There is no project {project_id!r} in {self._folder}. Choose another.")
        return ProjectRecord(**row._mapping)

    # ---- runs

    def begin_run(
        self, *, project: str, title: str, scene: Mapping[str, Any], settings: Mapping[str, Any]
    ) -> RunRecord:
        """Begin a run that this process works on, and make its folder.

        Args:
            project: Id of the project.
            title: What the person calls it.
            scene: What it is run on, as JSON.
            settings: What was chosen, as JSON.

        Raises:
            UnsafeNameError: If the title looks like a path or cannot be shown.
            StoreError: If there is no such project, or the values hold a secret or something JSON cannot hold.
        """
        row = {
            "project_id": self.project(project).id,
            "title": check_run_name(title),
            "status": "running",
            "created": now(),
            "scene": plain(scene, "The scene"),
            "settings": plain(settings, "The settings"),
            "summary": {},
            "error": "",
        }
        run_id, folder = self._make_run_folder()
        try:
            with self._database.write() as connection:
                connection.execute(insert(tables.runs).values(id=run_id, **row))
                job = {"run_id": run_id, "share": 0.0, "text": "", "updated": row["created"], "cancel_asked": False}
                connection.execute(insert(tables.jobs).values(**job, **vars(this_process())))
        except BaseException:
            folder.rmdir()
            raise
        return self.run(run_id)

    def finish_run(self, run_id: str, *, summary: Mapping[str, Any]) -> RunRecord:
        """Say that a run is finished; of one that is already, replace the summary.

        Args:
            run_id: The run.
            summary: What came out, as JSON.

        Raises:
            StoreError: If there is no such run, or it was cancelled or failed meanwhile.
        """
        record = self._end_run(run_id, status="finished", summary=plain(summary, "The summary"))
        if record.status != "finished":
            raise StoreError(
                f"The run {record.title!r} is {record.status} already and cannot be finished. Run it again."
            )
        return record

    def fail_run(self, run_id: str, *, error: str) -> RunRecord:
        """Say that a run failed, and why; a run that ended before stays as it was."""
        return self._end_run(run_id, status="failed", error=clean(redact(error)))

    def cancel_run(self, run_id: str) -> RunRecord:
        """Say that a run was stopped; a run that ended before stays as it was."""
        return self._end_run(run_id, status="cancelled")

    def runs(self, *, project: str | None = None) -> tuple[RunRecord, ...]:
        """Runs of one project or of all, the newest first."""
        query = select(tables.runs).order_by(tables.runs.c.created.desc(), tables.runs.c.id.desc())
        if project is not None:
            query = query.where(tables.runs.c.project_id == project)
        with self._database.read() as connection:
            return tuple(RunRecord(**row._mapping) for row in connection.execute(query))

    def run(self, run_id: str) -> RunRecord:
        """One run.

        Raises:
            StoreError: If there is none of that id.
        """
        with self._database.read() as connection:
            return RunRecord(**self._run_row(connection, run_id)._mapping)

    def rename_run(self, run_id: str, title: str) -> RunRecord:
        """Call a run something else.

        Raises:
            UnsafeNameError: If the title looks like a path or cannot be shown.
        """
        name = check_run_name(title)
        with self._database.write() as connection:
            self._run_row(connection, run_id)
            connection.execute(update(tables.runs).where(tables.runs.c.id == run_id).values(title=name))
        return self.run(run_id)

    def delete_run(self, run_id: str) -> None:
        """Delete a run with its folder; the answers it paid for stay for other runs.

        Raises:
            StoreError: If a living process works on it, or its folder cannot be deleted; then nothing is.
        """
        folder = self.run_folder(run_id)
        doomed = folder.with_name(f"{_DELETED}{folder.name}")
        with folder_lock(self._folder):
            self.run(run_id)
            owner = self._owners().get(run_id)
            if owner is not None and not is_gone(owner):
                raise StoreError(f"Process {owner.pid} on {owner.host} still works on this run. Cancel it first.")
            try:
                # Aside first: a crash from here on is completed or taken back when the workspace is next opened.
                if folder.exists():
                    folder.rename(doomed)
            except OSError as error:
                raise StoreError(
                    f"The folder {folder} cannot be deleted: {error.strerror}. Change its rights."
                ) from error
            try:
                with self._database.write() as connection:
                    connection.execute(delete(tables.runs).where(tables.runs.c.id == run_id))
            except BaseException:
                if doomed.exists():
                    doomed.rename(folder)
                raise
            shutil.rmtree(doomed, ignore_errors=True)

    # ---- the process that works on a run

    def job(self, run_id: str) -> JobRecord | None:
        """Who works on a run and how far it is; None when nobody does."""
        jobs = tables.jobs.c
        columns = [jobs[name] for name in JobRecord.__dataclass_fields__]
        with self._database.read() as connection:
            row = connection.execute(select(*columns).where(jobs.run_id == run_id)).one_or_none()
        return None if row is None else JobRecord(**row._mapping)

    def report_job(self, run_id: str, *, share: float, text: str) -> bool:
        """Tell every browser how far a run is.

        Args:
            run_id: The run.
            share: Share done, 0-1.
            text: The present step, in words.

        Returns:
            Whether the run should go on: False once somebody asked it to stop, or it ended.
        """
        values = {"share": min(max(share, 0.0), 1.0), "text": clean(text), "updated": now()}
        with self._database.write() as connection:
            connection.execute(update(tables.jobs).where(tables.jobs.c.run_id == run_id).values(**values))
            asked = connection.execute(
                select(tables.jobs.c.cancel_asked).where(tables.jobs.c.run_id == run_id)
            ).scalar()
        return asked is False

    def ask_cancel(self, run_id: str) -> None:
        """Ask whoever works on a run to stop."""
        with self._database.write() as connection:
            self._run_row(connection, run_id)
            connection.execute(update(tables.jobs).where(tables.jobs.c.run_id == run_id).values(cancel_asked=True))

    # ---- inside

    def _make_run_folder(self) -> tuple[str, Path]:
        while True:
            run_id = new_id()
            folder = self.run_folder(run_id)
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                continue
            except OSError as error:
                raise StoreError(
                    f"The folder {folder} cannot be made: {error.strerror}. Free some space, or change its rights."
                ) from error
            return run_id, folder

    def _end_run(self, run_id: str, *, status: RunStatus, summary: Any = None, error: str = "") -> RunRecord:
        """End a run that has not ended yet: whoever comes first decides how. A summary goes to a finished run."""
        runs, jobs = tables.runs, tables.jobs
        ending = update(runs).where(runs.c.id == run_id, runs.c.status.in_(_OPEN))
        describing = update(runs).where(runs.c.id == run_id, runs.c.status == "finished")
        with self._database.write() as connection:
            self._run_row(connection, run_id)
            connection.execute(ending.values(status=status, finished=now(), error=error))
            connection.execute(delete(jobs).where(jobs.c.run_id == run_id))
            if summary is not None:
                connection.execute(describing.values(summary=summary))
            ended = RunRecord(**self._run_row(connection, run_id)._mapping)
        if ended.status != "finished":
            with suppress(OSError):  # what it has written after all stays
                self.run_folder(run_id).rmdir()
        return ended

    def _owners(self) -> dict[str, Owner]:
        """The process of every run that is running."""
        jobs, runs = tables.jobs, tables.runs
        query = select(jobs.c.run_id, jobs.c.pid, jobs.c.host, jobs.c.mark).join(runs).where(runs.c.status == "running")
        with self._database.read() as connection:
            return {row.run_id: Owner(row.pid, row.host, row.mark) for row in connection.execute(query)}

    def _mark_interrupted(self) -> None:
        """Find the runs whose process has died."""
        runs, jobs = tables.runs, tables.jobs
        for run_id, owner in self._owners().items():
            if not is_gone(owner):
                continue
            why = f"The program ended before the run did (process {owner.pid} on {owner.host}). Run it again."
            with self._database.write() as connection:
                ending = update(runs).where(runs.c.id == run_id, runs.c.status == "running")
                connection.execute(ending.values(status="interrupted", finished=now(), error=why))
                connection.execute(delete(jobs).where(jobs.c.run_id == run_id))

    def _finish_deletions(self) -> None:
        """Complete or take back what a crash left of `delete_run`."""
        for doomed in (self._folder / RUNS_FOLDER).glob(f"{_DELETED}*"):
            folder = doomed.with_name(doomed.name.removeprefix(_DELETED))
            with self._database.read() as connection:
                known = connection.execute(select(tables.runs.c.id).where(tables.runs.c.id == folder.name)).first()
            if known is None:
                shutil.rmtree(doomed, ignore_errors=True)
            elif not folder.exists():
                doomed.rename(folder)
