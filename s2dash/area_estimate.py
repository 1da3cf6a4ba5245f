"""Areas and agreement estimated from a stratified sample, with their uncertainty.

Good practices of P. Olofsson, G. M. Foody, M. Herold, S. V. Stehman, C. E. Woodcock and M. A. Wulder, "Good practices
for estimating area and assessing accuracy of land change", Remote Sensing of Environment 148 (2014), 42-57: equations
4-7 and 9-11. The strata are the classes of the map, so the estimates make up for a rare class being sampled often.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from s2dash.errors import AreaEstimateError
from s2dash.pair_counts import CountArray

Z95 = 1.96
"""Half width of a 95 % interval in standard errors, as the paper takes it."""
MIN_UNITS = 2
"""Sample units that a stratum needs before its variance can be estimated."""


@dataclass(frozen=True)
class Estimate:
    """A number estimated from a sample."""

    value: float
    """The estimate: a share 0-1, or hectares."""
    se: float | None
    """Its standard error in the same unit; None where a stratum has fewer than `MIN_UNITS` sample units."""
    most: float = 1.0
    """The largest value that is possible, in the same unit."""

    @property
    def half(self) -> float | None:
        """Half of the 95 % confidence interval.

        None where there is none to give: no standard error, or one of zero, which only says that all sample units were
        alike and not that nothing else is out there.
        """
        return Z95 * self.se if self.se else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval, cut at what is possible; None where `half` is."""
        if self.half is None:
            return None
        return max(self.value - self.half, 0.0), min(self.value + self.half, self.most)


@dataclass(frozen=True)
class ClassEstimate:
    """One class, as the sample shows it."""

    code: int
    """Class code."""
    units: int
    """Sample units drawn where the map says this class."""
    found: int
    """Sample units that are of this class."""
    mapped_ha: float
    """Area of the class on the map, ha; 0 where the map does not have it."""
    area: Estimate
    """Area-adjusted estimate of its true area, ha."""
    users: Estimate | None
    """Share of the class on the map that is right (user's accuracy); None without sample units in that stratum."""
    producers: Estimate | None
    """Share of the class on the ground that the map finds (producer's accuracy); None where none was found."""


@dataclass(frozen=True)
class AreaEstimate:
    """What a stratified sample says of a map."""

    overall: Estimate
    """Share of the area on which the map is right."""
    classes: tuple[ClassEstimate, ...]
    """Every class that has a stratum or was found in the sample, by code."""
    n: int
    """Sample units."""
    total_ha: float
    """Area that the estimates are about, ha: all strata with sample units."""
    unsampled: Mapping[int, float]
    """Strata without any sample unit, with their areas, ha; the estimates say nothing about them."""
    thin: tuple[int, ...]
    """Strata with a single sample unit: while there is one, most standard errors cannot be estimated."""

    def __getitem__(self, code: int) -> ClassEstimate:
        for one in self.classes:
            if one.code == code:
                return one
        raise KeyError(code)


