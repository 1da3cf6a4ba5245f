"""Check points: a random sample of every class of the map, and what people say of its places."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from s2dash.check_points import (
    SampleDesign,
    allocate,
    draw_check_points,
    judged_edit,
    judgements,
    sample_designs,
    sample_edit,
)
from s2dash.errors import CorrectionError, SampleError, SchemeError
from s2dash.landcover import LandCoverMap
from s2dash.map_edit import MapEdit
from s2dash.reference_points import pixels_at, reference_points
from s2dash.schemes import UNDECIDED, load_scheme
from s2dash.testing import make_grid

SCHEME = load_scheme("worldcover")


def land(codes: np.ndarray, **grid: object) -> LandCoverMap:
    height, width = codes.shape
    return LandCoverMap(make_grid(height, width, **grid), codes, np.zeros_like(codes), SCHEME)  # type: ignore[arg-type]


def patches() -> LandCoverMap:
    codes = np.full((100, 120), 30, dtype=np.uint8)
    codes[:20] = 10
    codes[:4, :5] = 80
    codes[50:60, :10] = UNDECIDED
    codes[90:] = 0
    return land(codes)


# ---- how many


@given(
    pixels=st.lists(st.integers(1, 10_000), min_size=1, max_size=11),
    total=st.integers(2, 400),
    least=st.none() | st.integers(0, 100),
)
def test_every_place_is_given_out_and_no_class_has_more_than_its_pixels(pixels, total, least):
    total = max(total, 2 * len(pixels))
    given_out = allocate(pixels, total, least=least)
    assert sum(given_out) == min(total, sum(pixels))
    assert all(0 < part <= size for part, size in zip(given_out, pixels, strict=True))
    assert all(part >= min(2, size) for part, size in zip(given_out, pixels, strict=True))
    for one, size in zip(given_out, pixels, strict=True):
        for other, larger in zip(given_out, pixels, strict=True):
            assert size > larger or one <= other + 1, "a larger class has no fewer places, but for rounding"


def test_small_classes_get_fifty_and_the_rest_goes_by_size():
    assert allocate([900_000, 90_000, 10_000], 600) == [455, 91, 54]  # 50 each, then 450 as 0.9, 0.09 and 0.01
    assert allocate([900_000, 90_000, 10_000], 60) == [37, 13, 10]  # half of an equal share each
    assert allocate([900_000, 90_000, 10_000], 60, least=20) == [20, 20, 20]
    assert allocate([1000, 3, 1], 100) == [96, 3, 1]


# ---- which


def test_the_sample_is_of_the_classes_it_says():
    map_ = patches()
    design = draw_check_points(map_, 80, 7)
    rows, cols = pixels_at(
        np.array([one.longitude for one in design.points]), np.array([one.latitude for one in design.points]), map_.grid
    )
    assert len(set(zip(rows.tolist(), cols.tolist(), strict=True))) == 80, "no pixel twice"
    np.testing.assert_array_equal(map_.codes[rows, cols], [one.stratum for one in design.points])
    assert {one.code: one.pixels for one in design.strata} == {10: 2380, 30: 8300, 80: 20, UNDECIDED: 100}
    for one in design.strata:
        assert one.drawn == sum(place.stratum == one.code for place in design.points)
        assert one.area_ha == pytest.approx(one.pixels / 100)
    assert design.pixels == (map_.codes != 0).sum()


def test_same_seed_same_places_another_seed_others():
    assert draw_check_points(patches(), 60, 3) == draw_check_points(patches(), 60, 3)
    assert draw_check_points(patches(), 60, 3).points != draw_check_points(patches(), 60, 4).points


def test_the_order_says_nothing_of_the_class():
    strata = np.array([one.stratum for one in draw_check_points(patches(), 400, 0).points])
    first, second = (np.unique(half, return_counts=True)[1] for half in np.split(strata, 2))
    assert (np.abs(first - second) < 40).all()
    assert len(first) == len(second) == 4


def test_every_pixel_of_a_class_is_as_likely():
    codes = np.full((10, 20), 10, dtype=np.uint8)
    codes[:, 10:] = 30
    map_ = land(codes)
    hits = np.zeros(200)
    for seed in range(400):
        design = draw_check_points(map_, 20, seed)
        rows, cols = pixels_at(
            np.array([one.longitude for one in design.points]),
            np.array([one.latitude for one in design.points]),
            map_.grid,
        )
        np.add.at(hits, rows * 20 + cols, 1)
    assert hits.sum() == 8000
    # With ten places of a hundred pixels the counts vary less than Poisson's; chi square is then on the safe side.
    assert chisquare(hits).pvalue > 0.001


def test_what_cannot_be_drawn_is_refused_in_words():
    with pytest.raises(CorrectionError, match="no pixel with data"):
        draw_check_points(land(np.zeros((5, 5), dtype=np.uint8)), 10, 0)
    with pytest.raises(SampleError, match="8 to 5000"):
        draw_check_points(patches(), 7, 0)
    with pytest.raises(SampleError, match="8 to 5000"):
        draw_check_points(patches(), 5001, 0)
    with pytest.raises(SampleError, match="seed -1"):
        draw_check_points(patches(), 50, -1)


# ---- what is kept


def kept(design: SampleDesign, seq: int = 1) -> MapEdit:
    edit = replace(sample_edit(design, who="Ada"), seq=seq)
    return MapEdit.from_json(json.loads(json.dumps(edit.to_json())))


def test_a_sample_is_read_back_as_it_was_drawn():
    design = draw_check_points(patches(), 40, 5)
    assert sample_designs((kept(design, seq=4),)) == (replace(design, seq=4),)
    assert sample_designs((kept(design, seq=4), MapEdit("withdraw", {"seq": 4}, seq=5))) == ()


def test_the_latest_judgement_of_a_place_holds():
    (design,) = sample_designs((kept(draw_check_points(patches(), 40, 5)),))
    edits = (
        kept(design),
        replace(judged_edit(design, 3, 10, scheme=SCHEME, who="Ada"), seq=2),
        replace(judged_edit(design, 0, 30, scheme=SCHEME, who="Ada"), seq=3),
        replace(judged_edit(design, 3, 80, scheme=SCHEME, who="Ben", note="water"), seq=4),
    )
    said = judgements(design, edits)
    assert len(said) == 40
    assert {place: point.code for place, point in enumerate(said) if point} == {0: 30, 3: 80}
    latest = said[3]
    assert latest is not None
    assert (latest.origin, latest.design, latest.stratum, latest.who, latest.note) == (
        "sample",
        1,
        design.points[3].stratum,
        "Ben",
        "water",
    )
    assert len(reference_points(edits)) == 2
    withdrawn = (*edits, MapEdit("withdraw", {"seq": 4}, seq=5))
    assert [point.code for point in judgements(design, withdrawn) if point] == [30, 10]


def test_only_places_of_a_kept_sample_can_be_judged():
    design = draw_check_points(patches(), 40, 5)
    with pytest.raises(CorrectionError, match="draw the check points anew"):
        judged_edit(design, 0, 10, scheme=SCHEME)
    with pytest.raises(CorrectionError, match="no place 40"):
        judged_edit(replace(design, seq=1), 40, 10, scheme=SCHEME)
    with pytest.raises(SchemeError, match="no class 255"):
        judged_edit(replace(design, seq=1), 0, UNDECIDED, scheme=SCHEME)
