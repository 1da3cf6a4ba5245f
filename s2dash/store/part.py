"""What every table of a workspace needs: the database, the runs' folders, and values fit to be stored."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, select

from s2dash.errors import OutputError, StoreError, UnsafeNameError
from s2dash.export.json_values import json_value
from s2dash.store import tables
from s2dash.store.database import Database
from s2dash.store.secrecy import refuse_secrets

RUNS_FOLDER = "runs"
"""Folder of the runs' folders in a workspace."""

_LOCK_NAME = ".s2dash-store.lock"
_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{6}")


class StorePart:
    """A workspace folder and its database: what the parts of `Store` share."""

    def __init__(self, folder: Path, database: Database) -> None:
        self._folder = folder
        self._database = database

    @property
    def folder(self) -> Path:
        """The workspace folder."""
        return self._folder

    def run_folder(self, run_id: str) -> Path:
        """Where the rasters of a run lie.

        Raises:
            UnsafeNameError: If the id is none that the store makes, or its folder leads out of the workspace.
        """
        base = self._folder / RUNS_FOLDER
        if not _ID.fullmatch(run_id):
            raise UnsafeNameError(f"{run_id[:80]!a} is not the id of a run. Choose a run from the list.")
        folder = base / run_id
        if folder.is_symlink() or folder.resolve().parent != base.resolve():
            raise UnsafeNameError(
                f"The folder of the run {run_id} leads out of the workspace. Put the real folder back."
            )
        return folder

    def _run_row(self, connection: Connection, run_id: str, *, lock: bool = False) -> Row[Any]:
        """The row of a run; with `lock`, the run's other writers wait until the transaction ends."""
        query = select(tables.runs).where(tables.runs.c.id == run_id)
        row = connection.execute(query.with_for_update() if lock else query).one_or_none()
        if row is None:
            raise StoreError(f"There is no run {run_id[:80]!a} in {self._folder}. Choose a run from the list.")
        return row


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Have a workspace to oneself among processes, for what no transaction covers."""
    handle = os.open(folder / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def new_id() -> str:
    """An id that sorts by time and is a file name everywhere."""
    return f"{now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def now() -> datetime:
    """The present, aware UTC."""
    return datetime.now(UTC)


def plain(value: Any, what: str) -> Any:
    """A value as it can be stored.

    Raises:
        StoreError: If it holds a secret, or something JSON cannot hold.
    """
    try:
        content = json_value(value, where=what)
    except OutputError as error:
        raise StoreError(str(error)) from error
    refuse_secrets(content, where=what)
    return content


def clean(text: str) -> str:
    """A text as every database takes it: no NUL, no half characters."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
