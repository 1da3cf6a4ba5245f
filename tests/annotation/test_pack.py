"""A pack: everything that a model is shown and nothing else; answers to it come back whole."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from s2dash.annotation.answer import Question
from s2dash.annotation.cards import build_cards
from s2dash.annotation.colour_words import colour_words
from s2dash.annotation.exhibits import build_exhibits
from s2dash.annotation.form import form_schema
from s2dash.annotation.pack import (
    TEMPLATE,
    answer_from_text,
    answers_about,
    pack_files,
    read_answers,
    write_pack,
)
from s2dash.annotation.question_text import question_text
from s2dash.clustering.model import ClusterMap
from s2dash.errors import AnnotationError, OutputError
from s2dash.schemes import load_scheme
from s2dash.testing import make_patchwork


@pytest.fixture(scope="module")
def questions() -> list[Question]:
    scene, labels = make_patchwork(side=48, patches=3)
    clusters = ClusterMap(scene.grid, labels, None)
    cards = build_cards(clusters, scene)
    exhibits = build_exhibits(clusters, scene, cards)
    return [Question(cards[n], load_scheme("worldcover"), exhibit=one) for n, one in exhibits.items()]


def form(cluster: int, land_cover: str = "cropland", **fields) -> dict:
    blank = {"second_choice": None, "term": "a field", "confidence": 0.7, "evidence": ["x"], "mixed": False}
    return {"cluster": cluster, "land_cover": land_cover, **blank, **fields}


def written(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content), "utf-8")
    return path


def test_a_pack_holds_pictures_question_and_form(questions, tmp_path) -> None:
    asked = [replace(question, earlier=("Somebody said water.",)) for question in questions]
    paths = write_pack(tmp_path, asked)
    assert sorted(str(path.relative_to(tmp_path)) for path in paths) == sorted(pack_files(tmp_path))
    for question in questions:
        folder = tmp_path / f"{question.card.cluster:02d}"
        for place, picture in enumerate(question.exhibit.pictures, start=1):
            assert (folder / f"{place}-{picture.key}.png").read_bytes() == picture.png
        assert (folder / "question.txt").read_text() == question_text(question).text + "\n"
    assert json.loads((tmp_path / "form.json").read_text()) == form_schema(load_scheme("worldcover"))
    everything = "".join(path.read_text() for path in paths if path.suffix != ".png")
    assert "Somebody said" not in everything
    assert not colour_words(everything)
    for word in ("reference", "truth", "agreement", "rules-1", *(c.colour for c in load_scheme("worldcover").classes)):
        assert word not in everything


def test_the_same_questions_make_the_same_pack(questions, tmp_path) -> None:
    one = {path.name: path.read_bytes() for path in write_pack(tmp_path / "a", questions)}
    assert one == {path.name: path.read_bytes() for path in write_pack(tmp_path / "b", questions)}


def test_a_filled_template_comes_back_as_answers(questions, tmp_path) -> None:
    write_pack(tmp_path, questions)
    content = json.loads((tmp_path / TEMPLATE).read_text())
    assert read_answers(tmp_path / TEMPLATE, questions, name="me").answers == ()  # nothing was filled in
    content["model"], content["date"] = "some-model-4", "2025-01-02"
    for row, land_cover in zip(content["answers"], ("cropland", "unknown", "Tree Cover"), strict=True):
        row.update(form(row["cluster"], land_cover, second_choice="water", mixed=land_cover == "cropland"))
    path = written(tmp_path / "answers.json", content)
    assert answers_about(path) == ("numbers@1", "worldcover")
    read = read_answers(path, questions, name="me")
    assert (read.model, read.date, read.notes, read.missing) == ("some-model-4", "2025-01-02", (), ())
    assert [answer.code for answer in read.answers] == [40, None, 10]
    assert [answer.compliant for answer in read.answers] == [True, True, True]
    first = read.answers[0]
    assert (first.second, first.mixed, first.confidence, first.term, first.evidence) == (
        80,
        True,
        0.7,
        "a field",
        ("x",),
    )
    assert read.answers[1].fault == ""
    assert read.answers[1].confidence == 0.0
    for answer, question in zip(read.answers, questions, strict=True):
        text = question_text(question)
        assert (answer.card, answer.prompt) == (question.exhibit.fingerprint, text.fingerprint)
        assert (answer.listed, answer.style) == (text.listed, "numbers@1")
        assert (answer.annotator, answer.model, answer.recorded) == ("me", "some-model-4", False)
        assert "cluster" not in json.loads(answer.raw)
    assert read_answers(path, questions, name="me", model="other").answers[0].model == "other"


def test_bad_entries_are_named_and_do_not_stop_the_rest(questions, tmp_path) -> None:
    rows = [
        form(1),
        form(1, "water"),
        form(9),
        {"land_cover": "water"},
        "nonsense",
        form(2, "Atlantis", term="a sunken city"),
        form(3, card="0" * 64),
        {"cluster": True},
    ]
    read = read_answers(written(tmp_path / "a.json", rows), questions, name="me")
    assert {answer.cluster: answer.code for answer in read.answers} == {1: 40, 2: None}
    assert "Atlantis" in read.answers[1].fault
    assert read.missing == (3,)
    said = " ".join(read.notes)
    for part in ("Entry 2 answers cluster 1 a second time", "cluster 9, which was not asked", "Entry 4 does not say",
                 "Entry 5 does not say", "Entry 6, cluster 2, counts as no vote", "Entry 7 answers other pictures",
                 "Entry 8 does not say"):  # fmt: skip
        assert part in said, part


@pytest.mark.parametrize("content", ["", "{", "3", '{"answers": 3}', '{"a": []}', "[" * 5000])
def test_a_file_without_answers_is_refused(content, questions, tmp_path) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(AnnotationError, match=r"a\.json"):
        read_answers(tmp_path / "a.json", questions, name="me")


def test_a_pasted_reply_is_read_whatever_is_around_it(questions) -> None:
    reply = "Sure!\n```json\n" + json.dumps(form(0, "grassland")) + "\n```"
    answer = answer_from_text(reply, questions[0], name="me", model="m")
    assert (answer.code, answer.compliant, answer.cluster) == (30, False, 1)
    lost = answer_from_text("I cannot.", questions[0], name="me", model="m")
    assert lost.code is None
    assert lost.fault
    assert lost.raw == "I cannot."


def test_what_makes_no_pack_is_refused(questions, tmp_path) -> None:
    with pytest.raises(AnnotationError):
        write_pack(tmp_path, [])
    with pytest.raises(AnnotationError, match="cards of one style"):
        write_pack(tmp_path, [replace(questions[0], exhibit=None)])
    with pytest.raises(AnnotationError, match="one class scheme"):
        write_pack(tmp_path, [questions[0], replace(questions[1], scheme=load_scheme("main"))])
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="file"):
        write_pack(tmp_path / "file", questions)


def test_files_that_no_pack_wrote_are_not_its_own(tmp_path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    assert pack_files(tmp_path) == frozenset()
    listed = ["mine.txt", "../x", "/etc/passwd", "gone"]
    written(tmp_path / "pack.json", {"made_by": "s2dash", "files": listed})
    assert pack_files(tmp_path) == {"mine.txt"}
    written(tmp_path / "pack.json", {"made_by": "another", "files": listed})
    assert pack_files(tmp_path) == frozenset()
