import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyogrio import raw
from pyproj import Geod
from shapely.geometry import mapping

from s2dash.area import AreaOfInterest
from s2dash.area_files import MAX_BYTES, MAX_FEATURES, area_layers, read_area
from s2dash.errors import AreaError

FIELD = shapely.Polygon([(35.0, 48.4), (35.08, 48.41), (35.05, 48.47)])


def write(
    path: Path, *shapes: shapely.Geometry, crs: str | None = "EPSG:4326", layer: str = "areas", **more: Any
) -> Path:
    """A vector file, by GDAL."""
    kinds = {shape.geom_type for shape in shapes}
    raw.write(
        path,
        geometry=np.array([shapely.to_wkb(shape) for shape in shapes], dtype=object),
        field_data=[np.arange(len(shapes))],
        fields=["id"],
        layer=layer,
        geometry_type=kinds.pop() if len(kinds) == 1 else "Unknown",
        crs=crs,
        **more,
    )
    return path


@pytest.mark.parametrize("kind", ["geojson", "json", "gpkg", "kml"])
def test_every_kind_of_file_gives_its_polygon(tmp_path, kind):
    path = write(tmp_path / f"field.{kind}", FIELD, driver={"json": "GeoJSON", "kml": "KML"}.get(kind))
    area = read_area(path)
    assert area.geometry.symmetric_difference(FIELD).area < 1e-9
    assert area.title == "field"
    assert area.notes == ()


@pytest.mark.parametrize("kind", ["geojson", "gpkg"])
def test_other_coordinate_systems_are_brought_to_degrees(tmp_path, kind):
    square = shapely.box(640_000, 5_360_000, 650_000, 5_370_000)
    path = (
        write(tmp_path / f"utm.{kind}", square, crs="EPSG:32636", RFC7946="NO")
        if kind == "geojson"
        else write(tmp_path / "utm.gpkg", square, crs="EPSG:32636")
    )
    area = read_area(path)
    # 100 km² on the map, less the scale of UTM 2 degrees off its middle meridian
    scale = 0.9996 * (1 + (math.radians(2.0) * math.cos(math.radians(48.4))) ** 2 / 2)
    assert area.area_km2 == pytest.approx(100 / scale**2, rel=1e-3)
    assert area.projected("EPSG:32636").symmetric_difference(square).area < 100 * 4  # edges stayed straight within 1 cm


def test_a_geojson_is_in_degrees_and_others_have_to_say(tmp_path):
    (tmp_path / "bare.geojson").write_text(json.dumps(mapping(FIELD)))
    assert read_area(tmp_path / "bare.geojson").geometry.equals(FIELD)
    with pytest.warns(UserWarning, match="crs"):
        path = write(tmp_path / "bare.gpkg", FIELD, crs=None)
    with pytest.raises(AreaError, match="does not say in which coordinate system"):
        read_area(path)


def test_layers_are_joined_or_chosen(tmp_path):
    path = write(tmp_path / "two.gpkg", shapely.box(35, 48, 35.1, 48.1), layer="west")
    write(path, shapely.box(36, 48, 36.1, 48.1), shapely.box(36.05, 48, 36.2, 48.1), layer="east", append=True)
    write(path, shapely.Point(1, 2), layer="wells", append=True)
    assert area_layers(path) == ("west", "east")
    both, east = read_area(path), read_area(path, layers=["east"])
    assert both.geometry.equals(shapely.union_all([shapely.box(35, 48, 35.1, 48.1), shapely.box(36, 48, 36.2, 48.1)]))
    assert "3 polygons were taken together" in both.notes[0]
    assert east.geometry.equals(shapely.box(36, 48, 36.2, 48.1))
    with pytest.raises(AreaError, match="no layer 'wells'"):
        read_area(path, layers=["wells"])


@pytest.mark.parametrize("kind", ["geojson", "gpkg", "kml"])
def test_points_and_lines_are_refused(tmp_path, kind):
    driver = "KML" if kind == "kml" else None
    for shape in (shapely.Point(35, 48), shapely.LineString([(35, 48), (36, 49)])):
        path = write(tmp_path / f"{shape.geom_type}.{kind}", shape, driver=driver)
        with pytest.raises(AreaError, match=r"only points, lines|which have no area"):
            read_area(path)


def test_what_has_no_area_besides_polygons_is_left_out_and_said(tmp_path):
    path = write(tmp_path / "mixed.geojson", FIELD, shapely.Point(1, 2))
    area = read_area(path)
    assert area.geometry.equals(FIELD)
    assert "1 points or lines" in area.notes[0]


