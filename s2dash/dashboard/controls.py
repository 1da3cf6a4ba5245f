"""What lies on top of the map: layer list with opacity, legend, scale, a way home. All text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import folium
from folium.template import Template

from s2dash.dashboard.language import t
from s2dash.dashboard.script import script_text


class _Controls(folium.MacroElement):
    """Everything on the map that is neither a picture nor drawn by the person."""

    _template = Template("""
        {% macro header(this, kwargs) %}
        <style>
            /* The colours of the page around the map, light or dark, as Streamlit hands them in. */
            .leaflet-container { --s2-paper: var(--background-color, #FFFFFF); --s2-ink: var(--text-color, #202124);
                background: color-mix(in srgb, var(--s2-ink) 13%, var(--s2-paper)); font-size: 13px; }
            .leaflet-image-layer.s2-crisp { image-rendering: pixelated; }
            .leaflet-control-layers-overlays label > span { display: flex; align-items: center; gap: 5px; }
            .leaflet-container .leaflet-control-layers-expanded, .s2-panel,
            .leaflet-container .leaflet-control-scale-line, .leaflet-container .leaflet-control-attribution
                { background: color-mix(in srgb, var(--s2-paper) 92%, transparent); color: var(--s2-ink); }
            .leaflet-container .leaflet-control-scale-line { border-color: var(--s2-ink); text-shadow: none; }
            .leaflet-container .leaflet-control-attribution a { color: inherit; }
            .leaflet-container .leaflet-bar a { background-color: var(--s2-paper); color: var(--s2-ink);
                border-color: color-mix(in srgb, var(--s2-ink) 25%, var(--s2-paper)); }
            .leaflet-container .leaflet-bar a.leaflet-disabled { opacity: .6; }
            .leaflet-control-layers-overlays { max-width: 230px; overflow-wrap: anywhere; }
            .s2-opacity { display: block; width: 120px; height: 14px; margin: 1px 0 5px 20px; accent-color: #4A8C74; }
            .leaflet-control-layers input[type=checkbox] { accent-color: #4A8C74; }
            .s2-panel { border-radius: 5px; padding: 6px 10px; box-shadow: 0 1px 5px rgba(0, 0, 0, .4);
                max-width: 230px; overflow-y: auto; line-height: 1.35; }
            .s2-panel summary { font-weight: 600; cursor: pointer; }
            .s2-panel b { display: block; margin: 5px 0 1px; font-weight: 600; }
            .s2-row { display: flex; align-items: flex-start; gap: 7px; overflow-wrap: anywhere; }
            .s2-swatch { flex: none; width: 13px; height: 13px; margin-top: 2px; border-radius: 2px;
                box-shadow: inset 0 0 0 1px rgba(128, 128, 128, .6); }
            .s2-home { font: 18px/30px sans-serif; }
            .s2-bar { height: 12px; margin-top: 4px; border-radius: 2px;
                box-shadow: inset 0 0 0 1px rgba(128, 128, 128, .6); }
            .s2-ends { display: flex; justify-content: space-between; gap: 12px; min-width: 150px; }
        </style>
        {% endmacro %}

        {% macro script(this, kwargs) %}
        (function (map, layers, names, bounds, legend, heading, credit, memory, said) {
            function plain(text) {
                var box = document.createElement('div');
                box.textContent = text;
                return box.innerHTML;
            }
            function still(box) {
                L.DomEvent.disableClickPropagation(box);
                L.DomEvent.disableScrollPropagation(box);
                return box;
            }
            map.attributionControl.setPrefix('Leaflet');
            if (credit) { map.attributionControl.addAttribution(plain(credit)); }
            L.control.scale({ imperial: false, maxWidth: 140 }).addTo(map);
            function called(button, text) { button.title = text; button.setAttribute('aria-label', text); }
            called(map.zoomControl._zoomInButton, said[3]);
            called(map.zoomControl._zoomOutButton, said[4]);

            var moved = false;
            function home() {
                var size = map.getSize();
                if (size.x < 20 || size.y < 20) { return; }  // hidden: Leaflet would compute a zoom of NaN
                map.fitBounds(bounds, { animate: false, padding: [4, 4] });
            }
            home();
            if (memory) {
                try {
                    var kept = JSON.parse(window.sessionStorage.getItem('s2dash-view-' + memory));
                    if (kept) { map.setView([kept[0], kept[1]], kept[2], { animate: false }); moved = true; }
                } catch (error) { /* no storage: the map opens on its layers */ }
            }
            ['mousedown', 'wheel', 'touchstart', 'keydown'].forEach(function (kind) {
                // On the way down: the buttons of the map let no click through on its way up.
                map.getContainer().addEventListener(
                    kind, function () { moved = true; }, { passive: true, capture: true });
            });
            map.on('moveend', function () {
                if (!memory || !moved) { return; }
                try {
                    var at = map.getCenter();
                    window.sessionStorage.setItem(
                        's2dash-view-' + memory, JSON.stringify([at.lat, at.lng, map.getZoom()]));
                } catch (error) { /* private window: nothing is kept */ }
            });
            if (window.ResizeObserver) {
                // A map in a hidden tab starts with no size; it finds its place when it gets one.
                new ResizeObserver(function () {
                    map.invalidateSize({ animate: false });
                    if (!moved) { home(); }
                }).observe(map.getContainer());
            }
            var Home = L.Control.extend({
                options: { position: 'topleft' },
                onAdd: function () {
                    var bar = still(L.DomUtil.create('div', 'leaflet-bar'));
                    var link = L.DomUtil.create('a', 's2-home', bar);
                    link.href = '#'; link.textContent = '\\u2922';
                    link.setAttribute('role', 'button');
                    called(link, said[0]);
                    L.DomEvent.on(link, 'click', function (event) { L.DomEvent.stop(event); home(); });
                    return bar;
                }
            });
            new Home().addTo(map);

            // What the person switched or dimmed stays so when the map is built anew.
            var chosen = {};
            if (memory) {
                try { chosen = JSON.parse(window.sessionStorage.getItem('s2dash-layers-' + memory)) || {}; }
                catch (error) { /* no storage: layers are as the page gives them */ }
            }
            function keep(layer, what, value) {
                var name = names[layers.indexOf(layer)];
                (chosen[name] = chosen[name] || {})[what] = value;
                if (!memory) { return; }
                try { window.sessionStorage.setItem('s2dash-layers-' + memory, JSON.stringify(chosen)); }
                catch (error) { /* private window: nothing is kept */ }
            }
            layers.forEach(function (layer, index) {
                var kept = Object.prototype.hasOwnProperty.call(chosen, names[index]) ? chosen[names[index]] : {};
                if (kept.opacity >= 0 && kept.opacity <= 1) { layer.options.opacity = kept.opacity; }
                if (kept.shown === true) { layer.addTo(map); }
                if (kept.shown === false) { layer.remove(); }
            });
            var List = L.Control.Layers.extend({
                _onInputClick: function () {
                    var before = layers.map(function (layer) { return map.hasLayer(layer); });
                    L.Control.Layers.prototype._onInputClick.call(this);
                    layers.forEach(function (layer, index) {
                        if (map.hasLayer(layer) !== before[index]) { keep(layer, 'shown', map.hasLayer(layer)); }
                    });
                },
                _addItem: function (item) {
                    var label = L.Control.Layers.prototype._addItem.call(this, item);
                    var slider = L.DomUtil.create('input', 's2-opacity', this._overlaysList);
                    slider.type = 'range'; slider.min = 0; slider.max = 100;
                    called(slider, said[1]);
                    slider.value = Math.round(100 * (item.layer.options.opacity));
                    slider.addEventListener('input', function () {
                        item.layer.setOpacity(slider.value / 100);
                        keep(item.layer, 'opacity', slider.value / 100);
                    });
                    return label;
                }
            });
            var list = null;
            if (layers.length) {
                list = new List(null, null, {
                    collapsed: map.getSize().x < 480,
                    sortLayers: true,  // what lies on top stands on top
                    sortFunction: function (a, b) { return layers.indexOf(b) - layers.indexOf(a); }
                });
                layers.forEach(function (layer, index) {
                    list.addOverlay(layer, plain(names[index]));
                    layer.options.alt = names[index];
                    if (layer.getElement && layer.getElement()) { layer.getElement().alt = names[index]; }
                    if (!(layer instanceof L.ImageOverlay)) { return; }
                    // Opacity is that of the pane, so that its pieces in full detail do not shine through each other.
                    var pane = map.getPane(layer.options.pane);
                    layer._updateOpacity = function () { pane.style.opacity = layer.options.opacity; };
                    layer._updateOpacity();
                    if (layer.getElement()) { layer.getElement().style.opacity = ''; }
                    var late = 0;  // a picture that was not there for a moment, while its page was drawn anew
                    layer.on('error', function () {
                        if (late++ < 5) { setTimeout(function () { layer.setUrl(layer._url); }, 400 * late); }
                    });
                });
                list.addTo(map);
                called(list._layersLink, said[5]);
            }

            var Legend = L.Control.extend({
                options: { position: 'bottomright' },
                onAdd: function () {
                    var panel = still(L.DomUtil.create('details', 's2-panel s2-legend'));
                    panel.open = map.getSize().x >= 480;
                    L.DomUtil.create('summary', '', panel).textContent = heading || said[2];
                    legend.forEach(function (entry) {
                        if (!entry[1]) { L.DomUtil.create('b', '', panel).textContent = entry[0]; return; }
                        var colours = entry[1].split(',');
                        if (colours.length > 1) {  // a bar, with what its ends mean
                            L.DomUtil.create('div', 's2-bar', panel).style.background =
                                'linear-gradient(to right, ' + colours.join(', ') + ')';
                            var ends = L.DomUtil.create('div', 's2-ends', panel);
                            entry[0].split('\\t').forEach(function (end) {
                                L.DomUtil.create('span', '', ends).textContent = end;
                            });
                            return;
                        }
                        var row = L.DomUtil.create('div', 's2-row', panel);
                        L.DomUtil.create('span', 's2-swatch', row).style.background = entry[1];
                        L.DomUtil.create('span', '', row).textContent = entry[0];
                    });
                    function fit() {  // as high as the list of layers above it leaves room for
                        var above = list ? list.getContainer().offsetHeight + 20 : 0;
                        panel.style.maxHeight = Math.max(map.getSize().y - above - 50, 90) + 'px';
                    }
                    fit();
                    map.on('resize', fit);
                    return panel;
                }
            });
            if (legend.length) { new Legend().addTo(map); }
        })(
            {{ this._parent.get_name() }},
            [{% for layer in this.layers %}{{ layer.get_name() }}, {% endfor %}],
            {{ this.names }}, {{ this.bounds }}, {{ this.legend }}, {{ this.heading }}, {{ this.credit }},
            {{ this.memory }}, {{ this.said }}
        );
        {% endmacro %}
    """)

    def __init__(self, layers: Sequence[folium.map.Layer], texts: Sequence[Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = "Controls"
        self.layers = list(layers)
        written = [script_text(text) for text in texts]
        self.names, self.bounds, self.legend, self.heading, self.credit, self.memory, self.said = written


def map_controls(
    layers: Sequence[tuple[str, folium.map.Layer]],
    *,
    bounds: tuple[tuple[float, float], tuple[float, float]],
    legend: Sequence[tuple[str, str]] = (),
    legend_title: str = "",
    attribution: str = "",
    memory: str = "",
) -> folium.MacroElement:
    """The controls of a map, to be added after its layers.

    Args:
        layers: Name and layer, the lowest first; the list shows the lowest last.
        bounds: ((south, west), (north, east)) that the map opens on.
        legend: Pairs of text and `#RRGGBB`; a text without a colour is a heading, one with several colours with commas
            between them a bar, its text the words for its ends with a tab between them.
        legend_title: Heading of the legend, on which it folds.
        attribution: Whose data are shown.
        memory: Under what name the browser keeps where the person had moved the map; empty keeps nothing.
    """
    texts = [
        [name for name, _ in layers],
        [list(corner) for corner in bounds],
        [[text, colour] for text, colour in legend],
        legend_title,
        attribution,
        memory,
        [t(f"map.{name}") for name in ("show_everything", "opacity", "legend", "zoom_in", "zoom_out", "layers")],
    ]
    return _Controls([layer for _, layer in layers], texts)
