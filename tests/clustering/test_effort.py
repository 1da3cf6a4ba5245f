"""Expected times: what they grow with, and that the shares told on the way follow them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dash.clustering import METHODS, cluster
from s2dash.clustering.effort import expected_effort
from s2dash.features import build_features
from s2dash.testing import make_patchwork


@given(st.sampled_from(sorted(METHODS)), st.integers(1, 10**9), st.integers(2, 254) | st.just("auto"))
def test_more_pixels_take_longer_to_label_and_not_to_fit(method, pixels, k):
    few, many = (expected_effort(method, pixels=size, k=k) for size in (pixels, 2 * pixels))
    assert few.label <= many.label
    assert 0 < few.fit <= many.fit
    if method != "sam":  # which is fitted on as many blocks as the scene has, at most four
        assert few.fit == many.fit
    assert few.total == pytest.approx(few.sweep + few.fit + few.label)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_only_methods_that_take_a_k_are_swept(method):
    assert (expected_effort(method, pixels=10**6, k="auto").sweep > 0) == METHODS[method].takes_k
    assert expected_effort(method, pixels=10**6).sweep == 0


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("autoencoder", {"patch": 5}),
        ("deep", {"epochs": 4}),
        ("deep", {"inner_steps": 100}),
        ("unet", {"width": 32}),
        ("sam", {"points": 32}),
    ],
)
def test_settings_that_cost_more_are_expected_to(method, options):
    assert expected_effort(method, pixels=10**6, options=options).total > expected_effort(method, pixels=10**6).total


@pytest.mark.parametrize(("method", "k"), [("kmeans", "auto"), ("gmm", 3), ("dbscan", 3)])
def test_labelling_begins_where_it_is_expected_to(method, k):
    class Watch:
        def __init__(self):
            self.shares = []

        def report(self, share, text):
            self.shares.append((share, text))

    scene, _ = make_patchwork(side=60, noise=100)
    watch = Watch()
    cluster(build_features(scene, indices=()), method=method, k=k, sample=2000, progress=watch)
    begin = next(share for share, text in watch.shares if text == "Labelling pixels")
    effort = expected_effort(method, pixels=60 * 60, k=k)
    assert begin == pytest.approx(1 - effort.label / effort.total)
    shares = [share for share, _ in watch.shares]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
