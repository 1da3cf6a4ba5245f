"""The table of what a reference's values mean: filled in, read back, and as a file that is read again."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from s2dash.dashboard import state
from s2dash.dashboard.language import speak
from s2dash.dashboard.reference_mapping import (
    CLASS,
    SCHEMES,
    VALUE,
    class_choices,
    mapping_json,
    mapping_rows,
    start_map,
    with_mapping,
)
from s2dash.pipeline import ReferenceSettings
from s2dash.reference_values import FoundValues
from s2dash.schemes import load_scheme, load_scheme_map

PIXELS = FoundValues({0: 5, 311: 40, 241: 7, 512: 9, 999: 1}, "pixels", 1.0, 0)
WORDS = FoundValues({7: 1, "forest": 3, "Ставок": 2, "Plot 7": 1}, "polygons", 1.0, 0)
CORINE = ReferenceSettings(path="clc.tif", scheme="corine")


@pytest.fixture
def ukrainian() -> Iterator[None]:
    speak(lambda: "uk")
    yield
    speak(state.spoken)


def classes(found: FoundValues, settings: ReferenceSettings) -> list[str]:
    return [row[CLASS] for row in mapping_rows(found, start_map(settings))]


def changed(found: FoundValues, settings: ReferenceSettings, **other: str) -> ReferenceSettings:
    start = start_map(settings)
    rows = mapping_rows(found, start)
    return with_mapping(settings, found, [other.get(row[VALUE], row[CLASS]) for row in rows], start)


def test_every_shipped_scheme_fills_the_table():
    assert set(SCHEMES) == {"worldcover", "esri_lulc", "dynamic_world", "corine", "nlcd"}
    for name in SCHEMES:
        codes = load_scheme_map(name, "worldcover").codes
        found = FoundValues(dict.fromkeys(codes, 1), "pixels", 1.0, 0)
        choices = class_choices()
        assert [choices[one] for one in classes(found, ReferenceSettings("a.tif", name))] == list(codes.values())


def test_rows_say_what_is_known():
    assert classes(PIXELS, CORINE) == [
        "not compared", "Tree cover", "not compared", "Permanent water bodies", "not known",
    ]  # fmt: skip
    own = ReferenceSettings(path="a.gpkg", scheme="own", names={"plot 7": 50})
    assert classes(WORDS, own) == ["not known", "Tree cover", "Permanent water bodies", "Built-up"]


def test_an_unchanged_table_changes_nothing():
    assert changed(PIXELS, CORINE) == CORINE
    assert changed(WORDS, CORINE) == CORINE


def test_changed_rows_go_before_the_scheme():
    found = changed(PIXELS, CORINE, **{"241": "Cropland", "999": "Grassland", "512": "not known", "0": "Built-up"})
    shipped = dict(load_scheme_map("corine", "worldcover").codes)
    assert found.codes == {code: to for code, to in shipped.items() if code != 512} | {241: 40, 999: 30, 0: 50}
    assert (found.scheme, found.path) == ("corine", "clc.tif")
    assert 0 not in changed(PIXELS, CORINE, **{"241": "Cropland"}).codes  # no data stays no data


def test_words_are_kept_by_the_word():
    own = ReferenceSettings(path="a.gpkg", scheme="own")
    found = changed(WORDS, own, **{"Plot 7": "Cropland", "forest": "not known", "7": "Grassland"})
    assert found.names == {"Plot 7": 40, "forest": 0, "Ставок": 80}
    assert found.codes == {7: 30}
    assert classes(WORDS, found) == ["Grassland", "not compared", "Permanent water bodies", "Cropland"]


def test_the_file_is_read_again_as_it_was(tmp_path):
    own = changed(WORDS, ReferenceSettings(path="a.gpkg", scheme="own"), **{"Plot 7": "Cropland", "7": "not compared"})
    path = tmp_path / "own.json"
    path.write_text(mapping_json(own, WORDS), "utf-8")
    assert json.loads(path.read_text("utf-8")) == {"7": 0, "forest": 10, "Ставок": 80, "Plot 7": 40}
    again = ReferenceSettings.from_map_file("a.gpkg", path)
    assert (again.codes, again.names) == (own.codes, own.names)


def test_names_are_in_the_language_spoken(ukrainian):
    names = [load_scheme("worldcover")[code].names["uk"] for code in (10, 80)]
    assert classes(WORDS, CORINE)[1:3] == names
    assert "не порівнювати" in class_choices()
    assert changed(PIXELS, CORINE, **{"241": names[0]}).codes[241] == 10
