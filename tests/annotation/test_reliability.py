from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dash.annotation.answer import Answer
from s2dash.annotation.concord import VoteMatrix
from s2dash.annotation.legend import Legend, build_legend
from s2dash.annotation.reliability import (
    MOST_WEIGHT,
    Record,
    dawid_skene,
    past_records,
    record_rule,
    share_weight,
)
from s2dash.schemes import load_scheme

SCHEME = load_scheme("worldcover")


def legend(*said: tuple[int, str, int | None]) -> Legend:
    answers = [Answer(annotator=who, cluster=cluster, code=code, confidence=0.5) for cluster, who, code in said]
    return build_legend(answers, scheme=SCHEME, clusters=range(1, 6))


def test_what_people_decided_makes_the_record() -> None:
    first = legend((1, "a", 10), (1, "b", 40), (2, "a", 80), (2, "b", 80), (3, "a", None), (3, "b", 10), (4, "a", 10))
    decided = first.override(1, 40, who="Olena").override(2, 80, who="Olena").override(3, 10, who="Olena")
    decided = decided.override(5, 10, who="Petro").override(4, None, who="Petro")
    assert past_records([decided]) == {"a": Record(1, 2), "b": Record(3, 3)}
    undone = decided.override(1, 10, who="Petro")
    assert past_records([undone, decided]) == {"a": Record(3, 4), "b": Record(5, 6)}
    assert past_records([undone.undo(who="Petro")]) == past_records([decided])
    assert past_records([first]) == {}


def test_an_annotator_asked_again_is_judged_by_its_last_answer() -> None:
    decided = legend((1, "a", 10), (1, "a", 40)).override(1, 40, who="Olena")
    assert past_records([decided]) == {"a": Record(1, 1)}


def test_shares_start_from_one_half() -> None:
    assert Record().share == 0.5
    assert Record(3, 3).share == pytest.approx(0.8)
    assert Record(0, 3).share == pytest.approx(0.2)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(2, 20))
def test_weights_grow_with_the_share_within_bounds(first: float, second: float, classes: int) -> None:
    low, high = sorted((first, second))
    assert 0.0 <= share_weight(low, classes=classes) <= share_weight(high, classes=classes) <= MOST_WEIGHT
    assert share_weight(1.0 / classes, classes=classes) == pytest.approx(0.0, abs=1e-9)


def test_the_rule_weighs_by_record() -> None:
    rule = record_rule({"a": Record(8, 8), "b": Record(0, 30)}, classes=3)
    assert rule.kind == "record"
    assert rule.weights == {"a": pytest.approx(math.log(18)), "b": 0.0}
    assert rule.otherwise == pytest.approx(math.log(2))


votes = st.lists(st.sampled_from([0, 1, 2]), min_size=3, max_size=3)


@given(votes, st.tuples(*[st.floats(0.35, 0.95)] * 3))
def test_most_weight_is_the_most_probable_class(said: list[int], shares: tuple[float, ...]) -> None:
    """Against Bayes' rule written out, for three annotators and three classes."""
    chances = []
    for true in range(3):
        each = [share if vote == true else (1 - share) / 2 for vote, share in zip(said, shares, strict=True)]
        chances.append(math.prod(each))
    strengths = [0.0] * 3
    for vote, share in zip(said, shares, strict=True):
        strengths[vote] += share_weight(share, classes=3)
    best = max(range(3), key=lambda one: strengths[one])
    assert chances[best] == pytest.approx(max(chances))


def matrix(codes: np.ndarray) -> VoteMatrix:
    """Codes by cluster and annotator; -1 for no vote."""
    rows = tuple(tuple(None if code < 0 else int(code) for code in row) for row in codes)
    names = tuple(f"annotator {column}" for column in range(codes.shape[1]))
    return VoteMatrix(tuple(range(1, len(codes) + 1)), names, rows)


def simulated(shares: tuple[float, ...], *, clusters: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, clusters)
    wrong = (truth[:, None] + rng.integers(1, classes, (clusters, len(shares)))) % classes
    return np.where(rng.random((clusters, len(shares))) < shares, truth[:, None], wrong), truth


