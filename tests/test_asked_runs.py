"""Asking about the clusters of finished runs: nothing paid twice or lost, edits and keys included."""

from __future__ import annotations

import base64
import json
import logging
import shutil
import threading
import traceback
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from s2dash.annotation import registry
from s2dash.annotation.answer import Answer
from s2dash.annotation.keys import Keys
from s2dash.annotation.question_text import question_text
from s2dash.annotation.vote import VotingRule
from s2dash.asked_runs import CATALOGUE
from s2dash.errors import (
    AnnotationError,
    Cancelled,
    CatalogueError,
    EditError,
    LegendError,
    SceneError,
    UnsafeNameError,
)
from s2dash.export.run_files import read_run
from s2dash.export.scene import write_scene
from s2dash.pipeline import RunSettings
from s2dash.progress import Tracker
from s2dash.sources.request import SceneRequest
from s2dash.testing import make_patchwork
from s2dash.testing_models import ModelServer, Turn, answers, fails, hangs, says
from s2dash.workspace import Workspace

KEY = "sk-test-RECOGNISABLE/0123456789+abcdef"
KEYS = Keys({"SOME_API_KEY": KEY})
WORDS = "words"
"""A style without pictures: what is tested here is the same for all."""


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A workspace with one run of four clusters, which the rules named: the first not at all; and its run's id."""
    place = tmp_path_factory.mktemp("template")
    write_scene(make_patchwork(side=48)[0], place / "scene.tif")
    with Workspace.open(place / "workspace").store as store:
        run = Workspace(store).start(SceneRequest(str(place / "scene.tif")), RunSettings(k=4, sample=2000))
    return place / "workspace", run


@pytest.fixture
def space(template, tmp_path):
    shutil.copytree(template[0], tmp_path / "workspace")
    space = Workspace.open(tmp_path / "workspace")
    yield space
    space.store.close()


@pytest.fixture
def run(template):
    return template[1]


def form(land_cover: str = "cropland", **changes: Any) -> dict[str, Any]:
    fields = {"land_cover": land_cover, "second_choice": None, "term": "a term", "confidence": 0.8}
    return {**fields, "evidence": ["straight borders"], "mixed": False, **changes}


def catalogue(space: Workspace, **models: tuple[ModelServer, dict[str, Any]]) -> None:
    """Write the person's own models: name → its server and what else is known of it."""
    lines = []
    for name, (server, changes) in models.items():
        fields = {
            "title": name.title(),
            "provider": server.wire,
            "model": f"{name}-1",
            "address": server.address,
            "key_name": "SOME_API_KEY",
            "key_required": server.wire != "open",
            "input_price": 1.0,
            "output_price": 5.0,
            "max_tokens": 500,
            "limit": 2,
        } | changes
        lines += [f"[models.{name}]", *(f"{field} = {json.dumps(value)}" for field, value in fields.items())]
        lines += ['picture_tokens = { rule = "patches", side = 28, most = 1568 }', ""]
    (space.folder / CATALOGUE).write_text("\n".join(lines), "utf-8")


@contextmanager
def serving(space: Workspace, wire: Any, script: Any = (), *, names: str = "m", limit: int = 2, **options: Any):
    """One server with a model of each of these names, of one letter each."""
    with ModelServer(wire, script, **options) as server:
        catalogue(space, **{name: (server, {"limit": limit}) for name in names})
        yield server


def by_cluster(space: Workspace, run: str, said: Any, *, style: str = WORDS) -> Any:
    """A script that says what `said(model, cluster)` gives about the clusters that there are now."""
    texts = {
        question_text(space.question(run, cluster, style=style)).text: cluster for cluster in space.open_run(run).cards
    }
    return lambda call: answers(said(call.model.removesuffix("-1"), texts[call.text]))


def votes(result: Any, annotator: str) -> dict[int, int | None]:
    return {answer.cluster: answer.code for answer in result.legend.answers if answer.annotator == annotator}


def on_disk(space: Workspace, run: str) -> Any:
    """The files themselves, whatever the store says."""
    return read_run(space.store.run_folder(run))


