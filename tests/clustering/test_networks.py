"""What the network methods share: same seed, same numbers, and nothing of torch's own state is changed for good."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
import torch

from s2dash.clustering.networks import (
    Dense,
    TrainingCurve,
    apply_layers,
    device,
    load_state,
    minimise,
    one_thread,
    seeded,
    state_arrays,
)
from s2dash.errors import Cancelled
from s2dash.progress import Silent, Tracker


def descend(*, patience=4, progress=None):
    """Look for the 2 that makes the loss least."""
    weight = torch.tensor([5.0], requires_grad=True)

    def loss():
        return ((weight - 2) ** 2).sum()

    curve = minimise(
        [weight],
        loss=loss,
        held_out=loss,
        steps=200,
        every=10,
        patience=patience,
        rate=0.1,
        progress=progress or Silent(),
        text="Training",
    )
    return weight.item(), curve


def test_training_finds_the_least_and_keeps_its_curve():
    found, curve = descend(patience=1000)
    assert found == pytest.approx(2, abs=0.05)
    assert curve.steps == 200
    assert len(curve.loss) == len(curve.held_out) == 20
    assert curve.loss[0] > curve.loss[-1]
    assert curve.loss[0] == pytest.approx(np.mean([(5 - 0.1 * step - 2) ** 2 for step in range(10)]), rel=0.05)
    assert curve.device == "cpu"
    assert TrainingCurve.from_json(json.loads(json.dumps(curve.to_json()))) == curve


def test_a_last_part_shorter_than_the_others_has_a_mean_of_its_own():
    weight = torch.tensor([1.0], requires_grad=True)
    curve = minimise(
        [weight],
        loss=lambda: 0 * weight.sum() + 3,
        held_out=lambda: torch.tensor(4.0),
        steps=15,
        every=10,
        patience=4,
        rate=0.1,
        progress=Silent(),
        text="Training",
    )
    assert curve.loss == (3.0, 3.0)
    assert curve.held_out == (4.0, 4.0)
    assert curve.stopped == 10  # no later weights were better


def test_it_stops_when_what_is_held_out_gets_no_better_and_keeps_the_best():
    seen = iter([9.0, 4.0, 3.999, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 9.0, 9.0])
    where = []
    weight = torch.tensor([5.0], requires_grad=True)

    def held_out():
        where.append(weight.item())
        return torch.tensor(next(seen))

    curve = minimise(
        [weight],
        loss=lambda: ((weight - 2) ** 2).sum(),
        held_out=held_out,
        steps=1000,
        every=10,
        patience=4,
        rate=0.01,
        progress=Silent(),
        text="Training",
    )
    assert curve.stopped == 30
    assert curve.steps == 60  # four checks after the last gain of one percent
    assert weight.item() == where[2]


def test_training_reports_often_and_can_be_stopped():
    class Watch(Tracker):
        shares: list[float]

        def report(self, share, text):
            self.shares = [*getattr(self, "shares", []), share]
            if share > 0.3:
                self.cancel()
            super().report(share, text)

    watch = Watch()
    with pytest.raises(Cancelled, match="Training"):
        descend(progress=watch)
    assert watch.shares == sorted(watch.shares)
    assert len(watch.shares) >= 6


def test_a_perceptron_of_arrays_is_that_of_torch():
    rng = np.random.default_rng(0)
    layers = [Dense.drawn(a, b, rng=rng) for a, b in ((5, 7), (7, 6), (6, 2))]
    modules = []
    for layer in layers:
        module = torch.nn.Linear(*layer.weight.shape[::-1])
        load_state(module, {"weight": layer.weight, "bias": layer.bias})
        modules += [module, torch.nn.Tanh()]
    x = rng.normal(size=(5, 40)).astype(np.float32)
    expected = torch.nn.Sequential(*modules[:-1])(torch.from_numpy(x.T)).detach().numpy().T
    assert np.allclose(apply_layers(layers, x), expected, atol=1e-6)


def test_starting_weights_stay_within_their_reach():
    layer = Dense.drawn(16, 500, rng=np.random.default_rng(0))
    assert 0.24 < np.abs(layer.weight).max() <= 0.25
    assert abs(layer.weight.mean()) < 0.01
    assert layer.weight.dtype == np.float32


def test_one_thread_and_then_as_many_as_before():
    before = torch.get_num_threads()
    found = []

    def work():
        with one_thread():
            found.append(torch.get_num_threads())
        found.append(torch.get_num_threads())

    with one_thread():
        assert torch.get_num_threads() == 1
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert found == [1, before]
    assert torch.get_num_threads() == before


def test_seeded_numbers_leave_the_others_alone():
    torch.manual_seed(7)
    expected = torch.rand(4)
    torch.manual_seed(7)
    with seeded(3):
        first = torch.rand(2)
    assert torch.equal(torch.rand(4), expected)
    with seeded(3):
        assert torch.equal(torch.rand(2), first)


def test_weights_go_and_come_back():
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    other = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    load_state(other, state_arrays(network))
    x = torch.rand(5, 3)
    assert torch.equal(network.eval()(x), other.eval()(x))
    with pytest.raises(ValueError, match="do not fit"):
        load_state(other, {"0.weight": np.zeros((9, 9), np.float32)})


def test_the_device_is_one_torch_can_use():
    assert torch.zeros(1, device=device()).item() == 0
