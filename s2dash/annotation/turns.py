"""Whose turn it is to ask a question, where several programs work with the same book of answers."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from s2dash.annotation.patience import Timer
from s2dash.annotation.replies import ClaimBook, ReplyKey

_LOOK_S = 0.5
"""Seconds between two looks at whether another program is done."""
_RENEW_S = 30.0
"""Seconds between two signs of life to the others."""


class Turns:
    """Takes turns with other processes; safe to use from several threads.

    Args:
        book: The book of answers; where it knows no claims every turn is ours.
        timer: Time, for tests.
        stop: Ends all waiting.
    """

    def __init__(self, book: object, *, timer: Timer, stop: threading.Event) -> None:
        self._claims: ClaimBook | None = book if isinstance(book, ClaimBook) else None
        self._timer = timer
        self._stop = stop
        self._renewed_s = timer.now()
        self._waiting: Counter[str] = Counter()
        self._lock = threading.Lock()

    def waiting(self, who: str) -> int:
        """Questions to an annotator that another program is asking now."""
        return self._waiting[who]

    def take(self, key: ReplyKey, *, who: str, answered: Callable[[], bool]) -> bool:
        """Wait for the turn to ask a question.

        Args:
            key: The question.
            who: Whom to ask.
            answered: Whether its answer has come meanwhile; then nobody needs to ask.

        Returns:
            Whether the turn is ours, and has to be given back.
        """
        if self._claims is None or self._claims.claim(key):
            return True
        self._count(who, 1)
        try:
            while not self._stop.wait(_LOOK_S) and not answered():
                if self._claims.claim(key):
                    return True
        finally:
            self._count(who, -1)
        return False

    def give_back(self, key: ReplyKey) -> None:
        """Let others ask the question."""
        if self._claims is not None:
            self._claims.release(key)

    def renew(self) -> None:
        """Say, from time to time, that we are still at it; may be called as often as one likes."""
        if self._claims is not None and self._timer.now() - self._renewed_s >= _RENEW_S:
            self._renewed_s = self._timer.now()
            self._claims.renew_claims()

    def _count(self, who: str, change: int) -> None:
        with self._lock:
            self._waiting[who] += change
