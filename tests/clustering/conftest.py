"""What the tests of several methods share: listening to progress."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from s2dash.errors import Cancelled
from s2dash.progress import Progress, Tracker


class Watch(Tracker):
    """Notes every share, and asks to stop after some reports."""

    def __init__(self, stop_after: int = 1_000_000) -> None:
        super().__init__()
        self.shares: list[float] = []
        self.stop_after = stop_after

    def report(self, share, text):
        super().report(share, text)
        self.shares.append(share)
        if len(self.shares) == self.stop_after:
            self.cancel()


@pytest.fixture
def watcher():
    return Watch


@pytest.fixture
def check_heard():
    def check(fit: Callable[[Progress], object], *, least: int) -> None:
        """`fit` reports so often, never a smaller share than before, and stops at the report after a cancel."""
        whole = Watch()
        fit(whole)
        assert len(whole.shares) >= least
        assert whole.shares == sorted(whole.shares)
        assert 0 <= whole.shares[0] < whole.shares[-1] < 1 + 1e-9
        stopped = Watch(len(whole.shares) // 2)
        with pytest.raises(Cancelled):
            fit(stopped)
        assert len(stopped.shares) == len(whole.shares) // 2

    return check
