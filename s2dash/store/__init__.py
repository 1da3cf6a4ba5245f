"""One workspace folder: a relational database, and the runs' rasters beside it."""

from __future__ import annotations

from s2dash.store.answers import RunAnswers
from s2dash.store.events import MEANWHILE
from s2dash.store.part import folder_lock
from s2dash.store.records import Changes, EventRecord, JobRecord, ProjectRecord, RunRecord, RunStatus
from s2dash.store.store import Store

__all__ = [
    "MEANWHILE",
    "Changes",
    "EventRecord",
    "JobRecord",
    "ProjectRecord",
    "RunAnswers",
    "RunRecord",
    "RunStatus",
    "Store",
    "folder_lock",
]
