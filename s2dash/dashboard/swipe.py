"""A divider on the map: one layer on its left, another on its right; nothing is asked of the server."""

from __future__ import annotations

from collections.abc import Sequence

import folium
from folium.template import Template

from s2dash.dashboard.language import t
from s2dash.dashboard.script import script_text


class Panes(folium.MacroElement):
    """A pane of its own for every picture, which opacity and divider take as a whole; must stand before the layers."""

    _template = Template("""
        {% macro script(this, kwargs) %}
        {{ this.names }}.forEach(function (name, place) {
            {{ this._parent.get_name() }}.createPane(name).style.zIndex = 300 + place;
        });
        {% endmacro %}
    """)

    def __init__(self, count: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = "Panes"
        self.names = script_text([self.name_of(place) for place in range(count)])

    @staticmethod
    def name_of(place: int) -> str:
        """The pane of a picture, counted from the lowest."""
        return f"picture-{place}"


class Swipe(folium.MacroElement):
    """The button, the choice of two layers, and the divider between them."""

    _template = Template("""
        {% macro header(this, kwargs) %}
        <style>
            .s2-swipe { position: absolute; top: 0; bottom: 0; width: 36px; margin-left: -18px; z-index: 700;
                cursor: ew-resize; touch-action: none; outline: none; }
            .s2-swipe::before { content: ''; position: absolute; top: 0; bottom: 0; left: 16px; width: 4px;
                background: #FFFFFF; box-shadow: 0 0 4px rgba(0, 0, 0, .7); }
            .s2-grip { position: absolute; top: 50%; left: 0; width: 36px; height: 36px; margin-top: -18px;
                border-radius: 50%; background: #FFFFFF; color: #202124; box-shadow: 0 0 4px rgba(0, 0, 0, .7);
                font: 18px/36px sans-serif; text-align: center; }
            .s2-swipe:focus-visible .s2-grip { box-shadow: 0 0 0 3px #4A8C74; }
            .s2-choice label { display: flex; gap: 6px; justify-content: space-between; align-items: center;
                margin-bottom: 4px; }
            .s2-choice select { max-width: 150px; background: var(--s2-paper); color: var(--s2-ink); }
            .s2-swiper { font: 18px/30px sans-serif; }
        </style>
        {% endmacro %}

        {% macro script(this, kwargs) %}
        (function (map, layers, names, said, memory) {
            var on = false, share = 0.5, sides = [0, layers.length - 1], added = [], panel = null, selects = [];
            function still(box) {
                L.DomEvent.disableClickPropagation(box);
                L.DomEvent.disableScrollPropagation(box);
                return box;
            }
            var divider = still(L.DomUtil.create('div', 's2-swipe', map.getContainer()));
            L.DomUtil.create('div', 's2-grip', divider).textContent = '\\u2194';
            divider.hidden = true;
            divider.tabIndex = 0;
            divider.setAttribute('role', 'slider');
            divider.setAttribute('aria-label', said[4]);
            divider.setAttribute('aria-valuemin', 0);
            divider.setAttribute('aria-valuemax', 100);

            function pane(place) { return map.getPane(layers[place].options.pane); }
            function imagery(place) { return /s2-smooth/.test(layers[place].options.className); }
            function clip() {
                layers.forEach(function (layer, place) { pane(place).style.clipPath = ''; });
                if (!on) { return; }
                var size = map.getSize(), first = map.containerPointToLayerPoint([0, 0]);
                var last = map.containerPointToLayerPoint(size), middle = first.x + Math.round(size.x * share);
                divider.style.left = Math.round(size.x * share) + 'px';
                divider.setAttribute('aria-valuenow', Math.round(100 * share));
                if (sides[0] === sides[1]) { return; }
                var low = Math.min(sides[0], sides[1]), high = Math.max(sides[0], sides[1]);
                sides.forEach(function (place, side) {
                    // Imagery goes on under classes: they are looked at over it.
                    if (place === low && imagery(low) && !imagery(high)) { return; }
                    var from = side ? middle : first.x, to = side ? last.x : middle;
                    pane(place).style.clipPath = 'polygon(' + [
                        [from, first.y], [to, first.y], [to, last.y], [from, last.y]
                    ].map(function (corner) { return corner[0] + 'px ' + corner[1] + 'px'; }).join(', ') + ')';
                });
            }
            function show() {  // a layer that was off goes off again
                added = added.filter(function (place) {
                    if (on && sides.indexOf(place) >= 0) { return true; }
                    map.removeLayer(layers[place]);
                    return false;
                });
                if (on) {
                    sides.forEach(function (place) {
                        if (!map.hasLayer(layers[place])) { map.addLayer(layers[place]); added.push(place); }
                    });
                }
                divider.hidden = !on;
                if (panel) { panel.hidden = !on; }
                button.setAttribute('aria-pressed', on);
                clip();
                keep();
            }
            function keep() {
                if (!memory) { return; }
                try {
                    window.sessionStorage.setItem('s2dash-swipe-' + memory, JSON.stringify(
                        on ? [names[sides[0]], names[sides[1]], share] : null));
                } catch (error) { /* private window: nothing is kept */ }
            }
            function move(to) { share = Math.max(0, Math.min(1, to)); clip(); }

            var button = null, Choice = L.Control.extend({
                options: { position: 'topleft' },
                onAdd: function () {
                    var box = still(L.DomUtil.create('div', ''));
                    var bar = L.DomUtil.create('div', 'leaflet-bar', box);
                    bar.style.display = 'inline-block';
                    button = L.DomUtil.create('a', 's2-swiper', bar);
                    button.href = '#'; button.textContent = '\\u25EB'; button.title = said[0];
                    button.setAttribute('role', 'button');
                    button.setAttribute('aria-label', said[0]);
                    L.DomEvent.on(button, 'click', function (event) {
                        L.DomEvent.stop(event); on = !on; show();
                        if (on) { divider.focus({ preventScroll: true }); }
                    });
                    panel = L.DomUtil.create('div', 's2-panel s2-choice', box);
                    panel.hidden = true;
                    selects = [0, 1].map(function (side) {
                        var label = L.DomUtil.create('label', '', panel);
                        L.DomUtil.create('span', '', label).textContent = said[1 + side];
                        var select = L.DomUtil.create('select', '', label);
                        names.forEach(function (name, place) {
                            var option = L.DomUtil.create('option', '', select);
                            option.value = place; option.textContent = name;
                        });
                        L.DomEvent.on(select, 'change', function () { sides[side] = +select.value; show(); });
                        return select;
                    });
                    var close = L.DomUtil.create('button', '', panel);
                    close.type = 'button'; close.textContent = said[3];
                    L.DomEvent.on(close, 'click', function () { on = false; show(); });
                    return box;
                }
            });
            new Choice().addTo(map);

            divider.addEventListener('pointerdown', function (event) {
                event.preventDefault(); event.stopPropagation();
                divider.focus({ preventScroll: true });
                divider.setPointerCapture(event.pointerId);
            });
            divider.addEventListener('pointermove', function (event) {
                if (!divider.hasPointerCapture(event.pointerId)) { return; }
                var box = map.getContainer().getBoundingClientRect();
                move((event.clientX - box.left) / box.width);
            });
            divider.addEventListener('pointerup', keep);
            divider.addEventListener('keydown', function (event) {
                var steps = { ArrowLeft: share - 0.02, ArrowRight: share + 0.02, Home: 0, End: 1 };
                if (event.key === 'Escape') { on = false; show(); }
                if (!(event.key in steps)) { return; }
                event.preventDefault(); event.stopPropagation();
                move(steps[event.key]); keep();
            });
            map.on('move zoomend resize viewreset', clip);

            if (memory) {
                try {
                    var kept = JSON.parse(window.sessionStorage.getItem('s2dash-swipe-' + memory));
                    if (kept && names.indexOf(kept[0]) >= 0 && names.indexOf(kept[1]) >= 0) {
                        sides = [names.indexOf(kept[0]), names.indexOf(kept[1])]; share = kept[2]; on = true;
                    }
                } catch (error) { /* no storage: not swiping */ }
            }
            selects.forEach(function (select, side) { select.value = sides[side]; });
            if (on) { show(); }
        })(
            {{ this._parent.get_name() }},
            [{% for layer in this.layers %}{{ layer.get_name() }}, {% endfor %}],
            {{ this.names }}, {{ this.said }}, {{ this.memory }}
        );
        {% endmacro %}
    """)

    def __init__(self, layers: Sequence[tuple[str, folium.map.Layer]], *, memory: str = "") -> None:
        """Take names and pictures, the lowest first, and under what name the browser keeps the divider."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = "Swipe"
        self.layers = [layer for _, layer in layers]
        self.names = script_text([name for name, _ in layers])
        texts = ("swipe", "swipe_left", "swipe_right", "swipe_close", "swipe_divider")
        self.said = script_text([t(f"map.{name}") for name in texts])
        self.memory = script_text(memory)
