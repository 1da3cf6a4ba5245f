"""What every clustering method has in common: a fitted model, and the map it makes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from odc.geo.geobox import GeoBox

from s2dash.types import FloatArray, LabelArray

MAX_CLUSTERS = 254
"""Cluster numbers are bytes; 0 is no data, and 255 is kept free."""


class FittedModel(Protocol):
    """A clustering fitted on a sample of standardised features, ready to label blocks."""

    @property
    def method(self) -> str:
        """Its name on the command line."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features it was fitted on, in order."""

    @property
    def n_clusters(self) -> int:
        """Number of clusters; labels are 1 … n_clusters."""

    def predict(self, features: FloatArray) -> LabelArray:
        """Labels 1 … n_clusters of standardised features.

        Args:
            features: Shape (feature, pixel), float32, finite.

        Returns:
            Shape (pixel,), uint8.
        """

    def describe(self) -> dict[str, Any]:
        """Settings and quality of the fit, as JSON."""


@dataclass(frozen=True)
class ClusterMap:
    """Pixels grouped by likeness, not yet named."""

    grid: GeoBox
    """The scene's own grid."""
    labels: LabelArray
    """Shape (y, x): 0 = no data, 1 … n_clusters."""
    model: FittedModel | None
    """The fitted model that made it; None for a map read back from disk."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Method, K, seed, features: what `run.json` records."""

    @property
    def n_clusters(self) -> int:
        """Highest cluster number in use."""
        return self.model.n_clusters if self.model is not None else int(self.labels.max(initial=0))

    def counts(self) -> dict[int, int]:
        """Pixels per cluster, for every cluster that has any."""
        counts = np.bincount(self.labels.ravel(), minlength=2)
        return {int(cluster): int(counts[cluster]) for cluster in np.flatnonzero(counts) if cluster != 0}
