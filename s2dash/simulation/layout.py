"""Where the features of the simulated landscape lie: lakes, towns, villages, quarries, woods.

The scene is divided into stretches of about 5 km; each is planned by itself from the seed, when somebody first looks
at it. The middle one has one of everything, so a small scene shows all the classes; the others vary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from s2dash.simulation.lines import Line, Pieces, pieces_of, winding
from s2dash.simulation.settlements import Yard, town_streets, town_yards, village_streets, village_yards
from s2dash.simulation.waterways import Waterways, oxbow, plan_rivers
from s2dash.types import FloatArray

PIXEL_M = 10.0
"""Side of a pixel, m."""
_CELL_PIXELS = 512
_SMALLEST_CELL = 384
"""A stretch with room for everything, pixels; smaller scenes show its middle."""


@dataclass(frozen=True)
class Place:
    """Something round: a lake, a quarry, a town, a wood."""

    x: float
    """Middle, m from the left of the scene."""
    y: float
    """Middle, m from the top of the scene."""
    radius: float
    """Mean radius, m."""
    stretch: float = 1.0
    """Long axis over mean radius."""
    angle: float = 0.0
    """Direction of the long axis, radians."""
    key: int = 0
    """Random bits of the place."""


@dataclass(frozen=True)
class Sites:
    """The places of one stretch of land."""

    lakes: tuple[Place, ...]
    """Lakes, none or one."""
    towns: tuple[Place, ...]
    """Towns, none or one."""
    villages: tuple[Place, ...]
    """One to three."""
    quarries: tuple[Place, ...]
    """Quarries and sand pits."""
    woods: tuple[Place, ...]
    """Where woods are sure to stand."""
    marshes: tuple[Place, ...]
    """Where the ground is wet."""

    @property
    def hub(self) -> Place:
        """The place all roads of the stretch lead to."""
        return (self.towns + self.villages)[0]


@dataclass(frozen=True, eq=False)
class Ways:
    """The lines of one stretch of land."""

    roads: Pieces
    """Country roads."""
    streams: Pieces
    """Brooks."""
    oxbows: Pieces
    """Old arms of the river."""


@dataclass(frozen=True, eq=False)
class Settlement:
    """What is built in a town or village."""

    streets: Pieces
    """Streets with houses along them."""
    yards: tuple[Yard, ...]
    """Works and farms."""


@dataclass(frozen=True)
class Layout:
    """The plan of a whole landscape; equal plans are drawn equally."""

    height: int
    """Of the scene, pixels."""
    width: int
    """Of the scene, pixels."""
    seed: int
    """Of everything random."""

    @cached_property
    def cell(self) -> tuple[float, float]:
        """Height and width of a stretch, m."""
        return tuple(  # type: ignore[return-value]
            max(side / self._count(side), _SMALLEST_CELL) * PIXEL_M for side in (self.height, self.width)
        )

    @cached_property
    def origin(self) -> tuple[float, float]:
        """y and x of the upper left corner of stretch (0, 0), m: scenes smaller than it show its middle."""
        return tuple(  # type: ignore[return-value]
            (side * PIXEL_M - self._count(side) * cell) / 2
            for side, cell in zip((self.height, self.width), self.cell, strict=True)
        )

    @cached_property
    def home(self) -> tuple[int, int]:
        """Row and column of the stretch that has one of everything."""
        return (self._count(self.height) - 1) // 2, (self._count(self.width) - 1) // 2

    @cached_property
    def rivers(self) -> Waterways:
        """The rivers, from one side of the scene to the other."""
        return plan_rivers(
            height=self.height * PIXEL_M,
            width=self.width * PIXEL_M,
            spacing=6.5 * min(self.cell),
            seed=self.seed,
        )

    @staticmethod
    def _count(side: int) -> int:
        return max(1, round(side / _CELL_PIXELS))

    def cells_near(self, bounds: tuple[float, float, float, float], *, reach: float) -> list[tuple[int, int]]:
        """Rows and columns of the stretches that something within `reach` of a box of x0, y0, x1, y1 can belong to."""
        left, top, right, bottom = bounds
        rows = [int(np.floor((y - self.origin[0]) / self.cell[0])) for y in (top - reach, bottom + reach)]
        cols = [int(np.floor((x - self.origin[1]) / self.cell[1])) for x in (left - reach, right + reach)]
        return [(row, col) for row in range(rows[0], rows[1] + 1) for col in range(cols[0], cols[1] + 1)]

    def sites(self, row: int, col: int) -> Sites:
        """The places of a stretch."""
        return _sites(self, row, col)

    def ways(self, row: int, col: int) -> Ways:
        """The lines of a stretch."""
        return _ways(self, row, col)

    def town(self, place: Place) -> Settlement:
        """What is built in a town."""
        return _settlement(self, place, village=False)

    def village(self, place: Place) -> Settlement:
        """What is built in a village."""
        return _settlement(self, place, village=True)

    def box(self, row: int, col: int) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 of a stretch, m."""
        top, left = self.origin[0] + row * self.cell[0], self.origin[1] + col * self.cell[1]
        return left, top, left + self.cell[1], top + self.cell[0]


