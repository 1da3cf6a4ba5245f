"""DBSCAN: scikit-learn's on the sample, the nearest core point elsewhere, whatever the reach."""

from __future__ import annotations

import json
import re
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.cluster import DBSCAN
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import NearestNeighbors

from s2dash.clustering import METHODS, SavedModel, cluster, predict_map
from s2dash.clustering.core_index import CoreIndex
from s2dash.clustering.dbscan import DBSCANModel, fit_dbscan
from s2dash.clustering.density import (
    DensityGraph,
    Projection,
    draw_points,
    largest_first,
    neighbour_distance,
)
from s2dash.errors import (
    Cancelled,
    ClusteringError,
    ModelFileError,
    ModelMismatchError,
    NoValidPixelsError,
    TooFewDistinctPixelsError,
)
from s2dash.features import Texture, build_features
from s2dash.grid import full_window
from s2dash.progress import Silent, Tracker
from s2dash.simulation import simulate_scene
from s2dash.sources import load_scene
from s2dash.testing import make_patchwork, make_scene

SETTINGS = {"k": 2, "seed": 0, "sample": 100_000}


@pytest.fixture(scope="module")
def landscape():
    """Features of a simulated scene of 30 000 pixels."""
    return build_features(simulate_scene(size=(150, 200), seed=3).scene, indices=[])


@pytest.fixture(scope="module")
def small():
    """Features of a simulated scene of 8 000 pixels."""
    return build_features(simulate_scene(size=(80, 100), seed=3).scene, indices=[])


@pytest.fixture(scope="module")
def stripes():
    scene, truth = make_patchwork(side=60, patches=4, noise=40)
    return build_features(scene, indices=[]), truth


def pixels_of(features):
    values, _ = features.block(full_window(features.grid))
    return values.reshape(len(values), -1)


def exact(model, pixels, share):
    """scikit-learn's on all pixels: the model's own projection and reach, the same share of neighbours."""
    points = model.projection.apply(pixels).astype(float)
    return DBSCAN(eps=model.eps, min_samples=round(share * len(points)) + 1).fit(points)


def test_projection_is_that_of_scikit_learn():
    sample = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32) @ np.diag([3, 2, 1, 0.5]) + 1
    ours, theirs = Projection.fit(sample, components=2), PCA(2).fit(sample)
    assert np.allclose(np.abs(ours.axes), np.abs(theirs.components_), atol=1e-6)
    assert np.allclose(np.abs(ours.apply(sample.T)), np.abs(theirs.transform(sample)), atol=1e-4)
    assert ours.kept == pytest.approx(theirs.explained_variance_ratio_.sum())


def test_all_components_keep_every_distance():
    sample = np.random.default_rng(1).normal(size=(50, 5)).astype(np.float32)
    turned = Projection.fit(sample, components=0).apply(sample.T)
    assert np.allclose(cdist(turned, turned), cdist(sample, sample), atol=1e-5)


@pytest.mark.parametrize("components", [3, 0])
def test_like_scikit_learn_on_thirty_thousand_pixels(landscape, components):
    pixels = pixels_of(landscape)
    model = fit_dbscan(landscape, **SETTINGS, components=components)
    theirs = exact(model, pixels, 0.001)
    ours = model.predict(pixels)
    assert model.clusters == theirs.labels_.max() + 1 >= 3
    assert np.array_equal(ours == model.n_clusters, theirs.labels_ < 0)
    assert model.noise_share == pytest.approx((theirs.labels_ < 0).mean())
    core = theirs.core_sample_indices_
    assert adjusted_rand_score(theirs.labels_[core], ours[core]) == 1
    assert adjusted_rand_score(theirs.labels_, ours) >= 0.95


