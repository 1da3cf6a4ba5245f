"""Labelling a scene: the same map in whatever blocks, and no more memory than there is."""

from __future__ import annotations

import re

import numpy as np
import pytest

from s2dash.clustering import cluster, predict_map, product_map
from s2dash.clustering.predict import LEAST_BLOCK, block_side
from s2dash.errors import ClusteringError, ModelMismatchError, TooLargeError
from s2dash.features import Texture, build_features
from s2dash.testing import make_patchwork

MIB = 1024**2


@pytest.fixture(scope="module")
def features():
    return build_features(make_patchwork(side=200, noise=500)[0], texture=Texture(size=5))


def test_blocks_do_not_show_in_the_map(features):
    found = cluster(features, k=6)
    for block in (64, 100, 512):
        assert np.array_equal(predict_map(features, found.model, block=block), found.labels)


def test_short_memory_makes_smaller_blocks_and_says_so(features, monkeypatch):
    plenty = cluster(features, k=4)
    assert not plenty.notes
    monkeypatch.setattr("s2dash.clustering.predict.available_bytes", lambda: 40 * MIB)
    side = block_side(features, plenty.model)
    assert LEAST_BLOCK <= side < 512
    short = cluster(features, k=4)
    assert f"{side} × {side}" in short.notes[0]
    assert np.array_equal(short.labels, plenty.labels)


def test_no_memory_is_a_refusal_with_numbers(features, monkeypatch):
    model = cluster(features, k=4).model
    monkeypatch.setattr("s2dash.clustering.predict.available_bytes", lambda: 1 * MIB)
    with pytest.raises(TooLargeError, match=r"[1-9]\d* MiB, but only 1 MiB"):
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
