"""A Leaflet map of pictures and shapes, with layer list, legend and drawing tools; always the same HTML."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from s2dash.dashboard.assets import PUBLIC_CDN, MapAssets
from s2dash.dashboard.language import t
from s2dash.dashboard.layers import MapLayer, MapShape, WarpedLabels, label_layer, picture_layer, warp_labels
from s2dash.dashboard.publish import published, short_url
from s2dash.dashboard.warping import Bounds, warp_to_web_mercator
from s2dash.probe import pixel_at

if TYPE_CHECKING:
    import folium

__all__ = [
    "BaseMap",
    "Bounds",
    "MapLayer",
    "MapShape",
    "WarpedLabels",
    "label_layer",
    "picture_layer",
    "pixel_at",
    "scene_map",
    "warp_labels",
    "warp_to_web_mercator",
]

BaseMap = Literal["OpenStreetMap"]
"""Tiles from the internet that can lie under everything."""


def scene_map(
    layers: Sequence[MapLayer],
    *,
    bounds: Bounds | None = None,
    legend: Sequence[tuple[str, str]] = (),
    legend_title: str = "",
    attribution: str = "",
    shapes: Sequence[MapShape] = (),
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
        legend: Pairs of text and `#RRGGBB`; a text without a colour is a heading, and one with several colours, as of
            `colour_bar`, a bar.
        legend_title: Heading of the legend.
        attribution: Whose data are shown.
        shapes: Outlines and points on top of the layers. Those that are `editable` can be changed and deleted with
            the drawing tools, as if the person had drawn them.
        draw: Let the person draw rectangles and polygons, and edit them.
        base_map: Tiles from the internet that the person can switch on under the layers; nothing is asked of the
            internet before. None offers none.
        assets: Where the browser files are; see `find_assets`.
        remember_view: Any text that stays the same, a run's id for instance: a map that is built anew under it opens
            where the person had moved the last one. Empty for no memory.
    """
    import folium

    from s2dash.dashboard.base_map import BaseMapNote, base_tiles
    from s2dash.dashboard.controls import map_controls
    from s2dash.dashboard.fine_layers import FineLayers
    from s2dash.dashboard.shapes import DrawingTexts, Shapes, drawing_tools
    from s2dash.dashboard.swipe import Panes, Swipe

    shown_bounds = bounds or _union([layer.bounds for layer in layers])
    (south, west), (north, east) = shown_bounds
    figure_map = folium.Map(
        location=((south + north) / 2, (west + east) / 2),
        tiles=None,
        zoom_start=12,
        max_zoom=21,
        zoom_snap=0.25,
        zoom_delta=0.5,
    )
    # On the instance only: the lists of the class, which other maps share, stay as they are.
    figure_map.default_js = [("leaflet", assets.leaflet_js)]
    figure_map.default_css = [("leaflet_css", assets.leaflet_css)]

    memory = sha256(remember_view.encode()).hexdigest()[:16] if remember_view else ""
    Panes(len(layers)).add_to(figure_map)
    listed: list[tuple[str, folium.map.Layer]] = []
    if base_map:
        tiles = base_tiles(base_map)
        tiles.add_to(figure_map)
        listed.append((t("map.base_map", name=base_map), tiles))
    pictures: list[tuple[str, folium.map.Layer]] = []
    for place, layer in enumerate(layers):
        overlay = folium.raster_layers.ImageOverlay(
            image="data:,",
            bounds=[list(corner) for corner in layer.bounds],
            opacity=layer.opacity,
            class_name="s2-crisp" if layer.crisp else "s2-smooth",
            pixelated=False,  # folium's switch is for all layers at once
            control=False,
            show=layer.shown,
            pane=Panes.name_of(place),
        )
        overlay.url = short_url(layer.url)
        overlay.add_to(figure_map)
        pictures.append((layer.name, overlay))
    fine = [
        (overlay, layer.fine, [published(piece, layer.fine.kind) if piece else "" for piece in layer.fine.pieces])
        for layer, (_, overlay) in zip(layers, pictures, strict=True)
        if layer.fine is not None
    ]
    tools = drawing_tools(assets) if draw else None
    if tools is not None:
        DrawingTexts(assets).add_to(figure_map)
        tools.add_to(figure_map)
    if shapes or tools is not None:
        Shapes(shapes, tools).add_to(figure_map)
    if any(url for _, _, urls in fine for url in urls):  # megabytes of pieces only where they are served
        FineLayers(fine).add_to(figure_map)
    map_controls(
        [*listed, *pictures],
        bounds=shown_bounds,
        legend=legend,
        legend_title=legend_title,
        attribution=attribution,
        memory=memory,
    ).add_to(figure_map)
    if len(pictures) > 1:
        Swipe(pictures, memory=memory).add_to(figure_map)
    if base_map:
        BaseMapNote(listed[0][1]).add_to(figure_map)
    _fix_names(figure_map)
    return figure_map


def _union(boxes: Sequence[Bounds]) -> Bounds:
    if not boxes:
        return (-60.0, -170.0), (75.0, 170.0)
    return (
        (min(box[0][0] for box in boxes), min(box[0][1] for box in boxes)),
        (max(box[1][0] for box in boxes), max(box[1][1] for box in boxes)),
    )


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
