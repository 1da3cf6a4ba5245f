"""Whether clusters are apart, and whether one is two: statistics of samples of their pixels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from s2dash.types import FloatArray

RIDGE = 1e-3
"""Added to the variances, in squared standard deviations of the scene, so that no direction is without spread."""
LEAST_MINOR = 0.15
"""Least share of the smaller of two modes."""
DEEPEST = 0.8
"""A valley counts if the density in it is at most this share of that at the lower peak."""
_EVIDENCE = 10.0
"""By how much the Bayesian information criterion must fall for two modes: very strong (Kass & Raftery 1995)."""
_CHANCE = 3.09
"""Standard errors beyond which a difference of two counts is not chance: one in a thousand."""
_COMPONENTS = 3
"""Principal components of a cluster that are looked at, the one with the largest spread first."""
_LEAST_VARIANCE = 0.1
"""Share of a cluster's variance that a component must have to be looked at."""
_QUANTILES = 512
"""Even quantiles that stand for a cluster's pixels while two normal distributions are fitted: eight times as fast."""
_LEAST_PIXELS = 100
"""Pixels below which no two modes are looked for."""


def gaussian_statistics(samples: Sequence[FloatArray], *, shares: Sequence[float]) -> tuple[FloatArray, FloatArray]:
    """Mean and regularised covariance of each cluster.

    The covariance of a cluster of n pixels in d features is mixed with the pooled one with weights n to d (Friedman
    1989, regularised discriminant analysis) and gets `RIDGE` on its diagonal: a cluster of a few pixels keeps a
    sensible shape, one of many its own.

    Args:
        samples: Standardised features of each cluster's pixels, shape (pixel, feature) each.
        shares: Weight of each cluster in the pooled covariance.

    Returns:
        Means of shape (cluster, feature), covariances of shape (cluster, feature, feature), float64; NaN for a
        cluster without pixels.
    """
    if not samples:
        return np.empty((0, 0)), np.empty((0, 0, 0))
    width = samples[0].shape[1]
    means = np.full((len(samples), width), np.nan)
    scatters = np.zeros((len(samples), width, width))
    for index, sample in enumerate(samples):
        if len(sample):
            means[index] = sample.mean(axis=0, dtype=np.float64)
            apart = sample - means[index]
            scatters[index] = apart.T @ apart / len(sample)
    pixels = np.array([len(sample) for sample in samples], dtype=float)
    weights = np.where(pixels > 0, np.asarray(shares, dtype=float), 0.0)
    pooled = np.tensordot(weights / max(weights.sum(), 1e-300), scatters, axes=1)
    own = (pixels / (pixels + width))[:, None, None]
    covariances = own * scatters + (1 - own) * pooled + RIDGE * np.eye(width)
    covariances[pixels == 0] = np.nan
    return means, covariances


def jeffries_matusita(means: FloatArray, covariances: FloatArray) -> FloatArray:
    """Jeffries–Matusita distance of every two normal distributions: 0, the same, to 2, never confused.

    2 (1 - exp(-B)) with the Bhattacharyya distance B = ¼ dᵀ (Σ₁ + Σ₂)⁻¹ d + ½ ln(|½ (Σ₁ + Σ₂)| / √(|Σ₁| |Σ₂|))
    (Swain & Davis 1978; Richards 2013, Remote Sensing Digital Image Analysis, section 10.2).

    Args:
        means: Shape (cluster, feature).
        covariances: Shape (cluster, feature, feature), positive definite; NaN where not known.

    Returns:
        Shape (cluster, cluster), symmetric, 0 on the diagonal; NaN where not known.
    """
    count = len(means)
    distances = np.full((count, count), np.nan)
    known = np.flatnonzero(np.isfinite(means).all(axis=1))
    means, covariances = means[known], covariances[known]
    volumes = np.linalg.slogdet(covariances)[1]
    for index, cluster in enumerate(known):  # one row at a time: K² matrices at once would not stay small
        middle = (covariances + covariances[index]) / 2
        apart = means - means[index]
        mahalanobis = (apart * np.linalg.solve(middle, apart[..., None])[..., 0]).sum(axis=1)
        volume = np.linalg.slogdet(middle)[1] - (volumes + volumes[index]) / 2
        distances[cluster, known] = 2 * -np.expm1(-np.maximum(mahalanobis / 8 + volume / 2, 0.0))
    np.fill_diagonal(distances, np.where(np.isin(np.arange(count), known), 0.0, np.nan))
    return np.asarray((distances + distances.T) / 2)  # equal but for rounding


