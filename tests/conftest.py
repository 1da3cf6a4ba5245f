"""Shared fixtures: the real scenes where present, and a wall against the network."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile(
    "s2dash", deadline=None, max_examples=50, derandomize=True
)  # the machine may be busy; same cases each run
settings.load_profile("s2dash")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@pytest.fixture
def real_data() -> Path:
    """Folder of the real scenes; skips where it is not there."""
    if not SHARED.is_dir():
        pytest.skip(f"the real scenes are not here ({SHARED.name} folder beside the checkout is missing)")
    return SHARED


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tests reach loopback only."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6} and address[0] not in _LOOPBACK:
            pytest.fail(f"a test tried to reach {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True, scope="session")
def _same_pixels_are_looked_at_once() -> Iterator[None]:
    """Hundreds of tests begin with the same small map: only the first looks for two modes in its clusters."""
    from s2dash.clustering import quality

    known: dict[bytes, Any] = {}
    find = quality.find_valley

    def remembering(sample: np.ndarray) -> Any:
        key = hashlib.sha256(repr((sample.shape, sample.dtype)).encode() + sample.tobytes()).digest()
        if key not in known:
            known[key] = find(sample)
        return known[key]

    patch = pytest.MonkeyPatch()
    patch.setattr(quality, "find_valley", remembering)
    yield
    patch.undo()
