"""The verb: from an area and dates to a scene on disk, ready for analysis."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from odc.geo.geobox import GeoBox

from s2dash.bands import method_bands, sensor_table
from s2dash.errors import AreaError, ImageryError, NoImageryError, OutputError, TooFewBandsError, TooLargeError
from s2dash.masking import MaskRule
from s2dash.progress import Progress, Silent, Stage
from s2dash.scene import Radiometry, Scene
from s2dash.sources.season import SEASON_SUFFIX
from s2dash.sources.stac.addresses import Patience
from s2dash.sources.stac.assemble import Assembly, assemble
from s2dash.sources.stac.cache import CachedImage, ImageryCache, digest
from s2dash.sources.stac.catalogues import Catalogue, find_catalogue
from s2dash.sources.stac.choose import MOST_LOOKS, by_id, clearest, for_composite
from s2dash.sources.stac.items import SceneItem
from s2dash.sources.stac.load import ImageReader
from s2dash.sources.stac.offsets import common_radiometry, find_offsets
from s2dash.sources.stac.search import MOST_TILES, parse_day, search_scenes
from s2dash.sources.stac.stack_file import FETCHED, fetched_tags, open_fetched
from s2dash.sources.stac.usable import usable

if TYPE_CHECKING:
    from s2dash.area import AreaOfInterest

Composite = Literal["none", "median", "best"]
"""One image, or what is made of many."""

LARGEST_KM2 = 100_000.0
"""Largest area of one scene, km²: eight Sentinel-2 tiles, 10⁹ pixels, 20 GB of numbers an image."""
LAST_LATITUDE = 84.0
"""Beyond this latitude Sentinel-2 sees nothing, degrees north or south."""
_BYTES_A_PIXEL = 13.0
"""What ten bands and the classification take in an archive, bytes: compressed, half of them at 20 m."""


@dataclass(frozen=True)
class FetchedScene:
    """A scene that was fetched, on disk."""

    path: Path
    """Cloud-Optimized GeoTIFF of digital numbers with named bands and `SCL`."""
    layers: Path | None
    """Layers of the season beside it: `LOOKS`, `CLEAR_SHARE`, and statistics if asked for; None for one image."""
    images: tuple[SceneItem, ...]
    """The images it was made of."""
    notes: tuple[str, ...] = ()
    """What a person should know."""
    downloaded: int = 0
    """Blocks that had to be downloaded; 0 where all were there from before."""
    clear_percent: float = 0.0
    """Share of the pixels fetched that are seen clearly at least once, percent."""

    def load(self, *, mask: MaskRule | None = None) -> Scene:
        """Open it, with its scale and offset as they were decided."""
        return open_fetched(self.path, mask=mask)

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "path": str(self.path),
            "layers": str(self.layers) if self.layers else None,
            "images": [image.to_json() for image in self.images],
            "notes": list(self.notes),
            "downloaded_blocks": self.downloaded,
            "clear_percent": self.clear_percent,
        }


@dataclass(frozen=True)
class FetchSettings:
    """How images become a scene."""

    composite: Composite = "none"
    """One image, or a composite."""
    season: bool = False
    """Add statistics of the season; needs a composite."""
    bands: tuple[str, ...] = field(default_factory=method_bands)
    """Bands to fetch; the scene classification always comes with them."""
    mask: MaskRule = field(default_factory=MaskRule)
    """What counts as a clear look in a composite."""

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            ImageryError: If something is unknown.
        """
        if self.composite not in ("none", "median", "best"):
            raise ImageryError(f"There is no composite {self.composite!r}; choose none, median or best.")
        if self.season and self.composite == "none":
            raise ImageryError("Statistics of a season need several images: choose the composite median or best.")
        unknown = [band for band in self.bands if band not in sensor_table()]
        if unknown or len(self.bands) < 2:
            raise TooFewBandsError(
                f"At least two bands of {', '.join(sensor_table())} are fetched, not {', '.join(self.bands) or 'none'}."
            )


