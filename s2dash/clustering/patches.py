"""Patches: pixels of one cluster that hang together by their sides, found in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2dash.memory import check_fits
from s2dash.progress import Progress, Silent, steps
from s2dash.types import LabelArray

SIDE = 512
"""Side of the blocks that are searched one by one, pixels."""
_BYTES = {False: 60, True: 250}
"""Memory per part of a patch at the peak, bytes: without and with borders, the sorting of them included."""

_Numbers = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Patches:
    """The patches of a map: which there are, how large, and which lie side by side."""

    shape: tuple[int, int]
    """Rows and columns of the map."""
    cluster: LabelArray
    """Cluster of every patch, shape (patch,)."""
    pixels: NDArray[np.int64]
    """Size of every patch, shape (patch,)."""
    borders: NDArray[np.int32]
    """Pairs of patches of unlike clusters with a common side, each once, shape (pair, 2); empty if not asked for."""
    of_part: NDArray[np.int32]
    """Patch of every part, where a part is what one block holds of a patch, block by block."""
    first_part: NDArray[np.int64]
    """Number of parts before each block, shape (block,)."""

    def __len__(self) -> int:
        return len(self.cluster)

    def paint(self, labels: LabelArray, values: LabelArray, *, progress: Progress | None = None) -> LabelArray:
        """A map with one value per patch.

        Args:
            labels: The map the patches were found in, shape (y, x).
            values: Shape (patch,).
            progress: Where to report.

        Returns:
            Shape (y, x), uint8; 0 where `labels` is 0.
        """
        out = np.zeros_like(labels)
        places = _places(self.shape)
        watch = progress or Silent()
        for index, place in enumerate(steps(places, total=len(places), progress=watch, text="Painting patches")):
            parts, count = _parts(labels[place])
            first = int(self.first_part[index])
            table = np.zeros(count + 1, dtype=np.uint8)
            table[1:] = values[self.of_part[first : first + count]]
            out[place] = table[parts]
        return out


def find_patches(labels: LabelArray, *, borders: bool = False, progress: Progress | None = None) -> Patches:
    """Find the patches of a map: 4-connected pixels of one cluster.

    Blocks are labelled one by one and what they hold of a patch is joined along their edges, so that no array of
    patch numbers as large as the map is ever held.

    Args:
        labels: Cluster numbers, shape (y, x); 0 is no data and in no patch.
        borders: Also list which patches touch.
        progress: Where to report.

    Raises:
        TooLargeError: If the map has more patches than fit in memory.
    """
    height, width = labels.shape
    places = _places((height, width))
    across = -(-width // SIDE)
    above: list[_Numbers] = [np.empty(0, dtype=np.int64)] * across
    clusters: list[LabelArray] = []
    sizes: list[_Numbers] = []
    starts: list[int] = []
    same: list[_Numbers] = []
    unlike: list[_Numbers] = []
    left: _Numbers = np.empty(0, dtype=np.int64)
    total = 0
    watch = progress or Silent()
    for index, place in enumerate(steps(places, total=len(places), progress=watch, text="Finding patches")):
        block = labels[place]
        parts, count = _parts(block)
        of_part = np.zeros(count + 1, dtype=np.uint8)
        of_part[parts.ravel()] = block.ravel()
        clusters.append(of_part[1:])
        sizes.append(np.bincount(parts.ravel(), minlength=count + 1)[1:])
        starts.append(total)
        numbered = np.where(parts > 0, parts + (total - 1), -1)
        row, col = place[0].start, place[1].start
        column = index % across
        seams = []
        if col:
            seams.append((left, numbered[:, 0], labels[place[0], col - 1], block[:, 0]))
        if row:
            seams.append((above[column], numbered[0], labels[row - 1, place[1]], block[0]))
        same += [_pairs(a, b, like=True, of_a=of_a, of_b=of_b) for a, b, of_a, of_b in seams]
        if borders:
            seams.append((numbered[:, :-1], numbered[:, 1:], block[:, :-1], block[:, 1:]))
            seams.append((numbered[:-1], numbered[1:], block[:-1], block[1:]))
            unlike += [_pairs(a, b, like=False, of_a=of_a, of_b=of_b) for a, b, of_a, of_b in seams]
        left, above[column] = numbered[:, -1].copy(), numbered[-1].copy()
        total += count
        if index % 16 == 0:
            _check(total * len(places) // (index + 1), borders=borders)
    found = _join(total, same)
    patches = int(found.max(initial=-1)) + 1
    cluster = np.zeros(patches, dtype=np.uint8)
    cluster[found] = np.concatenate(clusters)
    pixels = np.bincount(found, weights=np.concatenate(sizes), minlength=patches).astype(np.int64)
    touching = np.empty((0, 2), dtype=np.int32)
    if unlike:
        pairs = np.concatenate(unlike)
        unlike.clear()
        touching = unique_pairs(found[pairs]).astype(np.int32)
    return Patches((height, width), cluster, pixels, touching, found, np.asarray(starts, dtype=np.int64))


def count_adjacencies(labels: LabelArray, *, progress: Progress | None = None) -> NDArray[np.int64]:
    """How often pixels of each cluster lie beside pixels of each other one (adjacency matrix of FRAGSTATS).

    Every common side counts twice, once from either pixel (double-count method; McGarigal & Marks 1995).

    Args:
        labels: Cluster numbers, shape (y, x); 0 is no data.
        progress: Where to report.

    Returns:
        Shape (256, 256), symmetric; row and column 0 count sides to no data.
    """
    counts = np.zeros(256 * 256, dtype=np.int64)
    height, width = labels.shape
    places = _places((height, width))
    watch = progress or Silent()
    for rows, cols in steps(places, total=len(places), progress=watch, text="Counting borders"):
        block = labels[rows.start : rows.stop + 1, cols.start : cols.stop + 1].astype(np.uint16)
        high, wide = rows.stop - rows.start, cols.stop - cols.start
        for near, far in ((block[:high, :-1], block[:high, 1:]), (block[:-1, :wide], block[1:, :wide])):
            counts += np.bincount(((near << 8) + far).ravel(), minlength=256 * 256)
    matrix = counts.reshape(256, 256)
    return matrix + matrix.T


def unique_pairs(pairs: _Numbers) -> _Numbers:
    """Each unordered pair once, shape (pair, 2), the lower number first; numbers are below 2³¹."""
    if not len(pairs):
        return pairs.reshape(0, 2)
    first, second = pairs[:, 0].astype(np.int64), pairs[:, 1]
    count = int(pairs.max()) + 1
    codes = np.minimum(first, second) * count + np.maximum(first, second)  # sorting one number beats sorting two
    codes.sort()
    codes = codes[np.concatenate([[True], codes[1:] != codes[:-1]])]
    return np.stack(np.divmod(codes, count), axis=1)


def join(count: int, pairs: _Numbers) -> NDArray[np.int32]:
    """Number of the group of each of `count` things, where `pairs` of shape (pair, 2) belong together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(pairs):
        return np.arange(count, dtype=np.int32)
    ones = np.ones(len(pairs), dtype=np.uint8)
    graph = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int32)


