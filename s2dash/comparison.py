"""How far a land-cover map agrees with a reference map: the figures, where they come from, and how to read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from s2dash.canvas import same_grid
from s2dash.ceiling import Ceiling, ceiling
from s2dash.clustering.model import ClusterMap
from s2dash.confusion import Confusion
from s2dash.errors import GridMismatchError, NoOverlapError, SchemeError
from s2dash.grid import slices, strips
from s2dash.landcover import LandCoverMap
from s2dash.map_values import MapValue, in_order, unknown_from_json
from s2dash.pair_counts import CountArray, joint_histogram
from s2dash.reference import Reference
from s2dash.schemes import NO_DATA, UNDECIDED, ClassScheme, LandCoverClass
from s2dash.types import LabelArray

WORLDCOVER_OVERALL: Mapping[int, float] = {2020: 74.4, 2021: 76.7}
"""Overall accuracy of ESA WorldCover as its own validation reports state it, percent by map year."""

NOT_COMPARED, AGREES, DISAGREES = 0, 1, 2
"""Codes of the disagreement map."""

_ROWS = 512


@dataclass(frozen=True)
class ClassAgreement:
    """How far the two maps agree on one class."""

    code: int
    """Class code."""
    name: str
    """English name."""
    producers: float | None
    """Share of the reference's pixels that the map finds (the field's producer's accuracy), 0-1; None without any."""
    users: float | None
    """Share of the map's pixels that the reference confirms (user's accuracy), 0-1; None without any."""
    f1: float
    """Harmonic mean of the two, 0-1."""
    iou: float
    """Intersection over union, 0-1."""
    support: int
    """Pixels of the class in the reference."""
    mapped: int
    """Pixels of the class in the map."""

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class ClusterAgreement:
    """How far the two maps agree inside one cluster."""

    cluster: int
    """Cluster number."""
    pixels: int
    """Its size."""
    compared: int
    """Its pixels on which both maps have data."""
    agree: float | None
    """Share of the compared pixels on which both maps name the same class, 0-1; None without any."""
    majority: int | None
    """Most frequent reference class among them; of equals, the lowest code."""
    purity: float | None
    """Share of that class, 0-1."""


