"""What people did to the clusters of a run, in order: an append-only record that says which edits are in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal

from s2dash.clustering.edits import ClusterEdit

Step = Literal["edit", "undo", "redo"]
_SAID = {"edit": "", "undo": "Undone: ", "redo": "Done again: "}


@dataclass(frozen=True)
class EditEntry:
    """One entry of the record."""

    seq: int
    """1, 2, 3 … within the run, without gaps. The state of the clusters that an edit made goes by it; 0 is the fit."""
    step: Step
    """`edit` changes the clusters, `undo` takes the latest edit in force back, and `redo` brings it back."""
    edit: ClusterEdit
    """The edit that was made, taken back or brought back."""
    who: str
    """The person."""
    when: datetime
    """With time zone."""
    notes: tuple[str, ...] = ()
    """What the person should know of what came of it, in whole sentences."""

    @property
    def text(self) -> str:
        """What was done, in a few words."""
        return f"{_SAID[self.step]}{self.edit.text}"

    @property
    def kind(self) -> str:
        """`merge`, `split`, `sieve`, `majority`, `undo` or `redo`."""
        return self.edit.kind if self.step == "edit" else self.step

    def content(self) -> dict[str, Any]:
        """What the store keeps besides number, kind, person and time, as JSON."""
        return {"edit": self.edit.to_json(), "notes": list(self.notes)}

    @classmethod
    def from_content(cls, content: Mapping[str, Any], *, seq: int, kind: str, who: str, when: datetime) -> EditEntry:
        """Back from what the store keeps."""
        step: Step = "undo" if kind == "undo" else "redo" if kind == "redo" else "edit"
        edit = ClusterEdit.from_json(content["edit"])
        return cls(seq, step, edit, who, when.astimezone(UTC), tuple(content["notes"]))

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        about = {"seq": self.seq, "kind": self.kind, "text": self.text, "who": self.who, "when": self.when.isoformat()}
        return about | self.content()

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> EditEntry:
        """Back from JSON."""
        when = datetime.fromisoformat(row["when"])
        return cls.from_content(row, seq=row["seq"], kind=row["kind"], who=row["who"], when=when)


@dataclass(frozen=True)
class EditHistory:
    """All edits of a run."""

    entries: tuple[EditEntry, ...] = field(default=())
    """Oldest first."""

    @property
    def in_force(self) -> tuple[EditEntry, ...]:
        """The edits whose effect the clusters show, oldest first."""
        return self._replayed[0]

    @property
    def next_undo(self) -> EditEntry | None:
        """The edit that an undo would take back."""
        return self._replayed[0][-1] if self._replayed[0] else None

    @property
    def next_redo(self) -> EditEntry | None:
        """The edit that a redo would bring back: the last one undone, if none was made since."""
        return self._replayed[1][-1] if self._replayed[1] else None

    @property
    def state(self) -> int:
        """Number of the present state: that of the last edit in force, 0 for the clusters as they were fitted."""
        return self._replayed[0][-1].seq if self._replayed[0] else 0

    @property
    def last(self) -> int:
        """Number of the last entry; 0 for none."""
        return self.entries[-1].seq if self.entries else 0

    @property
    def made(self) -> frozenset[int]:
        """Every cluster number that any edit ever made, in force or not."""
        return frozenset(number for entry in self.entries for number in entry.edit.made)

    @cached_property
    def _replayed(self) -> tuple[tuple[EditEntry, ...], tuple[EditEntry, ...]]:
        """Edits in force, oldest first, and those undone, the one to come back next at the end."""
        done: list[EditEntry] = []
        undone: list[EditEntry] = []
        for entry in self.entries:
            if entry.step == "edit":
                done.append(entry)
                undone.clear()
            elif entry.step == "undo" and done:
                undone.append(done.pop())
            elif entry.step == "redo" and undone:
                done.append(undone.pop())
        return tuple(done), tuple(undone)

    def to_json(self) -> list[dict[str, Any]]:
        """As JSON, with what is in force for readers of the file."""
        standing = {entry.seq for entry in self.in_force}
        return [entry.to_json() | {"in_force": entry.seq in standing} for entry in self.entries]

    @classmethod
    def from_json(cls, rows: list[dict[str, Any]]) -> EditHistory:
        """Back from JSON."""
        return cls(tuple(EditEntry.from_json(row) for row in rows))
