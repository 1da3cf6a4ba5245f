"""How far annotators agree with each other, keep to the form they were asked for, and what they cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from s2dash.annotation.answer import Answer
from s2dash.annotation.legend import Legend
from s2dash.annotation.provider import Usage


@dataclass(frozen=True)
class VoteMatrix:
    """Who said what: cluster × annotator → class."""

    clusters: tuple[int, ...]
    """Cluster numbers, a row each."""
    annotators: tuple[str, ...]
    """Names, a column each."""
    codes: tuple[tuple[int | None, ...], ...]
    """Class codes by cluster and annotator; None where there is no vote: unknown, no usable reply, or not asked."""

    @cached_property
    def classes(self) -> tuple[int, ...]:
        """Class codes that got a vote, ascending."""
        return tuple(sorted({code for row in self.codes for code in row if code is not None}))

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Votes by cluster and class, shape (cluster, class), in the order of `clusters` and `classes`."""
        counts = np.zeros((len(self.clusters), len(self.classes)), dtype=np.int64)
        for row, codes in enumerate(self.codes):
            for code in codes:
                if code is not None:
                    counts[row, self.classes.index(code)] += 1
        return counts


@dataclass(frozen=True)
class PairAgreement:
    """How often two annotators say the same."""

    same: int
    """Clusters to which both gave the same class."""
    both: int
    """Clusters to which both gave a class."""

    @property
    def share(self) -> float | None:
        """Share of the clusters both named on which they agree, 0-1; None without any."""
        return self.same / self.both if self.both else None


@dataclass(frozen=True)
class Compliance:
    """How an annotator kept to the form it was asked for."""

    answers: int
    """Questions it was asked."""
    at_once: int
    """Of these, those whose first reply was in the form."""
    calls: int
    """Calls they took; one more for every reply that was asked for again."""
    faults: Mapping[str, int]
    """Why answers could not be used, with how many, the most frequent first."""

    @property
    def share(self) -> float | None:
        """Share of the questions answered in the form at the first ask, 0-1; None without any."""
        return self.at_once / self.answers if self.answers else None


def vote_matrix(legend: Legend) -> VoteMatrix:
    """The votes of a legend: of each annotator the answer that stands, whatever the voting rule."""
    annotators = tuple(sorted({answer.annotator for answer in legend.answers}))
    codes = []
    for entry in legend.entries.values():
        said = {answer.annotator: answer.code for answer in entry.voters}
        codes.append(tuple(said.get(name) for name in annotators))
    return VoteMatrix(clusters=tuple(legend.entries), annotators=annotators, codes=tuple(codes))


def fleiss_kappa(matrix: VoteMatrix) -> float | None:
    """Agreement of several annotators beyond chance, where not everybody voted on every cluster.

    With r votes on a cluster, of which r_k are for class k, the pairs of its voters that agree are a share
    P = sum_k r_k (r_k - 1) / (r (r - 1)). Kappa is (mean P - P_e) / (1 - P_e), with the mean over clusters with two or
    more votes, and P_e = sum_k p_k², p_k the mean over all clusters with a vote of r_k / r. With equally many votes on
    every cluster that is kappa of Fleiss 1971, "Measuring nominal scale agreement among many raters", Psychological
    Bulletin 76; the form for missing votes is the one of Gwet, "Handbook of Inter-Rater Reliability" (4th edition,
    2014), chapter 2.

    Returns:
        At most 1; 0 for agreement as by chance. None where no cluster has two votes, or only one class was ever named:
        then there is nothing that chance could explain.
    """
    counts = matrix.counts[matrix.counts.sum(axis=1) > 0]
    votes = counts.sum(axis=1)
    several = votes > 1
    if not several.any() or len(matrix.classes) < 2:
        return None
    agreeing = (counts * (counts - 1)).sum(axis=1)[several] / (votes * (votes - 1))[several]
    chance = float(((counts / votes[:, None]).mean(axis=0) ** 2).sum())
    return (float(agreeing.mean()) - chance) / (1.0 - chance)


def pair_agreement(matrix: VoteMatrix) -> dict[tuple[str, str], PairAgreement]:
    """How often each two annotators agree, by their names in the order of the columns."""
    found = {}
    for first, second in combinations(range(len(matrix.annotators)), 2):
        pairs = [(row[first], row[second]) for row in matrix.codes]
        both = [pair for pair in pairs if None not in pair]
        same = sum(one == other for one, other in both)
        found[matrix.annotators[first], matrix.annotators[second]] = PairAgreement(same, len(both))
    return found


def compliance(answers: Iterable[Answer]) -> dict[str, Compliance]:
    """How every annotator kept to the form, by name; every round counts.

    Annotators that are asked in no form, such as the offline rules, always keep to it: leave their answers out.
    """
    return {
        name: Compliance(
            answers=len(said),
            at_once=sum(answer.compliant for answer in said),
            calls=sum(answer.asks for answer in said),
            faults=dict(Counter(answer.fault for answer in said if answer.fault).most_common()),
        )
        for name, said in _by_annotator(answers).items()
    }


def usage_by_annotator(answers: Iterable[Answer]) -> dict[str, Usage]:
    """Tokens and price of every annotator, by name; every round counts."""
    return {name: sum((answer.usage for answer in said), Usage()) for name, said in _by_annotator(answers).items()}


def _by_annotator(answers: Iterable[Answer]) -> dict[str, list[Answer]]:
    said: dict[str, list[Answer]] = {}
    for answer in answers:
        said.setdefault(answer.annotator, []).append(answer)
    return dict(sorted(said.items()))
