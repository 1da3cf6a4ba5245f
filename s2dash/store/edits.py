"""What people did to the clusters of runs: a history that only grows, like that of the legends."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, Table, func, insert, select

from s2dash.annotation.legend import LegendEvent
from s2dash.edit_history import EditEntry, EditHistory
from s2dash.errors import StoreError
from s2dash.store import tables
from s2dash.store.events import MEANWHILE, append_event, last_edit
from s2dash.store.part import StorePart, clean, plain
from s2dash.store.records import Changes


class ClusterEdits(StorePart):
    """The cluster edits of every run."""

    def add_cluster_edit(self, run_id: str, entry: EditEntry, *, events: Sequence[LegendEvent] = ()) -> None:
        """Append what a person did to the clusters, and what follows from it for the legend, both or neither.

        Args:
            run_id: The run.
            entry: The edit, undo or redo; its number is the next one.
            events: Legend events that come with it.

        Raises:
            StoreError: If there is no such run, or somebody else edited its clusters meanwhile.
        """
        row = {
            "run_id": run_id,
            "seq": entry.seq,
            "kind": entry.kind,
            "content": plain(entry.content(), "The edit"),
            "who": clean(entry.who),
            "occurred": entry.when,
        }
        with self._database.write() as connection:
            self._run_row(connection, run_id, lock=True)
            last = connection.execute(last_edit(run_id)).scalar_one()
            if last != entry.seq - 1:
                raise StoreError(MEANWHILE)
            connection.execute(insert(tables.cluster_edits).values(**row))
            for event in events:
                append_event(connection, run_id, event)

    def cluster_edits(self, run_id: str) -> EditHistory:
        """All cluster edits of a run."""
        found = tables.cluster_edits.c
        query = select(tables.cluster_edits).where(found.run_id == run_id).order_by(found.seq)
        with self._database.read() as connection:
            self._run_row(connection, run_id)
            rows = connection.execute(query).all()
        return EditHistory(
            tuple(
                EditEntry.from_content(row.content, seq=row.seq, kind=row.kind, who=row.who, when=row.occurred)
                for row in rows
            )
        )

    def changes(self, run_id: str) -> Changes:
        """What a page watches to show others' work."""

        def count(table: Table) -> Select[int]:
            return select(func.count()).select_from(table).where(table.c.run_id == run_id)

        with self._database.read() as connection:
            return Changes(
                decisions=int(connection.execute(count(tables.events)).scalar_one()),
                edits=int(connection.execute(last_edit(run_id)).scalar_one()),
                answers=int(connection.execute(count(tables.run_answers)).scalar_one()),
                map_edits=int(connection.execute(count(tables.map_edits)).scalar_one()),
            )
