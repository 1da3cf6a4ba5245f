"""Smaller copies of a class map for zooming out: every pixel takes the most frequent class of the four it covers."""

from __future__ import annotations

import numpy as np

from s2dash.parallel import ordered_map
from s2dash.types import LabelArray

_ROWS = 128
"""Rows taken at a time, even: the temporaries stay in cache."""


def mode_pyramid(values: LabelArray, *, nodata: int, largest: int = 512) -> list[LabelArray]:
    """Halve a class map until it fits into a tile.

    What GDAL's `mode` overviews are (no data gives way to any class, each level is made from the one before), in a
    tenth of the time. Among equally frequent classes the first from the upper left wins.

    Args:
        values: Shape (y, x), uint8.
        nodata: Code for no data.
        largest: Longest side at which to stop, pixels.

    Returns:
        The levels from fine to coarse without `values` itself; odd sides are rounded up.
    """
    levels: list[LabelArray] = []
    while max(values.shape) > largest:
        values = _halve(values, nodata)
        levels.append(values)
    return levels


def _halve(values: LabelArray, nodata: int) -> LabelArray:
    height, width = values.shape
    halved = np.empty(((height + 1) // 2, (width + 1) // 2), dtype=np.uint8)

    def fill(row: int) -> None:
        strip = values[row : row + _ROWS]
        odd_row, odd_column = strip.shape[0] % 2, width % 2
        if odd_row or odd_column:
            strip = np.pad(strip, ((0, odd_row), (0, odd_column)), constant_values=nodata)
        halved[row // 2 : (row + strip.shape[0]) // 2] = _mode_of_four(np.ascontiguousarray(strip), nodata)

    for _ in ordered_map(fill, range(0, height, _ROWS)):
        pass
    return halved


def _mode_of_four(strip: LabelArray, nodata: int) -> LabelArray:
    # Neighbours are taken apart as halves of 16-bit numbers, which is faster than every second byte.
    upper, lower = strip[::2].view("<u2"), strip[1::2].view("<u2")
    a, b = upper.astype(np.uint8), (upper >> 8).astype(np.uint8)
    c, d = lower.astype(np.uint8), (lower >> 8).astype(np.uint8)
    has_a, has_b, has_c = a != nodata, b != nodata, c != nodata
    # From the weakest claim to the strongest: the first class there is, then any pair, the first pair last.
    mode = np.where(has_a, a, np.where(has_b, b, np.where(has_c, c, d)))
    np.copyto(mode, c, where=(c == d) & has_c)
    np.copyto(mode, b, where=((b == c) | (b == d)) & has_b)
    np.copyto(mode, a, where=((a == b) | (a == c) | (a == d)) & has_a)
    return mode
