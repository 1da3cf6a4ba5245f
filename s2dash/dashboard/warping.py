"""Pictures warped to the projection of web maps, whole or piece by piece."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from s2dash.dashboard.pictures import MAX_SIDE, PictureArray
from s2dash.errors import GridMismatchError, MissingCRSError
from s2dash.types import LabelArray, NumberArray

Bounds = tuple[tuple[float, float], tuple[float, float]]
"""((south, west), (north, east)) in degrees: outer edges, in Leaflet's order."""

_EARTH = 6378137.0  # radius of the Web Mercator sphere, m


@dataclass(frozen=True)
class Frame:
    """Where a warped picture lies."""

    mercator: str
    """Its projection, as PROJ text."""
    transform: Affine
    """From its pixels to metres of that projection."""
    shape: tuple[int, int]
    """Rows and columns."""
    bounds: Bounds
    """Outer edges; longitudes go beyond 180 degrees where the picture does."""


def frame_of(grid: GeoBox, *, max_side: int = MAX_SIDE, detail: float = 2.0) -> Frame:
    """Where a picture on a grid lies in the projection of web maps.

    Args:
        grid: Any projection, also rotated or across the 180th meridian.
        max_side: Longest side of the result, pixels.
        detail: Pixels of the result per pixel of the picture, at most. Above 1 keeps class borders where they are.

    Raises:
        MissingCRSError: If the grid does not say where it lies.
    """
    height, width = (int(side) for side in grid.shape)
    if grid.crs is None:
        raise MissingCRSError("The picture has no coordinate reference system, so it has no place on a map.")
    # Web Mercator centred on the picture: the same but for a shift in x, and whole where 180 degrees cut through it.
    middle, _ = _to_degrees(str(grid.crs)).transform(*(grid.transform @ (width / 2, height / 2)))
    mercator = (
        f"+proj=merc +a={_EARTH} +b={_EARTH} +lat_ts=0 +lon_0={middle!r} +x_0=0 +y_0=0 +k=1 +units=m "
        "+nadgrids=@null +no_defs"
    )
    left, bottom, right, top, diagonal = _edges(grid, mercator)
    resolution = diagonal / math.hypot(width, height) / detail
    resolution = max(resolution, (right - left) / max_side, (top - bottom) / max_side)
    shape = (
        min(math.ceil((top - bottom) / resolution), max_side),
        min(math.ceil((right - left) / resolution), max_side),
    )

    def degrees(x: float, y: float) -> tuple[float, float]:
        return math.degrees(2 * math.atan(math.exp(y / _EARTH)) - math.pi / 2), middle + math.degrees(x / _EARTH)

    south_west = degrees(left, top - shape[0] * resolution)
    north_east = degrees(left + shape[1] * resolution, top)
    return Frame(mercator, Affine(resolution, 0.0, left, 0.0, -resolution, top), shape, (south_west, north_east))


def warp_to_web_mercator(
    rgba: PictureArray, grid: GeoBox, *, smooth: bool = False, max_side: int = MAX_SIDE, detail: float = 2.0
) -> tuple[PictureArray, Bounds]:
    """A picture in the projection of web maps, and exactly where it lies there.

    Args:
        rgba: Shape (y, x, 4), on `grid`.
        grid: Any projection, also rotated or across the 180th meridian.
        smooth: False takes the nearest pixel, so that class colours stay what they are; True interpolates bilinearly,
            for imagery. Transparency is always nearest.
        max_side: Longest side of the result, pixels.
        detail: Pixels of the result per pixel of the picture, at most. Above 1 keeps class borders where they are.

    Returns:
        A picture of shape (y', x', 4), transparent outside the source, and the bounds of its outer edges. Longitudes
        go beyond 180 degrees where the picture does.

    Raises:
        GridMismatchError: If the picture is not on the grid.
        MissingCRSError: If the grid does not say where it lies.
    """
    _check(rgba, grid)
    frame = frame_of(grid, max_side=max_side, detail=detail)
    (warped,) = _warp_parts(rgba, grid, frame, [(slice(0, frame.shape[0]), slice(0, frame.shape[1]))], smooth=smooth)
    return warped, frame.bounds


def warp_pieces(
    rgba: PictureArray, grid: GeoBox, frame: Frame, *, side: int, smooth: bool = False
) -> Iterator[PictureArray]:
    """The same piece by piece, row by row, so that the whole of a large picture is never in memory twice.

    Args:
        rgba: Shape (y, x, 4), on `grid`.
        grid: Where it lies.
        frame: Where the whole result lies; see `frame_of`.
        side: Of a piece, pixels; those at the end are smaller.
        smooth: See `warp_to_web_mercator`.

    Raises:
        GridMismatchError: If the picture is not on the grid.
    """
    _check(rgba, grid)
    yield from _warp_parts(rgba, grid, frame, parts(frame.shape, side=side), smooth=smooth)


