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
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Template
from odc.geo.geobox import GeoBox

from s2dash.dashboard.assets import find_assets, install_assets
from s2dash.dashboard.maps import picture_layer, scene_map
from s2dash.dashboard.pictures import Picture, class_picture
from s2dash.dashboard.script import script_text

ROOT = Path(__file__).resolve().parents[2]
NASTY = "</script><script>alert(1)</script><img src=x onerror=alert(2)> {{ 7*191 }} {% raise %} \"'`&amp;"


@given(st.recursive(st.text() | st.floats(allow_nan=False) | st.booleans(), st.lists, max_leaves=8))
def test_any_value_comes_back_from_the_script_as_it_was(value: Any) -> None:
    text = script_text(value)
    assert not set(text) & set("<>&'{}\u2028\u2029")
    assert Template(text).render() == text  # means nothing to the templates it goes through
    assert json.loads(text) == value


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder served on loopback, with the map's files where Streamlit would serve them."""
    if not (ROOT / "node_modules" / "leaflet").is_dir():
        pytest.skip("the npm packages of the map are not installed (npm ci)")
    folder = tmp_path_factory.mktemp("site")
    install_assets(ROOT / "node_modules", folder / "app" / "static")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.browser
def test_the_map_works_in_a_browser_without_internet(site: tuple[Path, str]) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    folder, address = site
    grid = GeoBox((90, 120), Affine(10, 0, 647360, 0, -10, 5656480), "EPSG:32633")
    labels = np.random.default_rng(0).integers(1, 3, (90, 120), dtype=np.uint8)
    picture = Picture(class_picture(labels, {1: "#FF0000", 2: "#0000FF"}), grid)
    layers = [picture_layer("Hidden", picture, shown=False), picture_layer(NASTY, picture, opacity=0.5)]
    built = scene_map(
        layers,
        legend=[(NASTY, "#00FF00")],
        legend_title="Classes",
        attribution=NASTY,
        draw=True,
        assets=find_assets(folder / "app" / "static"),
        remember_view="run 1",
    )
    (folder / "map.html").write_text(built.get_root().render(), "utf-8")
    (folder / "favicon.ico").write_bytes(b"")
    name = built.get_name()
    south_west, north_east = layers[0].bounds

    trouble: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 900, "height": 600})
        page.on("pageerror", lambda error: trouble.append(f"script error: {error}"))
        page.on("dialog", lambda dialog: (trouble.append(f"alert: {dialog.message}"), dialog.dismiss()))
        page.on("requestfailed", lambda request: trouble.append(f"failed: {request.url[:80]}"))
        page.on("response", lambda answer: trouble.append(answer.url[:80]) if answer.status >= 400 else None)
        page.on("request", lambda r: None if r.url.startswith((address, "data:")) else trouble.append(r.url))
        page.goto(f"{address}/map.html")
        page.wait_for_selector(".leaflet-image-layer")

        # The picture lies where Leaflet itself puts its corners.
        corners = page.evaluate(
            f"""() => {{
                const box = {name}.getContainer().getBoundingClientRect();
                return [{list(south_west)}, {list(north_east)}].map(corner => {{
                    const at = {name}.latLngToContainerPoint(corner); return [box.x + at.x, box.y + at.y];
                }});
            }}"""
        )
        shown = page.locator(".leaflet-image-layer").bounding_box()
        assert shown is not None
        assert shown["x"] == pytest.approx(corners[0][0], abs=1)
        assert shown["y"] == pytest.approx(corners[1][1], abs=1)
        assert shown["x"] + shown["width"] == pytest.approx(corners[1][0], abs=1)
        assert shown["y"] + shown["height"] == pytest.approx(corners[0][1], abs=1)
        assert shown["height"] > 350  # the map opens on it

        # Text is text; the layer on top stands on top; opacity changes without a rerun.
        rows = page.locator(".leaflet-control-layers-overlays label")
        assert [rows.nth(index).inner_text().strip() for index in range(2)] == [NASTY, "Hidden"]
        assert page.locator(".s2-row").inner_text().strip() == NASTY
        assert NASTY in page.locator(".leaflet-control-attribution").inner_text()
        page.locator(".s2-opacity").first.fill("20")
        assert page.locator(".leaflet-image-layer").evaluate("image => image.parentElement.style.opacity") == "0.2"
        icon = page.locator(".leaflet-control-layers-toggle").evaluate("link => getComputedStyle(link).backgroundImage")
        assert f"{address}/app/static/leaflet/images/layers.png" in icon

        # A rectangle can be drawn.
        page.click(".leaflet-draw-draw-rectangle")
        page.mouse.move(300, 250)
        page.mouse.down()
        page.mouse.move(400, 300, steps=10)
        page.mouse.up()
        assert page.locator("path.leaflet-interactive").count() == 1

        # The view survives a rebuild, and home leads back.
        where = f"() => [{name}.getCenter().lat, {name}.getCenter().lng, {name}.getZoom()]"
        opened = page.evaluate(where)
        page.evaluate(f"() => {name}.setView([{south_west[0]}, {south_west[1]}], 15, {{animate: false}})")
        page.reload()
        page.wait_for_selector(".leaflet-image-layer", state="attached")
        assert page.evaluate(where) == pytest.approx([*south_west, 15], abs=1e-4)
        page.click(".s2-home")
        assert page.evaluate(where) == pytest.approx(opened, abs=1e-4)  # screen pixels are rounded
        browser.close()
    assert trouble == []
