"""What the same clusters would reach if every one of them had its best name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from s2dash.confusion import Confusion, Scores
from s2dash.pair_counts import CountArray
from s2dash.schemes import NO_DATA, UNDECIDED


@dataclass(frozen=True)
class Ceiling:
    """The scores under the naming that maximises overall agreement: each cluster takes its majority reference class.

    What lies between this and 1 is the cost of the clustering, what lies between the map's own score and this the cost
    of the naming. The naming maximises *overall* agreement; kappa, macro-F1 and mIoU are those of that same naming, and
    another naming may score higher on them.
    """

    scores: Scores
    """The four figures."""
    naming: Mapping[int, int]
    """Best class code per cluster, for clusters with compared pixels; of equals, the lowest code."""
    purity: Mapping[int, float]
    """Share of the compared pixels of a cluster that are of its best class, 0-1."""

    @property
    def overall(self) -> float:
        """Overall agreement."""
        return self.scores.overall

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa."""
        return self.scores.kappa

    @property
    def macro_f1(self) -> float | None:
        """Mean F1."""
        return self.scores.macro_f1

    @property
    def miou(self) -> float | None:
        """Mean intersection over union."""
        return self.scores.miou

    def to_json(self) -> dict[str, Any]:
        """The four figures, `naming` and `purity` (cluster numbers as text, as JSON has it)."""
        return {
            **self.scores.to_json(),
            "naming": {str(cluster): code for cluster, code in self.naming.items()},
            "purity": {str(cluster): share for cluster, share in self.purity.items()},
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Ceiling:
        """What `to_json` wrote."""
        return cls(
            scores=Scores(*(content[name] for name in ("overall", "kappa", "macro_f1", "miou"))),
            naming={int(cluster): int(code) for cluster, code in content["naming"].items()},
            purity={int(cluster): float(share) for cluster, share in content["purity"].items()},
        )


def ceiling(contingency: CountArray, *, order: Sequence[int]) -> Ceiling:
    """Name every cluster after its majority reference class, and score that.

    Args:
        contingency: Shape (256, 256), compared pixels by cluster and reference code; column 0 is ignored. Pixels in no
            cluster (row 0) have no name and count as undecided.
        order: All class codes that may occur.
    """
    counts = contingency.copy()
    counts[:, NO_DATA] = 0
    totals, best = counts.sum(axis=1), counts.argmax(axis=1)
    clusters = [int(cluster) for cluster in np.flatnonzero(totals) if cluster != 0]
    histogram = np.zeros_like(counts)
    histogram[:, UNDECIDED] += counts[0]
    for cluster in clusters:
        histogram[:, best[cluster]] += counts[cluster]
    return Ceiling(
        scores=Confusion.from_histogram(histogram, order=order).scores,
        naming={cluster: int(best[cluster]) for cluster in clusters},
        purity={cluster: float(counts[cluster, best[cluster]] / totals[cluster]) for cluster in clusters},
    )
