"""The part of a scene under an area: a window of its own pixels, and no data outside the outline."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from s2dash.errors import AreaError, MissingCRSError
from s2dash.grid import blocks, full_window, latitude_longitude_bounds, slices, window_grid
from s2dash.parallel import ordered_map
from s2dash.scene import PixelSource, Scene
from s2dash.sources.arrays import thin
from s2dash.types import BoolArray, NumberArray

if TYPE_CHECKING:
    import shapely

    from s2dash.area import AreaOfInterest

LEAST_PIXELS = 32 * 32
"""An area with fewer pixels is refused: there is nothing to cluster in it, and nothing to see."""
_EXACT_OVERVIEW = 4_000_000
"""Areas of at most so many pixels are thinned from their own pixels, larger ones from the overview of their scene."""
_LARGEST_OVERVIEW = 16_000_000
"""Unless that overview would have more pixels than this, because the area is a small part of the scene."""
_SNAP = 1e-6
"""Edges this close to the edge of a pixel lie on it, pixels: what projecting there and back leaves."""


@dataclass(frozen=True)
class AreaSource:
    """A `PixelSource` of the pixels under an area; nothing is resampled, and no pixel moves.

    A pixel belongs to the area if its centre lies in the outline, as in `rasterio.mask`.
    """

    inner: PixelSource
    """The whole scene."""
    window: Window
    """The part of its grid that holds the area."""
    outline: shapely.Polygon | shapely.MultiPolygon
    """The area in pixels of the whole scene: x is the column, y the row, from its upper left corner."""

    @cached_property
    def grid(self) -> GeoBox:
        """The window's part of the scene's grid."""
        return window_grid(self.inner.grid, self.window)

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands."""
        return self.inner.bands

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the digital numbers."""
        return self.inner.dtype

    @cached_property
    def inside(self) -> BoolArray:
        """Which pixels belong to the area, shape (y, x); drawn whole, so that no block decides otherwise."""
        return self._drawn(self.window, (int(self.window.height), int(self.window.width)))

    def read(self, bands: Sequence[str], window: Window) -> NumberArray:
        """Digital numbers of `bands`, shape (band, y, x); no data outside the outline."""
        return _hidden(self.inner.read(bands, self._there(window)), self.inside[slices(window)])

    def read_scl(self, window: Window) -> NumberArray | None:
        """Scene classification, shape (y, x); 0 outside the outline, None where there is none."""
        classes = self.inner.read_scl(self._there(window))
        return None if classes is None else _hidden(classes, self.inside[slices(window)])

    def read_overview(self, bands: Sequence[str], shape: tuple[int, int]) -> NumberArray:
        """Digital numbers of the area, thinned by nearest neighbour to `shape`.

        Areas of at most 4 million pixels give their own pixels; larger ones those of the scene's overview, which may
        lie up to one pixel of the overview beside.
        """
        whole = self._scene_shape(shape)
        if whole is None:
            return self._thinned(lambda window: self.read(bands, window), shape)
        return self._cut(self.inner.read_overview(bands, whole), shape)

    def read_scl_overview(self, shape: tuple[int, int]) -> NumberArray | None:
        """Scene classification of the area, thinned likewise."""
        if self.inner.read_scl(self._there(Window(0, 0, 1, 1))) is None:
            return None
        whole = self._scene_shape(shape)
        if whole is None:
            return np.asarray(self._thinned(lambda window: np.asarray(self.read_scl(window))[None], shape)[0])
        classes = self.inner.read_scl_overview(whole)
        return None if classes is None else self._cut(classes, shape)

    def _there(self, window: Window) -> Window:
        return Window(
            int(self.window.col_off) + int(window.col_off),
            int(self.window.row_off) + int(window.row_off),
            int(window.width),
            int(window.height),
        )

    def _drawn(self, window: Window, shape: tuple[int, int]) -> BoolArray:
        """The outline on `shape` pixels over a window of the whole scene."""
        from rasterio.features import rasterize

        size = Affine.scale(int(window.width) / shape[1], int(window.height) / shape[0])
        transform = Affine.translation(int(window.col_off), int(window.row_off)) @ size
        return np.asarray(
            rasterize([(self.outline, 1)], out_shape=shape, transform=transform, fill=0, dtype=np.uint8), dtype=bool
        )

    def _scene_shape(self, shape: tuple[int, int]) -> tuple[int, int] | None:
        """Size of the scene's overview on which the area has `shape` pixels; None where its own pixels are taken."""
        height, width = self.grid.shape
        if height * width <= _EXACT_OVERVIEW:
            return None
        rows, cols = self.inner.grid.shape
        whole = math.ceil(rows * shape[0] / height), math.ceil(cols * shape[1] / width)
        return None if whole[0] * whole[1] > _LARGEST_OVERVIEW else whole

    def _thinned(self, read: Callable[[Window], NumberArray], shape: tuple[int, int]) -> NumberArray:
        """Nearest neighbours, block by block, so that no more than the result and some blocks are held."""
        height, width = self.grid.shape
        rows = thin(np.arange(height)[:, None], (shape[0], 1))[:, 0]
        cols = thin(np.arange(width)[None], (1, shape[1]))[0]

        def picked(window: Window) -> tuple[tuple[Any, Any], NumberArray]:
            high, wide = slices(window)
            at_y = np.flatnonzero((rows >= high.start) & (rows < high.stop))
            at_x = np.flatnonzero((cols >= wide.start) & (cols < wide.stop))
            there = np.ix_(at_y, at_x)
            if not len(at_y) or not len(at_x):
                return (there[0], there[1]), np.empty((0, 0, 0), dtype=self.dtype)
            return (there[0], there[1]), read(window)[
                :, (rows[at_y] - high.start)[:, None], (cols[at_x] - wide.start)[None]
            ]

        made: NumberArray | None = None
        for (at_y, at_x), part in ordered_map(picked, blocks(self.grid)):
            if part.size:
                if made is None:
                    made = np.zeros((len(part), *shape), dtype=part.dtype)
                made[:, at_y, at_x] = part
        assert made is not None  # a grid has pixels
        return made

    def _cut(self, whole: NumberArray, shape: tuple[int, int]) -> NumberArray:
        """The area out of an overview of the scene, each pixel the one at its centre."""
        rows, cols = self.inner.grid.shape
        y = (np.arange(shape[0]) + 0.5) * int(self.window.height) / shape[0] + int(self.window.row_off)
        x = (np.arange(shape[1]) + 0.5) * int(self.window.width) / shape[1] + int(self.window.col_off)
        at_y = np.minimum((y * whole.shape[-2] / rows).astype(int), whole.shape[-2] - 1)
        at_x = np.minimum((x * whole.shape[-1] / cols).astype(int), whole.shape[-1] - 1)
        return _hidden(whole[..., at_y[:, None], at_x[None]], self._drawn(self.window, shape))


