"""A browser for all that is looked at in one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from running_app import CHROMIUM


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
