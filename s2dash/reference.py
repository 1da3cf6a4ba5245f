"""Reference maps: land cover that others made, brought to the scene's own grid and codes."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from odc.geo.geom import box, polygon
from rasterio.enums import ColorInterp

from s2dash.canvas import (
    RASTER_ERRORS,
    ClassCanvas,
    degrees,
    lattice_degrees,
    no_data_error,
    open_georeferenced,
    reading,
)
from s2dash.errors import NoOverlapError, ReferenceMapError
from s2dash.grid import latitude_longitude_bounds
from s2dash.map_values import MapValue, in_order
from s2dash.progress import Progress, Silent, Stage
from s2dash.schemes import ClassScheme, load_scheme, load_scheme_map
from s2dash.types import FloatArray, LabelArray

WORLDCOVER_URL = "https://esa-worldcover.s3.eu-central-1.amazonaws.com"
"""The public bucket; the environment variable `S2DASH_WORLDCOVER_URL` names a mirror."""
WORLDCOVER_VERSIONS: Mapping[int, str] = {2020: "v100", 2021: "v200"}
"""Product version by map year."""

_TILE_DEGREES = 3
_WORLDCOVER_NAME = re.compile(r"ESA_WorldCover_10m_(\d{4})_(v\d+)_", re.IGNORECASE)
_GENERIC = frozenset({"reference", "truth", "labels", "landcover", "map"})
_WORLDCOVER_TITLE = re.compile(r"ESA WorldCover product .* for year (\d{4})", re.IGNORECASE)
_WORLDCOVER_CREDIT = re.compile(r"ESA WorldCover project (\d{4})")
_YEAR = re.compile(r"(?<![0-9A-Za-z])(19[89]\d|20\d\d)(?![0-9A-Za-z])")
_NETWORK = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif",
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_TIMEOUT": "60",
    "GDAL_HTTP_MAX_RETRY": "2",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
}


@dataclass(frozen=True)
class Reference:
    """A reference map on the scene's grid, in the codes of a scheme."""

    grid: GeoBox
    """The scene's own grid."""
    codes: LabelArray
    """Shape (y, x), class codes of `scheme`; 0 = no data, an unknown code, or a class left out."""
    scheme: ClassScheme
    """What the codes mean."""
    title: str
    """What to call it, for the person."""
    year: int | None = None
    """Year it shows, where known."""
    attribution: str = ""
    """Text the licence asks for."""
    unknown: Mapping[MapValue, int] = field(default_factory=dict)
    """Codes, or texts, of the source that nothing is known of, with their number of pixels on the scene's grid."""
    overlap_percent: float = 100.0
    """Share of the grid's pixels for which the source holds data, percent."""
    notes: tuple[str, ...] = ()
    """What a person should know: tiles that do not exist."""

    @property
    def worldcover_year(self) -> int | None:
        """Year of the ESA WorldCover map that this is; None where it is another map."""
        found = _WORLDCOVER_CREDIT.search(self.attribution)
        return int(found[1]) if found else None


def paint_raster(
    canvas: ClassCanvas, path: Path, *, band: int | None = None, progress: Progress | None = None
) -> Mapping[str, str]:
    """Bring a reference raster onto the scene's grid by nearest neighbour.

    Only the part under the grid is read, block by block. 0, the file's no-data value, masked pixels, NaN and 255 are no
    data (0 and 255 unless the canvas's map of codes says what they are).

    Args:
        canvas: Its codes, unknown values and filled pixels are set.
        path: Any raster GDAL can read; integers, or floats that hold whole numbers.
        band: Band of the file, from 1; by default the only one it has besides an alpha band.
        progress: Told about each block.

    Returns:
        What the file says of itself.

    Raises:
        NotARasterError: If the file cannot be read.
        MissingCRSError: If it does not say where it lies.
        NoOverlapError: If it holds no data on the grid.
        ReferenceMapError: If it has several bands and none is named, or holds other than whole numbers.
    """
    with reading(path), open_georeferenced(path) as dataset:
        band = only_band(path, dataset) if band is None else band
        if not 1 <= band <= dataset.count:
            raise ReferenceMapError(f"{path} has {dataset.count} band(s), so there is no band {band}.")
        canvas.paint(dataset, band=band, source=str(path), progress=progress or Silent())
        if canvas.filled == 0:
            raise no_data_error(path, dataset, canvas.grid)
        return dict(dataset.tags())


