"""What a reference that a person brings holds under a scene: its codes or words, before anyone says what they mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from odc.geo.geobox import GeoBox

from s2dash.canvas import no_data_error, open_georeferenced, raster_values, reading
from s2dash.map_values import MapValue, in_order
from s2dash.reference import only_band
from s2dash.reference_vector import is_vector, polygon_values

MOST_LISTED = 255
"""Values that are listed at most: the most frequent ones."""


@dataclass(frozen=True)
class FoundValues:
    """The values of a reference under a scene."""

    counts: Mapping[MapValue, int]
    """How often each occurs, numbers before words, in order; at most `MOST_LISTED`."""
    unit: Literal["pixels", "polygons"]
    """What is counted."""
    share: float
    """Share of the scene that was looked at, 0-1."""
    unlisted: int
    """Further values that are not listed."""


def reference_values(path: str | Path, *, grid: GeoBox, field: str = "") -> FoundValues:
    """List what a raster or polygons hold under a scene.

    Of a large raster a sample of blocks is read, of polygons all that touch the scene's surroundings.

    Args:
        path: See `s2dash.reference_files.load_reference`.
        grid: The scene's grid.
        field: Of polygons, which attribute says the class; empty for the one that can be no other.

    Raises:
        ReferenceMapError: If it cannot be read, or nobody knows which attribute is meant.
        NotARasterError: If a raster cannot be read.
        MissingCRSError: If it does not say where it lies.
        NoOverlapError: If it holds nothing at the scene.
    """
    path = Path(path)
    if is_vector(path):
        return _listed(polygon_values(path, grid=grid, field=field), "polygons", 1.0)
    with reading(path), open_georeferenced(path) as dataset:
        found, share = raster_values(dataset, grid, band=only_band(path, dataset), source=str(path))
        if not found:
            raise no_data_error(path, dataset, grid)
    return _listed(Counter[MapValue](found), "pixels", share)


def _listed(found: Counter[MapValue], unit: Literal["pixels", "polygons"], share: float) -> FoundValues:
    listed = dict(found.most_common(MOST_LISTED))
    return FoundValues(
        counts={value: listed[value] for value in in_order(listed)},
        unit=unit,
        share=share,
        unlisted=len(found) - len(listed),
    )
