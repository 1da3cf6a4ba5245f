"""One verb over all annotators: who is made, who is shown what, and what a person is told of those who fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from asking_fakes import SCHEME, FakeService, MemoryBook, entry, form

from s2dash.annotation import annotate as module
from s2dash.annotation import registry
from s2dash.annotation.annotate import (
    annotate,
    ask_annotators,
    close_annotators,
    looks,
    make_annotators,
    questions_for,
)
from s2dash.annotation.asking import Asked
from s2dash.annotation.cards import build_cards
from s2dash.annotation.exhibit import Exhibit
from s2dash.annotation.keys import Keys
from s2dash.annotation.model_annotator import ModelAnnotator
from s2dash.annotation.provider import ModelRequest, Usage
from s2dash.annotation.rules import RulesAnnotator
from s2dash.annotation.vote import VotingRule
from s2dash.clustering import cluster
from s2dash.errors import AnnotationError, Cancelled, ProviderError
from s2dash.features import build_features
from s2dash.pipeline import RunSettings, run_chain
from s2dash.progress import Tracker
from s2dash.testing import make_patchwork

KEY = "sk-very-recognisable-0123456789"


@pytest.fixture(scope="module")
def made():
    """A scene of three stripes, its clusters and their cards."""
    scene, _ = make_patchwork(side=40, patches=3)
    clusters = cluster(build_features(scene), k=3)
    return clusters, scene, build_cards(clusters, scene)


class Service(FakeService):
    """A service that notes that it was closed."""

    closed = 0

    def close(self) -> None:
        super().close()
        self.closed += 1


@pytest.fixture
def models(monkeypatch):
    """Models of these names, each with a service of its own; `models(a=service)` gives the catalogue."""
    real = registry.make_provider

    def known(**services: Any) -> dict[str, Any]:
        monkeypatch.setattr(
            registry, "make_provider", lambda one, *, keys: services.get(one.name) or real(one, keys=keys)
        )
        return {name: entry(name, address=f"https://{name}.example.org") for name in services}

    return known


def ask(made: Any, names: Any, **options: Any) -> Asked:
    clusters, scene, cards = made
    fixed = {"scheme": SCHEME, "cards": cards, "style": "words"}
    return ask_annotators(clusters, scene, annotators=names, **fixed | options)


# ---- who is made


def test_nobody_and_somebody_unknown_are_refused():
    with pytest.raises(AnnotationError, match="Name at least `rules`"):
        make_annotators([])
    with pytest.raises(AnnotationError, match=r"'oracle'.*rules.*claude"):
        make_annotators(["rules", "oracle"])


def test_a_missing_key_is_a_failure_in_words_and_leaves_the_others():
    chosen, failures = make_annotators(["claude", "rules", "gpt", "rules"], keys=Keys({"OPENAI_API_KEY": KEY}))
    try:
        assert [who.name for who in chosen] == ["rules", "gpt"]
        assert list(failures) == ["claude"]
        assert "ANTHROPIC_API_KEY" in failures["claude"]
    finally:
        close_annotators(chosen)


def test_what_is_only_estimated_needs_no_key_and_cannot_be_asked():
    chosen, failures = make_annotators(["claude", "gemini", "rules"], keys=Keys(), live=False)
    assert [who.name for who in chosen] == ["claude", "gemini", "rules"]
    assert failures == {}
    for who in chosen[:2]:
        assert isinstance(who, ModelAnnotator)
        with pytest.raises(ProviderError, match="only to be estimated") as caught:
            who.call(ModelRequest(model="m", system="", text="?"))
        assert caught.value.fatal
    close_annotators(chosen)


def test_all_that_can_be_closed_is_closed():
    service = Service()
    close_annotators([RulesAnnotator(), ModelAnnotator(entry("a"), service)])
    assert service.closed == 1


# ---- who is shown what


def test_every_annotator_is_asked_about_every_cluster_and_only_those_that_look_are_shown_pictures(made):
    _, _, cards = made
    eyes, rules = ModelAnnotator(entry("a"), FakeService()), RulesAnnotator()
    assert (looks(eyes), looks(rules)) == (True, False)
    exhibits = {number: Exhibit(number, "words@1", (), f"cluster {number}") for number in cards}
    asked = questions_for([rules, eyes], cards, scheme=SCHEME, exhibits=exhibits, seed=7)
    assert [(who.name, question.card.cluster) for who, question in asked] == [
        (name, number) for name in ("rules", "a") for number in (1, 2, 3)
    ]
    for who, question in asked:
        assert question.exhibit is (exhibits[question.card.cluster] if who is eyes else None)
        assert (question.seed, question.round, question.earlier) == (7, 1, ())


def test_a_later_round_is_about_some_clusters_and_tells_what_was_said(made):
    _, _, cards = made
    exhibits = {number: Exhibit(number, "words@1", (), "") for number in cards}
    earlier = {1: ("One said water.",), 3: ()}
    asked = questions_for(
        [ModelAnnotator(entry("a"), FakeService())],
        cards,
        scheme=SCHEME,
        exhibits=exhibits,
        only=earlier,
        earlier=earlier,
        turn=2,
    )
    assert [(question.card.cluster, question.earlier, question.round) for _, question in asked] == [
        (1, ("One said water.",), 2),
        (3, (), 2),
    ]


def test_nothing_is_drawn_where_nobody_looks(made, monkeypatch):
    drawn = []
    monkeypatch.setattr(module, "build_exhibits", lambda *_, **options: drawn.append(options["style"]) or {})
    asked = ask(made, ["rules"])
    assert {answer.annotator for answer in asked.answers} == {"rules"}
    assert drawn == []
    with pytest.raises(KeyError):  # this one would be shown what was drawn
        ask(made, ["claude"], keys=Keys({"ANTHROPIC_API_KEY": KEY}))
    assert drawn == ["words"]


def test_the_question_holds_what_the_style_shows_in_the_order_of_the_seed(made, models):
    service = Service()
    catalogue = models(a=service)
    ask(made, ["a"], catalogue=catalogue, seed=1)
    first = {request.text for request in service.calls}
    assert len(first) == 3
    assert all(not request.pictures and "Measured facts" in request.text for request in service.calls)
    ask(made, ["a"], catalogue=catalogue, seed=2)
    assert first.isdisjoint(request.text for request in service.calls[3:])
    ask(made, ["a"], catalogue=catalogue, style="plain")
    assert all(len(request.pictures) == 2 and "Measured facts" not in request.text for request in service.calls[6:])


def test_words_that_were_learned_are_understood(made, models):
    catalogue = models(a=Service(otherwise=form("zorblat")))
    assert {answer.code for answer in ask(made, ["a"], catalogue=catalogue).answers} == {None}
    learned = ask(made, ["a"], catalogue=catalogue, synonyms={"zorblat": 60})
    assert {(answer.code, answer.fault) for answer in learned.answers} == {(60, "")}


# ---- what becomes of those who fail


def test_one_that_fails_leaves_the_votes_of_the_others_and_is_told(made, models):
    broken, fine = Service(otherwise=ProviderError("The key is refused.", fatal=True)), Service()
    asked = ask(made, ["b", "a", "rules"], catalogue=models(a=fine, b=broken))
    assert {answer.annotator for answer in asked.answers} == {"a", "rules"}
    assert len(asked.answers) == 6
    (note,) = asked.remarks
    assert note.startswith("b could not answer everything: 3 of 3 questions have no answer.")
    assert "The key is refused." in note
    assert (broken.closed, fine.closed) == (1, 1)


def test_where_all_fail_every_reason_is_told(made, models):
    catalogue = models(a=Service(otherwise=ProviderError("The model is unknown.", fatal=True)))
    catalogue["c"] = entry("c", key_name="ANTHROPIC_API_KEY")
    with pytest.raises(AnnotationError) as caught:
        ask(made, ["a", "c"], catalogue=catalogue, keys=Keys({"SOME_API_KEY": KEY}))
    text = str(caught.value)
    assert text.startswith("No annotator could answer.")
    assert "a: 3 of 3 questions have no answer. The model is unknown." in text
    assert "ANTHROPIC_API_KEY" in text
    assert KEY not in text


def test_connections_are_given_back_whatever_happens(made, models, monkeypatch):
    service = Service()
    catalogue = models(a=service)

    def fail(*_: Any, **__: Any) -> Any:
        raise AnnotationError("There is nothing to show.")

    with monkeypatch.context() as patched:
        patched.setattr(module, "build_exhibits", fail)
        with pytest.raises(AnnotationError, match="nothing to show"):
            ask(made, ["a"], catalogue=catalogue)
    assert (service.closed, service.calls) == (1, [])
    stopped = Tracker()
    stopped.cancel()
    with pytest.raises(Cancelled):
        ask(made, ["a"], catalogue=catalogue, progress=stopped)
    assert (service.closed, service.calls) == (2, [])


def test_what_is_in_the_book_is_not_asked_for_again(made, models):
    service, book = Service(), MemoryBook()
    catalogue = models(a=service)
    first = ask(made, ["a", "rules"], catalogue=catalogue, book=book)
    again = ask(made, ["a", "rules"], catalogue=catalogue, book=book)
    assert (first.called, again.called, again.found, len(service.calls)) == (3, 0, 6, 3)
    assert again.answers == first.answers


def test_progress_never_goes_back_and_ends(made, models):
    seen = []

    class Watch(Tracker):
        def report(self, share, text):
            super().report(share, text)
            seen.append(share)

    clusters, scene, _ = made
    models(a=Service())
    annotate(clusters, scene, annotators=("rules",), progress=Watch())
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    seen.clear()
    ask(made, ["a"], catalogue=models(a=Service()), progress=Watch())
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


# ---- notes, budgets and the legend


def test_notes_name_those_who_failed_and_the_budget():
    nothing = Asked(answers=(), failures={}, usage=Usage(), called=0, found=0)
    assert nothing.remarks == ()
    both = replace(nothing, failures={"a": "No key.", "b": "Down."}, stopped="The budget ended it.")
    assert list(both.remarks) == [
        "a could not answer everything: No key.",
        "b could not answer everything: Down.",
        "The budget ended it.",
    ]


def test_a_budget_that_allows_nothing_is_told_and_asks_nothing(made, models, monkeypatch):
    service = Service()
    catalogue = models(a=service)
    asked = ask(made, ["a"], catalogue=catalogue, budget=0.0)
    assert (asked.answers, asked.failures, service.calls) == ((), {}, [])
    (note,) = asked.remarks
    assert "The budget of $0.00 ended the asking" in note
    assert "3 of 3 questions were not asked" in note
    monkeypatch.setattr(registry, "load_catalogue", lambda: catalogue)
    clusters, scene, cards = made
    with pytest.raises(AnnotationError, match=r"budget of \$0\.00 ended the asking"):
        annotate(clusters, scene, annotators=("a",), cards=cards, style="words", budget=0.0)
    legend = annotate(clusters, scene, annotators=("a", "rules"), cards=cards, style="words", budget=0.0)
    assert {answer.annotator for answer in legend.answers} == {"rules"}
    assert service.calls == []


@pytest.mark.parametrize(("names", "answers"), [(("a",), 0), (("a", "rules"), 3)])
def test_a_run_says_that_the_budget_ended_the_asking(models, monkeypatch, names, answers):
    catalogue = models(a=Service())
    monkeypatch.setattr(registry, "load_catalogue", lambda: catalogue)
    scene, _ = make_patchwork(side=40, patches=3)
    settings = RunSettings(k=3, sample=1000, annotators=names, style="words", budget=0.0)
    result = run_chain(scene, settings)
    assert len(result.legend.answers) == answers
    assert [note for note in result.scene["notes"] if "budget of $0.00 ended the asking" in note]
    if not answers:
        assert result.legend.queue == (1, 2, 3)


def test_a_run_says_who_could_not_answer(monkeypatch):
    monkeypatch.setattr(registry.Keys, "from_environment", lambda: Keys())
    scene, _ = make_patchwork(side=40, patches=3)
    settings = RunSettings(k=3, sample=1000, annotators=("rules", "claude"), style="words")
    notes = run_chain(scene, settings).scene["notes"]
    assert [note for note in notes if note.startswith("claude could not answer") and "ANTHROPIC_API_KEY" in note]


def test_votes_count_as_the_rule_says(made, models, monkeypatch):
    low, high = form("bare", confidence=0.2), form("water", confidence=0.9)
    catalogue = models(a=Service(otherwise=low), b=Service(otherwise=low), c=Service(otherwise=high))
    monkeypatch.setattr(registry, "load_catalogue", lambda: catalogue)
    clusters, scene, cards = made
    codes = {}
    for kind in ("majority", "confidence"):
        rule = VotingRule(kind)
        legend = annotate(clusters, scene, annotators=tuple("abc"), cards=cards, style="words", rule=rule)
        assert legend.rule == rule
        codes[kind] = {item.code for item in legend.entries.values()}
    assert codes == {"majority": {60}, "confidence": {80}}