def painted_reference(
    canvas: ClassCanvas,
    path: Path,
    *,
    tags: Mapping[str, str],
    title: str | None,
    year: int | None,
    notes: tuple[str, ...] = (),
) -> Reference:
    """A reference from a canvas on which a file was painted.

    Args:
        canvas: The canvas.
        path: The file.
        tags: What the file says of itself.
        title: What to call it; None for what tags or name say.
        year: Year it shows; None for what tags or name say.
        notes: What a person should know.

    Raises:
        ReferenceMapError: If nothing on it can be compared.
    """
    canvas.check(str(path))
    known_title, known_year, attribution = _describe(path, tags)
    return _finish(
        canvas,
        title=title or known_title,
        year=year if year is not None else known_year,
        attribution=attribution,
        notes=notes,
    )


def worldcover_tiles(grid: GeoBox) -> tuple[str, ...]:
    """Names of the 3° x 3° WorldCover tiles under a grid, e.g. `N00E006`, by their lower-left corners.

    A grid that crosses the antimeridian gets tiles on both sides. A grid around a pole does not get all of them, but
    WorldCover ends at 60° S and 84° N anyway.

    Returns:
        Names from south to north and, in a row, from west to east.
    """
    lon, lat = (_ring(values) for values in lattice_degrees(grid, samples=65))
    if np.ptp(lon) > 180:
        lon = np.where(lon < 0, lon + 360, lon)
    outline = polygon([(float(x), float(y)) for x, y in zip(lon, lat, strict=True)], crs=None)
    side = _TILE_DEGREES
    south, west = (int(np.floor(values.min() / side)) * side for values in (lat, lon))
    corners = [
        (y, x) for y in range(south, int(np.ceil(lat.max())), side) for x in range(west, int(np.ceil(lon.max())), side)
    ]
    return tuple(
        _tile_name(y, x) for y, x in corners if outline.intersection(box(x, y, x + side, y + side, crs=None)).area > 0
    )


class Placed(Protocol):
    """Anything that lies on a grid: a scene, a cluster map, a land-cover map."""

    @property
    def grid(self) -> GeoBox:
        """Where it lies."""


def load_worldcover(
    place: GeoBox | Placed,
    *,
    year: int = 2021,
    folder: str | Path | None = None,
    scheme: ClassScheme | None = None,
    url: str | None = None,
    progress: Progress | None = None,
) -> Reference:
    """ESA WorldCover on the scene's grid, from downloaded tiles or from the public bucket.

    Args:
        place: The scene's grid, or any map that lies on it.
        year: 2020 or 2021.
        folder: Where published tiles lie under their own names; by default the parts needed are read over the network.
        scheme: Scheme of the result, `worldcover` by default.
        url: Address of the bucket; by default `S2DASH_WORLDCOVER_URL` or `WORLDCOVER_URL`.
        progress: Told about each block.

    Returns:
        The map. Tiles that were never published (open sea) are no data there, and stand in `notes`.

    Raises:
        ReferenceMapError: If the year was not mapped, no tile is in the folder, or the network fails.
        NoOverlapError: If WorldCover holds no data on the grid.
    """
    if year not in WORLDCOVER_VERSIONS:
        raise ReferenceMapError(
            f"ESA WorldCover has no map of {year}; choose one of {sorted(WORLDCOVER_VERSIONS)}, or give another map."
        )
    grid = place if isinstance(place, GeoBox) else place.grid
    scheme = scheme or load_scheme("worldcover")
    canvas = ClassCanvas(grid, scheme=scheme, scheme_map=load_scheme_map("worldcover", scheme.name))
    version = WORLDCOVER_VERSIONS[year]
    base = (url or os.environ.get("S2DASH_WORLDCOVER_URL") or WORLDCOVER_URL).rstrip("/") + f"/{version}/{year}/map"
    stem = f"ESA_WorldCover_10m_{year}_{version}"
    names = [f"{stem}_{tile}_Map.tif" for tile in worldcover_tiles(grid)]
    missing = []
    for index, name in enumerate(names):
        stage = Stage(progress or Silent(), index / len(names), (index + 1) / len(names))
        if folder is not None:
            found = _paint_file(canvas, Path(folder) / name, stage)
        else:
            found = _paint_remote(canvas, f"{base}/{name}", stage)
        if not found:
            missing.append(name)
    if folder is not None and len(missing) == len(names):
        raise ReferenceMapError(
            f"{folder} holds none of the WorldCover tiles on the scene: {', '.join(missing)}. "
            f"Download them from {base}/ into that folder."
        )
    if canvas.filled == 0:
        raise NoOverlapError(
            f"ESA WorldCover {year} holds no data on the scene ({degrees(latitude_longitude_bounds(grid))}): it leaves "
            "out open sea, and ends at 60° S and 84° N. Give another map with --reference."
        )
    canvas.check(f"ESA WorldCover {year}")
    title, _, attribution = _describe(Path(f"{stem}_"), {})
    where = f"not in {folder}" if folder is not None else "not published"
    notes = tuple(f"Tile {name} is {where}; its part of the scene has no reference." for name in missing)
    return _finish(canvas, title=title, year=year, attribution=attribution, notes=notes)


