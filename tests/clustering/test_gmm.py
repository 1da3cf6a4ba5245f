"""Gaussian mixtures: scikit-learn's, applied block by block, with memberships that are probabilities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from s2dash.clustering import cluster
from s2dash.clustering.gmm import REGULARISATION, fit_mixture
from s2dash.clustering.kmeans import fit_centres
from s2dash.errors import ClusteringError, TooFewDistinctPixelsError
from s2dash.features import build_features
from s2dash.testing import make_patchwork, make_scene

NAMES = ("B02", "B03")


def two_spreads(seed=0, pixels=6000):
    """A dense cluster within reach of a wide one: K-Means halves the distance, a mixture weighs the spreads."""
    rng = np.random.default_rng(seed)
    truth = np.arange(pixels) % 2
    spread = np.where(truth, 0.15, 2.0)[:, None]
    centre = np.where(truth[:, None], (3.0, 0.0), (0.0, 0.0))
    return (centre + rng.normal(0, 1, (pixels, 2)) * spread).astype(np.float32), truth


def test_clusters_of_different_spread_are_told_apart():
    sample, truth = two_spreads()
    mixture = fit_mixture(sample, k=2, seed=0, feature_names=NAMES).predict(sample.T)
    means = fit_centres(sample, k=2, seed=0, feature_names=NAMES).predict(sample.T)
    assert adjusted_rand_score(truth, mixture) > 0.85
    assert adjusted_rand_score(truth, means) < 0.7


def test_labels_and_memberships_are_those_of_scikit_learn():
    sample, _ = two_spreads(1)
    ours = fit_mixture(sample, k=3, seed=0, feature_names=NAMES)
    theirs = GaussianMixture(3, random_state=0)
    theirs.weights_, theirs.means_, theirs.precisions_cholesky_ = ours.weights, ours.means, ours.precisions
    assert np.mean(ours.predict(sample.T) == theirs.predict(sample.astype(float)) + 1) > 0.9999
    memberships = ours.memberships(sample.T)
    assert np.allclose(memberships.T, theirs.predict_proba(sample.astype(float)), atol=1e-3)
    assert np.allclose(memberships.sum(axis=0), 1, atol=1e-5)


def test_same_seed_same_mixture_heaviest_first():
    sample, _ = two_spreads(2)
    first, again = (fit_mixture(sample, k=4, seed=5, feature_names=NAMES) for _ in range(2))
    assert np.array_equal(first.means, again.means)
    assert (np.diff(first.weights) <= 0).all()


def test_as_a_method_of_the_one_verb():
    scene, stripes = make_patchwork(patches=4, noise=60)
    found = cluster(build_features(scene, indices=[]), method="gmm", k=4)
    assert adjusted_rand_score(stripes.ravel(), found.labels.ravel()) == 1.0
    assert found.settings["method"] == "gmm"
    assert len(found.settings["precisions"]) == 4


def test_too_few_pixels_for_the_shapes_are_refused_with_the_number():
    rng = np.random.default_rng(0)
    with pytest.raises(ClusteringError, match="at least 24"):
        fit_mixture(rng.random((20, 2)).astype(np.float32), k=6, seed=0, feature_names=NAMES)


def test_a_constant_image_is_refused():
    scene = make_scene(np.full((2, 30, 30), 500, dtype=np.uint16))
    with pytest.raises(TooFewDistinctPixelsError):
        cluster(build_features(scene, indices=[]), method="gmm", k=2)


def test_a_cancel_is_heard_at_the_next_half_step(check_heard):
    sample, _ = two_spreads(3)
    made = fit_mixture(sample, k=4, seed=0, feature_names=NAMES)
    check_heard(
        lambda watch: fit_mixture(sample, k=4, seed=0, feature_names=NAMES, progress=watch),
        least=20 + 2 * made.iterations,
    )


def test_being_watched_changes_nothing():
    sample, _ = two_spreads(4)
    ours = fit_mixture(sample, k=4, seed=0, feature_names=NAMES)
    start = fit_centres(sample, k=4, seed=0, feature_names=NAMES).centres
    theirs = GaussianMixture(4, means_init=start, reg_covar=REGULARISATION, max_iter=200, random_state=0)
    theirs.fit(sample.astype(np.float64))
    assert ours.iterations == theirs.n_iter_
    np.testing.assert_array_equal(ours.means, theirs.means_[np.argsort(-theirs.weights_, kind="stable")])


def test_many_components_are_labelled_in_smaller_blocks():
    sample, _ = two_spreads(5)
    few = fit_mixture(sample, k=4, seed=0, feature_names=NAMES)
    many = replace(few, weights=np.full(254, 1 / 254))
    assert few.tile is None
    assert few.smaller_tiles == ()
    assert many.smaller_tiles[0] < many.tile <= 256
