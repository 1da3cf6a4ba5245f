"""What covers the ground at every position, while the landscape is being drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from s2dash.simulation.hashing import gaussian, stream_key
from s2dash.simulation.layout import Layout, Place, Settlement, Sites, Ways
from s2dash.simulation.noise import Axes, filled_in, fractal, smooth
from s2dash.simulation.spectra import unit, unit_codes
from s2dash.types import BoolArray, FloatArray, LabelArray


@dataclass(eq=False)
class Canvas:
    """The ground under a grid of positions; later features are painted over earlier ones."""

    axes: Axes
    """Where."""
    layout: Layout
    """The plan that is drawn."""
    unit: NDArray[np.int16]
    """Shape (y, x), unit of `DaySpectra`."""
    vary: FloatArray
    """Shape (y, x), how far it has shaded into its other material, 0 = not at all, 1 = wholly."""
    light: FloatArray
    """Shape (y, x), brightness as a factor."""
    top: NDArray[np.int16]
    """Shape (y, x), unit of something narrower than a position that covers part of it."""
    cover: FloatArray
    """Shape (y, x), the part so covered, 0-1."""

    @classmethod
    def blank(cls, axes: Axes, *, layout: Layout) -> Canvas:
        """Nothing drawn yet."""
        shape = axes.shape
        return cls(
            axes=axes,
            layout=layout,
            unit=np.zeros(shape, dtype=np.int16),
            vary=np.zeros(shape, dtype=np.float32),
            light=np.ones(shape, dtype=np.float32),
            top=np.zeros(shape, dtype=np.int16),
            cover=np.zeros(shape, dtype=np.float32),
        )

    @cached_property
    def cells(self) -> list[tuple[int, int]]:
        """Stretches of land whose places and lines can show here."""
        return self.layout.cells_near(self.axes.bounds, reach=1200)

    @cached_property
    def sites(self) -> list[Sites]:
        """The places of those stretches."""
        return [self.layout.sites(*cell) for cell in self.cells]

    @cached_property
    def ways(self) -> list[Ways]:
        """The lines of those stretches and of their neighbours, whose roads lead here."""
        left, top, right, bottom = self.axes.bounds
        reach = max(self.layout.cell)
        return [self.layout.ways(*cell) for cell in self.layout.cells_near((left, top, right, bottom), reach=reach)]

    @cached_property
    def settlements(self) -> list[Settlement]:
        """Towns and villages that reach into the canvas."""
        plan = self.layout
        return [
            build(place)
            for sites in self.sites
            for places, build in ((sites.towns, plan.town), (sites.villages, plan.village))
            for place in places
            if self.near(place, reach=1.6 * place.radius + 150)
        ]

    @cached_property
    def fine(self) -> FloatArray:
        """Noise of 5 m grains, standard deviation 1."""
        return gaussian(self.axes.speckle_bits ^ np.uint32(stream_key(self.layout.seed, 1)))

    @cached_property
    def crowns(self) -> FloatArray:
        """Noise of the size of tree crowns, standard deviation 1."""
        return smooth(self.axes, wavelength=9.5, key=self.key(2))

    @cached_property
    def patches(self) -> FloatArray:
        """Noise of the size of patches within a field, standard deviation 1."""
        return fractal(self.axes, wavelength=110, octaves=3, key=self.key(3), gain=0.6)

    @cached_property
    def ragged(self) -> FloatArray:
        """Noise that frays outlines, standard deviation 1."""
        return fractal(self.axes, wavelength=230, octaves=4, key=self.key(4), gain=0.55)

    @cached_property
    def soils(self) -> FloatArray:
        """Noise of the size of soil types and slopes, standard deviation 1."""
        return fractal(self.axes, wavelength=3200, octaves=5, key=self.key(5), gain=0.8)

    def key(self, purpose: int) -> int:
        """The key of one of the landscape's own fields."""
        return stream_key(self.layout.seed, 7, purpose)

    def near(self, place: Place, *, reach: float) -> bool:
        """Whether a place reaches into the canvas."""
        left, top, right, bottom = self.axes.bounds
        return left - reach < place.x < right + reach and top - reach < place.y < bottom + reach

    def share_of_radius(self, place: Place) -> FloatArray:
        """Distance from the middle of a place over its radius in that direction, shape (y, x)."""
        if (coarse := self.axes.coarse) is not None:
            return filled_in(_share_of_radius(place, coarse), shape=self.axes.shape)
        return _share_of_radius(place, self.axes)

    def paint(
        self, where: BoolArray, name: str, *, vary: FloatArray | float = 0.0, light: FloatArray | float = 1.0
    ) -> None:
        """Cover positions with a material, and what lay on top of them too."""
        if not where.any():
            return
        np.copyto(self.unit, np.int16(unit(name)), where=where)
        np.copyto(self.vary, np.asarray(vary, dtype=np.float32), where=where)
        np.copyto(self.light, np.asarray(light, dtype=np.float32), where=where)
        np.copyto(self.cover, np.float32(0), where=where)

    def line(self, name: str, cover: FloatArray, *, where: BoolArray) -> None:
        """Lay something narrow over positions where it covers more than what lies there already."""
        more = where & (cover > self.cover)
        np.copyto(self.top, np.int16(unit(name)), where=more)
        np.copyto(self.cover, cover, where=more)

    @cached_property
    def drawn(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], FloatArray]:
        """Of the finished canvas: units as indices; flat positions partly covered, by which unit, and how much."""
        at = np.flatnonzero(self.cover)
        return self.unit.astype(np.intp), at, self.top.ravel()[at].astype(np.intp), self.cover.ravel()[at]

    @property
    def codes(self) -> LabelArray:
        """WorldCover code at every position: what lies on top counts where it covers at least half; tracks never do."""
        table = unit_codes()
        counts = (self.cover >= 0.5) & (self.top != unit("track")) & (self.top != unit("meadow"))
        return np.where(counts, table[self.top], table[self.unit])


def coverage(distance: FloatArray, *, half_width: FloatArray | float) -> FloatArray:
    """The part of a 5 m position that a line covers whose middle is `distance` metres away, 0-1."""
    inside = np.clip((half_width - distance) * np.float32(0.2) + np.float32(0.5), 0, 1)
    return np.asarray(np.minimum(inside, np.float32(0.4) * half_width), dtype=np.float32)


def _share_of_radius(place: Place, axes: Axes) -> FloatArray:
    dx = axes.local_x - np.float32(place.x - axes.x[0])
    dy = axes.local_y - np.float32(place.y - axes.y[0])
    cos, sin = np.float32(np.cos(place.angle)), np.float32(np.sin(place.angle))
    long = (cos * dx + sin * dy) * np.float32(1 / (place.radius * place.stretch))
    short = (cos * dy - sin * dx) * np.float32(place.stretch / place.radius)
    return np.asarray(np.sqrt(long * long + short * short))
