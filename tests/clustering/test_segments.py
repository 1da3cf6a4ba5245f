"""Segments described and grouped: their numbers are those of plain NumPy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import labeled_comprehension
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances_argmin

from s2dash.clustering.segments import (
    SegmentDescriptors,
    SegmentGroups,
    describe_segments,
    describe_windows,
    fit_groups,
)
from s2dash.errors import Cancelled, ClusteringError, TooFewDistinctPixelsError
from s2dash.progress import Silent, Tracker


@settings(max_examples=30)
@given(st.integers(1, 4), st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_mean_and_spread_are_those_of_scipy(features, height, width, seed):
    rng = np.random.default_rng(seed)
    values = (rng.normal(0, 3, (features, height, width)) + rng.normal(0, 50, (features, 1, 1))).astype(np.float32)
    segments = rng.integers(0, 6, (height, width)).astype(np.int32)
    found = describe_segments(values, segments)
    present = np.flatnonzero(np.bincount(segments.ravel()))
    present = present[present > 0]
    for feature, value in enumerate(values.astype(np.float64)):
        for column, function in ((feature, np.mean), (features + feature, np.std)):
            oracle = labeled_comprehension(value, segments, present, function, float, 0.0)
            assert found.values[present, column] == pytest.approx(oracle, rel=1e-4, abs=1e-4)
    assert np.array_equal(found.pixels[present], [(segments == number).sum() for number in present])
    assert found.pixels[0] == 0
    assert not found.values[0].any()


def test_what_is_in_no_segment_counts_nowhere():
    segments = np.array([[0, 1], [2, 1]], dtype=np.int32)
    values = np.array([[[5, 1], [2, 3]]], dtype=np.float32)
    changed = values.copy()
    changed[0, 0, 0] = -1e6
    assert np.array_equal(describe_segments(values, segments).values, describe_segments(changed, segments).values)


def described(values, pixels):
    return SegmentDescriptors(np.asarray(values, dtype=np.float32), np.asarray(pixels))


def test_groups_minimise_what_scikit_learn_minimises_with_weights():
    rng = np.random.default_rng(1)
    centres = rng.normal(0, 3, (5, 6))
    values = (rng.normal(0, 1, (600, 6)) + centres[rng.integers(0, 5, 600)]).astype(np.float32)
    pixels = rng.integers(1, 200, 600)
    groups = fit_groups([described(values[:250], pixels[:250]), described(values[250:], pixels[250:])], k=5, seed=0)
    oracle = KMeans(5, n_init=20, random_state=7).fit(values.astype(float), sample_weight=pixels)
    assert groups.inertia <= oracle.inertia_ / pixels.sum() * 1.001
    assert groups.segments == 600
    assert np.array_equal(groups.predict(values) - 1, pairwise_distances_argmin(values, groups.centres))


def test_the_group_of_most_pixels_comes_first_not_that_of_most_segments():
    groups = fit_groups([described([[0, 0]] * 5 + [[9, 0]], [2, 2, 2, 2, 2, 500])], k=2, seed=0)
    assert groups.centres[:, 0].tolist() == [9, 0]


def test_empty_segments_make_no_group():
    with pytest.raises(TooFewDistinctPixelsError, match="2 distinct segments, which cannot make 3"):
        fit_groups([described([[0, 0], [7, 0], [1, 0], [1, 0], [2, 0]], [0, 0, 4, 9, 1])], k=3, seed=0)


def test_all_alike_says_so():
    with pytest.raises(TooFewDistinctPixelsError, match="constant"):
        fit_groups([described([[1, 0], [1, 0]], [4, 9])], k=2, seed=0)


@pytest.mark.parametrize("k", [-1, 0, 1, 255])
def test_numbers_of_groups_that_make_no_sense_are_refused(k):
    with pytest.raises(ClusteringError, match=str(k)):
        fit_groups([described([[1, 0], [2, 0]], [4, 9])], k=k, seed=0)


@pytest.mark.parametrize(
    "centres", [np.zeros((3, 5)), np.zeros(4), np.zeros((0, 4)), np.zeros((255, 4)), np.full((3, 4), np.nan)]
)
def test_damaged_centres_are_refused(centres):
    with pytest.raises(ValueError, match="centres"):
        SegmentGroups.restore({"inertia": 1.0, "segments": 9}, {"centres": centres}, features=2)


def test_windows_are_described_in_order_and_can_be_cancelled():
    windows = [(np.full((1, 2, 2), float(n), np.float32), np.ones((2, 2), bool)) for n in range(5)]

    def segment(values, valid):
        return valid.astype(np.int32)

    found = describe_windows(windows, segment, total=5, progress=Silent())
    assert [part.values[1, 0] for part in found] == [0, 1, 2, 3, 4]
    watch = Tracker()
    watch.cancel()
    with pytest.raises(Cancelled):
        describe_windows(windows, segment, total=5, progress=watch)


def test_grouping_can_be_cancelled_at_every_start(check_heard):
    rng = np.random.default_rng(2)
    parts = [described(rng.normal(0, 1, (300, 4)), rng.integers(1, 50, 300))]
    check_heard(lambda watch: fit_groups(parts, k=5, seed=0, progress=watch), least=20)
