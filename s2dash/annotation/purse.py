"""A budget that stops in time: what a call may cost is set aside before it is sent."""

from __future__ import annotations

import threading
from collections.abc import Sequence


class Purse:
    """Dollars that may be spent; safe to use from several threads.

    Args:
        budget: US dollars; None for no limit.
    """

    def __init__(self, budget: float | None = None) -> None:
        self.budget = budget
        self._spent = self._reserved = 0.0
        self._changed = threading.Condition()

    @property
    def spent(self) -> float:
        """US dollars spent so far."""
        with self._changed:
            return self._spent

    def reserve(self, dollars: float, *, stop: threading.Event) -> bool:
        """Set aside what a call may cost at most.

        Waits while the calls under way may turn out cheaper than what was set aside for them, and room is left.

        Args:
            dollars: Most it may cost; a call that costs nothing is always let through.
            stop: Ends the waiting.

        Returns:
            Whether it was set aside; False where the budget does not allow the call, or on `stop`.
        """
        with self._changed:
            while self.budget is not None and dollars > 0 and self._spent + self._reserved + dollars > self.budget:
                if self._spent + dollars > self.budget or self._reserved <= 0 or stop.is_set():
                    return False
                self._changed.wait(0.1)
            self._reserved += dollars
            return True

    def settle(self, *, reserved: float, spent: float) -> None:
        """Give back what was set aside for a call, and note what it did cost."""
        with self._changed:
            self._reserved -= reserved
            if self._reserved < 1e-12:  # sums of floats leave crumbs
                self._reserved = 0.0
            self._spent += spent
            self._changed.notify_all()

    def ended(self, too_dear: Sequence[str], *, of: int) -> str:
        """A sentence with the numbers where the budget ended the asking; empty where it did not.

        Args:
            too_dear: Why questions were not asked, one text each.
            of: Questions in all.
        """
        if not too_dear:
            return ""
        return (
            f"The budget of ${self.budget or 0.0:.2f} ended the asking: ${self.spent:.4f} are spent, and "
            f"{too_dear[-1]}. {len(too_dear)} of {of} questions were not asked. "
            "Raise the budget to ask them; what was answered is kept and is not paid for again."
        )
