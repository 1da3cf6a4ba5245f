"""The way of a new user through the real app, in headless Chromium, with every way out of the machine closed."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from s2dash.workspace import Workspace

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
REPORT = ROOT / "test-report"
PAGES = ("Area & imagery", "Clusters", "Labels", "Agreement", "Runs")
WAIT = 90_000
"""Milliseconds a busy machine may take."""

if CHROMIUM is None:
    pytest.skip("no Chromium here: install Debian's `chromium`", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make setup-test")
expect = sync_api.expect


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return tmp_path_factory.mktemp("app") / "workspace"


@pytest.fixture(scope="module")
def address(workspace) -> Iterator[str]:
    """The app, served as `make run` does, on a free port and an empty workspace."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "app.py",
        "--server.port",
        str(port),
        "--server.headless",
        "true",
    ]
    command += ["--server.address", "127.0.0.1", "--server.fileWatcherType", "none"]
    log = workspace.parent / "app.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"S2DASH_WORKSPACE": str(workspace)},
        )
        try:
            for _ in range(120):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2).close()
                    break
                except OSError:
                    time.sleep(0.5)
            else:
                pytest.fail(f"the app did not start: {log.read_text()}")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(20)
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, address):
    """Opens pages from which nothing can leave the machine, and tells afterwards if anything tried."""
    left: list[str] = []
    contexts = []

    def guard(route):
        host = route.request.url.split("/")[2].split(":")[0] if "//" in route.request.url else ""
        if host in {"127.0.0.1", "localhost", ""}:
            route.continue_()
        else:
            left.append(route.request.url)
            route.abort()

    def start(**options):
        context = browser.new_context(viewport={"width": 1440, "height": 900}, **options)
        contexts.append(context)
        context.route(re.compile("^http"), guard)
        page = context.new_page()
        page.set_default_timeout(WAIT)
        page.goto(address)
        return page

    yield start
    for context in contexts:
        context.close()
    assert left == []


def go(page, title):
    page.get_by_test_id("stSidebar").get_by_role("link", name=title, exact=True).click()
    expect(page.get_by_role("heading", name=title, exact=True, level=1)).to_be_visible(timeout=WAIT)


def settled(page):
    """Wait until the script has run to its end."""
    page.wait_for_timeout(700)
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=WAIT)


def map_images(page):
    """The pictures of the map, loaded and of a size that shows."""
    frame = page.frame_locator('iframe[title^="streamlit_folium"]').first
    picture = frame.locator("img.leaflet-image-layer").first
    expect(picture).to_be_visible(timeout=WAIT)
    return frame.locator("img.leaflet-image-layer").evaluate_all(
        "images => images.map(image => [image.complete, image.naturalWidth, image.getBoundingClientRect().width])"
    )


def no_failure(page):
    expect(page.get_by_text(re.compile("Traceback|did not foresee"))).to_have_count(0)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def picture_of(page, name):
    REPORT.mkdir(exist_ok=True)
    page.screenshot(path=REPORT / f"{name}.png")


def test_the_way_of_a_new_user(open_page, workspace):
    page = open_page()
    # first start: the demo appears with no click
    expect(page.get_by_text("simulated: shows no real place").first).to_be_visible(timeout=2 * WAIT)
    assert all(loaded and wide > 0 and shown > 50 for loaded, wide, shown in map_images(page))
    store = Workspace.open(workspace).store
    assert [record.status for record in store.runs()] == ["finished"]

    go(page, "Clusters")
    map_images(page)
    slider = page.get_by_test_id("stSlider").filter(has_text="Clusters (K)").get_by_role("slider")
    slider.focus()
    for _ in range(3):
        slider.press("ArrowLeft")
    settled(page)
    page.get_by_role("button", name="Make the map").click()
    for _ in range(180):
        if sum(record.status == "finished" for record in store.runs()) == 2:
            break
        page.wait_for_timeout(500)
    run = store.runs()[0]
    assert run.status == "finished"
    demo = store.runs()[1]
    assert run.settings["k"] == demo.settings["k"] - 3
    expect(page).to_have_url(re.compile(run.id), timeout=WAIT)

    go(page, "Labels")
    settled(page)
    box = page.get_by_test_id("stSelectbox").filter(has_text="Class").first
    box.locator("input").first.click()
    page.get_by_role("option", name="Mangroves").click()
    page.get_by_role("button", name="Set class").first.click()
    expect(page.get_by_role("heading", name="1 · Mangroves")).to_be_visible(timeout=WAIT)
    assert [(event.kind, event.after) for event in store.events(run.id)] == [("override", 95)]

    page.reload()  # in the middle of the work: nothing is lost
    expect(page.get_by_role("heading", name="1 · Mangroves")).to_be_visible(timeout=WAIT)

    other = open_page()  # a second person sees it too
    other.goto(page.url)
    expect(other.get_by_role("heading", name="1 · Mangroves")).to_be_visible(timeout=WAIT)

    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", name="1 · Mangroves")).to_have_count(0, timeout=WAIT)
    assert [event.kind for event in store.events(run.id)] == ["override", "undo"]

    go(page, "Agreement")
    expect(page.get_by_text("Overall agreement").first).to_be_visible(timeout=WAIT)
    expect(page.get_by_text(re.compile("ceiling", re.IGNORECASE)).first).to_be_visible()
    expect(page.get_by_test_id("stPlotlyChart").first).to_be_visible(timeout=WAIT)

    go(page, "Runs")
    page.get_by_test_id("stMain").get_by_role("button", name="Open", exact=True).last.click()
    expect(page).to_have_url(re.compile(demo.id), timeout=WAIT)
    no_failure(page)


def test_what_cannot_be_opened_is_said_and_the_scene_stays(open_page):
    page = open_page()
    map_images(page)
    place = page.get_by_role("textbox", name="File or folder")
    place.fill("/nowhere/scene.tif")
    place.press("Enter")
    settled(page)
    page.get_by_role("button", name="Open scene").click()
    expect(page.get_by_text("There is no file or folder /nowhere/scene.tif")).to_be_visible(timeout=WAIT)
    map_images(page)
    no_failure(page)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_shows_something_in_both_themes(open_page, theme):
    page = open_page(color_scheme=theme)
    expect(page.get_by_text("simulated: shows no real place").first).to_be_visible(timeout=2 * WAIT)
    for title in PAGES:
        go(page, title)
        settled(page)
        no_failure(page)
        if title not in {"Runs"}:
            map_images(page)
        page.wait_for_timeout(1500)
        picture_of(page, f"{title.split()[0].lower()}-{theme}")


def test_a_small_screen_has_no_sideways_scrolling(open_page):
    page = open_page()
    page.set_viewport_size({"width": 1280, "height": 720})
    for title in PAGES:
        go(page, title)
        settled(page)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
