"""The page of labels for a person who corrects for an hour: one at a time, keys, notes, history, and who may write."""

from __future__ import annotations

from pathlib import Path

import pytest
import streamlit as st
from app_pages import button, opened, press, texts, wait_for
from streamlit.testing.v1 import AppTest

from s2dash.dashboard import language, state

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("after_the_first_visit")
AUTH = {"redirect_uri": "http://localhost/oauth2callback", "cookie_secret": "x", "client_id": "y"}
ADA = {"is_logged_in": True, "name": "Ada Lovelace", "email": "ada@example.org"}


def one_at_a_time(app: AppTest) -> AppTest:
    group(app, "Show clusters").set_value("one").run()
    assert not app.exception
    return app


def group(app: AppTest, label: str):
    return next(found for found in app.get("button_group") if found.label == label)


def shown(app: AppTest) -> list[int]:
    """Numbers of the clusters shown."""
    return [int(mark.value.split()[1]) for mark in app.markdown if mark.value.startswith("#####")]


def forge(app: AppTest, found) -> AppTest:
    """Send a press of a button that the browser shows disabled."""
    assert found.disabled
    found.proto.disabled = False
    found.click().run()
    assert not app.exception
    return app


def key(app: AppTest, shortcut: str) -> AppTest:
    """Press the button that the browser presses at this key, if it can be pressed."""
    (found,) = [one for one in app.button if one.proto.shortcut == shortcut.lower() and not one.disabled]
    found.click().run()
    assert not app.exception
    return app


# ---- empty, loading, ready, error


def test_an_empty_workspace_says_what_to_do(space):
    app = opened("labels")
    assert "There is no finished map yet" in texts(app)
    assert not shown(app)


def test_a_page_whose_scene_is_still_being_opened_can_be_used(space, run, monkeypatch):
    monkeypatch.setattr(state, "_PATIENCE", 0.0)
    app = opened("labels")
    assert not app.error
    assert shown(app) == [1, 2, 3, 4]
    one_at_a_time(app)
    assert shown(app) == [1]


def test_a_finished_run_is_shown_in_a_grid_with_how_far_it_is(space, run):
    app = opened("labels")
    assert shown(app) == [1, 2, 3, 4]
    waiting = len(space.open_run(run).legend.queue)
    assert "0 of 4 decided" in texts(app)  # the rules alone named them, and nobody has looked
    for cluster in (1, 2):
        app.selectbox(key=f"class {run} {cluster} 0").set_value(40).run()
        app.button(key=f"set {run} {cluster} 0").click().run()
    assert "2 of 4 decided" in texts(app)
    waiting = len(space.open_run(run).legend.queue)
    assert (f"{waiting} wait" if waiting else "every cluster has a class") in texts(app)


def test_a_damaged_run_is_said(space, run):
    (space.store.run_folder(run) / "legend.json").write_text("{")
    app = opened("labels")
    assert "legend.json" in texts(app)
    assert not shown(app)


def test_without_its_scene_one_cluster_is_still_shown_and_decided(space, run, scene_file):
    scene_file.unlink()
    app = one_at_a_time(opened("labels"))
    assert shown(app) == [1]
    key(app, "1")
    assert space.open_run(run).legend.entries[1].code == 10


# ---- one at a time


def test_a_number_decides_and_leads_on_and_undo_leads_back(space, run):
    app = one_at_a_time(opened("labels"))
    assert shown(app) == [1]
    before = space.open_run(run).legend.entries[1].code
    app.text_input(key=f"why {run} 1").set_value("walked there").run()
    key(app, "4")
    (event,) = space.store.events(run)
    assert (event.cluster, event.after, event.why) == (1, 40, "walked there")
    assert shown(app) == [2]
    assert "set 1: " in texts(app)
    key(app, "0")  # the tenth class
    assert space.open_run(run).legend.entries[2].code == 95
    assert space.store.events(run)[-1].why == ""  # the reason was for the other
    assert shown(app) == [3]
    key(app, "Z")
    assert shown(app) == [2]
    key(app, "Z")
    assert shown(app) == [1]
    assert space.open_run(run).legend.entries[1].code == before
    key(app, "Y")
    assert (shown(app), space.open_run(run).legend.entries[1].code) == ([1], 40)


