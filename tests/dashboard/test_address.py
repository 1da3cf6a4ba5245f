from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dash.dashboard.address import RunChoice, choose_run, kept_parameters, page_asked, permanent_link
from s2dash.dashboard.session import first_value, written_keys

PAGES = ("imagery", "labels", "story")


@pytest.mark.parametrize(
    ("asked", "written", "shown", "finished", "choice"),
    [
        (None, None, None, [], RunChoice(None, unknown=False, write=False)),
        (None, None, None, ["b", "a"], RunChoice("b", unknown=False, write=True)),  # the newest, and it is written
        ("a", None, None, ["b", "a"], RunChoice("a", unknown=False, write=False)),  # a link
        ("x", None, None, ["b", "a"], RunChoice("b", unknown=True, write=True)),  # a link to what is not here
        ("x", "x", "a", ["b", "a"], RunChoice("a", unknown=False, write=True)),  # it was said already
        ("a", "a", "b", ["b", "a"], RunChoice("b", unknown=False, write=True)),  # another was chosen in the side bar
        ("b", "a", "a", ["b", "a"], RunChoice("b", unknown=False, write=False)),  # the way back
        (None, "a", "a", ["b", "a"], RunChoice("a", unknown=False, write=False)),  # back to where nothing was written
        ("a", "a", "a", ["b"], RunChoice("b", unknown=False, write=True)),  # it was deleted
    ],
)
def test_which_run_is_shown(asked, written, shown, finished, choice):
    assert choose_run(asked=asked, written=written, shown=shown, finished=finished) == choice


@given(
    asked=st.none() | st.sampled_from("abcx"),
    written=st.none() | st.sampled_from("abcx"),
    shown=st.none() | st.sampled_from("abcx"),
    finished=st.lists(st.sampled_from("abc"), unique=True),
)
def test_only_a_finished_run_is_ever_shown_and_nothing_is_written_twice(asked, written, shown, finished):
    choice = choose_run(asked=asked, written=written, shown=shown, finished=finished)
    assert choice.shown in finished or (choice.shown is None and not finished)
    again = choose_run(
        asked=choice.shown if choice.write else asked, written=choice.shown, shown=choice.shown, finished=finished
    )
    assert again.shown == choice.shown or again.unknown
    assert not again.write or again.unknown


def test_the_page_of_a_link_is_turned_to_once():
    def asked(current, turned=None, **query):
        return page_asked(query, pages=PAGES, current=current, turned=turned)

    assert asked("imagery", page="labels") == "labels"
    assert asked("labels", page="imagery") == "imagery"
    assert asked("labels", page="labels") is None
    assert asked("imagery", page="labels", turned="labels") is None  # back to the link in the browser
    assert asked("imagery", page="../etc") is None
    assert asked("imagery") is None


def test_language_and_palette_go_along_to_other_pages():
    query = {"run": "old", "page": "story", "lang": "uk", "palette": "safe", "step": "3"}
    assert kept_parameters(query, run="new") == {"run": "new", "lang": "uk", "palette": "safe"}
    assert kept_parameters({}, run=None) == {}


@pytest.mark.parametrize(
    ("url", "path", "root"),
    [
        ("http://localhost:8501", "", "http://localhost:8501/"),
        ("http://localhost:8501/labels", "labels", "http://localhost:8501/"),
        ("https://example.org/s2dash/labels", "labels", "https://example.org/s2dash/"),
        ("https://example.org/labels/", "", "https://example.org/labels/"),  # the first page of an app called so
        ("", "labels", ""),
    ],
)
def test_a_link_names_everything_that_makes_the_view(url, path, root):
    said = {"run": "20260101-ab&c", "page": "labels", "lang": "uk", "palette": None}
    link = permanent_link(url, path=path, parameters=said)
    parts = urlsplit(link)
    assert link.split("?")[0] == root
    assert dict(parse_qsl(parts.query)) == {"run": "20260101-ab&c", "page": "labels", "lang": "uk"}


@given(value=st.sampled_from(["a", "b", "z"]) | st.none() | st.lists(st.sampled_from("abz")), many=st.booleans())
def test_a_widget_always_shows_one_of_its_options(value, many):
    default = ["a"] if many else "a"
    found = first_value(value, default=default, options=("a", "b"))
    assert set(found if many else [found]) <= {"a", "b"}
    assert isinstance(found, type(default))


def test_keys_that_were_typed_come_before_those_kept():
    kept = {"OPENAI_API_KEY": "kept", "auth": {"client": "x"}, "GEMINI_API_KEY": "file"}
    fields = {"key of OPENAI_API_KEY": "typed", "key of GEMINI_API_KEY": "", "key of MORE": "  ", "who": "Ada"}
    found = written_keys(kept, fields, prefix="key of ")
    assert found == {"OPENAI_API_KEY": "typed", "GEMINI_API_KEY": "file"}
