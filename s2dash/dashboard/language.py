"""The languages of the interface: every text by key from one folder, plurals and dates as each language has them."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import cache
from importlib import resources
from typing import Any

from babel import Locale
from babel.dates import format_date, format_datetime

LANGUAGES = {"en": "English", "uk": "Українська"}
"""Code and own name of every language of the interface; the first is the one that knows every text."""
FIRST = next(iter(LANGUAGES))

_asked: list[Callable[[], str]] = []


def speak(ask: Callable[[], str]) -> None:
    """Say how to find out which language is spoken where a text is asked for; without it, the first of all."""
    _asked[:] = [ask]


def language() -> str:
    """The language spoken here, one of `LANGUAGES`."""
    spoken = _asked[0]() if _asked else FIRST
    return spoken if spoken in LANGUAGES else FIRST


def known_language(wanted: str | None) -> str:
    """The language of a browser's locale such as `uk-UA`, or the first one."""
    code = (wanted or "").replace("_", "-").split("-")[0].lower()
    return code if code in LANGUAGES else FIRST


def t(key: str, /, **values: Any) -> str:
    """A text of the interface.

    Args:
        key: File and name in `s2dash/data/texts/<language>/`, e.g. `labels.undo`. A name may be a table with the plural
            categories of the Unicode CLDR (`one`, `few`, `many`, `other`); `count` then chooses among them.
        **values: What goes in for `{name}`, as `str.format` does. What people or files wrote must be made plain before.

    Raises:
        KeyError: If there is no such text.
    """
    spoken = language()
    found = texts(spoken).get(key)
    if found is None:
        spoken, found = FIRST, texts(FIRST)[key]
    if not isinstance(found, str):
        category = Locale(spoken).plural_form(values["count"])
        found = found.get(category) or found["other"]
    return found.format(**values) if values else found


@cache
def texts(spoken: str) -> Mapping[str, str | Mapping[str, str]]:
    """All texts of a language by key; of those with plurals, each by category."""
    found: dict[str, str | Mapping[str, str]] = {}
    for file in resources.files("s2dash.data").joinpath("texts", spoken).iterdir():
        if file.name.endswith(".toml"):
            named = tomllib.loads(file.read_text("utf-8"))
            found |= {f"{file.name.removesuffix('.toml')}.{name}": text for name, text in named.items()}
    return found


def written_day(day: date | None) -> str:
    """A day as people write it, e.g. `1 Jul 2021`; or that it is not known."""
    return format_date(day, "d MMM y", locale=language()) if day else t("common.unknown")


def written_moment(moment: datetime) -> str:
    """A moment as people write it, e.g. `1 Jul 2021, 14:05 UTC`."""
    return format_datetime(moment, "d MMM y, HH:mm", locale=language()) + " UTC"
