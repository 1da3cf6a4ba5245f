"""Superpixels: small even segments that follow the spectra, grouped as wholes; needs no weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar, Self

import numpy as np

from s2dash.clustering.kmeans import check_k
from s2dash.clustering.segments import SegmentArray, SegmentGroups, SegmentModel, describe_windows, fit_groups
from s2dash.clustering.windows import draw_windows
from s2dash.errors import ClusteringError
from s2dash.features import FeatureStack
from s2dash.progress import Progress, Silent, Stage
from s2dash.types import BoolArray, FloatArray, NumberArray

WINDOW = 128
"""Least side of the windows that segments are drawn from, pixels."""
FIT_PIXELS = (400_000, 2_000_000)
"""Fewest and most pixels that all windows together are meant to hold."""
TILE = 384
"""About the side of the blocks a map is made in, pixels."""
HALO = 6
"""Segment sides of surroundings that a block is segmented with: at the seams of blocks, 99 % of the labels then are
those that the neighbour would have given; with 3 it is 93 %, and with seeds that are not aligned 80 %."""


def superpixels(values: FloatArray, valid: BoolArray, *, segment_size: int, compactness: float) -> SegmentArray:
    """Superpixels by simple linear iterative clustering (Achanta et al. 2012, section 3; scikit-image).

    Seeds lie on a regular grid from the upper left corner, so that blocks whose corners are whole segment sides apart
    get the same seeds where they overlap.

    Args:
        values: Standardised features, shape (feature, y, x), float32; what they are where not valid is ignored.
        valid: Shape (y, x).
        segment_size: Mean size of a segment, pixels.
        compactness: Root-mean-square difference of the features that weighs as much as one segment side of distance,
            in standard deviations.

    Returns:
        Shape (y, x): 1 … where valid, 0 elsewhere.
    """
    from skimage.segmentation import slic

    if not valid.any():
        return np.zeros(valid.shape, dtype=np.int32)
    image = np.moveaxis(fill_invalid(values, valid), 0, -1)
    # scikit-image scales every block to 0-1 by its own extremes, and compactness would mean something else in each
    extent = float(image.max() - image.min()) or 1.0
    height, width = valid.shape
    segments = slic(
        image,
        n_segments=max(height * width // segment_side(segment_size) ** 2, 1),
        compactness=compactness * sqrt(len(values)) / extent,
        convert2lab=False,
        channel_axis=-1,
    )
    return np.where(valid, segments, 0).astype(np.int32)


def segment_side(segment_size: int) -> int:
    """Distance between seeds, pixels."""
    return max(round(sqrt(segment_size)), 1)


def fill_invalid(values: FloatArray, valid: BoolArray) -> FloatArray:
    """Values in which every pixel that is not valid is like the nearest valid one: no-data draws no edges of its own.

    Args:
        values: Shape (feature, y, x).
        valid: Shape (y, x), somewhere true.
    """
    if valid.all():
        return values
    from scipy.ndimage import distance_transform_edt

    rows, cols = distance_transform_edt(~valid, return_distances=False, return_indices=True)
    filled: FloatArray = values[:, rows, cols]
    return filled


@dataclass(frozen=True)
class SLICModel(SegmentModel):
    """Groups of superpixels."""

    segment_size: int
    """Mean size of a segment, pixels."""
    compactness: float
    """Difference of the features that weighs as much as one segment side of distance, standard deviations."""

    method: ClassVar[str] = "slic"

    @property
    def tile(self) -> int:
        """Side of the blocks, whole segment sides, so that neighbouring blocks share their seeds.

        None smaller is offered where memory is short: on simulated scenes, up to 0.05 % of the labels would be others.
        """
        side = segment_side(self.segment_size)
        return side * max(round(TILE / side), HALO)

    @property
    def halo(self) -> int:
        """Pixels around a block that its segments are computed with."""
        return HALO * segment_side(self.segment_size)

    @property
    def bytes_per_pixel(self) -> int:
        """Filled, scaled and weighted copies of the features, and numbers, distances and statistics of segments."""
        return 12 * len(self.feature_names) + 48

    def segment(self, values: FloatArray, valid: BoolArray) -> SegmentArray:
        """Superpixels of a block."""
        return superpixels(values, valid, segment_size=self.segment_size, compactness=self.compactness)

    def describe(self) -> dict[str, Any]:
        """Settings and quality of the fit."""
        return {**super().describe(), "segment_size": self.segment_size, "compactness": self.compactness}

    @classmethod
    def restore(cls, about: Mapping[str, Any], arrays: Mapping[str, NumberArray]) -> Self:
        """From `describe` and `arrays`."""
        names = tuple(about["features"])
        groups = SegmentGroups.restore(about, arrays, features=len(names))
        size, compactness = int(about["segment_size"]), float(about["compactness"])
        _check_settings(size, compactness)
        return cls(names, groups, int(about["seed"]), size, compactness)


def fit_slic(
    features: FeatureStack,
    *,
    k: int,
    seed: int,
    sample: int,
    progress: Progress | None = None,
    segment_size: int = 64,
    compactness: float = 0.6,
) -> SLICModel:
    """Cut windows of a scene into superpixels and group those by mean and spread of their features.

    Args:
        features: Of the scene.
        k: Number of clusters, 2 … 254.
        seed: Of windows and starts.
        sample: Pixels the windows hold together; at least 400 000 and at most 2 million, if the scene has as many.
        progress: Where to report.
        segment_size: Mean size of a segment, pixels, 9 … 10 000.
        compactness: Difference of the features that weighs as much as one segment side of distance, standard
            deviations; higher values make squarer segments.

    Raises:
        ClusteringError: If a setting is out of range.
        TooFewDistinctPixelsError: If the windows have fewer than `k` distinct segments.
        NoValidPixelsError: If no pixel is valid.
    """
    check_k(k)
    _check_settings(segment_size, compactness)
    watch = progress or Silent()
    side = max(WINDOW, 8 * segment_side(segment_size))
    pixels = min(max(sample, FIT_PIXELS[0]), FIT_PIXELS[1])
    count = max(-(-pixels // side**2), 4)
    grouping = 0.95 - 0.3 * min(k / 60, 1)  # of 12 clusters a twelfth of the time, of 60 a third
    windows = draw_windows(features, side=side, count=count, seed=seed, progress=Stage(watch, 0.0, 0.05))
    described = describe_windows(
        windows,
        lambda values, valid: superpixels(values, valid, segment_size=segment_size, compactness=compactness),
        total=len(windows),
        progress=Stage(watch, 0.05, grouping),
    )
    groups = fit_groups(described, k=k, seed=seed, progress=Stage(watch, grouping, 1.0))
    return SLICModel(features.names, groups, seed, segment_size, compactness)


def _check_settings(segment_size: int, compactness: float) -> None:
    if not 9 <= segment_size <= 10_000:
        raise ClusteringError(f"A segment has 9 to 10,000 pixels in the mean, not {segment_size}.")
    if not 1e-4 <= compactness <= 100:
        raise ClusteringError(f"Compactness lies between 0.0001 and 100, not {compactness}.")
