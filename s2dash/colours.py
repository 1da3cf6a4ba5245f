"""Colours that are told apart: for clusters, and for what maps say besides classes.

There are two palettes, the usual one and one for colour-blind people. Which one is in force is the choice of whoever
looks, so it holds for what is shown (`scheme_colours`, `cluster_colours`); files always keep the colours of the scheme
and of the usual palette (`file_scheme_colours`, `file_cluster_colours`), so that a file is the same whoever writes it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Literal, get_args

import numpy as np

from s2dash.clustering.model import MAX_CLUSTERS
from s2dash.colour_vision import VISIONS, linear_rgb, seen
from s2dash.errors import ClusteringError
from s2dash.schemes import UNDECIDED, ClassScheme, load_scheme, scheme_names
from s2dash.types import FloatArray, NumberArray

PaletteName = Literal["standard", "safe"]
"""The schemes' own colours, or colours that colour-blind people tell apart."""
PALETTES: tuple[PaletteName, ...] = get_args(PaletteName)

NOISE_COLOUR = "#8F8F8F"
"""Of the cluster that density clustering leaves in no dense group."""
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
# Of M. Okabe and K. Ito, "Color Universal Design" (2008), without black, which would pass for no data.
_FIRST_SAFE = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
_SERIES = {
    "standard": ("#3A9BDC", "#F4911B", "#5AAE61", "#9970AB", "#C2620A", "#8FC1EA"),
    "safe": ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9"),
}

_asked: list[Callable[[], str]] = []


def use_palette(ask: Callable[[], str]) -> None:
    """Say how to find out which palette whoever looks has chosen; without it, the usual one."""
    _asked[:] = [ask]


def palette() -> PaletteName:
    """The palette in force here. What is kept with colours in it has to have this in its key."""
    return known_palette(_asked[0]()) if _asked else "standard"


def known_palette(wanted: object) -> PaletteName:
    """The palette of that name, or the usual one."""
    return "safe" if wanted == "safe" else "standard"


def oklab(rgb: NumberArray) -> FloatArray:
    """Colours in OKLab, where distance is how different they look.

    Args:
        rgb: sRGB, shape (…, 3), 0-255.

    Returns:
        Lightness 0-1 and the two opponent axes, shape (…, 3), float64. Formulae: B. Ottosson, "A perceptual color
        space for image processing" (2020).
    """
    linear = linear_rgb(rgb)
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
def _cluster_palette(name: PaletteName) -> tuple[str, ...]:
    """All cluster colours: the hand-picked ones, then always the candidate farthest from every colour before it."""
    steps = np.arange(0, 256, 15)
    candidates = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    lab = oklab(candidates)
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    # Greys and near-blacks would pass for imagery, near-whites for missing pixels.
    vivid = (lab[:, 0] > 0.42) & (lab[:, 0] < 0.92) & (chroma > 0.05)
    candidates = candidates[vivid]

    colours = list(_FIRST_SAFE if name == "safe" else _FIRST)
    looks, chosen = _looks(candidates, name), _looks(np.array([rgb_of(colour) for colour in colours]), name)
    # By who looks worst: shape (visions, candidates, chosen ones), then the least of both.
    nearest = np.stack(
        [
            ((look[:, None, :] - other[None, :, :]) ** 2).sum(axis=-1).min(axis=1)
            for look, other in zip(looks, chosen, strict=True)
        ]
    ).min(axis=0)
    while len(colours) < MAX_CLUSTERS:
        best = int(nearest.argmax())
        red, green, blue = (int(value) for value in candidates[best])
        colours.append(f"#{red:02X}{green:02X}{blue:02X}")
        nearest = np.minimum(nearest, ((looks - looks[:, best : best + 1]) ** 2).sum(axis=-1).min(axis=0))
    return tuple(colours)


