"""Pixels in raster files: one stack or a file a band, read window by window from any thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.env import getenv, hasenv, set_gdal_config
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from s2dash.errors import NotARasterError
from s2dash.grid import BLOCK, blocks, full_window, resized, slices
from s2dash.parallel import ordered_map
from s2dash.sources.header import GDAL_ERRORS, Layer, RasterFile, first_line
from s2dash.sources.resample import bilinear, lines, nearest, part_of_file
from s2dash.types import NumberArray

CACHE_BYTES = (64 * 2**20, 256 * 2**20)
"""Least and most that GDAL may keep of decoded file blocks. Its own default is a twentieth of the machine's memory."""

_STRIP = 128
"""Rows that are read at once where the blocks of a file are as wide as the file."""
_cache_lock = threading.Lock()


class _Handles:
    """Open datasets of each thread: GDAL's may not be shared between threads, nor survive a fork."""

    def __init__(self) -> None:
        self._local = threading.local()

    def get(self, key: tuple[str, str], opener: Callable[[], Any]) -> Any:
        """The calling thread's dataset, opened when first asked for; it is closed with the thread or the source."""
        held: dict[Any, Any] | None = getattr(self._local, "held", None)
        if held is None:
            held = self._local.held = {}
        known = (os.getpid(), *key)
        if known not in held:
            held[known] = opener()
        return held[known]

    def __reduce__(self) -> tuple[type[_Handles], tuple[()]]:
        return _Handles, ()


