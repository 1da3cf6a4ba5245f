"""The workspace: projects, runs, answers, what people decided, and the folder each run's rasters lie in."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import select

from s2dash.errors import StoreError
from s2dash.store import tables
from s2dash.store.answers import Answers
from s2dash.store.database import Database
from s2dash.store.edits import ClusterEdits
from s2dash.store.events import Events
from s2dash.store.map_edits import MapEdits
from s2dash.store.part import RUNS_FOLDER, folder_lock, plain
from s2dash.store.runs import Runs
from s2dash.store.synonyms import Synonyms


class Store(Runs, Answers, Synonyms, Events, ClusterEdits, MapEdits):
    """One workspace folder, open.

    Everything is on the disk when a method returns. Any number of threads, processes and browsers may use the same
    workspace. Every method raises `StoreError` with what to do if the database cannot be read or written.
    """

    @classmethod
    def open(cls, folder: Path, *, url: str | None = None, busy_timeout: float = 30.0) -> Store:
        """Open a workspace, making it where there is none.

        Runs whose process has died are marked `interrupted`.

        Args:
            folder: Where the database and the runs' rasters lie.
            url: Address of a PostgreSQL database to use in place of the SQLite file.
            busy_timeout: How long to wait for another writer, seconds.

        Raises:
            StoreError: If `folder` is a file or cannot be written, or the database is corrupt, newer, locked, or not
                ours; it is left as it is.
        """
        place = Path(folder).absolute()
        try:
            (place / RUNS_FOLDER).mkdir(parents=True, exist_ok=True)
            with folder_lock(place):
                store = cls(place, Database.open(place, url=url, busy_timeout=busy_timeout))
                try:
                    store._finish_deletions()
                    store._mark_interrupted()
                except BaseException:
                    store.close()
                    raise
        except (FileExistsError, NotADirectoryError) as error:
            raise StoreError(
                f"{place} is not a folder, or lies under a file. Choose another workspace folder."
            ) from error
        except (OSError, ValueError) as error:
            raise StoreError(
                f"The workspace {place!s} cannot be written: {getattr(error, 'strerror', None) or error}. "
                "Change the rights of the folder, free some space, or choose another."
            ) from error
        return store

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def get_setting(self, key: str, default: Any = None) -> Any:
        """A setting of the workspace, or `default`."""
        with self._database.read() as connection:
            row = connection.execute(select(tables.settings.c.value).where(tables.settings.c.key == key)).one_or_none()
        return default if row is None else row.value

    def set_setting(self, key: str, value: Any) -> None:
        """Keep a setting of the workspace.

        Args:
            key: Its name.
            value: As JSON.

        Raises:
            StoreError: If the name, or a name inside the value, says that it is a secret.
        """
        if not key or len(key) > 200 or not key.isprintable():
            raise StoreError(f"{key[:80]!a} cannot be the name of a setting. Use up to 200 plain characters.")
        row = {"key": key, "value": plain({key: value}, "The setting")[key]}
        with self._database.write() as connection:
            self._database.upsert(connection, tables.settings, row, key="key")