def warp_codes(codes: LabelArray, grid: GeoBox, frame: Frame) -> LabelArray:
    """Codes by nearest neighbour; 0 outside the grid.

    Args:
        codes: Shape (y, x), uint8, on `grid`.
        grid: Where they lie.
        frame: Where the result lies; see `frame_of`.
    """
    from rasterio.warp import Resampling

    whole = (slice(0, frame.shape[0]), slice(0, frame.shape[1]))
    return np.ascontiguousarray(_reproject(codes[None], grid, frame, whole, Resampling.nearest)[0])


def parts(shape: tuple[int, int], *, side: int) -> list[tuple[slice, slice]]:
    """Rows and columns of the pieces of a picture, row by row."""
    height, width = shape
    return [
        (slice(row, min(row + side, height)), slice(col, min(col + side, width)))
        for row in range(0, height, side)
        for col in range(0, width, side)
    ]


def _check(rgba: PictureArray, grid: GeoBox) -> None:
    height, width = (int(side) for side in grid.shape)
    if rgba.shape != (height, width, 4):
        raise GridMismatchError(f"A picture of shape {rgba.shape} does not lie on a grid of {height} x {width} pixels.")


def _warp_parts(
    rgba: PictureArray, grid: GeoBox, frame: Frame, wanted: list[tuple[slice, slice]], *, smooth: bool
) -> Iterator[PictureArray]:
    from rasterio.warp import Resampling

    bands = np.ascontiguousarray(np.moveaxis(rgba, -1, 0))
    opaque = bool((bands[3] == 255).all())
    weighted: NumberArray | None = None
    if smooth and not opaque:
        # Colours weighted by alpha, so that transparent pixels lend their neighbours no black.
        alpha = bands[3:].astype(np.float32) / 255.0
        weighted = np.concatenate([bands[:3] * alpha, alpha]).astype(np.float32)
    for part in wanted:
        if smooth and opaque:  # nothing to weight: a quarter of the memory and of the time
            rows, columns = (piece.stop - piece.start for piece in part)
            warped = np.empty((rows, columns, 4), dtype=np.uint8)
            warped[..., 3] = _reproject(bands[3:], grid, frame, part, Resampling.nearest)[0]
            warped[..., :3] = np.moveaxis(_reproject(bands[:3], grid, frame, part, Resampling.bilinear), 0, -1)
        else:
            nearest = _reproject(bands, grid, frame, part, Resampling.nearest)
            warped = np.ascontiguousarray(np.moveaxis(nearest, 0, -1))
        if weighted is not None:
            blended = _reproject(weighted, grid, frame, part, Resampling.bilinear)
            shown = (warped[..., 3] > 0) & (blended[3] > 0)
            colours = np.rint(np.clip(blended[:3, shown] / blended[3, shown], 0, 255))
            warped[shown, :3] = colours.T.astype(np.uint8)
        warped[warped[..., 3] == 0] = 0
        yield warped


def _reproject(
    bands: NumberArray, grid: GeoBox, frame: Frame, part: tuple[slice, slice], resampling: object
) -> NumberArray:
    from rasterio.crs import CRS
    from rasterio.warp import reproject

    rows, columns = part
    warped = np.zeros((len(bands), rows.stop - rows.start, columns.stop - columns.start), dtype=bands.dtype)
    reproject(
        bands,
        warped,
        src_transform=grid.transform,
        src_crs=CRS.from_user_input(str(grid.crs)),
        dst_transform=frame.transform @ Affine.translation(columns.start, rows.start),
        dst_crs=CRS.from_proj4(frame.mercator),
        resampling=resampling,
        tolerance=0,  # GDAL's default is off by up to an eighth of a pixel, enough to move class borders
    )
    return warped


@cache
def _to_degrees(crs: str) -> Transformer:
    return Transformer.from_crs(crs, "EPSG:4326", always_xy=True)


def _edges(grid: GeoBox, projection: str) -> tuple[float, float, float, float, float]:
    """Left, bottom, right, top of the grid's outline in another projection, and the length of its diagonal there."""
    height, width = (int(side) for side in grid.shape)
    across, down = np.linspace(0, width, 65), np.linspace(0, height, 65)
    columns = np.concatenate([across, across, np.zeros(65), np.full(65, float(width))])
    rows = np.concatenate([np.zeros(65), np.full(65, float(height)), down, down])
    affine = grid.transform
    x, y = Transformer.from_crs(str(grid.crs), projection, always_xy=True).transform(
        affine.a * columns + affine.b * rows + affine.c, affine.d * columns + affine.e * rows + affine.f
    )
    return float(x.min()), float(y.min()), float(x.max()), float(y.max()), math.hypot(x[64] - x[65], y[64] - y[65])