@dataclass(frozen=True)
class RasterSource:
    """Digital numbers in files, brought to one grid where they are read.

    Files on the grid are read as they are. Others are resampled: bilinear for reflectance, with no-data left out of
    every mean, nearest neighbour for the scene classification.
    """

    grid: GeoBox
    """The grid of every window."""
    layers: tuple[Layer, ...]
    """Where each band lies, in the order of `bands`."""
    scl: Layer | None = None
    """Where the scene classification lies."""
    _handles: _Handles = field(default_factory=_Handles, repr=False, compare=False)

    def __post_init__(self) -> None:
        files = {layer.file.path: layer.file for layer in self.layers}
        _bound_cache(sum(_row_bytes(file) for file in files.values()))

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands."""
        return tuple(layer.band for layer in self.layers)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the digital numbers."""
        return np.dtype(np.result_type(*(layer.file.dtype for layer in self.layers)))

    def read(self, bands: Sequence[str], window: Window) -> NumberArray:
        """Digital numbers of `bands`, shape (band, y, x); 0 (integers) or NaN (floats) is no data.

        Float pixels that are exactly 0 in every band asked for are no data too.

        Raises:
            NotARasterError: If a file is truncated or damaged there.
        """
        shape = (int(window.height), int(window.width))
        return self._gather(bands, shape, lambda file, indexes, out: self._read(file, indexes, window, out))

    def read_scl(self, window: Window) -> NumberArray | None:
        """Scene classification, shape (y, x), uint8; None where there is none."""
        if self.scl is None:
            return None
        file, index = self.scl.file, self.scl.index
        if file.path in self._aligned:
            return _as_classes(self._guard(file, lambda: self._plain(file).read(index, window=window)))
        if file.crs == self._crs:
            rows, cols = lines(window, grid=self.grid, transform=file.transform, shape=file.shape)
            part = self._guard(file, lambda: self._plain(file).read(index, window=part_of_file(rows, cols)))
            return nearest(_as_classes(part), rows, cols)
        return self._read_warped_classes(file, index, window)

    def read_overview(self, bands: Sequence[str], shape: tuple[int, int]) -> NumberArray:
        """Digital numbers of the whole scene on fewer pixels, nearest neighbour; uses file overviews if any."""
        if shape == self._shape:
            return self.read(bands, full_window(self.grid))
        return self._gather(bands, shape, lambda file, indexes, out: self._read_thin(file, indexes, shape, out))

    def read_scl_overview(self, shape: tuple[int, int]) -> NumberArray | None:
        """Scene classification of the whole scene on fewer pixels; never from overviews, which may be averages."""
        if self.scl is None:
            return None
        if shape == self._shape:
            return self.read_scl(full_window(self.grid))
        file, index = self.scl.file, self.scl.index
        if file.path in self._same_ground and shape[0] <= file.shape[0] and shape[1] <= file.shape[1]:
            return _as_classes(self._thin(file, [index], shape, level=None)[0])
        return _as_classes(self._guard(file, lambda: self._warped_once(file, shape, classes=True).read(index)))

    @property
    def _shape(self) -> tuple[int, int]:
        return int(self.grid.shape[0]), int(self.grid.shape[1])

    def _gather(
        self,
        bands: Sequence[str],
        shape: tuple[int, int],
        read: Callable[[RasterFile, list[int], NumberArray | None], NumberArray],
    ) -> NumberArray:
        runs = self._runs(bands)
        if len(runs) == 1:
            file, indexes = runs[0]
            numbers = read(file, indexes, None)
        else:
            numbers = np.empty((len(bands), *shape), dtype=self.dtype)
            start = 0
            for file, indexes in runs:
                read(file, indexes, numbers[start : start + len(indexes)])
                start += len(indexes)
        if np.issubdtype(numbers.dtype, np.floating):
            numbers[:, (numbers == 0).all(axis=0)] = np.nan
        return numbers

    def _runs(self, bands: Sequence[str]) -> list[tuple[RasterFile, list[int]]]:
        """Bands that lie in one file, one after the other in `bands`, are read at once."""
        where = {layer.band: layer for layer in self.layers}
        runs: list[tuple[RasterFile, list[int]]] = []
        for band in bands:
            layer = where[band]
            if runs and runs[-1][0] is layer.file:
                runs[-1][1].append(layer.index)
            else:
                runs.append((layer.file, [layer.index]))
        return runs

    def _read(self, file: RasterFile, indexes: list[int], window: Window, out: NumberArray | None) -> NumberArray:
        if file.path in self._aligned:
            numbers = self._guard(file, lambda: self._plain(file).read(indexes, window=window, out=out))
            return _mark_nodata(numbers, file)
        rows, cols = lines(window, grid=self.grid, transform=file.transform, shape=file.shape)
        coarse = self._guard(file, lambda: self._plain(file).read(indexes, window=part_of_file(rows, cols)))
        coarse = _mark_nodata(coarse, file)
        if out is None:
            out = np.empty((len(indexes), int(window.height), int(window.width)), dtype=coarse.dtype)
        for target, band in zip(out, coarse, strict=True):
            target[...] = bilinear(band, rows, cols)
        return out

    def _read_warped_classes(self, file: RasterFile, index: int, window: Window) -> NumberArray:
        """Classes in other coordinates: always warped in the same tiles, since GDAL's places depend on the request."""
        grid, key = self.grid, (file.path, "classes")
        handle = self._guard(file, lambda: self._handles.get(key, lambda: self._warped(file, grid, classes=True)))
        rows, cols = slices(window)
        classes = np.empty((int(window.height), int(window.width)), dtype=np.uint8)
        for tile in blocks(grid):
            high, wide = slices(tile)
            top, bottom = max(high.start, rows.start), min(high.stop, rows.stop)
            left, right = max(wide.start, cols.start), min(wide.stop, cols.stop)
            if top < bottom and left < right:
                warped = _as_classes(self._guard(file, partial(handle.read, index, window=tile)))
                part = warped[top - high.start : bottom - high.start, left - wide.start : right - wide.start]
                classes[top - rows.start : bottom - rows.start, left - cols.start : right - cols.start] = part
        return classes

    def _read_thin(
        self, file: RasterFile, indexes: list[int], shape: tuple[int, int], out: NumberArray | None
    ) -> NumberArray:
        if file.path in self._same_ground and shape[0] <= file.shape[0] and shape[1] <= file.shape[1]:
            coarser = min(file.shape[0] / shape[0], file.shape[1] / shape[1])
            levels = [level for level, factor in enumerate(file.overviews) if factor <= coarser]
            numbers = self._thin(file, indexes, shape, level=levels[-1] if levels else None, out=out)
        else:
            numbers = self._guard(file, lambda: self._warped_once(file, shape, classes=False).read(indexes, out=out))
        return _mark_nodata(numbers, file)

    def _thin(
        self,
        file: RasterFile,
        indexes: list[int],
        shape: tuple[int, int],
        *,
        level: int | None,
        out: NumberArray | None = None,
    ) -> NumberArray:
        """Pixels of a file, or of one of its overviews, at the centres of coarser ones.

        Read part by part: GDAL's own thinned read goes through the whole file once a band, and decodes all of it each
        time where bands are interleaved and its cache is small.
        """
        height, width = self._guard(file, lambda: self._plain(file, level).shape)
        rows, cols = (
            np.minimum(((np.arange(new) + 0.5) * old / new).astype(np.int64), old - 1)
            for new, old in zip(shape, (height, width), strict=True)
        )
        if out is None:
            out = np.empty((len(indexes), *shape), dtype=file.dtype)

        def read(part: Window) -> tuple[slice, slice, NumberArray]:
            high, wide = slices(part)
            down = slice(*np.searchsorted(rows, (high.start, high.stop)))
            right = slice(*np.searchsorted(cols, (wide.start, wide.stop)))
            if down.start == down.stop or right.start == right.stop:
                return down, right, np.empty((len(indexes), 0, 0), dtype=file.dtype)
            numbers = self._guard(file, lambda: self._plain(file, level).read(indexes, window=part))
            return down, right, numbers[:, (rows[down] - high.start)[:, None], cols[right] - wide.start]

        for down, right, numbers in ordered_map(read, _parts(height, width, file.block)):
            if numbers.size:
                out[:, down, right] = numbers
        return out

    @cached_property
    def _same_ground(self) -> frozenset[str]:
        """Paths of the files that cover exactly the ground of the grid, north up, at whatever resolution."""
        layers = self.layers if self.scl is None else (*self.layers, self.scl)
        return frozenset(layer.file.path for layer in layers if self._covers_exactly(layer.file))

    @cached_property
    def _aligned(self) -> frozenset[str]:
        """Paths of the files that lie on the grid pixel by pixel."""
        layers = self.layers if self.scl is None else (*self.layers, self.scl)
        return frozenset(layer.file.path for layer in layers if layer.file.shape == self._shape) & self._same_ground

    def _covers_exactly(self, file: RasterFile) -> bool:
        if file.crs != self._crs or file.transform.a < 0 or file.transform.e > 0:
            return False
        mine, theirs = self.grid.boundingbox, file.grid.boundingbox
        tolerance = 1e-3 * abs(self.grid.transform.a)
        return all(abs(a - b) <= tolerance for a, b in zip(mine, theirs, strict=True))

    @property
    def _crs(self) -> Any:
        return self.layers[0].file.crs

    def _plain(self, file: RasterFile, level: int | None = None) -> Any:
        """The calling thread's dataset of the file, or of one of its overviews."""
        if level is None:
            return self._handles.get((file.path, "plain"), partial(rasterio.open, file.path))
        return self._handles.get(
            (file.path, f"overview {level}"), partial(rasterio.open, file.path, overview_level=level)
        )

    def _warped_once(self, file: RasterFile, shape: tuple[int, int], *, classes: bool) -> Any:
        return self._warped(file, resized(self.grid, shape), classes=classes)

    def _warped(self, file: RasterFile, grid: GeoBox, *, classes: bool) -> WarpedVRT:
        height, width = grid.shape
        floats = file.dtype.kind == "f" and not classes
        return WarpedVRT(
            self._plain(file),
            crs=self._crs,
            transform=grid.transform,
            height=int(height),
            width=int(width),
            resampling=Resampling.nearest if classes else Resampling.bilinear,
            src_nodata=0 if file.nodata is None else file.nodata,
            nodata=np.nan if floats else 0 if file.nodata is None else file.nodata,
            UNIFIED_SRC_NODATA="NO",
        )

    def _guard(self, file: RasterFile, action: Callable[[], Any]) -> Any:
        """Run a read; whatever GDAL says becomes an error that names the file."""
        try:
            return action()
        except GDAL_ERRORS as error:
            raise NotARasterError(
                f"{file.path} cannot be read to the end ({first_line(error)}). It is truncated or damaged, or was "
                "removed: download or write it again."
            ) from error


