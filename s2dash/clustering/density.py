"""What density clustering stands on: principal components, dense spots, and who is within reach of whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from s2dash.clustering.kmeans import check_distinct
from s2dash.clustering.model import MAX_CLUSTERS
from s2dash.errors import ClusteringError
from s2dash.features import FeatureStack
from s2dash.parallel import workers
from s2dash.progress import Progress, Stage
from s2dash.types import FloatArray, LabelArray, NumberArray

IntArray = NDArray[np.int64]

MOST_FOUND = MAX_CLUSTERS - 1
"""Most clusters kept: the last number is for the noise."""
LEAST_PIXELS = 10
"""Fewer pixels have no density to speak of."""
_LINKS = 12
"""Nearest pixels that are linked at once; what they leave apart is joined one by one."""
_BY_TREE = 200
"""Neighbours up to which a tree finds them faster than comparing all pairs."""


@dataclass(frozen=True)
class Projection:
    """A turn of the standardised features onto their principal components; lengths are kept, so eps means the same."""

    centre: FloatArray
    """Where the sample's mean falls, shape (component,), float64."""
    axes: FloatArray
    """Shape (component, feature), float64, orthonormal rows; most spread first."""
    kept: float
    """Share of the sample's variance along the axes, 0-1."""

    @classmethod
    def fit(cls, sample: FloatArray, *, components: int) -> Self:
        """Principal components of a sample of shape (pixel, feature).

        Args:
            sample: Standardised features.
            components: How many to keep; 0 or more than there are features keeps all, which only turns the space.
        """
        mean = sample.mean(axis=0, dtype=np.float64)
        centred = sample - mean
        variances, vectors = np.linalg.eigh(centred.T @ centred / len(sample))
        count = min(components or len(mean), len(mean))
        axes = vectors[:, ::-1][:, :count].T
        # an axis may point either way: its largest part is made positive, so that every machine turns alike
        largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
        axes = np.ascontiguousarray(axes * np.where(largest < 0, -1.0, 1.0))
        total = float(variances.sum())
        return cls(axes @ mean, axes, float(variances[::-1][:count].sum()) / total if total > 0 else 1.0)

    def apply(self, features: FloatArray) -> FloatArray:
        """Components, shape (pixel, component), float32, of standardised features of shape (feature, pixel)."""
        turned: FloatArray = features.T.astype(np.float32, copy=False) @ self.axes.T.astype(np.float32)
        turned -= self.centre.astype(np.float32)
        return turned

    def arrays(self) -> dict[str, NumberArray]:
        """As arrays of a saved model."""
        return {"centre": self.centre, "axes": self.axes}

    @classmethod
    def restore(cls, arrays: Mapping[str, NumberArray], *, features: int, kept: float) -> Self:
        """From `arrays`.

        Raises:
            KeyError: If one is missing.
            ValueError: If they do not fit the number of features.
        """
        centre, axes = np.asarray(arrays["centre"], np.float64), np.asarray(arrays["axes"], np.float64)
        if axes.ndim != 2 or axes.shape[1] != features or centre.shape != axes.shape[:1] or not len(axes):
            raise ValueError(f"components of shape {axes.shape} do not fit {features} features")
        return cls(centre, axes, float(kept))


def draw_points(
    features: FeatureStack, *, components: int, limit: int, seed: int, sample: int, progress: Progress
) -> tuple[Projection, FloatArray]:
    """Sampled pixels on their principal components.

    Args:
        features: Of the scene.
        components: Principal components to keep; 0: all.
        limit: Most pixels to return.
        seed: Same seed, same pixels.
        sample: Pixels to draw.
        progress: Where to report.

    Returns:
        The projection, and points of shape (pixel, component), float64.

    Raises:
        ClusteringError: If there are fewer than ten valid pixels, or `components` is negative.
        TooFewDistinctPixelsError: If the scene is constant.
        NoValidPixelsError: If no pixel is valid.
    """
    if components < 0:
        raise ClusteringError(f"The number of principal components must be 0 (all) or more, not {components}.")
    drawn = features.sample(sample, seed=seed, progress=progress)
    if len(drawn) < LEAST_PIXELS:
        raise ClusteringError(
            f"Density clustering needs at least {LEAST_PIXELS} valid pixels; {len(drawn)} were drawn. Draw a larger "
            "sample, choose a larger area, or use K-Means."
        )
    check_distinct(drawn, 2)
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):  # the same input must give the same map
        projection = Projection.fit(drawn, components=components)
        if len(drawn) > limit:
            picked = np.random.default_rng([seed, 4]).choice(len(drawn), limit, replace=False)
            drawn = drawn[np.sort(picked)]
        return projection, projection.apply(drawn.T).astype(np.float64)


