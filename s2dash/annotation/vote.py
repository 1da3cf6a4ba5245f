"""From several answers about one cluster to one decision, or to none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from s2dash.annotation.answer import Answer

VoteDecision = Literal["vote", "confidence", "nobody"]

SAME_CONFIDENCE = 1e-9
"""Mean confidences closer than this are tied: a rounding error must not name a cluster."""


@dataclass(frozen=True)
class Tally:
    """What one class got."""

    count: int
    """Votes."""
    confidence: float
    """Mean confidence of those who voted for it, 0-1."""


@dataclass(frozen=True)
class Vote:
    """The outcome of a vote."""

    code: int | None
    """The class that won; None where nobody voted or the tie could not be broken."""
    confidence: float
    """Mean confidence of the winner's voters times the winner's share of the votes, 0-1; 0 where nobody won."""
    decided_by: VoteDecision
    """`vote`: most votes; `confidence`: a tie broken by mean confidence; `nobody`: a person has to decide."""
    tally: Mapping[int, Tally]
    """Every class that got a vote, by code."""
    margin: float
    """Lead of the class with most votes over the next, as a share of all votes, 0-1; 0 for a tie."""


def vote(answers: Sequence[Answer]) -> Vote:
    """Let the answers about one cluster vote; their order does not matter.

    The class with most votes wins. Among classes with equally many, the higher mean confidence wins; if that is the
    same too, nobody does. An answer "unknown" is no vote: it neither wins nor dilutes.

    Args:
        answers: Of any number of annotators about one cluster.
    """
    given: dict[int, list[float]] = {}
    for answer in answers:
        if answer.code is not None:
            given.setdefault(answer.code, []).append(answer.confidence)
    # fsum rounds once, so that the mean is the same whatever the order of the answers.
    tally = {code: Tally(len(given[code]), math.fsum(given[code]) / len(given[code])) for code in sorted(given)}
    if not tally:
        return Vote(None, 0.0, "nobody", tally, 0.0)
    total = sum(one.count for one in tally.values())
    counts = sorted((one.count for one in tally.values()), reverse=True)
    margin = (counts[0] - (counts[1] if len(counts) > 1 else 0)) / total
    tied = [code for code, one in tally.items() if one.count == counts[0]]
    surest = max(tally[code].confidence for code in tied)
    winners = [code for code in tied if surest - tally[code].confidence <= SAME_CONFIDENCE]
    if len(winners) > 1:
        return Vote(None, 0.0, "nobody", tally, margin)
    code = winners[0]
    confidence = min(tally[code].confidence * tally[code].count / total, 1.0)
    return Vote(code, confidence, "vote" if len(tied) == 1 else "confidence", tally, margin)
