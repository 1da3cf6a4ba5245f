"""The app on a server of its own, as `make run` starts it, and what looking at it in a browser needs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.screenshots import served
from s2dash.dashboard.assets import find_assets

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
IN_A_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(not find_assets(ROOT / "static").local, reason="the map's files are not installed (npm ci)"),
]


@contextmanager
def serve(workspace: Path, *, port: int | None = None, options: tuple[str, ...] = ()) -> Iterator[str]:
    """The app on a workspace; gives its address. No traceback may be in its log in the end."""
    log = workspace.with_suffix(".log")
    with served(workspace, log=log, port=port, options=options) as address:
        yield address
    assert "Traceback" not in log.read_text("utf-8", "replace"), log.read_text("utf-8", "replace")
