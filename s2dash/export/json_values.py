"""The plain JSON form of the values this package keeps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from s2dash.errors import OutputError


def json_value(value: Any, *, where: str = "$") -> Any:
    """The plain JSON form of a value.

    Args:
        value: Numbers, text, None, mappings, sequences, sets (sorted), numpy scalars and arrays, paths, dates, enums,
            dataclasses and pydantic models, nested as one likes.
        where: Path of the value, for the error text.

    Returns:
        Only dict, list, str, int, float, bool and None; every float finite; every key text.

    Raises:
        OutputError: If there is NaN or infinity, or something else JSON cannot hold; says where.
    """
    if isinstance(value, Enum):
        value = value.value
    elif isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    elif isinstance(value, BaseModel):
        value = value.model_dump()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        raise OutputError(f"The value at {where} is {value}, which JSON cannot hold. Leave it out or write null.")
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, date):  # datetime is one too
        return value.isoformat()
    if isinstance(value, Mapping):
        table = {str(key): json_value(item, where=f"{where}.{key}") for key, item in value.items()}
        if len(table) < len(value):
            raise OutputError(f"Two keys at {where} are the same in JSON: {sorted(map(repr, value))}.")
        return table
    if isinstance(value, set | frozenset):
        value = sorted(value)
    if isinstance(value, list | tuple):
        return [json_value(item, where=f"{where}[{place}]") for place, item in enumerate(value)]
    raise OutputError(f"The value at {where} is a {type(value).__name__}, which JSON cannot hold.")
