"""Strategies side by side: figures by other means, failures as rows, and no process left behind."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from sklearn.metrics import silhouette_score

from s2dash.clustering import METHODS, cluster
from s2dash.demo import make_demo_scene
from s2dash.errors import Cancelled, ClusteringError, NotARasterError, OutputError, SceneError, StoreError, WeightsError
from s2dash.features import build_features
from s2dash.grid import full_window
from s2dash.pipeline import run_chain
from s2dash.progress import Tracker
from s2dash.run_settings import ReferenceSettings, RunSettings
from s2dash.simulation import simulate_scene
from s2dash.sources.arrays import ArraySource
from s2dash.sources.request import SceneRequest
from s2dash.study import (
    StrategyResult,
    Study,
    build_strategies,
    check_study_folder,
    child,
    compare,
    compare_strategies,
    keep_study,
    kept_study,
    parse_ks,
    worker,
    write_tables,
)
from s2dash.study.compare import _check
from s2dash.study.job import Job

ROOT = Path(__file__).resolve().parents[1]
BASE = RunSettings(sample=5000, seed=3)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A small simulated scene with clouds, and its truth."""
    return make_demo_scene(tmp_path_factory.mktemp("study"), size=96, seed=5)


@pytest.fixture(scope="module")
def study(files):
    """K-Means and a mixture with 4 and 6 clusters, and one strategy that cannot be done."""
    request, reference = files
    strategies = build_strategies(["kmeans", "gmm"], [4, 6], base=BASE)
    strategies += (replace(BASE, k=200, sample=100),)
    return compare_strategies(request, strategies, reference=reference)


@pytest.fixture
def here(monkeypatch):
    """Do the jobs in this process, where it is not processes that are tested."""
    monkeypatch.setattr(
        compare, "run_in_child", lambda job, progress: child.Outcome(worker.run_job(Job.from_json(job)))
    )


def left_behind() -> list[psutil.Process]:
    return [one for one in psutil.Process().children(recursive=True) if child.MODULE in " ".join(one.cmdline())]


# ---- what is compared


@pytest.mark.parametrize(
    ("text", "found"), [("8,12,20", (8, 12, 20)), (" 8  12,,8 ", (8, 12)), ("auto, 5", ("auto", 5)), ("254", (254,))]
)
def test_a_list_of_k_is_read(text, found):
    assert parse_ks(text) == found


@pytest.mark.parametrize(
    "text", ["", " , ", "eight", "8;12", "1", "0", "-3", "255", "8.5", "1e1", "٣", "--4", "9" * 5000]
)
def test_a_bad_list_of_k_is_refused_with_an_example(text):
    with pytest.raises(ClusteringError, match=r"8, 12, 20|between 2 and 254"):
        parse_ks(text)


def test_all_is_every_method_and_one_without_k_comes_once():
    made = build_strategies(["all"], [8, 12, 20])
    assert list(METHODS) == list(dict.fromkeys(settings.method for settings in made))
    assert [settings.k for settings in made if settings.method == "gmm"] == [8, 12, 20]
    assert len([settings for settings in made if settings.method == "dbscan"]) == 1
    assert build_strategies(["gmm", "kmeans", "gmm"], [5]) == build_strategies(["gmm", "kmeans"], [5])


def test_settings_of_a_method_reach_that_method_only():
    made = build_strategies(["slic", "kmeans"], [4], options={"slic": {"compactness": 0.5}})
    assert [dict(settings.options) for settings in made] == [{"compactness": 0.5}, {}]
    for methods, ks, options in (
        (["magic"], [4], {}),
        ([], [4], {}),
        (["kmeans"], [], {}),
        (["kmeans"], [1], {}),
        (["kmeans"], [4], {"slic": {"compactness": 1}}),
        (["slic"], [4], {"slic": {"magic": 1}}),
    ):
        with pytest.raises(ClusteringError):
            build_strategies(methods, ks, options=options)


