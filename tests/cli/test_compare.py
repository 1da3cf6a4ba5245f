"""`compare`: files that agree with each other, a table that marks the best, and words for what cannot be done."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import psutil
import pytest

from s2dash.cli.main import main
from s2dash.demo import make_demo_scene
from s2dash.export.cog import write_class_cog
from s2dash.export.scene import write_scene
from s2dash.study import Study, child, compare, worker
from s2dash.study.job import Job
from s2dash.testing import make_patchwork

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def scene(tmp_path):
    made, stripes = make_patchwork(side=60)
    write_scene(made, tmp_path / "scene.tif")
    classes = np.array([0, 10, 40, 50, 80], dtype=np.uint8)[stripes]
    names, colours = dict.fromkeys((10, 40, 50, 80), "x"), dict.fromkeys((10, 40, 50, 80), "#112233")
    write_class_cog(tmp_path / "reference.tif", classes, grid=made.grid, names=names, colours=colours)
    return tmp_path / "scene.tif"


@pytest.fixture
def here(monkeypatch):
    """Do the jobs in this process; one test below has them done as they are."""
    jobs = []

    def work(content, progress):
        jobs.append(Job.from_json(content))
        return child.Outcome(worker.run_job(jobs[-1]))

    monkeypatch.setattr(compare, "run_in_child", work)
    return jobs


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_compare_as_a_program_of_its_own(scene, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "s2dash", "compare", scene, "--reference", scene.with_name("reference.tif"),
         "--methods", "kmeans", "--k", "2,4", "--out", tmp_path / "out", "--json"],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    two, four = content["strategies"]
    assert (two["ceiling"]["overall"], four["ceiling"]["overall"]) == (0.5, 1.0)  # two of four stripes; all
    assert content["best"]["ceiling"] == [1]
    assert content["files"] == ["study.json", "study.csv", "study.html"]
    assert "2 of 2 · K-Means, K = 4" in done.stderr
    assert "100%" in done.stderr
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == ["study.csv", "study.html", "study.json"]
    kept = json.loads((out / "study.json").read_text())
    assert kept["strategies"] == content["strategies"]
    assert [row["clusters"] for row in csv.DictReader((out / "study.csv").read_text().splitlines())] == ["2", "4"]


class Cells(HTMLParser):
    """The cells of a page, and what it would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.fetched: list[str] = []
        self._inside = False

    def handle_starttag(self, tag, attrs):
        self._inside = tag == "td"
        self.fetched += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        if self._inside:
            self.cells.append(data)


def test_the_page_says_simulated_and_fetches_nothing(tmp_path, capsys, here):
    request, reference = make_demo_scene(tmp_path, size=64)
    code, text, _ = run(
        capsys, "compare", request.location, "--reference", reference.path, "--methods", "kmeans,gmm", "--k", "3",
        "--sample", 3000, "--out", tmp_path / "out", "--quiet",
    )  # fmt: skip
    assert code == 0
    assert "The scene is simulated: not a real place." in text
    page = (tmp_path / "out" / "study.html").read_text("utf-8")
    assert "The scene is simulated" in page
    seen = Cells()
    seen.feed(page)
    assert seen.fetched == []
    study = Study.from_json(json.loads((tmp_path / "out" / "study.json").read_text()))
    assert f"{study.results[1].ceiling.overall:.3f}" in seen.cells
    assert "accuracy" not in text.lower()


def test_the_table_marks_the_best_and_says_what_the_figures_mean(scene, capsys, here):
    code, text, _ = run(
        capsys, "compare", scene, "--reference", scene.with_name("reference.tif"), "--methods", "kmeans",
        "--k", "2,4", "--quiet",
    )  # fmt: skip
    assert code == 0
    assert re.search(r"kmeans\s*│\s*4\s*│\s*4\s*│.*1\.000 \*", text)
    assert "with the best name each" in " ".join(text.split())
    assert "another map with errors of its own" in text
    assert "accuracy" not in text.replace("states an overall accuracy", "").lower()
    assert not re.search(r"simulated", text)


