"""Every page through Streamlit's own test harness: empty, ready, and with what it needs gone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from app_pages import opened, texts

from s2dash.export.cog import write_class_cog
from s2dash.export.scene import write_scene
from s2dash.pipeline import ReferenceSettings, RunSettings
from s2dash.sources.request import SceneRequest
from s2dash.testing import make_patchwork
from s2dash.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("imagery", "clusters", "labels", "agreement", "runs")
CLASSES = {10: "#006400", 40: "#F096FF", 50: "#FA0000", 80: "#0064C8"}


@pytest.fixture
def space(tmp_path, monkeypatch):
    """A workspace that has made its demo already: a failed run stands for it, so that none is started."""
    monkeypatch.setenv("S2DASH_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.chdir(ROOT)
    st.cache_resource.clear()
    st.cache_data.clear()
    yield Workspace.open(tmp_path / "workspace")
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def run(space, tmp_path):
    scene, stripes = make_patchwork(side=48)
    write_scene(scene, tmp_path / "scene.tif")
    classes = np.array([0, *CLASSES], dtype=np.uint8)[stripes]
    write_class_cog(tmp_path / "map.tif", classes, grid=scene.grid, names=dict.fromkeys(CLASSES, "x"), colours=CLASSES)
    reference = ReferenceSettings(str(tmp_path / "map.tif"), year=2021)
    return space.start(SceneRequest(str(tmp_path / "scene.tif")), RunSettings(k=4), reference=reference)


@pytest.mark.parametrize("page", PAGES)
def test_a_finished_run_is_shown_on_every_page(run, page):
    app = opened(page)
    assert not app.exception
    assert not app.error
    assert app.title[0].value


@pytest.mark.parametrize("page", PAGES)
def test_with_no_run_at_all_every_page_says_what_to_do(space, tmp_path, page):
    with pytest.raises(Exception, match="nothing"):
        space.start(SceneRequest(str(tmp_path / "nothing.tif")), RunSettings())
    record = space.store.begin_run(
        project=space.store.ensure_project("p").id, title="failed", scene={"location": "x"}, settings={}
    )
    space.store.fail_run(record.id, error="The scene has gone.")
    app = opened(page)
    assert not app.exception
    assert "did not foresee" not in texts(app)
    assert app.info or app.markdown


@pytest.mark.parametrize("page", PAGES)
def test_a_run_whose_scene_has_gone_is_still_shown(run, tmp_path, page):
    (tmp_path / "scene.tif").unlink()
    app = opened(page)
    assert not app.exception
    assert "did not foresee" not in texts(app)


@pytest.mark.parametrize("page", ["clusters", "labels", "agreement"])
def test_a_damaged_run_is_said_in_words(run, space, page):
    (space.store.run_folder(run) / "legend.json").write_text("{")
    app = opened(page)
    assert not app.exception
    assert "did not foresee" not in texts(app)
    assert "legend" in texts(app)


def test_a_decision_is_in_the_store_when_the_click_returns_and_can_be_taken_back(run, space):
    app = opened("labels")
    box = next(box for box in app.selectbox if box.label == "Class")
    box.set_value(100).run()
    next(button for button in app.button if button.label == "Set class").click().run()
    assert not app.exception
    assert [event.after for event in space.store.events(run)] == [100]
    next(button for button in app.button if button.label.startswith("Undo")).click().run()
    assert [event.kind for event in space.store.events(run)] == ["override", "undo"]


def test_settings_survive_a_page_change(run):
    app = opened("clusters")
    next(slider for slider in app.slider if slider.key == "k").set_value(9).run()
    app.switch_page("pages/runs.py").run()
    app.switch_page("pages/clusters.py").run()
    assert next(slider for slider in app.slider if slider.key == "k").value == 9
    assert not app.exception


def test_markup_in_a_title_is_shown_as_it_is(run, space):
    space.store.rename_run(run, "![x] *bold* [link] :bug: $a$")
    app = opened("runs")
    assert not app.exception
    assert not any("![x]" in text.value or ":bug:" in text.value for text in app.markdown)
