"""Where on Earth: an area of interest, from whatever way a person says it, checked before anything is loaded."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from shapely.geometry.base import BaseGeometry

from s2dash.area_shapes import polygons_of, ring_unwrapped, within_the_world
from s2dash.errors import AreaError

MAX_VERTICES = 100_000
"""An outline with more is refused: nobody draws it, and every block of pixels is compared with it."""
MAX_SPAN_DEG = 12.0
"""Widest area that a single UTM zone (6 degrees) is used for, degrees of longitude at its middle latitude's scale."""
UTM_NORTH, UTM_SOUTH = 84.0, -80.0
"""Latitudes between which UTM is defined, degrees; beyond, UPS takes over (NGA.SIG.0012, 2014)."""

_EDGE_DEG = 0.1
"""Edges are cut into pieces of at most this before they are projected or measured: they run straight in degrees, so
that the sides of a box follow its parallels, which is 2 m off at most."""


@dataclass(frozen=True)
class AreaOfInterest:
    """One or several polygons on the Earth.

    Make one with `from_bbox`, `from_text`, `from_geojson`, `from_drawing` or `from_geometry`, which check it.
    """

    geometry: shapely.Polygon | shapely.MultiPolygon
    """WGS 84 longitude and latitude, degrees, −180…180 and −90…90; valid, without Z. Where the area crosses the 180th
    meridian it is cut there, as GeoJSON wants it (RFC 7946, 3.1.9)."""
    title: str = ""
    """What to call it: a file, a place, or nothing."""
    notes: tuple[str, ...] = ()
    """What was mended or left out, a sentence each."""

    # ---- ways in

    @classmethod
    def from_bbox(cls, west: float, south: float, east: float, north: float, *, title: str = "") -> AreaOfInterest:
        """A box between two meridians and two parallels; where west is greater than east it crosses 180 degrees.

        Raises:
            AreaError: If it has no size or lies outside the Earth.
        """
        said = f"{west:g}, {south:g}, {east:g}, {north:g}"
        if not all(map(math.isfinite, (west, south, east, north))):
            raise AreaError(f"The box {said} holds no plain numbers. Give west, south, east, north in degrees.")
        if not (-90 <= south <= 90 and -90 <= north <= 90):
            raise AreaError(
                f"The box {said} leaves the Earth: latitudes lie between −90 and 90. The order is west, south, east, "
                "north, in degrees, not metres."
            )
        if not (-360 <= west <= 360 and -360 <= east <= 360):
            raise AreaError(f"The box {said} leaves the Earth: longitudes lie between −180 and 180 degrees.")
        if south > north:
            raise AreaError(f"The box {said} has its south above its north. The order is west, south, east, north.")
        if west > east:
            east += 360
        if west == east or south == north:
            raise AreaError(f"The box {said} has no size: two of its sides lie on each other.")
        return cls.from_geometry(shapely.box(west, south, east, north), title=title)

    @classmethod
    def from_text(cls, text: str, *, title: str = "") -> AreaOfInterest:
        """A box as a person types it: `west,south,east,north` in degrees, separated by commas, semicolons or spaces.

        Raises:
            AreaError: If it is not four numbers, or no box.
        """
        parts = text.strip().strip("[]()").replace("−", "-").replace(";", " ").replace(",", " ").split()
        try:
            west, south, east, north = map(float, parts)
        except ValueError:
            raise AreaError(
                f"{text[:80]!r} is no bounding box. Give four numbers in degrees: west,south,east,north, for example "
                "34.9,48.4,35.1,48.55."
            ) from None
        return cls.from_bbox(west, south, east, north, title=title)

    @classmethod
    def from_geojson(cls, content: Mapping[str, Any], *, title: str = "") -> AreaOfInterest:
        """The polygons of a GeoJSON geometry, feature or feature collection, together.

        An edge that spans more than half the globe is taken to go the short way round, over the 180th meridian.

        Raises:
            AreaError: If it is no GeoJSON, or holds no polygon on the Earth.
        """
        crs = content.get("crs")
        if crs is not None and not _is_degrees(crs):
            raise AreaError(
                f"This GeoJSON is in {json.dumps(crs)[:120]}, not in degrees. Give it as a file, or save it in WGS 84."
            )
        found, notes = polygons_of(content)
        unwrapped = [ring_unwrapped(polygon) for polygon in found]
        if any(changed for _, changed in unwrapped):
            notes += ("An edge spans more than half the globe; it was taken to cross the 180th meridian.",)
        area = cls.from_geometry(_together([polygon for polygon, _ in unwrapped]), title=title)
        return replace(area, notes=(*notes, *area.notes))

    @classmethod
    def from_drawing(cls, content: Mapping[str, Any]) -> AreaOfInterest:
        """A shape drawn on a web map: GeoJSON whose longitudes go on beyond 180 degrees where the map does.

        Raises:
            AreaError: If it has no size.
        """
        found, notes = polygons_of(content)
        area = cls.from_geometry(_together(found))
        return replace(area, notes=(*notes, *area.notes))

    @classmethod
    def from_geometry(cls, geometry: BaseGeometry, *, title: str = "") -> AreaOfInterest:
        """Check and mend a polygon or several, in degrees; longitudes may be whole turns off.

        Raises:
            AreaError: If it is no polygon, has no size, too many vertices, or lies outside the Earth.
        """
        if geometry.is_empty or geometry.geom_type not in ("Polygon", "MultiPolygon"):
            raise AreaError(f"An area is a polygon or several, not {geometry.geom_type or 'nothing'}. Draw one anew.")
        count = int(shapely.get_num_coordinates(geometry))
        if count > MAX_VERTICES:
            raise AreaError(
                f"The outline has {count:,} vertices, at most {MAX_VERTICES:,} are taken. Simplify it first, for "
                "example in QGIS with Vector > Geometry Tools > Simplify, to 10 m."
            )
        flat, notes = within_the_world(shapely.force_2d(geometry))
        area = cls(flat, title, notes)
        if area.area_km2 * 1e6 < 1.0:
            raise AreaError("The area has no size: its corners lie on one line or on each other. Draw it larger.")
        return area

    # ---- what it is

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees; west is greater than east where it crosses the 180th meridian."""
        west, south, east, north = (float(side) for side in self.geometry.bounds)
        if self.crosses:
            west = min(part.bounds[0] for part in self._parts if part.bounds[0] > 0)
            east = max(part.bounds[2] for part in self._parts if part.bounds[0] <= 0)
        return west, south, east, north

    @property
    def crosses(self) -> bool:
        """Whether the 180th meridian cuts through it, so that it is shorter around there than around Greenwich."""
        west, _, east, _ = self.geometry.bounds
        if west > -180 or east < 180 or len(self._parts) < 2:
            return False
        # a gap across Greenwich tells two halves of one area from one that goes around the globe
        eastern = [part.bounds for part in self._parts if part.bounds[0] > 0]
        western = [part.bounds for part in self._parts if part.bounds[0] <= 0]
        return bool(eastern) and all(box[2] < 180 for box in western)

    @property
    def continuous(self) -> shapely.Polygon | shapely.MultiPolygon:
        """The geometry in one piece across the 180th meridian: longitudes go on beyond 180 there. For maps."""
        if not self.crosses:
            return self.geometry
        turned = [part if part.bounds[0] > 0 else shapely.affinity.translate(part, xoff=360.0) for part in self._parts]
        return _polygonal(shapely.union_all(turned))

    @property
    def geojson(self) -> dict[str, Any]:
        """The geometry as plain GeoJSON values."""
        return dict(json.loads(shapely.to_geojson(self.geometry)))

    @property
    def area_km2(self) -> float:
        """Area on the WGS 84 ellipsoid, km²; edges run straight in degrees, so that a box ends at its parallels.

        Measured in the ellipsoid's cylindrical equal-area projection (Snyder 1987, ch. 10), where boxes stay boxes and
        poles have a place. Geodesic areas of finely cut outlines (`pyproj.Geod`, Karney 2013) are the same.
        """
        fine = shapely.segmentize(self.geometry, _EDGE_DEG)
        flat = shapely.transform(fine, _equal_area().transform, interleaved=False)
        return float(flat.area) / 1e6

    @property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of the middle of its bounds, degrees."""
        west, south, east, north = self.bounds
        east += 360 if west > east else 0
        longitude = (west + east) / 2
        return longitude - 360 if longitude > 180 else longitude, (south + north) / 2

    @property
    def epsg(self) -> int:
        """Code of the projected system that suits it: its UTM zone, beyond 84° N or 80° S the polar UPS.

        Zones follow the Military Grid as Sentinel-2 tiles do, with its exceptions for Norway (32V) and Svalbard.
        """
        longitude, latitude = self.centre
        _, south, _, north = self.geometry.bounds
        if latitude >= UTM_NORTH or north > 89.0:
            return 32661
        if latitude < UTM_SOUTH or south < -89.0:
            return 32761
        return (32600 if latitude >= 0 else 32700) + utm_zone(longitude, latitude)

    def projected(self, crs: object) -> shapely.Polygon | shapely.MultiPolygon:
        """The outline in another coordinate system, its edges as straight in degrees as they are here.

        Args:
            crs: Whatever pyproj understands.

        Raises:
            AreaError: If it reaches where that system does not.
        """
        turn = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
        fine = shapely.segmentize(self.geometry, self._edge)
        moved = shapely.transform(fine, turn.transform, interleaved=False)
        if not math.isfinite(sum(moved.bounds)):
            raise AreaError(f"The area {_written(self.bounds)} reaches where the coordinate system {crs} does not.")
        # the halves meet again here where they were cut at 180 degrees
        return _polygonal(shapely.union_all(shapely.get_parts(shapely.make_valid(moved))))

    def utm_grid(self, *, resolution: float = 10.0) -> GeoBox:
        """The pixels that hold the area, north up, edges at multiples of the resolution as those of Sentinel-2.

        Args:
            resolution: Side of a pixel, m.

        Raises:
            AreaError: If it is too wide for one zone.
        """
        west, south, east, north = self.bounds
        span = east - west + (360 if west > east else 0)
        polar = self.epsg in (32661, 32761)
        if not polar and span > MAX_SPAN_DEG:
            raise AreaError(
                f"The area spans {span:.3g} degrees of longitude; one grid takes at most {MAX_SPAN_DEG:g}. Cut it into "
                "parts."
            )
        if polar and min(abs(south), abs(north)) < 60:
            raise AreaError(
                f"The area reaches from {south:.3g} to {north:.3g} degrees of latitude, from near a pole to where "
                "polar maps are no use. Cut it into parts."
            )
        crs = f"EPSG:{self.epsg}"
        left, bottom, right, top = self.projected(crs).bounds
        first_col, last_col = math.floor(left / resolution), math.ceil(right / resolution)
        first_row, last_row = math.floor(bottom / resolution), math.ceil(top / resolution)
        transform = Affine(resolution, 0.0, first_col * resolution, 0.0, -resolution, last_row * resolution)
        return GeoBox((last_row - first_row, last_col - first_col), transform, crs)

    @property
    def pixels(self) -> int:
        """Pixels of 10 m of the grid that holds it.

        Raises:
            AreaError: If it is too wide for one zone.
        """
        height, width = self.utm_grid().shape
        return int(height) * int(width)

    # ---- kept

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {"geometry": self.geojson, "title": self.title, "notes": list(self.notes)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> AreaOfInterest:
        """From `to_json`.

        Raises:
            AreaError: If it does not hold an area.
        """
        try:
            area = cls.from_drawing(content["geometry"])
            return replace(area, title=str(content.get("title", "")), notes=tuple(map(str, content.get("notes", ()))))
        except (KeyError, TypeError, AttributeError):
            raise AreaError("What was kept of the area cannot be read. Choose it anew.") from None

    @property
    def _parts(self) -> list[shapely.Polygon]:
        return list(shapely.get_parts(self.geometry))

    @property
    def _edge(self) -> float:
        """Longest piece of an edge when projecting, degrees: short against the area itself too."""
        west, south, east, north = self.geometry.bounds
        return float(min(_EDGE_DEG, max((east - west), (north - south)) / 64))


def utm_zone(longitude: float, latitude: float) -> int:
    """Number of the UTM zone, 1-60, with the Military Grid's exceptions for Norway and Svalbard."""
    zone = min(int((longitude + 180) // 6) + 1, 60)
    if 56 <= latitude < 64 and 3 <= longitude < 12:
        return 32
    if 72 <= latitude < 84 and 0 <= longitude < 42:
        return 31 + 2 * int((longitude + 3) // 12)
    return zone


@cache
def _equal_area() -> Transformer:
    return Transformer.from_crs("EPSG:4326", "+proj=cea +lat_ts=0 +lon_0=0 +ellps=WGS84 +units=m", always_xy=True)


def _is_degrees(crs: object) -> bool:
    name = json.dumps(crs)
    return "CRS84" in name or name.rstrip('"}').endswith(":4326")


def _together(polygons: list[shapely.Polygon]) -> shapely.Polygon | shapely.MultiPolygon:
    """As they are, not joined: `from_geometry` mends each and joins them."""
    return polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons)


def _polygonal(geometry: BaseGeometry) -> shapely.Polygon | shapely.MultiPolygon:
    parts = [part for part in shapely.get_parts(geometry) if part.geom_type == "Polygon"]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _written(bounds: tuple[float, float, float, float]) -> str:
    return ", ".join(f"{side:.5g}" for side in bounds)