def test_what_cannot_be_compared_is_refused_before_any_work(files, tmp_path):
    request, reference = files
    two = build_strategies(["kmeans"], [4, 6], base=BASE)
    for strategies, why in (
        ([], "nothing to compare"),
        ([two[0], replace(two[1], scheme="main")], "class schemes"),
        ([replace(two[0], model="model.npz")], "fits every strategy anew"),
        ([replace(two[0], k=1)], "between 2 and"),
    ):
        with pytest.raises(ClusteringError, match=why):
            compare_strategies(request, strategies, reference=reference)
    with pytest.raises(SceneError, match="no-such"):
        compare_strategies(SceneRequest(str(tmp_path / "no-such.tif")), two)
    with pytest.raises(NotARasterError, match="no such file"):
        compare_strategies(request, two, reference=ReferenceSettings(path=str(tmp_path / "not here.tif")))


# ---- what is found


def test_rows_come_in_the_order_asked_for(study):
    assert [(row.settings.method, row.k) for row in study.results] == [
        ("kmeans", 4), ("kmeans", 6), ("gmm", 4), ("gmm", 6), ("kmeans", 200),
    ]  # fmt: skip
    assert [row.clusters for row in study.results[:4]] == [4, 6, 4, 6]
    assert study.simulated
    assert study.reference["title"] == "Simulated truth"


@pytest.mark.parametrize("place", [1, 2])
def test_agreement_and_ceiling_are_those_of_a_run(study, files, place):
    request, reference = files
    row = study.results[place]
    report = run_chain(request.load(), row.settings, reference=reference).agreement
    assert row.reached == report.confusion.scores
    assert row.ceiling == report.ceiling.scores
    assert row.reached.overall < row.ceiling.overall < 1


def test_silhouettes_are_those_of_the_same_pixels_for_all(study, files):
    """Against scikit-learn on pixels read and standardised by other means than the features' own sample."""
    scene = files[0].load()
    space = build_features(scene, sample=BASE.sample, seed=BASE.seed)
    values, valid = space.block(full_window(scene.grid))
    assert study.judged_pixels == 5000
    assert study.judged_on == space.names
    for row in study.results[1:3]:
        settings = row.settings
        clusters = cluster(space, method=settings.method, k=settings.k, seed=settings.seed, sample=settings.sample)
        some = valid & (np.add.outer(*map(np.arange, valid.shape)) % 3 == 0)  # other pixels than the 5000 drawn
        assert row.silhouette == pytest.approx(silhouette_score(values[:, some].T, clusters.labels[some]), abs=0.03)
        drawn = worker.silhouette(clusters, space, pixels=5000, seed=BASE.seed)
        assert drawn["silhouette"] == pytest.approx(row.silhouette, abs=1e-9)


def test_pixels_that_the_season_did_not_see_are_judged_nowhere():
    scene = simulate_scene(size=80, seed=2).scene
    layers = np.random.default_rng(0).random((1, 80, 80), dtype=np.float32)
    layers[:, :, :24] = np.nan
    scene = replace(scene, season=ArraySource(scene.grid, ("NDVI_P50",), layers))
    seasonal, plain = build_features(scene, season=("NDVI_P50",)), build_features(scene)
    clusters = cluster(seasonal, k=4)
    for space in (seasonal, plain):
        found = worker.silhouette(clusters, space, pixels=5000, seed=0)
        values, valid = space.block(full_window(scene.grid))
        kept = valid & (clusters.labels > 0)
        everywhere = silhouette_score(values[:, kept].T, clusters.labels[kept])
        assert found["silhouette"] == pytest.approx(everywhere, abs=0.03)
        assert found["judged_pixels"] < 5000


def test_a_strategy_with_a_season_is_judged_where_the_others_are():
    strategies = [replace(BASE, indices=(), season=("NDVI_P50",)), replace(BASE, indices=())]
    judge = _check(strategies, 500)
    assert [worker.look_alike(one, judge) for one in strategies] == [False, True]


def test_strategies_that_look_at_other_features_are_judged_on_the_bands(files, here):
    request, _ = files
    strategies = [replace(BASE, k=4, indices=()), replace(BASE, k=4, indices=("NDVI",), texture=3)]
    found = compare_strategies(request, strategies, judge_pixels=300)
    assert found.judged_on == request.load().bands
    assert found.judged_pixels == 300
    assert found.reference is None
    assert all(row.reached is None and row.ceiling is None and row.silhouette for row in found.results)
    assert found.best("reached") == frozenset()


