"""The Sentinel-2 bands this method uses, and how files name them."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class Band:
    """One spectral band of the MultiSpectral Instrument."""

    name: str
    """Sentinel-2 name, e.g. `B8A`."""
    wavelength: int
    """Central wavelength, nm."""
    resolution: int
    """Ground sampling distance, m."""
    colour: str
    """What analysts call it, e.g. `red edge 1`."""
    spyndex: str
    """Its letter in the Awesome Spectral Indices standard, empty where there is none."""
    aliases: tuple[str, ...]
    """Other names found in files and catalogues, lower case."""


@cache
def sensor_table() -> dict[str, Band]:
    """All bands of Sentinel-2 by name, in sensor order."""
    text = resources.files("s2dash.data").joinpath("bands.toml").read_text("utf-8")
    return {
        name: Band(name=name, aliases=tuple(row.pop("aliases")), **row)
        for name, row in tomllib.loads(text)["bands"].items()
    }


@cache
def method_bands() -> tuple[str, ...]:
    """The ten bands the method keeps: those that see the ground at 10 or 20 m."""
    return tuple(band.name for band in sensor_table().values() if band.resolution <= 20)


_TOKEN = re.compile(r"(?<![A-Za-z0-9])B(0?[1-9]|1[0-2]|8A)(?![A-Za-z0-9])", re.IGNORECASE)
_SCL = re.compile(r"(?<![A-Za-z])SCL(?![A-Za-z])", re.IGNORECASE)


def parse_band(text: str) -> str | None:
    """The band a description or a file name speaks of.

    Args:
        text: For example `B2`, `B02_10m`, `T30_B8A_20m.jp2`, `nir08`, `SCL_20m`.

    Returns:
        A name of `sensor_table()`, `"SCL"`, or None where no band is named, or more than one is.
    """
    found = {_canonical(match) for match in _TOKEN.findall(text.replace("_", " "))}
    if _SCL.search(text.replace("_", " ")):
        return None if found else "SCL"
    if len(found) == 1:
        name = found.pop()
        return name if name in sensor_table() else None  # B10 (cirrus) exists in level 1C only
    if found:
        return None
    plain = text.strip().lower()
    return next((band.name for band in sensor_table().values() if plain in band.aliases), None)


def _canonical(number: str) -> str:
    return "B8A" if number.upper() == "8A" else f"B{int(number):02d}"
