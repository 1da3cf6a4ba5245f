"""Pictures on a Leaflet map: warped to its projection, with layers, legend and drawing; always the same HTML."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from s2dash.dashboard.assets import PUBLIC_CDN, MapAssets
from s2dash.dashboard.pictures import (
    MAX_SIDE,
    Picture,
    PictureArray,
    indexed_png,
    png_bytes,
    thin_labels,
    webp_bytes,
)
from s2dash.errors import GridMismatchError, MissingCRSError
from s2dash.types import LabelArray, NumberArray

if TYPE_CHECKING:
    import folium

Bounds = tuple[tuple[float, float], tuple[float, float]]
"""((south, west), (north, east)) in degrees: outer edges, in Leaflet's order."""
BaseMap = Literal["OpenStreetMap"]
"""Tiles from the internet that can lie under everything."""

_EARTH = 6378137.0  # radius of the Web Mercator sphere, m


def warp_to_web_mercator(
    rgba: PictureArray, grid: GeoBox, *, smooth: bool = False, max_side: int = MAX_SIDE, detail: float = 2.0
) -> tuple[PictureArray, Bounds]:
    """A picture in the projection of web maps, and exactly where it lies there.

    Args:
        rgba: Shape (y, x, 4), on `grid`.
        grid: Any projection, also rotated or across the 180th meridian.
        smooth: False takes the nearest pixel, so that class colours stay what they are; True interpolates bilinearly,
            for imagery. Transparency is always nearest.
        max_side: Longest side of the result, pixels.
        detail: Pixels of the result per pixel of the picture, at most. Above 1 keeps class borders where they are.

    Returns:
        A picture of shape (y', x', 4), transparent outside the source, and the bounds of its outer edges. Longitudes
        go beyond 180 degrees where the picture does.

    Raises:
        GridMismatchError: If the picture is not on the grid.
        MissingCRSError: If the grid does not say where it lies.
    """
    from rasterio.crs import CRS
    from rasterio.warp import Resampling, reproject

    height, width = (int(side) for side in grid.shape)
    if rgba.shape != (height, width, 4):
        raise GridMismatchError(f"A picture of shape {rgba.shape} does not lie on a grid of {height} x {width} pixels.")
    if grid.crs is None:
        raise MissingCRSError("The picture has no coordinate reference system, so it has no place on a map.")

    # Web Mercator centred on the picture: the same but for a shift in x, and whole where 180 degrees cut through it.
    middle, _ = _to_degrees(str(grid.crs)).transform(*(grid.transform @ (width / 2, height / 2)))
    mercator = (
        f"+proj=merc +a={_EARTH} +b={_EARTH} +lat_ts=0 +lon_0={middle!r} +x_0=0 +y_0=0 +k=1 +units=m "
        "+nadgrids=@null +no_defs"
    )
    left, bottom, right, top, diagonal = _edges(grid, mercator)
    resolution = diagonal / math.hypot(width, height) / detail
    resolution = max(resolution, (right - left) / max_side, (top - bottom) / max_side)
    shape = (
        min(math.ceil((top - bottom) / resolution), max_side),
        min(math.ceil((right - left) / resolution), max_side),
    )
    transform = Affine(resolution, 0.0, left, 0.0, -resolution, top)

    def warp(bands: NumberArray, resampling: Resampling) -> NumberArray:
        warped = np.zeros((len(bands), *shape), dtype=bands.dtype)
        reproject(
            np.ascontiguousarray(bands),
            warped,
            src_transform=grid.transform,
            src_crs=CRS.from_user_input(str(grid.crs)),
            dst_transform=transform,
            dst_crs=CRS.from_proj4(mercator),
            resampling=resampling,
            tolerance=0,  # GDAL's default is off by up to an eighth of a pixel, enough to move class borders
        )
        return warped

    bands = np.moveaxis(rgba, -1, 0)
    warped = np.moveaxis(warp(bands, Resampling.nearest), 0, -1).astype(np.uint8)
    if smooth:
        # Colours weighted by alpha, so that transparent pixels lend their neighbours no black.
        alpha = bands[3:].astype(np.float32) / 255.0
        weighted = warp(np.concatenate([bands[:3] * alpha, alpha]).astype(np.float32), Resampling.bilinear)
        shown = (warped[..., 3] > 0) & (weighted[3] > 0)
        warped[shown, :3] = np.rint(np.clip(weighted[:3, shown] / weighted[3, shown], 0, 255)).T.astype(np.uint8)
    warped[warped[..., 3] == 0] = 0

    def degrees(x: float, y: float) -> tuple[float, float]:
        return math.degrees(2 * math.atan(math.exp(y / _EARTH)) - math.pi / 2), middle + math.degrees(x / _EARTH)

    south_west = degrees(left, top - shape[0] * resolution)
    north_east = degrees(left + shape[1] * resolution, top)
    return np.ascontiguousarray(warped), (south_west, north_east)


