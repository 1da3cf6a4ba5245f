"""Every question is asked once, at once, with patience, within the budget, and nothing that was paid for is lost."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from asking_fakes import FakeService, FakeTimer, MemoryBook, form, model, question, reply

from s2dash.annotation.answer import Annotator
from s2dash.annotation.asking import Asked, ask_all, question_key
from s2dash.annotation.estimate import most_dollars
from s2dash.annotation.patience import Patience
from s2dash.annotation.purse import Purse
from s2dash.annotation.rules import RulesAnnotator
from s2dash.errors import AnnotationError, BudgetError, Cancelled, ProviderError, StoreError
from s2dash.progress import Tracker
from s2dash.store import Store

QUICK = Patience(tries=3, first_s=0.01, longest_s=0.02, total_s=5, in_a_row=3, grace_s=0.2)
BUSY = ProviderError("too many calls", again=True)


def ask(*who: Annotator, clusters: int = 6, **options: Any) -> Asked:
    questions = [(one, question(cluster)) for one in who for cluster in range(1, clusters + 1)]
    return ask_all(questions, **{"patience": QUICK} | options)


class Watch:
    """Progress that notes everything, and stops when told."""

    def __init__(self, stop: Callable[[], bool] = lambda: False) -> None:
        self.seen: list[tuple[float, str]] = []
        self.times: list[float] = []
        self._stop = stop

    def report(self, share: float, text: str) -> None:
        self.seen.append((share, text))
        self.times.append(time.monotonic())
        if self._stop():
            raise Cancelled("stopped")


# ---- all at once


def test_all_models_are_asked_all_questions_and_answers_come_in_order():
    services = {name: FakeService() for name in ("claude", "gpt")}
    book = MemoryBook()
    asked = ask(RulesAnnotator(), *(model(services[name], name) for name in services), book=book)
    assert [(answer.annotator, answer.cluster) for answer in asked.answers] == [
        (name, cluster) for name in ("rules", "claude", "gpt") for cluster in range(1, 7)
    ]
    assert (asked.failures, asked.called, asked.found, asked.stopped) == ({}, 12, 0, "")
    assert asked.usage.input_tokens == 12_000
    assert asked.usage.dollars == pytest.approx(12 * 0.0045)
    assert len(book.of_run) == 18
    assert all(len(service.calls) == 6 for service in services.values())


def test_nothing_to_ask_is_nothing_done():
    asked = ask_all([])
    assert (asked.answers, asked.called, asked.failures) == ((), 0, {})


def test_calls_run_at_once_up_to_the_limit_of_the_service():
    one, two = FakeService(latency_s=0.05), FakeService(latency_s=0.05)
    started = time.monotonic()
    ask(model(one, "claude", limit=3), model(two, "gpt", limit=2), clusters=6)
    assert (one.most_at_once, two.most_at_once) == (3, 2)
    assert time.monotonic() - started < 0.5, "twelve calls one after the other would take 0.6 s"


def test_two_models_of_one_service_share_its_limit():
    service = FakeService(latency_s=0.02)
    address = "https://one.example.org"
    ask(model(service, "small", limit=5, address=address), model(service, "large", limit=2, address=address))
    assert len(service.calls) == 12
    assert service.most_at_once == 2


def test_answers_that_come_out_of_order_belong_to_their_questions():
    def slow_first(request: Any) -> str:
        cluster = int(request.text.split("Area: ")[1].split(" ha")[0]) - 10
        time.sleep(0.12 / cluster)
        return form(term=f"cluster {cluster}")

    book = MemoryBook()
    asked = ask(model(FakeService(slow_first), limit=6), book=book)
    assert [answer.term for answer in asked.answers] == [f"cluster {number}" for number in range(1, 7)]
    assert [answer.cluster for answer in asked.answers] == [1, 2, 3, 4, 5, 6]
    assert [answer.cluster for answer in book.of_run] != [1, 2, 3, 4, 5, 6], "kept as they came"


def test_progress_tells_of_every_model_and_never_goes_back():
    watch = Watch()
    ask(RulesAnnotator(), model(FakeService(latency_s=0.03), "claude"), model(FakeService(), "gpt"), progress=watch)
    shares = [share for share, _ in watch.seen]
    assert shares == sorted(shares)
    assert watch.seen[-1] == (1.0, "rules 6 of 6, Claude 6 of 6, Gpt 6 of 6")
    assert any("Claude 2 of 6" in text for _, text in watch.seen)


# ---- never twice


def test_what_is_in_the_book_is_not_asked():
    book, service = MemoryBook(), FakeService()
    first = ask(model(service), clusters=4, book=book)
    book.of_run.clear()
    again = ask(model(service), clusters=6, book=book)
    assert len(service.calls) == 6
    assert (again.called, again.found) == (2, 4)
    assert again.answers[:4] == first.answers
    assert again.usage.input_tokens == 2000, "what was paid before is not paid now"
    assert len(book.of_run) == 6, "found answers belong to the new run too"


def test_an_answer_that_could_not_be_used_is_not_asked_again_either():
    book, service = MemoryBook(), FakeService(otherwise="no JSON")
    ask(model(service), clusters=1, book=book)
    asked = ask(model(service), clusters=1, book=book)
    assert len(service.calls) == 2
    assert asked.answers[0].fault


def test_a_found_answer_is_about_the_cluster_that_asks():
    book = MemoryBook()
    one = question(4)
    ask_all([(model(FakeService()), one)], book=book)
    kept = book.of_run[0].model_copy(update={"cluster": 9, "annotator": "somebody"})
    book._answers = {(kept.card, kept.prompt, kept.model): kept}
    (answer,) = ask_all([(model(FakeService()), one)], book=book).answers
    assert (answer.cluster, answer.annotator) == (4, "claude")


def test_a_second_click_waits_for_the_first():
    gate, service = threading.Event(), FakeService()
    service._gate = gate
    books = [MemoryBook(), MemoryBook()]
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(ask, model(service, limit=3), clusters=3, book=book) for book in books]
        service.wait_for(3)
        time.sleep(0.1)
        gate.set()
        results = [run.result(20) for run in runs]
    assert len(service.calls) == 3
    assert sum(result.called for result in results) == 3, "each may have been first with some"
    assert sum(result.found for result in results) == 3
    assert results[0].answers == results[1].answers
    assert all(len(book.of_run) == 3 for book in books), "each keeps the answers in its own book"


def test_the_same_question_twice_in_one_asking_is_asked_once():
    service = FakeService(latency_s=0.02)
    asked = ask_all([(model(service, limit=4), question(1)) for _ in range(4)], patience=QUICK)
    assert len(service.calls) == 1
    assert len(asked.answers) == 4
    assert (asked.called, asked.found) == (1, 3)


def test_who_waits_asks_himself_where_the_first_gets_no_answer():
    gate = threading.Event()
    failing, working = FakeService([ProviderError("broken")], gate=gate), FakeService()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, model(failing), clusters=1)
        failing.wait_for(1)
        second = pool.submit(ask, model(working), clusters=1)
        time.sleep(0.1)
        assert working.calls == []
        gate.set()
        assert "broken" in first.result(10).failures["claude"]
        assert len(second.result(10).answers) == 1
    assert len(working.calls) == 1


def test_without_a_book_a_first_reply_still_is_not_paid_twice():
    service = FakeService(["prose", BUSY, form()])
    asked = ask(model(service), clusters=1)
    assert (asked.answers[0].code, asked.answers[0].asks) == (40, 2)
    assert len(service.calls) == 3
    assert asked.called == 2


def test_an_answer_that_came_since_the_first_look_is_found():
    class Late(MemoryBook):
        looks = 0

        def find(self, **key: str) -> Any:
            self.looks += 1
            return None if self.looks == 1 else super().find(**key)

    book, service = Late(), FakeService()
    book.keep(model(FakeService()).answer(question(1)))
    asked = ask(model(service), clusters=1, book=book)
    assert (service.calls, asked.found, asked.called) == ([], 1, 0)


def test_every_reply_and_answer_is_kept_by_the_worker_that_got_it():
    book = MemoryBook()
    ask(model(FakeService(["prose", form()])), clusters=1, book=book)
    assert book.kept == ["reply 1", "reply 2", "answer 1"]


# ---- patience


def test_a_busy_service_is_asked_again_after_growing_pauses():
    timer, service = FakeTimer(), FakeService([BUSY, BUSY, BUSY])
    patience = Patience(tries=5, first_s=1.0, longest_s=3.0, total_s=100)
    asked = ask(model(service), clusters=1, timer=timer, patience=patience, rng=random.Random(1))
    assert len(asked.answers) == 1
    assert len(service.calls) == 4
    low, high = zip((0.5, 1.0), (1.0, 2.0), (1.5, 3.0), strict=True)
    assert all(least <= pause <= most for least, pause, most in zip(low, timer.waits, high, strict=True))
    again = FakeTimer()
    ask(model(FakeService([BUSY] * 3)), clusters=1, timer=again, patience=patience, rng=random.Random(1))
    assert again.waits == timer.waits, "the same seed gives the same pauses"


def test_a_call_is_tried_so_often_and_no_more():
    service = FakeService(otherwise=BUSY)
    service._script = lambda request: BUSY
    asked = ask(model(service), clusters=1, timer=FakeTimer(), patience=Patience(tries=4))
    assert len(service.calls) == 4
    assert asked.answers == ()
    assert asked.failures["claude"].startswith("1 of 1 questions have no answer. too many calls It was tried 4 times")


def test_total_patience_ends_before_the_tries_do():
    service = FakeService(lambda request: BUSY)
    ask(model(service), clusters=1, timer=FakeTimer(), patience=Patience(tries=99, first_s=8, longest_s=8, total_s=30))
    assert 4 <= len(service.calls) <= 8


def test_what_cannot_succeed_is_not_tried_again():
    service = FakeService([ProviderError("the question is refused")])
    asked = ask(model(service), clusters=3)
    assert len(service.calls) == 3
    assert len(asked.answers) == 2
    assert asked.failures == {"claude": "1 of 3 questions have no answer. the question is refused"}


def test_when_a_service_asks_to_wait_all_its_calls_wait():
    stamps: list[float] = []
    lock = threading.Lock()

    def busy_once(request: Any) -> Any:
        with lock:
            stamps.append(time.monotonic())
            return ProviderError("busy", again=True, after_s=0.3) if len(stamps) == 1 else form()

    other = FakeService()
    watch = Watch()
    asked = ask(model(FakeService(busy_once), limit=1), model(other, "gpt"), clusters=3, progress=watch)
    assert len(asked.answers) == 6
    assert stamps[1] - stamps[0] >= 0.3
    late = [stamp for stamp in stamps[1:] if stamp - stamps[0] < 0.3]
    assert late == []
    with_many = FakeTimer()
    stamps.clear()
    ask(model(FakeService(busy_once), limit=3), clusters=6, timer=with_many)
    assert sum(with_many.waits) >= 0.3


def test_a_hold_stops_calls_of_other_threads_too():
    first, times = threading.Event(), []

    def said(request: Any) -> Any:
        times.append(time.monotonic())
        if len(times) == 1:
            first.set()
            return ProviderError("busy", again=True, after_s=0.4)
        assert first.is_set()
        time.sleep(0.1)  # under way when the hold began
        return form()

    ask(model(FakeService(said), limit=2), clusters=6)
    held = [moment - times[0] for moment in times[2:]]
    assert min(held) >= 0.39, "only the call that was under way already came before the end of the hold"


def test_a_service_that_asks_for_too_long_is_given_up_and_the_others_go_on():
    service = FakeService(lambda request: ProviderError("busy.", again=True, after_s=3600.0))
    asked = ask(model(service, limit=1), model(FakeService(), "gpt"), clusters=5)
    assert len(service.calls) == 1
    assert asked.failures == {
        "claude": "5 of 5 questions have no answer. busy. It asks to wait 3600 s, which is too long; try again after "
        "that."
    }
    assert len(asked.answers) == 5


def test_a_fatal_error_gives_the_model_up_at_once_and_the_others_go_on():
    refused = FakeService(lambda request: ProviderError("The key was refused.", fatal=True))
    asked = ask(model(refused, limit=1), model(FakeService(), "gpt"), RulesAnnotator(), clusters=5)
    assert len(refused.calls) == 1
    assert asked.failures == {"claude": "5 of 5 questions have no answer. The key was refused."}
    assert Counter(answer.annotator for answer in asked.answers) == {"gpt": 5, "rules": 5}


def test_a_service_that_is_down_is_given_up_after_some_calls():
    down = FakeService(lambda request: ProviderError("lost", again=True))
    asked = ask(model(down, limit=1), model(FakeService(), "gpt"), clusters=20, timer=FakeTimer())
    assert len(down.calls) == QUICK.tries * QUICK.in_a_row
    assert "20 of 20 questions have no answer. lost" in asked.failures["claude"]
    assert "3 calls in a row brought no reply" in asked.failures["claude"]
    assert len(asked.answers) == 20


def test_a_reply_in_between_starts_the_count_anew():
    bad = ProviderError("no")
    service = FakeService([bad, bad, form(), bad, bad, form()])
    asked = ask(model(service, limit=1), clusters=6)
    assert len(service.calls) == 6
    assert len(asked.answers) == 2


def test_what_an_sdk_raises_unforeseen_is_a_failure_without_its_text(caplog: pytest.LogCaptureFixture):
    service = FakeService(lambda request: RuntimeError("key sk-secret-123456 is wrong"))
    asked = ask(model(service), model(FakeService(), "gpt"), clusters=2)
    assert "(RuntimeError)" in asked.failures["claude"]
    assert "sk-secret" not in asked.failures["claude"] + caplog.text
    assert len(asked.answers) == 2


def test_an_offline_annotator_that_cannot_answer_leaves_the_others():
    class Broken(RulesAnnotator):
        def answer(self, asked: Any) -> Any:
            raise AnnotationError("No map between the schemes.")

    asked = ask(Broken(name="broken"), model(FakeService()), clusters=2)
    assert asked.failures == {"broken": "2 of 2 questions have no answer. No map between the schemes."}
    assert len(asked.answers) == 2


def test_a_model_without_anything_to_show_is_a_failure():
    asked = ask_all([(model(FakeService()), question(1, exhibit=None))])
    assert "without anything to show" in asked.failures["claude"]


def test_a_book_that_cannot_keep_ends_the_asking():
    class Full(MemoryBook):
        def keep_reply(self, key: Any, number: int, said: Any) -> None:
            raise StoreError("The disk is full.")

    service = FakeService(latency_s=0.01)
    with pytest.raises(StoreError, match="disk is full"):
        ask(model(service, limit=1), clusters=50, book=Full())
    time.sleep(0.05)
    assert len(service.calls) <= 2, "what cannot be kept is not paid for"


# ---- stopping


def test_stopping_ends_new_calls_at_once_and_keeps_what_comes_late():
    gate, book = threading.Event(), MemoryBook()
    service = FakeService(gate=gate)
    watch = Watch(stop=lambda: len(service.calls) >= 2)
    started = time.monotonic()
    with pytest.raises(Cancelled):
        ask(model(service, limit=2), clusters=8, book=book, progress=watch)
    assert time.monotonic() - started < 1.0, "it does not wait for the service"
    assert book.kept == []
    gate.set()
    until = time.monotonic() + 5
    while book.kept.count("reply 1") < 2 or len(book.of_run) < 2:
        assert time.monotonic() < until
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(service.calls) == 2, "no new call after the stop"
    again = ask(model(service, limit=2), clusters=8, book=book)
    assert len(again.answers) == 8
    assert (again.found, again.called, len(service.calls)) == (2, 6, 8)


def test_the_stop_is_looked_at_while_everything_hangs():
    gate = threading.Event()
    service, watch = FakeService(gate=gate), Watch()
    watch._stop = lambda: len(watch.times) > 12
    with pytest.raises(Cancelled):
        ask(model(service), clusters=2, progress=watch)
    gaps = [later - sooner for sooner, later in zip(watch.times, watch.times[1:], strict=False)]
    assert sorted(gaps)[len(gaps) // 2] <= 0.2
    gate.set()


@pytest.mark.parametrize("after_s", [None, 2.0])
def test_the_stop_ends_the_pauses_too(after_s: float | None):
    service = FakeService(lambda request: ProviderError("busy", again=True, after_s=after_s))
    tracker = Tracker()
    threading.Timer(0.2, tracker.cancel).start()
    patience = Patience(tries=9, first_s=30, longest_s=30, grace_s=0.5)
    started = time.monotonic()
    with pytest.raises(Cancelled):
        ask(model(service, limit=1), clusters=3, progress=tracker, patience=patience)
    assert time.monotonic() - started < 1.0
    assert len(service.calls) == 1


def test_a_click_after_a_stop_waits_for_the_call_that_is_still_under_way():
    gate, book = threading.Event(), MemoryBook()
    service = FakeService(["prose", form()], gate=gate)
    watch = Watch(stop=lambda: len(service.calls) >= 1)
    with pytest.raises(Cancelled):
        ask(model(service, limit=1), clusters=1, book=book, progress=watch)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(ask, model(service, limit=1), clusters=1, book=book)
        time.sleep(0.15)
        assert len(service.calls) == 1, "the question is under way"
        gate.set()
        asked = second.result(10)
    assert [answer.asks for answer in asked.answers] == [2]
    assert len(service.calls) == 2, "the faulty reply came late, was kept, and only the second ask was made"
    assert asked.called == 1


def test_stopping_before_anything_was_asked():
    service = FakeService()
    with pytest.raises(Cancelled):
        ask(model(service), progress=Watch(stop=lambda: True))
    assert service.calls == []


# ---- the budget


def price_of_a_call(who: Any) -> float:
    return most_dollars(who.entry, who.request(question(1)))


def test_a_budget_stops_in_time():
    who = model(FakeService(latency_s=0.01), limit=3)
    most = price_of_a_call(who)
    paid = 0.0045
    budget = 5 * paid + most * 0.99
    asked = ask(who, clusters=20, budget_dollars=budget)
    assert asked.usage.dollars <= budget
    assert 1 <= len(asked.answers) < 20
    assert asked.usage.dollars + most > budget, "it goes as far as it may"
    assert asked.stopped.startswith(
        f"The budget of ${budget:.2f} ended the asking: ${asked.usage.dollars:.4f} are spent"
    )
    assert f"{20 - len(asked.answers)} of 20 questions were not asked" in asked.stopped
    assert asked.failures == {}


@pytest.mark.parametrize("limit", [1, 4])
def test_a_budget_is_never_exceeded_where_a_call_costs_what_it_may(limit: int):
    service = FakeService()
    who = model(service, limit=limit)
    most = price_of_a_call(who)
    service._script = lambda request: reply(form(), tokens=(0, round(most / 15 * 1e6)))
    budget = 7.5 * most
    asked = ask(who, clusters=20, budget_dollars=budget)
    assert len(service.calls) == 7
    assert asked.usage.dollars <= budget


def test_a_budget_of_nothing_asks_only_what_costs_nothing():
    paid, free = FakeService(), FakeService()
    asked = ask(model(paid), model(free, "qwen", input_price=0, output_price=0), RulesAnnotator(), budget_dollars=0)
    assert (len(paid.calls), len(free.calls)) == (0, 6)
    assert len(asked.answers) == 12
    assert "The budget of $0.00" in asked.stopped


def test_answers_that_are_there_need_no_budget():
    book, service = MemoryBook(), FakeService()
    ask(model(service), book=book)
    asked = ask(model(service), book=book, budget_dollars=0)
    assert (len(asked.answers), asked.stopped) == (6, "")


def test_a_second_ask_needs_budget_too_and_the_first_reply_is_kept_for_later():
    service, book = FakeService(["prose", form()]), MemoryBook()
    who = model(service)
    asked = ask(who, clusters=1, book=book, budget_dollars=price_of_a_call(who) * 1.01)
    assert asked.answers == ()
    assert "1 of 1 questions were not asked" in asked.stopped
    assert ask(who, clusters=1, book=book).answers[0].asks == 2
    assert len(service.calls) == 2


@pytest.mark.parametrize("budget", [-1.0, float("nan"), float("inf")])
def test_a_budget_that_is_no_amount_is_refused(budget: float):
    with pytest.raises(BudgetError, match="no amount of money"):
        ask_all([], budget_dollars=budget)


def test_a_purse_waits_for_what_may_turn_out_cheaper():
    purse, stop = Purse(1.0), threading.Event()
    assert purse.reserve(0.8, stop=stop)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(purse.reserve, 0.5, stop=stop)
        time.sleep(0.05)
        assert not second.done()
        purse.settle(reserved=0.8, spent=0.3)
        assert second.result(5)
        third = pool.submit(purse.reserve, 0.5, stop=stop)
        time.sleep(0.05)
        purse.settle(reserved=0.5, spent=0.5)
        assert not third.result(5), "0.8 are spent"
    assert purse.spent == pytest.approx(0.8)
    assert purse.reserve(0.2, stop=stop)
    stop.set()
    assert not purse.reserve(0.1, stop=stop)
    assert purse.reserve(0.0, stop=stop), "what costs nothing needs no room"


# ---- patience by itself


def test_pauses_grow_to_a_limit_and_obey_the_service():
    patience = Patience(first_s=1, longest_s=8)
    assert [patience.pause_s(failed, chance=1.0) for failed in range(1, 6)] == [1, 2, 4, 8, 8]
    assert patience.pause_s(1, chance=0.0) == 0.5
    assert patience.pause_s(10_000, chance=1.0) == 8
    assert patience.pause_s(1, chance=0.0, after_s=20) == 20
    assert 20 <= patience.pause_s(5, chance=1.0, after_s=20) <= 21
    for nonsense in (0.0, -5.0, float("nan")):
        assert patience.pause_s(1, chance=1.0, after_s=nonsense) == 1
    assert patience.pause_s(1, chance=1.0, after_s=float("inf")) == float("inf")


# ---- with the store


def test_many_threads_and_a_real_store(tmp_path: Path):
    with Store.open(tmp_path / "w") as store:
        project = store.ensure_project("P").id
        runs = [store.begin_run(project=project, title="r", scene={}, settings={}).id for _ in range(2)]
        services = {name: FakeService(lambda request: form(term=request.model)) for name in "abcd"}
        who = [model(service, name, limit=6) for name, service in services.items()]
        asked = ask(*who, clusters=10, book=store.answer_book(runs[0]))
        assert len(asked.answers) == 40
        assert len(store.answers(runs[0])) == len(store.replies(runs[0])) == 40
        again = ask(*who, clusters=10, book=store.answer_book(runs[1]))
        assert (again.called, again.found) == (0, 40)
        assert sum(len(service.calls) for service in services.values()) == 40
        assert [answer.model_dump() for answer in again.answers] == [answer.model_dump() for answer in asked.answers]
        assert len(store.replies(runs[1])) == 40
    key = question_key(who[0], question(1))
    assert key.model == "claude/a-1"
    assert question_key(RulesAnnotator(), question(1)).card == question(1).card.fingerprint
