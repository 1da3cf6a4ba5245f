"""Read → K-Means → write on a large scene, beside reading and rewriting the same file, and beside scikit-learn.

    python benchmarks/chain.py [--side 3000] [--k 8] [--runs 3] [--file SCENE.tif]

Each step runs in a process of its own, so that its peak memory is its own; imports are not counted. Without `--file` a
simulated scene is written to a temporary folder (10 bands, uint16, tiled, deflate) and used for every step.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))


def step_rewrite(path: Path, k: int) -> dict[str, float]:
    """Read all bands block by block and write them again as they were: what any program must spend."""
    import rasterio

    from s2dash.grid import blocks
    from s2dash.sources import load_scene

    grid = load_scene(str(path), offset=0.0, scale=1e-4).grid
    start = time.perf_counter()
    with rasterio.Env(GDAL_NUM_THREADS="2", GDAL_CACHEMAX=64), rasterio.open(path) as source:
        profile = source.profile | {"num_threads": 2}
        with rasterio.open(path.with_suffix(".copy.tif"), "w", **profile) as copy:
            for window in blocks(grid):
                copy.write(source.read(window=window), window=window)
    return {"seconds": time.perf_counter() - start}


def step_read_write_one(path: Path, k: int) -> dict[str, float]:
    """Read all bands and write one byte band: the least that a cluster map costs."""
    import numpy as np
    import rasterio

    from s2dash.grid import blocks
    from s2dash.parallel import ordered_map
    from s2dash.sources import load_scene

    scene = load_scene(str(path), offset=0.0, scale=1e-4)
    start = time.perf_counter()
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "crs": str(scene.grid.crs), "tiled": True}
    profile |= {"width": scene.grid.shape[1], "height": scene.grid.shape[0], "transform": scene.grid.transform}
    windows = blocks(scene.grid)
    with rasterio.open(path.with_suffix(".byte.tif"), "w", compress="deflate", num_threads=2, **profile) as target:
        reads = ordered_map(lambda window: scene.source.read(scene.bands, window), windows)
        for window, numbers in zip(windows, reads, strict=True):
            target.write((numbers[0] & 7).astype(np.uint8), 1, window=window)
    return {"seconds": time.perf_counter() - start}


def step_s2dash(path: Path, k: int) -> dict[str, float]:
    """The chain as `python -m s2dash run` does it up to the cluster map, on bands alone."""
    import numpy as np
    import sklearn.cluster

    import s2dash.clustering.kmeans
    from s2dash.clustering import cluster
    from s2dash.colours import cluster_colours
    from s2dash.export.cog import write_class_cog
    from s2dash.features import build_features
    from s2dash.sources import load_scene

    start = time.perf_counter()
    scene = load_scene(str(path))
    features = build_features(scene, indices=())
    clusters = cluster(features, k=k)
    done = time.perf_counter()
    names = {number: f"{number}" for number in range(1, k + 1)}
    write_class_cog(
        path.with_suffix(".clusters.tif"),
        clusters.labels,
        grid=clusters.grid,
        names=names,
        colours=cluster_colours(k),
    )
    end = time.perf_counter()
    np.save(path.with_suffix(".centres.npy"), clusters.model.centres)
    np.savez(path.with_suffix(".scaler.npz"), mean=features.scaler.mean, std=features.scaler.std)
    return {"seconds": end - start, "of which writing": end - done}


def step_sklearn(path: Path, k: int) -> dict[str, float]:
    """Scikit-learn's full fit on the same standardised bands."""
    import numpy as np
    import rasterio
    from sklearn.cluster import KMeans

    scaler = np.load(path.with_suffix(".scaler.npz"))
    start = time.perf_counter()
    with rasterio.open(path) as file:
        numbers = file.read(list(range(1, 11)))
    pixels = numbers.reshape(10, -1).T.astype(np.float32)
    pixels = (pixels * 1e-4 - scaler["mean"].astype(np.float32)) / scaler["std"].astype(np.float32)
    fitted = KMeans(k, n_init=1, random_state=0).fit(pixels)
    seconds = time.perf_counter() - start
    inertia = _inertia(pixels, np.load(path.with_suffix(".centres.npy")))
    return {"seconds": seconds, "inertia": float(fitted.inertia_), "inertia of s2dash": inertia}


def _inertia(pixels: object, centres: object) -> float:
    """Within-cluster sum of squares of nearest centres, in blocks; in single precision a percent would be noise."""
    import numpy as np
    from sklearn.metrics import pairwise_distances_argmin_min

    wide = np.asarray(centres, np.float64)
    return float(
        sum(
            np.square(
                pairwise_distances_argmin_min(np.asarray(pixels[start : start + 500_000], np.float64), wide)[1]
            ).sum()
            for start in range(0, len(pixels), 500_000)
        )
    )


STEPS = {
    "read and rewrite": step_rewrite,
    "read, write one band": step_read_write_one,
    "s2dash": step_s2dash,
    "scikit-learn full fit": step_sklearn,
}


def child(name: str, path: Path, k: int) -> None:
    """Run one step and print what it measured."""
    measured = STEPS[name](path, k)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(measured | {"peak MiB": peak}))


def measure(name: str, path: Path, k: int) -> dict[str, float]:
    """Run one step in a process of its own."""
    command = [sys.executable, __file__, "--step", name, "--file", str(path), "--k", str(k)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr}")
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=3000)
    parser.add_argument("--k", type=int, default=8)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--step", choices=STEPS)
    options = parser.parse_args()
    if options.step:
        child(options.step, options.file, options.k)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.tif"
        if options.file:
            path.symlink_to(options.file.resolve())
        else:
            from s2dash.export.scene import write_scene
            from s2dash.simulation import simulate_scene

            print(f"Simulating {options.side} x {options.side} pixels …", file=sys.stderr)
            write_scene(simulate_scene(size=options.side, seed=0).scene, path)
        results: dict[str, list[dict[str, float]]] = {name: [] for name in STEPS}
        for _ in range(options.runs):  # in turn, so that a machine that slows down slows all alike
            for name in STEPS:
                results[name].append(measure(name, path, options.k))
        base = statistics.median(run["seconds"] for run in results["read and rewrite"])
        print(f"{path.stat().st_size / 2**20:.0f} MiB, K = {options.k}, median of {options.runs} runs")
        print(f"{'':26}{'seconds':>10}{'of rewrite':>12}{'peak MiB':>10}")
        for name, runs in results.items():
            seconds = statistics.median(run["seconds"] for run in runs)
            peak = max(run["peak MiB"] for run in runs)
            print(f"{name:26}{seconds:10.2f}{seconds / base:12.2f}{peak:10.0f}")
        last = results["scikit-learn full fit"][-1]
        print(f"within-cluster sum of squares, s2dash / full fit: {last['inertia of s2dash'] / last['inertia']:.5f}")


if __name__ == "__main__":
    main()
