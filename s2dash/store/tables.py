"""The tables of a workspace."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    DDL,
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    event,
)

SCHEMA_VERSION = 5
"""Raised by one with every change of a table; a newer workspace is refused, an older one is brought up to date."""


class UTCTime(TypeDecorator[datetime]):
    """Aware times in, aware UTC times out, also where the database knows no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; a naive time is a mistake of the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"the time {value} has no time zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """To aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()

schema_version = Table("schema_version", metadata, Column("version", Integer, nullable=False))

projects = Table(
    "projects",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created", UTCTime, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("project_id", ForeignKey("projects.id"), nullable=False, index=True),
    Column("title", Text, nullable=False),
    Column("status", String(20), nullable=False),
    Column("created", UTCTime, nullable=False, index=True),
    Column("finished", UTCTime),
    Column("scene", JSON, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("summary", JSON, nullable=False),
    Column("error", Text, nullable=False),
)

# The process that works on a run, while it does.
jobs = Table(
    "jobs",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("host", Text, nullable=False),
    Column("mark", Text, nullable=False),
    Column("share", Float, nullable=False),
    Column("text", Text, nullable=False),
    Column("updated", UTCTime, nullable=False),
    Column("cancel_asked", Boolean, nullable=False),
)

# Answers outlive the runs that asked: what was paid for is never asked for again.
answers = Table(
    "answers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("card", String(200), nullable=False),
    Column("prompt", String(200), nullable=False),
    Column("model", String(200), nullable=False),
    Column("content", JSON, nullable=False),
    Column("saved", UTCTime, nullable=False),
    UniqueConstraint("card", "prompt", "model"),
)

run_answers = Table(
    "run_answers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("answer_id", ForeignKey("answers.id"), nullable=False, index=True),
    Column("cluster", Integer, nullable=False),
    Column("annotator", Text, nullable=False),
    UniqueConstraint("run_id", "answer_id", "cluster", "annotator"),
)

# What models wrote, word for word, kept before anybody reads it; outlives the run that asked, as answers do.
replies = Table(
    "replies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("card", String(200), nullable=False),
    Column("prompt", String(200), nullable=False),
    Column("model", String(200), nullable=False),
    Column("ask", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("usage", JSON, nullable=False),
    Column("stop", String(20), nullable=False),
    Column("served", Text, nullable=False),
    Column("saved", UTCTime, nullable=False),
    Column("run_id", ForeignKey("runs.id", ondelete="SET NULL"), index=True),
    UniqueConstraint("card", "prompt", "model", "ask"),
)

# Who asks what now: a row goes when the answer is kept.
claims = Table(
    "claims",
    metadata,
    Column("card", String(200), primary_key=True),
    Column("prompt", String(200), primary_key=True),
    Column("model", String(200), primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("host", Text, nullable=False),
    Column("mark", Text, nullable=False),
    Column("renewed", UTCTime, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(20), nullable=False),
    Column("cluster", Integer, nullable=False),
    Column("code_before", Integer),
    Column("code_after", Integer),
    Column("who", Text, nullable=False),
    Column("occurred", UTCTime, nullable=False),
    Column("why", Text, nullable=False),
)

# What people did to the clusters of a run: merged, split, sieved, filtered, and took back.
cluster_edits = Table(
    "cluster_edits",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(20), nullable=False),
    Column("content", JSON, nullable=False),
    Column("who", Text, nullable=False),
    Column("occurred", UTCTime, nullable=False),
)

# What people changed of a map besides: areas, reference points, classes.
map_edits = Table(
    "map_edits",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(20), nullable=False),
    Column("content", JSON, nullable=False),
    Column("who", Text, nullable=False),
    Column("occurred", UTCTime, nullable=False),
    Column("why", Text, nullable=False),
)

settings = Table(
    "settings",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("value", JSON, nullable=False),
)

# What a person did is history; not even a mistake in this program may rewrite it.
for _table in (events, cluster_edits, map_edits):
    _append_only: Any = DDL(  # type: ignore[no-untyped-call]
        f"CREATE TRIGGER {_table.name}_append_only BEFORE UPDATE ON {_table.name} "
        f"BEGIN SELECT RAISE(ABORT, '{_table.name} are append-only'); END"
    ).execute_if(dialect="sqlite")
    event.listen(_table, "after_create", _append_only)
