"""Recorded answers: found by what was shown or measured, never by a cluster's number, and always shown as recorded."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dash.annotation.answer import Answer, ClusterCard, Question
from s2dash.annotation.exhibit import Exhibit
from s2dash.annotation.replay import (
    NOTHING_FITS,
    REFLECTANCE_TOLERANCE,
    SHARE_TOLERANCE,
    Recording,
    ReplayAnnotator,
    load_recording,
    make_recording,
    packaged_recordings,
)
from s2dash.errors import AnnotationError
from s2dash.schemes import load_scheme

BANDS = ("B02", "B03", "B04", "B08")
WORLDCOVER = load_scheme("worldcover")


def question(cluster: int, level: float, *, share: float = 0.2, words: str = "") -> Question:
    median = {band: level + 0.05 * place for place, band in enumerate(BANDS)}
    card = ClusterCard(cluster, 1000, 10.0, share, median, {}, {})
    return Question(card, WORLDCOVER, exhibit=Exhibit(cluster, "numbers@1", (), words or f"level {level}"))


def reply(land_cover: str, **fields) -> str:
    blank = {"second_choice": "grassland", "term": "field", "confidence": 0.8, "evidence": ["rows"], "mixed": False}
    return json.dumps({"land_cover": land_cover, **blank, **fields})


def recording(*given: tuple[Question, str], model: str = "eye-1") -> Recording:
    answers = [Answer(annotator="x", cluster=one.card.cluster, code=None, raw=raw) for one, raw in given]
    asked = [one for one, _ in given]
    return make_recording(answers, asked, model=model, recorded=date(2025, 1, 2), scene="chile", note="by hand")


ASKED = [question(1, 0.05), question(2, 0.10), question(3, 0.20)]
KEPT = recording((ASKED[0], reply("cropland")), (ASKED[1], reply("water")), (ASKED[2], "I will not say."))


def test_the_very_card_gets_the_very_answer_shown_as_recorded() -> None:
    answer = ReplayAnnotator(KEPT).answer(ASKED[0])
    assert (answer.code, answer.second, answer.confidence, answer.evidence) == (40, 30, 0.8, ("rows",))
    assert answer.recorded
    assert answer.model == "eye-1 (recorded 2025-01-02)" == KEPT.title
    assert answer.style == "numbers@1"
    assert answer.answered.date() == date(2025, 1, 2)
    assert answer.card == ASKED[0].exhibit.fingerprint
    assert answer.annotator == "replay"
    assert answer.usage.dollars == 0


def test_a_surface_is_known_again_by_its_spectrum_whatever_its_number() -> None:
    annotator = ReplayAnnotator(KEPT, name="eye")
    for place, one in enumerate(ASKED):
        other = replace(one, card=replace(one.card, cluster=17), exhibit=None)
        answer = annotator.answer(other)
        assert (answer.cluster, answer.annotator) == (17, "eye")
        assert answer.code == (40, 80, None)[place]
    strange = replace(ASKED[0].card, median=dict.fromkeys(BANDS, 0.5))
    answer = annotator.answer(replace(ASKED[0], card=strange, exhibit=None))  # the number alone proves nothing
    assert (answer.code, answer.fault, answer.recorded) == (None, NOTHING_FITS, True)


def test_a_refusal_stays_a_refusal() -> None:
    answer = ReplayAnnotator(KEPT).answer(ASKED[2])
    assert answer.code is None
    assert answer.raw == "I will not say."
    assert answer.fault not in {"", NOTHING_FITS}


@given(st.sampled_from(BANDS), st.floats(-0.01, 0.01), st.floats(-0.5, 0.5))
def test_the_tolerances_hold_in_every_band(band, shift, stretch) -> None:
    base = ASKED[1].card
    share = base.share * (1 + stretch)
    moved = replace(base, median={**base.median, band: base.median[band] + shift}, share=share)
    answer = ReplayAnnotator(KEPT).answer(Question(moved, WORLDCOVER))
    spectrum = abs(shift) <= REFLECTANCE_TOLERANCE - 1e-9
    shares = abs(share - base.share) <= SHARE_TOLERANCE * max(share, base.share) - 1e-9
    if spectrum and shares:
        assert answer.code == 80
    elif (
        abs(shift) > REFLECTANCE_TOLERANCE + 1e-9
        or abs(share - base.share) > SHARE_TOLERANCE * max(share, base.share) + 1e-9
    ):
        assert answer.fault == NOTHING_FITS


def test_other_bands_are_another_surface() -> None:
    card = replace(ASKED[0].card, median={band: v for band, v in ASKED[0].card.median.items() if band != "B08"})
    assert ReplayAnnotator(KEPT).answer(Question(card, WORLDCOVER)).fault == NOTHING_FITS


def test_the_nearest_of_several_is_taken_and_the_same_card_before_it() -> None:
    near, nearer = question(1, 0.050), question(2, 0.053)
    kept = recording((near, reply("cropland")), (nearer, reply("water")))
    between = replace(near, card=question(9, 0.0521).card, exhibit=None)
    assert ReplayAnnotator(kept).answer(between).code == 80
    same = replace(near, card=question(9, 0.0521).card)  # shows the card of the first
    assert ReplayAnnotator(kept).answer(same).code == 40


def test_another_scheme_gets_the_class_it_maps_to_or_none() -> None:
    answer = ReplayAnnotator(KEPT).answer(replace(ASKED[0], scheme=load_scheme("main")))
    main = load_scheme("main")
    assert main[answer.code].key == "vegetation"
    assert answer.second is None  # grassland is vegetation too
    own = KEPT.model_copy(update={"scheme": "main"})
    with pytest.raises(AnnotationError, match="worldcover"):
        ReplayAnnotator(own).answer(ASKED[0])


def test_a_class_that_the_other_scheme_lacks_is_no_vote() -> None:
    snow = recording((ASKED[0], reply("snow_ice")))
    answer = ReplayAnnotator(snow).answer(replace(ASKED[0], scheme=load_scheme("nlcd4")))
    assert answer.code is None
    assert "nlcd4" in answer.fault


def test_a_recording_comes_back_from_its_file(tmp_path) -> None:
    path = tmp_path / "chile.json"
    path.write_text(KEPT.to_text(), "utf-8")
    again = load_recording(path)
    assert again == KEPT
    assert again.fingerprint == KEPT.fingerprint
    table = json.loads(path.read_text())
    assert table["answers"][0]["reply"]["land_cover"] == "cropland"  # readable, field by field
    assert table["answers"][2]["reply"] == "I will not say."
    assert set(table["answers"][0]) == {"cluster", "fingerprint", "median", "share", "reply"}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"model": "", "answers": []}', "\udcff"])
def test_what_is_no_recording_is_refused(text, tmp_path) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(AnnotationError, match=r"bad\.json"):
        load_recording(path)
    with pytest.raises(AnnotationError, match=r"none\.json"):
        load_recording(tmp_path / "none.json")


def test_answers_are_recorded_with_their_questions_only() -> None:
    stray = Answer(annotator="x", cluster=9, code=None)
    with pytest.raises(AnnotationError, match=r"\[9\]"):
        make_recording([stray], ASKED, model="m", recorded=date(2025, 1, 1))
    with pytest.raises(AnnotationError, match="one class scheme"):
        make_recording([], [ASKED[0], replace(ASKED[1], scheme=load_scheme("main"))], model="m", recorded=date.min)


def test_the_prompt_hash_changes_with_the_recording_the_scheme_and_the_card() -> None:
    annotator = ReplayAnnotator(KEPT)
    other = ReplayAnnotator(recording((ASKED[0], reply("water"))))
    hashes = {
        annotator.prompt_fingerprint(ASKED[0]),
        annotator.prompt_fingerprint(ASKED[1]),
        annotator.prompt_fingerprint(replace(ASKED[0], scheme=load_scheme("main"))),
        other.prompt_fingerprint(ASKED[0]),
    }
    assert len(hashes) == 4
    assert annotator.prompt_fingerprint(ASKED[0]) == ReplayAnnotator(KEPT).prompt_fingerprint(ASKED[0])


def test_several_recordings_are_one_annotator_and_none_answers_nothing() -> None:
    second = recording((question(5, 0.4), reply("built_up")), model="eye-2")
    both = ReplayAnnotator(KEPT, second)
    assert both.answer(question(5, 0.4)).model == second.title
    assert KEPT.title in both.model
    assert second.title in both.model
    nothing = ReplayAnnotator()
    assert nothing.answer(ASKED[0]).fault == NOTHING_FITS
    assert nothing.model


def test_recordings_of_the_package_can_be_read() -> None:
    for one in packaged_recordings():
        assert one.answers
        assert one.scheme
        load_scheme(one.scheme)
