"""The search for centres: little depends on the seed, weights count, and it can be cancelled."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans

from s2dash.clustering import starts
from s2dash.clustering.starts import search_centres
from s2dash.errors import Cancelled
from s2dash.progress import Tracker


def uneven(count: int, *, seed: int = 0) -> np.ndarray:
    """Groups of very different size and spread, some close to each other: where single starts go astray."""
    rng = np.random.default_rng(seed)
    means = rng.normal(0, 3, (12, 4))
    means[1] = means[0] + 0.8
    owner = rng.choice(12, count, p=np.r_[0.3, 0.2, np.full(10, 0.05)])
    spread = rng.uniform(0.2, 1.2, 12)
    return (means[owner] + rng.normal(0, 1, (count, 4)) * spread[owner, None]).astype(np.float32)


def test_every_seed_comes_within_a_thousandth_of_the_best_of_many_full_fits(monkeypatch):
    monkeypatch.setattr(starts, "SUBSAMPLE", 500)
    monkeypatch.setattr(starts, "SEARCH_PIXELS", 4000)
    values = uneven(20_000)
    oracle = min(KMeans(9, n_init=1, random_state=seed, tol=1e-6).fit(values).inertia_ for seed in range(20))
    found = [search_centres(values, k=9, seed=seed).inertia_ / oracle for seed in range(6)]
    assert max(found) <= 1.001, found


def test_moves_leave_a_poor_arrangement(monkeypatch):
    values = uneven(3000)
    # all but one of the centres in one group: Lloyd's algorithm alone does not get out of it
    poor = np.concatenate([values[:1] + np.linspace(0, 1e-2, 8)[:, None], values[-1:]]).astype(np.float32)
    stuck = KMeans(9, init=poor, n_init=1).fit(values)
    moved = starts._move((values, None), stuck, Tracker())
    best = KMeans(9, n_init=20, random_state=0).fit(values).inertia_
    assert stuck.inertia_ > 1.05 * best
    assert moved.inertia_ < 1.01 * best


def test_weights_count_as_repeated_rows(monkeypatch):
    rng = np.random.default_rng(3)
    values = uneven(600).astype(np.float64)
    weights = rng.integers(1, 5, 600).astype(np.float64)
    oracle = KMeans(6, n_init=20, random_state=0).fit(np.repeat(values, weights.astype(int), axis=0)).inertia_
    monkeypatch.setattr(starts, "SUBSAMPLE", 200)
    monkeypatch.setattr(starts, "SEARCH_PIXELS", 400)
    assert search_centres(values, k=6, seed=1, weights=weights).inertia_ <= 1.001 * oracle


def test_too_few_distinct_rows_in_the_subsample_are_no_hindrance(monkeypatch):
    monkeypatch.setattr(starts, "SUBSAMPLE", 20)
    monkeypatch.setattr(starts, "SEARCH_PIXELS", 40)
    values = np.zeros((5000, 2), dtype=np.float32)
    values[[10, 2000, 4000]] = [[1, 0], [0, 1], [5, 5]]
    assert search_centres(values, k=4, seed=0).inertia_ == pytest.approx(0, abs=1e-6)


def test_it_can_be_cancelled_between_iterations():
    tracker = Tracker()
    tracker.cancel()
    with pytest.raises(Cancelled):
        search_centres(uneven(2000), k=5, seed=0, progress=tracker)


def test_every_start_and_every_move_is_a_chance_to_stop(monkeypatch, check_heard):
    monkeypatch.setattr(starts, "SUBSAMPLE", 500)
    monkeypatch.setattr(starts, "SEARCH_PIXELS", 1000)
    values = uneven(4000)
    check_heard(lambda watch: search_centres(values, k=9, seed=0, progress=watch), least=2 * starts.RESTARTS + 4 + 2)


def test_reports_change_nothing_about_the_starts():
    values = uneven(2000)
    weights = np.random.default_rng(0).uniform(0.5, 3, len(values))
    for weighing in (None, weights):
        ours = starts._start((values, weighing), k=7, seed=3, starts=4, progress=Tracker())
        theirs = KMeans(7, n_init=4, random_state=3, max_iter=100, tol=1e-4).fit(values, sample_weight=weighing)
        assert np.array_equal(ours.cluster_centers_, theirs.cluster_centers_)


def test_many_pixels_are_settled_in_fewer_steps_at_a_time(monkeypatch, watcher):
    values = uneven(2000)
    begun = values[:12]
    few, many = watcher(), watcher()
    at_ease = starts._settle((values, None), begun, few)
    monkeypatch.setattr(starts, "_DISTANCES", 1)
    in_haste = starts._settle((values, None), begun, many)
    assert len(many.shares) > 2 * len(few.shares)
    assert many.shares == sorted(many.shares)
    assert in_haste.inertia_ == pytest.approx(at_ease.inertia_, rel=1e-3)