@lru_cache(maxsize=1024)
def _sites(layout: Layout, row: int, col: int) -> Sites:
    rng = np.random.default_rng([layout.seed & 0xFFFFFFFF, 1, row & 0xFFFFFFFF, col & 0xFFFFFFFF])
    home = (row, col) == layout.home
    box = layout.box(row, col)
    scale = min(1.0, min(layout.cell) / 4600)
    taken: list[Place] = []

    def put(radius: float, *, room: float, apart: float, stretch: float = 1.0, near_river: bool = False) -> Place:
        x, y = _free_place(
            rng, box, taken, layout.rivers.distance, radius=radius, room=room, apart=apart, near_river=near_river
        )
        key = int(rng.integers(1, 2**32, dtype=np.uint64))
        place = Place(x, y, radius, stretch, float(rng.uniform(0, np.pi)), key)
        taken.append(place)
        return place

    lakes = (
        (put(scale * rng.uniform(400, 470), room=0.13, apart=160, stretch=1.35),) if home or rng.random() < 0.4 else ()
    )
    town_size = scale * (rng.uniform(560, 680) if home else rng.uniform(380, 1050))
    towns = (put(town_size, room=0.17, apart=120),) if home or rng.random() < 0.6 else ()
    quarries = (put(scale * rng.uniform(260, 320), room=0.1, apart=90),) if home or rng.random() < 0.35 else ()
    woods = tuple(
        put(scale * rng.uniform(420, 760), room=0.05, apart=-80) for _ in range(2 if home else 1 + rng.integers(3))
    )
    villages = tuple(
        put(scale * rng.uniform(300, 430), room=0.08, apart=60) for _ in range(2 if home else 1 + rng.integers(3))
    )
    marshes = tuple(
        put(scale * rng.uniform(230, 330), room=0.03, apart=-100, near_river=True) for _ in range(1 + rng.integers(2))
    )
    # Far from a river there is no marsh.
    centres = np.array([[place.x, place.y] for place in marshes])
    wet = tuple(
        place for place, away in zip(marshes, layout.rivers.distance(centres), strict=True) if home or away < 1000
    )
    return Sites(lakes, towns, villages, quarries, woods, wet)


def _free_place(
    rng: np.random.Generator,
    box: tuple[float, float, float, float],
    taken: Sequence[Place],
    river_distance: Callable[[FloatArray], FloatArray],
    *,
    radius: float,
    room: float,
    apart: float,
    near_river: bool,
) -> tuple[float, float]:
    """The roomiest of some random points: away from what is there, and from the river (or at it)."""
    left, top, right, bottom = box
    inset_x, inset_y = room * (right - left), room * (bottom - top)
    points = np.column_stack(
        [rng.uniform(left + inset_x, right - inset_x, 48), rng.uniform(top + inset_y, bottom - inset_y, 48)]
    )
    river = river_distance(points)
    clearance = -np.abs(river - 160) if near_river else river - 90 - 0.9 * radius
    for place in taken:
        gap = np.hypot(points[:, 0] - place.x, points[:, 1] - place.y) - place.radius * place.stretch - radius - apart
        clearance = np.minimum(clearance, gap)
    enough = np.flatnonzero(clearance >= 0)
    chosen = enough[0] if len(enough) else int(np.argmax(clearance))
    return float(points[chosen, 0]), float(points[chosen, 1])


