"""The page of area and imagery: choosing an area in every way, what it takes, and cutting the scene to it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from app_pages import opened, press, texts
from shapely.geometry import mapping
from streamlit.testing.v1 import AppTest

from pages.parts import choose_area
from s2dash.area import AreaOfInterest
from s2dash.dashboard import state
from s2dash.dashboard.area_words import apart, memory, outlines
from s2dash.dashboard.texts import duration
from s2dash.export.scene import write_scene
from s2dash.sources.load import load_scene
from s2dash.sources.request import SceneRequest
from s2dash.testing import make_patchwork

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("after_the_first_visit")
SIDE = 96


@pytest.fixture
def scene_file(tmp_path: Path) -> Path:
    write_scene(make_patchwork(side=SIDE)[0], tmp_path / "stripes.tif")
    return tmp_path / "stripes.tif"


@pytest.fixture
def part(scene_file: Path) -> AreaOfInterest:
    """About half of the scene."""
    west, south, east, north = whole_box(scene_file)
    return AreaOfInterest.from_bbox(west + (east - west) * 0.2, south, east - (east - west) * 0.2, north)


def whole_box(path: Path) -> tuple[float, float, float, float]:
    from s2dash.grid import latitude_longitude_bounds

    return latitude_longitude_bounds(load_scene(path).grid)


def with_scene(path: Path) -> AppTest:
    app = opened()
    app.text_input(key="location").set_value(str(path)).run()
    return press(app, "Open scene")


def figures(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def labels(app: AppTest) -> set[str]:
    return {button.label for button in app.button}


def test_an_empty_page_has_a_map_to_draw_on_and_says_why_it_is_blank(space):
    app = opened()
    assert "There is no finished map yet" in texts(app)
    assert "base maps need the internet" in texts(app)
    assert "Draw a rectangle" in texts(app)
    assert app.get("component_instance") or app.get("iframe")
    assert "Use this area" not in labels(app)


def test_a_box_is_shown_with_what_it_takes_and_cannot_be_used_without_a_scene(space):
    app = opened(session={"area_from": "bbox"})
    app.text_input(key="area_bbox").set_value("34.9, 48.4, 35.1, 48.55")
    press(app, "Show box")
    shown = figures(app)
    assert shown["Area, km²"] == "246.7"
    assert shown["Pixels"] == "2.6 million"
    assert shown["Memory"].endswith("MiB")
    assert shown["Time"].endswith("s")
    assert "Naming 12 clusters costs nothing" in texts(app)
    assert next(button for button in app.button if button.label == "Use this area").disabled
    assert "Open a scene" in texts(app)
    app.selectbox(key="area_model").set_value("claude").run()
    assert "US$ 0." in texts(app)
    again = opened()  # after a restart it is there again
    assert figures(again)["Area, km²"] == "246.7"
    press(again, "Forget area")
    assert not figures(again)
    assert not figures(opened())


@pytest.mark.parametrize(
    ("text", "words"), [("1,2,3", "four numbers"), ("5,5,5,6", "no size"), ("0,80,1,99", "leaves the Earth")]
)
def test_bad_boxes_are_refused_in_words_and_the_chosen_area_stays(space, part, text, words):
    app = opened(session={"area_from": "bbox", "area": json.dumps(part.to_json())})
    before = figures(app)
    app.text_input(key="area_bbox").set_value(text)
    press(app, "Show box")
    assert words in texts(app)
    assert figures(app) == before


def test_what_is_too_large_is_refused_with_numbers_and_the_way_out(space, scene_file, monkeypatch):
    monkeypatch.setattr("s2dash.area_budget.available_bytes", lambda: 2 * 1024**3)
    app = with_scene(scene_file)
    app.segmented_control(key="area_from").set_value("bbox").run()
    app.text_input(key="area_bbox").set_value("30, 46, 36, 50")
    press(app, "Show box")
    assert "Too large" in texts(app)
    assert "2.0 GiB are free" in texts(app)
    assert "Choose at most" in texts(app)
    assert next(button for button in app.button if button.label == "Use this area").disabled
    app.text_input(key="area_bbox").set_value("0, 0, 60, 10")
    press(app, "Show box")
    assert "more than one map grid can hold" in texts(app)


def test_the_scene_is_cut_to_the_area_and_taken_whole_again(space, scene_file, part):
    app = with_scene(scene_file)
    assert f"{SIDE} × {SIDE}" in {metric.value for metric in app.metric}
    assert "the whole scene" in texts(app)
    app.segmented_control(key="area_from").set_value("bbox").run()
    app.text_input(key="area_bbox").set_value(",".join(map(str, part.bounds)))
    press(app, "Show box")
    press(app, "Use this area")
    cut = SceneRequest(str(scene_file), area=part.geojson).load()
    height, width = cut.grid.shape
    assert f"{width} × {height}" in {metric.value for metric in app.metric}
    assert width < 0.7 * SIDE
    assert "(part)" in texts(app)
    asked = SceneRequest.from_json(json.loads(app.session_state["scene_request"]))
    assert shapely.equals(shapely.geometry.shape(asked.area), part.geometry)
    assert "(part)" in texts(opened())  # also after a restart
    press(app, "Whole scene")
    assert f"{SIDE} × {SIDE}" in {metric.value for metric in app.metric}


def test_an_area_elsewhere_is_said_and_refused_and_the_scene_stays(space, scene_file):
    app = with_scene(scene_file)
    app.segmented_control(key="area_from").set_value("bbox").run()
    app.text_input(key="area_bbox").set_value("-70.5, -33.5, -70.4, -33.4")
    press(app, "Show box")
    assert "outside this scene" in texts(app)
    press(app, "Use this area")
    assert "lies beside the scene" in texts(app)
    assert f"{SIDE} × {SIDE}" in {metric.value for metric in app.metric}


def test_a_drawing_becomes_the_area_once(space, scene_file, part, monkeypatch):
    drawn: dict[str, Any] = {}
    monkeypatch.setattr(state, "show_map", lambda *arguments, **options: dict(drawn))
    app = with_scene(scene_file)
    assert not [button for button in app.button if button.label == "Use this area"]
    drawn["last_active_drawing"] = {"type": "Feature", "properties": {}, "geometry": mapping(part.geometry)}
    app.run()
    assert "Use this area" in labels(app)
    press(app, "Forget area")  # the map still repeats what was drawn
    assert "Use this area" not in labels(app)
    drawn["last_active_drawing"] = {"type": "Feature", "geometry": mapping(shapely.box(33.1, 45.1, 33.1, 45.2))}
    app.run()
    assert "no size" in texts(app)
    assert "Use this area" not in labels(app)


def test_a_file_becomes_the_area_once_and_again_with_other_layers(space, tmp_path, part):
    path = tmp_path / "field.geojson"
    path.write_text(json.dumps(part.geojson))
    app = AppTest.from_function(_read_twice, default_timeout=60, kwargs={"path": str(path)}).run()
    assert not app.exception
    assert [text.value for text in app.markdown] == ["field", "None"]


def _read_twice(path: str) -> None:
    from pathlib import Path

    import streamlit as st

    from pages.parts.choose_area import read_new

    for _ in range(2):
        found = read_new(Path(path), ("field",))
        st.markdown(str(found and found.title))


def test_a_place_is_found_by_any_name_and_boxed(space):
    app = opened(session={"area_from": "place"})
    app.text_input(key="area_place").set_value("Дніпро").run()
    box = next(box for box in app.selectbox if box.label == "Which one")
    assert box.options[0].startswith("Dnipro (Дніпро), Ukraine (")
    app.select_slider(key="area_side").set_value(20).run()
    press(app, "Show place")
    assert figures(app)["Area, km²"] in ("399.9", "400.0", "400.1")
    assert "Chosen: Dnipro" in texts(app)
    app.text_input(key="area_place").set_value("xqzzyqq").run()
    assert "No place is called like that" in texts(app)


def test_what_was_kept_by_another_version_does_not_break_the_page(space):
    for kept in ("{", "[1]", json.dumps({"geometry": {"type": "Point", "coordinates": [1, 2]}})):
        assert not opened(session={"area": kept}).error


def test_the_page_speaks_ukrainian(space, part):
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.session_state["language"], app.session_state["area"] = "uk", json.dumps(part.to_json())
    app.run()  # once: AppTest reads what is written on lists outside the session, where English is spoken
    assert "Виберіть територію" in texts(app)
    assert "Площа, км²" in figures(app)
    assert "Використати цю територію" in labels(app)


def test_while_a_scene_is_opened_the_map_is_there_and_then_the_scene(space, scene_file, monkeypatch):
    monkeypatch.setattr(state, "_PATIENCE", 0.0)
    app = with_scene(scene_file)
    until = time.monotonic() + 60
    while f"{SIDE} × {SIDE}" not in {metric.value for metric in app.metric}:
        assert time.monotonic() < until
        time.sleep(0.1)
        app.run()
        assert not app.exception


def test_outlines_are_in_one_piece_across_180_degrees_and_editable_where_simple():
    area = AreaOfInterest.from_bbox(179.9, -17, -179.9, -16.8)
    (shape,) = outlines(area, None)
    assert shape.geometry["type"] == "Polygon"
    assert np.ptp(np.array(shape.geometry["coordinates"][0])[:, 0]) == pytest.approx(0.2)
    assert shape.editable
    pierced = AreaOfInterest.from_geometry(shapely.box(0, 0, 1, 1).difference(shapely.box(0.4, 0.4, 0.6, 0.6)))
    assert not outlines(pierced, None)[0].editable
    assert len(outlines(area, pierced)) == 2
    assert len(outlines(area, area)) == 1


def test_boxes_apart_on_any_turn_of_the_globe():
    here, there = ((10.0, 179.0), (11.0, 181.0)), ((10.0, -180.5), (11.0, -179.5))
    assert not apart(here, there)
    assert apart(here, ((10.0, 0.0), (11.0, 1.0)))
    assert apart(here, ((12.0, 179.0), (13.0, 181.0)))


def test_sizes_and_times_in_words():
    assert [memory(count) for count in (5 * 2**20, 3 * 2**30)] == ["5 MiB", "3.0 GiB"]
    assert [duration(seconds) for seconds in (0.2, 8.2, 300, 9000)] == ["1 s", "8 s", "5 min", "2.5 h"]
    assert choose_area.WAYS == ["draw", "file", "bbox", "place"]