def reopened(space: Workspace, run: str) -> Any:
    """The run as another process, or the next day, finds it."""
    with Workspace.open(space.folder).store as store:
        return Workspace(store).open_run(run)


def times_asked(server: ModelServer) -> list[int]:
    return list(Counter((call.model, call.text) for call in server.calls).values())


# ---- asking


@pytest.mark.parametrize("wire", ["open", "claude"])
def test_every_answer_is_in_the_store_the_legend_and_the_files_and_asked_for_once(space, run, wire):
    with serving(space, wire, otherwise=answers(form("water"))) as server:
        asked = space.ask(run, ["m", "rules"], keys=KEYS, style="plain")
        assert (len(asked.answers), asked.called, asked.found, asked.failures, asked.stopped) == (8, 4, 4, {}, "")
        assert asked.usage.dollars == pytest.approx(4 * (1200 * 1.0 + 80 * 5.0) / 1e6)
        assert all(len(call.pictures) == 2 for call in server.calls)
        expected = dict.fromkeys((1, 2, 3, 4), 80)
        for result in (space.open_run(run), on_disk(space, run), reopened(space, run)):
            assert votes(result, "m") == expected
            assert set(votes(result, "rules")) == set(expected)
            assert result.legend.entries[1].code == 80  # the rules could not tell
        kept = [answer for answer in space.store.answers(run) if answer.annotator == "m"]
        assert {answer.cluster: answer.model for answer in kept} == dict.fromkeys(expected, f"{wire}/m-1")
        again = space.ask(run, ["m"], keys=KEYS, style="plain")
        assert (again.called, again.found, again.usage.dollars) == (0, 4, 0.0)
        assert sorted(answer.code for answer in again.answers) == [80] * 4
        with Workspace.open(space.folder).store as store:
            assert Workspace(store).ask(run, ["m"], keys=KEYS, style="plain").called == 0
        assert len(server.calls) == 4
        assert len(space.open_run(run).legend.answers) == 8


def test_a_run_that_was_made_with_a_model_is_not_asked_about_again(space, run, monkeypatch):
    with serving(space, "open") as server:
        known = space.catalogue()
        monkeypatch.setattr(registry, "load_catalogue", lambda: known)
        request = SceneRequest.from_json(space.store.run(run).scene)
        settings = RunSettings(k=4, sample=2000, annotators=("rules", "m"))
        made = space.start(request, settings)
        assert len(server.calls) == 4
        asked = space.ask(made, ["m"], style=settings.style)
        assert (asked.called, asked.found) == (0, 4)
        assert space.ask(run, ["m"], style=settings.style).called == 0, "the same clusters in another run"
        space.edit_clusters(made, "merge", clusters=(2, 4))
        assert len(server.calls) == 4, "an edit asks no model, also where the run was made with it"
        assert (votes(space.open_run(made), "m").keys(), votes(space.open_run(made), "rules").keys()) == (
            {1, 3},
            {1, 3, 5},
        )


def test_one_that_fails_leaves_the_votes_of_the_others_and_is_told(space, run):
    with (
        ModelServer("open", otherwise=answers(form("bare"))) as fine,
        ModelServer("claude", lambda call: fails(401, "no such key")) as down,
    ):
        catalogue(space, m=(fine, {}), d=(down, {"limit": 1}), k=(down, {"key_name": "ABSENT_API_KEY"}))
        asked = space.ask(run, ["d", "k", "m"], keys=KEYS, style=WORDS)
        assert {answer.annotator for answer in asked.answers} == {"m"}
        assert set(asked.failures) == {"d", "k"}
        assert asked.failures["d"].startswith("4 of 4 questions have no answer.")
        assert "ABSENT_API_KEY" in asked.failures["k"]
        assert (len(fine.calls), len(down.calls)) == (4, 1)
        assert votes(on_disk(space, run), "m") == dict.fromkeys((1, 2, 3, 4), 60)
        with pytest.raises(AnnotationError, match="Nobody could answer") as caught:
            space.ask(run, ["d", "k"], keys=KEYS, style=WORDS)
        assert "ABSENT_API_KEY" in str(caught.value)
        assert KEY not in str(caught.value)
        assert votes(space.open_run(run), "m") == dict.fromkeys((1, 2, 3, 4), 60)


