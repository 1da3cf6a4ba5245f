"""Which class is taken for which: area of every pair of map class and reference class, and the clusters behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from odc.geo.geobox import GeoBox

from s2dash.grid import pixel_area_ha, slices, strips
from s2dash.pair_counts import CountArray, joint_histogram
from s2dash.schemes import NO_DATA
from s2dash.types import FloatArray, LabelArray

_ROWS = 64
"""Rows of a geographic grid that are counted with one pixel area: their widths differ by less than 0.1 % below 80°."""


@dataclass(frozen=True)
class JointArea:
    """Two maps counted together, where both have data."""

    pixels: CountArray
    """Shape (256, 256), pixels by reference code and map code; row and column 0 are empty."""
    ha: FloatArray
    """Shape (256, 256), the same in hectares."""

    @property
    def total_ha(self) -> float:
        """Area compared, ha."""
        return float(self.ha.sum())

    @property
    def mapped_ha(self) -> dict[int, float]:
        """Area of every class on the map, undecided pixels too, ha."""
        return _present(self.ha.sum(axis=0))

    @property
    def reference_ha(self) -> dict[int, float]:
        """Area of every class in the reference, ha."""
        return _present(self.ha.sum(axis=1))

    def folded(self, table: LabelArray) -> JointArea:
        """The same with codes counted as others, see `ClassScheme.counted_table`: shape (256,), uint8."""
        pixels, ha = np.zeros_like(self.pixels), np.zeros_like(self.ha)
        np.add.at(pixels, (table[:, None], table[None, :]), self.pixels)
        np.add.at(ha, (table[:, None], table[None, :]), self.ha)
        return JointArea(pixels, ha)

    def pair(self, mapped: int, reference: int) -> ConfusedPair:
        """What is known of one pair of classes, also of one that does not occur."""
        pixels, ha = int(self.pixels[reference, mapped]), float(self.ha[reference, mapped])
        differing = self.total_ha - float(np.trace(self.ha))
        return ConfusedPair(
            mapped=mapped,
            reference=reference,
            pixels=pixels,
            ha=ha,
            share=ha / self.total_ha if self.total_ha else 0.0,
            of_differing=ha / differing if differing > 0 and mapped != reference else 0.0,
        )


@dataclass(frozen=True)
class ConfusedPair:
    """Ground that the map calls one class and the reference another."""

    mapped: int
    """Class code of the map, or `UNDECIDED`."""
    reference: int
    """Class code of the reference; the same as `mapped` where they agree."""
    pixels: int
    """Pixels."""
    ha: float
    """Area, ha."""
    share: float
    """Share of all that is compared, 0-1."""
    of_differing: float
    """Share of all on which the maps differ, 0-1; 0 where they agree."""


@dataclass(frozen=True)
class PairCluster:
    """A cluster's part in a pair of classes."""

    cluster: int
    """Cluster number."""
    pixels: int
    """Its pixels in the pair."""
    of_pair: float
    """Share of the pair that lies in this cluster, 0-1."""
    of_cluster: float
    """Share of the cluster that is in the pair, 0-1."""


def joint_area(first: LabelArray, second: LabelArray, *, grid: GeoBox) -> JointArea:
    """Pixels and hectares of every pair of codes other than 0.

    Args:
        first: Rows of the result, the reference for instance, shape (y, x), uint8.
        second: Columns of the result, the map for instance, same shape.
        grid: Where both lie.
    """
    per_row = pixel_area_ha(grid)
    if np.ptp(per_row) == 0:
        pixels = _compared(joint_histogram(first, second))
        return JointArea(pixels, pixels * float(per_row[0]))
    pixels, ha = np.zeros((256, 256), dtype=np.int64), np.zeros((256, 256))
    for window in strips(grid, rows=_ROWS):
        part = _compared(joint_histogram(first[slices(window)], second[slices(window)]))
        pixels += part
        ha += part * float(per_row[slices(window)[0]].mean())
    return JointArea(pixels, ha)


def confused_pairs(joint: JointArea) -> tuple[ConfusedPair, ...]:
    """Every confusion that occurs, the largest first.

    Args:
        joint: Reference by map, as `joint_area(reference.codes, landcover.codes, …)` gives it.
    """
    found = [
        joint.pair(int(mapped), int(reference))
        for reference, mapped in zip(*np.nonzero(joint.pixels), strict=True)
        if mapped != reference
    ]
    return tuple(sorted(found, key=lambda pair: (-pair.ha, pair.mapped, pair.reference)))


def pair_clusters(
    labels: LabelArray, codes: LabelArray, reference: LabelArray, *, pair: ConfusedPair, table: LabelArray | None = None
) -> tuple[PairCluster, ...]:
    """The clusters that a confusion comes from, the largest part first.

    Args:
        labels: Cluster numbers, shape (y, x), uint8.
        codes: Class codes of the map, same shape.
        reference: Class codes of the reference, same shape.
        pair: Of the two.
        table: What each code counts as, see `ClassScheme.counted_table`; by default itself.
    """
    counted = np.arange(256, dtype=np.uint8) if table is None else table
    sizes = np.zeros(256, dtype=np.int64)
    inside = np.zeros(256, dtype=np.int64)
    rows = max((1 << 22) // max(labels.shape[1], 1), 1)  # 4 million pixels at a time
    for start in range(0, labels.shape[0], rows):
        part = slice(start, start + rows)
        here = labels[part]
        sizes += np.bincount(here.reshape(-1), minlength=256)
        confused = (counted[codes[part]] == pair.mapped) & (counted[reference[part]] == pair.reference)
        inside += np.bincount(here[confused], minlength=256)
    inside[NO_DATA] = 0
    total = int(inside.sum())
    found = [
        PairCluster(
            int(cluster), int(inside[cluster]), int(inside[cluster]) / total, int(inside[cluster]) / int(sizes[cluster])
        )
        for cluster in np.flatnonzero(inside)
    ]
    return tuple(sorted(found, key=lambda one: (-one.pixels, one.cluster)))


def _compared(histogram: CountArray) -> CountArray:
    histogram[NO_DATA, :] = 0
    histogram[:, NO_DATA] = 0
    return histogram


def _present(areas: FloatArray) -> dict[int, float]:
    return {int(code): float(areas[code]) for code in np.flatnonzero(areas)}
