"""Rivers that meander: the direction of the channel swings like a sine along its length (Langbein & Leopold 1966)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from s2dash.simulation.hashing import stream_key
from s2dash.simulation.lines import Line, Pieces, pieces_of
from s2dash.simulation.noise import curve
from s2dash.types import FloatArray

_STEP = 24.0
"""Distance between points of a river, m."""
_FAR = 1e6


@dataclass(frozen=True, eq=False)
class Waterways:
    """All rivers of a scene."""

    lines: tuple[Line, ...]
    """One a river, from one side to the other."""

    @cached_property
    def points(self) -> FloatArray:
        """All points of all rivers, shape (point, 2), m."""
        return np.concatenate([line.points for line in self.lines])

    @cached_property
    def bends(self) -> FloatArray:
        """Curvature at `points`, 1/m."""
        return np.concatenate([line.curvature for line in self.lines if line.curvature is not None])

    @cached_property
    def pieces(self) -> Pieces:
        """The rivers cut into pieces of two steps: within 2 m of the curve in the tightest bend."""
        return self._thinned(2)

    @cached_property
    def coarse_pieces(self) -> Pieces:
        """The same in pieces of four steps, for what need not be exact."""
        return self._thinned(4)

    def _thinned(self, every: int) -> Pieces:
        thinned = []
        for line in self.lines:
            kept = np.unique(np.append(np.arange(0, len(line.points), every), len(line.points) - 1))
            bend = None if line.curvature is None else line.curvature[kept]
            thinned.append(Line(line.points[kept], line.half_width[kept], line.key, bend))
        return pieces_of(thinned)

    @cached_property
    def _tree(self) -> object:
        from scipy.spatial import cKDTree

        return cKDTree(self.points)

    def distance(self, points: FloatArray) -> FloatArray:
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
    # Rivers that cross more land carry more water.
    widen = min(1 + max(length - 6000, 0) / 45_000, 3.5)
    lines = []
    for number in range(count):
        share = (number + 0.5 + (rng.uniform(-0.16, 0.16) if count == 1 else rng.uniform(-0.25, 0.25))) / count
        line = _river(
            length,
            middle=share * breadth,
            sway=0.26 * breadth / count * min(max(length - 8000, 0) / 30_000, 1),
            size=widen * rng.uniform(32, 44),
            key=stream_key(seed, 31, number),
            rng=rng,
        )
        lines.append(_transposed(line) if down else line)
    return Waterways(tuple(lines))


def _transposed(line: Line) -> Line:
    """The mirror image that runs down instead of across; right and left change places."""
    bend = None if line.curvature is None else -line.curvature
    return Line(np.ascontiguousarray(line.points[:, ::-1]), line.half_width, line.key, bend)


def _river(length: float, *, middle: float, sway: float, size: float, key: int, rng: np.random.Generator) -> Line:
    """A river from left to right around the height `middle`; `size` is half its width, m.

    Its valley strays from there by `sway` m (standard deviation) over many kilometres.
    """
    start = -2500.0
    x, y, phase = start, middle + float(rng.uniform(-400, 400)), float(rng.uniform(0, 2 * np.pi))
    reach = int(2.6 * (length + 5000) / _STEP) + 400
    s = np.arange(reach) * _STEP
    swing = np.clip(1.15 + 0.45 * curve(s, wavelength=950, key=stream_key(key, 1)), 0.2, 1.75)
    wave = (0.5 + size / 76) * np.clip(1850 + 560 * curve(s, wavelength=1200, key=stream_key(key, 2)), 1000, 3400)
    eastward = np.arange(0, length + 9000, 50.0)
    wander = 420 * curve(eastward, wavelength=2600, key=stream_key(key, 3))
    wander += sway * curve(eastward, wavelength=13_000, key=stream_key(key, 5))
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
    along = np.arange(len(path)) * _STEP
    width = size * (1 + 0.16 * curve(along, wavelength=420, key=stream_key(key, 4)))
    return Line(path, width, key, turn)


def oxbow(
    rivers: Waterways,
    *,
    box: tuple[float, float, float, float],
    keep_off: Sequence[tuple[float, float, float]],
    rng: np.random.Generator,
) -> Line | None:
    """An old arm beside a river within a box, off some circles (x, y, radius); None where no river is."""
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
        for x, y, size in keep_off:
            clear = min(clear, float(np.hypot(points[:, 0] - x, points[:, 1] - y).min()) - 1.2 * size)
        if clear > room:
            best, room = points, clear
    if best is None:
        return None
    width = rng.uniform(14, 22) * np.sin(np.linspace(0.25, np.pi - 0.25, len(best))) ** 0.5
    return Line(best, width, int(rng.integers(1, 2**32, dtype=np.uint64)))
