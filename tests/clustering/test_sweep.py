"""The K proposed: right where it is known, sensible where it is not, the same each time."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import make_blobs
from sklearn.metrics import calinski_harabasz_score, silhouette_score

from s2dash.clustering import cluster
from s2dash.clustering.kmeans import fit_centres
from s2dash.clustering.sweep import DEFAULT_KS, KSweep, find_elbow, propose_k
from s2dash.errors import Cancelled, ClusteringError, TooFewDistinctPixelsError
from s2dash.features import build_features
from s2dash.progress import Tracker
from s2dash.simulation import simulate_scene
from s2dash.testing import make_patchwork, make_scene


def blobs(k: int, *, seed: int, pixels: int = 3_000, features: int = 8) -> np.ndarray:
    """Round groups of unlike size, no two closer than about eight standard deviations."""
    rng = np.random.default_rng(seed)
    centres = rng.permuted(np.tile(np.linspace(-10, 10, k), (features, 1)), axis=1).T
    sizes = rng.multinomial(pixels, rng.dirichlet(np.full(k, 20.0)))
    made, _ = make_blobs(sizes, centers=centres, cluster_std=0.6, random_state=seed)
    made = made[rng.permutation(len(made))]
    return ((made - made.mean(axis=0)) / made.std(axis=0)).astype(np.float32)


@pytest.mark.parametrize("k", [4, 7, 12])
def test_the_number_of_separate_groups_is_proposed(k):
    found = propose_k(blobs(k, seed=k), seed=0, ks=(2, 3, 4, 5, 7, 9, 12, 16, 24))
    assert found.proposed == k
    assert f"{k} " in found.reason


def test_of_all_spectra_of_a_patchwork_and_through_the_verb():
    scene, _ = make_patchwork(patches=6, side=48)
    found = cluster(build_features(scene), k="auto", seed=0)
    assert found.n_clusters == 6
    sweep = KSweep.from_json(json.loads(json.dumps(found.settings["k_sweep"])))
    assert sweep.proposed == 6
    assert sweep.ks == DEFAULT_KS


def test_more_than_the_two_or_three_that_silhouette_asks_for():
    sample = build_features(simulate_scene(size=256, seed=4).scene).sample(4_000, seed=0)
    found = propose_k(sample, seed=0)
    assert found.ks[int(np.argmax(found.silhouette))] <= 5
    assert 6 <= found.proposed <= 16
    assert found.elbow <= found.proposed


def test_figures_are_those_of_scikit_learn():
    sample = blobs(5, seed=3, pixels=2_000)  # no subsample is drawn of so few
    found = propose_k(sample, seed=0, ks=(3, 5, 9))
    order = np.random.default_rng([0, 5]).permutation(len(sample))
    for index, k in enumerate(found.ks):
        model = fit_centres(sample[order], k=k, seed=0, feature_names=tuple("abcdefgh"))
        labels = model.predict(sample.T)
        assert found.silhouette[index] == pytest.approx(silhouette_score(sample, labels), abs=1e-4)
        assert found.calinski_harabasz[index] == pytest.approx(calinski_harabasz_score(sample, labels), rel=1e-4)
        assert found.inertia[index] == pytest.approx(model.inertia, rel=1e-4)


def test_same_sample_and_seed_same_proposal():
    sample = build_features(simulate_scene(size=128, seed=1).scene).sample(3_000, seed=0)
    assert propose_k(sample, seed=5, ks=(3, 6)) == propose_k(sample, seed=5, ks=(3, 6))


def test_json_and_back():
    found = propose_k(blobs(3, seed=0, pixels=500), seed=0, ks=[6, 2, 4, 3, 3])
    assert found.ks == (2, 3, 4, 6)
    content = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert isinstance(content["silhouette"], list)
    assert KSweep.from_json(content) == found


def test_the_elbow_is_farthest_below_the_chord():
    assert find_elbow((2, 3, 4, 5, 6), (10, 6, 2, 1.5, 1)) == 4
    assert find_elbow((2, 3, 4), (1, 1, 1)) == 2
    assert find_elbow((7,), (3.0,)) == 7
    assert find_elbow((2, 30), (3.0, 1.0)) == 2


@given(st.lists(st.floats(0.01, 100), min_size=3, max_size=16, unique=True), st.floats(0.001, 1000), st.floats(0, 10))
def test_the_elbow_does_not_depend_on_units(falls, scale, shift):
    inertia = np.cumsum(falls)[::-1]
    ks = tuple(range(2, 2 + len(falls)))
    down = (inertia - inertia[-1]) / (inertia[0] - inertia[-1])
    across = np.arange(len(falls)) / (len(falls) - 1)
    below = 1 - across - down  # distance from the chord, but for a factor
    found = find_elbow(ks, list(inertia * scale + shift))
    assert below[ks.index(found)] >= below.max() - 1e-6


def test_only_as_many_clusters_as_there_are_values():
    values = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, 5_000)]
    found = propose_k(values, seed=0)
    assert found.ks == (2, 3, 4)
    assert found.proposed == 4
    assert all(np.isfinite([*found.silhouette, *found.calinski_harabasz, *found.inertia]))


def test_a_rare_value_is_not_lost_to_the_subsample():
    values = np.zeros((50_000, 2), np.float32)
    values[:20_000] = 1
    values[77] = 5
    assert propose_k(values, seed=0).ks == (2, 3)


def test_two_pixels():
    found = propose_k(np.array([[0.0], [1.0]], np.float32), seed=0)
    assert (found.ks, found.proposed, found.silhouette) == ((2,), 2, (0.0,))


def test_a_constant_scene_is_refused():
    with pytest.raises(TooFewDistinctPixelsError, match="constant"):
        propose_k(np.zeros((100, 3), np.float32), seed=0)
    scene = make_scene(np.full((2, 20, 20), 700, np.uint16))
    with pytest.raises(TooFewDistinctPixelsError, match="constant"):
        cluster(build_features(scene, indices=[]), k="auto")


@pytest.mark.parametrize("ks", [(), (1, 2), (0,), (-3,), (255,), (2.5,)])
def test_senseless_ranges_are_refused(ks):
    with pytest.raises(ClusteringError):
        propose_k(blobs(3, seed=0, pixels=100), seed=0, ks=ks)


def test_it_reports_and_stops():
    tracker = Tracker()
    sample = blobs(3, seed=0, pixels=300)
    propose_k(sample, seed=0, ks=(2, 3), progress=tracker)
    assert tracker.share == 1.0
    tracker.cancel()
    with pytest.raises(Cancelled):
        propose_k(sample, seed=0, progress=tracker)


def test_a_real_scene_gets_a_number_to_work_with(real_data):
    from s2dash.sources import load_scene

    sample = build_features(load_scene(real_data / "chile" / "scene.tif")).sample(4_000, seed=0)
    assert 5 <= propose_k(sample, seed=0).proposed <= 20


def test_a_cancel_is_heard_within_a_single_k(check_heard):
    sample = blobs(3, seed=0, pixels=300)
    check_heard(lambda watch: propose_k(sample, seed=0, ks=(3, 5, 9), progress=watch), least=60)
