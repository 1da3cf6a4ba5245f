"""K-Means: fitted on a sample, applied to every block."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar, Literal, Self

import numpy as np

from s2dash.clustering.model import MAX_CLUSTERS, PixelModel
from s2dash.clustering.starts import count_distinct, search_centres
from s2dash.errors import ClusteringError, TooFewDistinctPixelsError
from s2dash.features import FeatureStack
from s2dash.progress import Progress, Silent, Stage
from s2dash.types import FloatArray, LabelArray, NumberArray

TILE = 1 << 14
"""Pixels labelled at a time, so that scores stay in cache."""
_scratch = threading.local()
_DRAWING = 0.1
"""Share of a fit that drawing the sample takes; next to nothing where the features have drawn it before."""


@dataclass(frozen=True)
class KMeansModel(PixelModel):
    """Cluster centres in standardised feature space."""

    feature_names: tuple[str, ...]
    """The features, in order."""
    centres: FloatArray
    """Shape (cluster, feature), float64, standardised; the largest cluster of the sample first."""
    inertia: float
    """Mean squared distance of the sample to its centres."""
    iterations: int
    """Lloyd iterations of the refinement."""
    seed: int
    """What it was fitted with."""

    method: ClassVar[str] = "kmeans"

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return len(self.centres)

    def predict(self, features: FloatArray) -> LabelArray:
        """Nearest centre, 1 … K, of standardised features of shape (feature, pixel)."""
        ones = np.ones(len(self.feature_names))
        return self.predict_numbers(features, gain=ones, shift=np.zeros_like(ones))

    def predict_numbers(self, numbers: NumberArray, *, gain: FloatArray, shift: FloatArray) -> LabelArray:
        """Nearest centre of features that are `numbers * gain + shift`, without computing them.

        The squared distance to a centre c is, but for a term all centres share, linear in the numbers x:
        |c|² - 2 c·(gain x + shift); the gain goes into the weights and the shift into the bias. Numbers are counted
        from those of a pixel whose features are all 0: with a band that hardly varies, gain x and shift are large and
        cancel, and single precision would leave nothing of the difference.

        Args:
            numbers: Shape (feature, pixel), any type.
            gain: Shape (feature,).
            shift: Shape (feature,).

        Returns:
            Shape (pixel,), uint8, 1 … K.
        """
        origin = np.round(-shift / gain)
        weights = -2 * self.centres * gain
        bias = (self.centres**2).sum(axis=1) - 2 * self.centres @ (gain * origin + shift)
        return nearest(numbers, weights.astype(np.float32), bias.astype(np.float32), origin=origin.astype(np.float32))

    def describe(self) -> dict[str, Any]:
        """Settings and quality of the fit."""
        return {
            "method": self.method,
            "k": self.n_clusters,
            "seed": self.seed,
            "inertia": self.inertia,
            "iterations": self.iterations,
            "features": list(self.feature_names),
            "centres": self.centres.tolist(),
        }

    def arrays(self) -> dict[str, NumberArray]:
        """The centres."""
        return {"centres": self.centres}

    @classmethod
    def restore(cls, about: Mapping[str, Any], arrays: Mapping[str, NumberArray]) -> Self:
        """From `describe` and `arrays`."""
        centres = np.asarray(arrays["centres"], dtype=np.float64)
        names = tuple(about["features"])
        if centres.ndim != 2 or centres.shape[1] != len(names) or not 1 <= len(centres) <= MAX_CLUSTERS:
            raise ValueError(f"centres of shape {centres.shape} do not fit {len(names)} features")
        return cls(names, centres, about["inertia"], about["iterations"], about["seed"])


def fit_kmeans(
    features: FeatureStack, *, k: int, seed: int, sample: int, progress: Progress | None = None
) -> KMeansModel:
    """Fit K-Means on a sample of a scene.

    Args:
        features: Of the scene.
        k: Number of clusters, 2 … 254.
        seed: Of sample and starts.
        sample: Pixels to draw.
        progress: Where to report.

    Raises:
        ClusteringError: If `k` is out of range.
        TooFewDistinctPixelsError: If the sample has fewer than `k` distinct pixels.
        NoValidPixelsError: If no pixel is valid.
    """
    watch = progress or Silent()
    drawn = features.sample(sample, seed=seed, progress=Stage(watch, 0.0, _DRAWING))
    watch.report(_DRAWING, "Fitting clusters")
    return fit_centres(drawn, k=k, seed=seed, feature_names=features.names, progress=Stage(watch, _DRAWING, 1.0))


def fit_centres(
    sample: FloatArray, *, k: int, seed: int, feature_names: tuple[str, ...], progress: Progress | None = None
) -> KMeansModel:
    """Fit K-Means (scikit-learn's Lloyd) with a search for good centres, see `starts.search_centres`.

    Args:
        sample: Standardised features, shape (pixel, feature).
        k: Number of clusters, 2 … 254.
        seed: Same sample and seed, same centres.
        feature_names: What the columns are.
        progress: Where to report.

    Raises:
        ClusteringError: If `k` is out of range.
        TooFewDistinctPixelsError: If the sample has fewer than `k` distinct pixels.
    """
    check_k(k)
    check_distinct(sample, k)
    fitted = search_centres(sample, k=k, seed=seed, progress=progress)
    order = np.argsort(-np.bincount(fitted.labels_, minlength=k), kind="stable")
    return KMeansModel(
        feature_names=feature_names,
        centres=np.asarray(fitted.cluster_centers_, dtype=np.float64)[order],
        inertia=float(fitted.inertia_) / len(sample),
        iterations=int(fitted.n_iter_),
        seed=seed,
    )


def check_k(k: int | Literal["auto"]) -> None:
    """Refuse a number of clusters that makes no sense.

    Raises:
        ClusteringError: If `k` is neither `"auto"` nor in 2 … 254.
    """
    if k == "auto":
        return
    if not isinstance(k, Integral) or isinstance(k, bool):
        raise ClusteringError(f"The number of clusters must be a whole number or 'auto', not {k!r}.")
    if not 2 <= k <= MAX_CLUSTERS:
        raise ClusteringError(f"The number of clusters must lie between 2 and {MAX_CLUSTERS}, not {k}.")


def check_distinct(sample: FloatArray, k: int) -> None:
    """Refuse more clusters than there are distinct pixels.

    Raises:
        TooFewDistinctPixelsError: If there are fewer than `k`.
    """
    distinct = count_distinct(sample, k)
    if distinct < k:
        raise TooFewDistinctPixelsError(
            f"The scene has {distinct} distinct valid pixel value{'s' if distinct != 1 else ''}, which cannot make {k} "
            f"clusters. {f'Choose K = {distinct} or less.' if distinct > 1 else 'It is constant: nothing to cluster.'}"
        )


def nearest(
    numbers: NumberArray, weights: FloatArray, bias: FloatArray, *, origin: FloatArray | None = None
) -> LabelArray:
    """Index (from 1) of the least of `weights @ (numbers - origin) + bias`.

    Args:
        numbers: Shape (feature, pixel).
        weights: Shape (cluster, feature), float32.
        bias: Shape (cluster,), float32.
        origin: Shape (feature,), float32; None: 0.

    Returns:
        Shape (pixel,), uint8; the lowest index wins a tie.
    """
    features, pixels = numbers.shape
    labels = np.empty(pixels, dtype=np.uint8)
    x, scores, closer, candidate = _buffers(features, len(weights))
    for start in range(0, pixels, TILE):
        stop = min(start + TILE, pixels)
        n = stop - start
        np.copyto(x[:, :n], numbers[:, start:stop], casting="unsafe")
        if origin is not None:
            x[:, :n] -= origin[:, None]
        np.matmul(weights, x[:, :n], out=scores[:, :n])
        label = labels[start:stop]
        label[:] = 1
        best = scores[0, :n]
        best += bias[0]
        for cluster in range(1, len(weights)):
            score = scores[cluster, :n]
            score += bias[cluster]
            np.less(score, best, out=closer[:n])
            np.minimum(best, score, out=best)
            # clusters come in rising order, so the last one that was closer is the greatest: no branch per pixel
            np.multiply(closer[:n].view(np.uint8), np.uint8(cluster + 1), out=candidate[:n])
            np.maximum(label, candidate[:n], out=label)
    return labels


def _buffers(features: int, clusters: int) -> tuple[FloatArray, FloatArray, Any, LabelArray]:
    """Scratch of this thread: allocating it anew for every block costs more than the arithmetic."""
    if getattr(_scratch, "shape", None) != (features, clusters):
        _scratch.shape = features, clusters
        _scratch.x = np.empty((features, TILE), np.float32)
        _scratch.scores = np.empty((clusters, TILE), np.float32)
        _scratch.closer = np.empty(TILE, bool)
        _scratch.candidate = np.empty(TILE, np.uint8)
    return _scratch.x, _scratch.scores, _scratch.closer, _scratch.candidate
