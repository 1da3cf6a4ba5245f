"""Values that are dear to make: each made once, whoever asks at the same time, and only the last few kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

T = TypeVar("T")

_NOTHING = object()


class Shelf:
    """A bounded memory, safe to use from several threads."""

    def __init__(self, size: int | None = None) -> None:
        """Keep the last `size` values asked for; all where it is None."""
        self._size = size
        self._values: OrderedDict[Hashable, Any] = OrderedDict()
        self._making: dict[Hashable, threading.RLock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value under a key, made where there is none; what raises is not kept.

        Whoever asks while another thread makes it waits for that one. Values of other keys are not held up.
        """
        with self._lock:
            making = self._making.setdefault(key, threading.RLock())
        with making:
            found = self._look(key)
            if found is _NOTHING:
                try:
                    found = make()
                except BaseException:
                    with self._lock:
                        self._making.pop(key, None)
                    raise
                with self._lock:
                    self._values[key] = found
                    while self._size is not None and len(self._values) > self._size:
                        old, _ = self._values.popitem(last=False)
                        self._making.pop(old, None)
            return cast(T, found)

    def peek(self, key: Hashable) -> Any | None:
        """The value under a key; None where there is none yet."""
        found = self._look(key)
        return None if found is _NOTHING else found

    def _look(self, key: Hashable) -> Any:
        with self._lock:
            if key not in self._values:
                return _NOTHING
            self._values.move_to_end(key)
            return self._values[key]
