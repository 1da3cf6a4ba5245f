"""Bringing a band to the scene's grid, so that a window is the same bit for bit whichever way it is cut.

GDAL's warper works out coordinates per request, and where a mean falls on a half it then rounds one way in one window
and the other way in the next. Here every pixel's place follows from its own row and column alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio import Affine
from rasterio.windows import Window

from s2dash.grid import slices
from s2dash.types import NumberArray

_DECIMALS = 9


@dataclass(frozen=True)
class Line:
    """Where the rows (or columns) of a window lie among those of a file."""

    nearest: NDArray[np.int64]
    """The file's row that holds each centre; may lie outside the file."""
    lower: NDArray[np.int64]
    """The file's row whose centre is at or before each centre."""
    share: NDArray[np.float32]
    """How far each centre is on the way from `lower` to the next row, 0-1."""
    start: int
    """First row of the file that is needed."""
    stop: int
    """One after the last."""
    size: int
    """Rows of the file."""

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Which centres lie in the file."""
        return np.asarray((self.nearest >= 0) & (self.nearest < self.size))

    def within(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of the file as rows of the part that is read, edges repeated."""
        return np.clip(index, self.start, self.stop - 1) - self.start


def lines(window: Window, *, grid: GeoBox, transform: Affine, shape: tuple[int, int]) -> tuple[Line, Line]:
    """Rows and columns of a window of the grid among those of a file in the same coordinate system."""
    rows, cols = slices(window)
    mine = grid.transform
    return (
        _line(rows, origin=mine.f, step=mine.e, file_origin=transform.f, file_step=transform.e, size=shape[0]),
        _line(cols, origin=mine.c, step=mine.a, file_origin=transform.c, file_step=transform.a, size=shape[1]),
    )


def _line(part: slice, *, origin: float, step: float, file_origin: float, file_step: float, size: int) -> Line:
    index = np.arange(part.start, part.stop)
    place = np.round((origin - file_origin + (index + 0.5) * step) / file_step, _DECIMALS)
    lower = np.floor(place - 0.5).astype(np.int64)
    start = int(np.clip(lower.min(), 0, size - 1))
    stop = int(np.clip(lower.max() + 2, start + 1, size))
    return Line(
        nearest=np.floor(place).astype(np.int64),
        lower=lower,
        share=(place - 0.5 - lower).astype(np.float32),
        start=start,
        stop=stop,
        size=size,
    )


def part_of_file(rows: Line, cols: Line) -> Window:
    """The part of the file that a window needs."""
    return Window(cols.start, rows.start, cols.stop - cols.start, rows.stop - rows.start)


def nearest(part: NumberArray, rows: Line, cols: Line) -> NumberArray:
    """Each pixel takes the value it lies in; 0 outside the file.

    Args:
        part: Shape (y, x), what `part_of_file` covers.
        rows: Of the window.
        cols: Of the window.
    """
    taken: NumberArray = part[rows.within(rows.nearest)[:, None], cols.within(cols.nearest)]
    taken[~(rows.inside[:, None] & cols.inside)] = 0
    return taken


def bilinear(part: NumberArray, rows: Line, cols: Line) -> NumberArray:
    """Means of the four centres around each pixel, weighted by nearness; no-data is left out of them.

    A pixel that lies in no-data itself stays no-data, and so does one outside the file.

    Args:
        part: Shape (y, x), what `part_of_file` covers; 0 or not finite is no data.
        rows: Of the window.
        cols: Of the window.

    Returns:
        Shape (y, x), of the type of `part`; integers are rounded, halves up.
    """
    known = np.isfinite(part) & (part != 0) if part.dtype.kind == "f" else part != 0
    values = part.astype(np.float64 if part.dtype.itemsize > 4 else np.float32)
    if known.all():
        mean = _interpolate(values, rows, cols)
    else:
        values[~known] = 0
        weight = _interpolate(known.astype(values.dtype), rows, cols)
        mean = _interpolate(values, rows, cols)
        # dividing only beside no-data: elsewhere a weight of 1 ± rounding would make windows differ
        beside = ~_all_four(known, rows, cols)
        np.divide(mean, weight, out=mean, where=beside & (weight > 0))
        own = known[rows.within(rows.nearest)[:, None], cols.within(cols.nearest)]
        if not own.all():
            at = part[rows.within(rows.nearest)[:, None], cols.within(cols.nearest)]
            mean[~own] = at[~own]
    outside = ~(rows.inside[:, None] & cols.inside)
    if part.dtype.kind == "f":
        mean[outside] = np.nan
        return mean.astype(part.dtype, copy=False)
    mean[outside] = 0
    mean += mean.dtype.type(0.5)
    return np.floor(mean, out=mean).astype(part.dtype)


def _interpolate(values: NumberArray, rows: Line, cols: Line) -> NumberArray:
    down = rows.share.astype(values.dtype)[:, None]
    across = cols.share.astype(values.dtype)
    between = values[rows.within(rows.lower)] * (1 - down)
    between += values[rows.within(rows.lower + 1)] * down
    mean = np.take(between, cols.within(cols.lower), axis=1)
    mean *= 1 - across
    right = np.take(between, cols.within(cols.lower + 1), axis=1)
    right *= across
    mean += right
    return mean


def _all_four(known: NDArray[np.bool_], rows: Line, cols: Line) -> NDArray[np.bool_]:
    between = known[rows.within(rows.lower)] & known[rows.within(rows.lower + 1)]
    return np.asarray(between[:, cols.within(cols.lower)] & between[:, cols.within(cols.lower + 1)])
