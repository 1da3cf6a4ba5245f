"""The story in a real browser: a link opens the same view, in the same language; the arrow keys turn the steps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect
from running_app import IN_A_BROWSER, serve
from visitor import nothing_hangs_over_the_edge

from benchmarks.screenshots import IDLE
from s2dash.export.scene import write_scene
from s2dash.pipeline import RunSettings
from s2dash.sources.request import SceneRequest
from s2dash.testing import make_patchwork
from s2dash.workspace import Workspace

PAGES = ("imagery", "clusters", "labels", "agreement", "compare", "runs", "story")

pytestmark = IN_A_BROWSER


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A workspace with two runs of stripes, the older one first."""
    folder = tmp_path_factory.mktemp("story")
    scene, _ = make_patchwork(side=48)
    write_scene(scene, folder / "stripes.tif")
    space = Workspace.open(folder / "workspace")
    space.store.set_setting("dashboard.demo", "made before")
    made = [space.start(SceneRequest(str(folder / "stripes.tif")), RunSettings(k=k, sample=10_000)) for k in (4, 3)]
    space.store.close()
    return folder / "workspace", made


@pytest.fixture(scope="module")
def address(runs: tuple[Path, list[str]]) -> Iterator[str]:
    with serve(runs[0]) as found:
        yield found


def visit(chromium: Any, address: str, path: str = "", *, locale: str = "en-US", width: int = 1280) -> Any:
    context = chromium.new_context(viewport={"width": width, "height": 720}, locale=locale)
    context.route(lambda url: not url.startswith(address), lambda route: route.abort())
    page = context.new_page()
    page.goto(f"{address}/{path}", wait_until="commit")
    page.wait_for_selector("h1")
    settle(page)
    return page


def settle(page: Any) -> None:
    page.wait_for_timeout(500)
    page.wait_for_function(IDLE)


def heading(page: Any, text: str) -> None:
    page.wait_for_selector(f"h1:has-text('{text}')")


def test_a_link_opens_the_same_step_of_the_same_run_in_the_same_language(chromium, address, runs):
    old = runs[1][0]
    page = visit(chromium, address, f"story?run={old}", locale="uk-UA")
    heading(page, "Як це зроблено")  # the browser's own language
    page.get_by_test_id("stSidebar").get_by_text("English", exact=True).click()
    heading(page, "Story")
    expect(page).to_have_url(re.compile("lang=en"))
    page.get_by_role("button", name="Present step by step").click()
    heading(page, "What the satellite saw")
    settle(page)
    for key, title in (
        ("ArrowRight", "What the eye cannot see"),
        ("ArrowRight", "The computer groups what looks alike"),
        ("ArrowLeft", "What the eye cannot see"),
    ):
        page.keyboard.press(key)
        heading(page, title)
        settle(page)
    page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_role("button", name="Link").click()
    link = page.locator("[data-testid=stPopoverBody] code").first
    link.wait_for()
    found = link.inner_text().strip()
    page.context.close()

    assert parse_qs(urlsplit(found).query)["step"] == ["2"]
    other = visit(chromium, address, found.removeprefix(f"{address}/"), locale="uk-UA")
    heading(other, "What the eye cannot see")
    expect(other).to_have_url(re.compile(rf"run={old}"))
    other.keyboard.press("Escape")
    heading(other, "Story")
    other.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_link_opens_every_page_and_the_way_back_is_open(chromium, address, runs, name):
    page = visit(chromium, address, f"?run={runs[1][0]}&page={name}&lang=uk")
    path = "" if name == "imagery" else name
    page.wait_for_function("path => location.pathname === `/${path}`", arg=path)
    expect(page).to_have_url(re.compile(rf"run={runs[1][0]}"))
    settle(page)
    if name == "runs":
        page.go_back()
        page.wait_for_function("() => location.pathname === '/'")
        page.wait_for_timeout(1500)
        assert urlsplit(page.url).path == "/"  # not led forward again
    page.context.close()


@pytest.mark.parametrize("width", [820, 1280])
def test_nothing_hangs_over_the_edge(chromium, address, runs, width):
    for path in ("story", "story?step=4", "compare", "runs"):
        for language in ("en", "uk"):
            page = visit(chromium, address, f"{path}{'&' if '?' in path else '?'}lang={language}", width=width)
            settle(page)
            nothing_hangs_over_the_edge(page)
            page.context.close()


def test_the_file_to_print_shows_all_pictures_without_a_server(chromium, address, tmp_path):
    page = visit(chromium, address, "?page=story")
    button = page.get_by_role("button", name="Download to print")
    button.wait_for()
    with page.expect_download() as waiting:
        button.click()
    waiting.value.save_as(tmp_path / "story.html")
    page.context.close()
    context = chromium.new_context(offline=True)
    alone = context.new_page()
    alone.goto((tmp_path / "story.html").as_uri())
    sizes = alone.evaluate("() => [...document.images].map(image => image.complete && image.naturalWidth)")
    assert len(sizes) == 6
    assert min(sizes) > 900
    context.close()
