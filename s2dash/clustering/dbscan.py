"""DBSCAN: dense groups of any shape, and noise; exact on a sample, every other pixel to its nearest core point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from s2dash.clustering.core_index import CoreIndex
from s2dash.clustering.density import (
    DensityGraph,
    Projection,
    draw_points,
    in_words,
    kept_note,
    largest_first,
)
from s2dash.clustering.model import MAX_CLUSTERS, PixelModel
from s2dash.errors import ClusteringError
from s2dash.features import FeatureStack
from s2dash.progress import Progress, Silent, Stage
from s2dash.types import FloatArray, LabelArray, NumberArray

FIT_PIXELS = 50_000
"""Most pixels DBSCAN is run on."""
FEWEST_FIT_PIXELS = 10_000
"""Pixels it is run on, if there are as many, even where fewer would tell how dense a spot is."""
LEAST_NEIGHBOURS = 4
"""Other pixels that a core point has within reach at the very least (Ester et al. 1996, section 4.2)."""
FEW_CLUSTERS = 3
"""Fewer clusters than this say little about land cover."""
MUCH_NOISE = 0.5
"""More noise than this leaves most of the map without a cluster."""
_ENOUGH_NEIGHBOURS = 100
"""Neighbours after which more pixels no longer sharpen the density: it then wavers by a tenth."""
_TRIED = (0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9)
"""Shares of core points at which a reach is tried."""
_EPS_RANGE = (1e-6, 1e6)


@dataclass(frozen=True)
class KDistance:
    """How far the k-th nearest pixel is, over the pixels, sorted: where the curve bends up, noise begins."""

    neighbours: int
    """k: the neighbours counted, the pixel itself not among them."""
    share: tuple[float, ...]
    """Share of the pixels, 0-1, rising."""
    distance: tuple[float, ...]
    """The k-th nearest is at most this far for that share, in standard deviations."""
    knee: float
    """Distance where the curve bends most."""

    @classmethod
    def of(cls, distances: FloatArray, *, neighbours: int) -> Self:
        """The curve of these distances, thinned to 101 points.

        The knee is where the curve, both of its axes scaled to 0-1, lies farthest below the diagonal (Satopää et al.
        2011, "Finding a Kneedle in a Haystack", section III).
        """
        curve = np.sort(distances)
        share = np.linspace(0, 1, len(curve))
        rise = (curve - curve[0]) / max(float(curve[-1] - curve[0]), 1e-12)
        knee = float(curve[int((share - rise).argmax())])
        at = np.linspace(0, 1, 101)
        return cls(neighbours, tuple(at.tolist()), tuple(np.quantile(curve, at).tolist()), knee)


@dataclass(frozen=True)
class Trial:
    """What DBSCAN finds in the sample at one reach."""

    eps: float
    """Reach, in standard deviations."""
    clusters: int
    """How many it finds."""
    noise: float
    """Share of the pixels that are noise, 0-1."""
    largest: float
    """Share of the pixels in the largest cluster, 0-1."""
    told: float
    """What the clusters tell about a pixel: the entropy of their shares, nats, times the share that is not noise."""

    @property
    def good(self) -> bool:
        """Whether there are enough clusters and little enough noise."""
        return self.clusters >= FEW_CLUSTERS and self.noise <= MUCH_NOISE

    @property
    def in_words(self) -> str:
        """For a sentence."""
        return in_words(self.clusters, self.noise)


@dataclass(frozen=True)
class DBSCANModel(PixelModel):
    """The core points of a sample, and the reach within which a pixel belongs to the nearest one's cluster."""

    feature_names: tuple[str, ...]
    """The features, in order."""
    projection: Projection
    """Onto the principal components that distances are measured in."""
    cores: FloatArray
    """Core points, shape (core point, component), float32."""
    core_labels: LabelArray
    """Cluster of each, 1 …, the largest first, shape (core point,)."""
    clusters: int
    """Clusters without the noise."""
    eps: float
    """Reach, in standard deviations."""
    min_samples: int
    """Pixels within reach, itself among them, that make a sampled pixel a core point."""
    min_share: float
    """The same as a share of all pixels."""
    pixels: int
    """Pixels of the sample DBSCAN was run on."""
    noise_share: float
    """Share of those that are noise, 0-1."""
    k_distance: KDistance
    """The curve that reaches are proposed from."""
    trials: tuple[Trial, ...]
    """What other reaches give; empty where none was asked for."""
    remarks: tuple[str, ...]
    """What the person should know."""
    seed: int
    """What it was fitted with."""

    method: ClassVar[str] = "dbscan"

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
        """Cluster of the nearest core point within `eps`, else the last number, of features (feature, pixel)."""
        out = np.empty(features.shape[1], np.uint8)
        step = 1 << 14
        for start in range(0, len(out), step):
            points = self.projection.apply(features[:, start : start + step])
            out[start : start + step] = self._index.label(points)
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
            "eps": self.eps,
            "min_samples": self.min_samples,
            "min_share": self.min_share,
            "pixels": self.pixels,
            "components": len(self.projection.axes),
            "variance_kept": self.projection.kept,
            "core_points": len(self.cores),
            "k_distance": asdict(self.k_distance),
            "trials": [asdict(trial) for trial in self.trials],
            "notes": list(self.remarks),
        }

    def arrays(self) -> dict[str, NumberArray]:
        """Projection and core points."""
        return {**self.projection.arrays(), "cores": self.cores, "core_labels": self.core_labels}

    @classmethod
    def restore(cls, about: Mapping[str, Any], arrays: Mapping[str, NumberArray]) -> Self:
        """From `describe` and `arrays`."""
        names = tuple(about["features"])
        projection = Projection.restore(arrays, features=len(names), kept=about["variance_kept"])
        cores, labels = np.asarray(arrays["cores"], np.float32), np.asarray(arrays["core_labels"], np.uint8)
        clusters, eps = int(about["clusters"]), float(about["eps"])
        if cores.shape != (len(labels), len(projection.axes)) or labels.ndim != 1 or not np.isfinite(cores).all():
            raise ValueError(f"core points of shape {cores.shape} do not fit {len(labels)} labels")
        if not int(labels.max(initial=0)) <= clusters < MAX_CLUSTERS or 0 in labels or not 0 < eps < np.inf:
            raise ValueError(f"a reach of {eps} or {clusters} clusters make no sense")
        curve = about["k_distance"]
        return cls(
            feature_names=names,
            projection=projection,
            cores=cores,
            core_labels=labels,
            clusters=clusters,
            eps=eps,
            min_samples=about["min_samples"],
            min_share=about["min_share"],
            pixels=about["pixels"],
            noise_share=about["noise_share"],
            k_distance=KDistance(curve["neighbours"], tuple(curve["share"]), tuple(curve["distance"]), curve["knee"]),
            trials=tuple(Trial(**trial) for trial in about["trials"]),
            remarks=tuple(about["notes"]),
            seed=about["seed"],
        )

    @cached_property
    def _index(self) -> CoreIndex:
        return CoreIndex(self.cores, self.core_labels, self.eps, self.n_clusters)


