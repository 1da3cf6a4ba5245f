"""Edits of clusters inside a run: what they change and keep, how they are taken back, and what a crash leaves."""

from __future__ import annotations

import json
import multiprocessing
import sys
from datetime import UTC, datetime
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s2dash import kept_runs
from s2dash.annotation import registry
from s2dash.annotation.answer import Answer
from s2dash.annotation.legend import LegendEvent, build_legend
from s2dash.clustering.edits import ClusterEdit
from s2dash.edit_history import EditEntry, EditHistory
from s2dash.errors import (
    AnnotationError,
    Cancelled,
    EditError,
    LegendError,
    OutputError,
    S2DashError,
    SceneError,
    StoreError,
)
from s2dash.export.cog import write_class_cog
from s2dash.export.run_files import read_run
from s2dash.export.scene import write_scene
from s2dash.pipeline import ReferenceSettings, RunSettings
from s2dash.progress import Tracker
from s2dash.run_edits import carry_decisions
from s2dash.schemes import load_scheme
from s2dash.sources.request import SceneRequest
from s2dash.testing import make_patchwork, make_scene
from s2dash.workspace import Workspace

SIDE = 48
CLASSES = {10: "#006400", 40: "#F096FF", 50: "#FA0000", 80: "#0064C8"}
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Counting:
    """An annotator that costs something, and remembers what it was asked."""

    name = "paid"
    model = "paid 1"

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.broken = False

    def prompt_fingerprint(self, question):
        return "prompt"

    def answer(self, question):
        if self.broken:
            raise AnnotationError("The service cannot be reached.")
        self.asked.append(question.card.cluster)
        return Answer(
            annotator=self.name,
            cluster=question.card.cluster,
            code=30,
            confidence=0.9,
            card=question.card.fingerprint,
            prompt="prompt",
            model=self.model,
        )


@pytest.fixture
def paid(monkeypatch):
    one = Counting()
    monkeypatch.setitem(registry._MAKERS, "paid", lambda: one)
    return one


def speckled():
    """Four stripes, and in the first of them a patch of 2 × 2 pixels of the last."""
    scene, stripes = make_patchwork(side=SIDE)
    numbers = np.array(scene.source.numbers)
    numbers[:, 10:12, 4:6] = numbers[:, 10:12, -6:-4]
    return make_scene(numbers), stripes


@pytest.fixture
def files(tmp_path):
    scene, stripes = speckled()
    write_scene(scene, tmp_path / "scene.tif")
    classes = np.array([0, *CLASSES], dtype=np.uint8)[stripes]
    write_class_cog(tmp_path / "map.tif", classes, grid=scene.grid, names=dict.fromkeys(CLASSES, "x"), colours=CLASSES)
    return SceneRequest(str(tmp_path / "scene.tif")), ReferenceSettings(str(tmp_path / "map.tif"), year=2021)


@pytest.fixture
def space(tmp_path):
    return Workspace.open(tmp_path / "workspace")


@pytest.fixture
def run(space, files):
    return space.start(files[0], RunSettings(k=4), reference=files[1])


def reopened(space, run):
    """The run as another process, or the next day, finds it."""
    return Workspace.open(space.folder).open_run(run)


def codes(result):
    return {cluster: entry.code for cluster, entry in result.legend.entries.items()}


def on_disk(space, run):
    """The files themselves, whatever the record says."""
    return read_run(space.store.run_folder(run))


# ---- what an edit does


def test_a_merger_is_a_new_cluster_and_the_others_stay_what_they_are(space, run):
    before = space.open_run(run)
    entry = space.edit_clusters(run, "merge", clusters=(2, 4), who="Ada", why="both are fields")
    after = reopened(space, run)
    assert entry.edit.made == (5,)
    assert np.array_equal(after.clusters.labels == 5, np.isin(before.clusters.labels, (2, 4)))
    for cluster in (1, 3):
        assert np.array_equal(after.clusters.labels == cluster, before.clusters.labels == cluster)
        assert after.cards[cluster] == before.cards[cluster]
        assert after.legend.entries[cluster] == before.legend.entries[cluster]
    assert sorted(after.cards) == sorted(after.legend.entries) == [1, 3, 5]
    assert after.cards[5].pixels == before.cards[2].pixels + before.cards[4].pixels
    assert after.cards[5].area_ha == pytest.approx(before.cards[2].area_ha + before.cards[4].area_ha)
    assert sum(card.share for card in after.cards.values()) == pytest.approx(1.0)
    assert [answer.cluster for answer in after.legend.answers].count(5) == 1


