"""Reference points: what somebody says is at a place, clicked on the map, read from a file, or drawn by chance.

The content of a `MapEdit` of the kind `point` is one of

    {"origin": "click", "longitude": …, "latitude": …, "code": class code}
    {"origin": "sample", "longitude": …, "latitude": …, "code": …, "design": number of the edit that drew the sample,
     "place": which of its places, from 0, "stratum": class code of the map there when it was drawn}
    {"origin": "file", "file": name, "points": [{"longitude": …, "latitude": …, "code": …, "note": …}, …]}

with degrees on WGS 84. The note of a point that was clicked or drawn is the edit's own reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from s2dash.errors import CorrectionError, MissingCRSError
from s2dash.map_edit import MapEdit, in_force
from s2dash.schemes import ClassScheme
from s2dash.types import LabelArray

PointOrigin = Literal["click", "file", "sample"]
"""How a point came about: a person chose the place; it was in a file; the place was drawn by chance."""
Places = NDArray[np.int64]
"""Rows or columns of pixels."""


@dataclass(frozen=True)
class ReferencePoint:
    """What somebody says is at a place."""

    longitude: float
    """Degrees east, WGS 84."""
    latitude: float
    """Degrees north, WGS 84."""
    code: int
    """Class code."""
    who: str
    """The person."""
    when: datetime
    """When, with a time zone."""
    note: str = ""
    """What they remarked."""
    origin: PointOrigin = "click"
    """How it came about."""
    seq: int = 0
    """Number of the map edit it is of; 0 where it is of none."""
    design: int | None = None
    """Of a place drawn by chance: number of the map edit that drew it."""
    place: int | None = None
    """Of a place drawn by chance: which of the sample's, from 0."""
    stratum: int | None = None
    """Of a place drawn by chance: class code of the map there when it was drawn."""


def reference_points(edits: tuple[MapEdit, ...], *, scheme: ClassScheme | None = None) -> tuple[ReferencePoint, ...]:
    """All points in force, the oldest first.

    Of a place drawn by chance that was judged more than once, the latest judgement holds. Points that lie in one pixel
    are told apart only by a grid: see `latest`.

    Args:
        edits: All map edits of a run, in order.
        scheme: Leave out points whose class this scheme does not have (any more).
    """
    found: dict[tuple[int, ...], ReferencePoint] = {}
    for edit in in_force(edits):
        if edit.kind != "point":
            continue
        for index, point in enumerate(_points_of(edit)):
            key = (edit.seq, index) if point.design is None else (-1, point.design, point.place or 0)
            found.pop(key, None)
            found[key] = point
    return tuple(point for point in found.values() if scheme is None or point.code in scheme)


def latest(points: Iterable[ReferencePoint], grid: GeoBox) -> tuple[ReferencePoint, ...]:
    """Of the points in one pixel the latest, the oldest pixel first; points outside the grid are left out."""
    listed = tuple(points)
    rows, cols = pixels_of(listed, grid)
    by_pixel: dict[tuple[int, int], ReferencePoint] = {}
    for point, row, col in zip(listed, rows, cols, strict=True):
        if row >= 0:
            by_pixel.pop((int(row), int(col)), None)
            by_pixel[int(row), int(col)] = point
    return tuple(by_pixel.values())


def points_on(points: Iterable[ReferencePoint], grid: GeoBox) -> tuple[Places, Places, LabelArray]:
    """Points as training or test data: one a pixel, the latest.

    Returns:
        Rows, columns and class codes, each of shape (point,).
    """
    chosen = latest(points, grid)
    rows, cols = pixels_of(chosen, grid)
    return rows, cols, np.array([point.code for point in chosen], dtype=np.uint8)


def pixels_of(points: Iterable[ReferencePoint], grid: GeoBox) -> tuple[Places, Places]:
    """The pixel each point lies in.

    Returns:
        Rows and columns, each of shape (point,); both -1 for points outside the grid.
    """
    listed = tuple(points)
    return pixels_at(
        np.array([point.longitude for point in listed]), np.array([point.latitude for point in listed]), grid
    )


