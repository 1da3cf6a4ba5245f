"""Texts by key: which language, which plural, which form of a date."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from s2dash.dashboard import language as tongue
from s2dash.dashboard.language import known_language, language, speak, t, written_day, written_moment


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    monkeypatch.setattr(tongue, "_asked", [])


@pytest.fixture
def sample(monkeypatch):
    """A few texts of our own, one of which nobody has translated."""
    texts = {
        "en": {
            "x.map": {"one": "{count} map", "other": "{count} maps"},
            "x.only": "Only {what} here",
            "x.brace": "100 % {{sure}}",
        },
        "uk": {
            "x.map": {"one": "{count} карта", "few": "{count} карти", "many": "{count} карт", "other": "{count} карти"}
        },
    }  # fmt: skip
    monkeypatch.setattr(tongue, "texts", texts.__getitem__)


@pytest.mark.parametrize(
    ("count", "written"),
    [(0, "0 карт"), (1, "1 карта"), (2, "2 карти"), (4, "4 карти"), (5, "5 карт"), (11, "11 карт"), (21, "21 карта"),
     (22, "22 карти"), (111, "111 карт"), (1.5, "1.5 карти")],
)  # fmt: skip
def test_plurals_of_ukrainian(sample, count, written):
    speak(lambda: "uk")
    assert t("x.map", count=count) == written


@pytest.mark.parametrize(("count", "written"), [(0, "0 maps"), (1, "1 map"), (2, "2 maps"), (21, "21 maps")])
def test_plurals_of_english(sample, count, written):
    assert t("x.map", count=count) == written


def test_what_is_not_translated_is_said_in_the_first_language(sample):
    speak(lambda: "uk")
    assert t("x.only", what="water") == "Only water here"


def test_a_text_that_nobody_wrote_is_an_error(sample):
    with pytest.raises(KeyError):
        t("x.nothing")


def test_braces_in_what_people_wrote_mean_nothing(sample):
    assert t("x.only", what="{what} {0} {{") == "Only {what} {0} {{ here"


@pytest.mark.parametrize(
    ("locale", "code"),
    [("uk-UA", "uk"), ("uk", "uk"), ("UK_ua", "uk"), ("en-GB", "en"), ("de-DE", "en"), ("", "en"), (None, "en"),
     ("ukr", "en")],
)  # fmt: skip
def test_the_browsers_locale_says_the_language(locale, code):
    assert known_language(locale) == code


def test_a_language_that_is_not_there_is_the_first_one():
    speak(lambda: "tlh")
    assert language() == "en"


def test_days_and_moments_are_written_as_the_language_does():
    moment = datetime(2021, 7, 1, 14, 5, tzinfo=UTC)
    assert written_day(date(2021, 7, 1)) == "1 Jul 2021"
    assert written_moment(moment) == "1 Jul 2021, 14:05 UTC"
    assert written_day(None) == "unknown"
    speak(lambda: "uk")
    assert written_day(date(2021, 7, 1)).startswith("1 лип")
    assert written_moment(moment).endswith("2021, 14:05 UTC")
    assert written_day(None) == "невідомо"
