"""How far the map agrees with reference points: the second reference, where there are any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from s2dash.confusion import Confusion
from s2dash.errors import CorrectionError
from s2dash.landcover import LandCoverMap
from s2dash.reference_points import PointOrigin, ReferencePoint, latest, pixels_of
from s2dash.schemes import NO_DATA


@dataclass(frozen=True)
class PointAgreement:
    """A map against reference points, one a pixel.

    The points say how far the map agrees with *them*. Only places that were drawn by chance stand for the whole map,
    and then only with each class weighted by its size, which the plain counts here are not.
    """

    confusion: Confusion
    """Points by their class (rows) and the class of the map there (columns), and those the map leaves undecided."""
    origins: Mapping[PointOrigin, int]
    """How the compared points came about, and how many did so."""
    outside: int
    """Points that lie outside the map, or where it has no data."""
    replaced: int
    """Points on pixels about which somebody said something later."""

    @property
    def n(self) -> int:
        """Points compared."""
        return self.confusion.n

    @property
    def overall(self) -> float:
        """Share of the compared points on which both name the same class, 0-1."""
        return self.confusion.scores.overall

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        found = self.confusion
        return {
            "points": self.n,
            **found.scores.to_json(),
            "codes": list(found.codes),
            "matrix": [list(row) for row in found.matrix],
            "undecided": list(found.undecided),
            "origins": dict(self.origins),
            "outside": self.outside,
            "replaced": self.replaced,
        }


def point_agreement(landcover: LandCoverMap, points: Iterable[ReferencePoint]) -> PointAgreement:
    """Compare a map with points, the latest of every pixel.

    Args:
        landcover: The map.
        points: In the classes of the map's scheme, the oldest first.

    Raises:
        CorrectionError: If no point lies where the map has data.
    """
    listed = [point for point in points if point.code in landcover.scheme]
    kept = latest(listed, landcover.grid)
    rows, cols = pixels_of(kept, landcover.grid)
    mapped = landcover.codes[rows, cols]
    here = [point for point, code in zip(kept, mapped, strict=True) if code != NO_DATA]
    if not here:
        raise CorrectionError(
            f"None of the {len(listed)} reference points lies where the map has data, so there is nothing to compare."
        )
    histogram = np.zeros((256, 256), dtype=np.int64)
    said = np.array([point.code for point in here], dtype=np.intp)
    np.add.at(histogram, (said, mapped[mapped != NO_DATA].astype(np.intp)), 1)
    origins: dict[PointOrigin, int] = {}
    for point in here:
        origins[point.origin] = origins.get(point.origin, 0) + 1
    on_map = int((pixels_of(listed, landcover.grid)[0] >= 0).sum())
    return PointAgreement(
        confusion=Confusion.from_histogram(histogram, order=landcover.scheme.codes),
        origins=origins,
        outside=len(listed) - on_map + len(kept) - len(here),
        replaced=on_map - len(kept),
    )