def test_the_card_of_a_new_cluster_is_measured_on_the_scene(space, run):
    import rasterio

    space.edit_clusters(run, "merge", clusters=(1, 3))
    after = space.open_run(run)
    scene = space.scene(run)
    with rasterio.open(scene.provenance.location) as file:
        numbers = file.read(list(file.descriptions).index("B04") + 1)
    picked = scene.radiometry.apply(numbers[after.clusters.labels == 5].astype(np.float32))
    assert after.cards[5].median["B04"] == pytest.approx(np.median(picked), abs=1e-6)
    assert after.cards[5].mean["B04"] == pytest.approx(picked.mean(), abs=1e-6)


def test_everything_that_follows_is_made_anew(space, run):
    before = space.open_run(run)
    space.edit_clusters(run, "merge", clusters=(1, 2, 3))
    after = reopened(space, run)
    assert after.agreement != before.agreement
    assert after.agreement.ceiling.overall < before.agreement.ceiling.overall
    assert after.quality != before.quality
    assert after.clusters.settings == before.clusters.settings
    assert after.settings == before.settings
    summary = space.store.run(run).summary
    assert (summary["clusters"], summary["edits"], summary["overall"]) == (2, 1, after.agreement.overall)
    folder = space.store.run_folder(run)
    assert json.loads((folder / "agreement.json").read_text())["overall"] == after.agreement.overall
    assert [card["cluster"] for card in json.loads((folder / "clusters.json").read_text())] == [4, 5]
    assert json.loads((folder / "quality.json").read_text()) == json.loads(json.dumps(after.quality.to_json()))


def test_the_record_says_who_did_what_when_and_why(space, run):
    space.edit_clusters(run, "merge", clusters=(2, 4), who="Ada", why="both are fields")
    space.undo_edit(run, who="Ben")
    written = json.loads((space.store.run_folder(run) / "run.json").read_text())
    merge, undo = written["edits"]
    assert (merge["kind"], merge["who"], merge["edit"]["clusters"], merge["edit"]["made"]) == (
        "merge",
        "Ada",
        [2, 4],
        [5],
    )
    assert (merge["edit"]["why"], merge["in_force"]) == ("both are fields", False)
    assert (undo["kind"], undo["who"]) == ("undo", "Ben")
    assert datetime.fromisoformat(merge["when"]) <= datetime.fromisoformat(undo["when"])
    assert written["clustering"]["k"] == 4
    assert space.store.cluster_edits(run) == EditHistory.from_json(written["edits"])


def test_parts_of_a_split_are_new_clusters_with_names_of_their_own(space, run):
    before = space.open_run(run)
    entry = space.edit_clusters(run, "split", clusters=(3,), value=2)
    after = reopened(space, run)
    assert entry.edit.made == (5, 6)
    assert np.array_equal(np.isin(after.clusters.labels, (5, 6)), before.clusters.labels == 3)
    assert sorted(after.cards) == [1, 2, 4, 5, 6]
    assert {answer.cluster for answer in after.legend.answers} == {1, 2, 4, 5, 6}


def test_what_makes_no_sense_is_refused_and_changes_nothing(space, run):
    before = space.open_run(run)
    for kind, options in [
        ("merge", {"clusters": (2,)}),
        ("merge", {"clusters": (2, 9)}),
        ("split", {"clusters": (1, 2), "value": 2}),
        ("split", {"clusters": (9,), "value": 2}),
        ("split", {"clusters": (1,), "value": 1}),
        ("sieve", {"value": -3}),
        ("majority", {"value": 2}),
    ]:
        with pytest.raises(S2DashError):
            space.edit_clusters(run, kind, **options)
    assert space.store.cluster_edits(run) == EditHistory()
    assert reopened(space, run).state.to_json() == before.state.to_json()
    with pytest.raises(EditError, match="no edit of the clusters to undo"):
        space.undo_edit(run)
    with pytest.raises(EditError, match="no edit of the clusters to redo"):
        space.redo_edit(run)


