from __future__ import annotations

import copy
import gc
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio import Affine
from rasterio.enums import Resampling
from rasterio.warp import reproject
from rasterio.windows import Window

from s2dash.sources import load_scene
from s2dash.sources import raster as raster_module
from s2dash.sources.arrays import thin
from s2dash.sources.header import Layer, inspect_raster
from s2dash.sources.raster import RasterSource

UTM = "EPSG:32633"


def source_of(*layers: tuple[str, Path], scl: Path | None = None, grid: GeoBox | None = None) -> RasterSource:
    made = tuple(Layer(name, inspect_raster(path), 1) for name, path in layers)
    classes = None if scl is None else Layer("SCL", inspect_raster(scl), 1)
    return RasterSource(grid=grid or made[0].file.grid, layers=made, scl=classes)


def bilinear(coarse: np.ndarray, factor: int) -> np.ndarray:
    """Bilinear interpolation between pixel centres, 0 left out, 0 where the pixel's own source is 0."""
    height, width = coarse.shape
    y = (np.arange(height * factor) + 0.5) / factor - 0.5
    x = (np.arange(width * factor) + 0.5) / factor - 0.5
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    total, weight = np.zeros((2, y.size, x.size))
    for down in (0, 1):
        for right in (0, 1):
            rows, cols = top + down, left + right
            inside = ((rows >= 0) & (rows < height))[:, None] & ((cols >= 0) & (cols < width))[None]
            value = coarse[np.clip(rows, 0, height - 1)][:, np.clip(cols, 0, width - 1)].astype(float)
            share = np.abs(1 - down - (y - top))[:, None] * np.abs(1 - right - (x - left))[None]
            share = share * (inside & (value != 0))
            total += share * value
            weight += share
    own = np.kron(coarse, np.ones((factor, factor), int)) != 0
    return np.where(own, total / np.where(weight > 0, weight, 1), 0)


@pytest.mark.parametrize("factor", [2, 6])
def test_linear_ramp_comes_back_as_a_linear_ramp(tmp_path, raster, factor):
    """A half-pixel shift would move the ramp by half its step."""
    height, width = 40, 30
    rows, cols = np.mgrid[:height, :width] + 0.5
    ramp = (200 + 60 * rows * factor + 24 * cols * factor).round().astype(np.uint16)
    fine = raster(tmp_path / "fine.tif", np.ones((height * factor, width * factor), np.uint16))
    coarse = raster(tmp_path / "coarse.tif", ramp, pixel=10 * factor)
    got = source_of(("B02", fine), ("B11", coarse)).read(["B11"], Window(0, 0, width * factor, height * factor))[0]
    rows, cols = np.mgrid[: height * factor, : width * factor] + 0.5
    inner = slice(factor, -factor)
    difference = got.astype(float) - (200 + 60 * rows + 24 * cols)
    assert np.abs(difference[inner, inner]).max() <= 0.51


@pytest.mark.parametrize("factor", [2, 6])
def test_no_data_is_left_out_of_every_mean(tmp_path, raster, factor):
    rng = np.random.default_rng(3)
    content = rng.integers(500, 4000, (41, 33)).astype(np.uint16)
    content[rng.random(content.shape) < 0.1] = 0
    content[:, :4] = 0
    fine = raster(tmp_path / "fine.tif", np.ones((41 * factor, 33 * factor), np.uint16))
    coarse = raster(tmp_path / "coarse.tif", content, pixel=10 * factor)
    got = source_of(("B02", fine), ("B11", coarse)).read(["B11"], Window(0, 0, 33 * factor, 41 * factor))[0]
    expected = bilinear(content, factor)
    np.testing.assert_array_equal(got == 0, expected == 0)
    assert np.abs(got - expected).max() <= 0.51
    assert got[got > 0].min() >= 500