def test_close_to_scikit_learn_on_pixels_that_were_not_sampled():
    """A third of the pixels, with the fifty neighbours that the usual share means on the usual sample."""
    agreement = []
    for seed in (1, 2):
        features = build_features(simulate_scene(size=(150, 200), seed=seed).scene, indices=[])
        pixels = pixels_of(features)
        first = fit_dbscan(features, k=2, seed=0, sample=10_000, min_share=0.005)
        eps = float(np.interp(0.8, first.k_distance.share, first.k_distance.distance))
        model = fit_dbscan(features, k=2, seed=0, sample=10_000, min_share=0.005, eps=eps)
        seen = {row.tobytes() for row in features.sample(10_000, seed=0)}
        unseen = np.array([row.tobytes() not in seen for row in np.ascontiguousarray(pixels.T)])
        assert unseen.sum() == pytest.approx(20_000, rel=0.01)
        theirs = exact(model, pixels, 0.005).labels_[unseen]
        agreement.append(adjusted_rand_score(theirs, model.predict(pixels)[unseen]))
    assert np.mean(agreement) >= 0.95
    assert min(agreement) >= 0.9


@st.composite
def clouds(draw):
    """Few points in few dimensions, on a coarse lattice half of the time, so that many coincide."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    points = rng.normal(size=(draw(st.integers(12, 150)), draw(st.integers(1, 5)))) * draw(st.sampled_from([1, 5]))
    if draw(st.booleans()):
        points = points.round()
    return points.astype(np.float32).astype(float), draw(st.floats(0.05, 8)), draw(st.integers(1, 8))


@given(clouds())
def test_groups_and_border_are_those_of_scikit_learn(case):
    points, eps, rank = case
    around = DensityGraph.of(points, rank=rank, progress=Silent())
    theirs = DBSCAN(eps=eps, min_samples=rank + 1).fit(points)
    (groups,) = around.groups((eps,), progress=Silent())
    assert np.array_equal(np.flatnonzero(groups >= 0), np.sort(theirs.core_sample_indices_))
    core = groups >= 0
    assert not core.any() or adjusted_rand_score(theirs.labels_[core], groups[core]) == 1
    assert np.array_equal(around.with_border(groups, eps) < 0, theirs.labels_ < 0)


@given(clouds(), st.lists(st.floats(0.05, 8), min_size=2, max_size=5))
def test_rising_reaches_give_what_each_alone_gives(case, reaches):
    points, _, rank = case
    around = DensityGraph.of(points, rank=rank, progress=Silent())
    reaches = sorted(reaches)
    for eps, groups in zip(reaches, around.groups(reaches, progress=Silent()), strict=True):
        (alone,) = around.groups((eps,), progress=Silent())
        assert np.array_equal(groups >= 0, alone >= 0)
        assert adjusted_rand_score(alone, groups) == 1


@given(clouds(), st.integers(1, 4), st.integers(0, 1000))
def test_the_index_finds_the_nearest_core_point_within_reach(case, clusters, seed):
    cores, eps, _ = case
    rng = np.random.default_rng(seed)
    labels = rng.integers(1, clusters + 1, len(cores)).astype(np.uint8)
    spread = np.ptp(cores, axis=0).max() + eps
    points = rng.uniform(cores.min() - spread, cores.max() + spread, (300, cores.shape[1])).astype(np.float32)
    points[:100] = cores[rng.integers(0, len(cores), 100)] + rng.normal(0, eps / 2, (100, cores.shape[1]))
    apart = cdist(points, cores)
    index = CoreIndex(cores.astype(np.float32), labels, eps, clusters + 1)
    found = index.label(points)
    assert np.array_equal(found, index.label(points))  # from what the first call has learnt
    nearest = apart.min(axis=1)
    near = apart <= nearest[:, None] + 1e-5
    possible = np.array([set(labels[row]) for row in near])
    for label, choice, away in zip(found, possible, nearest, strict=True):
        if abs(away - eps) < 1e-5:
            continue  # as far as eps to within the rounding
        assert label in (choice if away < eps else {clusters + 1})


def test_neighbour_distance_is_the_same_by_tree_and_by_pairs():
    points = np.random.default_rng(0).normal(size=(700, 3))
    for rank in (7, 350):
        theirs, _ = NearestNeighbors(n_neighbors=rank + 1).fit(points).kneighbors(points)
        assert np.allclose(neighbour_distance(points, rank=rank, progress=Silent()), theirs[:, -1])


def test_the_curve_is_the_sorted_distance_to_the_kth_neighbour(stripes):
    features, _ = stripes
    model = fit_dbscan(features, **SETTINGS, min_share=0.01)
    points = model.projection.apply(pixels_of(features))
    kth = NearestNeighbors(n_neighbors=model.min_samples).fit(points).kneighbors(points)[0][:, -1]
    curve = json.loads(json.dumps(model.describe()))["k_distance"]
    assert curve["neighbours"] == 36 == model.min_samples - 1
    assert np.allclose(curve["distance"], np.quantile(kth, curve["share"]), atol=1e-4)
    assert len(curve["share"]) <= 200
    assert kth.min() <= curve["knee"] <= kth.max() * 1.0001


def test_the_knee_is_where_dense_pixels_end(stripes):
    """Nine of ten pixels are dense, one of ten far from all: the curve bends where those begin."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(1000, 20, (2, 40, 50))
    numbers[:, :4] = rng.uniform(1, 10_000, (2, 4, 50))
    model = fit_dbscan(build_features(make_scene(numbers.astype(np.uint16)), indices=[]), **SETTINGS)
    share, distance = np.asarray(model.k_distance.share), np.asarray(model.k_distance.distance)
    assert 0.85 <= share[distance <= model.k_distance.knee].max() <= 0.95


