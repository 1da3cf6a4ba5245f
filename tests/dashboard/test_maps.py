import io
import json
import re
from base64 import b64decode
from pathlib import Path

import folium
import numpy as np
import pytest
import rasterio
from affine import Affine
from folium.plugins import Draw
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from PIL import Image
from pyproj import Transformer
from rasterio.warp import transform as warp_points

from s2dash.colours import cluster_colours
from s2dash.dashboard.assets import PUBLIC_CDN, MapAssets
from s2dash.dashboard.maps import (
    MapLayer,
    label_layer,
    picture_layer,
    pixel_at,
    scene_map,
    warp_labels,
    warp_to_web_mercator,
)
from s2dash.dashboard.pictures import Picture, class_picture
from s2dash.errors import GridMismatchError, MissingCRSError

LOCAL = MapAssets(leaflet="/app/static/leaflet", leaflet_draw="/app/static/leaflet-draw", local=True)
COLOURS = cluster_colours(200)
NASTY = "</script><script>alert(1)</script><img src=x onerror=alert(2)> {{ 7*191 }} {% raise %} {# # \"'`&amp;"

UTM = GeoBox((90, 120), Affine(10, 0, 647360, 0, -10, 5656480), "EPSG:32633")
GRIDS = {
    "utm north": UTM,
    "utm south": GeoBox((80, 80), Affine(20, 0, 717730, 0, -20, 5700093), "EPSG:32718"),
    "degrees": GeoBox((70, 100), Affine(0.0001, 0, 72.5, 0, -0.00008, 30.2), "EPSG:4326"),
    "lambert, high north": GeoBox((80, 90), Affine(60, 0, 4_600_000, 0, -60, 5_100_000), "EPSG:3035"),
    "rotated": GeoBox(
        (60, 110), Affine.translation(600000, 5700000) @ Affine.rotation(31) @ Affine.scale(10, -10), "EPSG:32633"
    ),
    "web mercator itself": GeoBox((64, 64), Affine(15, 0, 1e6, 0, -15, 6e6), "EPSG:3857"),
}


def labels_on(grid: GeoBox, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 200, tuple(grid.shape), dtype=np.uint8)


def mercator(x: np.ndarray, y: np.ndarray, crs: str) -> tuple[np.ndarray, np.ndarray]:
    """Points in EPSG:3857 by GDAL, an oracle that shares no code with the warp."""
    to = warp_points(rasterio.CRS.from_user_input(crs), rasterio.CRS.from_epsg(3857), list(x), list(y))
    return np.array(to[0]), np.array(to[1])


