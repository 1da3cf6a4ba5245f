"""What an annotator is asked about a cluster, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from json import dumps
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from s2dash.annotation.exhibit import Exhibit
from s2dash.annotation.provider import Usage
from s2dash.schemes import ClassScheme


@dataclass(frozen=True)
class ClusterCard:
    """What is known of one cluster: the evidence every annotator judges from."""

    cluster: int
    """Cluster number, 1 … K."""
    pixels: int
    """Its size."""
    area_ha: float
    """Its area, hectares."""
    share: float
    """Share of the valid pixels of the scene, 0-1."""
    median: Mapping[str, float]
    """Median reflectance per band."""
    spread: Mapping[str, float]
    """Interquartile range of reflectance per band."""
    indices: Mapping[str, float]
    """Median of each spectral index, by its standard name."""
    mean: Mapping[str, float] = field(default_factory=dict)
    """Mean reflectance per band, for the person; no annotator sees it. Empty in runs made before it was kept."""

    @property
    def fingerprint(self) -> str:
        """A hash of all that annotators are shown, so that an answer is never asked for twice."""
        tables = (self.median, self.spread, self.indices)
        rounded = [{name: round(float(value), 6) for name, value in table.items()} for table in tables]
        shown = [self.cluster, self.pixels, *rounded]
        return sha256(dumps(shown, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Question:
    """One cluster, one scheme: what is it?"""

    card: ClusterCard
    """The evidence."""
    scheme: ClassScheme
    """The closed list to choose from."""
    exhibit: Exhibit | None = None
    """Pictures and words, for annotators that look; None for those that judge by the card's figures alone."""
    seed: int = 0
    """Of the order in which the classes are listed."""
    earlier: tuple[str, ...] = ()
    """What was said of the cluster in earlier rounds, a sentence each; empty in the first."""
    round: int = 1
    """Which time the cluster is asked about."""

    @property
    def fingerprint(self) -> str:
        """Hash of the evidence: of what is shown where something is, else of the figures."""
        return self.card.fingerprint if self.exhibit is None else self.exhibit.fingerprint


class Answer(BaseModel):
    """What one annotator says of one cluster, normalised to the scheme."""

    model_config = ConfigDict(frozen=True)

    annotator: str
    """Who answered: `rules`, `claude`, …"""
    cluster: int
    """Which cluster."""
    code: int | None
    """Class code of the scheme; None is "unknown" and counts as no vote."""
    second: int | None = None
    """Second choice."""
    term: str = ""
    """The annotator's own word, as data: escape wherever shown."""
    confidence: float = Field(default=0.0, ge=0.0, le=1.0)
    """How sure it is, 0-1."""
    evidence: tuple[str, ...] = ()
    """Up to three short reasons."""
    mixed: bool = False
    """Whether the cluster seems to mix several classes."""
    raw: str = ""
    """The reply as it came."""
    card: str = ""
    """Hash of the card that was shown."""
    prompt: str = ""
    """Hash of the question's text."""
    model: str = ""
    """Model identifier with version."""
    listed: tuple[int, ...] = ()
    """Class codes in the order the question listed them; empty where there was no list."""
    style: str = ""
    """Card style that was shown, with version; empty for annotators that do not look."""
    round: int = Field(default=1, ge=1)
    """Which time the cluster was asked about."""
    asks: int = Field(default=1, ge=1)
    """Calls until this answer: 2 where the first reply was not in the form and a fault was named."""
    compliant: bool = True
    """Whether the first reply was in the form asked for."""
    fault: str = ""
    """Why this counts as no vote, where the reply could not be used; empty for a usable reply, also for "unknown"."""
    recorded: bool = False
    """Whether it was recorded earlier and is replayed, not asked live."""
    usage: Usage = Field(default_factory=Usage)
    """What it cost, all its calls together."""
    answered: datetime = Field(default_factory=lambda: datetime.now(UTC))
    """When."""


class Annotator(Protocol):
    """Names clusters; the offline rules and the vision-language models alike."""

    @property
    def name(self) -> str:
        """How it is chosen and shown."""

    @property
    def model(self) -> str:
        """Model identifier with version; part of the key under which answers are kept."""

    def prompt_fingerprint(self, question: Question) -> str:
        """Hash of all it would be told besides the card."""

    def answer(self, question: Question) -> Answer:
        """Name one cluster.

        Raises:
            AnnotationError: If it cannot answer; the other annotators' votes stand.
        """
