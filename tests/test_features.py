"""Features: texture with true neighbourhoods, the season, statistics that can be reused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window
from scipy.ndimage import generic_filter

from s2dash.clustering import cluster
from s2dash.errors import FeatureError, ModelMismatchError, NoValidPixelsError
from s2dash.features import SEASON_NDVI, Standardiser, Texture, build_features, feature_names
from s2dash.grid import full_window
from s2dash.sampling import draw_sample
from s2dash.scene import Radiometry
from s2dash.sources.arrays import ArraySource
from s2dash.testing import make_patchwork, make_scene


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
    drawn = draw_sample(scene, size=500, seed=0)
    whole, _ = features.block(full_window(scene.grid))
    assert np.allclose(features.sample(500, seed=0).T, whole[:, drawn.rows, drawn.cols], atol=1e-3)


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


def test_feature_names_list_bands_indices_texture_then_season():
    names = feature_names(("B04",), ("NDVI",), Texture(of=("NDVI",)), ("NDVI_P10",))
    assert names == ("B04", "NDVI", "NDVI mean", "NDVI spread", "NDVI_P10")


def seasonal(side=40, *, seed=0):
    """A scene with two layers of a season, and their values."""
    scene, _ = make_patchwork(side=side, seed=seed)
    layers = np.random.default_rng(seed).random((2, side, side)).astype(np.float32)
    return replace(scene, season=ArraySource(scene.grid, ("NDVI_P10", "NDVI_AMPLITUDE"), layers)), layers


@pytest.mark.parametrize("texture", [None, Texture(size=5)])
def test_the_season_is_read_where_the_pixel_lies(texture):
    scene, layers = seasonal(side=600)
    features = build_features(scene, texture=texture, season=["NDVI_AMPLITUDE"], sample=500)
    assert features.names[-1] == "NDVI_AMPLITUDE"
    assert not features.pointwise
    assert features.affine is None
    window = Window(530, 17, 60, 30)
    values, valid = features.block(window)
    raw = values[-1] * features.scaler.std[-1] + features.scaler.mean[-1]
    there = layers[1][17:47, 530:590]
    assert np.allclose(raw[valid], there[valid], atol=1e-5)
    drawn = draw_sample(scene, size=500, seed=0)
    sampled = features.sample(500, seed=0)[:, -1] * features.scaler.std[-1] + features.scaler.mean[-1]
    np.testing.assert_allclose(sampled, layers[1][drawn.rows, drawn.cols], atol=1e-5)


def test_what_the_season_did_not_see_is_no_data():
    scene, layers = seasonal()
    layers[0, :10] = np.nan
    layers[1, 10:12] = np.inf
    features = build_features(scene, season=["NDVI_P10", "NDVI_AMPLITUDE"])
    values, valid = features.block(full_window(scene.grid))
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(valid, np.arange(40)[:, None].repeat(40, axis=1) >= 12)
    (note,) = [note for note in features.notes if "season" in note]
    assert "30.0% of the pixels have no statistics of the season" in note
    sample = features.sample(1000, seed=0)
    assert len(sample) == pytest.approx(700, abs=60)
    assert np.isfinite(sample).all()
    np.testing.assert_allclose(
        build_features(scene, season=["NDVI_P10"]).scaler.mean[-1], layers[0, 10:].mean(), rtol=0.02
    )
    labels = cluster(features, k=3, seed=0).labels
    assert not labels[:12].any()
    assert labels[12:].all()


def test_a_season_without_data_is_refused():
    scene, layers = seasonal()
    layers[:] = np.nan
    with pytest.raises(NoValidPixelsError, match="hold no data"):
        build_features(scene, season=["NDVI_P10"])


def test_clusters_follow_the_season_where_the_image_shows_nothing():
    numbers = np.random.default_rng(1).integers(900, 1100, (3, 64, 64)).astype(np.uint16)
    scene = make_scene(numbers, bands=("B02", "B04", "B08"))
    field = np.zeros((4, 64, 64), np.float32)
    field[:, :, 32:] = 1.0
    scene = replace(scene, season=ArraySource(scene.grid, SEASON_NDVI, field))
    labels = cluster(build_features(scene, indices=[], season=SEASON_NDVI), k=2, seed=0).labels
    assert len(np.unique(labels[:, :32])) == len(np.unique(labels[:, 32:])) == 1
    assert labels[0, 0] != labels[0, -1]


def test_a_season_that_is_not_there_is_said():
    scene, _ = make_patchwork()
    with pytest.raises(FeatureError, match=r"no statistics of a season.*--season"):
        build_features(scene, season=SEASON_NDVI)
    with pytest.raises(FeatureError, match="no NDVI_P50; it has NDVI_P10, NDVI_AMPLITUDE"):
        build_features(seasonal()[0], season=["NDVI_P10", "NDVI_P50"])
