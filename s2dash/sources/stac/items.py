"""What a search finds: tiles, and the images they are parts of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, TypeAlias

import shapely
from pyproj import Geod

from s2dash.bands import parse_band
from s2dash.errors import AreaError
from s2dash.sources.stac.addresses import public_address
from s2dash.sources.stac.catalogues import CollectionRule

Geometry: TypeAlias = "shapely.Polygon | shapely.MultiPolygon"

GAP_S = 1800.0
"""Tiles of one satellite belong to one image where less than this lies between them, seconds: an orbit takes 100
minutes, and a pass from pole to pole half of it."""

_WGS84 = Geod(ellps="WGS84")
_BASELINE_PROPERTIES = ("s2:processing_baseline", "processing:version", "sentinel2:processing_baseline")
_TILE_PROPERTIES = ("grid:code", "s2:mgrs_tile", "s2:tile_id")
_EDGE_DEG = 0.05
"""Outlines are cut into pieces of at most this before they are measured, degrees."""


@dataclass(frozen=True)
class AssetFile:
    """One asset of a tile."""

    address: str
    """Where it lies, without any signature."""
    scale: float | None = None
    """Reflectance per number, where the item says it."""
    offset: float | None = None
    """Added after scaling, reflectance, where the item says it."""


@dataclass(frozen=True)
class Tile:
    """A STAC item: one tile of one image."""

    id: str
    """Identifier of the item."""
    collection: str
    """Its collection."""
    taken: datetime
    """When the image was taken, UTC."""
    platform: str
    """Satellite, e.g. `sentinel-2a`; empty where the item does not say."""
    outline: Geometry
    """Where it holds data, degrees; cut at the 180th meridian."""
    cloud_percent: float | None
    """Cloud cover of the whole tile, percent; None where the item does not say."""
    baseline: float | None
    """Processing baseline, e.g. 5.09; None where the item does not say."""
    place: str
    """Tile of the Military Grid, e.g. `MGRS-33UUP`; empty where the item does not say."""
    assets: Mapping[str, AssetFile] = field(repr=False)
    """Band (or `SCL`) → where it lies; only those the item has."""
    thumbnail: str = ""
    """Address of a small picture, free of secrets; empty where there is none."""
    epsg: int | None = None
    """Code of its coordinate system, where the item says it."""
    applied: bool | None = None
    """What the item says of the +1000 being taken off already; unreliable."""


@dataclass(frozen=True)
class SceneItem:
    """One image over an area: the tiles that one satellite took in one pass."""

    tiles: tuple[Tile, ...]
    """Its tiles, the one that covers most of the area first."""
    coverage_percent: float
    """Share of the area that its outlines cover, percent."""
    cloud_percent: float | None
    """Cloud cover of its tiles, percent, weighted by how much of the area each covers; None where unknown."""

    @property
    def id(self) -> str:
        """Names it among those found: the identifier of its first tile."""
        return self.tiles[0].id

    @property
    def day(self) -> date:
        """Day it was taken, UTC."""
        return self.tiles[0].taken.date()

    @property
    def platform(self) -> str:
        """Satellite; empty where unknown."""
        return self.tiles[0].platform

    @property
    def thumbnail(self) -> str:
        """Address of a small picture of its first tile; empty where there is none."""
        return next((tile.thumbnail for tile in self.tiles if tile.thumbnail), "")

    @property
    def clear_percent(self) -> float:
        """Share of the area that is likely to be seen clearly, percent: coverage without the clouds."""
        return self.coverage_percent * (1 - (self.cloud_percent or 0.0) / 100)

    def to_json(self) -> dict[str, Any]:
        """As JSON, for tables."""
        return {
            "id": self.id,
            "date": self.day.isoformat(),
            "platform": self.platform,
            "cloud_percent": self.cloud_percent,
            "coverage_percent": self.coverage_percent,
            "thumbnail": self.thumbnail,
            "tiles": [tile.id for tile in self.tiles],
        }


def read_tile(item: Any, *, rule: CollectionRule) -> Tile | None:
    """A tile out of a `pystac.Item`; None where it has no place or time.

    Args:
        item: The item, its addresses absolute.
        rule: What is known of its collection.
    """
    outline = outline_of(item.geometry)
    taken = item.datetime or item.common_metadata.start_datetime
    if outline is None or taken is None:
        return None
    told: Mapping[str, Any] = item.properties
    thumbnail = next(
        (public_address(item.assets[key].href) for key in ("thumbnail", "rendered_preview") if key in item.assets), ""
    )
    return Tile(
        id=item.id,
        collection=item.collection_id or rule.name,
        taken=taken,
        platform=str(told.get("platform") or told.get("constellation") or "").lower(),
        outline=outline,
        cloud_percent=_number(told.get("eo:cloud_cover")),
        baseline=next((value for key in _BASELINE_PROPERTIES if (value := _number(told.get(key))) is not None), None),
        place=next((str(told[key]) for key in _TILE_PROPERTIES if told.get(key)), ""),
        assets=_assets(item, rule),
        thumbnail=thumbnail,
        epsg=_epsg(item),
        applied=told.get("earthsearch:boa_offset_applied"),
    )


def outline_of(geometry: Mapping[str, Any] | None) -> Geometry | None:
    """The outline of an item, cut at the 180th meridian; None where it has none that makes sense."""
    from s2dash.area import AreaOfInterest

    if not geometry:
        return None
    try:
        return AreaOfInterest.from_geojson(geometry).geometry
    except AreaError:
        return None


def latest(tiles: Sequence[Tile]) -> list[Tile]:
    """The tiles without those that were processed anew: of one place and time the highest baseline stays."""
    best: dict[tuple[str, ...], Tile] = {}
    for tile in tiles:
        key = (tile.platform, tile.place, tile.taken.isoformat(timespec="minutes")) if tile.place else (tile.id,)
        other = best.get(key)
        if other is None or (tile.baseline or 0, tile.id) > (other.baseline or 0, other.id):
            best[key] = tile
    return list(best.values())


def group_tiles(tiles: Sequence[Tile], area: Geometry) -> list[SceneItem]:
    """Tiles of one pass together, the earliest image first; those that only touch the area are left out.

    Args:
        tiles: Tiles in any order.
        area: The area, degrees, cut at the 180th meridian.
    """
    whole = area_m2(area)
    shares = {tile.id: area_m2(tile.outline & area) / whole for tile in tiles}
    groups: list[list[Tile]] = []
    for tile in sorted(tiles, key=lambda each: (each.platform, each.taken, each.id)):
        if shares[tile.id] <= 0:
            continue
        last = groups[-1][-1] if groups else None
        together = last and last.platform == tile.platform and (tile.taken - last.taken).total_seconds() < GAP_S
        if together:
            groups[-1].append(tile)
        else:
            groups.append([tile])
    found = [_scene_item(group, area, whole, shares) for group in groups]
    return sorted(found, key=lambda each: (each.day, each.platform, each.id))


def area_m2(geometry: shapely.Geometry) -> float:
    """Geodesic area of polygons on the WGS 84 ellipsoid, m² (Karney 2013); edges run straight in degrees."""
    total = 0.0
    for part in shapely.get_parts(shapely.segmentize(geometry, _EDGE_DEG)):
        if part.geom_type == "Polygon" and not part.is_empty:
            total += abs(_WGS84.geometry_area_perimeter(shapely.orient_polygons(part))[0])
    return total


def _scene_item(tiles: list[Tile], area: Geometry, whole: float, shares: Mapping[str, float]) -> SceneItem:
    ordered = tuple(sorted(tiles, key=lambda tile: (-shares[tile.id], tile.id)))
    together = shapely.union_all([tile.outline for tile in ordered])
    known = [(tile.cloud_percent, shares[tile.id]) for tile in ordered if tile.cloud_percent is not None]
    weight = sum(share for _, share in known)
    return SceneItem(
        tiles=ordered,
        coverage_percent=min(100.0 * area_m2(together & area) / whole, 100.0),
        cloud_percent=sum(cloud * share for cloud, share in known) / weight if weight else None,
    )


def _assets(item: Any, rule: CollectionRule) -> dict[str, AssetFile]:
    if rule.assets:
        return {band: _asset_file(item.assets[key]) for band, key in rule.assets.items() if key in item.assets}
    found: dict[str, tuple[tuple[bool, float, str], AssetFile]] = {}
    for key, asset in item.assets.items():
        band = parse_band(key) or _common_band(asset)
        kind = asset.media_type or ""
        if band is None or (kind and not kind.startswith("image/")) or kind in ("image/png", "image/jpeg"):
            continue
        size = _number(asset.extra_fields.get("gsd")) or _number(asset.extra_fields.get("raster:spatial_resolution"))
        rank = ("jp2" in kind or "jp2" in key, size or 0.0, key)
        if band not in found or rank < found[band][0]:
            found[band] = rank, _asset_file(asset)
    return {band: file for band, (_, file) in found.items()}


def _common_band(asset: Any) -> str | None:
    """The band that the metadata of an asset name, where they name just one."""
    bands = asset.extra_fields.get("eo:bands") or asset.extra_fields.get("bands") or []
    if len(bands) != 1 or not isinstance(bands[0], Mapping):
        return None
    return parse_band(str(bands[0].get("name", "")))


def _asset_file(asset: Any) -> AssetFile:
    """An asset; scale and offset as STAC 1.1 (`raster:offset`) or raster extension 1.1 (`raster:bands`) has them."""
    fields = asset.extra_fields
    bands = [band for key in ("bands", "raster:bands") for band in fields.get(key) or [] if isinstance(band, Mapping)]
    places: list[Mapping[str, Any]] = [fields, *bands[:1], *fields.get("raster:bands", [])[:1]]

    def told(name: str) -> float | None:
        values = (_number(place.get(key)) for place in places for key in (f"raster:{name}", name))
        return next((value for value in values if value is not None), None)

    return AssetFile(asset.get_absolute_href() or asset.href, told("scale"), told("offset"))


def _epsg(item: Any) -> int | None:
    code = item.properties.get("proj:code") or item.properties.get("proj:epsg")
    found = _number(str(code).upper().removeprefix("EPSG:")) if code else None
    return int(found) if found else None


def _number(value: object) -> float | None:
    try:
        return float(str(value)) if value is not None and not isinstance(value, bool) else None
    except ValueError:
        return None