def log_likelihood(codes: np.ndarray, shares: tuple[float, ...], classes: int) -> float:
    """Of one-coin annotators and equally likely classes, as it is defined."""
    total = 0.0
    for row in codes:
        chance = 0.0
        for true in range(classes):
            said = [
                p if vote == true else (1 - p) / (classes - 1) for vote, p in zip(row, shares, strict=True) if vote >= 0
            ]
            chance += math.prod(said) / classes
        total += math.log(chance)
    return total


@pytest.mark.parametrize("seed", range(6))
def test_no_shares_explain_the_votes_better(seed: int) -> None:
    """Against every point of a grid over the shares of three annotators."""
    codes, _ = simulated((0.9, 0.7, 0.5), clusters=14, classes=3, seed=seed)
    codes[np.random.default_rng(seed).random(codes.shape) < 0.15] = -1
    found = dawid_skene(matrix(codes), classes=3)
    grid = np.linspace(0.02, 0.98, 17)
    best = max(log_likelihood(codes, shares, 3) for shares in product(grid, repeat=3))
    assert found.log_likelihood >= best - 1e-6
    at_found = tuple(found.shares.values())
    assert found.log_likelihood == pytest.approx(log_likelihood(codes, at_found, 3), abs=1e-3)


def test_many_votes_tell_who_is_good() -> None:
    shares = (0.95, 0.8, 0.6, 0.3)
    codes, truth = simulated(shares, clusters=600, classes=5, seed=1)
    found = dawid_skene(matrix(codes), classes=5)
    assert list(found.shares.values()) == pytest.approx(shares, abs=0.06)
    assert (found.chances.argmax(axis=1) == truth).mean() > 0.94
    assert found.chances.sum(axis=1) == pytest.approx(1.0)


def test_what_people_decided_is_taken_for_the_truth() -> None:
    codes, truth = simulated((0.9, 0.6, 0.4), clusters=40, classes=4, seed=2)
    known = {cluster: int(code) for cluster, code in enumerate(truth, 1)}
    found = dawid_skene(matrix(codes), classes=4, known=known)
    assert list(found.shares.values()) == pytest.approx((codes == truth[:, None]).mean(axis=0))


def test_the_confident_crowd_is_wrong_and_a_person_says_so() -> None:
    """Two annotators that agree outvote a third, until people decide otherwise."""
    codes = np.array([[0, 0, 1]] * 6 + [[1, 1, 0]] * 6)
    alone = dawid_skene(matrix(codes), classes=2)
    told = dawid_skene(matrix(codes), classes=2, known={1: 1, 2: 1, 7: 0})
    assert alone.shares["annotator 0"] > 0.9 > alone.shares["annotator 2"]
    assert told.shares["annotator 2"] > 0.9 > told.shares["annotator 0"]
    assert told.chances[5].argmax() == 1


def test_an_annotator_without_a_vote_and_a_matrix_without_one() -> None:
    codes = np.array([[0, 0, -1], [1, 1, -1], [1, 0, -1]])
    assert dawid_skene(matrix(codes), classes=2).shares["annotator 2"] == 0.5
    nothing = dawid_skene(VoteMatrix((1, 2), (), ((), ())), classes=3)
    assert nothing.shares == {}
    assert nothing.chances.shape == (2, 0)


@given(st.permutations([0, 1, 2]))
def test_names_of_classes_and_order_of_annotators_do_not_matter(names: list[int]) -> None:
    codes, _ = simulated((0.9, 0.7, 0.5), clusters=12, classes=3, seed=3)
    found = dawid_skene(matrix(codes), classes=3)
    renamed = dawid_skene(matrix(np.array(names)[codes]), classes=3)
    turned = dawid_skene(matrix(codes[:, ::-1]), classes=3)
    assert list(renamed.shares.values()) == pytest.approx(list(found.shares.values()), abs=1e-4)
    assert list(turned.shares.values()) == pytest.approx(list(found.shares.values())[::-1], abs=1e-4)
