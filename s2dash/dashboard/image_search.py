"""From an area and dates to a scene in the workspace: what is asked, what is found, what it takes, and fetching it."""

from __future__ import annotations

import io
import re
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import shapely

from s2dash.area import AreaOfInterest
from s2dash.area_budget import AreaBudget
from s2dash.bands import method_bands, sensor_table
from s2dash.dashboard.area_words import memory
from s2dash.dashboard.language import t, written_day
from s2dash.dashboard.texts import number
from s2dash.errors import Cancelled, S2DashError
from s2dash.masking import MaskRule
from s2dash.names import safe_name
from s2dash.progress import Progress
from s2dash.sources.request import SceneRequest
from s2dash.sources.season import SEASON_SUFFIX
from s2dash.sources.stac.cache import BLOCK_SIDE, ImageryCache, digest
from s2dash.sources.stac.catalogues import find_catalogue, known_catalogues
from s2dash.sources.stac.choose import clearest
from s2dash.sources.stac.fetch import FetchSettings, check_area, fetch_images
from s2dash.sources.stac.items import SceneItem
from s2dash.sources.stac.search import search_scenes
from s2dash.sources.stac.stack_file import fetched_tags

T = TypeVar("T")
Way = Literal["clearest", "one", "median", "best"]

FIRST_DAY = date(2015, 6, 23)
"""Launch of the first Sentinel-2."""
WAYS: tuple[Way, ...] = ("clearest", "one", "median", "best")
"""How a scene is made of what was found: one image, or a composite."""
OTHER = "other"
"""The catalogue that is named by its address."""
_DAYS = 90
_PIXEL_M = 10.0
_NUMBER_BYTES = 2
_THUMBNAILS, _THUMBNAIL_S, _THUMBNAIL_BYTES, _THUMBNAIL_SIDE = 12, 4.0, 2_000_000, 160


# ---- work whose result is waited for


@dataclass
class Awaited(Generic[T]):
    """What work in the background makes; the session that began it keeps it and looks into it."""

    over: bool = False
    """Whether the work has ended, in whatever way."""
    value: T | None = None
    """What it made; None before, and where it failed."""
    error: S2DashError | None = None
    """Why it failed."""

    def work(self, make: Callable[[Progress], T]) -> Callable[[Progress], Any]:
        """The work, which leaves here what it makes or why it cannot; for `state.start_job`."""

        def run(progress: Progress) -> Any:
            try:
                self.value = make(progress)
            except S2DashError as error:
                self.error = error
                raise
            finally:
                self.over = True
            return self.value

        return run

    @property
    def broken(self) -> bool:
        """Whether it failed otherwise than by the person's wish."""
        return self.error is not None and not isinstance(self.error, Cancelled)


# ---- searching


@dataclass(frozen=True)
class Asked:
    """What is searched for."""

    area: AreaOfInterest
    """Where."""
    first: date
    """First day, UTC."""
    last: date
    """Last day, included."""
    max_cloud: float
    """Greatest cloud cover of a tile, percent."""
    source: str
    """Name of a known catalogue, or an address, which may hold a key and is never shown."""


@dataclass(frozen=True)
class Found:
    """What a search found."""

    asked: Asked
    """What was searched for."""
    images: tuple[SceneItem, ...]
    """The images, the earliest first; at least one."""


def search(asked: Asked, progress: Progress) -> Found:
    """Search a catalogue.

    Raises:
        TooLargeError: If no scene of the area could be fetched anyway.
        AreaError: If no grid suits it.
        NoImageryError: If nothing is found; the text says what to loosen.
        ImageryError: If the catalogue cannot be searched.
    """
    check_area(asked.area)
    images = search_scenes(
        asked.area, asked.first, asked.last, catalogue=asked.source, max_cloud=asked.max_cloud, progress=progress
    )
    return Found(asked, tuple(images))


def first_days(today: date) -> tuple[date, date]:
    """The period that is searched before a person says another one."""
    return today - timedelta(days=_DAYS), today


