"""Autoencoder: a small network squeezes pixels or patches into a few numbers, and K-Means groups those."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np

from s2dash.clustering.kmeans import check_distinct, check_k, fit_centres, nearest
from s2dash.clustering.model import MAX_CLUSTERS, FittedModel
from s2dash.clustering.neighbourhoods import TILE_PIXELS, draw_neighbourhoods, neighbourhood_tiles
from s2dash.clustering.networks import Dense, TrainingCurve, apply_layers, device, minimise, one_thread
from s2dash.clustering.windows import check_side
from s2dash.errors import ClusteringError
from s2dash.features import FeatureStack
from s2dash.grid import BLOCK
from s2dash.progress import Progress, Silent, Stage
from s2dash.types import BoolArray, FloatArray, LabelArray, NumberArray

PATCHES = (1, 3, 5)
"""Sides of what a pixel is judged by, pixels; 1 is the pixel alone."""
MAX_LATENT = 64
"""Most numbers a pixel is squeezed into."""
HIDDEN = (64, 32)
"""Units of the encoder's hidden layers; the decoder's are the same in reverse."""
FIT_PIXELS = 50_000
"""Most pixels the network and the clusters learn from: more do not make the clusters better."""
FIT_BYTES = 256 * 1024**2
"""Most memory their patches take; where features are many, there are fewer patches."""
STEPS = 1000
"""Most steps of training."""
BATCH = 512
"""Patches a step."""
HELD_OUT = 0.1
"""Share of the sample that training does not see, and that says when to stop."""
_MOST_HELD_OUT = 4000
_EVERY, _PATIENCE = 50, 6
_RATE = 2e-3
_FLOOR = 1e-3
"""Least variance of a principal component, as a share of the largest: what is below it is mostly noise."""
_CLIP = 1.0
"""From here on an error counts in proportion and not squared (Huber 1964), so that odd pixels do not lead."""
_LITTLE = 0.75
"""Share of the spread that the latent numbers should at least keep."""


@dataclass(frozen=True)
class AutoencoderModel(FittedModel):
    """The halves of a trained autoencoder as plain arrays, and cluster centres between them."""

    feature_names: tuple[str, ...]
    """The features, in order."""
    patch: int
    """Side of what each pixel is judged by, pixels."""
    encoder: tuple[Dense, ...]
    """From patch² · feature inputs (patch row by row, all features of a pixel together) to the latent numbers."""
    decoder: tuple[Dense, ...]
    """From the latent numbers to the features of the pixel in the middle."""
    centres: FloatArray
    """Shape (cluster, latent), float64; the largest cluster of the sample first."""
    inertia: float
    """Mean squared distance of the sample to its centres, in latent space."""
    rmse: float
    """Root mean squared error of the reconstruction of held-out pixels, in standard deviations."""
    kept: float
    """Share of their variance that the latent numbers keep; 1 is all."""
    curve: TrainingCurve
    """How the training went."""
    asked: int
    """Latent size asked for."""
    fitted_on: int
    """Pixels that network and clusters were fitted on, the held-out ones included."""
    seed: int
    """What it was fitted with."""

    method: ClassVar[str] = "autoencoder"
    products: ClassVar[tuple[str, ...]] = ("reconstruction_error",)

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return len(self.centres)

    @property
    def latent(self) -> int:
        """Numbers each pixel is squeezed into."""
        return int(self.centres.shape[1])

    @property
    def halo(self) -> int:
        """Half of the patch."""
        return self.patch // 2

    @property
    def bytes_per_pixel(self) -> int:
        """A padded copy of the features, and what the network makes of the pixels that are labelled at a time."""
        copied = 4 * len(self.feature_names) + 1 if self.patch > 1 else 0
        numbers = self.patch**2 * len(self.feature_names) + sum(HIDDEN) + self.latent
        return 16 + copied + 16 * numbers * TILE_PIXELS // BLOCK**2  # in blocks down to half the usual side

    @property
    def notes(self) -> tuple[str, ...]:
        """Where the latent size does not fit the features."""
        said = []
        if self.latent < self.asked:
            said.append(
                f"{len(self.feature_names)} features cannot be squeezed into {self.asked} numbers; the latent size is "
                f"{self.latent}."
            )
        if self.kept < _LITTLE:
            said.append(
                f"The {self.latent} latent number{'s keep' if self.latent > 1 else ' keeps'} "
                f"{100 * max(self.kept, 0):.0f} % of what distinguishes the pixels; a larger latent size keeps more."
            )
        return tuple(said)

    def label(self, values: FloatArray, valid: BoolArray) -> LabelArray:
        """Cluster of the nearest centre in latent space, shape (y, x).

        Neighbours without data, and those beyond the edge, count as equal to the pixel in the middle.
        """
        last = self.encoder[-1]
        # the squared distance to a centre is, but for a term all share, linear in the latent numbers, and those are
        # linear in the last hidden layer: one product instead of two
        weights = -2 * self.centres @ last.weight
        bias = (self.centres**2).sum(axis=1) - 2 * self.centres @ last.bias
        labels = np.empty(valid.shape, dtype=np.uint8)
        for rows, x in neighbourhood_tiles(values, valid, side=self.patch):
            units = apply_layers(self.encoder[:-1], x)
            np.tanh(units, out=units)
            found = nearest(units, weights.astype(np.float32), bias.astype(np.float32))
            labels[rows] = found.reshape(-1, valid.shape[1])
        return labels

    def product(self, name: str, values: FloatArray, valid: BoolArray) -> FloatArray:
        """Root mean squared error over the features of each pixel as the network makes it again, standard deviations.

        High where a pixel (with its surroundings, for patches) is unlike what the network has learnt: odd pixels.
        """
        if name not in self.products:
            return super().product(name, values, valid)
        error = np.empty(valid.shape, dtype=np.float32)
        width = valid.shape[1]
        for rows, x in neighbourhood_tiles(values, valid, side=self.patch):
            made = apply_layers(self.decoder, apply_layers(self.encoder, x))
            made -= values[:, rows].reshape(len(values), -1)
            np.sqrt(np.einsum("fp,fp->p", made, made).reshape(-1, width) / np.float32(len(values)), out=error[rows])
        return error

    def describe(self) -> dict[str, Any]:
        """Settings, training curve and quality of the fit."""
        return {
            "method": self.method,
            "k": self.n_clusters,
            "seed": self.seed,
            "features": list(self.feature_names),
            "patch": self.patch,
            "latent": self.latent,
            "latent_asked": self.asked,
            "hidden": [len(layer.bias) for layer in self.encoder[:-1]],
            "fitted_on": self.fitted_on,
            "inertia": self.inertia,
            "reconstruction_rmse": self.rmse,
            "variance_kept": self.kept,
            "training": self.curve.to_json(),
        }

    def arrays(self) -> dict[str, NumberArray]:
        """Weights of both halves, and the centres."""
        arrays: dict[str, NumberArray] = {"centres": self.centres}
        for half, layers in (("encoder", self.encoder), ("decoder", self.decoder)):
            for index, layer in enumerate(layers):
                arrays[f"{half}.{index}.weight"], arrays[f"{half}.{index}.bias"] = layer.weight, layer.bias
        return arrays

    @classmethod
    def restore(cls, about: Mapping[str, Any], arrays: Mapping[str, NumberArray]) -> Self:
        """From `describe` and `arrays`."""
        names, patch, depth = tuple(about["features"]), int(about["patch"]), len(about["hidden"]) + 1
        centres = np.asarray(arrays["centres"], dtype=np.float64)
        encoder, decoder = (
            tuple(_restored(arrays, f"{half}.{index}") for index in range(depth)) for half in ("encoder", "decoder")
        )
        if patch not in PATCHES or not 1 <= len(centres) <= MAX_CLUSTERS or centres.ndim != 2:
            raise ValueError(f"a patch of {patch} pixels and centres of shape {centres.shape} make no model")
        widths = [len(names) * patch**2, *(len(layer.bias) for layer in (*encoder, *decoder))]
        shapes = [layer.weight.shape for layer in (*encoder, *decoder)]
        if shapes != list(zip(widths[1:], widths[:-1], strict=True)) or widths[-1] != len(names):
            raise ValueError(f"layers of shapes {shapes} do not fit {len(names)} features")
        if centres.shape[1] != widths[depth] or not all(np.isfinite(array).all() for array in arrays.values()):
            raise ValueError("the centres do not fit the network, or some numbers are not finite")
        return cls(
            feature_names=names,
            patch=patch,
            encoder=encoder,
            decoder=decoder,
            centres=centres,
            inertia=float(about["inertia"]),
            rmse=float(about["reconstruction_rmse"]),
            kept=float(about["variance_kept"]),
            curve=TrainingCurve.from_json(about["training"]),
            asked=int(about["latent_asked"]),
            fitted_on=int(about["fitted_on"]),
            seed=int(about["seed"]),
        )


def fit_autoencoder(
    features: FeatureStack,
    *,
    k: int,
    seed: int,
    sample: int,
    progress: Progress | None = None,
    patch: int = 1,
    latent: int = 8,
) -> AutoencoderModel:
    """Train an autoencoder on a sample of a scene, and fit K-Means to what it squeezes the sample into.

    Encoder and decoder are perceptrons (Hinton and Salakhutdinov 2006, Science 313) with tanh. They see principal
    components of the features, brought to the same variance where they are more than noise: bands are so alike that
    the loss would otherwise be that of two or three components, and what tells classes apart is often in the others.
    Training stops when the error on held-out pixels falls no further.

    Args:
        features: Of the scene.
        k: Number of clusters, 2 … 254.
        seed: Of sample, weights and batches; the same seed gives the same map on a processor of the same make.
        sample: Pixels to learn from; at most 50 000 are used, a tenth of which says when to stop.
        progress: Where to report.
        patch: Side of what each pixel is judged by, pixels: 1, 3 or 5.
        latent: Numbers it is squeezed into, 1 … 64; not more than there are features, where pixels are seen alone.

    Raises:
        ClusteringError: If `k`, `patch` or `latent` is out of range, or the scene is smaller than the patch.
        TooFewDistinctPixelsError: If the sample has fewer than `k` distinct pixels.
        NoValidPixelsError: If no pixel is valid.
    """
    check_k(k)
    if patch not in PATCHES:
        raise ClusteringError(f"The patch is {', '.join(map(str, PATCHES[:-1]))} or {PATCHES[-1]} pixels, not {patch}.")
    if not 1 <= latent <= MAX_LATENT:
        raise ClusteringError(f"The latent size must lie between 1 and {MAX_LATENT}, not {latent}.")
    check_side(features, side=patch, what=f"An autoencoder of {patch} × {patch} patches")
    watch = progress or Silent()
    most = max(min(sample, FIT_PIXELS, FIT_BYTES // (4 * patch**2 * len(features.names))), 1)
    drawing = Stage(watch, 0.0, 0.2)
    if patch == 1:
        drawn = features.sample(sample, seed=seed, progress=drawing)[:most, None]
    else:
        drawn = draw_neighbourhoods(features, side=patch, count=most, seed=seed, progress=drawing)
    middle = drawn[:, patch**2 // 2]
    check_distinct(middle, k)
    watch.report(0.2, "Training the autoencoder")
    encoder, decoder, curve, held = _train(
        drawn, latent=min(latent, drawn[0].size), seed=seed, progress=Stage(watch, 0.2, 0.8)
    )
    watch.report(0.8, "Fitting clusters")
    codes = apply_layers(encoder, drawn.reshape(len(drawn), -1).T)
    names = tuple(f"latent {index + 1}" for index in range(len(codes)))
    # not brought to equal variance: on two simulated and four real scenes that changed the mean agreement with the
    # truth or reference by less than 0.01, either way
    grouping = Stage(watch, 0.8, 1.0)
    centres = fit_centres(np.ascontiguousarray(codes.T), k=k, seed=seed, feature_names=names, progress=grouping)
    watch.report(1.0, "Fitting clusters")
    seen = middle[held].T
    error = float(np.mean((apply_layers(decoder, codes[:, held]) - seen) ** 2, dtype=np.float64))
    spread = float(np.mean((seen - middle.mean(axis=0)[:, None]) ** 2, dtype=np.float64))
    return AutoencoderModel(
        feature_names=features.names,
        patch=patch,
        encoder=encoder,
        decoder=decoder,
        centres=centres.centres,
        inertia=centres.inertia,
        rmse=math.sqrt(error),
        kept=1 - error / spread if spread else 1.0,
        curve=curve,
        asked=latent,
        fitted_on=len(drawn),
        seed=seed,
    )


def _train(
    drawn: FloatArray, *, latent: int, seed: int, progress: Progress
) -> tuple[tuple[Dense, ...], tuple[Dense, ...], TrainingCurve, slice]:
    """Train both halves.

    Args:
        drawn: Patches, shape (pixel, patch², feature).
        latent: Numbers between the halves.
        seed: Of weights and batches.
        progress: Where to report.

    Returns:
        Encoder of the features as they are, decoder to the features of the pixel in the middle, the training curve,
        and which of the patches were held out.
    """
    import torch

    pixels, area, bands = drawn.shape
    mean, whitening, unwhitening = _whitening(drawn[:, area // 2])
    rng = np.random.default_rng([seed, 7])
    widths = (area * bands, *HIDDEN, latent, *HIDDEN[::-1], area * bands)
    start = [Dense.drawn(a, b, rng=rng) for a, b in pairwise(widths)]
    held = slice(0, max(1, min(round(HELD_OUT * pixels), _MOST_HELD_OUT)))
    where = device()
    with one_thread():
        parameters = [
            torch.from_numpy(array).to(where).requires_grad_()
            for layer in start
            for array in (layer.weight, layer.bias)
        ]
        x = torch.from_numpy(((drawn - mean) @ whitening).reshape(pixels, -1)).to(where)
        seen = x[held.stop :] if pixels > held.stop else x

        def error(inputs: torch.Tensor) -> torch.Tensor:
            made = inputs
            for index in range(0, len(parameters), 2):
                made = torch.nn.functional.linear(made, parameters[index], parameters[index + 1])
                if index + 2 not in (len(parameters) // 2, len(parameters)):  # latent numbers and outputs stay linear
                    made = made.tanh()
            return torch.nn.functional.huber_loss(made, inputs, delta=_CLIP)

        curve = minimise(
            parameters,
            loss=lambda: error(seen[torch.from_numpy(rng.integers(0, len(seen), BATCH)).to(where)]),
            held_out=lambda: error(x[held]),
            steps=STEPS,
            every=_EVERY,
            patience=_PATIENCE,
            rate=_RATE,
            progress=progress,
            text="Training the autoencoder",
        )
        trained = [parameter.detach().cpu().numpy() for parameter in parameters]
    layers = [Dense(weight, bias) for weight, bias in zip(trained[::2], trained[1::2], strict=True)]
    first, last, depth = layers[0], layers[-1], len(HIDDEN) + 1
    # whitening goes into the first layer and comes back out of the last, so that features go in and out as they are
    inward = first.weight.reshape(-1, area, bands)
    outward = last.weight.reshape(area, bands, -1)[area // 2]
    layers[0] = Dense(
        (inward @ whitening.T).reshape(len(inward), -1), first.bias - (inward @ whitening.T @ mean).sum(axis=1)
    )
    layers[-1] = Dense(unwhitening.T @ outward, unwhitening.T @ last.bias.reshape(area, bands)[area // 2] + mean)
    return tuple(layers[:depth]), tuple(layers[depth:]), curve, held


def _whitening(sample: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean, the matrix to principal components of unit variance, and its inverse, of a (pixel, feature) sample."""
    mean = sample.mean(axis=0, dtype=np.float64)
    variance, turn = np.linalg.eigh(np.atleast_2d(np.cov(sample.T.astype(np.float64), bias=True)))
    spread = np.sqrt(np.maximum(variance, _FLOOR * variance.max()))
    return mean.astype(np.float32), (turn / spread).astype(np.float32), (turn * spread).T.astype(np.float32)


def _restored(arrays: Mapping[str, NumberArray], name: str) -> Dense:
    weight, bias = (np.asarray(arrays[f"{name}.{part}"], dtype=np.float32) for part in ("weight", "bias"))
    if weight.ndim != 2 or bias.shape != weight.shape[:1]:
        raise ValueError(f"layer {name} has shapes {weight.shape} and {bias.shape}")
    return Dense(weight, bias)
