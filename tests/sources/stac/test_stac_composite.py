"""Composites and seasons, held against NumPy's own statistics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2dash.errors import ImageryError
from s2dash.masking import MaskRule
from s2dash.sources.stac.composite import Looks, _sorted, composite, season, season_names

BANDS = ("B03", "B04", "B08")


def random_looks(seed: int, count: int, *, side: int = 7) -> Looks:
    rng = np.random.default_rng(seed)
    numbers = rng.integers(1, 6000, (count, 3, side, side)).astype(np.uint16)
    numbers[rng.random((count, side, side)).repeat(3).reshape(count, side, side, 3).transpose(0, 3, 1, 2) < 0.2] = 0
    scl = rng.choice([4, 5, 6, 8, 3], (count, side, side)).astype(np.uint16)
    return Looks.of(numbers, scl, MaskRule())


def clear_numbers(looks: Looks) -> np.ndarray:
    valid = (looks.numbers > 0).all(axis=1) & np.isin(looks.scl, [4, 5, 6])
    return np.where(valid[:, None], looks.numbers, np.nan).astype(float)


@given(st.integers(0, 10_000), st.integers(1, 9))
@settings(max_examples=40)
@pytest.mark.filterwarnings("ignore:All-NaN slice:RuntimeWarning")
def test_the_median_is_numpys(seed, count):
    looks = random_looks(seed, count)
    expected = np.nanmedian(clear_numbers(looks), axis=0)
    made, scl = composite(looks, method="median")
    assert np.array_equal(made, np.floor(np.nan_to_num(expected, nan=0) + 0.5))
    some = ~np.isnan(expected[0])
    assert np.array_equal(scl > 0, some)
    assert np.isin(scl[some], [4, 5, 6]).all()
    assert np.array_equal(looks.count, (~np.isnan(clear_numbers(looks)[:, 0])).sum(axis=0))


@given(st.integers(0, 10_000), st.integers(1, 6))
@settings(max_examples=20)
@pytest.mark.filterwarnings("ignore:All-NaN slice:RuntimeWarning")
def test_the_best_pixel_is_a_clear_look_as_it_was_and_none_is_nearer_to_the_median(seed, count):
    looks = random_looks(seed, count)
    clear = clear_numbers(looks)
    median = np.floor(np.nanmedian(clear, axis=0) + 0.5)
    made, scl = composite(looks, method="best")
    for y, x in np.ndindex(*made.shape[1:]):
        spectra = clear[:, :, y, x]
        whole = ~np.isnan(spectra[:, 0])
        if not whole.any():
            assert not made[:, y, x].any()
            assert scl[y, x] == 0
            continue
        distances = np.linalg.norm(spectra - median[:, y, x], axis=1)
        taken = np.flatnonzero((spectra == made[:, y, x]).all(axis=1))
        assert taken.size
        assert distances[taken].min() == pytest.approx(np.nanmin(distances), rel=1e-6)
        assert scl[y, x] in looks.scl[taken, y, x]


@given(st.integers(0, 10_000), st.integers(1, 9))
@settings(max_examples=20)
@pytest.mark.filterwarnings("ignore:All-NaN slice:RuntimeWarning")
def test_the_season_is_numpys(seed, count):
    looks = random_looks(seed, count)
    layers = season(looks, bands=BANDS, scale=1e-4, offset=0.0)
    names = season_names(BANDS)
    assert names[-4:] == ("NDVI_P10", "NDVI_P50", "NDVI_P90", "NDVI_AMPLITUDE")
    clear = clear_numbers(looks)
    ndvi = (clear[:, 2] - clear[:, 1]) / (clear[:, 2] + clear[:, 1])
    ndvi[clear[:, 2] + clear[:, 1] <= 10] = np.nan
    expected = np.nanpercentile(ndvi, [10, 50, 90], axis=0)
    np.testing.assert_allclose(layers[3:6], expected, atol=2e-6)
    np.testing.assert_allclose(layers[6], expected[2] - expected[0], atol=4e-6)
    np.testing.assert_allclose(layers[:3], np.nanmedian(clear, axis=0) * 1e-4, atol=6e-5)


@given(st.integers(1, 40), st.integers(0, 10_000))
@settings(max_examples=60)
def test_looks_are_sorted(count, seed):
    values = np.random.default_rng(seed).integers(0, 9, (count, 5)).astype(np.uint16)
    assert np.array_equal(_sorted(values.copy()), np.sort(values, axis=0))


def test_the_offset_counts_in_the_ndvi():
    numbers = np.array([[1400], [4000]], dtype=np.uint16).reshape(1, 2, 1, 1)
    looks = Looks.of(numbers, None, MaskRule())
    layers = season(looks, bands=("B04", "B08"), scale=1e-4, offset=-0.1)
    assert layers[3, 0, 0] == pytest.approx((0.30 - 0.04) / (0.30 + 0.04), abs=1e-5)


def test_without_red_and_infrared_there_is_no_ndvi():
    assert season_names(("B02", "B03")) == ("B02_MEDIAN", "B03_MEDIAN")


def test_an_unknown_composite_is_refused():
    with pytest.raises(ImageryError, match="median or best"):
        composite(random_looks(0, 2), method="mean")  # type: ignore[arg-type]


def test_snow_counts_as_clear_unless_it_is_masked():
    numbers = np.full((1, 2, 1, 1), 9000, dtype=np.uint16)
    scl = np.full((1, 1, 1), 11, dtype=np.uint16)
    assert Looks.of(numbers, scl, MaskRule()).clear.all()
    assert not Looks.of(numbers, scl, MaskRule(mask_snow=True)).clear.any()
