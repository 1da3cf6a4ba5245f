"""How good clusters are: size, spectrum, separability, patches, and plain words on what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from s2dash.clustering.cluster_sample import LEAST_EACH, draw_clusters
from s2dash.clustering.model import ClusterMap
from s2dash.clustering.patches import count_adjacencies, find_patches
from s2dash.clustering.separability import find_valley, gaussian_statistics, jeffries_matusita
from s2dash.errors import FeatureError, GridMismatchError, TooLargeError
from s2dash.features import FeatureStack
from s2dash.grid import pixel_area_ha
from s2dash.indices import compute_index
from s2dash.progress import Progress, Silent, Stage, steps
from s2dash.scene import Scene
from s2dash.types import BoolArray, FloatArray

TINY_SHARE = 0.005
"""A cluster with a smaller share of the valid pixels is called tiny."""
HARDLY_APART = 1.0
"""Two clusters with a lower Jeffries–Matusita distance (0-2) are called hardly separable."""
SCATTERED = 2 / 3
"""A cluster is called scattered if more than this share of its pixels' neighbours lies in other clusters."""
LEAST_REFLECTANCE, LEAST_INDEX = 0.02, 0.1
"""Two kinds of pixels that differ by less, in a band and in NDVI, would be named alike: they are not reported."""
SILHOUETTE_PIXELS = 4_000
"""Most pixels that silhouettes are taken on: all their distances are needed."""


class Measured(Protocol):
    """What a cluster card already knows."""

    @property
    def area_ha(self) -> float:
        """Area of the cluster, hectares."""


@dataclass(frozen=True)
class TwoModes:
    """Two kinds of pixels in one cluster."""

    measure: str
    """What tells them apart best: `NDVI`, `brightness`, the mean reflectance over all bands, or a band by name."""
    low: float
    """Its mean in the kind that has less of it."""
    high: float
    """Its mean in the kind that has more of it."""
    low_share: float
    """Share of the pixels that have less of it, 0-1."""


@dataclass(frozen=True)
class ClusterMeasures:
    """What was measured of one cluster."""

    cluster: int
    """Cluster number."""
    pixels: int
    """Pixels."""
    area_ha: float
    """Hectares."""
    share: float
    """Share of the valid pixels, 0-1."""
    mean: dict[str, float]
    """Mean reflectance per band, of its sampled pixels; empty if the scene has none of them."""
    std: dict[str, float]
    """Standard deviation of reflectance per band, of its sampled pixels."""
    silhouette: float | None
    """Mean silhouette (Rousseeuw 1987) of its sampled pixels, -1 … 1; None where there is one cluster only."""
    patches: int
    """4-connected patches."""
    patch_ha: float
    """Mean size of a patch, hectares."""
    fragmentation: float
    """Share of its pixels' valid side neighbours that lie in other clusters, 0, one block, to 1, single pixels: one
    minus the proportion of like adjacencies (PLADJ, double count; McGarigal & Marks 1995, FRAGSTATS)."""
    nearest: int | None
    """The cluster that is hardest to tell from it."""
    separability: float | None
    """Jeffries–Matusita distance from that one, 0-2."""
    modes: TwoModes | None
    """The two kinds of pixels it mixes, if it does."""
    warnings: tuple[str, ...]
    """What a person should know of it, in whole sentences."""
    noise: bool = False
    """Whether it is what density clustering left in no dense group."""

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ClusterMeasures:
        """From its part of `ClusterQuality.to_json`."""
        modes = content["modes"]
        return cls(
            **{
                **content,
                "modes": None if modes is None else TwoModes(**modes),
                "warnings": tuple(content["warnings"]),
            }
        )


@dataclass(frozen=True)
class ClusterQuality:
    """What was measured of all clusters of a map."""

    clusters: tuple[ClusterMeasures, ...]
    """Every cluster that has pixels, by number."""
    silhouette: float | None
    """Mean silhouette of a pixel of the scene, -1 … 1, higher is better; None where there is one cluster only."""
    separability: tuple[tuple[float | None, ...], ...]
    """Jeffries–Matusita distance, 0-2, of every two clusters, in the order of `clusters`; None if not measurable."""
    space: tuple[str, ...]
    """Standardised features in which silhouette and separability were measured."""
    sampled: int
    """Pixels they were measured on."""
    seed: int
    """Which pixels: same seed, same figures."""

    def __getitem__(self, cluster: int) -> ClusterMeasures:
        """The measures of one cluster, by number."""
        return next(measures for measures in self.clusters if measures.cluster == cluster)

    @property
    def warnings(self) -> tuple[str, ...]:
        """All warnings, by cluster number."""
        return tuple(warning for measures in self.clusters for warning in measures.warnings)

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "silhouette": self.silhouette,
            "space": list(self.space),
            "sampled": self.sampled,
            "seed": self.seed,
            "separability": [list(row) for row in self.separability],
            "clusters": [{**asdict(measures), "warnings": list(measures.warnings)} for measures in self.clusters],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ClusterQuality:
        """From `to_json`."""
        return cls(
            clusters=tuple(ClusterMeasures.from_json(measures) for measures in content["clusters"]),
            silhouette=content["silhouette"],
            separability=tuple(tuple(row) for row in content["separability"]),
            space=tuple(content["space"]),
            sampled=int(content["sampled"]),
            seed=int(content["seed"]),
        )


