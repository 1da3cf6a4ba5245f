"""One image out of many looks at the same ground, and what the season says about each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal

import numpy as np

from s2dash.errors import ImageryError
from s2dash.masking import MaskRule
from s2dash.scene import has_data
from s2dash.types import BoolArray, FloatArray, NumberArray

Method = Literal["median", "best"]
"""`median` of each band, or the whole spectrum of the `best` look: the one nearest to the median."""

METHODS: tuple[Method, ...] = ("median", "best")
PERCENTILES = (10, 50, 90)
"""Percentiles of the NDVI over the season."""

_INVALID = np.uint16(np.iinfo(np.uint16).max)


@dataclass(frozen=True)
class Looks:
    """Several looks at one block, on one scale."""

    numbers: NumberArray
    """Shape (look, band, y, x), uint16; 0 is no data."""
    scl: NumberArray | None
    """Scene classification, shape (look, y, x); None where there is none."""
    clear: BoolArray
    """Shape (look, y, x): data in every band, and the scene classification does not mask it."""

    @classmethod
    def of(cls, numbers: NumberArray, scl: NumberArray | None, mask: MaskRule) -> Looks:
        """Looks under a mask rule."""
        clear = np.stack([has_data(look) for look in numbers])
        if scl is not None:
            clear &= np.stack([mask.valid(codes) for codes in scl])
        return cls(numbers, scl, clear)

    @cached_property
    def median(self) -> NumberArray:
        """Median of each band over the clear looks, shape (band, y, x), uint16; 0 without a clear look."""
        return _median(self.numbers, self.clear)

    @property
    def count(self) -> NumberArray:
        """Number of clear looks a pixel, shape (y, x), uint16."""
        return np.asarray(self.clear.sum(axis=0, dtype=np.uint16))

    @property
    def seen(self) -> NumberArray:
        """Number of looks with data, clear or not, shape (y, x), uint16."""
        return np.asarray(sum((has_data(look).astype(np.uint16) for look in self.numbers), start=np.uint16(0)))


def composite(looks: Looks, *, method: Method) -> tuple[NumberArray, NumberArray | None]:
    """The composite of clear looks.

    `median` takes each band's median over the clear looks (of an even number the mean of the two in the middle, halves
    up). `best` takes all bands from the clear look whose spectrum lies nearest to these medians (Euclidean; the
    earliest of equals), so that no spectrum is mixed: the median-nearest form of the medoid (Flood 2013,
    doi:10.3390/rs5126481; Kennedy et al. 2018, doi:10.3390/rs10050691).

    Returns:
        Numbers of shape (band, y, x), uint16, 0 without a clear look; and the scene classification of the look nearest
        to the median, shape (y, x), uint16, or None.

    Raises:
        ImageryError: If the method is unknown.
    """
    if method not in METHODS:
        raise ImageryError(f"There is no composite {method!r}; choose {' or '.join(METHODS)}.")
    median = looks.median
    nearest = _nearest(looks, median)
    some = looks.clear.any(axis=0)
    scl = None
    if looks.scl is not None:
        scl = np.where(some, np.take_along_axis(looks.scl, nearest[None], axis=0)[0], 0).astype(np.uint16)
    if method == "median":
        return median, scl
    best = np.take_along_axis(looks.numbers, nearest[None, None], axis=0)[0]
    return np.where(some, best, 0).astype(np.uint16), scl


def season_names(bands: Sequence[str]) -> tuple[str, ...]:
    """Names of the layers of `season`, in its order."""
    layers = [f"{band}_MEDIAN" for band in bands]
    if {"B04", "B08"} <= set(bands):
        layers += [*(f"NDVI_P{percent}" for percent in PERCENTILES), "NDVI_AMPLITUDE"]
    return tuple(layers)


def season(looks: Looks, *, bands: Sequence[str], scale: float, offset: float) -> FloatArray:
    """Statistics over the season that tell cropland, grassland and trees apart.

    Args:
        looks: The looks, numbers in the order of `bands`.
        bands: Their bands.
        scale: Reflectance per number.
        offset: Added after scaling, reflectance.

    Returns:
        Shape (layer, y, x), float32, in the order of `season_names`: median reflectance of each band over the clear
        looks; the 10th, 50th and 90th percentile of the NDVI (linear between looks, as in NumPy) and the distance
        between the first and the last of these. NaN without a clear look.
    """
    layers = [looks.median * np.float32(scale) + np.float32(offset)]
    if {"B04", "B08"} <= set(bands):
        red, infrared = (
            looks.numbers[:, bands.index(band)].astype(np.float32) * np.float32(scale) + np.float32(offset)
            for band in ("B04", "B08")
        )
        total = red + infrared
        ndvi = np.full(red.shape, np.nan, dtype=np.float32)
        np.divide(infrared - red, total, out=ndvi, where=looks.clear & (total > 0.001))
        np.clip(ndvi, -1, 1, out=ndvi)
        percentiles = _percentiles(ndvi, PERCENTILES)
        layers += [percentiles, (percentiles[-1] - percentiles[0])[None]]
    out = np.concatenate(layers).astype(np.float32)
    out[:, ~looks.clear.any(axis=0)] = np.nan
    return out


def _median(numbers: NumberArray, clear: BoolArray) -> NumberArray:
    """Median over the looks of each band, shape (band, y, x), uint16; 0 without a clear look."""
    # where a look is not clear all bits are set, which sorts it to the end: faster than choosing
    ordered = _sorted(numbers | np.where(clear, np.uint16(0), _INVALID)[:, None])
    count = clear.sum(axis=0)
    low, high = (
        np.take_along_axis(ordered, np.clip(rank, 0, None)[None, None], axis=0)[0].astype(np.uint32)
        for rank in ((count - 1) // 2, np.minimum(count // 2, len(numbers) - 1))
    )
    middle = (low + high + 1) // 2
    return np.where(count > 0, middle, 0).astype(np.uint16)


def _nearest(looks: Looks, median: NumberArray) -> NumberArray:
    """Which clear look lies nearest to the median, shape (y, x); 0 where there is none."""
    best = np.full(median.shape[1:], np.inf, dtype=np.float32)
    which = np.zeros(median.shape[1:], dtype=np.intp)
    centre = median.astype(np.float32)
    for index, look in enumerate(looks.numbers):
        distance = ((look.astype(np.float32) - centre) ** 2).sum(axis=0)
        closer = looks.clear[index] & (distance < best)
        best[closer], which[closer] = distance[closer], index
    return which


def _percentiles(values: FloatArray, percents: Sequence[int]) -> FloatArray:
    """Percentiles over the first axis without NaN, linear between values; shape (percentile, y, x)."""
    ordered = _sorted(np.where(np.isfinite(values), values, np.inf).astype(np.float32))
    count = np.isfinite(values).sum(axis=0)
    ordered[:, count == 0] = 0
    out = []
    for percent in percents:
        rank = np.maximum(count - 1, 0) * np.float32(percent / 100)
        lower = np.floor(rank).astype(np.intp)
        upper = np.minimum(lower + 1, np.maximum(count - 1, 0))
        below, above = (np.take_along_axis(ordered, place[None], axis=0)[0] for place in (lower, upper))
        out.append(below + (above - below) * (rank - lower).astype(np.float32))
    percentiles = np.stack(out)
    percentiles[:, count == 0] = np.nan
    return percentiles


def _sorted(looks: NumberArray) -> NumberArray:
    """Sort over the first axis, in place.

    Whole planes are compared at a time, in the order of Batcher's merge exchange (Knuth, vol. 3, 5.2.2, algorithm M):
    for the few looks of a season that is several times faster than `numpy.sort` along a long stride.
    """
    for lower, upper in _exchanges(len(looks)):
        smaller = np.minimum(looks[lower], looks[upper])
        np.maximum(looks[lower], looks[upper], out=looks[upper])
        looks[lower] = smaller
    return looks


@cache
def _exchanges(count: int) -> tuple[tuple[int, int], ...]:
    """Which places are compared, one pair after the other, so that `count` values end up sorted."""
    pairs = []
    highest = 1 << max((count - 1).bit_length() - 1, 0)
    step = highest if count > 1 else 0
    while step:
        width, rest, distance = highest, 0, step
        while True:
            pairs += [(i, i + distance) for i in range(count - distance) if i & step == rest]
            if width == step:
                break
            distance, width, rest = width - step, width // 2, step
        step //= 2
    return tuple(pairs)
