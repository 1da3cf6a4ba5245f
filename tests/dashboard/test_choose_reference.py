"""The form on the page Agreement: what a reference holds is listed, its mapping changed, used and taken along."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import streamlit as st
from pyogrio import raw
from pyproj import Transformer
from streamlit.testing.v1 import AppTest

from s2dash.export.cog import write_class_cog
from s2dash.testing import make_patchwork
from s2dash.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("after_the_first_visit")


@pytest.fixture
def corine(tmp_path: Path) -> Path:
    scene, stripes = make_patchwork(side=48)
    codes = np.array([0, 31, 23, 111, 51], dtype=np.uint8)[stripes]
    codes[:6] = 241
    names = dict.fromkeys((31, 23, 111, 51, 241), "x")
    write_class_cog(tmp_path / "clc.tif", codes, grid=scene.grid, names=names, colours=dict.fromkeys(names, "#808080"))
    return tmp_path / "clc.tif"


@pytest.fixture
def polygons(tmp_path: Path) -> Path:
    """Two halves of the scene, in degrees, with words."""
    box = make_patchwork(side=48)[0].grid.boundingbox
    middle = (box.left + box.right) / 2
    turn = Transformer.from_crs(str(make_patchwork(side=48)[0].grid.crs), "EPSG:4326", always_xy=True)
    halves = [shapely.box(box.left, box.bottom, middle, box.top), shapely.box(middle, box.bottom, box.right, box.top)]
    shapes = [shapely.transform(half, turn.transform, interleaved=False) for half in halves]
    raw.write(
        tmp_path / "fields.geojson", geometry=np.array([shapely.to_wkb(one) for one in shapes], dtype=object),
        field_data=[np.array(["ліс", "Plot 7"], dtype=object), np.array(["Ada", "Ben"], dtype=object)],
        fields=["what", "owner"], geometry_type="Polygon", crs="EPSG:4326", driver="GeoJSON",
    )  # fmt: skip
    return tmp_path / "fields.geojson"


def opened(path: Path | str, *, scheme: str = "worldcover") -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.switch_page("pages/agreement.py").run()
    app.selectbox(key="ref_scheme").set_value(scheme)
    app.text_input(key="ref_path").set_value(str(path)).run()
    assert not app.exception
    return app


def rows(app: AppTest) -> list[tuple[str, int, str]]:
    (table,) = [one.value for one in app.dataframe if list(one.value.columns) == ["value", "count", "class"]]
    return [tuple(row) for row in table.itertuples(index=False)]


def editing(monkeypatch: pytest.MonkeyPatch, changes: dict[str, str]) -> None:
    """A person's changes: no test can type into Streamlit's own table."""
    original = st.data_editor

    def edited(data: Any, **options: Any) -> Any:
        original(data, **options)
        return [row | {"class": changes.get(row["value"], row["class"])} for row in data]

    monkeypatch.setattr(st, "data_editor", edited)


def saved(app: AppTest) -> list[str]:
    return [one.label for one in app.get("download_button") if "JSON" in one.label]


def compare(app: AppTest, space: Workspace, run: str) -> Any:
    app.button(key="compare").click().run()
    until = time.monotonic() + 60
    while space.open_run(run).reference is None:
        assert time.monotonic() < until, [one.value for one in app.error]
        time.sleep(0.1)
        app.run()
    app.run()
    return space.open_run(run)


def test_the_codes_of_a_raster_are_listed_and_changed(space, run, corine, monkeypatch):
    app = opened(corine, scheme="corine")
    found = rows(app)
    assert [value for value, _, _ in found] == ["23", "31", "51", "111", "241"]
    assert {value: title for value, _, title in found} == {
        "23": "not known", "31": "not known", "51": "not known", "111": "Built-up", "241": "not compared",
    }  # fmt: skip
    assert {value: count for value, count, _ in found}["241"] == 6 * 48
    assert saved(app) == ["Download this mapping (JSON)"]
    editing(monkeypatch, {"31": "Tree cover", "241": "Cropland", "51": "Permanent water bodies"})
    result = compare(app.run(), space, run)
    assert {10, 40, 50, 80} == set(np.unique(result.reference.codes)) - {0}
    assert set(result.reference.unknown) == {23}
    assert result.reference_settings.codes[241] == 40
    assert result.reference_settings.codes[311] == 10  # not in this file, but still CORINE


def test_polygons_ask_for_the_field_and_take_words(space, run, polygons, monkeypatch):
    app = opened(polygons)
    assert app.button(key="compare").disabled  # two fields may be meant
    app.selectbox(key=f"ref_field {polygons}").set_value("what").run()
    assert rows(app) == [("Plot 7", 1, "not known"), ("ліс", 1, "Tree cover")]
    first = compare(app, space, run)
    assert first.reference.unknown == {"Plot 7": 48 * 24}
    assert "Plot 7" in " ".join(one.value for one in app.info)
    editing(monkeypatch, {"Plot 7": "Cropland"})
    app.run()
    app.button(key="compare").click().run()
    until = time.monotonic() + 60
    while space.open_run(run).reference.unknown:
        assert time.monotonic() < until
        time.sleep(0.1)
        app.run()
    result = space.open_run(run)
    assert result.reference_settings.names["Plot 7"] == 40
    assert result.reference_settings.field == "what"
    assert [(result.reference.codes == code).sum() for code in (10, 40)] == [48 * 24] * 2


def test_an_own_file_fills_the_table(space, run, corine, tmp_path):
    (tmp_path / "own.json").write_text(json.dumps({"31": 10, "23": 30}))
    app = opened(corine, scheme="own")
    assert app.button(key="compare").disabled  # nothing is known yet
    app.text_input(key="ref_map").set_value(str(tmp_path / "own.json")).run()
    assert {value: title for value, _, title in rows(app)}["31"] == "Tree cover"
    assert not app.button(key="compare").disabled


def test_every_shipped_scheme_is_offered(space, run, corine):
    app = opened(corine)
    assert {"CORINE", "Dynamic World", "NLCD", "Esri / Impact Observatory"} <= set(
        app.selectbox(key="ref_scheme").options
    )


@pytest.mark.parametrize("name", ["none.gpkg", "text.geojson", "none.tif", "points.kml"])
def test_what_cannot_be_read_is_said_in_words(space, run, tmp_path, name):
    (tmp_path / "text.geojson").write_text("no polygons")
    (tmp_path / "points.kml").write_text("<kml></kml>")
    app = opened(tmp_path / name)
    assert [name in one.value.replace("\\", "") for one in app.error] == [True]
    assert not saved(app)


def test_the_form_speaks_ukrainian(space, run, polygons):
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.query_params["lang"] = "uk"
    for key, value in {"ref_path": str(polygons), f"ref_field {polygons}": "what"}.items():
        app.session_state[key] = value
    app.switch_page("pages/agreement.py").run()
    assert not app.exception
    assert rows(app)[0][2] == "невідомо"
    assert any("відповідність" in one.label for one in app.get("download_button"))
