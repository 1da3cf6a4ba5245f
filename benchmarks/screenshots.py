"""Pictures of every page of the dashboard, taken in headless Chromium of the demo: for the README, and to be looked at.

    python benchmarks/screenshots.py                        # the few that the README shows, into docs/screenshots
    python benchmarks/screenshots.py --every --out /tmp/s   # all pages, light and dark, wide and tablet, both languages

Needs Playwright for Python, Chromium, and the map's files under `static/` (`npm ci`). Nothing leaves the machine.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("imagery", "clusters", "labels", "agreement", "compare", "runs", "story")
WITH_MAP = frozenset({"imagery", "clusters", "labels", "agreement"})
"""Pages that are not drawn before their map is."""
SIZES = {"1280x720": (1280, 720), "tablet": (820, 1180)}
LARGEST = 250_000
"""Most bytes of a picture of the README."""
IDLE = "() => document.querySelector('[data-testid=stApp]')?.getAttribute('data-test-script-state') === 'notRunning'"
DRAWN = """() => [...document.querySelectorAll('iframe[title*=folium]')].every(frame => {
    const pictures = [...(frame.contentDocument?.querySelectorAll('img.leaflet-image-layer, img.leaflet-tile') ?? [])];
    return pictures.length > 0 && pictures.every(image => image.complete && image.naturalWidth > 0);
}) && [...document.querySelectorAll('[data-testid=stImage] img')].every(image => image.complete)"""


@dataclass(frozen=True)
class Shot:
    """One picture to be taken."""

    page: str
    """Name of the page in addresses."""
    scheme: str = "light"
    """`light` or `dark`."""
    language: str = "en"
    """`en` or `uk`."""
    size: str = "1280x720"
    """One of `SIZES`."""
    full: bool = False
    """Whether the whole page is shown, however long."""
    step: int = 0
    """Of the story, the step that is presented; 0 for all."""
    press: str = ""
    """A button that is pressed first; what it makes is waited for, and the picture begins at its chart."""

    @property
    def name(self) -> str:
        """Of the file, without its ending."""
        parts = [self.page, *([f"step{self.step}"] if self.step else []), self.scheme, self.language, self.size]
        return "-".join([*parts, *(["full"] if self.full else [])])


README = {
    "imagery": Shot("imagery"),
    "clusters": Shot("clusters"),
    "labels": Shot("labels", scheme="dark"),
    "agreement": Shot("agreement", size="tablet"),
    "compare": Shot("compare", press="Compare strategies"),
    "story": Shot("story", step=6),
    "story-uk": Shot("story", language="uk", step=2, scheme="dark"),
}
"""What the README shows, by file name."""


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(workspace: Path, *, log: Path, port: int | None = None, options: Sequence[str] = ()) -> Iterator[str]:
    """The app as `make run` starts it, on a port of its own; gives its address."""
    port = port or free_port()
    where = ["--server.address=127.0.0.1", f"--server.port={port}", "--server.headless=true"]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", *where, "--server.fileWatcherType=none", *options]
    environment = {**os.environ, "S2DASH_WORKSPACE": str(workspace), "NO_PROXY": "127.0.0.1"}
    environment.pop("S2DASH_DATABASE", None)
    with log.open("wb") as out:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 120
        while not _healthy(address):
            if server.poll() is not None or time.monotonic() > until:
                sys.exit(f"The app did not start:\n{log.read_text('utf-8', 'replace')}")
            time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait(20)


def _healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def take(browser: Any, address: str, shot: Shot) -> bytes:
    """Open a page as the shot says, wait until all is drawn, and return a PNG."""
    width, height = SIZES[shot.size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=shot.scheme)
    context.route(lambda url: not url.startswith(address), lambda route: route.abort())
    page = context.new_page()
    try:
        step = f"&step={shot.step}" if shot.step else ""
        page.goto(f"{address}/?page={shot.page}&lang={shot.language}{step}", wait_until="commit")
        page.wait_for_selector("h1", timeout=120_000)
        _settle(page, with_map=shot.page in WITH_MAP)
        if shot.press:
            page.get_by_role("button", name=shot.press).click()
            chart = page.get_by_test_id("stPlotlyChart").first
            chart.wait_for(timeout=600_000)
            _settle(page, with_map=shot.page in WITH_MAP)
            chart.evaluate("element => element.scrollIntoView({ block: 'start' })")
            page.wait_for_timeout(900)
        if shot.full:
            length = int(page.locator("[data-testid=stMain]").evaluate("element => element.scrollHeight"))
            page.set_viewport_size({"width": width, "height": min(max(length, height), 8000)})
            _settle(page, with_map=shot.page in WITH_MAP)
        return bytes(page.screenshot())
    finally:
        context.close()


def _settle(page: Any, *, with_map: bool) -> None:
    page.wait_for_timeout(700)  # a page that has just been turned begins anew
    page.wait_for_function(IDLE, timeout=120_000)
    if with_map:
        page.wait_for_selector("iframe[title*=folium]", timeout=60_000)
    page.wait_for_function(DRAWN, timeout=120_000)
    page.wait_for_timeout(900)  # bars and charts glide into place
    page.wait_for_function(IDLE, timeout=120_000)


def small(png: bytes) -> bytes:
    """The picture as WebP of at most `LARGEST` bytes."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    content = png
    for quality in (90, 80, 70, 60, 50, 40):
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=quality, method=6)
        content = buffer.getvalue()
        if len(content) <= LARGEST:
            break
    return content


def every(pages: list[str]) -> list[Shot]:
    """All pages, light and dark, in every size, whole pages too, in both languages; and the story presented."""
    shots = [
        Shot(page, scheme, language, size)
        for page, scheme, language, size in product(pages, ("light", "dark"), ("en", "uk"), SIZES)
    ]
    shots += [Shot(page, language=language, full=True) for page, language in product(pages, ("en", "uk"))]
    if "story" in pages:
        shots += [Shot("story", language=language, step=step) for language in ("en", "uk") for step in range(1, 7)]
    return shots


def main() -> None:
    """Take the pictures and say what was written."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--out", type=Path, default=ROOT / "docs" / "screenshots", help="folder for the pictures")
    ask.add_argument("--every", action="store_true", help="all pages in all ways, as PNG, not only the README's")
    ask.add_argument("--pages", nargs="+", choices=PAGES, default=list(PAGES), help="only these pages")
    ask.add_argument("--workspace", type=Path, help="a workspace to show; by default one with the demo is made")
    options = ask.parse_args()
    from playwright.sync_api import sync_playwright

    sys.path.insert(0, str(ROOT))
    from s2dash.workspace import Workspace

    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        sys.exit("There is no Chromium on this machine. Install it, e.g. with: apt install chromium")
    wanted = {shot.name: shot for shot in every(options.pages)} if options.every else dict(README)
    wanted = {name: shot for name, shot in wanted.items() if shot.page in options.pages}
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        workspace = options.workspace or Path(folder) / "workspace"
        if options.workspace is None:
            space = Workspace.open(workspace)
            space.ensure_demo()
            space.store.close()
        with served(workspace, log=Path(folder) / "app.log") as address, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
            for name, shot in wanted.items():
                png = take(browser, address, shot)
                content = png if options.every else small(png)
                path = options.out / f"{name}.{'png' if options.every else 'webp'}"
                path.write_bytes(content)
                print(f"{path.name:<44}{len(content) / 1024:8.0f} KiB", flush=True)
            browser.close()


if __name__ == "__main__":
    main()
