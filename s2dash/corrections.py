"""Areas in which a person says what is there: checked, and laid over the named map.

The content of such a `MapEdit` of the kind `area` is

    {"geometry": GeoJSON Polygon or MultiPolygon, "code": class code}

with longitude and latitude on WGS 84, in degrees, and straight edges in longitude and latitude, as RFC 7946 has them. A
longitude may lie beyond 180°, or a ring may jump from 180° to -180°: both mean what they look like on a globe. A pixel
lies inside where its centre does. Areas are places on the ground, so they stay where they are whatever becomes of the
clusters below them; of areas that overlap, the later one holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
import shapely.affinity
import shapely.geometry
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.windows import Window
from shapely import MultiPolygon, Polygon
from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry

from s2dash.errors import CorrectionError, MissingCRSError
from s2dash.grid import latitude_longitude_bounds, pixel_area_ha, slices
from s2dash.landcover import LandCoverMap
from s2dash.map_edit import MapEdit, in_force
from s2dash.schemes import NO_DATA, ClassScheme
from s2dash.types import BoolArray

SURE = 100
"""Confidence of what a person set, percent: the same as where a person decides about a cluster."""
MAX_CORNERS = 20_000
"""Most corners an area may have."""
_MERCATOR_END = 85.06
"""Latitude at which web maps end, degrees."""
_STEP = 0.005
"""Longest edge that is projected as one, degrees: up to 84° of latitude it is off by less than 10 cm."""


@dataclass(frozen=True)
class AreaPreview:
    """What an area covers of a map, before anything is set."""

    pixels: int
    """Pixels with data whose centre lies inside."""
    hectares: float
    """Their area."""
    classes: Mapping[int, float]
    """Hectares by the class code they have now, the largest first; `UNDECIDED` among them."""


def corrected(landcover: LandCoverMap, edits: tuple[MapEdit, ...]) -> LandCoverMap:
    """The map with every area in force set to its class.

    Only pixels with data change. An area whose class the scheme no longer has is left out, so that a class which is
    taken back takes nothing else with it.

    Args:
        landcover: The named map.
        edits: All map edits of the run, in order.
    """
    areas = [edit for edit in in_force(edits) if edit.kind == "area" and edit.content["code"] in landcover.scheme]
    if not areas:
        return landcover
    codes, confidence = landcover.codes.copy(), landcover.confidence.copy()
    for edit in areas:
        found = pixels_inside(edit.content["geometry"], landcover.grid)
        if found is None:
            continue
        window, inside = found
        place = slices(window)
        inside &= codes[place] != NO_DATA
        codes[place][inside] = edit.content["code"]
        confidence[place][inside] = SURE
    return replace(landcover, codes=codes, confidence=confidence)


def area_edit(
    geometry: Mapping[str, Any], code: int, *, landcover: LandCoverMap, who: str = "", why: str = ""
) -> MapEdit:
    """An area that is to become a class, checked; nothing is kept yet.

    Args:
        geometry: GeoJSON: a polygon or multipolygon, a feature with one, or a collection of such features.
        code: Class code.
        landcover: The map it is for.
        who: The person.
        why: The reason.

    Raises:
        CorrectionError: If the area is empty, crosses itself, or covers no pixel with data.
        SchemeError: If the scheme has no such class.
    """
    _ = landcover.scheme[code]
    content = {"geometry": area_geometry(geometry), "code": int(code)}
    if preview_area(geometry, landcover).pixels == 0:
        raise CorrectionError(
            "The area covers no pixel of the map that has data. Draw it over the map, around the middle of at least "
            "one pixel."
        )
    return MapEdit("area", content, who=who, why=why)


def preview_area(geometry: Mapping[str, Any], landcover: LandCoverMap) -> AreaPreview:
    """What an area covers, and what is there now.

    Raises:
        CorrectionError: If it is empty or crosses itself.
    """
    found = pixels_inside(area_geometry(geometry), landcover.grid)
    if found is None:
        return AreaPreview(0, 0.0, {})
    window, inside = found
    codes = landcover.codes[slices(window)]
    per_row = pixel_area_ha(landcover.grid)[slices(window)[0]]
    areas = {
        int(code): float(((codes == code) & inside).sum(axis=1) @ per_row)
        for code in np.unique(codes[inside])
        if code != NO_DATA
    }
    ordered = dict(sorted(areas.items(), key=lambda item: -item[1]))
    return AreaPreview(int((inside & (codes != NO_DATA)).sum()), sum(areas.values()), ordered)


def area_geometry(geojson: Mapping[str, Any]) -> dict[str, Any]:
    """The polygon or multipolygon in a piece of GeoJSON, checked.

    Args:
        geojson: A geometry, a feature, or a collection of features, whose polygons are taken together.

    Returns:
        As GeoJSON, longitude before latitude.

    Raises:
        CorrectionError: If there is none, or it is empty, crosses itself or has too many corners.
    """
    try:
        parts = [part for one in _geometries(geojson) for part in _polygons(shapely.geometry.shape(one))]
    except (ShapelyError, ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise CorrectionError(f"The area is no GeoJSON that can be read: {error}. Draw it again.") from error
    corners = sum(len(shapely.get_coordinates(part)) for part in parts)
    if not parts or corners == 0:
        raise CorrectionError("There is no area: a polygon with at least three corners is needed. Draw it again.")
    if corners > MAX_CORNERS:
        raise CorrectionError(
            f"The area has {corners} corners; at most {MAX_CORNERS} can be kept. Simplify it, or give it in parts."
        )
    for part in parts:
        _check(part)
    whole = parts[0] if len(parts) == 1 else shapely.union_all(parts)
    return _geojson(whole)


def as_drawn(geojson: Mapping[str, Any]) -> dict[str, Any]:
    """An area from a web map, with corners added so that it lies where the person saw it.

    On a web map the straight line between two corners is straight in Web Mercator; in longitude and latitude, as
    GeoJSON means it, it would run up to some hundred metres beside that on an edge of a hundred kilometres.

    Raises:
        CorrectionError: See `area_geometry`.
    """
    drawn = shapely.geometry.shape(area_geometry(geojson))
    if np.abs(shapely.get_coordinates(drawn)[:, 1]).max() > _MERCATOR_END:
        return _geojson(drawn)  # no web map shows that

    def project(at: Any) -> Any:
        return np.column_stack([at[:, 0], np.degrees(np.arctanh(np.sin(np.radians(at[:, 1]))))])

    def unproject(at: Any) -> Any:
        return np.column_stack([at[:, 0], np.degrees(np.arcsin(np.tanh(np.radians(at[:, 1]))))])

    finer = shapely.transform(shapely.segmentize(shapely.transform(drawn, project), 2 * _STEP), unproject)
    kept = finer if len(shapely.get_coordinates(finer)) <= MAX_CORNERS else drawn
    return _geojson(kept)


def pixels_inside(geometry: Mapping[str, Any], grid: GeoBox) -> tuple[Window, BoolArray] | None:
    """The pixels of a grid whose centre lies inside an area.

    Args:
        geometry: As `area_geometry` gives it.
        grid: In any projection, also across the 180th meridian.

    Returns:
        The smallest window around the area, and which of its pixels, shape (y, x); None where there are none.

    Raises:
        MissingCRSError: If the grid has no coordinate system.
    """
    from rasterio.features import rasterize

    projected = _on_grid(geometry, grid)
    if projected.is_empty:
        return None
    height, width = grid.shape
    left, top, right, bottom = projected.bounds
    first_col, first_row = max(int(np.floor(left)), 0), max(int(np.floor(top)), 0)
    last_col, last_row = min(int(np.ceil(right)), width), min(int(np.ceil(bottom)), height)
    if first_col >= last_col or first_row >= last_row:
        return None
    window = Window(first_col, first_row, last_col - first_col, last_row - first_row)
    # The shape is in pixels of the grid already, so that a rotated or flipped grid needs no care.
    moved = shapely.transform(projected, lambda at: at - [first_col, first_row])
    shape = (int(window.height), int(window.width))
    inside = rasterize([moved], out_shape=shape, fill=0, default_value=1, dtype=np.uint8).astype(bool)
    return (window, inside) if inside.any() else None


def _on_grid(geometry: Mapping[str, Any], grid: GeoBox) -> BaseGeometry:
    """An area in columns and rows of a grid, its edges as finely divided as the projection bends them."""
    if grid.crs is None:
        raise MissingCRSError("The map has no coordinate system, so no area can be laid over it.")
    west, south, east, north = latitude_longitude_bounds(grid)
    east += 360.0 if west > east else 0.0
    around = shapely.box(west - 0.1, max(south - 0.1, -90.0), east + 0.1, min(north + 0.1, 90.0))
    area = shapely.geometry.shape(dict(geometry))
    near = [
        shapely.intersection(shapely.affinity.translate(unrolled(part), turn), around)
        for part in _polygons(area)
        for turn in (-360.0, 0.0, 360.0)
    ]
    clipped = shapely.union_all([part for one in near for part in _polygons(one)])
    if clipped.is_empty:
        return clipped
    to_grid = Transformer.from_crs("EPSG:4326", grid.crs.proj, always_xy=True)
    inverse = ~grid.transform
    middle = (grid.boundingbox.left + grid.boundingbox.right) / 2

    def project(at: Any) -> Any:
        x, y = to_grid.transform(at[:, 0], at[:, 1])
        if grid.crs is not None and grid.crs.geographic:  # in the turn of the globe in which the grid is
            x = x + 360.0 * np.round((middle - x) / 360.0)
        return np.column_stack([inverse.a * x + inverse.b * y + inverse.c, inverse.d * x + inverse.e * y + inverse.f])

    return shapely.transform(shapely.segmentize(clipped, _STEP), project)


def unrolled(part: Polygon) -> Polygon:
    """The same polygon with no jump of longitude: where a ring goes from 180° to -180° it goes on to beyond 180°."""

    def unroll(ring: Any, near: float | None = None) -> Any:
        at = shapely.get_coordinates(ring).copy()
        steps = np.diff(at[:, 0])
        at[1:, 0] -= 360.0 * np.cumsum(np.where((np.abs(steps) > 180.0) & (np.abs(steps) < 360.0), np.sign(steps), 0.0))
        if near is not None:
            at[:, 0] += 360.0 * round((near - at[:, 0].mean()) / 360.0)
        return at

    outer = unroll(part.exterior)
    return Polygon(outer, [unroll(ring, outer[:, 0].mean()) for ring in part.interiors])


def _check(part: Polygon) -> None:
    at = shapely.get_coordinates(part)
    if not np.isfinite(at).all() or np.abs(at[:, 1]).max() > 90.0 or np.abs(at[:, 0]).max() > 720.0:
        raise CorrectionError(
            "The area has corners that are no longitude and latitude in degrees. Give it on WGS 84 (EPSG:4326)."
        )
    whole = unrolled(part)
    if not whole.is_valid:
        why = shapely.is_valid_reason(whole)
        raise CorrectionError(f"The outline of the area crosses or touches itself ({why}). Draw it without crossings.")
    if whole.area == 0.0:
        raise CorrectionError("The area is empty: its corners lie on one line. Draw it again.")


def _geojson(geometry: BaseGeometry) -> dict[str, Any]:
    """With lists, as it comes back from the store."""
    found: dict[str, Any] = json.loads(shapely.to_geojson(geometry))
    return found


def _geometries(geojson: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    if geojson["type"] == "FeatureCollection":
        return [feature["geometry"] for feature in geojson["features"] if feature["geometry"] is not None]
    if geojson["type"] == "Feature":
        return [geojson["geometry"]] if geojson["geometry"] is not None else []
    return [geojson]


def _polygons(geometry: BaseGeometry) -> list[Polygon]:
    if isinstance(geometry, Polygon):
        return [] if geometry.is_empty else [shapely.force_2d(geometry)]
    if isinstance(geometry, MultiPolygon | shapely.GeometryCollection):
        return [part for one in geometry.geoms for part in _polygons(one)]
    return []


def unusable_areas(edits: tuple[MapEdit, ...], scheme: ClassScheme) -> tuple[MapEdit, ...]:
    """Areas in force that change nothing, because the scheme no longer has their class."""
    return tuple(edit for edit in in_force(edits) if edit.kind == "area" and edit.content["code"] not in scheme)
