"""What people found at check points: how right the map is, and how large its classes are, with confidence intervals."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from s2dash.area_estimate import AreaEstimate, estimate_areas
from s2dash.check_points import SampleDesign, judgements, sample_designs
from s2dash.landcover import LandCoverMap
from s2dash.map_edit import MapEdit
from s2dash.reference_points import pixels_of


@dataclass(frozen=True)
class JudgedSample:
    """A sample of check points of which people judged at least one."""

    design: SampleDesign
    """How it was drawn."""
    judged: int
    """Points that were judged."""
    who: tuple[str, ...]
    """The people, those who judged most first; empty names left out."""
    moved: int
    """Judged points at which the map has another class now than when they were drawn."""
    estimate: AreaEstimate
    """What they say of the map as it was when they were drawn."""


def judged_samples(landcover: LandCoverMap, edits: tuple[MapEdit, ...]) -> tuple[JudgedSample, ...]:
    """All samples in force that people began to judge, the newest first.

    The points come in random order, so that those judged so far are a random sample of their stratum as well.

    Args:
        landcover: The map as it is now.
        edits: All map edits of the run, in order.
    """
    found = []
    for design in reversed(sample_designs(edits)):
        said = [point for point in judgements(design, edits) if point is not None]
        if not said:
            continue
        counts: dict[int, dict[int, int]] = {stratum.code: {} for stratum in design.strata}
        for point in said:
            drawn = counts[int(point.stratum or 0)]
            drawn[point.code] = drawn.get(point.code, 0) + 1
        rows, cols = pixels_of(said, landcover.grid)
        moved = sum(
            row >= 0 and int(landcover.codes[row, col]) != point.stratum
            for point, row, col in zip(said, rows, cols, strict=True)
        )
        found.append(
            JudgedSample(
                design=design,
                judged=len(said),
                who=tuple(name for name, _ in Counter(point.who for point in said if point.who).most_common()),
                moved=int(moved),
                estimate=estimate_areas(counts, stratum_ha={one.code: one.area_ha for one in design.strata}),
            )
        )
    return tuple(found)
