"""Whether clusters are apart, and whether one is two: statistics of samples of their pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from s2dash.types import FloatArray

RIDGE = 1e-3
"""Added to the variances, in squared standard deviations of the scene, so that no direction is without spread."""
LEAST_MINOR = 0.15
"""Least share of the pixels on either side of a valley."""
DEEPEST = 0.8
"""A valley counts if the density in it is at most this share of that at the lower peak."""
_CHANCE = 3.72
"""Standard errors beyond which a difference of two densities is not chance: one in ten thousand, as the lowest of many
places is compared with the highest ones."""
_BANDWIDTH = 0.45
"""Bandwidth in robust standard deviations of one pixel. Half of Silverman's 0.9: that one is for a single mode, and
blurs several."""
_WIDEST_COMB = 0.2
"""Bandwidth in standard deviations of the pixels beyond which equal numbers are kinds of pixels, not rounding."""
_COMPONENTS = 3
"""Principal components of a cluster that are looked at, the one with the largest spread first."""
_LEAST_VARIANCE = 0.1
"""Share of a cluster's variance that a component must have to be looked at."""
_BINS = 1024
"""Bins in which the pixels of a cluster are counted before they are smoothed."""
_TAIL = 0.01
"""Share of the pixels on either end that is left out: a few far ones would make the bins coarse."""
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

    The density of the projected pixels is estimated with a normal kernel (Silverman 1986, Density Estimation, equation
    3.31), and its deepest valley with at least `LEAST_MINOR` of the pixels on either side is sought, however many
    modes there are. It counts if it is at most `DEEPEST` of the lower of the peaks that enclose it and the difference
    is larger than chance. The last keeps flat and cut-off distributions out, which K-Means makes.

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
    """The lowest point of the deepest valley of numbers of unit spread; None where there is one mode.

    How far down a valley goes is its topographic prominence, taken upside down: up to the lower of the two highest
    points that are reached without crossing a lower valley.
    """
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks, peak_prominences

    line = np.sort(line)
    first, lower, upper, last = np.quantile(line, (_TAIL, 0.25, 0.75, 1 - _TAIL))
    if last <= first:
        return None
    width = (last - first) / _BINS
    # whole numbers lie on a comb, whose gaps are no valleys; half a gap of it blurs it
    gaps = np.count_nonzero(np.diff(line[(line >= first) & (line <= last)]))
    comb = 0.5 * (last - first) / max(gaps, 1)
    narrow = _BANDWIDTH * min(1.0, (upper - lower) / 1.349) * len(line) ** -0.2
    bandwidth = max(narrow, min(comb, _WIDEST_COMB), width) / width  # in bins; of one at least
    margin = int(np.ceil(4 * bandwidth))
    ends = (first - margin * width, last + margin * width)
    counts, edges = np.histogram(line, bins=_BINS + 2 * margin, range=ends)
    # in these units the variance of the density, f ∫K² / nh (Silverman 1986, section 3.3), is the density itself, as
    # that of a count of pixels is the count
    pixels = gaussian_filter1d(counts.astype(float), bandwidth, mode="constant") * 2 * np.sqrt(np.pi) * bandwidth
    places, _ = find_peaks(-pixels)
    at = (edges[places] + edges[places + 1]) / 2
    below = np.searchsorted(line, at) / len(line)
    inner = (below >= LEAST_MINOR) & (below <= 1 - LEAST_MINOR)
    places, at = places[inner], at[inner]
    if not len(places):
        return None
    bottom = pixels[places]
    depth = peak_prominences(-pixels, places)[0]
    peak = bottom + depth
    real = (bottom <= DEEPEST * peak) & (depth > _CHANCE * np.sqrt(peak + bottom))
    if not real.any():
        return None
    return float(at[real][np.argmin(bottom[real] / peak[real])])
