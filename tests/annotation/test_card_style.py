"""Card styles: named, versioned, and never changed behind the back of answers that name them."""

from __future__ import annotations

import pytest

from s2dash.annotation.card_style import DEFAULT_STYLE, card_style, load_card_styles
from s2dash.errors import AnnotationError

PINNED = {
    "plain@1": "2d8f7d7558978ad7",
    "closeup@1": "7c4b2657845ad9a8",
    "numbers@1": "e8a22bfbac3ac752",
    "composites@1": "6416a9e408f6e0c3",
    "words@1": "6d96bfff1c2e266f",
    "closer@1": "843aa1c26e9b283c",
}
"""What every version showed when it was first used. A style that changes needs a new version, and a line here."""


def test_no_version_has_changed() -> None:
    assert {style.label: style.digest[:16] for style in load_card_styles().values()} == PINNED


def test_styles_are_chosen_by_name_or_by_name_and_version() -> None:
    assert card_style(DEFAULT_STYLE) == card_style(f"{DEFAULT_STYLE}@1")
    assert card_style(DEFAULT_STYLE).label == "numbers@1"
    assert card_style(DEFAULT_STYLE).words
    assert not card_style("plain").words
    assert not card_style("words").crop
    assert card_style("closeup").closeups == 3


@pytest.mark.parametrize("name", ["", "number", "numbers@2", "numbers@", "@1"])
def test_a_style_there_is_not_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(AnnotationError, match="numbers@1"):
        card_style(name)
