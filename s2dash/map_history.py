"""Taking back and bringing back what people changed of a map: which edit the next click is about."""

from __future__ import annotations

from collections.abc import Collection

from s2dash.map_edit import MapEdit, MapEditKind, in_force

CORRECTIONS: frozenset[MapEditKind] = frozenset({"area", "point", "sample"})
"""Kinds of edits that are about places, not about classes."""


def next_undo(edits: tuple[MapEdit, ...], kinds: Collection[MapEditKind] = CORRECTIONS) -> MapEdit | None:
    """The edit that was made or brought back last and still holds; None where none does."""
    done, _ = _stacks(edits, kinds)
    return done[-1] if done else None


def next_redo(edits: tuple[MapEdit, ...], kinds: Collection[MapEditKind] = CORRECTIONS) -> MapEdit | None:
    """The edit that was taken back last, if none was made since; None otherwise."""
    _, back = _stacks(edits, kinds)
    return back[-1] if back else None


def withdrawal(edit: MapEdit, *, who: str = "", why: str = "") -> MapEdit:
    """An edit by which another no longer holds."""
    return MapEdit("withdraw", {"seq": edit.seq}, who=who, why=why)


def restoration(edit: MapEdit, *, who: str = "", why: str = "") -> MapEdit:
    """An edit by which one that was taken back holds again."""
    return MapEdit("restore", {"seq": edit.seq}, who=who, why=why)


def corrections(edits: tuple[MapEdit, ...]) -> tuple[tuple[MapEdit, bool], ...]:
    """Every edit about places, the newest first, and whether it holds now."""
    holding = {edit.seq for edit in in_force(edits)}
    return tuple((edit, edit.seq in holding) for edit in reversed(edits) if edit.kind in CORRECTIONS)


def _stacks(edits: tuple[MapEdit, ...], kinds: Collection[MapEditKind]) -> tuple[list[MapEdit], list[MapEdit]]:
    """What can be undone and what can be redone, the next one last."""
    by_seq = {edit.seq: edit for edit in edits if edit.kind in kinds}
    done: list[MapEdit] = []
    back: list[MapEdit] = []
    for edit in edits:
        if edit.kind in kinds:
            done.append(edit)
            back.clear()
        elif edit.kind in ("withdraw", "restore") and (meant := by_seq.get(int(edit.content["seq"]))):
            from_, to = (done, back) if edit.kind == "withdraw" else (back, done)
            if meant in from_:
                from_.remove(meant)
            if meant not in to:
                to.append(meant)
    return done, back
