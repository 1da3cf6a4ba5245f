"""Gaussian mixture: clusters as ellipsoids, and how surely a pixel belongs to each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt, sqrt
from typing import Any, ClassVar, Self

import numpy as np

from s2dash.clustering.kmeans import check_distinct, check_k, fit_centres
from s2dash.clustering.model import PixelModel
from s2dash.errors import ClusteringError
from s2dash.features import FeatureStack
from s2dash.grid import BLOCK
from s2dash.progress import Named, Progress, Silent, Stage
from s2dash.types import BoolArray, FloatArray, LabelArray, NumberArray

FIT_PIXELS = 20_000
"""Most pixels the mixture is fitted on; covariances of ten bands need no more."""
REGULARISATION = 1e-3
"""Added to the variances, in squared standard deviations: a cluster cannot shrink onto a single value."""
_BLOCK_DENSITIES = 8_000_000
"""Densities computed in a block: half a second of one core."""
_SMALLER = 128, 64
_STARTING = 0.1
"""Share of a fit that K-Means takes."""
_TEXT = "Fitting the mixture"


@dataclass(frozen=True)
class GaussianMixtureModel(PixelModel):
    """Weights, means and shapes of the components, in standardised feature space."""

    feature_names: tuple[str, ...]
    """The features, in order."""
    weights: FloatArray
    """Shape (cluster,), sums to 1; the heaviest first."""
    means: FloatArray
    """Shape (cluster, feature)."""
    precisions: FloatArray
    """Cholesky factors of the inverse covariances, shape (cluster, feature, feature), upper triangular."""
    log_likelihood: float
    """Mean log-likelihood of a sampled pixel."""
    iterations: int
    """Steps of expectation-maximisation."""
    converged: bool
    """Whether it settled before the limit."""
    seed: int
    """What it was fitted with."""

    method: ClassVar[str] = "gmm"
    products: ClassVar[tuple[str, ...]] = ("membership",)

    @property
    def n_clusters(self) -> int:
        """Number of components."""
        return len(self.weights)

    @property
    def tile(self) -> int | None:
        """Side of the blocks that take about half a second each; the labels do not depend on it."""
        side = isqrt(_BLOCK_DENSITIES // self.n_clusters)
        return None if side >= BLOCK else side

    @property
    def smaller_tiles(self) -> tuple[int, ...]:
        """Sides of smaller blocks for where memory is short."""
        return tuple(side for side in _SMALLER if side < (self.tile or 0))

    def predict(self, features: FloatArray) -> LabelArray:
        """Most probable component, 1 … K, of standardised features of shape (feature, pixel)."""
        return np.asarray(self._log_joint(features).argmax(axis=0) + 1, dtype=np.uint8)

    def memberships(self, features: FloatArray) -> FloatArray:
        """Probability of every component, shape (cluster, pixel), of features of shape (feature, pixel)."""
        joint = self._log_joint(features)
        joint -= joint.max(axis=0)
        np.exp(joint, out=joint)
        joint /= joint.sum(axis=0)
        return joint

    def product(self, name: str, values: FloatArray, valid: BoolArray) -> FloatArray:
        """Probability of the component each pixel is given to, 0-1: low where two clusters overlap."""
        if name not in self.products:
            return super().product(name, values, valid)
        surest: FloatArray = self.memberships(values.reshape(len(values), -1)).max(axis=0)
        return surest.reshape(valid.shape)

    def describe(self) -> dict[str, Any]:
        """Settings and quality of the fit, from which the model can be made again."""
        return {
            "method": self.method,
            "k": self.n_clusters,
            "seed": self.seed,
            "log_likelihood": self.log_likelihood,
            "iterations": self.iterations,
            "converged": self.converged,
            "features": list(self.feature_names),
            "weights": self.weights.tolist(),
            "means": self.means.tolist(),
            "precisions": self.precisions.tolist(),
        }

    def arrays(self) -> dict[str, NumberArray]:
        """Weights, means and shapes."""
        return {"weights": self.weights, "means": self.means, "precisions": self.precisions}

    @classmethod
    def restore(cls, about: Mapping[str, Any], arrays: Mapping[str, NumberArray]) -> Self:
        """From `describe` and `arrays`."""
        names = tuple(about["features"])
        weights, means, precisions = (np.asarray(arrays[name]) for name in ("weights", "means", "precisions"))
        if means.shape != (len(weights), len(names)) or precisions.shape != (*means.shape, len(names)):
            raise ValueError(f"means of shape {means.shape} do not fit {len(names)} features")
        return cls(
            names,
            weights,
            means,
            precisions,
            about["log_likelihood"],
            about["iterations"],
            about["converged"],
            about["seed"],
        )

    def _log_joint(self, features: FloatArray) -> FloatArray:
        """Logarithm of weight times density, less a constant, shape (cluster, pixel), float32."""
        out = np.empty((self.n_clusters, features.shape[1]), dtype=np.float32)
        for cluster, (weight, mean, factor) in enumerate(zip(self.weights, self.means, self.precisions, strict=True)):
            turned = factor.T.astype(np.float32)
            distance = turned @ features
            distance -= (turned @ mean.astype(np.float32))[:, None]
            np.einsum("fp,fp->p", distance, distance, out=out[cluster])
            out[cluster] *= -0.5
            out[cluster] += np.float32(np.log(weight) + np.log(np.diagonal(factor)).sum())
        return out


def fit_gmm(
    features: FeatureStack, *, k: int, seed: int, sample: int, progress: Progress | None = None
) -> GaussianMixtureModel:
    """Fit a Gaussian mixture on a sample of a scene.

    Args:
        features: Of the scene.
        k: Number of components, 2 … 254.
        seed: Of sample and starts.
        sample: Pixels to draw.
        progress: Where to report.

    Raises:
        ClusteringError: If `k` is out of range, or the pixels are too few for the shapes asked for.
        TooFewDistinctPixelsError: If the sample has fewer than `k` distinct pixels.
        NoValidPixelsError: If no pixel is valid.
    """
    watch = progress or Silent()
    drawn = features.sample(sample, seed=seed, progress=Stage(watch, 0.0, 0.05))
    return fit_mixture(drawn, k=k, seed=seed, feature_names=features.names, progress=Stage(watch, 0.05, 1.0))


def fit_mixture(
    sample: FloatArray, *, k: int, seed: int, feature_names: tuple[str, ...], progress: Progress | None = None
) -> GaussianMixtureModel:
    """Fit a Gaussian mixture with full covariances (scikit-learn), started from K-Means.

    Args:
        sample: Standardised features, shape (pixel, feature).
        k: Number of components, 2 … 254.
        seed: Same sample and seed, same mixture.
        feature_names: What the columns are.
        progress: Where to report.

    Raises:
        ClusteringError: If `k` is out of range, or the pixels are too few for the shapes asked for.
        TooFewDistinctPixelsError: If the sample has fewer than `k` distinct pixels.
    """
    check_k(k)
    check_distinct(sample, k)
    few = 2 * k * sample.shape[1]
    if len(sample) < few:
        raise ClusteringError(
            f"A mixture of {k} components on {sample.shape[1]} features needs at least {few} pixels; there are "
            f"{len(sample)}. Choose a smaller K, fewer features, or K-Means."
        )
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng([seed, 2])
    if len(sample) > FIT_PIXELS:
        sample = sample[rng.choice(len(sample), FIT_PIXELS, replace=False)]
    watch = progress or Silent()
    starting = Named(Stage(watch, 0.0, _STARTING), _TEXT)
    start = fit_centres(sample, k=k, seed=seed, feature_names=feature_names, progress=starting).centres
    mixture = GaussianMixture(k, means_init=start, reg_covar=REGULARISATION, max_iter=200, random_state=seed)
    _follow(mixture, Stage(watch, _STARTING, 1.0))
    # one thread, as in K-Means: the same input must give the same map; and no warning, `converged` says it
    with threadpool_limits(limits=1), _quiet():
        mixture.fit(sample.astype(np.float64))
    order = np.argsort(-mixture.weights_, kind="stable")
    return GaussianMixtureModel(
        feature_names=feature_names,
        weights=mixture.weights_[order],
        means=mixture.means_[order],
        precisions=mixture.precisions_cholesky_[order],
        log_likelihood=float(mixture.lower_bound_),
        iterations=int(mixture.n_iter_),
        converged=bool(mixture.converged_),
        seed=seed,
    )


def _follow(mixture: Any, progress: Progress) -> None:
    """Let a mixture report before each half of a step: scikit-learn has no other way in, and its numbers stay.

    To fit a few steps at a time with `warm_start` would cost an expectation more each time, a third of a step.
    """
    expect, maximise = mixture._e_step, mixture._m_step
    bounds: list[float] = []
    share = 0.0

    def expecting(*args: Any, **kwargs: Any) -> Any:
        nonlocal share
        if len(bounds) > 1:
            gain = abs(bounds[-1] - bounds[-2])
            # gains fall about with the square of the number of steps; it has settled when one is below the tolerance
            share = max(share, len(bounds) / mixture.max_iter, min(sqrt(mixture.tol / max(gain, mixture.tol)), 0.98))
        progress.report(share, _TEXT)
        found = expect(*args, **kwargs)
        bounds.append(float(found[0]))
        return found

    def maximising(*args: Any, **kwargs: Any) -> Any:
        progress.report(share, _TEXT)
        return maximise(*args, **kwargs)

    mixture._e_step, mixture._m_step = expecting, maximising
    progress.report(0.0, _TEXT)


def _quiet() -> Any:
    """Keep scikit-learn's warning about too few steps from reaching the person."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    return warnings.catch_warnings(action="ignore", category=ConvergenceWarning)