def fit_dbscan(
    features: FeatureStack,
    *,
    k: int,
    seed: int,
    sample: int,
    progress: Progress | None = None,
    eps: float | None = None,
    min_share: float = 0.001,
    components: int = 3,
) -> DBSCANModel:
    """Run DBSCAN (Ester, Kriegel, Sander and Xu 1996) on a sample of a scene.

    A pixel is a core point if at least `min_share` of the pixels lie within `eps` of it; core points within `eps` of
    each other are in one cluster; every other pixel belongs to its nearest core point's cluster if that is within
    `eps`, and is noise if none is. On the sample, of at most 50 000 pixels, this is exact, but that a border pixel goes
    to the nearest cluster and not to the one found first. The density being a share, a sample and the whole scene mean
    the same by it.

    Where no `eps` is given, several along the k-distance curve are tried on the sample, its knee among them, and the
    one is taken whose clusters tell most about a pixel: the entropy of their shares, times the share that is not noise.
    It has at least three clusters and at most half noise where that can be had.

    Args:
        features: Of the scene.
        k: Not used: the data decides how many clusters there are.
        seed: Of the sample.
        sample: Pixels to draw.
        progress: Where to report.
        eps: Reach, in standard deviations of the features, 1e-6 … 1e6; None: proposed.
        min_share: Share of the pixels within reach that makes a core point, above 0, at most 0.5; four neighbours are
            asked for at least.
        components: Principal components that distances are measured in; 0: the features as they are.

    Raises:
        ClusteringError: If a setting is out of range, or there are fewer than ten pixels.
        TooFewDistinctPixelsError: If the scene is constant.
        NoValidPixelsError: If no pixel is valid.
    """
    del k  # the data decides
    _check(eps, min_share)
    watch = progress or Silent()
    limit = min(FIT_PIXELS, max(FEWEST_FIT_PIXELS, round(_ENOUGH_NEIGHBOURS / min_share)))
    projection, points = draw_points(
        features, components=components, limit=limit, seed=seed, sample=sample, progress=Stage(watch, 0.0, 0.3)
    )
    rank = min(max(round(min_share * len(points)), LEAST_NEIGHBOURS), len(points) - 1)
    around = DensityGraph.of(points, rank=rank, progress=Stage(watch, 0.3, 0.6))
    curve = KDistance.of(around.core_distance, neighbours=rank)
    trials: tuple[Trial, ...] = ()
    chosen = eps
    if chosen is None:
        trials = try_reaches(around, curve, progress=Stage(watch, 0.6, 0.9))
        chosen = best_of(trials).eps
    (groups,) = around.groups((chosen,), progress=Stage(watch, 0.9, 0.95))
    labels, kept, found = largest_first(around.with_border(groups, chosen))
    outcome = _trial(chosen, labels, kept)
    if not outcome.good and not trials:
        trials = try_reaches(around, curve, progress=Stage(watch, 0.95, 1.0))
    core = (groups >= 0) & (labels <= kept)
    dropped = [f"DBSCAN found {found} clusters; the {kept} largest are kept, the others count as noise."]
    scant = [
        f"A share of {min_share:g} of {len(points):,} pixels is less than {LEAST_NEIGHBOURS} pixels; "
        f"{LEAST_NEIGHBOURS} neighbours are asked for, so that a larger sample would not mean the same."
    ]
    model = DBSCANModel(
        feature_names=features.names,
        projection=projection,
        cores=points[core].astype(np.float32),
        core_labels=labels[core],
        clusters=kept,
        eps=chosen,
        min_samples=rank + 1,
        min_share=min_share,
        pixels=len(points),
        noise_share=outcome.noise,
        k_distance=curve,
        trials=trials,
        remarks=(
            *_remarks(outcome, trials, given=eps is not None, knee=curve.knee),
            *(dropped if found > kept else ()),
            *(scant if min_share * len(points) < LEAST_NEIGHBOURS - 0.5 else ()),
            *kept_note(projection),
        ),
        seed=seed,
    )
    watch.report(1.0, "Clusters found")
    return model


