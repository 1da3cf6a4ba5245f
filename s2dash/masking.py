"""Which pixels count: the scene classification (SCL) of level 2A and the person's choices about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from s2dash.types import BoolArray, NumberArray

SCL_NAMES: dict[int, str] = {
    0: "no data",
    1: "saturated or defective",
    2: "dark or topographic shadow",
    3: "cloud shadow",
    4: "vegetation",
    5: "not vegetated",
    6: "water",
    7: "unclassified",
    8: "cloud, medium probability",
    9: "cloud, high probability",
    10: "thin cirrus",
    11: "snow or ice",
}
"""Classes of the Sen2Cor scene classification."""

ALWAYS_INVALID = frozenset({0, 1, 3, 8, 9, 10})
"""Classes that never show the ground as it is."""


@dataclass(frozen=True)
class MaskRule:
    """Which SCL classes are masked besides those that always are."""

    mask_dark: bool = False
    """Mask class 2 too: removes terrain shadow, but also hurts water and shaded forest."""
    mask_unclassified: bool = False
    """Mask class 7 too."""
    mask_snow: bool = False
    """Mask class 11 too: removes the snow class from the map."""

    @property
    def invalid(self) -> frozenset[int]:
        """SCL classes that count as not valid."""
        toggles = {2: self.mask_dark, 7: self.mask_unclassified, 11: self.mask_snow}
        return ALWAYS_INVALID | {code for code, masked in toggles.items() if masked}

    def valid(self, scl: NumberArray) -> BoolArray:
        """True where the scene classification says that the ground is seen.

        Args:
            scl: Shape (y, x), codes of `SCL_NAMES`; unknown codes count as no data.
        """
        table = np.zeros(256, dtype=bool)
        table[[code for code in SCL_NAMES if code not in self.invalid]] = True
        return np.asarray(table[np.clip(scl, 0, 255).astype(np.uint8)])
