"""From cached blocks of images to the file of a scene, block by block, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from s2dash.errors import NoImageryError
from s2dash.grid import window_grid
from s2dash.masking import MaskRule
from s2dash.progress import Progress, Stage
from s2dash.scene import Radiometry
from s2dash.sources.stac.cache import CachedImage
from s2dash.sources.stac.composite import Looks, Method, composite, season, season_names
from s2dash.sources.stac.load import AssetGoneError
from s2dash.sources.stac.stack_file import writing_cog
from s2dash.types import NumberArray

if TYPE_CHECKING:
    from s2dash.area import AreaOfInterest

LOOKS_LAYERS = ("LOOKS", "CLEAR_SHARE")
"""First layers beside a composite: number of clear looks, and their share of the looks with data."""

_HELD_BYTES = 300_000_000
"""What the looks at one strip may take, bytes, with all that is computed from them."""
_COPIES = 10
"""Bytes a number takes while a composite is made of it: sorted, compared, as float."""


@dataclass(frozen=True)
class Assembly:
    """What is to become a scene."""

    area: AreaOfInterest
    """Blocks beside it are not fetched."""
    grid: GeoBox
    """The scene's grid."""
    images: tuple[CachedImage, ...]
    """Its images."""
    bands: tuple[str, ...]
    """Bands, `SCL` last if there is one."""
    method: Method | None
    """How several become one; None for a single image."""
    season: bool
    """Whether statistics of the season are wanted."""
    mask: MaskRule
    """What counts as clear."""
    radiometry: Radiometry
    """From numbers to reflectance."""
    notes: tuple[str, ...] = ()
    """What is known already that a person should know."""


@dataclass(frozen=True)
class Assembled:
    """What became of it."""

    images: tuple[CachedImage, ...]
    """Those that could be read."""
    downloaded: int
    """Blocks that were downloaded."""
    clear_percent: float
    """Share of the pixels fetched that are seen clearly, percent."""
    notes: tuple[str, ...]
    """What a person should know besides."""


def assemble(
    assembly: Assembly,
    path: Path,
    layers: Path | None,
    *,
    tags: Callable[[Assembled, tuple[CachedImage, ...]], Mapping[str, str]],
    progress: Progress,
) -> Assembled:
    """Fetch what is missing and write the scene, and the layers of the season beside it.

    Args:
        assembly: What is to become a scene.
        path: Where the scene goes.
        layers: Where the layers go; None for a single image.
        tags: Makes the tags of the scene once it is known what became of it.
        progress: Told about each block; cancels.

    Raises:
        NoImageryError: If no pixel is seen clearly.
        ImageryError: If an image cannot be read; a composite leaves out one whose files are gone.
        OutputError: If a file cannot be written.
    """
    windows = _wanted(assembly)
    kept, downloaded, notes = _fetched(assembly, windows, Stage(progress, 0.0, 0.8))
    strips = [strip for window in windows for strip in _strips(window, len(kept), len(assembly.bands))]
    classes = assembly.bands[-1] == "SCL"
    spectral = assembly.bands[:-1] if classes else assembly.bands
    scale, offset = assembly.radiometry.scale, assembly.radiometry.offset
    grid, total, clear, filled = assembly.grid, 0, 0, 0
    with writing_cog(
        path,
        grid,
        assembly.bands,
        dtype="uint16",
        nodata=0,
        tags={},
        scales=[scale] * len(spectral) + [1.0] * classes,
        offsets=[offset] * len(spectral) + [0.0] * classes,
    ) as file:
        names = (*LOOKS_LAYERS, *(season_names(spectral) if assembly.season else ()))
        with _beside(layers, grid, names) as beside:
            for done, strip in enumerate(strips):
                progress.report(0.8 + 0.15 * done / len(strips), "Writing the scene")
                looks = _looks(kept, strip, assembly, classes)
                seen = looks.clear.any(axis=0)
                total, clear, filled = total + seen.size, clear + int(seen.sum()), filled + int((looks.seen > 0).sum())
                if assembly.method is None:
                    numbers, scl = looks.numbers[0], None if looks.scl is None else looks.scl[0]
                else:
                    numbers, scl = composite(looks, method=assembly.method)
                file.write(numbers if scl is None else np.concatenate([numbers, scl[None]]), window=strip)
                if beside is not None:
                    beside.write(_layers(looks, spectral, assembly), window=strip)
            if clear == 0:
                raise NoImageryError(_no_look(kept, total, filled))
            made = Assembled(kept, downloaded, 100.0 * clear / total, notes)
            file.update_tags(**tags(made, kept))
            progress.report(0.95, "Writing overviews")
    progress.report(1.0, "Scene written")
    return made