def estimate_areas(sample: Mapping[int, Mapping[int, int]], *, stratum_ha: Mapping[int, float]) -> AreaEstimate:
    """Estimate agreement and area from a stratified random sample.

    Args:
        sample: Sample units by stratum, i.e. class of the map, and by the class that is found there. A stratum may be
            no class that can be found (pixels that nobody has named), and a class may be found that has no stratum.
        stratum_ha: Area of every stratum, ha.

    Raises:
        AreaEstimateError: If there is no sample unit, a count is negative, or a sampled stratum has no area.
    """
    units = {stratum: sum(found.values()) for stratum, found in sample.items()}
    for stratum, found in sample.items():
        if any(count < 0 for count in found.values()):
            raise AreaEstimateError(f"The sample of the map class {stratum} holds negative counts: {dict(found)}.")
        if units[stratum] and not stratum_ha.get(stratum, 0.0) > 0:
            raise AreaEstimateError(
                f"{units[stratum]} sample units lie in the map class {stratum}, but the map has no area of it. Draw "
                "the sample on this map, or give the areas of the map it was drawn on."
            )
    strata = sorted(stratum for stratum, count in units.items() if count)
    if not strata:
        raise AreaEstimateError("There is no sample unit, so nothing can be estimated. Draw or judge some first.")
    codes = sorted({code for stratum in strata for code, count in sample[stratum].items() if count} | set(strata))
    total = math.fsum(stratum_ha[stratum] for stratum in strata)
    n = np.array([units[stratum] for stratum in strata], dtype=np.float64)  # (stratum,)
    weight = np.array([stratum_ha[stratum] for stratum in strata]) / total
    share = np.array([[sample[stratum].get(code, 0) for code in codes] for stratum in strata]) / n[:, None]
    proportion = weight[:, None] * share  # eq 4: (stratum, class)
    known = bool((n >= MIN_UNITS).all())
    spread = share * (1.0 - share) / np.maximum(n - 1.0, 1.0)[:, None]  # variance of a share within its stratum
    own = [codes.index(stratum) for stratum in strata]
    right = np.arange(len(strata)), np.array(own)
    overall = Estimate(
        float(proportion[right].sum()),
        math.sqrt(float((weight**2 * spread[right]).sum())) if known else None,  # eq 5
    )
    found = proportion.sum(axis=0)  # eq 9
    error = np.sqrt((weight[:, None] ** 2 * spread).sum(axis=0))  # eq 10
    classes = []
    for at, code in enumerate(codes):
        row = strata.index(code) if code in strata else None
        users = producers = None
        if row is not None:
            sure = n[row] >= MIN_UNITS
            users = Estimate(float(share[row, at]), math.sqrt(float(spread[row, at])) if sure else None)  # eq 6
        if found[at] > 0:
            hit = 0.0 if row is None else float(proportion[row, at] / found[at])
            parts = weight**2 * spread[:, at] * hit**2  # eq 7, over the square of the class's share
            if row is not None:
                parts[row] = weight[row] ** 2 * spread[row, at] * (1.0 - hit) ** 2
            producers = Estimate(hit, math.sqrt(float(parts.sum())) / float(found[at]) if known else None)
        classes.append(
            ClassEstimate(
                code=code,
                units=units.get(code, 0),
                found=sum(sample[stratum].get(code, 0) for stratum in strata),
                mapped_ha=float(stratum_ha.get(code, 0.0)),
                area=Estimate(total * float(found[at]), total * float(error[at]) if known else None, total),  # eq 11
                users=users,
                producers=producers,
            )
        )
    return AreaEstimate(
        overall=overall,
        classes=tuple(classes),
        n=int(n.sum()),
        total_ha=total,
        unsampled={
            stratum: float(area) for stratum, area in sorted(stratum_ha.items()) if area > 0 and stratum not in strata
        },
        thin=tuple(stratum for stratum in strata if units[stratum] < MIN_UNITS),
    )


def allocate(n: int, sizes: Mapping[int, int]) -> dict[int, int]:
    """How many sample units each stratum gets: half of them in equal parts, half by size.

    The paper (its section 5.1) advises a compromise between the two, so that rare classes are judged often enough and
    common ones often enough for the overall figure. No stratum gets fewer than two or more than it has.

    Args:
        n: Sample units in all; roughly kept.
        sizes: Pixels of every stratum.
    """
    present = {stratum: size for stratum, size in sizes.items() if size > 0}
    total = sum(present.values())
    wanted = {
        stratum: round(0.5 * n / len(present) + 0.5 * n * size / total) for stratum, size in sorted(present.items())
    }
    return {stratum: min(max(count, MIN_UNITS), present[stratum]) for stratum, count in wanted.items()}


def sampled_counts(joint: CountArray, *, n: int, seed: int) -> dict[int, dict[int, int]]:
    """A stratified random sample of the pixels of two maps: what it finds, by map class and reference class.

    In each stratum pixels are drawn at random without replacement, every one with the same chance. That is what makes
    the estimates and their intervals hold however much neighbours are alike, so no distance is kept between them. As
    nothing but the classes of a pixel counts, they are drawn from the numbers of the pixels themselves (multivariate
    hypergeometric), which costs the same for a scene of any size.

    Args:
        joint: Shape (256, 256), pixels by reference code and map code; row and column 0 are ignored.
        n: Sample units in all, see `allocate`.
        seed: The same seed draws the same sample.

    Returns:
        Sample units by map code and reference code, as `estimate_areas` takes them.
    """
    compared = joint[1:, 1:]
    sizes = {int(at) + 1: int(compared[:, at].sum()) for at in np.flatnonzero(compared.sum(axis=0))}
    rng = np.random.default_rng(seed)
    drawn = {}
    for stratum, count in allocate(n, sizes).items():
        column = compared[:, stratum - 1]
        codes = np.flatnonzero(column)
        found = rng.multivariate_hypergeometric(column[codes], count, method="marginals")
        drawn[stratum] = {int(code) + 1: int(units) for code, units in zip(codes, found, strict=True) if units}
    return drawn
