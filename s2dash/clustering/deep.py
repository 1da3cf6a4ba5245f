"""Deep clustering: a convolutional network that teaches itself on one scene (Saha et al. 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from math import isqrt
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from s2dash.clustering import deep_network
from s2dash.clustering.kmeans import check_distinct, check_k
from s2dash.clustering.model import MAX_CLUSTERS, FittedModel
from s2dash.clustering.networks import device, load_state, one_thread, seeded, state_arrays
from s2dash.clustering.windows import check_side, draw_windows
from s2dash.errors import ClusteringError
from s2dash.features import FeatureStack
from s2dash.grid import BLOCK
from s2dash.progress import Progress, Silent, Stage
from s2dash.types import BoolArray, FloatArray, LabelArray, NumberArray

if TYPE_CHECKING:
    import torch

PATCH = 24
"""Side of the patches it learns from, pixels."""
SURVEY_SIDE = 64
"""Side of the windows that statistics and cluster sizes are taken from, pixels."""
SURVEY_COUNT = 16
"""Most of those windows."""
_CURVE = 400
"""Most points of the training curve that are kept."""
_BLOCK_ADDS = 1e10
"""Multiply-adds of a block: half a second of one core."""
_TILES = 80, 256
"""Least and most side of the blocks, where they are not as large as memory allows: smaller ones are mostly halo, and
larger ones leave the cache of the processor, which costs a third of the time."""
_SMALLER = 128, 64


@dataclass(frozen=True)
class DeepModel(FittedModel):
    """A trained network whose last layer says the cluster of each pixel.

    A label depends on the 11 × 11 pixels around it and on nothing else. In training, channel attention pools over each
    patch; here it uses the mean of what the survey's windows pooled to, kept with the weights, and batch norm the
    survey's statistics: so a map does not depend on where its blocks begin. Pixels without data count as 0 in every
    layer, exactly as those beyond the edge of the scene.
    """

    feature_names: tuple[str, ...]
    """The features, in order."""
    weights: dict[str, NumberArray]
    """All weights and statistics of the network by name, float32."""
    width: int
    """Channels of each convolution."""
    asked: int
    """Number of clusters asked for."""
    revived: int
    """Clusters that died in training and were seeded anew."""
    training: dict[str, list[float]]
    """`loss`, its two parts `cross_entropy` and `contrast`, and `clusters` in use in the batch, by step (thinned)."""
    seed: int
    """What it was fitted with."""
    epochs: int
    """Passes over the patches."""
    inner_steps: int
    """Steps on each batch of patches."""
    patches: int
    """Patches it learnt from."""

    method: ClassVar[str] = "deep"

    @property
    def n_clusters(self) -> int:
        """Clusters that are in use."""
        return len(self.weights["head.bias"])

    @property
    def halo(self) -> int:
        """One pixel for each convolution."""
        return deep_network.LAYERS

    @property
    def tile(self) -> int | None:
        """Side of the blocks that take about half a second each; the labels do not depend on it."""
        layers = 9 * self.width * (len(self.feature_names) + (deep_network.LAYERS - 1) * self.width)
        a_pixel = layers + self.width * self.n_clusters
        side = isqrt(int(_BLOCK_ADDS / a_pixel)) - 2 * self.halo
        return None if side >= BLOCK else min(max(side, _TILES[0]), _TILES[1])

    @property
    def smaller_tiles(self) -> tuple[int, ...]:
        """Sides of smaller blocks for where memory is short."""
        return tuple(side for side in _SMALLER if side < (self.tile or 0))

    @property
    def bytes_per_pixel(self) -> int:
        """Input and output of a layer, a copy in between, and the scores."""
        return 4 * (3 * self.width + 2 * len(self.feature_names) + 2 * self.n_clusters) + 16

    @property
    def notes(self) -> tuple[str, ...]:
        """How many of the clusters asked for are in use."""
        said = []
        if self.n_clusters < self.asked:
            said.append(
                f"Of the {self.asked} clusters asked for, {self.n_clusters} are in use: the network sees no more that "
                "differ. Choose a smaller K, or another seed."
            )
        else:
            said.append(f"All {self.asked} clusters asked for are in use.")
        if self.revived:
            said.append(
                f"{self.revived} cluster{'s' if self.revived > 1 else ''} died out in training and took half of the "
                "then largest cluster instead."
            )
        return tuple(said)

    def label(self, values: FloatArray, valid: BoolArray) -> LabelArray:
        """Cluster of the highest score, shape (y, x)."""
        import torch

        network = self._network
        where = network.pooled.device
        mask = None if valid.all() else torch.from_numpy(valid[None, None].astype(np.float32)).to(where)  # type: ignore[arg-type]
        x = torch.from_numpy(np.ascontiguousarray(values[None])).to(where)  # type: ignore[arg-type]
        with torch.inference_mode(), one_thread():
            x = deep_network.convolve(network, (x.to(memory_format=torch.channels_last), mask))
            x *= deep_network.attention(network, network.pooled)[:, None, None]  # type: ignore[arg-type]
            best = network["head"](x)[0].argmax(0)
        return np.asarray(best.cpu().numpy() + 1, dtype=np.uint8)

    def describe(self) -> dict[str, Any]:
        """Settings, training curve and clusters in use."""
        return {
            "method": self.method,
            "k": self.n_clusters,
            "asked": self.asked,
            "seed": self.seed,
            "features": list(self.feature_names),
            "width": self.width,
            "epochs": self.epochs,
            "inner_steps": self.inner_steps,
            "patches": self.patches,
            "revived": self.revived,
            "training": self.training,
        }

    def arrays(self) -> dict[str, NumberArray]:
        """The weights and statistics."""
        return dict(self.weights)

    @classmethod
    def restore(cls, about: Mapping[str, Any], arrays: Mapping[str, NumberArray]) -> Self:
        """From `describe` and `arrays`."""
        model = cls(
            feature_names=tuple(about["features"]),
            weights={name: np.asarray(array) for name, array in arrays.items()},
            width=int(about["width"]),
            asked=int(about["asked"]),
            revived=int(about["revived"]),
            training={name: list(values) for name, values in about["training"].items()},
            seed=int(about["seed"]),
            epochs=int(about["epochs"]),
            inner_steps=int(about["inner_steps"]),
            patches=int(about["patches"]),
        )
        if model.n_clusters != about["k"] or not 1 <= model.n_clusters <= MAX_CLUSTERS:
            raise ValueError(f"a head of {model.n_clusters} clusters does not fit K = {about['k']}")
        if not all(np.isfinite(array).all() for array in model.weights.values()):
            raise ValueError("some weights are not finite")
        _ = model._network  # raises ValueError where weights do not fit
        return model

    @cached_property
    def _network(self) -> torch.nn.ModuleDict:
        import torch

        with torch.device("meta"):  # draws no random numbers; the weights come from the file
            network = deep_network.build(len(self.feature_names), self.width, self.n_clusters)
        network = network.to_empty(device="cpu")
        load_state(network, self.weights)
        return network.eval().to(device())


def fit_deep(
    features: FeatureStack,
    *,
    k: int,
    seed: int,
    sample: int,
    progress: Progress | None = None,
    width: int = 64,
    epochs: int = 2,
    inner_steps: int = 50,
) -> DeepModel:
    """Train a network on patches of a scene, its own answers being what it learns from.

    Architecture and losses are those of Saha et al. 2022 (Unsupervised single-scene semantic segmentation for Earth
    observation, IEEE TGRS): five 3 × 3 convolutions, channel attention, a 1 × 1 convolution to K scores; the
    cross-entropy of the scores against their argmax, plus the mean of exp(-|y - y'|₁) between shuffled patches. Of our
    own: weights start centred, clusters start from K-Means of local mean and spread (with random ones, what is found is
    a whim of the seed), batch norm also holds the scores, and a cluster that dies takes half of the largest one.
    Patches have 24 × 24 pixels, and their number is bounded by multiply-adds, so that a fit takes about as long
    whatever the scene. A scene that holds a single patch has nothing to contrast.

    Args:
        features: Of the scene.
        k: Number of clusters asked for, 2 … 254; those not in use in the end are left out.
        seed: Of patches and weights; the same seed gives the same map on the same processor.
        sample: Pixels that statistics and sizes are taken from, in windows of 64 × 64, at most 16 of them.
        progress: Where to report.
        width: Channels of each convolution.
        epochs: Passes over the patches.
        inner_steps: Steps on each batch of 8 patches.

    Raises:
        ClusteringError: If `k` is out of range, the scene is smaller than 11 × 11, or hardly any pixel is valid.
        TooFewDistinctPixelsError: If the sample has fewer than `k` distinct pixels.
        NoValidPixelsError: If no pixel is valid.
    """
    check_k(k)
    check_side(features, side=2 * deep_network.LAYERS + 1, what="Deep clustering")
    watch = progress or Silent()
    check_distinct(features.sample(sample, seed=seed, progress=Stage(watch, 0.0, 0.01)), k)
    steps = epochs * inner_steps
    batches = deep_network.batch_count(len(features.names), width, k, pixels=deep_network.BATCH * PATCH**2, steps=steps)
    count = batches * deep_network.BATCH
    windows = draw_windows(features, side=PATCH, count=count, seed=seed, progress=Stage(watch, 0.01, 0.02))
    windows = [window for window in windows if window[1].sum() > 1]  # one pixel alone has no spread to normalise by
    wide = int(np.clip(sample // SURVEY_SIDE**2, 1, SURVEY_COUNT))
    surveyed = draw_windows(features, side=SURVEY_SIDE, count=wide, seed=seed, progress=Stage(watch, 0.02, 0.03))
    pixels = sum(int(valid.sum()) for _, valid in surveyed)
    if not windows or pixels < k:
        raise ClusteringError(
            f"Deep clustering found only {pixels} valid pixels in the places it looked at, too few for {k} clusters. "
            "Choose another date or area, a smaller K, or K-Means."
        )
    where = device()
    with seeded(seed), one_thread():
        network = deep_network.build(len(features.names), width, k, training=True).to(where)
        patches = deep_network.to_batches(windows, size=deep_network.BATCH, device=where)
        survey = deep_network.to_batches(surveyed, size=4, device=where)
        deep_network.start_head(
            network, survey, k=k, seed=seed, report=partial(watch.report, 0.03, "Starting the clusters")
        )
        curve, revived, seen = deep_network.train(
            network, patches, survey, epochs=epochs, inner_steps=inner_steps, progress=Stage(watch, 0.1, 1.0)
        )
    del network["head_norm"]  # folded into the head
    weights, bias = deep_network.get_head(network)
    found = (seen @ weights.T.astype(np.float32) + bias.astype(np.float32)).argmax(axis=1)
    counts = np.bincount(found, minlength=k)
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    state = state_arrays(network)
    state |= {name: np.ascontiguousarray(state[name][order]) for name in ("head.weight", "head.bias")}
    return DeepModel(
        feature_names=features.names,
        weights=state,
        width=width,
        asked=k,
        revived=revived,
        training={name: _thin(values) for name, values in curve.items()},
        seed=seed,
        epochs=epochs,
        inner_steps=inner_steps,
        patches=len(windows),
    )


def _thin(values: list[float]) -> list[float]:
    """At most `_CURVE` points: means of equal parts, six digits."""
    parts = np.array_split(np.asarray(values), min(len(values), _CURVE))
    return [round(float(part.mean()), 6) for part in parts]
