"""How long work tells where it is, and is told to stop."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
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


def steps(items: Iterable[T], *, total: int, progress: Progress, text: str) -> Iterator[T]:
    """Yield `items`, reporting before each and once at the end."""
    for done, item in enumerate(items):
        progress.report(done / max(total, 1), text)
        yield item
    progress.report(1.0, text)