def measure_quality(
    clusters: ClusterMap,
    scene: Scene,
    *,
    cards: Mapping[int, Measured] | None = None,
    features: FeatureStack | None = None,
    seed: int = 0,
    sample: int = 20_000,
    progress: Progress | None = None,
) -> ClusterQuality:
    """Measure every cluster of a map.

    Sizes, patches and borders are counted on the whole map. Everything else is taken from one sample in which every
    cluster has about as many pixels, drawn in one pass over the scene; what is said of the whole scene weights
    clusters by their true size again.

    Args:
        clusters: The map.
        scene: The scene it was made from.
        cards: What is known of the clusters already, to save counting areas again.
        features: In what space to measure silhouette and separability; by default the standardised bands.
        seed: Same seed, same figures.
        sample: Pixels to draw; some twenty of each cluster are, whatever is asked for.
        progress: Where to report, and through which to cancel.

    Raises:
        GridMismatchError: If clusters, scene and features do not share a grid.
        TooLargeError: If the map has more patches than fit in memory.
    """
    if clusters.grid != scene.grid or (features is not None and features.grid != scene.grid):
        raise GridMismatchError(
            "The clusters do not lie on the grid of this scene; open the scene they were made from."
        )
    watch = progress or Silent()
    with threadpool_limits(limits=1):  # its many small fits would only wait for each other on several threads
        return _measured(clusters, scene, cards, features, seed, sample, watch)


