"""Pixels of a simulated scene, computed tile by tile when they are asked for.

Everything is computed in fixed tiles with a margin, never in the window asked for: so a pixel has the same value, bit
for bit, whatever else was read, and memory follows the window, not the scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from s2dash.bands import method_bands
from s2dash.grid import slices
from s2dash.simulation.clouds import Sky, Veil
from s2dash.simulation.hashing import gaussian, lattice
from s2dash.simulation.landscape import draw_ground
from s2dash.simulation.layout import PIXEL_M, Layout
from s2dash.simulation.noise import Axes
from s2dash.simulation.sensor import (
    SAMPLE_M,
    add_noise,
    doubled,
    margin,
    native_resolution,
    noise_key,
    observe,
    reflected,
    to_numbers,
    with_noise,
)
from s2dash.simulation.spectra import day_spectra, sky, spectra_bands
from s2dash.types import FloatArray, LabelArray, NumberArray

TILE = 256
"""Side of the tiles in which pixels are computed; even, so that 20 m pixels do not straddle them."""
_CACHED_TILES = 48
"""Tiles kept for the next window (1.4 MB each): a row of tiles of a whole Sentinel-2 scene."""
_MARGIN = 12
"""Positions of ground drawn beyond a tile: the point-spread function of 20 m, one 20 m pixel, and a tree's shadow."""
_EXACT_OVERVIEW = 4_000_000
"""Up to so many pixels, scenes are thinned from their own pixels; larger ones are drawn where the overview looks."""
_OVERVIEW_PART = 64
"""Side of the parts in which such an overview is drawn, pixels."""
_UPPER_LEFT = (640_000.0, 5_380_000.0)
"""In UTM zone 36 N, about 48.5 N 35 E. The place is fictitious: nothing there looks like this."""


@dataclass(frozen=True)
class Recipe:
    """All that a simulated scene follows from; equal recipes give equal pixels."""

    height: int = 512
    """Pixels."""
    width: int = 512
    """Pixels."""
    seed: int = 0
    """Of everything random."""
    day: date = date(2021, 7, 1)
    """Sets crops, leaves, the height of the sun, and which clouds there are."""
    clouds: float = 0.0
    """Share hidden by clouds, cirrus and shadows, 0-1."""
    shifted: bool = False
    """Whether digital numbers are shifted by 1000, as from baseline 04.00."""


@dataclass(frozen=True, eq=False)
class Tile:
    """The pixels of one tile."""

    numbers: NumberArray
    """Shape (band, y, x), uint16, all ten bands."""
    scl: LabelArray
    """Shape (y, x), scene classification."""
    truth: LabelArray
    """Shape (y, x), WorldCover codes."""


