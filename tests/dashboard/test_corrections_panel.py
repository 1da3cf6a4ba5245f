"""The panel of corrections: draw and set, click and keep, draw by chance and judge, take back, take away, bring."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_pages import make_run, press, texts, write_stripes_reference
from PIL import Image
from streamlit.testing.v1 import AppTest

from s2dash.check_points import judgements, sample_designs
from s2dash.dashboard import state
from s2dash.dashboard.corrected_layers import area_shapes, corrected_layer, has_areas, point_shapes
from s2dash.dashboard.correction_texts import ceiling_note, edit_facts, edit_line
from s2dash.dashboard.place_pictures import place_picture
from s2dash.dashboard.view import ClusterView, SceneView
from s2dash.errors import CorrectionError
from s2dash.map_history import withdrawal
from s2dash.pipeline import ReferenceSettings
from s2dash.reference_points import centres_of, reference_points
from s2dash.testing import make_patchwork
from s2dash.workspace import Workspace

SIDE = 48
pytestmark = pytest.mark.usefixtures("after_the_first_visit")


@pytest.fixture
def run(space: Workspace, scene_file: Path) -> str:
    """Four stripes, compared with what they are."""
    reference = write_stripes_reference(scene_file.with_name("reference.tif"))
    return make_run(space, scene_file, reference=ReferenceSettings(path=str(reference)))


@pytest.fixture
def on_the_map(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the person does on the map, and what was shown on it."""
    did: dict[str, Any] = {}

    def show_map(layers: list[Any], **options: Any) -> dict[str, Any]:
        did["layers"], did["shapes"] = layers, options.get("shapes", [])
        return {name: did.get(name) for name in options["returned"]}

    monkeypatch.setattr(state, "show_map", show_map)
    return did


def panel() -> None:
    from pages.parts.corrections import corrections_panel
    from pages.parts.point_agreement import point_agreement
    from s2dash.dashboard import state

    state.begin()
    state.messages()
    result = state.result()
    corrections_panel(result, state.run_view(result), state.run_id() or "")
    point_agreement(result)


def opened(mode: str = "area", **kept: Any) -> AppTest:
    app = AppTest.from_function(panel, default_timeout=60)
    app.session_state["corrections_mode"] = mode
    for name, value in kept.items():
        app.session_state[name] = value
    app.run()
    assert not app.exception
    return app


def drawing(space: Workspace, run: str, rows: tuple[int, int], cols: tuple[int, int]) -> dict[str, Any]:
    """What the map reports when these pixels, first and last, are drawn around."""
    lon, lat = centres_of(np.array(rows), np.array(cols), space.open_run(run).clusters.grid)
    (west, east), (north, south) = (lon[0] - 1e-5, lon[1] + 1e-5), (lat[0] + 1e-5, lat[1] - 1e-5)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}


def click_at(space: Workspace, run: str, row: int, col: int) -> dict[str, float]:
    lon, lat = centres_of(np.array([row]), np.array([col]), space.open_run(run).clusters.grid)
    return {"lat": float(lat[0]), "lng": float(lon[0])}


# ---- areas


def test_an_area_is_drawn_previewed_set_and_taken_back(space, run, on_the_map):
    app = opened(who="Ada")
    assert "Draw a polygon or a rectangle" in texts(app)
    before = space.open_run(run).landcover.codes.copy()
    on_the_map["last_active_drawing"] = drawing(space, run, (4, 13), (0, 47))
    app.run()
    assert {metric.label: metric.value for metric in app.metric} == {"Pixels": "480", "Hectares": "4.80"}
    assert app.selectbox(key=f"area class {run}").value is None, "nobody is led to a class"
    assert next(button for button in app.button if button.label == "Set").disabled
    app.selectbox(key=f"area class {run}").select(60).run()
    app.text_input(key=f"area why {run}").input("visited")
    press(app, "Set")
    after = space.open_run(run)
    assert (after.landcover.codes[4:14] == 60).all()
    assert (after.landcover.codes[:4] == before[:4]).all()
    (edit,) = after.map_edits
    assert (edit.who, edit.why) == ("Ada", "visited")
    assert "Draw a polygon or a rectangle" in texts(app), "what was drawn is done with"
    assert [shape.name for shape in on_the_map["shapes"]] == [after.legend.scheme[60].name]
    assert re.search(rf"Area at .*° N, .*° E: {after.legend.scheme[60].name}", texts(app))

    press(app, "Undo")
    assert (space.open_run(run).landcover.codes == before).all()
    assert "taken back by Ada" in texts(app)
    press(app, "Redo")
    assert (space.open_run(run).landcover.codes[4:14] == 60).all()
    press(app, "Take back")
    press(app, "Bring back")
    assert [edit.kind for edit in space.store.map_edits(run)] == ["area", "withdraw", "restore", "withdraw", "restore"]