def test_files_that_are_none_are_refused_in_words(tmp_path):
    (tmp_path / "empty.geojson").touch()
    (tmp_path / "text.geojson").write_text("not this")
    (tmp_path / "cut.geojson").write_text('{"type": "FeatureCollection", "features": [{"type"')
    (tmp_path / "none.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    (tmp_path / "picture.gpkg").write_bytes(b"\x89PNG\r\n\x1a\n" * 9)
    (tmp_path / "table.gpkg").write_bytes(b"SQLite format 3\0" + bytes(200))
    write(tmp_path / "whole.gpkg", FIELD)
    (tmp_path / "cut.gpkg").write_bytes((tmp_path / "whole.gpkg").read_bytes()[:5000])
    (tmp_path / "cut.kml").write_text("<?xml version='1.0'?><kml><Document><Placemark>")
    (tmp_path / "shape.shp").touch()
    (tmp_path / "big.geojson").write_bytes(b"{")
    with (tmp_path / "big.geojson").open("r+b") as file:
        file.truncate(MAX_BYTES + 1)
    (tmp_path / "folder.geojson").mkdir()
    told = {
        "missing.geojson": "Check the spelling",
        "empty.geojson": "is empty",
        "text.geojson": "no GEOJSON file",
        "cut.geojson": "cannot be read",
        "none.geojson": "empty: there is no polygon|no polygons",
        "picture.gpkg": "no GPKG file",
        "table.gpkg": "no GPKG file",
        "cut.gpkg": "cannot be read",
        "cut.kml": "cannot be read|empty|no polygons",
        "shape.shp": "Give one of: geojson, json, gpkg, kml",
        "big.geojson": "64 are read",
        "folder.geojson": "cannot be read",
    }
    for name, words in told.items():
        with pytest.raises(AreaError, match=words):
            read_area(tmp_path / name)


def test_a_file_that_points_at_others_is_not_followed(tmp_path):
    secret = write(tmp_path / "secret.geojson", FIELD)
    source = f"<SrcDataSource>{secret}</SrcDataSource>"
    vrt = f'<OGRVRTDataSource><!--<kml>--><OGRVRTLayer name="secret">{source}</OGRVRTLayer></OGRVRTDataSource>'
    for name in ("link.kml", "link.geojson", "link.gpkg"):
        (tmp_path / name).write_text(vrt)
        with pytest.raises(AreaError, match="damaged"):
            read_area(tmp_path / name)


def test_too_many_vertices_and_features_are_refused_with_numbers(tmp_path):
    turns = np.linspace(0, 2 * math.pi, 60_000)
    circle = shapely.Polygon(np.stack([35 + np.cos(turns), 48 + np.sin(turns)], axis=1))
    path = write(tmp_path / "circles.gpkg", circle, circle)
    with pytest.raises(AreaError, match=r"120,00[0-9] vertices"):
        read_area(path)
    dots = [shapely.box(at * 1e-3, 0, at * 1e-3 + 5e-4, 1e-3) for at in range(MAX_FEATURES + 1)]
    many = write(tmp_path / "many.gpkg", *dots)
    with pytest.raises(AreaError, match="20,001 features"):
        read_area(many)


def test_outside_the_earth_is_refused_with_the_files_name(tmp_path):
    (tmp_path / "metres.geojson").write_text(json.dumps(mapping(shapely.box(5e5, 5e6, 5.1e5, 5.01e6))))
    with pytest.raises(AreaError, match=r"metres.geojson: The area leaves the Earth.*metres"):
        read_area(tmp_path / "metres.geojson")


def test_an_outline_that_crosses_itself_is_mended_and_one_over_180_degrees_taken_the_short_way(tmp_path):
    bow = write(tmp_path / "bow.gpkg", shapely.Polygon([(35, 48), (35.1, 48.1), (35.1, 48), (35, 48.1)]))
    assert "mended" in read_area(bow).notes[0]
    over = write(tmp_path / "over.gpkg", shapely.Polygon([(179.9, 0), (-179.9, 0), (-179.9, 0.2), (179.9, 0.2)]))
    assert read_area(over).bounds == pytest.approx((179.9, 0, -179.9, 0.2))


@given(
    st.floats(30, 33),
    st.floats(44, 52),
    st.floats(0.02, 0.4),
    st.sampled_from(["EPSG:32636", "EPSG:3857", "EPSG:3035"]),
)
def test_areas_survive_any_coordinate_system(tmp_path_factory, west, south, size, crs):
    area = AreaOfInterest.from_bbox(west, south, west + size, south + size)
    path = write(tmp_path_factory.mktemp("crs") / "area.gpkg", area.projected(crs), crs=crs)
    assert pyogrio.read_info(path)["crs"] == crs
    again = read_area(path)
    fine = shapely.orient_polygons(shapely.segmentize(area.geometry, 1e-3))
    oracle = Geod(ellps="WGS84").geometry_area_perimeter(fine)
    assert again.area_km2 == pytest.approx(oracle[0] / 1e6, rel=1e-5)
