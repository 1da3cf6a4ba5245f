from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import rasterio

from s2dash.errors import SchemeError
from s2dash.schemes import load_scheme, load_scheme_map, read_scheme_map, scheme_names

SHIPPED = ("main", "nlcd4", "worldcover")
CYRILLIC = re.compile(r"[а-яіїєґ]", re.IGNORECASE)
LATIN = re.compile(r"[a-z]", re.IGNORECASE)
# Published legend of ESA WorldCover v200.
WORLDCOVER = {
    10: "#006400",
    20: "#FFBB22",
    30: "#FFFF4C",
    40: "#F096FF",
    50: "#FA0000",
    60: "#B4B4B4",
    70: "#F0F0F0",
    80: "#0064C8",
    90: "#0096A0",
    95: "#00CF75",
    100: "#FAE6A0",
}


def test_schemes_that_come_with_the_package() -> None:
    assert set(SHIPPED) <= set(scheme_names())


@pytest.mark.parametrize("name", SHIPPED)
def test_every_class_is_complete_in_both_languages(name: str) -> None:
    scheme = load_scheme(name)
    assert len(set(scheme.codes)) == len(scheme.codes)
    assert len({cls.key for cls in scheme.classes}) == len(scheme.classes)
    assert len({cls.colour for cls in scheme.classes}) == len(scheme.classes)
    for cls in scheme.classes:
        assert 1 <= cls.code <= 254
        assert re.fullmatch(r"#[0-9A-F]{6}", cls.colour)
        for texts in (cls.names, cls.definitions, cls.synonyms):
            assert set(texts) == {"en", "uk"}
        assert not CYRILLIC.search(f"{cls.names['en']} {cls.definitions['en']} {' '.join(cls.synonyms['en'])}")
        assert not LATIN.search(f"{cls.names['uk']} {' '.join(cls.synonyms['uk'])}")
        assert CYRILLIC.search(cls.definitions["uk"])
        for words in cls.synonyms.values():
            assert words
            assert len(set(words)) == len(words)


def test_worldcover_has_the_published_codes_and_colours() -> None:
    scheme = load_scheme("worldcover")
    assert {cls.code: cls.colour for cls in scheme.classes} == WORLDCOVER


def test_worldcover_colours_are_those_of_the_published_raster(real_data: Path) -> None:
    with rasterio.open(real_data / "worldcover" / "ESA_WorldCover_10m_2021_v200_N00E006_Map.tif") as tile:
        palette = tile.colormap(1)
    for cls in load_scheme("worldcover").classes:
        assert palette[cls.code][:3] == cls.rgb


def test_unknown_scheme_names_the_known_ones() -> None:
    with pytest.raises(SchemeError, match="worldcover"):
        load_scheme("corine-of-the-moon")


def test_worldcover_reaches_every_main_class() -> None:
    table = load_scheme_map("worldcover", "main").codes
    assert set(table) == set(load_scheme("worldcover").codes)
    assert set(table.values()) == set(load_scheme("main").codes)


@pytest.mark.parametrize(
    ("source", "target", "sources"),
    [
        ("worldcover", "main", 11),
        ("worldcover", "nlcd4", 11),
        ("nlcd4", "main", 4),
        ("esri_lulc", "worldcover", 9),
        ("dynamic_world", "worldcover", 8),
        ("dynamic_world_plus_1", "worldcover", 9),
        ("corine", "worldcover", 44),
        ("nlcd", "worldcover", 20),
        ("nlcd", "nlcd4", 20),
    ],
)
def test_maps_lead_into_their_target(source: str, target: str, sources: int) -> None:
    table = load_scheme_map(source, target).codes
    assert len(table) == sources
    assert set(table.values()) <= {0, *load_scheme(target).codes}


def test_maps_agree_where_there_are_two_ways() -> None:
    """By the four groups or straight: an NLCD class that survives both ways ends in the same main class."""
    straight, grouped = load_scheme_map("nlcd", "worldcover").codes, load_scheme_map("nlcd", "nlcd4").codes
    to_main, from_groups = load_scheme_map("worldcover", "main").codes, load_scheme_map("nlcd4", "main").codes
    both = [code for code in straight if straight[code] and grouped[code]]
    assert len(both) >= 8
    for code in both:
        assert to_main[straight[code]] == from_groups[grouped[code]]


def test_corine_groups_keep_their_meaning() -> None:
    """Artificial surfaces (1xx) never become plants, water bodies (5xx) are always water, forest (31x) is trees."""
    table = load_scheme_map("corine", "worldcover").codes
    assert {table[code] for code in table if code // 100 == 5} == {80}
    assert {table[code] for code in table if code // 10 == 31} == {10}
    assert {table[code] for code in table if code // 10 in {11, 12}} == {50}
    assert {table[code] for code in table if code // 10 == 21} == {40}
    assert all(first < second for first, second in pairwise(table))


def test_esri_map_is_that_of_the_published_codes() -> None:
    mapped, unknown = load_scheme_map("esri_lulc", "worldcover").apply(
        np.array([[1, 2, 4, 5], [7, 8, 9, 11], [10, 0, 3, 3]])
    )
    assert mapped.tolist() == [[80, 10, 90, 40], [50, 60, 70, 30], [0, 0, 0, 0]]
    assert unknown == {3: 2}


def test_missing_map_names_the_known_sources() -> None:
    with pytest.raises(SchemeError, match="esri_lulc"):
        load_scheme_map("mars", "worldcover")


def test_map_from_a_file_at_the_top_or_inside(tmp_path: Path) -> None:
    flat, nested = tmp_path / "flat.json", tmp_path / "about.json"
    flat.write_text(json.dumps({"1": 80, "2": 0}), "utf-8")
    nested.write_text(json.dumps({"reference": {"to_worldcover": {"1": 80, "2": 0}}}), "utf-8")
    for path in (flat, nested):
        assert read_scheme_map(path, target="worldcover").codes == {1: 80, 2: 0}


@pytest.mark.parametrize("text", ["", "[1, 2]", '{"a": 1}', '{"1": 33}', '{"reference": {}}', '{"1": null}'])
def test_map_from_a_broken_file_says_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text, "utf-8")
    with pytest.raises(SchemeError, match=r"broken\.json"):
        read_scheme_map(path, target="worldcover")
