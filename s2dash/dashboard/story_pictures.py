"""Large pictures for the story of a run: imagery, groups, one group, the map; the same ground in all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from odc.geo.geobox import GeoBox
from PIL import Image

from s2dash.dashboard.language import t
from s2dash.dashboard.pictures import (
    Composite,
    PictureArray,
    class_picture,
    highlight_picture,
    jpeg_bytes,
    png_bytes,
    thin_labels,
)
from s2dash.dashboard.view import ClusterView
from s2dash.grid import latitude_longitude_bounds
from s2dash.types import LabelArray

SIDE = 960
"""Longest side of a picture, pixels: sharp on a page and on paper, and a few hundred kilobytes."""
NO_IMAGERY = "#9A9A9A"
"""Under a group that is picked out where the imagery has gone."""


@dataclass(frozen=True)
class StoryPicture:
    """A picture of the story, ready to be shown."""

    content: bytes
    """The file."""
    kind: Literal["jpeg", "png"]
    """Of the file."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    caption: str = ""
    """What it shows, in a line; also what is read out to those who cannot see it."""
    legend: tuple[tuple[str, str], ...] = ()
    """What its colours mean: name and `#RRGGBB`."""


def imagery(view: ClusterView, kind: Composite, *, caption: str) -> StoryPicture | None:
    """The scene in natural or false colour; None where it cannot be shown so."""
    if view.scene is None or kind not in view.scene.composites:
        return None
    picture = view.scene.picture(kind)
    return _photograph(picture.rgba, picture.grid, caption=caption)


def codes_picture(
    codes: LabelArray,
    grid: GeoBox,
    *,
    colours: Mapping[int, str],
    caption: str,
    legend: tuple[tuple[str, str], ...] = (),
) -> StoryPicture:
    """Clusters, classes or anything else that has codes, each in its colour, with sharp edges.

    Args:
        codes: Shape (y, x), uint8; 0 is white, on dark pages too.
        grid: Where they lie.
        colours: `#RRGGBB` by code.
        caption: What it shows.
        legend: What the colours mean; white is added where it occurs.
    """
    coarse, coarse_grid = thin_labels(codes, grid, max_side=SIDE)
    width, height = _size(coarse_grid)
    enlarged = Image.fromarray(coarse).resize((width, height), Image.Resampling.NEAREST)
    picture = class_picture(np.asarray(enlarged), colours)
    if not coarse.all():
        legend = (*legend, (t("story.hidden"), "#FFFFFF"))
        picture[picture[..., 3] == 0] = 255
    return StoryPicture(png_bytes(picture), "png", width, height, caption, legend)


def one_cluster(view: ClusterView, cluster: int, *, caption: str) -> StoryPicture:
    """One group in its own colours inside a bright outline, the rest grey."""
    labels, grid = thin_labels(view.clusters.labels, view.clusters.grid, max_side=SIDE)
    if view.scene is not None:
        base = view.scene.picture(view.scene.composites[0], max_side=SIDE).rgba
    else:
        base = class_picture(labels, dict.fromkeys(range(1, 256), NO_IMAGERY))
    picture = highlight_picture(base, labels, cluster=cluster, tint=0.0 if view.scene else 0.8, min_side=SIDE)
    return _photograph(picture, grid, caption=caption)


def _photograph(rgba: PictureArray, grid: GeoBox, *, caption: str) -> StoryPicture:
    width, height = _size(grid)
    image = Image.fromarray(rgba).resize((width, height), Image.Resampling.LANCZOS)
    return StoryPicture(jpeg_bytes(np.asarray(image), under="#FFFFFF"), "jpeg", width, height, caption)


def _size(grid: GeoBox) -> tuple[int, int]:
    """Width and height of a picture of some ground, pixels: the longer is `SIDE`, the shape that of the ground."""
    rows, columns = (int(side) for side in grid.shape)
    tall = rows * abs(grid.transform.e) if grid.transform.e else rows
    wide = columns * abs(grid.transform.a) if grid.transform.a else columns
    if grid.crs is not None and grid.crs.geographic:  # a degree of longitude is shorter than one of latitude
        _, south, _, north = latitude_longitude_bounds(grid)
        wide *= max(float(np.cos(np.radians((south + north) / 2))), 0.05)
    scale = SIDE / max(tall, wide)
    return max(round(wide * scale), 1), max(round(tall * scale), 1)
