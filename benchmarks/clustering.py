"""Clustering in time and memory, as ratios within one run, beside what reading and writing the same pixels costs.

    python benchmarks/clustering.py [--only a,c] [--quick] [--tile] [--runs 3]

a  K-Means against reading and rewriting the file, and its inertia against full fits of scikit-learn
b  K-Means with indices and texture against ten bands
c  DBSCAN against K-Means, and against exact DBSCAN
d  confusion matrix of two whole tiles; twenty cluster highlights as PNG
e  autoencoder and deep clustering
f  how seconds grow with pixels, for every method that needs no weights

Each step runs in a process of its own, so that its peak memory is its own; process start and imports are not counted.
All scenes are simulated. `--tile` adds a whole Sentinel-2 tile to part a; `--quick` takes small sizes to see that all
works, and its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chain
import numpy as np
from repeated import scene_file, scene_of, simulated

from s2dash.study.worker import peak_mib, preload

K = 8
TILE = 10980
"""Side of a whole Sentinel-2 tile at 10 m, pixels."""
NETWORKS = ("autoencoder", "deep", "unet")
GROWING = ("kmeans", "gmm", "dbscan", "hdbscan", "slic", *NETWORKS)


# ---- steps, each in a process of its own


def step_chain(name: str, path: str) -> dict[str, float]:
    """A step of `chain.py`."""
    preload("kmeans")
    return chain.STEPS[name](Path(path), K)


def step_cluster(
    method: str,
    path: str = "",
    numbers: str = "",
    side: int = 0,
    k: int = K,
    indices: Sequence[str] = (),
    texture: int = 0,
    options: dict[str, Any] | None = None,
    write: bool = False,
) -> dict[str, float]:
    """Sample, fit and label, and where asked write: of a file, or of repeated numbers."""
    from s2dash.clustering import cluster
    from s2dash.colours import cluster_colours
    from s2dash.export.cog import write_class_cog
    from s2dash.features import Texture, build_features
    from s2dash.sources import load_scene

    preload(method)
    scene = load_scene(path) if path else scene_of(numbers, side, side)
    start = time.perf_counter()
    features = build_features(scene, indices=indices, texture=Texture(size=texture) if texture else None)
    clusters = cluster(features, method=method, k=k, options=options)
    if write:
        names = {number: f"{number}" for number in range(1, clusters.n_clusters + 1)}
        colours = cluster_colours(clusters.n_clusters)
        target = Path(path).with_suffix(".clusters.tif")
        write_class_cog(target, clusters.labels, grid=clusters.grid, names=names, colours=colours)
    return {"seconds": time.perf_counter() - start, "clusters": clusters.n_clusters}


def step_inertia(path: str, fits: int) -> dict[str, float]:
    """Within-cluster sum of squares over all pixels: ours by seed, and full fits of scikit-learn by seed."""
    import rasterio
    from sklearn.cluster import KMeans

    from s2dash.clustering.kmeans import fit_kmeans
    from s2dash.features import DEFAULT_SAMPLE, build_features
    from s2dash.sources import load_scene

    features = build_features(load_scene(path), indices=())
    with rasterio.open(path) as file:
        numbers = file.read()
    pixels = features.of_numbers(numbers.reshape(len(numbers), -1)).T
    del numbers
    ours = []
    for seed in range(5):
        model = fit_kmeans(features, k=K, seed=seed, sample=DEFAULT_SAMPLE)
        ours.append(chain._inertia(pixels, model.centres))
    pixels = np.ascontiguousarray(pixels)
    fitted = [KMeans(K, n_init=1, random_state=seed).fit(pixels) for seed in range(fits)]
    full = [chain._inertia(pixels, fit.cluster_centers_) for fit in fitted]  # its own sum is in single precision
    return {"worst of ours": max(ours), "best of ours": min(ours), "best full": min(full), "worst full": max(full)}


def step_exact(numbers: str, side: int, components: int, sample: int) -> dict[str, float]:
    """Adjusted Rand index with scikit-learn's exact DBSCAN on all pixels, in the same space, with the same reach."""
    from sklearn.cluster import DBSCAN
    from sklearn.metrics import adjusted_rand_score

    from s2dash.clustering import cluster
    from s2dash.features import build_features
    from s2dash.grid import full_window
    from s2dash.sampling import draw_sample

    scene = scene_of(numbers, side, side)
    features = build_features(scene, indices=())
    clusters = cluster(features, method="dbscan", sample=sample, options={"components": components})
    model: Any = clusters.model
    values, _ = features.block(full_window(scene.grid))
    points = model.projection.apply(values.reshape(len(values), -1))
    around = round(model.min_share * len(points)) + 1
    exact = DBSCAN(eps=model.eps, min_samples=around).fit(points).labels_.reshape(side, side)
    seen = np.zeros((side, side), dtype=bool)
    drawn = draw_sample(scene, size=sample, seed=0)
    seen[drawn.rows, drawn.cols] = True
    rand = {"all": adjusted_rand_score(exact.ravel(), clusters.labels.ravel())}
    if not seen.all():
        rand["not in the sample"] = adjusted_rand_score(exact[~seen], clusters.labels[~seen])
    return rand | {
        "clusters": int(exact.max()) + 1,
        "noise": float((exact < 0).mean()),
        "noise of ours": float((clusters.labels == model.n_clusters).mean()),
        "eps": model.eps,
    }


