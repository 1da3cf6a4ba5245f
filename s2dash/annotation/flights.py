"""Questions under way in this process: a second click waits for the first one's answer."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from s2dash.annotation.answer import Answer
from s2dash.annotation.replies import ReplyKey


@dataclass
class Flight:
    """One question under way."""

    key: ReplyKey
    """What is asked."""
    landed: threading.Event = field(default_factory=threading.Event, repr=False)
    """Set when it is over."""
    answer: Answer | None = None
    """What came of it; None where nothing did, and whoever waits has to ask."""


class Flights:
    """All questions under way; safe to use from several threads."""

    def __init__(self) -> None:
        self._flights: dict[ReplyKey, Flight] = {}
        self._lock = threading.Lock()

    def board(self, key: ReplyKey) -> tuple[Flight, bool]:
        """The flight of a question, and whether the caller is the one to ask it, and then has to `land` it."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None:
                return flight, False
            flight = self._flights[key] = Flight(key)
            return flight, True

    def land(self, flight: Flight, answer: Answer | None) -> None:
        """Say what came of a question, to all who wait for it."""
        with self._lock:
            flight.answer = answer
            self._flights.pop(flight.key, None)
        flight.landed.set()


FLIGHTS = Flights()
"""Those of this process, whoever asks: two browser tabs are two threads."""
