"""Rivers, roads and streets: lines cut into short pieces, and how far every position lies from the nearest one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2dash.simulation.noise import Axes, curve
from s2dash.types import BoolArray, FloatArray

_SPARSE_M = 20.0
"""Distance between positions from which few of them are near any one piece, m."""
_Range = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True, eq=False)
class Line:
    """A winding line with a width."""

    points: FloatArray
    """Shape (point, 2), x and y, m."""
    half_width: FloatArray
    """Shape (point,), m."""
    key: int
    """Random bits of the line."""
    curvature: FloatArray | None = None
    """Shape (point,), 1/m, positive where it bends to the right (y points down); for rivers."""


@dataclass(frozen=True, eq=False)
class Pieces:
    """Straight pieces of many lines; all arrays of length piece."""

    start: FloatArray
    """Shape (piece, 2), m."""
    end: FloatArray
    """Shape (piece, 2), m."""
    along: FloatArray
    """Distance along the line at the start, m."""
    half_width: FloatArray
    """Mean over the piece, m."""
    key: NDArray[np.uint32]
    """Random bits of the line."""
    curvature: FloatArray
    """Mean over the piece, 1/m."""

    def near(self, bounds: tuple[float, float, float, float], *, reach: float) -> Pieces:
        """Those within `reach` of a box of x0, y0, x1, y1."""
        low, high = np.minimum(self.start, self.end), np.maximum(self.start, self.end)
        kept = (high[:, 0] >= bounds[0] - reach) & (low[:, 0] <= bounds[2] + reach)
        kept &= (high[:, 1] >= bounds[1] - reach) & (low[:, 1] <= bounds[3] + reach)
        return self.take(kept)

    def take(self, kept: NDArray[np.bool_]) -> Pieces:
        """Some of the pieces."""
        return Pieces(
            self.start[kept],
            self.end[kept],
            self.along[kept],
            self.half_width[kept],
            self.key[kept],
            self.curvature[kept],
        )


@dataclass(frozen=True, eq=False)
class Nearness:
    """What is known of the nearest line at every position; all arrays of shape (y, x), 0 beyond the reach."""

    pieces: Pieces
    """The pieces that were near."""
    axes: Axes
    """The positions."""
    bank: FloatArray
    """Distance to the line's edge, m, negative inside it; `inf` beyond the reach."""
    index: NDArray[np.int32]
    """The nearest piece; -1 beyond the reach."""
    share: FloatArray
    """How far along its piece the nearest point lies, 0-1."""

    @cached_property
    def inside(self) -> BoolArray:
        """Where a line is within reach."""
        return np.asarray(self.index >= 0)

    @cached_property
    def found(self) -> bool:
        """Whether a line is within reach of any position."""
        return bool(self.inside.any())

    @cached_property
    def _at(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.inside)

    @cached_property
    def _piece(self) -> NDArray[np.int32]:
        return self.index.ravel()[self._at]

    def _spread(self, values: NDArray[Any]) -> NDArray[Any]:
        full = np.zeros(self.index.shape, dtype=values.dtype)
        full.ravel()[self._at] = values
        return full

    @cached_property
    def half_width(self) -> FloatArray:
        """Of the line there, m."""
        return self._spread(self.pieces.half_width.astype(np.float32)[self._piece])

    @cached_property
    def distance(self) -> FloatArray:
        """To the line's middle, m; `inf` beyond the reach."""
        return np.asarray(self.bank + self.half_width)

    @cached_property
    def curvature(self) -> FloatArray:
        """Of the line there, 1/m."""
        return self._spread(self.pieces.curvature.astype(np.float32)[self._piece])

    @cached_property
    def key(self) -> NDArray[np.uint32]:
        """Random bits of the line."""
        return self._spread(self.pieces.key[self._piece])

    @cached_property
    def along(self) -> FloatArray:
        """Distance along the line, m."""
        length = np.hypot(*(self.pieces.end - self.pieces.start).T).astype(np.float32)
        start = self.pieces.along.astype(np.float32)
        return self._spread(start[self._piece] + self.share.ravel()[self._at] * length[self._piece])

    @cached_property
    def right(self) -> BoolArray:
        """True on the right-hand side (y points down)."""
        step = (self.pieces.end - self.pieces.start).astype(np.float32)[self._piece]
        origin = np.array([self.axes.x[0], self.axes.y[0]])
        local = (self.pieces.start - origin).astype(np.float32)[self._piece]
        row, col = np.divmod(self._at, self.index.shape[1])
        x, y = self.axes.local_x[0][col], self.axes.local_y[:, 0][row]
        return self._spread(step[:, 0] * (y - local[:, 1]) - step[:, 1] * (x - local[:, 0]) > 0)

    @cached_property
    def beyond_end(self) -> BoolArray:
        """True where the nearest point is the end of a line: the position lies past the line rather than beside it."""
        first = self.pieces.along == 0
        last = np.append(first[1:], True)
        piece, share = self._piece, self.share.ravel()[self._at]
        return self._spread((first[piece] & (share <= 0)) | (last[piece] & (share >= 1)))


