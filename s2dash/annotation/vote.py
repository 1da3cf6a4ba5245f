"""From several answers about one cluster to one decision, or to none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from s2dash.annotation.answer import Answer
from s2dash.errors import LegendError

VoteDecision = Literal["vote", "confidence", "nobody"]
RuleKind = Literal["majority", "confidence", "record"]

SAME_CONFIDENCE = 1e-9
"""Mean confidences, and sums of weights, closer than this are tied: a rounding error must not name a cluster."""


@dataclass(frozen=True)
class VotingRule:
    """How much each answer counts."""

    kind: RuleKind = "majority"
    """`majority`: all the same; `confidence`: as much as the annotator says it is sure; `record`: by its past agreement
    with people, see `reliability.record_rule`."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Weight by annotator, for `record`; not negative."""
    otherwise: float = 1.0
    """Weight of an annotator that `weights` does not name, for `record`; not negative."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(RuleKind):
            raise LegendError(f"There is no voting rule {self.kind!r}. Choose one of: {', '.join(get_args(RuleKind))}.")
        for name, weight in (*self.weights.items(), ("any other", self.otherwise)):
            if not (math.isfinite(weight) and weight >= 0):
                raise LegendError(f"The vote of {name!r} has the weight {weight}. Use 0 or more.")

    def strength(self, answer: Answer) -> float:
        """How much an answer counts."""
        if self.kind == "majority":
            return 1.0
        return answer.confidence if self.kind == "confidence" else self.weights.get(answer.annotator, self.otherwise)

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {"kind": self.kind, "weights": dict(self.weights), "otherwise": self.otherwise}

    @classmethod
    def from_json(cls, table: Mapping[str, Any]) -> VotingRule:
        """Back from JSON."""
        weights = {str(name): float(weight) for name, weight in table.get("weights", {}).items()}
        return cls(table.get("kind", "majority"), weights, float(table.get("otherwise", 1.0)))


MAJORITY = VotingRule()
"""Every answer counts the same."""


@dataclass(frozen=True)
class Tally:
    """What one class got."""

    count: int
    """Votes."""
    confidence: float
    """Mean confidence of those who voted for it, 0-1."""
    strength: float = 0.0
    """Sum of what the votes count by the rule; the number of votes for `majority`."""


@dataclass(frozen=True)
class Vote:
    """The outcome of a vote."""

    code: int | None
    """The class that won; None where nobody voted or the tie could not be broken."""
    confidence: float
    """Mean confidence of the winner's voters times the winner's share of the vote, 0-1; 0 where nobody won."""
    decided_by: VoteDecision
    """`vote`: most votes, or most weight; `confidence`: a tie broken by mean confidence; `nobody`: a person has to."""
    tally: Mapping[int, Tally]
    """Every class that got a vote, by code."""
    margin: float
    """Lead of the class with most votes over the next, as a share of the whole vote, 0-1; 0 for a tie."""


def vote(answers: Sequence[Answer], *, rule: VotingRule = MAJORITY) -> Vote:
    """Let the answers about one cluster vote; their order does not matter.

    The class with most votes wins, or with most weight where the rule gives weights. Among classes with equally many,
    the higher mean confidence wins; if that is the same too, nobody does. An answer "unknown" is no vote: it neither
    wins nor dilutes. Nobody wins where all votes together weigh nothing.

    Args:
        answers: Of any number of annotators about one cluster, each of them a vote.
        rule: How much each counts.
    """
    given: dict[int, list[Answer]] = {}
    for answer in answers:
        if answer.code is not None:
            given.setdefault(answer.code, []).append(answer)
    # fsum rounds once, so that means and sums are the same whatever the order of the answers.
    tally = {
        code: Tally(
            count=len(given[code]),
            confidence=math.fsum(answer.confidence for answer in given[code]) / len(given[code]),
            strength=math.fsum(rule.strength(answer) for answer in given[code]),
        )
        for code in sorted(given)
    }
    total = math.fsum(one.strength for one in tally.values())
    if total <= SAME_CONFIDENCE:
        return Vote(None, 0.0, "nobody", tally, 0.0)
    first, second, *_ = [*sorted((one.strength for one in tally.values()), reverse=True), 0.0]
    margin = (first - second) / total
    tied = [code for code, one in tally.items() if first - one.strength <= SAME_CONFIDENCE]
    surest = max(tally[code].confidence for code in tied)
    winners = [code for code in tied if surest - tally[code].confidence <= SAME_CONFIDENCE]
    if len(winners) > 1:
        return Vote(None, 0.0, "nobody", tally, margin)
    code = winners[0]
    confidence = min(tally[code].confidence * tally[code].strength / total, 1.0)
    return Vote(code, confidence, "vote" if len(tied) == 1 else "confidence", tally, margin)


def standing(answers: Iterable[Answer]) -> tuple[Answer, ...]:
    """The answers about one cluster that vote: of each annotator the last.

    An annotator asked again, in another round or with another card or model, has one vote like everybody. A reply that
    could not be used takes nothing back; "unknown" does.

    Args:
        answers: About one cluster, oldest first.
    """
    last: dict[str, Answer] = {}
    for answer in answers:
        if not answer.fault or answer.annotator not in last:
            last[answer.annotator] = answer
    return tuple(last.values())
