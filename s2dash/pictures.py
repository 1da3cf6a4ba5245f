"""Scenes as pictures: the stretch, the composites, and labels thinned to the same pixels. Same input, same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from s2dash.errors import GridMismatchError, TooFewBandsError
from s2dash.grid import overview_grid
from s2dash.scene import Scene
from s2dash.sources.arrays import thin
from s2dash.types import FloatArray, LabelArray

PictureArray = NDArray[np.uint8]
"""Red, green, blue, alpha; shape (y, x, 4), not premultiplied."""
Composite = Literal["true colour", "false colour", "grey"]
"""Which bands a picture of a scene is made of."""

MAX_SIDE = 1600
"""Longest side of a picture, pixels: more than a map on a page shows, and a few megabytes at most."""
_VISIBLE = ("B02", "B03", "B04")
_MIN_SPAN = 0.02  # reflectance; a flat scene is not stretched until its noise looks like land


@dataclass(frozen=True)
class Stretch:
    """Which reflectance becomes black and which becomes full brightness, band by band."""

    low: Mapping[str, float]
    """Reflectance shown as 0, by band."""
    high: Mapping[str, float]
    """Reflectance shown as 255, by band."""
    gamma: float = 1.2
    """Above 1 brightens the mid-tones: shown = linear ** (1 / gamma)."""

    def apply(self, reflectance: FloatArray, band: str) -> PictureArray:
        """Brightness 0-255 of one band, uint8; 0 where the reflectance is NaN."""
        low, high = self.low[band], self.high[band]
        share = np.clip((np.nan_to_num(reflectance, nan=low) - low) / (high - low), 0.0, 1.0)
        return np.asarray(np.rint(share ** (1.0 / self.gamma) * 255.0), dtype=np.uint8)


@dataclass(frozen=True)
class Picture:
    """A picture and the ground it shows."""

    rgba: PictureArray
    """Shape (y, x, 4)."""
    grid: GeoBox
    """Where its pixels lie; coarser than the scene where the scene is larger than a picture may be."""


def measure_stretch(
    reflectance: FloatArray, *, bands: Sequence[str], percentiles: tuple[float, float] = (2.0, 98.0), gamma: float = 1.2
) -> Stretch:
    """A stretch from the valid pixels of a scene.

    The visible bands get limits half-way between their own and common ones. Common limits alone leave the colour cast
    of the ground and of the air; limits of their own turn every scene grey.

    Args:
        reflectance: Shape (band, y, x), NaN where not valid.
        bands: Names of the bands, in order.
        percentiles: Darkest and brightest share of the pixels that may saturate, percent.
        gamma: See `Stretch`.
    """
    valid = np.isfinite(reflectance).all(axis=0)
    low, high = dict.fromkeys(bands, 0.0), dict.fromkeys(bands, 0.3)
    if valid.any():
        limits = np.percentile(reflectance[:, valid].astype(np.float64), percentiles, axis=1)
        low.update(zip(bands, map(float, limits[0]), strict=True))
        high.update(zip(bands, map(float, limits[1]), strict=True))
    visible = [band for band in bands if band in _VISIBLE]
    if visible:
        darkest, brightest = min(low[band] for band in visible), max(high[band] for band in visible)
        low |= {band: (low[band] + darkest) / 2 for band in visible}
        high |= {band: (high[band] + brightest) / 2 for band in visible}
    for band in bands:
        if high[band] - low[band] < _MIN_SPAN:
            middle = (high[band] + low[band]) / 2
            low[band], high[band] = middle - _MIN_SPAN / 2, middle + _MIN_SPAN / 2
    return Stretch(low=low, high=high, gamma=gamma)


def scene_stretch(scene: Scene, *, gamma: float = 1.2) -> Stretch:
    """The stretch all pictures of a scene share, measured on an overview without clouds where the SCL tells them."""
    reflectance, _ = scene.read_overview(max_side=512, masked=True)
    if not np.isfinite(reflectance).any():
        reflectance, _ = scene.read_overview(max_side=512)
    return measure_stretch(reflectance, bands=scene.bands, gamma=gamma)


def composite_bands(kind: Composite, available: Sequence[str]) -> tuple[str, str, str]:
    """The bands shown as red, green and blue.

    True colour is B04, B03, B02; false colour B08, B04, B03 (vegetation red), with B8A where there is no B08; grey is
    the first band there is.

    Raises:
        TooFewBandsError: If the scene lacks one of them.
    """
    if kind == "grey":
        return available[0], available[0], available[0]
    infrared = "B08" if "B08" in available else "B8A"
    wanted = ("B04", "B03", "B02") if kind == "true colour" else (infrared, "B04", "B03")
    if lacking := [band for band in wanted if band not in available]:
        raise TooFewBandsError(
            f"A {kind} picture needs {', '.join(wanted)}; the scene lacks {', '.join(lacking)}. "
            "Choose the other composite, or a scene with these bands."
        )
    return wanted


def composite(
    reflectance: FloatArray, *, names: Sequence[str], bands: tuple[str, str, str], stretch: Stretch
) -> PictureArray:
    """Three bands as a picture.

    Args:
        reflectance: Shape (band, y, x), NaN where there is nothing to show.
        names: Names of the bands, in order.
        bands: Which of them become red, green and blue.
        stretch: Holds limits for these bands.

    Returns:
        Shape (y, x, 4), uint8; transparent where any of the three bands is NaN.
    """
    chosen = [reflectance[list(names).index(band)] for band in bands]
    valid = np.isfinite(np.stack(chosen)).all(axis=0)
    rgba = np.zeros((*valid.shape, 4), dtype=np.uint8)
    for channel, (band, values) in enumerate(zip(bands, chosen, strict=True)):
        rgba[..., channel] = stretch.apply(values, band)
    rgba[valid, 3] = 255
    rgba[~valid] = 0
    return rgba


def scene_picture(
    scene: Scene, *, kind: Composite = "true colour", stretch: Stretch | None = None, max_side: int = MAX_SIDE
) -> Picture:
    """A scene in true colour, false colour or grey, clouds included.

    Args:
        scene: May be of any size; only an overview is read.
        kind: Which composite.
        stretch: Defaults to `scene_stretch(scene)`; give one to make several pictures alike.
        max_side: Longest side of the picture, pixels.

    Raises:
        TooFewBandsError: If the scene lacks a band of the composite.
    """
    bands = composite_bands(kind, scene.bands)
    reflectance, grid = scene.read_overview(max_side=max_side, bands=bands)
    return Picture(composite(reflectance, names=bands, bands=bands, stretch=stretch or scene_stretch(scene)), grid)


def thin_labels(labels: LabelArray, grid: GeoBox, *, max_side: int = MAX_SIDE) -> tuple[LabelArray, GeoBox]:
    """Labels by nearest neighbour on at most `max_side` x `max_side` pixels, and the grid they lie on.

    Raises:
        GridMismatchError: If the labels are not on the grid.
    """
    if labels.shape != tuple(grid.shape):
        raise GridMismatchError(f"Labels of shape {labels.shape} do not lie on a grid of shape {tuple(grid.shape)}.")
    coarse = overview_grid(grid, max_side=max_side)
    return thin(labels, (int(coarse.shape[0]), int(coarse.shape[1]))), coarse
