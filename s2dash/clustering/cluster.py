"""The one verb: from features to a cluster map, whatever the method."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from rasterio.windows import Window

from s2dash.clustering.gmm import fit_gmm
from s2dash.clustering.kmeans import TILE, KMeansModel, check_k, fit_kmeans
from s2dash.clustering.model import ClusterMap, FittedModel
from s2dash.errors import ClusteringError, ModelMismatchError, NoValidPixelsError
from s2dash.features import DEFAULT_SAMPLE, FeatureStack
from s2dash.grid import blocks, slices
from s2dash.parallel import ordered_map
from s2dash.progress import Progress, Silent, Stage, steps
from s2dash.types import LabelArray, NumberArray

_FITS: dict[str, Callable[..., FittedModel]] = {"kmeans": fit_kmeans, "gmm": fit_gmm}
METHODS = tuple(_FITS)
"""Names of the clustering methods."""


def cluster(
    features: FeatureStack,
    *,
    method: str = "kmeans",
    k: int = 12,
    seed: int = 0,
    sample: int = DEFAULT_SAMPLE,
    progress: Progress | None = None,
) -> ClusterMap:
    """Group the pixels of a scene by likeness.

    Fits on a seeded sample of valid pixels and labels every block; same input, same map.

    Args:
        features: What to look at.
        method: One of `METHODS`.
        k: Number of clusters, 2 … 254.
        seed: Of sample and starts.
        sample: Pixels to fit on; fewer are used where there are fewer.
        progress: Where to report, and through which to cancel.

    Raises:
        ClusteringError: If the method is unknown or a setting is out of range.
        SampleError: If sample size or seed is out of range.
        TooFewDistinctPixelsError: If the scene has fewer distinct pixels than `k`.
        NoValidPixelsError: If no pixel is valid.
    """
    if method not in METHODS:
        raise ClusteringError(f"There is no clustering method {method!r}. Choose one of: {', '.join(METHODS)}.")
    check_k(k)
    if sample < k:
        raise ClusteringError(f"A sample of {sample} pixels cannot make {k} clusters. Draw at least some hundred.")
    watch = progress or Silent()
    drawn = features.sample(sample, seed=seed, progress=Stage(watch, 0.0, 0.3))
    watch.report(0.3, "Fitting clusters")
    model = _FITS[method](drawn, k=k, seed=seed, feature_names=features.names)
    labels = predict_map(features, model, progress=Stage(watch, 0.5, 1.0))
    settings = {**model.describe(), "sample": len(drawn), "standardiser": features.scaler.to_json()}
    return ClusterMap(grid=features.grid, labels=labels, model=model, settings=settings)


def predict_map(features: FeatureStack, model: FittedModel, *, progress: Progress | None = None) -> LabelArray:
    """Label every valid pixel of a scene with a fitted model.

    Returns:
        Shape (y, x), uint8: 0 = no data, 1 … K.

    Raises:
        ModelMismatchError: If the model was fitted on other features.
        NoValidPixelsError: If no pixel is valid.
    """
    if model.feature_names != features.names:
        raise ModelMismatchError(
            f"The model was fitted on {list(model.feature_names)}, but this scene offers {list(features.names)}. "
            "Choose the same bands and indices, or fit anew."
        )
    labels = np.zeros(features.grid.shape, dtype=np.uint8)
    windows = blocks(features.grid)

    def label(window: Window) -> None:
        labels[slices(window)] = _predict_block(features, model, window)

    from threadpoolctl import threadpool_limits

    watch = progress or Silent()
    with threadpool_limits(limits=1):  # the blocks already keep every core busy
        for _ in steps(ordered_map(label, windows), total=len(windows), progress=watch, text="Labelling pixels"):
            pass
    if not labels.any():
        raise NoValidPixelsError("No pixel of the scene is valid, so there is nothing to label.")
    return labels


def _predict_block(features: FeatureStack, model: FittedModel, window: Window) -> LabelArray:
    if features.halo:
        values, valid = features.block(window)
        labels = model.predict(values.reshape(len(values), -1))
        return np.where(valid, labels.reshape(valid.shape), np.uint8(0))
    numbers, valid = features.scene.read_numbers(window)
    if np.issubdtype(numbers.dtype, np.floating):
        numbers = np.where(valid, numbers, 0)
    flat: NumberArray = numbers.reshape(len(numbers), -1)
    labels = np.empty(flat.shape[1], dtype=np.uint8)
    for start in range(0, len(labels), TILE):  # small enough for bands and features to stay in cache
        part = flat[:, start : start + TILE]
        if features.affine is not None and isinstance(model, KMeansModel):
            gain, shift = features.affine
            labels[start : start + TILE] = model.predict_numbers(part, gain=gain, shift=shift)
        else:
            labels[start : start + TILE] = model.predict(features.of_numbers(part))
    return np.where(valid, labels.reshape(valid.shape), np.uint8(0))
