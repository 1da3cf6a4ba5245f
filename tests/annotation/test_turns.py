"""Turns with other programs: one asks, the others wait for its answer, for its end, or until a person stops."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from s2dash.annotation.patience import RealTimer
from s2dash.annotation.replies import ReplyKey
from s2dash.annotation.turns import Turns

KEY = ReplyKey("card", "prompt", "model")


class Claims:
    """A book whose claims another program holds, until it lets go."""

    def __init__(self, *, held: bool = True) -> None:
        self.held = held
        self.released: list[ReplyKey] = []
        self.renewed = 0

    def claim(self, key: ReplyKey) -> bool:
        assert key == KEY
        return not self.held

    def release(self, key: ReplyKey) -> None:
        self.released.append(key)

    def renew_claims(self) -> None:
        self.renewed += 1


class Clock(RealTimer):
    seconds = 0.0

    def now(self) -> float:
        return self.seconds


def turns(book: object, *, stop: threading.Event | None = None, timer: RealTimer | None = None) -> Turns:
    return Turns(book, timer=timer or RealTimer(), stop=stop or threading.Event())


def never() -> bool:
    return False


def waits(ours: Turns, who: str = "eye") -> None:
    until = time.monotonic() + 10
    while ours.waiting(who) != 1:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_where_nobody_else_can_ask_every_turn_is_ours():
    ours = turns(None)
    assert ours.take(KEY, who="eye", answered=never)
    ours.give_back(KEY)
    ours.renew()


def test_a_free_question_is_ours_until_given_back():
    book = Claims(held=False)
    ours = turns(book)
    assert ours.take(KEY, who="eye", answered=never)
    assert book.released == []
    ours.give_back(KEY)
    assert book.released == [KEY]


@pytest.mark.parametrize("comes", ["free", "answered", "stopped"])
def test_a_question_another_program_asks_is_waited_for(comes: str):
    book, stop, answered = Claims(), threading.Event(), threading.Event()
    ours = turns(book, stop=stop)
    with ThreadPoolExecutor(1) as pool:
        taken = pool.submit(ours.take, KEY, who="eye", answered=answered.is_set)
        waits(ours)
        assert not taken.done()
        if comes == "free":
            book.held = False
        else:
            {"answered": answered, "stopped": stop}[comes].set()
        assert taken.result(10) is (comes == "free")
    assert ours.waiting("eye") == ours.waiting("somebody else") == 0
    assert book.released == []


def test_signs_of_life_are_given_now_and_then_only():
    book, clock = Claims(), Clock()
    ours = turns(book, timer=clock)
    for clock.seconds in (0.0, 10.0, 29.0):
        ours.renew()
    assert book.renewed == 0
    for clock.seconds in (31.0, 32.0, 60.0):
        ours.renew()
    assert book.renewed == 1
    clock.seconds = 62.0
    ours.renew()
    assert book.renewed == 2
