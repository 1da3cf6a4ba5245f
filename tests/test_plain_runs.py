"""Runs in plain folders: what several commands do to one at the same time is kept, and nothing replaces it unasked."""

from __future__ import annotations

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from s2dash import plain_runs
from s2dash.annotation.answer import Answer
from s2dash.cli.main import main
from s2dash.errors import OutputBusyError, OutputError
from s2dash.export.folder import output_folder
from s2dash.export.run_files import read_run, write_run
from s2dash.export.scene import write_scene
from s2dash.given_corrections import give_correction
from s2dash.map_edit import MapEdit
from s2dash.named_run import NamedRun, find_run
from s2dash.pipeline import RunSettings
from s2dash.reference_points import centres_of, point_edit
from s2dash.sources.request import SceneRequest
from s2dash.testing import make_patchwork
from s2dash.workspace import Workspace


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene, and a run of it in a folder."""
    folder = tmp_path_factory.mktemp("made")
    write_scene(make_patchwork(side=48)[0], folder / "scene.tif")
    assert main(["run", str(folder / "scene.tif"), "--k", "4", "--out", str(folder / "map"), "--quiet"]) == 0
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "map", tmp_path / "map"))


def point(run: NamedRun, who: str, *, at: int = 5) -> MapEdit:
    result = run.result
    (longitude,), (latitude,) = centres_of([at], [at], result.clusters.grid)
    grid, scheme = result.clusters.grid, result.legend.scheme
    return point_edit(longitude, latitude, 10, grid=grid, scheme=scheme, who=who)


def answers(run: NamedRun, who: str) -> list[Answer]:
    return [
        Answer(annotator=who, cluster=cluster, code=10, card=f"c{cluster}", prompt="p", model="m")
        for cluster in run.result.cards
    ]


def people(folder: Path) -> list[str]:
    return [edit.who for edit in read_run(folder).map_edits]


def test_two_who_read_the_same_run_keep_each_others_corrections(folder: Path):
    ann, bob = find_run(str(folder)), find_run(str(folder))
    give_correction(ann, point(ann, "Ann"))
    result = give_correction(bob, point(bob, "Bob", at=9))
    assert people(folder) == ["Ann", "Bob"] == [edit.who for edit in result.map_edits]
    assert [edit.seq for edit in result.map_edits] == [1, 2]


def test_what_was_corrected_while_models_were_asked_stays(folder: Path):
    asking, ann = find_run(str(folder)), find_run(str(folder))
    give_correction(ann, point(ann, "Ann"))
    asking.give(answers(asking, "claude"))
    after = read_run(folder)
    assert [edit.who for edit in after.map_edits] == ["Ann"]
    assert {answer.annotator for answer in after.legend.answers} == {"rules", "claude"}
    late = find_run(str(folder))
    give_correction(asking, point(asking, "Eve"))  # who read before the answers came
    assert {answer.annotator for answer in read_run(folder).legend.answers} == {"rules", "claude"}
    assert late.result.legend.answers == after.legend.answers


def test_many_at_once_all_arrive(folder: Path):
    def correct(number: int) -> None:
        run = find_run(str(folder))
        give_correction(run, point(run, f"p{number}", at=number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(correct, range(1, 9)))
    assert sorted(people(folder)) == [f"p{number}" for number in range(1, 9)]


def test_who_writes_for_long_is_waited_for_and_then_named(folder: Path, monkeypatch: pytest.MonkeyPatch):
    run, free = find_run(str(folder)), threading.Event()

    def hold() -> None:
        with output_folder(folder):
            free.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    while not (folder / ".s2dash.lock").exists():
        time.sleep(0.01)
    monkeypatch.setattr(plain_runs, "WAIT_S", 0.3)
    with pytest.raises(OutputBusyError, match="Another run"):
        give_correction(run, point(run, "Ann"))
    monkeypatch.setattr(plain_runs, "WAIT_S", 20.0)
    threading.Timer(0.3, free.set).start()
    give_correction(run, point(run, "Ann"))
    holder.join()
    assert people(folder) == ["Ann"]


def test_what_was_meant_for_another_run_is_not_put_into_the_new_one(folder: Path, made: Path):
    ann = find_run(str(folder))
    assert main(["run", str(made / "scene.tif"), "--k", "3", "--out", str(folder), "--quiet"]) == 0
    with pytest.raises(OutputError, match=r"made anew since.*Nothing was changed"):
        give_correction(ann, point(ann, "Ann"))
    with pytest.raises(OutputError, match="made anew since"):
        ann.give(answers(ann, "claude"))
    assert people(folder) == []


# ---- a new run in the same folder


def test_a_run_does_not_replace_what_people_did(folder: Path, made: Path, capsys: pytest.CaptureFixture[str]):
    run = find_run(str(folder))
    give_correction(run, point(run, "Ann"))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    again = ["run", str(made / "scene.tif"), "--k", "3", "--out", str(folder), "--quiet"]
    assert main(again) == 1
    said = capsys.readouterr().err
    assert "decisions or corrections by Ann (1) that would be lost" in said
    assert "Choose another folder" in said
    assert main(["demo", "--size", "64", "--out", str(folder), "--quiet"]) == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_decisions_on_labels_count_too_and_an_untouched_run_is_replaced(folder: Path, made: Path):
    again = ["run", str(made / "scene.tif"), "--k", "3", "--out", str(folder), "--quiet"]
    assert main(again) == 0
    result = read_run(folder)
    with output_folder(folder) as staging:
        write_run(result.with_legend(result.legend.override(1, 10, who="Ben")), staging)
    assert main(again) == 1


def test_a_workspace_writes_over_its_own_earlier_files_only_what_keeps_all(made: Path, tmp_path: Path):
    space = Workspace.open(tmp_path / "space")
    run = space.start(SceneRequest(str(made / "scene.tif")), RunSettings(k=4))
    space.override(run, 1, 10, who="Ben")
    space.export(run, tmp_path / "out")
    space.override(run, 2, 20, who="Ben")
    space.export(run, tmp_path / "out")  # the same work, and more of it
    outside = find_run(str(tmp_path / "out"))
    give_correction(outside, point(outside, "Ann"))
    with pytest.raises(OutputError, match=r"by Ann \(1\) that would be lost"):
        space.export(run, tmp_path / "out")
    assert people(tmp_path / "out") == ["Ann"]
    space.store.close()


@pytest.mark.parametrize("content", ["", "[]", '{"map_edits": 3}', "[" * 50_000, '{"events": [1, null]}'])
def test_a_damaged_record_is_no_work_of_anybody(folder: Path, content: str):
    for name in ("run.json", "legend.json"):
        (folder / name).write_text(content)
    plain_runs.refuse_to_lose(folder)
