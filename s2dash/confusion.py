"""The confusion matrix of two maps, and the scores one reads off it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from s2dash.pair_counts import CountArray
from s2dash.schemes import UNDECIDED


@dataclass(frozen=True)
class Scores:
    """The four figures by which two maps are compared; None where a figure is not defined."""

    overall: float
    """Share of the compared pixels on which both maps name the same class, 0-1."""
    kappa: float | None
    """Cohen's kappa; None where both maps hold one and the same class only."""
    macro_f1: float | None
    """Mean F1 over the classes that occur in either map; None where no class occurs."""
    miou: float | None
    """Mean intersection over union over the same classes."""

    def to_json(self) -> dict[str, float | None]:
        """The figures by name."""
        return {"overall": self.overall, "kappa": self.kappa, "macro_f1": self.macro_f1, "miou": self.miou}


@dataclass(frozen=True)
class Confusion:
    """Pixels by reference class (rows) and map class (columns), over the pixels where both have data.

    Undecided map pixels stand in a column of their own. They are no class: they lower the overall agreement, kappa and
    the producer's side of every score, but no mean is taken over them.
    """

    codes: tuple[int, ...]
    """Class codes that occur in either map, in the order of the scheme."""
    matrix: tuple[tuple[int, ...], ...]
    """Pixels, `matrix[i][j]`: reference class `codes[i]`, map class `codes[j]`."""
    undecided: tuple[int, ...]
    """Pixels of each reference class that the map leaves undecided."""

    @classmethod
    def from_histogram(cls, histogram: CountArray, *, order: Sequence[int]) -> Confusion:
        """Cut the classes that occur out of a joint histogram.

        Args:
            histogram: Shape (256, 256), pixels by reference code and map code, as `joint_histogram` counts them.
            order: All class codes that may occur.
        """
        compared = histogram[1:, 1:]
        reference, mapped = compared.sum(axis=1), compared.sum(axis=0)
        codes = tuple(code for code in order if reference[code - 1] or mapped[code - 1])
        index = np.array(codes, dtype=np.intp)
        return cls(
            codes=codes,
            matrix=tuple(tuple(int(count) for count in row) for row in histogram[np.ix_(index, index)]),
            undecided=tuple(int(count) for count in histogram[index, UNDECIDED]),
        )

    @cached_property
    def support(self) -> tuple[int, ...]:
        """Reference pixels of each class."""
        return tuple(sum(row) + left for row, left in zip(self.matrix, self.undecided, strict=True))

    @cached_property
    def mapped(self) -> tuple[int, ...]:
        """Map pixels of each class."""
        return tuple(sum(row[column] for row in self.matrix) for column in range(len(self.codes)))

    @cached_property
    def agreeing(self) -> tuple[int, ...]:
        """Pixels of each class on which both maps agree."""
        return tuple(self.matrix[index][index] for index in range(len(self.codes)))

    @property
    def n(self) -> int:
        """Pixels compared."""
        return sum(self.support)

    @property
    def producers(self) -> tuple[float | None, ...]:
        """Producer's accuracy in the field's terms: share of the reference's pixels of a class that the map finds."""
        return tuple(_ratio(hits, total) for hits, total in zip(self.agreeing, self.support, strict=True))

    @property
    def users(self) -> tuple[float | None, ...]:
        """User's accuracy in the field's terms: share of the map's pixels of a class that the reference confirms."""
        return tuple(_ratio(hits, total) for hits, total in zip(self.agreeing, self.mapped, strict=True))

    @property
    def f1(self) -> tuple[float, ...]:
        """F1 of each class: harmonic mean of the two shares, `2 a / (support + mapped)`."""
        return tuple(
            2 * hits / (support + mapped)
            for hits, support, mapped in zip(self.agreeing, self.support, self.mapped, strict=True)
        )

    @property
    def iou(self) -> tuple[float, ...]:
        """Intersection over union of each class, `a / (support + mapped - a)`."""
        return tuple(
            hits / (support + mapped - hits)
            for hits, support, mapped in zip(self.agreeing, self.support, self.mapped, strict=True)
        )

    @property
    def scores(self) -> Scores:
        """The four figures.

        Kappa is Cohen's (1960), with "undecided" as a category that the reference never uses. The means run over the
        classes that occur in the reference or in the map, as scikit-learn's do when no labels are given.
        """
        n, agreeing = self.n, sum(self.agreeing)
        # Products of pixel counts: Python integers cannot overflow.
        chance = sum(support * mapped for support, mapped in zip(self.support, self.mapped, strict=True))
        return Scores(
            overall=agreeing / n if n else 0.0,
            kappa=_ratio(agreeing * n - chance, n * n - chance),
            macro_f1=_mean(self.f1),
            miou=_mean(self.iou),
        )


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