@lru_cache(maxsize=256)
def _ways(layout: Layout, row: int, col: int) -> Ways:
    rng = np.random.default_rng([layout.seed & 0xFFFFFFFF, 2, row & 0xFFFFFFFF, col & 0xFFFFFFFF])
    sites = layout.sites(row, col)
    neighbours = [layout.sites(row, col + 1), layout.sites(row + 1, col)]
    obstacles = [*sites.lakes, *sites.quarries, *(p for other in neighbours for p in other.lakes + other.quarries)]

    def key() -> int:
        return int(rng.integers(1, 2**32, dtype=np.uint64))

    def road(a: Place, b: Place, half_width: float, amplitude: float) -> Line:
        points = winding((a.x, a.y), (b.x, b.y), key=key(), amplitude=amplitude, wavelength=1000)
        for place in obstacles:
            points = _around(points, place)
        return Line(points, np.full(len(points), half_width), key())

    roads = [road(sites.hub, other.hub, float(rng.choice([4.0, 5.5])), 120) for other in neighbours]
    roads += [road(village, sites.hub, 3.4, 70) for village in sites.villages if village is not sites.hub]
    if rng.random() < 0.5:
        roads.append(road(sites.hub, layout.sites(row + 1, col - 1).hub, 3.4, 200))
    box = layout.box(row, col)
    streams = []
    for _ in range(1 + int(rng.random() < 0.3)):
        spring = (float(rng.uniform(box[0], box[2])), float(rng.uniform(box[1], box[3])))
        mouth = layout.rivers.nearest_point(spring)
        if 500 < np.hypot(mouth[0] - spring[0], mouth[1] - spring[1]) < 5000:
            points = winding(spring, mouth, key=key(), amplitude=170, wavelength=520, step=30, rough=0.22)
            streams.append(Line(points, np.linspace(1.5, 5.0, len(points)), key()))
    keep_off = [(place.x, place.y, place.radius) for place in sites.towns + sites.quarries + sites.lakes]
    arms = [
        oxbow(layout.rivers, box=box, keep_off=keep_off, rng=rng)
        for _ in range(2 if (row, col) == layout.home else int(rng.integers(3)))
    ]
    return Ways(
        roads=pieces_of(roads),
        streams=pieces_of(streams),
        oxbows=pieces_of([arm for arm in arms if arm is not None]),
    )


@lru_cache(maxsize=1024)
def _settlement(layout: Layout, place: Place, *, village: bool) -> Settlement:
    rng = np.random.default_rng([place.key, 4])
    box = (place.x, place.y, place.x, place.y)
    around = [layout.sites(*cell) for cell in layout.cells_near(box, reach=2500)]
    obstacles = [other for sites in around for other in sites.lakes + sites.quarries]

    def buildable(points: FloatArray) -> NDArray[np.bool_]:
        free = layout.rivers.distance(points) > 85
        for other in obstacles:
            reach = other.radius * (other.stretch + 0.2)
            free &= np.hypot(points[:, 0] - other.x, points[:, 1] - other.y) > reach
        return free

    centre = (place.x, place.y)
    streets_of, yards_of = (village_streets, village_yards) if village else (town_streets, town_yards)
    return Settlement(
        streets=pieces_of(streets_of(centre, radius=place.radius, rng=rng, buildable=buildable)),
        yards=tuple(yards_of(centre, radius=place.radius, rng=rng, buildable=buildable)),
    )


def _around(points: FloatArray, place: Place) -> FloatArray:
    """Push a line out of a place."""
    away = points - (place.x, place.y)
    distance = np.maximum(np.hypot(away[:, 0], away[:, 1]), 1.0)
    reach = place.radius * (place.stretch + 0.3)
    # The push fades over twice the reach, so that the road bends instead of breaking.
    pushed = np.where(distance < 2 * reach, reach + distance / 2, distance)
    return np.asarray((place.x, place.y) + away * (pushed / distance)[:, None])
