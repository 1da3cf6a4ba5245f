"""U-Net clustering: an encoder-decoder learns one scene by filling in hidden parts; what it has learnt is grouped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from s2dash.clustering import unet_network
from s2dash.clustering.kmeans import KMeansModel, check_distinct, check_k, fit_centres
from s2dash.clustering.model import MAX_CLUSTERS, FittedModel
from s2dash.clustering.networks import TrainingCurve, device, load_state, one_thread, seeded, state_arrays
from s2dash.clustering.windows import check_side, draw_windows
from s2dash.errors import ClusteringError
from s2dash.features import FeatureStack
from s2dash.progress import Progress, Silent, Stage
from s2dash.types import BoolArray, FloatArray, LabelArray, NumberArray

if TYPE_CHECKING:
    import torch

LEAST_SIDE = 16
"""Smallest side of a scene, pixels: at a quarter of the resolution four pixels are left."""
WINDOW = 40
"""Side of the windows it learns from, pixels."""
MOST_WINDOWS = 64
"""Most of those windows."""
SURVEY_SIDE = 128
"""Side of the windows whose features are grouped, pixels."""
HALO = 32
"""More than the 21 pixels that a label depends on, and a multiple of the coarsest level."""
TILE = 256
"""Side of the blocks it is applied in, pixels."""
SMALLER_TILES = (128, 64)
"""Sides where memory is short: multiples of twice `unet_network.CELL` too, so that the same squares are hidden."""


@dataclass(frozen=True)
class UNetModel(FittedModel):
    """A trained U-Net, and centres among the features of its last decoder stage.

    Through pooling, labels depend on where a block begins, but only to the multiple of 4 pixels, and blocks begin at
    multiples of 64, less 32 pixels of surroundings: more than a label depends on, so that blocks leave no seams.
    Pixels without data and those beyond the edge of the scene are both given as unknown.
    """

    feature_names: tuple[str, ...]
    """The features, in order."""
    weights: dict[str, NumberArray]
    """All weights and running statistics of the network by name."""
    mean: FloatArray
    """Mean of each decoder feature over the survey, shape (width,), float32."""
    spread: FloatArray
    """Standard deviation of each, shape (width,), float32; 1 for a constant one."""
    centres: FloatArray
    """Centres among the standardised decoder features, shape (cluster, width); the largest cluster first."""
    inertia: float
    """Mean squared distance of the survey's pixels to their centres, in decoder features."""
    width: int
    """Channels at full resolution."""
    training: TrainingCurve
    """Mean squared errors on hidden pixels, in squared standard deviations: 1 is what guessing the mean gives."""
    seed: int
    """What it was fitted with."""

    method: ClassVar[str] = "unet"
    products: ClassVar[tuple[str, ...]] = ("reconstruction_error",)

    @property
    def n_clusters(self) -> int:
        """Number of centres."""
        return len(self.centres)

    @property
    def halo(self) -> int:
        """Pixels around a block."""
        return HALO

    @property
    def tile(self) -> int:
        """Side of the blocks."""
        return TILE

    @property
    def smaller_tiles(self) -> tuple[int, ...]:
        """Smaller sides that give the same map."""
        return SMALLER_TILES

    @property
    def bytes_per_pixel(self) -> int:
        """Stages at full resolution side by side, and input and guess."""
        return 4 * (10 * self.width + 4 * len(self.feature_names)) + 16

    @property
    def notes(self) -> tuple[str, ...]:
        """How well hidden pixels are filled in."""
        explained = 1 - min(self.training.held_out)
        if explained < 0.1:
            return (
                "The U-Net hardly learnt to fill in what is hidden, so its clusters may say little. Choose a larger "
                "area, or K-Means.",
            )
        return (f"The U-Net fills in {100 * explained:.0f} % of the variance of hidden 4 × 4 pixel squares.",)

    def label(self, values: FloatArray, valid: BoolArray) -> LabelArray:
        """Nearest centre of the decoder features, shape (y, x)."""
        import torch

        with torch.inference_mode(), one_thread():
            x, known = self._tensors(values, valid)
            decoded = unet_network.decode(self._network, x, known)[0].cpu().numpy()
        flat = np.ascontiguousarray(decoded).reshape(self.width, -1)
        flat -= self.mean[:, None]
        flat /= self.spread[:, None]
        return self._grouping.predict(flat).reshape(valid.shape)

    def product(self, name: str, values: FloatArray, valid: BoolArray) -> FloatArray:
        """How unlike its surroundings a pixel is: root mean square over the features, in standard deviations.

        Each 4 × 4 square is hidden in turn (in four passes) and compared with what the network fills in.
        """
        if name not in self.products:
            return super().product(name, values, valid)
        import torch

        made = np.zeros(valid.shape, dtype=np.float32)
        with torch.inference_mode(), one_thread():
            x, known = self._tensors(values, valid)
            for hidden in unet_network.chequers(*valid.shape):
                shown = known * torch.from_numpy(~hidden).to(known.device)
                guess = self._network["head"](unet_network.decode(self._network, x, shown))
                error = (guess - x).square().mean(1)[0].sqrt().cpu().numpy()
                made[hidden] = error[hidden]
        return made

    def describe(self) -> dict[str, Any]:
        """Settings, training curve and quality of the grouping."""
        return {
            "method": self.method,
            "k": self.n_clusters,
            "seed": self.seed,
            "features": list(self.feature_names),
            "width": self.width,
            "inertia": self.inertia,
            "training": self.training.to_json(),
        }

    def arrays(self) -> dict[str, NumberArray]:
        """Weights, statistics and centres."""
        own = {"mean": self.mean, "spread": self.spread, "centres": self.centres}
        return own | {f"network/{name}": array for name, array in self.weights.items()}

    @classmethod
    def restore(cls, about: Mapping[str, Any], arrays: Mapping[str, NumberArray]) -> Self:
        """From `describe` and `arrays`."""
        model = cls(
            feature_names=tuple(about["features"]),
            weights={
                name.removeprefix("network/"): np.asarray(array)
                for name, array in arrays.items()
                if name.startswith("network/")
            },
            mean=np.asarray(arrays["mean"]),
            spread=np.asarray(arrays["spread"]),
            centres=np.asarray(arrays["centres"]),
            inertia=float(about["inertia"]),
            width=int(about["width"]),
            training=TrainingCurve.from_json(about["training"]),
            seed=int(about["seed"]),
        )
        one = (model.width,)
        if model.mean.shape != one or model.spread.shape != one or model.centres.shape[1:] != one:
            raise ValueError(f"centres of shape {model.centres.shape} do not fit {model.width} channels")
        if not 1 <= model.n_clusters <= MAX_CLUSTERS or not model.training.held_out:
            raise ValueError(f"{model.n_clusters} clusters, or no training curve")
        if not all(np.isfinite(array).all() for array in model.arrays().values()):
            raise ValueError("some numbers are not finite")
        _ = model._network  # raises ValueError where weights do not fit
        return model

    def _tensors(self, values: FloatArray, valid: BoolArray) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        where = next(self._network.parameters()).device
        x = torch.from_numpy(np.ascontiguousarray(values[None])).to(where)
        return x, torch.from_numpy(valid[None, None].astype(np.float32)).to(where)

    @cached_property
    def _network(self) -> torch.nn.ModuleDict:
        import torch

        with torch.device("meta"):  # draws no random numbers; the weights come from the file
            network = unet_network.build(len(self.feature_names), self.width)
        network = network.to_empty(device="cpu")
        load_state(network, self.weights)
        return network.eval().to(device())

    @cached_property
    def _grouping(self) -> KMeansModel:
        return KMeansModel(_channels(self.width), self.centres, self.inertia, 0, self.seed)


