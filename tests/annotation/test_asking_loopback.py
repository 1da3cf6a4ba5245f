"""Asking through the real SDKs, against servers on this machine that fail in every way services do."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from asking_fakes import MemoryBook, entry, form, question

from s2dash.annotation.asking import Asked, ask_all
from s2dash.annotation.keys import Keys
from s2dash.annotation.model_annotator import ModelAnnotator
from s2dash.annotation.patience import Patience
from s2dash.annotation.providers import make_provider
from s2dash.errors import Cancelled
from s2dash.store import Store
from s2dash.testing_models import ModelServer, Turn, answers, breaks_off, cuts, fails, hangs, refuses, says

ROOT = Path(__file__).resolve().parents[2]
KEY = "sk-test-0123456789abcdef"
KEYS = Keys({"SOME_API_KEY": KEY})
WIRES = ("claude", "gpt", "gemini", "open")
QUICK = Patience(tries=3, first_s=0.05, longest_s=0.1, total_s=20, in_a_row=3, grace_s=0.2)


@contextmanager
def served(
    wire: Any, script: Any = (), *, limit: int = 2, **options: Any
) -> Iterator[tuple[ModelServer, ModelAnnotator]]:
    fields = {key: options.pop(key) for key in ("timeout_s", "max_tokens") if key in options}
    with ModelServer(wire, script, **options) as server:
        one = entry(wire, provider=wire, address=server.address, limit=limit, **{"timeout_s": 10.0} | fields)
        who = ModelAnnotator(one, make_provider(one, keys=KEYS), keys=KEYS)
        try:
            yield server, who
        finally:
            who.close()


def ask(*who: ModelAnnotator, clusters: int = 4, **options: Any) -> Asked:
    questions = [(one, question(cluster)) for one in who for cluster in range(1, clusters + 1)]
    return ask_all(questions, **{"patience": QUICK} | options)


def times_asked(server: ModelServer) -> Counter[str]:
    """How often each question came; a second ask is one of its own."""
    return Counter(call.text for call in server.calls)


def test_all_services_are_asked_at_once_each_question_once():
    with ExitStack() as stack:
        pairs = [stack.enter_context(served(wire, latency_s=0.05)) for wire in WIRES]
        asked = ask(*(who for _, who in pairs), clusters=6)
        assert asked.failures == {}
        assert [(answer.annotator, answer.cluster) for answer in asked.answers] == [
            (wire, cluster) for wire in WIRES for cluster in range(1, 7)
        ]
        assert all(answer.compliant and answer.code == 10 and answer.asks == 1 for answer in asked.answers)
        assert asked.usage.input_tokens == 24 * 1200
        assert asked.usage.output_tokens == 24 * 80
        for server, _ in pairs:
            assert list(times_asked(server).values()) == [1] * 6
            assert server.most_at_once == 2
            assert {call.key for call in server.calls} == {KEY}
            assert all(len(call.pictures) == 2 for call in server.calls)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    "turn", [fails(500), fails(429, after="0.3"), cuts(0.5), hangs()], ids=["500", "429", "cut", "hang"]
)
def test_a_fault_that_passes_is_asked_again(wire: Any, turn: Turn):
    with served(wire, [turn], limit=1, timeout_s=0.4) as (server, who):
        asked = ask(who, clusters=2)
        assert asked.failures == {}
        assert len(asked.answers) == 2
        assert len(server.calls) == 3
        first, second = server.calls[:2]
        assert first.text == second.text
        if turn.status == 429:
            assert second.started - first.started >= 0.3


@pytest.mark.parametrize("wire", WIRES)
def test_a_refusal_is_asked_once_more_then_counts_as_no_vote(wire: Any):
    with served(wire, [refuses()], otherwise=refuses()) as (server, who):
        book = MemoryBook()
        (answer,) = ask(who, clusters=1, book=book).answers
        assert (answer.code, answer.asks, answer.compliant) == (None, 2, False)
        assert "a refusal" in answer.fault
        assert len(server.calls) == 2
        assert book.kept == ["reply 1", "reply 2", "answer 1"]
        assert ask(who, clusters=1, book=book).found == 1
        assert len(server.calls) == 2


@pytest.mark.parametrize(
    ("turn", "named"),
    [
        (says('{"land_cover": cropland'), "broken or breaks off"),
        (says(form("moon base")), "'moon base' is not exactly one of the list"),
        (breaks_off(), "cut off"),
        (says(""), "empty"),
        (says("x" * 10_000_000), "no JSON object"),
        (says("I see fields. " * 30), "no JSON object"),
    ],
    ids=["malformed", "off the list", "cut off", "empty", "10 MB", "prose"],
)
def test_a_reply_that_cannot_be_used_is_asked_once_more_with_its_fault(turn: Turn, named: str):
    with served("open", [turn], otherwise=answers(json.loads(form()))) as (server, who):
        book = MemoryBook()
        (answer,) = ask(who, clusters=1, book=book).answers
        assert (answer.code, answer.asks, answer.compliant, answer.fault) == (40, 2, False, "")
        first, second = server.calls
        assert named in second.text.removeprefix(first.text)
        assert second.pictures == first.pictures
        kept = book.find_reply(who.key(question(1)), 1)
        assert kept is not None
        assert len(kept.text) < 60_000


def test_one_service_down_leaves_the_votes_of_the_others():
    with (
        served("claude", lambda call: fails(500), limit=2) as (down, claude),
        served("open", lambda call: fails(401, "no such key"), limit=1) as (refusing, other),
        served("gpt") as (_, gpt),
    ):
        asked = ask(claude, other, gpt, clusters=10)
        assert {answer.annotator for answer in asked.answers} == {"gpt"}
        assert len(asked.answers) == 10
        assert set(asked.failures) == {"claude", "open"}
        assert len(refusing.calls) == 1, "a refused key is not tried again"
        assert len(down.calls) <= QUICK.tries * (QUICK.in_a_row + 1)


def test_answers_out_of_order_belong_to_their_clusters():
    def script(call: Any) -> Turn:
        cluster = int(call.text.split("Area: ")[1].split(" ha")[0]) - 10
        return answers(json.loads(form(term=f"cluster {cluster}")), latency_s=0.4 / cluster)

    with served("gpt", script, limit=6) as (_, who):
        book = MemoryBook()
        asked = ask(who, clusters=6, book=book)
        assert [answer.term for answer in asked.answers] == [f"cluster {number}" for number in range(1, 7)]
        assert [answer.cluster for answer in book.of_run] != [1, 2, 3, 4, 5, 6]


class StopAfter:
    """Progress that stops once a server has so many calls."""

    def __init__(self, server: ModelServer, calls: int) -> None:
        self._server, self._calls = server, calls

    def report(self, share: float, text: str) -> None:
        if len(self._server.calls) >= self._calls:
            raise Cancelled("stopped")


def test_a_stop_in_the_middle_loses_no_reply_even_if_the_service_is_closed_at_once(tmp_path: Path):
    with Store.open(tmp_path / "w") as store:
        project = store.ensure_project("P").id
        run = store.begin_run(project=project, title="r", scene={}, settings={}).id
        with served("claude", latency_s=0.6) as (server, who):
            started = time.monotonic()
            with pytest.raises(Cancelled):
                ask(who, clusters=8, book=store.answer_book(run), progress=StopAfter(server, 2))
            who.close()
            assert time.monotonic() - started < 0.6 + 1.0
            until = time.monotonic() + 10
            while len(store.answers(run)) < 2:
                assert time.monotonic() < until, "the replies that came late were lost"
                time.sleep(0.02)
            assert len(server.calls) == 2
            server.latency_s = 0.0
            again = ModelAnnotator(who.entry, make_provider(who.entry, keys=KEYS), keys=KEYS)
            asked = ask(again, clusters=8, book=store.answer_book(run))
            again.close()
            assert (len(asked.answers), asked.found, asked.called) == (8, 2, 6)
            assert set(times_asked(server).values()) == {1}


def test_two_clicks_pay_once(tmp_path: Path):
    with Store.open(tmp_path / "w") as store, served("open", latency_s=0.1, limit=3) as (server, who):
        project = store.ensure_project("P").id
        runs = [store.begin_run(project=project, title="r", scene={}, settings={}).id for _ in range(2)]
        done: list[Asked] = []
        threads = [
            threading.Thread(target=lambda run=run: done.append(ask(who, clusters=6, book=store.answer_book(run))))
            for run in runs
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert [len(asked.answers) for asked in done] == [6, 6]
        assert sorted(times_asked(server).values()) == [1] * 6
        assert all(len(store.answers(run)) == 6 for run in runs)


PROGRAM = """
import sys
from pathlib import Path
from asking_fakes import entry, question
from s2dash.annotation.asking import ask_all
from s2dash.annotation.file_book import FileBook
from s2dash.annotation.keys import Keys
from s2dash.annotation.model_annotator import ModelAnnotator
from s2dash.annotation.providers import make_provider
from s2dash.store import Store

