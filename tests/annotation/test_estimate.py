"""Before anything is sent: how many calls, what they may cost, and what leaves the machine."""

from __future__ import annotations

import random

import pytest
from asking_fakes import FakeService, MemoryBook, entry, form, model, png, question, reply

from s2dash.annotation.answer import Question
from s2dash.annotation.asking import ask_all
from s2dash.annotation.cards import build_cards
from s2dash.annotation.estimate import ASKS, Estimate, call_cost, estimate, most_dollars, picture_size
from s2dash.annotation.exhibits import build_exhibits
from s2dash.annotation.model_annotator import ModelAnnotator
from s2dash.annotation.provider import Usage
from s2dash.annotation.rules import RulesAnnotator
from s2dash.clustering.model import ClusterMap
from s2dash.errors import AnnotationError
from s2dash.schemes import load_scheme
from s2dash.testing import make_patchwork


def told(*who: ModelAnnotator | RulesAnnotator, clusters: int = 4, book: MemoryBook | None = None) -> Estimate:
    return estimate([(one, question(cluster)) for one in who for cluster in range(1, clusters + 1)], book=book)


def test_calls_tokens_and_price_of_every_model():
    services = [FakeService(), FakeService()]
    found = told(model(services[0]), RulesAnnotator(), model(services[1], "gpt", input_price=1.0), clusters=4)
    claude, gpt = found.models
    assert (claude.name, claude.title, claude.host, claude.local) == ("claude", "Claude", "claude.example.org", False)
    assert (claude.calls, claude.most_calls, claude.found, claude.pictures) == (4, 8, 0, 8)
    assert found.calls == 8
    assert found.most_calls == 16
    assert claude.output_tokens == 4 * 500
    assert found.input_tokens == claude.input_tokens + gpt.input_tokens
    assert gpt.dollars_low < claude.dollars_low
    assert found.dollars == (claude.dollars_low + gpt.dollars_low, claude.dollars_high + gpt.dollars_high)
    assert 0 < found.dollars_low < found.dollars_high
    assert all(service.calls == [] for service in services), "nothing is sent"
    assert f"8 calls (at most 16), about {found.input_tokens:,} tokens sent" in found.text
    assert f"${found.dollars_low:.2f} to ${found.dollars_high:.2f}" in found.text


def test_tokens_are_those_of_pictures_and_text():
    who = model(FakeService())
    request = who.request(question())
    cost = call_cost(who.entry, request)
    pictures = 2 * 3 * 2  # 64 x 48 px in patches of 28, each a token
    letters = len(request.system) + len(request.text)
    assert letters / 4 + pictures < cost.input_tokens < letters / 4 + pictures + 400, "and the form of the answer"
    assert cost.most_input > 1.9 * cost.input_tokens
    assert cost.most_output == 500
    large = model(FakeService(), picture_tokens={"rule": "fixed", "each": 1120})
    assert call_cost(large.entry, request).input_tokens == cost.input_tokens - pictures + 2240
    price = (cost.most_input * 3 + 500 * 15) / 1e6
    assert most_dollars(who.entry, request) == pytest.approx(price)


def test_what_is_in_the_book_is_not_counted():
    book, service = MemoryBook(), FakeService()
    who = model(service)
    ask_all([(who, question(cluster)) for cluster in (1, 2, 3)], book=book)
    found = told(who, book=book)
    assert (found.calls, found.found) == (1, 3)
    assert "3 answers are there already and cost nothing." in found.text
    everything = told(who, clusters=3, book=book)
    assert (everything.calls, everything.dollars) == (0, (0.0, 0.0))
    assert everything.text == "Nothing has to be asked. 3 answers are there already and cost nothing."
    assert everything.leaves == ("Nothing is sent, and nothing leaves this machine.",)


def test_the_same_question_is_counted_once():
    found = estimate([(model(FakeService()), question(1)) for _ in range(3)])
    assert (found.calls, found.found) == (1, 2)


def test_what_was_asked_lies_between_the_lowest_and_the_highest_estimate():
    rng = random.Random(3)
    for faulty in (False, True):

        def said(request: object, faulty: bool = faulty) -> object:
            cost = call_cost(entry(), request)  # type: ignore[arg-type]
            tokens = rng.randint(cost.input_tokens, cost.most_input), rng.randint(150, cost.most_output)
            return reply("prose" if faulty else form(), tokens=tokens)

        who = model(FakeService(said))  # type: ignore[arg-type]
        questions = [(who, question(cluster)) for cluster in range(1, 6)]
        before = estimate(questions)
        asked = ask_all(questions)
        assert asked.called == (before.most_calls if faulty else before.calls)
        assert before.dollars_low <= asked.usage.dollars <= before.dollars_high
        if not faulty:
            assert asked.usage.dollars <= before.dollars_high / ASKS