def joined(parts: Iterable[Pieces]) -> Pieces:
    """All pieces of several sets."""
    each = list(parts)
    return Pieces(
        *(
            np.concatenate([getattr(part, name) for part in each])
            for name in ("start", "end", "along", "half_width", "key", "curvature")
        )
    )


def pieces_of(lines: Iterable[Line]) -> Pieces:
    """Cut lines into the pieces between their points."""
    parts: list[tuple[FloatArray, ...]] = []
    keys: list[NDArray[np.uint32]] = []
    for line in lines:
        steps = np.hypot(*np.diff(line.points, axis=0).T)
        bend = line.curvature if line.curvature is not None else np.zeros(len(line.points))
        parts.append(
            (
                line.points[:-1],
                line.points[1:],
                np.concatenate([[0], np.cumsum(steps)[:-1]]),
                (line.half_width[:-1] + line.half_width[1:]) / 2,
                (bend[:-1] + bend[1:]) / 2,
            )
        )
        keys.append(np.full(len(steps), line.key, dtype=np.uint32))
    if not parts:
        none = np.zeros(0)
        return Pieces(np.zeros((0, 2)), np.zeros((0, 2)), none, none, np.zeros(0, dtype=np.uint32), none)
    start, end, along, half_width, bend = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Pieces(start, end, along, half_width, np.concatenate(keys), bend)


def nearest(axes: Axes, pieces: Pieces, *, reach: float) -> Nearness:
    """Distance to the nearest line at every position, as far as `reach`.

    Pieces are drawn into their own surroundings, so the work grows with their number, not with the scene. Where
    widths differ, the line is nearest whose bank is.
    """
    pieces = pieces.near(axes.bounds, reach=reach)
    low = np.minimum(pieces.start, pieces.end) - reach - pieces.half_width[:, None]
    high = np.maximum(pieces.start, pieces.end) + reach + pieces.half_width[:, None]
    cols = np.searchsorted(axes.x, low[:, 0]), np.searchsorted(axes.x, high[:, 0])
    rows = np.searchsorted(axes.y, low[:, 1]), np.searchsorted(axes.y, high[:, 1])
    draw = _by_pairs if axes.step > _SPARSE_M else _one_by_one
    return draw(axes, pieces, rows, cols)


