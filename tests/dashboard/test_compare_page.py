"""The page Compare, run by Streamlit itself without a browser: empty, bad input, done, stopped, used."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
import streamlit as st
from app_pages import opened, press, texts, turned, wait_for, write_stripes_reference
from streamlit.testing.v1 import AppTest

from s2dash.pipeline import ReferenceSettings, RunSettings
from s2dash.sources.request import SceneRequest
from s2dash.study import child, compare, kept_study, worker
from s2dash.study.job import Job
from s2dash.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("after_the_first_visit")
GO = "Compare strategies"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do the jobs in this process; how processes are started and ended is tested elsewhere."""
    monkeypatch.setattr(
        compare, "run_in_child", lambda job, progress: child.Outcome(worker.run_job(Job.from_json(job)))
    )


def started(space: Workspace, scene: Path, *, compared: bool) -> str:
    """A run whose seed is not the usual one."""
    path = write_stripes_reference(scene.with_name("reference.tif"))
    reference = ReferenceSettings(path=str(path)) if compared else None
    return space.start(SceneRequest(str(scene)), RunSettings(k=4, sample=10_000, seed=5), reference=reference)


def choose(app: AppTest, methods: list[str], ks: str) -> AppTest:
    app.get("button_group")[0].set_value(methods)
    return app.text_input(key="compared ks").set_value(ks).run()


def test_an_empty_workspace_says_what_to_do(space):
    app = opened("compare")
    assert not app.error
    assert "There is no finished map yet" in texts(app)


def test_strategies_are_compared_and_the_study_is_there_after_a_restart(space, scene_file, here):
    started(space, scene_file, compared=True)
    app = opened("compare")
    assert "No strategies have been compared on this scene yet" in texts(app)
    assert "10,000 pixels to fit on, seed 5" in texts(app)  # those of the map that is shown
    choose(app, ["kmeans", "gmm"], "2, 4")
    press(app, GO)
    wait_for(app, lambda app: bool(app.dataframe))
    assert not app.error
    table = app.dataframe[0].value
    assert list(table["Strategy"]) == [
        "K-Means, K = 2", "K-Means, K = 4", "Gaussian mixture, K = 2", "Gaussian mixture, K = 4",
    ]  # fmt: skip
    assert list(table["Ceiling"]) == [0.5, 1.0, 0.5, 1.0]
    assert "ceiling" in table["Best"][1]
    assert "lost by naming" in texts(app)
    study = kept_study(SceneRequest(str(scene_file)), space.folder)
    assert [row.settings.seed for row in study.results] == [5] * 4
    assert len(app.get("plotly_chart")) == 1

    st.cache_resource.clear()  # a restart of the server, and a new browser
    fresh = opened("compare")
    assert list(fresh.dataframe[0].value["Ceiling"]) == [0.5, 1.0, 0.5, 1.0]
    assert fresh.text_input(key="compared ks").value == "2, 4"
    assert fresh.get("button_group")[0].value == ["kmeans", "gmm"]


@pytest.mark.parametrize("visited", [False, True])
def test_a_strategy_is_used_on_the_page_clusters(space, scene_file, here, visited):
    started(space, scene_file, compared=True)
    app = opened("clusters") if visited else opened("compare")
    turned(app, "compare")
    choose(app, ["gmm"], "3, 6")
    press(app, GO)
    wait_for(app, lambda app: bool(app.dataframe))
    box = next(box for box in app.selectbox if box.label == "Strategy")
    box.set_value(1).run()
    press(app, "Use this strategy")
    assert [title.value for title in app.title] == ["Clusters"]
    turned(app, "clusters")  # AppTest itself does not know yet
    assert app.selectbox(key="method").value == "gmm"
    assert app.slider(key="k").value == 6
    assert app.number_input(key="seed").value == 5
    press(app, "Make the map")
    wait_for(app, lambda app: len(space.store.runs()) == 2 and space.store.runs()[0].status == "finished")
    assert space.store.runs()[0].settings["method"] == "gmm"
    assert space.store.runs()[0].settings["k"] == 6


def test_without_a_reference_it_says_that_there_is_no_agreement(space, scene_file, here):
    started(space, scene_file, compared=False)
    app = opened("compare")
    assert "There is no reference map" in texts(app)
    choose(app, ["kmeans"], "3")
    press(app, GO)
    wait_for(app, lambda app: bool(app.dataframe))
    table = app.dataframe[0].value
    assert "Reached" not in table
    assert table["Silhouette"][0] > 0
    assert "none of them is an agreement" in texts(app)
    assert "accuracy" not in texts(app)


@pytest.mark.parametrize(("ks", "said"), [("8, twelve", "'twelve'"), ("", "is empty"), ("1", "between 2 and 254")])
def test_a_bad_list_of_k_is_said_and_nothing_is_begun(space, scene_file, ks, said):
    started(space, scene_file, compared=False)
    app = choose(opened("compare"), ["kmeans"], ks)
    press(app, GO)
    assert said in texts(app)
    assert not app.session_state["jobs"]
    assert app.text_input(key="compared ks").value == ks


def test_no_method_no_comparison(space, scene_file):
    started(space, scene_file, compared=False)
    app = choose(opened("compare"), [], "8")
    assert next(button for button in app.button if button.label == GO).disabled


def test_a_strategy_that_fails_is_a_row_and_its_reason_is_said(space, scene_file, monkeypatch):
    started(space, scene_file, compared=False)
    monkeypatch.setattr(
        compare, "run_in_child", lambda job, progress: child.Outcome({}, "There are *no* weights.", unmet=True)
    )
    app = choose(opened("compare"), ["sam"], "3, 4")
    press(app, GO)
    wait_for(app, lambda app: bool(app.dataframe))
    assert "There are *no* weights." in texts(app)
    assert len(app.dataframe[0].value) == 2
    assert not app.get("plotly_chart")
    assert not [button for button in app.button if button.label == "Use this strategy"]


def test_a_stopped_comparison_leaves_the_one_before_and_no_process(space, scene_file):
    started(space, scene_file, compared=False)
    app = choose(opened("compare"), ["kmeans"], "2, 3, 4")
    press(app, GO)

    def children() -> list[psutil.Process]:
        found = psutil.Process().children(recursive=True)
        return [one for one in found if child.MODULE in " ".join(one.cmdline())]

    wait_for(app, lambda app: bool(children()) and bool([b for b in app.button if b.label == "Stop"]))
    press(app, "Stop")
    wait_for(app, lambda app: not app.session_state["jobs"])
    assert children() == []
    assert kept_study(SceneRequest(str(scene_file)), space.folder) is None
    assert "No strategies have been compared on this scene yet" in texts(app.run())


def test_a_damaged_study_is_said_and_can_be_made_anew(space, scene_file, here):
    started(space, scene_file, compared=False)
    app = choose(opened("compare"), ["kmeans"], "3")
    press(app, GO)
    wait_for(app, lambda app: bool(app.dataframe))
    (kept,) = (space.folder / "studies").iterdir()
    kept.write_text("{")
    app.run()
    assert "Compare again" in texts(app)
    press(app, GO)
    wait_for(app, lambda app: bool(app.dataframe))
    assert not app.error


def test_settings_of_another_time_do_not_break_the_page(space, scene_file):
    started(space, scene_file, compared=False)
    space.store.set_setting("dashboard.compare", {"methods": ["magic", "gmm"], "ks": 7})
    space.store.set_setting("dashboard.settings", ["nonsense"])
    app = opened("compare")
    assert not app.error
    assert app.get("button_group")[0].value == ["gmm"]
