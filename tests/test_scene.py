from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio import Affine
from rasterio.windows import Window

from s2dash.errors import Cancelled
from s2dash.grid import slices
from s2dash.masking import MaskRule
from s2dash.progress import Tracker
from s2dash.scene import Provenance, Radiometry, Scene, has_data
from s2dash.sources.arrays import ArraySource, thin

BANDS = ("B02", "B03", "B08")


def make(height: int = 40, width: int = 30, *, dtype=np.uint16, scl: bool = True, **more) -> Scene:
    rng = np.random.default_rng(2)
    numbers = rng.integers(1, 4000, (3, height, width)).astype(dtype)
    numbers[1, 0, 0] = 0
    classes = rng.integers(0, 12, (height, width)).astype(np.uint8) if scl else None
    grid = GeoBox((height, width), Affine(10, 0, 600000, 0, -10, 5000000), "EPSG:32633")
    return Scene(source=ArraySource(grid, BANDS, numbers, classes), bands=BANDS, **more)


def expected_valid(scene: Scene) -> np.ndarray:
    source = scene.source
    return (source.numbers != 0).all(axis=0) & np.isin(source.scl, [2, 4, 5, 6, 7, 11])


def test_valid_where_every_band_has_data_and_the_classification_allows():
    scene = make()
    _, valid = scene.read_numbers(Window(0, 0, 30, 40))
    np.testing.assert_array_equal(valid, expected_valid(scene))
    assert not valid[0, 0]


def test_bands_not_asked_for_still_count_for_validity():
    scene = make(scl=False)
    numbers, valid = scene.read_numbers(Window(0, 0, 30, 40), bands=["B08"])
    assert numbers.shape == (1, 40, 30)
    assert not valid[0, 0]
    assert valid.sum() == valid.size - 1
    assert np.isnan(scene.read(bands=["B08"])[0, 0, 0])


def test_reflectance_is_scaled_and_shifted_and_nan_where_not_valid():
    scene = make(radiometry=Radiometry(scale=1e-4, offset=-0.1))
    got = scene.read(bands=["B08", "B02"])
    valid = expected_valid(scene)
    assert got.dtype == np.float32
    assert np.isnan(got[:, ~valid]).all()
    np.testing.assert_allclose(got[1][valid], scene.source.numbers[0][valid] / 1e4 - 0.1, atol=1e-6)
    np.testing.assert_allclose(got[0][valid], scene.source.numbers[2][valid] / 1e4 - 0.1, atol=1e-6)


@given(st.data())
def test_any_window_equals_the_same_part_of_the_whole(data):
    scene = make()
    row, col = data.draw(st.integers(0, 39)), data.draw(st.integers(0, 29))
    window = Window(col, row, data.draw(st.integers(1, 30 - col)), data.draw(st.integers(1, 40 - row)))
    np.testing.assert_array_equal(scene.read(window), scene.read()[:, *slices(window)])


def test_reading_does_not_change_the_source():
    scene = make()
    before = scene.source.numbers.copy()
    scene.read()
    scene.read_overview(max_side=10, masked=True)
    np.testing.assert_array_equal(scene.source.numbers, before)


def test_counts():
    scene = make(700, 600)
    validity = scene.validity
    assert validity.total == 700 * 600
    assert validity.filled == 700 * 600 - 1
    assert validity.clear == int(expected_valid(scene).sum())
    assert validity.clear_percent == pytest.approx(100 * validity.clear / validity.filled)
    assert validity.valid_percent == pytest.approx(100 * validity.clear / validity.total)


def test_counting_can_be_cancelled():
    tracker = Tracker()
    tracker.cancel()
    with pytest.raises(Cancelled):
        make().count_valid(progress=tracker)


def test_empty_scene_has_no_clear_share():
    scene = make(scl=False)
    scene.source.numbers[:] = 0
    assert scene.validity.clear_percent == 0
    assert np.isnan(scene.read()).all()


def test_another_mask_is_another_scene():
    scene = make()
    snowless = scene.with_mask(MaskRule(mask_snow=True))
    assert scene.validity.clear - snowless.validity.clear == int(
        (expected_valid(scene) & (scene.source.scl == 11)).sum()
    )
    assert scene.with_radiometry(Radiometry(offset=-0.1)).radiometry.offset == -0.1
    assert scene.radiometry.offset == 0


def test_overview_takes_the_pixel_at_the_centre():
    scene = make(400, 300)
    got, grid = scene.read_overview(max_side=100)
    assert got.shape == (3, 100, 75)
    assert grid.shape == (100, 75)
    picked = scene.source.numbers[:, 2::4, 2::4]
    np.testing.assert_allclose(got, picked / 1e4, atol=1e-6)
    masked, _ = scene.read_overview(max_side=100, bands=["B08"], masked=True)
    np.testing.assert_array_equal(np.isnan(masked[0]), ~expected_valid(scene)[2::4, 2::4])


def test_overview_of_a_small_scene_is_the_scene():
    scene = make()
    got, grid = scene.read_overview(max_side=1000, masked=True)
    assert grid == scene.grid
    np.testing.assert_array_equal(got, scene.read())


def test_float_data():
    scene = make(dtype=np.float32, scl=False, radiometry=Radiometry(scale=1))
    scene.source.numbers[2, 5, 5] = np.nan
    scene.source.numbers[0, 6, 6] = np.inf
    _, valid = scene.read_numbers(Window(0, 0, 30, 40))
    assert valid[0, 0]  # 0 is a value in float bands
    assert not valid[5, 5]
    assert not valid[6, 6]
    assert np.isnan(scene.read()[:, 6, 6]).all()


def test_has_data():
    assert has_data(np.array([[1, 0], [2, 3]], np.uint16)).tolist() == [True, False]
    assert has_data(np.array([[0, 0, 7], [0, 9, 8], [0, 3, 2]], np.uint8)).tolist() == [False, True, True]
    assert has_data(np.array([[0.0, np.nan, np.inf], [1, 1, 1]])).tolist() == [True, False, False]


def test_simulated_scenes_say_so():
    assert make(provenance=Provenance(title="demo", kind="simulated")).simulated
    assert not make().simulated


def test_scene_can_be_pickled():
    scene = make()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(scene)).read(), scene.read())


def test_array_source_refuses_what_does_not_fit():
    grid = GeoBox((4, 4), Affine(10, 0, 0, 0, -10, 0), "EPSG:32633")
    with pytest.raises(ValueError, match="2 bands on a grid"):
        ArraySource(grid, ("B02", "B03"), np.ones((3, 4, 4), np.uint16))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_thinning_takes_existing_pixels_in_order(height, width, rows, cols):
    array = np.arange(height * width).reshape(height, width)
    got = thin(array, (rows, cols))
    assert got.shape == (rows, cols)
    assert (np.diff(got, axis=0) >= 0).all()
    assert (np.diff(got, axis=1) >= 0).all()
    if (rows, cols) == (height, width):
        np.testing.assert_array_equal(got, array)
