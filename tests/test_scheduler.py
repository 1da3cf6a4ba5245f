"""Blocks on a real dask cluster: one scheduler and its workers, each a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rasterio.windows import Window

from s2dash import scheduler
from s2dash.clustering import cluster
from s2dash.clustering.predict import predict_map
from s2dash.errors import Cancelled, SchedulerError
from s2dash.export.scene import write_scene
from s2dash.features import FeatureStack, Texture, build_features
from s2dash.scheduler import cluster_map, scheduler_address, using_scheduler
from s2dash.sources import load_scene

ROOT = Path(__file__).resolve().parents[1]


class Cluster:
    """A scheduler and workers without a nanny: one that is killed stays dead."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{port}"
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start("dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")

    def _start(self, command: str, *options: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{command}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{command}", *options],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
            )

    def add_worker(self) -> None:
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
        self.workers.append(self._start("dask_worker", self.address, *options))

    def wait_for(self, workers: int) -> None:
        from distributed import Client

        with Client(self.address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=60)

    def close(self) -> None:
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()


@pytest.fixture
def two_workers(tmp_path: Path) -> Iterator[Cluster]:
    found = Cluster(tmp_path)
    try:
        for _ in range(2):
            found.add_worker()
        found.wait_for(2)
        yield found
    finally:
        found.close()


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> FeatureStack:
    path = tmp_path_factory.mktemp("scene") / "scene.tif"
    write_scene(load_scene("simulated:size=640x512,seed=3,clouds=0.1"), path)
    return build_features(load_scene(path), indices=["NDVI"], texture=Texture(size=5))


class Watch:
    """Progress that does something once, when half is done."""

    def __init__(self, act: object) -> None:
        self.act, self.done = act, False

    def report(self, share: float, text: str) -> None:
        if share >= 0.3 and not self.done:
            self.done = True
            self.act()  # type: ignore[operator]


def test_a_worker_killed_in_the_middle_changes_nothing(features: FeatureStack, two_workers: Cluster) -> None:
    model = cluster(features, k=6, seed=1).model
    assert model is not None
    alone = predict_map(features, model, block=64)
    victim = two_workers.workers[0]
    watch = Watch(lambda: victim.send_signal(signal.SIGKILL))
    with using_scheduler(two_workers.address):
        shared = predict_map(features, model, block=64, progress=watch)
    assert watch.done
    assert victim.wait(10) == -signal.SIGKILL
    np.testing.assert_array_equal(shared, alone)


def test_a_run_of_the_command_line_is_the_same_map_on_a_cluster(
    tmp_path: Path, two_workers: Cluster, features: FeatureStack, capsys: pytest.CaptureFixture[str]
) -> None:
    import rasterio

    from s2dash.cli.main import main

    scene = str(features.scene.provenance.location)
    for out, options in (("here", []), ("there", ["--scheduler", two_workers.address])):
        assert main(["run", scene, "--k", "5", "--out", str(tmp_path / out), *options]) == 0
    maps = []
    for out in ("here", "there"):
        with rasterio.open(tmp_path / out / "clusters.tif") as file:
            maps.append(file.read(1))
    np.testing.assert_array_equal(*maps)
    assert len(np.unique(maps[0])) > 3


def test_stopping_cancels_what_is_under_way(features: FeatureStack, two_workers: Cluster) -> None:
    model = cluster(features, k=4, seed=1).model
    assert model is not None

    def stop() -> None:
        raise Cancelled("Stopped.")

    with using_scheduler(two_workers.address), pytest.raises(Cancelled):
        predict_map(features, model, block=64, progress=Watch(stop))
    # The workers are free for the next one.
    done = dict(cluster_map(_row, 7, [Window(0, row, 1, 1) for row in range(3)], address=two_workers.address))
    assert sorted(done.values()) == [7, 8, 9]


def _row(shared: int, window: Window) -> int:
    return shared + int(window.row_off)


def _fail(shared: int, window: Window) -> int:
    from s2dash.errors import NotARasterError

    raise NotARasterError(f"block {int(window.row_off)} cannot be read")


def test_what_a_worker_cannot_do_is_said_in_its_own_words(two_workers: Cluster) -> None:
    from s2dash.errors import NotARasterError

    with pytest.raises(NotARasterError, match="block 4 cannot be read"):
        list(cluster_map(_fail, 0, [Window(0, 4, 1, 1)], address=two_workers.address))


def test_a_cluster_that_lost_all_its_workers_is_given_up(
    features: FeatureStack, two_workers: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "WORKERS_S", 3.0)
    monkeypatch.setattr(scheduler, "RESULT_S", 1.0)
    monkeypatch.setattr(scheduler, "_LOOK_S", 0.3)
    model = cluster(features, k=4, seed=1).model
    assert model is not None

    def kill() -> None:
        for worker in two_workers.workers:
            worker.kill()

    with using_scheduler(two_workers.address), pytest.raises(SchedulerError, match=r"no worker for 3 s.*dask worker"):
        predict_map(features, model, block=64, progress=Watch(kill))


def test_no_scheduler_and_no_workers_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "CONNECT_S", 0.5)
    monkeypatch.setattr(scheduler, "WORKERS_S", 0.5)
    with pytest.raises(SchedulerError, match=r"No dask scheduler answers at 'tcp://127\.0\.0\.1:9'"):
        list(cluster_map(_row, 0, [], address="tcp://127.0.0.1:9"))
    with pytest.raises(SchedulerError, match="No dask scheduler answers at 'nonsense://x'"):
        list(cluster_map(_row, 0, [], address="nonsense://x"))
    alone = Cluster(tmp_path)
    try:
        monkeypatch.setattr(scheduler, "CONNECT_S", 30.0)
        begun = time.monotonic()
        with pytest.raises(SchedulerError, match="has had no worker"):
            list(cluster_map(_row, 0, [Window(0, 0, 1, 1)], address=alone.address))
        assert time.monotonic() - begun < 60
    finally:
        alone.close()


def test_the_address_is_that_given_else_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("S2DASH_SCHEDULER", raising=False)
    assert scheduler_address() is None
    monkeypatch.setenv("S2DASH_SCHEDULER", " tcp://a:1 ")
    assert scheduler_address() == "tcp://a:1"
    with using_scheduler("tcp://b:2"):
        assert scheduler_address() == "tcp://b:2"
    assert scheduler_address() == "tcp://a:1"
