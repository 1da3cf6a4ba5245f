"""Bringing class rasters of any grid and any codes onto the scene's own grid and scheme, block by block."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from s2dash.errors import MissingCRSError, NoOverlapError, NotARasterError, ReferenceMapError, SchemeError
from s2dash.grid import blocks, latitude_longitude_bounds, slices, spread_blocks
from s2dash.map_values import MapValue, in_order
from s2dash.progress import Progress, steps
from s2dash.schemes import NO_DATA, UNDECIDED, ClassScheme, SchemeMap
from s2dash.types import BoolArray, FloatArray, LabelArray, NumberArray

RASTER_ERRORS = (RasterioError, CPLE_BaseError, OSError, UnicodeError)
"""What reading a raster may raise; the last where its name is no text that GDAL takes."""

_SIDE = 1024
"""Side of the blocks that are warped at a time, pixels: the tile size of WorldCover."""
_LOOKED_AT = 36
"""Blocks of 512 x 512 pixels that are looked at to find out what a raster holds."""
_TOLERANCE = 1e-3
"""How far off a pixel may be put, pixels: GDAL's own eighth moves one border pixel in twenty, and is hardly faster."""
_MAX_WHOLE = 2.0**53
"""Floats beyond this no longer tell neighbouring whole numbers apart."""


class ClassCanvas:
    """Class codes on a grid while they are painted from one raster or several."""

    def __init__(self, grid: GeoBox, *, scheme: ClassScheme, scheme_map: SchemeMap | None = None) -> None:
        """An empty canvas.

        Args:
            grid: The scene's grid.
            scheme: The scheme of the result.
            scheme_map: How the rasters' codes become codes of `scheme`; by default they already are.

        Raises:
            SchemeError: If `scheme_map` leads elsewhere.
            MissingCRSError: If the grid does not say where it lies.
        """
        scheme_map = scheme_map or SchemeMap(scheme.name, scheme.name, {code: code for code in scheme.codes})
        strangers = sorted({*scheme_map.codes.values(), *scheme_map.names.values()} - {NO_DATA, *scheme.codes})
        if scheme_map.target != scheme.name or strangers:
            raise SchemeError(
                f"The class mapping from {scheme_map.source!r} leads to {scheme_map.target!r}"
                f"{f' with the codes {strangers}' if strangers else ''}, but the map is in {scheme.name!r}. "
                "Give a mapping to the scheme of the map."
            )
        if grid.crs is None:
            raise MissingCRSError("The scene does not say where on Earth it lies, so no reference can be laid over it.")
        self.grid, self.scheme, self.scheme_map = grid, scheme, scheme_map
        self.codes: LabelArray = np.zeros(grid.shape, dtype=np.uint8)
        self.unknown: Counter[MapValue] = Counter()
        self.filled = 0

    def paint(self, dataset: Any, *, band: int, source: str, progress: Progress) -> None:
        """Lay a raster over the canvas, by nearest neighbour, where that is still empty.

        Args:
            dataset: An open rasterio dataset.
            band: Its band, from 1.
            source: What to call it in errors.
            progress: Told about each block.

        Raises:
            ReferenceMapError: If it holds other than whole numbers.
        """
        _check_real(dataset, band, source)
        windows = blocks(self.grid, side=_SIDE)
        for turn in _turns(dataset, self.grid):
            if self.filled == self.codes.size:
                return
            with _on_grid(dataset, self.grid, turn=turn) as (raster, aligned):
                for window in steps(windows, total=len(windows), progress=progress, text="Reading the reference map"):
                    values, alpha = _read(raster, band, window, aligned)
                    self._fill(window, values, alpha > 0, source)

    def _fill(self, window: Window, values: NumberArray, valid: BoolArray, source: str) -> None:
        target = self.codes[slices(window)]
        valid &= target == NO_DATA
        if np.issubdtype(values.dtype, np.floating):
            valid &= ~np.isnan(values)
            values = _whole_numbers(np.where(valid, values, 0), source)
        found, position = _distinct(values)
        known = self.scheme_map.codes
        valid &= ~np.isin(found, [code for code in (NO_DATA, UNDECIDED) if code not in known])[position]
        translated, _ = self.scheme_map.apply(found)
        np.copyto(target, translated[position], where=valid)
        self.filled += int(np.count_nonzero(valid))
        unknown = ~np.isin(found, list(known))
        if unknown.any():
            counts = np.bincount(position[valid], minlength=len(found))
            self.unknown.update({int(found[i]): int(counts[i]) for i in np.flatnonzero(unknown & (counts > 0))})

    def check(self, source: str) -> None:
        """Refuse a map on which no class is left to compare.

        Raises:
            ReferenceMapError: If every pixel is unknown or left out.
        """
        if self.codes.any():
            return
        if self.unknown:
            known = _listed({*self.scheme_map.codes, *self.scheme_map.names})
            raise ReferenceMapError(
                f"Every code of {source} under the scene is unknown: {_listed(self.unknown)}. Known from "
                f"{self.scheme_map.source!r}: {known}. Say what the codes mean with "
                "--reference-scheme or --reference-map."
            )
        raise ReferenceMapError(
            f"The class mapping from {self.scheme_map.source!r} leaves out every class that {source} has under the "
            "scene. Change the mapping, or give another map."
        )


