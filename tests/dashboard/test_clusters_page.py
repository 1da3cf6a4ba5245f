"""The page of clusters in its states and in both languages, without a browser."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path

import pytest
from app_pages import opened, texts
from pyproj import Transformer

from s2dash.clustering import METHODS
from s2dash.dashboard import language as spoken
from s2dash.dashboard import state
from s2dash.dashboard.method_options import help_text, method_line, option_title
from s2dash.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("after_the_first_visit")


def click(monkeypatch: pytest.MonkeyPatch, space: Workspace, run: str, row: float, column: float) -> None:
    """Let the map say that the person clicked there."""
    grid = space.open_run(run).clusters.grid
    x, y = grid.transform @ (column + 0.5, row + 0.5)
    longitude, latitude = Transformer.from_crs(str(grid.crs), 4326, always_xy=True).transform(x, y)
    did = {"last_clicked": {"lat": latitude, "lng": longitude}}
    monkeypatch.setattr(state, "show_map", lambda *layers, **options: did)


@pytest.fixture
def ukrainian(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody speaks Ukrainian: AppTest looks up the options of lists outside of any session."""
    monkeypatch.setattr(spoken, "_asked", [lambda: "uk"])


def test_before_a_click_the_page_says_what_a_click_does(space: Workspace, run: str) -> None:
    assert "Click on the map" in texts(opened("clusters"))


def test_a_click_shows_the_pixel(space: Workspace, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    space.override(run, int(space.open_run(run).clusters.labels[30, 5]), 90, who="Ada <b>")
    click(monkeypatch, space, run, 30, 5)
    app = opened("clusters")
    said = texts(app)
    assert "row 30, column 5" in said
    assert f"**Cluster** {space.open_run(run).clusters.labels[30, 5]}" in said
    assert "Herbaceous wetland (set by Ada <b>)" in said
    assert "**Votes** rules" in said
    assert not app.error


def test_a_click_beside_the_scene_is_said(space: Workspace, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    click(monkeypatch, space, run, -20, 5)
    assert "lies outside the scene" in texts(opened("clusters"))


def test_a_click_where_the_scene_has_gone_shows_the_rest(
    space: Workspace, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stripes.tif").unlink()
    click(monkeypatch, space, run, 30, 5)
    said = texts(opened("clusters"))
    assert "so there is no spectrum" in said
    assert "**Cluster**" in said


def test_the_page_speaks_ukrainian(
    space: Workspace, run: str, monkeypatch: pytest.MonkeyPatch, ukrainian: None
) -> None:
    click(monkeypatch, space, run, 30, 5)
    space.edit_clusters(run, "merge", clusters=(1, 2), who="Ada")
    app = opened("clusters")
    said = texts(app)
    assert app.title[0].value == "Кластери"
    assert "Якість кожного кластера" in said
    assert "Об’єднано кластери 1 і 2" in said
    assert "У цьому місці" in said
    for english in ("Cluster", "Merge", "Undo", "Silhouette", "Click", "Method", "Default"):
        assert english not in said
    assert "Скасувати" in [button.label for button in app.button]
    assert app.selectbox(key="method").label == "Метод"


def test_an_empty_workspace_in_ukrainian(space: Workspace, ukrainian: None) -> None:
    app = opened("clusters")
    assert app.title[0].value == "Кластери"
    assert "Нова карта" in texts(app)


@pytest.mark.parametrize("topic", ["map", "clusters", "probe"])
def test_both_languages_have_the_same_texts(topic: str) -> None:
    def known(language: str) -> dict[str, object]:
        file = resources.files("s2dash.data").joinpath("texts", language, f"{topic}.toml")
        return tomllib.loads(file.read_text("utf-8"))

    english, ukrainian = known("en"), known("uk")
    assert english.keys() == ukrainian.keys()
    from string import Formatter

    def fields(text: object) -> set[str]:
        every = text.values() if isinstance(text, dict) else [text]
        return {name for one in every for _, name, _, _ in Formatter().parse(str(one)) if name}

    assert [name for name in english if fields(english[name]) != fields(ukrainian[name])] == []


def test_what_the_page_says_of_a_method_is_what_the_method_says() -> None:
    for method in METHODS.values():
        assert method_line(method).startswith(method.summary)
        for option in method.options:
            assert option_title(method, option) == option.title
            assert help_text(method, option).startswith(option.help)
