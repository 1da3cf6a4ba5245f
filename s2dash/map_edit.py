"""What people changed of a map besides the class of a cluster: areas, reference points, classes; it only grows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

MapEditKind = Literal["area", "point", "sample", "class", "withdraw", "restore"]
"""`area`: everything inside a polygon is a class. `point`: somebody says what is at a place. `sample`: places were
drawn by chance, to be looked at one by one. `class`: a class was added, renamed or recoloured. `withdraw`: an earlier
one no longer holds; `restore`: it holds again."""


@dataclass(frozen=True)
class MapEdit:
    """One thing that a person did."""

    kind: MapEditKind
    """What was done."""
    content: Mapping[str, Any]
    """As JSON; of a withdrawal or restoration `{"seq": number of the edit it is about}`."""
    who: str = ""
    """The person."""
    when: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When, with a time zone."""
    why: str = ""
    """The reason, if one was given."""
    seq: int = 0
    """1, 2, 3 … within the run, without gaps; 0 before it is kept."""

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        table = {"seq": self.seq, "kind": self.kind, "content": dict(self.content)}
        return table | {"who": self.who, "when": self.when.isoformat(), "why": self.why}

    @classmethod
    def from_json(cls, table: Mapping[str, Any]) -> MapEdit:
        """Back from JSON."""
        when = datetime.fromisoformat(table["when"])
        return cls(table["kind"], table["content"], table["who"], when, table["why"], int(table["seq"]))


def in_force(edits: tuple[MapEdit, ...]) -> tuple[MapEdit, ...]:
    """Edits that hold now, oldest first: neither withdrawn, nor themselves a withdrawal or restoration."""
    gone: set[int] = set()
    for edit in edits:
        if edit.kind == "withdraw":
            gone.add(int(edit.content["seq"]))
        elif edit.kind == "restore":
            gone.discard(int(edit.content["seq"]))
    return tuple(edit for edit in edits if edit.kind not in ("withdraw", "restore") and edit.seq not in gone)
