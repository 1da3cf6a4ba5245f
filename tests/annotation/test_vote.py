from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dash.annotation.answer import Answer
from s2dash.annotation.vote import vote

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