place, address, clusters = sys.argv[1:]
keys = Keys.from_environment()
one = entry("claude", provider="claude", address=address, limit=2)
who = ModelAnnotator(one, make_provider(one, keys=keys), keys=keys)
if place.endswith(".jsonl"):
    book = FileBook(Path(place))
else:
    store = Store.open(Path(place))
    book = store.answer_book(
        store.begin_run(project=store.ensure_project("P").id, title="r", scene={}, settings={}).id
    )
asked = ask_all([(who, question(cluster)) for cluster in range(1, int(clusters) + 1)], book=book)
print(len(asked.answers), asked.called, asked.found)
"""


def program(place: Path, server: ModelServer, *, clusters: int) -> subprocess.Popen[str]:
    """A program of its own that asks."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{Path(__file__).parent}", "SOME_API_KEY": KEY}
    command = [sys.executable, "-c", PROGRAM, str(place), server.address, str(clusters)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("place", ["workspace", "answers.jsonl"])
def test_two_programs_pay_once(tmp_path: Path, place: str):
    with ModelServer("claude", otherwise=answers(), latency_s=0.4) as server:
        both = [program(tmp_path / place, server, clusters=8) for _ in range(2)]
        said = [[int(word) for word in one.communicate(timeout=60)[0].split()] for one in both]
        assert sorted(times_asked(server).values()) == [1] * 8
    assert [answered for answered, _, _ in said] == [8, 8]
    assert sum(called for _, called, _ in said) == 8
    assert sum(found for _, _, found in said) == 8


def test_a_program_that_is_killed_keeps_nobody_waiting(tmp_path: Path):
    def script(call: Any) -> Turn:
        return hangs() if call.number <= 2 else answers()

    with served("claude", script) as (server, who):
        killed = program(tmp_path / "w", server, clusters=4)
        assert server.wait_for(2, timeout_s=60)
        with Store.open(tmp_path / "w") as store:
            run = store.begin_run(project=store.ensure_project("P").id, title="again", scene={}, settings={}).id
            threading.Timer(1.5, killed.kill).start()
            begun = time.monotonic()
            asked = ask(who, clusters=2, book=store.answer_book(run))
            assert time.monotonic() - begun > 1.0, "it waits for who asks already, while that one lives"
            assert (len(asked.answers), asked.called) == (2, 2)
        killed.communicate(timeout=10)


def test_after_a_crash_no_question_that_was_answered_is_asked_again(tmp_path: Path):
    folder, crashed = tmp_path / "w", threading.Event()

    def script(call: Any) -> Turn:
        if crashed.is_set():
            return answers()
        if call.number == 5:
            return says("I would rather talk about the weather.")
        return answers() if call.number < 5 else hangs()

    with served("claude", script) as (server, who):
        process = program(folder, server, clusters=8)
        # Each of the two threads keeps what it got before its next call, so with two calls hanging all five are kept.
        assert server.wait_for(7, timeout_s=60)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=10)
        assert process.returncode == -signal.SIGKILL
        before = times_asked(server)
        assert len(server.calls) == 7
        crashed.set()
        with Store.open(folder) as store:
            (dead,) = store.runs()
            assert dead.status == "interrupted"
            assert len(store.answers(dead.id)) == 4
            assert len(store.replies(dead.id)) == 5, "the faulty reply was kept before the second ask"
            run = store.begin_run(project=dead.project_id, title="again", scene={}, settings={}).id
            asked = ask(who, clusters=8, book=store.answer_book(run))
            assert len(asked.answers) == 8
            assert (asked.found, asked.called) == (4, 4)
            assert sorted(answer.asks for answer in asked.answers) == [1] * 7 + [2]
        answered = [call.text for call in server.calls[:5]]
        assert all(times_asked(server)[text] == 1 for text in answered)
        assert len(server.calls) == 7 + 4
        assert sum((times_asked(server) - before).values()) == 4


def test_no_key_is_in_store_log_or_error(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    script = [
        says(f"Your key is {KEY}."),
        answers({**json.loads(form()), "term": f"the key {KEY}"}),
        fails(400, f"{KEY}?"),
    ]
    with Store.open(tmp_path / "w") as store, served("claude", script, limit=1) as (server, who):
        run = store.begin_run(project=store.ensure_project("P").id, title="r", scene={}, settings={}).id
        asked = ask(who, clusters=2, book=store.answer_book(run))
        assert len(server.calls) == 3
        assert (len(asked.answers), len(asked.failures)) == (1, 1)
        assert KEY not in repr(asked) + repr(store.replies(run)) + caplog.text + repr(who) + server.calls[1].text
    for path in (tmp_path / "w").rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
