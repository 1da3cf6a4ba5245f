"""Blocks on threads: reading and NumPy release the interpreter lock, so two cores do twice the work."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def workers() -> int:
    """Threads to use: the cores this process may run on, at most eight."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 8)


def ordered_map(function: Callable[[S], T], items: Iterable[S], *, threads: int | None = None) -> Iterator[T]:
    """`map` on threads, in order, with only a few results waiting: memory stays bounded.

    The first exception is raised where its result is due, and nothing that has not begun is begun any more; that is
    also what happens when the caller stops iterating.
    """
    count = threads or workers()
    if count == 1:
        yield from map(function, items)
        return
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(count, thread_name_prefix="s2dash-block") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 2 * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