def test_what_cannot_be_asked_is_said_and_changes_nothing(space, run, tmp_path):
    before = reopened(space, run).legend
    with pytest.raises(AnnotationError, match="'oracle'"):
        space.ask(run, ["oracle"])
    with pytest.raises(AnnotationError, match="No annotator is named"):
        space.ask(run, [])
    with pytest.raises(AnnotationError, match="no cluster 9"):
        space.question(run, 9)
    (space.folder / CATALOGUE).write_text("[models.m]\ntitle = 'x'\n")
    with pytest.raises(CatalogueError, match=r"models\.toml"):
        space.ask(run, ["rules"])
    (space.folder / CATALOGUE).unlink()
    assert reopened(space, run).legend == before


def test_a_scene_that_has_gone_is_said_and_nothing_is_sent(space, tmp_path):
    write_scene(make_patchwork(side=40, patches=3)[0], tmp_path / "mine.tif")
    made = space.start(SceneRequest(str(tmp_path / "mine.tif")), RunSettings(k=3, sample=1000))
    (tmp_path / "mine.tif").unlink()
    with serving(space, "open") as server:
        with pytest.raises(SceneError):
            space.ask(made, ["m"], style=WORDS)
        assert len(space.ask(made, ["rules"]).answers) == 3  # they need no picture
        assert server.calls == []


# ---- price and budget


def test_an_estimate_needs_no_key_sends_nothing_and_counts_what_is_known(space, run):
    with serving(space, "claude") as server:
        catalogue(space, m=(server, {}), k=(server, {"key_name": "ABSENT_API_KEY"}))
        told = space.estimate(run, ["rules", "m", "k"], style="plain")
        assert [(model.name, model.calls, model.found, model.pictures) for model in told.models] == [
            ("m", 4, 0, 8),
            ("k", 4, 0, 8),
        ]
        assert server.calls == []
        assert told.dollars[1] > told.dollars[0] > 0.0
        space.ask(run, ["m"], keys=KEYS, style="plain")
        again = space.estimate(run, ["m"], style="plain")
        assert [(model.calls, model.found, model.dollars_high) for model in again.models] == [(0, 4, 0.0)]
        assert "4 answers are there already" in again.text
        assert space.estimate(run, ["rules"]).models == ()
        assert len(server.calls) == 4


def test_a_budget_ends_the_asking_and_says_so(space, run):
    with serving(space, "open", limit=1) as server:
        asked = space.ask(run, ["m"], style=WORDS, budget=0.0)
        assert (asked.answers, asked.failures, server.calls) == ((), {}, [])
        assert "The budget of $0.00 ended the asking" in asked.stopped
        assert "4 of 4 questions were not asked" in asked.stopped
        most = space.estimate(run, ["m"], style=WORDS).models[0].dollars_high / 8  # two asks of four questions
        part = space.ask(run, ["m"], style=WORDS, budget=1.5 * most)
        assert 0 < len(part.answers) < 4
        assert f"{4 - len(part.answers)} of 4 questions were not asked" in part.stopped
        assert part.usage.dollars <= 1.5 * most
        assert len(votes(on_disk(space, run), "m")) == len(part.answers)
        rest = space.ask(run, ["m"], style=WORDS)
        assert (len(rest.answers), rest.found, rest.stopped) == (4, len(part.answers), "")
        assert times_asked(server) == [1] * 4


# ---- stopping


