"""The panel of the classes, and the switch of palettes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from app_pages import texts as said
from streamlit.testing.v1 import AppTest

from pages.parts import palette_switch
from pages.parts import scheme_editor as panel
from s2dash import colours
from s2dash.dashboard.language import texts
from s2dash.dashboard.scheme_tables import class_edits, class_rows, close_colours, edit_lines, swatch
from s2dash.errors import NotAllowedError
from s2dash.export.scene import write_scene
from s2dash.map_edit import MapEdit
from s2dash.pipeline import RunSettings
from s2dash.schemes import load_scheme
from s2dash.sources.request import SceneRequest
from s2dash.testing import make_patchwork
from s2dash.workspace import Workspace

SCRIPT = """
import streamlit as st
from pages.parts.palette_switch import palette_of_address, palette_switch
from pages.parts.scheme_editor import scheme_editor
from s2dash.dashboard import state

palette_of_address()
st.session_state["run"] = {run!r}
state.messages()
with st.sidebar:
    palette_switch()
scheme_editor(state.result(), {run!r})
"""


@pytest.fixture
def run(space: Workspace, tmp_path: Path) -> str:
    scene, _ = make_patchwork(side=40)
    write_scene(scene, tmp_path / "stripes.tif")
    return space.start(SceneRequest(str(tmp_path / "stripes.tif")), RunSettings(k=3, sample=5_000))


@pytest.fixture(autouse=True)
def palette_of_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a server: other tests may have looked with another palette."""
    monkeypatch.setattr(colours, "_asked", [palette_switch.chosen])


def opened(run: str, **address: str) -> AppTest:
    app = AppTest.from_string(SCRIPT.format(run=run), default_timeout=60)
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def box(app: AppTest, label: str) -> Any:
    return next(one for one in [*app.text_input, *app.text_area, *app.selectbox] if one.label == label)


def button(app: AppTest, label: str) -> Any:
    return next(one for one in app.button if one.label == label)


def choose(app: AppTest, tool: str) -> AppTest:
    app.get("button_group")[0].set_value(tool).run()
    assert not app.exception
    return app


def test_every_class_is_listed_with_its_colour_and_use(space, run):
    app = opened(run)
    told, meant = said(app), "\n".join(str(element.help) for element in app.markdown).replace("\\", "")
    for cls in load_scheme("worldcover").classes:
        assert cls.name in told
        assert cls.colour in told
        assert cls.definitions["en"] in meant
    assert "not on the map" in told
    assert "1 cluster" in told
    assert "paid for again" in told


def test_a_class_is_renamed_and_it_is_taken_back(space, run):
    app = opened(run)
    button(app, "Rename the class").click().run()
    assert "Nothing has been changed yet" in app.toast[0].value
    assert not space.store.map_edits(run)
    box(app, "Name (English)").set_value("Woods").run()
    assert "**Woods**" in said(app)
    box(app, "Why (optional)").set_value("as people say").run()
    button(app, "Rename the class").click().run()
    assert not app.exception
    (edit,) = space.store.map_edits(run)
    assert (edit.content["names"], edit.why) == ({"en": "Woods"}, "as people say")
    assert "Woods" in said(app)
    assert "as people say" in said(app)
    button(app, "Take back").click().run()
    assert space.open_run(run).legend.scheme[10].name == "Tree cover"
    button(app, "Bring back").click().run()
    assert space.open_run(run).legend.scheme[10].name == "Woods"


def test_the_field_that_the_click_leaves_counts(space, run):
    """A browser sends what was typed last together with the click, after the page was drawn."""
    app = opened(run)
    box(app, "Name (English)").set_value("Woods").run()
    box(app, "Name (Українська)").set_value("Ліси")
    box(app, "Why (optional)").set_value("as people say")
    button(app, "Rename the class").click().run()
    (edit,) = space.store.map_edits(run)
    assert (edit.content["names"], edit.why) == ({"en": "Woods", "uk": "Ліси"}, "as people say")
    app = choose(app, "define")
    box(app, "Definition (English)").set_value("Trees close together.")
    button(app, "Change the definition").click().run()
    assert space.store.map_edits(run)[-1].content["definitions"] == {"en": "Trees close together."}


def test_a_name_that_is_taken_is_refused_before_the_click(space, run):
    app = opened(run)
    box(app, "Name (English)").set_value("cropland").run()
    assert "already the name of the class 40 Cropland" in said(app)
    assert button(app, "Rename the class").disabled


def test_a_class_is_added_with_what_it_counts_as(space, run):
    app = choose(opened(run), "add")
    button(app, "Add the class").click().run()
    assert "name" in said(app)
    assert not space.store.map_edits(run)
    box(app, "Name (English)").set_value("Greenhouse").run()
    assert "has been a word for Built-up so far" in said(app)
    box(app, "In comparisons it counts as").set_value(50).run()
    button(app, "Add the class").click().run()
    assert not app.exception
    cls = space.open_run(run).legend.scheme[101]
    assert (cls.name, cls.names["uk"], cls.counts_as) == ("Greenhouse", "Greenhouse", 50)
    assert "counts as Built-up" in said(app)
    assert box(app, "Name (English)").value == ""  # ready for the next one
    space.override(run, 1, 101, who="Olena")
    app.run()
    button(app, "Take back").click().run()
    assert "Olena set cluster 1 to it" in said(app)  # refused, with where it is used
    assert 101 in space.open_run(run).legend.scheme