def test_every_stripe_is_a_cluster(stripes):
    features, truth = stripes
    found = cluster(features, method="dbscan")
    dense = found.labels != found.n_clusters
    assert dense.mean() > 0.5
    assert found.n_clusters == 5
    assert adjusted_rand_score(truth[dense], found.labels[dense]) == 1


def test_a_ring_and_what_it_surrounds():
    """What K-Means cannot: a cluster around another one."""
    rng = np.random.default_rng(0)
    side = 60
    turn = rng.uniform(0, 2 * np.pi, (side, side))
    truth = np.broadcast_to(np.arange(side) % 2, (side, side))
    radius = np.where(truth, 3000, 0) + rng.normal(0, 100, (side, side))
    numbers = np.stack([5000 + radius * np.cos(turn), 5000 + radius * np.sin(turn)]).astype(np.uint16)
    features = build_features(make_scene(numbers), indices=[])
    model = fit_dbscan(features, **SETTINGS, eps=0.2)
    labels = model.predict(pixels_of(features))
    assert model.clusters == 2
    assert adjusted_rand_score(truth.ravel(), labels) > 0.99
    assert adjusted_rand_score(truth.ravel(), cluster(features, method="kmeans", k=2).labels.ravel()) < 0.5


def test_numbers_go_by_size_and_noise_is_the_last(small):
    model = fit_dbscan(small, **SETTINGS, components=3)
    sizes = np.bincount(model.predict(pixels_of(small)), minlength=model.n_clusters + 1)[1:]
    assert (np.diff(sizes[:-1]) <= 0).all()
    assert model.describe()["noise_cluster"] == model.n_clusters == model.clusters + 1
    assert sizes[-1] == round(model.noise_share * 8_000)


def test_no_data_stays_no_data():
    scene, _ = make_patchwork(side=60, noise=40)
    numbers = scene.source.numbers.copy()
    numbers[:, :, :7] = 0
    found = cluster(build_features(make_scene(numbers), indices=[]), method="dbscan")
    assert np.array_equal(found.labels == 0, (numbers == 0).all(axis=0))


def test_at_most_253_clusters_and_the_noise():
    groups = np.repeat(np.arange(300), np.arange(300, 0, -1))
    labels, kept, found = largest_first(np.concatenate([groups, [-1]]))
    assert (kept, found, labels[0], labels[-1]) == (253, 300, 1, 254)
    assert (labels[:-1][groups >= 253] == 254).all()
    assert (labels[:-1][groups < 253] == groups[groups < 253] + 1).all()


