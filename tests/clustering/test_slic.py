"""Superpixels: no salt and pepper, edges that follow the ground, and one map whatever the blocks."""

from __future__ import annotations

import threading
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.windows import Window
from scipy.ndimage import label as connected
from sklearn.metrics import adjusted_rand_score

from s2dash.clustering import SavedModel, cluster, predict_map
from s2dash.clustering.predict import label_scene
from s2dash.clustering.slic import SLICModel, fill_invalid, fit_slic, segment_side, superpixels
from s2dash.errors import Cancelled, ClusteringError, ModelFileError, ModelMismatchError, TooFewDistinctPixelsError
from s2dash.features import Texture, build_features
from s2dash.grid import full_window, pad
from s2dash.progress import Tracker
from s2dash.simulation import simulate_scene
from s2dash.sources import load_scene
from s2dash.testing import make_patchwork, make_scene


def ceiling(labels, truth):
    """Agreement reached if every cluster is given the class that most of its pixels are."""
    table = np.zeros((256, 256), dtype=int)
    np.add.at(table, (labels[labels > 0], truth[labels > 0]), 1)
    return table.max(axis=1).sum() / table.sum()


def patches(labels):
    return sum(connected(labels == number)[1] for number in np.unique(labels[labels > 0]))


@pytest.fixture(scope="module")
def simulated():
    made = simulate_scene(size=(300, 700), seed=1)
    numbers, _ = made.scene.read_numbers(full_window(made.scene.grid))
    return make_scene(numbers), made.truth()


@pytest.fixture(scope="module")
def features(simulated):
    return build_features(simulated[0])


@pytest.fixture(scope="module")
def found(features):
    return cluster(features, method="slic", k=12, seed=0)


def test_separate_spectra_become_separate_clusters():
    scene, stripes = make_patchwork(side=128, patches=4, noise=150)
    labels = cluster(build_features(scene), method="slic", k=4).labels
    assert adjusted_rand_score(stripes.ravel(), labels.ravel()) > 0.98


def test_no_salt_and_pepper_and_a_ceiling_near_that_of_k_means(simulated, features, found):
    pixels = cluster(features, k=12, seed=0).labels
    assert patches(found.labels) < 0.15 * patches(pixels)
    assert ceiling(found.labels, simulated[1]) > ceiling(pixels, simulated[1]) - 0.03


def test_real_ground_has_no_salt_and_pepper_either(real_data):
    features = build_features(load_scene(real_data / "poland" / "scene.tif"))
    pixels, segments = (cluster(features, method=method, k=12, seed=0).labels for method in ("kmeans", "slic"))
    assert patches(segments) < 0.15 * patches(pixels)


@settings(max_examples=60)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([9, 25, 64, 400]), st.integers(0, 2**32 - 1))
def test_every_valid_pixel_has_a_segment_and_no_other(height, width, size, seed):
    rng = np.random.default_rng(seed)
    valid = rng.random((height, width)) < rng.choice([0, 0.1, 0.9, 1])
    values = rng.normal(0, 1, (3, height, width)).astype(np.float32)
    segments = superpixels(values, valid, segment_size=size, compactness=0.6)
    assert segments.shape == valid.shape
    assert np.array_equal(segments > 0, valid)


def test_segments_are_of_the_size_asked_for():
    values = np.random.default_rng(0).normal(0, 0.1, (4, 128, 128)).astype(np.float32)
    for size in (16, 64, 400):
        segments = superpixels(values, np.ones((128, 128), bool), segment_size=size, compactness=2.0)
        assert 0.7 < 128**2 / size / len(np.unique(segments)) < 1.6


def test_no_data_never_reaches_a_segment():
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, (5, 60, 60)).astype(np.float32)
    valid = rng.random((60, 60)) < 0.7
    other = np.where(valid, values, np.float32(999))
    first, second = (superpixels(stack, valid, segment_size=25, compactness=0.6) for stack in (values, other))
    assert np.array_equal(first, second)


def test_the_fill_takes_the_nearest_valid_pixel():
    values = np.zeros((1, 1, 5), dtype=np.float32)
    values[0, 0] = [7, 0, 0, 0, 3]
    assert fill_invalid(values, np.array([[True, False, False, False, True]]))[0, 0].tolist()[::4] == [7, 3]
    assert fill_invalid(values, np.array([[True, False, False, False, True]]))[0, 0, 1] == 7


def test_compactness_means_the_same_whatever_else_the_block_holds():
    values = np.random.default_rng(0).normal(0, 1, (3, 64, 128)).astype(np.float32)
    outlier = values.copy()
    outlier[:, :4, -4:] = 40  # far away; scikit-image scales by the extremes of the image
    whole = np.ones((64, 128), bool)
    first, second = (superpixels(stack, whole, segment_size=64, compactness=0.6)[:, :64] for stack in (values, outlier))
    assert adjusted_rand_score(first.ravel(), second.ravel()) > 0.99


def test_blocks_agree_at_their_seams(features, found):
    model = found.model
    blocks = [Window(col, 0, model.tile, 300) for col in (0, model.tile)]
    strips = []
    reach = segment_side(model.segment_size)
    for block in blocks:
        outer, _ = pad(block, halo=model.halo, grid=features.grid)
        labels = model.label(*features.block(outer))
        left = model.tile - int(outer.col_off)
        strips.append(labels[:, left - reach : left + reach])
    assert np.mean(strips[0] == strips[1]) > 0.98


