from __future__ import annotations

import json
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dash.annotation.answer import Answer
from s2dash.annotation.vote import MAJORITY, VotingRule, standing, vote
from s2dash.errors import LegendError

ballots = st.lists(st.tuples(st.sampled_from([None, 10, 40, 80]), st.floats(0, 1)), max_size=8)


def answers(*given: tuple[int | None, float]) -> list[Answer]:
    return [
        Answer(annotator=f"annotator {number}", cluster=1, code=code, confidence=confidence)
        for number, (code, confidence) in enumerate(given)
    ]


def test_most_votes_win_however_unsure() -> None:
    result = vote(answers((40, 0.2), (40, 0.3), (10, 1.0)))
    assert (result.code, result.decided_by) == (40, "vote")
    assert result.confidence == pytest.approx(0.25 * 2 / 3)
    assert result.margin == pytest.approx(1 / 3)
    assert result.tally[40].count == 2
    assert result.tally[40].confidence == pytest.approx(0.25)
    assert result.tally[10].count == 1


def test_a_single_voter_decides() -> None:
    result = vote(answers((80, 0.7)))
    assert (result.code, result.decided_by, result.confidence, result.margin) == (80, "vote", 0.7, 1.0)


def test_a_tie_is_broken_by_mean_confidence() -> None:
    result = vote(answers((10, 0.6), (40, 0.9), (10, 0.6), (40, 0.5)))
    assert (result.code, result.decided_by, result.margin) == (40, "confidence", 0.0)
    assert result.confidence == pytest.approx(0.35)


@pytest.mark.parametrize("difference", [0.0, 1e-10])
def test_a_full_tie_is_left_to_a_person(difference: float) -> None:
    result = vote(answers((10, 0.5), (40, 0.5 + difference)))
    assert (result.code, result.decided_by, result.confidence) == (None, "nobody", 0.0)
    assert set(result.tally) == {10, 40}


def test_unknown_is_no_vote() -> None:
    assert vote(answers((None, 0.9), (None, 0.8), (10, 0.4))) == vote(answers((10, 0.4)))


def test_nobody_voted() -> None:
    for given_answers in ([], answers((None, 1.0))):
        result = vote(given_answers)
        assert (result.code, result.decided_by, dict(result.tally)) == (None, "nobody", {})


@given(ballots, st.randoms(use_true_random=False))
def test_order_does_not_matter(given_ballots: list[tuple[int | None, float]], rng: random.Random) -> None:
    forward = answers(*given_ballots)
    shuffled = forward.copy()
    rng.shuffle(shuffled)
    assert vote(forward) == vote(shuffled)


@given(ballots)
def test_a_winner_is_never_beaten(given_ballots: list[tuple[int | None, float]]) -> None:
    result = vote(answers(*given_ballots))
    given_codes: Sequence[int] = [code for code, _ in given_ballots if code is not None]
    assert 0.0 <= result.confidence <= 1.0
    assert 0.0 <= result.margin <= 1.0
    assert sum(one.count for one in result.tally.values()) == len(given_codes)
    if result.code is None:
        most = max(map(given_codes.count, given_codes), default=0)
        assert not given_codes or sum(given_codes.count(code) == most for code in set(given_codes)) > 1
    else:
        assert all(given_codes.count(result.code) >= given_codes.count(code) for code in given_codes)


weights = st.dictionaries(st.sampled_from([f"annotator {number}" for number in range(8)]), st.floats(0, 5), max_size=8)
rules = st.one_of(
    st.sampled_from([MAJORITY, VotingRule("confidence")]),
    st.builds(VotingRule, st.just("record"), weights, st.floats(0, 5)),
)


def test_a_sure_minority_wins_by_confidence() -> None:
    given_answers = answers((40, 0.2), (40, 0.3), (10, 0.9))
    result = vote(given_answers, rule=VotingRule("confidence"))
    assert (result.code, result.decided_by) == (10, "vote")
    assert result.tally[40].strength == pytest.approx(0.5)
    assert result.margin == pytest.approx(0.4 / 1.4)
    assert result.confidence == pytest.approx(0.9 * 0.9 / 1.4)


def test_a_good_record_outweighs_two_others() -> None:
    rule = VotingRule("record", {"annotator 2": 2.5}, otherwise=1.0)
    result = vote(answers((40, 0.9), (40, 0.9), (10, 0.5)), rule=rule)
    assert (result.code, result.margin) == (10, pytest.approx(0.5 / 4.5))
    assert result.tally[40].count == 2


