"""The clusters of a run at one moment, with all that was measured and said of them: what an edit replaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from s2dash.annotation.answer import Answer, ClusterCard
from s2dash.annotation.legend import Legend, build_legend
from s2dash.annotation.vote import MAJORITY, VotingRule
from s2dash.clustering.model import ClusterMap
from s2dash.clustering.quality import ClusterQuality
from s2dash.schemes import ClassScheme


@dataclass(frozen=True)
class ClusterState:
    """Clusters with their cards, answers and quality; what people decided of them is kept elsewhere."""

    clusters: ClusterMap
    """The clusters."""
    cards: Mapping[int, ClusterCard]
    """What is known of each."""
    answers: tuple[Answer, ...]
    """What the annotators said of them."""
    quality: ClusterQuality | None = None
    """How good they are; None where it was not measured."""

    def legend(self, scheme: ClassScheme, *, rule: VotingRule = MAJORITY) -> Legend:
        """What the annotators call them, by a voting rule."""
        return build_legend(self.answers, scheme=scheme, clusters=self.cards, rule=rule)

    def to_json(self) -> dict[str, Any]:
        """All but the map, as JSON."""
        return {
            "cards": [asdict(card) for card in self.cards.values()],
            "answers": [answer.model_dump(mode="json") for answer in self.answers],
            "quality": None if self.quality is None else self.quality.to_json(),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any], *, clusters: ClusterMap) -> ClusterState:
        """Back from JSON, for its map.

        Raises:
            KeyError: If something is missing.
            ValueError: If it makes no sense.
        """
        quality, cards = content["quality"], [ClusterCard(**row) for row in content["cards"]]
        return cls(
            clusters,
            {card.cluster: card for card in cards},
            tuple(Answer.model_validate(answer) for answer in content["answers"]),
            None if quality is None else ClusterQuality.from_json(quality),
        )
