"""What a model sees of a cluster: true colours as they are, everything else dimmed and without hue. Pure rendering.

No outline, no tint, no display colour: published trials show that models answer from the colour of a mask. Everything
that is added to the imagery (dimming, frames, scale bars, areas without data) is neutral, and lies outside the cluster.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from PIL import Image, ImageDraw, ImageFont
from pyproj import Geod, Transformer

from s2dash.pictures import Stretch
from s2dash.types import BoolArray, FloatArray

RGB = NDArray[np.uint8]
"""A picture without transparency, shape (y, x, 3)."""

LEAST_SIDE, MOST_SIDE = 768, 1536
"""Long side of a picture, pixels: small scenes are enlarged, and services shrink what is larger."""
NO_DATA_LEVEL = 48
"""Brightness of areas without data or under clouds."""
_FOOT = 34
"""Height of the strip under a picture that holds the scale bar, pixels."""
_GAP = 8
"""Between two pictures side by side, pixels."""
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Brightness of red, green and blue, ITU-R BT.601."""
_FADED, _CONTRAST = (24.0, 120.0), 0.30
"""Least brightness of what is dimmed, below bright clusters and above dark ones; and how much contrast it keeps."""
_DARK = 70.0
"""Median brightness of a cluster below which the rest is faded to a lighter level, or water would drown in it."""
_WGS84 = Geod(ellps="WGS84")


def render(
    reflectance: FloatArray, *, names: Sequence[str], bands: tuple[str, str, str], stretch: Stretch
) -> tuple[RGB, BoolArray]:
    """Three bands as a picture.

    Args:
        reflectance: Shape (band, y, x), NaN where there is nothing to show.
        names: Names of the bands, in order.
        bands: Which of them become the first, second and third channel.
        stretch: Measured once for the scene.

    Returns:
        Shape (y, x, 3), neutral where any of the three bands is NaN; and where it is not.
    """
    chosen = [reflectance[list(names).index(band)] for band in bands]
    valid = np.isfinite(np.stack(chosen)).all(axis=0)
    rgb = np.stack([stretch.apply(values, band) for band, values in zip(bands, chosen, strict=True)], axis=-1)
    rgb[~valid] = NO_DATA_LEVEL
    return rgb, valid


def dim_outside(rgb: RGB, inside: BoolArray, *, valid: BoolArray) -> RGB:
    """The picture with its hue kept inside a cluster only; inside nothing changes.

    Outside, brightness keeps a third of its contrast. Around a dark cluster it is lifted, so that the cluster is the
    darkest thing; else it is lowered.

    Args:
        rgb: Shape (y, x, 3).
        inside: The cluster, shape (y, x).
        valid: Where there is imagery, shape (y, x); elsewhere the picture stays neutral as it is.
    """
    luma = np.rint(rgb @ _LUMA).astype(np.uint8)
    dark = bool(inside.any()) and float(np.median(luma[inside])) < _DARK
    table = np.rint(_FADED[int(dark)] + _CONTRAST * np.arange(256)).astype(np.uint8)
    dimmed = rgb.copy()
    dimmed[~inside & valid] = table[luma[~inside & valid]][:, None]
    return dimmed


def beside(left: RGB, right: RGB) -> RGB:
    """Two pictures of one height side by side, with a neutral gap."""
    gap = np.zeros((left.shape[0], _GAP, 3), dtype=np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def enlarge(rgb: RGB, *, factor: int) -> RGB:
    """Every pixel as a square of `factor` x `factor`: no new value appears."""
    return np.asarray(rgb.repeat(factor, axis=0).repeat(factor, axis=1))


def enlargement(height: int, width: int, *, panels: int = 1) -> int:
    """By how much to enlarge a part of a scene so that its picture's long side lies in `LEAST_SIDE` … `MOST_SIDE`.

    Args:
        height: Rows of the part, at most `MOST_SIDE` less the strip under it.
        width: Columns of the part.
        panels: How many of it stand side by side; several are made as large as they may be.
    """
    across = panels * width
    most = min((MOST_SIDE - _FOOT) // height, (MOST_SIDE - (panels - 1) * _GAP) // across)
    return max(1, most if panels > 1 else min(most, -(-LEAST_SIDE // max(height, across))))


def scale_bar(metres_per_pixel: float, *, width: int) -> tuple[int, float]:
    """Length of a scale bar: the longest of 1, 2 or 5 times a power of ten that fits into a third of the width.

    Args:
        metres_per_pixel: Ground under a pixel of the picture, m.
        width: Of the picture, pixels.

    Returns:
        Pixels and metres.
    """
    room = metres_per_pixel * width / 3
    power = 10.0 ** np.floor(np.log10(room))
    metres = float(max(step for step in (1.0, 2.0, 5.0) if step * power <= room * (1 + 1e-9)) * power)
    return max(1, round(metres / metres_per_pixel)), metres


def with_scale_bar(rgb: RGB, *, metres_per_pixel: float, width: int | None = None) -> RGB:
    """The picture over a dark strip with a scale bar; no pixel of the imagery is covered.

    Args:
        rgb: Shape (y, x, 3).
        metres_per_pixel: Ground under a pixel of it, m.
        width: Part of the picture's width that the bar is measured by, pixels; all of it by default.
    """
    length, metres = scale_bar(metres_per_pixel, width=width or rgb.shape[1])
    foot = Image.new("L", (rgb.shape[1], _FOOT), 0)
    draw = ImageDraw.Draw(foot)
    draw.rectangle((10, _FOOT // 2 - 4, 10 + length - 1, _FOOT // 2 + 3), fill=255)
    draw.text((10 + length + 12, _FOOT // 2), metres_text(metres), fill=255, font=_font(), anchor="lm")
    return np.concatenate([rgb, np.repeat(np.asarray(foot)[..., None], 3, axis=2)])


def png(rgb: RGB) -> bytes:
    """A picture as PNG without loss and without transparency; the same picture gives the same bytes."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG", compress_level=3, compress_type=zlib.Z_FILTERED)
    return buffer.getvalue()


def metres_text(metres: float) -> str:
    """A length as a person writes it: `640 m`, `5.1 km`."""
    return f"{metres:.3g} m" if metres < 999.5 else f"{metres / 1000:.3g} km"


def pixel_sides_m(grid: GeoBox) -> tuple[float, float]:
    """Width and height on the ground of the pixel in the middle of a grid, m, on the WGS 84 ellipsoid.

    Map units are no ground metres in every projection, so both are measured between places on Earth. Without a
    coordinate system the grid's own units count as metres.
    """
    height, width = grid.shape
    middle = np.array([width / 2, height / 2])
    points = [grid.transform @ (float(x), float(y)) for x, y in middle + np.array([(0, 0), (1, 0), (0, 1)])]
    if grid.crs is None:
        (x, y), *ends = points
        across, down = (float(np.hypot(to[0] - x, to[1] - y)) for to in ends)
        return across, down
    degrees = Transformer.from_crs(grid.crs.proj, "EPSG:4326", always_xy=True)
    (lon, lat), *ends = [degrees.transform(*point) for point in points]
    across, down = (float(_WGS84.inv(lon, lat, *end)[2]) for end in ends)
    return across, down


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(20)
