"""The workspace: runs kept, opened again as they were, and decisions that are never lost."""

from __future__ import annotations

import multiprocessing
import sys
from types import ModuleType

import numpy as np
import pytest

from s2dash.errors import Cancelled, LegendError, NoOverlapError, S2DashError, SceneError, StoreError
from s2dash.export.cog import write_class_cog
from s2dash.export.scene import write_scene
from s2dash.pipeline import ReferenceSettings, RunSettings
from s2dash.progress import Tracker
from s2dash.sources.request import SceneRequest
from s2dash.testing import make_grid, make_patchwork
from s2dash.workspace import Workspace

CLASSES = {10: "#006400", 40: "#F096FF", 50: "#FA0000", 80: "#0064C8"}


@pytest.fixture
def files(tmp_path):
    scene, stripes = make_patchwork(side=48)
    write_scene(scene, tmp_path / "scene.tif")
    classes = np.array([0, *CLASSES], dtype=np.uint8)[stripes]
    write_class_cog(tmp_path / "map.tif", classes, grid=scene.grid, names=dict.fromkeys(CLASSES, "x"), colours=CLASSES)
    return SceneRequest(str(tmp_path / "scene.tif")), ReferenceSettings(str(tmp_path / "map.tif"), year=2021)


@pytest.fixture
def space(tmp_path):
    return Workspace.open(tmp_path / "workspace")


def start(space, files, **options):
    return space.start(files[0], RunSettings(k=4, **options), reference=files[1])


def test_a_run_is_opened_again_as_it_was(space, files, tmp_path):
    run = start(space, files)
    made = space.open_run(run)
    again = Workspace.open(tmp_path / "workspace").open_run(run)
    assert np.array_equal(again.clusters.labels, made.clusters.labels)
    assert np.array_equal(again.landcover.codes, made.landcover.codes)
    assert again.legend == made.legend
    assert again.cards == made.cards
    assert again.settings == RunSettings(k=4)
    assert again.agreement == made.agreement
    assert again.reference_settings == files[1]
    assert space.store.run(run).summary["overall"] == made.agreement.overall


def test_a_decision_survives_a_restart(space, files, tmp_path):
    run = start(space, files)
    space.override(run, 2, 60, who="Olena", why="visited")
    legend = Workspace.open(tmp_path / "workspace").open_run(run).legend
    assert legend.entries[2].code == 60
    assert (legend.events[0].who, legend.events[0].why) == ("Olena", "visited")


def test_undo_and_redo_change_map_and_agreement(space, files):
    run = start(space, files)
    before = space.open_run(run)
    space.override(run, 1, 100)
    changed = space.open_run(run)
    assert changed.agreement != before.agreement
    assert (changed.landcover.codes == 100).sum() == before.clusters.counts()[1]
    space.undo(run)
    assert np.array_equal(space.open_run(run).landcover.codes, before.landcover.codes)
    space.redo(run)
    assert np.array_equal(space.open_run(run).landcover.codes, changed.landcover.codes)
    assert [event.kind for event in space.open_run(run).legend.events] == ["override", "undo", "redo"]


def test_nothing_to_undo_is_said(space, files):
    with pytest.raises(LegendError):
        space.undo(start(space, files))


def _decide(folder, run, cluster):
    Workspace.open(folder).override(run, cluster, 20, who=f"person {cluster}")


def test_two_people_lose_nothing_of_each_other(space, files, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))  # an app that was tested before is left there
    run = start(space, files)
    context = multiprocessing.get_context("spawn")
    people = [context.Process(target=_decide, args=(tmp_path / "workspace", run, cluster)) for cluster in (1, 2, 3)]
    for one in people:
        one.start()
    for one in people:
        one.join(60)
    legend = space.open_run(run).legend
    assert {event.who for event in legend.events} == {"person 1", "person 2", "person 3"}
    assert [legend.entries[cluster].code for cluster in (1, 2, 3)] == [20, 20, 20]


