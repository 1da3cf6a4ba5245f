"""A model is asked, its reply kept before it is read, and asked once more with the fault named."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from asking_fakes import SCHEME, FakeService, MemoryBook, entry, form, model, question, reply

from s2dash.annotation.exhibit import Exhibit
from s2dash.annotation.keys import Keys
from s2dash.annotation.model_annotator import ModelAnnotator
from s2dash.annotation.provider import ModelRequest, Usage
from s2dash.annotation.question_text import question_text
from s2dash.annotation.reading import LONGEST_KEPT
from s2dash.annotation.replies import ReplyKey
from s2dash.errors import AnnotationError, ProviderError

KEY = "sk-ant-0123456789abcdef"


def test_an_answer_says_all_that_is_known_of_it():
    service = FakeService([form(second_choice="grassland", mixed=True)])
    who = model(service)
    asked = question(7, round=2, earlier=("One said: cropland.",))
    answer = who.answer(asked)
    assert (answer.annotator, answer.cluster, answer.code, answer.second) == ("claude", 7, 40, 30)
    assert (answer.term, answer.confidence, answer.evidence, answer.mixed) == (
        "fields",
        0.8,
        ("straight borders",),
        True,
    )
    assert (answer.card, answer.prompt, answer.model) == (
        asked.fingerprint,
        who.prompt_fingerprint(asked),
        "claude/claude-1",
    )
    assert (answer.listed, answer.style, answer.round) == (question_text(asked).listed, "numbers@1", 2)
    assert (answer.asks, answer.compliant, answer.fault, answer.recorded) == (1, True, "", False)
    assert answer.raw == form(second_choice="grassland", mixed=True)
    assert answer.usage == Usage(input_tokens=1000, output_tokens=100, dollars=(1000 * 3 + 100 * 15) / 1e6)
    assert who.looks
    assert who.key(asked) == ReplyKey(answer.card, answer.prompt, answer.model)


def test_the_call_holds_the_question_its_pictures_and_the_form():
    service = FakeService()
    asked = question(3)
    model(service, max_tokens=777, timeout_s=33).answer(asked)
    (call,) = service.calls
    text = question_text(asked)
    assert (call.model, call.system, call.text) == ("claude-1", text.system, text.text)
    assert call.pictures == tuple(picture.png for picture in asked.exhibit.pictures)
    assert (call.max_tokens, call.timeout_s) == (777, 33)
    assert call.schema is not None
    assert call.schema.model_json_schema()["properties"]["land_cover"]["enum"] == [
        *(cls.key for cls in SCHEME.classes),
        "unknown",
    ]


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (reply("I cannot help with that.", stop="refusal"), "a refusal"),
        (reply(""), "empty"),
        (reply('{"land_cover": "tree_co', stop="length"), "cut off"),
        (reply("It is a forest."), "no JSON object"),
        (reply(form("moon base")), "'moon base' is not exactly one of the list"),
        (reply("x" * 10_000_000), "no JSON object"),
    ],
)
def test_a_faulty_reply_is_asked_once_more_with_the_fault_named(first: Any, said: str):
    service = FakeService([first, form("grassland")])
    answer = model(service).answer(question())
    assert (answer.code, answer.asks, answer.compliant, answer.fault) == (30, 2, False, "")
    one, two = service.calls
    assert two.text.startswith(one.text)
    assert said in two.text.removeprefix(one.text)
    assert (two.pictures, two.system, two.schema) == (one.pictures, one.system, one.schema)
    assert answer.usage.input_tokens == 2000, "both calls count"


def test_after_two_faulty_replies_there_is_no_vote_and_the_reply_is_kept_raw():
    service = FakeService(["no", form("moon base")])
    book = MemoryBook()
    who = model(service)
    answer = who.converse(question(), call=who.call, replies=book)
    assert (answer.code, answer.asks, answer.compliant) == (None, 2, False)
    assert "moon base" in answer.fault
    assert answer.raw == form("moon base")
    assert len(service.calls) == 2
    assert [book.find_reply(who.key(question()), ask).text for ask in (1, 2)] == ["no", form("moon base")]


def test_unknown_is_an_answer_and_not_asked_again():
    service = FakeService([form("unknown")])
    answer = model(service).answer(question())
    assert (answer.code, answer.fault, answer.asks, answer.compliant) == (None, "", 1, True)


def test_a_reply_is_kept_before_it_is_read(monkeypatch: pytest.MonkeyPatch):
    book, who = MemoryBook(), model(FakeService(["prose"]))

    def crash(*_: Any, **__: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr("s2dash.annotation.model_annotator.read_reply", crash)
    with pytest.raises(MemoryError):
        who.converse(question(), call=who.call, replies=book)
    assert book.kept == ["reply 1"]


def test_what_is_kept_is_not_asked_for_again():
    book = MemoryBook()
    service = FakeService(["prose", ProviderError("gone"), form()])
    who = model(service)
    with pytest.raises(ProviderError, match="gone"):
        who.converse(question(), call=who.call, replies=book)
    answer = who.converse(question(), call=who.call, replies=book)
    assert (answer.code, answer.asks, answer.compliant) == (40, 2, False)
    assert len(service.calls) == 3, "the first reply is never paid for again"
    assert answer.usage.input_tokens == 2000

    def never(request: ModelRequest) -> Any:
        raise AssertionError("everything is there already")

    assert who.converse(question(), call=never, replies=book).model_dump(exclude={"answered"}) == answer.model_dump(
        exclude={"answered"}
    )


def test_the_fingerprint_changes_with_what_is_asked_and_with_nothing_else():
    base = model(FakeService()).prompt_fingerprint(question())
    assert base == model(FakeService(), name="claude").prompt_fingerprint(question())
    same = [{"limit": 9}, {"input_price": 1.0}, {"max_tokens": 900}, {"timeout_s": 5}, {"title": "Another"}]
    for changes in same:
        assert model(FakeService(), **changes).prompt_fingerprint(question()) == base, changes
    for changes in ({"max_side_px": 512}, {"effort": "high"}):
        assert model(FakeService(), **changes).prompt_fingerprint(question()) != base, changes
    other = question(exhibit=Exhibit(1, "numbers@1", question().exhibit.pictures, "Area: 1 ha."))
    for asked in (question(seed=1), question(earlier=("No.",)), other):
        assert model(FakeService()).prompt_fingerprint(asked) != base
    synonyms = ModelAnnotator(entry(), FakeService(), synonyms={"baggersee": 80})
    assert synonyms.prompt_fingerprint(question()) == base, "reading differently is not asking differently"


def test_a_persons_synonyms_are_read():
    who = ModelAnnotator(entry(), FakeService([form("Baggersee")]), synonyms={"baggersee": 80})
    assert who.answer(question()).code == 80


def test_no_key_is_ever_kept():
    book = MemoryBook()
    service = FakeService([f"your key is {KEY}", form(term=f"key {KEY}", evidence=[KEY])])
    who = ModelAnnotator(entry(), service, keys=Keys({"SOME_API_KEY": KEY}))
    answer = who.converse(question(), call=who.call, replies=book)
    assert answer.code == 40
    assert KEY not in answer.model_dump_json()
    for ask in (1, 2):
        assert KEY not in book.find_reply(who.key(question()), ask).text
    assert KEY not in service.calls[1].text


def test_ten_megabytes_are_kept_in_part():
    book, who = MemoryBook(), model(FakeService(["x" * 10_000_000]))
    answer = who.converse(question(), call=who.call, replies=book)
    assert answer.code == 40
    assert len(book.find_reply(who.key(question()), 1).text) < LONGEST_KEPT + 100


def test_without_anything_to_show_it_is_not_asked():
    service = FakeService()
    with pytest.raises(AnnotationError, match="without anything to show"):
        model(service).answer(question(exhibit=None))
    words_only = question(exhibit=Exhibit(1, "words@1", (), "Area: 1 ha."))
    assert model(service).answer(words_only).code == 40
    assert service.calls[0].pictures == ()


def test_closing_waits_for_the_reply_that_is_paid_for():
    gate = threading.Event()
    service = FakeService(gate=gate)
    who = model(service)
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(who.answer(question())))
    thread.start()
    service.wait_for(1)
    who.close()
    assert service.closed_during_call is None
    gate.set()
    thread.join(10)
    assert answers[0].code == 40
    assert service.closed_during_call is False, "closed when the last reply was there"
    idle = FakeService()
    model(idle).close()
    assert idle.closed_during_call is False
