"""The option that names a run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from s2dash.named_run import NamedRun


def add_run_option(parser: argparse.ArgumentParser) -> None:
    """Add the run."""
    parser.add_argument(
        "run", metavar="RUN", help="a folder that `run` or `demo` wrote, or the id of a run of the workspace"
    )
    parser.add_argument(
        "--workspace",
        type=Path,
        metavar="DIR",
        help="the workspace of that run (default $S2DASH_WORKSPACE or ./workspace)",
    )


def named_run(options: argparse.Namespace) -> NamedRun:
    """The run the options name.

    Raises:
        StoreError: If there is none, or it cannot be read.
    """
    from s2dash.named_run import find_run  # brings the database with it, which other commands do not need

    return find_run(options.run, workspace=options.workspace)
