"""A browser for all that is looked at in one, and visitors of the app."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright
from running_app import CHROMIUM, serve
from visitor import Visitor

from s2dash.workspace import Workspace


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Callable[..., Visitor]]:
    """Opens browsers that reach only the app, and sees that they had no trouble."""
    visitors: list[Visitor] = []

    def arrive(address: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> Visitor:
        scheme = "dark" if dark else "light"
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        page = context.new_page()
        visitor = Visitor(page, address)
        context.route(lambda url: not url.startswith(address), lambda route: route.abort())
        local = (address, "data:", "blob:")
        page.on("request", lambda r: r.url.startswith(local) or visitor.trouble.append(f"left the machine: {r.url}"))
        page.on("pageerror", lambda error: visitor.trouble.append(f"script error: {error}"))
        visitors.append(visitor)
        return visitor

    yield arrive
    for visitor in visitors:
        errors = visitor.page.locator("[data-testid=stException]").count()
        visitor.page.context.close()
        assert errors == 0
        assert visitor.trouble == []


@pytest.fixture(scope="module")
def demo_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the demo in it."""
    folder = tmp_path_factory.mktemp("demo") / "workspace"
    space = Workspace.open(folder)
    space.ensure_demo()
    space.store.close()
    return folder


@pytest.fixture(scope="module")
def demo(demo_workspace: Path) -> Iterator[str]:
    """A server with the demo."""
    with serve(demo_workspace) as address:
        yield address
