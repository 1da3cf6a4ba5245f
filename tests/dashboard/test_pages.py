"""Every page in its empty, ready and error state, run by Streamlit itself without a browser."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from app_pages import make_run, opened, texts, turned, wait_for, write_stripes_reference
from streamlit.testing.v1 import AppTest

from s2dash.dashboard import server as shared
from s2dash.dashboard import state
from s2dash.demo import DEMO_TITLE
from s2dash.errors import TooFewDistinctPixelsError
from s2dash.export.scene import write_scene
from s2dash.pipeline import ReferenceSettings, RunSettings
from s2dash.sources.request import SceneRequest
from s2dash.testing import make_patchwork, make_scene
from s2dash.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("after_the_first_visit")
PAGES = ("imagery", "clusters", "labels", "agreement", "runs")
UNFORESEEN = "Something went wrong"


@pytest.fixture
def reference_file(tmp_path: Path) -> Path:
    """A reference for the scene."""
    return write_stripes_reference(tmp_path / "reference.tif")


@pytest.fixture
def run(space: Workspace, scene_file: Path, reference_file: Path) -> str:
    """A finished run of it, compared with the reference."""
    return make_run(space, scene_file, reference=ReferenceSettings(path=str(reference_file)))


# ---- empty


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_workspace_says_what_to_do(space, page):
    app = opened(page)
    assert not app.error
    assert "There is no finished map yet" in texts(app)
    assert [button.label for button in app.button if button.label == "Make the demo"]


def test_the_first_start_makes_the_demo_once_for_two_browsers(space, monkeypatch):
    space.store.set_setting("dashboard.demo", None)
    made = []

    def slow_demo(workspace, *, progress):
        made.append(workspace)
        for step in range(40):
            progress.report(step / 40, "Drawing a river")
            time.sleep(0.05)
        raise TooFewDistinctPixelsError("Not this time.")

    monkeypatch.setattr(Workspace, "ensure_demo", slow_demo)
    first, second = opened(), opened()
    assert len(made) == 1
    for app in (first, second):
        assert "The first map is being made" in texts(app)
        assert [button.label for button in app.button if button.label == "Stop"]
    first.run()
    assert "Drawing a river" in "".join(str(bar.text) for bar in first.get("progress"))
    for app in (first, second):  # why it failed is said once, and it is not begun again and again
        wait_for(app, lambda app: "Not this time." in texts(app))
        app.run()
        assert "Not this time." not in texts(app)
    assert len(made) == 1


def test_the_demo_can_be_stopped_and_stays_stopped(space, monkeypatch):
    space.store.set_setting("dashboard.demo", None)
    ended = []

    def endless(workspace, *, progress):
        try:
            while True:
                progress.report(0.5, "Drawing a river")
                time.sleep(0.01)
        finally:
            ended.append(True)

    monkeypatch.setattr(Workspace, "ensure_demo", endless)
    app = opened("labels")
    next(button for button in app.button if button.label == "Stop").click().run()
    wait_for(app, lambda app: bool(ended) and not [button for button in app.button if button.label == "Stop"])
    assert "There is no finished map yet" in texts(app.run())
    assert len(ended) == 1


def test_the_demo_is_made_and_shown_without_a_click(space, monkeypatch, scene_file):
    space.store.set_setting("dashboard.demo", None)
    monkeypatch.setattr(
        Workspace,
        "ensure_demo",
        lambda workspace, *, progress: workspace.start(
            SceneRequest(str(scene_file)), RunSettings(k=4, sample=10_000), title=DEMO_TITLE, progress=progress
        ),
    )
    app = wait_for(opened("clusters"), lambda app: bool(app.session_state["run"]))
    assert "Spectrum of each cluster" in texts(app)
    assert app.query_params["run"] == app.session_state["run"]
    space.delete(app.session_state["run"])
    assert "There is no finished map yet" in texts(opened())  # who deleted the demo does not want it back


def test_a_page_asked_for_before_anybody_opened_the_app_gets_its_frame(space, run, first_visit):
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    turned(app, "labels")  # Streamlit now runs pages/labels.py alone, until the page notices
    assert "decided by the vote" in texts(app)
    assert [box.value for box in app.selectbox if box.label == "Map shown"]


# ---- ready


@pytest.mark.parametrize("page", PAGES)
def test_a_finished_run_is_shown(space, run, page):
    app = opened(page)
    assert not app.error
    assert not app.warning
    assert app.session_state["run"] == run
    assert {"stripes, kmeans K=4"} == {box.value for box in app.selectbox if box.label == "Map shown"} or page
    wanted = {
        "imagery": "no scene classification",
        "clusters": "Area of each cluster",
        "labels": "decided by the vote",
        "agreement": "What clustering costs, what naming costs",
        "runs": "ceiling 1.000",
    }
    assert wanted[page] in texts(app)


def test_the_agreement_page_shows_the_figures_of_the_run(space, run):
    app = opened("agreement")
    found = space.open_run(run).agreement
    shown = {metric.label: metric.value for metric in app.metric}
    assert shown["Overall agreement"] == f"{found.overall:.3f}"
    assert shown["Kappa"] == f"{found.kappa:.3f}"
    assert {metric.label: metric.delta for metric in app.metric}["Overall agreement"] == "ceiling 1.000"


def test_a_map_is_made_and_shown_and_the_settings_stay(space, run, scene_file):
    app = opened("clusters")
    app.slider(key="k").set_value(3).run()
    app.number_input(key="seed").set_value(7).run()
    turned(app, "labels")
    turned(app, "clusters")
    assert (app.slider(key="k").value, app.number_input(key="seed").value) == (3, 7)
    next(button for button in app.button if button.label == "Make the map").click().run()
    wait_for(app, lambda app: app.session_state["run"] != run)
    assert not app.error
    made = space.store.run(app.session_state["run"])
    assert (made.settings["k"], made.settings["seed"]) == (3, 7)
    assert app.query_params["run"] == made.id
    assert space.open_run(made.id).agreement is not None  # the reference of the same scene is compared with again
    assert app.slider(key="k").value == 3

    st.cache_resource.clear()  # a restart of the server, and a new browser
    fresh = opened("clusters")
    assert (fresh.slider(key="k").value, fresh.number_input(key="seed").value) == (3, 7)


def test_work_of_another_session_is_joined_and_takes_nobody_away(space, run, monkeypatch):
    go = []

    def slow(self, request, settings, *, reference, progress):
        while not go:
            progress.report(0.3, "Counting sheep")
            time.sleep(0.01)
        return original(self, request, settings, reference=reference, progress=progress)

    original = Workspace.start
    mine, other = opened("clusters"), opened("labels")
    monkeypatch.setattr(Workspace, "start", slow)
    next(button for button in mine.button if button.label == "Make the map").click().run()
    other.run()
    assert "Counting sheep" in "".join(str(bar.text) for bar in other.get("progress"))
    go.append(True)
    wait_for(mine, lambda app: app.session_state["run"] != run)
    wait_for(other, lambda app: not app.session_state["jobs"])
    assert other.session_state["run"] == run


def test_an_override_is_in_the_store_and_can_be_undone(space, run):
    app = opened("labels")
    before = space.open_run(run).legend.entries[1].code
    app.text_input(key="who").set_value("Ada").run()
    app.selectbox(key=f"class {run} 1 0").set_value(90).run()
    app.text_input(key=f"why {run} 1").set_value("reeds, seen in June").run()
    app.button(key=f"set {run} 1 0").click().run()
    assert not app.error
    (event,) = space.store.events(run)
    assert (event.kind, event.cluster, event.before, event.after) == ("override", 1, before, 90)
    assert (event.who, event.why) == ("Ada", "reeds, seen in June")
    assert "1 · Herbaceous wetland" in texts(app)
    assert "reeds, seen in June" in texts(app)

    seen = opened("labels")  # another browser
    assert "1 · Herbaceous wetland" in texts(seen)

    next(button for button in app.button if button.label == "Undo").click().run()
    assert space.open_run(run).legend.entries[1].code == before
    assert "1 · Herbaceous wetland" not in texts(app)
    next(button for button in app.button if button.label == "Redo").click().run()
    assert space.open_run(run).legend.entries[1].code == 90
    assert [event.kind for event in space.store.events(run)] == ["override", "undo", "redo"]


def test_deciding_one_cluster_keeps_what_is_chosen_for_another(space, run):
    app = opened("labels")
    app.selectbox(key=f"class {run} 2 0").set_value(70).run()
    app.selectbox(key=f"class {run} 1 0").set_value(90).run()
    app.button(key=f"set {run} 1 0").click().run()
    assert app.selectbox(key=f"class {run} 2 0").value == 70


def test_a_cluster_can_be_set_unknown_and_is_then_found_among_those_waiting(space, run):
    app = opened("labels")
    before = space.open_run(run).legend.queue
    assert 3 not in before
    app.selectbox(key=f"class {run} 3 0").set_value(0).run()
    app.button(key=f"set {run} 3 0").click().run()
    waiting = space.open_run(run).legend.queue
    assert set(waiting) == {*before, 3}
    said = f"{len(waiting)} wait{'s' if len(waiting) == 1 else ''} for a class"
    assert said in "".join(str(bar.text) for bar in app.get("progress"))
    next(group for group in app.get("button_group") if group.label == "Show").set_value("waiting").run()
    shown = [mark.value for mark in app.markdown if mark.value.startswith("#####")]
    assert shown == [f"##### {cluster} · unknown" for cluster in waiting]


def test_many_clusters_come_in_pages(space, tmp_path):
    scene, _ = make_patchwork(side=80, patches=20, noise=5.0)
    write_scene(scene, tmp_path / "many.tif")
    make_run(space, tmp_path / "many.tif", k=20)
    app = opened("labels")
    assert len([mark for mark in app.markdown if mark.value.startswith("#####")]) == 8
    assert len(app.get("pagination")) == 1


def test_a_scene_is_opened_and_is_there_again_after_a_restart(space, run, tmp_path):
    scene, _ = make_patchwork(side=32)
    write_scene(scene, tmp_path / "other.tif")
    app = opened()
    app.text_input(key="location").set_value(f"  {tmp_path / 'other.tif'} ").run()
    next(button for button in app.button if button.label == "Open scene").click().run()
    assert {metric.label: metric.value for metric in app.metric}["Pixels"] == "32 × 32"

    st.cache_resource.clear()
    fresh = opened()
    assert {metric.label: metric.value for metric in fresh.metric}["Pixels"] == "32 × 32"
    assert fresh.text_input(key="location").value.strip() == str(tmp_path / "other.tif")
    by_address = opened(run=run)  # a link to a run opens the scene of that run
    assert {metric.label: metric.value for metric in by_address.metric}["Pixels"] == "48 × 48"


def test_the_address_opens_a_run_and_names_the_one_shown(space, run, scene_file):
    newest = make_run(space, scene_file, k=2)
    assert opened().query_params["run"] == newest
    app = opened(run=run)
    assert app.session_state["run"] == run
    box = next(box for box in app.selectbox if box.label == "Map shown")
    box.set_value(newest).run()
    assert app.query_params["run"] == newest
    unknown = opened(run="20200101-000000-abcdef")
    assert unknown.session_state["run"] == newest


def test_an_address_of_a_run_that_is_not_here_is_said(space, run):
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.query_params["run"] = "../../etc"
    app.run()
    assert "There is no finished run ../../etc here" in texts(app)
    assert app.session_state["run"] == run


def test_runs_of_the_same_title_are_told_apart(space, run, scene_file):
    make_run(space, scene_file, k=4)
    box = next(box for box in opened("runs").selectbox if box.label == "Map shown")
    assert len(set(box.options)) == 2


def test_a_run_is_exported_renamed_and_deleted(space, run, tmp_path):
    app = opened("runs")
    app.text_input(key=f"folder {run}").set_value(str(tmp_path / "out")).run()
    app.button(key=f"export {run}").click().run()
    assert (tmp_path / "out" / "landcover.tif").is_file()
    assert "Written:" in texts(app)
    title = next(box for box in app.text_input if box.label == "Title")
    title.set_value("a/b").run()
    app.button(key=f"rename {run}").click().run()
    assert "it separates folders" in texts(app)
    next(box for box in app.text_input if box.label == "Title").set_value("Stripes *2021*").run()
    app.button(key=f"rename {run}").click().run()
    assert space.store.run(run).title == "Stripes *2021*"
    assert app.button(key=f"delete {run}").disabled
    app.checkbox(key=f"sure {run}").check().run()
    app.button(key=f"delete {run}").click().run()
    assert space.store.runs() == ()
    assert "There is no finished map yet" in texts(app)


def test_comparing_runs_in_the_background(space, scene_file, reference_file, tmp_path):
    run = make_run(space, scene_file)
    app = opened("agreement")
    assert "has not been compared with a reference yet" in texts(app)
    app.text_input(key="ref_path").set_value(str(tmp_path / "no.tif")).run()
    compare = "Compare"
    next(button for button in app.button if button.label == compare).click().run()
    wait_for(app, lambda app: bool(app.error))
    assert "no such file" in texts(app)
    app.text_input(key="ref_path").set_value(str(reference_file)).run()
    next(button for button in app.button if button.label == compare).click().run()
    wait_for(app, lambda app: bool(app.metric))
    assert space.open_run(run).agreement is not None


# ---- what goes wrong


@pytest.mark.parametrize("page", PAGES)
def test_a_run_whose_scene_has_gone_is_still_shown(space, run, scene_file, page):
    scene_file.unlink()
    app = opened(page)
    assert not app.error
    if page != "runs":
        assert ("The map is shown without its imagery" in texts(app)) or page in ("imagery", "clusters")
        assert f"There is no file or folder {scene_file}" in texts(app)
    if page == "imagery":
        write_scene(make_patchwork(side=48)[0], scene_file)
        assert {metric.label: metric.value for metric in app.run().metric}["Pixels"] == "48 × 48"


@pytest.mark.parametrize("page", PAGES)
def test_a_damaged_run_is_said_and_the_way_to_others_is_open(space, run, scene_file, page):
    newest = make_run(space, scene_file, k=2)
    (space.store.run_folder(newest) / "legend.json").write_text("{")
    app = opened(page)
    assert UNFORESEEN not in texts(app)
    if page in ("clusters", "labels", "agreement"):
        assert "legend.json" in texts(app)
    if page == "clusters":
        assert [button for button in app.button if button.label == "Make the map"]
    box = next(box for box in app.selectbox if box.label == "Map shown")
    box.set_value(run).run()
    assert not app.error


def test_failed_and_interrupted_runs_are_listed_with_the_reason(space, tmp_path):
    write_scene(make_scene(np.full((10, 20, 20), 700, np.uint16)), tmp_path / "flat.tif")
    with pytest.raises(TooFewDistinctPixelsError):
        make_run(space, tmp_path / "flat.tif")
    app = opened("runs")
    assert "failed" in texts(app)
    assert "nothing to cluster" in texts(app)
    assert [link.label for link in app.main.get("page_link") if link.label == "Open"] == []
    assert app.session_state["run"] is None


def test_a_run_that_fails_in_the_app_says_why_and_keeps_what_is_shown(space, run, tmp_path):
    write_scene(make_scene(np.full((10, 20, 20), 700, np.uint16)), tmp_path / "flat.tif")
    app = opened()
    app.text_input(key="location").set_value(str(tmp_path / "flat.tif")).run()
    next(button for button in app.button if button.label == "Open scene").click().run()
    turned(app, "clusters")
    next(button for button in app.button if button.label == "Make the map").click().run()
    wait_for(app, lambda app: bool(app.error))
    assert "nothing to cluster" in texts(app)
    assert app.session_state["run"] == run
    assert "Spectrum of each cluster" in texts(app)


def test_bad_scenes_are_refused_in_words_and_the_present_one_stays(space, run, tmp_path):
    (tmp_path / "text.tif").write_text("no raster")
    (tmp_path / "empty.tif").touch()
    scene, _ = make_patchwork(side=32)
    write_scene(scene, tmp_path / "unnamed.tif")
    import rasterio

    with rasterio.open(tmp_path / "unnamed.tif", "r+") as file:
        file.descriptions = [None] * file.count
    app = opened()
    for place, words in {
        str(tmp_path / "none.tif"): "There is no file or folder",
        str(tmp_path / "text.tif"): "not a raster",
        str(tmp_path / "empty.tif"): "0 bytes",
        str(tmp_path / "unnamed.tif"): "How to read it",
        "a\u202eb": "cannot be seen",
        "simulated:size=nonsense": "simulated",
    }.items():
        app.text_input(key="location").set_value(place).run()
        next(button for button in app.button if button.label == "Open scene").click().run()
        assert words in texts(app)
        assert UNFORESEEN not in texts(app)
        assert {metric.label: metric.value for metric in app.metric}["Pixels"] == "48 × 48"
    app.text_input(key="location").set_value(str(tmp_path / "unnamed.tif")).run()
    app.text_input(key="bands").set_value("B02, B03 B04,B05 B06 B07 B08 B8A B11 B12").run()
    next(button for button in app.button if button.label == "Open scene").click().run()
    assert {metric.label: metric.value for metric in app.metric}["Pixels"] == "32 × 32"


def test_a_large_scene_is_opened_with_progress(space, run, tmp_path, monkeypatch):
    monkeypatch.setattr(state, "_PATIENCE", 0.0)
    app = opened("imagery")
    wait_for(app, lambda app: bool(app.metric))
    assert {metric.label: metric.value for metric in app.metric}["Pixels"] == "48 × 48"


def test_a_workspace_that_cannot_be_opened_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("S2DASH_WORKSPACE", str(tmp_path / "file"))
    st.cache_resource.clear()
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    assert not app.exception
    assert "is not a folder" in texts(app)
    st.cache_resource.clear()


def test_what_nobody_foresaw_is_said_without_a_traceback(space, run, monkeypatch, caplog):
    monkeypatch.setattr(shared.Server, "cluster_view", lambda *arguments, **options: 1 / 0)
    app = opened("labels")
    assert UNFORESEEN in texts(app)
    assert "ZeroDivisionError" not in texts(app)
    assert "ZeroDivisionError" in caplog.text


def test_old_settings_that_no_longer_fit_do_not_break_the_page(space, run):
    space.store.set_setting("dashboard.settings", {"method": "magic", "k": 9999, "indices": ["NDVI", "NO"], "seed": -1})
    space.store.set_setting("dashboard.imagery", {"source": "Moon", "sim_size": 7, "offset": "high"})
    app = opened("clusters")
    assert not app.error
    assert app.selectbox(key="method").value == "kmeans"
    assert app.multiselect(key="indices").value == ["NDVI"]
    assert app.slider(key="k").value == 4
    assert not turned(app, "imagery").error


def test_the_run_of_a_scene_that_moved_away_can_be_deleted(space, run, scene_file):
    shutil.rmtree(space.store.run_folder(run))
    app = opened("runs")
    app.checkbox(key=f"sure {run}").check().run()
    app.button(key=f"delete {run}").click().run()
    assert space.store.runs() == ()
