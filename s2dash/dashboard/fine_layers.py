"""Shows a layer in full detail where the map is zoomed in: only the pieces in view, and those only."""

from __future__ import annotations

from collections.abc import Sequence

import folium
from folium.template import Template

from s2dash.dashboard.fine_image import FineImage
from s2dash.dashboard.script import script_text


class FineLayers(folium.MacroElement):
    """Pieces of layers, fetched when the map shows more than the overview holds, and let go when out of view."""

    _template = Template("""
        {% macro script(this, kwargs) %}
        (function (map, overlays, images) {
            overlays.forEach(function (overlay, place) {
                var image = images[place], width = image[0], height = image[1], side = image[2], urls = image[3];
                var across = Math.ceil(width / side), down = Math.ceil(height / side), pieces = {};
                var northWest = map.project([image[4][1][0], image[4][0][1]], 0);
                var southEast = map.project([image[4][0][0], image[4][1][1]], 0);
                function at(x, y) {
                    return map.unproject(L.point(
                        northWest.x + (southEast.x - northWest.x) * Math.min(x / width, 1),
                        northWest.y + (southEast.y - northWest.y) * Math.min(y / height, 1)), 0);
                }
                function inView() {
                    var size = map.getSize(), picture = overlay.getElement();
                    if (!map.hasLayer(overlay) || size.x < 20 || !picture || !picture.naturalWidth) { return []; }
                    var shown = (southEast.x - northWest.x) * map.getZoomScale(map.getZoom(), 0);
                    if (shown * (window.devicePixelRatio || 1) < 1.1 * picture.naturalWidth) { return []; }
                    var view = map.getPixelBounds(), zoom = map.getZoom(), found = [];
                    var least = map.project(map.unproject(view.min, zoom), 0);
                    var most = map.project(map.unproject(view.max, zoom), 0);
                    function step(value, from, to, count) {
                        return Math.max(0, Math.min(count - 1, Math.floor((value - from) / (to - from) * count)));
                    }
                    var fits = width / (across * side), fitsDown = height / (down * side);
                    var right = northWest.x + (southEast.x - northWest.x) / fits;
                    var bottom = northWest.y + (southEast.y - northWest.y) / fitsDown;
                    if (least.x > southEast.x || most.x < northWest.x) { return []; }
                    if (least.y > southEast.y || most.y < northWest.y) { return []; }
                    var lastRow = step(most.y, northWest.y, bottom, down);
                    var lastColumn = step(most.x, northWest.x, right, across);
                    for (var row = step(least.y, northWest.y, bottom, down); row <= lastRow; row += 1) {
                        for (var col = step(least.x, northWest.x, right, across); col <= lastColumn; col += 1) {
                            if (urls[row * across + col]) { found.push(row * across + col); }
                        }
                    }
                    return found;
                }
                function settle(wanted) {  // the overview shows until every piece in view is there
                    var whole = wanted.length > 0 && wanted.every(function (number) { return pieces[number].there; });
                    if (overlay.getElement()) { overlay.getElement().style.visibility = whole ? 'hidden' : ''; }
                }
                function update() {
                    var wanted = inView();
                    Object.keys(pieces).forEach(function (number) {
                        if (wanted.indexOf(+number) < 0) { map.removeLayer(pieces[number]); delete pieces[number]; }
                    });
                    wanted.forEach(function (number) {
                        if (pieces[number]) { return; }
                        var row = Math.floor(number / across), col = number % across, late = 0;
                        var piece = L.imageOverlay(
                            urls[number],
                            L.latLngBounds(at(col * side, row * side), at((col + 1) * side, (row + 1) * side)),
                            { pane: overlay.options.pane, className: overlay.options.className + ' s2-piece',
                                interactive: false });
                        pieces[number] = piece;
                        piece.on('load', function () { piece.there = true; update(); });
                        piece.on('error', function () {
                            if (late++ < 5) { setTimeout(function () { piece.setUrl(urls[number]); }, 400 * late); }
                        });
                        piece.addTo(map);
                    });
                    settle(wanted);
                }
                map.on('moveend zoomend resize', update);
                overlay.on('add remove load', update);
                update();
            });
        })(
            {{ this._parent.get_name() }},
            [{% for overlay in this.overlays %}{{ overlay.get_name() }}, {% endfor %}],
            {{ this.images }}
        );
        {% endmacro %}
    """)

    def __init__(self, fine: Sequence[tuple[folium.map.Layer, FineImage, Sequence[str]]]) -> None:
        """Take layers, the same in full detail, and the addresses of their pieces, row by row."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = "FineLayers"
        self.overlays = [overlay for overlay, _, _ in fine]
        self.images = script_text(
            [
                [image.shape[1], image.shape[0], image.side, list(urls), [list(corner) for corner in image.bounds]]
                for _, image, urls in fine
            ]
        )
