"""ESA WorldCover on a scene's grid from a STAC catalogue: the other way to it than the public bucket."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox

from s2dash.canvas import ClassCanvas, lattice_degrees, open_georeferenced
from s2dash.errors import NoImageryError, NoOverlapError, ReferenceMapError
from s2dash.progress import Progress, Silent, Stage
from s2dash.reference import WORLDCOVER_VERSIONS, Placed, Reference, worldcover_attribution
from s2dash.schemes import ClassScheme, load_scheme, load_scheme_map
from s2dash.sources.stac.addresses import Patience, hide_secrets_in_logs, without_query
from s2dash.sources.stac.catalogues import Catalogue, CollectionRule, find_catalogue
from s2dash.sources.stac.items import AssetFile, Geometry, Tile, outline_of
from s2dash.sources.stac.load import ImageReader
from s2dash.sources.stac.search import find_items, halves
from s2dash.types import NumberArray

COLLECTION = "esa-worldcover"
"""What the Planetary Computer calls it."""
ASSET = "map"
"""The asset with the classes."""

_MOST = 400
_SAMPLES = 65


def load_worldcover_items(
    place: GeoBox | Placed,
    *,
    year: int = 2021,
    source: str | Catalogue = "planetary-computer",
    collection: str = COLLECTION,
    scheme: ClassScheme | None = None,
    patience: Patience | None = None,
    progress: Progress | None = None,
) -> Reference:
    """ESA WorldCover on the scene's grid, by nearest neighbour, its tiles found in a catalogue and joined.

    `s2dash.load_worldcover` reads the same map from the public bucket; this one is for networks that only reach a
    catalogue, and for mirrors that have one.

    Args:
        place: The scene's grid, or any map that lies on it.
        year: 2020 or 2021.
        source: The catalogue.
        collection: Its collection of WorldCover.
        scheme: Scheme of the result, `worldcover` by default.
        patience: How long servers are waited for.
        progress: Told about each tile; cancels.

    Raises:
        ReferenceMapError: If the year was not mapped.
        NoOverlapError: If WorldCover holds no data on the grid.
        ImageryError: If the catalogue or a tile cannot be read.
    """
    if year not in WORLDCOVER_VERSIONS:
        raise ReferenceMapError(
            f"ESA WorldCover has no map of {year}; choose one of {sorted(WORLDCOVER_VERSIONS)}, or give another map."
        )
    hide_secrets_in_logs()
    grid = place if isinstance(place, GeoBox) else place.grid
    scheme = scheme or load_scheme("worldcover")
    canvas = ClassCanvas(grid, scheme=scheme, scheme_map=load_scheme_map("worldcover", scheme.name))
    catalogue, patience, progress = find_catalogue(source), patience or Patience(), progress or Silent()
    reader = ImageReader(catalogue, (ASSET,), patience)
    tiles = _tiles(catalogue, collection, grid, year, patience, Stage(progress, 0.0, 0.1))
    for done, tile in enumerate(tiles):
        share = 0.1 + 0.9 * done / len(tiles)
        _paint(canvas, tile, reader, Stage(progress, share, share + 0.9 / len(tiles)))
    if canvas.filled == 0:
        raise NoOverlapError(
            f"ESA WorldCover {year} in {catalogue.title or catalogue.name} holds no data on the scene "
            f"({len(tiles)} tiles were found): it leaves out open sea, and ends at 60° S and 84° N. Give another map."
        )
    canvas.check(f"ESA WorldCover {year}")
    progress.report(1.0, f"ESA WorldCover {year}")
    return Reference(
        grid=grid,
        codes=canvas.codes,
        scheme=scheme,
        title=f"ESA WorldCover {year} ({WORLDCOVER_VERSIONS[year]})",
        year=year,
        attribution=worldcover_attribution(year),
        unknown=dict(sorted(canvas.unknown.items())),
        overlap_percent=100.0 * canvas.filled / canvas.codes.size,
        notes=(f"From {catalogue.title or catalogue.name}, {catalogue.shown}.",),
    )


def _tiles(
    catalogue: Catalogue, collection: str, grid: GeoBox, year: int, patience: Patience, progress: Progress
) -> list[Tile]:
    """The tiles of a year under a grid, in the order of their names."""
    outline = _outline(grid)
    found: dict[str, Tile] = {}
    first, last = date(year, 1, 1), date(year, 12, 31)
    for half in halves(outline):
        for item in find_items(
            catalogue, CollectionRule(collection), half, first, last, 100.0, patience, progress, _MOST
        ):
            shape = outline_of(item.geometry)
            taken: datetime | None = item.common_metadata.start_datetime or item.datetime
            if shape is None or taken is None or taken.year != year or ASSET not in item.assets:
                continue
            if not shape.intersects(outline):
                continue
            address = item.assets[ASSET].get_absolute_href() or item.assets[ASSET].href
            found[item.id] = Tile(item.id, collection, taken, "", shape, None, None, "", {ASSET: AssetFile(address)})
    if not found:
        raise NoImageryError(
            f"{catalogue.title or catalogue.name} has no tile of {collection} for {year} under the scene. Choose the "
            "other year, another catalogue, or read it from the public bucket."
        )
    return [found[name] for name in sorted(found)]


def _outline(grid: GeoBox) -> Geometry:
    """The grid's outline in degrees, cut at the 180th meridian."""
    lon, lat = lattice_degrees(grid, samples=_SAMPLES)
    border = [
        np.concatenate([values[0, :-1], values[:-1, -1], values[-1, :0:-1], values[:0:-1, 0]]) for values in (lon, lat)
    ]
    ring = [[float(x), float(y)] for x, y in zip(*border, strict=True)]
    outline = outline_of({"type": "Polygon", "coordinates": [[*ring, ring[0]]]})
    if outline is None:
        raise ReferenceMapError("The scene's grid has no outline on the Earth. Is its coordinate system right?")
    return outline


def _paint(canvas: ClassCanvas, tile: Tile, reader: ImageReader, progress: Progress) -> None:
    """Lay a tile over the canvas; what a broken read left empty is filled by the next attempt."""

    def load(again: bool) -> NumberArray:
        with (
            rasterio.Env(**reader.options(again, tile)),
            open_georeferenced(reader.address(tile, ASSET)) as dataset,
        ):
            canvas.paint(dataset, band=1, source=without_query(tile.assets[ASSET].address), progress=progress)
        return np.asarray(canvas.codes)

    reader.patiently(tile, load)
