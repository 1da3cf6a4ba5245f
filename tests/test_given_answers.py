"""Answers given by hand: they vote, decisions stay, and a run is never left half changed."""

from __future__ import annotations

import json

import pytest

from s2dash.annotation.answer import Answer
from s2dash.annotation.registry import check_annotator_name
from s2dash.errors import AnnotationError, LegendError, StoreError, UnsafeNameError
from s2dash.export.run_files import read_run, write_run
from s2dash.export.scene import write_scene
from s2dash.given_answers import give_answers, keep_given, with_answers
from s2dash.pipeline import RunSettings, run_chain
from s2dash.sources.request import SceneRequest
from s2dash.testing import make_patchwork
from s2dash.workspace import Workspace


@pytest.fixture(scope="module")
def scene_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("scene") / "scene.tif"
    write_scene(make_patchwork(side=48, patches=3)[0], path)
    return path


def said(cluster: int, code: int | None, *, who: str = "me", confidence: float = 0.9) -> Answer:
    return Answer(
        annotator=who, cluster=cluster, code=code, confidence=confidence, card=f"c{cluster}", prompt="p", model="m-1"
    )


@pytest.fixture
def space(tmp_path):
    return Workspace.open(tmp_path / "space")


def test_answers_of_the_same_name_are_replaced_and_decisions_stay(scene_file) -> None:
    legend = run_chain(SceneRequest(str(scene_file)).load(), RunSettings(k=3)).legend
    decided = legend.override(2, 70, who="Ann")
    once = with_answers(decided, [said(1, 10), said(2, 10)])
    twice = with_answers(once, [said(1, 80), said(1, 80, who="you"), said(3, None)])
    mine = {answer.cluster: answer.code for answer in twice.answers if answer.annotator == "me"}
    assert mine == {1: 80, 2: 10, 3: None}
    assert sum(answer.annotator == "rules" for answer in twice.answers) == 3
    assert twice.entries[1].code == 80  # two against the rules
    assert twice.entries[2].code == 70
    assert twice.entries[2].decided_by == "person"
    for bad in (said(9, 10), said(1, 11)):
        with pytest.raises(LegendError):
            with_answers(legend, [bad])


def test_a_folder_is_written_anew_with_all_its_files(scene_file, tmp_path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    result = run_chain(SceneRequest(str(scene_file)).load(), RunSettings(k=3))
    (folder / "notes.txt").write_text("mine")
    write_run(result, folder, beside=["scene.tif"])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    give_answers(read_run(folder), [said(1, 10), said(1, 10, who="you")], folder=folder)
    again = read_run(folder)
    assert again.legend.entries[1].code == 10
    assert (again.landcover.codes[again.clusters.labels == 1] == 10).all()
    after = {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}
    assert set(after) == set(before)
    for name in ("model.npz", "notes.txt"):
        assert after[name] == before[name]
    assert json.loads(after["run.json"])["files"][0] == "scene.tif"


def test_a_run_of_a_workspace_keeps_answers_in_the_store_too(scene_file, space) -> None:
    run_id = space.start(SceneRequest(str(scene_file)), RunSettings(k=3))
    space.override(run_id, 2, 70, who="Ann")
    result = keep_given(space, run_id, [said(1, 10), said(1, 10, who="you"), said(2, 10)])
    assert result.legend.entries[1].code == 10
    assert result.legend.entries[2].code == 70
    assert Workspace.open(space.folder).open_run(run_id).legend == result.legend
    assert {answer.annotator for answer in space.store.answers(run_id)} >= {"me", "you", "rules"}
    kept = len(space.store.answers(run_id))
    with pytest.raises(AnnotationError, match="no cluster 9"):
        keep_given(space, run_id, [said(3, 10, who="third"), said(9, 10, who="third")])
    assert len(space.store.answers(run_id)) == kept
    with pytest.raises(StoreError):
        keep_given(space, "20200101-000000-abcdef", [said(1, 10)])


@pytest.mark.parametrize("name", ["rules", "Replay", " rules "])
def test_nobody_answers_in_the_name_of_an_annotator_that_answers_by_itself(name) -> None:
    with pytest.raises(AnnotationError, match="answers by itself"):
        check_annotator_name(name)


@pytest.mark.parametrize("name", ["", "../x", "a/b", "\n"])
def test_names_that_cannot_be_kept_are_refused(name) -> None:
    with pytest.raises(UnsafeNameError):
        check_annotator_name(name)
    assert check_annotator_name("GPT by hand") == "GPT by hand"