def _mark_nodata(numbers: NumberArray, file: RasterFile) -> NumberArray:
    """Put 0 (integers) or NaN (floats) where the file's own value for no data stands; in all channels of a picture."""
    nodata = file.nodata
    if nodata is None or np.isnan(nodata):
        return numbers
    if numbers.dtype.kind == "f":
        numbers[numbers == numbers.dtype.type(nodata)] = np.nan
    elif nodata != 0:
        marked = numbers == nodata
        # 255 in one of three channels is a bright roof, as 0 in one of them is a shadow (see `has_data`)
        numbers[marked & marked.all(axis=0) if numbers.dtype == np.uint8 and numbers.ndim == 3 else marked] = 0
    return numbers


def _as_classes(numbers: NumberArray) -> NumberArray:
    if numbers.dtype == np.uint8:
        return numbers
    classes: NumberArray = np.clip(np.nan_to_num(numbers, nan=0, posinf=0, neginf=0), 0, 255).astype(np.uint8)
    return classes


def _parts(height: int, width: int, block: tuple[int, int]) -> list[Window]:
    """Windows that cover a file and cut none of its blocks."""
    rows, cols = block
    wide = width if cols >= width else -(-BLOCK // cols) * cols
    high = -(-(BLOCK if wide < width else _STRIP) // rows) * rows
    return [
        Window(col, row, min(wide, width - col), min(high, height - row))
        for row in range(0, height, high)
        for col in range(0, width, wide)
    ]


def _row_bytes(file: RasterFile) -> int:
    """Decoded file blocks that a row of windows goes through, if windows cut file blocks apart."""
    rows, cols = file.block
    if BLOCK % rows == 0 and BLOCK % cols == 0:
        return 0
    return max(rows, BLOCK) * file.shape[1] * file.count * file.dtype.itemsize


def _bound_cache(wanted: int) -> None:
    """Give GDAL's block cache a bound for the whole process, unless the person has set one."""
    if "GDAL_CACHEMAX" in os.environ or (hasenv() and "GDAL_CACHEMAX" in getenv()):
        return
    global _cache_bytes
    with _cache_lock:
        least, most = CACHE_BYTES
        _cache_bytes = min(max(_cache_bytes, wanted, least), most)
        set_gdal_config("GDAL_CACHEMAX", _cache_bytes)


_cache_bytes = 0
