"""Polygons of any coordinate system in columns and rows of a grid, many at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from s2dash.corrections import unrolled
from s2dash.errors import MissingCRSError, NoOverlapError
from s2dash.grid import latitude_longitude_bounds

ShapeArray = NDArray[np.object_]
"""Shapely geometries."""
Bounds = tuple[float, float, float, float]
"""West, south, east, north, or left, bottom, right, top."""

_STEP_DEGREES = 0.005
"""Longest edge that is projected as one, degrees: up to 84° of latitude it is off by less than 10 cm."""
_STEP_METRES = 500.0
"""The same for plane coordinates; between two projections a kilometre bends by centimetres."""
_TURN = 360.0
_POLYGON, _MULTIPOLYGON = 3, 6


class OntoGrid:
    """The way from a coordinate system to a grid's columns and rows."""

    def __init__(self, grid: GeoBox, system: CRS) -> None:
        """Prepare it.

        Args:
            grid: In any projection, also across the 180th meridian.
            system: Of the polygons; edges are straight in it.

        Raises:
            MissingCRSError: If the grid has no coordinate system.
            NoOverlapError: If the grid lies where the polygons' system has no coordinates.
        """
        if grid.crs is None:
            raise MissingCRSError("The map has no coordinate system, so no polygons can be laid over it.")
        self._grid = grid
        self._turns: tuple[float, ...] = (0.0,)
        self._to_grid = Transformer.from_crs(system, grid.crs.proj, always_xy=True)
        if system.is_geographic:
            west, south, east, north = latitude_longitude_bounds(grid)
            east += _TURN if west > east else 0.0
            self._around: Bounds = (west - 0.1, max(south - 0.1, -90.0), east + 0.1, min(north + 0.1, 90.0))
            self._step, self._turns = _STEP_DEGREES, (-_TURN, 0.0, _TURN)
        else:
            self._around = _bounds_in(system, grid)
            self._step = _STEP_METRES / float(system.axis_info[0].unit_conversion_factor or 1.0)
        self._geographic = bool(system.is_geographic)

    @property
    def bounds(self) -> Bounds | None:
        """Where polygons that touch the grid lie in their own system; None where that is in two places."""
        west, _, east, _ = self._around
        return None if self._geographic and (west < -180.0 or east > 180.0) else self._around

    def place(self, shapes: ShapeArray) -> tuple[ShapeArray, NDArray[np.intp]]:
        """The parts of polygons that lie at the grid, in columns and rows of it.

        Args:
            shapes: Polygons and multipolygons; long edges are divided as finely as the projection bends them.

        Returns:
            Shapes with an area, and of each the position in `shapes`, ascending.
        """
        if self._geographic:
            shapes = np.array([_unrolled(shape) for shape in shapes], dtype=object)
        found, origins = [], []
        for turn in self._turns:
            bounds = shapely.bounds(shapes) + np.array([turn, 0.0, turn, 0.0])
            left, bottom, right, top = self._around
            near = (bounds[:, 0] <= right) & (bounds[:, 2] >= left) & (bounds[:, 1] <= top) & (bounds[:, 3] >= bottom)
            at = np.flatnonzero(near)
            if not at.size:
                continue
            moved = (
                shapely.transform(shapes[at], lambda xy, by=turn: xy + np.array([by, 0.0]))
                if turn
                else shapes[at].copy()
            )
            outside = (bounds[at, :2] < [left, bottom]).any(axis=1) | (bounds[at, 2:] > [right, top]).any(axis=1)
            moved[outside] = _clipped(moved[outside], self._around)
            found.append(moved)
            origins.append(at)
        if not found:
            return np.empty(0, dtype=object), np.empty(0, dtype=np.intp)
        joined, origin = np.concatenate(found), np.concatenate(origins)
        order = np.argsort(origin, kind="stable")
        joined, origin = joined[order], origin[order]
        kept = ~shapely.is_empty(joined)
        return shapely.transform(shapely.segmentize(joined[kept], self._step), self._pixels), origin[kept]

    def _pixels(self, at: Any) -> Any:
        grid, inverse = self._grid, ~self._grid.transform
        x, y = self._to_grid.transform(at[:, 0], at[:, 1])
        if grid.crs is not None and grid.crs.geographic:  # in the turn of the globe in which the grid is
            middle = (grid.boundingbox.left + grid.boundingbox.right) / 2
            x = x + _TURN * np.round((middle - x) / _TURN)
        return np.column_stack([inverse.a * x + inverse.b * y + inverse.c, inverse.d * x + inverse.e * y + inverse.f])


def only_areas(shape: Any) -> Any | None:
    """What of a geometry has an area, as a polygon or multipolygon; None where nothing has."""
    if shape is None or shape.is_empty:
        return None
    if shapely.get_type_id(shape) in (_POLYGON, _MULTIPOLYGON):
        return shape
    parts = [only_areas(part) for part in getattr(shape, "geoms", ())]
    flat = [piece for part in parts if part is not None for piece in shapely.get_parts(part)]
    return shapely.MultiPolygon(flat) if flat else None


def _bounds_in(system: CRS, grid: GeoBox) -> Bounds:
    box = grid.boundingbox
    assert grid.crs is not None
    try:
        turn = Transformer.from_crs(grid.crs.proj, system, always_xy=True)
        found = np.array(turn.transform_bounds(box.left, box.bottom, box.right, box.top, densify_pts=65))
    except ProjError:
        found = np.array([np.inf])
    if not np.isfinite(found).all():
        raise NoOverlapError(
            f"The scene lies where the reference's coordinate system ({system.name}) has no coordinates. Give a map of "
            "the same place."
        )
    # Projections bend the middle of a side outwards a little.
    margin = 0.02 * max(found[2] - found[0], found[3] - found[1])
    left, bottom, right, top = (float(value) for value in found)
    return left - margin, bottom - margin, right + margin, top + margin


def _unrolled(shape: Any) -> Any:
    """The same without a jump at the 180th meridian; nearly all shapes are far too narrow for one."""
    west, _, east, _ = shape.bounds
    if east - west <= 180.0:
        return shape
    return shapely.MultiPolygon([unrolled(part) for part in shapely.get_parts(shape)])


def _clipped(shapes: ShapeArray, bounds: Bounds) -> ShapeArray:
    broken = ~shapely.is_valid(shapes)
    shapes[broken] = shapely.make_valid(shapes[broken])
    cut = shapely.intersection(shapes, shapely.box(*bounds))
    # Where a shape only touches the box, a line or a point is left, which would be burnt like an area.
    areas = [only_areas(shape) for shape in cut]
    return np.array([shapely.Polygon() if shape is None else shape for shape in areas], dtype=object)
