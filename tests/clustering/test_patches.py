"""Patches and borders against SciPy and against counting one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from s2dash.clustering import patches as patches_module
from s2dash.clustering.patches import count_adjacencies, find_patches
from s2dash.errors import Cancelled, TooLargeError
from s2dash.progress import Tracker


def random_labels(rng: np.random.Generator, shape: tuple[int, int], *, clusters: int, empty: float = 0.2) -> np.ndarray:
    """Speckle with holes, blown up by a random factor, so that there are large patches too."""
    size = int(rng.integers(1, 4))
    small = rng.integers(1, clusters + 1, (-(-shape[0] // size), -(-shape[1] // size)))
    labels = np.kron(small, np.ones((size, size)))[: shape[0], : shape[1]].astype(np.uint8)
    labels[rng.random(shape) < empty] = 0
    return labels


def whole(labels: np.ndarray) -> tuple[np.ndarray, dict[int, tuple[int, int]]]:
    """Number of every pixel's patch by SciPy, and cluster and size of each."""
    numbers, about = np.zeros(labels.shape, dtype=int), {}
    for cluster in np.unique(labels[labels > 0]):
        found, count = ndimage.label(labels == cluster)
        numbers[found > 0] = found[found > 0] + len(about)
        sizes = np.bincount(found.ravel())[1:]
        about.update({len(about) + 1 + index: (int(cluster), int(sizes[index])) for index in range(count)})
    return numbers, about


def borders(labels: np.ndarray, numbers: np.ndarray) -> set[frozenset[int]]:
    pairs = set()
    for row, col in np.ndindex(labels.shape):
        for other in ((row + 1, col), (row, col + 1)):
            if other[0] < labels.shape[0] and other[1] < labels.shape[1] and labels[row, col] and labels[other]:
                pairs.add(frozenset((int(numbers[row, col]), int(numbers[other]))))
    return {pair for pair in pairs if len(pair) == 2}


@settings(max_examples=60)
@given(st.integers(1, 24), st.integers(1, 24), st.integers(1, 5), st.integers(2, 9), st.integers(0, 2**31))
def test_same_patches_and_borders_as_scipy_whatever_the_blocks(height, width, clusters, side, seed):
    labels = random_labels(np.random.default_rng(seed), (height, width), clusters=clusters)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patches_module, "SIDE", side)
        found = find_patches(labels, borders=True)
        painted = [found.paint(labels, np.arange(len(found)) // 256**power % 256).astype(int) for power in (0, 1)]
    numbers, about = whole(labels)
    assert sorted(zip(found.cluster.tolist(), found.pixels.tolist(), strict=True)) == sorted(about.values())
    ours = np.where(labels > 0, painted[0] + 256 * painted[1] + 1, 0)
    match = {(int(a), int(b)) for a, b in zip(ours.ravel(), numbers.ravel(), strict=True)}
    assert len(match) == len({a for a, _ in match}) == len({b for _, b in match})  # one to one
    theirs = {frozenset(pair) for pair in (found.borders + 1).tolist()}
    assert len(theirs) == len(found.borders)
    assert theirs == borders(labels, ours)


def test_patches_of_a_map_of_many_blocks():
    labels = random_labels(np.random.default_rng(1), (1100, 1300), clusters=6)
    found = find_patches(labels)
    counted = np.bincount(found.cluster, minlength=7)[1:]
    assert counted.tolist() == [ndimage.label(labels == cluster)[1] for cluster in range(1, 7)]
    assert found.pixels.sum() == (labels > 0).sum()
    assert not len(found.borders)


def test_a_map_of_one_patch_and_one_of_none():
    assert find_patches(np.full((700, 20), 254, np.uint8), borders=True).pixels.tolist() == [14_000]
    assert len(find_patches(np.zeros((600, 600), np.uint8), borders=True)) == 0


@settings(max_examples=40)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(2, 9), st.integers(0, 2**31))
def test_adjacencies_are_counted_from_both_sides(height, width, side, seed):
    labels = random_labels(np.random.default_rng(seed), (height, width), clusters=4)
    expected = np.zeros((256, 256), dtype=int)
    for row, col in np.ndindex(labels.shape):
        for down, right in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            if 0 <= row + down < height and 0 <= col + right < width:
                expected[labels[row, col], labels[row + down, col + right]] += 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patches_module, "SIDE", side)
        assert np.array_equal(count_adjacencies(labels), expected)


def test_more_patches_than_memory_are_refused(monkeypatch):
    monkeypatch.setattr("s2dash.memory.available_bytes", lambda: 50 * 2**20)
    speckle = np.random.default_rng(0).integers(1, 9, (1300, 1300)).astype(np.uint8)
    with pytest.raises(TooLargeError, match=r"patches.*majority filter"):
        find_patches(speckle, borders=True)


def test_it_stops_when_asked_to():
    tracker = Tracker()
    tracker.cancel()
    with pytest.raises(Cancelled):
        find_patches(np.ones((10, 10), np.uint8), progress=tracker)