def test_an_area_beside_the_map_or_across_itself_is_refused_in_words(space, run, on_the_map):
    app = opened()
    square = [[10.0, 10.0], [11.0, 10.0], [11.0, 11.0], [10.0, 11.0], [10.0, 10.0]]
    on_the_map["last_active_drawing"] = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [square]}}
    app.run()
    assert "covers no pixel of the map that has data" in texts(app)
    tie = [[33.0, 45.15], [33.01, 45.16], [33.01, 45.15], [33.0, 45.16], [33.0, 45.15]]
    on_the_map["last_active_drawing"] = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [tie]}}
    app.run()
    assert "crosses or touches itself" in texts(app)
    assert not app.exception
    assert not [button for button in app.button if button.label == "Set"]


# ---- points


def test_a_click_shows_what_the_map_says_and_is_kept(space, run, on_the_map):
    app = opened("points", who="Ben")
    assert "Click a place on the map" in texts(app)
    on_the_map["last_clicked"] = click_at(space, run, 5, 40)
    app.run()
    result = space.open_run(run)
    cluster = int(result.clusters.labels[5, 40])
    entry = result.legend.entries[cluster]
    said = "unknown" if entry.code is None else result.legend.scheme[entry.code].name
    assert f"The map says: {said} (cluster {cluster})" in texts(app)
    assert [shape.name for shape in on_the_map["shapes"]] == ["The place you clicked"]
    app.selectbox(key=f"point class {run}").select(80).run()
    app.text_input(key=f"point note {run}").input("a pond")
    press(app, "Keep the point")
    (point,) = reference_points(space.open_run(run).map_edits)
    assert (point.code, point.who, point.note, point.origin) == (80, "Ben", "a pond", "click")
    assert "Click a place on the map" in texts(app), "the same click is not asked about again"
    assert [shape.name for shape in on_the_map["shapes"]] == [result.legend.scheme[80].name]


def test_a_click_outside_is_refused_and_can_be_left(space, run, on_the_map):
    app = opened("points")
    on_the_map["last_clicked"] = {"lat": 10.0, "lng": 10.0}
    app.run()
    assert "lies outside the map" in texts(app)
    press(app, "Leave it")
    assert "Click a place on the map" in texts(app)
    assert space.store.map_edits(run) == ()


def test_points_can_be_taken_away_and_brought(space, run, on_the_map):
    app = opened("points")
    assert "There are no points yet" in texts(app)
    at = click_at(space, run, 5, 5)
    text = f"lon,lat,class\n{at['lng']},{at['lat']},Built-up\n0,0,10\n"
    app.get("file_uploader")[0].set_value(("field.csv", text.encode(), "text/csv")).run()
    press(app, "Add these points")
    (point,) = reference_points(space.open_run(run).map_edits)
    assert (point.code, point.origin) == (50, "file")
    assert "1 point from field.csv" in texts(app)
    assert [button.label for button in app.get("download_button")] == ["GeoJSON", "CSV", "GeoPackage"]
    app.get("file_uploader")[0].set_value(("field.csv", b"lon,lat,class\n1,2,martian\n", "text/csv")).run()
    press(app, "Add these points")
    assert "'martian'" in texts(app)


# ---- check points


def test_check_points_are_drawn_and_judged_blind(space, run, on_the_map):
    app = opened("check", who="Ada")
    app.number_input(key=f"check total {run}").set_value(12)
    press(app, "Draw check points")
    (design,) = sample_designs(space.open_run(run).map_edits)
    assert len(design.points) == 12
    assert "layers" not in on_the_map, "no map that would give the answer away"
    assert "0 of 12 judged" in "".join(str(bar.text) for bar in app.get("progress"))
    assert len(app.get("image")) == 3, "true colour, false colour, surroundings"
    assert "The map says" not in texts(app)
    scheme = space.open_run(run).legend.scheme
    press(app, scheme[80].name)
    said = judgements(design, space.open_run(run).map_edits)
    assert said[0] is not None
    assert (said[0].code, said[0].who, said[0].stratum) == (80, "Ada", design.points[0].stratum)
    assert "1 of 12 judged" in "".join(str(bar.text) for bar in app.get("progress"))
    second = next(button for button in app.button if button.proto.shortcut == "2")
    assert second.label == scheme[scheme.codes[1]].name, "keys judge too"
    press(app, "Back")
    marked = [button.label for button in app.button if button.proto.type == "primary"]
    assert scheme[80].name in marked, "who looks again sees what they said"
    press(app, "Skip")

    press(app, "Skip")
    assert "Place 3" in texts(app)
    press(app, "Back")
    assert "Place 1 " in texts(app)
    press(app, scheme[10].name)
    assert "Place 3" in texts(app), "on with the next, not the one skipped"
    said = judgements(design, space.open_run(run).map_edits)
    assert said[0] is not None
    assert said[0].code == 10
    for _ in range(10):
        press(app, scheme[10].name)
    assert "Only places you skipped are left" in texts(app)
    press(app, scheme[10].name)
    assert "All 12 places are judged" in texts(app)


def test_too_few_check_points_are_refused_in_words(space, run, on_the_map):
    app = opened("check")
    app.number_input(key=f"check total {run}").set_value(2)
    press(app, "Draw check points")
    assert "2 check points cannot be drawn" in texts(app)


# ---- agreement with points


