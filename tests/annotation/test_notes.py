"""Notes on clusters: kept in the history, seen by everybody, and no decision."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from s2dash.annotation.answer import Answer
from s2dash.annotation.legend import Legend, LegendEvent, build_legend
from s2dash.errors import LegendError
from s2dash.export.scene import write_scene
from s2dash.pipeline import RunSettings
from s2dash.schemes import load_scheme
from s2dash.sources.request import SceneRequest
from s2dash.testing import make_patchwork
from s2dash.workspace import Workspace

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def legend() -> Legend:
    answers = [Answer(annotator="rules", cluster=cluster, code=40, confidence=0.8) for cluster in (1, 2)]
    return build_legend(answers, scheme=load_scheme("worldcover"), clusters=[1, 2, 3])


def test_a_note_says_something_and_changes_nothing(legend):
    noted = legend.note(1, "  ask the farmer ", who="Ada", when=NOON)
    assert noted.entries == legend.entries
    assert noted.notes == (LegendEvent("note", 1, 40, 40, "Ada", NOON, "ask the farmer"),)
    assert noted.history[0] == noted.notes[0]
    assert legend.note(3, "cloud?", who="Ada").notes[0].after is None


@pytest.mark.parametrize("text", ["", "  \n "])
def test_an_empty_note_is_refused(legend, text):
    with pytest.raises(LegendError, match="empty"):
        legend.note(1, text, who="Ada")


def test_a_note_on_no_cluster_is_refused(legend):
    with pytest.raises(LegendError, match="no cluster 9"):
        legend.note(9, "here", who="Ada")


def test_undo_takes_back_the_decision_and_not_the_note(legend):
    noted = legend.override(1, 10, who="Ada").note(1, "tall", who="Ben")
    back = noted.undo(who="Ada")
    assert back.entries[1].code == 40
    assert [event.why for event in back.notes] == ["tall"]
    assert not back.can_undo
    assert back.note(2, "later", who="Ada").can_redo  # a note is no new decision, so what was undone can come back
    assert back.note(2, "later", who="Ada").redo(who="Ada").entries[1].code == 10


steps = some.lists(some.tuples(some.sampled_from(["override", "undo", "redo", "note"]), some.sampled_from([1, 2, 3])))


@given(steps)
def test_notes_anywhere_leave_every_decision_as_it_is(history):
    answers = [Answer(annotator="rules", cluster=1, code=40, confidence=0.8)]
    empty = build_legend(answers, scheme=load_scheme("worldcover"), clusters=[1, 2, 3])
    events = [LegendEvent(kind, cluster, None, 10 * cluster, "Ada", NOON, "why") for kind, cluster in history]
    with_notes = empty.with_events(events)
    without = empty.with_events(event for event in events if event.kind != "note")
    assert with_notes.entries == without.entries
    assert (with_notes.can_undo, with_notes.can_redo) == (without.can_undo, without.can_redo)
    assert len(with_notes.notes) == len(events) - len(without.events)


def test_notes_survive_json(legend):
    noted = legend.note(2, "Привіт", who="Ada", when=NOON)
    assert Legend.from_json(noted.to_json()).notes == noted.notes


# ---- in a workspace


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "workspace")


@pytest.fixture
def run(space: Workspace, tmp_path: Path) -> str:
    scene, _ = make_patchwork(side=48)
    write_scene(scene, tmp_path / "stripes.tif")
    return space.start(SceneRequest(str(tmp_path / "stripes.tif")), RunSettings(k=4, sample=10_000))


def test_a_note_is_kept_at_once_and_seen_by_others(space, run):
    before = space.store.changes(run)
    space.note(run, 2, "greenhouses?", who="Ada")
    other = Workspace.open(space.folder)
    (event,) = other.open_run(run).legend.notes
    assert (event.cluster, event.why, event.who) == (2, "greenhouses?", "Ada")
    assert other.store.changes(run) != before
    other.store.close()


def test_a_note_on_a_cluster_that_is_merged_away_comes_back_with_it(space, run):
    space.note(run, 2, "greenhouses?", who="Ada")
    space.edit_clusters(run, "merge", clusters=(2, 4))
    assert space.open_run(run).legend.notes == ()
    assert [event.why for event in space.store.events(run)] == ["greenhouses?"]
    space.undo_edit(run)
    assert [event.why for event in space.open_run(run).legend.notes] == ["greenhouses?"]


def test_a_note_does_not_make_an_old_decision_the_newer_one(space, run):
    space.override(run, 2, 60, who="Ada")
    space.override(run, 4, 60, who="Ada")
    entry = space.edit_clusters(run, "merge", clusters=(2, 4))
    (made,) = entry.edit.made
    space.override(run, made, 10, who="Ben")
    space.undo_edit(run)
    space.note(run, 2, "really sand", who="Ada")
    space.redo_edit(run)
    assert space.open_run(run).legend.entries[made].code == 10
