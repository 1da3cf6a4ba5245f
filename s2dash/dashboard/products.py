"""Maps of numbers that some methods make besides the clusters, as layers: where pixels are odd, or hard to assign."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.errors import RasterioError

from s2dash.colours import rgb_of
from s2dash.dashboard.language import t
from s2dash.dashboard.layers import MapLayer, picture_layer
from s2dash.dashboard.pictures import MAX_SIDE, Picture, PictureArray
from s2dash.errors import NotARasterError
from s2dash.types import FloatArray

RAMP = ("#440154", "#3B528B", "#21918C", "#5EC962", "#FDE725")
"""From little to much: viridis, which reads in grey and with any colour vision."""
PRODUCTS = ("membership", "reconstruction_error")
"""The maps there can be; `map.<name>` of the texts says what to call each."""
_RANGES: Mapping[str, tuple[float, float]] = {"membership": (0.0, 1.0)}
_PERCENTILES = (2.0, 98.0)

ColourTable = NDArray[np.uint8]
ProductLegend = tuple[tuple[str, str], ...]


def product_layer(name: str, path: Path, *, max_side: int = MAX_SIDE) -> tuple[MapLayer, ProductLegend]:
    """A map of numbers as a layer that is switched off at first, and its legend.

    Args:
        name: One of `PRODUCTS`.
        path: The raster.
        max_side: Longest side of the picture, pixels; larger rasters are read from their overviews.

    Raises:
        NotARasterError: If it cannot be read.
    """
    try:
        with rasterio.open(path) as file:
            shrink = max(max(file.shape) / max_side, 1.0)
            height, width = (max(round(side / shrink), 1) for side in file.shape)
            values = file.read(1, out_shape=(height, width), resampling=Resampling.nearest)
            whole = GeoBox.from_rio(file)
            scaled = whole.transform @ whole.transform.scale(file.width / width, file.height / height)
            grid = GeoBox((height, width), scaled, whole.crs)
    except RasterioError as error:
        raise NotARasterError(f"{path} cannot be read: {error}. It is missing, damaged or no raster.") from error
    title = t(f"map.{name}") if name in PRODUCTS else name.replace("_", " ").capitalize()
    low, high = _RANGES.get(name) or _range(values)
    layer = picture_layer(title, Picture(ramp_picture(values, low=low, high=high), grid), opacity=0.85, shown=False)
    return layer, _legend(title, low, high)


def ramp_picture(values: FloatArray, *, low: float, high: float) -> PictureArray:
    """Numbers as colours of the ramp; NaN is transparent.

    Args:
        values: Shape (y, x).
        low: Shown in the first colour, with all that is less.
        high: Shown in the last, with all that is more.

    Returns:
        Shape (y, x, 4), uint8.
    """
    table = ramp_table(256)
    known = np.isfinite(values)
    share = np.clip((np.where(known, values, low) - low) / max(high - low, 1e-12), 0.0, 1.0)
    picture = np.zeros((*values.shape, 4), dtype=np.uint8)
    picture[..., :3] = table[np.rint(share * 255).astype(np.intp)]
    picture[..., 3] = 255
    picture[~known] = 0
    return picture


def ramp_table(count: int) -> ColourTable:
    """So many colours along the ramp, evenly spaced, shape (count, 3), uint8."""
    stops = np.array([rgb_of(colour) for colour in RAMP], dtype=np.float64)
    along = np.linspace(0, len(RAMP) - 1, count)
    return np.stack([np.rint(np.interp(along, range(len(RAMP)), band)).astype(np.uint8) for band in stops.T], axis=1)


def colour_bar(low: str, high: str) -> tuple[str, str]:
    """The ramp as an entry of a map's legend: a bar, with what its ends mean."""
    return f"{low}\t{high}", ",".join(RAMP)


def _range(values: FloatArray) -> tuple[float, float]:
    """What all but the odd few numbers lie between."""
    known = values[np.isfinite(values)]
    if not len(known):
        return 0.0, 1.0
    low, high = np.percentile(known, _PERCENTILES)
    return float(low), float(high)


def _legend(title: str, low: float, high: float) -> ProductLegend:
    middle = len(RAMP) // 2
    marks = {0: low, middle: (low + high) / 2, len(RAMP) - 1: high}
    return ((title, ""), *((f"{value:.2g}", RAMP[place]) for place, value in marks.items()))