def test_agreement_with_points_says_how_they_came_about(space, run, on_the_map):
    app = opened("points", who="Ada")
    assert "There are no reference points yet" in texts(app)
    result = space.open_run(run)
    for number, (row, col) in enumerate([(3, 3), (20, 20), (40, 40)]):
        on_the_map["last_clicked"] = click_at(space, run, row, col)
        app.run()
        mapped = int(result.landcover.codes[row, col])
        app.selectbox(key=f"point class {run}").select(60 if number == 0 else mapped if mapped != 255 else 10).run()
        press(app, "Keep the point")
    (metric,) = app.metric
    assert metric.label == "Agreement with 3 points"
    expected = np.mean(
        [
            point.code == result.landcover.codes[place]
            for point, place in zip(
                reference_points(space.open_run(run).map_edits), [(3, 3), (20, 20), (40, 40)], strict=True
            )
        ]
    )
    assert metric.value == f"{expected:.3f}"
    assert "Nobody drew these places by chance" in texts(app)
    assert "3 were clicked on the map" in texts(app)


# ---- who may not write


def test_readers_see_everything_and_can_change_nothing(space, run, on_the_map, monkeypatch):
    for part in ("corrections", "correct_area", "collect_points", "check_places"):
        monkeypatch.setattr(f"pages.parts.{part}.may_write", lambda: False)
    on_the_map["last_active_drawing"] = drawing(space, run, (4, 13), (0, 47))
    app = opened()
    assert {button.label: button.disabled for button in app.button}["Set"] is True
    app = opened("check")
    assert {button.label: button.disabled for button in app.button}["Draw check points"] is True


def test_the_panel_speaks_ukrainian(space, run, on_the_map):
    app = opened("points", language="uk")
    assert "Клацніть місце на карті" in texts(app)
    assert not app.exception


# ---- what they are made of


def test_the_layer_shows_the_correction_and_the_shapes_follow_the_history(space, run, on_the_map):
    app = opened()
    result = space.open_run(run)
    view = ClusterView(result.clusters, None)
    plain_layer = corrected_layer(result, view)
    assert plain_layer.url == view.landcover_layer(result.legend).url
    assert not has_areas(result)
    on_the_map["last_active_drawing"] = drawing(space, run, (0, 47), (0, 47))
    app.run()
    app.selectbox(key=f"area class {run}").select(60).run()
    press(app, "Set")
    result = space.open_run(run)
    assert has_areas(result)
    assert corrected_layer(result, view).url != plain_layer.url
    (shape,) = area_shapes(result.map_edits, result.legend.scheme)
    assert shape.colour.upper() == result.legend.scheme[60].colour
    assert point_shapes((), result.legend.scheme) == []
    assert "1 area was set by hand" in ceiling_note(result)
    (edit,) = result.map_edits
    assert re.fullmatch(rf"Area at [\d.]+° N, [\d.]+° E: {result.legend.scheme[60].name}", edit_line(result, edit))
    space.change_map(run, withdrawal(edit, who="Ben"))
    result = space.open_run(run)
    assert area_shapes(result.map_edits, result.legend.scheme) == []
    assert ceiling_note(result) == ""
    assert "taken back by Ben" in edit_facts(edit, result.map_edits)


def test_the_picture_of_a_place_frames_its_pixel_also_at_the_edge(space, run):
    scene, _ = make_patchwork(side=SIDE)
    view = SceneView(scene)
    pictures = {}
    for row, col in ((24, 24), (0, 0), (47, 20)):
        lon, lat = centres_of(np.array([row]), np.array([col]), scene.grid)
        png = place_picture(view, longitude=float(lon[0]), latitude=float(lat[0]), side_m=300)
        pictures[row, col] = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA")).astype(int)
    assert len({picture.shape for picture in pictures.values()}) == 1, "all of one size"
    for (row, col), picture in pictures.items():
        side = len(picture)
        factor = side // 31
        middle = 15 * factor
        ring = picture[middle - 2 : middle + factor + 2, middle - 2]
        assert (ring[:, 0] > 180).mean() > 0.8, "yellow: much red"
        assert (ring[:, 2] < 120).mean() > 0.8, "yellow: little blue"
        expected = view.picture("true colour", max_side=SIDE).rgba[row, col].astype(int)
        shown = picture[middle + 4 : middle + factor - 4, middle + 4 : middle + factor - 4].mean(axis=(0, 1))
        assert np.abs(shown - expected).max() < 2
    assert (pictures[0, 0][:60, :60, 3] == 0).all(), "beyond the scene there is nothing"
    wide = place_picture(view, longitude=float(lon[0]), latitude=float(lat[0]), side_m=400, frame_m=200)
    white = (np.asarray(Image.open(io.BytesIO(wide)).convert("RGB")).astype(int) > 225).all(axis=-1)
    assert 4 * 21 * 8 < white.sum() < 4 * 25 * 24 * 2, "two pixels wide around 21 of the scene's"
    with pytest.raises(CorrectionError, match="outside the scene"):
        place_picture(view, longitude=0.0, latitude=0.0)
