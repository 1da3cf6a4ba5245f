"""Reference points: what holds, where they lie, how far the map agrees with them, and the files they travel in."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from pyogrio import raw
from sklearn.metrics import confusion_matrix

from s2dash.errors import CorrectionError, SchemeError
from s2dash.landcover import LandCoverMap
from s2dash.map_edit import MapEdit
from s2dash.point_agreement import point_agreement
from s2dash.point_files import points_csv, points_geojson, points_geopackage, read_points
from s2dash.reference_points import (
    ReferencePoint,
    centres_of,
    file_edit,
    latest,
    pixels_at,
    point_edit,
    points_on,
    reference_points,
)
from s2dash.schemes import UNDECIDED, load_scheme
from s2dash.testing import make_grid

SCHEME = load_scheme("worldcover")
NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
GRID = make_grid(20, 30)
GRIDS = {
    "utm": GRID,
    "degrees": make_grid(20, 30, crs="EPSG:4326", resolution=0.001, origin=(30.0, 50.0)),
    "across 180 in degrees": make_grid(20, 30, crs="EPSG:4326", resolution=0.001, origin=(179.99, -17.0)),
    "across 180 in utm": make_grid(60, 60, crs="EPSG:32701", resolution=50.0, origin=(1.805e5, 8.0e6)),
}


def clicked(row: int, col: int, code: int, *, who: str = "Ada", note: str = "", seq: int = 0) -> MapEdit:
    lon, lat = centres_of(np.array([row]), np.array([col]), GRID)
    edit = point_edit(lon[0], lat[0], code, grid=GRID, scheme=SCHEME, who=who, note=note)
    return replace(edit, seq=seq, when=NOON + timedelta(minutes=seq))


def land() -> LandCoverMap:
    codes = np.full(GRID.shape, 30, dtype=np.uint8)
    codes[:, :10] = 10
    codes[:, 20:] = 80
    codes[0, :] = UNDECIDED
    codes[-1, :] = 0
    return LandCoverMap(GRID, codes, np.full(GRID.shape, 70, dtype=np.uint8), SCHEME)


# ---- where they lie


@pytest.mark.parametrize("name", GRIDS)
@given(data=st.data())
@settings(max_examples=40)
def test_the_middle_of_a_pixel_lies_in_that_pixel(name, data):
    grid = GRIDS[name]
    row, col = data.draw(st.integers(0, grid.shape[0] - 1)), data.draw(st.integers(0, grid.shape[1] - 1))
    turn = data.draw(st.sampled_from([-360.0, 0.0, 360.0]))
    lon, lat = centres_of(np.array([row]), np.array([col]), grid)
    assert -180 <= lon[0] <= 180
    rows, cols = pixels_at(lon + turn, lat, grid)
    assert (rows[0], cols[0]) == (row, col)


def test_pixels_are_those_that_rasterio_finds():
    rng = np.random.default_rng(0)
    lon, lat = rng.uniform(33.0, 33.0038, 500), rng.uniform(45.151, 45.1535, 500)
    x, y = (np.array(part) for part in rasterio.warp.transform("EPSG:4326", "EPSG:32636", lon, lat))
    rows, cols = (np.array(part) for part in rasterio.transform.rowcol(GRID.transform, x, y))
    inside = (rows >= 0) & (rows < 20) & (cols >= 0) & (cols < 30)
    assert 50 < inside.sum() < 500
    found = pixels_at(lon, lat, GRID)
    np.testing.assert_array_equal(found[0], np.where(inside, rows, -1))
    np.testing.assert_array_equal(found[1], np.where(inside, cols, -1))


def test_a_click_outside_the_map_or_with_an_unknown_class_is_refused():
    with pytest.raises(CorrectionError, match="outside the map"):
        point_edit(0.0, 0.0, 10, grid=GRID, scheme=SCHEME)
    with pytest.raises(CorrectionError, match="outside the map"):
        point_edit(33.0, 90.0, 10, grid=GRID, scheme=SCHEME)
    lon, lat = centres_of(np.array([3]), np.array([3]), GRID)
    with pytest.raises(SchemeError, match="no class 11"):
        point_edit(lon[0], lat[0], 11, grid=GRID, scheme=SCHEME)


# ---- what holds


def test_of_one_pixel_the_later_word_holds_and_both_are_in_the_history():
    edits = (clicked(2, 3, 10, who="Ada", seq=1), clicked(5, 5, 30, seq=2), clicked(2, 3, 80, who="Ben", seq=3))
    points = reference_points(edits)
    assert [(point.code, point.who) for point in points] == [(10, "Ada"), (30, "Ada"), (80, "Ben")]
    rows, cols, codes = points_on(points, GRID)
    assert sorted(zip(rows.tolist(), cols.tolist(), codes.tolist(), strict=True)) == [(2, 3, 80), (5, 5, 30)]
    back = (*edits, MapEdit("withdraw", {"seq": 3}, seq=4))
    assert points_on(reference_points(back), GRID)[2].tolist() == [10, 30]


def test_points_know_who_when_and_why():
    (point,) = reference_points((clicked(2, 3, 10, who="Ada", note="a wood", seq=1),))
    assert (point.who, point.when, point.note, point.origin, point.seq) == (
        "Ada",
        NOON + timedelta(minutes=1),
        "a wood",
        "click",
        1,
    )


def test_points_of_classes_that_are_gone_can_be_left_out():
    smaller = replace(SCHEME, classes=tuple(cls for cls in SCHEME.classes if cls.code != 80))
    edits = (clicked(1, 1, 80, seq=1), clicked(1, 2, 10, seq=2))
    assert [point.code for point in reference_points(edits, scheme=smaller)] == [10]


def test_points_outside_the_grid_are_left_out_of_samples():
    far = ReferencePoint(0.0, 0.0, 10, "Ada", NOON)
    assert latest([far], GRID) == ()
    assert [part.size for part in points_on([far], GRID)] == [0, 0, 0]
    assert [part.size for part in points_on([], GRID)] == [0, 0, 0]


# ---- agreement


def test_the_confusion_is_that_of_scikit_learn():
    rng = np.random.default_rng(1)
    map_ = land()
    pixels = rng.choice(18 * 30, 120, replace=False)
    rows, cols = pixels // 30 + 1, pixels % 30
    said = rng.choice([10, 30, 50, 80], 120)
    edits = tuple(
        clicked(row, col, int(code), seq=number)
        for number, (row, col, code) in enumerate(zip(rows, cols, said, strict=True), start=1)
    )
    found = point_agreement(map_, reference_points(edits))
    labels = [10, 30, 50, 80]
    np.testing.assert_array_equal(found.confusion.codes, labels)
    np.testing.assert_array_equal(found.confusion.matrix, confusion_matrix(said, map_.codes[rows, cols], labels=labels))
    assert found.overall == np.mean(said == map_.codes[rows, cols])
    assert found.n == 120
    assert found.origins == {"click": 120}


def test_points_without_data_undecided_or_replaced_are_counted_as_such():
    edits = (
        clicked(5, 5, 10, seq=1),
        clicked(5, 5, 30, seq=2),
        clicked(0, 0, 10, seq=3),
        clicked(19, 0, 10, seq=4),
    )
    found = point_agreement(land(), (*reference_points(edits), ReferencePoint(0.0, 0.0, 10, "Ada", NOON)))
    assert (found.n, found.replaced, found.outside) == (2, 1, 2)
    assert sum(found.confusion.undecided) == 1
    assert found.overall == 0.0
    json.dumps(found.to_json())


def test_nothing_to_compare_is_said():
    with pytest.raises(CorrectionError, match="None of the 1 reference points"):
        point_agreement(land(), reference_points((clicked(19, 0, 10, seq=1),)))


# ---- files


def some_points() -> tuple[ReferencePoint, ...]:
    edits = (
        clicked(2, 3, 10, who="Ада", note="=1+1; a wood", seq=1),
        clicked(5, 6, 80, who="Ben", note='"quoted", twice\nin two lines', seq=2),
        clicked(7, 8, 30, seq=3),
    )
    return reference_points(edits)


@pytest.mark.parametrize(
    ("write", "name"),
    [(points_geojson, "a.geojson"), (points_csv, "a.csv"), (points_geopackage, "a.gpkg")],
)
def test_what_is_written_is_read_back(write, name):
    points = some_points()
    content = write(points, SCHEME)
    read = read_points(content if isinstance(content, bytes) else content.encode(), name, scheme=SCHEME)
    assert [(point.longitude, point.latitude, point.code) for point in read] == [
        (point.longitude, point.latitude, point.code) for point in points
    ]
    assert {point.origin for point in read} == {"file"}
    assert read[1].note == points[1].note


def test_a_spreadsheet_runs_nothing_of_what_people_wrote():
    rows = list(csv.DictReader(io.StringIO(points_csv(some_points(), SCHEME), newline="")))
    assert rows[0]["note"] == "'=1+1; a wood"
    assert rows[0]["who"] == "Ада"
    assert rows[0]["class"] == "tree_cover"
    assert float(rows[0]["longitude"]) == some_points()[0].longitude


def test_a_geopackage_is_one_that_gdal_reads(tmp_path):
    (tmp_path / "a.gpkg").write_bytes(points_geopackage(some_points(), SCHEME))
    about, _, places, columns = raw.read(tmp_path / "a.gpkg", layer="reference_points")
    assert about["crs"] == "EPSG:4326"
    assert about["geometry_type"] == "Point"
    assert columns[list(about["fields"]).index("code")].tolist() == [10, 80, 30]
    assert np.isnan(columns[list(about["fields"]).index("design")].astype(float)).all(), "what is not known is null"
    (tmp_path / "none.gpkg").write_bytes(points_geopackage((), SCHEME))
    assert raw.read(tmp_path / "none.gpkg")[2].size == 0
    assert len(places) == 3


@pytest.mark.parametrize(
    "text",
    [
        "lon,lat,class\n33.0,45.1,Tree cover\n",
        "Longitude;Latitude;Code\n33,0;45,1;10\n",
        "x\ty\tlandcover\n33.0\t45.1\t10.0\n",
        "\ufefflatitude,longitude,label\n45.1,33.0,TREE_COVER\n\n,,\n",
        "lat,lon,клас\n45.1,33.0,деревний покрив\n",
    ],
)
def test_csv_files_of_other_programs_are_read(text):
    names = SCHEME[10].names["uk"]
    (point,) = read_points(text.replace("деревний покрив", names).encode(), "p.csv", scheme=SCHEME)
    assert (point.longitude, point.latitude, point.code) == (33.0, 45.1, 10)


def test_geopackages_in_other_projections_are_read(tmp_path):
    import shapely

    place = np.array([shapely.to_wkb(shapely.Point(500105.0, 4999905.0))], dtype=object)
    path = tmp_path / "p.gpkg"
    raw.write(path, place, [np.array([10.0])], ["Class"], driver="GPKG", geometry_type="Point", crs="EPSG:32636")
    (point,) = read_points(path.read_bytes(), "p.gpkg", scheme=SCHEME)
    assert point.code == 10
    rows, cols = pixels_at(np.array([point.longitude]), np.array([point.latitude]), GRID)
    assert (rows[0], cols[0]) == (9, 10)


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"lon,lat,class\n", "p.csv", "no points"),
        (b"", "p.csv", "empty"),
        (b"\xff\xfe\x00", "p.csv", "UTF-8"),
        (b"lon,lat\n1,2\n", "p.csv", "of which class"),
        (b"lon,class\n1,10\n", "p.csv", "no latitude"),
        (b"lon,lat,class\n1,north,10\n", "p.csv", "'north'"),
        (b"lon,lat,class\n1,2,marsh land\n", "p.csv", "marsh land"),
        (b"lon,lat,class\n1,2,11\n", "p.csv", "not known: '11'"),
        (b"lon,lat,class\n500000,5000000,10\n", "p.csv", "degrees"),
        (b"lon,lat,class\nnan,2,10\n", "p.csv", "degrees"),
        (b"{}", "p.geojson", "no GeoJSON"),
        (b"[1]", "p.json", "no GeoJSON"),
        (b"not json", "p.geojson", "no GeoJSON"),
        (
            b'{"features": [{"geometry": {"type": "Polygon", "coordinates": []}, "properties": {}}]}',
            "p.geojson",
            "Polygon",
        ),
        (b"<OGRVRTDataSource/>", "p.gpkg", "no GeoPackage"),
        (b"SQLite format 3\0 and then nothing", "p.gpkg", "GeoPackage"),
        (b"lon,lat,class\n1,2,10\n", "p.xlsx", "give .csv"),
    ],
)
def test_files_that_hold_no_points_are_refused_in_words(content, name, words):
    with pytest.raises(CorrectionError, match=words):
        read_points(content, name, scheme=SCHEME)


def test_a_file_is_one_edit_and_is_taken_back_as_one():
    far = ReferencePoint(0.0, 0.0, 10, "", NOON, origin="file")
    edit, left = file_edit((*some_points(), far), file="field.csv", grid=GRID, scheme=SCHEME, who="Ada", why="June")
    assert left == 1
    edits = (replace(edit, seq=1),)
    points = reference_points(edits)
    assert [(point.code, point.origin, point.who) for point in points] == [
        (10, "file", "Ada"),
        (80, "file", "Ada"),
        (30, "file", "Ada"),
    ]
    assert points[2].note == "June", "where the file says nothing"
    assert reference_points((*edits, MapEdit("withdraw", {"seq": 1}, seq=2))) == ()
    json.dumps(edit.to_json())
    with pytest.raises(CorrectionError, match="None of the 1 points"):
        file_edit([far], file="field.csv", grid=GRID, scheme=SCHEME)
