"""What mapping an area will take, told before anything is loaded: pixels, memory, time, and the price of naming.

How the coefficients were measured (November 2026): whole runs of `run_chain` (K-Means, K = 12, the default sample and
indices, the rules as annotator) of simulated scenes in GeoTIFF files, written to a folder and then prepared for the
map, each in a process of its own on two cores of a cloud server:

    side, pixels             512    1024    2048    3072    9216
    peak memory, MiB         397     667     860     866    1272
    processor time, s        4.8     7.8    12.8    22.4   126.7
    time on an idle server   4.5     6.9     9.9       -       -

Up to about 1.75 million pixels memory grows with the pictures drawn for the map, beyond by 5.6 bytes a pixel; an area
adds a byte a pixel for its outline. Other methods than K-Means take longer, most of all networks, and bound their
memory themselves when they run. Reading imagery from the internet takes its time on top.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from s2dash.annotation.annotate import make_annotators
from s2dash.annotation.answer import ClusterCard, Question
from s2dash.annotation.card_pictures import enlargement, png
from s2dash.annotation.card_style import DEFAULT_STYLE, CardStyle, card_style
from s2dash.annotation.card_windows import LEAST, WHOLE
from s2dash.annotation.catalogue import ModelEntry
from s2dash.annotation.estimate import Estimate, estimate
from s2dash.annotation.exhibit import Exhibit, ExhibitPicture
from s2dash.area import AreaOfInterest
from s2dash.errors import AreaError, TooLargeError
from s2dash.memory import available_bytes
from s2dash.parallel import workers
from s2dash.run_settings import RunSettings
from s2dash.schemes import load_scheme

_MIB = 1024**2
_BASE_BYTES = 380 * _MIB
_PICTURE_BYTES, _PICTURE_PIXELS = 295, 1_750_000
"""Bytes a pixel that is drawn, and the pixels from which pictures grow no more."""
_PIXEL_BYTES = 6.6
_SHARE = 0.8
"""Share of the free memory that a run may take: the dashboard itself, and what others do meanwhile, need some too."""
_BASE_S, _PIXEL_S = 5.0, 1.6e-6
"""Seconds for any scene, and of processor time for a pixel."""
_PARALLEL = 0.45
"""Share of the work that several cores do at once (12.8 s of two processors in 9.9 s)."""
_FOOT = 40
"""Height of the strip under a picture and the gap between two, pixels."""
_CAPTION_LETTERS = 420
_FACT_LETTERS = 4500
"""Longest captions and facts of cards, with a margin; the tests compare them with real cards."""


@dataclass(frozen=True)
class AreaBudget:
    """What mapping an area takes."""

    area_km2: float
    """Of the area itself."""
    pixels: int
    """Of the rectangle that holds it: all of them are read and kept."""
    shape: tuple[int, int] | None
    """Rows and columns of that rectangle; None where no single grid can hold the area."""
    memory_bytes: int
    """Most that a run holds at a time."""
    free_bytes: int
    """Memory that can be had now."""
    seconds: float
    """How long a run takes here, once the pixels are on this machine."""
    most_km2: float
    """Largest area of the same shape that fits into the memory there is."""

    @property
    def too_large(self) -> bool:
        """Whether it is refused."""
        return self.shape is None or self.memory_bytes > _SHARE * self.free_bytes

    @property
    def most_side_km(self) -> float:
        """Side of a square of the largest area that fits, km."""
        return math.sqrt(self.most_km2)

    @property
    def reason(self) -> str:
        """Why it is refused, with the numbers and the way out; empty where it is not."""
        if not self.too_large:
            return ""
        return (
            f"The area of {self.area_km2:,.0f} km² ({self.pixels / 1e6:,.0f} million pixels) takes about "
            f"{self.memory_bytes / _MIB:,.0f} MiB of memory; {self.free_bytes / _MIB:,.0f} MiB are free. Choose at "
            f"most {self.most_km2:,.0f} km², a square of {self.most_side_km:,.0f} km, or map it in parts."
        )

    def check(self) -> None:
        """Refuse what is too large.

        Raises:
            TooLargeError: With the numbers and the way out.
        """
        if self.too_large:
            raise TooLargeError(self.reason)


def area_budget(area: AreaOfInterest, *, resolution: float = 10.0, free_bytes: int | None = None) -> AreaBudget:
    """What mapping an area takes, from measured rates; reads nothing.

    Args:
        area: The area.
        resolution: Side of a pixel, m.
        free_bytes: Memory that can be had; by default what is free now.
    """
    km2 = area.area_km2
    try:
        height, width = (int(side) for side in area.utm_grid(resolution=resolution).shape)
        shape: tuple[int, int] | None = (height, width)
        pixels = height * width
    except AreaError:  # no grid holds it; the number of its pixels can be told all the same
        shape, pixels = None, round(km2 * 1e6 / resolution**2)
    free = available_bytes() if free_bytes is None else free_bytes
    # an area of the same shape has the same share of its rectangle
    most_km2 = _most_pixels(_SHARE * free) * km2 / pixels
    if shape is None:
        most_km2 = min(most_km2, 1e6)
    return AreaBudget(km2, pixels, shape, memory_needed(pixels), free, time_needed(pixels), most_km2)


def memory_needed(pixels: int) -> int:
    """Most that a run of a scene holds at a time, bytes; see the module for how that was measured."""
    return round(_BASE_BYTES + _PICTURE_BYTES * min(pixels, _PICTURE_PIXELS) + _PIXEL_BYTES * pixels)


def time_needed(pixels: int, *, cores: int | None = None) -> float:
    """How long a run of a scene takes, s, on as many cores as this process may use."""
    threads = cores or workers()
    return _BASE_S + _PIXEL_S * pixels * (1 - _PARALLEL + _PARALLEL / threads)


def run_time(pixels: int, settings: RunSettings) -> float:
    """How long a run with these settings takes, s: that of K-Means, but for the clustering itself."""
    return time_needed(pixels) - RunSettings().effort(pixels).total + settings.effort(pixels).total


def naming_cost(
    names: Sequence[str],
    *,
    clusters: int,
    shape: tuple[int, int],
    style: str = DEFAULT_STYLE,
    scheme: str = "worldcover",
    catalogue: Mapping[str, ModelEntry] | None = None,
) -> Estimate:
    """What asking models about every cluster costs at most, before there are any clusters.

    The questions are put as they would be, with empty pictures of the largest size that the style can give on such an
    area, and with as many letters as captions and facts ever have. Prices are those of the catalogue.

    Args:
        names: Annotators; those that are offline cost nothing.
        clusters: K.
        shape: Rows and columns of the area's pixels.
        style: Card style.
        scheme: Class scheme.
        catalogue: The models; by default those that come with the package.

    Raises:
        AnnotationError: If an annotator or the style is unknown.
        SchemeError: If the scheme is.
    """
    chosen, _ = make_annotators(names, catalogue=catalogue, live=False)
    classes, shown = load_scheme(scheme), card_style(style)
    questions = []
    for cluster in range(1, clusters + 1):
        card = ClusterCard(cluster, 1, 1.0, 1.0 / clusters, {}, {}, {})
        exhibit = Exhibit(
            cluster,
            shown.label,
            _pictures(shown, min(max(shape), WHOLE)),
            words=f"{cluster} ".ljust(_FACT_LETTERS, "x") if shown.words else f"{cluster}",
        )
        questions += [(who, Question(card, classes, exhibit=exhibit)) for who in chosen]
    return estimate(questions)


@lru_cache(maxsize=32)
def _pictures(style: CardStyle, longest: int) -> tuple[ExhibitPicture, ...]:
    """Empty pictures as large as any that the style gives of a scene whose longer side is `longest` (at most 640)."""
    crop = max(side * enlargement(side, side) for side in range(min(LEAST, longest), longest + 1))
    half = max(
        side * enlargement(side, side, panels=2) for side in range(min(16, style.closeup_side), style.closeup_side + 1)
    )
    sizes = [(crop, crop)] * ((2 if style.crop else 0) + len(style.composites)) + [(half, 2 * half)] * style.closeups
    return tuple(
        ExhibitPicture(str(place), "x" * _CAPTION_LETTERS, png(np.zeros((high + _FOOT, wide + _FOOT, 3), np.uint8)))
        for place, (high, wide) in enumerate(sizes)
    )


def _most_pixels(limit: float) -> float:
    """How many pixels fit into so many bytes: `memory_needed` the other way round."""
    drawn = (limit - _BASE_BYTES) / (_PICTURE_BYTES + _PIXEL_BYTES)
    if drawn <= _PICTURE_PIXELS:
        return max(drawn, 0.0)
    return (limit - _BASE_BYTES - _PICTURE_BYTES * _PICTURE_PIXELS) / _PIXEL_BYTES
