"""Segment Anything: a pretrained network outlines objects, which are grouped as wholes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from s2dash.clustering.kmeans import check_k
from s2dash.clustering.networks import device
from s2dash.clustering.sam_masks import automatic_masks, fill_gaps, paint
from s2dash.clustering.sam_weights import find_weights, load_network, peak_bytes, weights_hash, weights_status
from s2dash.clustering.segments import SegmentArray, SegmentGroups, SegmentModel, describe_segments, fit_groups
from s2dash.clustering.slic import fill_invalid, superpixels
from s2dash.clustering.windows import draw_windows
from s2dash.errors import ClusteringError, WeightsError
from s2dash.features import FeatureStack
from s2dash.memory import check_fits
from s2dash.progress import Progress, Silent, Stage
from s2dash.types import BoolArray, FloatArray, NumberArray

DEFAULT_WEIGHTS = "facebook/sam-vit-base"
"""The smallest of the published weights."""
TILE = 512
"""Side of the blocks a picture is made of, pixels."""
HALO = 64
"""Surroundings that a block is outlined with, pixels."""
TRUE_COLOUR = ("B04", "B03", "B02")
"""What the network sees; it was trained on photographs."""
STRETCH = (2.0, 98.0)
"""Percentiles of the scene that become black and full colour."""
_FILL_SIZE, _FILL_COMPACTNESS = 64, 0.6
"""Superpixels where the network outlines nothing."""


@dataclass(frozen=True)
class Colours:
    """How features become the picture that the network sees."""

    channels: tuple[str, ...]
    """Features shown as red, green and blue."""
    black: FloatArray
    """Standardised values shown as 0, shape (3,)."""
    white: FloatArray
    """Standardised values shown as 255, shape (3,)."""

    @classmethod
    def fit(cls, names: tuple[str, ...], windows: list[tuple[FloatArray, BoolArray]]) -> Self:
        """True colour where its bands are there, else the first three features, stretched between percentiles.

        Args:
            names: Of the features.
            windows: Features and validity, each.
        """
        channels = TRUE_COLOUR if set(TRUE_COLOUR) <= set(names) else (names * 3)[:3] if len(names) < 3 else names[:3]
        chosen = [names.index(name) for name in channels]
        seen = np.concatenate([values[chosen][:, valid] for values, valid in windows], axis=1)
        black, white = np.percentile(seen, STRETCH, axis=1)
        return cls(channels, black, np.where(white > black, white, black + 1))

    def picture(self, names: tuple[str, ...], values: FloatArray, valid: BoolArray) -> NDArray[np.uint8]:
        """Picture of a block, shape (y, x, 3)."""
        shown = fill_invalid(values[[names.index(name) for name in self.channels]], valid)
        scaled = (np.moveaxis(shown, 0, -1) - self.black) / (self.white - self.black)
        return np.asarray(np.clip(scaled * 255, 0, 255).round(), dtype=np.uint8)


@dataclass(frozen=True)
class SAMModel(SegmentModel):
    """Groups of objects that Segment Anything outlines; holds which weights it was fitted with, not the weights."""

    weights: str
    """Folder or name on the hub."""
    sha256: str
    """Of the weights' file: other weights outline other objects."""
    points: int
    """Prompts along the longer side of a block."""
    colours: Colours
    """What the network sees."""
    outlined: float
    """Share of the ground in the fitting windows that the network outlined, 0-1; the rest is superpixels."""
    network_bytes: int
    """Peak memory of the network on one block."""
    _loaded: list[tuple[Any, Any]] = field(default_factory=list, repr=False, compare=False)

    method: ClassVar[str] = "sam"
    threaded: ClassVar[bool] = False

    @property
    def tile(self) -> int:
        """Side of the blocks."""
        return TILE

    @property
    def halo(self) -> int:
        """Surroundings of a block."""
        return HALO

    @property
    def bytes_per_pixel(self) -> int:
        """The network's memory does not depend on the block; it is spread over the pixels of the largest one."""
        return self.network_bytes // (TILE + 2 * HALO) ** 2 + 12 * len(self.feature_names) + 96

    @property
    def notes(self) -> tuple[str, ...]:
        """What the network saw, if not true colour, and how much of the ground it outlined, if little."""
        notes = []
        if self.colours.channels != TRUE_COLOUR:
            seen = ", ".join(self.colours.channels)
            notes.append(f"The bands for true colour are not all there: Segment Anything saw {seen} instead.")
        if self.outlined < 0.5:
            notes.append(
                f"Segment Anything outlined {self.outlined:.0%} of the ground; the rest was cut into superpixels. More "
                "points find smaller objects."
            )
        return tuple(notes)

    def segment(self, values: FloatArray, valid: BoolArray) -> SegmentArray:
        """Objects of a block, and superpixels between them.

        Raises:
            WeightsError: If the weights are no longer where they were, or are others.
        """
        if not valid.any():
            return np.zeros(valid.shape, dtype=np.int32)
        if not self._loaded:
            self._loaded.append(_ready(_same_weights(self.weights, self.sha256)))
        picture = self.colours.picture(self.feature_names, values, valid)
        return cut_objects(*self._loaded[0], picture, values, valid, points=self.points)[0]

    def describe(self) -> dict[str, Any]:
        """Settings and quality of the fit."""
        return {
            **super().describe(),
            "weights": self.weights,
            "sha256": self.sha256,
            "points": self.points,
            "channels": list(self.colours.channels),
            "black": self.colours.black.tolist(),
            "white": self.colours.white.tolist(),
            "outlined": self.outlined,
            "network_bytes": self.network_bytes,
        }

    @classmethod
    def restore(cls, about: Mapping[str, Any], arrays: Mapping[str, NumberArray]) -> Self:
        """From `describe` and `arrays`; the weights are looked for where they were.

        Raises:
            WeightsError: If the weights are not there any more, or are others.
        """
        names, channels = tuple(about["features"]), tuple(about["channels"])
        groups = SegmentGroups.restore(about, arrays, features=len(names))
        black, white = (np.asarray(about[key], dtype=np.float64) for key in ("black", "white"))
        if len(channels) != 3 or not set(channels) <= set(names) or not black.shape == white.shape == (3,):
            raise ValueError(f"channels {channels} do not fit the features {names}")
        weights, sha256, points = str(about["weights"]), str(about["sha256"]), int(about["points"])
        _check_points(points)
        _same_weights(weights, sha256)
        colours = Colours(channels, black, white)
        outlined, network_bytes = float(about["outlined"]), int(about["network_bytes"])
        return cls(names, groups, int(about["seed"]), weights, sha256, points, colours, outlined, network_bytes)