def find_valley(sample: FloatArray) -> tuple[FloatArray, float] | None:
    """Where a cluster falls in two along one of its first principal components, if it does.

    Two normal distributions are fitted to the projection. They count as two modes if all of these hold: they explain
    it better than one (Bayesian information criterion, by `_EVIDENCE`), the smaller has at least `LEAST_MINOR`, the
    density has a valley between two peaks, and in the valley there really are fewer pixels than at either peak, more
    so than by chance. The last keeps flat and cut-off distributions out, which K-Means makes and which two normal
    distributions also fit better than one.

    Args:
        sample: Standardised features of its pixels, shape (pixel, feature).

    Returns:
        The projection, shape (pixel,), and the lowest point of the valley on it, for the first component that has
        one; None where there is one mode.
    """
    if len(sample) < _LEAST_PIXELS:
        return None
    centred = sample - sample.mean(axis=0, dtype=np.float64)
    variances, directions = np.linalg.eigh(centred.T @ centred / len(sample))
    for variance, direction in list(zip(variances, directions.T, strict=True))[: -_COMPONENTS - 1 : -1]:
        if variance < max(_LEAST_VARIANCE * variances.sum(), 1e-12):
            break
        line = centred @ direction / np.sqrt(variance)  # the tolerances then mean the same for every cluster
        bottom = _valley(line)
        if bottom is not None:
            return line, bottom
    return None


def _valley(line: FloatArray) -> float | None:
    """The lowest point between two modes of numbers of zero mean and unit spread; None where there is one mode."""
    column = line[:, None]
    two = _fit_two(column)
    one_bic = len(line) * (np.log(2 * np.pi) + 1) + 2 * np.log(len(line))
    if two.bic(column) > one_bic - _EVIDENCE or two.weights_.min() < LEAST_MINOR:
        return None
    low, high = sorted(float(mean) for mean in two.means_.ravel())
    at = np.linspace(low, high, 201)
    density = np.exp(two.score_samples(at[:, None]))
    bottom = int(density.argmin())
    left, right = int(density[: bottom + 1].argmax()), bottom + int(density[bottom:].argmax())
    if density[bottom] > DEEPEST * min(density[left], density[right]):
        return None
    reach = (at[right] - at[left]) / 8
    inside = [int((np.abs(line - at[place]) <= reach).sum()) for place in (left, bottom, right)]
    peak = min(inside[0], inside[2])
    if inside[1] > DEEPEST * peak or (peak - inside[1]) <= _CHANCE * np.sqrt(peak + inside[1]):
        return None
    return float(at[bottom])


def _fit_two(column: FloatArray) -> Any:
    """Two normal distributions, the likeliest of three starts: equal halves, or a quarter on either side."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    if len(column) > _QUANTILES:
        column = np.quantile(column, (np.arange(_QUANTILES) + 0.5) / _QUANTILES)[:, None]
    fits = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a hundred steps tell whether there is a valley
        for places in ((25, 75), (12, 62), (38, 88)):
            mixture = GaussianMixture(
                2,
                means_init=np.percentile(column, places)[:, None],
                weights_init=[0.5, 0.5],
                precisions_init=np.full((2, 1, 1), 4.0),
                init_params="random_from_data",  # all is given, so that nothing is drawn; K-Means would be run in vain
                random_state=0,
                max_iter=100,
                tol=1e-3,
                reg_covar=1e-4,
            )
            fits.append(mixture.fit(column))
    return max(fits, key=lambda fit: fit.lower_bound_)