def catalogue_titles() -> dict[str, str]:
    """What can be searched, by name; the last one is any other, by its address."""
    titles = {name: catalogue.title for name, catalogue in known_catalogues().items()}
    return titles | {OTHER: t("search.catalogue_other")}


# ---- what was found


def image_rows(images: Sequence[SceneItem]) -> list[dict[str, Any]]:
    """A table of images: `date`, `cloud` and `coverage` (percent), `tiles`, and `platform` in short, such as `S2A`."""
    return [
        {
            "date": image.day,
            "cloud": image.cloud_percent,
            "coverage": image.coverage_percent,
            "tiles": len(image.tiles),
            "platform": platform_title(image.platform).replace("Sentinel-", "S"),
        }
        for image in images
    ]


def image_words(image: SceneItem) -> str:
    """An image in a few words, for lists of many."""
    cloud = "" if image.cloud_percent is None else f" · {_cloud(image)} %"
    return written_day(image.day) + cloud


def image_line(image: SceneItem) -> str:
    """An image in a line."""
    cloud = t("search.cloud_unknown" if image.cloud_percent is None else "search.cloud_is", cloud=_cloud(image))
    coverage = t("search.covers", coverage=number(image.coverage_percent))
    return " · ".join([written_day(image.day), cloud, coverage, *filter(None, [platform_title(image.platform)])])


def platform_title(platform: str) -> str:
    """A satellite as people call it: `sentinel-2a` is `Sentinel-2A`."""
    return re.sub(r"[a-z]$", lambda last: last[0].upper(), platform.capitalize()) if platform else ""


def period_words(asked: Asked) -> str:
    """The period that was searched."""
    return f"{written_day(asked.first)} – {written_day(asked.last)}"


def same_place(first: AreaOfInterest | None, second: AreaOfInterest) -> bool:
    """Whether an area is still the one that was searched."""
    return first is not None and bool(shapely.equals(first.geometry, second.geometry))


def thumbnails(images: Sequence[SceneItem]) -> dict[str, bytes]:
    """Small pictures of the clearest images, PNG by identifier; those that cannot be had are left out."""
    shown = sorted((image for image in images if image.thumbnail), key=lambda image: -image.clear_percent)
    shown = shown[:_THUMBNAILS]
    with ThreadPoolExecutor(max_workers=_THUMBNAILS) as pool:
        found = pool.map(lambda image: _thumbnail(image.thumbnail), shown)
        return {image.id: picture for image, picture in zip(shown, found, strict=True) if picture}


def _thumbnail(address: str) -> bytes | None:
    """A picture, made small; None where there is none, whatever the reason: it is only an ornament."""
    from PIL import Image

    try:
        with urllib.request.urlopen(address, timeout=_THUMBNAIL_S) as answer:  # http(s) only: see `public_address`
            content = answer.read(_THUMBNAIL_BYTES + 1)
        if len(content) > _THUMBNAIL_BYTES:
            return None
        with Image.open(io.BytesIO(content)) as picture:
            small = picture.convert("RGB")
        small.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE))
        out = io.BytesIO()
        small.save(out, "PNG")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    return out.getvalue()


# ---- what is fetched


