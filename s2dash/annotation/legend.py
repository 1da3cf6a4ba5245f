"""Which cluster is which class: the answers, the vote over them, and all that people changed and why.

A legend is a pure function of its answers and of an append-only list of events. Nothing is ever edited: an override, an
undo and a redo are events of their own, so that the same events in the same order give the same legend everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from s2dash.annotation.answer import Answer
from s2dash.annotation.legend_event import EventKind
from s2dash.annotation.legend_event import LegendEvent as LegendEvent
from s2dash.annotation.vote import MAJORITY, Vote, VotingRule, standing, vote
from s2dash.clustering.model import MAX_CLUSTERS, ClusterMap
from s2dash.errors import LegendError
from s2dash.landcover import LandCoverMap
from s2dash.schemes import NO_DATA, UNDECIDED, ClassScheme, scheme_with_edits

DecidedBy = Literal["vote", "confidence", "person", "nobody"]

JSON_VERSION = 1
"""Layout of `Legend.to_json`."""


@dataclass(frozen=True)
class LegendEntry:
    """One cluster of a legend."""

    cluster: int
    """Cluster number."""
    answers: tuple[Answer, ...]
    """What the annotators said, oldest first; of each the last votes."""
    vote: Vote
    """What they decided together."""
    code: int | None
    """The class in force; None is undecided."""
    confidence: float
    """0-1; 1 where a person set a class, 0 where there is none."""
    decided_by: DecidedBy
    """Who decided; `person` also where one set it to unknown."""
    override: LegendEvent | None = None
    """The override in force, if any."""

    @property
    def voters(self) -> tuple[Answer, ...]:
        """The answers that voted: of each annotator the last that can be used."""
        return standing(self.answers)

    @property
    def mixed(self) -> float:
        """Share of the voters that call the cluster mixed, 0-1."""
        voters = self.voters
        return sum(answer.mixed for answer in voters) / len(voters) if voters else 0.0


@dataclass(frozen=True)
class Legend:
    """Cluster → class, with how it came about."""

    scheme: ClassScheme
    """The classes to choose from."""
    clusters: tuple[int, ...]
    """Cluster numbers, ascending."""
    answers: tuple[Answer, ...]
    """All answers."""
    events: tuple[LegendEvent, ...] = ()
    """What people did, oldest first; the order is the order in which it was recorded, not that of their clocks."""
    rule: VotingRule = MAJORITY
    """How much each answer counts."""

    def __post_init__(self) -> None:
        for event in self.events:
            if event.kind not in get_args(EventKind):
                raise LegendError(f"A legend has no event {event.kind!r}, only {', '.join(get_args(EventKind))}.")
            self._check_cluster(event.cluster)
            if event.kind == "override" and event.after is not None and not self.scheme.knows(event.after):
                raise self._no_class(event.after)

    @cached_property
    def entries(self) -> Mapping[int, LegendEntry]:
        """Every cluster's entry, by cluster number."""
        in_force = {event.cluster: event for event in self._replayed[0]}
        said: dict[int, list[Answer]] = {cluster: [] for cluster in self.clusters}
        for answer in self.answers:
            said[answer.cluster].append(answer)
        return {cluster: _entry(cluster, said[cluster], in_force.get(cluster), self.rule) for cluster in self.clusters}

    @property
    def queue(self) -> tuple[int, ...]:
        """Clusters that a person must decide: tied, without any vote, or set to unknown."""
        return tuple(cluster for cluster, entry in self.entries.items() if entry.code is None)

    @property
    def disputed(self) -> tuple[int, ...]:
        """Clusters that a person should look at, the most doubtful first.

        Those without a class, then those on whose class the annotators differ or that one of them calls mixed: the
        smaller the lead of the winner, the more say mixed, the less sure they are, the earlier. What a person set to a
        class, and what all agree on, is not among them.
        """
        doubtful = [
            entry
            for entry in self.entries.values()
            if entry.code is None or (entry.override is None and (entry.vote.margin < 1.0 or entry.mixed > 0.0))
        ]
        doubtful.sort(
            key=lambda entry: (entry.code is not None, entry.vote.margin, -entry.mixed, entry.confidence, entry.cluster)
        )
        return tuple(entry.cluster for entry in doubtful)

    @property
    def history(self) -> tuple[LegendEvent, ...]:
        """What people did, newest first."""
        return self.events[::-1]

    @property
    def notes(self) -> tuple[LegendEvent, ...]:
        """What people remarked on clusters, oldest first."""
        return tuple(event for event in self.events if event.kind == "note")

    @property
    def can_undo(self) -> bool:
        """Whether an override is in force."""
        return self.next_undo is not None

    @property
    def next_undo(self) -> LegendEvent | None:
        """The override that an undo would take back."""
        return self._replayed[0][-1] if self._replayed[0] else None

    @property
    def can_redo(self) -> bool:
        """Whether an undone override can come back: none was made since."""
        return bool(self._replayed[1])

    def override(
        self, cluster: int, code: int | None, *, who: str, why: str = "", when: datetime | None = None
    ) -> Legend:
        """Set a cluster's class.

        Args:
            cluster: Which cluster.
            code: A code of the scheme, or None for "unknown". The class that the vote gave is fine too: an acceptance.
            who: The person.
            why: The reason.
            when: With time zone; now if not given.

        Raises:
            LegendError: If there is no such cluster, or the scheme has no such code.
        """
        self._check(cluster, code)
        before = self.entries[cluster].code
        return self._after(LegendEvent("override", cluster, before, code, who, when or datetime.now(UTC), why))

    def note(self, cluster: int, text: str, *, who: str, when: datetime | None = None) -> Legend:
        """Leave a note on a cluster; its class stays what it is, and neither undo nor redo touches it.

        Raises:
            LegendError: If there is no such cluster, or the note says nothing.
        """
        self._check(cluster, None)
        if not text.strip():
            raise LegendError(f"The note on cluster {cluster} is empty. Write what others should know of it.")
        code = self.entries[cluster].code
        return self._after(LegendEvent("note", cluster, code, code, who, when or datetime.now(UTC), text.strip()))

    def undo(self, *, who: str, when: datetime | None = None) -> Legend:
        """Take back the latest override in force, whoever made it.

        Raises:
            LegendError: If there is nothing to undo.
        """
        if not self.can_undo:
            raise LegendError("There is nothing to undo: no override is in force.")
        return self._step("undo", self._replayed[0][-1].cluster, who, when)

    def redo(self, *, who: str, when: datetime | None = None) -> Legend:
        """Bring back the override that was undone last.

        Raises:
            LegendError: If there is nothing to redo.
        """
        if not self.can_redo:
            raise LegendError("There is nothing to redo: no override was undone since the last one was made.")
        return self._step("redo", self._replayed[1][-1].cluster, who, when)

    def with_events(self, events: Iterable[LegendEvent]) -> Legend:
        """The same answers with these events instead.

        An undo or redo that finds nothing to do is kept and does nothing: two people may have undone the same override.

        Raises:
            LegendError: If an event names a cluster or a class there is not.
        """
        return replace(self, events=tuple(events))

    def with_history(self, events: Iterable[LegendEvent]) -> Legend:
        """The same answers with those of these events that are about its clusters.

        Clusters come and go when people merge and split them, but a number is never used again: what was decided about
        one that is not there now is left out, and in force again as soon as the number is back.
        """
        return self.with_events(event for event in events if event.cluster in self.clusters)

    def apply(self, clusters: ClusterMap, *, year: int | None = None) -> LandCoverMap:
        """Name every pixel.

        Args:
            clusters: The map the legend is for.
            year: Year of the image.

        Returns:
            Class codes; `UNDECIDED` with confidence 0 for clusters that nobody named, or that are not in the legend.
        """
        codes = np.full(256, UNDECIDED, dtype=np.uint8)
        percent = np.zeros(256, dtype=np.uint8)
        codes[0] = NO_DATA
        for cluster, entry in self.entries.items():
            if entry.code is not None:
                codes[cluster] = entry.code
                percent[cluster] = round(100 * entry.confidence)
        return LandCoverMap(
            grid=clusters.grid,
            codes=codes[clusters.labels],
            confidence=percent[clusters.labels],
            scheme=self.scheme,
            year=year,
        )

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON; `entries` and `queue` are for readers and follow from the rest."""
        return {
            "version": JSON_VERSION,
            "scheme": self.scheme.name,
            **self.scheme.edits_json(),
            "clusters": list(self.clusters),
            "rule": self.rule.to_json(),
            "queue": list(self.queue),
            "entries": [self._entry_json(entry) for entry in self.entries.values()],
            "answers": [answer.model_dump(mode="json") for answer in self.answers],
            "events": [event.to_json() for event in self.events],
        }

    @classmethod
    def from_json(cls, table: Mapping[str, Any], *, scheme: ClassScheme | None = None) -> Legend:
        """Back from JSON.

        Args:
            table: What `to_json` gave.
            scheme: The class scheme, where it is not one that comes with the package.

        Raises:
            LegendError: If it is no legend, or one of a later version.
            SchemeError: If the scheme is unknown.
        """
        if table.get("version") != JSON_VERSION:
            raise LegendError(f"A legend of version {JSON_VERSION} was expected, not {table.get('version')!r}.")
        try:
            return cls(
                scheme=scheme or scheme_with_edits(table["scheme"], table),
                clusters=tuple(table["clusters"]),
                answers=tuple(Answer.model_validate(answer) for answer in table["answers"]),
                events=tuple(LegendEvent.from_json(event) for event in table["events"]),
                rule=VotingRule.from_json(table.get("rule", {})),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise LegendError(f"This is no legend that can be read: {error}.") from error

    @cached_property
    def _replayed(self) -> tuple[tuple[LegendEvent, ...], tuple[LegendEvent, ...]]:
        """Overrides in force, oldest first, and those undone, the one to come back next at the end.

        An undo takes back the latest override of its own cluster: that is the latest of all where it was recorded, but
        need not be among the clusters of another state of the same run.
        """
        done: list[LegendEvent] = []
        undone: list[LegendEvent] = []
        for event in self.events:
            if event.kind == "override":
                done.append(event)
                undone.clear()
            elif event.kind == "undo":
                _move_last(event.cluster, done, undone)
            elif event.kind == "redo":
                _move_last(event.cluster, undone, done)
        return tuple(done), tuple(undone)

    def _step(self, kind: EventKind, cluster: int, who: str, when: datetime | None) -> Legend:
        event = LegendEvent(kind, cluster, self.entries[cluster].code, None, who, when or datetime.now(UTC))
        reached = self._after(event).entries[cluster].code
        return self._after(replace(event, after=reached))

    def _after(self, event: LegendEvent) -> Legend:
        return replace(self, events=(*self.events, event))

    def _check(self, cluster: int, code: int | None) -> None:
        self._check_cluster(cluster)
        if code is not None and code not in self.scheme:
            raise self._no_class(code)

    def _check_cluster(self, cluster: int) -> None:
        if cluster not in self.clusters:
            raise LegendError(f"There is no cluster {cluster}. The legend has the clusters {_listed(self.clusters)}.")

    def _no_class(self, code: int) -> LegendError:
        choices = ", ".join(f"{cls.code} {cls.name}" for cls in self.scheme.classes)
        return LegendError(f"The scheme {self.scheme.name!r} has no class {code}. Choose one of: {choices}.")

    def _entry_json(self, entry: LegendEntry) -> dict[str, Any]:
        return {
            "cluster": entry.cluster,
            "code": entry.code,
            "name": None if entry.code is None else self.scheme[entry.code].name,
            "confidence": entry.confidence,
            "decided_by": entry.decided_by,
            "margin": entry.vote.margin,
            "tally": {
                str(code): {"count": one.count, "confidence": one.confidence, "strength": one.strength}
                for code, one in entry.vote.tally.items()
            },
        }


def build_legend(
    answers: Sequence[Answer],
    *,
    scheme: ClassScheme,
    clusters: ClusterMap | Iterable[int],
    rule: VotingRule = MAJORITY,
) -> Legend:
    """A legend without any human decision yet.

    Args:
        answers: Of all annotators about all clusters, oldest first; of several by one annotator about one cluster the
            last votes.
        scheme: The classes the answers are in.
        clusters: The map, or the cluster numbers: each gets an entry, and those without an answer wait in the queue.
        rule: How much each answer counts.

    Raises:
        LegendError: If an answer is about a cluster that there is not, or in a class that the scheme does not have.
    """
    numbers = clusters.counts().keys() if isinstance(clusters, ClusterMap) else clusters
    present = tuple(sorted({int(number) for number in numbers}))
    if present and not 1 <= present[0] <= present[-1] <= MAX_CLUSTERS:
        raise LegendError(f"Cluster numbers are 1 to {MAX_CLUSTERS}, but there are {_listed(present)}.")
    for answer in answers:
        if answer.cluster not in present:
            raise LegendError(
                f"{answer.annotator!r} answered about cluster {answer.cluster}, but there are only {_listed(present)}."
            )
        for code in (answer.code, answer.second):
            if code is not None and not scheme.knows(code):
                raise LegendError(
                    f"{answer.annotator!r} answered {code} for cluster {answer.cluster}, which the scheme "
                    f"{scheme.name!r} does not have. Normalise answers to the scheme first."
                )
    return Legend(scheme=scheme, clusters=present, answers=tuple(answers), rule=rule)


def _entry(cluster: int, answers: list[Answer], override: LegendEvent | None, rule: VotingRule) -> LegendEntry:
    voted = vote(standing(answers), rule=rule)
    if override is None:
        return LegendEntry(cluster, tuple(answers), voted, voted.code, voted.confidence, voted.decided_by)
    sure = 0.0 if override.after is None else 1.0
    return LegendEntry(cluster, tuple(answers), voted, override.after, sure, "person", override)


def _move_last(cluster: int, source: list[LegendEvent], target: list[LegendEvent]) -> None:
    """Move the last event of a cluster from one list to the end of another; nothing where there is none."""
    for place in range(len(source) - 1, -1, -1):
        if source[place].cluster == cluster:
            target.append(source.pop(place))
            return


def _listed(clusters: Sequence[int]) -> str:
    """Cluster numbers as a person would write them: `1-12`, or `1, 3, 4`."""
    if not clusters:
        return "none"
    if len(clusters) > 2 and clusters[-1] - clusters[0] == len(clusters) - 1:
        return f"{clusters[0]}-{clusters[-1]}"
    return ", ".join(map(str, clusters))
