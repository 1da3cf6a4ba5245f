import threading
import time

import pytest

from s2dash.dashboard.shelf import Shelf


def test_a_value_is_made_once_whoever_asks_at_the_same_time():
    shelf, made, got = Shelf(), [], []

    def make():
        made.append(True)
        time.sleep(0.05)
        return object()

    threads = [threading.Thread(target=lambda: got.append(shelf.get("key", make))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(got) == 8
    assert len(set(map(id, got))) == 1


def test_the_last_values_asked_for_are_kept():
    shelf = Shelf(2)
    for key in "ab":
        shelf.get(key, lambda key=key: key.upper())
    assert shelf.peek("a") == "A"  # and so the one asked for last
    shelf.get("c", lambda: "C")
    assert (shelf.peek("a"), shelf.peek("b"), shelf.peek("c")) == ("A", None, "C")


def test_what_fails_is_not_kept_and_can_be_tried_again():
    shelf = Shelf()
    with pytest.raises(ZeroDivisionError):
        shelf.get("key", lambda: 1 / 0)
    assert shelf.peek("key") is None
    assert shelf.get("key", lambda: None) is None  # None is a value like any other
    assert shelf.get("key", lambda: "not made") is None


def test_one_slow_value_does_not_hold_up_another():
    shelf, go = Shelf(), threading.Event()
    slow = threading.Thread(target=lambda: shelf.get("slow", lambda: go.wait(10)))
    slow.start()
    assert shelf.get("quick", lambda: 1) == 1
    go.set()
    slow.join()


def test_a_value_may_be_made_of_another():
    shelf = Shelf()
    assert shelf.get("sum", lambda: shelf.get("part", lambda: 1) + shelf.get("part", lambda: 2)) == 2
