"""Outlines and points on the map, and the tools that draw and edit them; none of their text is read as markup."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import folium
from folium.template import Template

from s2dash.dashboard.assets import MapAssets
from s2dash.dashboard.language import t
from s2dash.dashboard.layers import MapShape
from s2dash.dashboard.script import script_text

if TYPE_CHECKING:
    from folium.plugins import Draw

DRAWING_COLOUR = "#FF7A00"
"""Of what the person draws: no ground in true colour looks like it."""
# Where Leaflet.draw keeps its texts (`L.drawLocal`), and what ours is called in the texts of the map.
_DRAWING_TEXTS = {
    "draw.toolbar.actions.title": "draw_cancel_help",
    "draw.toolbar.actions.text": "draw_cancel",
    "draw.toolbar.finish.title": "draw_finish_help",
    "draw.toolbar.finish.text": "draw_finish",
    "draw.toolbar.undo.title": "draw_undo_help",
    "draw.toolbar.undo.text": "draw_undo",
    "draw.toolbar.buttons.polygon": "draw_polygon",
    "draw.toolbar.buttons.rectangle": "draw_rectangle",
    "draw.handlers.polygon.tooltip.start": "draw_polygon_start",
    "draw.handlers.polygon.tooltip.cont": "draw_polygon_go_on",
    "draw.handlers.polygon.tooltip.end": "draw_polygon_end",
    "draw.handlers.polyline.error": "draw_crossing",
    "draw.handlers.rectangle.tooltip.start": "draw_rectangle_start",
    "draw.handlers.simpleshape.tooltip.end": "draw_rectangle_end",
    "edit.toolbar.actions.save.title": "edit_save_help",
    "edit.toolbar.actions.save.text": "edit_save",
    "edit.toolbar.actions.cancel.title": "edit_cancel_help",
    "edit.toolbar.actions.cancel.text": "edit_cancel",
    "edit.toolbar.actions.clearAll.title": "edit_clear_help",
    "edit.toolbar.actions.clearAll.text": "edit_clear",
    "edit.toolbar.buttons.edit": "edit_shapes",
    "edit.toolbar.buttons.editDisabled": "edit_nothing",
    "edit.toolbar.buttons.remove": "remove_shapes",
    "edit.toolbar.buttons.removeDisabled": "remove_nothing",
    "edit.handlers.edit.tooltip.text": "edit_drag",
    "edit.handlers.edit.tooltip.subtext": "edit_give_up",
    "edit.handlers.remove.tooltip.text": "remove_click",
}


class Shapes(folium.MacroElement):
    """Shapes on a map; those to be edited go to the drawing tools."""

    _template = Template("""
        {% macro script(this, kwargs) %}
        (function (map, drawn, shapes) {
            function plain(text) {
                var box = document.createElement('div');
                box.textContent = text;
                return box.innerHTML;
            }
            function leaves(layer) {  // no group of Leaflet's: a click in one would count as something drawn
                var found = [];
                if (!layer.eachLayer) { return [layer]; }
                layer.eachLayer(function (child) { found = found.concat(leaves(child)); });
                layer.clearLayers();
                return found;
            }
            function upright(layer) {  // corners that make a rectangle along the degrees stay one when moved
                var rings = layer.getLatLngs && layer.getLatLngs();
                if (!(layer instanceof L.Polygon) || rings.length !== 1 || rings[0].length !== 4) { return layer; }
                var box = layer.getBounds(), whole = rings[0].every(function (at) {
                    return (at.lat === box.getNorth() || at.lat === box.getSouth())
                        && (at.lng === box.getWest() || at.lng === box.getEast());
                });
                return whole ? L.rectangle(box, layer.options) : layer;
            }
            shapes.forEach(function (shape) {
                var style = {
                    color: shape[2], weight: 2, fillColor: shape[2], fillOpacity: shape[3], radius: 6,
                    opacity: 1, interactive: true
                };
                leaves(L.geoJSON(JSON.parse(shape[1]), {
                    style: function () { return style; },
                    pointToLayer: function (feature, at) { return L.circleMarker(at, style); }
                })).forEach(function (layer) {
                    layer.feature = undefined;  // what comes back of it is what it is then, not what it was
                    var edited = shape[4] && drawn;
                    var shown = edited ? upright(layer) : layer;
                    shown.addTo(edited ? drawn : map);
                    if (shape[0]) { shown.bindTooltip(plain(shape[0])); }
                });
            });
            // Points on top: they are the smallest.
            map.eachLayer(function (layer) { if (layer instanceof L.CircleMarker) { layer.bringToFront(); } });
            if (!drawn) { return; }
            // Leaflet.draw reports all that was edited at once, st_folium looks for one: the last. One that is gone
            // is no longer the active one.
            map.on('draw:edited', function (event) {
                event.layers.eachLayer(function (layer) { event.layer = layer; });
            });
            map.on('draw:deleted', function (event) {
                event.layer = { toGeoJSON: function () { return null; } };
            });
        })(
            {{ this._parent.get_name() }},
            {% if this.draw %}drawnItems_{{ this.draw.get_name() }}{% else %}null{% endif %},
            {{ this.shapes }}
        );
        {% endmacro %}
    """)

    def __init__(self, shapes: Sequence[MapShape], draw: Draw | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = "Shapes"
        self.draw = draw
        self.shapes = script_text(
            [
                [shape.name, json.dumps(part), shape.colour, shape.fill_opacity, shape.editable]
                for shape in shapes
                for part in (_parts(shape.geometry) if shape.editable else [shape.geometry])
            ]
        )


def _parts(geometry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The polygons of a multipolygon: Leaflet.draw moves the corners of one at a time."""
    if geometry["type"] != "MultiPolygon":
        return [geometry]
    return [{"type": "Polygon", "coordinates": rings} for rings in geometry["coordinates"]]


class DrawingTexts(folium.MacroElement):
    """What the drawing tools say, in the session's language, and their icons; must stand before them."""

    _template = Template("""
        {% macro header(this, kwargs) %}
        <style>
            /* The style of the tools asks for an SVG, which Streamlit serves as plain text: no browser draws it. */
            .leaflet-container .leaflet-draw-toolbar.leaflet-bar a
                /* the icons are dark: their ground is white also in the dark theme */
                { background-color: #FFFFFF; background-image: url({{ this.icons }}); background-size: 300px 30px; }
        </style>
        {% endmacro %}

        {% macro script(this, kwargs) %}
        {{ this.texts }}.forEach(function (pair) {
            var steps = pair[0].split('.'), last = steps.pop();
            steps.reduce(function (at, step) { return at[step]; }, L.drawLocal)[last] = pair[1];
        });
        {% endmacro %}
    """)

    def __init__(self, assets: MapAssets) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = "DrawingTexts"
        self.icons = f"{assets.leaflet_draw}/images/spritesheet.png"
        self.texts = script_text([[place, t(f"map.{name}")] for place, name in _DRAWING_TEXTS.items()])


def drawing_tools(assets: MapAssets) -> Draw:
    """Tools to draw and edit rectangles and polygons."""
    from folium.plugins import Draw

    style = {"color": DRAWING_COLOUR, "weight": 2, "fillOpacity": 0.08}
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
