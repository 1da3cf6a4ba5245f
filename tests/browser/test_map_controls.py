"""What lies on the map, in a real browser: divider, base map, shapes to edit, pieces in full detail."""

from __future__ import annotations

import io
import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from PIL import Image
from playwright.sync_api import expect
from running_app import IN_A_BROWSER, serve
from visitor import Visitor, eventually

from s2dash.dashboard import publish
from s2dash.dashboard.assets import find_assets
from s2dash.dashboard.maps import MapLayer, MapShape, label_layer, picture_layer, scene_map, warp_labels
from s2dash.dashboard.pictures import Picture, class_picture

ROOT = Path(__file__).resolve().parents[2]
GRID = GeoBox((90, 120), Affine(10, 0, 647360, 0, -10, 5656480), "EPSG:32633")
COLOURS = {1: "#FF0000", 2: "#0000FF"}

pytestmark = IN_A_BROWSER


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder served on loopback, with the map's files where Streamlit serves them."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "static", folder / "app" / "static")
    (folder / "favicon.ico").write_bytes(b"")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


class Opened:
    """A map in a page that reaches only the folder it is from."""

    def __init__(self, browser: Any, site: tuple[Path, str], layers: list[MapLayer], **options: Any) -> None:
        folder, address = site
        built = scene_map(layers, assets=find_assets(folder / "app" / "static"), **options)
        (folder / "map.html").write_text(built.get_root().render(), "utf-8")
        self.name = built.get_name()
        self.trouble: list[str] = []
        self.page = browser.new_page(viewport={"width": 900, "height": 600})
        self.page.on("pageerror", lambda error: self.trouble.append(f"script error: {error}"))
        self.page.on("dialog", lambda dialog: (self.trouble.append(dialog.message), dialog.dismiss()))
        self.page.route(lambda url: not url.startswith(address), lambda route: route.abort())
        self.page.goto(f"{address}/map.html")
        self.page.wait_for_selector(".leaflet-control-layers", state="attached")

    def run(self, script: str) -> Any:
        return self.page.evaluate(f"() => {{ const map = {self.name}; {script} }}")

    def seen(self) -> np.ndarray:
        """The colours of the page's pixels, shape (y, x, 3)."""
        return np.asarray(Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")).astype(int)

    def shows(self, x: int, y: int, colour: tuple[int, int, int], *, but: int = 12) -> None:
        """Until this colour is at a place of the page: pictures are decoded after the page is there."""
        eventually(lambda: bool(np.abs(self.seen()[y, x] - colour).max() < but), page=self.page)


def plain_layer(name: str, colour: str, *, imagery: bool = False, **options: Any) -> MapLayer:
    picture = class_picture(np.ones((90, 120), dtype=np.uint8), {1: colour})
    return picture_layer(name, Picture(picture, GRID), imagery=imagery, **options)


def test_a_divider_shows_one_layer_on_each_side(chromium: Any, site: tuple[Path, str]) -> None:
    layers = [plain_layer("Red <b>one</b>", "#FF0000"), plain_layer("Blue", "#0000FF", shown=False)]
    opened = Opened(chromium, site, layers, remember_view="run")
    page = opened.page
    expect(page.locator(".s2-swipe")).to_be_hidden()
    page.get_by_role("button", name="Compare two layers with a divider").click()
    divider = page.get_by_role("slider", name="Divider between")
    expect(divider).to_have_attribute("aria-valuenow", "50")
    assert page.locator(".s2-choice select").first.evaluate("box => box.selectedOptions[0].text") == "Red <b>one</b>"
    opened.shows(400, 200, (255, 0, 0))
    opened.shows(520, 200, (0, 0, 255))
    # by mouse
    page.mouse.move(450, 200)
    page.mouse.down()
    page.mouse.move(600, 220, steps=5)
    page.mouse.up()
    expect(divider).to_have_attribute("aria-valuenow", "67")
    opened.shows(560, 200, (255, 0, 0))
    opened.shows(640, 200, (0, 0, 255))
    # by keyboard, and the map stays where it was
    before = opened.run("return map.getCenter()")
    divider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    expect(divider).to_have_attribute("aria-valuenow", "47")
    assert opened.run("return map.getCenter()") == before
    # the cut stays where the divider is while the map moves below it
    opened.run("map.panBy([100, 30], { animate: false })")
    opened.shows(400, 250, (255, 0, 0))
    opened.shows(450, 250, (0, 0, 255))
    # the other way round
    page.locator(".s2-choice select").nth(0).select_option("1")
    page.locator(".s2-choice select").nth(1).select_option("0")
    opened.shows(400, 250, (0, 0, 255))
    opened.shows(450, 250, (255, 0, 0))
    # a map that is built anew keeps the divider
    page.reload()
    page.wait_for_selector(".s2-swipe:visible")
    expect(page.get_by_role("slider", name="Divider between")).to_have_attribute("aria-valuenow", "47")
    page.get_by_role("button", name="Stop comparing").click()
    expect(page.locator(".s2-swipe")).to_be_hidden()
    assert opened.run("return [...document.querySelectorAll('.leaflet-pane')].every(pane => !pane.style.clipPath)")
    opened.shows(600, 250, (255, 0, 0))  # blue was off before
    assert opened.trouble == []


def test_the_divider_follows_a_finger(chromium: Any, site: tuple[Path, str]) -> None:
    opened = Opened(chromium, site, [plain_layer("Red", "#FF0000"), plain_layer("Blue", "#0000FF")])
    opened.page.get_by_role("button", name="Compare two layers with a divider").click()
    client = opened.page.context.new_cdp_session(opened.page)
    for kind, x in (("touchStart", 450), ("touchMove", 380), ("touchMove", 300)):
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": 300}]})
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(opened.page.locator(".s2-swipe")).to_have_attribute("aria-valuenow", "33")
    opened.shows(350, 200, (0, 0, 255))
    assert opened.trouble == []


def test_imagery_goes_on_under_classes(chromium: Any, site: tuple[Path, str]) -> None:
    half = [plain_layer("Imagery", "#00FF00", imagery=True), plain_layer("Classes", "#FF0000", opacity=0.5)]
    opened = Opened(chromium, site, half)
    opened.page.get_by_role("button", name="Compare two layers with a divider").click()
    opened.shows(400, 200, (0, 255, 0))
    opened.shows(520, 200, (128, 127, 0))
    assert opened.trouble == []


def test_what_was_switched_or_dimmed_stays_so_when_the_map_is_built_anew(chromium: Any, site: tuple[Path, str]) -> None:
    layers = [
        plain_layer("Green", "#00FF00"),
        plain_layer("Red", "#FF0000"),
        plain_layer("Blue", "#0000FF", shown=False),
    ]
    opened = Opened(chromium, site, layers, remember_view="run")
    page = opened.page

    def row(name: str) -> Any:
        return page.locator(".leaflet-control-layers-overlays label", has_text=name)

    row("Red").locator("input").uncheck()
    row("Green").locator("xpath=following-sibling::input[1]").fill("40")
    for _ in range(2):
        expect(row("Red").locator("input")).not_to_be_checked()
        expect(row("Blue").locator("input")).not_to_be_checked()  # never touched: as the page gives it
        expect(row("Green").locator("xpath=following-sibling::input[1]")).to_have_value("40")
        opened.shows(450, 300, (133, 235, 133), but=30)
        page.reload()
        page.wait_for_selector(".leaflet-control-layers", state="attached")
    row("Blue").locator("input").check()
    page.reload()
    page.wait_for_selector(".leaflet-control-layers", state="attached")
    opened.shows(450, 300, (0, 0, 255))
    assert opened.trouble == []


def test_a_base_map_that_cannot_be_reached_is_said_and_goes(chromium: Any, site: tuple[Path, str]) -> None:
    opened = Opened(chromium, site, [plain_layer("Red", "#FF0000")], base_map="OpenStreetMap")
    row = opened.page.locator(".leaflet-control-layers-overlays label", has_text="OpenStreetMap")
    expect(row.locator("input")).not_to_be_checked()
    asked: list[str] = []
    opened.page.on("request", lambda request: asked.append(request.url))
    row.locator("input").check()
    expect(opened.page.get_by_role("status")).to_contain_text("The base map needs the internet")
    opened.page.wait_for_function("() => document.querySelectorAll('input[type=checkbox]:checked').length === 1")
    expect(row.locator("input")).not_to_be_checked()
    expect(opened.page.locator(".leaflet-tile")).to_have_count(0)
    assert any("openstreetmap" in url for url in asked)
    opened.shows(450, 300, (255, 0, 0))
    opened.page.get_by_role("button", name="Close").click()
    expect(opened.page.get_by_role("status")).to_have_count(0)
    assert opened.trouble == []


def test_shapes_are_shown_and_edited(chromium: Any, site: tuple[Path, str]) -> None:
    layer = plain_layer("Red", "#FF0000")
    (south, west), (north, east) = layer.bounds
    low, high, left, right = (
        south + (north - south) * 0.3, south + (north - south) * 0.6,
        west + (east - west) * 0.3, west + (east - west) * 0.6,
    )  # fmt: skip
    ring = [[left, low], [right, low], [right, high], [left, high], [left, low]]
    nasty = "<img src=x onerror=alert(1)>"
    shapes = [
        MapShape(nasty, {"type": "Point", "coordinates": [right, high]}, "#00FF00"),
        MapShape("Area", {"type": "Polygon", "coordinates": [ring]}, "#FFFFFF", editable=True),
        MapShape("Fixed", {"type": "LineString", "coordinates": ring[:3]}, "#000000"),
    ]
    opened = Opened(chromium, site, [layer], shapes=shapes, draw=True)
    page = opened.page
    expect(page.locator("path.leaflet-interactive")).to_have_count(3)
    page.locator("path.leaflet-interactive[stroke='#00FF00']").hover()
    expect(page.locator(".leaflet-tooltip")).to_have_text(nasty)
    # what st_folium gets of an edit
    opened.run("window.seen = []; map.on('draw:edited draw:deleted', e => window.seen.push(e.layer.toGeoJSON()))")
    page.get_by_title("Edit what is drawn").click()
    corners = page.locator(".leaflet-edit-resize")
    expect(corners).to_have_count(4)  # a rectangle stays one
    box = corners.nth(2).bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 50, steps=5)
    page.mouse.up()
    page.get_by_title("Save the changes").click()
    (edited,) = opened.run("return window.seen")
    assert edited["type"] == "Feature"
    moved = np.array(edited["geometry"]["coordinates"][0])
    assert len(np.unique(moved[:, 0])) == len(np.unique(moved[:, 1])) == 2
    assert sorted(map(tuple, moved.round(6))) != sorted(map(tuple, np.array(ring).round(6)))
    page.get_by_title("Delete what is drawn").click()
    page.locator("path.leaflet-interactive[stroke='#FFFFFF'], path.leaflet-interactive[stroke='#fe57a1']").click()
    page.get_by_title("Save the changes").click()
    assert opened.run("return window.seen")[1] is None
    expect(page.locator("path.leaflet-interactive")).to_have_count(2)
    assert opened.trouble == []


