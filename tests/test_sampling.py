"""Sampling: uniform over the valid pixels, seeded, and blind to how the work is cut up."""

from __future__ import annotations

import numpy as np
import pytest

from s2dash import sampling
from s2dash.errors import NoValidPixelsError
from s2dash.grid import blocks
from s2dash.sampling import draw_sample
from s2dash.testing import make_scene


def scene_with_rows(side: int = 64, scl=None):
    numbers = np.broadcast_to(np.arange(1, side + 1, dtype=np.uint16)[:, None], (2, side, side)).copy()
    return make_scene(numbers, scl=scl)


def test_same_seed_same_pixels_and_another_seed_other_pixels():
    scene = scene_with_rows()
    first, again, other = (draw_sample(scene, size=100, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first.rows, again.rows)
    assert np.array_equal(first.numbers, again.numbers)
    assert not np.array_equal(np.sort(first.rows * 64 + first.cols), np.sort(other.rows * 64 + other.cols))


def test_numbers_are_those_of_the_places():
    scene = scene_with_rows()
    drawn = draw_sample(scene, size=200, seed=0)
    assert np.array_equal(drawn.numbers[0], drawn.rows + 1)


def test_no_pixel_is_drawn_twice():
    drawn = draw_sample(scene_with_rows(), size=3000, seed=0)
    assert len(np.unique(drawn.rows * 64 + drawn.cols)) == 3000


def test_fewer_valid_pixels_than_wanted_are_all_drawn():
    scl = np.full((64, 64), 9, dtype=np.uint8)
    scl[10:12, :5] = 4
    drawn = draw_sample(scene_with_rows(scl=scl), size=100, seed=0)
    assert len(drawn) == 10
    assert set(drawn.rows.tolist()) == {10, 11}


def test_nothing_valid_is_refused():
    with pytest.raises(NoValidPixelsError, match="no valid pixel"):
        draw_sample(scene_with_rows(scl=np.full((64, 64), 9, dtype=np.uint8)), size=100, seed=0)


def test_the_draw_does_not_depend_on_the_number_of_threads(monkeypatch):
    side = 1100  # several blocks
    numbers = np.random.default_rng(0).integers(1, 9000, (2, side, side)).astype(np.uint16)
    scene = make_scene(numbers)
    draws = []
    for threads in (1, 3):
        monkeypatch.setattr("s2dash.parallel.workers", lambda threads=threads: threads)
        draws.append(draw_sample(scene, size=5000, seed=1))
    assert np.array_equal(draws[0].rows, draws[1].rows)
    assert np.array_equal(draws[0].cols, draws[1].cols)


def test_the_draw_is_uniform_over_valid_pixels_even_if_blocks_differ():
    """A chi-square test of the counts per block row, with most of one block hidden by clouds."""
    from scipy.stats import chisquare

    side = 1024
    scl = np.full((side, side), 4, dtype=np.uint8)
    scl[:512, :500] = 9
    scene = make_scene(np.ones((2, side, side), dtype=np.uint16), scl=scl)
    drawn = draw_sample(scene, size=20_000, seed=5)
    quarter = (drawn.rows // 512) * 2 + drawn.cols // 512
    valid = np.array([12 * 512, 512 * 512, 512 * 512, 512 * 512])
    expected = valid / valid.sum() * 20_000
    assert chisquare(np.bincount(quarter, minlength=4), expected).pvalue > 1e-3


def test_a_large_scene_is_sampled_from_some_of_its_blocks_but_a_cloudy_one_from_all(monkeypatch):
    monkeypatch.setattr(sampling, "blocks", lambda grid: blocks(grid, side=8))
    clear = draw_sample(scene_with_rows(), size=50, seed=0, max_blocks=4)
    assert clear.valid_seen == 4 * 64
    scl = np.full((64, 64), 9, dtype=np.uint8)
    scl[24, 24] = 4
    assert len(draw_sample(scene_with_rows(scl=scl), size=50, seed=0, max_blocks=4)) == 1
