"""The form of an answer: what is asked for, and how replies of every kind are read."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from s2dash.annotation.form import (
    LONGEST_EVIDENCE,
    LONGEST_WORD,
    AnswerForm,
    FormError,
    form_model,
    form_schema,
    read_form,
)
from s2dash.annotation.normalise import LONGEST_TERM
from s2dash.schemes import load_scheme, scheme_names

WHOLE = {
    "land_cover": "cropland",
    "second_choice": "grassland",
    "term": "stubble fields",
    "confidence": 0.7,
    "evidence": ["straight borders", "even rows"],
    "mixed": True,
}
JSON = json.dumps(WHOLE)


@pytest.mark.parametrize("name", scheme_names())
def test_the_schema_holds_the_closed_list_and_nothing_a_provider_refuses(name):
    scheme = load_scheme(name)
    schema = form_schema(scheme)
    assert schema["properties"]["land_cover"]["enum"] == [*(cls.key for cls in scheme.classes), "unknown"]
    assert schema["additionalProperties"] is False
    assert schema["required"] == list(AnswerForm.model_fields)
    refused = {"minimum", "maximum", "minLength", "maxLength", "maxItems", "minItems", "pattern", "default", "$ref"}
    assert not refused & set(json.dumps(schema).replace('"', " ").split())


def test_without_a_scheme_any_class_may_be_named():
    assert form_schema()["properties"]["land_cover"]["type"] == "string"
    assert "enum" not in form_schema()["properties"]["land_cover"]


def test_a_schema_is_a_copy_of_its_own():
    form_schema()["properties"].clear()
    assert form_schema()["properties"]


def test_the_model_takes_the_list_and_nothing_else():
    model = form_model(load_scheme("worldcover"))
    assert model.model_validate(WHOLE).model_dump() == WHOLE
    assert form_model(load_scheme("worldcover")) is model, "a service prepares each schema once"
    for wrong in ({**WHOLE, "land_cover": "sea"}, {**WHOLE, "more": 1}, {"land_cover": "cropland"}):
        with pytest.raises(ValidationError):
            model.model_validate(wrong)


@pytest.mark.parametrize(
    "text",
    [
        JSON,
        f"```json\n{JSON}\n```",
        f"```\n{JSON}\n```\nI hope that helps!",
        f"Looking at the rows [1] and {{shadows}}, I would say:\n\n{JSON}\n\nThat is {{my}} answer.",
        f"\ufeff  {JSON}  ",
        f"[{JSON}]",
        f'{{"answer": {JSON}, "version": 2}}',
        f'First {{"land_cover": "tree_cover", "confidence": 0.2}}, but on second thoughts {JSON}',
        f'{JSON}\nIgnore the rest: {{"note": "no form"}} {{"land_cover"',
        JSON.replace('"land_cover"', '"Land Cover"').replace('"second_choice"', '"secondChoice"'),
        "x" * 300_000 + JSON,
        JSON + " " * 10 + "x" * 10_000_000,
    ],
    ids=lambda text: text[:30],
)
def test_a_form_is_found(text):
    assert read_form(text).model_dump() == WHOLE


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("I cannot judge this.", "no JSON"),
        (JSON[:-20], "breaks off"),
        (JSON[:60], "breaks off"),
        (f"[{JSON}, {JSON}]", "list of 2"),
        ("[1, 2, 3]", "no JSON object"),
        ("{}", '"land_cover"'),
        ('{"class_list": ["cropland"], "confidence": 1}', '"land_cover"'),
        ('{"land_cover": "cropland"}', '"confidence"'),
        ('{"land_cover": ["cropland", "grassland"], "confidence": 1}', '"land_cover" has to be a text'),
        ('{"land_cover": {"name": "cropland"}, "confidence": 1}', '"land_cover" has to be a text'),
        ('{"land_cover": true, "confidence": 1}', '"land_cover" has to be a text'),
        ('{"land_cover": "cropland", "confidence": NaN}', '"confidence"'),
        ('{"land_cover": "cropland", "confidence": 1e999}', '"confidence"'),
        ('{"land_cover": "cropland", "confidence": -0.1}', '"confidence"'),
        ('{"land_cover": "cropland", "confidence": 8}', "not 8"),
        ('{"land_cover": "cropland", "confidence": 185}', "not 185"),
        ('{"land_cover": "cropland", "confidence": "high"}', "not 'high'"),
        ('{"land_cover": "cropland", "confidence": null}', '"confidence"'),
        ('{"land_cover": "cropland", "confidence": true}', '"confidence"'),
        ('{"land_cover": "cropland", "confidence": ' + "9" * 400 + "}", '"confidence"'),
        ('{"land_cover": "cropland", "confidence": ' + "9" * 5000 + "}", "breaks off"),
        ('{"land_cover": "cropland", "confidence": 1, "mixed": "perhaps"}', '"mixed" has to be true or false'),
        ('{"land_cover": "cropland", "confidence": 1, "evidence": 4}', '"evidence" has to be a list'),
        ("{" * 5000, "breaks off"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "breaks off"),
    ],
    ids=lambda text: text[:40],
)
def test_a_fault_is_named(text, fault):
    with pytest.raises(FormError) as caught:
        read_form(text)
    assert fault in str(caught.value)
    assert len(str(caught.value)) < 400
    assert "Value error" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "meant"),
    [(0, 0), (1, 1), (0.85, 0.85), (85, 0.85), ("85 %", 0.85), ("85%", 0.85), ("0.85", 0.85), ("0,85", 0.85), (100, 1),
     ("8/10", 0.8), ("1 %", 0.01), (".5", 0.5), ([0.5], 0.5), (11, 0.11)],
)  # fmt: skip
def test_a_confidence_is_understood(said, meant):
    assert read_form(json.dumps({"land_cover": "x", "confidence": said})).confidence == pytest.approx(meant)


def test_what_is_left_open_stays_open():
    form = read_form('{"land_cover": null, "second_choice": "none", "term": null, "confidence": 0, "evidence": null}')
    assert form == AnswerForm(land_cover="unknown", confidence=0)
    assert form.second_choice is None
    assert form.evidence == []
    assert not form.mixed


def test_numbers_and_single_lists_are_words():
    form = read_form('{"land_cover": 40, "second_choice": ["grassland"], "confidence": 1, "mixed": "так"}')
    assert (form.land_cover, form.second_choice, form.mixed) == ("40", "grassland", True)


def test_what_is_too_long_is_cut_and_never_becomes_a_class():
    said = {"land_cover": "tree cover " * 100, "term": "т" * 999, "confidence": 1, "evidence": ["e" * 999] * 9}
    form = read_form(json.dumps(said))
    assert len(form.land_cover) <= LONGEST_WORD
    assert len(form.land_cover.strip()) > LONGEST_TERM, "the normaliser still sees that it was a story"
    assert len(form.term) == LONGEST_WORD
    assert [len(piece) for piece in form.evidence] == [LONGEST_EVIDENCE] * 3


def test_no_control_or_half_characters_come_through():
    pieces = r'["a\n\tb", "\ud800", {}, ""]'
    form = read_form(r'{"land_cover": "crop\u0000land\u202e", "confidence": 1, "evidence": ' + pieces + "}")
    assert form.land_cover == "crop land"
    assert form.evidence[0] == "a b"
    assert all(piece.encode() for piece in form.evidence)


@pytest.mark.parametrize(
    "text",
    ["{" * 10_000_000, '{"a":' * 2_000_000, '{"a":1},' * 1_250_000, '{"a":"' + "{" * 10_000_000, "[1," * 3_300_000],
    ids=lambda text: text[:10],
)
def test_ten_megabytes_of_anything_take_no_time(text):
    started = time.process_time()
    with pytest.raises(FormError):
        read_form(text)
    assert time.process_time() - started < 5


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*WHOLE, "x"]), inner, max_size=6),
    max_leaves=12,
)


def outcome(text: str) -> tuple[AnswerForm | None, str]:
    """The form, or the fault."""
    try:
        return read_form(text), ""
    except FormError as error:
        return None, str(error)


@given(ANYTHING, st.text(max_size=20), st.text(max_size=20))
def test_whatever_comes_is_a_form_or_a_named_fault(value, before, after):
    form, fault = outcome(before + json.dumps(value) + after)
    if form is None:
        assert fault
        return
    assert 0 <= form.confidence <= 1
    assert form.land_cover
    assert len(form.evidence) <= 3
    assert AnswerForm.model_validate_json(form.model_dump_json()) == form


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text):
    form, fault = outcome(text)
    assert (form is None) == bool(fault)


@given(
    st.fixed_dictionaries(
        {
            "land_cover": st.sampled_from(["cropland", "unknown"]),
            "second_choice": st.none() | st.sampled_from(["grassland"]),
            "term": st.sampled_from(["", "a {brace} and a \" quote", "рілля"]),
            "confidence": st.floats(0, 1),
            "evidence": st.lists(st.sampled_from(["}", "```", "[x]"]), max_size=3),
            "mixed": st.booleans(),
        }
    ),
    st.sampled_from(["", "Sure! ", "{not json} ", "```json\n", '{"confidence": 1} then ']),
    st.sampled_from(["", "\n```", " }", ' {"done": true}', " [end]"]),
)  # fmt: skip
def test_a_whole_form_comes_through_whole(said, before, after):
    assert read_form(before + json.dumps(said, ensure_ascii=False) + after).model_dump() == said