def test_too_many_clusters_are_said(stripes):
    rng = np.random.default_rng(0)
    spots = np.repeat(np.arange(300) * 30 + 100, 6)
    numbers = (spots + rng.integers(0, 2, (2, 1800))).reshape(2, 40, 45).astype(np.uint16)
    features = build_features(make_scene(numbers), indices=[])
    model = fit_dbscan(features, **SETTINGS, eps=0.003, components=0)
    assert model.clusters == 253
    assert any("found 300 clusters; the 253 largest are kept" in note for note in model.notes)
    assert model.predict(pixels_of(features)).max() == 254


@pytest.mark.parametrize("eps", [1e3, 1e6])
def test_a_huge_reach_gives_one_cluster_and_another_reach_to_try(small, eps):
    model = fit_dbscan(small, **SETTINGS, eps=eps)
    assert model.clusters == 1
    assert (model.predict(pixels_of(small)) == 1).all()
    assert "only one cluster" in " ".join(model.notes)
    check_proposal(small, model)


def test_a_tiny_reach_gives_only_noise_and_another_reach_to_try(small):
    model = fit_dbscan(small, **SETTINGS, eps=1e-6)
    assert (model.clusters, model.n_clusters, model.noise_share) == (0, 1, 1.0)
    assert (model.predict(pixels_of(small)) == 1).all()
    assert "100 % of the pixels of the sample are noise" in " ".join(model.notes)
    check_proposal(small, model)


def check_proposal(features, model):
    """The reach that the note names gives what the note says."""
    named = re.search(
        r"Try eps = (\S+): on the sample it gives (\d+) clusters and (\d+) % noise", " ".join(model.notes)
    )
    assert named, model.notes
    better = fit_dbscan(features, **SETTINGS, eps=float(named[1]))
    assert better.clusters == int(named[2]) >= 3
    assert round(100 * better.noise_share) == int(named[3]) <= 50
    assert better.notes == ()


def test_the_proposed_reach_is_the_best_of_those_tried(small):
    model = fit_dbscan(small, **SETTINGS)
    assert model.eps == max((trial for trial in model.trials if trial.good), key=lambda trial: trial.told).eps
    for trial in (model.trials[0], model.trials[-1]):
        again = fit_dbscan(small, **SETTINGS, eps=trial.eps)
        assert (again.clusters, again.noise_share) == (trial.clusters, trial.noise)


def test_two_clusters_are_few_and_nothing_better_is_invented():
    scene, _ = make_patchwork(side=60, patches=2, noise=40)
    notes = " ".join(fit_dbscan(build_features(scene, indices=[]), **SETTINGS, min_share=0.1).notes)
    assert "only two clusters" in notes
    assert "No reach along the k-distance curve" in notes


def test_no_list_of_all_pairs_is_made():
    points = np.random.default_rng(0).normal(size=(20_000, 3))
    around = DensityGraph.of(points, rank=20, progress=Silent())
    tracemalloc.start()
    try:
        for groups in around.groups((0.5, 2.0, 50.0), progress=Silent()):
            assert groups.max() >= 0
        assert tracemalloc.get_traced_memory()[1] < 100e6  # all pairs take 3.2 GB
    finally:
        tracemalloc.stop()


def test_a_share_means_the_same_in_a_sample_and_in_the_whole(landscape):
    whole = fit_dbscan(landscape, **SETTINGS, eps=0.3)
    part = fit_dbscan(landscape, k=2, seed=0, sample=10_000, eps=0.3)
    assert (whole.min_samples, part.min_samples) == (31, 11)
    assert whole.noise_share == pytest.approx(part.noise_share, abs=0.02)


def test_a_share_below_a_pixel_is_said(stripes):
    features, _ = stripes
    assert any("less than 4 pixels" in note for note in fit_dbscan(features, **SETTINGS, min_share=1e-6).notes)


