"""Any three bands and any index as layers: the pictures, their legend, and the fields to choose them with."""

from __future__ import annotations

import io
import struct
import zlib
from base64 import b64decode

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from PIL import Image
from streamlit.testing.v1 import AppTest

from s2dash.colours import rgb_of
from s2dash.dashboard import publish
from s2dash.dashboard.band_pictures import bands_picture, index_picture
from s2dash.dashboard.fine_image import fine_codes, fine_picture, painted
from s2dash.dashboard.maps import MapLayer, label_layer, scene_map, warp_labels, warp_to_web_mercator
from s2dash.dashboard.pictures import Picture, class_picture
from s2dash.dashboard.products import RAMP, colour_bar, ramp_table
from s2dash.dashboard.view import SceneView
from s2dash.errors import FeatureError
from s2dash.indices import available_indices
from s2dash.testing import make_patchwork, make_scene


def pixels(layer: MapLayer) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(b64decode(layer.url.partition(",")[2]))).convert("RGBA"))


def test_three_bands_are_red_green_and_blue() -> None:
    numbers = np.full((10, 20, 20), 2000, dtype=np.uint16)
    scene = make_scene(numbers)
    low, high = dict.fromkeys(scene.bands, 0.0), dict.fromkeys(scene.bands, 0.4)
    view = SceneView(scene)
    stretch = type(view.stretch)(low=low, high=high | {"B12": 0.2}, gamma=1.0)
    picture = bands_picture(scene, ("B12", "B05", "B05"), stretch=stretch)
    assert np.abs(picture.rgba - np.array([255.0, 127.5, 127.5, 255.0])).max() <= 0.5
    assert view.bands_layer(("B12", "B05", "B05")).name == "Bands B12, B05, B05"
    assert view.bands_layer(("B12", "B05", "B05")).url == view.bands_layer(("B12", "B05", "B05")).url


def test_an_index_has_the_colours_of_its_values() -> None:
    generator = np.random.default_rng(0)
    numbers = generator.integers(200, 4000, (10, 60, 60)).astype(np.uint16)
    numbers[:, :5] = 0
    scene = make_scene(numbers)
    found = index_picture(scene, "NDVI")
    assert found is not None
    red, infrared = numbers[2, 5:].astype(float), numbers[6, 5:].astype(float)  # B04 and B08 of the ten bands
    assert (scene.bands[2], scene.bands[6]) == ("B04", "B08")
    values = (infrared - red) / (infrared + red)
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(values, (2, 98))), abs=1e-4)
    shown = np.unique(found.levels.codes)
    assert (shown.min(), shown.max()) == (0, 255)
    layer = found.layer()
    assert layer.crisp
    colours = {tuple(colour) for colour in pixels(layer).reshape(-1, 4)}
    allowed = {(*map(int, colour), 255) for colour in ramp_table(255)}
    assert {colour for colour in colours if colour[3]} <= allowed
    heading, bar = found.legend
    assert heading == ("Index NDVI", "")
    assert bar == colour_bar(f"{found.low:.2g}", f"{found.high:.2g}")
    assert bar[1].split(",") == list(RAMP)


def test_the_colours_of_an_index_grow_lighter_evenly() -> None:
    from s2dash.colours import oklab

    lightness = oklab(ramp_table(64))[:, 0]
    steps = np.diff(lightness)
    assert (steps > 0).all()  # reads in grey, and with any colour vision
    assert steps.max() < 4 * steps.mean()


