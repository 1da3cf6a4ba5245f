"""The network of deep clustering: its layers, its two losses, and how it is trained on patches of one scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from s2dash.clustering.kmeans import fit_centres
from s2dash.progress import Progress
from s2dash.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import torch

LAYERS = 5
"""Convolutions of 3 × 3, without stride: as many pixels around each one count."""
BATCH = 8
"""Patches trained on at once."""
MULTIPLY_ADDS = 4.5e11
"""Most multiply-adds training may take where a single batch does not need more; 10 to 15 s of one core."""
MOST_BATCHES = 8
"""More patches than these batches hold teach nothing that one scene has to say."""
CONTEXT = 0.2
"""Share of the variance of the first weights that lies around the middle of a kernel."""
LEARNING_RATE = 1e-3
"""Of stochastic gradient descent with momentum 0.9, as in the authors' program."""
MEAN_SIDE = 3
"""Side of the surroundings whose mean clusters start from, pixels."""
SPREAD_SIDE = 5
"""Side of the surroundings whose spread they start from."""
DEAD = 0.01
"""A cluster that holds less than this share of its even share of the pixels counts as dead."""
_SPLIT = 0.1
"""Spread of what is added to the scores of a split cluster: enough to part it, too little to rob its neighbours."""
_START_PIXELS = 5_000

Batch = tuple["torch.Tensor", "torch.Tensor | None"]
"""Patches of shape (patch, feature, y, x), and 1 where valid, shape (patch, 1, y, x); None where all are."""


