"""Tokens of a picture: the examples that the services give in their own documentation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dash.annotation.picture_tokens import Fixed, Patches, Tiles

CLAUDE = Patches(rule="patches", side=28, most=1568, edge=1568)
OPENAI = Patches(rule="patches", side=32, most=1536)
GPT_4O = Tiles(rule="tiles", side=512, each=170, base=85, box=2048, short=768)
GEMINI_2 = Tiles(rule="tiles", side=768, each=258, single=384)


@pytest.mark.parametrize(
    ("rule", "width", "height", "tokens"),
    [
        (CLAUDE, 200, 200, 64),
        (CLAUDE, 1000, 1000, 1296),
        (CLAUDE, 1092, 1092, 1521),
        (OPENAI, 1024, 1024, 1024),
        (GPT_4O, 1024, 1024, 765),
        (GPT_4O, 2048, 4096, 1105),
        (GEMINI_2, 384, 384, 258),
        (GEMINI_2, 385, 300, 258),
        (GEMINI_2, 960, 540, 516),
        (Fixed(rule="fixed", each=1120), 5, 9000, 1120),
    ],
)
def test_documented_examples(rule, width, height, tokens):
    assert rule.count(width, height) == tokens


def test_openai_shrinks_to_its_patches():
    # the guide's 1800 × 2400 picture ends at 33 × 44 patches once whole patches are made; ours may round up a row
    assert 33 * 44 <= OPENAI.count(1800, 2400) <= 1536


def test_area_rule_of_older_pages_is_close():
    for width, height in [(768, 768), (1024, 1024), (1536, 700)]:
        assert CLAUDE.count(width, height) == pytest.approx(width * height / 750, rel=0.05)


@given(st.integers(1, 8000), st.integers(1, 8000))
def test_every_picture_costs_something_and_no_more_than_the_most(width, height):
    assert 1 <= CLAUDE.count(width, height) <= 1568
    assert 1 <= OPENAI.count(width, height) <= 1536
    assert 255 <= GPT_4O.count(width, height) <= 85 + 170 * 8
    assert GEMINI_2.count(width, height) >= 258
