"""Labels, where models are asked: what it would cost, keys, votes, answers by hand, a second look."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_pages import make_run, opened, press, texts, wait_for

from s2dash.annotation.answer import Answer
from s2dash.dashboard.labels import answer_line, unread_terms, who
from s2dash.dashboard.vote_tables import compliance_rows, concord_line, matrix_rows, round_line
from s2dash.testing_models import ModelServer, answers, says
from s2dash.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("after_the_first_visit")
KEY = "sk-do-not-show-4711"
GRASS = {
    "land_cover": "grassland",
    "second_choice": "cropland",
    "term": "meadow *wet*",
    "confidence": 0.9,
    "evidence": ["<b>even</b> texture"],
    "mixed": False,
}
MODEL = """
[models.{name}]
title = "My {name}"
provider = "open"
model = "tiny-{name}"
address = "{address}"
key_name = "MY_MODEL_KEY"
key_required = {required}
input_price = {price}
output_price = {price}
picture_tokens = {{ rule = "fixed", each = 300 }}
"""


@pytest.fixture
def run(space: Workspace, scene_file: Path) -> str:
    return make_run(space, scene_file, k=3)


@pytest.fixture
def server(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    monkeypatch.delenv("MY_MODEL_KEY", raising=False)
    with ModelServer("open", (), otherwise=answers(GRASS)) as running:
        add_model(space, running, "eye")
        yield running


def add_model(space: Workspace, server: ModelServer, name: str, *, price: float = 2.0, required: bool = True) -> None:
    row = MODEL.format(name=name, address=server.address, price=price, required=str(required).lower())
    with (space.folder / "models.toml").open("a") as file:
        file.write(row)


def answered(space: Workspace, run: str, name: str = "eye") -> list[Answer]:
    return [answer for answer in space.open_run(run).legend.answers if answer.annotator == name]


def test_a_model_is_asked_with_a_key_of_this_session_and_its_answers_become_votes(space, run, server):
    app = opened("labels")
    app.multiselect(key="ask_who").set_value(["eye"]).run()
    assert not app.exception
    told = texts(app)
    assert "Nothing leaves this machine" in told or server.address.split("//")[1].split("/")[0] in told
    assert not server.calls  # an estimate sends nothing
    (ask,) = [button for button in app.button if button.label == "Ask about 3 clusters"]
    assert ask.disabled  # no key yet
    app.text_input(key="key of MY_MODEL_KEY").set_value(KEY).run()
    press(app, "Ask about 3 clusters")
    wait_for(app, lambda _: len(answered(space, run)) == 3 and not app.session_state["jobs"])
    assert not app.error
    assert len(server.calls) == 3
    app.run()
    assert "eye: Grassland, else Cropland (90%)" in texts(app).replace("**", "")
    assert "<b>even</b>" in texts(app)  # shown as it is: escaped, not taken as markup
    for path in space.folder.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path
    press(app, "Ask about 3 clusters")  # a second click pays nothing
    wait_for(app, lambda _: not app.session_state["jobs"])
    assert len(server.calls) == 3


def test_a_budget_that_is_too_small_sends_nothing_and_says_so(space, run, server):
    app = opened("labels")
    app.multiselect(key="ask_who").set_value(["eye"]).run()
    app.text_input(key="key of MY_MODEL_KEY").set_value(KEY).run()
    app.number_input(key="ask_budget").set_value(0.0).run()
    press(app, "Ask about 3 clusters")
    wait_for(app, lambda _: not app.session_state["jobs"])
    assert not server.calls
    assert "budget" in texts(app).lower() or "cost" in texts(app).lower()


def test_an_answer_by_hand_is_read_and_votes_and_one_that_cannot_be_read_says_why(space, run):
    app = opened("labels")
    app.selectbox(key="hand_cluster").set_value(2).run()
    app.toggle(key="hand_draw").set_value(True).run()
    assert not app.exception
    assert "land_cover" in texts(app)  # the question
    app.text_input(key="asked_by_hand").set_value("a friend").run()
    app.text_area(key="pasted 2").set_value("I think it is water.").run()
    press(app, "Take the answer")
    assert app.error
    assert not answered(space, run, "a friend")
    app.text_area(key="pasted 2").set_value(json.dumps(GRASS)).run()
    press(app, "Take the answer")
    assert not app.error
    (answer,) = answered(space, run, "a friend")
    assert (answer.cluster, answer.code) == (2, 30)
    assert "Cluster 2: Grassland is taken in as a vote." in texts(app)


def test_votes_count_as_the_person_chooses(space, run, server):
    space.ask(run, ["eye"], keys=keyed())
    app = opened("labels")
    app.selectbox(key=f"voting {run}").set_value("confidence").run()
    assert not app.exception
    assert space.open_run(run).legend.rule.kind == "confidence"
    app.selectbox(key=f"voting {run}").set_value("record").run()
    assert space.open_run(run).legend.rule.kind == "record"
    assert "Fleiss' kappa" in texts(app) or "cannot be told" in texts(app)


def test_a_second_look_asks_once_more_where_there_is_doubt(space, run, server):
    space.ask(run, ["eye"], keys=keyed())
    doubtful = space.doubts(run)
    assert doubtful  # rules and the model differ on stripes
    app = opened("labels")
    app.multiselect(key="ask_who").set_value(["eye"]).run()
    app.text_input(key="key of MY_MODEL_KEY").set_value(KEY).run()
    before = len(server.calls)
    press(app, "Look again")
    wait_for(app, lambda _: bool(space.open_run(run).rounds) and not app.session_state["jobs"])
    assert len(server.calls) - before == len(doubtful)
    app.run()
    assert "Round 2:" in texts(app)


def test_a_word_nobody_knew_can_be_taught(space, run):
    with ModelServer("open", (), otherwise=answers({**GRASS, "land_cover": "zorbland"})) as server:
        add_model(space, server, "poet", price=0.0, required=False)
        space.ask(run, ["poet"])
        entry = space.open_run(run).legend.entries[1]
        assert unread_terms(entry) == ("zorbland",)
        app = opened("labels")
        place = f"{run} 1 0"
        app.selectbox(key=f"learn {place}").set_value("zorbland")
        app.selectbox(key=f"class {place}").set_value(30).run()
        app.button(key=f"set {place}").click().run()
        assert not app.exception
        assert space.store.synonyms(space.open_run(run).legend.scheme) == {"zorbland": 30}


def test_a_closer_look_shows_spectrum_and_what_models_see(space, run):
    app = opened("labels")
    assert not app.get("plotly_chart")
    app.toggle(key=f"closer {run} 1").set_value(True).run()
    assert not app.exception
    assert app.get("plotly_chart")
    assert "What models are shown" in texts(app)


def test_tables_say_who_said_what_and_how_they_kept_to_the_form(space, run):
    with ModelServer("open", (), otherwise=says("no idea")) as server:
        add_model(space, server, "mute", price=0.0, required=False)
        space.ask(run, ["mute"])
    result = space.open_run(run)
    page = opened("labels")
    assert sum("no idea" in str(code.value) for code in page.code) == 3
    assert {row["mute"] for row in matrix_rows(result)} == {"unknown"}
    assert len(matrix_rows(result)) == 3
    (row,) = compliance_rows(result)
    assert (row["In the form at once"], row["Without a usable reply"]) == ("0%", "3")
    assert "kappa" in concord_line(result) or "cannot be told" in concord_line(result)
    (failed,) = (answer for answer in result.legend.entries[1].voters if answer.annotator == "mute")
    assert "no usable reply" in answer_line(result, failed)


def test_a_recorded_answer_is_called_recorded():
    answer = Answer(annotator="replay", cluster=1, code=30, model="Claude (recorded 2026-11-21)", recorded=True)
    assert who(answer) == "Claude (recorded 2026-11-21)"
    assert who(answer.model_copy(update={"recorded": False})) == "replay"


def test_a_round_is_told_in_a_line(space, run, server):
    space.ask(run, ["eye"], keys=keyed())
    report = space.second_look(run, ["eye"], keys=keyed())
    line = round_line(space.open_run(run), report)
    assert line.startswith(f"Round 2: {len(report.asked)} asked about")


def keyed():
    from s2dash.annotation.keys import Keys

    return Keys({"MY_MODEL_KEY": KEY})


def test_a_first_reply_that_was_asked_for_again_can_be_read_too(space, run):
    script = [says("hm, green fields"), answers(GRASS)] * 3
    with ModelServer("open", script, otherwise=answers(GRASS)) as server:
        add_model(space, server, "late", price=0.0, required=False)
        with (space.folder / "models.toml").open("a") as file:
            file.write("limit = 1\n")
        space.ask(run, ["late"])
    shown = [str(code.value) for code in opened("labels").code]
    assert shown.count("hm, green fields") == 3