def fetch_scene(
    area: AreaOfInterest,
    start: date | str,
    end: date | str,
    *,
    source: str | Catalogue = "earth-search",
    collection: str | None = None,
    max_cloud: float = 60.0,
    min_coverage: float = 0.0,
    item: str | None = None,
    composite: Composite = "none",
    season: bool = False,
    most: int = MOST_LOOKS,
    limit: int = MOST_TILES,
    bands: Sequence[str] | None = None,
    mask: MaskRule | None = None,
    out: Path | str | None = None,
    cache: ImageryCache | None = None,
    patience: Patience | None = None,
    progress: Progress | None = None,
) -> FetchedScene:
    """Search a catalogue, choose, and fetch: the clearest image of an area, a certain one, or a composite of many.

    The scene lies on the area's UTM grid at 10 m. What was downloaded is kept, so that the same request, or one that
    broke off, downloads nothing twice.

    Args:
        area: Where.
        start: First day, UTC.
        end: Last day, included.
        source: A known catalogue, or the address of a STAC API or static catalogue.
        collection: Collection to search; by default the catalogue's own.
        max_cloud: Largest cloud cover of a tile, percent.
        min_coverage: Least share of the area that an image covers, percent.
        item: Identifier of the image to take; by default the one that is likely to be clearest.
        composite: `none` for one image, `median` or `best` for what is made of all clear looks.
        season: Write statistics of the season beside a composite.
        most: Most images of a composite.
        limit: Most tiles looked at in the search.
        bands: Bands to fetch; by default the ten of the method.
        mask: What counts as a clear look in a composite.
        out: Where to write the scene; by default into the cache.
        cache: Where downloads are kept; by default in the user's cache folder.
        patience: How long servers are waited for.
        progress: Told where it is; cancels.

    Raises:
        NoImageryError: If nothing is found, or nothing clear; the text says what to loosen.
        TooLargeError: If the area is larger than one scene may be.
        AreaError: If no grid suits the area.
        ImageryError: If the catalogue or a file cannot be read.
        OutputError: If the scene cannot be written.
    """
    settings = FetchSettings(composite, season, tuple(bands or method_bands()), mask or MaskRule())
    settings.check()
    check_area(area)
    progress = progress or Silent()
    place = find_catalogue(source)
    found = search_scenes(
        area,
        start,
        end,
        catalogue=place,
        collection=collection,
        max_cloud=max_cloud,
        min_coverage=min_coverage,
        limit=limit,
        patience=patience,
        progress=Stage(progress, 0.0, 0.05),
    )
    if composite == "none":
        chosen = [by_id(found, item) if item else clearest(found)]
    else:
        chosen = for_composite(found, most=most)
    return fetch_images(
        area,
        chosen,
        source=place,
        settings=settings,
        period=(parse_day(start, what="first"), parse_day(end, what="last")),
        out=out,
        cache=cache,
        patience=patience,
        progress=Stage(progress, 0.05, 1.0),
    )


def fetch_images(
    area: AreaOfInterest,
    images: Sequence[SceneItem],
    *,
    source: str | Catalogue = "earth-search",
    settings: FetchSettings | None = None,
    period: tuple[date, date] | None = None,
    out: Path | str | None = None,
    cache: ImageryCache | None = None,
    patience: Patience | None = None,
    progress: Progress | None = None,
) -> FetchedScene:
    """Fetch images that were chosen from a search; as `fetch_scene`.

    Args:
        area: Where.
        images: One image, or those of a composite.
        source: The catalogue they were found in.
        settings: How they become a scene.
        period: First and last day that were asked for; by default those of the images.
        out: Where to write the scene; by default into the cache.
        cache: Where downloads are kept.
        patience: How long servers are waited for.
        progress: Told where it is; cancels.
    """
    settings = settings or FetchSettings()
    settings.check()
    check_area(area)
    place, cache, progress = find_catalogue(source), cache or ImageryCache(), progress or Silent()
    if settings.composite == "none" and len(images) != 1:
        raise ImageryError(f"{len(images)} images were given for a scene of one. Choose one, or a composite.")
    images, bands, notes = usable(images, settings.bands)
    reader = ImageReader(place, bands, patience or Patience())
    offsets = find_offsets(images, place, reader, cache, Stage(progress, 0.0, 0.05))
    grid = area.utm_grid()
    lowest = min(offset.number for offset in offsets.values())
    shifts = {name: offset.number - lowest for name, offset in offsets.items()}
    cached = [cache.image(image, reader, grid, shifts) for image in images]
    radiometry = common_radiometry(list(offsets.values()), lowest)
    days = period or (min(image.day for image in images), max(image.day for image in images))
    path = Path(out).expanduser() if out is not None else _place(cache, cached, settings)
    layers = path.with_name(path.stem + SEASON_SUFFIX) if settings.composite != "none" else None
    earlier = fetched_tags(path) if path.exists() else None
    if path.exists() and earlier is None and out is not None:
        raise OutputError(f"{path} exists and was not fetched by this program. Choose another name, or move it away.")
    if earlier is not None and out is None and (layers is None or layers.exists()):
        clear = float(earlier["clear_percent"])
        return FetchedScene(path, layers, tuple(images), tuple(earlier["notes"]), 0, clear)
    assembly = Assembly(
        area=area,
        grid=grid,
        images=tuple(cached),
        bands=bands,
        method=None if settings.composite == "none" else settings.composite,
        season=settings.season,
        mask=settings.mask,
        radiometry=radiometry,
        notes=notes,
    )
    made = assemble(
        assembly,
        path,
        layers,
        tags=lambda done, kept: _tags(
            place, [each.image for each in kept], settings, radiometry, days, (*notes, *done.notes), done.clear_percent
        ),
        progress=Stage(progress, 0.05, 1.0),
    )
    for image in cached:
        image.touch()
    cache.prune(keep=[*(image.folder for image in cached), path.parent])
    every = (*notes, *made.notes)
    return FetchedScene(
        path, layers, tuple(each.image for each in made.images), every, made.downloaded, made.clear_percent
    )


