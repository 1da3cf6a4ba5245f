"""Areas that people set: exactly the pixels whose centre lies inside, wherever the map lies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.features import geometry_mask
from shapely.geometry import MultiPolygon, Polygon, box, mapping

from s2dash.corrections import area_edit, area_geometry, as_drawn, corrected, pixels_inside, preview_area
from s2dash.errors import CorrectionError, SchemeError
from s2dash.grid import slices
from s2dash.landcover import LandCoverMap
from s2dash.map_edit import MapEdit
from s2dash.schemes import UNDECIDED, load_scheme
from s2dash.testing import make_grid

GRIDS = {
    "utm": make_grid(60, 80),
    "utm south": make_grid(50, 40, crs="EPSG:32736", origin=(4e5, 8.2e6)),
    "far north": make_grid(50, 40, crs="EPSG:32633", resolution=60.0, origin=(6e5, 9.2e6)),
    "degrees": make_grid(40, 50, crs="EPSG:4326", resolution=0.001, origin=(30.0, 50.0)),
    "laea": make_grid(50, 50, crs="EPSG:3035", resolution=100.0, origin=(5.1e6, 3.0e6)),
    "across 180 in utm": make_grid(60, 60, crs="EPSG:32701", resolution=50.0, origin=(1.805e5, 8.0e6)),
    "across 180 in degrees": make_grid(40, 60, crs="EPSG:4326", resolution=0.001, origin=(179.97, -17.0)),
}


def land(grid: GeoBox, *, code: int = 30) -> LandCoverMap:
    codes = np.full(grid.shape, code, dtype=np.uint8)
    return LandCoverMap(grid, codes, np.full(grid.shape, 60, dtype=np.uint8), load_scheme("worldcover"), 2021)


def centres(grid: GeoBox) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude of every pixel's middle, in one turn of the globe."""
    cols, rows = np.meshgrid(np.arange(grid.shape[1]) + 0.5, np.arange(grid.shape[0]) + 0.5)
    x, y = grid.transform.a * cols + grid.transform.c, grid.transform.e * rows + grid.transform.f
    lon, lat = Transformer.from_crs(grid.crs.proj, "EPSG:4326", always_xy=True).transform(x, y)
    return np.where(lon < lon[0, 0] - 180, lon + 360, np.where(lon > lon[0, 0] + 180, lon - 360, lon)), lat


def burnt(geometry: dict, grid: GeoBox) -> np.ndarray:
    found = np.zeros(grid.shape, dtype=bool)
    if (inside := pixels_inside(geometry, grid)) is not None:
        found[slices(inside[0])] = inside[1]
    return found


@st.composite
def polygons(draw, lon: np.ndarray, lat: np.ndarray) -> Polygon:
    """Any triangle to hexagon on and around the map."""
    west, south = lon.min() - 0.2 * np.ptp(lon), lat.min() - 0.2 * np.ptp(lat)
    share = st.floats(0, 1, allow_nan=False)
    corners = [
        (west + 1.4 * np.ptp(lon) * draw(share), south + 1.4 * np.ptp(lat) * draw(share))
        for _ in range(draw(st.integers(3, 6)))
    ]
    made = Polygon(corners)
    assume(made.is_valid and made.area > 1e-3 * np.ptp(lon) * np.ptp(lat))
    return made


@pytest.mark.parametrize("name", GRIDS)
@settings(max_examples=40)
@given(data=st.data())
def test_the_pixels_are_those_whose_centre_lies_inside(name, data):
    grid = GRIDS[name]
    lon, lat = centres(grid)
    area = data.draw(polygons(lon, lat))
    expected = shapely.contains_xy(area, lon, lat)
    # Only a centre within a hundredth of a pixel of the outline may fall on either side.
    pixel = np.ptp(lat) / grid.shape[0]
    near = shapely.distance(area.exterior, shapely.points(lon, lat)) < 0.01 * pixel
    assert not ((burnt(mapping(area), grid) != expected) & ~near).any()


def test_a_small_area_in_a_projected_grid_is_what_rasterio_masks():
    grid = GRIDS["utm"]
    corners = [(500105.0, 4999905.0), (500655.0, 4999845.0), (500411.0, 4999433.0)]
    to_degrees = Transformer.from_crs("EPSG:32636", "EPSG:4326", always_xy=True)
    area = Polygon([to_degrees.transform(*corner) for corner in corners])
    expected = geometry_mask([mapping(Polygon(corners))], grid.shape, grid.transform, invert=True)
    assert expected.sum() > 100
    np.testing.assert_array_equal(burnt(mapping(area), grid), expected)


