"""How often each pair of codes occurs in two rasters: what every comparison of two maps begins with."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2dash.parallel import ordered_map
from s2dash.schemes import NO_DATA
from s2dash.types import LabelArray

CountArray = NDArray[np.int64]
"""Numbers of pixels."""

MANY = 1 << 25
"""Pixels from which the compiled kernel counts: below, NumPy is done before the compiler is even loaded."""

_NUMPY_CHUNK = 1 << 18
"""Pixels counted at a time by NumPy: their combined codes take 2 MiB and stay in cache."""
_KERNEL_CHUNK = 1 << 23
"""Pixels counted at a time by the kernel; far below what its 32-bit counters hold."""

_STEP = 2048
"""Pixels whose places in the tables are worked out together, which the compiler does with vector instructions."""
_TABLES = 4
"""Tables filled in turn: one pixel need not wait until the one before, often of the same codes, is written."""
_ROW = 272
"""Counters from one code of the first raster to the next. With 256, the rows of codes that are multiples of ten push
each other out of the nearest cache, which takes nearly twice as long."""
_TABLE = 256 * _ROW + 16
"""Counters from one table to the next, for the same reason."""

_compiling = threading.Lock()


def joint_histogram(first: LabelArray, second: LabelArray, *, within: LabelArray | None = None) -> CountArray:
    """How often each pair of codes occurs.

    Args:
        first: Shape (y, x), uint8.
        second: Same shape, uint8.
        within: Same shape; where it is 0 the pixel counts as if `second` were 0.

    Returns:
        Shape (256, 256), pixels by code of `first` and code of `second`.
    """
    rasters = [np.ascontiguousarray(raster).reshape(-1) for raster in (first, second)]
    mask = None if within is None else np.ascontiguousarray(within).reshape(-1)
    many = rasters[0].size >= MANY
    chunk, count = (_KERNEL_CHUNK, _by_kernel(_kernel())) if many else (_NUMPY_CHUNK, _by_numpy)

    def part(start: int) -> CountArray:
        here = slice(start, start + chunk)
        codes = rasters[1][here]
        return count(rasters[0][here], codes if mask is None else codes * (mask[here] != NO_DATA))

    total = np.zeros((256, 256), dtype=np.int64)
    for counts in ordered_map(part, range(0, rasters[0].size, chunk)):
        total += counts
    return total


def _by_numpy(first: LabelArray, second: LabelArray) -> CountArray:
    # bincount works on intp only: with that type from the start it copies nothing and lets other threads run.
    pairs = np.left_shift(first, 8, dtype=np.intp)
    pairs |= second
    counted: CountArray = np.bincount(pairs, minlength=1 << 16).reshape(256, 256)
    return counted


def _by_kernel(kernel: Callable[[LabelArray, LabelArray, NDArray[np.uint32]], None]) -> Callable[..., CountArray]:
    def count(first: LabelArray, second: LabelArray) -> CountArray:
        counters = np.zeros(_TABLES * _TABLE, dtype=np.uint32)
        kernel(first, second, counters)
        tables: CountArray = counters.reshape(_TABLES, _TABLE)[:, : 256 * _ROW].sum(axis=0, dtype=np.int64)
        return tables.reshape(256, _ROW)[:, :256]

    return count


def _kernel() -> Callable[[LabelArray, LabelArray, NDArray[np.uint32]], None]:
    with _compiling:
        return _compiled()


@cache
def _compiled() -> Callable[[LabelArray, LabelArray, NDArray[np.uint32]], None]:
    """`_add_pairs` as machine code, which lets other threads run; kept on disk where some folder can be written."""
    import numba  # here: loading the compiler takes half a second

    compiling: dict[str, Any] = {"nogil": True, "cache": True}
    signature = "void(uint8[::1], uint8[::1], uint32[::1])"
    try:
        kernel: Callable[[LabelArray, LabelArray, NDArray[np.uint32]], None] = numba.njit(signature, **compiling)(
            _add_pairs
        )
    except RuntimeError:  # no folder to keep it in
        kernel = numba.njit(signature, **compiling | {"cache": False})(_add_pairs)
    return kernel


def _add_pairs(first: LabelArray, second: LabelArray, counters: NDArray[np.uint32]) -> None:
    """Count into `_TABLES` tables; all types are spelled out because the compiler turns mixed integers to floats."""
    places = np.empty(_STEP, np.uint32)
    for start in range(0, first.size, _STEP):
        codes, others = first[start : start + _STEP], second[start : start + _STEP]
        for index in range(codes.size):
            table = np.uint32(index & (_TABLES - 1)) * np.uint32(_TABLE)
            places[index] = table + np.uint32(codes[index]) * np.uint32(_ROW) + np.uint32(others[index])
        for index in range(codes.size):
            counters[places[index]] += np.uint32(1)
