"""Annotators by name: those that need nothing, recordings, and models, whose keys may be missing."""

from __future__ import annotations

import pytest

from s2dash.annotation.catalogue import load_catalogue
from s2dash.annotation.keys import Keys
from s2dash.annotation.registry import (
    LOCAL,
    annotator,
    annotator_names,
    check_annotator,
    check_annotator_name,
    is_local,
)
from s2dash.errors import AnnotationError, MissingKeyError


def test_every_annotator_goes_by_its_own_name() -> None:
    assert annotator_names()[:2] == LOCAL == ("rules", "replay")
    assert set(annotator_names()) == {*LOCAL, *load_catalogue()}
    for name in annotator_names():
        assert annotator(name, keys=Keys(), live=False).name == name


def test_a_model_that_needs_a_key_is_not_made_without_one() -> None:
    check_annotator("claude")
    with pytest.raises(MissingKeyError, match="ANTHROPIC_API_KEY"):
        annotator("claude", keys=Keys())


def test_an_annotator_that_is_only_estimated_cannot_be_asked() -> None:
    made = annotator("claude", keys=Keys(), live=False)
    assert not is_local("claude")
    assert is_local("rules")
    assert made.looks  # type: ignore[attr-defined]


def test_unknown_annotator_lists_those_there_are() -> None:
    with pytest.raises(AnnotationError, match=r"'oracle'.*rules"):
        annotator("oracle")


def test_nobody_answers_in_the_name_of_rules_or_recordings() -> None:
    assert check_annotator_name("my own") == "my own"
    for name in ("rules", "Replay"):
        with pytest.raises(AnnotationError, match="answers by itself"):
            check_annotator_name(name)
