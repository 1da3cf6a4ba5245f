"""Sieve and majority filter: no-data stays, nothing small is left, and SciPy and GDAL agree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import sieve as gdal_sieve
from scipy import ndimage

from s2dash.clustering import filters
from s2dash.clustering.filters import WINDOWS, majority, sieve
from s2dash.errors import Cancelled
from s2dash.progress import Tracker


def speckle(seed: int, shape: tuple[int, int], *, clusters: int, empty: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    labels = rng.integers(1, clusters + 1, shape).astype(np.uint8)
    labels[rng.random(shape) < empty] = 0
    return labels


def landscape(seed: int, side: int, *, clusters: int = 6, smooth: float = 2.0) -> np.ndarray:
    """Patches of all sizes, with a cloud of no-data."""
    rng = np.random.default_rng(seed)
    height = ndimage.gaussian_filter(rng.standard_normal((clusters, side, side)), (0, smooth, smooth))
    labels = (height.argmax(axis=0) + 1).astype(np.uint8)
    labels[ndimage.gaussian_filter(rng.standard_normal((side, side)), 6) > 0.05] = 0
    return labels


def small_patches_with_neighbours(labels: np.ndarray, unit: int) -> int:
    count = 0
    for cluster in np.unique(labels[labels > 0]):
        found, number = ndimage.label(labels == cluster)
        for patch in range(1, number + 1):
            mask = found == patch
            ring = ndimage.binary_dilation(mask) & ~mask
            count += int(mask.sum() < unit and (labels[ring] > 0).any())
    return count


@settings(max_examples=80)
@given(
    st.integers(1, 16),
    st.integers(1, 16),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.2, 0.6]),
    st.integers(2, 40),
    st.integers(0, 2**31),
)
def test_sieve_keeps_no_data_and_leaves_nothing_small(height, width, clusters, empty, unit, seed):
    labels = speckle(seed, (height, width), clusters=clusters, empty=empty)
    before = labels.copy()
    sieved = sieve(labels, unit=unit)
    assert np.array_equal(sieved == 0, labels == 0)
    assert small_patches_with_neighbours(sieved, unit) == 0
    assert set(np.unique(sieved)) <= set(np.unique(labels))
    assert np.array_equal(labels, before)
    assert np.array_equal(sieve(sieved, unit=unit), sieved)


def test_a_small_patch_goes_to_its_largest_neighbour():
    labels = np.array([[1, 1, 1, 2, 2], [1, 1, 3, 2, 2], [1, 1, 1, 2, 2]], np.uint8)  # 8 of 1, 6 of 2, 1 of 3
    assert sieve(labels, unit=2)[1].tolist() == [1, 1, 1, 2, 2]
    labels[1, 0] = 0
    assert sieve(labels, unit=2)[1].tolist() == [0, 1, 1, 2, 2]
    labels[:2, 0] = 0  # now both have six: the lower number wins
    assert sieve(labels, unit=2)[1].tolist() == [0, 1, 1, 2, 2]
    assert sieve(labels[:, ::-1], unit=2)[1].tolist() == [2, 2, 1, 1, 0]


def test_a_patch_alone_in_no_data_stays():
    labels = np.zeros((9, 9), np.uint8)
    labels[2, 2], labels[6, 5:8] = 4, 7
    assert np.array_equal(sieve(labels, unit=50), labels)


def test_small_patches_among_small_ones_become_one():
    labels = np.zeros((5, 9), np.uint8)
    labels[2, 1:4], labels[2, 4:6] = 1, 2
    assert sieve(labels, unit=4)[2].tolist() == [0, 1, 1, 1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("unit", [4, 20])
def test_sieve_does_what_gdal_does_but_for_ties(unit):
    labels = landscape(3, 700)
    ours, theirs = sieve(labels, unit=unit), gdal_sieve(labels, unit, connectivity=4, mask=labels > 0)
    assert (theirs != labels).mean() > 10 * (ours != theirs).mean()
    assert (ours == theirs).mean() > 0.999


@settings(max_examples=60)
@given(
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(1, 5),
    st.sampled_from([0.0, 0.3]),
    st.sampled_from(WINDOWS),
    st.integers(2, 7),
    st.integers(0, 2**31),
)
def test_majority_is_the_mode_of_the_window(height, width, clusters, empty, window, side, seed):
    labels = speckle(seed, (height, width), clusters=clusters, empty=empty)

    def mode(values: np.ndarray) -> int:
        own = int(values[len(values) // 2])
        counts = np.bincount(values.astype(int), minlength=6)
        counts[0] = 0
        return 0 if own == 0 else own if counts[own] == counts.max() else int(counts.argmax())

    expected = ndimage.generic_filter(labels, mode, size=window, mode="constant", cval=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filters, "_SIDE", side)
        assert np.array_equal(majority(labels, window=window), expected)


def test_majority_counts_up_to_every_pixel_of_the_widest_window():
    labels = np.full((40, 40), 254, np.uint8)
    labels[::3, ::3] = 1
    assert (majority(labels, window=15) == 254).all()  # 200 of 225 would overflow in seven bits


def test_same_map_whatever_the_threads(monkeypatch):
    labels = landscape(5, 1100, smooth=1.0)
    maps = []
    for threads in (1, 3):
        monkeypatch.setattr("s2dash.parallel.workers", lambda threads=threads: threads)
        maps.append(majority(labels, window=5))
    assert np.array_equal(*maps)


@pytest.mark.parametrize(
    "filtered", [lambda *a, **k: sieve(*a, unit=4, **k), lambda *a, **k: majority(*a, window=3, **k)]
)
def test_they_stop_when_asked_to(filtered):
    tracker = Tracker()
    tracker.cancel()
    with pytest.raises(Cancelled):
        filtered(np.ones((20, 20), np.uint8), progress=tracker)
