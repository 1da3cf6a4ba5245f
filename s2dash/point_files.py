"""Reference points as files: GeoJSON, CSV and GeoPackage, written for anyone's program and read from anyone's."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from s2dash.errors import CorrectionError, SchemeError
from s2dash.reference_points import ReferencePoint
from s2dash.schemes import ClassScheme

POINTS_FILE = "reference_points.geojson"
"""Among the files of a run."""
MOST_POINTS = 10_000
"""Most points one file may hold."""
FORMATS = ("csv", "geojson", "json", "gpkg")
"""Endings of files that can be read."""
_COLUMNS = ("class", "code", "name", "who", "when", "note", "origin", "design", "place", "stratum")
_LONGITUDE = ("longitude", "lon", "lng", "long", "x", "east")
_LATITUDE = ("latitude", "lat", "y", "north")
_CLASS = ("class", "code", "class_code", "landcover", "land_cover", "lc", "label", "category", "name", "клас", "код")
_NOTE = ("note", "notes", "comment", "remark", "примітка")


def points_geojson(points: Iterable[ReferencePoint], scheme: ClassScheme) -> str:
    """The points as the text of a GeoJSON file."""
    return json.dumps(points_collection(points, scheme), ensure_ascii=False, indent=1) + "\n"


def points_collection(points: Iterable[ReferencePoint], scheme: ClassScheme) -> dict[str, Any]:
    """The points as a GeoJSON collection of features (RFC 7946)."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [point.longitude, point.latitude]},
            "properties": _row(point, scheme),
        }
        for point in points
    ]
    return {"type": "FeatureCollection", "features": features}