@cache
def _to_degrees(crs: str) -> Transformer:
    return Transformer.from_crs(crs, "EPSG:4326", always_xy=True)


def _edges(grid: GeoBox, projection: str) -> tuple[float, float, float, float, float]:
    """Left, bottom, right, top of the grid's outline in another projection, and the length of its diagonal there."""
    height, width = (int(side) for side in grid.shape)
    across, down = np.linspace(0, width, 65), np.linspace(0, height, 65)
    columns = np.concatenate([across, across, np.zeros(65), np.full(65, float(width))])
    rows = np.concatenate([np.zeros(65), np.full(65, float(height)), down, down])
    affine = grid.transform
    x, y = Transformer.from_crs(str(grid.crs), projection, always_xy=True).transform(
        affine.a * columns + affine.b * rows + affine.c, affine.d * columns + affine.e * rows + affine.f
    )
    return float(x.min()), float(y.min()), float(x.max()), float(y.max()), math.hypot(x[64] - x[65], y[64] - y[65])


def pixel_at(grid: GeoBox, *, latitude: float, longitude: float) -> tuple[int, int] | None:
    """Row and column of the pixel at a place, for instance where the person clicked; None outside the grid.

    Args:
        grid: In any projection.
        latitude: Degrees.
        longitude: Degrees; may be a whole turn off, as Leaflet reports it after panning around the world.
    """
    if grid.crs is None:
        raise MissingCRSError("The grid has no coordinate reference system, so no place lies on it.")
    turned = (longitude + 180.0) % 360.0 - 180.0
    x, y = _to_degrees(str(grid.crs)).transform(turned, latitude, direction="INVERSE")
    if not (math.isfinite(x) and math.isfinite(y)):
        return None
    column, row = ~grid.transform @ (x, y)
    height, width = grid.shape
    if 0 <= row < height and 0 <= column < width:
        return int(row), int(column)
    return None


@dataclass(frozen=True)
class MapLayer:
    """One picture on the map."""

    name: str
    """What the person reads in the layer list; any text, shown as it is."""
    url: str
    """The encoded picture: a `data:` address, or one the app serves."""
    bounds: Bounds
    """Its outer edges."""
    opacity: float = 1.0
    """At first, 0-1; the person changes it on the map without a rerun."""
    shown: bool = True
    """Whether it is switched on at first."""
    crisp: bool = True
    """Whether pixels stay square when the person zooms in."""


def picture_layer(
    name: str,
    picture: Picture,
    *,
    imagery: bool = False,
    opacity: float = 1.0,
    shown: bool = True,
    max_side: int = MAX_SIDE,
) -> MapLayer:
    """A picture made ready for the map.

    Args:
        name: See `MapLayer`.
        picture: With its grid.
        imagery: Interpolate and compress with a little loss; leave False for classes, whose colours must stay exact.
        opacity: At first, 0-1.
        shown: Whether it is switched on at first.
        max_side: Longest side of the picture that is sent to the browser, pixels.
    """
    rgba, bounds = warp_to_web_mercator(picture.rgba, picture.grid, smooth=imagery, max_side=max_side)
    kind, encoded = ("webp", webp_bytes(rgba)) if imagery else ("png", png_bytes(rgba))
    url = f"data:image/{kind};base64,{b64encode(encoded).decode('ascii')}"
    return MapLayer(name=name, url=url, bounds=bounds, opacity=opacity, shown=shown, crisp=not imagery)


@dataclass(frozen=True)
class WarpedLabels:
    """A cluster or class map in the projection of web maps, ready to be coloured again and again."""

    codes: LabelArray
    """Shape (y, x); 0 where there is nothing."""
    bounds: Bounds
    """Its outer edges."""


def warp_labels(labels: LabelArray, grid: GeoBox, *, max_side: int = MAX_SIDE) -> WarpedLabels:
    """A map of any size, warped by nearest neighbour to at most `max_side` pixels a side."""
    thinned, coarse = thin_labels(labels, grid, max_side=max_side)
    rgba = np.zeros((*thinned.shape, 4), dtype=np.uint8)
    rgba[..., 0] = thinned
    rgba[..., 3] = 255
    warped, bounds = warp_to_web_mercator(rgba, coarse, max_side=max_side)
    return WarpedLabels(np.ascontiguousarray(warped[..., 0]), bounds)


def label_layer(
    name: str, labels: WarpedLabels, colours: Mapping[int, str], *, opacity: float = 1.0, shown: bool = True
) -> MapLayer:
    """A warped map in colours.

    Args:
        name: See `MapLayer`.
        labels: See `warp_labels`.
        colours: `#RRGGBB` by code; codes without a colour are transparent.
        opacity: At first, 0-1.
        shown: Whether it is switched on at first.
    """
    encoded = b64encode(indexed_png(labels.codes, colours)).decode("ascii")
    return MapLayer(name, f"data:image/png;base64,{encoded}", labels.bounds, opacity, shown)


