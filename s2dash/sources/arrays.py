"""Pixels that are already in memory: for notebooks, tests, and scenes computed on the fly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from s2dash.grid import slices
from s2dash.types import NumberArray


@dataclass(frozen=True)
class ArraySource:
    """Digital numbers in an array."""

    grid: GeoBox
    """Where the pixels lie."""
    bands: tuple[str, ...]
    """Names, in the order of `numbers`."""
    numbers: NumberArray
    """Shape (band, y, x); 0 (integers) or NaN (floats) is no data."""
    scl: NumberArray | None = None
    """Scene classification, shape (y, x)."""

    def __post_init__(self) -> None:
        if self.numbers.shape != (len(self.bands), *self.grid.shape):
            raise ValueError(
                f"{len(self.bands)} bands on a grid of {self.grid.shape} need numbers of shape "
                f"{(len(self.bands), *self.grid.shape)}, not {self.numbers.shape}."
            )

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the digital numbers."""
        return self.numbers.dtype

    def read(self, bands: Sequence[str], window: Window) -> NumberArray:
        """Digital numbers of `bands`, shape (band, y, x)."""
        return self.numbers[(self._indices(bands), *slices(window))]

    def read_scl(self, window: Window) -> NumberArray | None:
        """Scene classification, shape (y, x)."""
        return None if self.scl is None else self.scl[slices(window)]

    def read_overview(self, bands: Sequence[str], shape: tuple[int, int]) -> NumberArray:
        """Digital numbers thinned by nearest neighbour."""
        return thin(self.numbers[self._indices(bands)], shape)

    def read_scl_overview(self, shape: tuple[int, int]) -> NumberArray | None:
        """Scene classification thinned by nearest neighbour."""
        return None if self.scl is None else thin(self.scl, shape)

    def _indices(self, bands: Sequence[str]) -> slice | list[int]:
        if tuple(bands) == self.bands:
            return slice(None)
        return [self.bands.index(band) for band in bands]


def thin(array: NumberArray, shape: tuple[int, int]) -> NumberArray:
    """Nearest-neighbour thinning of the last two axes: each new pixel takes the old one at its centre."""
    height, width = array.shape[-2:]
    rows = np.minimum(((np.arange(shape[0]) + 0.5) * height / shape[0]).astype(int), height - 1)
    cols = np.minimum(((np.arange(shape[1]) + 0.5) * width / shape[1]).astype(int), width - 1)
    return array[..., rows[:, None], cols[None, :]]
