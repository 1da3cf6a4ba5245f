import math

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st
from pyproj import Geod, Transformer
from shapely.geometry import mapping

from s2dash.area import MAX_VERTICES, AreaOfInterest, utm_zone
from s2dash.errors import AreaError

WGS84 = Geod(ellps="WGS84")


def box_km2(west: float, south: float, east: float, north: float) -> float:
    """Area of an ellipsoidal quadrangle in closed form (Bagratuni 1967): an oracle without projections."""
    e2 = 0.00669437999014
    e, b2 = math.sqrt(e2), 6356752.314245**2

    def strip(latitude: float) -> float:
        s = math.sin(math.radians(latitude))
        return s / (2 * (1 - e2 * s * s)) + math.atanh(e * s) / (2 * e)

    return math.radians(east - west) * b2 * (strip(north) - strip(south)) / 1e6


longitudes = st.floats(-180, 180).map(lambda value: round(value, 6))
latitudes = st.floats(-79, 83).map(lambda value: round(value, 6))
sizes = st.floats(0.01, 3.0).map(lambda value: round(value, 6))


@given(longitudes, latitudes, sizes, sizes)
def test_a_box_lies_where_it_was_put_and_has_its_area_also_across_180_degrees(west, south, wide, high):
    east, north = west + wide, min(south + high, 83.5)
    assume(north - south > 0.005)
    said_east = east - 360 if east > 180 else east
    area = AreaOfInterest.from_bbox(west, south, said_east, north)
    assert area.area_km2 == pytest.approx(box_km2(west, south, east, north), rel=1e-6)
    assert area.crosses == (west < 180 < east)
    for part in shapely.get_parts(area.geometry):
        assert -180 <= part.bounds[0] < part.bounds[2] <= 180
    found = area.bounds
    assert found[1::2] == pytest.approx((south, north))
    assert (found[2] - found[0]) % 360 == pytest.approx(wide, abs=1e-6)
    assert (found[0] - west) % 360 == pytest.approx(0, abs=1e-6) or (found[0] - west) % 360 == pytest.approx(360)
    assert AreaOfInterest.from_json(area.to_json()) == area


@given(longitudes, latitudes, sizes, sizes, st.integers(-2, 2))
def test_a_drawing_on_any_turn_of_the_globe_is_the_same_place(west, south, wide, high, turns):
    assume(abs(abs(west) - 180) > 1e-3 and abs(west + wide - 180) > 1e-3)
    box = shapely.box(west, south, west + wide, min(south + high, 85))
    here = AreaOfInterest.from_drawing(mapping(box))
    there = AreaOfInterest.from_drawing(
        {"type": "Feature", "geometry": mapping(shapely.affinity.translate(box, 360 * turns))}
    )
    assert there.area_km2 == pytest.approx(here.area_km2, rel=1e-6)
    assert there.geometry.symmetric_difference(here.geometry).area < 1e-9 * max(here.geometry.area, 1)


@given(longitudes, latitudes, st.floats(0.01, 0.5))
def test_the_grid_holds_the_area_and_its_pixels_lie_as_those_of_sentinel_2(west, south, size):
    area = AreaOfInterest.from_bbox(west, south, (west + size + 180) % 360 - 180, south + size / 2)
    grid = area.utm_grid()
    affine = grid.transform
    assert (affine.a, affine.b, affine.d, affine.e) == (10, 0, 0, -10)
    assert affine.c % 10 == affine.f % 10 == 0
    turn = Transformer.from_crs("EPSG:4326", grid.crs.proj, always_xy=True)
    rng = np.random.default_rng(0)
    x, y = turn.transform(west + size * rng.random(200), south + size / 2 * rng.random(200))
    cols, rows = (np.asarray(x) - affine.c) / 10, (affine.f - np.asarray(y)) / 10
    height, width = grid.shape
    assert (cols >= -1e-3).all()
    assert (rows >= -1e-3).all()
    assert (cols <= width + 1e-3).all()
    assert (rows <= height + 1e-3).all()
    assert area.pixels == height * width
    assert area.area_km2 * 1e4 <= area.pixels * 1.01  # a UTM pixel is up to 0.1 % larger or smaller than 100 m²


