"""Agreement by how a class came about: cluster by cluster, and by how unanimous the vote was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from s2dash.annotation.legend import Legend, LegendEntry
from s2dash.clustering.model import ClusterMap
from s2dash.comparison import AGREES, cluster_agreement, disagreement
from s2dash.confused_pairs import joint_area
from s2dash.grid import slices, strips
from s2dash.landcover import LandCoverMap
from s2dash.reference import Reference
from s2dash.schemes import NO_DATA, UNDECIDED

HowAgreed = Literal["unanimous", "alone", "majority", "tie", "person", "nobody"]
"""How the class of a piece of ground was found. `unanimous`: two annotators or more voted, all for it. `alone`: the one
annotator that voted said so. `majority`: it had most votes, or most weight. `tie`: as many votes as another class, and
surer ones. `person`: a person set it, for the cluster or within an area. `nobody`: it has no class."""
HOW_AGREED: tuple[HowAgreed, ...] = get_args(HowAgreed)
"""All of them, in the order in which they are shown."""

_ROWS = 512


@dataclass(frozen=True)
class VoteAgreement:
    """Agreement where classes were found in one way."""

    how: HowAgreed
    """The way."""
    clusters: int
    """Clusters whose class was found so; ground that a person set within a cluster counts for none."""
    ha: float
    """Area on which map and reference can be compared, ha."""
    share: float
    """Share of all that can be compared, 0-1."""
    agree: float | None
    """Share of that area on which both maps name the same class, 0-1; None where nothing can be compared."""


@dataclass(frozen=True)
class ClusterRow:
    """Agreement within one cluster."""

    cluster: int
    """Cluster number."""
    code: int | None
    """Class in force; None where it has none."""
    ha: float
    """Area, ha."""
    agree: float | None
    """Share of its compared pixels on which both maps name the same class, 0-1; None where none can be compared."""
    majority: int | None
    """What the reference mostly has there."""
    purity: float | None
    """Share of that class, 0-1: the most that any one name could reach."""
    how: HowAgreed
    """How its class was found."""

    @property
    def lost(self) -> float:
        """Area on which the maps differ though the best name would agree, ha: what naming it otherwise could win."""
        return self.ha * max((self.purity or 0.0) - (self.agree or 0.0), 0.0)


def how_agreed(entry: LegendEntry) -> HowAgreed:
    """How the class of a cluster was found."""
    if entry.code is None:
        return "nobody"
    if entry.decided_by == "person":
        return "person"
    if entry.decided_by == "confidence":
        return "tie"
    votes = [tally.count for tally in entry.vote.tally.values()]
    if len(votes) > 1:
        return "majority"
    return "unanimous" if sum(votes) > 1 else "alone"


def agreement_by_cluster(
    landcover: LandCoverMap, reference: Reference, *, clusters: ClusterMap, legend: Legend, area_ha: Mapping[int, float]
) -> tuple[ClusterRow, ...]:
    """Agreement within every cluster, the largest cluster first.

    Args:
        landcover: The map.
        reference: What it is compared with.
        clusters: The clusters the map was made from.
        legend: What they are called.
        area_ha: Area of every cluster, ha.
    """
    rows = []
    for found in cluster_agreement(landcover, reference, clusters=clusters):
        entry = legend.entries.get(found.cluster)
        rows.append(
            ClusterRow(
                cluster=found.cluster,
                code=entry.code if entry else None,
                ha=float(area_ha.get(found.cluster, 0.0)),
                agree=found.agree,
                majority=found.majority,
                purity=found.purity,
                how=how_agreed(entry) if entry else "nobody",
            )
        )
    return tuple(sorted(rows, key=lambda row: (-row.ha, row.cluster)))


def agreement_by_vote(
    landcover: LandCoverMap, reference: Reference, *, clusters: ClusterMap, legend: Legend
) -> tuple[VoteAgreement, ...]:
    """Agreement by how the class was found, for every way that occurs, in the order of `HOW_AGREED`.

    Args:
        landcover: The map; where it differs from what the legend gives, a person has set it within an area.
        reference: What it is compared with.
        clusters: The clusters the map was made from.
        legend: What they are called.
    """
    ways = np.full(256, HOW_AGREED.index("nobody") + 1, dtype=np.uint8)
    named = np.full(256, UNDECIDED, dtype=np.uint8)
    ways[NO_DATA] = named[NO_DATA] = NO_DATA
    decided: dict[HowAgreed, int] = {}
    for cluster, entry in legend.entries.items():
        how = how_agreed(entry)
        decided[how] = decided.get(how, 0) + 1
        ways[cluster] = HOW_AGREED.index(how) + 1
        named[cluster] = UNDECIDED if entry.code is None else entry.code
    by_hand = np.uint8(HOW_AGREED.index("person") + 1)
    found = np.empty(clusters.labels.shape, dtype=np.uint8)
    for window in strips(clusters.grid, rows=_ROWS):
        labels = clusters.labels[slices(window)]
        part = ways[labels]
        part[landcover.codes[slices(window)] != named[labels]] = by_hand
        found[slices(window)] = part
    joint = joint_area(found, disagreement(landcover, reference), grid=landcover.grid)
    rows = []
    for at, how in enumerate(HOW_AGREED, start=1):
        ha = float(joint.ha[at].sum())
        if ha or how in decided:
            rows.append(
                VoteAgreement(
                    how=how,
                    clusters=decided.get(how, 0),
                    ha=ha,
                    share=ha / joint.total_ha if joint.total_ha else 0.0,
                    agree=float(joint.ha[at, AGREES]) / ha if ha else None,
                )
            )
    return tuple(rows)
