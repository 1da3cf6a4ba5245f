import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.cluster import contingency_matrix

from s2dash import pair_counts
from s2dash.pair_counts import joint_histogram
from s2dash.types import LabelArray

WAYS = pytest.mark.parametrize("many", [0, 1 << 62], ids=["compiled", "numpy"])


def rasters(seed: int, height: int, width: int) -> tuple[LabelArray, LabelArray, LabelArray]:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, 12, dtype=np.uint8)
    first, second, within = (codes[rng.integers(0, 12, (height, width))] for _ in range(3))
    return first, second, within


@WAYS
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 70), width=st.integers(1, 70))
def test_counts_as_scikit_learn_does(many: int, seed: int, height: int, width: int) -> None:
    first, second, _ = rasters(seed, height, width)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair_counts, "MANY", many)
        counted = joint_histogram(first, second)
    rows, columns = np.unique(first), np.unique(second)
    np.testing.assert_array_equal(counted[np.ix_(rows, columns)], contingency_matrix(first.ravel(), second.ravel()))
    assert counted.sum() == first.size


@WAYS
def test_every_pair_of_codes_has_a_place_of_its_own(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_counts, "MANY", many)
    first, second = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8), indexing="ij")
    np.testing.assert_array_equal(joint_histogram(first, second), np.ones((256, 256)))


@WAYS
def test_pixels_outside_count_as_no_data_of_the_second(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_counts, "MANY", many)
    first, second, within = rasters(3, 50, 60)
    within[:20] = 0
    counted = joint_histogram(first, second, within=within)
    np.testing.assert_array_equal(counted, joint_histogram(first, np.where(within > 0, second, np.uint8(0))))


@WAYS
def test_counts_cuts_of_a_raster(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_counts, "MANY", many)
    first, second, _ = rasters(4, 64, 80)
    counted = joint_histogram(first[::-1, ::2], second[::-1, ::2])
    np.testing.assert_array_equal(counted, joint_histogram(first[:, ::2].copy(), second[:, ::2].copy()))


def test_both_ways_count_the_same_over_several_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, within = rasters(5, 300, 401)
    expected = joint_histogram(first, second, within=within)
    monkeypatch.setattr(pair_counts, "MANY", 0)
    monkeypatch.setattr(pair_counts, "_KERNEL_CHUNK", 30_011)
    np.testing.assert_array_equal(joint_histogram(first, second, within=within), expected)


def test_nothing_to_count_is_no_error() -> None:
    empty = np.zeros((0, 5), dtype=np.uint8)
    assert joint_histogram(empty, empty).sum() == 0


def test_the_kernel_is_compiled_also_where_no_folder_can_keep_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: object, **__: object) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(pair_counts, "MANY", 0)
    monkeypatch.setattr("numba.core.dispatcher.FunctionCache", nowhere)
    pair_counts._compiled.cache_clear()
    first, second, _ = rasters(6, 30, 30)
    assert joint_histogram(first, second).sum() == first.size
    pair_counts._compiled.cache_clear()
