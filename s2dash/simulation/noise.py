"""Smooth random fields over axis-aligned positions: white noise on a lattice under a cubic B-spline.

The spline is close to a Gaussian, so the fields show no direction of the lattice; and as the positions form a grid,
it is applied one axis at a time, which costs a few operations a point.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from s2dash.simulation.hashing import gaussian, lattice, mix, stream_key, uniform
from s2dash.types import FloatArray

_SPREAD = 0.4797
"""Standard deviation of the splined noise for unit noise on the lattice, mean over positions."""


@dataclass(frozen=True, eq=False)
class Axes:
    """Positions on a grid, in metres from the upper left corner of the scene, x to the right and y down."""

    x: FloatArray
    """Shape (x,), ascending, evenly spaced, m."""
    y: FloatArray
    """Shape (y,), ascending, evenly spaced, m."""

    @property
    def shape(self) -> tuple[int, int]:
        """(y, x)."""
        return len(self.y), len(self.x)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Lowest x, lowest y, highest x, highest y, m."""
        return float(self.x[0]), float(self.y[0]), float(self.x[-1]), float(self.y[-1])

    @property
    def local_x(self) -> FloatArray:
        """Shape (1, x), float32, m from the first column: small numbers keep float32 exact to the millimetre."""
        return np.asarray((self.x - self.x[0]).astype(np.float32)[None, :])

    @property
    def local_y(self) -> FloatArray:
        """Shape (y, 1), float32, m from the first row."""
        return np.asarray((self.y - self.y[0]).astype(np.float32)[:, None])

    @property
    def step(self) -> float:
        """Distance between positions, the longer of the two directions, m; 0 where there is but one."""
        return max(float(part[1] - part[0]) if len(part) > 1 else 0.0 for part in (self.x, self.y))

    @cached_property
    def coarse(self) -> Axes | None:
        """Every fourth position and one beyond the last; None for positions too few or too far apart to gain by it."""
        if min(self.shape) < 16 or self.step > 6:
            return None
        return Axes(
            *(part[0] + 4 * (part[1] - part[0]) * np.arange(-(-len(part) // 4) + 1) for part in (self.x, self.y))
        )

    def moved(self, dx: float, dy: float) -> Axes:
        """The same grid elsewhere."""
        return Axes(self.x + dx, self.y + dy)

    @cached_property
    def speckle_bits(self) -> NDArray[np.uint32]:
        """Bits per 5 m square of ground, shape (y, x)."""
        return lattice(np.floor(self.y / 5).astype(np.int64), np.floor(self.x / 5).astype(np.int64), key=0x5EED)


def _taps(positions: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
    """First lattice index and the four B-spline weights of every position, shapes (n,) and (4, n)."""
    cell = np.floor(positions)
    f = (positions - cell).astype(np.float32)
    g = 1 - f
    weights = np.stack([g * g * g, 4 - 6 * f * f + 3 * f * f * f, 4 - 6 * g * g + 3 * g * g * g, f * f * f])
    weights *= np.float32(1 / 6)
    return cell.astype(np.int64) - 1, weights


def _along_rows(values: FloatArray, first: NDArray[np.int64], weights: FloatArray) -> FloatArray:
    total = values[first]
    total *= weights[0][:, None]
    for tap in range(1, 4):
        part = values[first + tap]
        part *= weights[tap][:, None]
        total += part
    return total


def smooth(axes: Axes, *, wavelength: float, key: int) -> FloatArray:
    """A smooth random field of mean 0 and standard deviation 1.

    Args:
        axes: Where.
        wavelength: Distance between lattice points, m; features are about twice as wide.
        key: Which of many independent fields.

    Returns:
        Shape (y, x), float32.
    """
    # Each field's lattice is shifted, so that the nodes of several octaves do not fall together.
    shift = uniform(mix(np.array([key, key ^ 0x5555], dtype=np.uint32))).astype(np.float64)
    first_x, weight_x = _taps(axes.x / wavelength + shift[0])
    first_y, weight_y = _taps(axes.y / wavelength + shift[1])
    rows = np.arange(first_y[0], first_y[-1] + 4)
    cols = np.arange(first_x[0], first_x[-1] + 4)
    nodes = gaussian(lattice(cols, rows, key=key))
    nodes *= np.float32(1 / _SPREAD)
    across = _along_rows(nodes, first_x - cols[0], weight_x)
    return _along_rows(np.ascontiguousarray(across.T), first_y - rows[0], weight_y)


def fractal(axes: Axes, *, wavelength: float, octaves: int, key: int, gain: float = 0.5) -> FloatArray:
    """A rough random field: `octaves` smooth ones, each half as wide and `gain` times as high; standard deviation 1."""
    heights = gain ** np.arange(octaves)
    heights /= np.sqrt((heights**2).sum())
    widths = wavelength / 2.0 ** np.arange(octaves)
    coarse = axes.coarse
    # Wide octaves hardly change over four positions, so they are drawn on every fourth and filled in linearly.
    wide = int((widths >= 10 * axes.step).sum()) if coarse is not None else 0
    total = np.zeros(axes.shape, dtype=np.float32)
    if coarse is not None and wide:
        total = filled_in(_octaves(coarse, widths[:wide], heights, first=0, key=key), shape=axes.shape)
    if wide < octaves:
        total += _octaves(axes, widths[wide:], heights[wide:], first=wide, key=key)
    return total


def _octaves(axes: Axes, widths: FloatArray, heights: FloatArray, *, first: int, key: int) -> FloatArray:
    total = np.zeros(axes.shape, dtype=np.float32)
    for number, (width, height) in enumerate(zip(widths, heights, strict=False)):
        part = smooth(axes, wavelength=float(width), key=stream_key(key, first + number))
        part *= np.float32(height)
        total += part
    return total


def filled_in(coarse: FloatArray, *, shape: tuple[int, int]) -> FloatArray:
    """Linear interpolation from every fourth position to all of them."""
    rows = _filled_rows(coarse)[: shape[0]]
    return np.ascontiguousarray(_filled_rows(np.ascontiguousarray(rows.T))[: shape[1]].T)


def _filled_rows(coarse: FloatArray) -> FloatArray:
    filled = np.empty((4 * (len(coarse) - 1), coarse.shape[1]), dtype=np.float32)
    step = (coarse[1:] - coarse[:-1]) * np.float32(0.25)
    for phase in range(4):
        filled[phase::4] = coarse[:-1] + np.float32(phase) * step
    return filled


def curve(positions: FloatArray, *, wavelength: float, key: int) -> FloatArray:
    """A smooth random curve of mean 0 and standard deviation 1 over positions (n,), m."""
    first, weights = _taps(positions.astype(np.float64) / wavelength)
    total = np.zeros(len(positions))
    for tap in range(4):
        total += weights[tap] * gaussian(mix((first + tap).astype(np.uint32) * np.uint32(0x9E3779B1) ^ np.uint32(key)))
    return np.asarray(total / np.sqrt(_SPREAD))
