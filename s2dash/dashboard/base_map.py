"""Tiles from the internet under the layers, off until somebody wants them, and a note where they do not come."""

from __future__ import annotations

import folium
from folium.template import Template

from s2dash.dashboard.language import t
from s2dash.dashboard.script import script_text


def base_tiles(name: str) -> folium.TileLayer:
    """The tiles, switched off: nothing leaves the machine before the person switches them on.

    Args:
        name: Of the provider, as folium knows it.
    """
    return folium.TileLayer(name, overlay=True, control=False, show=False, max_native_zoom=19, max_zoom=21)


class BaseMapNote(folium.MacroElement):
    """Says so where the tiles do not come, and takes the layer off again where none does."""

    _template = Template("""
        {% macro script(this, kwargs) %}
        (function (map, tiles, said) {
            var good = 0, bad = 0, note = null;
            function hide() { if (note) { note.remove(); note = null; } }
            function show(text) {
                hide();
                note = L.control({ position: 'bottomleft' });
                note.onAdd = function () {
                    var box = L.DomUtil.create('div', 's2-panel s2-note');
                    L.DomEvent.disableClickPropagation(box);
                    box.setAttribute('role', 'status');
                    L.DomUtil.create('span', '', box).textContent = text + ' ';
                    var close = L.DomUtil.create('button', '', box);
                    close.type = 'button'; close.textContent = said[2];
                    L.DomEvent.on(close, 'click', hide);
                    return box;
                };
                note.addTo(map);
            }
            tiles.on('add', function () { good = 0; bad = 0; hide(); });
            tiles.on('tileload', function () { good += 1; });
            tiles.on('tileerror', function () {
                bad += 1;
                if (bad === 1) { show(said[good ? 1 : 0]); }
            });
            tiles.on('load', function () {
                if (!bad) { return; }
                show(said[good ? 1 : 0]);
                if (!good) { setTimeout(function () { map.removeLayer(tiles); }, 0); }
                bad = 0;
            });
        })({{ this._parent.get_name() }}, {{ this.tiles.get_name() }}, {{ this.said }});
        {% endmacro %}
    """)

    def __init__(self, tiles: folium.map.Layer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = "BaseMapNote"
        self.tiles = tiles
        self.said = script_text([t("map.base_map_gone"), t("map.base_map_partly"), t("map.close")])
