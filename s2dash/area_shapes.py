"""Polygons as people and files give them, brought into order: GeoJSON taken apart, outlines mended, turns undone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from s2dash.errors import AreaError

_GEOMETRIES = frozenset({"Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"})
_DEEPEST = 20
"""Collections within collections that are followed."""


def polygons_of(content: Mapping[str, Any]) -> tuple[list[shapely.Polygon], tuple[str, ...]]:
    """The polygons of a GeoJSON geometry, feature or collection, and notes on what was left out.

    Raises:
        AreaError: If it is no GeoJSON, or holds no polygon.
    """
    try:
        return only_polygons([_geometry(part) for part in _geometries(content, _DEEPEST)])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, shapely.errors.ShapelyError):
        raise AreaError(
            "This is no GeoJSON that can be read: a polygon, a feature, or a collection of those."
        ) from None


def only_polygons(geometries: list[BaseGeometry]) -> tuple[list[shapely.Polygon], tuple[str, ...]]:
    """The polygons among geometries of any kind, and notes on what was left out.

    Raises:
        AreaError: If there is none.
    """
    parts = [part for one in geometries if one is not None for part in _flat(one)]
    parts = [part for part in parts if not part.is_empty]
    polygons = [part for part in parts if part.geom_type == "Polygon"]
    if polygons:
        left = len(parts) - len(polygons)
        return polygons, (f"Left out, as they have no area: {left} points or lines.",) if left else ()
    if not parts:
        raise AreaError("It is empty: there is no polygon in it. Draw an area, or choose another file.")
    kinds = ", ".join(sorted({part.geom_type for part in parts}))
    raise AreaError(f"It holds only {kinds}, which have no area. Give a polygon around what should be mapped.")


def ring_unwrapped(polygon: shapely.Polygon) -> tuple[shapely.Polygon, bool]:
    """A polygon whose edges never span more than half the globe: longitudes go on beyond 180 degrees instead.

    Returns:
        The polygon, and whether anything had to be changed.

    Raises:
        AreaError: If it goes around a pole.
    """
    rings = [_unwrapped(shapely.get_coordinates(ring).tolist()) for ring in (polygon.exterior, *polygon.interiors)]
    if not any(changed for _, changed in rings):
        return polygon, False
    shell = rings[0][0]
    west, east = min(x for x, _ in shell), max(x for x, _ in shell)
    holes = []
    for ring, _ in rings[1:]:  # a hole stays inside its shell
        turn = next((t for t in (0, 360, -360) if min(x for x, _ in ring) + t >= west - 1e-9), 0)
        holes.append([(x + turn, y) for x, y in ring if x + turn <= east + 360])
    return shapely.Polygon(shell, holes), True


def within_the_world(
    geometry: shapely.Polygon | shapely.MultiPolygon,
) -> tuple[shapely.Polygon | shapely.MultiPolygon, tuple[str, ...]]:
    """Mend outlines, and bring longitudes to −180…180; what crosses the 180th meridian is cut there.

    Returns:
        A valid geometry, and notes on what was mended.

    Raises:
        AreaError: If coordinates lie outside the Earth, it is wider than the Earth, or nothing with an area is left.
    """
    west, south, east, north = geometry.bounds
    if not all(map(math.isfinite, (west, south, east, north))):
        raise AreaError("A corner of the area is no place: its coordinates are no numbers. Draw it anew.")
    if south < -90 or north > 90 or west < -1000 or east > 1000:
        raise AreaError(
            f"The area leaves the Earth: it reaches from {west:.6g}, {south:.6g} to {east:.6g}, {north:.6g}, where "
            "longitude and latitude in degrees are expected. If these are metres, save the file in WGS 84 (EPSG:4326)."
        )
    if geometry.is_valid and west >= -180 and east <= 180:
        return geometry, ()
    notes: tuple[str, ...] = ()
    parts = []
    for part in shapely.get_parts(geometry):
        if not part.is_valid:
            notes = ("The outline crossed itself or its holes and was mended: look whether it is what you meant.",)
            part = shapely.make_valid(part)
        parts += [piece for piece in _flat(part) if piece.geom_type == "Polygon" and piece.area > 0]
    if not parts:
        raise AreaError("The area has no size: its corners lie on one line or on each other. Draw it larger.")
    inside = []
    for part in parts:
        left, _, right, _ = part.bounds
        if right - left > 360:
            raise AreaError(f"The area is {right - left:.4g} degrees wide; once around the Earth is 360.")
        # whole turns only, so that a polygon within the usual longitudes is not touched
        turns = 0 if left >= -180 and right <= 180 else math.floor((left + 180) / 360)
        moved = shapely.transform(part, lambda xy, by=360.0 * turns: xy - (by, 0.0)) if turns else part
        if moved.bounds[2] <= 180:
            inside.append(moved)
            continue
        beyond = shapely.transform(moved.intersection(shapely.box(180, -90, 540, 90)), lambda xy: xy - (360.0, 0.0))
        inside += [moved.intersection(shapely.box(-180, -90, 180, 90)), beyond]
    joined = inside[0] if len(inside) == 1 else shapely.union_all(inside)
    pieces = [piece for piece in _flat(joined) if piece.geom_type == "Polygon" and piece.area > 0]
    if not pieces:
        raise AreaError("The area has no size: its corners lie on one line or on each other. Draw it larger.")
    return pieces[0] if len(pieces) == 1 else shapely.MultiPolygon(pieces), notes


def _unwrapped(ring: list[list[float]]) -> tuple[list[tuple[float, float]], bool]:
    turn, changed = 0.0, False
    out = [(float(ring[0][0]), float(ring[0][1]))]
    for (before, _), (x, y) in pairwise(ring):
        if abs(x - before) > 180:
            turn += -360.0 if x > before else 360.0
            changed = True
        out.append((float(x) + turn, float(y)))
    if turn:
        raise AreaError(
            "The outline goes around a pole, so nobody can say which side is meant. Cut it at the 180th meridian, or "
            "give a bounding box."
        )
    return out, changed


def _geometries(content: Mapping[str, Any], deep: int) -> Iterator[Mapping[str, Any]]:
    """Every plain geometry in a GeoJSON value."""
    if deep == 0:
        raise ValueError("too deep")
    kind = content["type"]
    if kind == "FeatureCollection":
        for feature in content["features"]:
            yield from _geometries(feature, deep - 1)
    elif kind == "Feature":
        if content["geometry"] is not None:
            yield from _geometries(content["geometry"], deep - 1)
    elif kind == "GeometryCollection":
        for part in content["geometries"]:
            yield from _geometries(part, deep - 1)
    elif kind in _GEOMETRIES:
        yield content
    else:
        raise ValueError(kind)


def _geometry(content: Mapping[str, Any]) -> BaseGeometry:
    return shapely.geometry.shape(content)


def _flat(geometry: BaseGeometry) -> Iterator[BaseGeometry]:
    for part in shapely.get_parts(geometry):
        if part.geom_type.startswith("Multi") or part.geom_type == "GeometryCollection":
            yield from _flat(part)
        else:
            yield part