def test_an_index_of_nothing_and_of_what_there_is_not() -> None:
    empty = make_scene(np.zeros((10, 8, 8), dtype=np.uint16))
    assert index_picture(empty, "NDVI") is None
    with pytest.raises(FeatureError, match="nonsense"):
        index_picture(make_patchwork(side=8)[0], "nonsense")


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(5, 90), st.integers(1, 90), st.sampled_from([7, 16, 64]))
def test_pieces_put_together_are_the_whole_in_its_colours(seed: int, height: int, width: int, side: int) -> None:
    codes = np.random.default_rng(seed).integers(0, 4, (height, width), dtype=np.uint8)
    codes[: side // 2] = 0
    colours = {1: "#FF0000", 3: "#0000FF"}
    image = painted(fine_codes(codes, ((0.0, 0.0), (1.0, 1.0)), side=side), colours)
    whole = np.zeros((height, width, 4), dtype=np.uint8)
    across = -(-width // side)
    for number, piece in enumerate(image.pieces):
        rows, columns = divmod(number, across)
        place = (slice(rows * side, (rows + 1) * side), slice(columns * side, (columns + 1) * side))
        if not piece:
            assert not codes[place].any()
            continue
        for at in chunks(piece):
            assert at  # every checksum is right
        whole[place] = np.asarray(Image.open(io.BytesIO(piece)).convert("RGBA"))
    expected = class_picture(codes, colours)
    assert (whole[..., 3] == expected[..., 3]).all()
    assert (whole[expected[..., 3] > 0] == expected[expected[..., 3] > 0]).all()


def chunks(png: bytes) -> list[bool]:
    """Whether the checksum of each chunk is right."""
    at, right = 8, []
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        body, (crc,) = png[at + 4 : at + 8 + length], struct.unpack(">I", png[at + 8 + length : at + 12 + length])
        right.append(zlib.crc32(body) == crc)
        at += 12 + length
    return right


def test_imagery_in_pieces_is_the_warped_picture() -> None:
    grid = GeoBox((150, 170), Affine(10, 0, 647360, 0, -10, 5656480), "EPSG:32633")
    rows, columns = np.mgrid[0:150, 0:170]
    rgba = np.dstack([columns, rows, columns // 2 + rows // 2, np.full_like(rows, 255)]).astype(np.uint8)
    whole, bounds = warp_to_web_mercator(rgba, grid, smooth=True, detail=1.25)
    fine = fine_picture(Picture(rgba, grid), side=64)
    assert fine.bounds == bounds
    assert fine.shape == whole.shape[:2]
    across = -(-fine.shape[1] // 64)
    joined = np.zeros(whole.shape, dtype=int)
    for number, piece in enumerate(fine.pieces):
        row, column = divmod(number, across)
        if piece:
            shown = np.asarray(Image.open(io.BytesIO(piece)).convert("RGBA"))
            joined[row * 64 : (row + 1) * 64, column * 64 : (column + 1) * 64] = shown
    assert (joined[..., 3] != whole[..., 3]).sum() <= 3  # on the very rim GDAL rounds either way
    inside = (joined[..., 3] > 0) & (whole[..., 3] > 0)
    assert np.abs(joined[inside] - whole[inside]).mean() < 4  # WebP loses a little


def test_a_map_of_served_pictures_holds_addresses_only(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = GeoBox((2000, 2000), Affine(10, 0, 600000, 0, -10, 5656480), "EPSG:32633")
    labels = np.random.default_rng(0).integers(1, 5, (2000, 2000), dtype=np.uint8)
    layer = label_layer("Clusters", warp_labels(labels, grid), {1: "#FF0000", 2: "#00FF00", 3: "#0000FF"})
    assert layer.fine is not None
    unserved = scene_map([layer]).get_root().render()
    assert layer.url in unserved
    served: dict[str, bytes] = {}

    def serve(content: bytes, kind: str) -> str:
        url = f"/media/{zlib.crc32(content)}.{kind.rpartition('/')[2]}"
        served[url] = content
        return url

    monkeypatch.setattr(publish, "_by", [serve])
    html = scene_map([layer]).get_root().render()
    assert html == scene_map([layer]).get_root().render()
    assert len(html) < 60_000 < len(unserved)
    assert all(f'"{url}"' in html for url in served)
    assert len(served) == 1 + len(layer.fine.pieces)


def test_small_maps_have_no_pieces() -> None:
    layer = SceneView(make_patchwork(side=40)[0]).layer("true colour")
    assert layer.fine is None


def page() -> None:
    import numpy as np
    import streamlit as st

    from pages.parts.band_layers import choose_layers
    from s2dash.dashboard.view import SceneView
    from s2dash.testing import make_scene

    numbers = np.random.default_rng(0).integers(200, 4000, (10, 30, 30)).astype(np.uint16)
    scl = np.full((30, 30), 4, dtype=np.uint8)
    scl[:4] = 9
    layers, legend = choose_layers(SceneView(make_scene(numbers, scl=scl)))
    st.session_state["found"] = [(layer.name, layer.shown) for layer in layers], legend


def test_layers_are_chosen_on_the_page() -> None:
    app = AppTest.from_function(page, default_timeout=60).run()
    assert not app.exception
    layers, legend = app.session_state["found"]
    assert layers == [("False colour", False), ("True colour", True), ("Masked", True)]
    assert legend == [("Cloud or cirrus", "#FF3FB4")]
    app.button_group(key="scene_layers").set_value(["true", "bands", "index"]).run()
    assert not app.exception
    layers, legend = app.session_state["found"]
    assert [name for name, _ in layers] == ["True colour", "Bands B11, B08, B04", "Index NDVI"]
    assert len(legend) == 2
    assert "96 % of the pixels" in app.caption[0].value.replace("\\", "")
    # a select box's value is given to the app as it is, its words are only shown
    assert app.selectbox(key="band_red").options[0].startswith("B02 · blue")
    app.selectbox(key="band_red").set_value("B05").run()
    app.selectbox(key="shown_index").set_value("NDMI").run()
    layers, legend = app.session_state["found"]
    assert [name for name, _ in layers] == ["True colour", "Bands B05, B08, B04", "Index NDMI"]
    assert legend[0] == ("Index NDMI", "")
    app.button_group(key="scene_layers").set_value([]).run()
    assert app.session_state["found"] == ([], [])


def test_only_indices_that_the_bands_allow_are_offered() -> None:
    every = available_indices(make_patchwork(side=8)[0].bands)
    visible = available_indices(("B02", "B03", "B04"))
    assert set(visible) < set(every)
    assert "NDVI" in every
    assert "NDVI" not in visible


def test_ramp_ends_are_the_ramp_s() -> None:
    table = ramp_table(5)
    assert [tuple(map(int, colour)) for colour in table] == [rgb_of(colour) for colour in RAMP]
