"""The U-Net: its layers, and how it learns a scene by filling in hidden parts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from s2dash.clustering.networks import TrainingCurve
from s2dash.progress import Progress
from s2dash.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import torch

LEVELS = 3
"""Resolutions: full, half and a quarter."""
STRIDE = 2 ** (LEVELS - 1)
"""Pixels of the coarsest level: blocks must begin at multiples of it to give the same map."""
CELL = 4
"""Side of the squares that are hidden, pixels."""
HIDDEN = 0.4
"""Share of the squares that are hidden at each step."""
SEEN_WEIGHT = 0.5
"""What reproducing the pixels in sight counts beside the hidden ones: their features must mean something too."""
BATCH = 8
"""Windows trained on at once."""
STEPS = 200
"""Most steps of training."""
CHECK_EVERY = 20
"""Steps between two looks at the windows kept aside."""
PATIENCE = 3
"""Looks without progress after which training stops."""
LEAST_GAIN = 0.005
"""Share by which the error on the windows kept aside must fall to count as progress."""
LEARNING_RATE = 3e-3
"""Of Adam at the start; it falls to 0 along a half cosine."""


def build(n_features: int, width: int) -> torch.nn.ModuleDict:
    """The layers of a U-Net (Ronneberger et al. 2015) with padding, batch norm, and nearest-neighbour upsampling.

    Args:
        n_features: Features of a pixel; one more channel says where they are known.
        width: Channels at full resolution; doubled at each level below.
    """
    from torch import nn

    def block(channels_in: int, channels_out: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, padding=1),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
            nn.Conv2d(channels_out, channels_out, 3, padding=1),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
        )

    layers: dict[str, nn.Module] = {"down0": block(n_features + 1, width)}
    for level in range(1, LEVELS):
        layers[f"down{level}"] = block(width * 2 ** (level - 1), width * 2**level)
    for level in reversed(range(LEVELS - 1)):
        layers[f"up{level}"] = block(width * 3 * 2**level, width * 2**level)
    layers["head"] = nn.Conv2d(width, n_features, 1)
    return nn.ModuleDict(layers).to(memory_format=_channels_last())  # type: ignore[call-overload,no-any-return]


def decode(network: torch.nn.ModuleDict, x: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Features of the last decoder stage.

    Args:
        network: The network.
        x: Features of shape (window, feature, y, x); what stands where `known` is 0 plays no part.
        known: 1 where they may be seen, shape (window, 1, y, x).

    Returns:
        Shape (window, width, y, x).
    """
    import torch
    import torch.nn.functional as F  # noqa: N812 - everybody's name for it

    rows, cols = x.shape[2:]
    # beyond the edge nothing is known
    y = F.pad(torch.cat([x * known, known], 1), (0, -cols % STRIDE, 0, -rows % STRIDE))
    y = y.contiguous(memory_format=torch.channels_last)
    passed = []
    for level in range(LEVELS):
        y = network[f"down{level}"](F.max_pool2d(y, 2) if level else y)
        passed.append(y)
    for level in reversed(range(LEVELS - 1)):
        larger = F.interpolate(y, scale_factor=2, mode="nearest")
        y = network[f"up{level}"](torch.cat([passed[level], larger], 1))
    return y[:, :, :rows, :cols]


