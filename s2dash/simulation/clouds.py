"""Clouds, the shadows they throw, and thin cirrus, as functions of position."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np

from s2dash.simulation.hashing import stream_key
from s2dash.simulation.noise import Axes, fractal, smooth
from s2dash.types import FloatArray, LabelArray

LATITUDE = 48.5
"""Of the scene, degrees; sets the height of the sun."""
_HOUR_ANGLE = -20.0
"""The satellite passes about 80 minutes before local solar noon, degrees."""
_HEIGHT_M = 1250.0
"""Of the clouds, m."""
_SEEN = 0.05
"""Opacity below which there is no cloud."""
_DEEP = 0.6
"""Opacity from which a cloud has high probability."""
_DARK = 0.15
"""Opacity of a cloud from which its shadow is classified as such."""
_CIRRUS_PART = 0.18
"""Share of the cloudy ground that is thin cirrus."""
_CALIBRATION_SIDE = 224


def sun(day: date) -> tuple[float, float]:
    """Zenith angle and azimuth (clockwise from north) of the sun at the overpass, degrees."""
    declination = np.radians(-23.44 * np.cos(2 * np.pi / 365 * (day.timetuple().tm_yday + 10)))
    latitude, hour = np.radians(LATITUDE), np.radians(_HOUR_ANGLE)
    height = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(hour)
    zenith = np.arccos(height)
    cos_azimuth = (np.sin(declination) - height * np.sin(latitude)) / (np.sin(zenith) * np.cos(latitude))
    return float(np.degrees(zenith)), float(np.degrees(np.arccos(np.clip(cos_azimuth, -1, 1))))


@dataclass(frozen=True, eq=False)
class Veil:
    """What stands between the ground and the sensor; all arrays of shape (y, x), 0-1."""

    cloud: FloatArray
    """Opacity of the cloud above."""
    shadow: FloatArray
    """Opacity of the cloud between here and the sun."""
    cirrus: FloatArray
    """Opacity of thin cirrus."""

    def classified(self, ground: LabelArray) -> LabelArray:
        """The scene classification: clouds, cirrus and shadows over that of the ground."""
        scl = np.where(self.shadow >= _DARK, np.uint8(3), ground)
        scl = np.where(self.cirrus >= _SEEN, np.uint8(10), scl)
        return np.where(self.cloud >= _DEEP, np.uint8(9), np.where(self.cloud >= _SEEN, np.uint8(8), scl))


@dataclass(frozen=True)
class Sky:
    """The clouds over a scene on one day."""

    height: float
    """Of the scene, m."""
    width: float
    """Of the scene, m."""
    seed: int
    """Of the scene."""
    day: date
    """Clouds differ from day to day."""
    share: float
    """Share of the scene hidden by clouds, cirrus and shadows together, 0-1."""

    @property
    def shadow_shift(self) -> tuple[float, float]:
        """Where a shadow falls relative to its cloud: metres to the right and down."""
        zenith, azimuth = np.radians(sun(self.day))
        length = _HEIGHT_M * np.tan(zenith)
        return float(-np.sin(azimuth) * length), float(np.cos(azimuth) * length)

    def veil(self, axes: Axes) -> Veil:
        """Clouds and shadows at a grid of positions."""
        if self.share <= 0:
            clear = np.zeros(axes.shape, dtype=np.float32)
            return Veil(clear, clear, clear)
        right, down = self.shadow_shift
        cloud_level, cirrus_level = self._levels
        return Veil(
            cloud=_opacity(self._cumulus(axes) - np.float32(cloud_level)),
            shadow=_opacity(self._cumulus(axes.moved(-right, -down)) - np.float32(cloud_level)),
            cirrus=_thin(self._cirrus(axes) - np.float32(cirrus_level)),
        )

    def _cumulus(self, axes: Axes) -> FloatArray:
        key = stream_key(self.seed, self.day.toordinal(), 0xC10)
        return fractal(axes, wavelength=950, octaves=6, key=key, gain=0.56) + np.float32(0.5) * smooth(
            axes, wavelength=3100, key=stream_key(key, 9)
        )

    def _cirrus(self, axes: Axes) -> FloatArray:
        # Long streaks: the same noise, pulled out along x.
        pulled = Axes(axes.x * 0.3, axes.y)
        return fractal(pulled, wavelength=1500, octaves=5, key=stream_key(self.seed, self.day.toordinal(), 0xC12))

    @cached_property
    def _levels(self) -> tuple[float, float]:
        """Levels of the two fields above which there are clouds, so that the hidden share is what was asked for."""
        axes = Axes(_spread(self.width), _spread(self.height))
        right, down = self.shadow_shift
        above, sunward = self._cumulus(axes), self._cumulus(axes.moved(-right, -down))
        streaks = self._cirrus(axes)
        cirrus_level = float(np.quantile(streaks, 1 - _CIRRUS_PART * min(self.share, 1)))
        thin = _thin(streaks - np.float32(cirrus_level)) >= _SEEN
        low, high = float(min(above.min(), sunward.min())) - 3, float(max(above.max(), sunward.max())) + 1
        for _ in range(40):
            level = (low + high) / 2
            hidden = thin | (_opacity(above - np.float32(level)) >= _SEEN)
            hidden |= _opacity(sunward - np.float32(level)) >= _DARK
            low, high = (level, high) if hidden.mean() > self.share else (low, level)
        return (low + high) / 2, cirrus_level


def _spread(length: float) -> FloatArray:
    count = min(_CALIBRATION_SIDE, max(int(length / 10), 1))
    return np.asarray((np.arange(count) + 0.5) * (length / count))


def _opacity(above_level: FloatArray) -> FloatArray:
    ramp = np.clip(above_level * np.float32(0.9), 0, 1)
    opacity = np.float32(0.97) * ramp * ramp * (3 - 2 * ramp)
    return np.where(opacity < _SEEN, np.float32(0), opacity)


def _thin(above_level: FloatArray) -> FloatArray:
    opacity = np.clip(np.float32(0.05) + above_level * np.float32(0.35), 0, 0.5)
    return np.where(above_level < 0, np.float32(0), opacity)