def test_a_stop_in_the_middle_keeps_what_came_and_the_rest_is_paid_later(space, run):
    tracker, ended = Tracker(), []

    def work() -> None:
        try:
            space.ask(run, ["m"], style=WORDS, progress=tracker)
        except Cancelled as error:
            ended.append(error)

    with serving(space, "open", [answers(form("bare"))] * 2, otherwise=hangs(), limit=1) as server:
        thread = threading.Thread(target=work)
        thread.start()
        assert server.wait_for(3)
        tracker.cancel()
        thread.join(10)
        assert not thread.is_alive()
        assert len(ended) == 1
        first = list(server.calls)
    assert len(first) == 3
    came = votes(reopened(space, run), "m")
    assert len(came) == 2
    assert votes(on_disk(space, run), "m") == came
    with serving(space, "open", otherwise=answers(form("water"))) as server:  # the same model at another address
        asked = space.ask(run, ["m"], style=WORDS)
        assert (asked.found, asked.called) == (2, 2)
        assert {call.text for call in server.calls}.isdisjoint(call.text for call in first[:2])
    assert votes(reopened(space, run), "m") == dict.fromkeys((1, 2, 3, 4), 80) | came


# ---- edits


def test_edits_ask_no_model_and_keep_what_models_said_of_the_clusters_that_are_there(space, run):
    with serving(space, "open", limit=1) as server:
        server._script = by_cluster(space, run, lambda _, cluster: form(["bare", "water", "shrubland"][cluster % 3]))
        space.ask(run, ["m"], style=WORDS)
        said = votes(space.open_run(run), "m")
        assert said == {1: 80, 2: 20, 3: 60, 4: 80}
        assert len(server.calls) == 4

        def there() -> tuple[dict[int, Any], set[int]]:
            for result in (space.open_run(run), on_disk(space, run)):
                found = votes(result, "m"), set(votes(result, "rules"))
            assert found == (votes(reopened(space, run), "m"), set(votes(reopened(space, run), "rules")))
            return found

        assert space.edit_clusters(run, "merge", clusters=(2, 4)).edit.made == (5,)
        assert there() == ({1: 80, 3: 60}, {1, 3, 5})
        assert space.edit_clusters(run, "split", clusters=(3,), value=2).edit.made == (6, 7)
        assert there() == ({1: 80}, {1, 5, 6, 7})
        space.undo_edit(run)
        assert there() == ({1: 80, 3: 60}, {1, 3, 5})
        space.undo_edit(run)
        assert there() == (said, {1, 2, 3, 4})
        space.redo_edit(run)
        assert there() == ({1: 80, 3: 60}, {1, 3, 5})
        assert len(server.calls) == 4


def test_answers_that_came_after_an_edit_are_in_the_files_when_it_is_taken_back(space, run):
    with serving(space, "open", otherwise=answers(form("water"))):
        space.edit_clusters(run, "merge", clusters=(2, 4))
        space.ask(run, ["m"], style=WORDS)
        assert votes(on_disk(space, run), "m") == {1: 80, 3: 80, 5: 80}
        space.undo_edit(run)
        for result in (space.open_run(run), on_disk(space, run)):
            assert votes(result, "m") == {1: 80, 3: 80}
            assert result.legend.entries[1].code == 80
            assert set(result.landcover.codes[result.clusters.labels == 1]) == {80}
        assert space.store.run(run).summary["queue"] == len(space.open_run(run).legend.queue)
        space.redo_edit(run)
        assert votes(on_disk(space, run), "m") == {1: 80, 3: 80, 5: 80}


def test_only_a_new_cluster_is_paid_for_where_the_others_look_as_before(space, run):
    with serving(space, "open") as server:
        space.ask(run, ["m"], style="plain")
        space.edit_clusters(run, "merge", clusters=(2, 4))
        assert len(server.calls) == 4
        assert space.estimate(run, ["m"], style="plain").calls == 1
        asked = space.ask(run, ["m"], style="plain")
        assert (asked.called, asked.found) == (1, 2)
        assert votes(space.open_run(run), "m").keys() == {1, 3, 5}


def test_a_merger_that_was_asked_about_is_not_asked_about_again_after_undo_and_redo(space, run):
    with serving(space, "open") as server:
        space.edit_clusters(run, "merge", clusters=(2, 4))
        space.ask(run, ["m"], style=WORDS)
        space.undo_edit(run)
        space.redo_edit(run)
        assert space.ask(run, ["m"], style=WORDS).called == 0
        assert len(server.calls) == 3


# ---- answers given by hand


