"""Blocks on threads: in order, bounded, and the first failure is the one that is raised."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dash.parallel import ordered_map, workers


@given(st.lists(st.integers()), st.integers(1, 4))
def test_same_as_map(items, threads):
    assert list(ordered_map(lambda item: item * 2, items, threads=threads)) == [item * 2 for item in items]


def test_order_holds_when_the_first_is_the_slowest():
    def work(item):
        time.sleep(0.05 if item == 0 else 0)
        return item

    assert list(ordered_map(work, range(6), threads=3)) == list(range(6))


def test_only_a_few_results_wait():
    taken = []

    def items():
        for item in range(100):
            taken.append(item)
            yield item

    results = ordered_map(lambda item: item, items(), threads=2)
    next(results)
    assert len(taken) <= 6
    results.close()


def test_a_failure_is_raised_and_nothing_new_begins():
    begun, lock = [], threading.Lock()

    def work(item):
        with lock:
            begun.append(item)
        if item == 3:
            raise ValueError("three")
        return item

    with pytest.raises(ValueError, match="three"):
        list(ordered_map(work, range(1000), threads=2))
    assert len(begun) < 20


def test_there_is_at_least_one_worker():
    assert 1 <= workers() <= 8