def test_time_and_memory_are_a_strategys_own(study, files):
    for row in study.results[:4]:
        assert 0 < row.seconds < 60
        assert 20 < row.baseline_mib <= row.peak_mib < row.baseline_mib + 300
    ballast = np.ones(70_000_000)  # 534 MiB here; getrusage would show them in a child started now
    again = compare_strategies(files[0], build_strategies(["kmeans"], [4], base=BASE))
    assert again.results[0].peak_mib < ballast.nbytes / 2**20
    assert again.results[0].silhouette == study.results[0].silhouette


def test_a_strategy_that_cannot_be_done_is_a_row_that_says_why(study):
    impossible = study.results[4]
    assert not impossible.done
    assert "A sample of 100 pixels cannot make 200 clusters" in impossible.error
    assert impossible.reached is impossible.seconds is impossible.clusters is None
    assert study.best("ceiling") <= {0, 1, 2, 3}


def test_the_best_are_found_and_ties_are_all_best(study):
    values = [row.reached.overall for row in study.results[:4]]
    assert study.best("reached") == {place for place, value in enumerate(values) if value == max(values)}
    twice = replace(study, results=(study.results[1], study.results[1], study.results[4]))
    assert twice.best("silhouette") == {0, 1}


def test_a_study_is_the_same_after_json_and_its_table_holds_every_row(study, tmp_path):
    content = json.loads(json.dumps(study.to_json(), allow_nan=False))
    assert Study.from_json(content) == study
    write_tables(study, tmp_path)
    assert json.loads((tmp_path / "study.json").read_text()) == content
    rows = list(csv.DictReader(io.StringIO((tmp_path / "study.csv").read_text())))
    assert [row["strategy"] for row in rows] == [row.title for row in study.results]
    assert float(rows[2]["ceiling_miou"]) == study.results[2].ceiling.miou
    assert rows[4]["seconds"] == ""
    assert "cannot make 200 clusters" in rows[4]["error"]


def test_a_study_is_kept_by_scene(study, tmp_path):
    assert kept_study(study.request, tmp_path) is None
    keep_study(study, tmp_path)
    assert kept_study(study.request, tmp_path) == study
    assert kept_study(SceneRequest("elsewhere.tif"), tmp_path) is None
    (kept,) = (tmp_path / "studies").iterdir()
    for damaged in ("{", "[]", json.dumps(study.to_json() | {"study": 99}), '{"study": 1}'):
        kept.write_text(damaged)
        with pytest.raises(StoreError, match="Compare again"):
            kept_study(study.request, tmp_path)


