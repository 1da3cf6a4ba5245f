"""References of polygons: against rasterio's own rasterising, and which field, word and file means what."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from pyogrio import raw
from pyproj import Transformer
from rasterio.features import rasterize

from s2dash import reference_vector
from s2dash.errors import Cancelled, NoOverlapError, ReferenceMapError
from s2dash.progress import Tracker
from s2dash.reference import Reference
from s2dash.reference_files import load_reference
from s2dash.reference_vector import class_field, polygon_values, value_class, vector_fields
from s2dash.schemes import SchemeMap, load_scheme, load_scheme_map

WORLDCOVER = load_scheme("worldcover")
UTM = Affine(10, 0, 640000, 0, -10, 5370000)
GRID = GeoBox((60, 80), UTM, "EPSG:32636")
LEFT, RIGHT = shapely.box(640000, 5369400, 640400, 5370000), shapely.box(640400, 5369400, 640800, 5370000)
DRIVERS = {"json": "GeoJSON", "geojson": "GeoJSON", "gpkg": "GPKG", "kml": "KML", "shp": "ESRI Shapefile"}


def write(
    path: Path,
    shapes: Sequence[Any],
    crs: str = "EPSG:32636",
    layer: str = "cover",
    append: bool = False,
    **fields: Any,
) -> Path:
    """A vector file, by GDAL, with shapes given in its own coordinates."""
    kinds = {shape.geom_type for shape in shapes}
    kind = path.suffix[1:]
    with_crs = {"RFC7946": "NO"} if DRIVERS[kind] == "GeoJSON" and crs != "EPSG:4326" else {}
    raw.write(
        path,
        geometry=np.array([shapely.to_wkb(shape) for shape in shapes], dtype=object),
        field_data=[np.array(values) for values in fields.values()],
        fields=list(fields),
        driver=DRIVERS[kind],
        geometry_type=kinds.pop() if len(kinds) == 1 else "Unknown",
        crs=crs,
        append=append,
        **({} if kind == "shp" else {"layer": layer}),
        **with_crs,
    )
    return path


def in_degrees(shape: Any, crs: str = "EPSG:32636") -> Any:
    turn = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    return shapely.transform(shapely.segmentize(shape, 50.0), turn.transform, interleaved=False)


def load(path: Path, grid: GeoBox = GRID, **options: Any) -> Reference:
    return load_reference(path, grid=grid, **{"scheme": WORLDCOVER} | options)


def words(*texts: str) -> np.ndarray:
    return np.array(texts, dtype=object)


def random_shapes(count: int = 60) -> list[Any]:
    rng = np.random.default_rng(5)
    centres = rng.uniform([639900, 5369300], [640900, 5370100], (count, 2))
    return [shapely.Point(*at).buffer(rng.uniform(5, 150), quad_segs=3) for at in centres]


@pytest.mark.parametrize("kind", DRIVERS)
def test_every_kind_of_file_gives_its_classes(tmp_path: Path, kind: str) -> None:
    shapes, crs = (
        ([in_degrees(LEFT), in_degrees(RIGHT)], "EPSG:4326") if kind == "kml" else ([LEFT, RIGHT], "EPSG:32636")
    )
    fields = {"Name": words("Tree cover", "80")} if kind == "kml" else {"class": np.array([10, 80])}
    found = load(write(tmp_path / f"cover.{kind}", shapes, crs, **fields), scheme_map=None)
    expected = np.repeat(np.array([[10] * 40 + [80] * 40], dtype=np.uint8), 60, axis=0)
    np.testing.assert_array_equal(found.codes, expected)
    assert (found.overlap_percent, dict(found.unknown)) == (100.0, {})
    assert any("from the field" in note for note in found.notes)


@pytest.mark.parametrize("at_a_time", [7, 2_000])
def test_polygons_that_overlap_lie_as_rasterio_lays_them(tmp_path: Path, monkeypatch: Any, at_a_time: int) -> None:
    monkeypatch.setattr(reference_vector, "_AT_A_TIME", at_a_time)
    shapes = random_shapes()
    codes = np.random.default_rng(6).choice([10, 30, 40, 50, 80], len(shapes))
    found = load(write(tmp_path / "cover.gpkg", shapes, code=codes))
    expected = rasterize(zip(shapes, codes.tolist(), strict=True), out_shape=GRID.shape, transform=UTM, dtype=np.uint8)
    np.testing.assert_array_equal(found.codes, expected)
    assert found.overlap_percent == pytest.approx(100 * (expected > 0).mean())


@pytest.mark.parametrize("crs", ["EPSG:3035", "EPSG:4326", "EPSG:3857"])
def test_other_coordinate_systems_cover_the_same_pixels(tmp_path: Path, crs: str) -> None:
    turn = Transformer.from_crs("EPSG:32636", crs, always_xy=True)
    shapes = random_shapes(20)
    codes = np.random.default_rng(6).choice([10, 30, 80], len(shapes))
    moved = [shapely.transform(shapely.segmentize(s, 1.0), turn.transform, interleaved=False) for s in shapes]
    found = load(write(tmp_path / "cover.gpkg", moved, crs, code=codes))
    expected = rasterize(zip(shapes, codes.tolist(), strict=True), out_shape=GRID.shape, transform=UTM, dtype=np.uint8)
    assert (found.codes != expected).mean() < 0.001  # centres within a millimetre of an edge


def test_a_long_edge_lies_where_it_is_straight_in_the_file(tmp_path: Path) -> None:
    grid = GeoBox((40, 4000), Affine(20, 0, 300000, 0, -20, 5536000), "EPSG:32636")
    x, y = 300000 + 20 * np.tile(np.arange(4000) + 0.5, 40), 5536000 - 20 * np.repeat(np.arange(40) + 0.5, 4000)
    _, lat = Transformer.from_crs("EPSG:32636", "EPSG:4326", always_xy=True).transform(x, y)
    edge = float(np.median(lat))  # along a parallel, which a straight edge in UTM leaves by hundreds of metres
    path = write(tmp_path / "north.geojson", [shapely.box(20.0, edge, 50.0, 60.0)], "EPSG:4326", lc=np.array([10]))
    expected = (lat > edge).reshape(40, 4000)
    assert ((load(path, grid).codes == 10) != expected).mean() < 0.002


def test_across_the_180th_meridian(tmp_path: Path) -> None:
    grid = GeoBox((50, 400), Affine(0.001, 0, 179.8, 0, -0.001, -16.0), "EPSG:4326")
    whole = shapely.Polygon([(179.9, -16.04), (-179.9, -16.04), (-179.9, -16.01), (179.9, -16.01)])
    cut = [shapely.box(179.9, -16.04, 180, -16.01), shapely.box(-180, -16.04, -179.9, -16.01)]
    first = load(write(tmp_path / "whole.geojson", [whole], "EPSG:4326", lc=np.array([80])), grid)
    second = load(write(tmp_path / "cut.gpkg", cut, "EPSG:4326", lc=np.array([80, 80])), grid)
    expected = np.zeros((50, 400), dtype=np.uint8)
    expected[10:40, 100:300] = 80
    np.testing.assert_array_equal(first.codes, expected)
    np.testing.assert_array_equal(second.codes, expected)


def test_words_are_the_persons_own_then_names_of_classes_and_never_guessed(tmp_path: Path) -> None:
    shapes = [shapely.box(640000 + 100 * i, 5369400, 640100 + 100 * i, 5370000) for i in range(6)]
    path = write(tmp_path / "w.gpkg", shapes, kind=words("forest", "Вода", "plot 7", "Forrest", "not water", "рілля"))
    own = SchemeMap("own", "worldcover", {}, {"Plot  7": 50})
    found = load(path, scheme_map=own)
    assert [int(code) for code in found.codes[30, 5::10][:6]] == [10, 80, 50, 0, 0, 40]
    assert found.unknown == {"Forrest": 600, "not water": 600}
    assert found.overlap_percent == 75.0
    assert value_class("forest", SchemeMap("own", "worldcover", {}, {"FOREST": 0}), WORLDCOVER) == 0
    assert value_class("class 40", own, WORLDCOVER) is None  # a number of somebody's scheme
    assert value_class("grassland", load_scheme_map("corine", "worldcover"), WORLDCOVER) == 30
    nlcd4 = load_scheme("nlcd4")
    assert value_class("grassland", load_scheme_map("worldcover", "nlcd4"), nlcd4) == 0  # outside its classes


def test_numbers_go_through_the_scheme_and_unknown_ones_are_counted(tmp_path: Path) -> None:
    shapes = [LEFT, RIGHT, shapely.box(640400, 5369400, 640600, 5370000)]
    path = write(tmp_path / "clc.gpkg", shapes, Code_18=words("311", "999", "241"), Remark=words("", "", ""))
    found = load(path, scheme_map=load_scheme_map("corine", "worldcover"))
    assert set(np.unique(found.codes[:, :40])) == {10}
    assert not found.codes[:, 40:].any()
    assert found.unknown == {999: 1200}  # the polygon above covers the rest of it
    assert found.overlap_percent == 100.0


def test_more_unknown_values_than_a_byte_can_hold_are_counted_together(tmp_path: Path) -> None:
    count = 400
    shapes = [shapely.box(640000 + 10 * (i % 80), 5369990 - 10 * (i // 80), 640010 + 10 * (i % 80),
                          5370000 - 10 * (i // 80)) for i in range(count)]  # fmt: skip
    values = [10, *range(1000, 1000 + count - 1)]
    found = load(write(tmp_path / "many.gpkg", shapes, code=np.array(values)))
    assert sum(found.unknown.values()) == count - 1
    assert found.unknown["…"] > 100
    assert (found.codes == 10).sum() == 1
    assert not np.isin(found.codes, [0, 10], invert=True).any()


def test_the_field_is_found_or_has_to_be_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpkg", [LEFT], id=np.array([7]), Klasse=np.array([10]))
    assert vector_fields(path) == ("id", "Klasse")
    assert class_field(path) == "Klasse"
    named = write(tmp_path / "b.gpkg", [LEFT], owner=words("Ada"), land_cover=np.array([10.0]))
    assert class_field(named) == "land_cover"
    several = write(tmp_path / "c.gpkg", [LEFT], code=np.array([10]), lc=np.array([20]))
    with pytest.raises(ReferenceMapError, match=r"Its fields: 'code', 'lc'. Name one"):
        class_field(several)
    assert class_field(several, "LC") == "lc"
    assert set(np.unique(load(several, field="lc").codes)) == {0, 20}
    with pytest.raises(ReferenceMapError, match=r"no field 'crop'. Their fields: 'code', 'lc'"):
        load(several, field="crop")
    with pytest.raises(ReferenceMapError, match="Its fields: none"):
        class_field(write(tmp_path / "d.geojson", [in_degrees(LEFT)], "EPSG:4326"))


def test_layers_that_have_the_field_are_laid_over_each_other(tmp_path: Path) -> None:
    path = write(tmp_path / "two.gpkg", [LEFT], layer="west", lc=np.array([10]))
    write(path, [RIGHT], layer="east", append=True, lc=np.array([80]))
    write(path, [RIGHT], layer="owners", append=True, who=words("Ada"))
    found = load(path)
    assert [int(found.codes[3, at]) for at in (10, 70)] == [10, 80]
    assert polygon_values(path, grid=GRID) == {10: 1, 80: 1}


def test_what_has_no_class_or_no_area_covers_nothing(tmp_path: Path) -> None:
    shapes = [LEFT, RIGHT, shapely.Point(640100, 5369500), shapely.LineString([(640000, 5369400), (640800, 5370000)])]
    codes = np.array([10, np.nan, 80, 80])
    found = load(write(tmp_path / "mixed.gpkg", shapes, lc=codes))
    assert (found.codes == 10).sum() == 2400
    assert not found.codes[:, 40:].any()
    assert "Points, lines and damaged shapes were left out: 2." in found.notes


def test_values_are_listed_with_their_polygons_at_the_scene(tmp_path: Path) -> None:
    far = shapely.box(700000, 5300000, 700100, 5300100)
    path = write(tmp_path / "a.gpkg", [LEFT, RIGHT, far], kind=words("forest", "3", "far away"))
    assert polygon_values(path, grid=GRID) == {"forest": 1, 3: 1}
    with pytest.raises(NoOverlapError, match="the reference at"):
        polygon_values(path, grid=GeoBox((9, 9), Affine(10, 0, 500000, 0, -10, 10000), "EPSG:32636"))


def test_trouble_is_said_in_words(tmp_path: Path) -> None:
    good = write(tmp_path / "good.shp", [LEFT, RIGHT], lc=np.array([10, 80]))
    for ending in (".shp", ".shx", ".dbf"):
        shutil.copy(good.with_suffix(ending), tmp_path / f"bare{ending}")
    with pytest.raises(ReferenceMapError, match="coordinate system"):
        load(tmp_path / "bare.shp")
    (tmp_path / "text.shp").write_text("no shapes")
    with pytest.raises(ReferenceMapError, match="damaged, or no SHP file"):
        load(tmp_path / "text.shp")
    (tmp_path / "half.geojson").write_text('{"type": "FeatureCollection", "features": [')
    with pytest.raises(ReferenceMapError, match=r"half\.geojson"):
        load(tmp_path / "half.geojson")
    with pytest.raises(ReferenceMapError, match="cannot be read: No such file"):
        load(tmp_path / "none.gpkg")
    with pytest.raises(ReferenceMapError, match=r"holds 1.5, which is no class"):
        load(write(tmp_path / "real.gpkg", [LEFT], lc=np.array([1.5])))
    with pytest.raises(ReferenceMapError, match="only points"):
        load(write(tmp_path / "points.gpkg", [shapely.Point(640100, 5369500)], lc=np.array([10])))
    with pytest.raises(NoOverlapError, match="middle of a pixel"):
        load(write(tmp_path / "far.gpkg", [shapely.box(0, 0, 1, 1)], "EPSG:4326", lc=np.array([10])))
    with pytest.raises(NoOverlapError, match="middle of a pixel"):
        load(write(tmp_path / "thin.gpkg", [shapely.box(640001, 5369501, 640003, 5369503)], lc=np.array([10])))
    with pytest.raises(ReferenceMapError, match=r"Every code of .* is unknown: 7, Plot"):
        load(write(tmp_path / "odd.gpkg", [LEFT, RIGHT], lc=words("7", "Plot"), note=words("", "")), field="lc",
             scheme_map=SchemeMap("own", "worldcover", {1: 10}, {"x": 10}))  # fmt: skip


def test_too_many_polygons_are_refused(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(reference_vector, "MAX_FEATURES", 1)
    with pytest.raises(ReferenceMapError, match="more than 1 polygons"):
        load(write(tmp_path / "a.gpkg", [LEFT, RIGHT], lc=np.array([10, 80])))


def test_a_crossed_outline_is_still_an_area(tmp_path: Path) -> None:
    bow = shapely.Polygon([(639000, 5369400), (641000, 5370000), (641000, 5369400), (639000, 5370000)])
    found = load(write(tmp_path / "bow.gpkg", [bow], lc=np.array([10])))
    assert 0 < (found.codes == 10).sum() < found.codes.size


def test_year_and_title_are_from_the_name_and_stopping_stops(tmp_path: Path) -> None:
    path = write(tmp_path / "fields_2019.geojson", [in_degrees(LEFT)], "EPSG:4326", lc=np.array([10]))
    assert json.loads(path.read_text())["features"]
    found = load(path)
    assert (found.title, found.year) == ("fields_2019.geojson", 2019)
    stop = Tracker()
    stop.cancel()
    with pytest.raises(Cancelled):
        load(path, progress=stop)
