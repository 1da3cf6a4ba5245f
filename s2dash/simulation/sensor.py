"""From the ground to what the instrument measures: point-spread function, noise, digital numbers.

The point-spread function is a Gaussian whose response at the Nyquist frequency of the band's own sampling is 0.29,
within the 0.15-0.30 that the Sentinel-2 mission requires; so bands of 20 m blur twice as far as those of 10 m.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from s2dash.bands import sensor_table
from s2dash.simulation.canvas import Canvas
from s2dash.simulation.hashing import gaussian, lattice, stream_key
from s2dash.simulation.spectra import DaySpectra, spectra_bands
from s2dash.types import FloatArray, NumberArray

SAMPLE_M = 5.0
"""Distance between the positions at which the ground is drawn, m."""
SHIFT = 1000
"""What baseline 04.00 adds to digital numbers."""
_BLUR = 0.5
"""Standard deviation of the point-spread function over the sampling distance."""
_NOISE_FLOOR, _NOISE_SHARE = 0.0007, 0.0045
"""Standard deviation of the noise: floor in reflectance, and share of the signal (signal to noise about 100)."""


def native_resolution(band: str) -> int:
    """10 or 20 m."""
    return sensor_table()[band].resolution


def reflected(canvas: Canvas, spectra: DaySpectra, *, band: str) -> FloatArray:
    """Reflectance of the ground at every position, before the instrument, shape (y, x)."""
    column = spectra_bands().index(band)
    base, vary = np.ascontiguousarray(spectra.base[:, column]), np.ascontiguousarray(spectra.vary[:, column])
    units, at, tops, cover = canvas.drawn
    ground = vary.take(units, mode="clip")
    ground *= canvas.vary
    ground += base.take(units, mode="clip")
    ground *= canvas.light
    flat = ground.ravel()
    below = flat[at]
    flat[at] = below + cover * (base.take(tops) - below)
    return np.maximum(ground, np.float32(0.001), out=ground)


def observe(ground: FloatArray, *, resolution: int) -> FloatArray:
    """Blur the ground by the point-spread function and sample it at `resolution` metres.

    Args:
        ground: Shape (y, x), one value every `SAMPLE_M`.
        resolution: 10 or 20 m.

    Returns:
        Pixels whose whole point-spread function lies inside `ground`: `margin(resolution)` positions are lost on
        every side.
    """
    factor = int(resolution / SAMPLE_M)
    offsets = np.arange(-1.5 * resolution + SAMPLE_M / 2, 1.5 * resolution, SAMPLE_M)
    weights = np.exp(-0.5 * (offsets / (_BLUR * resolution)) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    rows = _thinned(ground, weights, factor=factor)
    return np.ascontiguousarray(_thinned(np.ascontiguousarray(rows.T), weights, factor=factor).T)


def margin(resolution: int) -> int:
    """Positions of ground that `observe` needs beyond its pixels on every side."""
    return int(resolution / SAMPLE_M)


def _thinned(field: FloatArray, weights: FloatArray, *, factor: int) -> FloatArray:
    count = (field.shape[0] - len(weights)) // factor + 1
    total = np.zeros((count, field.shape[1]), dtype=np.float32)
    for tap, weight in enumerate(weights):
        total += weight * field[tap : tap + (count - 1) * factor + 1 : factor]
    return total


def doubled(field: FloatArray) -> FloatArray:
    """Bilinear interpolation from 20 m pixels to the 10 m grid; the outermost are lost: (y, x) → (2y-4, 2x-4)."""
    return _doubled_rows(np.ascontiguousarray(_doubled_rows(field).T)).T


def _doubled_rows(field: FloatArray) -> FloatArray:
    middle = field[1:-1] * np.float32(0.75)
    result = np.empty((2 * len(middle), field.shape[1]), dtype=np.float32)
    result[0::2] = middle + np.float32(0.25) * field[:-2]
    result[1::2] = middle + np.float32(0.25) * field[2:]
    return result


def with_noise(signal: FloatArray, *, first_row: int, first_col: int, key: int) -> FloatArray:
    """Add the noise of each pixel, which depends on its row and column only.

    Args:
        signal: Shape (y, x), reflectance.
        first_row: Row of the first pixel on the band's own grid.
        first_col: Column of the first pixel.
        key: Of the scene, the day and the band.
    """
    rows = np.arange(first_row, first_row + signal.shape[0])
    cols = np.arange(first_col, first_col + signal.shape[1])
    return add_noise(signal, gaussian(lattice(rows, cols, key=key)))


def add_noise(signal: FloatArray, unit_noise: FloatArray) -> FloatArray:
    """Scale unit noise to the signal and add it."""
    return np.asarray(signal + (np.float32(_NOISE_FLOOR) + np.float32(_NOISE_SHARE) * signal) * unit_noise)


def noise_key(*, seed: int, day: int, band: str) -> int:
    """The key of a band's noise on a day (ordinal)."""
    return stream_key(seed, day, spectra_bands().index(band), 0x5E45)


def to_numbers(bands: Sequence[FloatArray], *, shifted: bool) -> NumberArray:
    """Digital numbers, uint16, shape (band, y, x): at least 1 (0 is no data), shifted by 1000 if asked for."""
    top = 65535 - SHIFT
    numbers = np.stack([np.clip(np.rint(band * np.float32(10_000)), 1, top).astype(np.uint16) for band in bands])
    return numbers + np.uint16(SHIFT) if shifted else numbers