def test_an_edit_that_changes_nothing_is_not_recorded(space, run):
    space.edit_clusters(run, "sieve", value=5)
    with pytest.raises(EditError):
        space.edit_clusters(run, "sieve", value=5)
    assert space.store.cluster_edits(run).last == 1


def test_a_stopped_edit_leaves_nothing_behind(space, run):
    class Stopper(Tracker):
        def report(self, share, text):
            if share > 0.5:
                self.cancel()
            super().report(share, text)

    folder = space.store.run_folder(run)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with pytest.raises(Cancelled):
        space.edit_clusters(run, "split", clusters=(1,), value=2, progress=Stopper())
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    assert not (folder / "versions").exists()
    assert space.store.changes(run)[:2] == (0, 0)


def test_an_edit_needs_the_scene_and_says_so(space, run, files, tmp_path):
    (tmp_path / "scene.tif").unlink()
    with pytest.raises(SceneError):
        space.edit_clusters(run, "merge", clusters=(1, 2))
    assert space.store.cluster_edits(run).last == 0


def test_progress_of_an_edit_never_goes_back(space, run):
    seen = []

    class Watch(Tracker):
        def report(self, share, text):
            super().report(share, text)
            seen.append(share)

    space.edit_clusters(run, "split", clusters=(1,), value=2, progress=Watch())
    assert seen == sorted(seen)
    assert len(seen) > 4


# ---- who is asked


def test_only_new_clusters_are_asked_about(space, files, paid):
    run = space.start(files[0], RunSettings(k=4, annotators=("rules", "paid")))
    assert paid.asked == [1, 2, 3, 4]
    space.edit_clusters(run, "merge", clusters=(2, 4))
    assert paid.asked == [1, 2, 3, 4, 5]
    space.edit_clusters(run, "split", clusters=(5,), value=2)
    assert paid.asked == [1, 2, 3, 4, 5, 6, 7]
    assert len([answer for answer in reopened(space, run).legend.answers if answer.annotator == "paid"]) == 4


def test_nobody_is_asked_twice_for_undo_redo_or_the_same_edit_again(space, files, paid):
    first = space.start(files[0], RunSettings(k=4, annotators=("paid",)))
    space.edit_clusters(first, "merge", clusters=(2, 4))
    asked = list(paid.asked)
    space.undo_edit(first)
    space.redo_edit(first)
    assert paid.asked == asked
    second = space.start(files[0], RunSettings(k=4, annotators=("paid",)))
    space.edit_clusters(second, "merge", clusters=(2, 4))  # the same card: an answer in the book of another run
    assert paid.asked == asked
    assert codes(space.open_run(second)) == codes(space.open_run(first))


@pytest.mark.parametrize(("kind", "value"), [("sieve", 5), ("majority", 3)])
def test_moving_borders_asks_nobody_and_keeps_answers_and_decisions(space, files, paid, kind, value):
    run = space.start(files[0], RunSettings(k=4, annotators=("rules", "paid")), reference=files[1])
    space.override(run, 1, 60, who="Ada")
    before, asked = space.open_run(run), list(paid.asked)
    space.edit_clusters(run, kind, value=value)
    after = reopened(space, run)
    assert paid.asked == asked
    assert after.legend == before.legend
    assert not np.array_equal(after.clusters.labels, before.clusters.labels)
    for cluster, card in after.cards.items():
        assert card.pixels == (after.clusters.labels == cluster).sum()
    assert after.agreement.overall >= before.agreement.overall  # the speck was no part of the stripes


def test_an_annotator_that_cannot_be_reached_does_not_stop_a_persons_edit(space, files, paid):
    run = space.start(files[0], RunSettings(k=4, annotators=("paid",)))
    paid.broken = True
    entry = space.edit_clusters(run, "merge", clusters=(2, 4))
    after = reopened(space, run)
    assert after.legend.queue == (5,)
    assert "cannot be reached" in entry.notes[0]
    assert "5 waits for a person" in after.edits.entries[0].notes[0]


# ---- taking back


