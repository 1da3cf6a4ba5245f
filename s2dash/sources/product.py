"""What names and tags tell of an image: product, tile, day."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date

_PRODUCT = re.compile(r"S2[A-D]_MSIL(?:1C|2A)_\d{8}T\d{6}_N\d{4}_R\d{3}_T\d{2}[A-Z]{3}_\d{8}T\d{6}")
_DAY = re.compile(r"(?<!\d)(20\d{2})([-:]?)(\d{2})\2(\d{2})(?:[T ](\d{2}:?\d{2}:?\d{2}))?(?!\d)")
_TILE = re.compile(r"(?<![A-Za-z0-9])T?(\d{2}[C-HJ-NP-X][A-HJ-NP-Z]{2})(?![A-Za-z0-9])")
_TAGS = ("PRODUCT_START_TIME", "SENSING_TIME", "DATETIME", "TIFFTAG_DATETIME")


def find_product(texts: Iterable[str]) -> str:
    """The first full product name in the texts, e.g. `S2B_MSIL2A_20200223T032739_N9999_…`; empty where none is."""
    return next((match[0] for text in texts if (match := _PRODUCT.search(text))), "")


def find_day(texts: Iterable[str]) -> date | None:
    """The first day in the texts that exists: `20200223T032739`, `2020-02-23`, `2020:02:23 03:27:39`."""
    for text in texts:
        for year, _, month, day, _ in _DAY.findall(text):
            try:
                return date(int(year), int(month), int(day))
            except ValueError:
                continue
    return None


def tagged_day(tags: Mapping[str, str]) -> tuple[date, str] | None:
    """The day the image was taken, and the tag that says so; tags named after the acquisition go first."""
    named = [key for key in tags if key.upper().startswith("ACQUISITION")]
    for key in (*named, *_TAGS):
        day = find_day([tags.get(key, "")])
        if day is not None:
            return day, key
    return None


def acquisition(name: str) -> tuple[str, str] | None:
    """Tile and sensing time in a file name, by which files of one image are told from those of another.

    Product names hold the sensing time first and the time of processing after it.

    Returns:
        Tile and time as written, either empty; None where the name holds neither.
    """
    tile, day = _TILE.search(name), _DAY.search(name)
    if tile is None and day is None:
        return None
    return tile[1] if tile else "", day[0] if day else ""