@given(st.lists(st.tuples(st.floats(30, 31), st.floats(48, 49)), min_size=3, max_size=9))
def test_any_outline_gives_a_valid_area_or_is_refused_in_words(corners):
    ring = [list(corner) for corner in [*corners, corners[0]]]
    try:
        area = AreaOfInterest.from_geojson({"type": "Polygon", "coordinates": [ring]})
    except AreaError as error:
        assert "no size" in str(error)  # noqa: PT017 - either it is refused so, or the rest holds
        return
    assert area.geometry.is_valid
    assert area.area_km2 > 0
    if not shapely.Polygon(ring).is_valid:
        assert "mended" in area.notes[0]


@given(st.integers(3, 40), st.floats(-170, 170), st.floats(-70, 70), st.floats(0.01, 1))
def test_area_is_the_geodesic_area_of_the_finely_cut_outline(corners, longitude, latitude, radius):
    turns = np.linspace(0, 2 * math.pi, corners, endpoint=False)
    ring = np.stack([longitude + radius * np.cos(turns), latitude + radius * np.sin(turns)], axis=1)
    shape = shapely.Polygon(ring)
    area = AreaOfInterest.from_geometry(shape).area_km2
    oracle = WGS84.geometry_area_perimeter(shapely.orient_polygons(shapely.segmentize(shape, radius / 500)))[0] / 1e6
    assert area == pytest.approx(oracle, rel=2e-5)


def test_the_whole_earth_and_its_caps_have_their_areas():
    assert AreaOfInterest.from_bbox(-180, -90, 180, 90).area_km2 == pytest.approx(510_065_621.7, rel=1e-9)
    cap = AreaOfInterest.from_bbox(-180, 89, 180, 90)
    assert cap.area_km2 == pytest.approx(box_km2(-180, 89, 180, 90), rel=1e-6)
    assert (cap.epsg, AreaOfInterest.from_bbox(0, -90, 90, -85).epsg) == (32661, 32761)
    assert cap.utm_grid(resolution=1000).shape == (224, 224)  # 111.7 km to each side of the pole


def test_beyond_84_degrees_the_grid_is_polar():
    area = AreaOfInterest.from_bbox(20, 84.5, 21, 84.6)
    grid = area.utm_grid()
    assert grid.crs.epsg == 32661
    assert area.pixels > area.area_km2 * 1e4
    assert AreaOfInterest.from_bbox(20, 83.5, 21, 83.6).epsg == 32633


@pytest.mark.parametrize(
    ("longitude", "latitude", "zone"),
    [(35, 48, 36), (-180, 0, 1), (180, 0, 60), (5, 60, 32), (2.9, 60, 31), (10, 75, 33), (8, 75, 31), (40, 75, 37)],
)
def test_zones_are_those_of_the_military_grid(longitude, latitude, zone):
    assert utm_zone(longitude, latitude) == zone


def test_the_zone_of_an_area_across_180_degrees_is_one_of_its_own():
    area = AreaOfInterest.from_bbox(179.9, -17, -179.9, -16.8)
    assert area.epsg in (32701, 32760)
    assert area.pixels < 1.1 * 21_300 / 10 * 22_200 / 10 * 1.05


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,2,3", "four numbers"),
        ("a,b,c,d", "four numbers"),
        ("nan,0,1,1", "no plain numbers"),
        ("0,0,inf,1", "no plain numbers"),
        ("1,1,1,2", "no size"),
        ("1,2,3,2", "no size"),
        ("0,2,1,1", "south above its north"),
        ("0,80,1,95", "leaves the Earth"),
        ("500000,5000000,510000,5010000", "leaves the Earth"),
        ("400,0,401,1", "longitudes"),
        ("0,0,0.000001,0.000001", "no size"),
    ],
)
def test_bad_boxes_are_refused_in_words(text, words):
    with pytest.raises(AreaError, match=words):
        AreaOfInterest.from_text(text)