def test_undo_and_redo_need_no_scene_and_bring_everything_back(space, run, tmp_path):
    before = space.open_run(run)
    space.edit_clusters(run, "merge", clusters=(2, 4))
    middle = space.open_run(run)
    space.edit_clusters(run, "split", clusters=(1,), value=2)
    after = space.open_run(run)
    (tmp_path / "scene.tif").unlink()

    def same(one, other):
        assert np.array_equal(one.clusters.labels, other.clusters.labels)
        assert one.state.to_json() == other.state.to_json()
        assert one.legend == other.legend
        assert one.agreement == other.agreement
        assert np.array_equal(one.landcover.codes, other.landcover.codes)

    for step, expected in [
        (space.undo_edit, middle),
        (space.undo_edit, before),
        (space.redo_edit, middle),
        (space.redo_edit, after),
        (space.undo_edit, middle),
    ]:
        step(run)
        same(space.open_run(run), expected)
        same(on_disk(space, run), expected)
    assert [entry.kind for entry in space.open_run(run).edits.entries] == [
        "merge",
        "split",
        *["undo"] * 2,
        *["redo"] * 2,
        "undo",
    ]


def test_a_number_is_never_used_again(space, run):
    first = space.edit_clusters(run, "merge", clusters=(2, 4))
    space.undo_edit(run)
    second = space.edit_clusters(run, "merge", clusters=(1, 3))
    assert (first.edit.made, second.edit.made) == ((5,), (6,))
    with pytest.raises(EditError, match="redo"):
        space.redo_edit(run)
    assert sorted(space.open_run(run).cards) == [2, 4, 6]


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["merge", "split", "undo", "redo", "override", "label undo"]), max_size=7))
def test_any_way_through_is_what_whole_states_on_two_stacks_give(tmp_path_factory, steps):
    place = tmp_path_factory.mktemp("way")
    write_scene(speckled()[0], place / "scene.tif")
    space = Workspace.open(place / "workspace")
    run = space.start(SceneRequest(str(place / "scene.tif")), RunSettings(k=4, sample=3000))
    past, future = [], []
    labels = space.open_run(run).clusters.labels
    decided: dict[int, list[int]] = {}
    for number, step in enumerate(steps):
        present = sorted(space.open_run(run).cards)
        if step in ("merge", "split"):
            if step == "merge" and len(present) < 2:
                continue
            options = {"clusters": present[:2]} if step == "merge" else {"clusters": present[-1:], "value": 2}
            made = space.edit_clusters(run, step, **options).edit.made
            for cluster in made:
                assert cluster not in decided
                mine = space.open_run(run).legend.entries[cluster].override
                decided[cluster] = [mine.after] if mine else []
            past.append(labels)
            future.clear()
            labels = space.open_run(run).clusters.labels
        elif step == "undo" and past:
            future.append(labels)
            labels = past.pop()
            space.undo_edit(run)
        elif step == "redo" and future:
            before = space.open_run(run).edits.next_redo.edit
            past.append(labels)
            labels = future.pop()
            space.redo_edit(run)
            for cluster in before.made:  # decisions about its parts may have come with it
                mine = space.open_run(run).legend.entries[cluster].override
                decided[cluster] = [mine.after] if mine else []
        elif step == "override":
            code = [10, 20, 30, 40, 50, 60, 70][number]
            space.override(run, present[0], code)
            decided.setdefault(present[0], []).append(code)
        elif step == "label undo" and space.open_run(run).legend.can_undo:
            space.undo(run)
            decided[space.store.events(run)[-1].cluster].pop()
        now = reopened(space, run)
        assert np.array_equal(now.clusters.labels, labels)
        for cluster, entry in now.legend.entries.items():
            expected = decided.get(cluster)
            if expected:
                assert (entry.code, entry.decided_by) == (expected[-1], "person")
            else:
                assert entry.override is None
    space.store.close()


# ---- what people decided


def test_a_decision_about_a_merged_cluster_comes_back_with_undo(space, run):
    space.override(run, 3, 60, who="Ada", why="visited")
    space.edit_clusters(run, "merge", clusters=(3, 4))
    merged = space.open_run(run)
    assert not merged.legend.can_undo
    with pytest.raises(LegendError, match="nothing to undo"):
        space.undo(run)
    with pytest.raises(LegendError, match="no cluster 3"):
        space.override(run, 3, 10)
    space.undo_edit(run)
    entry = reopened(space, run).legend.entries[3]
    assert (entry.code, entry.override.who, entry.override.why) == (60, "Ada", "visited")