def test_a_colour_too_near_to_another_is_said(space, run):
    app = choose(opened(run), "recolour")
    app.color_picker[0].set_value("#f095fe").run()
    assert "hard to tell from that of Cropland" in said(app)
    button(app, "Change the colour").click().run()
    assert space.open_run(run).legend.scheme[10].colour == "#F095FE"


def test_a_definition_is_changed(space, run):
    app = choose(opened(run), "define")
    box(app, "Definition (English)").set_value("Trees, whatever **their** height.").run()
    button(app, "Change the definition").click().run()
    assert space.open_run(run).legend.scheme[10].definitions["en"] == "Trees, whatever **their** height."
    assert any(r"\*\*their\*\*" in str(element.help) for element in app.markdown)  # shown as it is


def test_what_others_do_meanwhile_is_not_undone_by_an_old_field(space, run):
    app = opened(run)
    space.change_map(run, MapEdit("class", {"op": "rename", "code": 10, "names": {"en": "Woods"}}, who="Olena"))
    app.run()
    assert box(app, "Name (English)").value == "Woods"
    button(app, "Rename the class").click().run()
    assert [edit.who for edit in space.store.map_edits(run)] == ["Olena"]


def test_who_may_not_write_is_refused_also_behind_the_button(space, run, monkeypatch):
    def nobody() -> str:
        raise NotAllowedError("Sign in to change anything.")

    monkeypatch.setattr(panel, "may_write", lambda: False)
    app = opened(run)
    box(app, "Name (English)").set_value("Woods").run()
    assert button(app, "Rename the class").disabled
    monkeypatch.setattr(panel, "may_write", lambda: True)  # a browser that sends the click all the same
    monkeypatch.setattr(panel, "who", nobody)
    app.run()
    button(app, "Rename the class").click().run()
    assert "Sign in to change anything." in said(app)
    assert not space.store.map_edits(run)


def test_the_palette_is_chosen_by_the_switch_and_by_the_address(space, run):
    app = opened(run)
    assert "#006400" in said(app)
    app.selectbox(key="palette").set_value("safe").run()
    assert not app.exception
    assert "#124209" in said(app)
    assert "#006400" not in said(app)
    assert app.query_params["palette"] in ("safe", ["safe"])
    linked = opened(run, palette="safe")
    assert "#124209" in said(linked)
    assert linked.selectbox(key="palette").value == "safe"
    assert "#006400" in said(opened(run, palette="rainbow"))


def test_rows_and_lines_of_an_edited_run(space, run):
    space.change_map(run, MapEdit("class", {"op": "add", "names": {"en": "Vine *x*"}, "colour": "#123456"}, who="A_b"))
    space.change_map(run, MapEdit("class", {"op": "recolour", "code": 101, "colour": "#654321"}, who="A_b"))
    space.change_map(run, MapEdit("withdraw", {"seq": 2}))
    space.override(run, 2, 101)
    result = space.open_run(run)
    row = next(row for row in class_rows(result) if row.code == 101)
    assert (row.name, row.colour, row.clusters, row.added, row.counts_as) == ("Vine *x*", "#123456", 1, True, "")
    assert row.hectares == pytest.approx(result.cards[2].area_ha)
    assert [(edit.seq, holds) for edit, holds in class_edits(result)] == [(2, False), (1, True)]
    what, by = edit_lines(result.legend.scheme, result.map_edits[0])
    assert what == "“Vine *x*” was added"
    assert by.startswith("A_b, ")


def test_near_colours_are_told_for_everybody_and_for_some():
    scheme = load_scheme("worldcover")
    assert close_colours(scheme, "#FF00FF", code=10) == ()
    assert any("Tree cover" in one and "hard to tell" in one for one in close_colours(scheme, "#006501", code=20))
    # WorldCover's green of trees and red of built-up ground are 60 apart for most people, and 1.4 for protanopes.
    (warning,) = close_colours(scheme, "#006400", code=10)
    assert warning == "Colour-blind people can hardly tell the colour from that of Built\\-up."


@pytest.mark.parametrize("colour", ["red", '#12345"', "#1234567", "<b>#123"])
def test_a_swatch_holds_nothing_but_a_colour(colour):
    with pytest.raises(ValueError, match="#RRGGBB"):
        swatch(colour)


@pytest.mark.parametrize("topic", ["scheme", "palette"])
def test_both_languages_have_every_text(topic):
    keys = {spoken: {key for key in texts(spoken) if key.startswith(f"{topic}.")} for spoken in ("en", "uk")}
    assert keys["en"] == keys["uk"] != set()