def try_reaches(around: DensityGraph, curve: KDistance, *, progress: Progress) -> tuple[Trial, ...]:
    """What DBSCAN finds at several reaches along the k-distance curve, its knee among them, smallest first."""
    distances = around.core_distance
    wanted = {_rounded(float(eps)) for eps in (*np.quantile(distances, _TRIED), curve.knee) if eps > 0}
    if not wanted:  # so many pixels are alike that the curve lies at zero: half-way between those that differ
        wanted = {_rounded(_least_distance(around.points) / 2)}
    reaches = sorted(min(max(eps, _EPS_RANGE[0]), _EPS_RANGE[1]) for eps in wanted)
    trials = []
    for eps, groups in zip(reaches, around.groups(reaches, progress=progress), strict=True):
        labels, kept, _ = largest_first(around.with_border(groups, eps))
        trials.append(_trial(eps, labels, kept))
    return tuple(trials)


def best_of(trials: tuple[Trial, ...]) -> Trial:
    """The one that tells most, a good one if there is any; the farthest reach of several alike."""
    return max(trials, key=lambda trial: (trial.good, trial.noise <= MUCH_NOISE, trial.told, trial.eps))


def _trial(eps: float, labels: LabelArray, clusters: int) -> Trial:
    share = np.bincount(labels, minlength=clusters + 2) / len(labels)
    found = share[1 : clusters + 1]
    noise = float(share[clusters + 1])
    told = float(-(found * np.log(found)).sum()) * (1 - noise) if clusters else 0.0
    return Trial(eps, clusters, noise, float(found.max(initial=0.0)), told)


def _remarks(outcome: Trial, trials: tuple[Trial, ...], *, given: bool, knee: float) -> tuple[str, ...]:
    """Sentences on too much noise, too few clusters, and another reach to try."""
    said = []
    if outcome.noise > MUCH_NOISE:
        said.append(f"{100 * outcome.noise:.0f} % of the pixels of the sample are noise.")
    if outcome.clusters < FEW_CLUSTERS:
        count = {0: "no cluster", 1: "only one cluster", 2: "only two clusters"}[outcome.clusters]
        said.append(f"DBSCAN found {count} at eps = {outcome.eps:g}.")
    if said:
        other = best_of(trials)
        if other.good and other.eps != outcome.eps:
            said.append(f"Try eps = {other.eps:g}: on the sample it gives {other.in_words}.")
        else:
            said.append(
                "No reach along the k-distance curve gives three clusters with at most half noise. Try a smaller share "
                "of a dense spot, HDBSCAN or K-Means."
            )
    elif not given:
        said.append(f"The reach proposed is eps = {outcome.eps:g}, with {outcome.in_words}.")
        bend = next((trial for trial in trials if trial.eps == _rounded(knee)), None)
        if bend is not None and bend.eps != outcome.eps:
            said[-1] = f"{said[-1][:-1]}; the knee of the k-distance curve, {bend.eps:g}, gives {bend.in_words}."
    return tuple(said)


def _rounded(eps: float) -> float:
    """To three digits, so that what is tried is what a person reads and types."""
    return float(f"{eps:.3g}")


def _least_distance(points: FloatArray) -> float:
    """The least distance between points that differ."""
    from scipy.spatial import cKDTree

    different = np.unique(points, axis=0)
    return float(cKDTree(different).query(different, k=[2])[0].min())


def _check(eps: float | None, min_share: float) -> None:
    least, most = _EPS_RANGE
    if eps is not None and not least <= eps <= most:
        raise ClusteringError(
            f"The reach eps must lie between {least:g} and {most:g} standard deviations, not {eps:g}. Leave it empty "
            "to have one proposed."
        )
    if not 0 < min_share <= 0.5:
        raise ClusteringError(
            f"The least share of a dense spot must be above 0 and at most 0.5, not {min_share:g}. 0.001 is usual."
        )