def points_csv(points: Iterable[ReferencePoint], scheme: ClassScheme) -> str:
    """The points as CSV with a row of headings; text that a spreadsheet would take for a formula gets an apostrophe."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    table.writerow(["longitude", "latitude", *_COLUMNS])
    for point in points:
        row = _row(point, scheme)
        table.writerow([repr(point.longitude), repr(point.latitude), *(_cell(row[name]) for name in _COLUMNS)])
    return text.getvalue()


def points_geopackage(points: Iterable[ReferencePoint], scheme: ClassScheme) -> bytes:
    """The points as a GeoPackage with one layer, `reference_points`."""
    import shapely
    from pyogrio import raw

    listed = list(points)
    rows = [_row(point, scheme) for point in listed]
    places = shapely.points([[point.longitude, point.latitude] for point in listed]) if listed else np.array([])
    numbers = {"code", "design", "place", "stratum"}
    data, masks = [], []
    for name in _COLUMNS:
        values = [row[name] for row in rows]
        if name in numbers:
            data.append(np.array([value or 0 for value in values], dtype=np.int32))
        else:
            data.append(np.array([str(value) for value in values], dtype=object))
        masks.append(np.array([value is None for value in values], dtype=bool))
    with tempfile.TemporaryDirectory() as folder:  # in memory GDAL misses the ending of the name
        path = Path(folder) / "points.gpkg"
        raw.write(
            path,
            shapely.to_wkb(places).astype(object),
            data,
            list(_COLUMNS),
            field_mask=masks,
            layer="reference_points",
            driver="GPKG",
            geometry_type="Point",
            crs="EPSG:4326",
        )
        return path.read_bytes()


def read_points(content: bytes, name: str, *, scheme: ClassScheme) -> tuple[ReferencePoint, ...]:
    """Points that somebody collected elsewhere.

    A CSV file has columns for longitude, latitude (degrees, WGS 84) and class; a GeoJSON file or GeoPackage has points
    with a class. A class is given by its code, its key, or its name or another word for it in English or Ukrainian.

    Args:
        content: Of the file.
        name: Of the file, to know its kind, and for the error text.
        scheme: The classes.

    Raises:
        CorrectionError: If it cannot be read, has no such columns, no points or too many, or names unknown classes.
    """
    ending = PurePath(name).suffix.lower().removeprefix(".")
    if ending == "csv":
        rows = _csv_rows(content, name)
    elif ending in {"geojson", "json"}:
        rows = _geojson_rows(content, name)
    elif ending == "gpkg":
        rows = _geopackage_rows(content, name)
    else:
        raise CorrectionError(f"{name} is no file of points that can be read: give .csv, .geojson or .gpkg.")
    if not rows:
        raise CorrectionError(f"{name} holds no points.")
    if len(rows) > MOST_POINTS:
        raise CorrectionError(f"{name} holds {len(rows)} points; at most {MOST_POINTS} can be read. Give it in parts.")
    words = _words(scheme)
    column = _class_column([row for _, _, row in rows], name)
    codes = [words.get(_folded(row.get(column))) for _, _, row in rows]
    strangers = {str(row.get(column)) for (_, _, row), code in zip(rows, codes, strict=True) if code is None}
    if strangers:
        some = ", ".join(repr(value[:40]) for value in sorted(strangers)[:5])
        known = ", ".join(f"{cls.code} {cls.name}" for cls in scheme.classes)
        raise CorrectionError(
            f"{name} has classes in its column {column!r} that are not known: {some}. Known: {known}."
        )
    now = datetime.now(UTC)
    return tuple(
        ReferencePoint(lon, lat, code, who="", when=now, note=str(_first(row, _NOTE) or "")[:500], origin="file")
        for (lon, lat, row), code in zip(rows, codes, strict=True)
        if code is not None
    )


def class_code(word: object, scheme: ClassScheme) -> int:
    """The class that a person calls by its code, its key, its name or another word for it.

    Raises:
        SchemeError: If there is none.
    """
    found = _words(scheme).get(_folded(word))
    if found is None:
        known = ", ".join(f"{cls.code} {cls.name}" for cls in scheme.classes)
        raise SchemeError(f"The scheme {scheme.name!r} has no class {str(word)[:60]!r}. Choose one of: {known}.")
    return found


_Rows = list[tuple[float, float, Mapping[str, Any]]]


def _csv_rows(content: bytes, name: str) -> _Rows:
    try:
        text = content.decode("utf-8-sig")
        heading = text.splitlines()[0]
    except (UnicodeDecodeError, IndexError) as error:
        raise CorrectionError(f"{name} is no CSV file in UTF-8, or is empty. Save it as CSV UTF-8.") from error
    delimiter = max(",;\t", key=heading.count)
    try:
        table = [
            {str(key).strip().lower(): value for key, value in row.items() if key is not None}
            for row in csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        ]
    except csv.Error as error:
        raise CorrectionError(f"{name} is no CSV file that can be read: {error}.") from error
    found: _Rows = []
    for number, row in enumerate(table, start=2):
        if not any(value and str(value).strip() for value in row.values()):
            continue
        at = []
        for wanted, what in ((_LONGITUDE, "longitude"), (_LATITUDE, "latitude")):
            value = _first(row, wanted)
            if value is None:
                raise CorrectionError(
                    f"{name} has no {what} in row {number}. Its columns: {', '.join(table[0])[:200]}."
                )
            at.append(_number(str(value).replace(",", ".") if delimiter != "," else value, name, f"row {number}"))
        found.append(_place(at[0], at[1], row, name))
    return found


def _geojson_rows(content: bytes, name: str) -> _Rows:
    try:
        features = json.loads(content.decode("utf-8-sig"))["features"]
        rows = [
            (feature["geometry"]["type"], feature["geometry"]["coordinates"], feature.get("properties") or {})
            for feature in features
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorrectionError(f"{name} is no GeoJSON collection of points.") from error
    found: _Rows = []
    for number, (kind, at, row) in enumerate(rows, start=1):
        if kind != "Point" or not isinstance(at, list) or len(at) < 2:
            raise CorrectionError(f"{name} holds a {kind} as its feature {number}; every feature has to be a Point.")
        lon, lat = (_number(value, name, f"feature {number}") for value in at[:2])
        found.append(_place(lon, lat, {str(key).lower(): value for key, value in row.items()}, name))
    return found


def _geopackage_rows(content: bytes, name: str) -> _Rows:
    import shapely
    from pyogrio import raw
    from pyogrio.errors import DataLayerError, DataSourceError
    from pyproj import Transformer
    from pyproj.exceptions import CRSError

    if not content.startswith(b"SQLite format 3\0"):
        raise CorrectionError(f"{name} is no GeoPackage.")
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "points.gpkg"
            path.write_bytes(content)
            about, _, places, columns = raw.read(path)
        geometries = shapely.from_wkb(places)
        to_degrees = Transformer.from_crs(about["crs"] or "EPSG:4326", "EPSG:4326", always_xy=True)
    except (DataSourceError, DataLayerError, CRSError, shapely.errors.ShapelyError, ValueError, TypeError) as error:
        raise CorrectionError(f"{name} is no GeoPackage of points that can be read: {error}.") from error
    if not all(isinstance(one, shapely.Point) and not one.is_empty for one in geometries):
        raise CorrectionError(f"{name} holds other things than points; every feature has to be a point.")
    names = [str(field).lower() for field in about["fields"]]
    lon, lat = to_degrees.transform(shapely.get_x(geometries), shapely.get_y(geometries))
    return [
        _place(
            float(lon[row]), float(lat[row]), dict(zip(names, [column[row] for column in columns], strict=True)), name
        )
        for row in range(len(geometries))
    ]


def _place(
    longitude: float, latitude: float, row: Mapping[str, Any], name: str
) -> tuple[float, float, Mapping[str, Any]]:
    if not (abs(longitude) <= 360.0 and abs(latitude) <= 90.0):
        raise CorrectionError(
            f"{name} has a point at {longitude:g}, {latitude:g}, which is no longitude and latitude in degrees. Give "
            "the points on WGS 84 (EPSG:4326)."
        )
    return (longitude + 180.0) % 360.0 - 180.0, latitude, row


def _number(value: Any, name: str, where: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise CorrectionError(f"{name}, {where}: {str(value)[:40]!r} is no number of degrees.") from error


def _class_column(rows: list[Mapping[str, Any]], name: str) -> str:
    for column in _CLASS:
        if any(row.get(column) not in (None, "") for row in rows):
            return column
    raise CorrectionError(
        f"{name} does not say of which class its points are. Call that column `class`. Columns there: "
        f"{', '.join(rows[0])[:200] or 'none'}."
    )


def _words(scheme: ClassScheme) -> dict[str, int]:
    """Everything a class may be called, the surest words last so that they win."""
    found: dict[str, int] = {}
    for pick in (
        lambda cls: [word for words in cls.synonyms.values() for word in words],
        lambda cls: cls.names.values(),
        lambda cls: [cls.key, str(cls.code)],
    ):
        for cls in scheme.classes:
            found |= {_folded(word): cls.code for word in pick(cls)}
    return found


def _folded(word: Any) -> str:
    """A word as it is compared: a whole number without its decimals, no case, no underscores."""
    if isinstance(word, float | np.floating) and float(word).is_integer():
        word = int(word)
    text = " ".join(str(word).casefold().replace("_", " ").split())
    return text.removesuffix(".0")


def _first(row: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def _row(point: ReferencePoint, scheme: ClassScheme) -> dict[str, Any]:
    known = next((cls for cls in scheme.classes if cls.code == point.code), None)
    return {
        "class": known.key if known else "",
        "code": point.code,
        "name": known.name if known else "",
        "who": point.who,
        "when": point.when.isoformat(),
        "note": point.note,
        "origin": point.origin,
        "design": point.design,
        "place": point.place,
        "stratum": point.stratum,
    }


def _cell(value: Any) -> Any:
    """A cell that no spreadsheet runs."""
    if isinstance(value, str) and value[:1] in "=+-@\t\r" and value:
        return f"'{value}"
    return "" if value is None else value
