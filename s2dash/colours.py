"""Colours that are told apart: for clusters, and for what maps say besides classes."""

from __future__ import annotations

from functools import cache

import numpy as np

from s2dash.clustering.model import MAX_CLUSTERS
from s2dash.errors import ClusteringError
from s2dash.schemes import UNDECIDED, ClassScheme
from s2dash.types import FloatArray, NumberArray

UNDECIDED_COLOUR = "#2B2B2B"
"""Clusters that nobody has named: near black, as no class scheme uses it."""
AGREE_COLOUR = "#3A9BDC"
"""Map and reference say the same; blue and orange stay apart for colour-blind people."""
DISAGREE_COLOUR = "#F4661B"
"""Map and reference say different things."""
HIGHLIGHT_COLOUR = "#FFF200"
"""Outline of the cluster a person is asked about: no ground in true colour looks like it."""

# By hand: light and dark enough to be seen as lines on white and on black, no two nearer than 0.1 in OKLab, the
# most different ones first because most runs have few clusters.
_FIRST = (
    "#E6194B", "#3CB44B", "#F2B701", "#4363D8", "#F58231", "#A04FD6", "#1FB8D6", "#F032E6", "#A5CF2F", "#F09AB5",
    "#008A7C", "#9C6B1E", "#D9B8FF", "#7D8CFF", "#8F1D3F", "#5D7F1A", "#FFCF9E", "#56F0C8", "#A8877A", "#8FD3FF",
)  # fmt: skip


def oklab(rgb: NumberArray) -> FloatArray:
    """Colours in OKLab, where distance is how different they look.

    Args:
        rgb: sRGB, shape (…, 3), 0-255.

    Returns:
        Lightness 0-1 and the two opponent axes, shape (…, 3), float64. Formulae: B. Ottosson, "A perceptual color
        space for image processing" (2020).
    """
    share = np.asarray(rgb, dtype=np.float64) / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    red, green, blue = linear[..., 0], linear[..., 1], linear[..., 2]
    long = np.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    medium = np.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = np.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    return np.stack(
        [
            0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
            1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
            0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
        ],
        axis=-1,
    )


def rgb_of(colour: str) -> tuple[int, int, int]:
    """Bytes of `#RRGGBB`.

    Raises:
        ValueError: If it is not of that form.
    """
    if len(colour) != 7 or not colour.startswith("#"):
        raise ValueError(f"A colour is written #RRGGBB, not {colour!r}.")
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


@cache
def _palette() -> tuple[str, ...]:
    """All cluster colours: the hand-picked ones, then always the candidate farthest from every colour before it."""
    steps = np.arange(0, 256, 15)
    candidates = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    lab = oklab(candidates)
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    # Greys and near-blacks would pass for imagery, near-whites for missing pixels.
    vivid = (lab[:, 0] > 0.42) & (lab[:, 0] < 0.92) & (chroma > 0.05)
    candidates, lab = candidates[vivid], lab[vivid]

    colours = list(_FIRST)
    chosen = oklab(np.array([rgb_of(colour) for colour in _FIRST]))
    nearest = ((lab[:, None, :] - chosen[None, :, :]) ** 2).sum(axis=-1).min(axis=1)
    while len(colours) < MAX_CLUSTERS:
        best = int(nearest.argmax())
        red, green, blue = (int(value) for value in candidates[best])
        colours.append(f"#{red:02X}{green:02X}{blue:02X}")
        nearest = np.minimum(nearest, ((lab - lab[best]) ** 2).sum(axis=-1))
    return tuple(colours)


def cluster_colour(cluster: int) -> str:
    """The colour of a cluster, the same on every map and chart, whatever K is.

    Args:
        cluster: 1 … `MAX_CLUSTERS`.

    Returns:
        `#RRGGBB`; no two clusters share one.

    Raises:
        ClusteringError: If there can be no such cluster.
    """
    if not 1 <= cluster <= MAX_CLUSTERS:
        raise ClusteringError(f"Cluster numbers go from 1 to {MAX_CLUSTERS}; there is no cluster {cluster}.")
    return _palette()[cluster - 1]


def cluster_colours(n_clusters: int) -> dict[int, str]:
    """Colours of clusters 1 … `n_clusters`."""
    return {cluster: cluster_colour(cluster) for cluster in range(1, n_clusters + 1)}


def scheme_colours(scheme: ClassScheme) -> dict[int, str]:
    """Colours of a scheme's classes, and of what nobody has named yet."""
    return {**{cls.code: cls.colour for cls in scheme.classes}, UNDECIDED: UNDECIDED_COLOUR}