def test_components_that_leave_much_out_are_said(stripes):
    features, _ = stripes
    few = fit_dbscan(features, **SETTINGS, components=1)
    assert any(re.search(r"1 principal component keeps \d\d %", note) for note in few.notes)
    assert not any("principal" in note for note in fit_dbscan(features, **SETTINGS, components=0).notes)


def test_pixels_all_alike_but_for_three_values():
    numbers = np.repeat(np.array([500, 1500, 2500], np.uint16), 300).reshape(1, 30, 30)
    features = build_features(make_scene(np.concatenate([numbers, numbers])), indices=[])
    model = fit_dbscan(features, **SETTINGS)
    assert (model.clusters, model.noise_share) == (3, 0.0)


def test_same_seed_same_map_on_any_number_of_threads(small):
    first, again = (fit_dbscan(small, k=2, seed=4, sample=4_000) for _ in range(2))
    pixels = pixels_of(small)
    parts = np.array_split(pixels, 12, axis=1)
    with ThreadPoolExecutor(4) as pool:
        together = np.concatenate(list(pool.map(again.predict, parts)))
    assert np.array_equal(first.predict(pixels), together)
    assert first.describe() == again.describe()


def test_a_saved_model_gives_the_same_maps(tmp_path, small):
    model = fit_dbscan(small, **SETTINGS)
    SavedModel.of(model, small).save(tmp_path / "model.npz")
    loaded = SavedModel.load(tmp_path / "model.npz")
    assert isinstance(loaded.model, DBSCANModel)
    assert loaded.model.describe() == model.describe()
    assert np.array_equal(predict_map(small, loaded.model), predict_map(small, model))
    other = simulate_scene(size=64, seed=9).scene
    expected = predict_map(build_features(other, indices=[], scaler=small.scaler), model)
    assert np.array_equal(loaded.apply(other).labels, expected)
    assert len(np.unique(expected)) > 1


