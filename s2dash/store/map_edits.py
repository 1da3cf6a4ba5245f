"""What people changed of a run's map other than its legend and clusters: a history that only grows."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import func, insert, select

from s2dash.map_edit import MapEdit
from s2dash.store import tables
from s2dash.store.part import StorePart, clean, plain


class MapEdits(StorePart):
    """The map edits of every run."""

    def add_map_edit(self, run_id: str, edit: MapEdit) -> MapEdit:
        """Append what a person did.

        Args:
            run_id: The run.
            edit: What was done; its number is given here.

        Returns:
            The same with its number.

        Raises:
            StoreError: If there is no such run.
        """
        found = tables.map_edits.c
        last = select(func.coalesce(func.max(found.seq), 0)).where(found.run_id == run_id)
        row = {
            "run_id": run_id,
            "kind": edit.kind,
            "content": plain(dict(edit.content), "The edit"),
            "who": clean(edit.who),
            "occurred": edit.when,
            "why": clean(edit.why),
        }
        with self._database.write() as connection:
            self._run_row(connection, run_id, lock=True)
            seq = int(connection.execute(last).scalar_one()) + 1
            connection.execute(insert(tables.map_edits).values(seq=seq, **row))
        return replace(edit, seq=seq)

    def map_edits(self, run_id: str) -> tuple[MapEdit, ...]:
        """All map edits of a run, in order."""
        found = tables.map_edits.c
        query = select(tables.map_edits).where(found.run_id == run_id).order_by(found.seq)
        with self._database.read() as connection:
            self._run_row(connection, run_id)
            rows = connection.execute(query).all()
        return tuple(MapEdit(row.kind, row.content, row.who, row.occurred, row.why, row.seq) for row in rows)