def test_a_pasted_answer_votes_and_the_last_one_pasted_counts(space, run):
    space.paste(run, 1, f"Sure! ```json\n{json.dumps(form('bare'))}\n```", name="My model", style=WORDS)
    for result in (space.open_run(run), on_disk(space, run), reopened(space, run)):
        assert votes(result, "My model") == {1: 60}
        assert result.legend.entries[1].code == 60
    for said, code in [("water", 80), ("bare", 60), ("water", 80), ("water", 80)]:
        answer = space.paste(run, 1, json.dumps(form(said)), name="My model", style=WORDS)
        assert answer.code == code
        assert reopened(space, run).legend.entries[1].code == code
    held = len(space.store.answers(run))
    space.paste(run, 1, json.dumps(form("water")), name="My model", style=WORDS)
    assert len(space.store.answers(run)) == held, "the same again is no other answer"
    space.paste(run, 1, json.dumps(form("bare")), name="Another", style=WORDS)
    assert votes(reopened(space, run), "Another") == {1: 60}


def test_a_paste_that_cannot_be_read_is_refused_with_its_fault_and_a_better_one_taken(space, run):
    before = reopened(space, run).legend
    for text, named in [("It is a forest.", "JSON"), (json.dumps(form("moon base")), "'moon base' is not exactly")]:
        with pytest.raises(AnnotationError, match=named):
            space.paste(run, 1, text, name="My model", style=WORDS)
    with pytest.raises(AnnotationError, match="answers by itself"):
        space.paste(run, 1, json.dumps(form()), name="rules", style=WORDS)
    with pytest.raises(UnsafeNameError):
        space.paste(run, 1, json.dumps(form()), name="../x", style=WORDS)
    with pytest.raises(AnnotationError, match="no cluster 9"):
        space.paste(run, 9, json.dumps(form()), name="My model", style=WORDS)
    assert reopened(space, run).legend == before
    space.paste(run, 1, json.dumps(form("unknown")), name=" My model ", style=WORDS)
    assert votes(reopened(space, run), "My model") == {1: None}


def given(cluster: int, code: int | None, *, who: str = "me", **changes: Any) -> Answer:
    fields = {"confidence": 0.9, "card": f"card {cluster}", "prompt": "prompt", "model": "some model"}
    return Answer(annotator=who, cluster=cluster, code=code, **fields | changes)


def test_answers_given_elsewhere_are_taken_all_or_none(space, run):
    before = reopened(space, run).legend
    for bad, named in [
        (given(9, 60), "no cluster 9"),
        (given(2, 11), "no class 11"),
        (given(2, 60, second=12), "no class 12"),
    ]:
        with pytest.raises(AnnotationError, match=f"{named}.*; nothing was taken in"):
            space.take_answers(run, [given(1, 60), bad])
    assert reopened(space, run).legend == before
    assert space.open_run(run).legend == before
    space.take_answers(run, [given(1, 60), given(2, None)])
    for result in (space.open_run(run), on_disk(space, run), reopened(space, run)):
        assert votes(result, "me") == {1: 60, 2: None}


def test_two_people_who_asked_the_same_model_keep_their_own_answers(space, run):
    space.take_answers(run, [given(1, 60), given(1, 80, who="you"), given(1, 80, who="she")])
    result = reopened(space, run)
    assert [votes(result, who)[1] for who in ("me", "you", "she")] == [60, 80, 80]
    assert result.legend.entries[1].code == 80
    assert len(result.legend.entries[1].voters) == 4  # and the rules


# ---- how votes count, records, words