def _looks(rgb: NumberArray, name: PaletteName) -> FloatArray:
    """Colours in OKLab by everybody the palette is for, shape (visions, n, 3)."""
    visions = VISIONS if name == "safe" else VISIONS[:1]
    return np.stack([oklab(seen(rgb, vision)) for vision in visions])


def cluster_colour(cluster: int) -> str:
    """The colour of a cluster in the palette in force, the same on every map and chart, whatever K is.

    Args:
        cluster: 1 … `MAX_CLUSTERS`.

    Returns:
        `#RRGGBB`; no two clusters share one.

    Raises:
        ClusteringError: If there can be no such cluster.
    """
    return _cluster_colour(cluster, palette())


def cluster_colours(n_clusters: int, *, noise: int | None = None) -> dict[int, str]:
    """Colours of clusters 1 … `n_clusters` in the palette in force; that of the noise is grey."""
    return _cluster_colours(n_clusters, palette(), noise)


def file_cluster_colours(n_clusters: int, *, noise: int | None = None) -> dict[int, str]:
    """Colours of clusters 1 … `n_clusters` as files have them, whoever writes them; that of the noise is grey."""
    return _cluster_colours(n_clusters, "standard", noise)


def _cluster_colours(n_clusters: int, name: PaletteName, noise: int | None) -> dict[int, str]:
    colours = {cluster: _cluster_colour(cluster, name) for cluster in range(1, n_clusters + 1)}
    return colours | ({noise: NOISE_COLOUR} if noise in colours else {})


def scheme_colours(scheme: ClassScheme) -> dict[int, str]:
    """Colours of a scheme's classes in the palette in force, and of what nobody has named yet.

    The colour of a class that people added, or gave another colour, is theirs in every palette.
    """
    colours = file_scheme_colours(scheme)
    if palette() == "safe" and scheme.name in scheme_names():
        own = {cls.code: cls.colour for cls in load_scheme(scheme.name).classes}
        safe = _safe_schemes().get(scheme.name, {})
        colours |= {code: safe[code] for code, colour in own.items() if code in safe and colours.get(code) == colour}
    return colours


def file_scheme_colours(scheme: ClassScheme) -> dict[int, str]:
    """The scheme's own colours, and that of what nobody has named yet, as files have them."""
    return {**{cls.code: cls.colour for cls in scheme.classes}, UNDECIDED: UNDECIDED_COLOUR}


def series_colours() -> tuple[str, ...]:
    """Colours of the lines and bars of charts in the palette in force, the first first."""
    return _SERIES[palette()]


def free_colour(taken: Iterable[str]) -> str:
    """A colour that everybody tells from those taken, for a new class.

    Args:
        taken: `#RRGGBB` each.

    Returns:
        Of the cluster colours the one that is most different from the nearest of them, as seen by whoever sees least.
    """
    candidates = _cluster_palette("safe")[:60]
    known = np.array([rgb_of(colour) for colour in (*taken, UNDECIDED_COLOUR)])
    looks, others = _looks(np.array([rgb_of(colour) for colour in candidates]), "safe"), _looks(known, "safe")
    apart = ((looks[:, :, None, :] - others[:, None, :, :]) ** 2).sum(axis=-1).min(axis=2).min(axis=0)
    return candidates[int(apart.argmax())]


def _cluster_colour(cluster: int, name: PaletteName) -> str:
    if not 1 <= cluster <= MAX_CLUSTERS:
        raise ClusteringError(f"Cluster numbers go from 1 to {MAX_CLUSTERS}; there is no cluster {cluster}.")
    return _cluster_palette(name)[cluster - 1]


@cache
def _safe_schemes() -> Mapping[str, Mapping[int, str]]:
    """Colours for colour-blind people by scheme and code."""
    table = tomllib.loads(resources.files("s2dash.data").joinpath("palettes.toml").read_text("utf-8"))
    return {name: {int(code): colour for code, colour in colours.items()} for name, colours in table["safe"].items()}
