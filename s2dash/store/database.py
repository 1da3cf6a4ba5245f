"""The database of a workspace: opened with care, used in short transactions, its failures put into words."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, insert, inspect, make_url, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from s2dash.errors import StoreError
from s2dash.store.tables import SCHEMA_VERSION, metadata, schema_version

FILE_NAME = "s2dash.db"
"""The SQLite file in a workspace that has no database server."""

_WRITES = "s2dash_writes"
_BACKENDS = frozenset({"sqlite", "postgresql"})


class Database:
    """Transactions on the tables of a workspace, for any number of threads and processes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pid = os.getpid()
        self._open = True

    @classmethod
    def open(cls, folder: Path, *, url: str | None, busy_timeout: float) -> Database:
        """Connect, make the tables where there are none, and bring those of an older version up to date.

        Only one process at a time may do this for a workspace; `Store.open` sees to it.

        Raises:
            StoreError: If the database is corrupt, newer, another program's, locked, or cannot be reached or written.
        """
        address = _address(folder, url)
        options: dict[str, Any] = {"pool_pre_ping": True}
        if address.get_backend_name() == "sqlite":
            path = Path(address.database or "")
            _inspect_file(path, busy_timeout=busy_timeout)
            options = {"connect_args": {"timeout": busy_timeout}}
        try:
            engine = create_engine(address, **options)
        except ModuleNotFoundError as error:
            package = "psycopg[binary]" if error.name == "psycopg" else error.name
            raise StoreError(
                f"The database {_shown(address)} needs a package more. Install it: pip install '{package}'"
            ) from error
        except (ArgumentError, NoSuchModuleError) as error:
            raise StoreError(f"The database address {_shown(address)} cannot be used: {error}.") from error
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        database = cls(engine)
        try:
            database._make_tables()
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state and writes nothing."""
        with self._transaction(writes=False) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is on the disk when the block ends, or leaves no trace if it raises."""
        with self._transaction(writes=True) as connection:
            yield connection

    def insert(self, connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
        """Insert a row unless its key is there already; whether it was inserted."""
        statement = self._insert(table).values(**row).on_conflict_do_nothing()
        return connection.execute(statement).rowcount > 0

    def upsert(self, connection: Connection, table: Table, row: Mapping[str, Any], *, key: str) -> None:
        """Insert a row, or replace the one with the same key."""
        statement = self._insert(table).values(**row)
        changed = {name: statement.excluded[name] for name in row if name != key}
        connection.execute(statement.on_conflict_do_update(index_elements=[key], set_=changed))

    def close(self) -> None:
        """Let go of every connection."""
        self._open = False
        self._engine.dispose()

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[Connection]:
        if not self._open:
            raise StoreError("The workspace was closed. Open it again.")
        if os.getpid() != self._pid:  # a forked child must not use its parent's connections
            self._engine.dispose(close=False)
            self._pid = os.getpid()
        try:
            with self._engine.connect() as connection:
                connection = connection.execution_options(**{_WRITES: writes})
                with connection.begin():
                    yield connection
        except SQLAlchemyError as error:
            raise self._failure(error) from error

    def _make_tables(self) -> None:
        with self.read() as connection:
            found = set(inspect(connection).get_table_names())
            known = schema_version.name in found
            version = connection.execute(select(schema_version.c.version)).scalar() if known else None
        if known:
            if self._check_version(version):
                self._bring_up_to_date()
            return
        strangers = found if self._engine.dialect.name == "sqlite" else found.intersection(metadata.tables)
        if strangers:
            raise StoreError(
                f"The database {self._name} belongs to another program (it holds "
                f"{', '.join(sorted(strangers)[:5])}). Choose another workspace folder. Nothing was changed."
            )
        with self.write() as connection:
            metadata.create_all(connection)
            connection.execute(insert(schema_version).values(version=SCHEMA_VERSION))

    def _bring_up_to_date(self) -> None:
        """Add the tables that an older workspace lacks, all or none; later versions only ever added tables."""
        with self.write() as connection:
            metadata.create_all(connection)
            connection.execute(update(schema_version).values(version=SCHEMA_VERSION))

    def _check_version(self, version: object) -> bool:
        """Whether the tables are of an older version that can be brought up to date."""
        if isinstance(version, int) and 1 <= version <= SCHEMA_VERSION:
            return version < SCHEMA_VERSION
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise StoreError(
                f"The workspace database {self._name} was made by a newer s2dash (its version is {version}, "
                f"this program knows {SCHEMA_VERSION}). Update s2dash, or choose another workspace folder. "
                "Nothing was changed."
            )
        raise StoreError(f"The workspace database {self._name} has no known version ({version}). {_RESTORE}")

    def _insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        return sqlite.insert(table) if self._engine.dialect.name == "sqlite" else postgresql.insert(table)

    @property
    def _name(self) -> str:
        return _shown(self._engine.url)

    def _failure(self, error: SQLAlchemyError) -> StoreError:
        """The failure in words, with what to do."""
        why = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        return _in_words(self._name, why)


_RESTORE = "Restore it from a copy, or choose another workspace folder. The file was not changed."


def _address(folder: Path, url: str | None) -> URL:
    if url is None:
        return URL.create("sqlite", database=str(folder / FILE_NAME))
    try:
        address = make_url(url)
    except ArgumentError:
        # The text may hold a password, so it is not repeated.
        raise StoreError(
            "The database address cannot be read. It looks like postgresql://user@host/database."
        ) from None
    if address.get_backend_name() not in _BACKENDS:
        raise StoreError(f"The database {_shown(address)} is not supported. Use PostgreSQL, or leave the address out.")
    if address.get_backend_name() == "sqlite" and address.database in {None, "", ":memory:"}:
        raise StoreError("A database in memory forgets everything. Leave the address out to use a file.")
    return address


def _shown(address: URL) -> str:
    """The address without its password."""
    if address.get_backend_name() == "sqlite":
        return str(address.database)
    return address.set(query={}).render_as_string(hide_password=True)


def _inspect_file(path: Path, *, busy_timeout: float) -> None:
    """Refuse a file that is no healthy SQLite database, reading it only; make a new one ready for many writers."""
    if path.exists() and not path.is_file():
        raise StoreError(f"{path} should be a database file and is not one. Move it away, or choose another workspace.")
    try:
        if path.exists() and path.stat().st_size == 0 and any((path.parent / "runs").glob("*")):
            raise StoreError(f"The workspace database {path} is empty although there are runs beside it. {_RESTORE}")
        if path.exists() and path.stat().st_size > 0:
            with closing(
                sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=busy_timeout)
            ) as file:
                verdict = file.execute("PRAGMA quick_check(1)").fetchone()[0]
                if verdict != "ok":
                    raise StoreError(
                        f"The workspace database {path} is corrupt ({verdict.splitlines()[0]}). {_RESTORE}"
                    )
                found = {name for (name,) in file.execute("SELECT name FROM sqlite_master")}
                if found and schema_version.name not in found:
                    return  # another program's, refused later: not even its journal mode is changed
        # With a write-ahead log, readers do not wait for writers, nor writers for readers.
        with closing(sqlite3.connect(path, timeout=busy_timeout)) as file:
            file.execute("PRAGMA journal_mode=WAL")
    except (sqlite3.Error, OSError) as error:
        raise _in_words(str(path), str(error)) from error


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin below, not when the driver thinks so
    for setting in ("foreign_keys=ON", "synchronous=FULL"):
        connection.execute(f"PRAGMA {setting}")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its turn at once: one that reads first and writes later would be refused, not made to wait.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _in_words(name: str, why: str) -> StoreError:
    text = why.lower()
    if "locked" in text or "busy" in text:
        return StoreError(
            f"The workspace database {name} is locked by another process that does not let go. "
            "Wait, or close the other program that uses it, and try again. Nothing was changed."
        )
    if "malformed" in text or "not a database" in text or "corrupt" in text:
        return StoreError(f"The workspace database {name} is corrupt ({why}). {_RESTORE}")
    if "full" in text:
        return StoreError(f"The disk of the workspace database {name} is full. Free some space and try again.")
    if "readonly" in text or "read-only" in text or "unable to open" in text or "permission" in text:
        return StoreError(
            f"The workspace database {name} cannot be written ({why}). "
            "Change the rights of its folder, or choose another workspace folder."
        )
    return StoreError(f"The workspace database {name} refused: {why}. Nothing was changed.")