def test_every_way_of_voting_is_kept_through_edits_and_reopening(space, run):
    said = {"a": form("bare", confidence=0.2), "b": form("bare", confidence=0.2), "c": form("water", confidence=0.9)}
    with serving(space, "open", lambda call: answers(said[call.model[0]]), names="abc"):
        space.ask(run, ["a", "b", "c"], style=WORDS)
    for cluster in (2, 3, 4):
        space.override(run, cluster, 80, who="Ada")
    right = {name: (record.right, record.total) for name, record in space.records().items()}
    assert right == {"a": (0, 3), "b": (0, 3), "c": (3, 3), "rules": (0, 3)}
    expected = {"majority": 60, "confidence": 80, "record": 80}
    folder = space.store.run_folder(run)

    def stands(kind: str) -> Any:
        rule = space.open_run(run).legend.rule
        assert json.loads((folder / "legend.json").read_text("utf-8"))["rule"] == rule.to_json()
        assert json.loads((folder / "run.json").read_text("utf-8"))["settings"]["voting"] == kind
        for result in (space.open_run(run), on_disk(space, run), reopened(space, run)):
            assert result.legend.rule == rule
            assert result.legend.entries[1].code == expected[kind]
            assert result.settings.voting == rule.kind == kind
        return rule

    for kind in ("confidence", "majority", "record"):
        space.set_voting(run, kind)
        rule = stands(kind)
    space.edit_clusters(run, "merge", clusters=(3, 4))
    assert stands("record") == rule
    space.undo_edit(run)
    assert stands("record") == rule
    space.redo_edit(run)
    assert stands("record") == rule
    assert rule.weights["c"] > rule.weights["a"] + rule.weights["b"]
    assert reopened(space, run).legend.entries[2].code == 80, "what people decided stays"
    with pytest.raises(LegendError, match="no voting rule 'loudest'"):
        space.set_voting(run, "loudest")  # type: ignore[arg-type]


def test_what_is_carried_over_begins_from_the_vote_as_it_counts(space, run):
    """By majority the rules alone would name what an edit made; by a record without any weight nobody does."""
    rule = VotingRule("record", {"rules": 0.0})
    space._change(run, lambda now: replace(now, legend=replace(now.legend, rule=rule)))
    for cluster in (2, 3):
        space.override(run, cluster, 80, who="Ada")
    space.edit_clusters(run, "merge", clusters=(2, 3))
    space.edit_clusters(run, "split", clusters=(4,), value=2)
    said = votes(space.open_run(run), "rules")
    assert None not in (said[5], said[6], said[7])
    space.undo_edit(run)
    space.override(run, 4, 60, who="Ada")
    space.redo_edit(run)
    carried = [event for event in space.store.events(run) if event.cluster in (5, 6, 7)]
    assert {(event.cluster, event.before, event.after) for event in carried} == {
        (5, None, 80),
        (6, None, 60),
        (7, None, 60),
    }
    assert reopened(space, run).legend.rule == rule


def test_a_word_that_was_taught_is_understood_in_the_next_question(space, run):
    with serving(space, "open", otherwise=answers(form("zorblat"))) as server:
        asked = space.ask(run, ["m"], style=WORDS)
        assert {answer.code for answer in asked.answers} == {None}
        assert all("zorblat" in answer.fault for answer in asked.answers)
        assert len(server.calls) == 8, "each question once more with its fault"
        space.learn(run, "zorblat", 60, who="Ada")
        asked = space.ask(run, ["m"], style="plain")
        assert {(answer.code, answer.fault, answer.asks) for answer in asked.answers} == {(60, "", 1)}
        assert len(server.calls) == 12
    assert votes(reopened(space, run), "m") == dict.fromkeys((1, 2, 3, 4), 60)
    with Workspace.open(space.folder).store as store:
        assert store.synonyms(space.open_run(run).legend.scheme) == {"zorblat": 60}


# ---- a second look


def first_round(model: str, cluster: int) -> dict[str, Any]:
    """The first cluster is disputed, the second called mixed; on the others both agree."""
    if cluster == 1:
        return form({"a": "bare", "b": "water"}[model], evidence=[f"seen by {model}"])
    return form({2: "snow_ice", 3: "cropland", 4: "grassland"}[cluster], mixed=cluster == 2)


@pytest.fixture
def doubtful(space, run):
    """A server of two models that answered the first round; its clusters 3 and 4 are beyond doubt."""
    for cluster in (3, 4):
        space.override(run, cluster, 40)
    with serving(space, "open", names="ab") as server:
        server._script = by_cluster(space, run, first_round)
        space.ask(run, ["a", "b"], style=WORDS)
        yield server


