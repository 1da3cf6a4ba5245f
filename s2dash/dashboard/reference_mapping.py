"""What the values of a reference mean, as a table to be edited: filled in from a known map, and read back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from s2dash.dashboard.language import t
from s2dash.dashboard.scheme_tables import class_title
from s2dash.map_values import MapValue
from s2dash.reference_values import FoundValues
from s2dash.reference_vector import value_class
from s2dash.run_settings import ReferenceSettings
from s2dash.schemes import NO_DATA, UNDECIDED, SchemeMap, load_scheme, load_scheme_map

TARGET = "worldcover"
"""In whose classes a person says what the values of a map mean."""
OWN_CODES = "own"
"""The choice of codes that no shipped map knows."""
SCHEMES: Mapping[str, str] = {
    "worldcover": "ESA WorldCover",
    "esri_lulc": "Esri / Impact Observatory",
    "dynamic_world": "Dynamic World",
    "corine": "CORINE",
    "nlcd": "NLCD",
}
"""Shipped maps of codes by name; proper names are the same in every language."""
VALUE, COUNT, CLASS = "value", "count", "class"
"""Columns of the table."""
_LONGEST = 80


def start_map(settings: ReferenceSettings) -> SchemeMap:
    """What the values mean before a person changes anything, in WorldCover codes.

    Raises:
        SchemeError: If the scheme is not known.
    """
    if settings.codes or settings.names:
        return SchemeMap(settings.scheme, TARGET, settings.codes, settings.names)
    if settings.scheme == OWN_CODES:
        return SchemeMap(OWN_CODES, TARGET, {})
    return load_scheme_map(settings.scheme, TARGET)


def class_choices() -> dict[str, int | None]:
    """What a value can be: names of classes in the language spoken with their codes, not compared, or not known."""
    named: dict[str, int | None] = {class_title(cls): cls.code for cls in load_scheme(TARGET).classes}
    return {**named, t("agreement.value_left_out"): NO_DATA, t("agreement.value_unknown"): None}


def mapping_rows(found: FoundValues, start: SchemeMap) -> list[dict[str, Any]]:
    """A row for every value: what it is, how often it occurs, and its class as far as that is known."""
    titles = {code: title for title, code in class_choices().items()}
    return [
        {VALUE: _shown(value), COUNT: count, CLASS: titles[_known(value, found, start)]}
        for value, count in found.counts.items()
    ]


def with_mapping(
    settings: ReferenceSettings, found: FoundValues, classes: Sequence[str | None], start: SchemeMap
) -> ReferenceSettings:
    """The settings with what a person made of the table.

    Args:
        settings: As they were before.
        found: The values, in the order of the rows.
        classes: The class of each row, one of `class_choices`; None counts as not known.
        start: What the table was filled in from. What it knows of values that are not listed stays.
    """
    choices = class_choices()
    chosen: dict[MapValue, int | None] = {
        value: choices.get(title) if title else None for value, title in zip(found.counts, classes, strict=True)
    }
    if all(_known(value, found, start) == code for value, code in chosen.items()):
        return settings
    codes, names = dict(start.codes), dict(start.names)
    for value, code in chosen.items():
        if isinstance(value, int):
            codes.pop(value, None)
            if code is not None and not (code == NO_DATA and _no_data(value, found)):
                codes[value] = code
            continue
        names = {name: to for name, to in names.items() if name.casefold() != value.casefold()}
        if code is not None:
            names[value] = code
        elif value_class(value, SchemeMap(start.source, TARGET, {}), load_scheme(TARGET)) is not None:
            names[value] = NO_DATA  # else it would be understood by its name again
    return replace(settings, codes=codes, names=names)


def any_class(settings: ReferenceSettings, found: FoundValues) -> bool:
    """Whether some value under the scene is a class: else there is nothing to compare with."""
    start = start_map(settings)
    return found.unlisted > 0 or any(_known(value, found, start) not in (None, NO_DATA) for value in found.counts)


def mapping_json(settings: ReferenceSettings, found: FoundValues | None = None) -> str:
    """The mapping as the file that `--reference-map` and the form read: value → WorldCover code."""
    start = start_map(settings)
    content = {str(value): code for value, code in (*start.codes.items(), *start.names.items())}
    scheme = load_scheme(TARGET)
    for value in found.counts if found else ():  # words that are understood without being told
        code = value_class(value, start, scheme)
        if code is not None and str(value) not in content:
            content[str(value)] = code
    return json.dumps(content, ensure_ascii=False, indent=2)


def found_key(path: str, field: str) -> str:
    """Under what the values of a file are kept: another one as soon as it was written anew."""
    try:
        about = Path(path).stat()
    except OSError:
        return f"reference values {path} {field}"
    return f"reference values {path} {field} {about.st_mtime_ns} {about.st_size}"


def _known(value: MapValue, found: FoundValues, start: SchemeMap) -> int | None:
    code = value_class(value, start, load_scheme(TARGET))
    return NO_DATA if code is None and _no_data(value, found) else code


def _no_data(value: MapValue, found: FoundValues) -> bool:
    """Whether it is no data unless somebody says that it is a class."""
    return found.unit == "pixels" and value in (NO_DATA, UNDECIDED)


def _shown(value: MapValue) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