def test_a_large_map_fetches_pieces_only_where_it_is_zoomed_in(
    chromium: Any, site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = site
    served: dict[str, bytes] = {}

    def serve(content: bytes, kind: str) -> str:
        url = f"/piece-{len(served)}.{kind.partition('/')[2]}"
        served[url] = content
        (folder / url[1:]).write_bytes(content)
        return url

    monkeypatch.setattr(publish, "_by", [serve])
    # one pixel of the scene in blue: lost in an overview of every fourth pixel
    labels = np.ones((2000, 2000), dtype=np.uint8)
    labels[1001, 1001] = 2
    grid = GeoBox(labels.shape, Affine(10, 0, 600000, 0, -10, 5656480), "EPSG:32633")
    layer = label_layer("Classes", warp_labels(labels, grid, max_side=500), COLOURS)
    opened = Opened(chromium, site, [layer])
    asked: list[str] = []
    opened.page.on("request", lambda request: asked.append(request.url.removeprefix(address)))
    opened.page.wait_for_function("() => document.querySelector('.leaflet-image-layer').complete")
    expect(opened.page.locator(".s2-piece")).to_have_count(0)
    place = [(a + b) / 2 for a, b in zip(*layer.bounds, strict=True)]
    opened.run(f"map.setView({json.dumps(place)}, 16, {{ animate: false }})")
    opened.page.wait_for_function(
        "() => document.querySelector('.leaflet-image-layer:not(.s2-piece)').style.visibility === 'hidden'"
    )
    assert 1 <= opened.page.locator(".s2-piece").count() <= 4  # all of them: the overview goes when they are there
    assert 1 <= len(asked) <= 4 < len(served)
    blue = (np.abs(opened.seen() - [0, 0, 255]).max(axis=-1) < 12).sum()
    metres = 156543.03 * np.cos(np.radians(place[0])) / 2**16  # of a pixel of the screen
    assert blue == pytest.approx((10 / metres) ** 2, rel=0.5)
    opened.run("map.setZoom(10, { animate: false })")
    opened.page.wait_for_function("() => !document.querySelector('.s2-piece')")
    expect(opened.page.locator(".leaflet-image-layer")).to_have_css("visibility", "visible")
    assert opened.trouble == []


def test_a_click_shows_the_pixel_and_the_divider_stays(chromium: Any, tmp_path: Path) -> None:
    from s2dash.export.scene import write_scene
    from s2dash.pipeline import RunSettings
    from s2dash.sources.request import SceneRequest
    from s2dash.testing import make_patchwork
    from s2dash.workspace import Workspace

    scene, _ = make_patchwork(side=64)
    write_scene(scene, tmp_path / "stripes.tif")
    space = Workspace.open(tmp_path / "workspace")
    space.start(SceneRequest(str(tmp_path / "stripes.tif")), RunSettings(k=4, sample=10_000))
    space.store.close()
    with serve(tmp_path / "workspace") as address:
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        context.route(lambda url: not url.startswith(address), lambda route: route.abort())
        ada = Visitor(context.new_page(), address)
        ada.go("clusters")
        frame = ada.map()
        frame.get_by_role("button", name="Compare two layers with a divider").click()
        frame.locator(".s2-swipe:visible").wait_for()
        ada.page.mouse.click(*ada.on_the_map(0.4, 0.5))
        ada.page.get_by_text("At this place").wait_for()
        expect(ada.main).to_contain_text("Median of cluster")
        expect(frame.locator(".s2-swipe")).to_be_visible()  # the map was not built anew
        context.close()
