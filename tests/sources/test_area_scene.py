"""A scene cut to an area, against what rasterio makes of the same file and outline."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio.features import geometry_mask
from rasterio.mask import mask as rasterio_mask
from rasterio.warp import transform_geom
from rasterio.windows import Window
from shapely.geometry import mapping, shape

from s2dash.area import AreaOfInterest
from s2dash.cli.main import main
from s2dash.errors import AreaError, NoValidPixelsError
from s2dash.grid import full_window, latitude_longitude_bounds, slices
from s2dash.scene import Scene
from s2dash.sources import area_scene
from s2dash.sources.area_scene import clip_scene
from s2dash.sources.arrays import thin
from s2dash.sources.load import load_scene
from s2dash.sources.request import SceneRequest
from s2dash.testing import make_grid, make_scene

SIDE = 200


def numbered(side: int = SIDE, *, dtype: type = np.uint32, scl: bool = True) -> Scene:
    """A scene in which every pixel of every band has a number of its own."""
    numbers = (np.arange(side * side).reshape(side, side) + 1 + 3 * np.arange(10)[:, None, None]).astype(dtype)
    classes = (np.arange(side * side).reshape(side, side) % 3 + 4).astype(np.uint8)
    return make_scene(numbers, scl=classes if scl else None)


def in_degrees(grid: GeoBox, outline: shapely.Polygon) -> dict:
    """An outline in pixels of a grid as GeoJSON, by GDAL."""
    affine = grid.transform
    placed = shapely.affinity.affine_transform(outline, [affine.a, affine.b, affine.d, affine.e, affine.c, affine.f])
    return transform_geom(str(grid.crs), "EPSG:4326", mapping(shapely.segmentize(placed, 50)))


def oracle(grid: GeoBox, area: dict) -> np.ndarray:
    """Which pixels of the whole scene lie in the area, by GDAL from projecting to drawing."""
    fine = mapping(shapely.segmentize(shape(area), 0.0005))
    placed = transform_geom("EPSG:4326", str(grid.crs), fine)
    return geometry_mask([placed], out_shape=grid.shape, transform=grid.transform, invert=True)


outlines = st.lists(st.tuples(st.floats(-40, 240), st.floats(-40, 240)), min_size=3, max_size=8, unique=True)


@settings(max_examples=60)
@given(outlines)
def test_the_pixels_are_those_of_the_scene_whose_centres_lie_in_the_area(corners):
    scene = numbered()
    hull = shapely.MultiPoint(corners).convex_hull
    if hull.geom_type != "Polygon" or hull.area < 100:
        return
    area = in_degrees(scene.grid, hull)
    inside = oracle(scene.grid, area)
    near = shapely.affinity.translate(hull.boundary.buffer(1e-3), 0, 0)  # where rounding decides
    try:
        cut = clip_scene(scene, area)
    except AreaError as error:
        assert inside.sum() < 1030, error  # noqa: PT017 - it is refused for this reason, or the rest holds
        return
    if cut is scene:
        assert inside.sum() >= inside.size - 4
        return
    window = cut.source.window
    rows, cols = (int(window.row_off), int(window.col_off))
    height, width = cut.grid.shape
    found = np.zeros(scene.grid.shape, dtype=bool)
    found[rows : rows + height, cols : cols + width] = cut.source.inside
    for row, col in np.argwhere(found != inside):
        assert near.intersects(shapely.Point(col + 0.5, row + 0.5))
    # no pixel moved: the grid is the window's part of the scene's, and numbers are the scene's or no data
    assert cut.grid.transform.almost_equals(scene.grid.transform @ rasterio.Affine.translation(cols, rows))
    numbers = cut.source.read(cut.bands, full_window(cut.grid))
    whole = scene.source.numbers[:, rows : rows + height, cols : cols + width]
    assert (numbers == np.where(cut.source.inside, whole, 0)).all()
    assert cut.validity.filled == cut.source.inside.sum()


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rasterio's own, when it crops
def test_a_file_is_cut_as_rasterio_mask_cuts_it(tmp_path, stack):
    with rasterio.open(stack) as file:
        grid = GeoBox(file.shape, file.transform, str(file.crs))
        outline = shapely.Polygon([(5.3, 4.8), (80.2, 9.1), (70.9, 55.4), (33.3, 31.2), (8.1, 50.7)])
        area = in_degrees(grid, outline)
        fine = mapping(shapely.segmentize(shape(area), 0.0005))
        wanted, transform = rasterio_mask(file, [transform_geom("EPSG:4326", file.crs, fine)], crop=True, nodata=0)
    scene = load_scene(stack, area=area)
    assert scene.grid.transform.almost_equals(transform)
    found = scene.source.read(scene.bands, full_window(scene.grid))
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    assert (found == wanted).all()
    whole = load_scene(stack)
    assert scene.radiometry == whole.radiometry  # found out from the whole scene
    assert "(part)" in scene.provenance.title


def test_any_window_gives_the_same_pixels_and_other_blocks_are_untouched():
    scene = numbered()
    before = scene.source.numbers.copy()
    cut = clip_scene(scene, in_degrees(scene.grid, shapely.Point(90, 100).buffer(60)))
    whole, classes = cut.source.read(cut.bands, full_window(cut.grid)), cut.source.read_scl(full_window(cut.grid))
    height, width = cut.grid.shape
    assert (classes[~cut.source.inside] == 0).all()
    for window in (Window(0, 0, 7, 9), Window(13, 40, 51, 3), Window(width - 5, height - 6, 5, 6)):
        part = slices(window)
        assert (cut.source.read(("B04", "B08"), window) == whole[[2, 6]][(slice(None), *part)]).all()
        assert (cut.source.read_scl(window) == classes[part]).all()
    assert (scene.source.numbers == before).all()


def test_floats_are_no_data_outside_and_classes_may_lack():
    area = in_degrees(make_grid(SIDE, SIDE), shapely.box(20, 20, 90, 90).buffer(5))
    cut = clip_scene(numbered(dtype=np.float32, scl=False), area)
    numbers = cut.source.read(cut.bands, full_window(cut.grid))
    assert np.isnan(numbers[:, ~cut.source.inside]).all()
    assert np.isfinite(numbers[:, cut.source.inside]).all()
    assert cut.source.read_scl(Window(0, 0, 3, 3)) is None
    assert cut.source.read_scl_overview((10, 10)) is None


@pytest.mark.parametrize("exact", [True, False])
def test_overviews_are_thinned_from_the_area(monkeypatch, exact):
    scene = numbered(600)
    cut = clip_scene(scene, in_degrees(scene.grid, shapely.Point(310, 280).buffer(190)))
    if not exact:
        monkeypatch.setattr(area_scene, "_EXACT_OVERVIEW", 0)
    size = (61, 67)
    numbers, classes = cut.source.read_overview(("B02", "B11"), size), cut.source.read_scl_overview(size)
    wanted = thin(cut.source.read(("B02", "B11"), full_window(cut.grid)), size)
    if exact:
        assert (numbers == wanted).all()
        assert (classes == thin(cut.source.read_scl(full_window(cut.grid)), size)).all()
        return
    # from the scene's overview: each pixel is one of those under it or beside it
    row, col = np.divmod(numbers[0].astype(int) - 1, 600)
    filled = numbers[0] > 0
    assert (filled == (wanted[0] > 0)).mean() > 0.97
    assert ((classes > 0) == filled).all()
    step = np.array(cut.grid.shape) / size
    window = cut.source.window
    y, x = np.nonzero(filled)
    off_y = row[filled] + 0.5 - int(window.row_off) - (y + 0.5) * step[0]
    off_x = col[filled] + 0.5 - int(window.col_off) - (x + 0.5) * step[1]
    assert np.abs(off_y).max() <= step[0] + 1
    assert np.abs(off_x).max() <= step[1] + 1
    assert abs(off_y.mean()) < step[0] / 2  # and on the whole none to one side
    assert abs(off_x.mean()) < step[1] / 2


def test_areas_elsewhere_and_tiny_ones_are_refused_with_numbers():
    scene = numbered()
    with pytest.raises(AreaError, match=r"-70.5, -33.5, -70.4, -33.4\) lies beside the scene test scene"):
        clip_scene(scene, AreaOfInterest.from_bbox(-70.5, -33.5, -70.4, -33.4))
    with pytest.raises(AreaError, match=r"covers 961 pixels .* at least 1,024 \(32 × 32\)"):
        clip_scene(scene, in_degrees(scene.grid, shapely.box(50, 50, 81, 81)))
    assert clip_scene(scene, in_degrees(scene.grid, shapely.box(50, 50, 82.4, 82.4))).validity.filled >= 1024
    # a box without any pixel's centre, and one that only touches the scene's edge
    with pytest.raises(AreaError, match="covers 0 pixels"):
        clip_scene(scene, in_degrees(scene.grid, shapely.box(50.6, 50.6, 51.4, 51.4)))
    with pytest.raises(AreaError, match="beside"):
        clip_scene(scene, in_degrees(scene.grid, shapely.box(-50, 10, -0.1, 90)))


def test_an_area_that_holds_the_whole_scene_changes_nothing():
    scene = numbered()
    assert clip_scene(scene, in_degrees(scene.grid, shapely.box(-9, -9, 209, 209))) is scene


def test_an_area_partly_outside_says_how_much_is_left_out():
    scene = numbered()
    cut = clip_scene(scene, in_degrees(scene.grid, shapely.box(100, 0, 300, 200)))
    assert any("covers 50% of the area" in note for note in cut.provenance.notes)
    assert cut.grid.shape[1] in (100, 101)


def test_an_area_across_180_degrees_cuts_a_scene_there():
    grid = make_grid(SIDE, SIDE, crs="EPSG:32760", origin=(818_000.0, 8_121_000.0))  # 180 degrees cuts through it
    numbers = np.ones((10, SIDE, SIDE), np.uint16)
    area = AreaOfInterest.from_drawing(in_degrees(grid, shapely.box(40, 40, 160, 160)))
    west, _, east, _ = AreaOfInterest.from_bbox(*scene_box(grid)).bounds
    assert west > east
    cut = clip_scene(make_scene(numbers, grid=grid), AreaOfInterest.from_bbox(*scene_box(grid, inset=0.004)))
    assert cut.source.inside.mean() > 0.95  # no gap along the meridian
    assert area.area_km2 > 0


def scene_box(grid: GeoBox, *, inset: float = 0.0) -> tuple[float, float, float, float]:
    west, south, east, north = latitude_longitude_bounds(grid)
    return west + inset, south + inset, east - inset, north - inset


def test_an_area_without_data_is_refused(tmp_path, raster, numbers):
    empty = numbers.copy()
    empty[:, :, 45:] = 0
    names = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
    path = raster(tmp_path / "half.tif", empty, names=names, nodata=0)
    grid = load_scene(path).grid
    with pytest.raises(NoValidPixelsError, match="no pixel with data"):
        load_scene(path, area=in_degrees(grid, shapely.box(48, 2, 88, 58)))
    assert load_scene(path, area=in_degrees(grid, shapely.box(2, 2, 88, 58))).validity.filled > 1000


def test_a_simulated_scene_is_cut_too_and_its_pixels_stay():
    location = "simulated:size=256,seed=3"
    whole = load_scene(location)
    cut = load_scene(location, area=in_degrees(whole.grid, shapely.box(60, 70, 180, 200)))
    assert cut.simulated
    window = cut.source.window
    wanted = np.where(cut.source.inside, whole.source.read(whole.bands, window), 0)
    assert (cut.source.read(cut.bands, full_window(cut.grid)) == wanted).all()


def test_a_request_remembers_its_area_and_old_ones_are_read():
    area = AreaOfInterest.from_bbox(34.9, 48.4, 35.1, 48.55).geojson
    asked = SceneRequest("simulated:size=256", area=area)
    assert SceneRequest.from_json(json.loads(json.dumps(asked.to_json()))) == asked
    assert hash(asked) == hash(replace(asked, area=None))
    plain = SceneRequest("simulated:size=256")
    assert "area" not in plain.to_json()  # what was kept under a key made of it is still found
    assert SceneRequest.from_json(plain.to_json()) == plain


def test_a_run_of_an_area_on_the_command_line(tmp_path: Path, capsys):
    grid = load_scene("simulated:size=256,seed=3").grid
    area = AreaOfInterest.from_geojson(in_degrees(grid, shapely.box(60, 70, 180, 200)))
    (tmp_path / "field.geojson").write_text(json.dumps(area.geojson))
    common = ["run", "simulated:size=256,seed=3", "--k", "4", "--sample", "5000"]
    assert main([*common, "--area", str(tmp_path / "field.geojson"), "--out", str(tmp_path / "a")]) == 0
    box = ",".join(map(str, area.bounds))
    assert main([*common, f"--bbox={box}", "--out", str(tmp_path / "b")]) == 0
    for folder in ("a", "b"):
        told = json.loads((tmp_path / folder / "run.json").read_text())
        assert told["scene"]["request"]["area"]["type"] == "Polygon"
        assert told["scene"]["width"] in range(115, 130)
        assert told["scene"]["simulated"]
    capsys.readouterr()
    assert main([*common, "--bbox=1,2,3", "--out", str(tmp_path / "c")]) != 0
    assert "four numbers" in capsys.readouterr().err
