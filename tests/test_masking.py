from __future__ import annotations

import numpy as np
import pytest

from s2dash.masking import ALWAYS_INVALID, SCL_NAMES, MaskRule

ALL = np.arange(12, dtype=np.uint8)[None]


def valid_codes(rule: MaskRule) -> set[int]:
    return {int(code) for code in ALL[rule.valid(ALL)]}


def test_twelve_classes():
    assert set(SCL_NAMES) == set(range(12))


def test_default_masks_what_never_shows_the_ground():
    assert MaskRule().invalid == ALWAYS_INVALID == {0, 1, 3, 8, 9, 10}
    assert valid_codes(MaskRule()) == {2, 4, 5, 6, 7, 11}


@pytest.mark.parametrize(("toggle", "code"), [("mask_dark", 2), ("mask_unclassified", 7), ("mask_snow", 11)])
def test_each_toggle_masks_its_class_only(toggle, code):
    assert valid_codes(MaskRule(**{toggle: True})) == {2, 4, 5, 6, 7, 11} - {code}


def test_all_toggles():
    rule = MaskRule(mask_dark=True, mask_unclassified=True, mask_snow=True)
    assert valid_codes(rule) == {4, 5, 6}


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32])
def test_unknown_codes_count_as_no_data_in_any_type(dtype):
    codes = np.array([[4, 12, 100, 255 if dtype == np.uint8 else 300, 0]], dtype)
    assert MaskRule().valid(codes).tolist() == [[True, False, False, False, False]]


def test_negative_codes_count_as_no_data():
    assert not MaskRule().valid(np.array([[-4, -1]], np.int16)).any()
