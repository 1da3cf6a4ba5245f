"""What other people's maps hold in pixels and polygons: whole numbers or texts, read, ordered and written alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

MapValue = int | str
"""A class as another map writes it; a text that is a whole number counts as that number."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.0*)?")


def map_value(raw: Any) -> MapValue | None:
    """A cell of a table as a value.

    Returns:
        A number, or a text without outer and double spaces; None for what is empty or no number (NULL, NaN).

    Raises:
        ValueError: If it is a number with decimals.
    """
    if raw is None or (isinstance(raw, float | np.floating) and np.isnan(raw)):
        return None
    if isinstance(raw, int | np.integer | np.bool_):
        return int(raw)
    if isinstance(raw, float | np.floating):
        if not float(raw).is_integer():
            raise ValueError(f"{raw:g}")
        return int(raw)
    text = " ".join(str(raw).split())
    if _NUMBER.fullmatch(text):
        return int(text.split(".")[0])
    return text or None


def in_order(values: Iterable[MapValue]) -> list[MapValue]:
    """Numbers first, then texts."""
    return sorted(values, key=lambda value: (isinstance(value, str), value))


def unknown_from_json(content: Mapping[str, Any]) -> dict[MapValue, int]:
    """Values with their pixels, as JSON keeps them: with texts for keys."""
    return {value: int(count) for key, count in content.items() if (value := map_value(key)) is not None}
