"""The command line: `python -m s2dash demo | fetch | run | compare | ask | cards | answers | correct | points | info |
methods`."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

from s2dash import __version__
from s2dash.cli import answers, ask, cards, compare, correct, demo, fetch, info, methods, points, run
from s2dash.cli.output import Console
from s2dash.errors import Cancelled, S2DashError

TRACEBACK = "S2DASH_TRACEBACK"
"""Environment variable that lets a failure nobody foresaw through, to see where it happened."""


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(
        prog="python -m s2dash",
        description="Land cover from Sentinel-2 without training labels: cluster, name, check.",
    )
    parser.add_argument("--version", action="version", version=f"s2dash {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (demo, fetch, run, compare, ask, cards, answers, correct, points, info, methods):
        module.add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 only when the job is done; 1 if it could not be done, 130 if it was stopped (2, for a wrong command line, is
        argparse's own).
    """
    options = build_parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal or a file name cannot spell must not end a run
            stream.reconfigure(errors="backslashreplace")
    console = Console(json=options.json, quiet=options.quiet)
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        options.handler(options, console)
        sys.stdout.flush()  # a disk that is full under standard output shows here at the latest
    except Cancelled as error:
        console.fail(str(error))
        return 130
    except KeyboardInterrupt:
        console.fail("Stopped. Nothing was changed.")
        return 130
    except S2DashError as error:
        console.fail(str(error))
        return 1
    except MemoryError:
        console.fail("There is not enough memory for this scene. Choose a smaller area or a smaller --sample.")
        return 1
    except BrokenPipeError:
        return 1
    except OSError as error:
        what = " ".join(filter(None, [error.strerror or str(error), str(error.filename or "")]))
        console.fail(f"A file or folder cannot be read or written: {what}. Check its rights and the room on its disk.")
        return 1
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        console.fail(
            f"This failed for a reason the program did not foresee ({type(error).__name__}: {error}). Nothing is left "
            f"half-written. Please report it; with {TRACEBACK}=1 in the environment it says where it happened."
        )
        return 1
    finally:
        signal.signal(signal.SIGTERM, previous)
        _drop_unwritable_output()
    return 0


def _drop_unwritable_output() -> None:
    """Forget what a closed pipe or a full disk did not take; Python would try again at exit, and complain."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    """Let a terminated command clean up as an interrupted one does."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
