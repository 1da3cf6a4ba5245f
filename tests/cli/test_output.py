"""What commands say while they work."""

from __future__ import annotations

import io
import sys

import pytest

from s2dash.cli.output import Console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def console_since(seconds: float) -> Console:
    console = Console()
    console._began -= seconds
    return console


@pytest.mark.parametrize(("since", "expected"), [(10, "about 30 s left"), (100, "about 5 min left")])
def test_a_terminal_is_told_how_long_it_will_take(since: float, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    console_since(since).report(0.25, "Labelling blocks")
    assert terminal.getvalue() == f"\r\x1b[K 25%  Labelling blocks, {expected}"


def test_other_work_is_timed_from_its_own_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    console = console_since(100)
    console.report(0.9, "Reading")
    console.report(0.5, "Writing")
    first, last = terminal.getvalue().split("\r\x1b[K")[1:]
    assert first.endswith("left")
    assert last == " 50%  Writing"


def test_a_log_gets_a_line_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", log := io.StringIO())
    console = console_since(10)
    for share in (0.1, 0.2, 0.3):
        console.report(share, "Reading")
    assert log.getvalue() == " 10%  Reading\n"
