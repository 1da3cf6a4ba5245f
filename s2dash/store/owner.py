"""Which process works on a run, and whether it still lives."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Owner:
    """A process, told apart from a later one that got the same number."""

    pid: int
    """Process number."""
    host: str
    """Machine it runs on."""
    mark: str
    """When the machine booted and the process began."""


def this_process() -> Owner:
    """The process that asks."""
    pid = os.getpid()
    return Owner(pid, socket.gethostname(), _mark(pid) or "")


def is_gone(owner: Owner) -> bool:
    """Whether the process has certainly ended; of another machine's process nothing is certain."""
    return owner.host == socket.gethostname() and _mark(owner.pid) != owner.mark


def _mark(pid: int) -> str | None:
    """Boot and start time of a process; None if there is none of that number."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    try:
        if boot.exists():
            # Fields after the command's name, which may hold spaces and brackets: state first, start time the 20th.
            fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            return None if fields[0] in "ZXx" else f"{boot.read_text().strip()} {fields[19]}"
    except (FileNotFoundError, ProcessLookupError):
        return None
    import psutil

    try:
        return f"{psutil.Process(pid).create_time():.0f}"
    except psutil.NoSuchProcess:
        return None
