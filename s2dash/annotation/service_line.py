"""The calls to one service: tried again with patience, held back together, and given up when it is down."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from s2dash.annotation.estimate import most_dollars
from s2dash.annotation.model_annotator import ModelAnnotator
from s2dash.annotation.patience import Patience, Timer
from s2dash.annotation.provider import ModelReply, ModelRequest
from s2dash.annotation.purse import Purse
from s2dash.errors import BudgetError, ProviderError

logger = logging.getLogger(__name__)


class NoMoreCalls(Exception):  # noqa: N818 - not a failure
    """Nobody wants the call any more: the person stopped, or the service was given up meanwhile."""


class ServiceLine:
    """One service, for all models it offers; safe to use from several threads.

    Args:
        patience: When to try again and when to give up.
        timer: Time.
        chance: Gives 0-1, for the jitter of pauses.
        purse: What may be spent.
        stop: When set, no new call is made.
    """

    def __init__(
        self, *, patience: Patience, timer: Timer, chance: Callable[[], float], purse: Purse, stop: threading.Event
    ) -> None:
        self._patience = patience
        self._timer = timer
        self._chance = chance
        self._purse = purse
        self._stop = stop
        self._lock = threading.Lock()
        self._held_until = -1.0
        self._failed_in_a_row = 0
        self._given_up = ""

    @property
    def given_up(self) -> str:
        """Why nobody calls the service any more; empty while it is called."""
        with self._lock:
            return self._given_up

    @property
    def held_s(self) -> float:
        """Seconds for which the service asked to be left alone, from now."""
        with self._lock:
            return max(self._held_until - self._timer.now(), 0.0)

    def call(self, who: ModelAnnotator, request: ModelRequest) -> ModelReply:
        """Make one call, as often as patience allows.

        Raises:
            ProviderError: If no reply came.
            BudgetError: If it may cost more than is left.
            NoMoreCalls: If it is not wanted any more.
        """
        most = most_dollars(who.entry, request)
        if not self._purse.reserve(most, stop=self._stop):
            if self._stop.is_set():
                raise NoMoreCalls
            raise BudgetError(f"one more call to {who.entry.title} may cost up to ${most:.4f}")
        spent = 0.0
        try:
            reply = self._try(who, request)
            spent = reply.usage.dollars
        finally:
            # A call without reply counts as free: no service says what it charged for one.
            self._purse.settle(reserved=most, spent=spent)
        return reply

    def _try(self, who: ModelAnnotator, request: ModelRequest) -> ModelReply:
        failed, started = 0, 0.0
        while True:
            self._await_turn()
            started = started if failed else self._timer.now()
            try:
                reply = _call(who, request)
            except ProviderError as error:
                failed += 1
                elapsed = self._timer.now() - started
                pause = self._patience.pause_s(failed, chance=self._chance(), after_s=error.after_s)
                if not error.again or failed >= self._patience.tries or elapsed + pause > self._patience.total_s:
                    raise self._give_up(error, failed=failed, elapsed=elapsed) from error
                if error.after_s is not None:
                    self._hold(pause)
                if self._timer.wait(self._stop, pause):
                    raise NoMoreCalls from error
            else:
                with self._lock:
                    self._failed_in_a_row = 0
                return reply

    def _await_turn(self) -> None:
        """Wait while the service is held back."""
        while not self._stop.is_set():
            if self.given_up:
                raise NoMoreCalls
            held = self.held_s
            if held <= 0:
                return
            self._timer.wait(self._stop, held)
        raise NoMoreCalls

    def _hold(self, seconds: float) -> None:
        with self._lock:
            self._held_until = max(self._held_until, self._timer.now() + seconds)

    def _give_up(self, error: ProviderError, *, failed: int, elapsed: float) -> ProviderError:
        """The failure of a call in words; gives the service up where it is one too many, or asks for too long."""
        text = str(error)
        if error.again and error.after_s is not None and error.after_s + elapsed > self._patience.total_s:
            text += f" It asks to wait {error.after_s:.0f} s, which is too long; try again after that."
        elif failed > 1:
            text += f" It was tried {failed} times in {elapsed:.0f} s."
        with self._lock:
            self._failed_in_a_row += 1
            too_many = self._failed_in_a_row >= self._patience.in_a_row
            too_long = error.again and (error.after_s or 0.0) > self._patience.total_s
            if (too_many or too_long) and not self._given_up:
                times = f" {self._failed_in_a_row} calls in a row brought no reply." if too_many else ""
                self._given_up = f"{text}{times}"
        return ProviderError(text, again=error.again, after_s=error.after_s, fatal=error.fatal)


def _call(who: ModelAnnotator, request: ModelRequest) -> ModelReply:
    try:
        return who.call(request)
    except ProviderError:
        raise
    except Exception as error:
        # An SDK may raise anything; its text may hold anything, a key too, so only its kind is told.
        logger.error("Asking %s failed unforeseen: %s", who.name, type(error).__name__)
        raise ProviderError(
            f"{who.entry.title} could not be asked, for a reason this program did not foresee "
            f"({type(error).__name__}). The other models are not affected."
        ) from None
