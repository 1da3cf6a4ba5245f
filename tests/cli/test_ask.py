"""`ask`, and `run` with models: said before, kept at once, never paid for twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from s2dash.cli.main import main
from s2dash.export.scene import write_scene
from s2dash.testing import make_patchwork
from s2dash.testing_models import ModelServer, answers

MODEL = """
[models.eye]
title = "Eye"
provider = "open"
model = "tiny"
address = "{address}"
key_required = false
input_price = 2.0
output_price = 2.0
picture_tokens = {{ rule = "fixed", each = 300 }}
"""
GRASS = {
    "land_cover": "grassland",
    "second_choice": None,
    "term": "meadow",
    "confidence": 0.9,
    "evidence": [],
    "mixed": False,
}


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    made, _ = make_patchwork(side=48)
    write_scene(made, tmp_path / "stripes.tif")
    return tmp_path / "stripes.tif"


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with ModelServer("open", (), otherwise=answers(GRASS)) as server:
        (tmp_path / "models.toml").write_text(MODEL.format(address=server.address))
        monkeypatch.setenv("S2DASH_MODELS", str(tmp_path / "models.toml"))
        monkeypatch.setenv("S2DASH_ANSWERS", str(tmp_path / "answers.jsonl"))
        yield server


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    said: dict[str, object] = json.loads(capsys.readouterr().out)
    return said


def test_a_run_that_is_lost_has_lost_no_answer(scene, models, tmp_path, capsys):
    asked = ["run", str(scene), "--k", "3", "--annotators", "rules,eye", "--json", "--quiet"]
    assert main([*asked, "--out", str(tmp_path / "one")]) == 0
    capsys.readouterr()
    assert len(models.calls) == 3
    assert main([*asked, "--out", str(tmp_path / "two")]) == 0
    assert len(models.calls) == 3
    legend = json.loads((tmp_path / "two" / "legend.json").read_text())
    assert sum(answer["annotator"] == "eye" for answer in legend["answers"]) == 3


def test_the_price_is_said_before_anything_is_sent(scene, models, tmp_path, capsys):
    assert main(["run", str(scene), "--k", "3", "--out", str(tmp_path / "map"), "--quiet"]) == 0
    capsys.readouterr()
    assert main(["ask", str(tmp_path / "map"), "--annotators", "eye", "--estimate", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "3 calls (at most 6)" in out
    assert "nothing leaves it" in out
    assert not models.calls


def test_models_are_asked_about_a_run_that_is_there_and_the_map_follows(scene, models, tmp_path, capsys):
    folder = tmp_path / "map"
    assert main(["run", str(scene), "--k", "3", "--out", str(folder), "--quiet"]) == 0
    capsys.readouterr()
    assert main(["ask", str(folder), "--annotators", "eye,gemini", "--json", "--quiet"]) == 0
    said = told(capsys)
    assert said["calls"] == 3
    assert "gemini was not asked" in said["remarks"][0]
    legend = json.loads((folder / "legend.json").read_text())
    assert sum(answer["annotator"] == "eye" for answer in legend["answers"]) == 3
    assert main(["ask", str(folder), "--annotators", "eye", "--json", "--quiet"]) == 0
    assert told(capsys)["found"] == 3
    assert len(models.calls) == 3


def test_a_budget_that_allows_nothing_says_so_and_leaves_the_run(scene, models, tmp_path, capsys):
    folder = tmp_path / "map"
    assert main(["run", str(scene), "--k", "3", "--out", str(folder), "--quiet"]) == 0
    before = (folder / "legend.json").read_bytes()
    assert main(["ask", str(folder), "--annotators", "eye", "--budget", "0", "--quiet"]) == 1
    assert "Nobody answered" in capsys.readouterr().err
    assert not models.calls
    assert (folder / "legend.json").read_bytes() == before