def measure_if_it_fits(
    clusters: ClusterMap,
    scene: Scene,
    *,
    cards: Mapping[int, Measured] | None = None,
    features: FeatureStack | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[ClusterQuality | None, tuple[str, ...]]:
    """As `measure_quality`, or None and why: a map is not to be lost because its patches do not fit in memory."""
    try:
        return measure_quality(clusters, scene, cards=cards, features=features, seed=seed, progress=progress), ()
    except TooLargeError as error:
        return None, (f"How good the clusters are was not measured. {error}",)


def _measured(
    clusters: ClusterMap,
    scene: Scene,
    cards: Mapping[int, Measured] | None,
    features: FeatureStack | None,
    seed: int,
    sample: int,
    watch: Progress,
) -> ClusterQuality:
    counts = clusters.counts()
    patches = np.bincount(find_patches(clusters.labels, progress=Stage(watch, 0.0, 0.2)).cluster, minlength=256)
    sides = count_adjacencies(clusters.labels, progress=Stage(watch, 0.2, 0.3))
    if cards is not None and counts.keys() <= cards.keys():
        areas = {cluster: cards[cluster].area_ha for cluster in counts}
    else:
        areas = _areas(clusters)
    total = sum(counts.values())
    shares = [count / total for count in counts.values()]
    drawn = draw_clusters(clusters, scene, features=features, size=sample, seed=seed, progress=Stage(watch, 0.3, 0.8))
    distances = jeffries_matusita(*gaussian_statistics(drawn.values, shares=shares))
    watch.report(0.82, "Measuring silhouettes")
    silhouettes = _silhouettes(drawn.values, seed)
    looking = steps(counts, total=len(counts), progress=Stage(watch, 0.9, 1.0), text="Looking for mixed clusters")
    measured = []
    for index, cluster in enumerate(looking):
        reflectance = drawn.reflectance[index]
        nearest = _nearest(distances[index], index)
        like, around = int(sides[cluster, cluster]), int(sides[cluster, 1:].sum())
        measures = ClusterMeasures(
            cluster=cluster,
            pixels=counts[cluster],
            area_ha=areas[cluster],
            share=shares[index],
            mean=_by_band(scene, reflectance.mean(axis=0, dtype=np.float64)) if len(reflectance) else {},
            std=_by_band(scene, reflectance.std(axis=0, dtype=np.float64)) if len(reflectance) else {},
            silhouette=silhouettes[index],
            patches=int(patches[cluster]),
            patch_ha=areas[cluster] / int(patches[cluster]),
            fragmentation=1 - like / around if around else 0.0,
            nearest=None if nearest is None else drawn.clusters[nearest],
            separability=None if nearest is None else float(distances[index, nearest]),
            modes=_two_modes(scene, drawn.values[index], reflectance),
            warnings=(),
            noise=cluster == clusters.noise,
        )
        measured.append(replace(measures, warnings=tuple(_warnings(measures))))
    known = [(score, share) for score, share in zip(silhouettes, shares, strict=True) if score is not None]
    return ClusterQuality(
        clusters=tuple(measured),
        silhouette=sum(score * share for score, share in known) / sum(share for _, share in known) if known else None,
        separability=tuple(tuple(None if np.isnan(one) else float(one) for one in row) for row in distances),
        space=drawn.space,
        sampled=len(drawn),
        seed=seed,
    )


def _areas(clusters: ClusterMap) -> dict[int, float]:
    """Hectares per cluster."""
    per_row = pixel_area_ha(clusters.grid)
    area = np.zeros(256)
    for row, labels in enumerate(clusters.labels):
        area += np.bincount(labels, minlength=256) * per_row[row]
    return {cluster: float(area[cluster]) for cluster in clusters.counts()}


def _by_band(scene: Scene, values: FloatArray) -> dict[str, float]:
    return dict(zip(scene.bands, map(float, values), strict=True))


def _silhouettes(samples: Sequence[FloatArray], seed: int) -> list[float | None]:
    """Mean silhouette of each cluster, on as many of the pixels as `SILHOUETTE_PIXELS` allows each."""
    from sklearn import config_context
    from sklearn.metrics import silhouette_samples

    most = max(SILHOUETTE_PIXELS // max(len(samples), 1), LEAST_EACH)
    rng = np.random.default_rng([seed, 8])
    few = [sample[rng.permutation(len(sample))[:most]] for sample in samples]
    sizes = [len(sample) for sample in few]
    found: list[float | None] = [None] * len(samples)
    if sum(size > 0 for size in sizes) < 2 or max(sizes) < 2:  # nothing to compare with, or single pixels only
        return found
    owner = np.repeat(np.arange(len(few)), sizes)
    with config_context(working_memory=64):
        scores = silhouette_samples(np.concatenate(few), owner)
    return [float(scores[owner == index].mean()) if size else None for index, size in enumerate(sizes)]


def _nearest(distances: FloatArray, own: int) -> int | None:
    """Place of the cluster that is hardest to tell from this one."""
    others = np.where(np.arange(len(distances)) == own, np.nan, distances)
    return None if np.isnan(others).all() else int(np.nanargmin(others))


def _two_modes(scene: Scene, values: FloatArray, reflectance: FloatArray) -> TwoModes | None:
    """The two kinds of pixels of a cluster, told by what differs most between them; None where there is one kind."""
    valley = find_valley(values)
    if valley is None:
        return None
    line, bottom = valley
    below = line < bottom
    known = {"brightness": reflectance.mean(axis=1)}
    with suppress(FeatureError):  # the scene lacks a band for it
        known["NDVI"] = compute_index("NDVI", reflectance.T, scene.bands)
    measure, effect = _most_different(known, below)
    band, by_band = _most_different(dict(zip(scene.bands, reflectance.T, strict=True)), below)
    if by_band > 2 * effect:  # plain measures first: a band says less to a person
        measure, known = band, {band: reflectance[:, scene.bands.index(band)]}
    if not measure:
        return None
    first, second = float(known[measure][below].mean()), float(known[measure][~below].mean())
    share = float(below.mean())
    return TwoModes(measure, min(first, second), max(first, second), share if first <= second else 1 - share)


def _most_different(measures: Mapping[str, FloatArray], below: BoolArray) -> tuple[str, float]:
    """The measure whose means differ most, in standard deviations within the two kinds; none if all differ little."""
    found, most = "", 0.0
    for name, values in measures.items():
        one, other = values[below], values[~below]
        apart = abs(float(one.mean()) - float(other.mean()))
        effect = apart / float(np.sqrt(one.var() + other.var() + 1e-12))
        if effect > most and apart >= (LEAST_INDEX if name == "NDVI" else LEAST_REFLECTANCE):
            found, most = name, effect
    return found, most


def _warnings(measures: ClusterMeasures) -> Iterator[str]:
    """What a person should know of a cluster, in whole sentences."""
    name, modes = f"Cluster {measures.cluster}", measures.modes
    if measures.noise:  # of all kinds and all over the map by its nature: the rest would be no news
        yield (
            f"{name} is noise: {100 * measures.share:.2g} % of the pixels ({measures.area_ha:,.1f} ha) lie in no dense "
            "group. One class for all of them is a guess; a farther reach or another method leaves fewer."
        )
        return
    if measures.share < TINY_SHARE:
        yield (
            f"{name} is tiny: {100 * measures.share:.2g} % of the pixels ({measures.area_ha:,.1f} ha). Look whether it "
            "is something of its own, or merge it."
        )
    if modes is not None:
        low, high = f"{100 * modes.low_share:.0f} %", f"{100 * (1 - modes.low_share):.0f} %"
        if modes.measure == "brightness":
            kinds = f"{low} darker (reflectance {modes.low:.2f}) and {high} brighter ({modes.high:.2f})"
        else:
            kinds = f"{low} with low {modes.measure} ({modes.low:.2f}) and {high} with high ({modes.high:.2f})"
        yield f"{name} mixes two kinds of pixels: {kinds}. Split it in two."
    if measures.separability is not None and measures.separability < HARDLY_APART:
        yield (
            f"{name} is hardly separable from cluster {measures.nearest} (Jeffries–Matusita distance "
            f"{measures.separability:.2f} of 2). Consider merging them."
        )
    if measures.fragmentation > SCATTERED:
        yield (
            f"{name} is scattered: {100 * measures.fragmentation:.0f} % of what lies beside its pixels belongs to "
            f"others; a patch has {measures.pixels / measures.patches:.1f} pixels on average. Sieve or smooth."
        )