def test_an_undo_in_one_state_takes_back_the_same_decision_in_every_other(space, run):
    space.override(run, 1, 60, who="Ada")
    space.override(run, 3, 20, who="Ada")
    space.edit_clusters(run, "merge", clusters=(3, 4))
    space.undo(run, who="Ben")  # the latest of those in force: that of 1
    assert space.store.events(run)[-1].cluster == 1
    assert space.open_run(run).legend.entries[1].override is None
    space.undo_edit(run)
    legend = reopened(space, run).legend
    assert legend.entries[1].override is None
    assert legend.entries[3].code == 20
    space.redo(run)
    assert space.open_run(run).legend.entries[1].code == 60


def test_clusters_that_a_person_called_alike_keep_their_class_when_merged(space, run):
    space.override(run, 3, 60, who="Ada")
    space.override(run, 4, 60, who="Ben")
    space.edit_clusters(run, "merge", clusters=(3, 4), who="Cleo")
    entry = reopened(space, run).legend.entries[5]
    assert (entry.code, entry.decided_by, entry.override.who) == (60, "person", "Ada and Ben")
    assert entry.override.why == "carried over from 3 and 4"
    space.undo(run)  # it can be taken back like any other decision
    assert space.open_run(run).legend.entries[5].override is None
    space.undo_edit(run)
    assert {cluster: codes(space.open_run(run))[cluster] for cluster in (3, 4)} == {3: 60, 4: 60}


def test_clusters_of_different_classes_go_by_the_vote_and_it_is_said(space, run):
    space.override(run, 3, 60, who="Ada")
    space.override(run, 4, 20, who="Ada")
    entry = space.edit_clusters(run, "merge", clusters=(3, 4))
    after = reopened(space, run)
    assert after.legend.entries[5].override is None
    (note,) = entry.notes
    assert "3 is Bare / sparse vegetation by Ada; 4 is Shrubland by Ada" in note
    assert "5 goes by the vote" in note
    assert after.edits.entries[0].notes == entry.notes


def test_parts_of_a_split_inherit_what_a_person_said(space, run):
    space.override(run, 3, 60, who="Ada")
    space.override(run, 4, None, who="Ben")
    space.edit_clusters(run, "split", clusters=(3,), value=2)
    space.edit_clusters(run, "split", clusters=(4,), value=2)
    legend = reopened(space, run).legend
    assert [(legend.entries[part].code, legend.entries[part].override.who) for part in (5, 6)] == [(60, "Ada")] * 2
    assert [(legend.entries[part].code, legend.entries[part].override.who) for part in (7, 8)] == [(None, "Ben")] * 2
    assert legend.entries[5].override.why == "carried over from 3"


def test_what_was_decided_between_undo_and_redo_counts(space, run):
    space.edit_clusters(run, "merge", clusters=(3, 4))
    space.undo_edit(run)
    space.override(run, 3, 60, who="Ada")
    space.override(run, 4, 60, who="Ada")
    space.redo_edit(run)
    assert space.open_run(run).legend.entries[5].code == 60
    space.undo_edit(run)
    space.override(run, 4, 20, who="Ada")
    entry = space.redo_edit(run)
    assert "goes by the vote" in entry.notes[0]
    assert reopened(space, run).legend.entries[5].override is None


def test_a_decision_about_the_merger_itself_outlives_undo_and_redo(space, run):
    space.override(run, 3, 60, who="Ada")
    space.edit_clusters(run, "merge", clusters=(3, 4))
    space.override(run, 5, 20, who="Ben")
    space.undo_edit(run)
    assert space.open_run(run).legend.entries[3].code == 60
    space.redo_edit(run)
    assert reopened(space, run).legend.entries[5].code == 20


def test_a_decision_made_while_somebody_else_edited_is_refused_not_lost(space, run, monkeypatch):
    other = Workspace.open(space.folder)
    seen = space.open_run(run)
    other.edit_clusters(run, "merge", clusters=(3, 4))
    monkeypatch.setattr(space, "open_run", lambda run: seen)
    with pytest.raises(StoreError, match="meanwhile"):
        space.override(run, 3, 60)
    assert space.store.events(run) == ()