def build(n_features: int, width: int, k: int, *, training: bool = False) -> torch.nn.ModuleDict:
    """The layers: five convolutions, each with ReLU and batch norm, channel attention, 1 × 1 convolution to K.

    Weights start from a normal distribution scaled after He et al. (2015), most of it in the middle of the kernels:
    with even weights five random layers see edges above all, and what lies on either side is lost from the start.

    Args:
        n_features: Channels that go in.
        width: Channels of each convolution.
        k: Clusters.
        training: Also the batch norm of the scores, which training needs: without it a few clusters take all.
    """
    import torch
    from torch import nn

    layers: dict[str, nn.Module] = {}
    for index in range(LAYERS):
        convolution = nn.Conv2d(width if index else n_features, width, 3, padding=1)
        nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            deviation = (2 / (width if index else n_features)) ** 0.5
            convolution.weight.normal_(0, deviation * (CONTEXT / 8) ** 0.5)
            convolution.weight[:, :, 1, 1].normal_(0, deviation * (1 - CONTEXT) ** 0.5)
        layers[f"convolution{index}"] = convolution
        # no running mean while training: `settle` takes statistics over the whole survey instead
        layers[f"norm{index}"] = nn.BatchNorm2d(width, momentum=None)
    layers["squeeze"] = nn.Linear(width, max(width // 8, 1))
    layers["excite"] = nn.Linear(max(width // 8, 1), width)
    layers["head"] = nn.Conv2d(width, k, 1)
    if training:
        layers["head_norm"] = nn.BatchNorm2d(k, momentum=None)
    network = nn.ModuleDict(layers)
    network.register_buffer("pooled", torch.zeros(2, width))
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def convolve(network: torch.nn.ModuleDict, batch: Batch) -> torch.Tensor:
    """Features before the attention, shape (patch, width, y, x).

    After every layer pixels that are not valid are 0, like those beyond the edge: what a cloud hides and what lies
    outside of the scene look the same to their neighbours.
    """
    import torch.nn.functional as F  # noqa: N812 - everybody's name for it

    x, valid = batch
    for index in range(LAYERS):
        x = F.relu(network[f"convolution{index}"](x))
        x = _normalise(network[f"norm{index}"], x, valid)
    return x


def pool(x: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
    """Mean and maximum of every channel over the valid pixels of each patch, shape (2, patch, width)."""
    import torch

    if valid is None:
        return torch.stack([x.mean((2, 3)), x.amax((2, 3))])
    mean = (x * valid).sum((2, 3)) / valid.sum((2, 3))
    return torch.stack([mean, x.masked_fill(valid == 0, -torch.inf).amax((2, 3))])


def attention(network: torch.nn.ModuleDict, pooled: torch.Tensor) -> torch.Tensor:
    """Weight of every channel, 0-1, from the mean and maximum of all: shape (…, width) from (2, …, width).

    Both go through the same two layers and are added, as in the channel attention of Woo et al. 2018 (eq. 2).
    """
    squeezed = network["squeeze"](pooled).relu()
    weights: torch.Tensor = network["excite"](squeezed).sum(0).sigmoid()
    return weights


def scores(network: torch.nn.ModuleDict, batch: Batch) -> torch.Tensor:
    """What training looks at: scores of the clusters, shape (patch, k, y, x), each patch with its own attention."""
    x = convolve(network, batch)
    x = x * attention(network, pool(x, batch[1]))[:, :, None, None]
    return _normalise(network["head_norm"], network["head"](x), batch[1])


def losses(y: torch.Tensor, valid: torch.Tensor | None, shift: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The two losses of Saha et al. 2022.

    Args:
        y: Scores, shape (patch, k, y, x).
        valid: 1 where valid, shape (patch, 1, y, x); None where all are.
        shift: Each patch is contrasted with the one so many further on; 0 for none.

    Returns:
        Cross-entropy of the scores against their own argmax; and the mean of exp(-|y - y'|₁) over the pixels at the
        same place in two patches: near 1 where unlike patches get the same scores.
    """
    import torch
    import torch.nn.functional as F  # noqa: N812

    pseudo = y.argmax(1)
    if valid is not None:
        pseudo = pseudo.masked_fill(valid[:, 0] == 0, -100)  # what torch leaves out
    own = F.cross_entropy(y, pseudo)
    if shift == 0:
        return own, torch.zeros_like(own)
    likeness = torch.exp(-(y - y.roll(shift, 0)).abs().sum(1))
    if valid is None:
        return own, likeness.mean()
    both = (valid * valid.roll(shift, 0))[:, 0]
    return own, (likeness * both).sum() / both.sum().clamp(min=1)


def to_batches(windows: Sequence[tuple[FloatArray, BoolArray]], *, size: int, device: torch.device) -> list[Batch]:
    """Windows of one shape as batches of at most `size`."""
    import torch

    batches: list[Batch] = []
    for start in range(0, len(windows), size):
        part = windows[start : start + size]
        values = torch.from_numpy(np.stack([values for values, _ in part])).to(device)
        valid = np.stack([valid for _, valid in part])
        mask = None if valid.all() else torch.from_numpy(valid[:, None].astype(np.float32)).to(device)
        batches.append((values.to(memory_format=torch.channels_last), mask))
    return batches


def batch_count(n_features: int, width: int, k: int, *, pixels: int, steps: int) -> int:
    """How many batches of `pixels` pixels, with `steps` steps each, the multiply-adds allow; at least one."""
    a_pixel = 9 * width * (n_features + (LAYERS - 1) * width) + width * k
    return int(np.clip(MULTIPLY_ADDS // (3 * a_pixel * pixels * steps), 1, MOST_BATCHES))  # 3: forwards, twice back


def settle(network: torch.nn.ModuleDict, survey: Sequence[Batch], *, report: Callable[[], None]) -> FloatArray:
    """Fix the statistics that prediction uses, over the whole survey; and the features that result.

    Batch norm takes the mean statistics of the survey; attention the mean over its windows of what they pool to, so
    that a label does not depend on where a block begins. The batch norm of the scores goes into the head's weights.

    Args:
        network: With `head_norm`; changed in place, and in evaluation mode in the end.
        survey: Windows spread over the scene.
        report: Called before each batch.

    Returns:
        Features of the survey's valid pixels, attention applied, shape (pixel, width).
    """
    import torch

    network.train()
    for name, layer in network.items():
        if "norm" in name:
            layer.reset_running_stats()  # type: ignore[operator]
    with torch.no_grad():
        for batch in survey:
            report()
            scores(network, batch)
        network.eval()
        found = []
        for batch in survey:
            report()
            found.append((convolve(network, batch), batch[1]))
        network.pooled.copy_(torch.cat([pool(x, valid) for x, valid in found], 1).mean(1))  # type: ignore[operator]
        weights = attention(network, network.pooled)  # type: ignore[arg-type]
        kept = []
        for x, valid in found:
            flat = x.permute(0, 2, 3, 1)
            kept.append(flat.reshape(-1, flat.shape[-1]) if valid is None else flat[valid[:, 0] > 0])
        features: FloatArray = (torch.cat(kept) * weights).cpu().numpy()
        head, norm = network["head"], network["head_norm"]
        gain = norm.weight * (norm.running_var + norm.eps).rsqrt()  # type: ignore[operator]
        head.weight *= gain[:, None, None, None]  # type: ignore[operator]
        head.bias.copy_((head.bias - norm.running_mean) * gain + norm.bias)  # type: ignore[operator]
    return features


def surroundings(batch: Batch) -> FloatArray:
    """What clusters start from: the mean and the spread of each feature around each valid pixel, over valid ones.

    Returns:
        Shape (pixel, 2 * feature), in the features' own units.
    """
    import torch
    import torch.nn.functional as F  # noqa: N812

    x, valid = batch
    valid = torch.ones_like(x[:, :1]) if valid is None else valid

    def mean(y: torch.Tensor, side: int) -> torch.Tensor:
        share = F.avg_pool2d(valid, side, 1, side // 2).clamp(min=1e-6)
        return F.avg_pool2d(y * valid, side, 1, side // 2) / share

    spread = (mean(x.square(), SPREAD_SIDE) - mean(x, SPREAD_SIDE).square()).clamp(min=0).sqrt()
    both = torch.cat([mean(x, MEAN_SIDE), spread], 1).permute(0, 2, 3, 1)
    found: FloatArray = both[valid[:, 0] > 0].cpu().numpy()
    return found


def start_head(
    network: torch.nn.ModuleDict, survey: Sequence[Batch], *, k: int, seed: int, report: Callable[[], None]
) -> None:
    """Let the clusters start from K-Means, so that none is dead at the start and none is a whim of random weights.

    K-Means groups pixels by mean and spread around them; linear discriminant analysis (Fisher 1936; all clusters
    alike probable) then finds the 1 × 1 convolution that tells these groups apart by the untrained features.
    """
    features = settle(network, survey, report=report)
    told = np.concatenate([surroundings(batch) for batch in survey])
    chosen = np.random.default_rng([seed, 4]).permutation(len(told))[:_START_PIXELS]
    names = tuple(f"descriptor {index}" for index in range(told.shape[1]))
    labels = fit_centres(told[chosen], k=k, seed=seed, feature_names=names).predict(
        np.ascontiguousarray(told[chosen].T)
    )
    x = features[chosen].astype(np.float64)
    means = np.stack([x[labels == cluster].mean(axis=0) for cluster in range(1, k + 1)])
    within = x - means[labels - 1]
    covariance = within.T @ within / len(x)
    covariance += 1e-2 * max(np.trace(covariance) / len(covariance), 1e-12) * np.eye(len(covariance))
    weights = np.linalg.solve(covariance, means.T).T
    bias = -0.5 * (weights * means).sum(axis=1)
    scale = max((features @ weights.T).std(axis=0).mean(), 1e-12)  # scores of unit spread: neither sure nor vague
    set_head(network, weights / scale, bias / scale, features)


def get_head(network: torch.nn.ModuleDict) -> tuple[FloatArray, FloatArray]:
    """Weights of shape (k, width) and bias of shape (k,), float64."""
    head: Any = network["head"]
    weights = head.weight.detach().cpu().numpy()[:, :, 0, 0].astype(np.float64)
    return weights, head.bias.detach().cpu().numpy().astype(np.float64)


def set_head(network: torch.nn.ModuleDict, weights: FloatArray, bias: FloatArray, features: FloatArray) -> None:
    """Put weights of shape (k, width) and bias of shape (k,) into the head.

    The batch norm after it is set so that it changes nothing as long as features stay as they are; from then on it
    holds the mean and spread of every cluster's scores, which keeps a few clusters from taking all.
    """
    import torch

    raw = features @ weights.T + bias
    where = network.pooled.device
    head: Any = network["head"]
    norm: Any = network["head_norm"]
    with torch.no_grad():
        for parameter, value in (
            (head.weight, weights[:, :, None, None]),
            (head.bias, bias),
            (norm.weight, raw.std(axis=0)),
            (norm.bias, raw.mean(axis=0)),
        ):
            parameter.copy_(torch.from_numpy(np.asarray(value, dtype=np.float32)).to(where))  # type: ignore[arg-type]


def revive(features: FloatArray, weights: FloatArray, bias: FloatArray) -> tuple[FloatArray, FloatArray, int]:
    """Seed dead clusters anew: each one takes half of what is then the largest cluster.

    The largest cluster is cut through its mean, across its principal axis (Linde, Buzo and Gray 1980, "splitting");
    all other borders stay about where they are.

    Args:
        features: Of the survey, shape (pixel, width).
        weights: Of the head, shape (k, width).
        bias: Of the head, shape (k,).

    Returns:
        Weights and bias anew, and how many clusters were seeded.
    """
    weights, bias = weights.copy(), bias.copy()
    k = len(weights)
    labels = (features @ weights.T.astype(np.float32) + bias.astype(np.float32)).argmax(axis=1)
    counts = np.bincount(labels, minlength=k)
    cuts = np.zeros(k)
    seeded = 0
    for dead in np.flatnonzero(counts < max(DEAD * len(features) / k, 1)):
        largest = int(counts.argmax())
        members = np.flatnonzero(labels == largest)
        mean = features[members].mean(axis=0, dtype=np.float64)
        centred = features[members] - mean
        variances, axes = np.linalg.eigh(centred.T @ centred / len(members))
        # each cut much gentler than the one before it, which it would otherwise undo
        along = axes[:, -1] * _SPLIT * 0.1 ** cuts[largest] / np.sqrt(max(variances[-1], 1e-30))
        far = members[centred @ along > 0]
        if variances[-1] < 1e-12 or len(far) in (0, len(members)):
            break  # all that is left is alike
        weights[dead], bias[dead] = weights[largest] + along, bias[largest] - along @ mean
        weights[largest], bias[largest] = weights[largest] - along, bias[largest] + along @ mean
        labels[far] = dead
        cuts[largest] = cuts[dead] = cuts[largest] + 1
        counts = np.bincount(labels, minlength=k)
        seeded += 1
    return weights, bias, seeded


def train(
    network: torch.nn.ModuleDict,
    patches: Sequence[Batch],
    survey: Sequence[Batch],
    *,
    epochs: int,
    inner_steps: int,
    progress: Progress,
) -> tuple[dict[str, list[float]], int, FloatArray]:
    """Train, and seed dead clusters anew after each epoch.

    Args:
        network: With `head_norm`; changed in place.
        patches: What is learnt from.
        survey: What statistics and sizes are taken from.
        epochs: Passes over the patches.
        inner_steps: Steps on each batch.
        progress: Told at each step.

    Returns:
        The losses and number of clusters in use of every step; how many clusters were seeded anew; and the features
        of the survey in the end, as `settle` returns them.
    """
    import torch

    curve: dict[str, list[float]] = {"loss": [], "cross_entropy": [], "contrast": [], "clusters": []}
    total, done, revived = epochs * len(patches) * inner_steps, 0, 0
    features = np.empty((0, 0), dtype=np.float32)
    for epoch in range(epochs):
        optimiser = torch.optim.SGD(network.parameters(), LEARNING_RATE, momentum=0.9)  # seeding made old ones stale
        for index in torch.randperm(len(patches)).tolist():
            batch = patches[index]
            others = len(batch[0]) - 1
            for _ in range(inner_steps):
                progress.report(done / total, f"Training, epoch {epoch + 1} of {epochs}")
                network.train()
                shift = int(torch.randint(1, others + 1, ())) if others else 0
                y = scores(network, batch)
                own, contrast = losses(y, batch[1], shift)
                optimiser.zero_grad()
                torch.autograd.backward(own + contrast)
                optimiser.step()
                parts = own.item(), contrast.item()
                in_use = len(np.unique(y.detach().argmax(1).cpu().numpy()))
                for name, value in zip(curve, (sum(parts), *parts, in_use), strict=True):
                    curve[name].append(float(value))
                done += 1
        report = partial(progress.report, done / total, "Taking stock of the clusters")
        features = settle(network, survey, report=report)
        weights, bias, seeded = revive(features, *get_head(network))
        set_head(network, weights, bias, features)
        revived += seeded
    return curve, revived, features


def _normalise(layer: Any, x: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
    """Batch norm that sees valid pixels only, and leaves 0 elsewhere."""
    import torch

    if valid is None:
        normal: torch.Tensor = layer(x)
        return normal
    if not layer.training:
        return torch.as_tensor(layer(x) * valid)
    inside = valid[:, 0] > 0
    flat = x.permute(0, 2, 3, 1)
    out = torch.zeros_like(flat)
    out[inside] = layer(flat[inside][:, :, None, None])[:, :, 0, 0]
    return out.permute(0, 3, 1, 2)
