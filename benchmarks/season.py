"""What statistics of a season add: the best map clusters allow, from one image, a composite, and a composite with them.

    python benchmarks/season.py [--size 512] [--seeds 3] [--k 12,20] [--clouds 0.2]

Simulated seasons with exact truth: the same ground on several days, each with clouds of its own. The figures are
ceilings, the agreement with the truth if every cluster had its best name, so naming plays no part. Simulated ground is
no proof for real ground.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from s2dash.ceiling import ceiling
from s2dash.clustering import cluster
from s2dash.features import SEASON_NDVI, build_features
from s2dash.grid import full_window
from s2dash.pair_counts import joint_histogram
from s2dash.scene import Scene
from s2dash.schemes import load_scheme
from s2dash.simulation import SimulatedScene, simulate_season
from s2dash.sources.arrays import ArraySource
from s2dash.sources.stac.composite import Looks, composite, season, season_names

DAYS = tuple(date(2021, month, 12) for month in (3, 4, 5, 6, 7, 8, 9, 10))


def composite_of(simulated: Sequence[SimulatedScene]) -> Scene:
    """The median composite of several days, with the statistics of their season."""
    first = simulated[0].scene
    window = full_window(first.grid)
    numbers = np.stack([one.scene.source.read(first.bands, window) for one in simulated])
    classes = np.stack([np.asarray(one.scene.source.read_scl(window)) for one in simulated])
    looks = Looks.of(numbers.astype(np.uint16), classes, first.mask)
    made, scl = composite(looks, method="median")
    told = first.radiometry
    layers = season(looks, bands=first.bands, scale=told.scale, offset=told.offset)
    return replace(
        first,
        source=ArraySource(first.grid, first.bands, made, scl),
        season=ArraySource(first.grid, season_names(first.bands), layers),
    )


def reached(scene: Scene, layers: Sequence[str], truth: np.ndarray, *, k: int) -> tuple[float, float, float]:
    """Share of the ground that is mapped, and overall agreement and mean IoU of the ceiling where it is."""
    clusters = cluster(build_features(scene, season=layers), k=k, seed=0)
    counts = joint_histogram(clusters.labels, truth)
    mapped = 1 - counts[0].sum() / counts.sum()
    counts[0] = 0
    best = ceiling(counts, order=load_scheme("worldcover").codes)
    return float(mapped), best.overall, best.miou or 0.0


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--k", default="12,20")
    parser.add_argument("--clouds", type=float, default=0.2)
    options = parser.parse_args()
    print(f"{len(DAYS)} days of simulated ground, {options.size}², {options.clouds:.0%} cloud, {options.seeds} grounds")
    print(f"{'':34}{'K':>4}{'mapped':>9}{'overall':>9}{'mIoU':>8}")
    for k in (int(text) for text in options.k.split(",")):
        rows: dict[str, list[tuple[float, float, float]]] = {}
        for seed in range(options.seeds):
            days = simulate_season(size=options.size, seed=seed, days=DAYS, cloud_share=options.clouds)
            scene, truth = composite_of(days), days[0].truth()
            every = scene.season.bands if scene.season is not None else ()
            clearest = max((day.scene for day in days[3:6]), key=lambda one: one.count_valid().clear)
            for title, one, layers in (
                ("the clearest image of the summer", clearest, ()),
                ("median composite", scene, ()),
                ("… with the NDVI of the season", scene, SEASON_NDVI),
                ("… with every statistic", scene, every),
            ):
                rows.setdefault(title, []).append(reached(one, layers, truth, k=k))
        for title, found in rows.items():
            mapped, overall, miou = (statistics.mean(column) for column in zip(*found, strict=True))
            print(f"{title:34}{k:>4}{mapped:>9.1%}{overall:>9.1%}{miou:>8.1%}")


if __name__ == "__main__":
    main()
