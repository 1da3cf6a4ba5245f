"""Who names the clusters of a run best, and shown which cards: every annotator's answers as a map of their own."""

from __future__ import annotations

from dataclasses import dataclass

from s2dash.annotation.answer import Answer
from s2dash.annotation.legend import build_legend
from s2dash.comparison import agreement
from s2dash.pipeline import RunResult


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
    scores = []
    for (who, model, style), said in groups.items():
        legend = build_legend(list(said.values()), scheme=result.legend.scheme, clusters=result.cards)
        found = agreement(legend.apply(result.clusters, year=result.year), result.reference, clusters=result.clusters)
        named = sum(answer.code is not None for answer in said.values())
        scores.append(NamingScore(who, model, style, named, len(said), found.overall, found.miou))
    return tuple(sorted(scores, key=lambda one: (-one.overall, one.annotator, one.model, one.style)))