def check_area(area: AreaOfInterest) -> GeoBox:
    """The grid of an area, unless it is too large or lies where no satellite looks.

    Raises:
        TooLargeError: If it is larger than one scene may be.
        AreaError: If it lies around a pole, or no grid suits it.
    """
    size = area.area_km2
    _, south, _, north = area.bounds
    if size > LARGEST_KM2:
        raise TooLargeError(
            f"The area is {size:,.0f} km², {size / 1e-4 / 1e6:,.0f} million pixels of 10 m; each image of it would be "
            f"about {size / 1e-4 * _BYTES_A_PIXEL / 1e9:,.0f} GB to download. At most {LARGEST_KM2:,.0f} km² are "
            "fetched at once: cut the area into parts."
        )
    if south > LAST_LATITUDE or north < -LAST_LATITUDE:
        raise AreaError(
            f"The area lies between {south:.4g} and {north:.4g} degrees of latitude; Sentinel-2 sees nothing beyond "
            f"{LAST_LATITUDE:g}. Choose one further from the pole."
        )
    grid = area.utm_grid()
    pixels = int(grid.shape[0]) * int(grid.shape[1])
    if pixels > 2 * LARGEST_KM2 * 1e4:
        raise TooLargeError(
            f"The area is only {size:,.0f} km², but the box around it has {pixels / 1e6:,.0f} million pixels of 10 m; "
            f"at most {2 * LARGEST_KM2 * 1e4 / 1e6:,.0f} million are fetched at once. Cut it into parts."
        )
    return grid


def _place(cache: ImageryCache, images: Sequence[CachedImage], settings: FetchSettings) -> Path:
    about = {
        "images": [image.about for image in images],
        "composite": settings.composite,
        "season": settings.season,
        "mask": sorted(settings.mask.invalid),
    }
    return cache.root / "scenes" / digest(about) / "scene.tif"


def _tags(
    place: Catalogue,
    images: Sequence[SceneItem],
    settings: FetchSettings,
    radiometry: Radiometry,
    days: tuple[date, date],
    notes: Sequence[str],
    clear_percent: float,
) -> dict[str, str]:
    """Tags of the scene; nothing secret is among them."""
    if not images:
        raise NoImageryError("No image is left to make a scene of.")
    single = settings.composite == "none"
    first = images[0]
    name = place.title or place.name
    title = (
        f"Sentinel-2 {first.day} ({first.platform or name})"
        if single
        else f"Sentinel-2 {settings.composite} {days[0]} to {days[1]} ({len(images)} images)"
    )
    years = sorted({image.day.year for image in images})
    credit = f"Contains modified Copernicus Sentinel data {', '.join(map(str, years))}"
    told = {
        "title": title,
        "kind": "stac",
        "attribution": credit,
        "catalogue": place.shown,
        "collection": first.tiles[0].collection,
        "period": [day.isoformat() for day in days],
        "composite": settings.composite,
        "items": [
            {"id": tile.id, "taken": tile.taken.isoformat(), "baseline": tile.baseline}
            for image in images
            for tile in image.tiles
        ],
        "radiometry": {
            "scale": radiometry.scale,
            "offset": radiometry.offset,
            "rule": radiometry.rule,
            "evidence": radiometry.evidence,
            "certain": radiometry.certain,
        },
        "notes": [f"From {name}, {place.shown}.", *notes],
        "clear_percent": clear_percent,
    }
    tags = {"TITLE": title, "ATTRIBUTION": credit, "LEVEL": "L2A", FETCHED: json.dumps(told, ensure_ascii=False)}
    if single:
        tags["DATETIME"] = first.tiles[0].taken.isoformat()
    return tags