def raster_values(dataset: Any, grid: GeoBox, *, band: int, source: str) -> tuple[Counter[int], float]:
    """What a raster holds at a grid, from blocks at full resolution spread over it: overviews may hold means of codes.

    Args:
        dataset: An open rasterio dataset.
        grid: The scene's grid.
        band: Its band, from 1.
        source: What to call it in errors.

    Returns:
        Pixels of the grid by value, without the file's no-data value; and the share of the grid looked at, 0-1.

    Raises:
        ReferenceMapError: If it holds other than whole numbers.
    """
    _check_real(dataset, band, source)
    found: Counter[int] = Counter()
    windows = spread_blocks(grid, count=_LOOKED_AT)
    for turn in _turns(dataset, grid):
        with _on_grid(dataset, grid, turn=turn) as (raster, aligned):
            for window in windows:
                values, alpha = _read(raster, band, window, aligned)
                values = values[(alpha > 0) & ~np.isnan(values)]
                if np.issubdtype(values.dtype, np.floating):
                    values = _whole_numbers(values, source)
                found.update({int(v): int(n) for v, n in zip(*np.unique(values, return_counts=True), strict=True)})
    seen = sum(int(window.height) * int(window.width) for window in windows)
    return found, seen / (grid.shape[0] * grid.shape[1])


