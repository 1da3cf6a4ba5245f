"""What people decided about legends: a history that only grows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select

from s2dash.annotation.legend import LegendEvent
from s2dash.errors import StoreError
from s2dash.store import tables
from s2dash.store.part import StorePart, clean
from s2dash.store.records import EventRecord

MEANWHILE = "Somebody else edited the clusters of this run meanwhile. Look at them and try again."
"""Why a decision about clusters that are no longer the same is refused."""


class Events(StorePart):
    """The legend events of every run."""

    def add_event(self, run_id: str, event: LegendEvent, *, edit: int | None = None) -> int:
        """Append what a person did; nothing of a run's history is ever changed.

        Args:
            run_id: The run.
            event: What was done.
            edit: Number of the last cluster edit that the person knew of; None for a decision that needs no check.

        Returns:
            Its sequence number in the run: 1, 2, 3 …

        Raises:
            StoreError: If there is no such run, or its clusters were edited meanwhile.
        """
        with self._database.write() as connection:
            self._run_row(connection, run_id, lock=True)
            if edit is not None and connection.execute(last_edit(run_id)).scalar_one() != edit:
                raise StoreError(MEANWHILE)
            return append_event(connection, run_id, event)

    def events(self, run_id: str) -> tuple[LegendEvent, ...]:
        """All legend events of a run, in order."""
        return tuple(record.event for record in self.events_since(run_id, 0))

    def events_since(self, run_id: str, seq: int) -> tuple[EventRecord, ...]:
        """Legend events of a run after the one numbered `seq`, in order."""
        found = tables.events.c
        query = select(tables.events).where(found.run_id == run_id, found.seq > seq).order_by(found.seq)
        with self._database.read() as connection:
            self._run_row(connection, run_id)
            return tuple(_event(row) for row in connection.execute(query))


def last_edit(run_id: str) -> Select[int]:
    """Asks for the number of the last cluster edit of a run, 0 for none."""
    found = tables.cluster_edits.c
    return select(func.coalesce(func.max(found.seq), 0)).where(found.run_id == run_id)


def append_event(connection: Connection, run_id: str, event: LegendEvent) -> int:
    """Append an event in a transaction that holds the run; its number."""
    last = select(func.coalesce(func.max(tables.events.c.seq), 0)).where(tables.events.c.run_id == run_id)
    seq = int(connection.execute(last).scalar_one()) + 1
    row = {
        "run_id": run_id,
        "seq": seq,
        "kind": event.kind,
        "cluster": int(event.cluster),  # the driver would keep a number of numpy as bytes
        "code_before": None if event.before is None else int(event.before),
        "code_after": None if event.after is None else int(event.after),
        "who": clean(event.who),
        "occurred": event.when,
        "why": clean(event.why),
    }
    connection.execute(insert(tables.events).values(**row))
    return seq


def _event(row: Row[Any]) -> EventRecord:
    return EventRecord(
        seq=row.seq,
        event=LegendEvent(
            kind=row.kind,
            cluster=row.cluster,
            before=row.code_before,
            after=row.code_after,
            who=row.who,
            when=row.occurred,
            why=row.why,
        ),
    )
