"""From clusters to exhibits: the pictures and words a model is shown of each, in a named card style."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from rasterio.windows import Window

from s2dash.annotation.answer import ClusterCard
from s2dash.annotation.card_facts import SceneFacts, cluster_facts, scene_facts
from s2dash.annotation.card_pictures import (
    RGB,
    beside,
    dim_outside,
    enlarge,
    enlargement,
    metres_text,
    pixel_sides_m,
    png,
    render,
    with_scale_bar,
)
from s2dash.annotation.card_style import DEFAULT_STYLE, CardStyle, CompositeKind, card_style
from s2dash.annotation.card_windows import ClusterCounts, Spot, closeup_spots, crop_window
from s2dash.annotation.card_words import card_words
from s2dash.annotation.exhibit import Exhibit, ExhibitPicture
from s2dash.bands import sensor_table
from s2dash.clustering.model import ClusterMap
from s2dash.errors import AnnotationError, GridMismatchError
from s2dash.grid import full_window, slices
from s2dash.parallel import ordered_map
from s2dash.pictures import Stretch, scene_stretch
from s2dash.progress import Progress, Silent, Stage, steps
from s2dash.scene import Scene
from s2dash.types import BoolArray

IN_MEMORY = 1024
"""Scenes up to this many pixels a side are drawn once, larger ones window by window."""

Channels = tuple[str, str, str]
_TRUE = ("B04", "B03", "B02")
_WANTED: Mapping[CompositeKind, tuple[tuple[str, ...], ...]] = {
    "infrared": (("B08", "B8A"), ("B04",), ("B03",)),
    "shortwave": (("B12", "B11"), ("B08", "B8A"), ("B04",)),
}
"""Bands of each channel of a composite; the first that the scene has is taken."""
_NAMES: Mapping[CompositeKind, str] = {"infrared": "near infrared", "shortwave": "short-wave infrared"}


def build_exhibits(
    clusters: ClusterMap,
    scene: Scene,
    cards: Mapping[int, ClusterCard],
    *,
    style: str | CardStyle = DEFAULT_STYLE,
    only: Collection[int] | None = None,
    acquired: date | None = None,
    progress: Progress | None = None,
) -> dict[int, Exhibit]:
    """Draw and describe clusters as a model is shown them.

    Bands are stretched once for the scene. Scenes up to 640 pixels a side are shown whole, of larger ones the part
    where the cluster is densest, and of either a smaller part where the cluster would be lost in it; whatever the size
    of the scene, no more than a few windows of it are held. Same input, same bytes.

    Args:
        clusters: The clusters.
        scene: The scene they were made from.
        cards: Figures of all its clusters.
        style: A card style, or its name.
        only: Clusters to make exhibits of; all that have a card by default.
        acquired: Day of the image, where the scene does not know it.
        progress: Where to report.

    Returns:
        Exhibits by cluster number.

    Raises:
        GridMismatchError: If clusters and scene do not share a grid.
        AnnotationError: If the style is unknown, or a cluster has no card or no pixels.
    """
    chosen = card_style(style) if isinstance(style, str) else style
    if clusters.grid != scene.grid:
        raise GridMismatchError(
            "The clusters do not lie on the grid of this scene; open the scene they were made from."
        )
    wanted = sorted(cards if only is None else set(only))
    present = clusters.counts()
    if lacking := [cluster for cluster in wanted if cluster not in cards or cluster not in present]:
        raise AnnotationError(f"There is nothing to show of the clusters {lacking}: they have no pixels or no card.")
    watch = progress or Silent()
    facts = cluster_facts(clusters, scene, progress=Stage(watch, 0.0, 0.2)) if chosen.words and wanted else {}
    about = scene_facts(scene, acquired=acquired)
    easel = _Easel(clusters, scene, about) if chosen.crop and wanted else None

    def show(cluster: int) -> Exhibit:
        return Exhibit(
            cluster=cluster,
            style=chosen.label,
            pictures=() if easel is None else easel.pictures(cluster, chosen),
            words=card_words(cards[cluster], facts[cluster], others=cards, scene=about) if chosen.words else "",
        )

    made = ordered_map(show, wanted)
    drawing = Stage(watch, 0.2, 1.0)
    shown = list(steps(made, total=len(wanted), progress=drawing, text="Drawing the cards"))
    return {exhibit.cluster: exhibit for exhibit in shown}


@dataclass
class _Easel:
    """Draws the pictures of one scene's clusters; safe to use from several threads."""

    clusters: ClusterMap
    scene: Scene
    about: SceneFacts
    _stretch: Stretch = field(init=False)
    _drawn: dict[Channels, tuple[RGB, BoolArray]] = field(default_factory=dict)
    _encoded: dict[tuple[int, ...], bytes] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._stretch = scene_stretch(self.scene)
        self._metres = pixel_sides_m(self.scene.grid)
        self._true = _true_colour(self.scene.bands)
        self._small = max(self.scene.grid.shape) <= IN_MEMORY

    def pictures(self, cluster: int, style: CardStyle) -> tuple[ExhibitPicture, ...]:
        """All pictures of one cluster."""
        counts = ClusterCounts.of(self.clusters.labels, cluster)
        crop = crop_window(counts)
        shown = [self._plain(crop), self._dimmed(crop, cluster)]
        spots = closeup_spots(counts, side=style.closeup_side, count=style.closeups) if style.closeups else ()
        shown += [self._closeup(spot, cluster, number) for number, spot in enumerate(spots, start=1)]
        shown += [made for kind in style.composites if (made := self._composite(kind, crop, cluster)) is not None]
        return tuple(shown)

    def _plain(self, crop: Spot) -> ExhibitPicture:
        rgb, valid = self._draw(crop.window, self._true)
        key = (int(crop.window.col_off), int(crop.window.row_off), int(crop.window.width), int(crop.window.height))
        if key not in self._encoded:  # most clusters of a small scene share this picture
            self._encoded[key] = self._png(rgb, crop.window)
        if crop.window == full_window(self.scene.grid):
            what = f"the whole scene, {self._extent(crop.window)}"
        else:
            what = f"the part of the scene where the target is densest, {self._extent(crop.window)}"
        return ExhibitPicture(
            "scene", f"{_look(self._true)} of {what}, everything as it is.{_gaps(valid)}", self._encoded[key]
        )

    def _dimmed(self, crop: Spot, cluster: int) -> ExhibitPicture:
        rgb, valid = self._draw(crop.window, self._true)
        caption = (
            "The same picture: the target is unchanged, everything else is faded and has lost its hue. "
            f"The target covers {100 * crop.share:.2g} % of it."
        )
        picture = dim_outside(rgb, self._inside(crop.window, cluster), valid=valid)
        return ExhibitPicture("cluster", caption, self._png(picture, crop.window))

    def _closeup(self, spot: Spot, cluster: int, number: int) -> ExhibitPicture:
        rgb, valid = self._draw(spot.window, self._true)
        dimmed = dim_outside(rgb, self._inside(spot.window, cluster), valid=valid)
        factor = enlargement(*rgb.shape[:2], panels=2)
        left, right = enlarge(rgb, factor=factor), enlarge(dimmed, factor=factor)
        picture = with_scale_bar(beside(left, right), metres_per_pixel=self._metres[0] / factor, width=left.shape[1])
        caption = (
            f"Close-up {number}, {self._extent(spot.window)}, {'where' if number == 1 else 'another place where'} the "
            f"target is purest: it covers {100 * spot.share:.2g} % of this ground. Left: everything as it is. Right: "
            f"the same ground with everything but the target faded and without hue.{_gaps(valid)}"
        )
        return ExhibitPicture(f"closeup-{number}", caption, png(picture))

    def _composite(self, kind: CompositeKind, crop: Spot, cluster: int) -> ExhibitPicture | None:
        channels = _channels(kind, self.scene.bands)
        if channels is None:
            return None
        rgb, valid = self._draw(crop.window, channels)
        picture = dim_outside(rgb, self._inside(crop.window, cluster), valid=valid)
        first, second, third = (f"{sensor_table()[band].wavelength} nm" for band in channels)
        if len(set(channels)) == 1:
            how = f"brightness is reflectance at {first}."
        else:
            how = (
                f"the display's first channel shows reflectance at {first}, the second at {second}, the third at "
                f"{third}; the hues are not those that the eye would see."
            )
        caption = f"The target alone in the {_NAMES[kind]}, everything else faded and without hue: {how}"
        return ExhibitPicture(kind, caption, self._png(picture, crop.window))

    def _draw(self, window: Window, channels: Channels) -> tuple[RGB, BoolArray]:
        if not self._small:
            return self._render(window, channels)
        with self._lock:
            if channels not in self._drawn:
                self._drawn[channels] = self._render(full_window(self.scene.grid), channels)
        rgb, valid = self._drawn[channels]
        return rgb[slices(window)], valid[slices(window)]

    def _render(self, window: Window, channels: Channels) -> tuple[RGB, BoolArray]:
        bands = tuple(dict.fromkeys(channels))
        reflectance = self.scene.read(window, bands=bands)
        return render(reflectance, names=bands, bands=channels, stretch=self._stretch)

    def _inside(self, window: Window, cluster: int) -> BoolArray:
        return np.asarray(self.clusters.labels[slices(window)] == cluster)

    def _png(self, rgb: RGB, window: Window) -> bytes:
        factor = enlargement(int(window.height), int(window.width))
        return png(with_scale_bar(enlarge(rgb, factor=factor), metres_per_pixel=self._metres[0] / factor))

    def _extent(self, window: Window) -> str:
        across, down = self._metres
        return f"{metres_text(across * int(window.width))} x {metres_text(down * int(window.height))}"


def _true_colour(bands: tuple[str, ...]) -> Channels:
    """The visible bands as the eye sees them; where one lacks, brightness of the longest one, else of any band."""
    if all(band in bands for band in _TRUE):
        return _TRUE
    one = next((band for band in _TRUE if band in bands), bands[0])
    return one, one, one


def _channels(kind: CompositeKind, bands: tuple[str, ...]) -> Channels | None:
    """Bands of a composite; brightness of its first channel alone where others lack, None without that one."""
    found = [next((band for band in choice if band in bands), None) for choice in _WANTED[kind]]
    first, second, third = found
    if first is None:
        return None
    return (first, first, first) if second is None or third is None else (first, second, third)


def _look(channels: Channels) -> str:
    if channels == _TRUE:
        return "True-colour picture"
    return f"Picture of brightness at {sensor_table()[channels[0]].wavelength} nm"


def _gaps(valid: BoolArray) -> str:
    return "" if valid.all() else " Flat areas without any detail hold no usable data."
