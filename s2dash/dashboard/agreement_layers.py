"""Map and reference on one map: where they differ, and where one class is taken for another."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from s2dash.colours import AGREE_COLOUR, DISAGREE_COLOUR, UNDECIDED_COLOUR, scheme_colours
from s2dash.dashboard.agreement_figures import PICKED_COLOUR
from s2dash.dashboard.fine_image import FineImage, fine_codes
from s2dash.dashboard.language import t
from s2dash.dashboard.layers import MapLayer, WarpedLabels, label_layer, warp_labels
from s2dash.dashboard.warping import parts
from s2dash.landcover import LandCoverMap
from s2dash.reference import Reference
from s2dash.schemes import NO_DATA, UNDECIDED
from s2dash.types import LabelArray

_AGREES, _DIFFERS, _UNNAMED = 1, 2, 3


@dataclass(frozen=True)
class WarpedComparison:
    """Map and reference as they lie on the web map, warped once and coloured as often as needed."""

    mapped: WarpedLabels
    """Class codes of the map."""
    reference: WarpedLabels
    """Class codes of the reference, pixel on pixel with the map."""
    landcover: LandCoverMap
    """The map itself, for its classes."""

    @classmethod
    def of(cls, landcover: LandCoverMap, reference: Reference) -> WarpedComparison:
        """Both maps, thinned and warped alike."""
        return cls(
            warp_labels(landcover.codes, landcover.grid), warp_labels(reference.codes, reference.grid), landcover
        )

    def landcover_layer(self, *, opacity: float = 0.75, shown: bool = False) -> MapLayer:
        """The map as it is named now, corrections within areas too."""
        colours = scheme_colours(self.landcover.scheme)
        return label_layer(t("agreement.layer_map"), self.mapped, colours, opacity=opacity, shown=shown)

    def reference_layer(self, title: str, *, opacity: float = 0.75, shown: bool = False) -> MapLayer:
        """The reference; what its title is."""
        colours = scheme_colours(self.landcover.scheme)
        name = t("agreement.layer_reference", title=title)
        return label_layer(name, self.reference, colours, opacity=opacity, shown=shown)

    def disagreement_layer(self, *, opacity: float = 0.8, shown: bool = True) -> MapLayer:
        """Where the two say different things."""

        def states(mapped: LabelArray, reference: LabelArray) -> LabelArray:
            found = np.where(mapped == reference, np.uint8(_AGREES), np.uint8(_DIFFERS))
            found[mapped == UNDECIDED] = _UNNAMED
            found[(mapped == NO_DATA) | (reference == NO_DATA)] = NO_DATA
            return found

        colours = {_AGREES: AGREE_COLOUR, _DIFFERS: DISAGREE_COLOUR, _UNNAMED: UNDECIDED_COLOUR}
        return label_layer(
            t("agreement.layer_disagreement"), self._compared(states), colours, opacity=opacity, shown=shown
        )

    def pair_layer(self, *, mapped: int, reference: int, opacity: float = 0.95) -> MapLayer:
        """Only the pixels that the map calls one class and the reference another.

        Args:
            mapped: Class code of the map, or `UNDECIDED`.
            reference: Class code of the reference.
            opacity: 0-1.
        """

        def inside(here: LabelArray, other: LabelArray) -> LabelArray:
            return np.asarray((here == mapped) & (other == reference), dtype=np.uint8)

        return label_layer(t("agreement.layer_pair"), self._compared(inside), {1: PICKED_COLOUR}, opacity=opacity)

    def _compared(self, how: Callable[[LabelArray, LabelArray], LabelArray]) -> WarpedLabels:
        """What follows from both maps pixel by pixel, with every added class as the one it counts as."""
        table, fine = self.landcover.scheme.counted_table, None
        if self.mapped.fine is not None and self.reference.fine is not None:
            whole = how(table[_codes_of(self.mapped.fine)], table[_codes_of(self.reference.fine)])
            fine = fine_codes(whole, self.mapped.fine.bounds, side=self.mapped.fine.side)
        return WarpedLabels(how(table[self.mapped.codes], table[self.reference.codes]), self.mapped.bounds, fine)


def _codes_of(image: FineImage) -> LabelArray:
    """The codes that `fine_codes` encoded."""
    codes = np.zeros(image.shape, dtype=np.uint8)
    for part, piece in zip(parts(image.shape, side=image.side), image.pieces, strict=True):
        if piece:
            codes[part] = np.asarray(Image.open(io.BytesIO(piece)))
    return codes


def disagreement_legend() -> list[tuple[str, str]]:
    """What the colours of the disagreement layer mean."""
    return [
        (t("agreement.agrees"), AGREE_COLOUR),
        (t("agreement.differs"), DISAGREE_COLOUR),
        (t("agreement.not_named"), UNDECIDED_COLOUR),
    ]