def test_boxes_are_read_as_people_write_them():
    wanted = AreaOfInterest.from_bbox(-70.5, -33.5, -70.4, -33.4)
    for text in ("-70.5,-33.5,-70.4,-33.4", " [−70.5; −33.5; −70.4; −33.4] ", "-70.5 -33.5\t-70.4 -33.4"):
        assert AreaOfInterest.from_text(text) == wanted


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"type": "Point", "coordinates": [1, 2]}, "only Point"),
        ({"type": "LineString", "coordinates": [[1, 2], [2, 3]]}, "only LineString"),
        ({"type": "FeatureCollection", "features": []}, "empty"),
        ({"type": "Feature", "geometry": None}, "empty"),
        ({"type": "Polygon"}, "no GeoJSON"),
        ({"type": "Circle", "coordinates": []}, "no GeoJSON"),
        ({}, "no GeoJSON"),
        ({"type": "Polygon", "coordinates": [[[5e5, 5e6], [5e5, 5.1e6], [6e5, 5e6], [5e5, 5e6]]]}, "metres"),
        ({"type": "Polygon", "coordinates": [[[0, 80], [120, 80], [-120, 80], [0, 80]]]}, "around a pole"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [0, 0], [0, 0], [0, 0]]]}, "no size"),
        (mapping(shapely.box(0, 0, 1, 1)) | {"crs": {"type": "name", "properties": {"name": "EPSG:32636"}}}, "32636"),
    ],
)
def test_bad_geojson_is_refused_in_words(content, words):
    with pytest.raises(AreaError, match=words):
        AreaOfInterest.from_geojson(content)


def test_what_has_no_area_is_left_out_and_said():
    collection = {
        "type": "GeometryCollection",
        "geometries": [{"type": "Point", "coordinates": [1, 2]}, mapping(shapely.box(0, 0, 1, 1))],
    }
    area = AreaOfInterest.from_geojson(
        {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": collection}]}
    )
    assert area.geometry.equals(shapely.box(0, 0, 1, 1))
    assert "1 points or lines" in area.notes[0]


def test_holes_count_and_overlaps_count_once():
    with_hole = AreaOfInterest.from_geometry(
        shapely.box(10, 50, 11, 51).difference(shapely.box(10.4, 50.4, 10.6, 50.6))
    )
    whole, hole = (AreaOfInterest.from_bbox(*box).area_km2 for box in ((10, 50, 11, 51), (10.4, 50.4, 10.6, 50.6)))
    assert with_hole.area_km2 == pytest.approx(whole - hole, rel=1e-9)
    twice = AreaOfInterest.from_geojson(
        mapping(shapely.MultiPolygon([shapely.box(10, 50, 10.6, 51), shapely.box(10.4, 50, 11, 51)]))
    )
    assert twice.area_km2 == pytest.approx(whole, rel=1e-9)


def test_a_ring_over_180_degrees_that_nobody_cut_is_taken_the_short_way():
    ring = [[179, 0], [-179, 0], [-179, 1], [179, 1], [179, 0]]
    area = AreaOfInterest.from_geojson({"type": "Polygon", "coordinates": [ring]})
    assert area.geometry.equals(AreaOfInterest.from_bbox(179, 0, -179, 1).geometry)
    assert "180th meridian" in area.notes[0]
    hole = [[179.5, 0.2], [-179.5, 0.2], [-179.5, 0.8], [179.5, 0.8], [179.5, 0.2]]
    pierced = AreaOfInterest.from_geojson({"type": "Polygon", "coordinates": [ring, hole]})
    assert pierced.area_km2 == pytest.approx(box_km2(0, 0, 2, 1) - box_km2(0, 0.2, 1, 0.8), rel=1e-6)
    assert area.continuous.bounds == (179, 0, 181, 1)


def test_too_many_corners_and_too_wide_areas_are_refused_with_numbers():
    turns = np.linspace(0, 2 * math.pi, MAX_VERTICES + 10)
    with pytest.raises(AreaError, match="100,011 vertices"):
        AreaOfInterest.from_geometry(shapely.Polygon(np.stack([np.cos(turns), np.sin(turns)], axis=1)))
    with pytest.raises(AreaError, match="spans 30 degrees"):
        AreaOfInterest.from_bbox(0, 0, 30, 1).utm_grid()
    with pytest.raises(AreaError, match="371 degrees wide"):
        AreaOfInterest.from_drawing(mapping(shapely.box(-190, 0, 181, 1)))
    with pytest.raises(AreaError, match="near a pole"):
        AreaOfInterest.from_bbox(0, 10, 5, 90).utm_grid()


def test_what_was_kept_by_another_version_is_refused_in_words():
    with pytest.raises(AreaError, match="Choose it anew"):
        AreaOfInterest.from_json({"shape": "round"})