@dataclass(frozen=True)
class SimulatedSource:
    """A `PixelSource` that draws its pixels."""

    recipe: Recipe
    """What to draw."""

    @cached_property
    def grid(self) -> GeoBox:
        """UTM zone 36 N, 10 m; the place is fictitious."""
        left, top = _UPPER_LEFT
        shape = (self.recipe.height, self.recipe.width)
        return GeoBox(shape, Affine(PIXEL_M, 0, left, 0, -PIXEL_M, top), "EPSG:32636")

    @property
    def bands(self) -> tuple[str, ...]:
        """The ten bands of the method."""
        return method_bands()

    @property
    def dtype(self) -> np.dtype[Any]:
        """Digital numbers are uint16."""
        return np.dtype(np.uint16)

    def read(self, bands: Sequence[str], window: Window) -> NumberArray:
        """Digital numbers of `bands`, shape (band, y, x), uint16."""
        wanted = [self.bands.index(band) for band in bands]
        rows, cols = slices(window)
        numbers = np.empty((len(wanted), rows.stop - rows.start, cols.stop - cols.start), dtype=np.uint16)
        for tile, here, there in self._tiles(window):
            numbers[(slice(None), *there)] = tile.numbers[wanted][(slice(None), *here)]
        return numbers

    def read_scl(self, window: Window) -> LabelArray:
        """Scene classification, shape (y, x), uint8."""
        return self._labels(window, "scl")

    def read_truth(self, window: Window) -> LabelArray:
        """What covers the ground, WorldCover codes, shape (y, x), uint8."""
        return self._labels(window, "truth")

    def read_overview(self, bands: Sequence[str], shape: tuple[int, int]) -> NumberArray:
        """Digital numbers of the whole scene, thinned to `shape`: (band, y, x), uint16.

        Scenes of at most 4 million pixels give their own pixels; larger ones are drawn only where the overview looks,
        every band at 10 m.
        """
        wanted = [self.bands.index(band) for band in bands]
        return self._overview(shape)[0][wanted]

    def read_scl_overview(self, shape: tuple[int, int]) -> LabelArray:
        """Scene classification of the whole scene, thinned to `shape`."""
        return self._overview(shape)[1]

    def _labels(self, window: Window, name: str) -> LabelArray:
        rows, cols = slices(window)
        labels = np.empty((rows.stop - rows.start, cols.stop - cols.start), dtype=np.uint8)
        for tile, here, there in self._tiles(window):
            labels[there] = getattr(tile, name)[here]
        return labels

    def _tiles(self, window: Window) -> Any:
        """Tiles under a window, with the part of each that is asked for and where it belongs in the result."""
        rows, cols = slices(window)
        for row in range(rows.start // TILE, -(-rows.stop // TILE)):
            for col in range(cols.start // TILE, -(-cols.stop // TILE)):
                here_y, there_y = _common(rows, row * TILE)
                here_x, there_x = _common(cols, col * TILE)
                yield draw_tile(self.recipe, row, col), (here_y, here_x), (there_y, there_x)

    def _overview(self, shape: tuple[int, int]) -> tuple[NumberArray, LabelArray]:
        return _overview(self.recipe, (int(shape[0]), int(shape[1])))


def _common(wanted: slice, first: int) -> tuple[slice, slice]:
    """What a tile starting at `first` and a window share, counted from the tile's and from the window's start."""
    start, stop = max(wanted.start, first), min(wanted.stop, first + TILE)
    return slice(start - first, stop - first), slice(start - wanted.start, stop - wanted.start)


@lru_cache(maxsize=8)
def layout_of(height: int, width: int, seed: int) -> Layout:
    """The plan of a landscape; days share it."""
    return Layout(height, width, seed)


@lru_cache(maxsize=8)
def _sky_of(recipe: Recipe) -> Sky:
    height, width = recipe.height * PIXEL_M, recipe.width * PIXEL_M
    return Sky(height, width, recipe.seed, recipe.day, recipe.clouds)


@lru_cache(maxsize=_CACHED_TILES)
def draw_tile(recipe: Recipe, row: int, col: int) -> Tile:
    """Draw one tile in full, also where it reaches beyond the scene."""
    count = int(TILE * PIXEL_M / SAMPLE_M) + 2 * _MARGIN
    places = (np.arange(count) - _MARGIN + 0.5) * SAMPLE_M
    axes = Axes(places + col * TILE * PIXEL_M, places + row * TILE * PIXEL_M)
    canvas = draw_ground(axes, layout=layout_of(recipe.height, recipe.width, recipe.seed))
    spectra = day_spectra(seed=recipe.seed, day_of_year=recipe.day.timetuple().tm_yday)
    around = (np.arange(TILE + 4) - 1.5) * PIXEL_M
    veil = _sky_of(recipe).veil(Axes(around + col * TILE * PIXEL_M, around + row * TILE * PIXEL_M))
    veil20 = Veil(*(_halved(part) for part in (veil.cloud, veil.shadow, veil.cirrus)))

    seen: dict[str, FloatArray] = {}
    clear: dict[str, FloatArray] = {}
    for band in spectra_bands():
        resolution = native_resolution(band)
        key = noise_key(seed=recipe.seed, day=recipe.day.toordinal(), band=band)
        ground = reflected(canvas, spectra, band=band)
        if resolution == 10:
            inset = _MARGIN - margin(10)
            clear[band] = observe(ground[inset:-inset, inset:-inset], resolution=10)
            veiled = _veiled(clear[band], _inner(veil, 2), band=band)
            seen[band] = with_noise(veiled, first_row=row * TILE, first_col=col * TILE, key=key)
        else:
            inset = _MARGIN - margin(20) - 4
            clear[band] = observe(ground[inset:-inset, inset:-inset], resolution=20)
            veiled = _veiled(clear[band], veil20, band=band)
            noisy = with_noise(veiled, first_row=row * TILE // 2 - 1, first_col=col * TILE // 2 - 1, key=key)
            seen[band] = doubled(noisy)
    ground_scl = _classified(
        {
            band: values[1:-1, 1:-1] if native_resolution(band) == 20 else _halved(values)
            for band, values in clear.items()
        }
    )
    peaks = Veil(*(_peaks(part) for part in (veil.cloud, veil.shadow, veil.cirrus)))
    scl = _inner(peaks, 1).classified(ground_scl)
    return Tile(
        numbers=to_numbers([seen[band] for band in method_bands()], shifted=recipe.shifted),
        scl=scl.repeat(2, axis=0).repeat(2, axis=1),
        truth=_majority(canvas.codes[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]),
    )


def _veiled(ground: FloatArray, veil: Veil, *, band: str) -> FloatArray:
    """Ground reflectance as it appears through shadows, cirrus and clouds."""
    column = spectra_bands().index(band)
    lit = ground * (1 - veil.shadow * (1 - sky("shadow")[column]))
    lit = lit * (1 - np.float32(0.5) * veil.cirrus) + veil.cirrus * sky("cirrus")[column]
    return np.asarray(lit + veil.cloud * (sky("cloud")[column] - lit))


def _inner(veil: Veil, inset: int) -> Veil:
    part = slice(inset, -inset)
    return Veil(*(field[part, part] for field in (veil.cloud, veil.shadow, veil.cirrus)))


def _halved(field: FloatArray) -> FloatArray:
    """Means of 2 x 2 pixels."""
    return np.asarray((field[::2, ::2] + field[1::2, ::2] + field[::2, 1::2] + field[1::2, 1::2]) * np.float32(0.25))


def _peaks(field: FloatArray) -> FloatArray:
    """Highest of 2 x 2 pixels: no cloudy pixel is left out of the 20 m classification."""
    return np.maximum(np.maximum(field[::2, ::2], field[1::2, ::2]), np.maximum(field[::2, 1::2], field[1::2, 1::2]))


def _classified(ground: dict[str, FloatArray]) -> LabelArray:
    """Classes 4, 5, 6 of the scene classification from reflectance, in the manner of Sen2Cor."""
    red, green, near, short = ground["B04"], ground["B03"], ground["B08"], ground["B11"]
    ndvi = (near - red) / (near + red)
    water = (green > near) & (short < 0.08)
    return np.where(water, np.uint8(6), np.where(ndvi > 0.4, np.uint8(4), np.uint8(5)))


def _majority(codes: LabelArray) -> LabelArray:
    """The code that covers most of each pixel's 2 x 2 positions; of equals, the first in reading order."""
    four = np.stack([codes[::2, ::2], codes[::2, 1::2], codes[1::2, ::2], codes[1::2, 1::2]])
    votes = np.stack([(four == one).sum(axis=0) for one in four])
    return np.asarray(np.take_along_axis(four, votes.argmax(axis=0)[None], axis=0)[0])


@lru_cache(maxsize=2)
def _overview(recipe: Recipe, shape: tuple[int, int]) -> tuple[NumberArray, LabelArray]:
    rows = _centres(shape[0], recipe.height)
    cols = _centres(shape[1], recipe.width)
    numbers = np.empty((len(method_bands()), *shape), dtype=np.uint16)
    scl = np.empty(shape, dtype=np.uint8)
    if recipe.height * recipe.width <= _EXACT_OVERVIEW:
        for tile_row in np.unique(rows // TILE):
            for tile_col in np.unique(cols // TILE):
                tile = draw_tile(recipe, int(tile_row), int(tile_col))
                at_y, at_x = np.flatnonzero(rows // TILE == tile_row), np.flatnonzero(cols // TILE == tile_col)
                here = np.ix_(rows[at_y] - tile_row * TILE, cols[at_x] - tile_col * TILE)
                there = np.ix_(at_y, at_x)
                numbers[:, there[0], there[1]] = tile.numbers[:, here[0], here[1]]
                scl[there] = tile.scl[here]
    else:
        for top in range(0, shape[0], _OVERVIEW_PART):
            for left in range(0, shape[1], _OVERVIEW_PART):
                part = slice(top, top + _OVERVIEW_PART), slice(left, left + _OVERVIEW_PART)
                numbers[(slice(None), *part)], scl[part] = _sampled(recipe, rows[part[0]], cols[part[1]])
    for array in (numbers, scl):
        array.setflags(write=False)
    return numbers, scl


def _centres(count: int, side: int) -> NDArray[np.int64]:
    """Which pixels nearest-neighbour thinning takes."""
    return np.minimum(((np.arange(count) + 0.5) * side / count).astype(np.int64), side - 1)


def _sampled(recipe: Recipe, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> tuple[NumberArray, LabelArray]:
    """Pixels drawn one by one: the mean of two positions each, without neighbours."""
    layout = layout_of(recipe.height, recipe.width, recipe.seed)
    spectra = day_spectra(seed=recipe.seed, day_of_year=recipe.day.timetuple().tm_yday)
    x, y = (cols + 0.5) * PIXEL_M, (rows + 0.5) * PIXEL_M
    clear = {band: np.zeros((len(rows), len(cols)), dtype=np.float32) for band in spectra_bands()}
    for across in (-0.5 * SAMPLE_M, 0.5 * SAMPLE_M):
        canvas = draw_ground(Axes(x + across, y + across), layout=layout)
        for band, total in clear.items():
            total += np.float32(0.5) * reflected(canvas, spectra, band=band)
    veil = _sky_of(recipe).veil(Axes(x, y))
    seen = []
    for band in method_bands():
        key = noise_key(seed=recipe.seed, day=recipe.day.toordinal(), band=band)
        seen.append(add_noise(_veiled(clear[band], veil, band=band), gaussian(lattice(rows, cols, key=key))))
    return to_numbers(seen, shifted=recipe.shifted), veil.classified(_classified(clear))