def _wanted(assembly: Assembly) -> list[Window]:
    """The blocks that touch the area; a drawn outline may leave many of its box empty."""
    crs = assembly.grid.crs
    outline = assembly.area.projected(crs.proj if crs else 4326)
    shapely.prepare(outline)
    wanted = []
    for window in assembly.images[0].windows:
        box = window_grid(assembly.grid, window).boundingbox
        if outline.intersects(shapely.box(box.left, box.bottom, box.right, box.top)):
            wanted.append(window)
    return wanted


def _fetched(
    assembly: Assembly, windows: list[Window], progress: Progress
) -> tuple[tuple[CachedImage, ...], int, tuple[str, ...]]:
    """See to it that all blocks are on disk; images whose files are gone are left out of a composite."""
    kept = list(assembly.images)
    notes: list[str] = []
    downloaded, done, total = 0, 0, len(windows) * len(kept)
    for image in assembly.images:
        for window in windows:
            share = done / max(total, 1)
            text = f"Fetching {image.image.id}"
            progress.report(share, text)
            try:
                downloaded += image.fetch(window, progress=Stage(progress, share, share))
            except AssetGoneError as error:
                if assembly.method is None or len(kept) == 1:
                    raise
                kept.remove(image)
                notes.append(f"Left out the image of {image.image.day}: {error}")
                break
            done += 1
    progress.report(1.0, "All blocks are here")
    return tuple(kept), downloaded, tuple(notes)


def _strips(window: Window, images: int, bands: int) -> list[Window]:
    """A block in strips so low that all looks at one fit."""
    height, width = int(window.height), int(window.width)
    rows = max(_HELD_BYTES // max(images * bands * width * _COPIES, 1), 1)
    rows = max(rows // 64 * 64, min(rows, 64))
    return [
        Window(int(window.col_off), int(window.row_off) + row, width, min(rows, height - row))
        for row in range(0, height, rows)
    ]


def _looks(images: tuple[CachedImage, ...], strip: Window, assembly: Assembly, classes: bool) -> Looks:
    numbers = np.stack([image.read(strip) for image in images])
    if not classes:
        return Looks.of(numbers, None, assembly.mask)
    return Looks.of(numbers[:, :-1], numbers[:, -1], assembly.mask)


def _layers(looks: Looks, bands: tuple[str, ...], assembly: Assembly) -> NumberArray:
    count, seen = looks.count.astype(np.float32), looks.seen.astype(np.float32)
    share = np.divide(count, seen, out=np.full_like(count, np.nan), where=seen > 0)
    layers = np.stack([count, share])
    if not assembly.season:
        return layers
    told = assembly.radiometry
    return np.concatenate([layers, season(looks, bands=bands, scale=told.scale, offset=told.offset)])


def _no_look(images: tuple[CachedImage, ...], total: int, filled: int) -> str:
    days = f"{min(image.image.day for image in images)} to {max(image.image.day for image in images)}"
    if filled == 0:
        return (
            f"None of the {len(images)} images from {days} holds data on the area's {total:,} pixels, whatever the "
            "catalogue says of their outlines. Choose other days, or another catalogue."
        )
    return (
        f"No pixel is seen clearly: {filled:,} of {total:,} pixels hold data in {len(images)} images from {days}, and "
        "clouds, their shadows or defects hide all of them. Search a longer period, or allow only less cloudy images."
    )


def _beside(path: Path | None, grid: GeoBox, names: tuple[str, ...]) -> AbstractContextManager[Any]:
    """The file of layers, or nothing."""
    if path is None:
        return nullcontext()
    tags = {"TITLE": "Looks and statistics of the season", "LAYERS": ",".join(names)}
    return writing_cog(path, grid, names, dtype="float32", nodata=float("nan"), tags=tags)
