"""A person at the app with a browser of their own.

Streamlit redraws a page in pieces, on a busy machine seconds after a click. Nothing here or in the tests may look once
and judge, therefore: what should be there is waited for (`expect`, `eventually`), and a place in the page is named,
never held, because a redraw may put another element there.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Error, Page, expect
from playwright.sync_api import TimeoutError as Late

IDLE = "() => document.querySelector('[data-testid=stApp]')?.getAttribute('data-test-script-state') === 'notRunning'"
PATIENCE_S = 30.0
"""How long anything may take to come."""

expect.set_options(timeout=1000 * PATIENCE_S)


def eventually(holds: Callable[[], object], *, page: Page, within_s: float = PATIENCE_S) -> None:
    """Until something holds; what is asked may meanwhile be gone from the page."""
    until = time.monotonic() + within_s
    while True:
        try:
            found = holds()
        except Error as error:
            found = error
        if found is True:
            return
        if time.monotonic() > until:
            pytest.fail(f"after {within_s:g} s: {found!r}")
        page.wait_for_timeout(100)


def nothing_hangs_over_the_edge(page: Page) -> None:
    """Until the page is no wider than its window."""
    inside = "element => element.clientWidth > 0 && element.scrollWidth <= element.clientWidth"
    eventually(lambda: page.get_by_test_id("stMain").evaluate(inside), page=page)


@dataclass
class Visitor:
    """A person with a browser of their own."""

    page: Page
    address: str
    trouble: list[str] = field(default_factory=list)

    def go(self, path: str = "", *, wait: bool = True) -> None:
        """Open an address."""
        self.page.goto(f"{self.address}/{path}", wait_until="commit")
        if wait:
            self.page.wait_for_selector("h1")
            self.idle()

    def idle(self) -> None:
        """Until the server has nothing more to say, as far as the page knows yet."""
        self.page.wait_for_timeout(150)
        self.page.wait_for_function(IDLE)

    def turn(self, title: str) -> None:
        """To another page, by the side bar."""
        self.page.get_by_test_id("stSidebar").get_by_role("link", name=title).click()
        self.page.wait_for_selector(f"h1:has-text('{title}')")
        self.idle()
        expect(self.page).to_have_title(f"{title} · s2dash")

    def choose(self, label: str, option: str) -> None:
        """Open a list, type what is wanted, as its box allows, and take it.

        A list far down holds in the page only what can be seen of it, and a page redrawn at that moment closes it:
        a person would open it again.
        """
        box = self.page.get_by_label(label, exact=True).first
        wanted = self.page.get_by_role("option", name=option, exact=True)
        for _ in range(4):
            box.click()
            box.press_sequentially(option)
            try:
                wanted.click(timeout=5_000)
            except Late:
                self.page.keyboard.press("Escape")
                continue
            self.idle()
            return
        pytest.fail(f"{label!r} never offered {option!r}")

    def press(self, button: str) -> None:
        """Press the first button of this name."""
        self.page.get_by_role("button", name=button, exact=True).first.click()
        self.idle()

    def run(self) -> str:
        """The run in the address."""
        expect(self.page).to_have_url(re.compile(r"[?&]run=[^&]+"))
        found = re.search(r"[?&]run=([^&]+)", self.page.url)
        assert found, self.page.url
        return found[1]

    def leads_to(self, run: str) -> None:
        """Until the address holds this run."""
        expect(self.page).to_have_url(re.compile(rf"[?&]run={re.escape(run)}(&|$)"))

    @property
    def main(self) -> Any:
        """The page without its side bar."""
        return self.page.get_by_test_id("stMain")

    @property
    def metrics(self) -> Any:
        """The figures at the head of a page."""
        return self.page.get_by_test_id("stMetric")

    def map(self) -> Any:
        """The map, once its pictures are loaded and it has a size."""
        frame = self.page.frame_locator("iframe[title*=folium]")
        shown = """container => {
            const large = element => element.getBoundingClientRect().width > 300
                && element.getBoundingClientRect().height > 300;
            const pictures = [...container.querySelectorAll('img.leaflet-image-layer')];
            return large(container) && pictures.length > 0 && pictures.every(image => image.complete
                && image.naturalWidth > 50 && image.getBoundingClientRect().width > 50);
        }"""
        eventually(lambda: frame.locator(".leaflet-container").evaluate(shown), page=self.page)
        return frame

    def on_the_map(self, across: float, down: float) -> tuple[float, float]:
        """Where in the window a place of the map is, given as shares of its frame."""
        frame = self.page.locator("iframe[title*=folium]")
        frame.scroll_into_view_if_needed()
        box = frame.bounding_box()
        assert box
        return box["x"] + across * box["width"], box["y"] + down * box["height"]

    def shows_layers(self, check: Callable[[list[str]], bool]) -> None:
        """Until the names of the map's layers, in their order, are as wanted."""
        labels = self.map().locator(".leaflet-control-layers-overlays label")
        eventually(lambda: check([text.strip() for text in labels.all_inner_texts()]), page=self.page)

    def has_rows(self, count: int) -> None:
        """Until the map's legend has so many rows."""
        expect(self.map().locator(".s2-row")).to_have_count(count)
