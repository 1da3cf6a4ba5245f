"""Some pixels of every cluster, drawn in one pass over a scene: rare clusters as many as frequent ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rasterio.windows import Window

from s2dash.clustering.model import ClusterMap
from s2dash.features import FeatureStack, Standardiser
from s2dash.grid import blocks, slices
from s2dash.parallel import ordered_map
from s2dash.progress import Progress, Silent, steps
from s2dash.scene import Scene
from s2dash.types import FloatArray, LabelArray

LEAST_EACH = 20
"""Pixels of a cluster that are drawn on average at least, where it has as many, however many clusters there are."""


@dataclass(frozen=True)
class ClusterSample:
    """Pixels drawn from each cluster."""

    clusters: tuple[int, ...]
    """Clusters that have pixels on the map, ascending."""
    reflectance: tuple[FloatArray, ...]
    """Of the pixels of each, shape (pixel, band), float32."""
    values: tuple[FloatArray, ...]
    """The same pixels in a space of zero mean and unit spread over the scene, shape (pixel, feature), float32."""
    space: tuple[str, ...]
    """Features of that space."""

    def __len__(self) -> int:
        return sum(map(len, self.values))


def draw_clusters(
    clusters: ClusterMap,
    scene: Scene,
    *,
    features: FeatureStack | None = None,
    size: int,
    seed: int,
    progress: Progress | None = None,
) -> ClusterSample:
    """Draw about as many pixels from every cluster: `size` over the number of clusters, or all it has.

    Args:
        clusters: The map.
        scene: The scene on the same grid; pixels that it holds no data for are left out.
        features: The space to measure in; by default bands, standardised by the map's own shares of the clusters.
        size: Pixels altogether.
        seed: Same seed, same pixels, whatever the threads.
        progress: Where to report.
    """
    counts = clusters.counts()
    quota = max(size / max(len(counts), 1), LEAST_EACH)
    keep = np.zeros(256)
    for cluster, count in counts.items():
        keep[cluster] = min(1.0, quota / count)
    width = len(features.names) if features is not None else 0

    def read(item: tuple[int, Window]) -> tuple[LabelArray, FloatArray, FloatArray]:
        index, window = item
        labels = clusters.labels[slices(window)]
        chosen = np.random.default_rng([seed, 7, index]).random(labels.shape) < keep[labels]
        if not chosen.any():
            return labels[chosen], np.empty((0, len(scene.bands)), np.float32), np.empty((0, width), np.float32)
        numbers, valid = scene.read_numbers(window)
        chosen &= valid
        picked = numbers[:, chosen]
        reflectance = scene.radiometry.apply(picked).T
        if features is None:
            return labels[chosen], reflectance, reflectance[:, :0]
        if not features.pointwise:  # texture needs the surroundings, and the season its layers
            return labels[chosen], reflectance, features.block(window)[0][:, chosen].T
        return labels[chosen], reflectance, features.of_numbers(picked).T

    windows = blocks(scene.grid)
    watch = progress or Silent()
    reading = ordered_map(read, enumerate(windows))
    parts = list(steps(reading, total=len(windows), progress=watch, text="Measuring the clusters"))
    labels, reflectance, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    space = scene.bands if features is None else features.names
    if features is None:
        values = _standardise(scene.bands, reflectance, labels, counts)
    members = [labels == cluster for cluster in counts]
    return ClusterSample(
        clusters=tuple(counts),
        reflectance=tuple(reflectance[chosen] for chosen in members),
        values=tuple(values[chosen] for chosen in members),
        space=space,
    )


def _standardise(
    bands: tuple[str, ...], reflectance: FloatArray, labels: LabelArray, counts: dict[int, int]
) -> FloatArray:
    """Zero mean and unit spread over the scene: pixels weigh as many as they stand for."""
    if not len(labels):
        return reflectance
    drawn = np.bincount(labels, minlength=256)
    weight = np.zeros(256)
    for cluster, count in counts.items():
        weight[cluster] = count / max(drawn[cluster], 1)
    weights = weight[labels]
    mean = np.average(reflectance, axis=0, weights=weights)
    std = np.sqrt(np.average((reflectance - mean) ** 2, axis=0, weights=weights))
    return Standardiser(bands, mean, np.where(std > 1e-9, std, 1.0)).apply(reflectance.T).T