def neighbour_distance(points: FloatArray, *, rank: int, progress: Progress) -> FloatArray:
    """Distance of every point to its `rank`-th nearest other, shape (pixel,), float64.

    Args:
        points: Shape (pixel, component), float64.
        rank: 1 … pixels - 1.
        progress: Where to report.
    """
    from scipy.spatial import cKDTree

    out = np.empty(len(points))
    tree = cKDTree(points) if rank <= _BY_TREE else None
    squares = (points**2).sum(axis=1)
    chunk = 2048 if tree is not None else max(8_000_000 // len(points), 1)
    for start in range(0, len(points), chunk):
        progress.report(start / len(points), "Measuring how dense it is around each pixel")
        part = points[start : start + chunk]
        if tree is not None:
            out[start : start + chunk] = tree.query(part, k=[rank + 1], workers=workers())[0][:, 0]
        else:  # so many neighbours that a tree would keep re-sorting them
            apart = squares - 2 * part @ points.T + squares[start : start + chunk, None]
            nearest = np.partition(apart, rank, axis=1)[:, rank]
            out[start : start + chunk] = np.sqrt(np.maximum(nearest, 0))
    return out


@dataclass(frozen=True)
class DensityGraph:
    """Points, how dense it is around each, and its nearest others: DBSCAN at any reach, in bounded memory."""

    points: FloatArray
    """Shape (pixel, component), float64."""
    core_distance: FloatArray
    """The least reach at which a point is a core point: the distance to its `rank`-th nearest other, shape (pixel,)."""
    near: IntArray
    """The nearest points of each, itself among them, shape (pixel, link)."""
    distance: FloatArray
    """How far those are, shape (pixel, link)."""

    @classmethod
    def of(cls, points: FloatArray, *, rank: int, progress: Progress) -> Self:
        """Measure the densities around points of shape (pixel, component)."""
        from scipy.spatial import cKDTree

        core_distance = neighbour_distance(points, rank=rank, progress=Stage(progress, 0.0, 0.7))
        tree = cKDTree(points)
        links = min(_LINKS, len(points))
        near, distance = np.empty((len(points), links), np.int64), np.empty((len(points), links))
        for start in range(0, len(points), 4096):
            progress.report(0.7 + 0.3 * start / len(points), "Finding neighbours")
            part = slice(start, start + 4096)
            distance[part], near[part] = tree.query(points[part], k=links, workers=workers())
        return cls(points, core_distance, near, distance)

    def groups(self, reaches: Sequence[float], *, progress: Progress) -> Iterator[IntArray]:
        """The clusters of core points at each reach: chains of core points, each at most `eps` from the next.

        Exact for any `eps`, and no list of all pairs is ever made (their number grows with the square of the pixels):
        points of one small cell, and each point and its nearest, are joined first; then the largest group gathers what
        is within its reach, ring by ring, and the next. What is joined at one reach stays so at farther ones.

        Args:
            reaches: Rising.
            progress: Where to report.

        Yields:
            Shape (pixel,): a number 0, 1, … for core points, -1 for the others.
        """
        piece = np.arange(len(self.points))
        row = np.repeat(piece, self.near.shape[1])
        near = self.near.ravel()
        # the least reach at which both are core points and each other's neighbours
        level = np.maximum(np.maximum(self.core_distance[row], self.core_distance[near]), self.distance.ravel())
        order = np.argsort(level, kind="stable")
        row, near, level = row[order], near[order], level[order]
        done = 0
        for number, eps in enumerate(reaches):
            watch = Stage(progress, number / len(reaches), (number + 1) / len(reaches))
            stop = int(np.searchsorted(level, eps, side="right"))
            piece = _linked(piece, row[done:stop], near[done:stop])
            done = stop
            core = np.flatnonzero(self.core_distance <= eps)
            piece = _linked(piece, core, core[_first_of_cell(self.points[core], eps)])
            out = np.full(len(self.points), -1, np.int64)
            if len(core):
                _, compact = np.unique(piece[core], return_inverse=True)
                # two points that the links miss both have more neighbours within reach than links
                full = self.distance[core, -1] <= eps
                joined = _join_pieces(self.points[core[full]], compact[full], int(compact.max()) + 1, eps, watch)
                out[core] = joined[compact]
                _, member = np.unique(out[core], return_index=True)
                piece = _linked(piece, core, core[member][out[core]])
            yield out

    def with_border(self, groups: IntArray, eps: float) -> IntArray:
        """Groups in which every point within `eps` of a core point has the group of the nearest one."""
        from scipy.spatial import cKDTree

        core, rest = np.flatnonzero(groups >= 0), np.flatnonzero(groups < 0)
        out = groups.copy()
        if len(core) and len(rest):
            apart, nearest = cKDTree(self.points[core]).query(
                self.points[rest], distance_upper_bound=np.nextafter(eps, np.inf), workers=workers()
            )
            reached = np.isfinite(apart)
            out[rest[reached]] = groups[core[nearest[reached]]]
        return out


def _linked(piece: IntArray, one: IntArray, other: IntArray) -> IntArray:
    """Pieces after points `one` are linked with points `other`, shape (pixel,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    apart = piece[one] != piece[other]
    if not apart.any():
        return piece
    ends = piece[one[apart]], piece[other[apart]]
    graph = coo_array((np.ones(len(ends[0]), np.uint8), ends), shape=(len(piece), len(piece)))
    _, merged = connected_components(graph, directed=False)
    found: IntArray = merged.astype(np.int64)[piece]
    return found


def _first_of_cell(points: FloatArray, eps: float) -> IntArray:
    """For every point, one in the same cell of diagonal `eps`, so at most `eps` away; itself where unsure."""
    cells = np.floor(points / (eps / np.sqrt(points.shape[1]) * (1 - 1e-9))).astype(np.int64)
    odd = np.array([pow(1_000_003, axis, 2**61 - 1) for axis in range(points.shape[1])], dtype=np.int64)
    _, first, inverse = np.unique((cells * odd).sum(axis=1), return_index=True, return_inverse=True)
    found = first[inverse]
    same = (cells == cells[found]).all(axis=1)  # two cells may by chance have one key
    return np.where(same, found, np.arange(len(points)))


def _join_pieces(points: FloatArray, piece: IntArray, pieces: int, eps: float, progress: Progress) -> IntArray:
    """The group, 0, 1, …, of every piece: pieces with two of these points within `eps` of each other are in one."""
    from scipy.spatial import cKDTree

    limit = np.nextafter(eps, np.inf)
    joined = np.full(pieces, -1, np.int64)
    found = 0
    for start in np.argsort(-np.bincount(piece, minlength=pieces), kind="stable"):
        if joined[start] >= 0:
            continue
        joined[start] = found
        ring = np.array([start])
        while len(ring):
            inside = np.isin(piece, ring)
            rest = np.flatnonzero(joined[piece] < 0)
            if not len(rest) or not inside.any():
                break
            progress.report(1 - len(rest) / len(points), "Joining dense spots")
            apart, _ = cKDTree(points[inside]).query(points[rest], distance_upper_bound=limit, workers=workers())
            ring = np.unique(piece[rest[np.isfinite(apart)]])
            joined[ring] = found
        found += 1
    return joined


def largest_first(groups: IntArray) -> tuple[LabelArray, int, int]:
    """Cluster numbers from groups.

    Args:
        groups: Shape (pixel,): 0, 1, … and -1 for noise.

    Returns:
        Labels of shape (pixel,), 1 for the largest group and so on, the noise last; how many clusters were kept; and
        how many there were, of which at most 253 are kept and the smallest become noise.
    """
    sizes = np.bincount(groups[groups >= 0])
    found = int((sizes > 0).sum())
    kept = min(found, MOST_FOUND)
    order = np.argsort(-sizes, kind="stable")
    number = np.full(len(sizes) + 1, kept + 1, np.uint8)  # one more at the end, where -1 looks
    number[order[:kept]] = np.arange(1, kept + 1)
    return number[groups], kept, found


def in_words(clusters: int, noise: float) -> str:
    """How many clusters and how much noise, 0-1, for a sentence."""
    return f"{clusters} cluster{'s' if clusters != 1 else ''} and {100 * noise:.0f} % noise"


def kept_note(projection: Projection) -> tuple[str, ...]:
    """A sentence where the principal components leave much out."""
    if projection.kept >= 0.9:
        return ()
    count = len(projection.axes)
    return (
        f"{count} principal component{'s keep' if count != 1 else ' keeps'} {100 * projection.kept:.0f} % of the "
        "spread of the features; more components see more.",
    )
