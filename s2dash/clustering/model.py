"""What every clustering method has in common: a fitted model, and the map it makes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from odc.geo.geobox import GeoBox

from s2dash.types import BoolArray, FloatArray, LabelArray, NumberArray

MAX_CLUSTERS = 254
"""Cluster numbers are bytes; 0 is no data, and 255 is kept free."""


class FittedModel(ABC):
    """A clustering fitted on a sample of standardised features, ready to label blocks of this scene or another."""

    method: ClassVar[str]
    """Its name on the command line."""
    feature_names: tuple[str, ...]
    """The features it was fitted on, in order."""
    products: ClassVar[tuple[str, ...]] = ()
    """Maps it can make besides the labels, by name: see `product`."""
    threaded: ClassVar[bool] = True
    """Whether blocks are labelled on several threads; False where one block already keeps every core busy."""

    @property
    @abstractmethod
    def n_clusters(self) -> int:
        """Number of clusters; labels are 1 … n_clusters."""

    @property
    def halo(self) -> int:
        """Pixels around a block that its labels depend on."""
        return 0

    @property
    def tile(self) -> int | None:
        """Side of the blocks it must be applied in, pixels; None where the labels do not depend on the blocks."""
        return None

    @property
    def smaller_tiles(self) -> tuple[int, ...]:
        """Sides smaller than `tile` that give the very same map, the largest first; for where memory is short."""
        return ()

    @property
    def noise(self) -> int | None:
        """Number of the cluster of pixels that belong to no dense group; None where every pixel belongs to one."""
        return None

    @property
    def bytes_per_pixel(self) -> int:
        """Memory that labelling takes at its peak, bytes a pixel of a block with its halo, besides the features."""
        return 16

    @property
    def notes(self) -> tuple[str, ...]:
        """What the person should know of this fit, in whole sentences."""
        return ()

    @abstractmethod
    def label(self, values: FloatArray, valid: BoolArray) -> LabelArray:
        """Labels of a block.

        Args:
            values: Standardised features, shape (feature, y, x), float32, finite, 0 where not valid.
            valid: Shape (y, x).

        Returns:
            Shape (y, x), uint8: 1 … n_clusters where valid; anything elsewhere.
        """

    def product(self, name: str, values: FloatArray, valid: BoolArray) -> FloatArray:
        """One of the maps named in `products`, of a block: shape (y, x), float32.

        Args:
            name: One of `products`.
            values: As for `label`.
            valid: As for `label`.
        """
        raise NotImplementedError(f"{self.method} makes no map {name!r}.")

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Settings and quality of the fit, as JSON: at least `method`, `k`, `seed` and `features`."""

    @abstractmethod
    def arrays(self) -> dict[str, NumberArray]:
        """Numbers that, with `describe`, make the model again."""

    @classmethod
    @abstractmethod
    def restore(cls, about: Mapping[str, Any], arrays: Mapping[str, NumberArray]) -> Self:
        """The model that `describe` and `arrays` were taken from.

        Raises:
            KeyError: If something is missing.
            ValueError: If it makes no sense.
        """


class PixelModel(FittedModel):
    """A model that looks at every pixel alone."""

    @abstractmethod
    def predict(self, features: FloatArray) -> LabelArray:
        """Labels 1 … n_clusters of standardised features.

        Args:
            features: Shape (feature, pixel), float32, finite.

        Returns:
            Shape (pixel,), uint8.
        """

    def label(self, values: FloatArray, valid: BoolArray) -> LabelArray:
        """Labels of a block, shape (y, x)."""
        return self.predict(values.reshape(len(values), -1)).reshape(valid.shape)


@dataclass(frozen=True)
class ClusterMap:
    """Pixels grouped by likeness, not yet named."""

    grid: GeoBox
    """The scene's own grid."""
    labels: LabelArray
    """Shape (y, x): 0 = no data, 1 … n_clusters."""
    model: FittedModel | None
    """The fitted model that made it; None for a map read back from disk, or changed since."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Method, K, seed, features: what `run.json` records."""

    @property
    def n_clusters(self) -> int:
        """Highest cluster number in use."""
        return self.model.n_clusters if self.model is not None else int(self.labels.max(initial=0))

    @property
    def notes(self) -> tuple[str, ...]:
        """What the person should know of the fit."""
        return tuple(self.settings.get("notes", ()))

    @property
    def noise(self) -> int | None:
        """Number of the cluster of pixels that density clustering left in no dense group; None: no such method.

        A change of the clusters gives new numbers to what it makes, so that this one never comes to mean another.
        """
        found = self.settings.get("noise_cluster")
        return None if found is None else int(found)

    def counts(self) -> dict[int, int]:
        """Pixels per cluster, for every cluster that has any."""
        counts = np.bincount(self.labels.ravel(), minlength=2)
        return {int(cluster): int(counts[cluster]) for cluster in np.flatnonzero(counts) if cluster != 0}