@dataclass(frozen=True)
class Choice:
    """Which images become a scene, and how."""

    found: Found
    """What was searched for and found."""
    way: Way
    """How the scene is made."""
    ids: tuple[str, ...] = ()
    """Identifiers of the images: one, or those of a composite; of no account where the clearest is taken."""
    mask: MaskRule = field(default_factory=MaskRule)
    """Which classes of the scene classification are masked, and are no clear look in a composite."""

    @property
    def images(self) -> tuple[SceneItem, ...]:
        """The images; none where none was chosen."""
        if self.way == "clearest":
            return (clearest(self.found.images),)
        return tuple(image for image in self.found.images if image.id in self.ids)

    @property
    def settings(self) -> FetchSettings:
        """How they become a scene; beside a composite lie statistics of its season."""
        if self.way == "median" or self.way == "best":
            return FetchSettings(self.way, season=True, mask=self.mask)
        return FetchSettings(mask=self.mask)

    def file_name(self) -> str:
        """What the scene's file is called: place, days, and what else tells it from others."""
        asked, images = self.found.asked, self.images
        single = self.settings.composite == "none"
        about = {
            "area": shapely.to_wkt(asked.area.geometry, rounding_precision=7),
            "source": find_catalogue(asked.source).shown,
            "images": sorted(tile.id for image in images for tile in image.tiles),
            "composite": self.settings.composite,
            "mask": [] if single else sorted(self.mask.invalid),
        }
        # a day in a file name is taken for that of the image, so a composite is called after its months
        first, last = min(image.day for image in images), max(image.day for image in images)
        said = f"{first}" if single else f"{first:%Y-%m}_{last:%Y-%m}_{self.way}_{len(images)}"
        return safe_name(f"{asked.area.title[:40] or 'Sentinel-2'}_{said}_{digest(about)[:8]}") + ".tif"


@dataclass(frozen=True)
class Fetched:
    """A scene that was fetched into the workspace."""

    request: SceneRequest
    """How to open it."""
    remarks: tuple[str, ...] = ()
    """What a person should know."""


def fetch(choice: Choice, folder: Path, progress: Progress) -> Fetched:
    """Fetch a scene into a folder, with all that is downloaded on the way; what is there already is not fetched.

    The scenes themselves stay, as runs refer to them; of the rest, what was not used longest goes first (see
    `ImageryCache.prune`).

    Args:
        choice: The images.
        folder: Of the workspace.
        progress: Told where it is; cancels.

    Raises:
        ImageryError: If something cannot be read after all attempts.
        OutputError: If the scene cannot be written.
    """
    asked, path = choice.found.asked, folder / choice.file_name()
    layers = path.with_name(path.stem + SEASON_SUFFIX)
    remarks: tuple[str, ...] = ()
    needed = [path] if choice.settings.composite == "none" else [path, layers]
    if not all(file.exists() for file in needed) or fetched_tags(path) is None:
        made = fetch_images(
            asked.area,
            choice.images,
            source=asked.source,
            settings=choice.settings,
            period=(asked.first, asked.last),
            out=path,
            cache=ImageryCache(folder),
            progress=progress,
        )
        remarks = made.notes
    box = shapely.box(*asked.area.geometry.bounds)
    cut = None if shapely.equals(asked.area.geometry, box) else asked.area.geojson
    return Fetched(SceneRequest(str(path), mask=choice.mask, area=cut), remarks)


def download_bytes(shape: tuple[int, int], images: int) -> int:
    """Most that fetching takes over the network, bytes.

    Archives keep files in blocks, most of `BLOCK_SIDE` pixels each way, and whole blocks are sent: on average one more
    than the area takes, each way. Compression, which differs, makes it less.

    Args:
        shape: Rows and columns of 10 m.
        images: How many images.
    """
    resolutions = [sensor_table()[band].resolution for band in method_bands()] + [sensor_table()["B05"].resolution]
    sides = [[side * _PIXEL_M / metres + BLOCK_SIDE for side in shape] for metres in resolutions]  # SCL is at 20 m too
    return round(images * sum(height * width * _NUMBER_BYTES for height, width in sides))


def cost_words(budget: AreaBudget, images: int) -> str:
    """What fetching and mapping takes, in a sentence."""
    shape = budget.shape or (0, 0)
    many = budget.pixels >= 1e6
    return t(
        "search.takes",
        count=images,
        pixels=t("area.million", count=number(budget.pixels / 1e6, 1)) if many else number(budget.pixels),
        memory=memory(budget.memory_bytes),
        download=memory(download_bytes(shape, images)),
    )


def images_by_id(images: Sequence[SceneItem]) -> Mapping[str, SceneItem]:
    """Images by identifier, in their order."""
    return {image.id: image for image in images}


def _cloud(image: SceneItem) -> str:
    return "" if image.cloud_percent is None else number(image.cloud_percent)