def sampled(picture: np.ndarray, bounds: tuple, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What Leaflet shows at EPSG:3857 points: the picture stretched between its corners."""
    (south, west), (north, east) = bounds
    (left, right), (bottom, top) = mercator(np.array([west, east]), np.array([south, north]), "EPSG:4326")
    columns = np.floor((x - left) / (right - left) * picture.shape[1]).astype(int)
    rows = np.floor((top - y) / (top - bottom) * picture.shape[0]).astype(int)
    return picture[rows, columns]


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_warped_labels_in_colours_are_the_warped_colours(grid: GeoBox) -> None:
    labels = labels_on(grid)
    labels[:9] = 0
    warped = warp_labels(labels, grid)
    layer = label_layer("Clusters", warped, COLOURS, opacity=0.4)
    slow = picture_layer("Clusters", Picture(class_picture(labels, COLOURS), grid))
    assert layer.bounds == slow.bounds
    assert (layer.opacity, layer.crisp, layer.shown) == (0.4, True, True)
    fast, expected = (np.asarray(Image.open(picture_of(one)).convert("RGBA")) for one in (layer, slow))
    assert (fast == expected).all()


def picture_of(layer: MapLayer) -> io.BytesIO:
    return io.BytesIO(b64decode(layer.url.partition(",")[2]))


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_every_pixel_centre_shows_its_own_class(grid: GeoBox) -> None:
    labels = labels_on(grid)
    source = class_picture(labels, COLOURS)
    picture, bounds = warp_to_web_mercator(source, grid)
    rows, columns = np.mgrid[0 : grid.shape[0], 0 : grid.shape[1]]
    affine = grid.transform
    x = affine.a * (columns + 0.5) + affine.b * (rows + 0.5) + affine.c
    y = affine.d * (columns + 0.5) + affine.e * (rows + 0.5) + affine.f
    shown = sampled(picture, bounds, *mercator(x.ravel(), y.ravel(), str(grid.crs)))
    assert (shown == source.reshape(-1, 4)).all()


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(list(GRIDS)), st.integers(0, 2**32 - 1))
def test_random_points_show_the_class_of_the_source(name: str, seed: int) -> None:
    # Eight pixels of the picture per source pixel: no point more than 0.15 pixel inside one may show its neighbour.
    # A picture shifted by half a pixel of either raster fails.
    grid, generator = GRIDS[name], np.random.default_rng(seed)
    labels = labels_on(grid, seed % 7)
    source = class_picture(labels, COLOURS)
    picture, bounds = warp_to_web_mercator(source, grid, detail=8)
    rows = generator.integers(0, grid.shape[0], 300)
    columns = generator.integers(0, grid.shape[1], 300)
    inner_rows, inner_columns = rows + generator.uniform(0.15, 0.85, 300), columns + generator.uniform(0.15, 0.85, 300)
    affine = grid.transform
    x = affine.a * inner_columns + affine.b * inner_rows + affine.c
    y = affine.d * inner_columns + affine.e * inner_rows + affine.f
    shown = sampled(picture, bounds, *mercator(x, y, str(grid.crs)))
    assert (shown == source[rows, columns]).all()


def test_a_picture_across_the_180th_meridian_stays_in_one_piece() -> None:
    x, y = Transformer.from_crs(4326, 32760, always_xy=True).transform(179.99, -17.0)
    grid = GeoBox((100, 300), Affine(20, 0, x, 0, -20, y), "EPSG:32760")  # 6 km; crosses after about 1 km
    source = class_picture(labels_on(grid), COLOURS)
    picture, ((south, west), (north, east)) = warp_to_web_mercator(source, grid)
    assert west % 360 == pytest.approx(179.99, abs=2e-3)
    assert 0.05 < east - west < 0.07
    assert south < north < -16.9
    assert picture.shape[1] < 1000
    assert (picture[..., 3] == 255).mean() > 0.9  # the rest are the wedges beside a tilted rectangle
    longitude, latitude = Transformer.from_crs(32760, 4326, always_xy=True).transform(x + 20 * 250.5, y - 20 * 40.5)
    assert longitude < 0  # on the far side of the meridian
    column = int((longitude - west) % 360 / (east - west) * picture.shape[1])
    rise = [np.log(np.tan(np.pi / 4 + np.radians(at) / 2)) for at in (south, latitude, north)]
    row = int((rise[2] - rise[1]) / (rise[2] - rise[0]) * picture.shape[0])
    assert (picture[row, column] == source[40, 250]).all()
    for turn in (0, 360):
        assert pixel_at(grid, latitude=latitude, longitude=longitude + turn) == (40, 250)


@pytest.mark.parametrize("smooth", [False, True])
def test_outside_the_source_the_picture_is_transparent(smooth: bool) -> None:
    grid = GRIDS["rotated"]
    source = np.full((*grid.shape, 4), 255, np.uint8)
    picture, _ = warp_to_web_mercator(source, grid, smooth=smooth)
    alpha = picture[..., 3]
    assert set(np.unique(alpha)) == {0, 255}
    assert (picture[alpha == 0] == 0).all()
    assert (picture[alpha == 255] == 255).all()  # no dark rim
    height, width = grid.shape
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)]) @ np.array(
        [[grid.transform.a, grid.transform.d], [grid.transform.b, grid.transform.e]]
    ) + np.array([grid.transform.c, grid.transform.f])
    x, y = mercator(corners[:, 0], corners[:, 1], str(grid.crs))
    quadrilateral = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))
    assert (alpha > 0).mean() == pytest.approx(quadrilateral / (np.ptp(x) * np.ptp(y)), rel=0.02)


def test_imagery_is_interpolated_where_it_lies_and_ignores_holes() -> None:
    rows, columns = np.mgrid[0:90, 0:120]
    source = np.dstack([2 * columns, 2 * rows, columns + rows, np.full_like(rows, 255)]).astype(np.uint8)
    source[30:50, 30:50] = 0
    picture, ((south, west), (north, east)) = warp_to_web_mercator(source, UTM, smooth=True)
    (left, right), (bottom, top) = mercator(np.array([west, east]), np.array([south, north]), "EPSG:4326")
    at_rows, at_columns = np.nonzero(picture[..., 3])
    x = left + (at_columns + 0.5) / picture.shape[1] * (right - left)
    y = top - (at_rows + 0.5) / picture.shape[0] * (top - bottom)
    back = warp_points(rasterio.CRS.from_epsg(3857), rasterio.CRS.from_epsg(32633), list(x), list(y))
    column = (np.array(back[0]) - UTM.transform.c) / 10 - 0.5
    row = (np.array(back[1]) - UTM.transform.f) / -10 - 0.5
    rim = (abs(column - 39.5) < 12) & (abs(row - 39.5) < 12)
    inside = (column > 0) & (column < 119) & (row > 0) & (row < 89)
    shown = picture[at_rows, at_columns].astype(float)
    errors = np.abs(shown[:, :3] - np.stack([2 * column, 2 * row, column + row], axis=1))
    assert errors[inside & ~rim].max() <= 1.0
    assert errors[inside & rim].max() <= 2.5  # extrapolated by up to a pixel, but not darkened
    assert rim.sum() > 300
    assert rim.sum() < 4 * 24 * 24 * 1.2


def test_a_large_picture_is_thinned_to_the_given_side() -> None:
    grid = GeoBox((900, 300), Affine(10, 0, 600000, 0, -10, 5700000), "EPSG:32633")
    picture, bounds = warp_to_web_mercator(class_picture(labels_on(grid), COLOURS), grid, max_side=200)
    assert max(picture.shape) == 200
    x, y = mercator(np.array([bounds[0][1], bounds[1][1]]), np.array([bounds[0][0], bounds[1][0]]), "EPSG:4326")
    assert np.ptp(x) / picture.shape[1] == pytest.approx(np.ptp(y) / picture.shape[0])  # square pixels


def test_a_picture_needs_its_grid_and_the_grid_a_place() -> None:
    picture = class_picture(labels_on(UTM), COLOURS)
    with pytest.raises(GridMismatchError, match="90 x 120"):
        warp_to_web_mercator(picture[1:], UTM)
    nowhere = GeoBox(UTM.shape, UTM.transform, None)
    with pytest.raises(MissingCRSError):
        warp_to_web_mercator(picture, nowhere)
    with pytest.raises(MissingCRSError):
        pixel_at(nowhere, latitude=0, longitude=0)


@settings(deadline=None, max_examples=50)
@given(st.sampled_from(list(GRIDS)), st.floats(-5, 125), st.floats(-5, 95))
def test_a_click_finds_its_pixel_or_none(name: str, column: float, row: float) -> None:
    grid = GRIDS[name]
    if min(column % 1, row % 1, -column % 1, -row % 1) < 1e-3:
        return  # on an edge
    x, y = grid.transform @ (column, row)
    longitude, latitude = Transformer.from_crs(str(grid.crs), 4326, always_xy=True).transform(x, y)
    expected = (int(row), int(column)) if 0 < row < grid.shape[0] and 0 < column < grid.shape[1] else None
    assert pixel_at(grid, latitude=latitude, longitude=longitude) == expected


def test_real_imagery_lies_where_gdal_says(real_data: Path) -> None:
    with rasterio.open(real_data / "chile" / "reference.tif") as file:
        codes, grid = file.read(1), GeoBox.from_rio(file)
        generator = np.random.default_rng(0)
        rows, columns = generator.integers(0, codes.shape[0], 500), generator.integers(0, codes.shape[1], 500)
        x, y = file.xy(rows, columns)
    colours = {int(code): f"#{int(code):02X}8040" for code in np.unique(codes)}
    picture, bounds = warp_to_web_mercator(class_picture(codes, colours), grid)
    shown = sampled(picture, bounds, *mercator(np.array(x), np.array(y), str(grid.crs)))
    assert (shown == class_picture(codes, colours)[rows, columns]).all()


def layers() -> list[MapLayer]:
    picture = Picture(class_picture(labels_on(UTM) % 9, COLOURS), UTM)
    return [
        picture_layer("True colour", picture, imagery=True),
        picture_layer("Hidden", picture, imagery=True, shown=False),
        picture_layer(NASTY, picture, opacity=0.6),
    ]


def whole_map(**options: object) -> folium.Map:
    arguments = {
        "legend": [("Tree cover", "#006400"), (NASTY, "#FA0000")],
        "legend_title": NASTY,
        "attribution": NASTY,
        "assets": LOCAL,
        "draw": True,
        "remember_view": NASTY,
        **options,
    }
    return scene_map(layers(), **arguments)  # type: ignore[arg-type]


def test_classes_go_out_exact_and_imagery_small() -> None:
    imagery, _, classes = layers()
    assert imagery.url.startswith("data:image/webp;base64,")
    assert not imagery.crisp
    assert classes.url.startswith("data:image/png;base64,")
    assert b64decode(classes.url.split(",")[1]).startswith(b"\x89PNG")
    assert classes.crisp
    assert imagery.bounds == classes.bounds


def test_the_same_map_has_the_same_html() -> None:
    first, second = (whole_map().get_root().render() for _ in range(2))
    assert first == second
    assert whole_map(remember_view="other").get_root().render() != first


def test_st_folium_gets_the_same_script_every_time() -> None:
    from streamlit_folium import _get_map_string

    scripts = []
    for _ in range(2):
        built = whole_map()
        built.get_root().render()
        scripts.append(_get_map_string(built))
    assert scripts[0] == scripts[1]
    assert "new L.Control.Draw" in scripts[0]
    assert "map_div.addLayer" in scripts[0] or ".addTo(map_div)" in scripts[0]
    assert not re.search(r"_[0-9a-f]{32}", scripts[0])  # every name was found and replaced


@pytest.mark.parametrize("draw", [False, True])
def test_with_local_files_nothing_is_loaded_from_elsewhere(draw: bool) -> None:
    html = whole_map(draw=draw).get_root().render()
    loaded = re.findall(r"<(?:script|link)[^>]*?(?:src|href)=[\"']?([^\"'> ]+)", html)
    assert loaded == [
        "/app/static/leaflet/leaflet.js",
        "/app/static/leaflet/leaflet.css",
        *(["/app/static/leaflet-draw/leaflet.draw.js", "/app/static/leaflet-draw/leaflet.draw.css"] if draw else []),
    ]
    assert not re.search(r"https?:", html)
    assert "tileLayer" not in html


def test_without_local_files_the_pinned_public_ones_are_used() -> None:
    html = whole_map(assets=PUBLIC_CDN).get_root().render()
    loaded = re.findall(r"<(?:script|link)[^>]*?(?:src|href)=[\"']?([^\"'> ]+)", html)
    assert loaded == [PUBLIC_CDN.leaflet_js, PUBLIC_CDN.leaflet_css, PUBLIC_CDN.draw_js, PUBLIC_CDN.draw_css]


def test_a_base_map_is_there_only_when_asked_for() -> None:
    html = whole_map(base_map="OpenStreetMap").get_root().render()
    assert html.count("L.tileLayer(") == 1
    assert "tile.openstreetmap.org" in html
    assert html.index("L.tileLayer(") < html.index("L.imageOverlay(")


def test_other_maps_keep_folium_as_it_was() -> None:
    before = [*folium.Map.default_js], [*folium.Map.default_css], [*Draw.default_js], [*Draw.default_css]
    whole_map().get_root().render()
    assert before == (folium.Map.default_js, folium.Map.default_css, Draw.default_js, Draw.default_css)
    assert any("leaflet" in url for _, url in folium.Map().default_js)
    assert folium.Map()._id != folium.Map()._id


def test_no_text_becomes_markup_script_or_template() -> None:
    html = whole_map().get_root().render()
    assert "alert(1)</script>" not in html
    assert "<img" not in html
    assert "1337" not in re.sub(r"base64,[^\"]*|_[0-9a-f]{32}|\d+\.\d+", "", html)  # 7 * 191, had the template run
    arguments = re.search(r"\[\"True colour.*?\]", html, re.DOTALL)
    assert arguments is not None
    assert json.loads(arguments.group()) == ["True colour", "Hidden", NASTY]


def test_layers_keep_their_order_opacity_and_what_is_shown() -> None:
    html = whole_map().get_root().render()
    overlays = re.findall(r"var (image_overlay_\w+) = L\.imageOverlay\((.*?)\);", html, re.DOTALL)
    assert len(overlays) == 3
    assert ['"opacity": 0.6' in text for _, text in overlays] == [False, False, True]
    assert ["s2-crisp" in text for _, text in overlays] == [False, False, True]
    added = [f"{name}.addTo(map_" in html for name, _ in overlays]
    assert added == [True, False, True]
    names = ", ".join(name for name, _ in overlays)
    assert f"[{names}, ]" in html


def test_rectangles_can_be_drawn_with_this_leaflet_draw() -> None:
    # Leaflet.draw 1.0.4 throws while a rectangle shows its area (its issue 1026).
    options = re.search(r"draw: (\{.*?\}),\n", whole_map().get_root().render())
    assert options is not None
    drawn = json.loads(options.group(1))
    assert drawn["rectangle"]["showArea"] is False
    assert {name for name, value in drawn.items() if value} == {"rectangle", "polygon"}
    assert "L.Control.Draw" not in whole_map(draw=False).get_root().render()


def test_a_map_without_layers_shows_the_world() -> None:
    html = scene_map([], assets=LOCAL).get_root().render()
    assert "[[-60.0, -170.0], [75.0, 170.0]]" in html
    assert "L.imageOverlay" not in html


def test_the_map_opens_on_all_layers_or_where_it_is_told() -> None:
    places = [
        MapLayer("a", "data:,", ((1.0, 2.0), (3.0, 4.0))),
        MapLayer("b", "/media/b.png", ((-1.0, 3.0), (2.0, 9.0))),
    ]
    html = scene_map(places, assets=LOCAL).get_root().render()
    assert "[[-1.0, 2.0], [3.0, 9.0]]" in html
    assert '"/media/b.png"' in html
    html = scene_map(places, assets=LOCAL, bounds=((5.0, 6.0), (7.0, 8.0))).get_root().render()
    assert "[[5.0, 6.0], [7.0, 8.0]]" in html
