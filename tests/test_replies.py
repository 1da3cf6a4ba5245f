"""What models wrote is kept word for word, once, by many threads, and outlives the run that asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from s2dash.annotation.answer import Answer
from s2dash.annotation.provider import ModelReply, Usage
from s2dash.annotation.replies import AnswerBook, MemoryReplies, ReplyBook, ReplyKey
from s2dash.errors import StoreError
from s2dash.store import Store, tables

KEY = ReplyKey("card", "prompt", "claude/one")
REPLY = ModelReply(
    '{"land_cover": "рілля"}\n', Usage(input_tokens=1200, output_tokens=80, dollars=0.0125), "one-2026", "length"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "w"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with Store.open(folder) as opened:
        yield opened


@pytest.fixture
def run(store: Store) -> str:
    return begin(store)


def begin(store: Store) -> str:
    return store.begin_run(project=store.ensure_project("P").id, title="A run", scene={}, settings={}).id


def answer(cluster: int = 3, key: ReplyKey = KEY, annotator: str = "claude") -> Answer:
    return Answer(annotator=annotator, cluster=cluster, code=40, card=key.card, prompt=key.prompt, model=key.model)


def test_a_reply_is_found_by_what_was_asked_and_by_nothing_else(store: Store, run: str) -> None:
    assert store.find_reply(KEY, 1) is None
    assert store.save_reply(run, KEY, 1, REPLY) == REPLY
    assert store.find_reply(KEY, 1) == REPLY
    for other, ask in (
        (ReplyKey("x", "prompt", "claude/one"), 1),
        (ReplyKey("card", "x", "claude/one"), 1),
        (ReplyKey("card", "prompt", "x"), 1),
        (KEY, 2),
    ):
        assert store.find_reply(other, ask) is None


def test_of_two_replies_to_the_same_question_the_first_stays(store: Store, run: str) -> None:
    store.save_reply(run, KEY, 1, REPLY)
    assert store.save_reply(begin(store), KEY, 1, ModelReply("another")) == REPLY
    assert store.find_reply(KEY, 1) == REPLY
    assert len(store.replies(run)) == 1


def test_replies_are_on_the_disk_at_once_and_outlive_the_run(folder: Path) -> None:
    with Store.open(folder) as store:
        run = begin(store)
        store.save_reply(run, KEY, 1, REPLY)
        with Store.open(folder) as other:
            assert other.find_reply(KEY, 1) == REPLY
        store.finish_run(run, summary={})
        store.delete_run(run)
        assert store.find_reply(KEY, 1) == REPLY, "it was paid for"
        second = ReplyKey("second", "prompt", "claude/one")
        store.save_reply(run, second, 1, REPLY)
        assert store.find_reply(second, 1) == REPLY, "it arrived after the run was deleted, and was paid for"


def test_the_replies_of_a_run_can_be_inspected(store: Store, run: str) -> None:
    first = begin(store)
    before = datetime.now(UTC)
    store.save_reply(first, KEY, 1, ModelReply("no idea"))
    store.save_reply(first, KEY, 2, REPLY)
    store.save_answer(first, answer(cluster=7))
    waiting = ReplyKey("card of 9", "prompt", "claude/one")
    store.save_reply(run, waiting, 1, ModelReply("cut"))
    store.save_answer(run, answer(cluster=3))

    own = store.replies(first)
    assert [(one.cluster, one.annotator, one.ask, one.reply.text) for one in own] == [
        (7, "claude", 1, "no idea"),
        (7, "claude", 2, REPLY.text),
    ]
    assert before <= own[0].saved <= datetime.now(UTC)
    assert own[1].reply == REPLY
    seen = [(one.cluster, one.annotator, one.ask, one.key) for one in store.replies(run)]
    assert seen == [(3, "claude", 1, KEY), (3, "claude", 2, KEY), (None, "", 1, waiting)]
    with pytest.raises(StoreError, match="no run"):
        store.replies("20260101-000000-abcdef")


def test_an_answer_book_keeps_replies_too(store: Store, run: str) -> None:
    book = store.answer_book(run)
    assert isinstance(book, ReplyBook)
    book.keep_reply(KEY, 1, REPLY)
    assert book.find_reply(KEY, 1) == REPLY
    assert store.answer_book(begin(store)).find_reply(KEY, 1) == REPLY
    assert [one.reply for one in store.replies(run)] == [REPLY]
    used: AnswerBook = book
    assert used.find(card="card", prompt="prompt", model="claude/one") is None


def test_what_no_database_takes_is_kept_readable(store: Store, run: str) -> None:
    kept = store.save_reply(
        run, KEY, 1, ModelReply("nul \0, half \ud800, https://me:hunter2@host/x?sig=abc", model="\ud800")
    )
    assert kept.text == "nul \\x00, half \\ud800, https://me:…@host/x?sig=…"
    assert kept.model == "\\ud800"
    assert b"hunter2" not in (store.folder / "s2dash.db").read_bytes()
    wal = store.folder / "s2dash.db-wal"
    assert not wal.exists() or b"hunter2" not in wal.read_bytes()


def test_many_threads_keep_and_find_at_once(store: Store, run: str) -> None:
    book = store.answer_book(run)

    def work(number: int) -> str:
        key = ReplyKey(f"card {number % 20}", "prompt", "claude/one")
        book.keep_reply(key, 1, ModelReply(f"said {number}"))
        book.keep(answer(number % 20, key))
        found = book.find_reply(key, 1)
        assert found is not None
        return found.text

    with ThreadPoolExecutor(24) as pool:
        said = list(pool.map(work, range(60)))
    for number in range(20):
        assert len({said[number], said[number + 20], said[number + 40]}) == 1, "all see the one that was first"
    assert len(store.replies(run)) == 20
    assert len(store.answers(run)) == 20


def test_replies_in_memory_know_no_second_either() -> None:
    book = MemoryReplies()
    assert book.find_reply(KEY, 1) is None
    book.keep_reply(KEY, 1, REPLY)
    book.keep_reply(KEY, 1, ModelReply("another"))
    assert book.find_reply(KEY, 1) == REPLY
    assert book.find_reply(KEY, 2) is None


def make_version_2(folder: Path) -> None:
    """What a workspace was before replies were kept: the same tables but one."""
    with closing(sqlite3.connect(folder / "s2dash.db")) as file:
        file.executescript("DROP TABLE replies; UPDATE schema_version SET version = 2;")


def test_a_workspace_of_version_2_is_brought_up_to_date_and_loses_nothing(folder: Path) -> None:
    with Store.open(folder) as store:
        run = begin(store)
        kept = store.save_answer(run, answer())
        store.set_setting("basemap", "OSM")
    make_version_2(folder)
    with Store.open(folder) as store:
        assert store.answers(run) == (kept,)
        assert store.get_setting("basemap") == "OSM"
        assert store.replies(run) == ()
        store.save_reply(run, KEY, 1, REPLY)
        assert [one.cluster for one in store.replies(run)] == [3], "replies join answers that were there before"
    with closing(sqlite3.connect(folder / "s2dash.db")) as file:
        assert file.execute("SELECT version FROM schema_version").fetchall() == [(tables.SCHEMA_VERSION,)]
