"""Where pixels lie: helpers over `odc.geo.GeoBox`, and the blocks in which all work is done."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Geod, Transformer
from rasterio.windows import Window

from s2dash.errors import MissingCRSError
from s2dash.types import FloatArray

BLOCK = 512
"""Side of a block, in pixels: a multiple of the usual tile sizes, small enough for ten bands to stay in cache."""

_WGS84 = Geod(ellps="WGS84")


def full_window(grid: GeoBox) -> Window:
    """The window that covers the whole grid."""
    height, width = grid.shape
    return Window(0, 0, width, height)


def blocks(grid: GeoBox, *, side: int = BLOCK) -> list[Window]:
    """Windows of at most `side` x `side` pixels that cover the grid, row by row."""
    height, width = grid.shape
    return [
        Window(col, row, min(side, width - col), min(side, height - row))
        for row in range(0, height, side)
        for col in range(0, width, side)
    ]


def spread_blocks(grid: GeoBox, *, count: int) -> list[Window]:
    """At most `count` of the grid's blocks, spread evenly, the middle ones first: data is likeliest there."""
    every = blocks(grid)
    picks = np.unique(((np.arange(count) + 0.5) * len(every) / count).astype(int))
    return [every[pick] for pick in sorted(picks, key=lambda pick: (abs(pick - len(every) // 2), pick))]


def slices(window: Window) -> tuple[slice, slice]:
    """The window as `(rows, columns)` slices of a `(y, x)` array."""
    row, col = int(window.row_off), int(window.col_off)
    return slice(row, row + int(window.height)), slice(col, col + int(window.width))


def pad(window: Window, *, halo: int, grid: GeoBox) -> tuple[Window, tuple[slice, slice]]:
    """The window grown by `halo` pixels within the grid, and where the original lies in it."""
    height, width = grid.shape
    rows, cols = slices(window)
    top, left = max(rows.start - halo, 0), max(cols.start - halo, 0)
    bottom, right = min(rows.stop + halo, height), min(cols.stop + halo, width)
    inner = slice(rows.start - top, rows.stop - top), slice(cols.start - left, cols.stop - left)
    return Window(left, top, right - left, bottom - top), inner


def window_grid(grid: GeoBox, window: Window) -> GeoBox:
    """The part of the grid under the window."""
    moved = grid.transform @ Affine.translation(int(window.col_off), int(window.row_off))
    return GeoBox((int(window.height), int(window.width)), moved, grid.crs)


def pixel_area_ha(grid: GeoBox) -> FloatArray:
    """Area of the pixels of each row, in hectares.

    Projected grids have one area everywhere; in geographic ones it shrinks with the cosine of the latitude and is
    computed on the WGS 84 ellipsoid.

    Returns:
        Shape (height,), float64, hectares a pixel.
    """
    height, _ = grid.shape
    transform = grid.transform
    if grid.crs is None or not grid.crs.geographic:
        metres = 1.0 if grid.crs is None else float(grid.crs.proj.axis_info[0].unit_conversion_factor)
        area = abs(transform.a * transform.e - transform.b * transform.d) * metres**2 / 10_000
        return np.full(height, area)
    areas = np.empty(height)
    left, right = transform.c, transform.c + transform.a
    for row in range(height):
        top, bottom = transform.f + row * transform.e, transform.f + (row + 1) * transform.e
        area, _ = _WGS84.polygon_area_perimeter([left, right, right, left], [bottom, bottom, top, top])
        areas[row] = abs(area) / 10_000
    return areas


def pixel_size_m(grid: GeoBox) -> float:
    """Side of a square as large as a pixel in the middle row, m."""
    return float(np.sqrt(pixel_area_ha(grid)[grid.shape[0] // 2] * 10_000))


def overview_grid(grid: GeoBox, *, max_side: int) -> GeoBox:
    """The same ground on fewer pixels: the longer side has at most `max_side`."""
    height, width = grid.shape
    factor = max(height, width) / max_side
    if factor <= 1:
        return grid
    return resized(grid, (max(round(height / factor), 1), max(round(width / factor), 1)))


def resized(grid: GeoBox, shape: tuple[int, int]) -> GeoBox:
    """The same ground on `shape` (rows, columns) pixels."""
    height, width = grid.shape
    # Not `zoom_to`: odc-geo multiplies affines in a way that the affine package warns about.
    return GeoBox(shape, grid.transform @ Affine.scale(width / shape[1], height / shape[0]), grid.crs)


def latitude_longitude_bounds(grid: GeoBox) -> tuple[float, float, float, float]:
    """West, south, east, north in degrees; west is greater than east where the grid crosses the 180th meridian.

    Raises:
        MissingCRSError: If the grid has no coordinate system.
    """
    if grid.crs is None:
        raise MissingCRSError("The grid has no coordinate system, so nobody knows where on Earth it lies.")
    box = grid.boundingbox
    degrees = Transformer.from_crs(grid.crs.proj, "EPSG:4326", always_xy=True)
    west, south, east, north = degrees.transform_bounds(box.left, box.bottom, box.right, box.top)
    return float(west), float(south), float(east), float(north)


def strips(grid: GeoBox, *, rows: int) -> Iterator[Window]:
    """Full-width windows of at most `rows` rows, top to bottom."""
    height, width = grid.shape
    for row in range(0, height, rows):
        yield Window(0, row, width, min(rows, height - row))
