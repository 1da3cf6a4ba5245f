"""Fetched imagery on disk: blocks of images, so that nothing is downloaded twice and what broke off goes on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from s2dash.errors import OutputError
from s2dash.grid import blocks, window_grid
from s2dash.progress import Progress
from s2dash.sources.stac.addresses import cache_root, without_query
from s2dash.sources.stac.items import SceneItem
from s2dash.sources.stac.load import READ_ERRORS, ImageReader
from s2dash.types import NumberArray

BLOCK_SIDE = 1024
"""Side of a block, pixels: as large as the tiles most archives store, so that few are fetched twice."""
GIGABYTES = "S2DASH_IMAGERY_GB"
"""Environment variable: how much is kept, gigabytes (10⁹ bytes); images that were not used longest go first."""
_KEPT_GB = 20.0
_VERSION = 1


@dataclass(frozen=True)
class ImageryCache:
    """A folder of images on grids, block by block. Several processes may use it at once."""

    root: Path = field(default_factory=cache_root)
    """The folder."""

    def image(self, image: SceneItem, reader: ImageReader, grid: GeoBox, shifts: Mapping[str, int]) -> CachedImage:
        """An image on a grid; nothing is fetched yet. `shifts` as in `ImageReader.read`."""
        about = {
            "version": _VERSION,
            "bands": list(reader.bands),
            "crs": grid.crs.to_wkt() if grid.crs else "",
            "transform": list(grid.transform)[:6],
            "shape": [int(side) for side in grid.shape],
            "tiles": [
                {
                    "id": tile.id,
                    "collection": tile.collection,
                    "shift": shifts.get(tile.id, 0),
                    "files": {band: without_query(tile.assets[band].address) for band in reader.bands},
                }
                for tile in image.tiles
            ],
        }
        return CachedImage(self.folder("images", about), about, image, reader, grid, dict(shifts))

    def folder(self, kind: str, about: Mapping[str, Any]) -> Path:
        """Where something is kept that is fully described by `about`."""
        return self.root / kind / digest(about)

    def remembered(self, kind: str, about: Mapping[str, Any]) -> Any:
        """What `remember` kept, or None."""
        try:
            return json.loads((self.folder(kind, about).with_suffix(".json")).read_text("utf-8"))
        except (OSError, ValueError):
            return None

    def remember(self, kind: str, about: Mapping[str, Any], content: Any) -> None:
        """Keep something small; that the disk is full or read-only does not matter."""
        path = self.folder(kind, about).with_suffix(".json")
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as part:
                part.write_text(json.dumps(content), "utf-8")

    def prune(self, *, keep: Iterable[Path] = (), gigabytes: float | None = None) -> int:
        """Remove the images and scenes that were not used longest until the rest takes at most `gigabytes`.

        Args:
            keep: Folders and files that stay.
            gigabytes: 10⁹ bytes; by default `$S2DASH_IMAGERY_GB`, or 20.

        Returns:
            Number of bytes removed.
        """
        bound = (_bound() if gigabytes is None else gigabytes) * 1e9
        kept = {path.resolve() for path in keep}
        found = [path for kind in ("images", "scenes") for path in (self.root / kind).glob("*")]
        aged = []
        for path in found:
            with contextlib.suppress(OSError):
                aged.append((path.stat().st_mtime, path, _size(path)))
        total, removed = sum(size for _, _, size in aged), 0
        for _, path, size in sorted(aged, key=lambda each: each[0]):
            if total - removed <= bound:
                break
            if path.resolve() in kept:
                continue
            with contextlib.suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                removed += size
        return removed


@dataclass(frozen=True)
class CachedImage:
    """An image on a grid whose blocks are fetched when first asked for."""

    folder: Path
    """Where its blocks lie."""
    about: Mapping[str, Any] = field(repr=False)
    """What it is, without anything secret."""
    image: SceneItem = field(repr=False)
    """The image."""
    reader: ImageReader = field(repr=False)
    """What fetches it."""
    grid: GeoBox = field(repr=False)
    """Where its pixels lie."""
    shifts: Mapping[str, int] = field(repr=False)
    """Added to the numbers of its tiles."""

    @property
    def windows(self) -> list[Window]:
        """Its blocks."""
        return blocks(self.grid, side=BLOCK_SIDE)

    def fetch(self, window: Window, *, progress: Progress | None = None) -> bool:
        """See to it that a block is on disk.

        Returns:
            Whether it had to be fetched.

        Raises:
            ImageryError: If it cannot be fetched.
            OutputError: If it cannot be kept.
        """
        path = self._path(window)
        if path.is_file():
            return False
        numbers = self.reader.read(self.image, window_grid(self.grid, window), shifts=self.shifts, progress=progress)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            notes = self.folder / "about.json"
            if not notes.exists():
                with replacing(notes) as part:
                    part.write_text(json.dumps(self.about, indent=1), "utf-8")
            with replacing(path) as part:
                _write(part, numbers, window_grid(self.grid, window))
        except READ_ERRORS as error:
            raise OutputError(
                f"{self.folder} cannot be written: {error}. Free some space, or name another folder in S2DASH_IMAGERY."
            ) from error
        return True

    def read(self, window: Window, *, progress: Progress | None = None) -> NumberArray:
        """Numbers of a window that lies in one block: (band, y, x), uint16; fetched if need be.

        Raises:
            ImageryError: If it cannot be fetched.
            OutputError: If it cannot be kept.
        """
        row, col = int(window.row_off) // BLOCK_SIDE * BLOCK_SIDE, int(window.col_off) // BLOCK_SIDE * BLOCK_SIDE
        height, width = (int(side) for side in self.grid.shape)
        block = Window(col, row, min(BLOCK_SIDE, width - col), min(BLOCK_SIDE, height - row))
        inner = Window(int(window.col_off) - col, int(window.row_off) - row, window.width, window.height)
        for last in (False, True):
            self.fetch(block, progress=progress)
            try:
                with rasterio.open(self._path(block)) as dataset:
                    return np.asarray(dataset.read(window=inner))
            except READ_ERRORS as error:  # damaged on the disk: fetched once more
                self._path(block).unlink(missing_ok=True)
                if last:
                    raise OutputError(
                        f"{self._path(block)} cannot be read back: {error}. Is the disk failing or full?"
                    ) from error
        raise AssertionError("unreachable")

    def touch(self) -> None:
        """Say that it was used."""
        with contextlib.suppress(OSError):
            os.utime(self.folder)

    def _path(self, window: Window) -> Path:
        return self.folder / f"{int(window.row_off):06d}-{int(window.col_off):06d}.tif"


class replacing:  # noqa: N801 - used like a function
    """A file that is written beside its place and put there when whole: `with replacing(path) as part: …`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Path:
        handle, name = tempfile.mkstemp(prefix=f".{self.path.stem}-", suffix=self.path.suffix, dir=self.path.parent)
        os.close(handle)
        self._part = Path(name)
        return self._part

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            mask = os.umask(0)
            os.umask(mask)
            self._part.chmod(0o666 & ~mask)  # mkstemp made it ours alone
            self._part.replace(self.path)
        else:
            self._part.unlink(missing_ok=True)
        self._part.with_name(self._part.name + ".aux.xml").unlink(missing_ok=True)


def digest(about: Mapping[str, Any]) -> str:
    """A name for something that is fully described by plain values."""
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32]


def _write(path: Path, numbers: NumberArray, grid: GeoBox) -> None:
    count, height, width = numbers.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": "uint16", "nodata": 0}
    storage = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate", "zlevel": 1, "predictor": 2}
    crs = grid.crs.to_wkt() if grid.crs else None
    with rasterio.open(path, "w", **profile, **storage, crs=crs, transform=grid.transform) as file:
        file.write(numbers)


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files)


def _bound() -> float:
    try:
        return max(float(os.environ.get(GIGABYTES, _KEPT_GB)), 0.0)
    except ValueError:
        return _KEPT_GB
