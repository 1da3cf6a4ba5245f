"""Segments: pieces of ground that belong together, described by their pixels and grouped as wholes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from s2dash.clustering.kmeans import check_k, nearest
from s2dash.clustering.model import MAX_CLUSTERS, FittedModel
from s2dash.clustering.starts import count_distinct, search_centres
from s2dash.errors import TooFewDistinctPixelsError
from s2dash.parallel import ordered_map
from s2dash.progress import Named, Progress, Silent, steps
from s2dash.types import BoolArray, FloatArray, LabelArray, NumberArray

SegmentArray = NDArray[np.int32]
"""Shape (y, x): number of the segment of each pixel from 1, 0 = none."""


@dataclass(frozen=True)
class SegmentDescriptors:
    """What the pixels of each segment look like together."""

    values: FloatArray
    """Mean, then standard deviation of every feature, shape (segment, 2 * feature), float32; 0 where empty."""
    pixels: NDArray[np.int64]
    """Pixels that count, shape (segment,)."""


def describe_segments(values: FloatArray, segments: SegmentArray) -> SegmentDescriptors:
    """Mean and spread of the features of every segment.

    Args:
        values: Features, shape (feature, y, x).
        segments: Segment of each pixel; those of number 0 count nowhere.

    Returns:
        Row `n` is segment `n`; row 0 is empty.
    """
    flat = segments.ravel()
    count = int(flat.max(initial=0)) + 1
    pixels = np.bincount(flat, minlength=count)
    pixels[0] = 0
    shares = 1.0 / np.maximum(pixels, 1)
    described = np.zeros((count, 2 * len(values)), dtype=np.float32)
    for feature, value in enumerate(values):
        weights = value.ravel().astype(np.float64)
        mean = np.bincount(flat, weights, minlength=count) * shares
        weights -= mean[flat]  # centred first: the difference of two large squares would lose the spread in rounding
        weights *= weights
        described[:, feature] = mean
        described[:, len(values) + feature] = np.sqrt(np.bincount(flat, weights, minlength=count) * shares)
    described[0] = 0
    return SegmentDescriptors(described, pixels)


@dataclass(frozen=True)
class SegmentGroups:
    """Groups of segments that look alike: K-Means centres in the space of their descriptors."""

    centres: FloatArray
    """Shape (cluster, 2 * feature), float64: means, then spreads; that of most pixels first."""
    inertia: float
    """Mean squared distance of a pixel's segment to its centre."""
    segments: int
    """Segments it was fitted on."""

    def predict(self, descriptors: FloatArray) -> LabelArray:
        """Nearest centre, 1 … K, of descriptors of shape (segment, 2 * feature)."""
        bias = (self.centres**2).sum(axis=1).astype(np.float32)
        return nearest(descriptors.T, (-2 * self.centres).astype(np.float32), bias)

    @classmethod
    def restore(cls, about: Mapping[str, Any], arrays: Mapping[str, NumberArray], *, features: int) -> Self:
        """From what `SegmentModel` describes.

        Raises:
            KeyError: If something is missing.
            ValueError: If it makes no sense.
        """
        centres = np.asarray(arrays["centres"], dtype=np.float64)
        if centres.ndim != 2 or centres.shape[1] != 2 * features or not 1 <= len(centres) <= MAX_CLUSTERS:
            raise ValueError(f"centres of shape {centres.shape} do not fit {features} features")
        if not np.isfinite(centres).all():
            raise ValueError("centres that are not finite")
        return cls(centres, float(about["inertia"]), int(about["segments"]))


def fit_groups(
    described: Iterable[SegmentDescriptors], *, k: int, seed: int, progress: Progress | None = None
) -> SegmentGroups:
    """Group segments by their mean and spread, each weighing as much as it has pixels.

    Mean and spread count alike and in the same unit, standard deviations of the scene's pixels: scaling each to unit
    variance over the segments instead blows up the noise of the spreads, and the groups follow the classes less.

    Args:
        described: Descriptors of the segments of some windows.
        k: Number of groups, 2 … 254.
        seed: Same segments and seed, same groups.
        progress: Where to report.

    Raises:
        ClusteringError: If `k` is out of range.
        TooFewDistinctPixelsError: If there are fewer than `k` distinct segments.
    """
    check_k(k)
    watch = Named(progress or Silent(), "Grouping segments")
    every = list(described)
    pixels = np.concatenate([part.pixels for part in every])
    values = np.concatenate([part.values for part in every])[pixels > 0]
    weights = pixels[pixels > 0].astype(np.float64)
    distinct = count_distinct(values, k)
    if distinct < k:
        raise TooFewDistinctPixelsError(
            f"The scene has {distinct} distinct segment{'s' if distinct != 1 else ''}, which cannot make {k} clusters. "
            f"{f'Choose K = {distinct} or less.' if distinct > 1 else 'It is constant, or too small: choose K-Means.'}"
        )
    fitted = search_centres(values.astype(np.float64), k=k, seed=seed, weights=weights, progress=watch)
    order = np.argsort(-np.bincount(fitted.labels_, weights, minlength=k), kind="stable")
    centres = np.asarray(fitted.cluster_centers_, dtype=np.float64)[order]
    return SegmentGroups(centres, float(fitted.inertia_) / float(weights.sum()), len(values))


@dataclass(frozen=True)
class SegmentModel(FittedModel):
    """Cuts a block into segments and gives each the group it is most like: a map without salt and pepper."""

    feature_names: tuple[str, ...]
    """The features, in order."""
    groups: SegmentGroups
    """What segments are compared with."""
    seed: int
    """What it was fitted with."""

    @property
    def n_clusters(self) -> int:
        """Number of groups."""
        return len(self.groups.centres)

    @abstractmethod
    def segment(self, values: FloatArray, valid: BoolArray) -> SegmentArray:
        """Segments of a block.

        Args:
            values: Standardised features, shape (feature, y, x), float32; what they are where not valid is ignored.
            valid: Shape (y, x).

        Returns:
            Shape (y, x): 1 … where valid, 0 elsewhere.
        """

    def label(self, values: FloatArray, valid: BoolArray) -> LabelArray:
        """Labels of a block, shape (y, x): every segment has one."""
        segments = self.segment(values, valid)
        painted = self.groups.predict(describe_segments(values, segments).values)
        painted[0] = 0
        return painted[segments]

    def describe(self) -> dict[str, Any]:
        """Settings and quality of the fit."""
        return {
            "method": self.method,
            "k": self.n_clusters,
            "seed": self.seed,
            "features": list(self.feature_names),
            "inertia": self.groups.inertia,
            "segments": self.groups.segments,
        }

    def arrays(self) -> dict[str, NumberArray]:
        """Centres of the groups."""
        return {"centres": self.groups.centres}


def describe_windows(
    windows: Iterable[tuple[FloatArray, BoolArray]],
    segment: Callable[[FloatArray, BoolArray], SegmentArray],
    *,
    total: int,
    progress: Progress,
    threads: int | None = None,
) -> list[SegmentDescriptors]:
    """Segment windows and describe the segments.

    Args:
        windows: Features and validity, each.
        segment: Cuts a window into segments.
        total: How many windows there are.
        progress: Where to report.
        threads: How many windows at once; by default as many as there are cores.
    """

    def describe(window: tuple[FloatArray, BoolArray]) -> SegmentDescriptors:
        values, valid = window
        return describe_segments(values, segment(values, valid))

    done = ordered_map(describe, windows, threads=threads)
    return list(steps(done, total=total, progress=progress, text="Cutting segments"))
