"""Pieces of a scene to learn from, for methods that look at a pixel's surroundings."""

from __future__ import annotations

import numpy as np
from rasterio.windows import Window

from s2dash.errors import ClusteringError, NoValidPixelsError
from s2dash.features import FeatureStack
from s2dash.parallel import ordered_map
from s2dash.progress import Progress, Silent, steps
from s2dash.types import BoolArray, FloatArray

LEAST_VALID = 0.25
"""A window with a smaller valid share is only taken where there is none better."""


def draw_windows(
    features: FeatureStack, *, side: int, count: int, seed: int, progress: Progress | None = None
) -> list[tuple[FloatArray, BoolArray]]:
    """Square windows from random places of a scene.

    Windows with many valid pixels are preferred; those without any are left out. A scene narrower than `side` gives
    windows as wide as itself.

    Args:
        features: Of the scene.
        side: Side of a window, pixels.
        count: How many to draw; a small scene gives fewer, because overlapping windows teach nothing new.
        seed: Same seed, same windows.
        progress: Where to report.

    Returns:
        Standardised features of shape (feature, y, x), float32, 0 where not valid, and a mask of shape (y, x), each.

    Raises:
        NoValidPixelsError: If no window has a valid pixel.
    """
    height, width = features.grid.shape
    rows, cols = min(side, height), min(side, width)
    fit = max(-(-height // rows) * -(-width // cols), 1)
    rng = np.random.default_rng([seed, 3])
    if fit <= count:  # the whole scene: a regular cover, the last ones shifted inwards
        tops = np.unique(np.linspace(0, height - rows, -(-height // rows)).round().astype(int))
        lefts = np.unique(np.linspace(0, width - cols, -(-width // cols)).round().astype(int))
        places = [(int(top), int(left)) for top in tops for left in lefts]
        rng.shuffle(places)
    else:  # twice as many as asked for, to have a choice where there are clouds
        tops = rng.integers(0, height - rows + 1, 2 * count)
        lefts = rng.integers(0, width - cols + 1, 2 * count)
        places = list(zip(tops.tolist(), lefts.tolist(), strict=True))
    good: list[tuple[FloatArray, BoolArray]] = []
    poor: list[tuple[FloatArray, BoolArray]] = []

    def read(place: tuple[int, int]) -> tuple[FloatArray, BoolArray]:
        return features.block(Window(place[1], place[0], cols, rows))

    watch = progress or Silent()
    for values, valid in steps(ordered_map(read, places), total=len(places), progress=watch, text="Drawing windows"):
        if valid.mean() >= LEAST_VALID:
            good.append((values, valid))
        elif valid.any():
            poor.append((values, valid))
        if len(good) == count:
            break
    poor.sort(key=lambda window: -int(window[1].sum()))
    drawn = [*good, *poor[: count - len(good)]]
    if not drawn:
        raise NoValidPixelsError("No window of the scene has a valid pixel, so there is nothing to learn from.")
    return drawn


def check_side(features: FeatureStack, *, side: int, what: str) -> None:
    """Refuse a scene that is smaller than what a method looks at.

    Raises:
        ClusteringError: If either side of the scene is shorter than `side` pixels.
    """
    height, width = features.grid.shape
    if min(height, width) < side:
        raise ClusteringError(
            f"{what} looks at {side} × {side} pixels at once, but the scene has only {width} × {height}. Choose a "
            "larger area, a smaller patch, or K-Means."
        )
