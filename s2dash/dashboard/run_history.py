"""Everything that people did to a run, in one order: labels, clusters, areas, points, classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from s2dash.annotation.legend_event import LegendEvent
from s2dash.dashboard.agreement_tables import Row
from s2dash.dashboard.cluster_tables import edit_text
from s2dash.dashboard.correction_texts import edit_line
from s2dash.dashboard.labels import event_text
from s2dash.dashboard.language import t
from s2dash.dashboard.scheme_tables import class_edit_text, scheme_then
from s2dash.dashboard.texts import by_whom
from s2dash.map_edit import MapEdit
from s2dash.pipeline import RunResult

DeedKind = Literal["label", "note", "clusters", "area", "points", "class"]


@dataclass(frozen=True)
class Deed:
    """One thing that a person did."""

    kind: DeedKind
    """What it is about."""
    what: str
    """What was done, plain text in the session's language."""
    who: str
    """The person."""
    when: datetime
    """With time zone."""
    why: str = ""
    """The reason, if one was given."""

    @property
    def facts(self) -> str:
        """By whom, when and why, in a line of plain text."""
        return by_whom(self.who, self.when, self.why)


def run_history(result: RunResult, events: Sequence[LegendEvent]) -> tuple[Deed, ...]:
    """All of it, the newest first.

    Args:
        result: The run.
        events: What people did to its labels, oldest first; also to clusters that are not there now.
    """
    labels = [_of_label(result, event) for event in events]
    clusters = [
        Deed("clusters", edit_text(entry), entry.who, entry.when, entry.edit.why if entry.step == "edit" else "")
        for entry in result.edits.entries
    ]
    by_seq = {edit.seq: edit for edit in result.map_edits}
    places = [_of_map(result, edit, by_seq.get(int(edit.content.get("seq", 0)))) for edit in result.map_edits]
    # A stable sort: of two in the same moment, the order in which each kind was recorded stays.
    return tuple(sorted([*labels, *clusters, *places], key=lambda deed: deed.when)[::-1])


def history_rows(deeds: Sequence[Deed]) -> list[Row]:
    """A table of it, the oldest first."""
    return [
        {
            t("labels.deed_when"): deed.when.isoformat(timespec="seconds"),
            t("labels.deed_who"): deed.who,
            t("labels.deed_kind"): t(f"labels.deed_{deed.kind}"),
            t("labels.deed_what"): deed.what,
            t("labels.deed_why"): deed.why,
        }
        for deed in reversed(deeds)
    ]


def _of_label(result: RunResult, event: LegendEvent) -> Deed:
    note = event.kind == "note"
    return Deed(
        "note" if note else "label",
        event_text(result, event, scheme=scheme_then(result, event.when)),
        event.who,
        event.when,
        "" if note else event.why,
    )


def _of_map(result: RunResult, edit: MapEdit, about: MapEdit | None) -> Deed:
    """A change of the map; of one that takes another back, what that one was."""
    if edit.kind in ("withdraw", "restore") and about is not None:
        said = _of_map(result, about, None)
        return Deed(said.kind, t(f"labels.deed_{edit.kind}", what=said.what), edit.who, edit.when, edit.why)
    if edit.kind == "class":
        return Deed("class", class_edit_text(scheme_then(result, edit.when), edit), edit.who, edit.when, edit.why)
    what = edit_line(result, edit, scheme=scheme_then(result, edit.when))
    return Deed("area" if edit.kind == "area" else "points", what, edit.who, edit.when, edit.why)
