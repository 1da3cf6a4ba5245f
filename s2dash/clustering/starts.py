"""Where K-Means begins, and how it gets out of a poor arrangement of its centres."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np

from s2dash.progress import Progress, Silent, timetable
from s2dash.types import FloatArray

RESTARTS = 6
"""k-means++ starts tried on a small subsample."""
SUBSAMPLE = 10_000
"""Pixels the starts run on."""
SEARCH_PIXELS = 40_000
"""Pixels on which centres are moved from where they are not needed to where they are."""
_MOVES = 2
"""Pairs of near clusters, and wide clusters, tried together in one round of moves."""
_ROUNDS = 12
_GAIN = 5e-4
"""A move must lower the within-cluster sum of squares by this share."""
_TOLERANCE = 1e-5
_STEPS = 10
"""Lloyd iterations between two looks at whether to stop."""
_MOST_STEPS = 100
_LEAST_STEPS = 3
_DISTANCES = 4e8
"""Distances to centres between two reports: about a second; fewer steps at a time cost a look at all pixels each."""
_USUAL_TRIES = 8
"""Moves that are tried on a usual scene before none helps."""
_TEXT = "Fitting clusters"


def search_centres(
    sample: FloatArray, *, k: int, seed: int, weights: FloatArray | None = None, progress: Progress | None = None
) -> Any:
    """Fit K-Means so that the result depends little on the seed.

    The best of a few k-means++ starts on a subsample is improved by moves on a larger one: two near clusters become
    one, a wide cluster becomes two, Lloyd's algorithm settles it, and the best move stays if it helps (after the
    split-and-merge step of Ueda et al. 2000 and the swaps of Fränti 2018, "Efficiency of random swap clustering").
    Then all pixels are used until the centres rest. Restarts alone often end 0.5 to 4 % above the best sum of squares.

    Args:
        sample: Shape (pixel, feature), at least `k` distinct rows.
        k: Number of clusters.
        seed: Same sample and seed, same centres.
        weights: Of the rows, shape (pixel,); all alike by default.
        progress: Where to report.

    Returns:
        A fitted `sklearn.cluster.KMeans`; its `n_iter_` counts the iterations on the whole sample.
    """
    from threadpoolctl import threadpool_limits

    watch = progress or Silent()
    # one thread: sums over threads depend on who comes first, and the same input must give the same map
    with threadpool_limits(limits=1):
        order = np.random.default_rng([seed, 1]).permutation(len(sample))
        few = _rows(sample, weights, order[:SUBSAMPLE], k)
        whole = len(few[0]) == len(sample)
        starts = 10 if whole else RESTARTS
        # microseconds by pixel and centre, as measured on scenes of 10 to 13 features
        stages = timetable(
            watch,
            starts=0.33 * starts * len(few[0]),
            moves=0.57 * min(max(SEARCH_PIXELS, len(few[0])), len(sample)) if k > 2 else 0,
            rest=0.0035 * len(sample) * min(max(k, _STEPS), _MOST_STEPS),
        )
        fitted = _start(few, k=k, seed=seed, starts=starts, progress=stages["starts"])
        if not whole:
            stages["moves"].report(0.0, _TEXT)
            few = _rows(sample, weights, order[:SEARCH_PIXELS], k)
            fitted = _lloyd(few, fitted.cluster_centers_, steps=20, tolerance=1e-3)
        fitted = _move(few, fitted, stages["moves"])
        return _settle((sample, weights), fitted.cluster_centers_, stages["rest"])


def count_distinct(sample: FloatArray, enough: int) -> int:
    """Distinct rows, counted only until `enough` are found."""
    seen: set[bytes] = set()
    for start in range(0, len(sample), 4096):
        part = np.ascontiguousarray(sample[start : start + 4096])
        seen.update(row.tobytes() for row in np.unique(part, axis=0))
        if len(seen) >= enough:
            break
    return len(seen)


def _rows(sample: FloatArray, weights: FloatArray | None, chosen: Any, k: int) -> tuple[FloatArray, FloatArray | None]:
    """The chosen rows; all where these are not enough for `k` distinct ones."""
    if len(chosen) == len(sample) or count_distinct(sample[chosen], k) < k:
        return sample, weights
    return sample[chosen], None if weights is None else weights[chosen]


def _start(rows: tuple[FloatArray, FloatArray | None], *, k: int, seed: int, starts: int, progress: Progress) -> Any:
    """The best of some k-means++ starts, each settled by Lloyd's algorithm."""
    from sklearn.cluster import KMeans, kmeans_plusplus

    begun = count()

    def begin(values: FloatArray, k: int, random_state: Any) -> FloatArray:
        """What scikit-learn does for "k-means++" itself, and the only place where it lets us in between."""
        done = next(begun)
        progress.report(done / starts, _TEXT)
        centres: FloatArray = kmeans_plusplus(values, k, sample_weight=rows[1], random_state=random_state)[0]
        progress.report((done + 0.4) / starts, _TEXT)
        return centres

    means = KMeans(k, init=begin, n_init=starts, random_state=seed, max_iter=_MOST_STEPS, tol=1e-4)
    return means.fit(rows[0], sample_weight=rows[1])