def test_accept_and_unknown_by_key(space, run):
    app = one_at_a_time(opened("labels"))
    assert space.open_run(run).legend.entries[1].code is None
    assert button(app, "Accept").disabled  # there is nothing to accept
    key(app, "N")
    named = space.open_run(run).legend.entries[2].code
    assert named is not None
    key(app, "A")
    assert space.open_run(run).legend.entries[2].override.after == named
    assert shown(app) == [3]
    key(app, "U")
    assert space.open_run(run).legend.entries[3].code is None
    assert shown(app) == [4]


def test_who_does_not_want_to_go_on_stays(space, run):
    app = one_at_a_time(opened("labels"))
    app.toggle(key="labels_advance").set_value(False).run()
    key(app, "7")
    assert shown(app) == [1]
    assert space.open_run(run).legend.entries[1].code == 70
    (now,) = [one for one in app.button if one.proto.type == "primary" and one.proto.shortcut]
    assert now.label == "Snow and ice"


def test_previous_and_next_end_where_the_list_ends(space, run):
    app = one_at_a_time(opened("labels"))
    assert button(app, "Previous").disabled
    for _ in range(3):
        key(app, "N")
    assert shown(app) == [4]
    assert button(app, "Next").disabled
    assert "4 of 4 shown here" in texts(app)


def test_next_disputed_jumps_from_anywhere_to_what_is_in_doubt(space, run):
    for cluster in (1, 2, 4):
        space.override(run, cluster, 40, who="Ada")
    space.override(run, 3, None, who="Ada")
    app = key(opened("labels"), "D")  # from the grid too
    assert shown(app) == [3]
    assert button(app, "Next disputed").disabled  # no other
    key(app, "4")
    assert "4 of 4 decided" in texts(app)
    assert button(app, "Next disputed").disabled


def test_the_list_that_is_chosen_is_the_one_gone_through(space, run):
    for cluster in (1, 3):
        space.override(run, cluster, None, who="Ada")
    space.override(run, 2, 40, who="Ada")
    app = one_at_a_time(opened("labels"))
    group(app, "Show").set_value("waiting").run()
    waiting = list(space.open_run(run).legend.queue)
    key(app, "4")  # decided, it is not among the waiting any more; the next of them is shown
    assert shown(app) == [waiting[1]]


def test_every_key_is_listed_and_no_two_are_the_same(space, run):
    app = one_at_a_time(opened("labels"))
    keys = [one.proto.shortcut for one in app.button if one.proto.shortcut]
    assert sorted(keys) == sorted(["p", "n", "d", "z", "y", "a", "u", *"1234567890"])
    listed = next(mark.value for mark in app.markdown if mark.value.startswith("`P`"))
    assert all(f"`{one}`" in listed for one in "PNDZYAU")


def test_a_cluster_is_shown_with_its_place_its_spectrum_and_what_models_see(space, run):
    app = one_at_a_time(opened("labels"))
    assert app.get("plotly_chart")
    assert "Typical values rounded by hand" in texts(app)
    assert "published spectral libraries" in texts(app)
    assert "Nobody could name it." in texts(app)
    assert "Only one annotator named it." in texts(key(app, "N"))
    assert "Its place on the map" in texts(app)
    group(app, "Picture").set_value("model").run()
    assert not app.exception
    assert len(app.get("imgs")) > 1 or app.get("popover")


def test_a_cluster_is_split_and_its_parts_are_next(space, run):
    app = one_at_a_time(opened("labels"))
    key(app, "N")
    app.button(key=f"split here {run}").click().run()
    wait_for(app, lambda _: space.store.changes(run).edits == 1 and not app.session_state["jobs"])
    assert not app.error
    (entry,) = space.store.cluster_edits(run).entries
    assert (entry.edit.kind, entry.edit.clusters) == ("split", (2,))
    assert shown(app) == [entry.edit.made[0]]
    app.button(key=f"undo edit here {run}").click().run()
    assert sorted(space.open_run(run).cards) == [1, 2, 3, 4]


