"""`cards` and `answers`: any model can be asked by hand, and what it says changes the map."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import rasterio

from s2dash.cli.main import main
from s2dash.export.run_files import read_run
from s2dash.export.scene import write_scene
from s2dash.pipeline import RunSettings
from s2dash.sources.request import SceneRequest
from s2dash.testing import make_patchwork
from s2dash.workspace import Workspace


@pytest.fixture
def folder(tmp_path, capsys) -> Path:
    write_scene(make_patchwork(side=60, patches=3)[0], tmp_path / "scene.tif")
    assert call(capsys, "run", tmp_path / "scene.tif", "--k", 3, "--out", tmp_path / "run", "--quiet")[0] == 0
    return tmp_path / "run"


def call(capsys, *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def filled(pack: Path, *, land_cover: str = "snow_ice") -> Path:
    content = json.loads((pack / "answers-template.json").read_text())
    content["model"] = "some-model-4"
    for row in content["answers"]:
        row |= {"land_cover": land_cover, "term": "it", "confidence": 0.97, "evidence": ["bright"], "mixed": False}
    path = pack.parent / "answers.json"
    path.write_text(json.dumps(content), "utf-8")
    return path


def test_a_pack_is_written_and_its_answers_change_the_map(folder, tmp_path, capsys) -> None:
    pack = tmp_path / "pack"
    code, text, _ = call(capsys, "cards", folder, "--out", pack, "--json")
    assert code == 0
    listed = json.loads(text)
    assert listed["style"] == "numbers@1"
    assert listed["clusters"] == [1, 2, 3]
    found = {str(path.relative_to(pack)) for path in pack.rglob("*") if path.is_file()}
    assert found - {".s2dash.lock"} == set(listed["files"])
    assert {"README.txt", "form.json", "01/question.txt", "03/1-scene.png"} <= found
    answers = filled(pack)
    code, text, _ = call(capsys, "answers", folder, answers, "--as", "eye", "--json")
    assert code == 0
    said = json.loads(text)
    assert (said["annotator"], said["model"], said["missing"], said["notes"]) == ("eye", "some-model-4", [], [])
    assert {answer["style"] for answer in said["answers"]} == {"numbers@1"}
    legend = read_run(folder).legend
    assert {answer.annotator for answer in legend.answers} == {"rules", "eye"}
    assert all(entry.code == 70 for entry in legend.entries.values())  # surer than the rules, on a tie
    with rasterio.open(folder / "landcover.tif") as file:
        assert set(file.read(1).ravel()) == {70}
    code, text, _ = call(capsys, "answers", folder, filled(pack, land_cover="unknown"), "--as", "eye")
    assert code == 0
    assert "no vote" in text
    assert "accuracy" not in text
    assert all(answer.code != 70 for answer in read_run(folder).legend.answers)


def test_a_pack_replaces_an_earlier_one_and_nothing_else(folder, tmp_path, capsys) -> None:
    pack = tmp_path / "pack"
    assert call(capsys, "cards", folder, "--out", pack, "--quiet")[0] == 0
    (pack / "mine.txt").write_text("x")
    assert call(capsys, "cards", folder, "--style", "plain", "--cluster", 2, "--out", pack, "--quiet")[0] == 0
    left = {str(path.relative_to(pack)) for path in pack.rglob("*") if path.is_file()}
    pictures = {"02/1-scene.png", "02/2-cluster.png", "02/question.txt"}
    tables = {"README.txt", "answers-template.json", "form.json", "pack.json", "system.txt"}
    assert left - {".s2dash.lock"} == pictures | tables | {"mine.txt"}
    other = tmp_path / "other"
    other.mkdir()
    (other / "README.txt").write_text("my own")
    code, _, said = call(capsys, "cards", folder, "--out", other, "--quiet")
    assert code == 1
    assert "README.txt" in said
    assert (other / "README.txt").read_text() == "my own"
    assert [path.name for path in other.iterdir() if not path.name.startswith(".")] == ["README.txt"]


def test_a_run_of_the_workspace_goes_by_its_id(tmp_path, capsys) -> None:
    write_scene(make_patchwork(side=48, patches=3)[0], tmp_path / "scene.tif")
    space = Workspace.open(tmp_path / "space")
    run_id = space.start(SceneRequest(str(tmp_path / "scene.tif")), RunSettings(k=3))
    where = ("--workspace", tmp_path / "space", "--quiet")
    pack = tmp_path / "pack"
    assert call(capsys, "cards", run_id, "--style", "plain", "--out", pack, *where)[0] == 0
    for run in (run_id, tmp_path / "space" / "runs" / run_id):  # its folder is the workspace's, not a plain one
        assert call(capsys, "answers", run, filled(pack), "--as", "eye", *where)[0] == 0
        opened = Workspace.open(tmp_path / "space")
        assert all(entry.code == 70 for entry in opened.open_run(run_id).legend.entries.values())
        assert sum(answer.annotator == "eye" for answer in opened.store.answers(run_id)) == 3


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["cards", "{tmp}/none", "--out", "{tmp}/o"], "no run"),
        (["cards", "{run}", "--style", "pretty", "--out", "{tmp}/o"], "numbers@1"),
        (["cards", "{run}", "--cluster", "9", "--out", "{tmp}/o"], "[9]"),
        (["answers", "{run}", "{tmp}/none.json", "--as", "me"], "none.json"),
        (["answers", "{run}", "{tmp}/empty.json", "--as", "me"], "no answer for this run"),
        (["answers", "{run}", "{tmp}/main.json", "--as", "me"], "classes of 'main'"),
        (["answers", "{run}", "{tmp}/empty.json", "--as", "rules"], "answers by itself"),
        (["answers", "{run}", "{tmp}/empty.json", "--as", "../me"], "../me"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(arguments, text, folder, tmp_path, capsys) -> None:
    (tmp_path / "empty.json").write_text("[]")
    (tmp_path / "main.json").write_text('{"scheme": "main", "answers": [{"cluster": 1}]}')
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    code, _, said = call(capsys, *(part.format(tmp=tmp_path, run=folder) for part in arguments), "--quiet")
    assert code == 1
    assert text in said
    assert "Traceback" not in said
    assert not (tmp_path / "o").exists()
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_a_scene_that_has_gone_is_named(folder, tmp_path, capsys) -> None:
    (tmp_path / "scene.tif").unlink()
    code, _, said = call(capsys, "cards", folder, "--out", tmp_path / "o", "--quiet")
    assert code == 1
    assert "scene.tif" in said
