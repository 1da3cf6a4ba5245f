"""Memory: what is there, of the machine and of the container, and a refusal in numbers."""

from __future__ import annotations

import numpy as np
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


def test_a_map_without_room_in_memory_lies_on_disk(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000)
    large = memory.spacious_zeros((100, 200), np.uint8)
    assert isinstance(large, np.memmap)
    assert not large.any()
    large[3, 4] = 7
    assert large.sum() == 7
    monkeypatch.setattr(memory, "available_bytes", lambda: 10**9)
    assert not isinstance(memory.spacious_zeros((100, 200), np.uint8), np.memmap)


def test_a_map_that_fits_nowhere_is_refused_with_the_numbers(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000 * MIB)
    with pytest.raises(TooLargeError, match=r"10,000,000 × 20,000,000 pixels needs 190,734,863 MiB, but 1,000 MiB of"):
        memory.spacious_zeros((20_000_000, 10_000_000), np.uint8)