def test_upsampling_agrees_with_gdals_reproject(tmp_path, raster):
    content = np.random.default_rng(4).integers(1, 4000, (50, 60)).astype(np.uint16)
    fine = raster(tmp_path / "fine.tif", np.ones((100, 120), np.uint16))
    coarse = raster(tmp_path / "coarse.tif", content, pixel=20)
    source = source_of(("B02", fine), ("B11", coarse))
    expected = np.zeros((100, 120), np.uint16)
    reproject(
        content, expected,
        src_transform=Affine(20, 0, 600000, 0, -20, 5000000), src_crs=UTM, src_nodata=0,
        dst_transform=source.grid.transform, dst_crs=UTM, dst_nodata=0, resampling=Resampling.bilinear,
    )  # fmt: skip
    np.testing.assert_array_equal(source.read(["B11"], Window(0, 0, 120, 100))[0], expected)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory, raster) -> RasterSource:
    folder = tmp_path_factory.mktemp("mixed")
    rng = np.random.default_rng(5)

    def band(name: str, side: int, pixel: float) -> tuple[str, Path]:
        content = rng.integers(0, 4000, (side, side)).astype(np.uint16)
        content[rng.random(content.shape) < 0.02] = 0
        return name, raster(folder / f"{name}.tif", content, pixel=pixel)

    layers = [band("B02", 660, 10), band("B04", 660, 10), band("B11", 330, 20), band("B12", 110, 60)]
    scl = raster(folder / "SCL.tif", rng.integers(0, 12, (330, 330)).astype(np.uint8), pixel=20)
    return source_of(*layers, scl=scl)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_window_equals_the_same_part_of_the_whole(mixed, data):
    whole = mixed.read(mixed.bands, Window(0, 0, 660, 660))
    classes = mixed.read_scl(Window(0, 0, 660, 660))
    row, col = data.draw(st.integers(0, 659)), data.draw(st.integers(0, 659))
    high, wide = data.draw(st.integers(1, 660 - row)), data.draw(st.integers(1, 660 - col))
    bands = data.draw(st.lists(st.sampled_from(mixed.bands), min_size=1, max_size=4, unique=True))
    window = Window(col, row, wide, high)
    got = mixed.read(bands, window)
    part = whole[[mixed.bands.index(band) for band in bands], row : row + high, col : col + wide]
    np.testing.assert_array_equal(got, part)
    np.testing.assert_array_equal(mixed.read_scl(window), classes[row : row + high, col : col + wide])


def test_threads_read_the_same(mixed):
    whole = mixed.read(mixed.bands, Window(0, 0, 660, 660))
    windows = [Window(col, row, 97, 131) for row in range(0, 520, 65) for col in range(0, 560, 47)]
    with ThreadPoolExecutor(8) as pool:
        for window, got in zip(windows, pool.map(lambda w: mixed.read(mixed.bands, w), windows), strict=True):
            rows, cols = slice(window.row_off, window.row_off + 131), slice(window.col_off, window.col_off + 97)
            np.testing.assert_array_equal(got, whole[:, rows, cols])


def test_source_can_be_pickled_and_copied(mixed):
    window = Window(100, 50, 64, 64)
    expected = mixed.read(mixed.bands, window)
    for other in (pickle.loads(pickle.dumps(mixed)), copy.deepcopy(mixed)):
        assert other == mixed
        np.testing.assert_array_equal(other.read(other.bands, window), expected)


def test_files_are_closed_with_the_source_and_with_the_thread(stack):
    def open_files() -> int:
        return sum(
            os.path.realpath(entry) == str(stack.resolve()) for entry in Path(f"/proc/{os.getpid()}/fd").iterdir()
        )

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("open files cannot be listed here")
    sources = [source_of(("B02", stack))]
    assert open_files() == 0
    sources[0].read(["B02"], Window(0, 0, 9, 9))
    assert open_files() == 1
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: sources[0].read(["B02"], Window(0, 0, 9, 9)), range(12)))
    gc.collect()
    assert open_files() == 1
    sources.clear()
    gc.collect()
    assert open_files() == 0


