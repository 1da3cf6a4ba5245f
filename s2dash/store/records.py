"""What the store hands out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from s2dash.annotation.legend import LegendEvent

RunStatus = Literal["running", "finished", "failed", "cancelled", "interrupted"]
"""`interrupted`: the process that worked on it is gone."""


class Changes(NamedTuple):
    """How much happened to a run so far: whatever happens next makes one of these larger."""

    decisions: int
    """Legend events."""
    edits: int
    """Edits of its clusters, undoing and redoing among them."""
    answers: int
    """Answers kept for it."""
    map_edits: int = 0
    """Areas, points and classes that people changed, and what they took back of it."""


@dataclass(frozen=True)
class ProjectRecord:
    """A project: runs that belong together."""

    id: str
    """Made by the store, sortable by time."""
    name: str
    """What the person called it; data, escape wherever shown."""
    created: datetime
    """When, UTC."""


@dataclass(frozen=True)
class RunRecord:
    """One run of the chain."""

    id: str
    """Made by the store, sortable by time; also the name of its folder."""
    project_id: str
    """The project it belongs to."""
    title: str
    """What the person called it; data, escape wherever shown."""
    status: RunStatus
    """Where it stands."""
    created: datetime
    """When it began, UTC."""
    finished: datetime | None
    """When it ended in whatever way, UTC; None while it runs."""
    scene: dict[str, Any]
    """What it was run on."""
    settings: dict[str, Any]
    """What was chosen."""
    summary: dict[str, Any]
    """What came out; empty until it is finished."""
    error: str
    """What went wrong, for the person; empty if nothing did."""


@dataclass(frozen=True)
class JobRecord:
    """The process that works on a run."""

    run_id: str
    """The run."""
    pid: int
    """Process number."""
    host: str
    """Machine it runs on."""
    share: float
    """Share of the work that is done, 0-1."""
    text: str
    """The present step, in words."""
    updated: datetime
    """When it last said so, UTC."""
    cancel_asked: bool
    """Whether somebody asked it to stop."""


@dataclass(frozen=True)
class EventRecord:
    """A legend event with its place in the run's history."""

    seq: int
    """1, 2, 3 … within the run, without gaps."""
    event: LegendEvent
    """What a person did."""