def test_without_a_reference_there_is_no_agreement(scene, capsys, here):
    code, text, _ = run(capsys, "compare", scene, "--methods", "kmeans", "--k", "3", "--quiet")
    assert code == 0
    assert "No reference was given" in text
    assert "reached" not in text
    code, text, _ = run(capsys, "compare", scene, "--methods", "kmeans", "--k", "3", "--quiet", "--json")
    content = json.loads(text)
    assert content["reference"] is None
    assert content["strategies"][0]["reached"] is None
    assert content["out"] is None


def test_options_reach_the_strategies(scene, capsys, here):
    code, _, _ = run(
        capsys, "compare", scene, "--methods", "slic,kmeans", "--k", "3", "--option", "slic.segment_size=16",
        "--option", "slic.compactness=0.5", "--seed", 7, "--sample", 2000, "--indices", "none", "--texture", 3,
        "--quiet",
    )  # fmt: skip
    assert code == 0
    slic, kmeans = (job.settings for job in here)
    assert slic.options == {"segment_size": 16, "compactness": 0.5}
    assert kmeans.options == {}
    assert {(job.seed, job.sample, job.indices, job.texture) for job in (slic, kmeans)} == {(7, 2000, (), 3)}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--k", "eight"], "'eight'"),
        (["--k", "1"], "between 2 and"),
        (["--k", ""], "is empty"),
        (["--methods", "magic"], "magic"),
        (["--methods", ","], "No method"),
        (["--option", "eps=0.4"], "METHOD.NAME=VALUE"),
        (["--option", "dbscan.eps"], "METHOD.NAME=VALUE"),
        (["--option", "dbscan.magic=1"], "no setting 'magic'"),
        (["--option", "dbscan.eps=-1"], "1e-06 or more"),
        (["--option", "gmm.magic=1"], "no setting 'magic'"),
        (["--methods", "kmeans", "--option", "dbscan.eps=1"], "not among the methods"),
        (["--option", "sam.download=1"], "weights=facebook/sam-vit-base --option download=1`"),
        (["--option", "sam.weights=my/sam", "--option", "sam.download=1"], "weights=my/sam --option download=1`"),
        (["--reference-year", "2020"], "--reference FILE"),
        (["--reference", "{tmp}/none.tif"], "none.tif"),
        (["--out", "{tmp}/scene.tif"], "scene.tif"),
        (["--out", "{tmp}/mine"], "study.csv"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_work(arguments, text, scene, tmp_path, capsys, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "study.csv").write_text("mine")
    monkeypatch.setattr(compare, "run_in_child", lambda *a, **k: pytest.fail("it was begun"))
    filled = [argument.format(tmp=tmp_path) for argument in arguments]
    code, out, err = run(capsys, "compare", scene, *filled, "--quiet", "--json")
    assert code == 1
    assert text in err
    assert json.loads(out)["error"]
    assert (tmp_path / "mine" / "study.csv").read_text() == "mine"
    assert len(list((tmp_path / "mine").iterdir())) == 1


def test_a_terminated_comparison_leaves_no_file_and_no_process(tmp_path):
    command = [sys.executable, "-m", "s2dash", "compare", "simulated:size=4000", "--methods", "kmeans"]
    program = subprocess.Popen([*command, "--out", str(tmp_path / "out")], stderr=subprocess.PIPE, text=True, cwd=ROOT)
    for line in program.stderr:
        if "Opening the scene" in line and "K-Means" in line:
            break
    until = time.monotonic() + 30
    while not (found := psutil.Process(program.pid).children()) and time.monotonic() < until:
        time.sleep(0.02)
    assert found
    program.send_signal(signal.SIGTERM)
    program.communicate(timeout=60)
    assert program.returncode == 130
    assert not [one for one in found if one.is_running()]
    assert not (tmp_path / "out").exists()