def test_overview_is_thinned_by_nearest_neighbour(mixed):
    whole = mixed.read(mixed.bands, Window(0, 0, 660, 660))
    got = mixed.read_overview(mixed.bands, (110, 110))
    np.testing.assert_array_equal(got[:2], whole[:2, 3::6, 3::6])  # the pixel at the centre of each 6 x 6
    with rasterio.open(mixed.layers[3].file.path) as dataset:
        np.testing.assert_array_equal(got[3], dataset.read(1))
    assert mixed.read_overview(mixed.bands, (220, 220)).shape == (4, 220, 220)
    np.testing.assert_array_equal(mixed.read_overview(mixed.bands, (660, 660)), whole)
    classes = mixed.read_scl(Window(0, 0, 660, 660))
    np.testing.assert_array_equal(mixed.read_scl_overview((110, 110)), classes[3::6, 3::6])


@pytest.mark.parametrize("interleave", ["band", "pixel"])
@pytest.mark.parametrize("layout", [{"tiled": True, "blockxsize": 128, "blockysize": 256}, {"blockysize": 7}, {}])
@pytest.mark.parametrize("shape", [(333, 290), (1000, 1), (97, 301), (699, 898)])
def test_overview_of_any_file_is_thinned_alike(tmp_path, raster, interleave, layout, shape):
    content = np.random.default_rng(6).integers(1, 4000, (3, 1000, 900)).astype(np.uint16)
    path = raster(tmp_path / "a.tif", content, compress="deflate", interleave=interleave, **layout)
    file = inspect_raster(path)
    source = RasterSource(grid=file.grid, layers=tuple(Layer(f"B0{i}", file, i) for i in (1, 2, 3)))
    np.testing.assert_array_equal(source.read_overview(["B03", "B01"], shape), thin(content[[2, 0]], shape))


def test_overviews_of_files_are_used_for_bands_but_not_for_classes(tmp_path, raster):
    rng = np.random.default_rng(6)
    content = rng.integers(1, 4000, (512, 512)).astype(np.uint16)
    path = raster(tmp_path / "B02.tif", content, tiled=True)
    scl = raster(tmp_path / "SCL.tif", rng.choice([4, 9], (512, 512)).astype(np.uint8))
    for item in (path, scl):
        with rasterio.open(item, "r+") as dataset:
            dataset.build_overviews([2, 4], Resampling.average)
    source = source_of(("B02", path), scl=scl)
    means = content.reshape(128, 4, 128, 4).mean(axis=(1, 3))
    assert np.abs(source.read_overview(["B02"], (128, 128))[0] - means).max() <= 1
    assert set(np.unique(source.read_scl_overview((128, 128)))) == {4, 9}


def test_classes_on_another_grid_are_taken_by_nearest_neighbour(tmp_path, raster):
    fine = raster(tmp_path / "B02.tif", np.ones((80, 80), np.uint16))
    classes = np.random.default_rng(8).integers(1, 12, (20, 25)).astype(np.uint8)
    scl = raster(tmp_path / "SCL.tif", classes, transform=Affine(20, 0, 600000 - 100, 0, -20, 5000000 + 60))
    source = source_of(("B02", fine), scl=scl)
    got = source.read_scl(Window(0, 0, 80, 80))
    expected = np.zeros((80, 80), np.uint8)
    grown = np.kron(classes, np.ones((2, 2), np.uint8))[6:, 10:]
    expected[: grown.shape[0], : grown.shape[1]] = grown
    np.testing.assert_array_equal(got, expected)
    assert source.read_scl_overview((40, 40)).shape == (40, 40)


