"""How much memory there is, and refusing what would not fit before anything is lost."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from s2dash.errors import TooLargeError
from s2dash.types import NumberArray

_CGROUP = Path("/sys/fs/cgroup")
_MIB = 1024**2
_SHARE_IN_MEMORY = 0.25
"""Share of the free memory that one map may take before it lies on disk."""


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


def spacious_zeros(shape: Sequence[int], dtype: Any) -> NumberArray:
    """Zeros in memory where there is ample room, else in a file of the temporary folder that goes with the array.

    Raises:
        TooLargeError: If the disk has no room either.
    """
    needed = math.prod(shape) * np.dtype(dtype).itemsize
    if needed <= _SHARE_IN_MEMORY * available_bytes():
        return np.zeros(tuple(shape), dtype=dtype)
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if needed > free:
        sides = " × ".join(f"{side:,}" for side in reversed(shape))
        raise TooLargeError(
            f"A map of {sides} pixels needs {needed / _MIB:,.0f} MiB, but "
            f"{available_bytes() / _MIB:,.0f} MiB of memory and {free / _MIB:,.0f} MiB of {folder} are free. Choose a "
            "smaller area, or set TMPDIR to a folder on a larger disk."
        )
    with tempfile.TemporaryFile(prefix="s2dash-", suffix=".map") as file:  # its space is freed with the array
        file.truncate(needed)
        return np.memmap(file, dtype=dtype, mode="r+", shape=tuple(shape))
