"""Measured facts on clusters that neither their pictures nor their cards tell: patches, neighbours, texture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.windows import Window
from scipy.ndimage import find_objects, label, uniform_filter

from s2dash.annotation.card_pictures import pixel_sides_m
from s2dash.clustering.model import ClusterMap
from s2dash.grid import pixel_size_m, slices, spread_blocks
from s2dash.parallel import ordered_map
from s2dash.pictures import thin_labels
from s2dash.progress import Progress, Silent, steps
from s2dash.scene import Scene
from s2dash.types import BoolArray, LabelArray

MOST_SIDE = 2048
"""Larger maps are thinned to this side before patches and borders are counted."""
TEXTURE_BLOCKS = 12
"""Most blocks of a scene that texture is measured on."""
TEXTURE_SIDE = 5
"""Side of the window that texture is measured in, pixels."""
TEXTURE_BANDS = ("B04", "B08", "B8A", "B11")
"""Bands texture is measured in: the first of the visible and the first of the infrared ones there are."""
DARKEST = 0.005
"""Least local mean that a spread is set against; below it noise would pass for texture."""
SPECKLE = 4
"""Patches of fewer pixels are speckle."""
_EIGHT = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class Patches:
    """The connected parts of a cluster, diagonals included."""

    count: int
    """How many there are, on the map or its overview."""
    typical_ha: float
    """Half of the area lies in patches of at least this size."""
    largest_ha: float
    """Size of the largest."""
    speckle: float
    """Share of the cluster's area in patches of fewer than `SPECKLE` pixels, 0-1."""
    edge: float
    """Share of its pixels that touch something else, 0-1: low for compact patches, high for lines and crumbs."""
    thinned: bool
    """Whether the map was thinned first, so that small patches are missing."""


@dataclass(frozen=True)
class ClusterFacts:
    """What is measured of one cluster besides its card."""

    patches: Patches
    """Its connected parts."""
    borders: Mapping[int, float] = field(default_factory=dict)
    """Share of its border along each other cluster, 0-1, largest first; areas without data do not count."""
    texture: Mapping[str, float] = field(default_factory=dict)
    """Local standard deviation relative to the local mean, by band; empty where nothing could be measured."""


@dataclass(frozen=True)
class SceneFacts:
    """What holds for every cluster of a scene."""

    pixel_m: float
    """Side of a pixel, m."""
    width_m: float
    """Extent from left to right, m."""
    height_m: float
    """Extent from top to bottom, m."""
    latitude: float | None
    """Degrees, north positive; None without a coordinate system."""
    acquired: date | None
    """Day of the image, where known."""


def scene_facts(scene: Scene, *, acquired: date | None = None) -> SceneFacts:
    """Where and when, as far as a scene tells.

    Args:
        scene: The scene.
        acquired: Day of the image, where the scene does not know it itself.
    """
    grid = scene.grid
    across, down = pixel_sides_m(grid)
    height, width = (int(side) for side in grid.shape)
    latitude = None
    if grid.crs is not None:
        degrees = Transformer.from_crs(grid.crs.proj, "EPSG:4326", always_xy=True)
        latitude = float(degrees.transform(*(grid.transform @ (width / 2, height / 2)))[1])
    day = acquired or scene.provenance.acquired
    return SceneFacts(pixel_size_m(grid), across * width, down * height, latitude, day)


def cluster_facts(clusters: ClusterMap, scene: Scene, *, progress: Progress | None = None) -> dict[int, ClusterFacts]:
    """Measure every cluster that has pixels.

    Patches and borders are counted on the map, or on an overview of at most `MOST_SIDE` pixels a side; texture on at
    most `TEXTURE_BLOCKS` blocks of the scene. A cluster that is too rare to be on the overview has no patches.

    Args:
        clusters: On the grid of the scene.
        scene: The scene.
        progress: Where to report.
    """
    labels, grid = thin_labels(clusters.labels, clusters.grid, max_side=MOST_SIDE)
    thinned = labels.shape != clusters.labels.shape
    hectares = pixel_size_m(grid) ** 2 / 10_000
    borders = _borders(labels)
    edges = _edges(labels)
    texture = _texture(clusters, scene, progress or Silent())
    places = find_objects(labels)
    facts = {}
    for cluster in clusters.counts():
        place = places[cluster - 1] if cluster <= len(places) else None
        if place is None:
            patches = Patches(0, 0.0, 0.0, 0.0, 0.0, thinned)
        else:
            inside = labels[place] == cluster
            patches = _patches(inside, edge=edges.get(cluster, 0.0), hectares=hectares, thinned=thinned)
        facts[cluster] = ClusterFacts(patches, borders.get(cluster, {}), texture.get(cluster, {}))
    return facts


