"""Where to look: the part of a scene in which a cluster can be seen, and the places where it is purest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from s2dash.types import LabelArray

WHOLE = 640
"""Scenes up to this many pixels a side are shown whole; of larger ones a part, so that single pixels stay visible."""
PART = 512
"""Side of that part, pixels."""
LEAST = 96
"""Smallest crop, pixels a side."""
LEAST_SHARE = 0.02
"""A crop in which the cluster covers less is made smaller, around where the cluster is densest."""
LEAST_PURE = 0.25
"""Close-ups after the first show at least this share of the cluster."""
MOSTLY = 0.6
"""Share of the cluster from which on a close-up need not be narrower."""
_CELLS = 1024
"""Most cells a side that counts are kept in; larger maps are counted in blocks of several pixels."""

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Spot:
    """A place where a cluster is seen."""

    window: Window
    """Which pixels of the scene."""
    share: float
    """Share of them that belong to the cluster, 0-1."""


@dataclass(frozen=True)
class ClusterCounts:
    """How many pixels of one cluster lie where."""

    sums: Counts
    """Pixels above and left of each corner of a cell, shape (rows + 1, columns + 1)."""
    cell: int
    """Side of a cell, pixels; 1 for all but large maps."""
    shape: tuple[int, int]
    """Rows and columns of the map, pixels."""

    @classmethod
    def of(cls, labels: LabelArray, cluster: int) -> ClusterCounts:
        """Count one cluster, a strip of rows at a time."""
        height, width = labels.shape
        cell = max(1, -(-max(height, width) // _CELLS))
        starts = np.arange(0, width, cell)
        rows = [
            np.add.reduceat((labels[top : top + cell] == cluster).sum(axis=0, dtype=np.int64), starts)
            for top in range(0, height, cell)
        ]
        sums = np.zeros((len(rows) + 1, len(starts) + 1), dtype=np.int64)
        sums[1:, 1:] = np.cumsum(np.cumsum(np.stack(rows), axis=0), axis=1)
        return cls(sums, cell, (height, width))

    @property
    def total(self) -> int:
        """Pixels of the cluster."""
        return int(self.sums[-1, -1])

    def window(self, row: int, col: int, side: tuple[int, int]) -> Window:
        """The pixels under `side` cells from a cell on."""
        top, left = row * self.cell, col * self.cell
        bottom, right = min(top + side[0] * self.cell, self.shape[0]), min(left + side[1] * self.cell, self.shape[1])
        return Window(left, top, right - left, bottom - top)

    def cells(self, side: int) -> tuple[int, int]:
        """How many cells a square of so many pixels has each way, within the map."""
        rows, cols = self.sums.shape
        wanted = max(1, side // self.cell)
        return min(wanted, rows - 1), min(wanted, cols - 1)

    def boxes(self, size: tuple[int, int]) -> Counts:
        """Pixels of the cluster in every box of `size` cells, by the box's upper left cell."""
        rows, cols = size
        sums = self.sums
        return np.asarray(sums[rows:, cols:] - sums[:-rows, cols:] - sums[rows:, :-cols] + sums[:-rows, :-cols])

    def around(self, size: tuple[int, int]) -> Counts:
        """Pixels of the cluster in three times the box, around it and as far as the map goes: same shape as `boxes`."""
        (rows, cols), (height, width) = size, (self.sums.shape[0] - 1, self.sums.shape[1] - 1)
        top = np.arange(height - rows + 1)[:, None]
        left = np.arange(width - cols + 1)[None, :]
        low, high = np.maximum(top - rows, 0), np.minimum(top + 2 * rows, height)
        near, far = np.maximum(left - cols, 0), np.minimum(left + 2 * cols, width)
        sums = self.sums
        return np.asarray(sums[high, far] - sums[low, far] - sums[high, near] + sums[low, near])

    def middles(self, size: tuple[int, int]) -> Counts:
        """Pixels of the cluster in the middle third of the box each way: same shape as `boxes`."""
        core = (-(-size[0] // 3), -(-size[1] // 3))
        row, col = (size[0] - core[0]) // 2, (size[1] - core[1]) // 2
        rows, cols = self.sums.shape[0] - size[0], self.sums.shape[1] - size[1]
        return np.asarray(self.boxes(core)[row : row + rows, col : col + cols])


def crop_window(counts: ClusterCounts) -> Spot:
    """The part of a scene that shows a cluster: all of a small scene, unless the cluster would be lost in it.

    The crop is halved, around where the cluster is densest, until the cluster covers `LEAST_SHARE` of it.
    """
    height, width = counts.shape
    if max(height, width) <= WHOLE:
        share = counts.total / (height * width)
        if share >= LEAST_SHARE or max(height, width) <= LEAST:
            return Spot(Window(0, 0, width, height), share)
        side = max(max(height, width) // 2, LEAST)
    else:
        side = PART
    while True:
        spot = purest_spots(counts, side=side, count=1)[0]
        if spot.share >= LEAST_SHARE or side <= LEAST:
            return spot
        side = max(side // 2, LEAST)


def purest_spots(counts: ClusterCounts, *, side: int, count: int) -> tuple[Spot, ...]:
    """Squares in which a cluster has the largest share, none overlapping another, purest first.

    Of equally pure ones the one with more of the cluster around it comes first, then the one with more of it in its
    middle, then the upper left one.

    Args:
        counts: Of a cluster with at least one pixel.
        side: Of a square, pixels; cut at what the map has.
        count: Most squares; all but the first hold at least `LEAST_PURE` of the cluster.
    """
    size = counts.cells(side)
    inside, around, middle = counts.boxes(size), counts.around(size), counts.middles(size)
    rank = (inside * (int(around.max()) + 1) + around) * (int(middle.max()) + 1) + middle
    spots: list[Spot] = []
    while len(spots) < count:
        row, col = (int(place) for place in np.unravel_index(int(np.argmax(rank)), rank.shape))
        window = counts.window(row, col, size)
        share = int(inside[row, col]) / (int(window.width) * int(window.height))
        if rank[row, col] < 0 or share == 0.0 or (spots and share < LEAST_PURE):
            break
        spots.append(Spot(window, share))
        rank[max(row - size[0] + 1, 0) : row + size[0], max(col - size[1] + 1, 0) : col + size[1]] = -1
    return tuple(spots)


def closeup_spots(counts: ClusterCounts, *, side: int, count: int) -> tuple[Spot, ...]:
    """Where to take close-ups: squares of the side asked for, or somewhat narrower until the purest is mostly cluster.

    In a small scene a close-up has at most a third of its shorter side, so that it shows more than the crop.

    Args:
        counts: Of a cluster with at least one pixel.
        side: Largest side, pixels.
        count: Most close-ups.
    """
    room = max(min(counts.shape) // 3, min(8, *counts.shape))
    spots: tuple[Spot, ...] = ()
    for part in (1.0, 0.75, 0.625):
        spots = purest_spots(counts, side=min(round(side * part), room), count=count)
        if spots[0].share >= MOSTLY:
            break
    return spots
