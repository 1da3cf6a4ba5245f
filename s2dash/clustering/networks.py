"""What the network methods share: where they run, how they are seeded, trained, kept and stopped."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from s2dash.progress import Progress
from s2dash.types import FloatArray, NumberArray

if TYPE_CHECKING:
    import torch

_REPORT = 10
"""Steps between two reports: well under 0.3 s even on a busy core."""


@dataclass(frozen=True)
class Dense:
    """A fully connected layer as plain arrays, so that a trained network labels pixels without torch."""

    weight: FloatArray
    """Shape (output, input), float32."""
    bias: FloatArray
    """Shape (output,), float32."""

    @classmethod
    def drawn(cls, inputs: int, outputs: int, *, rng: np.random.Generator) -> Self:
        """Weights to start from: uniform within ±1/√inputs, as torch's own layers."""
        reach = 1 / math.sqrt(inputs)
        weight, bias = (rng.uniform(-reach, reach, shape).astype(np.float32) for shape in ((outputs, inputs), outputs))
        return cls(weight, bias)

    def __call__(self, x: FloatArray) -> FloatArray:
        """`weight @ x + bias` of inputs of shape (input, pixel): shape (output, pixel), float32."""
        out: FloatArray = self.weight @ x
        out += self.bias[:, None]
        return out


def apply_layers(layers: Sequence[Dense], x: FloatArray) -> FloatArray:
    """A perceptron: layers with tanh in between, of inputs of shape (input, pixel)."""
    for layer in layers[:-1]:
        x = layer(x)
        np.tanh(x, out=x)
    return layers[-1](x)


@dataclass(frozen=True)
class TrainingCurve:
    """How a training went."""

    loss: tuple[float, ...]
    """Mean loss of the steps between two checks."""
    held_out: tuple[float, ...]
    """Loss on what is held out, at each check."""
    stopped: int
    """Step whose weights were kept: the best on what is held out."""
    steps: int
    """Steps taken."""
    device: str
    """Where it ran: `cpu`, `cuda`, `mps`."""

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "loss": list(self.loss),
            "held_out": list(self.held_out),
            "stopped": self.stopped,
            "steps": self.steps,
            "device": self.device,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """From `to_json`."""
        loss, held_out = (tuple(float(value) for value in content[name]) for name in ("loss", "held_out"))
        return cls(loss, held_out, int(content["stopped"]), int(content["steps"]), str(content["device"]))


def minimise(
    parameters: Sequence[torch.Tensor],
    *,
    loss: Callable[[], torch.Tensor],
    held_out: Callable[[], torch.Tensor],
    steps: int,
    every: int,
    patience: int,
    rate: float,
    progress: Progress,
    text: str,
) -> TrainingCurve:
    """Train until what is held out gets no better, and leave the best weights seen in `parameters`.

    Adam (Kingma and Ba 2015), its rate falling to 0 along a half cosine over `steps` (Loshchilov and Hutter 2017).

    Args:
        parameters: Weights, all on one device.
        loss: Loss of a fresh batch.
        held_out: Loss on what takes no part in training.
        steps: Most steps.
        every: Steps between two checks of `held_out`.
        patience: Checks without a gain of 1 % after which it stops.
        rate: Learning rate at the start.
        progress: Where to report.
        text: What to report.

    Raises:
        Cancelled: If the person stopped it; the weights are then those of the last step.
    """
    import torch

    where = parameters[0].device.type
    adam = torch.optim.Adam(parameters, rate, fused=where in {"cpu", "cuda"})
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    curve: list[float] = []
    checks: list[float] = []
    best, best_step, mark, waited = math.inf, 0, math.inf, 0
    kept = [parameter.detach().clone() for parameter in parameters]
    step, total = 0, torch.zeros((), device=where)
    while step < steps and waited < patience:
        if step % _REPORT == 0:
            progress.report(step / steps, text)
        adam.zero_grad()
        error = loss()
        error.backward()  # type: ignore[no-untyped-call]
        adam.step()
        falling.step()
        step += 1
        total += error.detach()
        if step % every and step < steps:
            continue
        curve.append(total.item() / (step - every * len(curve)))
        total.zero_()
        with torch.no_grad():
            checks.append(float(held_out()))
        if checks[-1] < best:
            best, best_step = checks[-1], step
            kept = [parameter.detach().clone() for parameter in parameters]
        waited = 0 if best < 0.99 * mark else waited + 1
        mark = best if waited == 0 else mark
    with torch.no_grad():
        for parameter, value in zip(parameters, kept, strict=True):
            parameter.copy_(value)
    progress.report(1.0, text)
    return TrainingCurve(tuple(curve), tuple(checks), best_step, step, where)


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch to the calling thread inside, for networks so small that threads would wait for each other.

    On two cores that others use too, a step of a 13-64-32-8 perceptron takes 80 ms on two threads and 10 ms on one.
    Sums then have one order as well, whatever the number of cores. Other threads, and this one afterwards, keep theirs.
    """
    import torch
    from threadpoolctl import threadpool_limits

    torch.get_num_threads()  # a new thread takes its number at first use, which would undo the limit
    with threadpool_limits(limits=1, user_api="openmp"):  # that of the calling thread; NumPy's is of the whole process
        yield


def device() -> torch.device:
    """The GPU where torch sees one, else the processor."""
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw torch's random numbers from `seed` inside, and leave its global state as it was."""
    import torch

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def state_arrays(network: torch.nn.Module) -> dict[str, NumberArray]:
    """All weights and running statistics by name."""
    return {name: tensor.detach().cpu().numpy() for name, tensor in network.state_dict().items()}


def load_state(network: torch.nn.Module, arrays: Mapping[str, NumberArray]) -> None:
    """Put weights back.

    Raises:
        ValueError: If names or shapes do not fit the network.
    """
    import torch

    try:
        network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"the weights do not fit the network: {error}") from error