def test_carrying_over_says_nothing_where_nobody_decided():
    scheme = load_scheme("worldcover")
    answers = [Answer(annotator="a", cluster=cluster, code=10, confidence=0.5) for cluster in (1, 2)]
    edit = ClusterEdit(kind="merge", clusters=(1, 2), value=0, who="Ada", when=NOON, made=(3,))
    after = build_legend([], scheme=scheme, clusters=[3])
    before = build_legend(answers, scheme=scheme, clusters=[1, 2])
    assert carry_decisions(before, after, edit) == ([], [])
    events, said = carry_decisions(before.override(1, 10, who="Ada"), after, edit, when=NOON)
    assert events == [LegendEvent("override", 3, None, 10, "Ada", NOON, "carried over from 1 and 2")]
    assert said == []


# ---- crashes, and others at work


class Crash(BaseException):
    """As if the process were killed."""


def test_a_crash_before_the_record_leaves_the_run_as_it_was(space, run, monkeypatch):
    before = space.open_run(run)

    def crash(*arguments, **options):
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(type(space.store), "add_cluster_edit", crash)
        with pytest.raises(Crash):
            space.edit_clusters(run, "merge", clusters=(2, 4))
    after = reopened(space, run)
    assert after.edits == EditHistory()
    assert np.array_equal(after.clusters.labels, before.clusters.labels)
    entry = space.edit_clusters(run, "merge", clusters=(1, 3))  # what the crash left is no obstacle
    assert entry.seq == 1
    assert sorted(reopened(space, run).cards) == [2, 4, 5]
    space.undo_edit(run)
    assert np.array_equal(reopened(space, run).clusters.labels, before.clusters.labels)


@pytest.mark.parametrize("step", ["edit", "undo", "redo"])
def test_a_crash_after_the_record_is_made_good_when_the_run_is_next_opened(space, run, monkeypatch, step):
    work = {
        "edit": lambda: space.edit_clusters(run, "merge", clusters=(3, 4)),
        "undo": lambda: space.undo_edit(run),
        "redo": lambda: space.redo_edit(run),
    }
    space.override(run, 3, 60, who="Ada")
    space.override(run, 4, 60, who="Ada")
    for name in ("edit", "undo", "redo")[: ("edit", "undo", "redo").index(step)]:
        work[name]()

    def crash(*arguments, **options):
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(kept_runs, "write_run", crash)
        with pytest.raises(Crash):
            work[step]()
    behind = on_disk(space, run)
    after = reopened(space, run)
    assert after.edits.entries[-1].step == step
    assert len(after.edits.entries) == len(behind.edits.entries) + 1
    assert sorted(after.cards) == ([1, 2, 3, 4] if step == "undo" else [1, 2, 5])
    assert all(entry.code == 60 for cluster, entry in after.legend.entries.items() if cluster > 2)
    repaired = on_disk(space, run)
    assert np.array_equal(repaired.clusters.labels, after.clusters.labels)
    assert repaired.edits == after.edits
    assert space.store.run(run).summary["clusters"] == len(after.cards)


def test_a_run_whose_files_cannot_be_repaired_is_shown_right_all_the_same(space, run, monkeypatch):
    def refuse(*arguments, **options):
        raise OutputError("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(kept_runs, "write_run", refuse)
        space.edit_clusters(run, "merge", clusters=(2, 4))
        assert sorted(reopened(space, run).cards) == [1, 3, 5]
        assert sorted(on_disk(space, run).cards) == [1, 2, 3, 4]
    assert sorted(reopened(space, run).cards) == [1, 3, 5]
    assert sorted(on_disk(space, run).cards) == [1, 3, 5]


def test_an_undo_to_a_damaged_state_is_refused_and_the_run_stays_open(space, run):
    space.edit_clusters(run, "merge", clusters=(2, 4))
    (space.store.run_folder(run) / "versions" / "0000" / "state.json").write_text("{")
    with pytest.raises(StoreError, match=r"state\.json"):
        space.undo_edit(run)
    assert sorted(reopened(space, run).cards) == [1, 3, 5]


def test_two_edits_at_once_cannot_both_win(space, run, monkeypatch):
    other = Workspace.open(space.folder)
    edit_state = kept_runs.edit_state

    def slow(*arguments, **options):
        made = edit_state(*arguments, **options)
        monkeypatch.setattr(kept_runs, "edit_state", edit_state)
        other.edit_clusters(run, "merge", clusters=(1, 3), who="Ben")
        return made

    monkeypatch.setattr(kept_runs, "edit_state", slow)
    with pytest.raises(StoreError, match="meanwhile"):
        space.edit_clusters(run, "merge", clusters=(2, 4), who="Ada")
    after = space.open_run(run)
    assert sorted(after.cards) == [2, 4, 5]
    assert [entry.who for entry in after.edits.entries] == ["Ben"]


def _edit(folder, run, clusters):
    Workspace.open(folder).edit_clusters(run, "merge", clusters=clusters)


def test_edits_of_another_process_are_seen_at_once(space, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))  # an app that was tested before is left there
    space.open_run(run)
    context = multiprocessing.get_context("spawn")
    other = context.Process(target=_edit, args=(space.folder, run, (2, 4)))
    other.start()
    other.join(120)
    assert other.exitcode == 0
    assert sorted(space.open_run(run).cards) == [1, 3, 5]


