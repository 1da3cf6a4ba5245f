"""Features: standard indices, texture with true neighbourhoods, statistics that can be reused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window
from scipy.ndimage import generic_filter

from s2dash.errors import FeatureError, ModelMismatchError
from s2dash.features import Standardiser, Texture, available_indices, build_features, compute_index, feature_names
from s2dash.grid import full_window
from s2dash.scene import Radiometry
from s2dash.testing import make_patchwork, make_scene

FORMULAS = {
    "NDVI": lambda b: (b["B08"] - b["B04"]) / (b["B08"] + b["B04"]),
    "NDWI": lambda b: (b["B03"] - b["B08"]) / (b["B03"] + b["B08"]),
    "MNDWI": lambda b: (b["B03"] - b["B11"]) / (b["B03"] + b["B11"]),
    "NDBI": lambda b: (b["B11"] - b["B08"]) / (b["B11"] + b["B08"]),
    "NDMI": lambda b: (b["B08"] - b["B11"]) / (b["B08"] + b["B11"]),
    "BSI": lambda b: ((b["B11"] + b["B04"]) - (b["B08"] + b["B02"])) / ((b["B11"] + b["B04"]) + (b["B08"] + b["B02"])),
}
"""Written out from the papers, independent of the library that computes them."""


@pytest.mark.parametrize("name", FORMULAS)
def test_indices_follow_their_published_formulas(name):
    scene, _ = make_patchwork()
    reflectance = scene.read()
    bands = dict(zip(scene.bands, reflectance, strict=True))
    assert np.allclose(compute_index(name, reflectance, scene.bands), FORMULAS[name](bands), atol=1e-5)


SPECTRA = st.lists(st.floats(-0.25, 2.0, width=32), min_size=10, max_size=10)
BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")


@given(SPECTRA)
def test_normalised_differences_stay_within_one(values):
    reflectance = np.array(values, dtype=np.float32)[:, None]
    for name in FORMULAS:
        assert -1 - 1e-6 <= float(compute_index(name, reflectance, BANDS)[0]) <= 1 + 1e-6


def test_every_index_offered_can_be_computed_and_is_finite():
    offered = available_indices(BANDS)
    assert len(offered) > 100
    assert offered[:6] == ("NDVI", "NDWI", "MNDWI", "NDBI", "BSI", "NDMI")
    reflectance = np.concatenate([np.zeros((10, 1)), np.random.default_rng(0).uniform(-0.1, 1.5, (10, 50))], axis=1)
    for name in offered:
        assert np.isfinite(compute_index(name, reflectance.astype(np.float32), BANDS)).all(), name


def test_an_index_with_free_parameters_is_refused():
    with pytest.raises(FeatureError, match="free parameters"):
        compute_index("FAI", np.ones((10, 1), np.float32), BANDS)


def test_an_unknown_index_is_refused_by_name():
    scene, _ = make_patchwork()
    with pytest.raises(FeatureError, match="'NDXX'"):
        build_features(scene, indices=["NDXX"])


def test_an_index_whose_band_is_missing_names_the_band():
    scene = make_scene(np.full((3, 8, 8), 500, dtype=np.uint16), bands=("B02", "B03", "B04"))
    with pytest.raises(FeatureError, match="NDVI needs B08"):
        build_features(scene, indices=["NDVI"])


def test_narrow_near_infrared_stands_in_and_is_noted():
    numbers = np.random.default_rng(0).integers(100, 4000, (3, 8, 8)).astype(np.uint16)
    scene = make_scene(numbers, bands=("B03", "B04", "B8A"))
    features = build_features(scene, indices=["NDVI"])
    assert any("B8A" in note for note in features.notes)


def test_features_are_standardised_and_named_in_order():
    scene, _ = make_patchwork()
    features = build_features(scene, indices=["NDVI", "BSI"])
    assert features.names == (*scene.bands, "NDVI", "BSI")
    sample = features.sample(100_000, seed=0)
    assert np.allclose(sample.mean(axis=0), 0, atol=1e-4)
    assert np.allclose(sample.std(axis=0), 1, atol=1e-4)


def test_a_constant_band_does_not_divide_by_zero():
    numbers = np.random.default_rng(0).integers(100, 4000, (2, 16, 16)).astype(np.uint16)
    numbers[1] = 700
    values, _ = build_features(make_scene(numbers), indices=[]).block(Window(0, 0, 16, 16))
    assert np.array_equal(values[1], np.zeros((16, 16), dtype=np.float32))


def test_masked_pixels_do_not_enter_the_statistics():
    numbers = np.full((2, 20, 20), 1000, dtype=np.uint16)
    numbers[:, :10] = 3000
    scl = np.full((20, 20), 4, dtype=np.uint8)
    scl[:10] = 9
    features = build_features(make_scene(numbers, scl=scl), indices=[])
    assert np.allclose(features.scaler.mean, 0.1)


def test_the_affine_form_equals_the_features():
    scene, _ = make_patchwork()
    scene = scene.with_radiometry(Radiometry(scale=2e-4, offset=-0.1))
    features = build_features(scene, indices=[])
    gain, shift = features.affine
    numbers, _ = scene.read_numbers(full_window(scene.grid))
    values, _ = features.block(full_window(scene.grid))
    assert np.allclose(numbers * gain[:, None, None] + shift[:, None, None], values, atol=1e-3)


def test_features_with_indices_have_no_affine_form():
    scene, _ = make_patchwork()
    assert build_features(scene, indices=["NDVI"]).affine is None


@pytest.mark.parametrize("size", [3, 5])
def test_texture_is_the_mean_and_spread_of_the_valid_neighbours(size):
    rng = np.random.default_rng(2)
    numbers = rng.integers(100, 4000, (2, 24, 20)).astype(np.uint16)
    scl = np.where(rng.random((24, 20)) < 0.2, 9, 4).astype(np.uint8)
    scene = make_scene(numbers, scl=scl, bands=("B04", "B08"))
    features = build_features(scene, indices=[], texture=Texture(of=("B04",), size=size))
    assert features.names == ("B04", "B08", "B04 mean", "B04 spread")
    values, valid = features.block(full_window(scene.grid))
    raw = values * features.scaler.std[:, None, None] + features.scaler.mean[:, None, None]
    red = np.where(valid, numbers[0] * 1e-4, np.nan)
    for index, statistic in ((2, np.nanmean), (3, np.nanstd)):
        oracle = generic_filter(red, statistic, size=size, mode="constant", cval=np.nan)
        assert np.allclose(raw[index][valid], oracle[valid], atol=1e-5)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 40), st.integers(1, 40))
def test_texture_of_a_window_is_that_of_the_whole_scene(row, col, height, width):
    scene, _ = make_patchwork(side=40)
    features = build_features(scene, texture=Texture(size=5))
    window = Window(col, row, min(width, 40 - col), min(height, 40 - row))
    whole, _ = features.block(full_window(scene.grid))
    part, _ = features.block(window)
    rows, cols = slice(row, row + int(window.height)), slice(col, col + int(window.width))
    assert np.allclose(part, whole[:, rows, cols], atol=1e-3)


def test_sampled_texture_is_that_of_the_blocks():
    scene, _ = make_patchwork(side=600)
    features = build_features(scene, texture=Texture(size=5), sample=500)
    drawn, raw = features._samples[500, 0]
    whole, _ = features.block(full_window(scene.grid))
    assert np.allclose(features.scaler.apply(raw), whole[:, drawn.rows, drawn.cols], atol=1e-3)


@pytest.mark.parametrize("size", [0, 1, 2, 4, -3])
def test_a_texture_window_that_has_no_centre_is_refused(size):
    with pytest.raises(FeatureError, match="odd"):
        Texture(size=size)


def test_statistics_of_one_scene_can_be_used_on_another():
    first, _ = make_patchwork(seed=0)
    second, _ = make_patchwork(seed=1)
    scaler = build_features(first).scaler
    again = Standardiser.from_json(scaler.to_json())
    features = build_features(second, scaler=again)
    assert np.array_equal(features.scaler.mean, scaler.mean)


def test_statistics_of_other_features_are_refused():
    first, _ = make_patchwork()
    with pytest.raises(ModelMismatchError, match="NDWI"):
        build_features(first, indices=["NDVI"], scaler=build_features(first, indices=["NDWI"]).scaler)


def test_feature_names_list_bands_indices_then_texture():
    assert feature_names(("B04",), ("NDVI",), Texture(of=("NDVI",))) == ("B04", "NDVI", "NDVI mean", "NDVI spread")