def test_equal_weights_are_a_tie_that_confidence_breaks() -> None:
    rule = VotingRule("record", {"annotator 0": 0.1 + 0.2, "annotator 1": 0.3})
    assert vote(answers((40, 0.9), (10, 0.5)), rule=rule).decided_by == "confidence"


def test_votes_that_weigh_nothing_decide_nothing() -> None:
    for rule in (VotingRule("confidence"), VotingRule("record", otherwise=0.0)):
        result = vote(answers((40, 0.0), (10, 0.0)), rule=rule)
        assert (result.code, result.decided_by, set(result.tally)) == (None, "nobody", {10, 40})


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_a_weight_is_a_number_from_zero(weight: float) -> None:
    with pytest.raises(LegendError, match="weight"):
        VotingRule("record", {"claude": weight})
    with pytest.raises(LegendError, match="weight"):
        VotingRule("record", otherwise=weight)


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(LegendError, match="no voting rule 'loudest'"):
        VotingRule("loudest")  # type: ignore[arg-type]


@given(ballots, rules, st.randoms(use_true_random=False))
def test_order_does_not_matter_under_any_rule(
    given_ballots: list[tuple[int | None, float]], rule: VotingRule, rng: random.Random
) -> None:
    forward = answers(*given_ballots)
    shuffled = forward.copy()
    rng.shuffle(shuffled)
    assert vote(forward, rule=rule) == vote(shuffled, rule=rule)


@given(ballots, rules)
def test_unknown_is_no_vote_under_any_rule(given_ballots: list[tuple[int | None, float]], rule: VotingRule) -> None:
    everybody = answers(*given_ballots)
    assert vote(everybody, rule=rule) == vote([one for one in everybody if one.code is not None], rule=rule)


@given(ballots, st.floats(0.01, 5))
def test_equal_weights_are_the_majority(given_ballots: list[tuple[int | None, float]], weight: float) -> None:
    equal = vote(answers(*given_ballots), rule=VotingRule("record", otherwise=weight))
    plain = vote(answers(*given_ballots))
    assert (equal.code, equal.decided_by) == (plain.code, plain.decided_by)
    assert equal.margin == pytest.approx(plain.margin)
    assert equal.confidence == pytest.approx(plain.confidence)


@given(ballots, rules, st.permutations([10, 40, 80]))
def test_other_names_for_the_classes_give_the_same_under_other_names(
    given_ballots: list[tuple[int | None, float]], rule: VotingRule, names: list[int]
) -> None:
    renamed: dict[int | None, int | None] = {None: None, **dict(zip([10, 40, 80], names, strict=True))}
    before = vote(answers(*given_ballots), rule=rule)
    after = vote(answers(*((renamed[code], sure) for code, sure in given_ballots)), rule=rule)
    assert after.code == renamed[before.code]
    assert (after.decided_by, after.confidence) == (before.decided_by, before.confidence)
    assert after.margin == pytest.approx(before.margin)
    assert dict(after.tally) == {renamed[code]: one for code, one in before.tally.items()}


@given(ballots, rules)
def test_a_winner_is_never_beaten_under_any_rule(
    given_ballots: list[tuple[int | None, float]], rule: VotingRule
) -> None:
    result = vote(answers(*given_ballots), rule=rule)
    assert 0.0 <= result.confidence <= 1.0
    assert 0.0 <= result.margin <= 1.0
    if result.code is not None:
        assert result.tally[result.code].strength >= max(one.strength for one in result.tally.values()) - 1e-9


@given(rules)
def test_a_rule_survives_json(rule: VotingRule) -> None:
    assert VotingRule.from_json(json.loads(json.dumps(rule.to_json()))) == rule


def test_of_several_answers_of_an_annotator_the_last_usable_stands() -> None:
    first, second, third = answers((40, 0.5), (10, 0.6), (30, 0.7))
    again = first.model_copy(update={"code": 80, "round": 2})
    unknown = second.model_copy(update={"code": None, "round": 2})
    refused = third.model_copy(update={"code": None, "fault": "it refused", "round": 2})
    never = third.model_copy(update={"annotator": "other", "code": None, "fault": "it refused"})
    assert standing([first, second, third, again, unknown, refused, never]) == (again, unknown, third, never)
