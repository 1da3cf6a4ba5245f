"""How long a clustering method takes, about: for progress one can believe, and to be told before the wait.

How the coefficients were measured (November 2026): `cluster` of simulated scenes of 0.26 to 4.2 million pixels, ten
bands and three indices, K = 12, the default sample, on two cores of a cloud server without a GPU; the exponents from a
second K, width or patch each. Other machines are faster or slower, most of all with a GPU, so what is said at first is
replaced by the pace as soon as there is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

_FIT = {
    "kmeans": 1.1,
    "gmm": 2.6,
    "dbscan": 2.3,
    "hdbscan": 1.1,
    "autoencoder": 2.4,
    "deep": 14.5,
    "slic": 0.9,
    "unet": 13.3,
}
"""Seconds to fit, with the settings as they are by default."""
_LABEL = {
    "kmeans": 0.1,
    "gmm": 0.35,
    "dbscan": 0.4,
    "hdbscan": 0.65,
    "autoencoder": 0.28,
    "deep": 2.4,
    "slic": 2.5,
    "unet": 1.2,
}
"""Seconds to label a million pixels."""
_SWEEP = 3.3
"""Seconds to propose a K."""
_OWN_K = ("dbscan", "hdbscan")
"""Methods that are not asked for a K."""
_SAM_TILE, _SAM_PIXELS, _SAM_FITTED = 20.0, 512 * 512, 4
"""Seconds that SAM takes for a block, a guess from its published size; pixels of a block; blocks it is fitted on."""


@dataclass(frozen=True)
class Effort:
    """Expected seconds."""

    sweep: float
    """To propose a K, where one is asked for."""
    fit: float
    """To fit the model."""
    label: float
    """To label every pixel."""

    @property
    def total(self) -> float:
        """All in all, s."""
        return self.sweep + self.fit + self.label


def expected_effort(
    method: str, *, pixels: int, k: int | Literal["auto"] = 12, options: Mapping[str, Any] | None = None
) -> Effort:
    """How long it takes to cluster a scene.

    Args:
        method: One of `METHODS`.
        pixels: Of the scene.
        k: Number of clusters; for methods that find it themselves, not used.
        options: Settings of the method's own; those left out are as by default.
    """
    chosen = dict(options or {})
    many = (12 if k == "auto" else k) / 12
    fit, label = _FIT.get(method, 1.0), _LABEL.get(method, 1.0) * pixels / 1e6
    if method == "kmeans":
        fit, label = fit * many**0.75, label * (1 + many) / 2
    elif method == "gmm":
        fit, label = fit * many**1.5, label * many
    elif method == "autoencoder":
        patch = chosen.get("patch", 1)
        fit, label = fit * patch**0.45, label * patch**0.7
    elif method == "deep":
        width = chosen.get("width", 64) / 64
        fit *= max(width, 1.0) * chosen.get("epochs", 2) / 2 * chosen.get("inner_steps", 50) / 50
        label *= width**1.3
    elif method == "unet":
        width = chosen.get("width", 16) / 16
        fit, label = fit * width**1.75, label * width**1.5
    elif method == "sam":
        tiles, each = max(pixels / _SAM_PIXELS, 1.0), _SAM_TILE * (chosen.get("points", 16) / 16) ** 2
        fit, label = min(tiles, _SAM_FITTED) * each, tiles * each
    return Effort(_SWEEP if k == "auto" and method not in _OWN_K else 0.0, fit, label)