def test_long_edges_bend_with_the_projection():
    grid = make_grid(400, 600, crs="EPSG:32633", resolution=1000.0, origin=(2e5, 8.0e6))
    lon, lat = centres(grid)
    area = box(lon.mean() - 5, lat.mean() - 1.2, lon.mean() + 5, lat.mean() + 1.2)  # along two parallels
    expected = shapely.contains_xy(area, lon, lat)
    straight = Transformer.from_crs("EPSG:4326", grid.crs.proj, always_xy=True)
    chords = Polygon([straight.transform(*corner) for corner in area.exterior.coords])
    undivided = geometry_mask([mapping(chords)], grid.shape, grid.transform, invert=True)
    assert (undivided != expected).sum() > 1000  # what would go wrong
    assert (burnt(mapping(area), grid) != expected).sum() <= 2


@pytest.mark.parametrize("name", ["across 180 in utm", "across 180 in degrees"])
def test_an_area_across_180_degrees_may_be_written_in_any_way(name):
    grid = GRIDS[name]
    lon, lat = centres(grid)
    assert lon.min() < 180 < lon.max() or lon.min() < -180 < lon.max()
    middle = 180.0 if lon.max() > 180 else -180.0
    dx, south, north = 0.4 * min(lon.max() - middle, middle - lon.min()), *np.quantile(lat, [0.3, 0.7])
    beyond = box(180 - dx, south, 180 + dx, north)
    ways = {
        "beyond 180": mapping(beyond),
        "beyond -180": mapping(box(-180 - dx, south, -180 + dx, north)),
        "jumping": mapping(Polygon([(180 - dx, south), (-180 + dx, south), (-180 + dx, north), (180 - dx, north)])),
        "cut": mapping(MultiPolygon([box(180 - dx, south, 180, north), box(-180, south, -180 + dx, north)])),
    }
    expected = shapely.contains_xy(beyond, lon % 360, lat)
    assert expected.sum() > 20
    for way, geometry in ways.items():
        np.testing.assert_array_equal(burnt(area_geometry(geometry), grid), expected, err_msg=way)


def test_holes_stay_as_they_are_and_features_are_taken_together():
    grid = GRIDS["degrees"]
    lon, lat = centres(grid)
    ring = Polygon(box(30.005, 49.965, 30.035, 49.995).exterior, [box(30.015, 49.975, 30.025, 49.985).exterior.coords])
    other = box(30.030, 49.962, 30.045, 49.970)
    features = [{"type": "Feature", "properties": {}, "geometry": mapping(one)} for one in (ring, other)]
    found = burnt(area_geometry({"type": "FeatureCollection", "features": features}), grid)
    np.testing.assert_array_equal(found, shapely.contains_xy(shapely.union_all([ring, other]), lon, lat))


# ---- the map


def at(grid: GeoBox, rows: slice, cols: slice) -> dict:
    """A polygon around exactly these pixels of a small grid."""
    left, top = grid.transform @ (cols.start, rows.start)
    right, bottom = grid.transform @ (cols.stop, rows.stop)
    to_degrees = Transformer.from_crs(grid.crs.proj, "EPSG:4326", always_xy=True)
    return mapping(
        Polygon([to_degrees.transform(x, y) for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))])
    )


def numbered(*edits: MapEdit) -> tuple[MapEdit, ...]:
    return tuple(replace(edit, seq=number) for number, edit in enumerate(edits, start=1))


def test_areas_are_burnt_in_order_only_where_there_is_data_and_can_be_taken_back():
    grid = make_grid(10, 10)
    map_ = land(grid)
    map_.codes[:, 9] = 0
    map_.codes[0, 0] = UNDECIDED
    first = area_edit(at(grid, slice(0, 5), slice(0, 10)), 50, landcover=map_, who="Ada", why="seen")
    second = area_edit(at(grid, slice(3, 8), slice(2, 4)), 80, landcover=map_)
    edits = numbered(first, second)
    expected = map_.codes.copy()
    expected[0:5, 0:9] = 50
    expected[3:8, 2:4] = 80
    made = corrected(map_, edits)
    np.testing.assert_array_equal(made.codes, expected)
    np.testing.assert_array_equal(made.confidence == 100, expected != map_.codes)
    assert (map_.codes[5] != 50).all(), "the map given stays as it is"
    assert made.year == 2021

    withdrawn = numbered(first, second, MapEdit("withdraw", {"seq": 2}))
    expected[3:8, 2:4] = map_.codes[3:8, 2:4]
    expected[3:5, 2:4] = 50
    np.testing.assert_array_equal(corrected(map_, withdrawn).codes, expected)
    np.testing.assert_array_equal(
        corrected(map_, (*withdrawn, MapEdit("restore", {"seq": 2}, seq=4))).codes, made.codes
    )


