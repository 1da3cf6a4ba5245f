"""How often each annotator was right in the past, as far as people said so, and what its vote should weigh.

One share per annotator, the same for every class: the "one coin" form of the model of Dawid and Skene 1979, "Maximum
likelihood estimation of observer error-rates using the EM algorithm", Applied Statistics 28. An annotator that is
right with probability p, and otherwise says any of the other K - 1 classes alike, adds ln(p (K - 1) / (1 - p)) to the
log-odds of the class it names against any other: with these as weights, the class with most weight is the most
probable one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2dash.annotation.concord import VoteMatrix
from s2dash.annotation.legend import Legend
from s2dash.annotation.vote import VotingRule

MOST_WEIGHT = 5.0
"""Largest weight of a vote: nobody is so good that ten others together could not overrule it."""
_NEVER = 1e-9


@dataclass(frozen=True)
class Record:
    """How an annotator did where people decided."""

    right: int = 0
    """Votes for the class that a person set or accepted."""
    total: int = 0
    """Votes on clusters that a person decided; "unknown" is none."""

    @property
    def share(self) -> float:
        """Share that was right, 0-1, as expected from a uniform prior, Beta(1, 1): 1/2 where nothing is known."""
        return (self.right + 1) / (self.total + 2)

    def weight(self, *, classes: int) -> float:
        """What its vote should weigh, 0 to `MOST_WEIGHT`; 0 for one that is no better than chance.

        Args:
            classes: Number of classes to choose from, 2 or more.
        """
        return share_weight(self.share, classes=classes)


@dataclass(frozen=True)
class Consensus:
    """What a group of annotators knows, judged by nothing but their own votes and what people decided."""

    shares: Mapping[str, float]
    """Probability that each annotator is right, by name, 0-1."""
    chances: NDArray[np.float64]
    """Probability of each class, shape (cluster, class), in the order of the matrix; what is missing to 1 is that of
    classes nobody voted for."""
    log_likelihood: float
    """Of the votes, natural logarithm."""


def past_records(legends: Iterable[Legend]) -> dict[str, Record]:
    """How every annotator did in any number of runs, by name.

    The class a person set, or accepted, is taken for the truth; overrides that were taken back and clusters set to
    unknown say nothing. Of an annotator that was asked more than once about a cluster the answer that stands counts.
    """
    right: dict[str, int] = {}
    total: dict[str, int] = {}
    for legend in legends:
        for entry in legend.entries.values():
            if entry.override is None or entry.override.after is None:
                continue
            for answer in entry.voters:
                if answer.code is not None:
                    total[answer.annotator] = total.get(answer.annotator, 0) + 1
                    right[answer.annotator] = right.get(answer.annotator, 0) + (answer.code == entry.override.after)
    return {name: Record(right[name], total[name]) for name in sorted(total)}


def share_weight(share: float, *, classes: int) -> float:
    """Log-odds that a vote of an annotator that is right this often adds to the class it names, 0 to `MOST_WEIGHT`.

    Args:
        share: Probability that the annotator is right, 0-1.
        classes: Number of classes to choose from, 2 or more.
    """
    share = min(max(share, _NEVER), 1.0 - _NEVER)
    return min(max(math.log(share * (max(classes, 2) - 1) / (1.0 - share)), 0.0), MOST_WEIGHT)


def record_rule(records: Mapping[str, Record], *, classes: int) -> VotingRule:
    """The voting rule that weighs every annotator by its record; those without one as if half right.

    Args:
        records: By annotator, as `past_records` gives them.
        classes: Number of classes to choose from, 2 or more.
    """
    weights = {name: record.weight(classes=classes) for name, record in records.items()}
    return VotingRule("record", weights, Record().weight(classes=classes))


def dawid_skene(
    matrix: VoteMatrix,
    *,
    classes: int,
    known: Mapping[int, int] | None = None,
    rounds: int = 200,
    tolerance: float = 1e-9,
) -> Consensus:
    """How often each annotator is right, from their votes alone: the one-coin model, by expectation maximisation.

    Every class is as likely as any other beforehand. It starts from the shares of the votes, and from every single
    annotator taken for right, and keeps what explains the votes best: the likelihood may have several tops.

    Args:
        matrix: Who said what.
        classes: Number of classes to choose from, 2 or more and not less than were named.
        known: Class by cluster, where people decided: taken for the truth.
        rounds: Most rounds of each start.
        tolerance: Gain in log-likelihood below which it is done.
    """
    codes = tuple(sorted({*matrix.classes, *(known or {}).values()}))
    wide = max(classes, len(codes), 2)
    said = np.full((len(matrix.clusters), len(matrix.annotators)), -1)
    for row, column in np.ndindex(said.shape):
        code = matrix.codes[row][column]
        said[row, column] = -1 if code is None else codes.index(code)
    votes = (said[:, :, None] == np.arange(wide)).astype(np.float64)  # cluster, annotator, class
    truth = np.zeros((len(matrix.clusters), wide))
    for row, cluster in enumerate(matrix.clusters):
        if known and cluster in known:
            truth[row, codes.index(known[cluster])] = 1.0
    starts = [votes.mean(axis=1) if votes.shape[1] else truth]
    starts += [votes[:, column] for column in range(votes.shape[1])]
    best: tuple[float, NDArray[np.float64], NDArray[np.float64]] | None = None
    for start in starts:
        found = _climb(votes, _posterior(np.log(start + 1e-3), truth)[0], truth, rounds=rounds, tolerance=tolerance)
        best = found if best is None or found[0] > best[0] + tolerance else best
    assert best is not None
    order = [codes.index(code) for code in matrix.classes]
    shares = {name: float(share) for name, share in zip(matrix.annotators, best[1], strict=True)}
    return Consensus(shares=shares, chances=best[2][:, order], log_likelihood=best[0])


def _climb(
    votes: NDArray[np.float64],
    chances: NDArray[np.float64],
    truth: NDArray[np.float64],
    *,
    rounds: int,
    tolerance: float,
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Log-likelihood, shares and chances, after as many steps of expectation and maximisation as bring a gain."""
    others = votes.shape[2] - 1
    voted = votes.sum(axis=(0, 2))
    before = -math.inf
    while True:
        right = np.einsum("cak,ck->a", votes, chances)
        shares = np.clip(np.divide(right, voted, out=np.full_like(right, 0.5), where=voted > 0), _NEVER, 1.0 - _NEVER)
        # ln P(vote | class): ln p for the class itself, ln((1 - p) / (K - 1)) for any other.
        wrong = np.log((1.0 - shares) / others)
        logs = np.einsum("cak,a->ck", votes, np.log(shares) - wrong) + (votes.sum(axis=2) @ wrong)[:, None]
        chances, likelihood = _posterior(logs, truth)
        rounds -= 1
        if rounds <= 0 or likelihood - before <= tolerance:
            return likelihood, shares, chances
        before = likelihood


def _posterior(logs: NDArray[np.float64], truth: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Chances by Bayes' rule from log-likelihoods by cluster and class, with a uniform prior; and their sum."""
    decided = truth.sum(axis=1) > 0.0
    logs = np.where(decided[:, None] & (truth == 0.0), -np.inf, logs)
    top = logs.max(axis=1, keepdims=True)
    chances = np.exp(logs - top)
    totals = chances.sum(axis=1, keepdims=True)
    likelihood = float((top + np.log(totals)).sum()) - int((~decided).sum()) * math.log(logs.shape[1])
    return chances / totals, likelihood
