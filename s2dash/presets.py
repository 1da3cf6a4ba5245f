"""Places to try: a box, a season and a cloud limit each, for a first search."""

from __future__ import annotations

import calendar
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources

from s2dash.area import AreaOfInterest


@dataclass(frozen=True)
class Preset:
    """A place to try. What its images show, and whether there are any, only a search tells."""

    key: str
    """Short name, e.g. `dnipro`."""
    names: Mapping[str, str]
    """What it is called, by language."""
    bbox: tuple[float, float, float, float]
    """West, south, east, north, degrees."""
    months: tuple[int, int]
    """First and last month to search, 1-12; over the turn of the year where the first is the greater one."""
    max_cloud: int
    """Greatest cloud cover to search for, percent."""

    def name(self, language: str) -> str:
        """What it is called in a language, or in English."""
        return self.names.get(language, self.names["en"])

    def area(self, language: str) -> AreaOfInterest:
        """The box, called after the place."""
        return AreaOfInterest.from_bbox(*self.bbox, title=self.name(language))

    def season(self, today: date) -> tuple[date, date]:
        """First and last day of the latest of its seasons that is over, so that all of it can be searched."""
        first, last = self.months
        year = today.year if _last_day(today.year, last) < today else today.year - 1
        return date(year - (first > last), first, 1), _last_day(year, last)


@cache
def presets() -> Mapping[str, Preset]:
    """The places in `data/presets.toml` by key."""
    text = resources.files("s2dash.data").joinpath("presets.toml").read_text("utf-8")
    return {
        key: Preset(key, row["name"], tuple(row["bbox"]), tuple(row["months"]), row["max_cloud"])
        for key, row in tomllib.loads(text).items()
    }


def _last_day(year: int, month: int) -> date:
    return date(year, month, calendar.monthrange(year, month)[1])
