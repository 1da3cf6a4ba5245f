"""A place of a scene seen from near: the imagery around it, with its pixel framed. Nothing of the map is in it."""

from __future__ import annotations

import numpy as np
from rasterio.windows import Window

from s2dash.colours import HIGHLIGHT_COLOUR, rgb_of
from s2dash.dashboard.pictures import (
    Composite,
    PictureArray,
    composite,
    composite_bands,
    jpeg_bytes,
    png_bytes,
)
from s2dash.dashboard.view import SceneView
from s2dash.errors import CorrectionError
from s2dash.grid import pixel_size_m
from s2dash.reference_points import pixels_at
from s2dash.scene import has_data

_MOST = 600
"""Most pixels shown each way from the place: of scenes much finer than Sentinel-2 less ground is seen."""
_SIDE = 480
"""About the side of a picture, pixels."""


def place_picture(
    view: SceneView,
    *,
    longitude: float,
    latitude: float,
    kind: Composite = "true colour",
    side_m: float = 1000.0,
    frame_m: float = 0.0,
) -> bytes:
    """The imagery around a place, clouds included, the pixel of the place in the middle and framed in yellow.

    Args:
        view: The scene.
        longitude: Degrees, WGS 84.
        latitude: Degrees.
        kind: Which composite.
        side_m: How much ground is seen each way, metres.
        frame_m: With a number, a white frame around so much ground each way instead: where another picture lies.

    Returns:
        PNG, transparent beyond the scene, or JPEG where `frame_m` is given; of the same size wherever the place lies.

    Raises:
        CorrectionError: If the place lies outside the scene.
        TooFewBandsError: If the scene lacks a band of the composite.
        SceneError: If the scene cannot be read.
    """
    scene = view.scene
    rows, cols = pixels_at(np.array([longitude]), np.array([latitude]), scene.grid)
    if rows[0] < 0:
        raise CorrectionError(f"The place at {latitude:.5f}° N, {longitude:.5f}° E lies outside the scene.")
    half = int(np.clip(round(side_m / pixel_size_m(scene.grid) / 2), 4, _MOST))
    row, col = int(rows[0]), int(cols[0])
    height, width = (int(side) for side in scene.grid.shape)
    top, left = max(row - half, 0), max(col - half, 0)
    window = Window(left, top, min(col + half + 1, width) - left, min(row + half + 1, height) - top)
    bands = composite_bands(kind, scene.bands)
    numbers = scene.source.read(bands, window)
    reflectance = scene.radiometry.apply(numbers)
    reflectance[:, ~has_data(numbers)] = np.nan
    side = 2 * half + 1
    around = np.zeros((side, side, 4), dtype=np.uint8)
    at_row, at_col = top - (row - half), left - (col - half)
    around[at_row : at_row + int(window.height), at_col : at_col + int(window.width)] = composite(
        reflectance, names=bands, bands=bands, stretch=view.stretch
    )
    reach = min(round(frame_m / pixel_size_m(scene.grid) / 2), half - 4)
    colour = "#FFFFFF" if frame_m else HIGHLIGHT_COLOUR
    picture = _framed(around, reach=reach, colour=colour)
    return jpeg_bytes(picture) if frame_m else png_bytes(picture)  # one pixel's frame has to stay exact


def _framed(around: PictureArray, *, reach: int, colour: str) -> PictureArray:
    """The picture enlarged by a whole factor, with a frame around its middle that hides nothing inside it.

    Args:
        around: Shape (side, side, 4), with an odd side.
        reach: Pixels inside the frame each way from the middle one.
        colour: Of the frame, `#RRGGBB`; with a black line around it, to be seen on any ground.
    """
    factor = max(round(_SIDE / len(around)), 1)
    picture = around.repeat(factor, axis=0).repeat(factor, axis=1)
    half = len(around) // 2
    start, stop = (half - reach) * factor, (half + reach + 1) * factor
    for width, line in ((3, "#000000"), (2, colour), (0, None)):
        low, high = start - width, stop + width
        if line is not None:
            picture[low:high, low:high] = (*rgb_of(line), 255)
        else:
            inside = around[half - reach : half + reach + 1, half - reach : half + reach + 1]
            picture[low:high, low:high] = inside.repeat(factor, axis=0).repeat(factor, axis=1)
    return picture
