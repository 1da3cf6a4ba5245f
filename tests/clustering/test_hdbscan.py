"""HDBSCAN: scikit-learn's on the sample, the nearest sampled pixel within its reach elsewhere."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import NearestNeighbors

from s2dash.clustering import METHODS, SavedModel, cluster, predict_map
from s2dash.clustering.density import Projection, draw_points
from s2dash.clustering.hdbscan import FIT_PIXELS, HDBSCANModel, fit_hdbscan, hierarchy_groups, spanning_tree
from s2dash.errors import (
    Cancelled,
    ClusteringError,
    ModelFileError,
    ModelMismatchError,
    TooFewDistinctPixelsError,
)
from s2dash.features import build_features
from s2dash.grid import full_window
from s2dash.progress import Silent, Tracker
from s2dash.simulation import simulate_scene
from s2dash.sources import load_scene
from s2dash.testing import make_patchwork, make_scene

SETTINGS = {"k": 2, "seed": 0, "sample": 100_000}


@pytest.fixture(scope="module")
def landscape():
    """Features of a simulated scene of 8 000 pixels."""
    return build_features(simulate_scene(size=(80, 100), seed=3).scene, indices=[])


def pixels_of(features):
    values, _ = features.block(full_window(features.grid))
    return values.reshape(len(values), -1)


@pytest.mark.parametrize(("components", "share"), [(3, 0.005), (0, 0.005), (3, 0.002)])
def test_like_scikit_learn_on_the_sample(landscape, components, share):
    _, points = draw_points(landscape, components=components, limit=4000, seed=0, sample=100_000, progress=Silent())
    groups, reach, smallest = hierarchy_groups(points, min_share=share, progress=Silent())
    theirs = HDBSCAN(min_cluster_size=smallest, copy=True).fit(points).labels_
    assert smallest == round(4000 * share)
    assert groups.max() == theirs.max() >= 2
    assert adjusted_rand_score(theirs, groups) > 0.99
    kth = NearestNeighbors(n_neighbors=smallest).fit(points).kneighbors(points)[0][:, -1]
    assert np.allclose(reach, kth)


def test_close_to_scikit_learn_on_pixels_that_were_not_sampled(landscape):
    pixels = pixels_of(landscape)
    model = fit_hdbscan(landscape, k=2, seed=0, sample=4000, min_share=0.01)
    theirs = HDBSCAN(min_cluster_size=80, copy=True).fit(model.projection.apply(pixels).astype(float)).labels_
    seen = {row.tobytes() for row in landscape.sample(4000, seed=0)}
    unseen = np.array([row.tobytes() not in seen for row in np.ascontiguousarray(pixels.T)])
    assert unseen.sum() == pytest.approx(4000, rel=0.01)
    assert adjusted_rand_score(theirs[unseen], model.predict(pixels)[unseen]) > 0.8


@given(st.integers(0, 2**32 - 1), st.integers(5, 80), st.integers(1, 4), st.booleans())
def test_the_tree_is_a_least_one(seed, count, dimensions, whole):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, dimensions)) * 3
    if whole:  # many coincide
        points = points.round()
    core = rng.uniform(0.1, 2, count)
    one, other, length = spanning_tree(points, core, progress=Silent())
    apart = np.maximum(np.maximum(cdist(points, points), core[:, None]), core[None])
    np.fill_diagonal(apart, 0)  # no loops
    theirs = minimum_spanning_tree(apart)
    assert np.allclose(np.sort(length), np.sort(theirs.data))
    assert np.allclose(length, apart[one, other])
    assert len(set(one.tolist()) | set(other.tolist())) == count


def test_a_pixel_gets_the_cluster_of_the_nearest_that_reaches_it(landscape):
    model = fit_hdbscan(landscape, k=2, seed=0, sample=1000, min_share=0.02)
    pixels = pixels_of(landscape)
    points = model.projection.apply(pixels).astype(float)
    apart = cdist(points, model.points)
    nearest = apart.argmin(axis=1)
    away = apart[np.arange(len(points)), nearest]
    expected = np.where(away <= model.reach[nearest], model.labels[nearest], model.n_clusters)
    tied = np.isclose(np.sort(apart, axis=1)[:, 1], away) | np.isclose(away, model.reach[nearest])
    assert np.array_equal(model.predict(pixels)[~tied], expected[~tied])
    assert 0 < np.mean(away > model.reach[nearest]) < 0.5  # the rule matters


def test_the_sample_keeps_its_own_clusters(landscape):
    model = fit_hdbscan(landscape, **SETTINGS)
    again = model.predict(landscape.sample(100_000, seed=0).T)
    assert np.mean(again == model.labels) > 0.999
    assert np.mean(model.labels == model.n_clusters) == model.noise_share


def test_clusters_of_unlike_density_that_no_one_reach_separates():
    """Two dense spots close to each other, and one thin spot: a reach that holds the thin one joins the dense ones."""
    rng = np.random.default_rng(0)
    truth = np.broadcast_to(np.arange(60) % 3, (60, 60))
    centre = np.array([[2000, 2200, 6000], [2000, 2000, 6000]])[:, truth]
    spread = np.array([25, 25, 600])[truth]
    numbers = (centre + rng.normal(0, 1, (2, 60, 60)) * spread).clip(1).astype(np.uint16)
    features = build_features(make_scene(numbers), indices=[])
    model = fit_hdbscan(features, **SETTINGS, min_share=0.05)
    labels = model.predict(pixels_of(features))
    clustered = labels != model.n_clusters
    assert model.clusters == 3
    assert clustered.mean() > 0.8
    assert adjusted_rand_score(truth.ravel()[clustered], labels[clustered]) > 0.99
    best = max(
        cluster(features, method="dbscan", options={"eps": eps, "min_share": 0.02}).n_clusters - 1
        for eps in (0.02, 0.05, 0.1, 0.2, 0.4)
    )
    assert best < 3


def test_every_stripe_is_a_cluster_through_the_one_verb():
    scene, truth = make_patchwork(side=60, patches=4, noise=40)
    found = cluster(build_features(scene, indices=[]), method="hdbscan", options={"min_share": 0.05})
    dense = found.labels != found.n_clusters
    assert found.n_clusters == 5
    assert dense.mean() > 0.9
    assert adjusted_rand_score(truth[dense], found.labels[dense]) == 1
    assert json.loads(json.dumps(found.settings))["noise_cluster"] == 5


def test_numbers_go_by_size_and_noise_is_the_last(landscape):
    model = fit_hdbscan(landscape, **SETTINGS)
    sizes = np.bincount(model.labels, minlength=model.n_clusters + 1)[1:]
    assert (np.diff(sizes[:-1]) <= 0).all()
    assert sizes[-1] == (model.labels == model.n_clusters).sum()


def test_the_sample_is_bounded():
    features = build_features(simulate_scene(size=(110, 110), seed=1).scene, indices=[])
    assert len(fit_hdbscan(features, **SETTINGS).points) == FIT_PIXELS < 110 * 110


def test_same_seed_same_map(landscape):
    first, again = (fit_hdbscan(landscape, k=2, seed=3, sample=3000) for _ in range(2))
    assert np.array_equal(predict_map(landscape, first), predict_map(landscape, again))
    assert first.describe() == again.describe()


def test_too_few_clusters_are_said_and_the_share_named_does_better(landscape):
    model = fit_hdbscan(landscape, k=2, seed=0, sample=3000, min_share=0.15)
    notes = " ".join(model.notes)
    assert model.clusters < 3
    assert "HDBSCAN found" in notes
    named = re.search(r"Try a least share of (\S+): on 3,000 of the pixels it gives (\d+) clusters and (\d+) %", notes)
    assert named, notes
    better = fit_hdbscan(landscape, k=2, seed=0, sample=3000, min_share=float(named[1]))
    assert better.clusters == int(named[2]) >= 3
    assert round(100 * better.noise_share) == int(named[3]) <= 50


def test_where_no_share_does_better_that_is_said():
    scene, _ = make_patchwork(side=40, patches=2, noise=40)
    notes = " ".join(fit_hdbscan(build_features(scene, indices=[]), **SETTINGS, min_share=0.1).notes)
    assert "only two clusters" in notes
    assert "Neither smaller nor larger shares do better" in notes


def test_a_share_below_a_few_pixels_is_said(landscape):
    model = fit_hdbscan(landscape, k=2, seed=0, sample=500, min_share=1e-5)
    assert model.min_cluster_size == 5
    assert any("less than 5 pixels" in note for note in model.notes)


def test_pixels_all_alike_but_for_three_values():
    numbers = np.repeat(np.array([500, 1500, 2500], np.uint16), 300).reshape(1, 30, 30)
    features = build_features(make_scene(np.concatenate([numbers, numbers])), indices=[])
    model = fit_hdbscan(features, **SETTINGS, min_share=0.05)
    assert (model.clusters, model.noise_share) == (3, 0.0)
    assert np.array_equal(np.bincount(model.predict(pixels_of(features)))[1:], [300, 300, 300])


def test_a_saved_model_gives_the_same_maps(tmp_path, landscape):
    model = fit_hdbscan(landscape, **SETTINGS)
    SavedModel.of(model, landscape).save(tmp_path / "model.npz")
    loaded = SavedModel.load(tmp_path / "model.npz")
    assert isinstance(loaded.model, HDBSCANModel)
    assert loaded.model.describe() == model.describe()
    assert np.array_equal(predict_map(landscape, loaded.model), predict_map(landscape, model))
    other = simulate_scene(size=64, seed=9).scene
    expected = predict_map(build_features(other, indices=[], scaler=landscape.scaler), model)
    assert np.array_equal(loaded.apply(other).labels, expected)
    assert len(np.unique(expected)) > 1


@pytest.mark.parametrize(
    "damage",
    [
        {"points": np.zeros((5, 3), np.float32)},
        {"axes": np.zeros((3, 4))},
        {"labels": np.zeros(1000, np.uint8)},
        {"labels": np.full(1000, 99, np.uint8)},
        {"reach": np.full(1000, np.nan, np.float32)},
        {"reach": None},
    ],
)
def test_a_damaged_model_is_refused(tmp_path, landscape, damage):
    model = fit_hdbscan(landscape, k=2, seed=0, sample=1000)
    arrays = {name: array for name, array in {**model.arrays(), **damage}.items() if array is not None}
    SavedModel.of(model, landscape).save(tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz") as file:
        about = file["about"]
    np.savez(tmp_path / "model.npz", about=about, **{f"model/{name}": array for name, array in arrays.items()})
    with pytest.raises(ModelFileError):
        SavedModel.load(tmp_path / "model.npz")


def test_other_features_are_refused(landscape):
    model = fit_hdbscan(landscape, k=2, seed=0, sample=1000)
    with pytest.raises(ModelMismatchError):
        predict_map(build_features(landscape.scene, indices=["NDVI"]), model)


@pytest.mark.parametrize("share", [0.0, -1.0, 0.7, float("nan")])
def test_a_share_out_of_range_is_refused(landscape, share):
    with pytest.raises(ClusteringError, match="share"):
        fit_hdbscan(landscape, **SETTINGS, min_share=share)


def test_the_options_offered_are_those_of_the_fit(landscape):
    entry = METHODS["hdbscan"]
    model = entry.fit(landscape, k=2, seed=0, sample=1000, **entry.check_options({"min_share": 0.02}))
    assert model.describe()["min_cluster_size"] == 20


def test_a_constant_scene_and_few_pixels_are_refused():
    with pytest.raises(TooFewDistinctPixelsError, match="constant"):
        fit_hdbscan(build_features(make_scene(np.full((3, 30, 30), 700, np.uint16)), indices=[]), **SETTINGS)
    numbers = np.random.default_rng(0).integers(1, 3000, (3, 3, 4)).astype(np.uint16)
    with pytest.raises(ClusteringError, match=r"at least 10 valid pixels; 9"):
        fit_hdbscan(build_features(make_scene(numbers[:, :, :3]), indices=[]), **SETTINGS)
    assert 0 <= fit_hdbscan(build_features(make_scene(numbers), indices=[]), **SETTINGS).clusters <= 2


def test_at_most_253_clusters(landscape):
    rng = np.random.default_rng(0)
    spots = np.repeat(np.arange(300) * 30 + 100, 6)
    numbers = (spots + rng.integers(0, 2, (2, 1800))).reshape(2, 40, 45).astype(np.uint16)
    model = fit_hdbscan(build_features(make_scene(numbers), indices=[]), **SETTINGS, min_share=0.003)
    assert model.clusters == 253
    assert any("the 253 largest are kept" in note for note in model.notes)


def test_it_can_be_stopped_while_the_hierarchy_is_built(landscape):
    class Stops(Tracker):
        def report(self, share, text):
            if text == "Building the hierarchy" and share > 0.5:
                self.cancel()
            super().report(share, text)

    with pytest.raises(Cancelled):
        fit_hdbscan(landscape, **SETTINGS, progress=Stops())


def test_a_projection_without_axes_is_refused():
    with pytest.raises(ValueError, match="do not fit"):
        Projection.restore({"centre": np.zeros(0), "axes": np.zeros((0, 4))}, features=4, kept=1.0)


@pytest.mark.parametrize("place", ["poland", "hudson-bay"])
def test_real_scenes_give_clusters_or_say_why_not(real_data, place):
    features = build_features(load_scene(real_data / place / "scene.tif"), indices=[])
    found = cluster(features, method="hdbscan", sample=4_000)
    told = " ".join(found.notes)
    assert found.n_clusters >= 4 or "only" in told or "no cluster" in told
    assert np.mean(found.labels == found.n_clusters) <= 0.55 or "noise" in told
