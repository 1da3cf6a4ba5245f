"""What the header of a raster file says, and whether a scene can be made of it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.warp import transform_bounds

from s2dash.errors import MissingCRSError, NotARasterError, SceneError, SceneNotFoundError
from s2dash.grid import latitude_longitude_bounds

GDAL_ERRORS = (RasterioError, CPLE_BaseError, UnicodeError)
"""What a failing read raises: some of GDAL's errors come through without rasterio's clothes, and file names that are no
UTF-8 do not even reach it."""


@dataclass(frozen=True)
class RasterFile:
    """What the header of a raster file says."""

    path: str
    """Absolute path."""
    descriptions: tuple[str, ...]
    """What each band is called, empty where it has no name."""
    dtype: np.dtype[Any]
    """Type of its numbers; the widest where bands differ."""
    nodata: float | None
    """Value that stands for no data, where declared."""
    scales: tuple[float, ...]
    """Scale tag of each band; 1 where there is none."""
    offsets: tuple[float, ...]
    """Offset tag of each band; 0 where there is none."""
    shape: tuple[int, int]
    """Rows and columns."""
    block: tuple[int, int]
    """Rows and columns of the blocks it is stored in."""
    overviews: tuple[int, ...]
    """How many times coarser each overview in the file is, rising."""
    transform: Affine
    """Pixel to map coordinates, as the file has it."""
    crs: Any
    """Coordinate reference system (rasterio), or None."""
    tags: Mapping[str, str]
    """Tags of the file."""

    @property
    def name(self) -> str:
        """File name for the person."""
        return Path(self.path).name

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.descriptions)

    @property
    def pixel_area(self) -> float:
        """Area of a pixel in squared units of its coordinate system."""
        return abs(float(self.transform.determinant))

    @cached_property
    def grid(self) -> GeoBox:
        """Its pixels, north up.

        Raises:
            MissingCRSError: If it does not say where on Earth it lies.
            SceneError: If it is rotated, sheared or without area.
        """
        if self.crs is None or self.transform.is_identity:
            raise MissingCRSError(
                f"{self.path} has no {'coordinate system' if self.crs is None else 'position'}, so nobody knows where "
                "on Earth it lies. Write it into the file first, for example with "
                "gdal_edit.py -a_srs EPSG:32633 -a_ullr LEFT TOP RIGHT BOTTOM FILE."
            )
        across, down = self.transform, max(abs(self.transform.a), abs(self.transform.e))
        if self.pixel_area == 0 or 0 in self.shape:
            raise SceneError(f"{self.path} covers no area: {self.shape[1]} x {self.shape[0]} pixels, {across!r}.")
        if max(abs(across.b), abs(across.d)) > 1e-9 * down:
            raise SceneError(
                f"{self.path} lies on a rotated or sheared grid. Bring it north up first, for example with "
                "gdalwarp -t_srs EPSG:32633 -tr 10 10 FILE NORTH_UP.tif."
            )
        height, width = self.shape
        left, top = min(across.c, across.c + across.a * width), max(across.f, across.f + across.e * height)
        code = self.crs.to_epsg()
        system = f"EPSG:{code}" if code else self.crs.to_wkt()
        grid = GeoBox((height, width), Affine(abs(across.a), 0, left, 0, -abs(across.e), top), system)
        try:
            bounds = latitude_longitude_bounds(grid)
            placed = bool(np.isfinite(bounds).all()) and max(abs(bounds[1]), abs(bounds[3])) < 90 + 1e-6
        except Exception:  # whatever PROJ makes of a local or engineering system
            placed = False
        if not placed:
            raise MissingCRSError(
                f"The coordinates of {self.path} cannot be turned into longitude and latitude: they or their "
                f"coordinate system ({system[:60]}) are wrong. Correct them, or warp the file into a known system "
                "first, for example with gdalwarp -t_srs EPSG:32633."
            )
        return grid


def inspect_raster(path: Path | str) -> RasterFile:
    """Read the header of a raster file.

    Raises:
        SceneNotFoundError: If there is no such file.
        NotARasterError: If GDAL cannot read it, or it is empty.
        SceneError: If its numbers are complex.
    """
    path = Path(path).absolute()
    if not path.exists():
        raise SceneNotFoundError(f"There is no file or folder {path}. Check the spelling, or give the full path.")
    if path.is_file() and path.stat().st_size == 0:
        raise NotARasterError(f"{path} is empty (0 bytes). Download or write it again.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with rasterio.open(path) as dataset:
                return _header(str(path), dataset)
        except GDAL_ERRORS as error:
            hint = " Unpack it first." if path.suffix.lower() in {".zip", ".gz", ".tar", ".7z"} else ""
            raise NotARasterError(
                f"{path} is not a raster that can be read ({first_line(error)}).{hint or ' Is it a GeoTIFF or JP2?'}"
            ) from error


def _header(path: str, dataset: Any) -> RasterFile:
    if dataset.count == 0:
        parts = "; it holds the rasters " + ", ".join(dataset.subdatasets) if dataset.subdatasets else ""
        raise NotARasterError(
            f"{path} holds no bands of its own{parts}. Convert what you need to GeoTIFF, for example with "
            "gdal_translate."
        )
    if any("complex" in name for name in dataset.dtypes):
        raise SceneError(f"{path} holds complex numbers ({dataset.dtypes[0]}), which are no reflectance.")
    dtype = np.result_type(*(np.dtype(name) for name in dataset.dtypes))
    return RasterFile(
        path=path,
        descriptions=tuple(
            text or dataset.tags(index).get("BANDNAME", "") for index, text in enumerate(dataset.descriptions, start=1)
        ),
        dtype=dtype,
        nodata=_usable_nodata(dataset.nodata, dtype),
        scales=tuple(dataset.scales),
        offsets=tuple(dataset.offsets),
        shape=(dataset.height, dataset.width),
        block=dataset.block_shapes[0],
        overviews=tuple(dataset.overviews(1)),
        transform=dataset.transform,
        crs=dataset.crs,
        tags={**dataset.tags(), **dataset.tags(ns="IMAGERY")},
    )


def _usable_nodata(nodata: float | None, dtype: np.dtype[Any]) -> float | None:
    """The declared value, unless the type cannot hold it."""
    if nodata is None or dtype.kind == "f":
        return nodata
    limits = np.iinfo(dtype)
    return nodata if np.isfinite(nodata) and limits.min <= nodata <= limits.max else None


def first_line(error: Exception) -> str:
    """What GDAL said, in one line."""
    return str(error.__cause__ or error).splitlines()[0] if str(error) else type(error).__name__


@dataclass(frozen=True)
class Layer:
    """One band of one file."""

    band: str
    """Sentinel-2 name, or `SCL`."""
    file: RasterFile
    """Where it is stored."""
    index: int
    """Which band of the file, from 1."""


def overlap(file: RasterFile, grid: GeoBox, crs: Any) -> float:
    """Share of the grid's bounding box that the file covers, 0-1."""
    box = file.grid.boundingbox
    bounds = (box.left, box.bottom, box.right, box.top)
    if file.crs != crs:
        bounds = transform_bounds(file.crs, crs, *bounds)
    mine = grid.boundingbox
    wide = min(bounds[2], mine.right) - max(bounds[0], mine.left)
    high = min(bounds[3], mine.top) - max(bounds[1], mine.bottom)
    return float(max(wide, 0.0) * max(high, 0.0) / ((mine.right - mine.left) * (mine.top - mine.bottom)))
