"""What the satellite saw: reflectance, where it is valid, and how one knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from s2dash.grid import blocks, full_window, overview_grid
from s2dash.masking import MaskRule
from s2dash.progress import Progress, Silent, steps
from s2dash.types import BoolArray, FloatArray, NumberArray

Kind = Literal["local", "simulated", "stac"]

LEAST_NUMBER, MOST_NUMBER = -5000, 1e6
"""What lies beyond is a fill value that nobody declared (-9999, -32768, -3.4e38, 1e20), whatever the scale."""


class PixelSource(Protocol):
    """Where digital numbers come from, window by window; safe to read from several threads."""

    @property
    def grid(self) -> GeoBox:
        """The grid all windows refer to."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the Sentinel-2 bands it can read."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the digital numbers."""

    def read(self, bands: Sequence[str], window: Window) -> NumberArray:
        """Digital numbers of `bands`, shape (band, y, x); 0 (integers) or NaN (floats) is no data."""

    def read_scl(self, window: Window) -> NumberArray | None:
        """Scene classification, shape (y, x), uint8; None where there is none."""

    def read_overview(self, bands: Sequence[str], shape: tuple[int, int]) -> NumberArray:
        """Digital numbers of the whole scene, thinned by nearest neighbour to `shape`: (band, y, x)."""

    def read_scl_overview(self, shape: tuple[int, int]) -> NumberArray | None:
        """Scene classification of the whole scene, thinned by nearest neighbour; None where there is none."""


@dataclass(frozen=True)
class Radiometry:
    """How digital numbers become reflectance: `numbers * scale + offset`."""

    scale: float = 1e-4
    """Reflectance per digital number."""
    offset: float = 0.0
    """Added after scaling, in reflectance: -0.1 for unshifted numbers of baseline 04.00 and later."""
    rule: str = "given"
    """Why these numbers: `metadata`, `pixel check`, `given`, `simulated`, `float reflectance`, …"""
    evidence: str = ""
    """The rule in a sentence for the person, with the numbers it rests on."""
    certain: bool = True
    """False where the check could not decide and the person should look."""

    def apply(self, numbers: NumberArray) -> FloatArray:
        """Reflectance of digital numbers, float32, same shape."""
        reflectance = numbers.astype(np.float32)
        reflectance *= np.float32(self.scale)
        reflectance += np.float32(self.offset)
        return reflectance


@dataclass(frozen=True)
class Provenance:
    """Where a scene comes from."""

    title: str
    """What to call it, for the person."""
    kind: Kind = "local"
    """Real pixels from disk or a catalogue, or simulated ones."""
    location: str = ""
    """Path, address, or the parameters of the simulation."""
    acquired: date | None = None
    """Day the image was taken, where known."""
    product: str = ""
    """Product identifier, where known."""
    attribution: str = "Contains modified Copernicus Sentinel data"
    """Text the licence asks for."""
    notes: tuple[str, ...] = ()
    """What a person should know: missing bands, ignored files, guesses."""


@dataclass(frozen=True)
class Validity:
    """How much of a scene can be used."""

    total: int
    """Pixels of the grid."""
    filled: int
    """Pixels with data in every band."""
    clear: int
    """Pixels with data that the scene classification does not mask."""

    @property
    def clear_percent(self) -> float:
        """Clear share of the pixels with data, percent; 0 for an empty scene."""
        return 100.0 * self.clear / self.filled if self.filled else 0.0

    @property
    def valid_percent(self) -> float:
        """Share of all pixels of the grid that are clear, percent."""
        return 100.0 * self.clear / self.total if self.total else 0.0


@dataclass(frozen=True)
class Scene:
    """A Sentinel-2 scene on one grid.

    Nothing is read until asked for, and then only the windows asked for: a whole tile costs no more memory than a
    small one.
    """

    source: PixelSource
    """Where the pixels are read from."""
    bands: tuple[str, ...]
    """The bands kept, in sensor order."""
    missing: tuple[str, ...] = ()
    """Bands of the method that the source does not have."""
    radiometry: Radiometry = field(default_factory=Radiometry)
    """How numbers become reflectance."""
    mask: MaskRule = field(default_factory=MaskRule)
    """Which SCL classes are masked."""
    provenance: Provenance = field(default_factory=lambda: Provenance(title="scene"))
    """Where the scene comes from."""
    season: PixelSource | None = None
    """Statistics of the season on the same grid, if known; its `bands` are layers such as `NDVI_AMPLITUDE`."""

    @property
    def grid(self) -> GeoBox:
        """The grid of every window and of every map made from this scene."""
        return self.source.grid

    @property
    def simulated(self) -> bool:
        """Whether the pixels are simulated; wherever the scene is shown, this must be said."""
        return self.provenance.kind == "simulated"

    def with_mask(self, mask: MaskRule) -> Scene:
        """The same scene under another mask rule."""
        return replace(self, mask=mask)

    def with_radiometry(self, radiometry: Radiometry) -> Scene:
        """The same scene under another scale and offset."""
        return replace(self, radiometry=radiometry)

    def read_numbers(self, window: Window, *, bands: Sequence[str] | None = None) -> tuple[NumberArray, BoolArray]:
        """Raw digital numbers and where they are valid.

        A pixel is valid where every band of the scene (not only those asked for) holds data and the scene
        classification does not mask it.

        Returns:
            Numbers of shape (band, y, x) as the source holds them, and a mask of shape (y, x).
        """
        numbers = self.source.read(self.bands, window)
        valid = has_data(numbers)
        scl = self.source.read_scl(window)
        if scl is not None:
            valid &= self.mask.valid(scl)
        if bands is not None and tuple(bands) != self.bands:
            numbers = numbers[[self.bands.index(band) for band in bands]]
        return numbers, valid

    def read(self, window: Window | None = None, *, bands: Sequence[str] | None = None) -> FloatArray:
        """Reflectance of a window, NaN where not valid.

        Args:
            window: Defaults to the whole scene; large scenes should be read in blocks.
            bands: Defaults to all bands of the scene.

        Returns:
            Shape (band, y, x), float32, about 0-1 (snow and roofs may exceed 1, noise may go below 0).
        """
        numbers, valid = self.read_numbers(window or full_window(self.grid), bands=bands)
        reflectance = self.radiometry.apply(numbers)
        reflectance[:, ~valid] = np.nan
        return reflectance

    def read_overview(
        self, *, max_side: int = 1024, bands: Sequence[str] | None = None, masked: bool = False
    ) -> tuple[FloatArray, GeoBox]:
        """Reflectance of the whole scene on at most `max_side` x `max_side` pixels, for pictures.

        Args:
            max_side: Longest side of the result, pixels.
            bands: Defaults to all bands of the scene.
            masked: Also put NaN where the scene classification masks (no-data is always NaN).

        Returns:
            Shape (band, y, x), float32, and the grid it lies on.
        """
        grid = overview_grid(self.grid, max_side=max_side)
        shape = (int(grid.shape[0]), int(grid.shape[1]))
        numbers = self.source.read_overview(self.bands, shape)
        valid = has_data(numbers)
        if masked and (scl := self.source.read_scl_overview(shape)) is not None:
            valid &= self.mask.valid(scl)
        if bands is not None:
            numbers = numbers[[self.bands.index(band) for band in bands]]
        reflectance = self.radiometry.apply(numbers)
        reflectance[:, ~valid] = np.nan
        return reflectance, grid

    @cached_property
    def validity(self) -> Validity:
        """How much of the scene can be used; reads the whole scene once."""
        return self.count_valid()

    def count_valid(self, *, progress: Progress | None = None) -> Validity:
        """Count filled and clear pixels, block by block."""
        windows = blocks(self.grid)
        filled = clear = 0
        for window in steps(windows, total=len(windows), progress=progress or Silent(), text="Counting clear pixels"):
            data = has_data(self.source.read(self.bands, window))
            filled += int(data.sum())
            scl = self.source.read_scl(window)
            clear += int((data & self.mask.valid(scl)).sum() if scl is not None else data.sum())
        height, width = self.grid.shape
        return Validity(total=height * width, filled=filled, clear=clear)


def has_data(numbers: NumberArray) -> BoolArray:
    """True where every band holds data: not 0 in integer bands, finite in float bands, and no fill value in either.

    Pictures of 8 bits are different: a shadow may well be 0 in one channel, so only what is 0 in all is no data.

    Args:
        numbers: Shape (band, …).
    """
    if np.issubdtype(numbers.dtype, np.floating):  # comparisons with NaN are false
        return np.asarray(((numbers > LEAST_NUMBER) & (numbers < MOST_NUMBER)).all(axis=0))
    known = numbers != 0
    if numbers.dtype == np.uint8:
        return np.asarray(known.any(axis=0))
    if np.issubdtype(numbers.dtype, np.signedinteger):
        known &= numbers > LEAST_NUMBER
    return np.asarray(known.all(axis=0))