def test_clusters_in_doubt_are_split_or_asked_again_with_what_was_said(space, run, doubtful):
    assert {(doubt.cluster, doubt.reason, doubt.action) for doubt in space.doubts(run)} == {
        (1, "disputed", "closer"),
        (2, "mixed", "split"),
    }
    before = len(doubtful.calls)
    doubtful._script = lambda call: answers(form("water", evidence=["flat"]))
    report = space.second_look(run, ["a", "b"], style=WORDS, who="Ada")
    seen = doubtful.calls[before:]
    assert (report.number, report.asked, report.splits, report.calls) == (2, (1, 5, 6), {2: (5, 6)}, 6)
    assert report.usage.input_tokens == 6 * 1200
    assert report.changed == {1: (None, 80)}
    assert (report.clusters_before, report.clusters_after) == (4, 5)
    quoted = [call for call in seen if "Said of the target in an earlier round" in call.text]
    assert len(seen) == 6
    assert len(quoted) == 2, "the parts of a split are new: nothing was said of them"
    for call in quoted:
        assert "“Bare / sparse vegetation”" in call.text
        assert "“seen by a”" in call.text
        assert "“seen by b”" in call.text
    for result in (space.open_run(run), on_disk(space, run), reopened(space, run)):
        assert result.rounds == (report,)
        later = {(one.annotator, one.cluster): one.code for one in result.legend.answers if one.round == 2}
        assert later == {(name, cluster): 80 for name in "ab" for cluster in (1, 5, 6)}
        assert result.legend.entries[1].code == 80
        assert set(result.cards) == {1, 3, 4, 5, 6}
    written = json.loads((space.store.run_folder(run) / "run.json").read_text("utf-8"))
    assert [row["asked"] for row in written["rounds"]] == [[1, 5, 6]]
    (entry,) = space.open_run(run).edits.entries
    assert (entry.kind, entry.who, entry.edit.why) == ("split", "Ada", "second look: mixed")
    space.undo_edit(run)
    back = reopened(space, run)
    assert set(back.cards) == {1, 2, 3, 4}
    assert votes(back, "a")[2] == 70
    assert back.legend.entries[1].code == 80, "the second answers about the other cluster stay"
    assert back.rounds == (report,)


def test_without_splitting_a_mixed_cluster_is_asked_about_once_more_and_then_left_to_people(space, run, doubtful):
    doubtful._script = lambda call: answers(form("built_up", mixed=True))
    report = space.second_look(run, ["a", "b"], style=WORDS, split=False)
    assert (report.asked, report.splits, report.calls) == ((1, 2), {}, 4)
    assert space.open_run(run).edits.entries == ()
    assert space.open_run(run).legend.entries[2].code == 50
    assert space.doubts(run) == ()
    calls = len(doubtful.calls)
    with pytest.raises(AnnotationError, match="nothing to look at again"):
        space.second_look(run, ["a", "b"], style=WORDS)
    assert len(doubtful.calls) == calls


def test_a_second_look_that_nobody_answers_is_no_round(space, run):
    with serving(space, "open") as server:
        assert [doubt.reason for doubt in space.doubts(run)] == ["unknown"]
        with pytest.raises(AnnotationError, match=r"budget of \$0\.00 ended the asking"):
            space.second_look(run, ["m"], style=WORDS, budget=0.0)
        assert server.calls == []
        assert reopened(space, run).rounds == ()
        report = space.second_look(run, ["m"], style=WORDS)
        assert (report.asked, report.calls, report.decided_before, report.decided_after) == ((1,), 1, 3, 4)
    space.override(run, 1, 60)
    with pytest.raises(AnnotationError, match="nothing to look at again"):
        space.second_look(run, ["m"], style=WORDS)


def test_a_cluster_that_cannot_be_split_is_asked_about_as_it_is(space, run, doubtful, monkeypatch):
    def fail(*_: Any, **__: Any) -> Any:
        raise EditError("All its pixels are alike.")

    before = len(doubtful.calls)
    doubtful._script = lambda call: answers(form("water"))
    monkeypatch.setattr(space, "edit_clusters", fail)
    report = space.second_look(run, ["a"], style=WORDS)
    assert (report.asked, report.splits, report.calls) == ((1, 2), {}, 2)
    assert sum("“Snow and ice”, and that it is mixed" in call.text for call in doubtful.calls[before:]) == 1


