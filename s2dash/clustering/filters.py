"""Filters of a cluster map: small patches absorbed, single pixels outvoted. No-data neither grows nor shrinks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from s2dash.clustering.patches import find_patches, join, unique_pairs
from s2dash.parallel import ordered_map
from s2dash.progress import Progress, Silent, Stage, steps
from s2dash.types import LabelArray

WINDOWS = (3, 5, 7, 9, 11, 13, 15)
"""Sides of the majority filter, pixels: counts up to 15 × 15 fit in a byte."""
_SIDE = 512


def sieve(labels: LabelArray, *, unit: int, progress: Progress | None = None) -> LabelArray:
    """Let patches below a minimum mapping unit be absorbed by their largest neighbour.

    Patches are 4-connected pixels of one cluster. Like `rasterio.features.sieve` (GDAL), a small patch follows its
    largest neighbour, and if that one is small too, that one's largest neighbour, and so on; unlike it, this is
    repeated until nothing can be absorbed any more, so that small patches among small ones do not remain.

    Args:
        labels: Cluster numbers, shape (y, x), uint8; 0 is no data and stays so.
        unit: Smallest patch that stays, pixels.
        progress: Where to report.

    Returns:
        Shape (y, x), uint8. Patches below `unit` are left only where all around is no data. Between neighbours of
        equal size the lower cluster number wins.

    Raises:
        TooLargeError: If the map has more patches than fit in memory.
    """
    watch = progress or Silent()
    patches = find_patches(labels, borders=True, progress=Stage(watch, 0.0, 0.6))
    cluster, pixels, pairs = patches.cluster, patches.pixels, patches.borders
    group = np.arange(len(patches), dtype=np.int32)
    while True:
        watch.report(0.6, "Absorbing small patches")
        small = pixels < unit
        pairs = pairs[small[pairs[:, 0]] | small[pairs[:, 1]]]
        if not len(pairs):
            break
        joined = join(len(cluster), _largest_neighbours(cluster, pixels, pairs, unit))
        cluster, pixels, pairs = _merge(cluster, pixels, pairs, joined)
        # absorbed patches may now touch others of their new cluster
        again = join(len(cluster), pairs[cluster[pairs[:, 0]] == cluster[pairs[:, 1]]])
        cluster, pixels, pairs = _merge(cluster, pixels, pairs, again)
        group = again[joined[group]]
    return patches.paint(labels, cluster[group], progress=Stage(watch, 0.7, 1.0))


def majority(labels: LabelArray, *, window: int, progress: Progress | None = None) -> LabelArray:
    """Give every pixel the cluster that is most frequent around it (modal filter).

    Args:
        labels: Cluster numbers, shape (y, x), uint8; 0 is no data: it stays so and has no vote.
        window: Side of the square that votes, pixels: one of `WINDOWS`.
        progress: Where to report.

    Returns:
        Shape (y, x), uint8. In a tie the present cluster stays if it is among the tied ones, else the lowest of them
        wins.
    """
    height, width = labels.shape
    out = np.empty_like(labels)
    places = [(row, col) for row in range(0, height, _SIDE) for col in range(0, width, _SIDE)]
    half = window // 2
    padded = np.pad(labels, half)

    def filter_block(place: tuple[int, int]) -> None:
        row, col = place
        around = padded[row : row + _SIDE + 2 * half, col : col + _SIDE + 2 * half]
        out[row : row + _SIDE, col : col + _SIDE] = _mode(around, window)

    watch = progress or Silent()
    for _ in steps(ordered_map(filter_block, places), total=len(places), progress=watch, text="Majority filter"):
        pass
    return out


def _largest_neighbours(
    cluster: LabelArray, pixels: NDArray[np.int64], pairs: NDArray[np.int32], unit: int
) -> NDArray[np.int64]:
    """Every small patch with its largest neighbour, shape (pair, 2)."""
    order = _by_size(cluster, pixels)
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    best = np.full(len(order), -1, dtype=np.int32)
    small = pixels < unit
    for near, far in (pairs.T, pairs.T[::-1]):
        wanted = small[near]
        np.maximum.at(best, near[wanted], rank[far[wanted]])
    source = np.flatnonzero(best >= 0)
    return np.stack([source, order[best[source]]], axis=1)


def _by_size(cluster: LabelArray, pixels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Patches from small to large; of equal ones the lower cluster number comes last, as the larger."""
    return np.argsort((pixels << 8) + (255 - cluster.astype(np.int64)), kind="stable")


def _merge(
    cluster: LabelArray, pixels: NDArray[np.int64], pairs: NDArray[np.int32], joined: NDArray[np.int32]
) -> tuple[LabelArray, NDArray[np.int64], NDArray[np.int32]]:
    """Patches joined into groups: each gets the cluster of its largest member."""
    count = int(joined.max()) + 1
    order = _by_size(cluster, pixels)
    merged = np.empty(count, dtype=np.uint8)
    merged[joined[order]] = cluster[order]  # of several assignments the last one stays
    sizes = np.bincount(joined, weights=pixels, minlength=count).astype(np.int64)
    left = joined[pairs]
    return merged, sizes, unique_pairs(left[left[:, 0] != left[:, 1]]).astype(np.int32)


def _mode(around: LabelArray, window: int) -> LabelArray:
    """Most frequent cluster in each window, shape smaller than `around` by `window` - 1."""
    half = window // 2
    present = np.ascontiguousarray(around[half : around.shape[0] - half, half : around.shape[1] - half])
    best, most, own = np.zeros_like(present), np.zeros_like(present), np.zeros_like(present)
    for cluster in np.flatnonzero(np.bincount(around.ravel(), minlength=256)[1:]) + 1:
        count = _box_sum((around == cluster).view(np.uint8), window)
        more = count > most
        np.copyto(best, np.uint8(cluster), where=more)
        np.maximum(most, count, out=most)
        np.copyto(own, count, where=present == cluster)
    np.copyto(best, present, where=own == most)
    best[present == 0] = 0
    return best


def _box_sum(hits: LabelArray, window: int) -> LabelArray:
    """Sums over squares of `window` pixels, shape smaller by `window` - 1; at most 225, so bytes hold them."""
    rows, cols = hits.shape[0] - window + 1, hits.shape[1] - window + 1
    down = hits[:rows].copy()
    for step in range(1, window):
        down += hits[step : step + rows]
    across = down[:, :cols].copy()
    for step in range(1, window):
        across += down[:, step : step + cols]
    return across