def same_grid(first: GeoBox, second: GeoBox) -> bool:
    """Whether two grids share size, reference system and, to a thousandth of a pixel, position."""
    if first.shape != second.shape or first.crs != second.crs:
        return False
    height, width = first.shape
    shift = ~first.transform @ second.transform
    corners = [(0.0, 0.0), (float(width), 0.0), (0.0, float(height)), (float(width), float(height))]
    return all(np.allclose(shift @ corner, corner, rtol=0, atol=1e-3) for corner in corners)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn GDAL's complaints about a local file into ours.

    Raises:
        NotARasterError: Instead of them.
    """
    try:
        yield
    except RASTER_ERRORS as error:
        kind = "it is a folder" if path.is_dir() else "there is no such file"
        reason = "it is not a raster, or damaged or truncated" if path.is_file() else kind
        raise NotARasterError(
            f"The reference {path} cannot be read: {reason} ({error}). Give another file, or fetch it again."
        ) from error


@contextmanager
def open_georeferenced(path: Path | str) -> Iterator[Any]:
    """An open dataset that says where it lies.

    Raises:
        MissingCRSError: If it does not.
    """
    with warnings.catch_warnings():
        # Said more plainly just below.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        dataset = rasterio.open(path)
    with dataset:
        if dataset.crs is None or dataset.transform.is_identity:
            raise MissingCRSError(
                f"The reference {path} has no {'reference system' if dataset.crs is None else 'georeferencing'}, so "
                "nobody knows where it lies. Assign it (gdal_edit.py -a_srs, or QGIS: Assign projection) and try again."
            )
        yield dataset


def no_data_error(path: Path, dataset: Any, grid: GeoBox) -> NoOverlapError:
    """Why a raster has nothing to say about a grid: it lies elsewhere, or is empty there."""
    scene = latitude_longitude_bounds(grid)
    to_raster = Transformer.from_crs(4326, dataset.crs.to_wkt(), always_xy=True)
    with np.errstate(invalid="ignore"):  # where a projection ends, it answers with infinity
        columns, rows = _apply(~dataset.transform, *to_raster.transform(*lattice_degrees(grid, samples=33)))
    inside = (columns >= 0) & (columns <= dataset.width) & (rows >= 0) & (rows <= dataset.height)
    if inside.any():
        return NoOverlapError(f"The reference {path} holds no data on the scene ({degrees(scene)}). Give another map.")
    return NoOverlapError(
        f"The reference {path} does not overlap the scene: the scene lies at {degrees(scene)}, the reference at "
        f"{degrees(latitude_longitude_bounds(GeoBox.from_rio(dataset)))}. Give a map of the same place."
    )


def lattice_degrees(grid: GeoBox, *, samples: int) -> tuple[FloatArray, FloatArray]:
    """Longitude and latitude of `samples` x `samples` points spread over the grid, edges included.

    Returns:
        Two arrays of shape (samples, samples), degrees.
    """
    height, width = grid.shape
    columns, rows = np.meshgrid(np.linspace(0, width, samples), np.linspace(0, height, samples))
    to_degrees = Transformer.from_crs(grid.crs, 4326, always_xy=True)
    lon, lat = to_degrees.transform(*_apply(grid.transform, columns, rows))
    return np.asarray(lon), np.asarray(lat)


def degrees(bounds: tuple[float, float, float, float]) -> str:
    """West, south, east, north in words."""
    west, south, east, north = bounds
    return f"{west:.4f}° to {east:.4f}° E, {south:.4f}° to {north:.4f}° N"


def _turns(dataset: Any, grid: GeoBox) -> tuple[float, ...]:
    """By how many degrees to turn a raster about the Earth's axis for all of it that lies on the grid to be seen.

    Longitudes may be written from -180° to 180° or from 0° to 360°, and a scene may lie across the 180th meridian.
    """
    if not dataset.crs.is_geographic or same_grid(GeoBox.from_rio(dataset), grid):
        return (0.0,)
    if grid.crs is not None and grid.crs.geographic:
        west, east = grid.boundingbox.left, grid.boundingbox.right
    else:
        longitudes = lattice_degrees(grid, samples=33)[0]
        west, east = float(np.nanmin(longitudes)), float(np.nanmax(longitudes))
    left, right = dataset.bounds.left, dataset.bounds.right
    return (0.0, *(turn for turn in (-360.0, 360.0) if left + turn < east and right + turn > west))


@contextmanager
def _on_grid(dataset: Any, grid: GeoBox, *, turn: float = 0.0) -> Iterator[tuple[Any, bool]]:
    """The raster, turned by some degrees of longitude, as seen on the grid; and whether it already lay there."""
    if not turn and same_grid(GeoBox.from_rio(dataset), grid):
        yield dataset, True
        return
    height, width = grid.shape
    with WarpedVRT(
        dataset,
        crs=CRS.from_wkt(str(grid.crs.to_wkt())) if grid.crs else None,
        transform=grid.transform,
        width=width,
        height=height,
        resampling=Resampling.nearest,
        tolerance=_TOLERANCE,
        src_nodata=dataset.nodata,
        src_transform=Affine.translation(turn, 0.0) @ dataset.transform,
        # Tells no data from a class 0, and from what lies outside the file.
        add_alpha=ColorInterp.alpha not in dataset.colorinterp,
    ) as warped:
        yield warped, False


def _read(raster: Any, band: int, window: Window, aligned: bool) -> tuple[NumberArray, NumberArray]:
    """Values of a window of what `_on_grid` gave, and a mask that is 0 where there is no data."""
    alpha = raster.read_masks(band, window=window) if aligned else raster.read(raster.count, window=window)
    return raster.read(band, window=window), alpha


def _check_real(dataset: Any, band: int, source: str) -> None:
    if np.issubdtype(np.dtype(dataset.dtypes[band - 1]), np.complexfloating):
        raise ReferenceMapError(f"{source} holds complex numbers, not class codes. Give a classified map.")


def _distinct(values: NumberArray) -> tuple[NumberArray, NumberArray]:
    """The values that occur, and for each pixel which of them it has."""
    if values.dtype.itemsize > 2:
        found, position = np.unique(values, return_inverse=True)
        return found, position.reshape(values.shape)
    # Counting narrow integers is several times faster than sorting them.
    low = int(np.iinfo(values.dtype).min)
    index = values.astype(np.intp) - low
    present = np.bincount(index.ravel()) > 0
    rank = np.cumsum(present) - 1
    return np.flatnonzero(present) + low, rank[index]


def _whole_numbers(values: NumberArray, source: str) -> NumberArray:
    broken = values[(values != np.rint(values)) | (np.abs(values) > _MAX_WHOLE)]
    if broken.size:
        raise ReferenceMapError(
            f"{source} holds {broken[0]:g}, which is no class code: a reference map must hold whole numbers. "
            "Is it a continuous layer, or was it resampled other than by nearest neighbour?"
        )
    return values.astype(np.int64)


def _apply(transform: Any, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """An affine transform of whole arrays."""
    return transform.a * x + transform.b * y + transform.c, transform.d * x + transform.e * y + transform.f


def _listed(codes: Any) -> str:
    listed = in_order(codes)
    return ", ".join(str(code) for code in listed[:12]) + (", …" if len(listed) > 12 else "")