def fit_unet(
    features: FeatureStack, *, k: int, seed: int, sample: int, progress: Progress | None = None, width: int = 16
) -> UNetModel:
    """Train a U-Net (Ronneberger et al. 2015) on a scene by masked reconstruction, and group its decoder features.

    Random 4 × 4 squares are hidden, and the network learns to fill them in from around them (He et al. 2022, Masked
    autoencoders are scalable vision learners, sec. 3, with a convolutional network); reproducing what it sees counts
    half as much, without which single pixels hardly matter. It takes at most 200 steps on 8 windows of 40 × 40 each,
    fewer when windows kept aside get no better, so a fit takes about as long whatever the scene. The features of the
    last decoder stage are then standardised and grouped by K-Means.

    Args:
        features: Of the scene.
        k: Number of clusters, 2 … 254.
        seed: Of windows, weights and starts; the same seed gives the same map on the same processor.
        sample: Pixels whose decoder features are grouped.
        progress: Where to report.
        width: Channels at full resolution; doubled at each of the two levels below.

    Raises:
        ClusteringError: If `k` is out of range, the scene is smaller than 16 × 16, or hardly any pixel is valid.
        TooFewDistinctPixelsError: If the sample has fewer than `k` distinct pixels.
        NoValidPixelsError: If no pixel is valid.
    """
    check_k(k)
    check_side(features, side=LEAST_SIDE, what="The U-Net")
    watch = progress or Silent()
    check_distinct(features.sample(sample, seed=seed, progress=Stage(watch, 0.0, 0.05)), k)
    windows = draw_windows(features, side=WINDOW, count=MOST_WINDOWS, seed=seed, progress=Stage(watch, 0.05, 0.1))
    wide = max(-(-sample // SURVEY_SIDE**2), 1)
    surveyed = draw_windows(features, side=SURVEY_SIDE, count=wide, seed=seed, progress=Stage(watch, 0.1, 0.15))
    pixels = sum(int(valid.sum()) for _, valid in surveyed)
    if pixels < k:
        raise ClusteringError(
            f"The U-Net found only {pixels} valid pixels in the places it looked at, too few for {k} clusters. Choose "
            "another date or area, a smaller K, or K-Means."
        )
    with seeded(seed), one_thread():
        network = unet_network.build(len(features.names), width).to(device())
        curve = unet_network.train(network, windows, seed=seed, progress=Stage(watch, 0.15, 0.85))
        decoded = _decode(network, surveyed, width, progress=Stage(watch, 0.85, 0.95))
    if len(decoded) > sample:
        decoded = decoded[np.random.default_rng([seed, 6]).permutation(len(decoded))[:sample]]
    mean = decoded.mean(axis=0, dtype=np.float64).astype(np.float32)
    spread = decoded.std(axis=0, dtype=np.float64).astype(np.float32)
    spread = np.where(spread > 1e-6, spread, np.float32(1))
    watch.report(0.95, "Fitting clusters")
    names, last = _channels(width), Stage(watch, 0.95, 1.0)
    grouping = fit_centres((decoded - mean) / spread, k=k, seed=seed, feature_names=names, progress=last)
    return UNetModel(
        feature_names=features.names,
        weights=state_arrays(network),
        mean=mean,
        spread=spread,
        centres=grouping.centres,
        inertia=grouping.inertia,
        width=width,
        training=curve,
        seed=seed,
    )


def _decode(
    network: torch.nn.ModuleDict,
    windows: Sequence[tuple[FloatArray, BoolArray]],
    width: int,
    *,
    progress: Progress,
) -> FloatArray:
    """Decoder features of all valid pixels, shape (pixel, width)."""
    import torch

    where = next(network.parameters()).device
    found = [np.empty((0, width), dtype=np.float32)]
    with torch.inference_mode():
        for done, (values, valid) in enumerate(windows):
            progress.report(done / len(windows), "Looking at the scene through the U-Net")
            known = torch.from_numpy(valid[None, None].astype(np.float32)).to(where)
            decoded = unet_network.decode(network, torch.from_numpy(values[None]).to(where), known)[0]
            found.append(decoded.cpu().numpy()[:, valid].T)
    return np.concatenate(found)


def _channels(width: int) -> tuple[str, ...]:
    return tuple(f"channel {index}" for index in range(width))
