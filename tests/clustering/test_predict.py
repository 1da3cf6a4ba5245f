"""Labelling a scene: the same map in whatever blocks, and no more memory than there is."""

from __future__ import annotations

import re

import numpy as np
import pytest

from s2dash.clustering import cluster, predict, predict_map, product_map
from s2dash.clustering.predict import LEAST_BLOCK, label_scene, plan_blocks
from s2dash.clustering.saved import SavedModel
from s2dash.errors import ClusteringError, ModelMismatchError, TooLargeError
from s2dash.features import Texture, build_features
from s2dash.scheduler import using_scheduler
from s2dash.testing import make_patchwork

MIB = 1024**2


@pytest.fixture
def free(monkeypatch):
    """Say how many MiB of memory are free, and how many cores there are."""

    def say(mib: float, *, cores: int = 2) -> None:
        monkeypatch.setattr("s2dash.clustering.predict.available_bytes", lambda: int(mib * MIB))
        monkeypatch.setattr("s2dash.clustering.predict.workers", lambda: cores)

    return say


@pytest.fixture(scope="module")
def features():
    return build_features(make_patchwork(side=200, noise=500)[0], texture=Texture(size=5))


def test_blocks_do_not_show_in_the_map(features):
    found = cluster(features, k=6)
    for block in (64, 100, 512):
        assert np.array_equal(predict_map(features, found.model, block=block), found.labels)


def test_short_memory_makes_smaller_blocks_and_says_so(features, free):
    free(4000)
    plenty = cluster(features, k=4)
    assert not plenty.notes
    free(40)
    side = plan_blocks(features, plenty.model).side
    assert LEAST_BLOCK <= side < 512
    short = cluster(features, k=4)
    assert short.notes == (f"Memory is short: the scene was labelled in blocks of {side} × {side} pixels.",)
    assert np.array_equal(short.labels, plenty.labels)


def needed_mib(features, model) -> int:
    """What a refusal says that one smallest block needs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("s2dash.clustering.predict.available_bytes", lambda: 0)
        with pytest.raises(TooLargeError, match="one at a time") as refusal:
            plan_blocks(features, model)
    return int(re.search(r"needs ([\d,]+) MiB", str(refusal.value))[1].replace(",", ""))


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_before_a_refusal_fewer_blocks_are_under_way_at_once_and_that_is_said(features, free, cores):
    model = cluster(features, k=4).model
    least = needed_mib(features, model)
    for fitting in range(1, cores + 1):
        free(fitting * least, cores=cores)
        plan = plan_blocks(features, model)
        assert (plan.side, plan.threads) == (LEAST_BLOCK, fitting)
        fewer = f", {fitting} at a time instead of {cores}, which takes longer"
        assert plan.notes == (
            f"Memory is short: the scene was labelled in blocks of 64 × 64 pixels{fewer if fitting < cores else ''}.",
        )


def test_what_is_said_of_threads_is_true(features, free, monkeypatch):
    monkeypatch.setattr("s2dash.parallel.workers", lambda: 3)
    found = cluster(features, k=4)
    free(needed_mib(features, found.model), cores=3)
    asked = []
    inner = predict.ordered_map
    monkeypatch.setattr(
        predict, "ordered_map", lambda *a, threads=None: asked.append(threads) or inner(*a, threads=threads)
    )
    labels, notes = label_scene(features, found.model)
    assert asked == [1]
    assert "1 at a time instead of 3" in notes[0]
    assert np.array_equal(labels, found.labels)


def test_on_a_cluster_nothing_is_said_of_threads_here(features, free):
    model = cluster(features, k=4).model
    free(needed_mib(features, model))
    with using_scheduler("tcp://127.0.0.1:1"):
        assert "at a time" not in plan_blocks(features, model).notes[0]
    assert "at a time" in plan_blocks(features, model).notes[0]


def test_no_memory_is_a_refusal_with_numbers_that_hold(features, free):
    model = cluster(features, k=4).model
    free(1)
    with pytest.raises(TooLargeError, match=r"needs [1-9]\d* MiB of free memory, but only 1 MiB are free"):
        predict_map(features, model)
    least = needed_mib(features, model)
    free(least)
    assert predict_map(features, model).any()
    free(least - 1)
    with pytest.raises(TooLargeError):
        predict_map(features, model)


def test_membership_is_the_probability_of_the_cluster(features):
    found = cluster(features, method="gmm", k=3)
    membership = product_map(features, found.model, "membership")
    assert membership.shape == found.labels.shape
    assert membership.min() >= 1 / 3 - 1e-6
    assert membership.max() <= 1 + 1e-6


def test_a_product_nobody_makes_is_named(features):
    model = cluster(features, k=3).model
    with pytest.raises(ClusteringError, match=re.escape("'membership'; it makes: none")):
        product_map(features, model, "membership")


def test_a_product_that_does_not_fit_is_refused(features, monkeypatch):
    model = cluster(features, method="gmm", k=3).model
    monkeypatch.setattr("s2dash.clustering.predict.available_bytes", lambda: 100_000)
    with pytest.raises(TooLargeError, match="200 × 200"):
        product_map(features, model, "membership")


def test_other_features_are_refused(features):
    model = cluster(features, k=3).model
    with pytest.raises(ModelMismatchError):
        predict_map(build_features(features.scene, indices=["NDWI"]), model)


@pytest.mark.parametrize("method", ["dbscan", "hdbscan"])
def test_how_much_of_the_map_is_noise_is_said_where_it_is_made_and_where_it_is_applied(method):
    scene, _ = make_patchwork(side=60, noise=200)
    features = build_features(scene, indices=())
    found = cluster(features, method=method)
    assert found.model is not None
    counts = found.counts()
    share = counts.get(found.noise, 0) / sum(counts.values())
    said = f"Cluster {found.noise} is the noise: {100 * share:.0f} % of the pixels"
    again = SavedModel.of(found.model, features).apply(scene)
    for made in (found, again):
        assert made.noise == found.model.n_clusters
        assert any(note.startswith(said) for note in made.notes)
    assert cluster(features, k=3).noise is None
