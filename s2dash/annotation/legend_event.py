"""Something a person did to a legend: an override, taking one back or bringing it back, or a note."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from s2dash.errors import LegendError

EventKind = Literal["override", "undo", "redo", "note"]


@dataclass(frozen=True)
class LegendEvent:
    """Something a person did to a legend."""

    kind: EventKind
    """`override` sets a class, `undo` takes back the latest override in force, anyone's, and `redo` brings it back; a
    `note` decides nothing and is never taken back."""
    cluster: int
    """The cluster it changed or is about; an undo or redo is of an override of this one."""
    before: int | None
    """Its class before, None for undecided: for the record, the replay does not use it."""
    after: int | None
    """Its class after; None means "set to unknown". Of a note the class it was left at."""
    who: str
    """The person."""
    when: datetime
    """With time zone; kept in UTC, where every moment has one name."""
    why: str = ""
    """The reason given, or what a note says."""

    def __post_init__(self) -> None:
        if self.when.tzinfo is None:
            raise LegendError(f"The {self.kind} of cluster {self.cluster} has a time without time zone: {self.when}.")
        object.__setattr__(self, "when", self.when.astimezone(UTC))

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "kind": self.kind,
            "cluster": self.cluster,
            "before": self.before,
            "after": self.after,
            "who": self.who,
            "when": self.when.isoformat(),
            "why": self.why,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> LegendEvent:
        """Back from JSON."""
        return cls(**{**row, "when": datetime.fromisoformat(row["when"])})
