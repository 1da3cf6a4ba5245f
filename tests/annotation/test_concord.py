from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from s2dash.annotation.answer import Answer
from s2dash.annotation.concord import (
    Compliance,
    VoteMatrix,
    compliance,
    fleiss_kappa,
    pair_agreement,
    usage_by_annotator,
    vote_matrix,
)
from s2dash.annotation.legend import build_legend
from s2dash.annotation.provider import Usage
from s2dash.schemes import load_scheme

SCHEME = load_scheme("worldcover")

DIAGNOSES = """
00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031
00501 30012 51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006
"""
"""Fleiss 1971, table 1: thirty patients, six psychiatrists each, five diagnoses; a digit is a number of votes."""


def matrix(*rows: tuple[int | None, ...]) -> VoteMatrix:
    width = max(map(len, rows), default=0)
    return VoteMatrix(tuple(range(1, len(rows) + 1)), tuple(f"annotator {n}" for n in range(width)), rows)


def from_counts(counts: list[list[int]]) -> VoteMatrix:
    return matrix(*(tuple(code for code, count in enumerate(row, 1) for _ in range(count)) for row in counts))


def answer(cluster: int, code: int | None, who: str, **more: object) -> Answer:
    return Answer(annotator=who, cluster=cluster, code=code, confidence=0.5, **more)  # type: ignore[arg-type]


def test_the_example_of_fleiss_1971() -> None:
    counts = [[int(digit) for digit in row] for row in DIAGNOSES.split()]
    assert np.sum(counts, axis=0).tolist() == [26, 26, 30, 55, 43]  # the totals of the published table
    assert fleiss_kappa(from_counts(counts)) == pytest.approx(0.430, abs=5e-4)


complete = st.integers(2, 5).flatmap(
    lambda raters: st.lists(st.tuples(*[st.sampled_from([10, 40, 80])] * raters), min_size=1, max_size=8)
)
gappy = st.integers(1, 5).flatmap(
    lambda raters: st.lists(st.tuples(*[st.sampled_from([None, 10, 40, 80])] * raters), min_size=1, max_size=8)
)


@given(complete)
def test_complete_votes_give_the_classic_kappa(rows: list[tuple[int, ...]]) -> None:
    """From the definition: N subjects, n raters, in the letters of the paper."""
    n_raters, n_subjects = len(rows[0]), len(rows)
    classes = sorted({code for row in rows for code in row})
    shares = [sum(row.count(code) for row in rows) / (n_subjects * n_raters) for code in classes]
    observed = [
        (sum(row.count(code) ** 2 for code in classes) - n_raters) / (n_raters * (n_raters - 1)) for row in rows
    ]
    chance = sum(share**2 for share in shares)
    found = fleiss_kappa(matrix(*rows))
    if len(classes) == 1:
        assert found is None
    else:
        assert found == pytest.approx((sum(observed) / n_subjects - chance) / (1 - chance))


@given(gappy, st.randoms(use_true_random=False))
def test_kappa_with_gaps_is_at_most_one_and_knows_no_order_or_names(
    rows: list[tuple[int | None, ...]], rng: random.Random
) -> None:
    found = fleiss_kappa(matrix(*rows))
    shuffled = [list(row) for row in rows]
    rng.shuffle(shuffled)
    for row in shuffled:
        rng.shuffle(row)  # who said it does not matter, only how many
    renamed = {None: None, 10: 80, 40: 10, 80: 40}
    again = fleiss_kappa(matrix(*(tuple(renamed[code] for code in row) for row in shuffled)))
    if found is None:
        assert again is None
    else:
        assert found == pytest.approx(again)
        assert found <= 1.0 + 1e-12


@given(gappy)
def test_kappa_is_one_where_all_pairs_agree(rows: list[tuple[int | None, ...]]) -> None:
    agreed = [tuple(code and max(one or 0 for one in row) for code in row) for row in rows]
    assume(len({code for row in agreed for code in row if code}) > 1)
    found = fleiss_kappa(matrix(*agreed))
    assert found is None or found == pytest.approx(1.0)


def test_kappa_of_nothing_is_nothing() -> None:
    assert fleiss_kappa(matrix()) is None
    assert fleiss_kappa(matrix((10, None), (None, 40))) is None
    assert fleiss_kappa(matrix((10, 10), (10, 10))) is None


def test_the_matrix_holds_the_answer_that_stands() -> None:
    said = [answer(1, 10, "b"), answer(1, 40, "a"), answer(2, None, "a"), answer(1, 80, "b"), answer(3, 40, "b")]
    found = vote_matrix(build_legend(said, scheme=SCHEME, clusters=[1, 2, 3]))
    assert found == VoteMatrix((1, 2, 3), ("a", "b"), ((40, 80), (None, None), (None, 40)))
    assert found.classes == (40, 80)
    assert found.counts.tolist() == [[1, 1], [0, 0], [1, 0]]


def test_pairs_agree_on_what_both_named() -> None:
    pairs = pair_agreement(matrix((10, 10, None), (10, 40, 40), (80, 80, None)))
    shares = {names: (pair.same, pair.both, pair.share) for names, pair in pairs.items()}
    assert shares == {
        ("annotator 0", "annotator 1"): (2, 3, 2 / 3),
        ("annotator 0", "annotator 2"): (0, 1, 0.0),
        ("annotator 1", "annotator 2"): (1, 1, 1.0),
    }
    assert pair_agreement(matrix((10, None)))["annotator 0", "annotator 1"].share is None


def test_compliance_and_cost_by_annotator() -> None:
    cost = Usage(input_tokens=100, output_tokens=10, dollars=0.01)
    said = [
        answer(1, 10, "b", usage=cost),
        answer(2, 10, "a", usage=cost),
        answer(2, None, "b", compliant=False, asks=2, fault="it refused", usage=cost + cost),
        answer(3, 40, "b", compliant=False, asks=2),
        answer(4, None, "b", compliant=False, asks=2, fault="it refused"),
    ]
    found = compliance(said)
    assert list(found) == ["a", "b"]
    assert found["b"] == Compliance(answers=4, at_once=1, calls=7, faults={"it refused": 2})
    assert (found["a"].share, found["b"].share) == (1.0, 0.25)
    used = usage_by_annotator(said)
    assert (used["a"], used["b"].input_tokens) == (cost, 300)
    assert used["b"].dollars == pytest.approx(0.03)
    assert compliance([]) == {}
    assert Compliance(0, 0, 0, {}).share is None