def hide(shape: tuple[int, int, int], rng: np.random.Generator) -> FloatArray:
    """Random squares of `CELL` pixels, anywhere: 0 where hidden, shape (window, 1, y, x), float32."""
    count, rows, cols = shape
    cells = rng.random((count, 1, rows // CELL + 2, cols // CELL + 2)) >= HIDDEN
    top, left = rng.integers(0, CELL, 2)
    wide = cells.repeat(CELL, axis=2).repeat(CELL, axis=3)
    return np.ascontiguousarray(wide[:, :, top : top + rows, left : left + cols], dtype=np.float32)


def chequers(rows: int, cols: int) -> BoolArray:
    """Four masks that together cover every pixel once, shape (4, y, x): each the same one of 2 × 2 neighbour cells."""
    row, col = (np.arange(rows) // CELL) % 2, (np.arange(cols) // CELL) % 2
    number = 2 * row[:, None] + col[None]
    return np.asarray(number[None] == np.arange(4)[:, None, None])


def errors(
    network: torch.nn.ModuleDict, x: torch.Tensor, valid: torch.Tensor, shown: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean squared errors on the valid pixels that are hidden, and on those in sight, in squared deviations."""
    guess = network["head"](decode(network, x, valid * shown))
    squared = (guess - x).square().mean(1, keepdim=True)
    hidden, seen = valid * (1 - shown), valid * shown
    return (
        (squared * hidden).sum() / hidden.sum().clamp(min=1),
        (squared * seen).sum() / seen.sum().clamp(min=1),
    )


def train(
    network: torch.nn.ModuleDict,
    windows: Sequence[tuple[FloatArray, BoolArray]],
    *,
    seed: int,
    progress: Progress,
) -> TrainingCurve:
    """Learn to fill in what is hidden; stop when windows kept aside get no better, and keep the best weights.

    Args:
        network: Changed in place; in the end it is in evaluation mode.
        windows: Of one shape. Every fifth is kept aside; of fewer than five none is, and all serve both ends.
        seed: Of what is hidden when.
        progress: Told at each step.

    Returns:
        Mean squared errors on hidden pixels, by look: of the steps since the last one, and of the windows kept aside.
    """
    import torch

    where = next(network.parameters()).device
    rng = np.random.default_rng([seed, 5])
    values = torch.from_numpy(np.stack([values for values, _ in windows])).to(where)
    valid = torch.from_numpy(np.stack([valid for _, valid in windows])[:, None].astype(np.float32)).to(where)
    every = np.arange(len(windows))
    aside = every[4::5] if len(windows) > 4 else every
    taught = np.setdiff1d(every, aside) if len(windows) > 4 else every
    rows, cols = values.shape[2:]
    covered = torch.from_numpy(hide((len(aside), rows, cols), rng)).to(where)

    def look() -> float:
        network.eval()
        with torch.no_grad():
            return float(errors(network, values[aside], valid[aside], covered)[0].item())

    adam = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(adam, STEPS)
    kept = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    loss: list[float] = []
    held_out: list[float] = []
    recent: list[float] = []
    best, best_step, waited, step = math.inf, 0, 0, 0
    while step < STEPS and waited < PATIENCE:
        progress.report(step / STEPS, "Training the U-Net")
        network.train()
        chosen = rng.permutation(taught)[:BATCH]
        x, inside = _turned(values[chosen], valid[chosen], int(rng.integers(8)))
        shown = torch.from_numpy(hide((len(chosen), x.shape[2], x.shape[3]), rng)).to(where)
        hidden, seen = errors(network, x, inside, shown)
        adam.zero_grad()
        torch.autograd.backward(hidden + SEEN_WEIGHT * seen)
        adam.step()
        falling.step()
        step += 1
        recent.append(hidden.item())
        if step % CHECK_EVERY:
            continue
        loss.append(round(float(np.mean(recent)), 6))
        recent.clear()
        held_out.append(round(look(), 6))
        waited = 0 if held_out[-1] < (1 - LEAST_GAIN) * best else waited + 1
        if held_out[-1] < best:
            best, best_step = held_out[-1], step
            kept = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.load_state_dict(kept)
    network.eval()
    return TrainingCurve(tuple(loss), tuple(held_out), best_step, step, where.type)


def _turned(x: torch.Tensor, valid: torch.Tensor, way: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One of the eight ways to turn and flip windows: north is nothing special to land cover."""
    turned = [tensor.flip(3) if way >= 4 else tensor for tensor in (x, valid)]
    first, second = (tensor.rot90(way % 4, (2, 3)) for tensor in turned)
    return first, second


def _channels_last() -> torch.memory_format:
    import torch

    return torch.channels_last