def test_one_map_whatever_memory_and_threads(features, found, monkeypatch):
    maps = []
    for threads, free in ((1, 2**29), (3, 2**34)):
        monkeypatch.setattr("s2dash.parallel.workers", lambda threads=threads: threads)
        monkeypatch.setattr("s2dash.clustering.predict.workers", lambda threads=threads: threads)
        monkeypatch.setattr("s2dash.clustering.predict.available_bytes", lambda free=free: free)
        maps.append(predict_map(features, found.model))
    assert np.array_equal(maps[0], maps[1])
    assert np.array_equal(maps[0], found.labels)


def test_where_memory_is_short_blocks_come_one_at_a_time_the_map_is_the_same_and_it_is_said(
    features, found, monkeypatch
):
    monkeypatch.setattr("s2dash.clustering.predict.workers", lambda: 2)
    monkeypatch.setattr("s2dash.clustering.predict.available_bytes", lambda: 250 * 2**20)
    labels, notes = label_scene(features, found.model)
    side = found.model.tile
    assert len(notes) == 1
    assert f"Memory is short: the scene was labelled in blocks of {side} × {side} pixels, 1 at a time" in notes[0]
    assert np.array_equal(labels, found.labels)


def test_same_seed_same_map(features, found):
    again = cluster(features, method="slic", k=12, seed=0)
    assert np.array_equal(again.labels, found.labels)
    assert found.settings["segments"] > 1000


def test_it_goes_to_disk_and_back_and_to_another_scene(features, found, tmp_path):
    saved = SavedModel.of(found.model, features)
    saved.save(tmp_path / "model.npz")
    loaded = SavedModel.load(tmp_path / "model.npz")
    assert isinstance(loaded.model, SLICModel)
    assert np.array_equal(predict_map(features, loaded.model), found.labels)
    other = simulate_scene(size=128, seed=9).scene
    assert np.array_equal(loaded.apply(other).labels, saved.apply(other).labels)


@pytest.mark.parametrize("change", [{"segment_size": 0}, {"compactness": float("nan")}, {"segment_size": None}])
def test_a_damaged_file_is_refused(features, found, tmp_path, change, monkeypatch):
    described = found.model.describe() | change
    monkeypatch.setattr(SLICModel, "describe", lambda self: described)
    SavedModel.of(found.model, features).save(tmp_path / "model.npz")
    with pytest.raises((ModelFileError, ClusteringError)):
        SavedModel.load(tmp_path / "model.npz")


def test_other_bands_are_refused(simulated, found):
    with pytest.raises(ModelMismatchError, match="NDWI"):
        predict_map(build_features(simulated[0], indices=["NDWI"]), found.model)


def test_clouds_stay_empty_and_do_not_matter(simulated):
    numbers = simulated[0].source.numbers[:, :, :300]
    scl = np.full(numbers.shape[1:], 4, dtype=np.uint8)
    scl[40:120, 50:180] = 9
    bright = numbers.copy()
    bright[:, scl == 9] = 12_000
    maps = [
        cluster(build_features(make_scene(stack, scl=scl)), method="slic", k=6).labels for stack in (numbers, bright)
    ]
    assert np.array_equal(maps[0], maps[1])
    assert np.array_equal(maps[0] == 0, scl == 9)


def test_nearly_all_no_data_and_scenes_smaller_than_a_segment():
    scene, _ = make_patchwork(side=64, patches=4, noise=200)
    scl = np.full((64, 64), 9, dtype=np.uint8)
    scl[:3] = 4
    assert cluster(build_features(make_scene(scene.source.numbers, scl=scl)), method="slic", k=2).n_clusters == 2
    with pytest.raises(TooFewDistinctPixelsError, match="1 distinct segment"):
        cluster(
            build_features(make_scene(scene.source.numbers[:, :20, :20])),
            method="slic",
            k=2,
            options={"segment_size": 10_000},
        )


def test_a_constant_scene_is_refused():
    with pytest.raises(TooFewDistinctPixelsError, match="constant"):
        fit_slic(build_features(make_scene(np.full((3, 99, 99), 700, np.uint16)), indices=[]), k=2, seed=0, sample=99)


@pytest.mark.parametrize("options", [{"segment_size": 8}, {"segment_size": 20_000}, {"compactness": 0.0}])
def test_settings_out_of_range_are_refused(features, options):
    with pytest.raises(ClusteringError):
        fit_slic(features, k=3, seed=0, sample=1000, **options)


@pytest.mark.parametrize("k", [-1, 0, 1, 255])
def test_k_out_of_range_is_refused(features, k):
    with pytest.raises(ClusteringError, match=str(k)):
        fit_slic(features, k=k, seed=0, sample=1000)


def test_it_can_be_cancelled_and_leaves_no_thread(features):
    class Impatient(Tracker):
        def report(self, share, text):
            if text == "Cutting segments" and share > 0.4:
                self.cancel()
            super().report(share, text)

    with pytest.raises(Cancelled, match="Cutting segments"):
        fit_slic(features, k=4, seed=0, sample=1000, progress=Impatient())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("s2dash-block")]


def test_memory_stays_within_what_the_model_says(simulated):
    features = build_features(simulated[0], texture=Texture())
    model = fit_slic(features, k=4, seed=0, sample=1000)
    values, valid = features.block(Window(0, 0, 300, 300))
    valid[::7, ::5] = False
    tracemalloc.start()
    model.label(values, valid)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.4 * model.bytes_per_pixel < peak / valid.size <= model.bytes_per_pixel


def test_large_segments_take_larger_blocks(found):
    for size in (9, 64, 100, 1000, 10_000):
        model = replace(found.model, segment_size=size)
        assert model.tile % segment_side(size) == model.halo % segment_side(size) == 0
        assert model.tile >= 4 * segment_side(size)


def test_a_cancel_is_heard_in_every_part_of_the_fit(features, check_heard):
    check_heard(lambda watch: fit_slic(features, k=4, seed=0, sample=1000, progress=watch), least=50)
