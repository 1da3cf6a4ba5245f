"""How much memory there is, and refusing what would not fit before anything is lost."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from s2dash.errors import TooLargeError

_CGROUP = Path("/sys/fs/cgroup")
_MIB = 1024**2


def available_bytes() -> int:
    """Memory that can still be had, bytes: of the machine, and of the container if it has a limit of its own."""
    import psutil

    available = int(psutil.virtual_memory().available)
    with suppress(OSError, ValueError):  # no container, or one without a limit ("max")
        limit = int((_CGROUP / "memory.max").read_text())
        used = int((_CGROUP / "memory.current").read_text())
        statistics = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        # the kernel gives cached file contents back when asked
        available = min(available, limit - used + int(statistics.get("inactive_file", 0)))
    return max(available, 0)


def check_fits(needed: int, *, what: str, way_out: str) -> None:
    """Refuse what would not fit in memory.

    Args:
        needed: Bytes.
        what: What needs them, to begin a sentence with.
        way_out: What to do instead, a sentence.

    Raises:
        TooLargeError: If `needed` exceeds the memory available.
    """
    free = available_bytes()
    if needed > free:
        raise TooLargeError(f"{what} needs about {needed / _MIB:,.0f} MiB; {free / _MIB:,.0f} MiB are free. {way_out}")
