"""Rivers that meander: the direction of the channel swings like a sine along its length (Langbein & Leopold 1966)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from s2dash.simulation.hashing import stream_key
from s2dash.simulation.lines import Line, Pieces, curve, pieces_of

_STEP = 24.0
"""Distance between points of a river, m."""
_FAR = 1e6


@dataclass(frozen=True, eq=False)
class Waterways:
    """All rivers of a scene."""

    lines: tuple[Line, ...]
    """One a river, from one side to the other."""

    @cached_property
    def points(self) -> NDArray[np.float64]:
        """All points of all rivers, shape (point, 2), m."""
        return np.concatenate([line.points for line in self.lines])

    @cached_property
    def bends(self) -> NDArray[np.float64]:
        """Curvature at `points`, 1/m."""
        return np.concatenate([line.curvature for line in self.lines if line.curvature is not None])

    @cached_property
    def pieces(self) -> Pieces:
        """The rivers cut into pieces."""
        return pieces_of(self.lines)

    @cached_property
    def coarse_pieces(self) -> Pieces:
        """The same in pieces four times as long, for what need not be exact."""
        thinned = []
        for line in self.lines:
            kept = np.unique(np.append(np.arange(0, len(line.points), 4), len(line.points) - 1))
            thinned.append(Line(line.points[kept], line.half_width[kept], line.key))
        return pieces_of(thinned)

    @cached_property
    def _tree(self) -> object:
        from scipy.spatial import cKDTree

        return cKDTree(self.points)

    def distance(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance of points (n, 2) to the middle of the nearest river, m, good to `_STEP`."""
        away, _ = self._tree.query(points)  # type: ignore[attr-defined]
        return np.asarray(away)

    def nearest_point(self, point: tuple[float, float]) -> tuple[float, float]:
        """The point of a river nearest to one."""
        _, index = self._tree.query(point)  # type: ignore[attr-defined]
        return float(self.points[index, 0]), float(self.points[index, 1])


def plan_rivers(*, height: float, width: float, spacing: float, seed: int) -> Waterways:
    """Rivers across a scene, about `spacing` apart; all of them run the same way, across or down.

    Args:
        height: Of the scene, m.
        width: Of the scene, m.
        spacing: Distance between rivers, m.
        seed: Of the scene.
    """
    rng = np.random.default_rng([seed & 0xFFFFFFFF, 3])
    down = bool(rng.random() < 0.5)
    length, breadth = (height, width) if down else (width, height)
    count = max(1, round(breadth / spacing))
    lines = []
    for number in range(count):
        share = (number + 0.5 + (rng.uniform(-0.16, 0.16) if count == 1 else rng.uniform(-0.25, 0.25))) / count
        line = _river(
            length, middle=share * breadth, size=rng.uniform(32, 44), key=stream_key(seed, 31, number), rng=rng
        )
        lines.append(Line(line.points[:, ::-1], line.half_width, line.key, -line.curvature) if down and line.curvature is not None else line)  # fmt: skip
    return Waterways(tuple(lines))


def _river(length: float, *, middle: float, size: float, key: int, rng: np.random.Generator) -> Line:
    """A river from left to right around the height `middle`; `size` is half its width, m."""
    start = -2500.0
    x, y, phase = start, middle + float(rng.uniform(-400, 400)), float(rng.uniform(0, 2 * np.pi))
    reach = int(2.6 * (length + 5000) / _STEP) + 400
    s = np.arange(reach) * _STEP
    swing = np.clip(1.15 + 0.45 * curve(s, wavelength=950, key=stream_key(key, 1)), 0.2, 1.75)
    wave = np.clip(1850 + 560 * curve(s, wavelength=1200, key=stream_key(key, 2)), 1000, 3400)
    wander = 420 * curve(np.arange(0, length + 9000, 50.0), wavelength=2600, key=stream_key(key, 3))
    points, headings = [(x, y)], []
    for step in range(reach):
        phase += 2 * np.pi * _STEP / wave[step]
        # The mean direction leads back towards a slowly wandering middle line.
        aim = middle + wander[min(max(int((x - start) / 50), 0), len(wander) - 1)]
        valley = np.clip((aim - y) / 1800, -0.55, 0.55)
        heading = valley + swing[step] * np.sin(phase)
        x, y = x + _STEP * np.cos(heading), y + _STEP * np.sin(heading)
        points.append((x, y))
        headings.append(heading)
        if x > length + 2500:
            break
    path = np.array(points)
    turn = np.gradient(np.unwrap(np.array([*headings, headings[-1]]))) / _STEP
    width = size * (1 + 0.16 * curve(s[: len(path)] if len(path) <= reach else np.append(s, s[-1]), wavelength=420, key=stream_key(key, 4)))  # fmt: skip
    return Line(path, width, key, turn)


def oxbow(rivers: Waterways, *, box: tuple[float, float, float, float], rng: np.random.Generator) -> Line | None:
    """An old arm beside a river within a box: most of a circle, open towards the river; None where no river is."""
    inside = np.flatnonzero(
        (rivers.points[:, 0] > box[0] + 300)
        & (rivers.points[:, 0] < box[2] - 300)
        & (rivers.points[:, 1] > box[1] + 300)
        & (rivers.points[:, 1] < box[3] - 300)
    )
    if not len(inside):
        return None
    best, room = None, -_FAR
    for _ in range(16):
        at = int(rng.choice(inside[:-1])) if len(inside) > 1 else int(inside[0])
        along = rivers.points[min(at + 1, len(rivers.points) - 1)] - rivers.points[max(at - 1, 0)]
        normal = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-9) * rng.choice([-1, 1])
        radius, facing = rng.uniform(110, 190), np.arctan2(normal[1], normal[0])
        centre = rivers.points[at] + normal * (radius + rng.uniform(90, 170))
        turn = np.linspace(-1, 1, 48) * rng.uniform(1.5, 2.3) + facing
        ripple = 1 + 0.1 * np.sin(2 * turn + rng.uniform(0, 6)) + 0.05 * np.sin(5 * turn + rng.uniform(0, 6))
        points = centre + (radius * ripple)[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        clear = float(rivers.distance(points).min())
        if clear > room:
            best, room = points, clear
    if best is None:
        return None
    width = rng.uniform(14, 22) * np.sin(np.linspace(0.25, np.pi - 0.25, len(best))) ** 0.5
    return Line(best, width, int(rng.integers(1, 2**32, dtype=np.uint64)))
