"""Time and peak memory of a whole run, file to map files, from 1 to 120 million pixels; and on a dask cluster.

    python benchmarks/scale.py [--quick] [--runs 1]

Each run is `python -m s2dash run` as a person types it: K-Means of ten bands, NDVI, NDWI and NDBI, K = 12, the rules as
annotator, all files written. Simulated scenes, repeated, written as tiled uint16 files. The cluster is a scheduler and
as many workers of one thread each as there are cores, on this machine; its ratio is taken with runs in turn, at 36
million pixels. `--quick` takes small sizes to see that all works; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import math
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

SIDES = (1000, 2000, 4000, 8000, 10980)
QUICK_SIDES = (300, 600, 1200)
CLUSTER_SIDE = 6000


def run(path: Path, out: Path, *options: str) -> tuple[float, float]:
    """Seconds and peak MiB of a run in a process of its own."""
    command = [sys.executable, "-m", "s2dash", "run", str(path), "--k", "12", "--out", str(out), "--quiet", *options]
    start = time.perf_counter()
    done = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(done.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"{' '.join(command)} failed.")
    return seconds, usage.ru_maxrss / 1024


@contextmanager
def local_cluster(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and workers of one thread each; the address and the workers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}

    def start(command: str, *options: str) -> subprocess.Popen[bytes]:
        with (folder / f"{command}.log").open("ab") as log:
            words = [sys.executable, "-m", f"distributed.cli.{command}", *options, "--no-dashboard"]
            return subprocess.Popen(
                [*words, "--host", "127.0.0.1"], cwd=folder, stdout=log, stderr=log, env=environment
            )

    cores = len(os.sched_getaffinity(0))
    scheduler = start("dask_scheduler", "--port", str(port))
    workers = [start("dask_worker", address, "--nthreads", "1", "--no-nanny") for _ in range(cores)]
    try:
        from distributed import Client

        with Client(address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(cores, timeout=60)
        yield address, workers
    finally:
        for process in [*workers, scheduler]:
            process.terminate()
            process.wait(30)


def peak_mib(process: subprocess.Popen[bytes]) -> float:
    """The most memory a running process has held, MiB."""
    import psutil

    found = psutil.Process(process.pid)
    status = Path(f"/proc/{found.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def slope(sides: list[int], seconds: list[float]) -> list[float]:
    """Exponent of the growth of seconds with pixels, from each size to the next."""
    return [
        math.log(seconds[at + 1] / seconds[at]) / math.log((sides[at + 1] / sides[at]) ** 2)
        for at in range(len(sides) - 1)
    ]


def main() -> None:
    """Measure and print the tables."""
    from repeated import scene_file

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--runs", type=int, default=1)
    options = parser.parse_args()
    sides = QUICK_SIDES if options.quick else SIDES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measured: dict[int, tuple[float, float]] = {}
        print(f"{'million pixels':>15}{'seconds':>10}{'peak MiB':>10}")
        for side in sides:
            path = scene_file(folder, side, base=2000)
            runs = [run(path, folder / "out") for _ in range(options.runs)]
            measured[side] = statistics.median(seconds for seconds, _ in runs), max(peak for _, peak in runs)
            print(f"{side**2 / 1e6:15.1f}{measured[side][0]:10.1f}{measured[side][1]:10.0f}", flush=True)
            path.unlink()
        growth = slope(list(sides), [measured[side][0] for side in sides])
        print("exponent of seconds over pixels, step by step:", ", ".join(f"{value:.2f}" for value in growth))

        path = scene_file(folder, QUICK_SIDES[-1] if options.quick else CLUSTER_SIDE, base=2000)
        here: list[float] = []
        there: list[float] = []
        with local_cluster(folder) as (address, workers):
            for _ in range(max(options.runs, 2)):
                here.append(run(path, folder / "out")[0])
                there.append(run(path, folder / "out", "--scheduler", address)[0])
            held = [peak_mib(worker) for worker in workers]
        ratio = statistics.median(there) / statistics.median(here)
        print(f"dask cluster: {statistics.median(there):.1f} s, threads {statistics.median(here):.1f} s, {ratio:.2f} x")
        print("peak of each worker, MiB:", ", ".join(f"{peak:.0f}" for peak in held))


if __name__ == "__main__":
    main()
