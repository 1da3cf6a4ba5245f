"""What the tests of the pages do again and again: open one, read it, press a button, wait for work to end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from streamlit.testing.v1 import AppTest

from s2dash.export.cog import write_class_cog
from s2dash.pipeline import ReferenceSettings, RunSettings
from s2dash.sources.request import SceneRequest
from s2dash.testing import make_patchwork
from s2dash.workspace import Workspace

APP = Path(__file__).resolve().parents[2] / "app.py"


def opened(
    page: str = "imagery",
    *,
    session: Mapping[str, Any] | None = None,
    secrets: dict[str, object] | None = None,
    user: dict[str, object] | None = None,
    **query: str,
) -> AppTest:
    """A page of the app, by its own address."""
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.secrets, app.user = secrets or {}, user or {}
    for name, value in query.items():
        app.query_params[name] = value
    for name, value in (session or {}).items():
        app.session_state[name] = value
    return turned(app, page)


def turned(app: AppTest, page: str) -> AppTest:
    """Another page of it."""
    app.switch_page(f"pages/{page}.py").run()
    assert not app.exception
    return app


def texts(app: AppTest) -> str:
    """All that is said, without the signs that keep it from being read as Markdown."""
    said = [*app.error, *app.warning, *app.info, *app.success, *app.caption, *app.markdown, *app.code]
    said += [*app.title, *app.header, *app.subheader]
    bars = [bar.proto.text for bar in app.get("progress")]
    return "\n".join([*(str(element.value) for element in said), *bars]).replace("\\", "")


def button(app: AppTest, label: str) -> Any:
    """The first button of this name."""
    return next(found for found in app.button if found.label.replace("\\", "") == label)


def press(app: AppTest, label: str) -> AppTest:
    """Press the first button of this name that can be pressed."""
    same = (found for found in app.button if found.label.replace("\\", "") == label and not found.disabled)
    next(same).click().run()
    assert not app.exception
    return app


def wait_for(app: AppTest, done: Callable[[AppTest], object], *, seconds: float = 60) -> AppTest:
    """Run the page again and again, as the browser does while work is under way."""
    until = time.monotonic() + seconds
    while not done(app):
        assert time.monotonic() < until, texts(app)
        time.sleep(0.1)
        app.run()
        assert not app.exception
    return app


def write_stripes_reference(path: Path, *, side: int = 48) -> Path:
    """A reference for `make_patchwork`, in WorldCover codes: tree cover, grassland, built-up and water."""
    scene, stripes = make_patchwork(side=side)
    codes = np.array([0, 10, 30, 50, 80], dtype=np.uint8)[stripes]
    names, colours = {10: "a", 30: "b", 50: "c", 80: "d"}, dict.fromkeys((10, 30, 50, 80), "#808080")
    write_class_cog(path, codes, grid=scene.grid, names=names, colours=colours)
    return path


def make_run(space: Workspace, scene: Path, *, k: int = 4, reference: ReferenceSettings | None = None) -> str:
    """A finished run of a scene."""
    return space.start(SceneRequest(str(scene)), RunSettings(k=k, sample=10_000), reference=reference)