def test_answers_are_kept_and_not_asked_for_again(space, files, monkeypatch):
    from s2dash.annotation.rules import RulesAnnotator

    asked = []
    answer = RulesAnnotator.answer
    monkeypatch.setattr(RulesAnnotator, "answer", lambda self, question: asked.append(1) or answer(self, question))
    first = start(space, files)
    assert len(asked) == 4
    second = start(space, files)
    assert len(asked) == 4
    assert space.open_run(first).legend.entries[1].answers[0].code == space.open_run(second).legend.entries[1].code
    assert len(space.store.answers(second)) == 4


def test_a_run_that_fails_leaves_a_record_with_its_reason(space, files):
    with pytest.raises(S2DashError):
        space.start(files[0], RunSettings(k=200, sample=100))
    record = space.store.runs()[0]
    assert record.status == "failed"
    assert "sample of 100" in record.error
    with pytest.raises(StoreError):
        space.open_run(record.id)


def test_a_cancelled_run_leaves_no_files(space, files):
    class Stopper(Tracker):
        def report(self, share, text):
            if "Labelling" in text:
                self.cancel()
            super().report(share, text)

    with pytest.raises(Cancelled):
        space.start(files[0], RunSettings(k=4), progress=Stopper())
    record = space.store.runs()[0]
    assert record.status == "cancelled"
    assert not space.store.run_folder(record.id).exists()


def test_a_scene_that_has_gone_is_said_and_the_map_still_opens(space, files, tmp_path):
    run = start(space, files)
    (tmp_path / "scene.tif").unlink()
    assert space.open_run(run).landcover.codes.any()
    with pytest.raises(SceneError):
        space.scene(run)


def test_a_damaged_run_is_said(space, files):
    run = start(space, files)
    (space.store.run_folder(run) / "legend.json").write_text("{")
    with pytest.raises(StoreError, match="legend"):
        Workspace.open(space.folder).open_run(run)


def test_a_reference_can_be_given_later(space, files):
    run = space.start(files[0], RunSettings(k=4))
    assert space.open_run(run).agreement is None
    space.override(run, 1, 20)
    space.compare_with(run, files[1])
    found = space.open_run(run)
    assert found.agreement.n == 48 * 48
    assert found.legend.entries[1].code == 20
    assert len(found.legend.events) == 1


def test_a_reference_that_does_not_fit_leaves_the_run_as_it_was(space, files, tmp_path):
    run = start(space, files)
    before = space.open_run(run).agreement
    far = make_grid(48, 48, origin=(3e5, 4e6))
    codes = np.full((48, 48), 10, dtype=np.uint8)
    write_class_cog(tmp_path / "far.tif", codes, grid=far, names={10: "x"}, colours={10: "#006400"})
    with pytest.raises(NoOverlapError):
        space.compare_with(run, ReferenceSettings(str(tmp_path / "far.tif")))
    assert Workspace.open(space.folder).open_run(run).agreement == before


def test_export_writes_the_map_as_it_stands_now(space, files, tmp_path):
    import rasterio

    run = start(space, files)
    space.override(run, 1, 100)
    written = space.export(run, tmp_path / "out")
    assert {"landcover.tif", "clusters.tif", "legend.json", "agreement.json", "run.json"} <= set(written)
    with rasterio.open(tmp_path / "out" / "landcover.tif") as file:
        assert np.array_equal(file.read(1), space.open_run(run).landcover.codes)


def test_deleting_takes_the_files_too(space, files):
    run = start(space, files)
    folder = space.store.run_folder(run)
    space.delete(run)
    assert not folder.exists()
    with pytest.raises(StoreError):
        space.open_run(run)


def test_the_demo_is_made_once_and_called_simulated(space):
    run = space.ensure_demo()
    assert space.ensure_demo() == run
    found = space.open_run(run)
    assert found.scene["kind"] == "simulated"
    assert found.agreement.ceiling.overall > 0.6
    assert space.scene(run).simulated
