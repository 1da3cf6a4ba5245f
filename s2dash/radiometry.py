"""From digital numbers to reflectance: which scale and offset a scene needs, and how one knows.

Since processing baseline 04.00 (2022-01-25) the numbers of level 2A carry +1000; many archives have taken it off again,
and few files say so. So, where no metadata decides, the pixels are asked: somewhere in almost every scene the visible
bands see next to nothing (water, shade, dense wood), and the lowest value is then near 0 or near 1000.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from s2dash.errors import SceneError
from s2dash.grid import spread_blocks
from s2dash.scene import PixelSource, Radiometry, has_data
from s2dash.types import BoolArray, NumberArray

Setting = float | Literal["auto"]
"""A number the person gives, or `"auto"`."""

SHIFT = -0.1
"""What takes the +1000 of processing baseline 04.00 off again, in reflectance."""
STILL_SHIFTED = 0.095
"""Lowest visible value from which on the shift is still in the numbers, as reflectance (DN 950)."""
DONE = 0.09
"""Lowest value below which the shift is not, or no longer, in the numbers (DN 900)."""
DEEP = 0.05
"""Lowest value below which no negative reflectance explains it (DN 500): the shift is not in the numbers."""
NEAR_SHIFT = 0.15
"""Lowest value up to which something truly dark lies under the shift (DN 1500); above, the check is less sure."""
BRIGHT = 0.25
"""Lowest visible value above which a scene is bright everywhere (snow, cloud), shifted or not (DN 2500)."""
LITTLE_GROUND = 0.05
"""Share of ground and water in the scene classification under which haze may pass for the shift."""
LEFT_OUT = 1e-4
"""Share of the darkest pixels that is left out of every minimum, so that a handful of dead ones decides nothing."""

_VISIBLE = ("B02", "B03", "B04")
_GROUND = (2, 4, 5, 6)
_ENOUGH = 1_200_000
_SPREAD_BLOCKS = 4
_QUANTILE_SAMPLE = 100_000
_MAX_FLOAT_REFLECTANCE = 2.5
_MAX_PERCENT = 150.0


@dataclass(frozen=True)
class DeclaredRadiometry:
    """What the product itself says of its numbers."""

    scale: float
    """Reflectance per digital number."""
    offset: float
    """Added after scaling, in reflectance."""
    origin: str
    """Where it is said, for the person: `MTD_MSIL2A.xml, processing baseline 05.09`."""
    trusted: bool = True
    """False where experience says to hold it against the pixels (tags that packers copy along)."""


@dataclass(frozen=True)
class _Look:
    """Pixels looked at: all, or enough of them."""

    numbers: NumberArray
    """Shape (band, pixel), valid pixels only, away from no-data."""
    ground: float | None
    """Share of all pixels looked at that the scene classification calls ground or water; None where there is none."""
    final: bool
    """Whether nothing more will come."""


@dataclass(frozen=True)
class _Verdict:
    """What the pixel check says."""

    offset: float
    certain: bool
    lowest: float
    """Lowest visible value as reflectance, offset still in."""
    sentence: str


def detect_radiometry(
    source: PixelSource,
    *,
    bands: Sequence[str],
    scale: Setting = "auto",
    offset: Setting = "auto",
    declared: DeclaredRadiometry | None = None,
) -> Radiometry:
    """Find scale and offset of a scene: given, else declared, else asked of the pixels.

    The pixel check takes the lowest value of B02, B03 and B04 with the darkest 0.01 % left out (three pixels in small
    scenes), and pixels beside no-data left out too, since overviews and resampling mix those with 0. From 950 on the
    shift is still in, below 900 it is not, between is undecided. A scene that is bright everywhere passes for a shifted
    one; so any other band that goes below 900 overrules the visible ones, and a scene with nothing dark in any band is
    left undecided. Scenes of more than 1.2 million pixels are first judged by up to four blocks spread over them (a low
    value found there settles it), then by an overview of at least a million pixels.

    Args:
        source: Where pixels are read from.
        bands: The bands of the scene.
        scale: Reflectance per digital number, or `"auto"`.
        offset: Reflectance to add after scaling (−0.1, not −1000), or `"auto"`.
        declared: What metadata or tags say.

    Raises:
        SceneError: If the scale is not positive, or the offset is not a reflectance.
    """
    _check_given(scale, offset)
    if scale != "auto" and offset != "auto":
        return Radiometry(scale, offset, "given", f"Scale {scale:g} and offset {offset:g} were given.")
    if declared is not None and (declared.trusted or offset != "auto"):
        return _from_declared(declared, scale, offset)
    known = declared.scale if declared is not None and scale == "auto" else scale
    detected: Radiometry | None = None
    for look in _looks(source, bands):
        if look.numbers.shape[1] == 0:
            continue
        detected, settled = _from_pixels(look, bands=bands, scale=known, offset=offset, declared=declared)
        if settled or look.final:
            break
    if detected is None:
        return Radiometry(
            scale=1e-4 if known == "auto" else known,
            offset=0.0 if offset == "auto" else offset,
            rule="pixel check",
            evidence="No pixel holds data in every band, so nothing could be checked.",
            certain=False,
        )
    return detected


def _check_given(scale: Setting, offset: Setting) -> None:
    if scale != "auto" and not (math.isfinite(scale) and scale > 0):
        raise SceneError(f"The scale must be a positive number such as 0.0001, not {scale}.")
    if offset != "auto" and not (math.isfinite(offset) and abs(offset) <= 1):
        raise SceneError(
            f"The offset is added to reflectance, so it lies between -1 and 1, not {offset}. "
            "For numbers that still carry +1000 it is -0.1."
        )


def _from_declared(declared: DeclaredRadiometry, scale: Setting, offset: Setting) -> Radiometry:
    used_scale = declared.scale if scale == "auto" else scale
    used_offset = declared.offset if offset == "auto" else offset
    if scale == "auto" and offset == "auto":
        evidence = f"{declared.origin} says: scale {used_scale:g}, offset {used_offset:g}."
        return Radiometry(used_scale, used_offset, "metadata", evidence)
    part, other = ("offset", f"scale {used_scale:g}") if scale == "auto" else ("scale", f"offset {used_offset:g}")
    value = used_offset if scale == "auto" else used_scale
    return Radiometry(
        used_scale, used_offset, "given", f"The {part} {value:g} was given; the {other} is from {declared.origin}."
    )


def _from_pixels(
    look: _Look,
    *,
    bands: Sequence[str],
    scale: Setting,
    offset: Setting,
    declared: DeclaredRadiometry | None,
) -> tuple[Radiometry, bool]:
    """Radiometry judged from some pixels, and whether more pixels could not change it."""
    numbers = look.numbers
    if scale == "auto":
        found, rule, certain, remark = _detect_scale(numbers)
    else:
        found, rule, certain, remark = scale, "pixel check", True, f"The scale {scale:g} was given."
    if offset != "auto":
        evidence = " ".join([f"The offset {offset:g} was given.", remark or f"The scale is {found:g}."])
        return Radiometry(found, offset, "given", evidence, certain), False
    verdict = _check_pixels(numbers, bands=bands, scale=found)
    if verdict.offset != 0 and verdict.certain and look.ground is not None and look.ground < LITTLE_GROUND:
        hidden = f"{verdict.sentence} But clouds hide nearly all, and bright haze could look like this too."
        verdict = replace(verdict, certain=False, sentence=hidden)
    settled = verdict.lowest < DONE and verdict.certain and rule == "pixel check"
    if declared is not None and scale == declared.scale:
        return _hold_against(declared, verdict), settled
    if rule == "pixel check":
        evidence = " ".join(filter(None, [remark, verdict.sentence]))
        return Radiometry(found, verdict.offset, rule, evidence, certain and verdict.certain), settled
    doubt = verdict.offset != 0 or not verdict.certain  # it may have been divided by 10000 with the +1000 still in
    if doubt:
        certain = False
        remark += (
            f" Its lowest visible value is {verdict.lowest:.3f}, as if 0.1 were still to be subtracted; nothing is "
            "subtracted. If the spectra look too bright, set the offset to -0.1."
        )
    return Radiometry(found, 0.0, rule, remark, certain), settled


def _hold_against(declared: DeclaredRadiometry, verdict: _Verdict) -> Radiometry:
    evidence = f"{declared.origin} say: scale {declared.scale:g}, offset {declared.offset:g}."
    doubt = (declared.offset == 0 and verdict.offset != 0) or (declared.offset <= -0.05 and verdict.lowest < DONE)
    if doubt:
        evidence += f" The pixels disagree. {verdict.sentence.split(':')[0]}. The tags are used; look at the spectra."
    return Radiometry(declared.scale, declared.offset, "metadata", evidence, not doubt)


def _detect_scale(numbers: NumberArray) -> tuple[float, str, bool, str]:
    """Scale, rule, whether it is certain, and a remark for the person."""
    high = float(np.percentile(numbers[:, :: max(numbers.shape[1] // _QUANTILE_SAMPLE, 1)], 99))
    if np.issubdtype(numbers.dtype, np.floating):
        if high <= _MAX_FLOAT_REFLECTANCE:
            return 1.0, "float reflectance", True, f"Values reach {high:.3g}: they are reflectance already."
        if high <= _MAX_PERCENT:
            sure = high > 4 * _MAX_FLOAT_REFLECTANCE
            return 0.01, "float percent", sure, f"Values reach {high:.3g}: they are read as percent."
        sure = high > 3 * _MAX_PERCENT
        return 1e-4, "pixel check", sure, f"Values reach {high:.0f}: they are digital numbers, 10000 to reflectance 1."
    if numbers.dtype.itemsize == 1:
        scale = 0.01 if high <= 100 else 1 / 255
        return scale, "8-bit numbers", False, (
            f"8-bit numbers up to {high:.0f} are no Sentinel-2 reflectance; they are read as "
            f"{'percent' if high <= 100 else 'shares of 255'}. Give the scale if you know it."
        )  # fmt: skip
    if high <= 255:
        return 1e-4, "pixel check", False, (
            f"99 % of the values are at most {high:.0f}, which is very dark for digital numbers; give the scale if "
            "they are something else."
        )  # fmt: skip
    return 1e-4, "pixel check", True, ""


def _check_pixels(numbers: NumberArray, *, bands: Sequence[str], scale: float) -> _Verdict:
    """The pixel check on valid pixels of shape (band, pixel)."""
    lowest = {band: _lowest(values) for band, values in zip(bands, numbers, strict=True)}
    visible = {band: value for band, value in lowest.items() if band in _VISIBLE}
    judged = visible or lowest
    others = {band: value for band, value in lowest.items() if band not in judged}
    name = min(judged, key=judged.__getitem__)
    low = judged[name] * scale
    said = (
        f"Lowest {'visible ' if visible else ''}value is {_number(judged[name], numbers)} ({name}, "
        f"darkest {LEFT_OUT:.2%} of {numbers.shape[1]:,} pixels left out)".replace("%", " %")
    )
    darkest = min(others, key=others.__getitem__) if others else name
    floor = min(others.get(darkest, math.inf), judged[name]) * scale
    if low < DONE:
        if floor >= DEEP and _few_below(numbers[list(bands).index(name)], STILL_SHIFTED / scale):
            return _Verdict(0.0, False, low, f"{said}: nothing is subtracted. {_FEW}")
        end = ": the +1000 of processing baseline 04.00 is not in the numbers; nothing is subtracted."
        return _Verdict(0.0, True, low, said + end)
    if low < STILL_SHIFTED:
        between = f": between {_number(DONE / scale, numbers)} and {_number(STILL_SHIFTED / scale, numbers)}"
        return _Verdict(0.0, False, low, f"{said}{between} it cannot be told whether 0.1 must be subtracted. {_ASK}")
    if floor < DONE:
        said += f", but {darkest} goes down to {_number(others[darkest], numbers)}"
        if floor >= DEEP and _few_below(numbers[list(bands).index(darkest)], STILL_SHIFTED / scale):
            return _Verdict(0.0, False, low, f"{said}: nothing is subtracted. {_FEW}")
        end = ": the scene is bright, its numbers are not shifted; nothing is subtracted."
        return _Verdict(0.0, True, low, said + end)
    if low > BRIGHT and floor > NEAR_SHIFT:
        bright = (
            ", and no band sees anything dark: snow or cloud everywhere cannot tell whether 0.1 must be subtracted."
        )
        return _Verdict(0.0, False, low, f"{said}{bright} {_ASK}")
    # bright desert seldom goes as low in any other band as dark ground under the shift does
    certain = bool(visible) and low <= NEAR_SHIFT and (not others or others[darkest] * scale <= BRIGHT)
    doubt = "" if certain else " Bright ground alone could look like this too: look at the spectra."
    end = f": numbers still carry the +1000 of processing baseline 04.00; 0.1 is subtracted.{doubt}"
    return _Verdict(SHIFT, certain, low, said + end)


def _few_below(values: NumberArray, bound: float) -> bool:
    """Whether less than 1 % of the values are below a bound."""
    return bool(np.count_nonzero(values < bound) < 0.01 * values.size)


_FEW = (
    "So few pixels go that low that they may be negative reflectance under the +1000 of processing baseline 04.00: "
    "look at the spectra."
)
_ASK = "Nothing is subtracted; look at the spectra, or set the offset (0 or -0.1)."


def _number(value: float, numbers: NumberArray) -> str:
    if np.issubdtype(numbers.dtype, np.floating) and abs(value) < 100:
        return f"{value:.3g}"
    return f"DN {value:.0f}"


def _lowest(values: NumberArray) -> float:
    """The lowest value with the darkest `LEFT_OUT` of them, or three of a few thousand, left out."""
    count = values.size
    skip = int(count * LEFT_OUT) if count >= 3 / LEFT_OUT else min(3, count // 1000)
    return float(np.partition(values, skip)[skip])


def _looks(source: PixelSource, bands: Sequence[str]) -> Iterator[_Look]:
    """First a few blocks, one after the other, then the whole at lower resolution; small scenes at once."""
    height, width = (int(side) for side in source.grid.shape)
    if height * width > _ENOUGH:
        parts: list[NumberArray] = []
        for window in spread_blocks(source.grid, count=_SPREAD_BLOCKS):
            parts.append(_clean_pixels(source.read(bands, window)))
            yield _Look(np.concatenate(parts, axis=1), ground=None, final=False)
    thinning = max(math.sqrt(height * width / _ENOUGH), 1.0)
    shape = max(round(height / thinning), 1), max(round(width / thinning), 1)
    scl = source.read_scl_overview(shape)
    ground = None if scl is None else float(np.isin(scl, _GROUND).mean())
    yield _Look(_clean_pixels(source.read_overview(bands, shape)), ground=ground, final=True)


def _clean_pixels(numbers: NumberArray) -> NumberArray:
    """Valid pixels that touch no no-data, or all valid ones where none is such; shape (band, pixel)."""
    valid = has_data(numbers)
    inner = _inner(valid)
    return numbers[:, inner if inner.any() else valid]


def _inner(valid: BoolArray) -> BoolArray:
    """Valid pixels whose eight neighbours are valid too; what lies outside counts as valid."""
    if valid.all():
        return valid
    rows = np.pad(valid, ((1, 1), (0, 0)), constant_values=True)
    thin = rows[:-2] & rows[1:-1] & rows[2:]
    cols = np.pad(thin, ((0, 0), (1, 1)), constant_values=True)
    return np.asarray(cols[:, :-2] & cols[:, 1:-1] & cols[:, 2:])