def step_confusion(side: int) -> dict[str, float]:
    """Confusion matrix of two maps in memory, beside one comparison of the two, pixel by pixel."""
    from s2dash.confusion import Confusion
    from s2dash.pair_counts import joint_histogram

    rng = np.random.default_rng(0)
    first, second = (rng.integers(1, 11, (side, side), dtype=np.uint8) * np.uint8(10) for _ in range(2))
    second[: side // 2] = first[: side // 2]

    def matrix() -> None:
        Confusion.from_histogram(joint_histogram(first, second), order=range(10, 110, 10))

    return {"seconds": _median(matrix), "comparing": _median(lambda: np.count_nonzero(first == second))}


def step_highlights(numbers: str, side: int) -> dict[str, float]:
    """Twenty cluster highlights as PNG, beside saving the scene's picture twenty times as Pillow does by itself."""
    import io

    from PIL import Image

    from s2dash.clustering import cluster
    from s2dash.dashboard.highlights import highlight_overlays
    from s2dash.dashboard.pictures import scene_picture, scene_stretch
    from s2dash.features import build_features

    scene = scene_of(numbers, side, side)
    clusters = cluster(build_features(scene), k=20)
    base = scene_picture(scene, stretch=scene_stretch(scene)).rgba
    sizes: list[int] = []

    def highlights() -> None:
        sizes.append(sum(map(len, highlight_overlays(clusters.labels, range(1, 21)).values())))

    def plain() -> None:
        for _ in range(20):
            Image.fromarray(base).save(io.BytesIO(), "PNG")

    return {"seconds": _median(highlights), "plain": _median(plain), "KiB": sizes[-1] / 1024}


STEPS: dict[str, Callable[..., dict[str, float]]] = {
    "chain": step_chain,
    "cluster": step_cluster,
    "inertia": step_inertia,
    "exact": step_exact,
    "confusion": step_confusion,
    "highlights": step_highlights,
}


def _median(work: Callable[[], Any], *, times: int = 3) -> float:
    work()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def measure(step: str, **spec: Any) -> dict[str, float] | None:
    """Run one step in a process of its own; None, having said why, if it cannot be done."""
    command = [sys.executable, __file__, "--step", step, "--spec", json.dumps(spec)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        print(f"{spec.get('method') or step} could not be measured: {last[:300]}", file=sys.stderr)
        return None
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def in_turn(steps: dict[str, tuple[str, dict[str, Any]]], *, runs: int) -> dict[str, dict[str, float] | None]:
    """Medians over runs; in turn, so that a machine that slows down slows all alike."""
    rows: dict[str, list[dict[str, float] | None]] = {name: [] for name in steps}
    for _ in range(runs):
        for name, (step, spec) in steps.items():
            rows[name].append(measure(step, **spec))
    medians: dict[str, dict[str, float] | None] = {}
    for name, found in rows.items():
        good = [row for row in found if row is not None]
        medians[name] = {key: statistics.median(row[key] for row in good) for key in good[0]} if good else None
        if good:
            medians[name] |= {"peak MiB": max(row["peak MiB"] for row in good)}
    return medians


def table(title: str, rows: dict[str, dict[str, float] | None], ratios: dict[str, str]) -> None:
    """Print seconds, ratios to other rows, and peak memory.

    Args:
        title: What is measured.
        rows: By name.
        ratios: Heading → name of the row whose seconds are the unit.
    """
    print(f"\n{title}")
    print(f"{'':34}{'seconds':>10}" + "".join(f"{heading:>16}" for heading in ratios) + f"{'peak MiB':>10}")
    for name, row in rows.items():
        if row is None:
            print(f"{name:34}{'–':>10}")
            continue
        cells = ""
        for unit in ratios.values():
            base = rows[unit]
            cells += f"{row['seconds'] / base['seconds']:16.2f}" if base else f"{'–':>16}"
        print(f"{name:34}{row['seconds']:10.2f}{cells}{row['peak MiB']:10.0f}")


# ---- parts


@dataclass(frozen=True)
class Bench:
    """What all parts share."""

    folder: Path
    quick: bool
    tile: bool
    runs: int

    @property
    def side(self) -> int:
        """Side of the 9 million pixels."""
        return 700 if self.quick else 3000

    def file(self, side: int | None = None) -> str:
        """A scene as a file."""
        return str(scene_file(self.folder, side or self.side, base=self.side))


def part_a(bench: Bench) -> None:
    """K-Means against reading and rewriting."""
    rewrite, one, ours = "read and rewrite ten bands", "read ten bands, write one", "s2dash K-Means, written"
    for side in (bench.side, *([2 * bench.side if bench.quick else TILE] if bench.tile else [])):
        path = bench.file(side)
        steps = {
            rewrite: ("chain", {"name": "read and rewrite", "path": path}),
            one: ("chain", {"name": "read, write one band", "path": path}),
            ours: ("chain", {"name": "s2dash", "path": path}),
        }
        rows = in_turn(steps, runs=bench.runs)
        table(f"a. K-Means, ten bands, {side} x {side}, K = {K}", rows, {"of rewrite": rewrite, "of read+one": one})
    if found := measure("inertia", path=bench.file(), fits=2 if bench.quick else 5):
        best = found["best full"]
        print(
            f"inertia over the best of {2 if bench.quick else 5} full fits: worst of five seeds of ours "
            f"{found['worst of ours'] / best:.5f}, best {found['best of ours'] / best:.5f}; "
            f"worst full fit {found['worst full'] / best:.5f}"
        )


def part_b(bench: Bench) -> None:
    """K-Means with indices and texture."""
    indices, path = ["NDVI", "NDWI", "NDBI"], bench.file()
    common = {"method": "kmeans", "path": path, "write": True}
    steps = {
        "ten bands": ("cluster", common),
        "and three indices": ("cluster", common | {"indices": indices}),
        "and 5 x 5 texture": ("cluster", common | {"indices": indices, "texture": 5}),
    }
    title = f"b. K-Means with more features, {bench.side} x {bench.side}, written"
    table(title, in_turn(steps, runs=bench.runs), {"of ten bands": "ten bands"})


def part_c(bench: Bench) -> None:
    """DBSCAN against K-Means and against the exact one."""
    path = bench.file()
    steps = {
        "K-Means, ten bands": ("cluster", {"method": "kmeans", "path": path}),
        "DBSCAN, three components": ("cluster", {"method": "dbscan", "path": path, "options": {"components": 3}}),
        "DBSCAN, ten bands": ("cluster", {"method": "dbscan", "path": path, "options": {"components": 0}}),
    }
    title = f"c. DBSCAN, {bench.side} x {bench.side}, not written"
    table(title, in_turn(steps, runs=bench.runs), {"of K-Means": "K-Means, ten bands"})
    side = 100 if bench.quick else 173
    numbers = str(simulated(bench.folder, side))
    print(f"adjusted Rand index with exact DBSCAN on {side * side} simulated pixels")
    for components in (3, 0):
        for sample in (side * side, side * side // 2):
            found = measure("exact", numbers=numbers, side=side, components=components, sample=sample)
            if found is None:
                continue
            held = f", on pixels not in the sample {found['not in the sample']:.4f}" if sample < side * side else ""
            space = "three components" if components else "ten bands"
            print(
                f"  {space:17}fitted on {sample:6}: {found['all']:.4f}{held}"
                f" (eps {found['eps']:.3g}, {found['clusters']} clusters, noise {found['noise']:.3f}, "
                f"ours {found['noise of ours']:.3f})"
            )


def part_d(bench: Bench) -> None:
    """Confusion matrix and highlights."""
    side = 2000 if bench.quick else TILE
    print("\nd. What a page waits for")
    if found := measure("confusion", side=side):
        print(
            f"confusion matrix of two maps of {side} x {side}: {found['seconds']:.3f} s, "
            f"{found['seconds'] / found['comparing']:.1f} times one comparison pixel by pixel"
        )
    side = 300 if bench.quick else 1000
    if found := measure("highlights", numbers=str(simulated(bench.folder, side)), side=side):
        print(
            f"twenty highlights of {side} x {side} as PNG: {found['seconds']:.2f} s, "
            f"{found['seconds'] / found['plain']:.2f} of saving the picture twenty times, {found['KiB']:.0f} KiB"
        )


def part_e(bench: Bench) -> None:
    """Networks."""
    import torch

    where = f"GPU ({torch.cuda.get_device_name()})" if torch.cuda.is_available() else "no GPU"
    for method, side in (("autoencoder", 256 if bench.quick else 1000), ("deep", 128 if bench.quick else 512)):
        numbers = str(simulated(bench.folder, side))
        common = {"numbers": numbers, "side": side}
        steps = {
            "kmeans": ("cluster", {"method": "kmeans", **common}),
            method: ("cluster", {"method": method, **common}),
        }
        rows = in_turn(steps, runs=bench.runs)
        table(f"e. {method}, {side} x {side}, {where}, not written", rows, {"of K-Means": "kmeans"})


def part_f(bench: Bench) -> None:
    """How seconds grow with pixels."""
    base = 256 if bench.quick else 1024
    numbers = str(simulated(bench.folder, base))
    sides = [base // 2 * 2**step for step in range(3 if bench.quick else 5)]
    print("\nf. Seconds by million pixels, ten bands, not written; slope of log seconds over log pixels")
    heads = "".join(f"{side * side / 1e6:10.2f}" for side in sides)
    print(f"{'':14}{heads}{'slope':>10}{'last step':>12}")
    for method in GROWING:
        seconds = []
        for side in sides[: 2 if bench.quick else 3] if method in NETWORKS else sides:
            row = measure("cluster", method=method, numbers=numbers, side=side)
            if row is None:
                break
            seconds.append(row["seconds"])
        cells = "".join(f"{value:10.2f}" for value in seconds) + " " * 10 * (len(sides) - len(seconds))
        if len(seconds) < 2:
            print(f"{method:14}{cells}{'–':>10}")
            continue
        pixels = np.log([side * side for side in sides[: len(seconds)]])
        slope = float(np.polyfit(pixels, np.log(seconds), 1)[0])
        last = float(np.diff(np.log(seconds[-2:]))[0] / np.diff(pixels[-2:])[0])
        print(f"{method:14}{cells}{slope:10.2f}{last:12.2f}", flush=True)


PARTS = {"a": part_a, "b": part_b, "c": part_c, "d": part_d, "e": part_e, "f": part_f}


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(PARTS), metavar="A,B,…", help=f"parts, of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that all works")
    parser.add_argument("--tile", action="store_true", help="part a also on a whole Sentinel-2 tile")
    parser.add_argument("--runs", type=int, help="runs of each step, of which the median counts (3; quick: 1)")
    parser.add_argument("--folder", type=Path, help="where scenes are made and kept (default: a temporary folder)")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--spec", default="{}", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        measured = STEPS[options.step](**json.loads(options.spec))
        print(json.dumps(measured | {"peak MiB": peak_mib()}))
        return
    chosen = [part.strip() for part in options.only.split(",")]
    if unknown := [part for part in chosen if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}; the parts are {', '.join(PARTS)}")
    runs = options.runs or (1 if options.quick else 3)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        print(f"{'QUICK: these figures mean nothing. ' if options.quick else ''}Medians of {runs} run(s).")
        for part in chosen:
            PARTS[part](Bench(folder, options.quick, options.tile, runs))


if __name__ == "__main__":
    main()
