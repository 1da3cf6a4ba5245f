"""Who names the clusters of a run best, and shown which cards: every annotator's answers as a map of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from s2dash.annotation.answer import Answer
from s2dash.confusion import Confusion
from s2dash.pair_counts import joint_histogram
from s2dash.pipeline import RunResult
from s2dash.schemes import NO_DATA, UNDECIDED


@dataclass(frozen=True)
class NamingScore:
    """How far a map named by one annotator alone agrees with the reference."""

    annotator: str
    """Who answered."""
    model: str
    """Model with version."""
    style: str
    """Card style it was shown, with version; empty for annotators that do not look."""
    answered: int
    """Clusters it gave a class to."""
    asked: int
    """Clusters it was asked about."""
    overall: float
    """Overall agreement reached, 0-1; clusters it did not name count as disagreement."""
    miou: float | None
    """Mean intersection over union, 0-1; None where there is nothing to compare."""


def naming_scores(result: RunResult) -> tuple[NamingScore, ...]:
    """Score every annotator and card style of a run by itself, best first; people's decisions are left out.

    Of several answers of one annotator, shown one style, about one cluster the last counts.

    Args:
        result: A run; without a reference there is nothing to score.
    """
    if result.reference is None:
        return ()
    groups: dict[tuple[str, str, str], dict[int, Answer]] = {}
    for answer in result.legend.answers:
        groups.setdefault((answer.annotator, answer.model, answer.style), {})[answer.cluster] = answer
    if not groups:
        return ()
    # The pixels are counted once: what another name does to a cluster only moves its counts to another column.
    scheme = result.legend.scheme
    counted = scheme.counted_table
    contingency = joint_histogram(result.clusters.labels, counted[result.reference.codes])
    contingency[:, NO_DATA] = 0
    scores = []
    for (who, model, style), said in groups.items():
        histogram = np.zeros_like(contingency)  # reference by map
        for cluster in np.flatnonzero(contingency[1:].any(axis=1)) + 1:
            code = said[int(cluster)].code if int(cluster) in said else None
            histogram[:, UNDECIDED if code is None else counted[code]] += contingency[cluster]
        found = Confusion.from_histogram(histogram, order=scheme.codes).scores
        named = sum(answer.code is not None for answer in said.values())
        scores.append(NamingScore(who, model, style, named, len(said), found.overall, found.miou))
    return tuple(sorted(scores, key=lambda one: (-one.overall, one.annotator, one.model, one.style)))