def test_a_cluster_is_merged_with_another(space, run):
    app = one_at_a_time(opened("labels"))
    app.multiselect(key=f"merge with {run} 1").set_value([3]).run()
    app.button(key=f"merge here {run}").click().run()
    wait_for(app, lambda _: space.store.changes(run).edits == 1 and not app.session_state["jobs"])
    (entry,) = space.store.cluster_edits(run).entries
    assert (entry.edit.kind, entry.edit.clusters) == ("merge", (1, 3))
    assert shown(app) == list(entry.edit.made)


# ---- notes and history


def test_a_note_is_left_and_seen_and_undo_leaves_it(space, run):
    app = opened("labels")
    app.text_input(key="who").set_value("Ada").run()
    app.selectbox(key=f"class {run} 2 0").set_value(40).run()
    app.text_area(key=f"note {run} 1").set_value("greenhouses? ask *Ben*").run()
    app.button(key=f"leave note {run} 1").click().run()
    assert not app.error
    (event,) = space.store.events(run)
    assert (event.kind, event.cluster, event.who, event.why) == ("note", 1, "Ada", "greenhouses? ask *Ben*")
    assert "note on 1: greenhouses? ask *Ben*" in texts(app)  # in the history
    assert ": greenhouses? ask *Ben*" in texts(opened("labels"))  # on the card, for others too
    assert app.text_area(key=f"note {run} 1").value == ""
    assert app.selectbox(key=f"class {run} 2 0").value == 40  # what was chosen elsewhere is still there
    assert button(app, "Undo").disabled
    press(app, "Leave note")
    assert "empty" in texts(app)
    assert len(space.store.events(run)) == 1


def test_what_is_half_typed_stays_while_others_decide(space, run):
    app = opened("labels")
    app.text_input(key=f"why {run} 1").set_value("because of the").run()
    app.text_area(key=f"note {run} 1").set_value("half a").run()
    space.override(run, 2, 40, who="Ben")
    space.note(run, 1, "Ben was here", who="Ben")
    space.override(run, 1, 10, who="Ben")  # even on the very cluster
    app.run()
    assert "Ben was here" in texts(app)
    assert app.text_input(key=f"why {run} 1").value == "because of the"
    assert app.text_area(key=f"note {run} 1").value == "half a"
    one_at_a_time(app)
    key(app, "N")
    key(app, "P")
    assert app.text_input(key=f"why {run} 1").value == "because of the"
    assert app.text_area(key=f"note {run} 1").value == "half a"


def test_the_whole_history_can_be_read(space, run):
    for turn in range(45):
        space.override(run, 1 + turn % 4, 40, who="Ada", why=f"reason no {turn}.")
    app = opened("labels")
    seen = texts(app)
    assert "reason no 44." in seen
    assert "reason no 5." not in seen
    pages = next(found for found in app.get("pagination"))
    assert pages.proto.num_pages == 3


def test_the_history_keeps_what_was_said_of_clusters_that_are_gone(space, run):
    space.override(run, 2, 60, who="Ada", why="sandy")
    space.note(run, 4, "a quarry", who="Ada")
    space.edit_clusters(run, "merge", clusters=(2, 4), who="Ben")
    assert "sandy" in texts(opened("labels"))
    assert "note on 4: a quarry" in texts(opened("labels"))


# ---- in Ukrainian


def test_the_page_speaks_ukrainian(space, run, monkeypatch):
    monkeypatch.setattr(language, "_asked", [lambda: "uk"])  # in the test's own thread as well, as AppTest asks there
    app = opened("labels")
    group(app, "Показ кластерів").set_value("one").run()
    assert not app.exception
    assert "Вирішено 0 з 4" in texts(app)
    assert "Деревна рослинність" in [one.label for one in app.button]
    key(app, "1")
    assert space.open_run(run).legend.entries[1].code == 10


# ---- who may write


def test_without_a_sign_in_nothing_changes(space, run, monkeypatch):
    monkeypatch.setenv("S2DASH_WRITERS", "nobody@example.org")
    app = opened("labels")
    app.text_input(key="who").set_value("Ada").run()
    app.button(key=f"set {run} 1 0").click().run()
    assert space.store.events(run)[0].who == "Ada"


