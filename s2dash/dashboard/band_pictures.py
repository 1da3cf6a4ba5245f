"""Any three bands, and any index, of a scene as layers of the map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from s2dash.dashboard.language import t
from s2dash.dashboard.layers import MapLayer, WarpedLabels, label_layer, picture_layer, warp_labels
from s2dash.dashboard.pictures import MAX_SIDE, Picture, Stretch, composite
from s2dash.dashboard.products import colour_bar, ramp_table
from s2dash.indices import compute_index
from s2dash.scene import Scene

FINE_SIDE = 3072
"""Longest side at which a scene is read for a map that is zoomed in, pixels: keeps ten bands below 200 MB."""
PERCENTILES = (2.0, 98.0)
"""Between which percentiles of the clear pixels an index has colours of its own."""
_LEVELS = 255
_SAMPLE_SIDE = 512


def bands_picture(scene: Scene, bands: tuple[str, str, str], *, stretch: Stretch, max_side: int = MAX_SIDE) -> Picture:
    """Three bands as red, green and blue, clouds included.

    Args:
        scene: May be of any size; only an overview is read.
        bands: Of the scene; the same may stand twice.
        stretch: With limits for these bands.
        max_side: Longest side of the picture, pixels.
    """
    names = tuple(dict.fromkeys(bands))
    reflectance, grid = scene.read_overview(max_side=max_side, bands=names)
    return Picture(composite(reflectance, names=names, bands=bands, stretch=stretch), grid)


def imagery_layer(scene: Scene, bands: tuple[str, str, str], *, stretch: Stretch) -> MapLayer:
    """Three bands as a layer, in full detail where the scene has more than an overview holds."""
    coarse = bands_picture(scene, bands, stretch=stretch)
    large = max(scene.grid.shape) > MAX_SIDE
    fine = bands_picture(scene, bands, stretch=stretch, max_side=FINE_SIDE) if large else None
    return picture_layer("", coarse, imagery=True, fine=fine)


@dataclass(frozen=True)
class IndexPicture:
    """An index of a scene, ready for the map."""

    name: str
    """Its standard name."""
    levels: WarpedLabels
    """1-255 from `low` to `high`, 0 where there are no data."""
    low: float
    """What has the first colour, with all that is less."""
    high: float
    """What has the last colour, with all that is more."""

    def layer(self, *, opacity: float = 1.0) -> MapLayer:
        """In the colours of the ramp."""
        table = {level: "#{:02X}{:02X}{:02X}".format(*colour) for level, colour in enumerate(ramp_table(_LEVELS), 1)}
        return label_layer(t("map.index", name=self.name), self.levels, table, opacity=opacity)

    @property
    def legend(self) -> list[tuple[str, str]]:
        """A heading and a bar."""
        return [(t("map.index", name=self.name), ""), colour_bar(f"{self.low:.2g}", f"{self.high:.2g}")]


def index_picture(scene: Scene, name: str) -> IndexPicture | None:
    """An index of a scene, its colours spread over what most of the clear pixels have.

    Args:
        scene: May be of any size; an overview is read.
        name: As in Awesome Spectral Indices, one of `available_indices(scene.bands)`.

    Returns:
        None where no pixel has data.

    Raises:
        FeatureError: If the index is unknown or needs a band the scene lacks.
    """
    sample, _ = scene.read_overview(max_side=_SAMPLE_SIDE, masked=True)
    if not np.isfinite(sample).any():
        sample, _ = scene.read_overview(max_side=_SAMPLE_SIDE)
    clear = np.isfinite(sample).all(axis=0)
    if not clear.any():
        return None
    low, high = np.percentile(compute_index(name, sample[:, clear], scene.bands), PERCENTILES)
    reflectance, grid = scene.read_overview(max_side=FINE_SIDE)
    known = np.isfinite(reflectance).all(axis=0)
    values = compute_index(name, np.nan_to_num(reflectance), scene.bands)
    share = np.clip((values - low) / max(high - low, 1e-9), 0.0, 1.0)
    levels = np.where(known, 1 + np.rint(share * (_LEVELS - 1)), 0).astype(np.uint8)
    return IndexPicture(name, warp_labels(levels, grid), float(low), float(high))


def index_title(name: str) -> str:
    """The long name of an index, in English as the catalogue has it."""
    import spyndex

    known = spyndex.indices.get(name) or spyndex.indices.get({"BSI": "BI"}.get(name, name))
    return str(known.long_name) if known is not None else name
