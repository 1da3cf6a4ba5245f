"""How long work tells where it is, and is told to stop."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Protocol, TypeVar

from s2dash.errors import Cancelled

T = TypeVar("T")


class Progress(Protocol):
    """What long work calls now and then."""

    def report(self, share: float, text: str) -> None:
        """Say that `share` (0-1) of the present step named `text` is done.

        Raises:
            Cancelled: If the person asked to stop.
        """


@dataclass
class Silent:
    """Progress nobody watches."""

    def report(self, share: float, text: str) -> None:
        """Do nothing."""


@dataclass
class Tracker:
    """Progress that another thread reads, and through which it cancels."""

    share: float = 0.0
    """Share of the present step that is done, 0-1."""
    text: str = ""
    """The present step, in words."""
    _cancel: threading.Event = field(default_factory=threading.Event, repr=False)

    def report(self, share: float, text: str) -> None:
        """Remember where the work is; raise `Cancelled` if it is to stop."""
        if self._cancel.is_set():
            raise Cancelled(f"Stopped during: {text}. Nothing was changed.")
        self.share, self.text = min(max(share, 0.0), 1.0), text

    def cancel(self) -> None:
        """Ask the work to stop at its next report."""
        self._cancel.set()

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancel.is_set()


@dataclass(frozen=True)
class Stage:
    """A part of a longer task: maps its own 0-1 onto `start`-`stop` of the whole."""

    whole: Progress
    start: float
    stop: float

    def report(self, share: float, text: str) -> None:
        """Report to the whole."""
        self.whole.report(self.start + (self.stop - self.start) * min(max(share, 0.0), 1.0), text)


@dataclass(frozen=True)
class Named:
    """Progress of work that is but a step of something else, and goes by its name."""

    whole: Progress
    text: str
    """What every report says, whatever the work calls its own steps."""

    def report(self, share: float, text: str) -> None:  # noqa: ARG002
        """Report to the whole."""
        self.whole.report(share, self.text)


def timetable(whole: Progress, **seconds: float) -> dict[str, Stage]:
    """Stages that follow each other, each with the part of the whole that its work will take.

    Args:
        whole: The task they make up.
        seconds: Stage → how long it will take, in the order of the work; only the proportions matter.
    """
    total = sum(seconds.values()) or 1.0
    ends = accumulate((length / total for length in seconds.values()), initial=0.0)
    return {name: Stage(whole, *part) for name, part in zip(seconds, pairwise(ends), strict=True)}


def time_left(share: float, elapsed: float) -> float | None:
    """Seconds left at the pace so far; None while that would be a guess.

    Args:
        share: Of the work that is done, 0-1.
        elapsed: Seconds that took.
    """
    return elapsed * (1 - share) / share if share > _KNOWN and elapsed > _SOON else None


_KNOWN, _SOON = 0.05, 0.5
"""Share and seconds after which a pace can be told."""


def steps(items: Iterable[T], *, total: int, progress: Progress, text: str) -> Iterator[T]:
    """Yield `items`, reporting before each and once at the end."""
    for done, item in enumerate(items):
        progress.report(done / max(total, 1), text)
        yield item
    progress.report(1.0, text)
