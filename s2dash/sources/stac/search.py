"""Searching a catalogue for images of an area between two days."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import shapely

from s2dash.errors import ImageryError, NoImageryError
from s2dash.progress import Progress, Silent
from s2dash.sources.stac.addresses import Patience, hide_secrets_in_logs, without_query, without_secrets
from s2dash.sources.stac.catalogues import Catalogue, CollectionRule, find_catalogue
from s2dash.sources.stac.items import Geometry, SceneItem, Tile, group_tiles, latest, outline_of, read_tile

if TYPE_CHECKING:
    from s2dash.area import AreaOfInterest

MOST_TILES = 2000
"""Items that are looked at in one search, unless told otherwise: years of images of a large area."""
PAGE = 100
"""Items asked for at a time."""
MOST_STATIC = 20_000
"""Items of a static catalogue that are opened, as each is a request of its own."""
MOST_VERTICES = 200
"""Outlines with more are searched for by the hull around them: many services refuse long ones."""

_RETRIED = (408, 429, 500, 502, 503, 504)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def search_scenes(
    area: AreaOfInterest,
    start: date | str,
    end: date | str,
    *,
    catalogue: str | Catalogue = "earth-search",
    collection: str | None = None,
    max_cloud: float = 100.0,
    min_coverage: float = 0.0,
    limit: int = MOST_TILES,
    patience: Patience | None = None,
    progress: Progress | None = None,
) -> list[SceneItem]:
    """Find images of an area, the earliest first.

    Tiles that one satellite took in one pass are one image; of tiles that were processed twice the newer baseline
    counts. An area across the 180th meridian is searched in two halves.

    Args:
        area: The area.
        start: First day, UTC.
        end: Last day, included.
        catalogue: A known catalogue, or the address of a STAC API or static catalogue.
        collection: Collection to search; by default the catalogue's own.
        max_cloud: Largest cloud cover of a tile, percent; tiles that do not say it are kept.
        min_coverage: Least share of the area that an image covers, percent.
        limit: Most tiles that are looked at.
        patience: How long the service is waited for.
        progress: Told after each page; cancels.

    Raises:
        NoImageryError: If nothing is found; the text says what to loosen.
        ImageryError: If the dates make no sense, or the catalogue cannot be searched.
        AreaError: If the area is too wide for one grid.
    """
    first, last = _days(start, end)
    if not 0 <= max_cloud <= 100:
        raise ImageryError(f"The largest cloud cover is a percentage between 0 and 100, not {max_cloud:g}.")
    if limit < 1:
        raise ImageryError(f"The limit is the number of tiles to look at, at least 1, not {limit}.")
    hide_secrets_in_logs()
    place = find_catalogue(catalogue)
    rule = place.collection(collection)
    patience, progress = patience or Patience(), progress or Silent()
    found: dict[str, Tile] = {}
    cut = False
    for half in halves(area.geometry):
        for item in find_items(place, rule, half, first, last, max_cloud, patience, progress, limit):
            if len(found) >= limit and item.id not in found:
                cut = True
                break
            tile = read_tile(item, rule=rule)
            if tile is not None and (tile.cloud_percent is None or tile.cloud_percent <= max_cloud):
                found[tile.id] = tile
                progress.report(0.5, f"Searching {place.title or place.name}: {len(found)} tiles")
    images = [
        image
        for image in group_tiles(latest(list(found.values())), area.geometry)
        if image.coverage_percent >= min_coverage
    ]
    progress.report(1.0, f"Searching {place.title or place.name}: {len(images)} images")
    if not images:
        raise NoImageryError(_nothing(area, place, rule, first, last, max_cloud, min_coverage, len(found), cut))
    return images


def parse_day(day: date | str, *, what: str) -> date:
    """A day as a date or as `2023-07-14`.

    Raises:
        ImageryError: If it is none.
    """
    if isinstance(day, datetime):
        return day.date()
    if isinstance(day, date):
        return day
    try:
        if not _DAY.fullmatch(day.strip()):
            raise ValueError
        return date.fromisoformat(day.strip())
    except ValueError:
        raise ImageryError(f"The {what} day {day!r} is no date. Write it as 2023-07-14.") from None


def _days(start: date | str, end: date | str) -> tuple[date, date]:
    first, last = parse_day(start, what="first"), parse_day(end, what="last")
    if first > last:
        raise ImageryError(f"The first day {first} lies after the last one {last}. Swap them.")
    if last < date(2015, 6, 23):
        raise ImageryError(f"Sentinel-2 was launched on 2015-06-23; there is nothing until {last}. Choose later days.")
    return first, last


def halves(area: Geometry) -> list[Geometry]:
    """The area as it is, or its parts on either side of the 180th meridian, with few vertices."""
    west, _, east, _ = area.bounds
    sides = [area]
    if west <= -180 and east >= 180:
        parts = list(shapely.get_parts(area))
        split = [[part for part in parts if (part.bounds[0] >= 0) == eastern] for eastern in (True, False)]
        sides = [shapely.union_all(side) for side in split if side]
    return [side if shapely.get_num_coordinates(side) <= MOST_VERTICES else _hull(side) for side in sides]


def _hull(outline: Geometry) -> Geometry:
    hull = shapely.convex_hull(outline)
    return hull if shapely.get_num_coordinates(hull) <= MOST_VERTICES else shapely.envelope(outline)


def find_items(
    place: Catalogue,
    rule: CollectionRule,
    half: Geometry,
    first: date,
    last: date,
    max_cloud: float,
    patience: Patience,
    progress: Progress,
    limit: int,
) -> Iterator[Any]:
    """Items over a part of the area, page by page.

    Raises:
        ImageryError: If the catalogue cannot be searched.
    """
    import pystac
    from pystac_client import Client
    from pystac_client.exceptions import APIError

    span = (datetime.combine(first, time.min, UTC), datetime.combine(last, time.max.replace(microsecond=0), UTC))
    progress.report(0.0, f"Searching {place.title or place.name}")
    try:
        stac_io = _stac_io(patience)
        root = json.loads(Path(place.url).read_text("utf-8") if place.local else stac_io.read_text(place.url))
        if not isinstance(root, dict):
            raise ValueError("it is no STAC catalogue")
        if not any(link.get("rel") == "search" for link in root.get("links", [])):
            yield from _static_items(place, rule, half, span, stac_io, progress)
            return
        conforms = [str(each) for each in root.get("conformsTo") or []]
        root.setdefault("conformsTo", conforms)
        client = Client.from_dict(root, href=place.url)
        client._stac_io = stac_io
        if not any("item-search" in each for each in conforms):
            client.add_conforms_to("ITEM_SEARCH")  # it has a search link, whatever it says of itself
        query = {"eo:cloud_cover": {"lte": max_cloud}} if max_cloud < 100 and _has(conforms, "query") else None
        search = client.search(
            method="POST" if _takes_post(root) else "GET",
            collections=[rule.name],
            intersects=json.loads(shapely.to_geojson(half)),
            datetime=span,
            query=query,
            limit=min(PAGE, limit),
            max_items=limit + 1,
        )
        for page in search.pages_as_dicts():
            progress.report(0.5, f"Searching {place.title or place.name}")
            for feature in page.get("features", []):
                yield pystac.Item.from_dict(feature, preserve_dict=False)
    except (APIError, pystac.errors.STACError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ImageryError(_failed(place, error)) from None


def _has(conforms: list[str], word: str) -> bool:
    return any(each.rstrip("/").endswith(f"item-search#{word}") for each in conforms)


def _takes_post(root: Mapping[str, Any]) -> bool:
    methods = {str(link.get("method", "GET")).upper() for link in root.get("links", []) if link.get("rel") == "search"}
    return "POST" in methods


def _stac_io(patience: Patience) -> Any:
    from pystac_client.stac_api_io import StacApiIO
    from urllib3.util.retry import Retry

    retries = Retry(
        total=max(patience.attempts - 1, 0),
        status_forcelist=_RETRIED,
        allowed_methods=None,  # a search changes nothing, so POST may be repeated too
        backoff_factor=patience.delay_s,
        backoff_max=patience.longest_s,
        respect_retry_after_header=True,
        retry_after_max=max(int(patience.longest_s), 1),
        raise_on_status=False,
    )
    return StacApiIO(max_retries=retries, timeout=(min(patience.timeout_s, 20.0), patience.timeout_s))


def _static_items(
    place: Catalogue,
    rule: CollectionRule,
    half: Geometry,
    span: tuple[datetime, datetime],
    stac_io: Any,
    progress: Progress,
) -> Iterator[Any]:
    """Items of a catalogue without a search: all are opened, and those that fit are kept."""
    import pystac

    catalogue = pystac.Catalog.from_file(place.url, stac_io=pystac.StacIO.default() if place.local else stac_io)
    named = any(each.id == rule.name for each in catalogue.get_collections())
    for count, item in enumerate(catalogue.get_items(recursive=True), start=1):
        progress.report(0.5, f"Reading {place.title or place.name}: {count} items")
        if count > MOST_STATIC:
            raise ImageryError(
                f"{place.shown} holds more than {MOST_STATIC:,} items and cannot be searched by its own means, so each "
                "would have to be opened. Give the address of a catalogue further down, of the region or the year."
            )
        if named and item.collection_id not in (rule.name, None):
            continue
        taken, outline = item.datetime, outline_of(item.geometry)
        if taken is not None and span[0] <= _utc(taken) <= span[1] and outline is not None and outline.intersects(half):
            yield item


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _failed(place: Catalogue, error: Exception) -> str:
    status = getattr(error, "status_code", None)
    where = f"{place.title or place.name} ({without_query(place.url)})"
    if status in (401, 403):
        return f"{where} wants a key or refuses the one given ({status}). Choose another catalogue, or give its key."
    if status == 404:
        return f"{where} has no such collection, or is no STAC catalogue (404). Check the address and the collection."
    if status == 429:
        return f"{where} is asked too often (429). Wait a few minutes, or choose another catalogue."
    said = f"it answered {status}" if status else without_secrets(error)[:300] or type(error).__name__
    return f"{where} cannot be searched: {said}. Check the network and the address, or choose another catalogue."


def _nothing(
    area: AreaOfInterest,
    place: Catalogue,
    rule: CollectionRule,
    first: date,
    last: date,
    max_cloud: float,
    min_coverage: float,
    seen: int,
    cut: bool,
) -> str:
    west, south, east, north = area.bounds
    days = (last - first).days + 1
    hints = []
    if cut:
        hints.append("raise the limit")
    if max_cloud < 60:
        hints.append(f"allow more cloud than {max_cloud:g} %")
    if min_coverage > 0:
        hints.append(f"allow images that cover less than {min_coverage:g} % of the area")
    if days < 60:
        hints.append(f"search more than these {days} days")
    if max(abs(south), abs(north)) > 83:
        hints.append("choose an area between 56° S and 83° N, as Sentinel-2 sees nothing around the poles")
    hints.append("check that the area is not open sea, which Sentinel-2 does not record far from the coast")
    hints.append("try another catalogue")
    return (
        f"{place.title or place.name} has no image in {rule.name} of the area {west:.4f}, {south:.4f}, {east:.4f}, "
        f"{north:.4f} from {first} to {last} with at most {max_cloud:g} % cloud"
        f"{f' that covers {min_coverage:g} % of it' if min_coverage else ''} ({seen} tiles were looked at). To find "
        f"some: {'; '.join(hints)}."
    )