@pytest.mark.parametrize(
    "damage",
    [
        {"cores": np.zeros((5, 7), np.float32)},
        {"axes": np.zeros((3, 4))},
        {"core_labels": np.zeros(3, np.uint8)},
        {"centre": None},
    ],
)
def test_a_damaged_model_is_refused(tmp_path, stripes, damage):
    features, _ = stripes
    model = fit_dbscan(features, **SETTINGS)
    arrays = {name: array for name, array in {**model.arrays(), **damage}.items() if array is not None}
    with pytest.raises((ValueError, KeyError)):
        DBSCANModel.restore(model.describe(), arrays)

    SavedModel.of(model, features).save(tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz") as file:
        about = file["about"]
    np.savez(tmp_path / "model.npz", about=about, **{f"model/{name}": array for name, array in arrays.items()})
    with pytest.raises(ModelFileError):
        SavedModel.load(tmp_path / "model.npz")


@pytest.mark.parametrize("change", [{"eps": float("nan")}, {"eps": -1.0}, {"clusters": 0}, {"clusters": 254}])
def test_settings_that_make_no_sense_are_refused(stripes, change):
    features, _ = stripes
    model = fit_dbscan(features, **SETTINGS)
    with pytest.raises(ValueError, match="make no sense"):
        DBSCANModel.restore({**model.describe(), **change}, model.arrays())


def test_other_features_are_refused(stripes):
    features, _ = stripes
    model = fit_dbscan(features, **SETTINGS)
    other = build_features(features.scene, indices=["NDVI"])
    with pytest.raises(ModelMismatchError):
        predict_map(other, model)


@pytest.mark.parametrize("eps", [0.0, -1.0, float("nan"), float("inf"), 1e7])
def test_a_reach_out_of_range_is_refused(stripes, eps):
    with pytest.raises(ClusteringError, match="eps"):
        fit_dbscan(stripes[0], **SETTINGS, eps=eps)


@pytest.mark.parametrize("share", [0.0, -0.1, 0.6, float("nan")])
def test_a_share_out_of_range_is_refused(stripes, share):
    with pytest.raises(ClusteringError, match="share"):
        fit_dbscan(stripes[0], **SETTINGS, min_share=share)


def test_negative_components_are_refused(stripes):
    with pytest.raises(ClusteringError, match="principal components"):
        fit_dbscan(stripes[0], **SETTINGS, components=-1)


def test_the_options_offered_are_those_of_the_fit(stripes):
    features, _ = stripes
    entry = METHODS["dbscan"]
    chosen = entry.check_options({"eps": 0.5})
    assert entry.fit(features, **SETTINGS, **chosen).eps == 0.5
    with pytest.raises(ClusteringError):
        entry.check_options({"eps": 0})


def test_a_constant_scene_is_refused():
    features = build_features(make_scene(np.full((3, 30, 30), 700, np.uint16)), indices=[])
    with pytest.raises(TooFewDistinctPixelsError, match="constant"):
        fit_dbscan(features, **SETTINGS)


def test_few_pixels_are_refused_and_a_few_more_are_not():
    numbers = np.random.default_rng(0).integers(1, 3000, (3, 3, 4)).astype(np.uint16)
    with pytest.raises(ClusteringError, match=r"at least 10 valid pixels; 9"):
        fit_dbscan(build_features(make_scene(numbers[:, :, :3]), indices=[]), **SETTINGS)
    assert 0 <= fit_dbscan(build_features(make_scene(numbers), indices=[]), **SETTINGS).clusters <= 2


def test_a_scene_without_valid_pixels_is_refused(stripes):
    features, _ = stripes
    empty = replace(features, scene=make_scene(np.zeros((10, 30, 30), np.uint16)), _samples={})
    with pytest.raises(NoValidPixelsError):
        fit_dbscan(empty, **SETTINGS)


def test_a_band_of_nothing_but_nan_has_no_valid_pixel():
    numbers = np.random.default_rng(0).random((3, 30, 30)).astype(np.float32)
    numbers[1] = np.nan
    with pytest.raises(NoValidPixelsError):
        build_features(make_scene(numbers), indices=[])


def test_with_indices_and_texture():
    scene, _ = make_patchwork(side=60, patches=4, noise=40)
    features = build_features(scene, texture=Texture(of=("B04",), size=3))
    found = cluster(features, method="dbscan", options={"components": 0, "min_share": 0.005})
    dense = found.labels != found.n_clusters
    assert dense.mean() > 0.5
    assert found.settings["features"] == list(features.names)


def test_it_can_be_stopped_at_every_report(small):
    class StopsAt(Tracker):
        left = 0
        texts: set[str]

        def report(self, share, text):
            self.texts.add(text)
            self.left -= 1
            if self.left == 0:
                self.cancel()
            super().report(share, text)

    texts = set()
    for stop in (1, 5, 12, 25):
        watch = StopsAt()
        watch.left, watch.texts = stop, texts
        with pytest.raises(Cancelled):
            fit_dbscan(small, **SETTINGS, progress=watch)
    assert {"Measuring how dense it is around each pixel", "Joining dense spots"} <= texts


def test_points_drawn_are_a_seeded_part_of_the_sample(small):
    draw = {"components": 0, "limit": 500, "sample": 5000, "progress": Silent()}
    projection, points = draw_points(small, seed=1, **draw)
    sample = projection.apply(small.sample(5000, seed=1).T)
    assert points.shape == (500, 10)
    assert {row.tobytes() for row in points.astype(np.float32)} <= {row.tobytes() for row in sample}
    assert np.array_equal(points, draw_points(small, seed=1, **draw)[1])
    assert not np.array_equal(points, draw_points(small, seed=2, **draw)[1])


@pytest.mark.parametrize("place", ["chile", "hudson-bay", "tanzania"])
def test_real_scenes_give_clusters_or_say_why_not(real_data, place):
    features = build_features(load_scene(real_data / place / "scene.tif"), indices=[])
    found = cluster(features, method="dbscan", sample=10_000)
    noise = found.labels == found.n_clusters
    told = " ".join(found.notes)
    assert found.n_clusters >= 4 or "only" in told
    assert noise.mean() <= 0.55 or "noise" in told
