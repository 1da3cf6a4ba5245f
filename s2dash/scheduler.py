"""Blocks on other machines: a `dask.distributed` cluster, where somebody names its scheduler.

Without one everything runs on the threads of this process (`s2dash.parallel`). With one, the workers read the blocks
themselves, so every machine must find the scene's files under the same path or address, and have the same s2dash.
Which machine labels which block changes nothing: a block that is lost with its worker is done again by another.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib import import_module
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeVar

from s2dash.errors import SchedulerError

if TYPE_CHECKING:
    from distributed import Client, Future

S = TypeVar("S")
T = TypeVar("T")

SCHEDULER = "S2DASH_SCHEDULER"
"""Environment variable with the scheduler's address."""
CONNECT_S = 10.0
"""How long to wait for the scheduler to answer, s."""
WORKERS_S = 60.0
"""How long to wait for a worker, at the start and when all were lost, s."""
RESULT_S = 60.0
"""How long the result of one block may take to arrive before it is made once more, s."""
_LOOK_S = 2.0  # how often to see whether any worker is left while nothing ends
_WAITING = 4
"""Blocks under way a thread of the cluster: enough to keep it busy, few enough to bound memory."""

_chosen: ContextVar[str | None] = ContextVar("scheduler", default=None)


def scheduler_address() -> str | None:
    """The scheduler in force: that of `using_scheduler`, else of the environment; None for the threads here."""
    return _chosen.get() or os.environ.get(SCHEDULER, "").strip() or None


@contextmanager
def using_scheduler(address: str | None) -> Iterator[None]:
    """Label the blocks of everything inside on the cluster at `address`, e.g. `tcp://10.0.0.5:8786`."""
    token = _chosen.set(address)
    try:
        yield
    finally:
        _chosen.reset(token)


def cluster_map(
    function: Callable[[Any, S], T], shared: Any, items: Iterable[S], *, address: str
) -> Iterator[tuple[S, T]]:
    """`function(shared, item)` of every item on the workers of a cluster, in whatever order they finish.

    Args:
        function: Of a module that the workers can import.
        shared: Sent to every worker once.
        items: What to work on, one task each.
        address: Of the scheduler.

    Yields:
        Each item with its result. Stopping early cancels what is under way.

    Raises:
        SchedulerError: If the scheduler or its workers cannot be reached, do not match, or are all lost.
        S2DashError: What the function raises.
    """
    from distributed.scheduler import KilledWorker

    with _connected(address) as client:
        limit = _WAITING * max(sum(client.nthreads().values()), 1)
        waiting = iter(items)
        (held,) = client.scatter([shared], broadcast=True, hash=False)
        of: dict[Future, S] = {}
        watch = _Workers(client, address)
        try:
            while True:
                for item in islice(waiting, limit - len(of)):
                    of[client.submit(function, held, item, pure=False)] = item
                if not of:
                    return
                for task in _finished(of, client, watch):
                    item = of.pop(task)
                    try:
                        result = task.result(timeout=_LOOK_S + RESULT_S)
                    except (CancelledError, TimeoutError):  # its result went with the worker that had it
                        watch.look()
                        task.release()
                        waiting = chain([item], waiting)
                        continue
                    except KilledWorker as error:
                        raise SchedulerError(
                            f"A block killed {error.allowed_failures + 1} workers of {address} one after the other, "
                            "most likely for want of memory. Give the workers more, or fewer threads each."
                        ) from None
                    except RuntimeError as error:
                        if "deserialization" not in str(error):
                            raise
                        raise SchedulerError(
                            f"The scheduler at {address} cannot read what is to be done. Install the same version of "
                            "s2dash and of dask where it runs."
                        ) from None
                    task.release()
                    yield item, result
        finally:
            with suppress(Exception):  # the scheduler may be gone
                client.cancel(list(of), force=True)


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    """A client of the scheduler that has at least one worker with the same s2dash."""
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise SchedulerError(
            f"No dask scheduler answers at {address!r} ({type(error).__name__}). Start one with `dask scheduler`, or "
            f"leave --scheduler and {SCHEDULER} out to work on this machine."
        ) from None
    try:
        try:
            client.wait_for_workers(1, timeout=WORKERS_S)
        except TimeoutError:
            raise SchedulerError(_no_workers(address)) from None
        _check_versions(client, address)
        yield client
    finally:
        with suppress(Exception):  # a scheduler that died has nothing to be told
            client.close(timeout=5)


def _finished(tasks: Iterable[Future], client: Client, watch: _Workers) -> set[Future]:
    """The tasks that have ended, one at least.

    Raises:
        SchedulerError: If the scheduler was lost, or no worker is left for long.
    """
    from distributed import wait

    while True:
        watch.look()
        try:
            with client.as_current():  # of this thread only: others may work with another cluster
                ended: set[Future] = wait(list(tasks), timeout=_LOOK_S, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            continue
        except CancelledError:
            ended = {task for task in tasks if task.cancelled()}
        if ended:
            return ended


class _Workers:
    """Whether any worker is left."""

    def __init__(self, client: Client, address: str) -> None:
        self.client, self.address = client, address
        self.seen = time.monotonic()

    def look(self) -> None:
        """Give up where the scheduler was lost, or has had no worker for long."""
        try:
            alone = not self.client.nthreads()
        except (OSError, RuntimeError, TimeoutError):
            raise SchedulerError(_lost(self.address)) from None
        now = time.monotonic()
        if not alone:
            self.seen = now
        elif now - self.seen > WORKERS_S:
            raise SchedulerError(_no_workers(self.address))


def _lost(address: str) -> str:
    return f"The dask scheduler at {address} was lost. See that it runs and can be reached, and begin again."


def _no_workers(address: str) -> str:
    return (
        f"The dask scheduler at {address} has had no worker for {WORKERS_S:.0f} s. Start some with "
        f"`dask worker {address}` where s2dash is installed."
    )


def _check_versions(client: Client, address: str) -> None:
    """Refuse workers without this s2dash: another version could make another map."""
    here = _version()
    try:
        found = client.run(_version)
    except Exception as error:
        raise SchedulerError(
            f"The workers of {address} cannot say which s2dash they have ({type(error).__name__}). Install the same "
            "version there."
        ) from None
    others = {worker: version for worker, version in found.items() if version != here}
    if others:
        listed = ", ".join(f"{worker} has {version or 'none'}" for worker, version in sorted(others.items()))
        raise SchedulerError(f"All workers need s2dash {here}, but {listed}. Install the same version there.")


def _version() -> str:
    """Here or on a worker: the version of s2dash, empty for none."""
    try:
        return str(import_module("s2dash").__version__)
    except ImportError:
        return ""