@pytest.mark.parametrize("user", [{}, {"is_logged_in": False}, {**ADA, "email": "eve@example.org"}])
def test_who_may_not_write_reads_everything_and_changes_nothing(space, run, user):
    app = opened("labels", secrets={"auth": AUTH, "s2dash": {"writers": ["ada@example.org"]}}, user=user)
    assert shown(app) == [1, 2, 3, 4]
    assert "You can look at everything here" in texts(app)
    assert app.button(key=f"set {run} 1 0").disabled
    assert app.selectbox(key=f"class {run} 1 0").disabled
    assert app.button(key=f"leave note {run} 1").disabled
    forge(app, app.button(key=f"set {run} 1 0"))
    forge(app, app.button(key=f"leave note {run} 1"))
    one_at_a_time(app)
    blocked = {one.label for one in app.button if one.disabled}
    assert {"Undo", "Redo", "Accept", "Unknown", "Tree cover", "Leave note", "Split"} <= blocked
    for one in ("Accept", "Split", "Tree cover", "Undo", "Look again"):
        forge(app, button(app, one))
    wait_for(app, lambda _: not app.session_state["jobs"])
    assert space.store.events(run) == ()
    assert space.store.changes(run).edits == 0


@pytest.mark.parametrize("lost", [{}, {**ADA, "email": "eve@example.org"}])
def test_who_loses_the_right_to_write_is_refused_at_the_next_click(space, run, lost):
    app = opened("labels", secrets={"auth": AUTH, "s2dash": {"writers": ["ada@example.org"]}}, user=ADA)
    app.user = lost  # signed out in another tab: this page still shows its buttons
    app.button(key=f"set {run} 1 0").click().run()
    assert not app.exception
    assert "You can look at everything here" in app.error[0].value.replace("\\", "")
    assert space.store.events(run) == ()
    app = one_at_a_time(opened("labels", secrets={"auth": AUTH, "s2dash": {"writers": ["ada@example.org"]}}, user=ADA))
    app.user = lost
    app.button(key=f"split here {run}").click().run()
    assert not app.session_state["jobs"]
    assert space.store.changes(run).edits == 0


def test_who_is_listed_writes_under_their_own_name(space, run):
    app = opened("labels", secrets={"auth": AUTH, "s2dash": {"writers": ["ada@example.org"]}}, user=ADA)
    assert not [box for box in app.text_input if box.key == "who"]  # nobody writes in another's name
    app.button(key=f"set {run} 1 0").click().run()
    assert [event.who for event in space.store.events(run)] == ["Ada Lovelace (ada@example.org)"]


def test_writers_can_be_named_in_the_environment(space, run, monkeypatch):
    monkeypatch.setenv("S2DASH_WRITERS", "ben@example.org,eve@example.org")
    assert opened("labels", secrets={"auth": AUTH}, user=ADA).button(key=f"set {run} 1 0").disabled
    eve = {**ADA, "email": "eve@example.org"}
    assert not opened("labels", secrets={"auth": AUTH}, user=eve).button(key=f"set {run} 1 0").disabled


def test_a_file_of_secrets_that_cannot_be_read_lets_nobody_write(space, run, tmp_path, monkeypatch):
    broken = tmp_path / "secrets.toml"
    broken.write_text("[auth\n")
    asked = st.get_option
    monkeypatch.setattr(st, "get_option", lambda name: [str(broken)] if name == "secrets.files" else asked(name))
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    app.switch_page("pages/labels.py").run()
    assert not app.exception
    assert "cannot be read" in texts(app)
    assert not [one for one in app.button if one.key == f"set {run} 1 0"]


@pytest.mark.parametrize("page", ["imagery", "clusters", "labels", "agreement", "compare", "runs"])
def test_every_page_can_be_read_without_signing_in(space, run, page):
    app = opened(page, secrets={"auth": AUTH})
    assert not app.error


def test_a_link_to_a_cluster_shows_it_alone_and_only_once(run: str) -> None:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.run()
    app.switch_page("pages/labels.py")
    app.query_params["cluster"] = "3"
    app.run()
    assert not app.exception
    assert shown(app) == [3]
    assert "cluster" not in app.query_params
    press(app, "Next")
    assert shown(app) == [4]
    app.query_params["cluster"] = "99"  # of a cluster that is not there
    app.run()
    assert not app.exception
    assert shown(app) == [4]