def _join(count: int, pairs: list[_Numbers]) -> NDArray[np.int32]:
    return join(count, np.concatenate(pairs) if pairs else np.empty((0, 2), dtype=np.int64))


def _places(shape: tuple[int, int]) -> list[tuple[slice, slice]]:
    height, width = shape
    return [
        (slice(row, min(row + SIDE, height)), slice(col, min(col + SIDE, width)))
        for row in range(0, height, SIDE)
        for col in range(0, width, SIDE)
    ]


def _parts(block: LabelArray) -> tuple[_Numbers, int]:
    """Patches of one block alone, numbered from 1 in the order of their first pixels; 0 is no data."""
    from skimage.measure import label

    found, count = label(np.ascontiguousarray(block), connectivity=1, background=0, return_num=True)  # type: ignore[no-untyped-call]
    return found, int(count)


def _pairs(a: _Numbers, b: _Numbers, *, like: bool, of_a: LabelArray, of_b: LabelArray) -> _Numbers:
    """Neighbouring numbers where both have data and the clusters are alike, or not; each pair once."""
    wanted = (of_a > 0) & (of_b > 0) & ((of_a == of_b) == like)
    return unique_pairs(np.stack([a[wanted], b[wanted]], axis=1))


def _check(parts: int, *, borders: bool) -> None:
    if parts > 1_000_000:
        check_fits(
            parts * _BYTES[borders],
            what=f"A map of about {parts:,} patches",
            way_out="Smooth it first with a majority filter, or choose a smaller area.",
        )