def test_where_the_questions_go_and_what_they_hold():
    found = told(model(FakeService()), model(FakeService(), "gpt"), clusters=4)
    assert found.leaves[0] == "To claude.example.org (Claude): 4 questions with 8 pictures, 2 kB in all."
    assert found.leaves[1].startswith("To gpt.example.org (Gpt): 4 questions")
    holds = found.leaves[2]
    assert "satellite pictures of the area (up to 1 km² with usable data, 10 m a pixel)" in holds
    for part in ("measured figures", "latitude in whole degrees", "class list ESA WorldCover with its definitions"):
        assert part in holds
    assert "month and season" not in holds, "the words tell no date"
    assert "round before" not in holds
    assert "Not sent: coordinates, the names of projects, runs and files" in found.leaves[3]
    again = estimate([(model(FakeService()), question(1, earlier=("One said: cropland.",)))])
    assert "what was said of the clusters in the round before" in " ".join(again.leaves)
    assert "1 question with 2 pictures" in again.leaves[0]


@pytest.mark.parametrize("address", ["http://localhost:8000/v1", "http://127.0.0.1:11434/v1", "http://[::1]:8000/v1"])
def test_from_a_model_on_this_machine_nothing_leaves(address: str):
    free = {"input_price": 0.0, "output_price": 0.0, "key_required": False}
    who = model(FakeService(), "qwen", provider="open", address=address, **free)
    found = told(who)
    assert found.leaves == (f"Qwen runs on this machine ({who.entry.host}): nothing leaves it.",)
    assert found.dollars == (0.0, 0.0)
    assert found.text.endswith("received: no price.")
    both = told(who, model(FakeService()))
    assert both.leaves[0].startswith("To claude.example.org")
    assert both.leaves[-1] == found.leaves[0]


def test_offline_annotators_send_nothing():
    found = told(RulesAnnotator())
    assert (found.models, found.calls, found.dollars_high) == ((), 0, 0)
    assert found.leaves == ("Nothing is sent, and nothing leaves this machine.",)


def test_nothing_to_show_is_said_before_anything_is_asked():
    with pytest.raises(AnnotationError, match="without anything to show"):
        estimate([(model(FakeService()), question(1, exhibit=None))])


def test_the_size_of_a_picture_is_in_its_header():
    assert picture_size(png(123, 45)) == (123, 45)
    with pytest.raises(ValueError, match="no PNG"):
        picture_size(b"GIF89a" + bytes(40))


def test_the_price_is_that_of_the_catalogue():
    who = model(FakeService(), input_price=2.0, output_price=10.0)
    (found,) = told(who, clusters=1).models
    assert found.dollars_low == who.entry.price(Usage(input_tokens=found.input_tokens, output_tokens=150)).dollars


def test_what_the_sentences_deny_is_in_no_question():
    """The real chain: neither place nor name of the scene is in what is sent."""
    scene, labels = make_patchwork(side=48, patches=3)
    clusters = ClusterMap(scene.grid, labels, None, {"title": "secret"})
    cards = build_cards(clusters, scene)
    exhibits = build_exhibits(clusters, scene, cards)
    scheme = load_scheme("worldcover")
    who = model(FakeService())
    questions = [(who, Question(cards[one], scheme, exhibit=exhibits[one])) for one in sorted(cards)]
    left, _, _, top = scene.grid.boundingbox.bbox
    # the grid starts on the central meridian of UTM zone 36N, at 5 000 km north
    latitude, longitude = "45.1", "33.0"
    for _, asked in questions:
        request = who.request(asked)
        sent = (request.system + request.text).casefold()
        for secret in (
            "test scene",
            "secret",
            "epsg",
            "32636",
            "utm",
            f"{left:.0f}",
            f"{top:.0f}",
            latitude,
            longitude,
        ):
            assert secret.casefold() not in sent, secret
        for picture in request.pictures:
            for chunk in (b"tEXt", b"iTXt", b"zTXt", b"eXIf"):
                assert chunk not in picture
    assert f"latitude about {round(float(latitude))}°" in who.request(questions[0][1]).text
    holds = " ".join(estimate(questions).leaves)
    assert "latitude in whole degrees" in holds
    assert "0.23 km² with usable data, 10 m a pixel" in holds
