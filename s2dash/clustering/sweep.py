"""How many clusters: fits for several K, and the K that they propose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from s2dash.clustering.kmeans import check_distinct, check_k, fit_centres
from s2dash.clustering.starts import count_distinct
from s2dash.errors import ClusteringError
from s2dash.progress import Named, Progress, Silent, Stage, timetable
from s2dash.types import FloatArray, LabelArray

DEFAULT_KS = (*range(2, 13), 14, 16, 20, 24, 30)
"""Numbers of clusters tried when none are given: every one up to a dozen, where one more changes much."""
FIT_PIXELS = 4_000
"""Most pixels each K is fitted on: 130 a cluster at K = 30."""
JUDGED_PIXELS = 10_000
"""Most pixels that inertia and Calinski–Harabasz are taken on."""
SILHOUETTE_PIXELS = 2_500
"""Most pixels that the silhouette is taken on: it needs the distances of all pairs."""
TOLERANCE = 0.15
"""A silhouette that is lower than the best one, s, by at most this times s (1 - s) counts as no worse: a tenth on a
usual scene, where s is about 0.3 and chance does as much; next to nothing where groups are far apart."""
RISE = 0.005
"""A peak must stand out by this much, in silhouette, or as a share of the highest Calinski–Harabasz: another seed moves
the difference of two neighbouring silhouettes by 0.005 to 0.014 on real scenes."""

_TEXT = "Trying numbers of clusters"


@dataclass(frozen=True)
class KSweep:
    """Quality of K-Means over a range of K."""

    ks: tuple[int, ...]
    """Numbers of clusters tried, ascending."""
    silhouette: tuple[float, ...]
    """Mean silhouette on a subsample, -1 … 1; higher is better. 0 where it is undefined: only single pixels."""
    calinski_harabasz: tuple[float, ...]
    """Ratio of the spread between to that within clusters; higher is better. 1 where there is none within."""
    inertia: tuple[float, ...]
    """Mean squared distance to the nearest centre; falls with K."""
    elbow: int
    """The K at which more clusters stop paying."""
    proposed: int
    """The K to take."""
    reason: str
    """Why, in a sentence."""

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> KSweep:
        """From `to_json`."""
        return cls(
            ks=tuple(content["ks"]),
            silhouette=tuple(content["silhouette"]),
            calinski_harabasz=tuple(content["calinski_harabasz"]),
            inertia=tuple(content["inertia"]),
            elbow=int(content["elbow"]),
            proposed=int(content["proposed"]),
            reason=str(content["reason"]),
        )


def propose_k(
    sample: FloatArray, *, seed: int, ks: Iterable[int] | None = None, progress: Progress | None = None
) -> KSweep:
    """Fit K-Means for several K and propose one of them.

    Silhouette (Rousseeuw 1987) and Calinski–Harabasz (1974) alone nearly always ask for two to four clusters on a
    satellite image, land and water, which is useless for land cover: clusters that mix classes cannot be named, while
    two clusters of one class simply get the same name. So the elbow of the inertia sets the least K, and the other
    two choose from there on:

    1. The elbow is the K farthest below the chord of the inertia curve, both axes scaled to 0-1 (Kneedle: Satopaa et
       al. 2011, section III).
    2. From the elbow on, the K where the silhouette or Calinski–Harabasz peaks locally are candidates; the elbow
       itself is one always.
    3. Among the candidates whose silhouette is within `TOLERANCE` of the best of theirs, the largest K wins.

    Args:
        sample: Standardised features, shape (pixel, feature), finite.
        seed: Same sample and seed, same proposal.
        ks: Numbers of clusters to try, 2 … 254, by default `DEFAULT_KS`; those above the number of distinct pixels are
            left out.
        progress: Where to report.

    Raises:
        ClusteringError: If no K is given, or one is out of range.
        TooFewDistinctPixelsError: If the sample has fewer distinct pixels than the smallest K.
    """
    from sklearn.metrics import calinski_harabasz_score, pairwise_distances
    from threadpoolctl import threadpool_limits

    wanted = _check(DEFAULT_KS if ks is None else ks)
    check_distinct(sample, wanted[0])
    rng = np.random.default_rng([seed, 5])
    order = rng.permutation(len(sample))
    fitted, judged = sample[order[:FIT_PIXELS]], sample[order[:JUDGED_PIXELS]]
    if count_distinct(fitted, wanted[-1]) < wanted[-1] and len(fitted) < len(sample):
        # a few values, repeated: make sure that the rare ones are there too
        _, first = np.unique(sample, axis=0, return_index=True)
        rare = rng.permutation(first)[: wanted[-1]]
        fitted, judged = np.concatenate([fitted, sample[rare]]), np.concatenate([judged, sample[rare]])
    distinct = count_distinct(fitted, wanted[-1] + 1)
    tried = tuple(k for k in wanted if k <= distinct)
    names = tuple(str(index) for index in range(sample.shape[1]))
    rows: list[tuple[float, float, float]] = []
    watch = progress or Silent()
    with threadpool_limits(limits=1):  # sums over threads depend on who comes first
        distances = pairwise_distances(judged[:SILHOUETTE_PIXELS])
        # the silhouette takes as long whatever K, the fit in proportion to it
        for k, stage in zip(tried, timetable(watch, **{str(k): k + 5.0 for k in tried}).values(), strict=True):
            fitting = Named(Stage(stage, 0.0, k / (k + 5)), _TEXT)
            model = fit_centres(fitted, k=k, seed=seed, feature_names=names, progress=fitting)
            fitting.report(1.0, _TEXT)
            labels = model.predict(judged.T)
            apart = judged - model.centres[labels - 1]
            found = len(np.unique(labels))
            rows.append(
                (
                    _silhouette(distances, labels[:SILHOUETTE_PIXELS]),
                    float(calinski_harabasz_score(judged, labels)) if 1 < found < len(judged) else 1.0,
                    float(np.mean(np.sum(apart**2, axis=1))),
                )
            )
    watch.report(1.0, _TEXT)
    silhouette, ratio, inertia = (tuple(column) for column in zip(*rows, strict=True))
    elbow = find_elbow(tried, inertia)
    proposed, reason = _choose(tried, silhouette, ratio, elbow, complete=tried[-1] == distinct)
    return KSweep(tried, silhouette, ratio, inertia, elbow, proposed, reason)


def find_elbow(ks: Sequence[int], inertia: Sequence[float]) -> int:
    """The K whose inertia lies farthest below the chord from the first to the last (Kneedle, Satopaa et al. 2011).

    Args:
        ks: Ascending.
        inertia: One each; falling but for chance.

    Returns:
        One of `ks`: the first where nothing lies below the chord.
    """
    x, y = np.asarray(ks, dtype=float), np.asarray(inertia, dtype=float)
    if len(x) < 3 or y[0] <= y[-1]:
        return int(ks[0])
    across, down = (x - x[0]) / (x[-1] - x[0]), (y - y[-1]) / (y[0] - y[-1])
    return int(ks[int(np.argmax(1 - across - down))])


def _check(ks: Iterable[int]) -> tuple[int, ...]:
    wanted = tuple(sorted(set(ks)))
    if not wanted:
        raise ClusteringError("There is no number of clusters to try. Give some, for example 2 to 20.")
    for k in wanted:
        check_k(k)
    return wanted


def _silhouette(distances: FloatArray, labels: LabelArray) -> float:
    from sklearn.metrics import silhouette_score

    if not 1 < len(np.unique(labels)) < len(labels):
        return 0.0
    return float(silhouette_score(distances, labels, metric="precomputed"))


def _peaks(values: Sequence[float], *, rise: float) -> set[int]:
    """Places that lie above both neighbours by more than `rise`; an end has but one neighbour."""
    padded = np.array([-np.inf, *values, -np.inf])
    falls = np.minimum(padded[1:-1] - padded[:-2], padded[1:-1] - padded[2:])
    return set(np.flatnonzero(falls > rise).tolist())


def _choose(
    ks: Sequence[int], silhouette: Sequence[float], ratio: Sequence[float], elbow: int, *, complete: bool
) -> tuple[int, str]:
    """The K to take, and why; `complete` if there cannot be more clusters than the last K."""
    start = list(ks).index(elbow)
    by_silhouette, by_ratio = _peaks(silhouette, rise=RISE), _peaks(ratio, rise=RISE * max(ratio))
    last = len(ks) if complete else len(ks) - 1  # else it is no peak: it may still be rising
    candidates = {start, *(place for place in by_silhouette | by_ratio if start < place < last)}
    best = max(silhouette[place] for place in candidates)
    least = best - TOLERANCE * max(best, 0.0) * (1 - best)
    place = max(place for place in candidates if silhouette[place] >= least)
    at = f"(silhouette {silhouette[place]:.2f})"
    if place == start:
        return elbow, f"With more than {elbow} clusters the fit hardly gains, and none separates better {at}."
    measures = [
        name for name, found in (("silhouette", by_silhouette), ("Calinski–Harabasz", by_ratio)) if place in found
    ]
    return ks[place], (
        f"From {elbow} clusters on the fit gains little; of those, {ks[place]} is the largest number at which "
        f"{' and '.join(measures)} peak{'s' if len(measures) == 1 else ''} and clusters are about as well apart as at "
        f"the best {at}."
    )
