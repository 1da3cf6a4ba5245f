"""Check points: places drawn by chance from every class of the map, for a person to judge one by one.

Unlike points that somebody clicked where the map looked wrong, these are a probability sample: agreement and areas of
the whole map can be estimated from them. The design follows the recommendations of Olofsson et al. (2014), "Good
practices for estimating area and assessing accuracy of land change", Remote Sensing of Environment 148, 42-57,
section 5: stratified by the classes of the map, pixels as units drawn at random within each, and a least number for
small classes before the rest is given out in proportion to size.

The content of a `MapEdit` of the kind `sample` is `SampleDesign.to_json`; a place that was judged is a `point` of the
origin `sample`, see `s2dash.reference_points`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from s2dash.errors import CorrectionError, SampleError
from s2dash.grid import pixel_area_ha
from s2dash.landcover import LandCoverMap
from s2dash.map_edit import MapEdit, in_force
from s2dash.reference_points import ReferencePoint, centres_of, reference_points
from s2dash.schemes import NO_DATA, ClassScheme

LEAST = 2
"""Fewest places of a class: from one alone no variance can be estimated."""
USUAL_LEAST = 50
"""Places that every class gets where the total allows it; Olofsson et al. name 50 to 100."""
MOST = 5000
"""Most places in all: more than a person looks at."""


@dataclass(frozen=True)
class Stratum:
    """One class of the map when the sample was drawn."""

    code: int
    """Class code; `UNDECIDED` for what nobody had named yet."""
    pixels: int
    """Its pixels."""
    area_ha: float
    """Its area, hectares."""
    drawn: int
    """Places drawn from it."""


@dataclass(frozen=True)
class CheckPlace:
    """A pixel to look at."""

    longitude: float
    """Of its middle, degrees east, WGS 84."""
    latitude: float
    """Of its middle, degrees north."""
    stratum: int
    """Class code of the map there when the sample was drawn. Not to be shown to who judges."""


@dataclass(frozen=True)
class SampleDesign:
    """A stratified random sample of a map's pixels."""

    points: tuple[CheckPlace, ...]
    """In the order in which they are looked at, which is random too."""
    strata: tuple[Stratum, ...]
    """Every class of the map; together they are all its pixels with data."""
    seed: int
    """Same map and seed, same sample."""
    seq: int = 0
    """Number of the map edit that keeps it; 0 before it is kept."""

    @property
    def pixels(self) -> int:
        """Pixels with data in all."""
        return sum(stratum.pixels for stratum in self.strata)

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "seed": self.seed,
            "strata": [
                {"code": one.code, "pixels": one.pixels, "area_ha": one.area_ha, "drawn": one.drawn}
                for one in self.strata
            ],
            "points": [
                {"longitude": one.longitude, "latitude": one.latitude, "stratum": one.stratum} for one in self.points
            ],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any], *, seq: int = 0) -> SampleDesign:
        """Back from JSON."""
        return cls(
            points=tuple(CheckPlace(**row) for row in content["points"]),
            strata=tuple(Stratum(**row) for row in content["strata"]),
            seed=int(content["seed"]),
            seq=seq,
        )


