"""Card styles: named and versioned recipes of what a model is shown of a cluster."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import sha256
from importlib import resources
from json import dumps
from typing import Literal, get_args

from s2dash.errors import AnnotationError

CompositeKind = Literal["infrared", "shortwave"]
"""Composites of bands that the eye does not see."""
DEFAULT_STYLE = "numbers"
"""What models are shown unless a person chooses otherwise."""
SECOND_STYLE = "closer"
"""What they are shown in a second look."""


@dataclass(frozen=True)
class CardStyle:
    """What a model is shown of one cluster. Whatever is changed in one needs a new version: answers name it."""

    name: str
    """How it is chosen."""
    version: int
    """From 1."""
    title: str
    """For the person."""
    summary: str
    """What is shown, in a sentence."""
    closeups: int
    """Most close-ups, 0-3."""
    composites: tuple[CompositeKind, ...]
    """Further pictures of the crop, in bands that the eye does not see."""
    words: bool
    """Whether measured facts are told."""
    crop: bool = True
    """Whether the true-colour crop and its dimmed twin are shown."""
    closeup_side: int = 64
    """Side of a close-up, pixels of the scene."""

    @property
    def label(self) -> str:
        """Name and version, as answers record them: `numbers@1`."""
        return f"{self.name}@{self.version}"

    @property
    def digest(self) -> str:
        """Hash of what is shown; titles and summaries do not count."""
        shown = {name: value for name, value in asdict(self).items() if name not in {"title", "summary"}}
        return sha256(dumps(shown, sort_keys=True).encode()).hexdigest()


def load_card_styles() -> dict[str, CardStyle]:
    """The newest version of every style by name, in the order of the table."""
    newest: dict[str, CardStyle] = {}
    for style in _styles():
        if style.name not in newest or newest[style.name].version < style.version:
            newest[style.name] = style
    return newest


def card_style(name: str) -> CardStyle:
    """One style.

    Args:
        name: `numbers` for its newest version, `numbers@1` for exactly that.

    Raises:
        AnnotationError: If there is none of that name or version.
    """
    found = load_card_styles().get(name) or next((style for style in _styles() if style.label == name), None)
    if found is None:
        raise AnnotationError(
            f"There is no card style {name!r}. Choose one of: {', '.join(style.label for style in _styles())}."
        )
    return found


@cache
def _styles() -> tuple[CardStyle, ...]:
    """Every version of every style."""
    rows = tomllib.loads(resources.files("s2dash.data").joinpath("card_styles.toml").read_text("utf-8"))["styles"]
    styles = tuple(CardStyle(**row | {"composites": tuple(row["composites"])}) for row in rows)
    for style in styles:
        strange = set(style.composites).difference(get_args(CompositeKind))
        if strange or not 0 <= style.closeups <= 3 or not (style.crop or style.words):
            raise AnnotationError(f"card_styles.toml: the style {style.label} cannot be shown; correct its row.")
    if len({style.label for style in styles}) < len(styles):
        raise AnnotationError("card_styles.toml: a style has the same version twice; give the later one a new number.")
    return styles