def clip_scene(scene: Scene, area: AreaOfInterest | Mapping[str, Any]) -> Scene:
    """The part of a scene under an area; everything else about it stays.

    Args:
        scene: The scene.
        area: An area, or GeoJSON of one.

    Raises:
        AreaError: If the area is none, lies elsewhere, or covers too few pixels of the scene.
        MissingCRSError: If the scene does not say where it lies.
    """
    import shapely

    from s2dash.area import AreaOfInterest

    wanted = AreaOfInterest.from_geojson(area) if isinstance(area, Mapping) else area
    grid = scene.grid
    if grid.crs is None:
        raise MissingCRSError(f"{scene.provenance.title} does not say where it lies, so no area can be cut out of it.")
    try:
        back = ~grid.transform
        to_pixels = [back.a, back.b, back.d, back.e, back.c, back.f]
        outline = shapely.affinity.affine_transform(wanted.projected(grid.crs.proj), to_pixels)
        window = _window(outline.bounds, grid)
    except AreaError:
        window = None
    if window is None:
        raise AreaError(
            f"The area ({_box(wanted.bounds)}) lies beside the scene {scene.provenance.title} "
            f"({_box(latitude_longitude_bounds(grid))}; west, south, east, north). Choose an area inside it, another "
            "scene, or the whole scene."
        )
    source = AreaSource(scene.source, window, outline)
    count = int(np.count_nonzero(source.inside))
    if count < LEAST_PIXELS:
        raise AreaError(
            f"The area covers {count:,} pixels of {scene.provenance.title}; at least {LEAST_PIXELS:,} (32 × 32) are "
            "needed. Choose a larger area, or one that lies further inside the scene."
        )
    whole = window == full_window(grid) and bool(source.inside.all())
    if whole:
        return scene
    share = shapely.area(outline.intersection(shapely.box(0, 0, grid.shape[1], grid.shape[0]))) / outline.area
    notes = (f"Part of the scene: {count:,} pixels under {wanted.title or 'the chosen area'}.", *wanted.notes)
    if share < 0.999:
        notes += (f"The scene covers {share:.0%} of the area; the rest is left out.",)
    told = scene.provenance
    season = None if scene.season is None else AreaSource(scene.season, window, outline)
    provenance = replace(told, title=f"{told.title} (part)", notes=(*told.notes, *notes))
    return replace(scene, source=source, season=season, provenance=provenance)


def _window(bounds: tuple[float, float, float, float], grid: GeoBox) -> Window | None:
    """Pixels that the outline touches, within the grid; None where there are none."""
    height, width = grid.shape
    left, top = math.floor(bounds[0] + _SNAP), math.floor(bounds[1] + _SNAP)
    right, bottom = math.ceil(bounds[2] - _SNAP), math.ceil(bounds[3] - _SNAP)
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    return Window(left, top, right - left, bottom - top) if left < right and top < bottom else None


def _hidden(numbers: NumberArray, inside: BoolArray) -> NumberArray:
    """A copy with no data outside."""
    empty = np.nan if np.issubdtype(numbers.dtype, np.floating) else 0
    return np.where(inside, numbers, numbers.dtype.type(empty))


def _box(bounds: tuple[float, float, float, float]) -> str:
    return ", ".join(f"{side:.5g}" for side in bounds)
