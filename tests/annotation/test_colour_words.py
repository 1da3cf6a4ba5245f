"""Words for colours are found, and taken out without harm to the rest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dash.annotation.colour_words import colour_words, without_colour_words

FOUND = tuple(
    word
    for line in (
        "green Green GREEN greenish evergreen greenhouses greenery red reddish blue bluish blue-green yellow yellowish",
        "brown brownish white whitish black blackened grey gray greyish pink purple orange violet cyan magenta",
        "turquoise beige golden silver teal tan ochre snow-white зелений зелена зеленуватий вічнозелені синій синя",
        "блакитний жовта червоний біла білий чорний чорна сіра сірий бурий коричневий помаранчевий рожева фіолетовий",
    )
    for word in line.split(" ")
)
INNOCENT = tuple(
    word
    for line in (
        "infrared covered scattered shared bare tree dark bright hue colour standing important tank target greek redo",
        "більше біля сину сірка бурштин рілля чорнозем",
    )
    for word in line.split(" ")
)


@pytest.mark.parametrize("word", FOUND)
def test_a_colour_is_found_and_taken_out(word: str) -> None:
    assert colour_words(f"A {word} field.")
    assert not colour_words(without_colour_words(f"A {word} field."))


@pytest.mark.parametrize("word", INNOCENT)
def test_a_word_that_only_looks_like_one_stays(word: str) -> None:
    assert not colour_words(f"A {word} field.")
    assert without_colour_words(f"A {word} field.") == f"A {word} field."


def test_what_says_more_than_a_colour_is_said_otherwise() -> None:
    assert without_colour_words("Evergreen trees, greenhouses too.") == "Non-deciduous trees, glasshouses too."
    assert without_colour_words("the red edge at 705 nm") == "the edge of the visible at 705 nm"
    assert without_colour_words("Bright green, rectangular fields (brown) of crops.") == (
        "Bright, rectangular fields of crops."
    )
    assert without_colour_words("blue-green water") == "water"


@given(st.text(max_size=60) | st.lists(st.sampled_from([*FOUND, *INNOCENT, "-", "(", ")", "_", ","])).map(" ".join))
def test_nothing_is_left_whatever_the_text(text: str) -> None:
    left = without_colour_words(text)
    assert not colour_words(left)
    assert without_colour_words(left) == left