def draw_check_points(landcover: LandCoverMap, total: int, seed: int, *, least: int | None = None) -> SampleDesign:
    """Draw places to look at from every class of a map.

    Args:
        landcover: The map, corrections and all.
        total: How many places.
        seed: Same map and seed, same places.
        least: Fewest places of each class; by default `USUAL_LEAST`, or half of an equal share where that is less. A
            class with fewer pixels than that is taken whole.

    Raises:
        SampleError: If total or seed is out of range.
        CorrectionError: If the map has no pixel with data.
    """
    counts = np.bincount(landcover.codes.ravel(), minlength=256)
    counts[NO_DATA] = 0
    codes = [int(code) for code in np.flatnonzero(counts)]
    if not codes:
        raise CorrectionError("The map has no pixel with data, so there is nothing to check.")
    _check(total, seed, classes=len(codes))
    sizes = allocate([int(counts[code]) for code in codes], total, least=least)
    per_row = pixel_area_ha(landcover.grid)
    flat, width = landcover.codes.ravel(), landcover.codes.shape[1]
    picked, strata = [], []
    for code, size in zip(codes, sizes, strict=True):
        # A generator of its own for each class: what happens to one class leaves the places of the others.
        chosen = np.random.default_rng((seed, code)).choice(int(counts[code]), size=size, replace=False)
        picked += [(int(pixel), code) for pixel in np.flatnonzero(flat == code)[np.sort(chosen)]]
        area = float((landcover.codes == code).sum(axis=1) @ per_row)
        strata.append(Stratum(code, int(counts[code]), area, size))
    order = np.random.default_rng((seed, NO_DATA)).permutation(len(picked))
    pixels = np.array([picked[place][0] for place in order], dtype=np.int64)
    longitude, latitude = centres_of(pixels // width, pixels % width, landcover.grid)
    points = tuple(
        CheckPlace(float(lon), float(lat), picked[place][1])
        for place, lon, lat in zip(order, longitude, latitude, strict=True)
    )
    return SampleDesign(points, tuple(strata), seed)


def allocate(pixels: list[int], total: int, *, least: int | None = None) -> list[int]:
    """How many places each class gets: a least number each, the rest in proportion to size.

    Args:
        pixels: Of each class.
        total: Places in all.
        least: See `draw_check_points`.

    Returns:
        Places of each class, never more than it has pixels; in all `total`, or every pixel there is.
    """
    usual = min(USUAL_LEAST, max(total // (2 * len(pixels)), LEAST))
    floor = min(usual if least is None else max(least, LEAST), max(total // len(pixels), 1))
    given = [min(floor, size) for size in pixels]
    open_ = [place for place, size in enumerate(pixels) if size > given[place]]
    while open_ and (left := total - sum(given)) > 0:
        size = sum(pixels[place] for place in open_)
        wish = {place: left * pixels[place] / size for place in open_}
        if full := [place for place in open_ if wish[place] >= pixels[place] - given[place]]:
            for place in full:
                given[place] = pixels[place]
            open_ = [place for place in open_ if place not in full]
            continue
        for place in open_:
            given[place] += int(wish[place])
        by_remainder = sorted(open_, key=lambda place: (int(wish[place]) - wish[place], place))
        for place in by_remainder[: total - sum(given)]:
            given[place] += 1
        break
    return given


def sample_edit(design: SampleDesign, *, who: str = "", why: str = "") -> MapEdit:
    """A sample that is to be kept."""
    return MapEdit("sample", design.to_json(), who=who, why=why)


def judged_edit(
    design: SampleDesign, place: int, code: int, *, scheme: ClassScheme, who: str = "", note: str = ""
) -> MapEdit:
    """What a person says is at a place of a sample; nothing is kept yet.

    Args:
        design: The sample, kept.
        place: Which of its places, from 0.
        code: Class code.
        scheme: The classes.
        who: The person.
        note: Their remark.

    Raises:
        CorrectionError: If the sample is not kept yet or has no such place.
        SchemeError: If the scheme has no such class.
    """
    _ = scheme[code]
    if design.seq == 0 or not 0 <= place < len(design.points):
        raise CorrectionError(f"The sample {design.seq} has no place {place}: draw the check points anew.")
    at = design.points[place]
    content = {
        "origin": "sample",
        "longitude": at.longitude,
        "latitude": at.latitude,
        "code": int(code),
        "design": design.seq,
        "place": place,
        "stratum": at.stratum,
    }
    return MapEdit("point", content, who=who, why=note)


def sample_designs(edits: tuple[MapEdit, ...]) -> tuple[SampleDesign, ...]:
    """All samples in force, the oldest first."""
    kept = [edit for edit in in_force(edits) if edit.kind == "sample"]
    return tuple(SampleDesign.from_json(edit.content, seq=edit.seq) for edit in kept)


def judgements(design: SampleDesign, edits: tuple[MapEdit, ...]) -> tuple[ReferencePoint | None, ...]:
    """What was said of every place of a sample, in its order; None where nobody judged yet."""
    said = {point.place: point for point in reference_points(edits) if point.design == design.seq}
    return tuple(said.get(place) for place in range(len(design.points)))


def _check(total: int, seed: int, *, classes: int) -> None:
    if not LEAST * classes <= total <= MOST:
        raise SampleError(
            f"{total} check points cannot be drawn: the map has {classes} classes, so {LEAST * classes} to {MOST} are "
            "possible. Choose a number in between."
        )
    if not 0 <= seed < 2**32:
        raise SampleError(f"The seed {seed} is out of range: it is a whole number from 0 to {2**32 - 1}.")
