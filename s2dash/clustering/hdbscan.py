"""HDBSCAN: dense groups of unlike density, and noise; the hierarchy of a sample, every pixel to its nearest one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from s2dash.clustering.dbscan import FEW_CLUSTERS, MUCH_NOISE
from s2dash.clustering.density import (
    IntArray,
    Projection,
    draw_points,
    in_words,
    kept_note,
    largest_first,
    neighbour_distance,
)
from s2dash.clustering.model import MAX_CLUSTERS, PixelModel
from s2dash.errors import ClusteringError
from s2dash.features import FeatureStack
from s2dash.progress import Progress, Silent, Stage
from s2dash.types import FloatArray, LabelArray, NumberArray

FIT_PIXELS = 10_000
"""Most pixels the hierarchy is built of: the time grows with their square, and is about a second here."""
LEAST_CLUSTER = 5
"""Fewest pixels of the sample that make a cluster."""
_TRIAL_PIXELS = 3_000
_TRIED = (0.5, 2.0, 0.25, 4.0)
"""What the share is multiplied by, in turn, to find a better one."""


@dataclass(frozen=True)
class HDBSCANModel(PixelModel):
    """Sampled pixels with their clusters, and how far each of them reaches."""

    feature_names: tuple[str, ...]
    """The features, in order."""
    projection: Projection
    """Onto the principal components that distances are measured in."""
    points: FloatArray
    """The sample, shape (pixel, component), float32."""
    labels: LabelArray
    """Cluster of each, 1 …, the largest first; the noise has the last number, shape (pixel,)."""
    reach: FloatArray
    """Core distance of each: how far its nearest neighbours lie, in standard deviations, shape (pixel,), float32."""
    clusters: int
    """Clusters without the noise."""
    min_cluster_size: int
    """Fewest pixels of the sample that make a cluster."""
    min_share: float
    """The same as a share of all pixels."""
    noise_share: float
    """Share of the sample that is noise, 0-1."""
    remarks: tuple[str, ...]
    """What the person should know."""
    seed: int
    """What it was fitted with."""

    method: ClassVar[str] = "hdbscan"

    @property
    def n_clusters(self) -> int:
        """Number of clusters; the noise is the last of them."""
        return self.clusters + 1

    @property
    def noise(self) -> int:
        """The last number."""
        return self.n_clusters

    @property
    def notes(self) -> tuple[str, ...]:
        """What the person should know of this fit, in whole sentences."""
        return self.remarks

    def predict(self, features: FloatArray) -> LabelArray:
        """Cluster of the nearest sampled pixel that reaches as far, else noise, of features (feature, pixel)."""
        out = np.full(features.shape[1], self.n_clusters, np.uint8)
        step = 1 << 14
        farthest = np.nextafter(float(self.reach.max()), np.inf)
        for start in range(0, len(out), step):
            points = self.projection.apply(features[:, start : start + step])
            apart, nearest = self._tree.query(points, distance_upper_bound=farthest)
            found = np.flatnonzero(np.isfinite(apart))
            found = found[apart[found] <= self.reach[nearest[found]]]
            out[start + found] = self.labels[nearest[found]]
        return out

    def describe(self) -> dict[str, Any]:
        """Settings and quality of the fit."""
        return {
            "method": self.method,
            "k": self.n_clusters,
            "seed": self.seed,
            "features": list(self.feature_names),
            "clusters": self.clusters,
            "noise_cluster": self.noise,
            "noise_share": self.noise_share,
            "min_cluster_size": self.min_cluster_size,
            "min_share": self.min_share,
            "pixels": len(self.points),
            "components": len(self.projection.axes),
            "variance_kept": self.projection.kept,
            "notes": list(self.remarks),
        }

    def arrays(self) -> dict[str, NumberArray]:
        """Projection and sampled pixels."""
        return {**self.projection.arrays(), "points": self.points, "labels": self.labels, "reach": self.reach}

    @classmethod
    def restore(cls, about: Mapping[str, Any], arrays: Mapping[str, NumberArray]) -> Self:
        """From `describe` and `arrays`."""
        names = tuple(about["features"])
        projection = Projection.restore(arrays, features=len(names), kept=about["variance_kept"])
        points, reach = (np.asarray(arrays[name], np.float32) for name in ("points", "reach"))
        labels, clusters = np.asarray(arrays["labels"], np.uint8), int(about["clusters"])
        if not len(points) or points.shape != (len(labels), len(projection.axes)) or reach.shape != labels.shape:
            raise ValueError(f"a sample of shape {points.shape} does not fit {len(labels)} labels")
        if not np.isfinite(points).all() or not (np.isfinite(reach) & (reach >= 0)).all():
            raise ValueError("the sample or its reach is not finite")
        if labels.min() < 1 or not labels.max() <= clusters + 1 <= MAX_CLUSTERS:
            raise ValueError(f"labels up to {labels.max()} do not fit {clusters} clusters")
        return cls(
            feature_names=names,
            projection=projection,
            points=points,
            labels=labels,
            reach=reach,
            clusters=clusters,
            min_cluster_size=about["min_cluster_size"],
            min_share=about["min_share"],
            noise_share=about["noise_share"],
            remarks=tuple(about["notes"]),
            seed=about["seed"],
        )

    @cached_property
    def _tree(self) -> Any:
        """Made when first needed; two threads that come at once make the same."""
        from scipy.spatial import cKDTree

        return cKDTree(self.points.astype(np.float64))


def fit_hdbscan(
    features: FeatureStack,
    *,
    k: int,
    seed: int,
    sample: int,
    progress: Progress | None = None,
    min_share: float = 0.005,
    components: int = 3,
) -> HDBSCANModel:
    """Run HDBSCAN (Campello, Moulavi and Sander 2013, excess of mass) on a sample of a scene.

    The sample has at most 10 000 pixels. A pixel that is not in it gets the cluster of the nearest sampled pixel, noise
    counting as one, if it lies within that pixel's core distance, and is noise otherwise. The core distance (their
    definition 1: how far the `min_cluster_size` nearest lie) is the least reach at which the sampled pixel is a core
    point of the hierarchy, so that whatever lies within it is directly density-reachable from that pixel
    (Ester et al. 1996, definition 2).

    Args:
        features: Of the scene.
        k: Not used: the data decides how many clusters there are.
        seed: Of the sample.
        sample: Pixels to draw.
        progress: Where to report.
        min_share: Smallest cluster, and smoothing of the density, as a share of the pixels; above 0, at most 0.5. Five
            pixels of the sample are asked for at least.
        components: Principal components that distances are measured in; 0: the features as they are.

    Raises:
        ClusteringError: If a setting is out of range, or there are fewer than ten pixels.
        TooFewDistinctPixelsError: If the scene is constant.
        NoValidPixelsError: If no pixel is valid.
    """
    del k  # the data decides
    if not 0 < min_share <= 0.5:
        raise ClusteringError(
            f"The least share of a cluster must be above 0 and at most 0.5, not {min_share:g}. 0.005 is usual."
        )
    watch = progress or Silent()
    projection, points = draw_points(
        features, components=components, limit=FIT_PIXELS, seed=seed, sample=sample, progress=Stage(watch, 0.0, 0.3)
    )
    groups, reach, smallest = hierarchy_groups(points, min_share=min_share, progress=Stage(watch, 0.3, 0.9))
    labels, kept, found = largest_first(groups)
    noise = float((labels > kept).mean())
    dropped = [f"HDBSCAN found {found} clusters; the {kept} largest are kept, the others count as noise."]
    scant = [
        f"A share of {min_share:g} of {len(points):,} pixels is less than {LEAST_CLUSTER} pixels; {LEAST_CLUSTER} are "
        "asked for, so that a larger sample would not mean the same."
    ]
    remarks = (
        *_remarks(points, kept, noise, min_share, progress=Stage(watch, 0.9, 1.0)),
        *(dropped if found > kept else ()),
        *(scant if min_share * len(points) < LEAST_CLUSTER - 0.5 else ()),
        *kept_note(projection),
    )
    watch.report(1.0, "Clusters found")
    return HDBSCANModel(
        feature_names=features.names,
        projection=projection,
        points=points.astype(np.float32),
        labels=labels,
        # a reach of nothing, where many pixels are alike, would miss them by the rounding of float32
        reach=np.maximum(reach, 1e-5).astype(np.float32),
        clusters=kept,
        min_cluster_size=smallest,
        min_share=min_share,
        noise_share=noise,
        remarks=remarks,
        seed=seed,
    )


def hierarchy_groups(points: FloatArray, *, min_share: float, progress: Progress) -> tuple[IntArray, FloatArray, int]:
    """HDBSCAN of points, scikit-learn's, but that the spanning tree is built here, where it can be stopped.

    Args:
        points: Shape (pixel, component), float64.
        min_share: Smallest cluster, as a share of the points.
        progress: Where to report.

    Returns:
        Cluster of each point from 0, -1 for noise; core distance of each; and the smallest cluster asked for, pixels.
    """
    from scipy.sparse import coo_array, csr_matrix
    from sklearn.cluster import HDBSCAN

    smallest = min(max(round(min_share * len(points)), LEAST_CLUSTER), len(points))
    # scikit-learn counts the pixel itself among its neighbours
    reach = neighbour_distance(points, rank=smallest - 1, progress=Stage(progress, 0.0, 0.2))
    one, other, length = spanning_tree(points, reach, progress=Stage(progress, 0.2, 0.9))
    progress.report(0.9, "Choosing the clusters that last")
    # an edge of no length would count as none
    length = np.maximum(length, 1e-9)
    ends = np.concatenate([one, other]), np.concatenate([other, one])
    edges = coo_array((np.concatenate([length, length]), ends), shape=(len(points), len(points)))
    # one neighbour: the lengths are mutual reachability distances already
    found = HDBSCAN(min_cluster_size=smallest, min_samples=1, metric="precomputed", copy=False).fit(csr_matrix(edges))
    groups: IntArray = np.asarray(found.labels_, dtype=np.int64)
    return groups, reach, smallest


def spanning_tree(
    points: FloatArray, core_distance: FloatArray, *, progress: Progress
) -> tuple[IntArray, IntArray, FloatArray]:
    """Minimum spanning tree of the mutual reachability distances (Campello et al. 2013, definition 3), by Prim.

    The mutual reachability distance of two points is the greatest of their distance and both core distances.

    Args:
        points: Shape (pixel, component), float64.
        core_distance: Shape (pixel,).
        progress: Where to report.

    Returns:
        Both ends and the length of every edge, shape (pixel - 1,) each.
    """
    n = len(points)
    rest = points.T.copy()  # by component; the points not yet in the tree come first
    floor = core_distance**2
    number, best, parent = np.arange(n), np.full(n, np.inf), np.zeros(n, np.int64)
    one, other, length = np.empty(n - 1, np.int64), np.empty(n - 1, np.int64), np.empty(n - 1)
    apart, step = np.empty(n), np.empty(n)
    here, left = 0, n - 1
    for edge in range(n - 1):
        if edge % 512 == 0:
            progress.report(edge / n, "Building the hierarchy")
        added, centre, own = number[here], rest[:, here].copy(), floor[here]
        for array in (rest, floor, number, best, parent):  # the last one takes its place
            array[..., here] = array[..., left]
        near, along = apart[:left], step[:left]
        near.fill(0)
        for axis, value in enumerate(centre):
            np.subtract(rest[axis, :left], value, out=along)
            np.multiply(along, along, out=along)
            np.add(near, along, out=near)
        np.maximum(near, own, out=near)
        np.maximum(near, floor[:left], out=near)
        closer = near < best[:left]
        np.copyto(best[:left], near, where=closer)
        np.copyto(parent[:left], added, where=closer)
        here = int(best[:left].argmin())
        one[edge], other[edge], length[edge] = parent[here], number[here], best[here]
        left -= 1
    return one, other, np.sqrt(length)


def _remarks(
    points: FloatArray, clusters: int, noise: float, min_share: float, *, progress: Progress
) -> tuple[str, ...]:
    """Sentences on too much noise, too few clusters, and another share to try."""
    said = []
    if noise > MUCH_NOISE:
        said.append(f"{100 * noise:.0f} % of the pixels of the sample are noise.")
    if clusters < FEW_CLUSTERS:
        said.append(f"HDBSCAN found {('no cluster', 'only one cluster', 'only two clusters')[clusters]}.")
    if not said:
        return ()
    few = points[:_TRIAL_PIXELS]
    for done, factor in enumerate(_TRIED):
        share = float(f"{min_share * factor:.2g}")
        if share > 0.5 or share * len(few) < LEAST_CLUSTER:
            continue
        part = Stage(progress, done / len(_TRIED), (done + 1) / len(_TRIED))
        groups, _, _ = hierarchy_groups(few, min_share=share, progress=part)
        found, lost = int(groups.max()) + 1, float((groups < 0).mean())
        if found >= FEW_CLUSTERS and lost <= MUCH_NOISE:
            said.append(
                f"Try a least share of {share:g}: on {len(few):,} of the pixels it gives {in_words(found, lost)}."
            )
            return tuple(said)
    said.append("Neither smaller nor larger shares do better; try DBSCAN, Gaussian mixture or K-Means.")
    return tuple(said)
