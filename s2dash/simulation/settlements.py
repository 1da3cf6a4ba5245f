"""Streets of towns and villages, and the yards of works and farms at their edge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2dash.simulation.lines import Line, winding
from s2dash.types import FloatArray

Buildable = Callable[[FloatArray], NDArray[np.bool_]]
"""Which of the points (n, 2) may be built on."""

_POINT_GAP = 55.0
"""Distance between the points of a town's streets, m."""
VILLAGE_BIT = np.uint32(1)
"""Lowest bit of a street's key: set in villages (long plots, small houses), clear in towns."""


@dataclass(frozen=True)
class Yard:
    """A paved rectangle with big roofs."""

    x: float
    """Middle, m."""
    y: float
    """Middle, m."""
    half_length: float
    """m."""
    half_breadth: float
    """m."""
    angle: float
    """Of the long side, radians."""
    key: int
    """Random bits of the yard."""
    farm: bool = False
    """Long barns on bare ground instead of halls on asphalt."""


def _street(points: FloatArray, *, half_width: float, village: bool, rng: np.random.Generator) -> Line:
    key = int(rng.integers(1, 2**32, dtype=np.uint64))
    return Line(points, np.full(len(points), half_width), key | 1 if village else key & ~1)


def _runs(points: FloatArray, kept: NDArray[np.bool_], *, shortest: int) -> list[FloatArray]:
    """The stretches of a line where `kept` holds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], kept.astype(np.int8), [0]])))
    return [points[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= shortest]


def town_streets(
    centre: tuple[float, float], *, radius: float, rng: np.random.Generator, buildable: Buildable
) -> list[Line]:
    """Streets of a town: districts with a street grid each, at their own angle, inside a ragged outline."""
    middle = np.array(centre)
    spokes = rng.uniform(0, 2 * np.pi) + np.array([0.0, 2.1, 4.2])
    around = middle + 0.62 * radius * np.stack([np.cos(spokes), np.sin(spokes)], axis=1)
    districts = np.vstack([middle, around])
    angles = rng.uniform(0, np.pi) + np.concatenate([[0], rng.normal(0, 0.45, 3)])
    lines, owners = [], []
    for number, (seat, angle) in enumerate(zip(districts, angles, strict=True)):
        along = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-along[1], along[0]])
        for direction, normal, gap in ((along, across, rng.uniform(84, 104)), (across, along, rng.uniform(150, 230))):
            offset = -1.3 * radius + rng.uniform(0, gap)
            while offset < 1.3 * radius:
                lines.append(_crooked(seat + offset * normal, direction, normal, reach=1.3 * radius, rng=rng))
                owners.append(number)
                offset += gap * rng.uniform(0.88, 1.3)
    points = np.array(lines)
    flat = points.reshape(-1, 2)
    to_seats = np.hypot(*(flat[:, None, :] - districts[None]).transpose(2, 0, 1))
    away, turn = flat - middle, np.arctan2(flat[:, 1] - middle[1], flat[:, 0] - middle[0])
    lobes = rng.uniform(0, 2 * np.pi, 3)
    edge = 1 + 0.2 * np.sin(turn + lobes[0]) + 0.15 * np.sin(2 * turn + lobes[1]) + 0.12 * np.sin(5 * turn + lobes[2])
    size = radius * rng.uniform(0.86, 1.1, len(lines)).repeat(points.shape[1])
    kept = (np.hypot(away[:, 0], away[:, 1]) < edge * size) & buildable(flat)
    kept &= to_seats.argmin(axis=1) == np.repeat(owners, points.shape[1])
    streets = []
    for line, on in zip(points, kept.reshape(points.shape[:2]), strict=True):
        # Streets end at squares, schools and parks.
        if rng.random() < 0.5:
            hole, half = rng.uniform(0.1, 0.9) * len(line), rng.uniform(40, 120) / _POINT_GAP
            on = on & (np.abs(np.arange(len(line)) - hole) > half)
        if rng.random() > 0.1:
            runs = _runs(line, on, shortest=3)
            streets += [_street(run, half_width=rng.uniform(3.8, 5.6), village=False, rng=rng) for run in runs]
    return streets


def _crooked(
    middle: FloatArray,
    direction: FloatArray,
    normal: FloatArray,
    *,
    reach: float,
    rng: np.random.Generator,
) -> FloatArray:
    """A nearly straight street through a point, `reach` to either side of it."""
    t = np.arange(-int(reach / _POINT_GAP), int(reach / _POINT_GAP) + 1) * _POINT_GAP
    stray = 7 * np.sin(t / rng.uniform(70, 150) + rng.uniform(0, 6)) + 5 * np.sin(t / 340 + rng.uniform(0, 6))
    return np.asarray(middle + t[:, None] * direction + stray[:, None] * normal)


def village_streets(
    centre: tuple[float, float], *, radius: float, rng: np.random.Generator, buildable: Buildable
) -> list[Line]:
    """One long street and a few side streets."""
    middle = np.array(centre)
    angle = rng.uniform(0, np.pi)
    streets: list[Line] = []

    def add(start: FloatArray, end: FloatArray) -> None:
        key = int(rng.integers(1, 2**32, dtype=np.uint64))
        points = winding(tuple(start), tuple(end), key=key, amplitude=26, wavelength=240, step=45)
        streets.extend(
            _street(run, half_width=rng.uniform(2.8, 3.6), village=True, rng=rng)
            for run in _runs(points, buildable(points), shortest=3)
        )

    along = np.array([np.cos(angle), np.sin(angle)])
    add(middle - radius * along, middle + radius * rng.uniform(0.8, 1.3) * along)
    for _ in range(int(rng.integers(1, 4))):
        at = middle + rng.uniform(-0.7, 0.8) * radius * along
        turn = angle + rng.choice([-1, 1]) * rng.uniform(1.1, 1.9)
        add(at, at + rng.uniform(0.4, 0.85) * radius * np.array([np.cos(turn), np.sin(turn)]))
    return streets


def _yard(
    centre: tuple[float, float],
    *,
    distance: float,
    size: float,
    farm: bool,
    rng: np.random.Generator,
    buildable: Buildable,
) -> list[Yard]:
    for _ in range(8):
        turn = rng.uniform(0, 2 * np.pi)
        x, y = centre[0] + distance * np.cos(turn), centre[1] + distance * np.sin(turn)
        length, breadth = size * rng.uniform(0.8, 1.4), size * rng.uniform(0.45, 0.8)
        corners = np.array([[x + a * length, y + b * length] for a in (-1, 0, 1) for b in (-1, 0, 1)])
        if buildable(corners).all():
            key = int(rng.integers(1, 2**32, dtype=np.uint64))
            return [Yard(x, y, length, breadth, turn + rng.normal(0, 0.2), key, farm)]
    return []


def town_yards(
    centre: tuple[float, float], *, radius: float, rng: np.random.Generator, buildable: Buildable
) -> list[Yard]:
    """Works and shops at the edge of a town."""
    return [
        yard
        for _ in range(int(rng.integers(3, 6)))
        for yard in _yard(
            centre,
            distance=radius * rng.uniform(0.75, 1.2),
            size=radius * rng.uniform(0.12, 0.24),
            farm=False,
            rng=rng,
            buildable=buildable,
        )
    ]


def village_yards(
    centre: tuple[float, float], *, radius: float, rng: np.random.Generator, buildable: Buildable
) -> list[Yard]:
    """The farm of a village."""
    return _yard(
        centre,
        distance=radius * rng.uniform(0.7, 1.1),
        size=rng.uniform(60, 95),
        farm=True,
        rng=rng,
        buildable=buildable,
    )
