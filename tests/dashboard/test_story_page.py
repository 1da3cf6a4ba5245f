"""The page Story, links, language and palette, run by Streamlit itself without a browser."""

from __future__ import annotations

import threading
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
import streamlit as st
from app_pages import button, make_run, texts, write_stripes_reference
from streamlit.testing.v1 import AppTest

from s2dash.pipeline import ReferenceSettings
from s2dash.sources.request import SceneRequest
from s2dash.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("after_the_first_visit")
TITLES = [
    "What the satellite saw",
    "What the eye cannot see",
    "The computer groups what looks alike",
    "Every group gets a name",
    "People check and correct",
    "The map, and how far it agrees",
]


@pytest.fixture
def run(space: Workspace, scene_file: Path) -> str:
    """A finished run, compared with a reference of a year."""
    reference = write_stripes_reference(scene_file.with_name("reference.tif"))
    return make_run(space, scene_file, reference=ReferenceSettings(path=str(reference), year=2021))


def opened(**query: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def story(app: AppTest) -> AppTest:
    """AppTest itself does not follow `st.switch_page` to the next rerun."""
    app.switch_page("pages/story.py").run()
    assert not app.exception
    return app


# ---- states


def test_an_empty_workspace_says_what_to_do(space):
    app = opened(page="story")
    assert [title.value for title in app.title] == ["Story"]
    assert "There is no finished map yet" in texts(app)
    assert not app.error


def test_all_steps_are_told_on_one_page(space, run):
    app = opened(page="story")
    assert not app.error
    assert not app.warning
    assert [header.value for header in app.header] == TITLES
    assert len(app.get("image")) == 6
    assert "of every 100 hectares" in texts(app).lower()
    assert app.get("download_button")


def test_while_the_scene_is_being_opened_the_rest_is_there_already(space, run, monkeypatch):
    go = threading.Event()
    load = SceneRequest.load

    def slow(asked):
        go.wait(30)
        return load(asked)

    monkeypatch.setattr("s2dash.dashboard.state._PATIENCE", 0.1)
    monkeypatch.setattr(SceneRequest, "load", slow)
    try:
        app = opened(page="story")
        assert "Opening stripes.tif" in "".join(str(bar.text) for bar in app.get("progress")).replace("\\", "")
        assert [header.value for header in app.header] == TITLES
        assert len(app.get("image")) == 4
    finally:
        go.set()


def test_a_run_whose_scene_has_gone_is_told_without_its_imagery(space, run, scene_file):
    scene_file.unlink()
    app = opened(page="story")
    assert not app.error
    assert "The map is shown without its imagery" in texts(app)
    assert len(app.get("image")) == 4
    assert "not at hand" in texts(app)


def test_a_damaged_run_is_said_in_words(space, run):
    (space.store.run_folder(run) / "legend.json").write_text("{")
    app = opened(page="story")
    assert "legend.json" in texts(app)
    assert "did not foresee" not in texts(app)


# ---- presenting


def test_the_steps_are_turned_one_by_one(space, run):
    app = story(opened())
    button(app, "Present step by step").click().run()
    assert [title.value for title in app.title] == TITLES[:1]
    assert len(app.get("image")) == 1
    assert button(app, "Back").disabled
    for title in TITLES[1:]:
        button(app, "Next").click().run()
        assert [one.value for one in app.title] == [title]
    assert button(app, "Next").disabled
    button(app, "Back").click().run()
    assert [one.value for one in app.title] == [TITLES[4]]
    button(app, "All steps").click().run()
    assert [one.value for one in app.title] == ["Story"]
    assert not app.exception


@pytest.mark.parametrize(
    ("step", "title"), [("3", TITLES[2]), ("6", TITLES[5]), ("7", "Story"), ("x", "Story"), ("-1", "Story")]
)
def test_a_link_opens_the_step_it_names(space, run, step, title):
    assert [one.value for one in opened(page="story", step=step).title] == [title]


def test_a_decision_is_told_at_once(space, run):
    app = story(opened())
    assert "No person has changed anything" in texts(app)
    space.override(run, 1, 90, who="Ada", why="reeds")
    app.run()
    assert "Ada" in texts(app)
    assert "Herbaceous wetland" in texts(app)


# ---- links


@pytest.mark.parametrize(
    ("page", "title"),
    [("imagery", "Area & imagery"), ("clusters", "Clusters"), ("labels", "Labels"), ("agreement", "Agreement"),
     ("compare", "Compare"), ("runs", "Runs"), ("story", "Story")],
)  # fmt: skip
def test_a_link_opens_the_page_and_the_run_it_names(space, run, scene_file, page, title):
    newest = make_run(space, scene_file, k=2)
    app = opened(run=run, page=page)
    assert [one.value for one in app.title] == [title]
    assert app.session_state["run"] == run != newest
    assert app.query_params["run"] == run


def test_a_link_to_a_page_there_is_not_opens_the_first_one(space, run):
    assert [one.value for one in opened(page="nonsense").title] == ["Area & imagery"]


def test_the_link_in_the_side_bar_opens_the_same_view(space, run, scene_file):
    make_run(space, scene_file, k=2)
    app = opened(run=run, page="story", step="4")
    (link,) = (code.value for code in app.sidebar.code)
    said = dict(parse_qsl(link.partition("?")[2]))
    assert (said["run"], said["page"], said["lang"], said["step"]) == (run, "story", "en", "4")
    again = opened(**said)
    assert [one.value for one in again.title] == [one.value for one in app.title] == [TITLES[3]]
    assert again.session_state["run"] == run


def test_the_address_names_the_run_after_a_choice(space, run, scene_file):
    newest = make_run(space, scene_file, k=2)
    app = opened(run=run)
    next(box for box in app.selectbox if box.label == "Map shown").set_value(newest).run()
    assert app.query_params["run"] == newest
    assert newest in app.sidebar.code[0].value


# ---- language


def test_the_language_of_the_address_is_spoken(space, run):
    app = opened(page="story", lang="uk", run=run)
    assert [one.value for one in app.title] == ["Як це зроблено"]
    assert app.header[0].value == "Що побачив супутник"
    assert "Показана карта" in [box.label for box in app.selectbox]
    assert "lang=uk" in app.sidebar.code[0].value
    links = [link.label for link in app.sidebar.get("page_link")]
    assert links[-1] == "Як це зроблено"


def test_an_unknown_language_of_the_address_is_not_heeded(space, run):
    assert [one.value for one in opened(page="story", lang="tlh").title] == ["Story"]


def test_the_switch_changes_the_language_and_the_address(space, run):
    app = story(opened())
    switch = next(group for group in app.get("button_group") if group.key == "language")
    assert switch.value in ("en", ["en"])
    switch.set_value(["uk"] if isinstance(switch.value, list) else "uk").run()
    assert [one.value for one in app.title] == ["Як це зроблено"]
    assert app.query_params["lang"] in ("uk", ["uk"])
    fresh = opened(lang="uk")  # a reload
    assert fresh.title[0].value == "Територія та знімки"


def test_people_speak_different_languages_at_once(space, run):
    one, other = opened(page="story", lang="uk"), opened(page="story")
    assert one.header[5].value != other.header[5].value
    assert other.header[5].value == TITLES[5]


def test_without_a_choice_the_browsers_language_is_spoken(space, run, monkeypatch):
    monkeypatch.setattr(type(st.context), "locale", property(lambda _: "uk-UA"))
    assert [one.value for one in opened(page="story").title] == ["Як це зроблено"]
    assert [one.value for one in opened(page="story", lang="en").title] == ["Story"]
