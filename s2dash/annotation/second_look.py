"""A second look: which clusters to ask about again and how, what the annotators are told of the first round, its gain.

Pure decisions; splitting, asking and paying are done by those who call this.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from s2dash.annotation.answer import Answer
from s2dash.annotation.legend import Legend, LegendEntry
from s2dash.annotation.provider import Usage
from s2dash.schemes import ClassScheme

Reason = Literal["disputed", "unknown", "mixed"]
Action = Literal["split", "closer"]

LEAST_SPLIT = 400
"""Pixels a cluster needs to be split: each of two parts can still be looked at (4 ha of 10 m pixels together)."""
CLEAR_LEAD = 0.5
"""Lead of the winner, as a share of the vote, from which a cluster is not disputed: three of four votes."""
LONGEST_PIECE = 55
"""Characters of one piece of evidence that are passed on."""
MOST_PIECES = 3
"""Pieces of evidence of one answer that are passed on."""

_NOT_PLAIN = re.compile(r"[^\w\s.,;:%()+/<>=°²-]|_|[<>](?!=?\s?\d)")
"""Marks that shape a text or quote it; < and > may stand before a number only."""
_TALK = re.compile(
    r"https?:|\b(?:ignore|disregard|forget|instructions?|system|prompt|assistant|answer|respond|reply|output|json|must"
    r"|you|your|ігноруй\w*|забудь\w*|інструкці\w*|відповід\w*|ти|ви)\b",
    re.IGNORECASE,
)
"""Words of somebody who speaks to a reader and does not describe the ground."""


@dataclass(frozen=True)
class Doubt:
    """A cluster to ask about again."""

    cluster: int
    """Cluster number."""
    reason: Reason
    """`mixed`: most of the vote calls it mixed; `unknown`: nobody named it; `disputed`: the votes do not settle it."""
    action: Action
    """`split` it and ask about the parts, or ask again with `closer` pictures and the arguments so far."""


@dataclass(frozen=True)
class RoundReport:
    """What a feedback round did, what it cost and what it brought."""

    number: int
    """2 for the first round after the first answers."""
    asked: tuple[int, ...]
    """Clusters that were asked about, parts of split ones by their new numbers."""
    splits: Mapping[int, tuple[int, ...]]
    """Cluster that was split → its parts."""
    calls: int
    """Calls that were made; answers found in the store are none."""
    usage: Usage
    """Tokens and price of these calls."""
    decided_before: int
    """Clusters with a class before the round."""
    clusters_before: int
    """Clusters before the round."""
    decided_after: int
    """Clusters with a class after it."""
    clusters_after: int
    """Clusters after it."""
    changed: Mapping[int, tuple[int | None, int | None]] = field(default_factory=dict)
    """Clusters of both whose class changed: class before and after, None for undecided."""
    agreement_before: float | None = None
    """Overall agreement with a reference before, 0-1, where one is known."""
    agreement_after: float | None = None
    """Overall agreement after."""
    remarks: tuple[str, ...] = ()
    """Who could not answer, and whether a budget ended the round."""

    @property
    def gain(self) -> float | None:
        """Overall agreement gained, -1 to 1; None without a reference."""
        if self.agreement_before is None or self.agreement_after is None:
            return None
        return self.agreement_after - self.agreement_before

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "number": self.number,
            "asked": list(self.asked),
            "splits": {str(cluster): list(parts) for cluster, parts in self.splits.items()},
            "calls": self.calls,
            "usage": self.usage.model_dump(mode="json"),
            "decided": [self.decided_before, self.decided_after],
            "clusters": [self.clusters_before, self.clusters_after],
            "changed": {str(cluster): list(codes) for cluster, codes in self.changed.items()},
            "agreement": [self.agreement_before, self.agreement_after],
            "remarks": list(self.remarks),
        }

    @classmethod
    def from_json(cls, table: Mapping[str, Any]) -> RoundReport:
        """Back from JSON."""
        return cls(
            number=table["number"],
            asked=tuple(table["asked"]),
            splits={int(cluster): tuple(parts) for cluster, parts in table["splits"].items()},
            calls=table["calls"],
            usage=Usage.model_validate(table["usage"]),
            decided_before=table["decided"][0],
            clusters_before=table["clusters"][0],
            decided_after=table["decided"][1],
            clusters_after=table["clusters"][1],
            changed={int(cluster): (codes[0], codes[1]) for cluster, codes in table["changed"].items()},
            agreement_before=table["agreement"][0],
            agreement_after=table["agreement"][1],
            remarks=tuple(table.get("remarks", ())),
        )


def second_look(
    legend: Legend,
    *,
    most: int = 8,
    pixels: Mapping[int, int] | None = None,
    least_split: int = LEAST_SPLIT,
    rounds: int = 2,
) -> tuple[Doubt, ...]:
    """Choose the clusters to ask about again, the most doubtful first.

    What a person set to a class is not asked about.

    Args:
        legend: How things stand.
        most: Most clusters, 0 or more.
        pixels: Size of each cluster, pixels; without it none is split.
        least_split: Pixels a cluster needs to be split.
        rounds: Times a cluster may be asked about; then it is left to people.
    """
    found = []
    for cluster in legend.disputed:
        entry = legend.entries[cluster]
        reason = _reason(entry, legend)
        if reason is None or max((answer.round for answer in entry.answers), default=0) >= rounds:
            continue
        large = pixels is not None and pixels.get(cluster, 0) >= least_split
        found.append(Doubt(cluster, reason, "split" if reason == "mixed" and large else "closer"))
    return tuple(found[:most])


def arguments(legend: Legend, cluster: int) -> tuple[str, ...]:
    """What was said of a cluster so far, a sentence for every answer that stands, for the next round.

    Nobody is named, and the order tells nothing: the sentences are sorted. What annotators wrote themselves is quoted,
    cut, and rid of all but plain words; pieces that speak to a reader instead of describing the ground are left out.
    """
    entry = legend.entries[cluster]
    return tuple(sorted(_sentence(answer, legend.scheme) for answer in entry.voters if not answer.fault))


def round_report(
    before: Legend,
    after: Legend,
    *,
    number: int,
    asked: Collection[int],
    splits: Mapping[int, Collection[int]],
    calls: int,
    usage: Usage,
    agreement: tuple[float | None, float | None] = (None, None),
    remarks: Collection[str] = (),
) -> RoundReport:
    """What a round did, from the legends before and after it.

    Args:
        before: The legend it began with.
        after: The legend it led to.
        number: Which round it was, 2 or more.
        asked: Clusters that were asked about.
        splits: Cluster that was split → its parts.
        calls: Calls that were made.
        usage: What they cost.
        agreement: Overall agreement with a reference before and after, 0-1, where one is known.
        remarks: What a person should know of the asking.
    """
    codes = [{cluster: entry.code for cluster, entry in legend.entries.items()} for legend in (before, after)]
    changed = {
        cluster: (code, codes[1][cluster])
        for cluster, code in codes[0].items()
        if cluster in codes[1] and codes[1][cluster] != code
    }
    return RoundReport(
        number=number,
        asked=tuple(sorted(asked)),
        splits={cluster: tuple(sorted(parts)) for cluster, parts in sorted(splits.items())},
        calls=calls,
        usage=usage,
        decided_before=sum(code is not None for code in codes[0].values()),
        clusters_before=len(codes[0]),
        decided_after=sum(code is not None for code in codes[1].values()),
        clusters_after=len(codes[1]),
        changed=changed,
        agreement_before=agreement[0],
        agreement_after=agreement[1],
        remarks=tuple(remarks),
    )


def _reason(entry: LegendEntry, legend: Legend) -> Reason | None:
    if _mostly_mixed(entry, legend):
        return "mixed"
    if not entry.vote.tally or (entry.override is not None and entry.code is None):
        return "unknown"
    return "disputed" if entry.code is None or entry.vote.margin < CLEAR_LEAD else None


def _mostly_mixed(entry: LegendEntry, legend: Legend) -> bool:
    """Whether those who call the cluster mixed weigh more than half of all; heads, where all weigh nothing."""
    usable = [answer for answer in entry.voters if not answer.fault]
    weights = [legend.rule.strength(answer) for answer in usable]
    if sum(weights) <= 0.0:
        weights = [1.0] * len(usable)
    mixed = sum(weight for weight, answer in zip(weights, usable, strict=True) if answer.mixed)
    return mixed > 0.5 * sum(weights)


def _sentence(answer: Answer, scheme: ClassScheme) -> str:
    if answer.code is None:
        said = "One annotator could not tell what it is"
    else:
        second = f", or else “{scheme[answer.second].name}”" if answer.second is not None else ""
        said = f"One annotator said “{scheme[answer.code].name}”{second}"
    if answer.mixed:
        said += ", and that it is mixed"
    pieces = [piece for piece in map(_plain, answer.evidence) if piece][:MOST_PIECES]
    because = f", because {', '.join(f'“{piece}”' for piece in pieces)}" if pieces else ""
    return f"{said}{because}."


def _plain(text: str) -> str:
    """A piece of evidence as plain words on one line; empty where it is no description."""
    text = _NOT_PLAIN.sub(" ", unicodedata.normalize("NFKC", text[: 10 * LONGEST_PIECE]))
    text = " ".join(text.split()).strip(" .,;:-")
    if _TALK.search(text) or not any(char.isalpha() for char in text):
        return ""
    if len(text) <= LONGEST_PIECE:
        return text
    return text[:LONGEST_PIECE].rsplit(" ", 1)[0].rstrip(" .,;:-") + " …"
