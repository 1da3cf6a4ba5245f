"""Which cluster the nearest core point within reach belongs to, for millions of pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2dash.types import BoolArray, FloatArray, LabelArray

CHUNK = 1 << 12
"""Pixels looked up at a time, so that their scores stay in cache."""
AXES = 3
"""Components that cells are made of."""
_UNSURE = 255
_UNKNOWN = 0
_CELLS = 1 << 25
"""Most cells, a byte each."""
_CELLS_A_SIDE = 4096
"""Most cells along an axis: finer ones would be lost in the rounding of float32."""
_PER_REACH = 4
"""Cells that `eps` is long, where so many fit."""
_BALLS = 192
"""Most balls: each costs every pixel some nanoseconds."""
_LEAST_GAIN = 6
"""A ball that settles fewer of the witnesses than this costs more than it saves."""


@dataclass(frozen=True)
class CoreIndex:
    """Core points in a form in which the nearest one's cluster is found fast; the answers are exact.

    Three sieves, each of which only lets through what it cannot settle for sure:

    - Cells of side `eps`/4 on the first three components. From its centre, a cell (all of it) is known to be noise, or,
      where there are no more than three components, to belong to one cluster. A cell is looked at when the first pixel
      falls into it, and its answer is kept.
    - With more components, balls around core points, of radius `eps` or half the distance to the nearest core point of
      another cluster where that is less: by the triangle inequality no other cluster's core point is nearer to a pixel
      within. A matrix product with the balls that cover most is cheaper than a search.
    - A k-d tree of all core points.
    """

    cores: FloatArray
    """Shape (core point, component), float32."""
    labels: LabelArray
    """Cluster of each core point, 1 …, shape (core point,)."""
    eps: float
    """Reach."""
    noise: int
    """What to call pixels that no core point reaches, 1 … 254."""

    def label(self, points: FloatArray) -> LabelArray:
        """Cluster of the nearest core point within reach, else `noise`.

        Args:
            points: Shape (pixel, component), float32.

        Returns:
            Shape (pixel,), uint8.
        """
        if not len(self.cores):
            return np.full(len(points), self.noise, np.uint8)
        out = self._cells.look(points)
        unsure = np.flatnonzero(out == _UNSURE)
        # like ones one after the other: the branches of the tree that they need stay in cache
        unsure = unsure[np.argsort(points[unsure, 0])]
        for start in range(0, len(unsure), CHUNK):
            at = unsure[start : start + CHUNK]
            if points.shape[1] > AXES:
                inside, label = self._in_a_ball(points[at])
                out[at[inside]] = label[inside]
                at = at[~inside]
            apart, nearest = self._tree.query(points[at], distance_upper_bound=np.nextafter(self.eps, np.inf))
            reached = np.isfinite(apart)
            out[at[~reached]] = self.noise
            out[at[reached]] = self.labels[nearest[reached]]
        return out

    def _in_a_ball(self, points: FloatArray) -> tuple[BoolArray, LabelArray]:
        weights, owners = self._balls
        lifted = np.empty((len(points), points.shape[1] + 1), np.float32)
        lifted[:, :-1], lifted[:, -1] = points, 1
        scores = lifted @ weights
        best = scores.argmax(axis=1)
        squares = np.einsum("pc,pc->p", points, points) * np.float32(1 + 1e-5)
        return scores[np.arange(len(points)), best] >= squares, owners[best]

    # The following are made when first needed; two threads that come at once make the same.

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import cKDTree

        return cKDTree(self.cores.astype(np.float64))

    @cached_property
    def _cells(self) -> _Cells:
        from scipy.spatial import cKDTree

        if self.cores.shape[1] > AXES:
            tree = cKDTree(self.cores[:, :AXES].astype(np.float64))
            return _Cells.around(tree, self.eps, self.noise, None, self.labels)
        return _Cells.around(self._tree, self.eps, self.noise, self._apart(np.arange(len(self.cores))), self.labels)

    @cached_property
    def _balls(self) -> tuple[FloatArray, LabelArray]:
        """Weights of shape (component + 1, ball), such that `(x, 1) @ weights >= |x|²` says inside; and clusters."""
        picks = np.unique(np.linspace(0, len(self.cores) - 1, 2048).astype(int))
        centres = self.cores[picks].astype(np.float64)
        radius = np.minimum(self._apart(picks) / 2, self.eps) * (1 - 1e-5)
        squares = (centres**2).sum(axis=1)
        # room for the rounding of float32, so that a ball never claims a pixel that is not inside
        bias = radius**2 - squares * (1 + 1e-5)
        weights = np.vstack([2 * centres.T, bias]).astype(np.float32)
        witnesses = self.cores[np.unique(np.linspace(0, len(self.cores) - 1, 4096).astype(int))]
        lifted = np.hstack([witnesses, np.ones((len(witnesses), 1), np.float32)])
        inside = lifted @ weights >= np.einsum("pc,pc->p", witnesses, witnesses)[:, None]
        chosen = _greedy_cover(inside)
        return np.ascontiguousarray(weights[:, chosen]), self.labels[picks][chosen]

    def _apart(self, picks: NDArray[np.int64]) -> FloatArray:
        """Distance of some core points to the nearest one of another cluster, at most twice `eps`."""
        from scipy.spatial import cKDTree

        centres, owners = self.cores[picks].astype(np.float64), self.labels[picks]
        apart = np.full(len(picks), 2 * self.eps)
        for cluster in np.unique(self.labels):
            others = np.flatnonzero(owners != cluster)
            if len(others):
                tree = cKDTree(self.cores[self.labels == cluster].astype(np.float64))
                near, _ = tree.query(centres[others], distance_upper_bound=2 * self.eps)
                apart[others] = np.minimum(apart[others], near)
        return apart


@dataclass(frozen=True)
class _Cells:
    """A grid of cells over the core points, each with its answer once it was asked for."""

    tree: Any
    """Of the core points, on the cells' components."""
    eps: float
    noise: int
    apart: FloatArray | None
    """Distance of each core point to the nearest of another cluster; None where cells can only tell noise."""
    labels: LabelArray
    origin: FloatArray
    """Corner of the first cell, shape (axis,), float64."""
    side: float
    """Side of a cell."""
    known: LabelArray
    """Answers: 0 not asked yet, 255 not sure. Threads may write the same answer at once, which does no harm."""

    @classmethod
    def around(cls, tree: Any, eps: float, noise: int, apart: FloatArray | None, labels: LabelArray) -> _Cells:
        low, high = tree.mins - eps, tree.maxes + eps
        side = max(eps / _PER_REACH, float((high - low).max()) / (_CELLS_A_SIDE - 4))
        while np.prod((high - low) / side + 4) > _CELLS:
            side *= 1.25
        shape = np.ceil((high - low) / side).astype(int) + 4  # two cells beyond the reach at either end
        known = np.zeros(shape, np.uint8)
        for axis in range(known.ndim):  # whatever lies outside is taken for the outermost cell
            ends = np.moveaxis(known, axis, 0)
            ends[0] = ends[-1] = noise
        return cls(tree, eps, noise, apart, labels, low - 2 * side, side, known)

    def look(self, points: FloatArray) -> LabelArray:
        """The answer for each point, shape (pixel,): a cluster, noise or not sure."""
        shape = self.known.shape
        place = np.zeros(len(points), np.int32)
        for axis, count in enumerate(shape):
            along = points[:, axis] - np.float32(self.origin[axis])
            along *= np.float32(1 / self.side)
            np.clip(along, 0, count - 1, out=along)
            place *= count
            place += along.astype(np.int32)
        known = self.known.reshape(-1)
        found = known[place]
        new = np.flatnonzero(found == _UNKNOWN)
        if len(new):
            cells, cell_of = np.unique(place[new], return_inverse=True)
            known[cells] = answers = self._ask(cells)
            found[new] = answers[cell_of]
        return found

    def _ask(self, cells: NDArray[np.int32]) -> LabelArray:
        shape = self.known.shape
        centres = self.origin + (np.stack(np.unravel_index(cells, shape), axis=1) + 0.5) * self.side
        radius = self.side * np.sqrt(len(shape)) / 2 * 1.01  # of the cell, with room for rounding
        away, nearest = self.tree.query(centres, distance_upper_bound=self.eps + 1.01 * radius)
        out = np.full(len(cells), _UNSURE, np.uint8)
        out[~(away <= self.eps + radius)] = self.noise
        if self.apart is not None:
            sure = np.flatnonzero(away + radius <= self.eps)
            sure = sure[self.apart[nearest[sure]] > 2 * (away[sure] + radius)]
            out[sure] = self.labels[nearest[sure]]
        return out


def _greedy_cover(inside: BoolArray) -> NDArray[np.int64]:
    """Columns that together hold most rows: each time the one that adds most, while it is worth its cost."""
    gain = inside.sum(axis=0)
    left = np.ones(len(inside), bool)
    chosen: list[int] = []
    while len(chosen) < _BALLS:
        best = int(gain.argmax())
        if chosen and gain[best] < _LEAST_GAIN:
            break
        chosen.append(best)
        new = left & inside[:, best]
        left &= ~new
        gain = gain - inside[new].sum(axis=0)
    return np.asarray(chosen, np.int64)