def _patches(inside: BoolArray, *, edge: float, hectares: float, thinned: bool) -> Patches:
    parts, count = label(inside, structure=_EIGHT)
    sizes = np.sort(np.bincount(parts.ravel())[1:])
    area = np.cumsum(sizes)
    middle = sizes[np.searchsorted(area, area[-1] / 2)]
    return Patches(
        count=int(count),
        typical_ha=float(middle * hectares),
        largest_ha=float(sizes[-1] * hectares),
        speckle=float(sizes[sizes < SPECKLE].sum() / area[-1]),
        edge=edge,
        thinned=thinned,
    )


def _pairs(labels: LabelArray) -> NDArray[np.int64]:
    """How often each label lies beside (first index) or above another one, both ways counted: shape (256, 256)."""
    pairs = np.zeros(256 * 256, dtype=np.int64)
    for one, other in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        different = one != other
        key = one[different].astype(np.int64) * 256 + other[different]
        pairs += np.bincount(key, minlength=pairs.size)
    table = pairs.reshape(256, 256)
    return np.asarray(table + table.T)


def _borders(labels: LabelArray) -> dict[int, dict[int, float]]:
    table = _pairs(labels)
    table[0] = table[:, 0] = 0
    borders = {}
    for cluster in map(int, np.flatnonzero(table.sum(axis=1))):
        shares = table[cluster] / table[cluster].sum()
        order = sorted(map(int, np.flatnonzero(shares)), key=lambda other: (-shares[other], other))
        borders[cluster] = {other: float(shares[other]) for other in order}
    return borders


def _edges(labels: LabelArray) -> dict[int, float]:
    """Share of each cluster's pixels with another one, or the end of the imagery, on one of their four sides."""
    edge = np.zeros(labels.shape, dtype=bool)
    across, down = labels[:, :-1] != labels[:, 1:], labels[:-1] != labels[1:]
    edge[:, :-1] |= across
    edge[:, 1:] |= across
    edge[:-1] |= down
    edge[1:] |= down
    counts = np.bincount(labels.ravel(), minlength=256)
    touching = np.bincount(labels[edge], minlength=256)
    return {int(cluster): float(touching[cluster] / counts[cluster]) for cluster in np.flatnonzero(counts)}


def _texture(clusters: ClusterMap, scene: Scene, progress: Progress) -> dict[int, dict[str, float]]:
    """Mean over a cluster's pixels of the local standard deviation relative to the local mean, by band."""
    visible = [band for band in TEXTURE_BANDS[:1] if band in scene.bands]
    infrared = [band for band in TEXTURE_BANDS[1:] if band in scene.bands][:1]
    bands = (*visible, *infrared)
    if not bands:
        return {}
    windows = spread_blocks(scene.grid, count=TEXTURE_BLOCKS)

    def measure(window: Window) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        labels = clusters.labels[slices(window)]
        values = scene.read(window, bands=bands).astype(np.float64)
        valid = np.isfinite(values).all(axis=0) & (labels > 0)
        counts = np.bincount(labels[valid], minlength=256)
        weight = np.maximum(uniform_filter(valid.astype(np.float64), TEXTURE_SIDE, mode="constant"), 1e-12)
        sums = np.zeros((len(bands), 256))
        for index, band in enumerate(values):
            known = np.where(valid, band, 0.0)
            mean = uniform_filter(known, TEXTURE_SIDE, mode="constant") / weight
            square = uniform_filter(known**2, TEXTURE_SIDE, mode="constant") / weight
            spread = np.sqrt(np.maximum(square - mean**2, 0.0)) / np.maximum(mean, DARKEST)
            sums[index] = np.bincount(labels[valid], weights=spread[valid], minlength=256)
        return counts, sums

    counts, sums = np.zeros(256, dtype=np.int64), np.zeros((len(bands), 256))
    found = ordered_map(measure, windows)
    for one, part in steps(found, total=len(windows), progress=progress, text="Measuring texture"):
        counts += one
        sums += part
    return {
        int(cluster): {band: float(sums[index, cluster] / counts[cluster]) for index, band in enumerate(bands)}
        for cluster in np.flatnonzero(counts)
    }
