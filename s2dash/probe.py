"""All that is known of one place: its spectrum, its cluster and how that was named, and what the reference says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.windows import Window

from s2dash.annotation.legend import LegendEntry
from s2dash.errors import MissingCRSError
from s2dash.pipeline import RunResult
from s2dash.scene import Scene, has_data
from s2dash.schemes import NO_DATA, UNDECIDED


@dataclass(frozen=True)
class PixelProbe:
    """One pixel."""

    row: int
    """On the grid of the scene, from 0 at the top."""
    column: int
    """From 0 at the left."""
    latitude: float
    """Of the place asked for, degrees."""
    longitude: float
    """Of the place asked for, degrees, -180 to 180."""
    spectrum: Mapping[str, float] = field(default_factory=dict)
    """Reflectance by band, also where the pixel is masked; empty where there is no data or no scene."""
    scl: int | None = None
    """Class of the scene classification; None where there is none."""
    masked: bool = False
    """Whether the scene classification hides the pixel."""
    cluster: int = 0
    """Its cluster; 0 where it has none."""
    typical: Mapping[str, float] = field(default_factory=dict)
    """Median reflectance of that cluster by band; empty where it is not known."""
    entry: LegendEntry | None = None
    """How that cluster was named."""
    code: int | None = None
    """Class on the map, with what people corrected; `UNDECIDED` where nobody named it, None where there is no map."""
    corrected: bool = False
    """Whether a person set the class at this place, below the cluster."""
    reference: int | None = None
    """Class of the reference; None where it says nothing, or there is none."""


def pixel_at(grid: GeoBox, *, latitude: float, longitude: float) -> tuple[int, int] | None:
    """Row and column of the pixel at a place, for instance where the person clicked; None outside the grid.

    Args:
        grid: In any projection.
        latitude: Degrees.
        longitude: Degrees; may be a whole turn off, as Leaflet reports it after panning around the world.

    Raises:
        MissingCRSError: If the grid does not say where it lies.
    """
    if grid.crs is None:
        raise MissingCRSError("The grid has no coordinate reference system, so no place lies on it.")
    x, y = _to_degrees(str(grid.crs)).transform(_turned(longitude), latitude, direction="INVERSE")
    if not (math.isfinite(x) and math.isfinite(y)):
        return None
    column, row = ~grid.transform @ (x, y)
    height, width = grid.shape
    if 0 <= row < height and 0 <= column < width:
        return int(row), int(column)
    return None


def probe(result: RunResult | None, scene: Scene | None, latitude: float, longitude: float) -> PixelProbe | None:
    """What is known of a place; of the scene and of the reference only that one pixel is read.

    Args:
        result: The run, if there is one.
        scene: Its scene, or one without a run; None where it has gone.
        latitude: Degrees.
        longitude: Degrees.

    Returns:
        None outside the grid, and where there is neither run nor scene.

    Raises:
        SceneError: If the scene cannot be read there.
    """
    grid = result.clusters.grid if result is not None else scene.grid if scene is not None else None
    at = pixel_at(grid, latitude=latitude, longitude=longitude) if grid is not None else None
    if at is None:
        return None
    row, column = at
    found = PixelProbe(row, column, latitude, _turned(longitude))
    if scene is not None and scene.grid == grid:
        found = _with_scene(found, scene)
    return _with_run(found, result) if result is not None else found


def _with_scene(at: PixelProbe, scene: Scene) -> PixelProbe:
    window = Window(at.column, at.row, 1, 1)
    numbers = scene.source.read(scene.bands, window)
    spectrum: dict[str, float] = {}
    if has_data(numbers).all():
        reflectance = scene.radiometry.apply(numbers)[:, 0, 0]
        spectrum = {band: float(value) for band, value in zip(scene.bands, reflectance, strict=True)}
    classes = scene.source.read_scl(window)
    if classes is None:
        return replace(at, spectrum=spectrum)
    return replace(at, spectrum=spectrum, scl=int(classes[0, 0]), masked=not bool(scene.mask.valid(classes)[0, 0]))


def _with_run(at: PixelProbe, result: RunResult) -> PixelProbe:
    cluster = int(result.clusters.labels[at.row, at.column])
    card, entry = result.cards.get(cluster), result.legend.entries.get(cluster)
    code = int(result.landcover.codes[at.row, at.column])
    of_cluster = UNDECIDED if entry is None or entry.code is None else entry.code
    other = result.reference
    said = NO_DATA if other is None else int(other.codes[at.row, at.column])
    return replace(
        at,
        cluster=cluster,
        typical=dict(card.median) if card is not None else {},
        entry=entry,
        code=code if code != NO_DATA else None,
        corrected=cluster != 0 and code != of_cluster,
        reference=said if said != NO_DATA else None,
    )


def _turned(longitude: float) -> float:
    return (longitude + 180.0) % 360.0 - 180.0


@cache
def _to_degrees(crs: str) -> Transformer:
    return Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
