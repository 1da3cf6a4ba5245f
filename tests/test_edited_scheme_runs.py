"""Runs whose classes people edit while they work: nothing breaks, nothing is lost."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import numpy as np
import pytest
import rasterio

from s2dash.annotation.annotate import make_annotators
from s2dash.annotation.answer import Answer, Question
from s2dash.annotation.exhibits import build_exhibits
from s2dash.annotation.form import form_schema
from s2dash.annotation.legend import Legend
from s2dash.annotation.question_text import question_text
from s2dash.annotation.replay import ReplayAnnotator, make_recording
from s2dash.cli.main import main
from s2dash.comparison import AGREES, DISAGREES, agreement, disagreement
from s2dash.errors import LegendError, SchemeError, StoreError
from s2dash.export.cog import write_class_cog
from s2dash.export.run_files import read_run
from s2dash.export.scene import write_scene
from s2dash.landcover import LandCoverMap
from s2dash.map_edit import MapEdit
from s2dash.naming_scores import naming_scores
from s2dash.pipeline import ReferenceSettings, RunSettings
from s2dash.reference import Reference
from s2dash.schemes import load_scheme
from s2dash.sources.request import SceneRequest
from s2dash.testing import make_grid, make_patchwork
from s2dash.testing_models import ModelServer, answers
from s2dash.workspace import Workspace

CLASSES = {10: "#006400", 40: "#F096FF", 50: "#FA0000", 80: "#0064C8"}
GREENHOUSE = {"op": "add", "names": {"en": "Greenhouse", "uk": "Теплиця"}, "colour": "#12AB34", "counts_as": 50}
NEW = 101


@pytest.fixture
def space(tmp_path):
    return Workspace.open(tmp_path / "workspace")


@pytest.fixture
def run(space, tmp_path):
    scene, stripes = make_patchwork(side=40)
    write_scene(scene, tmp_path / "scene.tif")
    codes = np.array([0, *CLASSES], dtype=np.uint8)[stripes]
    write_class_cog(tmp_path / "map.tif", codes, grid=scene.grid, names=dict.fromkeys(CLASSES, "x"), colours=CLASSES)
    asked = SceneRequest(str(tmp_path / "scene.tif"))
    return space.start(asked, RunSettings(k=4, sample=5_000), reference=ReferenceSettings(str(tmp_path / "map.tif")))


def do(space, run, content, kind="class", who="Ada"):
    return space.change_map(run, MapEdit(kind, content, who=who))


def built_up(result):
    """The cluster that is built-up ground."""
    expected = result.reference.codes
    shares = {c: (expected[result.clusters.labels == c] == 50).mean() for c in result.cards}
    return max(shares, key=shares.get)


def test_a_class_is_added_used_and_survives_a_restart(space, run, tmp_path):
    before = space.open_run(run)
    kept = do(space, run, GREENHOUSE)
    assert (kept.content["code"], kept.seq, kept.who) == (NEW, 1, "Ada")
    with pytest.raises(LegendError, match="no class 102"):
        space.override(run, 1, 102)
    cluster = built_up(before)
    space.override(run, cluster, NEW, who="Olena")
    again = Workspace.open(tmp_path / "workspace").open_run(run)
    assert again.legend.entries[cluster].code == NEW
    assert again.legend.scheme[NEW].names["uk"] == "Теплиця"
    assert (again.landcover.codes == NEW).sum() == again.clusters.counts()[cluster]
    assert NEW in again.landcover.area_ha()
    assert again.legend.answers == before.legend.answers  # answers from before stay as they were


def test_a_new_class_counts_as_another_in_the_comparison_and_only_there(space, run):
    cluster = built_up(space.open_run(run))
    space.override(run, cluster, 50)
    plain = space.open_run(run)
    do(space, run, GREENHOUSE)
    space.override(run, cluster, NEW)
    edited = space.open_run(run)
    assert not np.array_equal(edited.landcover.codes, plain.landcover.codes)
    assert edited.agreement.confusion == plain.agreement.confusion
    assert edited.agreement.ceiling == plain.agreement.ceiling
    assert np.array_equal(
        disagreement(edited.landcover, edited.reference), disagreement(plain.landcover, plain.reference)
    )
    assert "Greenhouse was added to the classes of this run and counts as Built-up here." in edited.agreement.caution
    assert "Greenhouse" not in plain.agreement.caution
    assert naming_scores(edited) == naming_scores(plain)


def test_a_new_class_without_counterpart_counts_as_disagreement(space, run):
    cluster = built_up(space.open_run(run))
    do(space, run, {**GREENHOUSE, "counts_as": None})
    space.override(run, cluster, NEW)
    edited = space.open_run(run)
    inside = disagreement(edited.landcover, edited.reference)[edited.clusters.labels == cluster]
    assert set(np.unique(inside)) == {DISAGREES}
    assert NEW in edited.agreement.confusion.codes
    assert "Greenhouse was added to the classes of this run and has no counterpart" in edited.agreement.caution


def test_pixels_are_counted_once_whatever_they_count_as():
    base = load_scheme("worldcover")
    cls = replace(base[50], code=NEW, key="greenhouse", names={"en": "G", "uk": "G"}, added=True, counts_as=50)
    scheme = replace(base, classes=(*base.classes, cls))
    grid = make_grid(2, 3)
    mapped = np.array([[NEW, NEW, 50], [10, NEW, 255]], dtype=np.uint8)
    expected = np.array([[50, 10, 50], [10, NEW, 50]], dtype=np.uint8)
    landcover = LandCoverMap(grid, mapped, np.zeros_like(mapped), scheme)
    found = agreement(landcover, Reference(grid, expected, scheme, "Map"))
    by_hand = {(50, 50): 3, (10, 50): 1, (10, 10): 1}
    codes = found.confusion.codes
    assert {
        (codes[row], codes[column]): n
        for row, part in enumerate(found.confusion.matrix)
        for column, n in enumerate(part)
        if n
    } == by_hand
    assert found.confusion.undecided == tuple({10: 0, 50: 1}[code] for code in codes)
    verdicts = disagreement(landcover, Reference(grid, expected, scheme, "Map"))
    assert verdicts.tolist() == [[AGREES, DISAGREES, AGREES], [AGREES, AGREES, DISAGREES]]


def test_the_files_of_an_edited_run_stand_alone(space, run, tmp_path):
    cluster = built_up(space.open_run(run))
    do(space, run, GREENHOUSE)
    do(space, run, {"op": "rename", "code": 10, "names": {"en": "Woods & <groves>"}})
    do(space, run, {"op": "recolour", "code": 10, "colour": "#123456"})
    space.override(run, cluster, NEW)
    out = tmp_path / "out"
    space.export(run, out)
    alone, kept = read_run(out), space.open_run(run)
    assert alone.legend == kept.legend
    assert alone.legend.scheme == kept.legend.scheme
    assert alone.reference.scheme == kept.legend.scheme
    assert alone.agreement == kept.agreement
    assert np.array_equal(alone.landcover.codes, kept.landcover.codes)
    assert [edit["content"]["op"] for edit in json.loads((out / "run.json").read_text())["map_edits"]] == [
        "add",
        "rename",
        "recolour",
    ]
    with rasterio.open(out / "landcover.tif") as file:
        palette = file.colormap(1)
    assert palette[NEW][:3] == (0x12, 0xAB, 0x34)
    assert palette[10][:3] == (0x12, 0x34, 0x56)
    sidecar = (out / "landcover.tif.aux.xml").read_text()
    assert "Greenhouse" in sidecar
    assert "Woods &amp; &lt;groves&gt;" in sidecar
    assert "Greenhouse" in (out / "clusters.tif.aux.xml").read_text()


def test_a_legend_of_an_unedited_scheme_is_written_as_before(space, run):
    table = space.open_run(run).legend.to_json()
    assert "classes" not in table
    assert Legend.from_json(table).scheme is load_scheme("worldcover")


def test_new_questions_list_the_new_class_and_old_answers_are_not_asked_for_again(space, run):
    before = space.question(run, 1)
    do(space, run, {"op": "recolour", "code": 10, "colour": "#123456"})
    same = space.question(run, 1)
    assert question_text(same).fingerprint == question_text(before).fingerprint  # a colour is no matter of words
    do(space, run, GREENHOUSE)
    after = space.question(run, 1)
    assert NEW in question_text(after).listed
    assert "\n- glasshouse\n" in question_text(after).text
    assert question_text(after).fingerprint != question_text(before).fingerprint
    assert "glasshouse" in json.dumps(form_schema(after.scheme))
    said = {"land_cover": "glasshouse", "second_choice": "built_up", "confidence": 0.8, "evidence": [], "mixed": False}
    answer = space.paste(run, 1, json.dumps(said), name="by hand")
    assert (answer.code, answer.second) == (NEW, 50)
    entry = space.open_run(run).legend.entries[1]
    assert NEW in entry.vote.tally
    assert {one.annotator for one in entry.voters} >= {"rules", "by hand"}
    assert space.doubts(run)  # the rules say something else: a second look would be about it
    with pytest.raises(SchemeError, match="by hand answered it for cluster 1"):
        do(space, run, {"seq": 2}, kind="withdraw")


def test_the_same_word_under_another_code_is_another_question(space, run):
    first = do(space, run, GREENHOUSE)
    here = replace_code(space.open_run(run).legend.scheme, NEW, 102)
    question = space.question(run, 1)
    with ModelServer("open", ()) as server:
        add_model(space, server.address)
        (eye,), _ = make_annotators(["eye"], catalogue=space.catalogue(), live=False)
        assert eye.prompt_fingerprint(question) != eye.prompt_fingerprint(replace(question, scheme=here))
    assert first.content["code"] == NEW


def test_models_vote_for_the_new_class_and_a_changed_list_is_asked_about_again(space, run):
    said = {"land_cover": "glasshouse", "second_choice": None, "term": "glass", "confidence": 0.9, "evidence": []}
    do(space, run, GREENHOUSE)
    with ModelServer("open", (), otherwise=answers({**said, "mixed": False})) as server:
        add_model(space, server.address)
        space.ask(run, ["eye"])
        asked = len(server.calls)
        assert asked == len(space.open_run(run).cards)
        assert {entry.voters[-1].code for entry in space.open_run(run).legend.entries.values()} == {NEW}
        do(space, run, {"op": "recolour", "code": 10, "colour": "#123456"})
        space.ask(run, ["eye"])
        assert len(server.calls) == asked  # found again: no word of the question changed
        do(space, run, {"op": "rename", "code": NEW, "names": {"en": "Polytunnel"}})
        space.ask(run, ["eye"])
        assert len(server.calls) == 2 * asked
    legend = space.open_run(run).legend
    assert {answer.code for answer in legend.answers if answer.annotator == "eye"} == {NEW}


def replace_code(scheme, old, new):
    return replace(scheme, classes=tuple(replace(cls, code=new) if cls.code == old else cls for cls in scheme.classes))


def add_model(space, address):
    (space.folder / "models.toml").write_text(
        f'[models.eye]\ntitle = "Eye"\nprovider = "open"\nmodel = "tiny"\naddress = "{address}"\n'
        'key_name = "EYE_KEY"\nkey_required = false\ninput_price = 0.0\noutput_price = 0.0\n'
        'picture_tokens = { rule = "fixed", each = 300 }\n'
    )


def test_clusters_can_be_split_and_merged_and_put_back_with_a_new_class(space, run):
    cluster = built_up(space.open_run(run))
    do(space, run, GREENHOUSE)
    space.override(run, cluster, NEW, who="Olena")
    other = next(number for number in space.open_run(run).cards if number != cluster)
    entry = space.edit_clusters(run, "merge", clusters=(cluster, other))
    merged = space.open_run(run)
    assert NEW in merged.legend.scheme
    assert "Greenhouse" in " ".join(entry.notes)
    space.undo_edit(run)
    assert space.open_run(run).legend.entries[cluster].code == NEW
    entry = space.edit_clusters(run, "merge", clusters=(cluster, other))
    (made,) = entry.edit.made
    space.override(run, made, NEW)
    space._read.cache_clear()
    assert space.open_run(run).legend.entries[made].code == NEW


def test_a_class_taken_back_while_its_cluster_was_merged_away_returns_with_it(space, run):
    cluster = built_up(space.open_run(run))
    added = do(space, run, GREENHOUSE)
    space.override(run, cluster, NEW)
    other = next(number for number in space.open_run(run).cards if number != cluster)
    space.edit_clusters(run, "merge", clusters=(cluster, other))
    do(space, run, {"seq": added.seq}, kind="withdraw")  # nothing on the map uses it now
    assert NEW not in space.open_run(run).legend.scheme
    space.undo_edit(run)
    back = space.open_run(run)
    assert back.legend.entries[cluster].code == NEW
    assert NEW in back.legend.scheme
    _ = back.landcover.area_ha(), back.agreement


def test_taking_back_a_class_that_is_used_says_where(space, run):
    added = do(space, run, GREENHOUSE)
    space.override(run, 1, NEW, who="Olena")
    with pytest.raises(SchemeError, match="Olena set cluster 1 to it"):
        do(space, run, {"seq": added.seq}, kind="withdraw")
    space.undo(run)
    do(space, run, {"seq": added.seq}, kind="withdraw")
    closed = space.open_run(run)
    assert NEW not in closed.legend.scheme
    assert closed.legend.scheme[NEW].name == "Greenhouse"  # for the history
    with pytest.raises(LegendError, match="no class 101"):
        space.override(run, 2, NEW)
    space.redo(run)
    assert space.open_run(run).legend.entries[1].code == NEW
    assert NEW in space.open_run(run).legend.scheme


def test_a_decision_at_the_same_moment_as_the_taking_back_is_not_lost(space, run, tmp_path):
    added = do(space, run, GREENHOUSE)
    event = space.open_run(run).legend.override(1, NEW, who="Olena").events[-1]
    do(space, run, {"seq": added.seq}, kind="withdraw", who="Petro")
    space.store.add_event(run, event)  # hers arrives a moment later
    found = Workspace.open(tmp_path / "workspace").open_run(run)
    assert found.legend.entries[1].code == NEW
    assert NEW in found.legend.scheme
    assert found.agreement is not None


def test_people_who_add_classes_at_once_all_get_one(space, run, tmp_path):
    found, faults = [], []

    def add(number):
        own = Workspace.open(tmp_path / "workspace")
        try:
            found.append(
                do(own, run, {**GREENHOUSE, "names": {"en": f"Crop of {'abcdefgh'[number]}"}}, who=str(number))
            )
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    codes = [edit.content["code"] for edit in found]
    assert sorted(codes) == list(range(101, 107))
    assert {edit.seq for edit in found} == set(range(1, 7))
    assert set(codes) <= set(space.open_run(run).legend.scheme.codes)


def test_the_same_name_twice_at_once_becomes_one_class(space, run):
    do(space, run, GREENHOUSE, who="Ada")
    with pytest.raises(SchemeError, match="already the name of the class 101"):
        do(space, run, GREENHOUSE, who="Petro")


def test_a_run_that_is_not_there_is_said(space):
    with pytest.raises(StoreError):
        do(space, "20200101-000000-abcdef", GREENHOUSE)


def test_words_taught_for_a_new_class_hold_where_that_class_is(space, run, tmp_path):
    do(space, run, GREENHOUSE)
    space.learn(run, "polytunnel", NEW)
    assert space.store.synonyms(space.open_run(run).legend.scheme) == {"polytunnel": NEW}
    assert space.store.synonyms(load_scheme("worldcover")) == {}
    # In another run the same code is another class, and the same class may have another code.
    solar = replace_code(space.open_run(run).legend.scheme, NEW, 120)
    assert space.store.synonyms(solar) == {"polytunnel": 120}
    other = replace(solar, classes=tuple(replace(c, key="solar") if c.added else c for c in solar.classes))
    assert space.store.synonyms(other) == {}


def test_a_word_that_was_taught_and_becomes_a_class_names_the_class(space, run):
    space.learn(run, "glasshouse", 50)
    do(space, run, {**GREENHOUSE, "names": {"en": "Glasshouse"}})
    assert "glasshouse" not in space.store.synonyms(space.open_run(run).legend.scheme)
    assert space.store.synonyms(load_scheme("worldcover")) == {"glasshouse": 50}


def test_files_that_are_behind_are_read_with_the_new_class(space, run, tmp_path):
    do(space, run, GREENHOUSE)
    space.override(run, 1, NEW)
    folder = space.store.run_folder(run)
    old = {name: (folder / name).read_bytes() for name in ("run.json", "legend.json")}
    entry = space.edit_clusters(run, "merge", clusters=(2, 3))
    for name, content in old.items():
        (folder / name).write_bytes(content)  # as a crash just after the record leaves them
    found = Workspace.open(tmp_path / "workspace").open_run(run)
    assert set(entry.edit.made) <= set(found.cards)
    assert found.legend.entries[1].code == NEW
    assert read_run(folder).legend.scheme[NEW].name == "Greenhouse"


def test_a_recording_keeps_its_own_classes(space, run):
    do(space, run, GREENHOUSE)
    question = space.question(run, 1)
    raw = json.dumps({"land_cover": "glasshouse", "confidence": 0.7, "evidence": [], "mixed": False})
    said = Answer(annotator="x", cluster=1, code=NEW, confidence=0.7, card="c", prompt="p", model="m", raw=raw)
    recording = make_recording([said], [question], model="m", recorded=said.answered.date())
    replay = ReplayAnnotator(type(recording).model_validate_json(recording.to_text()))
    assert replay.answer(question).code == NEW
    assert replay.answer(replace(question, scheme=replace_code(question.scheme, NEW, 120))).code == 120
    assert replay.answer(replace(question, scheme=load_scheme("worldcover"))).code == 50
    assert replay.answer(replace(question, scheme=load_scheme("main"))).code == 3


def test_the_command_line_reads_answers_for_an_edited_run(space, run, tmp_path, monkeypatch, capsys):
    do(space, run, GREENHOUSE)
    space.override(run, 2, NEW)
    out = tmp_path / "out"
    space.export(run, out)
    result = space.open_run(run)
    exhibits = build_exhibits(result.clusters, space.scene(run), result.cards, style="numbers")
    question = Question(result.cards[1], result.legend.scheme, exhibit=exhibits[1], seed=result.settings.seed)
    reply = {"land_cover": "glasshouse", "confidence": 0.9, "evidence": ["glass"], "mixed": False, "term": "glass"}
    rows = [{"cluster": 1, "card": question.fingerprint, **reply}]
    file = tmp_path / "answers.json"
    file.write_text(json.dumps({"model": "m", "scheme": "worldcover", "style": "numbers", "answers": rows}))
    monkeypatch.setenv("S2DASH_WORKSPACE", str(tmp_path / "workspace"))
    for name in (str(out), run):
        assert main(["answers", name, str(file), "--as", "hand"]) == 0
        assert "Greenhouse" in capsys.readouterr().out
    assert read_run(out).legend.entries[1].voters[-1].code == NEW
    assert space.open_run(run).legend.entries[1].voters[-1].code == NEW
