"""The command line: `python -m s2dash demo | run | info`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from s2dash import __version__
from s2dash.cli import demo, info, run
from s2dash.cli.output import Console
from s2dash.errors import Cancelled, S2DashError


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(
        prog="python -m s2dash",
        description="Land cover from Sentinel-2 without training labels: cluster, name, check.",
    )
    parser.add_argument("--version", action="version", version=f"s2dash {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (demo, run, info):
        module.add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 only when the job is done; 1 if it could not be done, 130 if it was stopped (2, for a wrong command line, is
        argparse's own).
    """
    options = build_parser().parse_args(arguments)
    console = Console(json=options.json, quiet=options.quiet)
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        options.handler(options, console)
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
    finally:
        signal.signal(signal.SIGTERM, previous)
    return 0


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    """Let a terminated command clean up as an interrupted one does."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
