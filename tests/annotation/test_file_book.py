"""Answers in a file: kept at once, found again by anyone, and nothing lost where a crash cut a line short."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from s2dash.annotation.answer import Answer
from s2dash.annotation.file_book import ANSWERS, FileBook, default_book
from s2dash.annotation.provider import ModelReply, Usage
from s2dash.annotation.replies import AnswerBook, ClaimBook, ReplyBook, ReplyKey
from s2dash.errors import AnnotationError


def answer(number: int = 1, **fields: object) -> Answer:
    fields = {
        "annotator": "eye",
        "cluster": number,
        "code": 30,
        "card": f"c{number}",
        "prompt": "p",
        "model": "m",
    } | fields
    return Answer.model_validate(fields)


def find(book: AnswerBook, number: int = 1) -> Answer | None:
    return book.find(card=f"c{number}", prompt="p", model="m")


def test_what_is_kept_is_found_by_another_book_on_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "answers.jsonl"
    first, second = FileBook(path), FileBook(path)
    assert find(first) is None
    given = answer(evidence=("ряди рослин",), usage=Usage(input_tokens=5, output_tokens=2, dollars=0.1))
    first.keep(given)
    assert find(second) == given
    assert find(FileBook(path)) == given


def test_of_two_answers_to_the_same_question_the_first_stays(tmp_path: Path) -> None:
    book = FileBook(tmp_path / "a.jsonl")
    book.keep(answer(code=30))
    book.keep(answer(code=40))
    found = find(FileBook(tmp_path / "a.jsonl"))
    assert found is not None
    assert found.code == 30


def test_replies_are_kept_by_their_number(tmp_path: Path) -> None:
    book = FileBook(tmp_path / "a.jsonl")
    assert isinstance(book, ReplyBook)
    key = ReplyKey("c", "p", "m")
    reply = ModelReply("{}", Usage(input_tokens=3), "served", "length")
    book.keep_reply(key, 1, reply)
    again = FileBook(tmp_path / "a.jsonl")
    assert again.find_reply(key, 1) == reply
    assert again.find_reply(key, 2) is None


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_a_line_that_a_crash_cut_short_costs_only_itself(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.jsonl"
    book = FileBook(path)
    book.keep(answer(1))
    book.keep(answer(2))
    path.write_bytes(path.read_bytes()[:-cut])
    after = FileBook(path)
    assert find(after, 1) is not None
    after.keep(answer(3))
    last = FileBook(path)
    assert [find(last, number) is not None for number in (1, 3)] == [True, True]
    assert (find(last, 2) is not None) == (cut == 1)  # only the end of the line was missing


def test_several_threads_lose_nothing(tmp_path: Path) -> None:
    books = [FileBook(tmp_path / "a.jsonl") for _ in range(4)]

    def write(place: int) -> None:
        for number in range(place, 80, 4):
            books[place].keep(answer(number + 1))

    threads = [threading.Thread(target=write, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    book = FileBook(tmp_path / "a.jsonl")
    assert all(find(book, number + 1) for number in range(80))


def test_where_nothing_can_be_written_nothing_is_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    book = FileBook(tmp_path / "other.jsonl")
    book._path = tmp_path / "file" / "a.jsonl"
    with pytest.raises(AnnotationError, match="cannot be kept"):
        book.keep(answer())


def test_the_file_is_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(ANSWERS, raising=False)
    assert default_book() == tmp_path / "s2dash" / "answers.jsonl"
    monkeypatch.setenv(ANSWERS, str(tmp_path / "mine.jsonl"))
    assert default_book() == tmp_path / "mine.jsonl"


def test_one_book_at_a_time_asks_a_question(tmp_path: Path) -> None:
    first, second = FileBook(tmp_path / "a.jsonl"), FileBook(tmp_path / "a.jsonl")
    assert isinstance(first, ClaimBook)
    key, other = ReplyKey("c", "p", "m"), ReplyKey("c", "p", "n")
    assert first.claim(key)
    assert not second.claim(key)
    assert second.claim(other)
    second.release(key)  # not its own
    assert not second.claim(key)
    first.release(key)
    assert second.claim(key)
    for book in (first, second):
        book.renew_claims()
        book.release(key)
        book.release(other)
    assert (tmp_path / "a.jsonl.locks").is_dir()
    assert not (tmp_path / "a.jsonl").exists(), "nothing was answered"
