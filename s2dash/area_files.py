"""Areas in files: the polygons of a GeoJSON, GeoPackage or KML, in degrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from s2dash.area import MAX_VERTICES, AreaOfInterest
from s2dash.area_shapes import only_polygons, ring_unwrapped
from s2dash.errors import AreaError
from s2dash.vector_files import check_vector_file, polygon_layers, vector_errors

SUFFIXES = ("geojson", "json", "gpkg", "kml")
"""Kinds of files that are read."""
MAX_BYTES = 64 * 2**20
"""A larger file is refused; an outline of 100 000 vertices takes about 4 MB as text."""
MAX_FEATURES = 20_000
"""Most polygons that are joined to one area."""
_PIECES = 64
"""Into how many pieces an outline's extent is cut before it is brought to degrees, so that straight edges stay where
they are."""


def area_layers(path: Path) -> tuple[str, ...]:
    """Names of the layers that may hold polygons.

    Raises:
        AreaError: If the file cannot be read.
    """
    import pyogrio

    check_vector_file(path, kinds=SUFFIXES, most_bytes=MAX_BYTES, what="areas", error=AreaError)
    with vector_errors(path, AreaError):
        layers = pyogrio.list_layers(path)
    return polygon_layers(layers)


def read_area(path: Path, *, layers: Sequence[str] | None = None) -> AreaOfInterest:
    """The polygons of a file, together.

    Args:
        path: GeoJSON, GeoPackage or KML. What says no coordinate system is refused, but GeoJSON without one is in
            degrees (RFC 7946, 4).
        layers: Which layers; by default all that hold polygons.

    Raises:
        AreaError: If it cannot be read, holds no polygon, or the polygons are no area; the text says what to do.
    """
    known = area_layers(path)
    chosen = tuple(layers) if layers is not None else known
    if strange := [name for name in chosen if name not in known]:
        raise AreaError(f"{path.name} has no layer {strange[0]!r}. It has: {', '.join(known) or 'none with polygons'}.")
    if not chosen:
        raise AreaError(f"{path.name} holds no polygons, only points, lines or tables. Give a polygon around the area.")
    found: list[BaseGeometry] = []
    for name in chosen:
        found += _layer(path, name)
    try:
        polygons, notes = only_polygons(found)
        unwrapped = [ring_unwrapped(polygon) for polygon in polygons]
        if any(changed for _, changed in unwrapped):
            notes += ("An edge spans more than half the globe; it was taken to cross the 180th meridian.",)
        parts = [polygon for polygon, _ in unwrapped]
        area = AreaOfInterest.from_geometry(
            parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts), title=path.stem
        )
    except AreaError as error:
        raise AreaError(f"{path.name}: {error}") from None
    if len(parts) > 1:
        notes += (f"{len(parts):,} polygons were taken together as one area.",)
    return replace(area, notes=(*notes, *area.notes))


def _layer(path: Path, name: str) -> list[BaseGeometry]:
    """All geometries of a layer, in degrees."""
    import pyogrio
    from pyogrio import raw

    with vector_errors(path, AreaError):
        about = pyogrio.read_info(path, layer=name, force_feature_count=True)
        if int(about["features"]) > MAX_FEATURES:
            raise AreaError(
                f"{path.name} has {int(about['features']):,} features in the layer {name!r}; at most {MAX_FEATURES:,} "
                "are joined. Choose those that you mean, and save them in a file of their own."
            )
        meta, _, encoded, _ = raw.read(path, layer=name, columns=[], force_2d=True)
    if encoded is None:
        return []
    shapes = shapely.from_wkb([one for one in encoded if one is not None], on_invalid="ignore")
    geometries = [shape for shape in shapes if shape is not None]
    count = sum(int(shapely.get_num_coordinates(shape)) for shape in geometries)
    if count > MAX_VERTICES:
        raise AreaError(
            f"{path.name} has {count:,} vertices in the layer {name!r}, at most {MAX_VERTICES:,} are taken. Simplify "
            "it first, for example in QGIS with Vector > Geometry Tools > Simplify, to 10 m."
        )
    return _in_degrees(geometries, meta["crs"], path)


def _in_degrees(geometries: list[BaseGeometry], crs: str | None, path: Path) -> list[BaseGeometry]:
    from pyproj import CRS, Transformer
    from pyproj.exceptions import ProjError

    if crs is None:
        if path.suffix.lower() in (".geojson", ".json"):
            return geometries
        raise AreaError(
            f"{path.name} does not say in which coordinate system it is. Set it, for example in QGIS with Layer > Set "
            "CRS, and save the file again, or save it as GeoJSON."
        )
    try:
        system = CRS.from_user_input(crs)
        if system == CRS("EPSG:4326") or system == CRS("OGC:CRS84"):
            return geometries
        turn = Transformer.from_crs(system, "EPSG:4326", always_xy=True)
        return [_turned(one, turn, straight=system.is_projected) for one in geometries]
    except ProjError as error:
        raise AreaError(
            f"{path.name} is in a coordinate system that cannot be brought to degrees ({str(error)[:120]}). Save it in "
            "WGS 84 (EPSG:4326)."
        ) from None


def _turned(geometry: BaseGeometry, turn: Any, *, straight: bool) -> BaseGeometry:
    west, south, east, north = geometry.bounds
    longest = max(east - west, north - south) / _PIECES
    fine = shapely.segmentize(geometry, longest) if straight and longest > 0 else geometry
    return shapely.transform(fine, turn.transform, interleaved=False)
