"""Where to look, against counts made the slow way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import uniform_filter

from s2dash.annotation.card_windows import (
    LEAST,
    LEAST_PURE,
    LEAST_SHARE,
    MOSTLY,
    PART,
    WHOLE,
    ClusterCounts,
    closeup_spots,
    crop_window,
    purest_spots,
)
from s2dash.grid import slices

MAPS = st.tuples(st.integers(6, 30), st.integers(6, 30)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 2))
)


def shares(labels: np.ndarray, side: int) -> np.ndarray:
    """Share of cluster 1 in every square that lies in the map, one by one."""
    rows, cols = labels.shape[0] - side + 1, labels.shape[1] - side + 1
    mask = labels == 1
    return np.array([[mask[r : r + side, c : c + side].mean() for c in range(cols)] for r in range(rows)])


@given(MAPS, st.integers(1, 6))
def test_the_first_close_up_is_where_the_cluster_is_purest(labels: np.ndarray, side: int) -> None:
    labels[3, 4] = 1
    spots = purest_spots(ClusterCounts.of(labels, 1), side=side, count=3)
    every = shares(labels, side)
    assert spots[0].share == pytest.approx(every.max())
    for spot in spots:
        assert spot.share == pytest.approx((labels[slices(spot.window)] == 1).mean())
        assert (int(spot.window.height), int(spot.window.width)) == (side, side)
    assert all(spot.share >= LEAST_PURE for spot in spots[1:])
    assert [spot.share for spot in spots] == sorted((spot.share for spot in spots), reverse=True)


@given(MAPS, st.integers(1, 6))
def test_close_ups_never_overlap_and_none_that_is_pure_enough_is_left_out(labels: np.ndarray, side: int) -> None:
    labels[3, 4] = 1
    spots = purest_spots(ClusterCounts.of(labels, 1), side=side, count=10_000)
    seen = np.zeros(labels.shape, dtype=int)
    for spot in spots:
        seen[slices(spot.window)] += 1
    assert seen.max() == 1
    free = np.array([[not seen[r : r + side, c : c + side].any() for c in range(labels.shape[1] - side + 1)]
                     for r in range(labels.shape[0] - side + 1)])  # fmt: skip
    left = shares(labels, side)[free]
    assert not left.size or left.max() < LEAST_PURE or left.max() == 0


def test_of_equally_pure_places_the_one_deep_inside_is_taken() -> None:
    labels = np.zeros((60, 60), np.uint8)
    labels[2:6, 2:6] = 1  # just large enough
    labels[20:50, 20:50] = 1
    window = purest_spots(ClusterCounts.of(labels, 1), side=4, count=1)[0].window
    depth = uniform_filter((labels == 1).astype(float), 12, mode="constant")
    assert depth[int(window.row_off) + 2, int(window.col_off) + 2] == pytest.approx(depth.max())


def test_a_small_scene_is_shown_whole_and_a_tiny_cluster_closer() -> None:
    labels = np.ones((300, 400), np.uint8)
    assert tuple(int(x) for x in crop_window(ClusterCounts.of(labels, 1)).window.flatten()) == (0, 0, 400, 300)
    labels[150:170, 250:270] = 2
    spot = crop_window(ClusterCounts.of(labels, 2))
    assert spot.window.width == spot.window.height == 100  # 400 -> 200 -> 100
    assert (labels[slices(spot.window)] == 2).sum() == 400
    assert spot.share == pytest.approx(0.04)
    row, col = 160 - spot.window.row_off, 260 - spot.window.col_off
    assert 33 <= row <= 67  # in the middle of the crop, not at its edge
    assert 33 <= col <= 67
    labels[:] = 1
    labels[0, 0] = 2
    assert crop_window(ClusterCounts.of(labels, 2)).window.width == LEAST


def test_of_a_large_scene_the_part_is_shown_where_the_cluster_is_densest() -> None:
    labels = np.ones((1300, 1700), np.uint8)
    labels[900:1200, 1200:1500] = 2
    counts = ClusterCounts.of(labels, 2)
    assert max(labels.shape) > WHOLE
    assert counts.cell == 2
    spot = crop_window(counts)
    assert (spot.window.width, spot.window.height) == (PART, PART)
    assert (labels[slices(spot.window)] == 2).sum() == 300 * 300
    assert spot.share > LEAST_SHARE


@given(MAPS, st.integers(1, 7))
def test_counts_in_blocks_are_those_of_the_pixels(labels: np.ndarray, cell: int) -> None:
    height, width = labels.shape
    counts = ClusterCounts.of(labels, 1)
    assert counts.total == (labels == 1).sum()
    size = (min(3, height), min(3, width))
    around = counts.around(size)
    for row in range(height - size[0] + 1):
        for col in range(width - size[1] + 1):
            part = labels[max(row - 3, 0) : row + 6, max(col - 3, 0) : col + 6]
            assert around[row, col] == (part == 1).sum()


def test_a_scattered_cluster_gets_narrower_close_ups_and_a_small_scene_small_ones() -> None:
    whole = ClusterCounts.of(np.ones((300, 300), np.uint8), 1)
    assert {spot.window.width for spot in closeup_spots(whole, side=64, count=3)} == {64}
    patch = np.zeros((300, 300), np.uint8)
    patch[100:140, 100:140] = 1
    assert closeup_spots(ClusterCounts.of(patch, 1), side=64, count=1)[0].window.width == 48
    assert 40 * 40 / 48**2 >= MOSTLY > 40 * 40 / 64**2
    dust = np.zeros((300, 300), np.uint8)
    dust[::9, ::9] = 1
    assert closeup_spots(ClusterCounts.of(dust, 1), side=64, count=1)[0].window.width == 40
    assert closeup_spots(ClusterCounts.of(np.ones((60, 90), np.uint8), 1), side=64, count=1)[0].window.width == 20
    assert len(closeup_spots(ClusterCounts.of(np.ones((4, 3), np.uint8), 1), side=64, count=3)) >= 1