def _lloyd(
    rows: tuple[FloatArray, FloatArray | None],
    start: FloatArray,
    *,
    steps: int,
    tolerance: float,
) -> Any:
    from sklearn.cluster import KMeans

    means = KMeans(len(start), init=start, n_init=1, max_iter=steps, tol=tolerance)
    return means.fit(rows[0], sample_weight=rows[1])


def _move(rows: tuple[FloatArray, FloatArray | None], fitted: Any, progress: Progress) -> Any:
    """Move centres as long as that helps."""
    if len(fitted.cluster_centers_) < 3:
        return fitted
    begun = count()
    for _ in range(_ROUNDS):
        tried = []
        for start in _moved(rows, fitted):
            done = next(begun)
            progress.report(done / (done + _USUAL_TRIES), _TEXT)
            tried.append(_lloyd(rows, start, steps=_STEPS, tolerance=1e-3))
        best = min(tried, key=lambda fit: float(fit.inertia_), default=fitted)
        if best.inertia_ >= (1 - _GAIN) * fitted.inertia_:
            break
        fitted = best
    return fitted


def _moved(rows: tuple[FloatArray, FloatArray | None], fitted: Any) -> list[FloatArray]:
    """Centres after each of some moves: a pair that costs little to join, a cluster that gains from being two."""
    values, weights = rows
    centres: FloatArray = np.asarray(fitted.cluster_centers_, dtype=np.float64)
    labels, k = fitted.labels_, len(centres)
    sizes = np.bincount(labels, weights, minlength=k).astype(np.float64)
    away = ((values - fitted.cluster_centers_[labels]) ** 2).sum(axis=1)
    spread = np.bincount(labels, away if weights is None else away * weights, minlength=k)
    # what joining two clusters adds to the sum of squares (Ward 1963)
    apart = ((centres[:, None] - centres[None]) ** 2).sum(axis=-1)
    cost = sizes[:, None] * sizes[None] / np.maximum(sizes[:, None] + sizes[None], 1e-12) * apart
    cost[np.tril_indices(k)] = np.inf
    found = []
    for place in np.argsort(cost, axis=None, kind="stable")[:_MOVES]:
        one, other = np.unravel_index(place, cost.shape)
        wide = [int(index) for index in np.argsort(-spread, kind="stable") if index not in (one, other)]
        for index in wide[:_MOVES]:
            inside = labels == index
            if inside.sum() < 2:
                continue
            shape = np.cov(values[inside].T, aweights=None if weights is None else weights[inside])
            lengths, directions = np.linalg.eigh(np.atleast_2d(shape))
            # the halves of a normal distribution have their means 0.8 standard deviations from its own
            step = directions[:, -1] * np.sqrt(max(lengths[-1], 0.0)) * np.sqrt(2 / np.pi)
            moved = centres.copy()
            moved[one] = (sizes[one] * centres[one] + sizes[other] * centres[other]) / (sizes[one] + sizes[other])
            moved[other], moved[index] = centres[index] - step, centres[index] + step
            found.append(moved.astype(values.dtype))
    return found


def _settle(rows: tuple[FloatArray, FloatArray | None], start: FloatArray, progress: Progress) -> Any:
    """Lloyd's algorithm until the centres rest, some iterations at a time so that it can be cancelled."""
    done, k = 0, len(start)
    at_once = int(np.clip(_DISTANCES / (len(rows[0]) * k), _LEAST_STEPS, _STEPS))
    progress.report(0.0, _TEXT)
    while True:
        steps = min(at_once, _MOST_STEPS - done)
        fitted = _lloyd(rows, start, steps=steps, tolerance=_TOLERANCE)
        done += int(fitted.n_iter_)
        if fitted.n_iter_ < steps or done >= _MOST_STEPS:
            progress.report(1.0, _TEXT)
            fitted.n_iter_ = done
            return fitted
        # about as many iterations as clusters are needed on real scenes
        rest = min(max(min(k, _MOST_STEPS) - done, _STEPS), _MOST_STEPS - done)
        progress.report(done / (done + rest), _TEXT)
        start = fitted.cluster_centers_
