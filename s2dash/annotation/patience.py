"""How often and how long a service that does not answer is tried again."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Patience:
    """When to try again and when to give up."""

    tries: int = 5
    """Times one call is tried, at most."""
    first_s: float = 1.0
    """Pause after the first failure, seconds, before chance halves it at most; doubles with each further one."""
    longest_s: float = 30.0
    """Longest such pause, seconds; what a service itself asks for may be longer."""
    total_s: float = 300.0
    """Seconds after its first try when a call is tried no more."""
    in_a_row: int = 3
    """Calls without reply in a row, all their tries spent, after which a service is given up."""
    grace_s: float = 1.0
    """Seconds to wait for replies that are under way when the person stops; later ones are kept all the same."""

    def pause_s(self, failed: int, *, chance: float, after_s: float | None = None) -> float:
        """Seconds to wait after a failure.

        Args:
            failed: How often the call failed so far, from 1.
            chance: 0-1, so that calls that failed together do not come back together.
            after_s: What the service asks for; never comes back earlier.
        """
        pause = min(self.first_s * 2.0 ** min(failed - 1, 60), self.longest_s) * (0.5 + 0.5 * chance)
        if after_s is None or not after_s > 0:  # also not a number
            return pause
        return after_s + 0.25 * self.first_s * chance


class Timer(Protocol):
    """Time, so that tests need not wait for it."""

    def now(self) -> float:
        """Seconds on a clock that never goes back."""

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Wait so long, or until `stop`; whether it stopped."""


@dataclass(frozen=True)
class RealTimer:
    """The machine's own clock."""

    def now(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Wait so long, or until `stop`; whether it stopped."""
        return stop.wait(seconds)