def worldcover_attribution(year: int) -> str:
    """Text that the licence of ESA WorldCover (CC BY 4.0) asks for."""
    return (
        f"© ESA WorldCover project {year} / Contains modified Copernicus Sentinel data ({year}) processed by "
        "ESA WorldCover consortium"
    )


def _finish(
    canvas: ClassCanvas, *, title: str, year: int | None, attribution: str, notes: tuple[str, ...] = ()
) -> Reference:
    return Reference(
        grid=canvas.grid,
        codes=canvas.codes,
        scheme=canvas.scheme,
        title=title,
        year=year,
        attribution=attribution,
        unknown={value: canvas.unknown[value] for value in in_order(canvas.unknown)},
        overlap_percent=100.0 * canvas.filled / canvas.codes.size,
        notes=notes,
    )


def only_band(path: Path, dataset: Any) -> int:
    """The band that holds the classes: the only one besides an alpha band.

    Raises:
        ReferenceMapError: If there are several.
    """
    bands = [band for band in dataset.indexes if dataset.colorinterp[band - 1] != ColorInterp.alpha]
    if len(bands) != 1:
        raise ReferenceMapError(
            f"The reference {path} has {len(bands)} bands, and a map of classes has one: is it an image? If one of "
            "them holds the classes, take it out, for example with gdal_translate -b 1 FILE CLASSES.tif."
        )
    return int(bands[0])


def _paint_file(canvas: ClassCanvas, path: Path, progress: Progress) -> bool:
    """Paint a tile on disk; False where there is none."""
    if not path.is_file():
        return False
    with reading(path), open_georeferenced(path) as dataset:
        canvas.paint(dataset, band=1, source=str(path), progress=progress)
    return True


def _paint_remote(canvas: ClassCanvas, address: str, progress: Progress) -> bool:
    """Paint a tile over the network, by range requests; False where it was never published."""
    # Else GDAL remembers a failed connection as a file that does not exist.
    with rasterio.Env(**_NETWORK, CPL_VSIL_CURL_NON_CACHED=f"/vsicurl/{address}"):
        try:
            with open_georeferenced(f"/vsicurl/{address}") as dataset:
                canvas.paint(dataset, band=1, source=address, progress=progress)
        except RASTER_ERRORS as error:
            if "HTTP response code: 404" in str(error):
                return False
            raise ReferenceMapError(
                f"ESA WorldCover cannot be read from {address}: {error}. Check the network and try again, or download "
                "the tile by hand and give it with --reference."
            ) from error
    return True


def _describe(path: Path, tags: Mapping[str, str]) -> tuple[str, int | None, str]:
    """Title, year and attribution, from a file's name and tags."""
    name = path.name
    named, titled = _WORLDCOVER_NAME.search(name), _WORLDCOVER_TITLE.search(tags.get("title", ""))
    if found := named or titled:
        year = int(found[1])
        attribution = worldcover_attribution(year)
        return f"ESA WorldCover {year}" + (f" ({named[2].lower()})" if named else ""), year, attribution
    lower = {key.lower(): value.strip() for key, value in tags.items()}
    years = {int(year) for year in _YEAR.findall(lower.get("year") or lower.get("time_start", "").replace("T", " "))}
    years = years or {int(year) for year in _YEAR.findall(name.replace("_", " "))}
    plain = f"{path.parent.name} {path.stem}" if path.stem.lower() in _GENERIC and path.parent.name else name
    title = lower.get("title") or lower.get("tifftag_documentname") or plain
    attribution = lower.get("attribution") or lower.get("copyright") or lower.get("tifftag_copyright") or ""
    return title, years.pop() if len(years) == 1 else None, attribution


def _ring(lattice: FloatArray) -> FloatArray:
    """The outermost points, in order."""
    return np.concatenate([lattice[0, :-1], lattice[:-1, -1], lattice[-1, :0:-1], lattice[:0:-1, 0]])


def _tile_name(south: int, west: int) -> str:
    west = (west + 180) % 360 - 180
    return f"{'N' if south >= 0 else 'S'}{abs(south):02d}{'E' if west >= 0 else 'W'}{abs(west):03d}"