def test_files_of_others_are_not_replaced(study, tmp_path):
    check_study_folder(tmp_path / "new")
    (tmp_path / "study.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"study\.csv"):
        check_study_folder(tmp_path)
    write_tables(study, tmp_path)
    check_study_folder(tmp_path)
    (tmp_path / "study.json").write_text("[1]")
    with pytest.raises(OutputError, match=r"study\.json"):
        check_study_folder(tmp_path)


# ---- processes


def job(files, **changes) -> Job:
    return Job(files[0], replace(BASE, **changes), BASE, 500)


def test_a_stopped_study_leaves_no_process(files):
    tracker = Tracker()
    strategies = build_strategies(["gmm"], [100, 120], base=replace(BASE, sample=100_000))
    large = SceneRequest("simulated:size=2000")

    def stop():
        until = time.monotonic() + 60
        while not (left_behind() and "Sampling" in tracker.text) and time.monotonic() < until:
            time.sleep(0.02)
        tracker.cancel()

    waiting = threading.Thread(target=stop)
    waiting.start()
    with pytest.raises(Cancelled, match=r"1 of 2 · Gaussian mixture, K = 100"):
        compare_strategies(large, strategies, progress=tracker)
    waiting.join()
    assert left_behind() == []


def test_a_child_ends_with_its_parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        "from s2dash.run_settings import RunSettings\n"
        "from s2dash.sources.request import SceneRequest\n"
        "from s2dash.study import compare_strategies\n"
        "compare_strategies(SceneRequest('simulated:size=5000'), [RunSettings()])\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
    until = time.monotonic() + 60
    while not (found := [one for one in psutil.Process(parent.pid).children() if child.MODULE in one.cmdline()]):
        assert time.monotonic() < until
        assert parent.poll() is None
        time.sleep(0.05)
    time.sleep(2)  # let it open standard input
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    gone, alive = psutil.wait_procs(found, timeout=20)
    assert len(gone) == 1
    assert alive == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import os; os.kill(os.getpid(), 9)", "ran out of memory"),
        ("import os; os.kill(os.getpid(), 11)", "SIGSEGV"),
        ("raise SystemExit('no room on Mars')", "no room on Mars"),
        ("def run(*a, **k): raise MemoryError\nw.run_job = run; w.main()", "ran out of memory. It held"),
        ("def run(*a, **k): return 1 / 0\nw.run_job = run; w.main()", "ZeroDivisionError"),
        ("def run(*a, **k): import magic_networks\nw.run_job = run; w.main()", "magic_networks"),
        ("def run(*a, **k): print('noise'); return {'seconds': 1}\nw.run_job = run; w.main()", ""),
    ],
)
def test_a_child_that_dies_is_an_outcome(files, tmp_path, monkeypatch, body, said):
    (tmp_path / "stand_in.py").write_text(f"import s2dash.study.worker as w\n{body}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(child, "MODULE", "stand_in")
    outcome = child.run_in_child(job(files).to_json(), progress=Tracker())
    assert said in outcome.error
    if said:
        assert outcome.error.endswith(".") or "no room" in outcome.error
        assert outcome.unmet == ("magic" in said)
    else:
        assert outcome.error == ""
        assert outcome.result == {"seconds": 1}


def test_a_method_that_lacks_something_is_not_tried_at_every_k(files, monkeypatch):
    tried = []

    def lacking(job, progress):
        tried.append((job["settings"]["method"], job["settings"]["k"]))
        return child.Outcome({}, "There are no weights.", unmet=job["settings"]["method"] == "sam")

    monkeypatch.setattr(compare, "run_in_child", lacking)
    found = compare_strategies(files[0], build_strategies(["sam", "gmm"], [4, 6], base=BASE))
    assert tried == [("sam", 4), ("gmm", 4), ("gmm", 6)]
    assert [row.error for row in found.results] == ["There are no weights."] * 4
    assert [row.k for row in found.results] == [4, 6, 4, 6]


def test_no_weights_are_fetched_behind_anybodys_back(files, tmp_path, monkeypatch):
    (tmp_path / "stand_in.py").write_text(
        "import os\nimport s2dash.study.worker as w\n"
        "w.run_job = lambda *a, **k: {'offline': [os.environ['HF_HUB_OFFLINE'], os.environ['TRANSFORMERS_OFFLINE']]}\n"
        "w.main()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(child, "MODULE", "stand_in")
    assert child.run_in_child(job(files).to_json(), progress=Tracker()).result == {"offline": ["1", "1"]}


@pytest.mark.parametrize("download", [0, 1])
def test_a_strategy_whose_weights_are_not_here_says_how_to_fetch_them(files, tmp_path, monkeypatch, download):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(worker, "preload", lambda method: pytest.fail("it was begun"))
    with pytest.raises(WeightsError, match=r"A comparison fetches no weights. Fetch them once with `python -m s2dash"):
        worker.run_job(job(files, method="sam", options={"weights": "some/sam", "download": download}))


def test_a_job_goes_over_the_wire_unchanged(files):
    asked = replace(job(files, k=7, texture=3, options={}), reference={"codes": "x.npy", "unknown": {}})
    assert Job.from_json(json.loads(json.dumps(asked.to_json()))) == asked


def test_a_map_of_one_cluster_has_no_silhouette(files):
    scene = files[0].load()
    space = build_features(scene, sample=1000)
    clusters = cluster(space, k=2, sample=1000)
    alone = replace(clusters, labels=np.minimum(clusters.labels, 1))
    assert worker.silhouette(alone, space, pixels=500, seed=0)["silhouette"] is None


def test_noise_is_counted_where_a_method_knows_it(files):
    space = build_features(files[0].load(), sample=1000)
    clusters = cluster(space, k=3, sample=1000)
    assert worker.noise_share(clusters) is None

    labels = np.array([[0, 1, 1, 2, 3, 3]], dtype=np.uint8)
    noisy = replace(clusters, labels=labels, settings={"noise_cluster": 3})
    assert worker.noise_share(noisy) == pytest.approx(2 / 5)


def test_titles_name_method_k_and_settings():
    assert StrategyResult(RunSettings(k=8)).title == "K-Means, K = 8"
    assert StrategyResult(RunSettings(method="dbscan", options={"eps": 0.4})).title == "DBSCAN, eps = 0.4"
    assert StrategyResult(RunSettings(method="dbscan")).k is None
