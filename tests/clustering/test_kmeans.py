"""K-Means: as good as scikit-learn's, the same each time, and clear about what it cannot do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, pairwise_distances_argmin

from s2dash.clustering import cluster, predict_map
from s2dash.clustering.kmeans import count_distinct, fit_centres, fit_kmeans, nearest
from s2dash.errors import Cancelled, ClusteringError, ModelMismatchError, NoValidPixelsError, TooFewDistinctPixelsError
from s2dash.features import Texture, build_features
from s2dash.grid import full_window
from s2dash.progress import Tracker
from s2dash.testing import make_patchwork, make_scene


def test_separate_spectra_become_separate_clusters():
    scene, stripes = make_patchwork(patches=5)
    found = cluster(build_features(scene), k=5, seed=0)
    assert adjusted_rand_score(stripes.ravel(), found.labels.ravel()) == 1.0


def test_same_input_same_map_whatever_the_threads(monkeypatch):
    scene, _ = make_patchwork(side=700, noise=800)
    maps = []
    for threads in (1, 3):
        monkeypatch.setattr("s2dash.parallel.workers", lambda threads=threads: threads)
        maps.append(cluster(build_features(scene), k=7, seed=3).labels)
    assert np.array_equal(maps[0], maps[1])


def test_within_half_a_percent_of_the_full_fit_of_scikit_learn():
    rng = np.random.default_rng(0)
    scene, _ = make_patchwork(side=300, patches=6, noise=400, seed=4)
    features = build_features(scene, indices=[], sample=30_000)
    found = cluster(features, k=8, seed=0, sample=30_000)
    values = features.block(full_window(scene.grid))[0].reshape(10, -1).T
    labels = found.labels.ravel() - 1
    ours = sum(
        float(((values[labels == index] - values[labels == index].mean(axis=0)) ** 2).sum()) for index in range(8)
    )
    full = KMeans(8, n_init=5, random_state=int(rng.integers(1000))).fit(values)
    assert ours <= full.inertia_ * 1.005


def test_labels_are_the_nearest_centres():
    scene, _ = make_patchwork(side=90, noise=700)
    for indices in ([], ["NDVI", "NDWI"]):  # folded into the weights, and not
        features = build_features(scene, indices=indices)
        found = cluster(features, k=6, seed=1)
        values = features.block(full_window(scene.grid))[0].reshape(len(features.names), -1).T
        oracle = pairwise_distances_argmin(values, found.model.centres) + 1
        assert np.mean(oracle == found.labels.ravel()) > 0.9999


@settings(max_examples=50)
@given(st.integers(1, 12), st.integers(1, 10), st.integers(1, 70_000), st.integers(0, 2**32 - 1))
def test_nearest_finds_the_least_score(clusters, features, pixels, seed):
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, 10_000, (features, pixels)).astype(np.uint16)
    weights = rng.standard_normal((clusters, features)).astype(np.float32)
    bias = rng.standard_normal(clusters).astype(np.float32)
    scores = weights.astype(float) @ numbers.astype(float) + bias[:, None]
    chosen = np.take_along_axis(scores, nearest(numbers, weights, bias)[None].astype(int) - 1, axis=0)[0]
    assert (chosen <= scores.min(axis=0) + 1e-2).all()


def test_a_tie_goes_to_the_first_cluster():
    numbers = np.zeros((1, 5), dtype=np.uint16)
    assert nearest(numbers, np.ones((3, 1), np.float32), np.zeros(3, np.float32)).tolist() == [1] * 5


def test_the_largest_cluster_comes_first():
    numbers = np.full((2, 20, 20), 3000, dtype=np.uint16)
    numbers[:, :4] = 500
    numbers[:, 4:6] = 8000
    counts = cluster(build_features(make_scene(numbers), indices=[]), k=3).counts()
    assert counts == {1: 280, 2: 80, 3: 40}


def test_pixels_that_are_not_valid_stay_zero():
    scene, _ = make_patchwork()
    scl = np.full(scene.grid.shape, 4, dtype=np.uint8)
    scl[:, :9] = 9
    numbers = scene.source.numbers.copy()
    numbers[3, 60] = 0
    found = cluster(build_features(make_scene(numbers, scl=scl)), k=4)
    assert (found.labels[:, :9] == 0).all()
    assert (found.labels[60] == 0).all()
    assert (found.labels[:60, 9:] > 0).all()


def test_nan_and_infinity_are_no_data():
    rng = np.random.default_rng(0)
    values = rng.random((3, 30, 30)).astype(np.float32)
    values[0, 5], values[2, :, 7] = np.nan, np.inf
    labels = cluster(build_features(make_scene(values), indices=[]), k=3).labels
    assert (labels[5] == 0).all()
    assert (labels[:, 7] == 0).all()
    assert (np.delete(np.delete(labels, 5, 0), 7, 1) > 0).all()


def test_seeds_and_sample_sizes_are_recorded():
    scene, _ = make_patchwork()
    found = cluster(build_features(scene), k=4, seed=9, sample=2000)
    assert found.settings["seed"] == 9
    assert found.settings["sample"] == 2000
    assert found.settings["standardiser"]["names"] == list(found.model.feature_names)


@pytest.mark.parametrize("k", [-1, 0, 1, 255, 100_000])
def test_numbers_of_clusters_that_make_no_sense_are_refused(k):
    scene, _ = make_patchwork()
    with pytest.raises(ClusteringError, match=str(k)):
        cluster(build_features(scene), k=k)


def test_more_clusters_than_distinct_pixels_are_refused_with_the_number():
    numbers = np.full((2, 10, 10), 500, dtype=np.uint16)
    numbers[:, :5] = 900
    with pytest.raises(TooFewDistinctPixelsError, match="2 distinct"):
        cluster(build_features(make_scene(numbers), indices=[]), k=3)


def test_a_constant_image_is_refused():
    with pytest.raises(TooFewDistinctPixelsError, match="constant"):
        cluster(build_features(make_scene(np.full((2, 10, 10), 500, dtype=np.uint16)), indices=[]), k=2)


def test_an_unknown_method_is_refused():
    scene, _ = make_patchwork()
    with pytest.raises(ClusteringError, match="kmeanz"):
        cluster(build_features(scene), method="kmeanz")


def test_a_sample_smaller_than_k_is_refused():
    scene, _ = make_patchwork()
    with pytest.raises(ClusteringError, match="sample of 3"):
        cluster(build_features(scene), k=8, sample=3)


def test_a_model_is_not_applied_to_other_features():
    scene, _ = make_patchwork()
    model = cluster(build_features(scene, indices=["NDVI"]), k=3).model
    with pytest.raises(ModelMismatchError, match="NDWI"):
        predict_map(build_features(scene, indices=["NDWI"]), model)


def test_a_model_can_be_applied_to_another_scene_of_the_same_bands():
    first, _ = make_patchwork(patches=4)
    features = build_features(first, texture=Texture())
    found = cluster(features, k=4)
    again = build_features(first, texture=Texture(), scaler=features.scaler, seed=5)
    assert np.array_equal(predict_map(again, found.model), found.labels)


def test_all_cloud_is_refused():
    scene, _ = make_patchwork()
    hidden = make_scene(scene.source.numbers, scl=np.full(scene.grid.shape, 9, dtype=np.uint8))
    model = cluster(build_features(scene), k=3).model
    features = build_features(scene)
    with pytest.raises(NoValidPixelsError):
        predict_map(type(features)(hidden, features.indices, None, features.scaler), model)


def test_it_can_be_cancelled():
    scene, _ = make_patchwork(side=600)
    features = build_features(scene)
    watch = Tracker()
    watch.cancel()
    with pytest.raises(Cancelled):
        cluster(features, k=4, progress=watch)


@given(st.integers(1, 300), st.integers(1, 20))
def test_distinct_rows_are_counted_until_enough(distinct, enough):
    rows = np.repeat(np.arange(distinct, dtype=np.float32)[:, None], 3, axis=0)
    found = count_distinct(rows, enough)
    assert found == distinct or found >= enough


def test_a_scene_with_few_distinct_values_among_many_pixels_is_still_fitted():
    numbers = np.full((2, 200, 200), 500, dtype=np.uint16)
    numbers[:, 0, :3] = [[700, 900, 1100]]
    fitted = fit_centres(
        build_features(make_scene(numbers), indices=[]).sample(40_000, seed=0),
        k=4,
        seed=0,
        feature_names=("B02", "B03"),
    )
    assert fitted.n_clusters == 4


def test_a_cancel_is_heard_at_the_next_start_or_step(check_heard):
    features = build_features(make_patchwork(patches=6, noise=60)[0])
    check_heard(lambda watch: fit_kmeans(features, k=8, seed=0, sample=2000, progress=watch), least=20)