def test_a_map_without_areas_in_force_is_the_same_object():
    map_ = land(make_grid(4, 4))
    assert corrected(map_, ()) is map_
    edits = numbered(
        area_edit(at(map_.grid, slice(0, 2), slice(0, 2)), 50, landcover=map_), MapEdit("withdraw", {"seq": 1})
    )
    assert corrected(map_, edits) is map_


def test_an_area_whose_class_is_gone_changes_nothing():
    map_ = land(make_grid(4, 4))
    edits = numbered(area_edit(at(map_.grid, slice(0, 2), slice(0, 2)), 50, landcover=map_))
    smaller = replace(map_.scheme, classes=tuple(cls for cls in map_.scheme.classes if cls.code != 50))
    np.testing.assert_array_equal(corrected(replace(map_, scheme=smaller), edits).codes, map_.codes)


def test_the_preview_counts_what_is_there():
    grid = make_grid(10, 10)
    map_ = land(grid)
    map_.codes[:2] = 10
    map_.codes[2, :] = 0
    found = preview_area(at(grid, slice(0, 6), slice(0, 5)), map_)
    assert found.pixels == 25
    assert found.hectares == pytest.approx(0.25)
    assert found.classes == {30: pytest.approx(0.15), 10: pytest.approx(0.10)}
    assert list(found.classes) == [30, 10], "the largest first"


BOW_TIE = {"type": "Polygon", "coordinates": [[[30, 50], [31, 51], [31, 50], [30, 51], [30, 50]]]}


@pytest.mark.parametrize(
    ("geometry", "words"),
    [
        (BOW_TIE, "crosses"),
        ({"type": "Polygon", "coordinates": []}, "no area"),
        ({"type": "Point", "coordinates": [33.0, 45.1]}, "no area"),
        ({"type": "FeatureCollection", "features": []}, "no area"),
        ({"type": "Polygon", "coordinates": [[[1, 1], [2, 2], [3, 3], [1, 1]]]}, "crosses|empty"),
        ({"type": "Polygon", "coordinates": [[[5e5, 5e6], [6e5, 5e6], [6e5, 6e6], [5e5, 5e6]]]}, "degrees"),
        ({"type": "Polygon", "coordinates": "here"}, "cannot|GeoJSON"),
        ({"nothing": 1}, "GeoJSON"),
        (mapping(box(10, 10, 11, 11)), "covers no pixel"),
        (mapping(box(33.00001, 45.1, 33.00002, 45.10001)), "covers no pixel"),
    ],
)
def test_what_is_no_area_on_the_map_is_refused_in_words(geometry, words):
    with pytest.raises(CorrectionError, match=words):
        area_edit(geometry, 50, landcover=land(make_grid(20, 20)))


def test_an_area_without_data_and_an_unknown_class_are_refused():
    map_ = land(make_grid(10, 10))
    map_.codes[:5] = 0
    with pytest.raises(CorrectionError, match="has data"):
        area_edit(at(map_.grid, slice(0, 4), slice(0, 4)), 50, landcover=map_)
    with pytest.raises(SchemeError, match="no class 51"):
        area_edit(at(map_.grid, slice(6, 8), slice(0, 4)), 51, landcover=map_)


def test_what_is_drawn_on_a_web_map_lies_where_it_was_seen():
    drawn = Polygon([(30.0, 60.0), (32.0, 61.0), (30.0, 61.0)])
    to_web = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True)
    seen = Polygon([to_web.transform(*corner) for corner in drawn.exterior.coords])
    kept = shapely.geometry.shape(as_drawn(mapping(drawn)))
    lon, lat = np.random.default_rng(0).uniform([[30.0], [60.0]], [[32.0], [61.0]], size=(2, 20_000))
    x, y = to_web.transform(lon, lat)
    on_screen = shapely.contains_xy(seen, x, y)
    assert (shapely.contains_xy(drawn, lon, lat) != on_screen).sum() > 20  # what would go wrong
    assert (shapely.contains_xy(kept, lon, lat) != on_screen).sum() == 0