def cut_objects(
    network: Any,
    prepare: Any,
    picture: NDArray[np.uint8],
    values: FloatArray,
    valid: BoolArray,
    *,
    points: int,
    progress: Progress | None = None,
) -> tuple[SegmentArray, float]:
    """Segments of a block: what the network outlines, and superpixels between.

    Args:
        network: `transformers.SamModel`.
        prepare: `transformers.SamImageProcessorPil`.
        picture: What the network sees, shape (y, x, 3).
        values: Standardised features, shape (feature, y, x).
        valid: Shape (y, x), somewhere true.
        points: Prompts along the longer side.
        progress: Where to report.

    Returns:
        Segment of each pixel, shape (y, x), 0 where not valid, and the share of the valid pixels that the network
        outlined, 0-1.
    """
    masks = automatic_masks(network, prepare, picture, valid, points=points, progress=progress)
    objects = paint(masks.inside)
    between = superpixels(values, valid, segment_size=_FILL_SIZE, compactness=_FILL_COMPACTNESS)
    return fill_gaps(objects, between), float((objects[valid] > 0).mean())


def fit_sam(
    features: FeatureStack,
    *,
    k: int,
    seed: int,
    sample: int,
    progress: Progress | None = None,
    weights: str = DEFAULT_WEIGHTS,
    points: int = 16,
    download: int = 0,
) -> SAMModel:
    """Outline objects in windows of a scene and group those by mean and spread of their features.

    Args:
        features: Of the scene.
        k: Number of clusters, 2 … 254.
        seed: Of windows and starts.
        sample: Pixels the windows hold together; at least four windows of 512 × 512 and at most eight, if the scene is
            so large.
        progress: Where to report.
        weights: A folder that holds them, or a name on the Hugging Face hub; see `weights_status`.
        points: Prompts along the longer side of a block, 2 … 64.
        download: 1 allows to fetch weights that are not on this machine.

    Raises:
        ClusteringError: If a setting is out of range.
        WeightsError: If the weights are missing, damaged, of another kind of network, or would have to be fetched.
        TooFewDistinctPixelsError: If the windows have fewer than `k` distinct segments.
        NoValidPixelsError: If no pixel is valid.
        TooLargeError: If the network does not fit in memory.
    """
    check_k(k)
    _check_points(points)
    watch = progress or Silent()
    folder = find_weights(weights, download=bool(download), progress=Stage(watch, 0.0, 0.2))
    needed = peak_bytes(folder)
    check_fits(needed, what="Segment Anything", way_out="Close other programs, or choose superpixels (slic).")
    count = min(max(-(-sample // TILE**2), 4), 8)
    windows = draw_windows(features, side=TILE, count=count, seed=seed, progress=Stage(watch, 0.2, 0.25))
    colours = Colours.fit(features.names, windows)
    watch.report(0.25, "Loading weights")
    sha256 = weights_hash(folder)
    loaded = _ready(folder)
    described, outlined = [], 0.0
    for number, (values, valid) in enumerate(windows):
        part = Stage(watch, *(0.3 + 0.6 * (number + step) / len(windows) for step in (0, 1)))
        picture = colours.picture(features.names, values, valid)
        segments, share = cut_objects(*loaded, picture, values, valid, points=points, progress=part)
        described.append(describe_segments(values, segments))
        outlined += share * int(valid.sum())
    watch.report(0.9, "Grouping segments")
    groups = fit_groups(described, k=k, seed=seed, progress=Stage(watch, 0.9, 1.0))
    outlined /= sum(int(valid.sum()) for _, valid in windows)
    model = SAMModel(features.names, groups, seed, weights, sha256, points, colours, outlined, needed)
    model._loaded.append(loaded)
    return model


def _ready(folder: Path) -> tuple[Any, Any]:
    network, prepare = load_network(folder)
    return network.to(device()), prepare


def _same_weights(name: str, sha256: str) -> Path:
    """The folder with the weights a model was fitted with.

    Raises:
        WeightsError: If they are not there, or others are.
    """
    folder = weights_status(name).folder
    if folder is None:
        raise WeightsError(
            f"The model was fitted with the weights {name}, which are not on this machine. Fetch them by fitting once "
            "with 'download' set to 1, or put them where they were."
        )
    if weights_hash(folder) != sha256:
        raise WeightsError(
            f"The weights in {folder} are not those that the model was fitted with (SHA-256 {sha256[:12]}…), so it "
            "would outline other objects. Put the former weights back, or fit anew."
        )
    return folder


def _check_points(points: int) -> None:
    if not 2 <= points <= 64:
        raise ClusteringError(f"Points a side are 2 to 64, not {points}.")
