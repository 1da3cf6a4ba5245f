"""Which annotators there are."""

from __future__ import annotations

from collections.abc import Callable

from s2dash.annotation.answer import Annotator
from s2dash.annotation.rules import RulesAnnotator
from s2dash.errors import AnnotationError

_MAKERS: dict[str, Callable[[], Annotator]] = {"rules": RulesAnnotator}
"""How each annotator is made, by the name it is chosen by."""


def annotator_names() -> tuple[str, ...]:
    """Names that `annotator` knows, the offline one first."""
    return tuple(_MAKERS)


def annotator(name: str) -> Annotator:
    """The annotator of this name.

    Raises:
        AnnotationError: If there is none; the text lists those there are.
    """
    if name not in _MAKERS:
        raise AnnotationError(f"There is no annotator {name!r}. Choose among: {', '.join(annotator_names())}.")
    return _MAKERS[name]()