def scene_map(
    layers: Sequence[MapLayer],
    *,
    bounds: Bounds | None = None,
    legend: Sequence[tuple[str, str]] = (),
    legend_title: str = "",
    attribution: str = "",
    draw: bool = False,
    base_map: BaseMap | None = None,
    assets: MapAssets = PUBLIC_CDN,
    remember_view: str = "",
) -> folium.Map:
    """A map with these layers, the first at the bottom.

    The same arguments give the same HTML to the byte, so that Streamlit keeps the map, and what is being drawn on it,
    from one rerun to the next. Build it anew for every `st_folium` call, because that call renames the map's parts;
    keep the layers instead. Names, legend and attribution may be any text: none of it is read as HTML, script or
    template.

    Args:
        layers: May be empty.
        bounds: What to show at first; defaults to all layers.
        legend: Pairs of text and `#RRGGBB`; a text without a colour is a heading.
        legend_title: Heading of the legend.
        attribution: Whose data are shown.
        draw: Let the person draw a rectangle or a polygon.
        base_map: Tiles under the layers. None by default: without internet they would be broken squares.
        assets: Where the browser files are; see `find_assets`.
        remember_view: Any text that stays the same, a run's id for instance: a map that is built anew under it opens
            where the person had moved the last one. Empty for no memory.
    """
    import folium

    from s2dash.dashboard.controls import map_controls

    shown_bounds = bounds or _union([layer.bounds for layer in layers])
    (south, west), (north, east) = shown_bounds
    figure_map = folium.Map(
        location=((south + north) / 2, (west + east) / 2),
        tiles=None,
        zoom_start=12,
        max_zoom=21,
        zoom_snap=1 if base_map else 0.25,
        zoom_delta=1 if base_map else 0.5,
    )
    # On the instance only: the lists of the class, which other maps share, stay as they are.
    figure_map.default_js = [("leaflet", assets.leaflet_js)]
    figure_map.default_css = [("leaflet_css", assets.leaflet_css)]

    named: list[tuple[str, folium.map.Layer]] = []
    if base_map:
        tiles = folium.TileLayer(base_map, overlay=True, control=False, max_native_zoom=19, max_zoom=21)
        tiles.add_to(figure_map)
        named.append((f"{base_map} (internet)", tiles))
    for layer in layers:
        overlay = folium.raster_layers.ImageOverlay(
            image="data:,",
            bounds=[list(corner) for corner in layer.bounds],
            opacity=layer.opacity,
            class_name="s2-crisp" if layer.crisp else "s2-smooth",
            pixelated=False,  # folium's switch is for all layers at once
            control=False,
            show=layer.shown,
        )
        overlay.url = layer.url
        overlay.add_to(figure_map)
        named.append((layer.name, overlay))
    if draw:
        _drawing(assets).add_to(figure_map)
    map_controls(
        named,
        bounds=shown_bounds,
        legend=legend,
        legend_title=legend_title,
        attribution=attribution,
        memory=sha256(remember_view.encode()).hexdigest()[:16] if remember_view else "",
    ).add_to(figure_map)
    _fix_names(figure_map)
    return figure_map


def _union(boxes: Sequence[Bounds]) -> Bounds:
    if not boxes:
        return (-60.0, -170.0), (75.0, 170.0)
    return (
        (min(box[0][0] for box in boxes), min(box[0][1] for box in boxes)),
        (max(box[1][0] for box in boxes), max(box[1][1] for box in boxes)),
    )


def _drawing(assets: MapAssets) -> folium.plugins.Draw:
    from folium.plugins import Draw

    style = {"color": "#FF7A00", "weight": 2, "fillOpacity": 0.08}
    draw = Draw(  # type: ignore[no-untyped-call]
        draw_options={
            # leaflet-draw 1.0.4 fails on a rectangle whose area it is to show (Leaflet.draw issue 1026).
            "rectangle": {"shapeOptions": style, "showArea": False},
            "polygon": {"shapeOptions": style, "allowIntersection": False},
            "polyline": False,
            "circle": False,
            "circlemarker": False,
            "marker": False,
        },
        show_geometry_on_click=False,
    )
    draw.default_js = [("leaflet_draw_js", assets.draw_js)]
    draw.default_css = [("leaflet_draw_css", assets.draw_css)]
    return draw


def _fix_names(figure_map: folium.Map) -> None:
    """Replace folium's random identifiers by ones that follow from the place in the map."""

    def fix(element: folium.Element, path: str) -> None:
        # As long as folium's own: st_folium replaces them by text search, so they must look like nothing else.
        element._id = sha256(path.encode()).hexdigest()[:32]
        children = list(element._children.values())
        for index, child in enumerate(children):
            fix(child, f"{path}/{index}")
        element._children = OrderedDict((child.get_name(), child) for child in children)

    fix(figure_map, json.dumps("s2dash map"))
    root = figure_map.get_root()
    root._children = OrderedDict([(figure_map.get_name(), figure_map)])
