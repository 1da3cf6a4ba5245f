"""Keys: where they are taken from, and that nothing gives them away."""

from __future__ import annotations

import base64
import copy
import json
import pickle
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dash.annotation.keys import Keys

SECRET = "sk-ant-api03-A+b/c=d&e_9"
KEYS = Keys({"ANTHROPIC_API_KEY": SECRET, "OPENAI_API_KEY": "sk-proj-0123456789"})


def test_keys_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", f"  {SECRET}\n")
    monkeypatch.setenv("EMPTY_API_KEY", "  ")
    keys = Keys.from_environment()
    assert keys.get("GEMINI_API_KEY") == SECRET
    assert keys.get("EMPTY_API_KEY") is None
    assert keys.get("PATH") is None, "what is no key is never looked at"


def test_the_first_of_several_names_counts():
    keys = Keys({"GOOGLE_API_KEY": "google-key-1", "GEMINI_API_KEY": "gemini-key-1"})
    assert keys.get(["GEMINI_API_KEY", "GOOGLE_API_KEY"]) == "gemini-key-1"
    assert keys.get(("MISSING_KEY", "GOOGLE_API_KEY")) == "google-key-1"
    assert keys.get(()) is None


def test_what_a_person_typed_goes_first_and_tables_are_left_out():
    typed = {"OPENAI_API_KEY": "typed-key-1", "S2DASH_OPEN_MODEL_KEY": "", "server": {"port": 1}, "SOME_KEY": 3}
    keys = KEYS.with_values(typed)
    assert keys.get("OPENAI_API_KEY") == "typed-key-1"
    assert keys.get("ANTHROPIC_API_KEY") == SECRET
    assert keys.names == ("ANTHROPIC_API_KEY", "OPENAI_API_KEY")
    assert KEYS.get("OPENAI_API_KEY") == "sk-proj-0123456789", "the old keys stay as they were"


def test_no_text_of_the_object_holds_a_value():
    for text in (repr(KEYS), str(KEYS), f"{KEYS}", f"{KEYS!a}", repr([KEYS]), repr({"keys": KEYS})):
        assert SECRET not in text
        assert "ANTHROPIC_API_KEY" in text
    assert not hasattr(KEYS, "__dict__")


@pytest.mark.parametrize("write", [pickle.dumps, json.dumps])
def test_keys_cannot_be_written(write):
    with pytest.raises(TypeError) as caught:
        write(KEYS)
    assert SECRET not in str(caught.value)


def test_a_copy_is_the_same_object():
    assert copy.copy(KEYS) is KEYS
    assert copy.deepcopy({"keys": KEYS})["keys"] is KEYS


FORMS = {
    "plain": SECRET,
    "in an address": quote(SECRET, safe=""),
    "in JSON": json.dumps({"key": SECRET}),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "urlsafe base64": base64.urlsafe_b64encode(SECRET.encode()).decode(),
    "basic authorization": base64.b64encode(f"user:{SECRET}".encode()).decode(),
    "longer base64": base64.b64encode(f"ab{SECRET}yz".encode()).decode(),
    "bytes": repr(SECRET.encode()),
}


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_key_is_blotted_out_in_every_form(form):
    held = FORMS[form]
    cleaned = KEYS.redact(f"before {held} after")
    assert cleaned.startswith("before ")
    assert cleaned.endswith(" after")
    assert "…" in cleaned
    middle = held[6:-6]
    assert middle not in cleaned


def test_plain_words_stay():
    keys = Keys({"S2DASH_OPEN_MODEL_KEY": "EMPTY"})
    assert keys.redact("EMPTY fields stay EMPTY") == "EMPTY fields stay EMPTY"
    assert KEYS.redact("nothing to hide") == "nothing to hide"


@given(st.text(min_size=8, max_size=40), st.text(max_size=30), st.text(max_size=30))
def test_no_key_is_left_in_any_text(secret, before, after):
    keys = Keys({"SOME_API_KEY": secret})
    kept = keys.get("SOME_API_KEY")
    if kept is not None and len(kept) >= 8:
        assert kept not in keys.redact(before + kept + after).replace("…", "\x00\x00")
