"""Neighbourhoods: what really lies around a pixel, and the pixel itself where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import generic_filter

from s2dash.clustering import neighbourhoods
from s2dash.clustering.neighbourhoods import draw_neighbourhoods, neighbourhood_tiles
from s2dash.errors import NoValidPixelsError
from s2dash.features import build_features
from s2dash.progress import Silent
from s2dash.testing import make_scene


def numbered(height=90, width=120, *, hidden=()):
    """A scene whose two bands say where a pixel lies."""
    rows, cols = np.mgrid[1 : height + 1, 1 : width + 1]
    numbers = np.stack([rows, cols]).astype(np.uint16)
    for place in hidden:
        numbers[(slice(None), *place)] = 0
    return build_features(make_scene(numbers), indices=[], sample=5000)


def places(features, drawn):
    """Row and column of every pixel of every neighbourhood, shape (pixel, side², 2)."""
    raw = drawn * features.scaler.std + features.scaler.mean
    return np.round(raw * 10_000).astype(int) - 1


def draw(features, *, side=3, count=500, seed=0):
    return draw_neighbourhoods(features, side=side, count=count, seed=seed, progress=Silent())


@pytest.mark.parametrize("side", [3, 5])
def test_they_are_what_lies_around_a_pixel_of_the_scene(side):
    features = numbered()
    drawn = draw(features, side=side)
    assert drawn.shape == (500, side**2, 2)
    found = places(features, drawn)
    offsets = np.stack(np.mgrid[:side, :side], axis=-1).reshape(-1, 2) - side // 2
    assert np.array_equal(found - found[:, [side**2 // 2]], np.broadcast_to(offsets, found.shape))
    assert len({tuple(middle) for middle in found[:, side**2 // 2]}) > 400  # all over the place


def test_same_seed_same_neighbourhoods():
    features = numbered()
    assert np.array_equal(draw(features, seed=3), draw(features, seed=3))
    assert not np.array_equal(draw(features, seed=3), draw(features, seed=4))


def test_neighbours_without_data_are_taken_as_equal_to_the_middle():
    features = numbered(20, 20, hidden=[(slice(0, 20), slice(7, 13)), (3, 3)])
    found = places(features, draw(features, count=10_000))
    rows, cols = found[:, 4].T
    assert len(found) == 20 * 14 - 1  # every valid pixel, those at the edge too
    assert not ((cols >= 7) & (cols < 13)).any()
    beside = found[(rows == 2) & (cols == 3)][0]
    assert beside[7].tolist() == [2, 3]  # below lies the pixel without data
    assert beside[1].tolist() == [1, 3]
    corner = found[(rows == 0) & (cols == 0)][0]
    assert corner.tolist() == [[0, 0], [0, 0], [0, 0], [0, 0], [0, 0], [0, 1], [0, 0], [1, 0], [1, 1]]


def test_those_at_the_edge_only_fill_up():
    features = numbered(20, 20)
    inner = places(features, draw(features, side=5, count=256))[:, 12]
    assert ((inner >= 2) & (inner < 18)).all()


def test_a_scene_without_valid_pixels_has_none():
    features = numbered(20, 20)
    hidden = np.zeros((2, 20, 20), dtype=np.uint16)
    empty = build_features(make_scene(hidden), indices=[], scaler=features.scaler)
    with pytest.raises(NoValidPixelsError):
        draw(empty)


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3, 5]), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_tiles_hold_every_neighbourhood_whatever_their_size(height, width, side, pixels, seed):
    rng = np.random.default_rng(seed)
    valid = rng.random((height, width)) < 0.7
    values = np.where(valid, rng.normal(size=(2, height, width)), 0).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbourhoods, "TILE_PIXELS", pixels)
        tiles = list(neighbourhood_tiles(values, valid, side=side))
    assert [row for rows, _ in tiles for row in range(height)[rows]] == list(range(height))
    found = np.concatenate([x for _, x in tiles], axis=1).reshape(side**2, 2, height, width)
    known = np.where(valid, values, np.nan)
    for band in range(2):
        for index in range(side**2):
            chosen = np.zeros(side**2, dtype=bool)
            chosen[index] = True
            expected = generic_filter(
                known[band],
                lambda around: around[0],
                footprint=chosen.reshape(side, side),
                mode="constant",
                cval=np.nan,
            )
            expected = np.where(np.isnan(expected), values[band], expected)
            assert np.array_equal(found[index, band], expected)