def test_a_comparison_made_meanwhile_does_not_take_an_edit_back(space, files, monkeypatch):
    run = space.start(files[0], RunSettings(k=4))
    load = ReferenceSettings.load

    def slow(self, *arguments, **options):
        found = load(self, *arguments, **options)
        Workspace.open(space.folder).edit_clusters(run, "merge", clusters=(2, 4))
        return found

    monkeypatch.setattr(ReferenceSettings, "load", slow)
    space.compare_with(run, files[1])
    after = reopened(space, run)
    assert sorted(after.cards) == [1, 3, 5]
    assert after.agreement is not None
    monkeypatch.undo()
    space.undo_edit(run)
    assert reopened(space, run).reference is not None  # the comparison stays when clusters go back


# ---- files


def test_an_edited_run_is_exported_as_it_stands(space, run, tmp_path):
    import rasterio

    space.edit_clusters(run, "merge", clusters=(2, 4))
    space.override(run, 5, 60)
    space.export(run, tmp_path / "out")
    with rasterio.open(tmp_path / "out" / "clusters.tif") as file:
        assert np.array_equal(file.read(1), space.open_run(run).clusters.labels)
    assert not (tmp_path / "out" / "versions").exists()
    exported = read_run(tmp_path / "out")
    assert exported.legend.entries[5].code == 60
    assert exported.edits == space.open_run(run).edits


def test_a_run_made_before_quality_was_measured_opens_and_can_be_measured(space, run):
    folder = space.store.run_folder(run)
    (folder / "quality.json").unlink()
    record = json.loads((folder / "run.json").read_text())
    del record["edits"]
    (folder / "run.json").write_text(json.dumps(record))
    old = reopened(space, run)
    assert (old.quality, old.edits) == (None, EditHistory())
    space.measure(run)
    assert reopened(space, run).quality is not None
    space.edit_clusters(run, "merge", clusters=(2, 4))
    space.undo_edit(run)
    assert reopened(space, run).quality == space.open_run(run).quality


def test_files_that_do_not_change_are_not_written_again(space, run):
    folder = space.store.run_folder(run)
    before = {name: (folder / name).stat().st_ino for name in ("reference.tif", "model.npz", "clusters.tif")}
    space.edit_clusters(run, "merge", clusters=(2, 4))
    after = {name: (folder / name).stat().st_ino for name in before}
    assert [name for name in before if before[name] != after[name]] == ["clusters.tif"]
    assert set(json.loads((folder / "run.json").read_text())["files"]) >= set(before)


def test_entries_survive_json_and_the_store():
    edit = ClusterEdit(kind="split", clusters=(4,), value=2, who="Ада", when=NOON, made=(14, 15), seed=3, why="dry")
    entries = (
        EditEntry(1, "edit", edit, "Ада", NOON, ("Mind this.",)),
        EditEntry(2, "undo", edit, "Ben", NOON),
        EditEntry(3, "redo", edit, "Ben", NOON),
    )
    history = EditHistory(entries)
    assert EditHistory.from_json(json.loads(json.dumps(history.to_json()))) == history
    assert (history.state, history.last, history.made) == (1, 3, {14, 15})
    for entry in entries:
        back = EditEntry.from_content(entry.content(), seq=entry.seq, kind=entry.kind, who=entry.who, when=entry.when)
        assert back == entry