@dataclass(frozen=True)
class Agreement:
    """A land-cover map against a reference map, on the pixels where both have data.

    Undecided pixels of the map count, as disagreement: to leave hard clusters unnamed must not raise the score.
    """

    scheme: str
    """Name of the class scheme both maps are in."""
    confusion: Confusion
    """Pixels by reference class and map class, and the undecided ones."""
    classes: tuple[ClassAgreement, ...]
    """Every class that occurs in either map, in the order of the scheme."""
    no_map: float
    """Share of the grid where the map has no data, 0-1."""
    no_reference: float
    """Share of the grid where the map has data but the reference has not, 0-1."""
    image_year: int | None
    """Year of the image the map was made from, where known."""
    reference_title: str
    """The reference, for the person."""
    reference_year: int | None
    """Year the reference shows, where known."""
    attribution: str
    """Text the reference's licence asks for."""
    unknown: Mapping[MapValue, int]
    """Codes, or texts, of the reference that nothing is known of, with their pixels; left out."""
    caution: str
    """How to read the figures, in sentences for the person."""
    ceiling: Ceiling | None = None
    """What the same clusters would reach with their best names; None where no clusters were given."""

    @property
    def n(self) -> int:
        """Pixels compared."""
        return self.confusion.n

    @property
    def coverage(self) -> float:
        """Share of the grid that is compared, 0-1; with `no_map` and `no_reference` it makes 1."""
        return 1.0 - self.no_map - self.no_reference

    @property
    def overall(self) -> float:
        """Overall agreement: share of the compared pixels on which both maps name the same class, 0-1."""
        return self.confusion.scores.overall

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa; None where both maps hold one and the same class only."""
        return self.confusion.scores.kappa

    @property
    def macro_f1(self) -> float | None:
        """Mean F1 over `classes`."""
        return self.confusion.scores.macro_f1

    @property
    def miou(self) -> float | None:
        """Mean intersection over union over `classes`."""
        return self.confusion.scores.miou

    def to_json(self) -> dict[str, Any]:
        """What `agreement.json` holds: numbers, text and null, never NaN."""
        return {
            **self.confusion.scores.to_json(),
            "n": self.n,
            "coverage": self.coverage,
            "no_map": self.no_map,
            "no_reference": self.no_reference,
            "scheme": self.scheme,
            "image_year": self.image_year,
            "reference": {
                "title": self.reference_title,
                "year": self.reference_year,
                "attribution": self.attribution,
                "unknown": {str(code): count for code, count in self.unknown.items()},
            },
            "caution": self.caution,
            "ceiling": self.ceiling.to_json() if self.ceiling is not None else None,
            "classes": [row.to_json() for row in self.classes],
            "confusion": {
                "codes": list(self.confusion.codes),
                "matrix": [list(row) for row in self.confusion.matrix],
                "undecided": list(self.confusion.undecided),
            },
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Agreement:
        """What `to_json` wrote."""
        confusion, reference = content["confusion"], content["reference"]
        return cls(
            scheme=content["scheme"],
            confusion=Confusion(
                codes=tuple(confusion["codes"]),
                matrix=tuple(tuple(row) for row in confusion["matrix"]),
                undecided=tuple(confusion["undecided"]),
            ),
            classes=tuple(ClassAgreement(**row) for row in content["classes"]),
            no_map=content["no_map"],
            no_reference=content["no_reference"],
            image_year=content["image_year"],
            reference_title=reference["title"],
            reference_year=reference["year"],
            attribution=reference["attribution"],
            unknown=unknown_from_json(reference["unknown"]),
            caution=content["caution"],
            ceiling=Ceiling.from_json(content["ceiling"]) if content["ceiling"] is not None else None,
        )


def agreement(landcover: LandCoverMap, reference: Reference, *, clusters: ClusterMap | None = None) -> Agreement:
    """Compare a map with a reference, and with the best that its clusters allow.

    Args:
        landcover: The map.
        reference: The reference, on the same grid and in the same scheme.
        clusters: The clusters the map was made from; with them the ceiling is computed.

    Raises:
        GridMismatchError: If the grids differ.
        SchemeError: If the schemes differ, or a map holds codes its scheme does not have.
        NoOverlapError: If there is no pixel on which both have data.
    """
    _check(landcover, reference)
    scheme = landcover.scheme
    histogram = _counted(joint_histogram(reference.codes, landcover.codes), scheme)
    _check_codes(histogram.sum(axis=1), scheme, f"The reference {reference.title!r}")
    _check_codes(histogram.sum(axis=0), scheme, "The map", allowed=(UNDECIDED,))
    if not histogram[1:, 1:].any():
        raise NoOverlapError(
            f"There is no pixel on which both the map and the reference {reference.title!r} have data: the map covers "
            f"{histogram[:, 1:].sum()} pixels, the reference {histogram[1:].sum()}. Give another reference."
        )
    confusion = Confusion.from_histogram(histogram, order=scheme.codes)
    best = None
    if clusters is not None:
        _check_clusters(landcover, clusters)
        contingency = joint_histogram(clusters.labels, reference.codes, within=landcover.codes)
        best = ceiling(contingency, order=scheme.codes)
    total = landcover.codes.size
    return Agreement(
        scheme=scheme.name,
        confusion=confusion,
        classes=_classes(confusion, scheme),
        no_map=float(histogram[:, NO_DATA].sum() / total),
        no_reference=float(histogram[NO_DATA, 1:].sum() / total),
        image_year=landcover.year,
        reference_title=reference.title,
        reference_year=reference.year,
        attribution=reference.attribution,
        unknown=dict(reference.unknown),
        caution=_caution(landcover, reference),
        ceiling=best,
    )


def disagreement(landcover: LandCoverMap, reference: Reference) -> LabelArray:
    """Where the two maps agree.

    Returns:
        Shape (y, x), uint8: 0 not compared, 1 agree, 2 disagree (undecided pixels of the map too).

    Raises:
        GridMismatchError: If the grids differ.
        SchemeError: If the schemes differ.
    """
    _check(landcover, reference)
    result = np.empty(landcover.codes.shape, dtype=np.uint8)
    counted = landcover.scheme.counted_table
    for window in strips(landcover.grid, rows=_ROWS):
        mapped, expected = counted[landcover.codes[slices(window)]], counted[reference.codes[slices(window)]]
        part = np.where(mapped == expected, np.uint8(AGREES), np.uint8(DISAGREES))
        part[(mapped == NO_DATA) | (expected == NO_DATA)] = NOT_COMPARED
        result[slices(window)] = part
    return result


def cluster_agreement(
    landcover: LandCoverMap, reference: Reference, *, clusters: ClusterMap
) -> tuple[ClusterAgreement, ...]:
    """How far the two maps agree inside each cluster: which clusters cost the most.

    Raises:
        GridMismatchError: If the grids differ.
        SchemeError: If the schemes differ.
    """
    _check(landcover, reference)
    _check_clusters(landcover, clusters)
    contingency = joint_histogram(clusters.labels, reference.codes, within=landcover.codes)
    contingency[:, NO_DATA] = 0
    best = contingency.argmax(axis=1)
    verdicts = joint_histogram(clusters.labels, disagreement(landcover, reference))
    rows = []
    for cluster in range(1, 256):
        if pixels := int(verdicts[cluster].sum()):
            compared = int(contingency[cluster].sum())
            rows.append(
                ClusterAgreement(
                    cluster=cluster,
                    pixels=pixels,
                    compared=compared,
                    agree=int(verdicts[cluster, AGREES]) / compared if compared else None,
                    majority=int(best[cluster]) if compared else None,
                    purity=int(contingency[cluster, best[cluster]]) / compared if compared else None,
                )
            )
    return tuple(rows)


def _counted(histogram: CountArray, scheme: ClassScheme) -> CountArray:
    """Pixels by reference and map class with every added class counted as the one it counts as."""
    folded = np.zeros_like(histogram)
    table = scheme.counted_table
    np.add.at(folded, (table[:, None], table[None, :]), histogram)
    return folded


def _classes(confusion: Confusion, scheme: ClassScheme) -> tuple[ClassAgreement, ...]:
    columns = (
        confusion.producers,
        confusion.users,
        confusion.f1,
        confusion.iou,
        confusion.support,
        confusion.mapped,
    )
    return tuple(
        ClassAgreement(code, scheme[code].name, *row) for code, *row in zip(confusion.codes, *columns, strict=True)
    )


def _check(landcover: LandCoverMap, reference: Reference) -> None:
    if not same_grid(landcover.grid, reference.grid) or landcover.codes.shape != reference.codes.shape:
        raise GridMismatchError(
            f"The map ({_size(landcover.codes)}) and the reference {reference.title!r} ({_size(reference.codes)}) do "
            "not lie on the same grid. Load the reference with the grid of the scene."
        )
    if landcover.scheme.name != reference.scheme.name:
        raise SchemeError(
            f"The map is in the class scheme {landcover.scheme.name!r}, the reference {reference.title!r} in "
            f"{reference.scheme.name!r}. Load the reference with a mapping to the scheme of the map."
        )


def _check_clusters(landcover: LandCoverMap, clusters: ClusterMap) -> None:
    if not same_grid(landcover.grid, clusters.grid) or landcover.codes.shape != clusters.labels.shape:
        raise GridMismatchError(
            f"The map ({_size(landcover.codes)}) and the clusters ({_size(clusters.labels)}) do not lie on the same "
            "grid. Give the clusters that the map was made from."
        )


def _check_codes(counts: CountArray, scheme: ClassScheme, what: str, *, allowed: tuple[int, ...] = ()) -> None:
    strangers = sorted(set(np.flatnonzero(counts).tolist()) - {NO_DATA, *scheme.codes, *allowed})
    if strangers:
        raise SchemeError(
            f"{what} holds the codes {strangers}, which the scheme {scheme.name!r} does not have; it has "
            f"{list(scheme.codes)}. Give a mapping from its codes."
        )


def _size(raster: LabelArray) -> str:
    return " x ".join(str(side) for side in raster.shape[::-1]) + " pixels"


def _caution(landcover: LandCoverMap, reference: Reference) -> str:
    sentences = [f"The figures say how far the map agrees with {reference.title}, another map with errors of its own."]
    if (published := WORLDCOVER_OVERALL.get(reference.worldcover_year or 0)) is not None:
        sentences.append(
            f"ESA WorldCover {reference.worldcover_year} states an overall accuracy of {published} % for itself."
        )
    image, shown = landcover.year, reference.year
    if image is not None and shown is not None and image != shown:
        sentences.append(
            f"The image is of {image}, the reference of {shown}: what changed between the two counts as disagreement."
        )
    elif image is None or shown is None:
        what = " and ".join(name for name, year in (("image", image), ("reference", shown)) if year is None)
        sentences.append(f"The year of the {what} is not known: change between the two counts as disagreement.")
    for cls in landcover.scheme.classes:
        if cls.added and (landcover.codes == cls.code).any():
            sentences.append(_about_added(cls, landcover.scheme))
    if reference.unknown:
        codes = ", ".join(str(code) for code in in_order(reference.unknown)[:12])
        sentences.append(
            f"{sum(reference.unknown.values())} pixels of the reference have codes that nothing is known of ({codes}) "
            "and are left out."
        )
    return " ".join(sentences)


def _about_added(cls: LandCoverClass, scheme: ClassScheme) -> str:
    if cls.code in scheme.counted_as:
        return (
            f"{cls.name} was added to the classes of this run and counts as {scheme[scheme.counted_as[cls.code]].name} "
            "here."
        )
    return (
        f"{cls.name} was added to the classes of this run and has no counterpart in the reference: all of it counts as "
        "disagreement."
    )
