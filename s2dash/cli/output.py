"""What commands say: results on standard output, progress and failures on standard error."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.table import Table

from s2dash.progress import time_left


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Options every command has."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON on standard output")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def folder(text: str) -> Path:
    """A folder that a person names; an empty name, as of a variable that is not set, is none."""
    if not text.strip():
        raise argparse.ArgumentTypeError("an empty name is no folder")
    return Path(text)


@dataclass
class Console:
    """Where a command writes; also the `Progress` of its work."""

    json: bool = False
    """Results as JSON instead of tables."""
    quiet: bool = False
    """No progress."""
    _shown: str = field(default="", repr=False)
    _began: float = field(default_factory=time.monotonic, repr=False)
    _reached: float = field(default=0.0, repr=False)

    def report(self, share: float, text: str) -> None:
        """Show progress on standard error: a line that is rewritten on a terminal, a line a step elsewhere."""
        if self.quiet:
            return
        if share < self._reached:  # other work
            self._began = time.monotonic()
        self._reached = share
        if sys.stderr.isatty():
            left = time_left(share, time.monotonic() - self._began)
            about = f", about {_duration(left)} left" if left else ""
            end = "\n" if share >= 1 else ""
            print(f"\r\x1b[K{share:4.0%}  {text}{about}", end=end, file=sys.stderr, flush=True)
        elif text != self._shown:
            print(f"{share:4.0%}  {text}", file=sys.stderr, flush=True)
        self._shown = text

    def fail(self, text: str) -> None:
        """Say why the job could not be done; as JSON on standard output too, if asked for."""
        lead = "\r\x1b[K" if sys.stderr.isatty() else ""
        print(f"{lead}error: {text}", file=sys.stderr)
        if self.json:
            with suppress(OSError):  # standard output may be what failed
                print(json.dumps({"error": text}, ensure_ascii=False), flush=True)

    def result(self, content: dict[str, Any]) -> None:
        """Print the result for a program, if asked for."""
        if self.json:
            print(json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False))

    def table(self, title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table for a person; columns whose cells all start with a digit or a dash are set to the right."""
        if self.json:
            return
        table = Table(title=escape(title), title_justify="left", title_style="bold")
        for column, heading in enumerate(headings):
            numeric = bool(rows) and all(row[column][:1].isdigit() or row[column] in {"–", ""} for row in rows)
            table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        RichConsole(soft_wrap=False, highlight=False, emoji=False).print(table)

    def line(self, text: str) -> None:
        """Print a line for a person."""
        if not self.json:
            print(text)


def _duration(seconds: float) -> str:
    return f"{max(seconds, 1):.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def share_text(value: float | None) -> str:
    """A share 0-1 with three digits, a dash where undefined."""
    return "–" if value is None else f"{value:.3f}"
