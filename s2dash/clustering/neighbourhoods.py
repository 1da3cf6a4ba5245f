"""Neighbourhoods: the squares of pixels around each pixel, cut from a scene to learn from and to label by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2dash.clustering.windows import draw_windows
from s2dash.features import FeatureStack
from s2dash.progress import Progress
from s2dash.types import BoolArray, FloatArray

_WINDOW = 64
"""Side of the windows they are cut from, pixels, without the edge."""
_LEAST_WINDOWS = 16
TILE_PIXELS = 1 << 12
"""Pixels handled at a time while labelling, so that what a network makes of them stays in cache."""

Place = tuple[Any, Any]
"""What indexes rows and columns of an image."""


def draw_neighbourhoods(features: FeatureStack, *, side: int, count: int, seed: int, progress: Progress) -> FloatArray:
    """Neighbourhoods of random valid pixels of a scene, in random order.

    Those that lie wholly in a window come first; those cut off by its edge, whose missing neighbours are taken as equal
    to the pixel in the middle, fill up where there are too few.

    Args:
        features: Of the scene.
        side: Of a neighbourhood, pixels; odd.
        count: Most to draw.
        seed: Same seed, same neighbourhoods.
        progress: Where to report.

    Returns:
        Shape (pixel, side², feature), float32, the squares row by row.

    Raises:
        NoValidPixelsError: If no pixel is valid.
    """
    halo = side // 2
    # twice as many places as needed, so that neighbouring pixels do not make up all of the sample
    wanted = max(-(-2 * count // _WINDOW**2), _LEAST_WINDOWS)
    windows = draw_windows(features, side=_WINDOW + 2 * halo, count=wanted, seed=seed, progress=progress)
    rng = np.random.default_rng([seed, 6])
    whole, cut = [], []
    for index, (_, valid) in enumerate(windows):
        rows, cols = np.nonzero(valid)
        height, width = valid.shape
        inside = (np.minimum(rows, cols) >= halo) & (rows < height - halo) & (cols < width - halo)
        places = np.stack([np.full_like(rows, index), rows, cols])
        whole.append(places[:, inside])
        cut.append(places[:, ~inside])
    chosen = np.concatenate([_shuffled(np.concatenate(part, axis=1), rng) for part in (whole, cut)], axis=1)[:, :count]
    drawn = np.empty((chosen.shape[1], side**2, len(features.names)), dtype=np.float32)
    for index, (values, valid) in enumerate(windows):
        mine = np.flatnonzero(chosen[0] == index)
        padded, known = _padded(values, valid, halo)
        rows, cols = chosen[1:, mine]
        drawn[mine] = _neighbours(padded, known, _scattered(rows, cols), side).transpose(2, 0, 1)
    return drawn[rng.permutation(len(drawn))]


def neighbourhood_tiles(values: FloatArray, valid: BoolArray, *, side: int) -> Iterator[tuple[slice, FloatArray]]:
    """Neighbourhoods of every pixel of a block, some rows of the block at a time.

    Args:
        values: Standardised features, shape (feature, y, x), float32.
        valid: Shape (y, x).
        side: Of a neighbourhood, pixels; odd. What lies beyond the block, or is not valid, is taken as equal to the
            pixel in the middle.

    Yields:
        The rows, and the numbers of their pixels, shape (side² * feature, pixel), float32, the squares row by row.
    """
    height, width = valid.shape
    high = max(TILE_PIXELS // width, 1)
    padded, known = _padded(values, valid, side // 2) if side > 1 else (values, valid)
    for top in range(0, height, high):
        rows = slice(top, min(top + high, height))
        if side == 1:
            yield rows, values[:, rows].reshape(len(values), -1)
        else:
            yield rows, _neighbours(padded, known, _strip(rows, width), side).reshape(side**2 * len(values), -1)


def _shuffled(places: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    return places[:, rng.permutation(places.shape[1])]


def _padded(values: FloatArray, valid: BoolArray, halo: int) -> tuple[FloatArray, BoolArray]:
    """With `halo` pixels without data around."""
    around = (halo, halo)
    return np.pad(values, ((0, 0), around, around)), np.pad(valid, (around, around))


def _scattered(rows: NDArray[np.int64], cols: NDArray[np.int64]) -> Callable[[int, int], Place]:
    """Places of single pixels, moved."""
    return lambda down, right: (rows + down, cols + right)


def _strip(rows: slice, width: int) -> Callable[[int, int], Place]:
    """Some whole rows, moved."""
    return lambda down, right: (slice(rows.start + down, rows.stop + down), slice(right, right + width))


def _neighbours(padded: FloatArray, known: BoolArray, place: Callable[[int, int], Place], side: int) -> FloatArray:
    """The pixels in each row and column of the neighbourhoods at `place`, shape (side², feature, …), float32."""
    middle = padded[(slice(None), *place(side // 2, side // 2))]
    out = np.empty((side**2, *middle.shape), dtype=np.float32)
    for index, (row, col) in enumerate(np.ndindex(side, side)):
        at = place(row, col)
        out[index] = padded[(slice(None), *at)]
        missing = ~known[at]
        if missing.any():
            np.copyto(out[index], middle, where=missing)
    return out
