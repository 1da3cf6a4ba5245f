"""Small scenes made in memory, for tests of this package and of what is built on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from s2dash.bands import method_bands
from s2dash.scene import Kind, Provenance, Radiometry, Scene
from s2dash.sources.arrays import ArraySource
from s2dash.types import LabelArray, NumberArray


def make_grid(
    height: int,
    width: int,
    *,
    crs: str = "EPSG:32636",
    resolution: float = 10.0,
    origin: tuple[float, float] = (5e5, 5e6),
) -> GeoBox:
    """A north-up grid with its upper left corner at `origin`."""
    transform = Affine(resolution, 0, origin[0], 0, -resolution, origin[1])
    return GeoBox((height, width), transform, crs)


def make_scene(
    numbers: NumberArray,
    *,
    bands: Sequence[str] | None = None,
    scl: NumberArray | None = None,
    grid: GeoBox | None = None,
    radiometry: Radiometry | None = None,
    title: str = "test scene",
    kind: Kind = "local",
) -> Scene:
    """A scene of digital numbers in memory.

    Args:
        numbers: Shape (band, y, x).
        bands: Names; by default the first of the method's ten.
        scl: Scene classification, shape (y, x).
        grid: Where it lies; by default 10 m pixels in UTM zone 36N.
        radiometry: How numbers become reflectance; by default divided by 10 000.
        title: What to call it.
        kind: Local or simulated.
    """
    names = tuple(bands or method_bands()[: len(numbers)])
    source = ArraySource(grid or make_grid(*numbers.shape[1:]), names, numbers, scl)
    return Scene(
        source=source,
        bands=names,
        missing=tuple(band for band in method_bands() if band not in names),
        radiometry=radiometry or Radiometry(),
        provenance=Provenance(title=title, kind=kind),
    )


def make_patchwork(
    *, side: int = 64, patches: int = 4, seed: int = 0, noise: float = 20.0, bands: int = 10
) -> tuple[Scene, LabelArray]:
    """A scene of vertical stripes, each of one well separated spectrum, and the stripe (from 1) of each pixel."""
    rng = np.random.default_rng(seed)
    spectra = 500 + 1000 * rng.permuted(np.tile(np.arange(patches), (bands, 1)), axis=1).T.astype(float)
    spectra[:, 0] = 500 + 1000 * np.arange(patches)  # no two alike
    stripe = np.broadcast_to(np.arange(side) * patches // side, (side, side))
    numbers = spectra[stripe].transpose(2, 0, 1) + rng.normal(0, noise, (bands, side, side))
    return make_scene(np.clip(numbers, 1, 65535).astype(np.uint16)), (stripe + 1).astype(np.uint8)
