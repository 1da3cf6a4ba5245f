from __future__ import annotations

import pytest

from s2dash.annotation.registry import annotator, annotator_names
from s2dash.errors import AnnotationError


def test_every_registered_annotator_goes_by_its_own_name() -> None:
    assert "rules" in annotator_names()
    for name in annotator_names():
        assert annotator(name).name == name


def test_unknown_annotator_lists_those_there_are() -> None:
    with pytest.raises(AnnotationError, match=r"'oracle'.*rules"):
        annotator("oracle")
