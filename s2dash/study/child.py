"""A child process that works through one job: watched, and ended with whoever waits for it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from s2dash.memory import available_bytes
from s2dash.progress import Progress

MODULE = "s2dash.study.worker"
"""What a child runs."""
_PACKAGE = Path(__file__).resolve().parents[2]
_TICK = 0.15
"""Longest wait between two looks at whether the person asked to stop, s."""
_MIB = 1024**2


@dataclass(frozen=True)
class Outcome:
    """How a child ended."""

    result: Mapping[str, Any]
    """What it found, as far as it came."""
    error: str = ""
    """Why it could not do the job; empty where it did."""
    unmet: bool = False
    """Whether the method lacks something, weights for example, and would at any other K."""


def run_in_child(job: Mapping[str, Any], *, progress: Progress) -> Outcome:
    """Have one job done in a process of its own.

    The child is gone when this returns or raises, and it ends by itself if this process dies.

    Args:
        job: What `s2dash.study.worker` takes, as JSON.
        progress: Where to report, and through which to cancel; asked several times a second.

    Raises:
        Cancelled: If the person stopped it.
    """
    with tempfile.TemporaryFile() as log, _started(log) as child:
        free, most, last = available_bytes(), 0, ""
        with suppress(BrokenPipeError):  # it is dead already, which shows below
            assert child.stdin is not None
            child.stdin.write(json.dumps(job).encode() + b"\n")
            child.stdin.flush()
        share, text = 0.0, "Starting"
        for line in _lines(child):
            most = max(most, _memory(child.pid))
            if line is not None:
                message = json.loads(line)
                if "result" in message:
                    return Outcome(message["result"])
                if "error" in message:
                    return Outcome(message["held"], message["error"], message.get("unmet", False))
                share, text = message["share"], message["text"]
            progress.report(share, text)
        code = child.wait()
        log.seek(0)
        said = log.read().decode("utf-8", "replace").strip().splitlines()
        last = said[-1][:300] if said else ""
    return Outcome({"peak_mib": round(most / _MIB, 1) or None}, _ended(code, most, free, last))


@contextmanager
def _started(log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A child in a session of its own, so that all it starts ends with it."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(_PACKAGE), os.environ.get("PYTHONPATH")))),
        # A comparison fetches no weights behind anybody's back: what is not on the disk is said.
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
    }
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=environment,
        bufsize=0,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()


def _lines(child: subprocess.Popen[bytes]) -> Iterator[bytes | None]:
    """Lines the child writes; None now and then while it writes nothing. Ends when it does."""
    assert child.stdout is not None
    waiting, told = b"", time.monotonic()
    while True:
        ended = child.poll() is not None  # asked first: what it wrote before is then read below
        if select.select([child.stdout], [], [], 0 if ended else _TICK)[0]:
            part = os.read(child.stdout.fileno(), 1 << 16)
            if not part:
                return
            *whole, waiting = (waiting + part).split(b"\n")
            yield from whole
            told = time.monotonic() if whole else told
        elif ended:
            return
        if time.monotonic() - told >= _TICK:
            yield None
            told = time.monotonic()


def _memory(pid: int) -> int:
    """What the child holds now, bytes; 0 where that is not known."""
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except (psutil.Error, OSError):
        return 0


def _ended(code: int, most: int, free: int, last: str) -> str:
    """Why a child ended without an answer, in words."""
    held = f"It held {most / _MIB:,.0f} MiB when last seen; {free / _MIB:,.0f} MiB were free when it began"
    if code == -signal.SIGKILL:
        return (
            f"It ran out of memory: the system ended it. {held}. Choose fewer features, a smaller sample or a smaller "
            "scene."
        )
    with suppress(ValueError):
        return f"It ended unexpectedly ({signal.Signals(-code).name}). {held}." + (f" It said: {last}" if last else "")
    return f"It ended unexpectedly (exit code {code})." + (f" It said: {last}" if last else "")