def _one_by_one(axes: Axes, pieces: Pieces, rows: _Range, cols: _Range) -> Nearness:
    """For dense positions: each piece has many in its surroundings."""
    bank = np.full(axes.shape, np.inf, dtype=np.float32)
    index = np.full(axes.shape, -1, dtype=np.int32)
    share = np.zeros(axes.shape, dtype=np.float32)
    ground_x, ground_y = axes.local_x, axes.local_y
    origin = np.array([axes.x[0], axes.y[0]])
    for piece in np.flatnonzero((rows[1] > rows[0]) & (cols[1] > cols[0])):
        part = slice(rows[0][piece], rows[1][piece]), slice(cols[0][piece], cols[1][piece])
        x0, y0 = (float(value) for value in pieces.start[piece] - origin)
        dx, dy = (float(value) for value in pieces.end[piece] - pieces.start[piece])
        rx, ry = ground_x[:, part[1]] - np.float32(x0), ground_y[part[0]] - np.float32(y0)
        squared = max(dx * dx + dy * dy, 1e-9)
        t = rx * np.float32(dx / squared) + ry * np.float32(dy / squared)
        np.clip(t, 0, 1, out=t)
        away = np.sqrt((rx - t * np.float32(dx)) ** 2 + (ry - t * np.float32(dy)) ** 2)
        away -= np.float32(pieces.half_width[piece])
        wins = away < bank[part]
        np.copyto(bank[part], away, where=wins)
        np.copyto(share[part], t, where=wins)
        index[part][wins] = piece
    return Nearness(pieces, axes, bank, index, share)


def _by_pairs(axes: Axes, pieces: Pieces, rows: _Range, cols: _Range) -> Nearness:
    """For sparse positions: all pairs of a piece and a position near it at once."""
    tall, wide = np.maximum(rows[1] - rows[0], 0), np.maximum(cols[1] - cols[0], 0)
    piece = np.repeat(np.arange(len(tall)), tall * wide)
    number = np.arange(len(piece)) - np.repeat(np.cumsum(tall * wide) - tall * wide, tall * wide)
    row = rows[0][piece] + number // np.maximum(wide[piece], 1)
    col = cols[0][piece] + number % np.maximum(wide[piece], 1)
    step = pieces.end[piece] - pieces.start[piece]
    from_start = np.stack([axes.x[col], axes.y[row]], axis=1) - pieces.start[piece]
    t = np.clip((from_start * step).sum(axis=1) / np.maximum((step * step).sum(axis=1), 1e-9), 0, 1)
    off = from_start - t[:, None] * step
    away = np.hypot(off[:, 0], off[:, 1]) - pieces.half_width[piece]
    # From far to near, so that the nearest is written last.
    order = np.argsort(-away, kind="stable")
    bank = np.full(axes.shape, np.inf, dtype=np.float32)
    index = np.full(axes.shape, -1, dtype=np.int32)
    share = np.zeros(axes.shape, dtype=np.float32)
    at = row[order], col[order]
    bank[at], index[at], share[at] = away[order], piece[order], t[order]
    return Nearness(pieces, axes, bank, index, share)


def winding(
    start: tuple[float, float],
    end: tuple[float, float],
    *,
    key: int,
    amplitude: float,
    wavelength: float,
    step: float = 60.0,
    rough: float = 0.0,
) -> FloatArray:
    """A line from one point to another that strays sideways and comes back, shape (point, 2).

    Args:
        start: x and y, m.
        end: x and y, m.
        key: Which of many lines.
        amplitude: How far it strays, m (standard deviation).
        wavelength: Distance between its bends, m.
        step: Distance between its points, m.
        rough: Height of finer bends, a quarter as wide, over `amplitude`.
    """
    a, b = np.array(start, dtype=np.float64), np.array(end, dtype=np.float64)
    length = float(np.hypot(*(b - a)))
    count = max(int(length / step), 2) + 1
    t = np.linspace(0, 1, count)
    stray = curve(t * length, wavelength=wavelength, key=key)
    if rough:
        stray += rough * curve(t * length, wavelength=wavelength / 4, key=key ^ 0x77)
    stray *= amplitude * np.minimum(1, 4 * np.minimum(t, 1 - t))
    normal = np.array([-(b - a)[1], (b - a)[0]]) / max(length, 1e-9)
    return np.asarray(a + t[:, None] * (b - a) + stray[:, None] * normal)
