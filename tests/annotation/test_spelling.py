from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dash.annotation.spelling import edits, similar

words = st.text("abc", max_size=6)


def by_definition(first: str, second: str) -> int:
    """Optimal string alignment, as its recursion is written down."""

    @cache
    def cost(i: int, j: int) -> int:
        if min(i, j) == 0:
            return max(i, j)
        found = [
            cost(i - 1, j) + 1,
            cost(i, j - 1) + 1,
            cost(i - 1, j - 1) + (first[i - 1] != second[j - 1]),
        ]
        if i > 1 and j > 1 and first[i - 1] == second[j - 2] and first[i - 2] == second[j - 1]:
            found.append(cost(i - 2, j - 2) + 1)
        return min(found)

    return cost(len(first), len(second))


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [
        ("cropland", "cropland", 0),
        ("cropland", "croplnad", 1),
        ("cropland", "croplan", 1),
        ("cropland", "croppland", 1),
        ("cropland", "craplond", 2),
        ("ca", "abc", 3),
        ("рілля", "ріля", 1),
    ],
)
def test_known_distances(first: str, second: str, distance: int) -> None:
    assert edits(first, second, most=5) == distance


@given(words, words, st.integers(0, 6))
def test_the_distance_is_that_of_the_definition_up_to_a_bound(first: str, second: str, most: int) -> None:
    assert edits(first, second, most=most) == min(by_definition(first, second), most + 1)
    assert edits(first, second, most=most) == edits(second, first, most=most)


@pytest.mark.parametrize(("second", "alike"), [("croplanf", True), ("craplanf", False), ("cropland", True)])
def test_one_error_in_eight_letters_is_enough_alike(second: str, alike: bool) -> None:
    assert similar("cropland", second, least=0.875) is alike


def test_nothing_but_the_word_itself_is_wholly_alike() -> None:
    assert similar("water", "water", least=1.0)
    assert not similar("grasslands", "grassland", least=1.0)
