"""From clusters to cards: what is known of each cluster, measured on the scene."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rasterio.windows import Window

from s2dash.annotation.answer import ClusterCard
from s2dash.clustering.model import ClusterMap
from s2dash.errors import FeatureError, GridMismatchError
from s2dash.grid import blocks, pixel_area_ha, slices
from s2dash.indices import compute_index
from s2dash.parallel import ordered_map
from s2dash.progress import Progress, Silent, steps
from s2dash.scene import Scene
from s2dash.types import NumberArray

CARD_INDICES = ("NDVI", "NDWI", "MNDWI", "NDBI", "BSI", "NDMI", "NDSI")
"""Indices every card tells, where the bands allow."""
PER_CLUSTER = 20_000
"""Most pixels of a cluster that its statistics are taken from; 20 000 fix a median to a hundredth of its spread."""


def build_cards(
    clusters: ClusterMap,
    scene: Scene,
    *,
    indices: Sequence[str] = CARD_INDICES,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[int, ClusterCard]:
    """Describe every cluster that has pixels.

    Medians and means are taken over a seeded sample of each cluster's pixels; indices are the medians of the pixels'
    indices, not indices of the median spectrum.

    Returns:
        Cards by cluster number.

    Raises:
        GridMismatchError: If clusters and scene do not share a grid.
    """
    if clusters.grid != scene.grid:
        raise GridMismatchError(
            "The clusters do not lie on the grid of this scene; open the scene they were made from."
        )
    counts = clusters.counts()
    areas = _areas(clusters)
    total = sum(counts.values())
    samples = _sample_clusters(clusters, scene, counts, seed, progress or Silent())
    cards = {}
    for cluster, numbers in samples.items():
        reflectance = scene.radiometry.apply(numbers)
        low, middle, high = np.percentile(reflectance, [25, 50, 75], axis=1)
        known = {}
        for name in indices:
            try:
                known[name] = float(np.median(compute_index(name, reflectance, scene.bands)))
            except FeatureError:
                continue  # the scene lacks a band for it
        cards[cluster] = ClusterCard(
            cluster=cluster,
            pixels=counts[cluster],
            area_ha=areas[cluster],
            share=counts[cluster] / total,
            median=dict(zip(scene.bands, (float(value) for value in middle), strict=True)),
            spread=dict(zip(scene.bands, (float(value) for value in high - low), strict=True)),
            indices=known,
            mean=dict(zip(scene.bands, map(float, reflectance.mean(axis=1, dtype=np.float64)), strict=True)),
        )
    return cards


def _areas(clusters: ClusterMap) -> dict[int, float]:
    """Hectares per cluster."""
    per_row = pixel_area_ha(clusters.grid)
    area = np.zeros(256)
    for row, labels in enumerate(clusters.labels):
        area += np.bincount(labels, minlength=256) * per_row[row]
    return {cluster: float(area[cluster]) for cluster in clusters.counts()}


def _sample_clusters(
    clusters: ClusterMap, scene: Scene, counts: dict[int, int], seed: int, progress: Progress
) -> dict[int, NumberArray]:
    """Digital numbers of each cluster's pixels, shape (band, pixel): all, or about `PER_CLUSTER`."""
    windows = blocks(scene.grid)
    keep = np.zeros(256)
    for cluster, count in counts.items():
        keep[cluster] = min(1.0, PER_CLUSTER / count)

    def read(item: tuple[int, Window]) -> tuple[NumberArray, NumberArray]:
        index, window = item
        labels = clusters.labels[slices(window)].ravel()
        chosen = np.flatnonzero(np.random.default_rng([seed, index]).random(len(labels)) < keep[labels])
        if not len(chosen):
            return labels[:0], np.empty((len(scene.bands), 0), scene.source.dtype)
        numbers = scene.source.read(scene.bands, window).reshape(len(scene.bands), -1)
        return labels[chosen], numbers[:, chosen]

    parts = list(
        steps(
            ordered_map(read, enumerate(windows)), total=len(windows), progress=progress, text="Measuring the clusters"
        )
    )
    labels = np.concatenate([part[0] for part in parts])
    numbers = np.concatenate([part[1] for part in parts], axis=1)
    return {cluster: numbers[:, labels == cluster] for cluster in counts}
