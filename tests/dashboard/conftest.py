"""What the tests of the pages share: a workspace of their own, and Streamlit as it is on a running server."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from app_pages import make_run
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.pages_manager import PagesManager

from s2dash.export.scene import write_scene
from s2dash.testing import make_patchwork
from s2dash.workspace import Workspace


@pytest.fixture(autouse=True, scope="session")
def _components_are_looked_for_once() -> Iterator[None]:
    """Every AppTest starts as a server does, reading what all installed packages say of themselves: half a second."""
    patch = pytest.MonkeyPatch()
    patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
    yield
    patch.undo()


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """An empty workspace that the app opens too, and that has had its demo."""
    monkeypatch.setenv("S2DASH_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.delenv("S2DASH_DATABASE", raising=False)
    st.cache_resource.clear()
    space = Workspace.open(tmp_path / "workspace")
    space.store.set_setting("dashboard.demo", "made before")
    yield space
    st.cache_resource.clear()
    space.store.close()


@pytest.fixture
def scene_file(tmp_path: Path) -> Path:
    """A small scene of four stripes."""
    write_scene(make_patchwork(side=48)[0], tmp_path / "stripes.tif")
    return tmp_path / "stripes.tif"


@pytest.fixture
def run(space: Workspace, scene_file: Path) -> str:
    """A finished run of it, compared with nothing."""
    return make_run(space, scene_file)


@pytest.fixture
def first_visit() -> None:
    """Leave Streamlit as it is when a server starts."""


@pytest.fixture
def after_the_first_visit(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """AppTest forgets before every run that the app has called `st.navigation`; a server remembers it."""
    if "first_visit" in request.fixturenames:
        return
    begin = PagesManager.__init__

    def remembering(manager: PagesManager, *arguments: Any, **options: Any) -> None:
        begin(manager, *arguments, **options)
        PagesManager.uses_pages_directory = False

    monkeypatch.setattr(PagesManager, "__init__", remembering)
