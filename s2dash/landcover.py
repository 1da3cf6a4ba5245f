"""The named map: class codes and confidence on the scene's own grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from odc.geo.geobox import GeoBox

from s2dash.grid import pixel_area_ha
from s2dash.schemes import ClassScheme
from s2dash.types import LabelArray


@dataclass(frozen=True)
class LandCoverMap:
    """What covers the ground, pixel by pixel."""

    grid: GeoBox
    """The scene's own grid."""
    codes: LabelArray
    """Shape (y, x), class codes of `scheme`; 0 = no data, 255 (`UNDECIDED`) = not named yet."""
    confidence: LabelArray
    """Shape (y, x), percent 0-100; 0 where there is no class."""
    scheme: ClassScheme
    """What the codes mean."""
    year: int | None = None
    """Year of the image, where known."""

    def area_ha(self) -> dict[int, float]:
        """Hectares per class that occurs, on the ellipsoid where the grid is geographic."""
        per_row = pixel_area_ha(self.grid)
        return {
            code: float(((self.codes == code).sum(axis=1) * per_row).sum())
            for code in self.scheme.codes
            if np.any(self.codes == code)
        }
