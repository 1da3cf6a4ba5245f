"""Spectral indices by their standard names, of any bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from types import CodeType
from typing import Any

import numpy as np

from s2dash.bands import sensor_table
from s2dash.errors import FeatureError
from s2dash.types import FloatArray

_FLOOR = 1e-4
"""Least reflectance that enters an index: noise below zero would send ratios to infinity."""
_LIMIT = 10.0
"""Indices are kept within plus and minus this."""
_NAMES = {"BSI": "BI"}
"""Names analysts use → names in Awesome Spectral Indices."""


def compute_indices(names: Sequence[str], reflectance: FloatArray, bands: Sequence[str]) -> list[FloatArray]:
    """Several indices of the same pixels, each as `compute_index` gives it."""
    bands = tuple(bands)
    used = {band for name in names for band in _lookup(name, bands)[1].values()}
    floored = {band: np.maximum(reflectance[bands.index(band)], np.float32(_FLOOR)) for band in used}
    return [_evaluate(name, floored, bands) for name in names]


def compute_index(name: str, reflectance: FloatArray, bands: Sequence[str]) -> FloatArray:
    """One spectral index.

    Args:
        name: Standard name, e.g. `NDVI`.
        reflectance: Shape (band, …), in the order of `bands`.
        bands: Names of the bands.

    Returns:
        Shape (…), float32, finite, within ±10; reflectance below 0.0001 counts as 0.0001, so that normalised
        differences stay within ±1.

    Raises:
        FeatureError: If the index is unknown or needs a band that is missing.
    """
    return compute_indices([name], reflectance, bands)[0]


def available_indices(bands: Sequence[str]) -> tuple[str, ...]:
    """Names of all indices that these bands allow, the common ones first."""
    import spyndex

    common = ("NDVI", "NDWI", "MNDWI", "NDBI", "BSI", "NDMI", "NDSI", "NBR", "EVI", "SAVI", "NDREI")
    rest = [name for name in spyndex.indices if name not in common and name not in _NAMES.values()]
    return tuple(name for name in (*common, *rest) if not _problem(name, bands))


@cache
def _lookup(name: str, bands: tuple[str, ...]) -> tuple[CodeType, dict[str, str], dict[str, float]]:
    """The formula of an index, which band stands for each of its letters, and its constants."""
    problem = _problem(name, bands)
    if problem:
        raise FeatureError(problem)
    import spyndex

    index = spyndex.indices[_NAMES.get(name, name)]
    letters = {letter: band for letter in index.bands if (band := _band_for(letter, bands))}
    constants = {letter: spyndex.constants[letter].default for letter in index.bands if letter not in letters}
    return compile(index.formula, name, "eval"), letters, constants


def _evaluate(name: str, floored: Mapping[str, FloatArray], bands: tuple[str, ...]) -> FloatArray:
    """An index of bands that are already kept above the floor.

    The library's own `computeIndex` does the same, but reads its catalogue from disk at every call, which for small
    tiles takes a hundred times as long as the arithmetic.
    """
    formula, letters, constants = _lookup(name, bands)
    values: dict[str, Any] = {letter: floored[band] for letter, band in letters.items()}
    with np.errstate(all="ignore"):
        found = np.asarray(eval(formula, {"__builtins__": {}}, values | constants), dtype=np.float32)
    if not np.isfinite(found).all():
        found = np.nan_to_num(found, nan=0.0, posinf=_LIMIT, neginf=-_LIMIT)
    return np.clip(found, -_LIMIT, _LIMIT)


def _problem(name: str, bands: Sequence[str]) -> str:
    import spyndex

    key = _NAMES.get(name, name)
    if key not in spyndex.indices:
        return f"There is no spectral index {name!r}. Use a standard name such as NDVI, NDWI, MNDWI, NDBI, BSI or NDMI."
    letters = spyndex.indices[key].bands
    free = [letter for letter in letters if letter in spyndex.constants and spyndex.constants[letter].default is None]
    if free:
        return f"The index {name} has free parameters ({', '.join(free)}) with no usual value, so it is not offered."
    missing = [letter for letter in letters if letter not in spyndex.constants and not _band_for(letter, bands)]
    if missing:
        wanted = [band.name for band in sensor_table().values() if band.spyndex in missing] or missing
        return f"The index {name} needs {', '.join(wanted)}, which the scene does not have (it has {', '.join(bands)})."
    return ""


def index_notes(name: str, bands: Sequence[str]) -> list[str]:
    """What a person should know of an index of these bands.

    Raises:
        FeatureError: If the index is unknown or needs a band that is missing.
    """
    _, letters, _ = _lookup(name, tuple(bands))
    return [
        "The scene has no B08; indices use B8A for near infrared."
        for letter, band in letters.items()
        if letter == "N" and band == "B8A"
    ]


def _band_for(letter: str, bands: Sequence[str]) -> str | None:
    found = next((band.name for band in sensor_table().values() if band.spyndex == letter and band.name in bands), None)
    if found is None and letter == "N" and "B8A" in bands:
        return "B8A"
    return found
