"""What people decided about legends: a history that only grows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, func, insert, select

from s2dash.annotation.legend import LegendEvent
from s2dash.store import tables
from s2dash.store.part import StorePart, clean
from s2dash.store.records import EventRecord


class Events(StorePart):
    """The legend events of every run."""

    def add_event(self, run_id: str, event: LegendEvent) -> int:
        """Append what a person did; nothing of a run's history is ever changed.

        Returns:
            Its sequence number in the run: 1, 2, 3 …

        Raises:
            StoreError: If there is no such run.
        """
        row = {
            "run_id": run_id,
            "kind": event.kind,
            "cluster": int(event.cluster),  # the driver would keep a number of numpy as bytes
            "code_before": None if event.before is None else int(event.before),
            "code_after": None if event.after is None else int(event.after),
            "who": clean(event.who),
            "occurred": event.when,
            "why": clean(event.why),
        }
        with self._database.write() as connection:
            self._run_row(connection, run_id, lock=True)
            last = select(func.coalesce(func.max(tables.events.c.seq), 0)).where(tables.events.c.run_id == run_id)
            seq = int(connection.execute(last).scalar_one()) + 1
            connection.execute(insert(tables.events).values(seq=seq, **row))
        return seq

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
