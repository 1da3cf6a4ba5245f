"""Values of other people's maps: numbers and words, whatever the table holds them as."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dash.map_values import in_order, map_value, unknown_from_json


@pytest.mark.parametrize(
    ("raw", "value"),
    [(3, 3), (np.int16(-2), -2), (np.float64(311.0), 311), ("311", 311), (" 42.0 ", 42), (True, 1), ("1.5", "1.5"),
     ("Мішаний  ліс ", "Мішаний ліс"), ("", None), ("  ", None), (None, None), (float("nan"), None), ("²", "²")],
)  # fmt: skip
def test_cells_become_numbers_or_words(raw, value):
    found = map_value(raw)
    assert found == value
    assert type(found) is type(value)


def test_decimals_are_no_class():
    with pytest.raises(ValueError, match=r"1\.5"):
        map_value(1.5)


def test_numbers_come_before_words():
    assert in_order(["b", 10, "a", 2]) == [2, 10, "a", "b"]


@given(st.dictionaries(st.integers(-(10**9), 10**9) | st.sampled_from(["ліс", "Plot 7", "…"]), st.integers(1, 99)))
def test_unknown_values_survive_json(unknown):
    kept = json.loads(json.dumps({str(value): count for value, count in unknown.items()}))
    assert unknown_from_json(kept) == unknown