def pixels_at(longitude: NDArray[Any], latitude: NDArray[Any], grid: GeoBox) -> tuple[Places, Places]:
    """The pixel each place lies in.

    Args:
        longitude: Degrees, shape (place,); may be a whole turn off.
        latitude: Degrees, shape (place,).
        grid: In any projection, also across the 180th meridian.

    Returns:
        Rows and columns, each of shape (place,); both -1 for places outside the grid.

    Raises:
        MissingCRSError: If the grid has no coordinate system.
    """
    if grid.crs is None:
        raise MissingCRSError("The map has no coordinate system, so no place lies on it.")
    if not len(longitude):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    turned = (np.asarray(longitude, dtype=float) + 180.0) % 360.0 - 180.0
    x, y = Transformer.from_crs("EPSG:4326", grid.crs.proj, always_xy=True).transform(turned, latitude)
    if grid.crs.geographic:  # in the turn of the globe in which the grid is
        middle = (grid.boundingbox.left + grid.boundingbox.right) / 2
        x = x + 360.0 * np.round((middle - x) / 360.0)
    inverse = ~grid.transform
    cols = np.floor(inverse.a * x + inverse.b * y + inverse.c)
    rows = np.floor(inverse.d * x + inverse.e * y + inverse.f)
    height, width = grid.shape
    inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)  # false for what projects to infinity
    return np.where(inside, rows, -1).astype(np.int64), np.where(inside, cols, -1).astype(np.int64)


def centres_of(rows: Places, cols: Places, grid: GeoBox) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitude and latitude of the middle of pixels, degrees, each of shape (pixel,).

    Raises:
        MissingCRSError: If the grid has no coordinate system.
    """
    if grid.crs is None:
        raise MissingCRSError("The map has no coordinate system, so its pixels have no place on Earth.")
    at, x, y = grid.transform, np.asarray(cols) + 0.5, np.asarray(rows) + 0.5
    longitude, latitude = Transformer.from_crs(grid.crs.proj, "EPSG:4326", always_xy=True).transform(
        at.a * x + at.b * y + at.c, at.d * x + at.e * y + at.f
    )
    return (np.asarray(longitude) + 180.0) % 360.0 - 180.0, np.asarray(latitude)


def point_edit(
    longitude: float, latitude: float, code: int, *, grid: GeoBox, scheme: ClassScheme, who: str = "", note: str = ""
) -> MapEdit:
    """A point that a person clicked; nothing is kept yet.

    Raises:
        CorrectionError: If it lies outside the map.
        SchemeError: If the scheme has no such class.
    """
    _ = scheme[code]
    turned = (float(longitude) + 180.0) % 360.0 - 180.0
    rows, _ = pixels_at(np.array([turned]), np.array([float(latitude)]), grid)
    if rows[0] < 0:
        raise CorrectionError(
            f"The place at {latitude:.5f}° N, {turned:.5f}° E lies outside the map. Click inside its outline."
        )
    content = {"origin": "click", "longitude": turned, "latitude": float(latitude), "code": int(code)}
    return MapEdit("point", content, who=who, why=note)


def file_edit(
    points: Iterable[ReferencePoint], *, file: str, grid: GeoBox, scheme: ClassScheme, who: str = "", why: str = ""
) -> tuple[MapEdit, int]:
    """Points read from a file as one edit, which is taken back as one; nothing is kept yet.

    Returns:
        The edit, and how many points lie outside the map and are left out.

    Raises:
        CorrectionError: If none lies on the map.
        SchemeError: If the scheme does not have one of the classes.
    """
    listed = tuple(points)
    rows, _ = pixels_of(listed, grid)
    inside = [point for point, row in zip(listed, rows, strict=True) if row >= 0]
    if not inside:
        raise CorrectionError(
            f"None of the {len(listed)} points of {file} lies on the map. See that they are longitude and latitude on "
            "WGS 84, in degrees, and of this place."
        )
    for code in {point.code for point in inside}:
        _ = scheme[code]
    rows_json = [
        {"longitude": point.longitude, "latitude": point.latitude, "code": point.code}
        | ({"note": point.note} if point.note else {})
        for point in inside
    ]
    content = {"origin": "file", "file": file, "points": rows_json}
    return MapEdit("point", content, who=who, why=why), len(listed) - len(inside)


def _points_of(edit: MapEdit) -> list[ReferencePoint]:
    """The points of one edit."""
    about = edit.content
    origin = about.get("origin", "click")
    rows = about["points"] if origin == "file" else [about]
    return [
        ReferencePoint(
            longitude=float(row["longitude"]),
            latitude=float(row["latitude"]),
            code=int(row["code"]),
            who=edit.who,
            when=edit.when,
            note=str(row.get("note", "")) or edit.why,
            origin=origin,
            seq=edit.seq,
            design=about.get("design"),
            place=about.get("place"),
            stratum=about.get("stratum"),
        )
        for row in rows
    ]