def test_classes_in_other_coordinates_agree_with_gdals_reproject(tmp_path, raster):
    fine = raster(tmp_path / "B02.tif", np.ones((90, 90), np.uint16))
    classes = np.random.default_rng(9).integers(1, 12, (60, 60)).astype(np.uint8)
    turned = {"crs": "EPSG:4326", "transform": Affine(2.5e-4, 0, 16.268, 0, -2.5e-4, 45.15)}
    scl = raster(tmp_path / "SCL.tif", classes, **turned)
    source = source_of(("B02", fine), scl=scl)
    expected = np.zeros((90, 90), np.uint8)
    reproject(
        classes, expected, src_transform=turned["transform"], src_crs="EPSG:4326",
        dst_transform=source.grid.transform, dst_crs=UTM, resampling=Resampling.nearest,
    )  # fmt: skip
    got = source.read_scl(Window(0, 0, 90, 90))
    assert expected.any()
    assert np.mean(got == expected) > 0.99  # both approximate the curve of the coordinates


def test_float_bands_keep_no_data_out_of_the_mean(tmp_path, raster):
    content = np.full((20, 20), 0.3, np.float32)
    content[5, 5], content[9, 9] = np.nan, -9999
    fine = raster(tmp_path / "B02.tif", np.full((40, 40), 0.1, np.float32))
    coarse = raster(tmp_path / "B11.tif", content, pixel=20, nodata=-9999)
    got = source_of(("B02", fine), ("B11", coarse)).read(["B02", "B11"], Window(0, 0, 40, 40))[1]
    assert np.isnan(got[10:12, 10:12]).all()
    assert np.isnan(got[18:20, 18:20]).all()
    assert np.nanmin(got) == pytest.approx(0.3)
    assert np.nanmax(got) == pytest.approx(0.3)


CACHE = """
import sys, rasterio
from rasterio._env import get_gdal_config
from s2dash.sources import load_scene
load_scene(sys.argv[1])
print(get_gdal_config("GDAL_CACHEMAX"))
"""


@pytest.mark.parametrize(("given", "bound"), [(None, 64 * 2**20), ("33000000", 33_000_000)])
def test_gdals_cache_is_bounded_unless_the_person_says_otherwise(stack, given, bound):
    keep = {key: value for key, value in os.environ.items() if key != "GDAL_CACHEMAX"}
    environment = keep | ({"GDAL_CACHEMAX": given} if given else {}) | {"PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(
        [sys.executable, "-c", CACHE, str(stack)], env=environment, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == bound


def test_wide_strips_get_a_larger_cache(tmp_path, raster):
    striped = inspect_raster(raster(tmp_path / "a.tif", np.ones((10, 64, 3000), np.uint16)))
    tiled = inspect_raster(raster(tmp_path / "b.tif", np.ones((10, 64, 3000), np.uint16), tiled=True))
    assert raster_module._row_bytes(striped) == 512 * 3000 * 10 * 2
    assert raster_module._row_bytes(tiled) == 0


@pytest.mark.parametrize("nodata", [None, 0, 255])
def test_a_picture_of_eight_bits_has_no_data_only_where_no_channel_has_any(tmp_path, raster, nodata):
    rng = np.random.default_rng(0)
    content = rng.integers(1, 255, (3, 30, 30)).astype(np.uint8)
    content[0, :10], content[2, 20:25] = 0, 255  # shadow in one channel, a bright roof in another
    content[:, 5, 5] = content[:, 22, 7] = nodata or 0
    path = tmp_path / "aerial.tif"
    profile = {"driver": "GTiff", "height": 30, "width": 30, "count": 3, "dtype": "uint8", "nodata": nodata}
    with rasterio.open(path, "w", crs=UTM, transform=Affine(0.1, 0, 600000, 0, -0.1, 5000000), **profile) as file:
        file.write(content)
    scene = load_scene(path, bands=["B04", "B03", "B02"])
    numbers, valid = scene.read_numbers(Window(0, 0, 30, 30))
    assert np.argwhere(~valid).tolist() == [[5, 5], [22, 7]]
    assert np.array_equal(numbers[:, valid], content[::-1, valid])  # by wavelength
