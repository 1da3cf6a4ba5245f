"""Simulated scenes of any size for benchmarks: a small one, repeated, in memory that does not grow with them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from s2dash.bands import method_bands
from s2dash.grid import slices
from s2dash.scene import Provenance, Scene
from s2dash.sources.arrays import thin
from s2dash.testing import make_grid


@dataclass(frozen=True)
class Repeated:
    """A scene of any size that repeats a smaller one, which lies on disk: a `PixelSource` that holds nothing."""

    path: Path
    """Numbers of the smaller one, `.npy` of shape (band, y, x)."""
    height: int
    width: int
    bands: tuple[str, ...] = method_bands()
    dtype = np.dtype(np.uint16)

    @cached_property
    def grid(self) -> GeoBox:
        return make_grid(self.height, self.width)

    @cached_property
    def numbers(self) -> np.ndarray:
        return np.load(self.path, mmap_mode="r")

    def read(self, bands: Sequence[str], window: Window) -> np.ndarray:
        wanted = [self.bands.index(band) for band in bands]
        side = self.numbers.shape[-1]
        rows, cols = slices(window)
        out = np.empty((len(wanted), rows.stop - rows.start, cols.stop - cols.start), dtype=np.uint16)
        for top, there_y in _pieces(rows, side):
            for left, there_x in _pieces(cols, side):
                out[:, there_y, there_x] = self.numbers[wanted, top, left]
        return out

    def read_scl(self, window: Window) -> None:  # noqa: ARG002
        return None

    def read_overview(self, bands: Sequence[str], shape: tuple[int, int]) -> np.ndarray:
        return thin(self.read(bands, Window(0, 0, self.width, self.height)), shape)

    def read_scl_overview(self, shape: tuple[int, int]) -> None:  # noqa: ARG002
        return None


def _pieces(wanted: slice, side: int) -> list[tuple[slice, slice]]:
    """Where in the smaller scene the pieces of a range are, and where they belong in the range."""
    pieces, at = [], wanted.start
    while at < wanted.stop:
        many = min(side - at % side, wanted.stop - at)
        pieces.append((slice(at % side, at % side + many), slice(at - wanted.start, at - wanted.start + many)))
        at += many
    return pieces


def simulated(folder: Path, side: int) -> Path:
    """Numbers of a simulated landscape, made once."""
    from s2dash.grid import blocks
    from s2dash.simulation import simulate_scene

    path = folder / f"simulated-{side}.npy"
    if not path.exists():
        print(f"Simulating {side} x {side} pixels …", file=sys.stderr)
        scene = simulate_scene(size=side, seed=0).scene
        numbers = np.lib.format.open_memmap(path, "w+", np.uint16, (len(scene.bands), side, side))
        for window in blocks(scene.grid):
            numbers[(slice(None), *slices(window))] = scene.source.read(scene.bands, window)
        numbers.flush()
    return path


def scene_of(numbers: str, height: int, width: int) -> Scene:
    """A scene that repeats the numbers."""
    return Scene(
        source=Repeated(Path(numbers), height, width),
        bands=method_bands(),
        provenance=Provenance(title="repeated simulation", kind="simulated"),
    )


def scene_file(folder: Path, side: int, *, base: int) -> Path:
    """The same as a file: ten bands, uint16, tiled, deflate."""
    from s2dash.export.scene import write_scene

    path = folder / f"scene-{side}.tif"
    if not path.exists():
        numbers = simulated(folder, min(side, base))
        print(f"Writing {side} x {side} pixels …", file=sys.stderr)
        write_scene(scene_of(str(numbers), side, side), path)
    return path
