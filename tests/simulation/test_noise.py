"""Random fields: moments, smoothness, independence of the window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dash.simulation.hashing import combine, four_uniform, gaussian, lattice, mix, stream_key, uniform
from s2dash.simulation.noise import Axes, curve, fractal, smooth


def test_hashes_spread_evenly() -> None:
    bits = lattice(np.arange(-200, 200), np.arange(-200, 200), key=5)
    for values in (uniform(bits), *four_uniform(bits)):
        counts, _ = np.histogram(values, bins=16, range=(0, 1))
        assert np.abs(counts / values.size * 16 - 1).max() < 0.05
    normal = gaussian(bits)
    assert abs(normal.mean()) < 0.01
    assert normal.std() == pytest.approx(1, abs=0.01)
    assert abs(np.corrcoef(normal[:, 1:].ravel(), normal[:, :-1].ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(normal.ravel(), gaussian(combine(bits, 1)).ravel())[0, 1]) < 0.01


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_mixing_loses_nothing(a: int, b: int) -> None:
    mixed = mix(np.array([a, b], dtype=np.uint32))
    assert (mixed[0] == mixed[1]) == (a == b)


def test_mixing_is_the_published_function() -> None:
    """lowbias32 in plain integers, as its author wrote it."""

    def lowbias32(x: int) -> int:
        x ^= x >> 16
        x = x * 0x7FEB352D & 0xFFFFFFFF
        x ^= x >> 15
        x = x * 0x846CA68B & 0xFFFFFFFF
        return x ^ (x >> 16)

    values = [0, 1, 2, 0xDEADBEEF, 0xFFFFFFFF]
    assert mix(np.array(values, dtype=np.uint32)).tolist() == [lowbias32(value) for value in values]


def test_keys_differ() -> None:
    keys = {stream_key(seed, purpose) for seed in range(50) for purpose in range(50)}
    assert len(keys) == 2500
    assert stream_key(-1) != stream_key(1)


@pytest.mark.parametrize("wavelength", [12.0, 90.0, 700.0])
def test_fields_have_unit_spread_and_are_smooth(wavelength: float) -> None:
    places = np.arange(300) * wavelength / 3.0
    field = smooth(Axes(places, places), wavelength=wavelength, key=3)
    assert field.dtype == np.float32
    assert abs(field.mean()) < 0.1
    assert field.std() == pytest.approx(1, abs=0.05)
    assert np.corrcoef(field[:, 1:].ravel(), field[:, :-1].ravel())[0, 1] > 0.85


def test_fields_do_not_show_the_lattice() -> None:
    """Equally smooth along the axes and along the diagonal, at equal distance."""
    places = np.arange(700) * 1.0
    field = smooth(Axes(places, places), wavelength=10, key=9)
    along = np.corrcoef(field[:, 10:].ravel(), field[:, :-10].ravel())[0, 1]
    across = np.corrcoef(field[7:, 7:].ravel(), field[:-7, :-7].ravel())[0, 1]  # 9.9 m
    assert along == pytest.approx(across, abs=0.05)


@given(st.integers(-50_000, 50_000), st.integers(-50_000, 50_000), st.integers(1, 40))
def test_a_field_is_the_same_from_any_window(x: int, y: int, side: int) -> None:
    whole = Axes(np.arange(x, x + 60) * 5.0, np.arange(y, y + 60) * 5.0)
    part = Axes(whole.x[60 - side :], whole.y[10 : 10 + side])
    for wavelength in (8.0, 333.0):
        field = smooth(whole, wavelength=wavelength, key=1)
        np.testing.assert_array_equal(
            smooth(part, wavelength=wavelength, key=1), field[10 : 10 + side, 60 - side :][: len(part.y)]
        )


def test_wide_octaves_filled_in_are_close_to_those_drawn() -> None:
    dense = Axes(np.arange(200) * 5.0, np.arange(200) * 5.0)
    sparse = Axes(dense.x[::20], dense.y[::20])  # too far apart to be filled in
    assert dense.coarse is not None
    assert sparse.coarse is None
    filled, drawn = (fractal(axes, wavelength=400, octaves=3, key=2) for axes in (dense, sparse))
    np.testing.assert_allclose(filled[::20, ::20], drawn, atol=0.05)


def test_curves_are_smooth_and_spread_by_one() -> None:
    values = curve(np.arange(0, 200_000, 10.0), wavelength=100, key=4)
    assert values.std() == pytest.approx(1, abs=0.05)
    assert np.abs(np.diff(values)).max() < 0.5
