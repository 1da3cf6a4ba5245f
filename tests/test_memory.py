"""Memory: what is there, of the machine and of the container, and a refusal in numbers."""

from __future__ import annotations

import psutil
import pytest

from s2dash import memory
from s2dash.errors import TooLargeError

MIB = 1024**2


def test_no_more_than_the_machine_has():
    assert 0 < memory.available_bytes() <= psutil.virtual_memory().total


def test_the_limit_of_a_container_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    free = memory.available_bytes()
    (tmp_path / "memory.max").write_text(f"{100 * MIB}\n")
    (tmp_path / "memory.current").write_text(f"{60 * MIB}\n")
    (tmp_path / "memory.stat").write_text(f"anon {50 * MIB}\ninactive_file {10 * MIB}\n")
    assert memory.available_bytes() == min(50 * MIB, free)
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available_bytes() > 50 * MIB


def test_what_does_not_fit_is_refused_with_numbers_and_a_way_out(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 10 * MIB)
    memory.check_fits(10 * MIB, what="This", way_out="Do that.")
    with pytest.raises(TooLargeError, match=r"This needs about 11 MiB; 10 MiB are free\. Do that\."):
        memory.check_fits(11 * MIB, what="This", way_out="Do that.")