def test_a_second_look_that_is_stopped_keeps_its_splits_and_answers_and_is_no_round(space, run, doubtful):
    tracker, ended = Tracker(), []
    before = len(doubtful.calls)
    doubtful._script = lambda call: answers(form("water")) if call.number <= before + 2 else hangs()

    def work() -> None:
        try:
            space.second_look(run, ["a", "b"], style=WORDS, progress=tracker)
        except Cancelled as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert doubtful.wait_for(before + 4)
    tracker.cancel()
    thread.join(10)
    assert not thread.is_alive()
    assert len(ended) == 1
    result = reopened(space, run)
    assert set(result.cards) == {1, 3, 4, 5, 6}
    assert [answer.round for answer in result.legend.answers].count(2) == 2
    assert result.rounds == ()


# ---- keys


def test_no_key_is_in_any_file_log_or_text(space, run, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    coded = base64.b64encode(KEY.encode()).decode()
    leaky = [
        says(f"Your key is {KEY}, or {coded}."),
        answers(form("water", term=f"the key {KEY}", evidence=[coded, f"Bearer {KEY}"])),
        *[fails(400, f"What about {KEY} ({coded})?", headers={"x-request-id": KEY})] * 2,
        says(f"{coded[:-1]} {KEY}"),
    ]
    texts = []

    class Watch(Tracker):
        def report(self, share: float, text: str) -> None:
            super().report(share, text)
            texts.append(text)

    with (
        ModelServer("open", leaky, otherwise=says(json.dumps(form("bare", second_choice=KEY)))) as talks,
        ModelServer("claude", lambda call: fails(401, f"invalid key {KEY} {coded}")) as refuses,
    ):
        catalogue(space, t=(talks, {"limit": 1}), r=(refuses, {"limit": 1}))
        asked = space.ask(run, ["t", "r"], keys=KEYS, style=WORDS, progress=Watch())
        assert {call.key for call in (*talks.calls, *refuses.calls)} == {KEY}
        assert len(talks.calls) > 4
        assert set(asked.failures) == {"t", "r"}
        assert {answer.annotator for answer in asked.answers} == {"t"}
        assert {answer.code for answer in asked.answers} >= {80, 60}
        texts += [repr(asked), repr(space.store.replies(run)), repr(KEYS), *(call.text for call in talks.calls)]
        with pytest.raises(AnnotationError) as caught:
            space.ask(run, ["r"], keys=KEYS, style=WORDS)
        texts += ["".join(traceback.format_exception(caught.value)), repr(caught.value)]
        texts.append(space.estimate(run, ["t", "r"], style=WORDS).text)
        report = space.second_look(run, ["t", "rules"], keys=KEYS, style=WORDS, split=False)
        texts += [repr(report), repr(space.open_run(run))]
    names = space.export(run, tmp_path / "export")
    assert {"legend.json", "run.json"} <= set(names)
    forbidden = {KEY, coded, coded.rstrip("="), json.dumps(KEY)[1:-1], KEY.replace("/", "%2F").replace("+", "%2B")}
    for text in (*texts, caplog.text):
        assert not [one for one in forbidden if one in text], text[:300]
    searched = [path for folder in (space.folder, tmp_path / "export") for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in searched} >= {".json", ".tif"}
    assert [path for path in searched if path.read_bytes().startswith(b"SQLite format 3")]
    for path in searched:
        content = path.read_bytes()
        assert not [one for one in forbidden if one.encode() in content], path
        assert b"RECOGNISABLE" not in content, path


def test_turns_of_the_test_server_do_leak(space, run):
    """The search above would find a key: without keys to blot out, what the model echoes is kept as it came."""
    with serving(space, "open", otherwise=Turn(text=f"Your key is {KEY}.")):
        space.ask(run, ["m"], keys=Keys(), style=WORDS)
    assert KEY in repr(space.store.replies(run))
    assert KEY in (space.store.run_folder(run) / "legend.json").read_text("utf-8")
