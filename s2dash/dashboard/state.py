"""What a browser session holds between reruns: ids, and the caches behind them. The one place that knows Streamlit."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from s2dash.dashboard.assets import MapAssets, find_assets
from s2dash.dashboard.maps import MapLayer, scene_map
from s2dash.dashboard.texts import plain
from s2dash.dashboard.view import ClusterView, SceneView
from s2dash.errors import S2DashError
from s2dash.jobs import Job, JobBoard
from s2dash.pipeline import RunResult
from s2dash.progress import Progress
from s2dash.sources.request import SceneRequest
from s2dash.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
"""Folder of `app.py`."""


@st.cache_resource(show_spinner=False)
def workspace() -> Workspace:
    """The workspace all sessions of this server share: `S2DASH_WORKSPACE`, or `workspace/` beside the app."""
    folder = Path(os.environ.get("S2DASH_WORKSPACE") or ROOT / "workspace")
    return Workspace.open(folder, url=os.environ.get("S2DASH_DATABASE") or None)


@st.cache_resource(show_spinner=False)
def board() -> JobBoard:
    """The jobs of this server."""
    return JobBoard()


@st.cache_resource(show_spinner=False)
def assets() -> MapAssets:
    """The map's browser files."""
    return find_assets(ROOT / "static")


def run_id() -> str | None:
    """The run that is shown: the one in the address, else the newest complete one."""
    wanted = st.session_state.get("run") or st.query_params.get("run")
    complete = [record.id for record in workspace().store.runs() if record.status == "finished"]
    chosen = wanted if wanted in complete else next(iter(complete), None)
    if chosen is not None:
        st.session_state["run"] = chosen
    return chosen


def show_run(chosen: str) -> None:
    """Make a run the one that is shown, and its scene the present scene."""
    st.session_state["run"] = chosen
    st.session_state.pop("scene_request", None)


def result() -> RunResult:
    """The run that is shown, with all decisions; ends the page with a hint where there is none."""
    chosen = run_id()
    if chosen is None:
        st.info("There is no finished map yet. Start one on the page *Clusters*.", icon=":material/info:")
        st.stop()
    return workspace().open_run(chosen)


def request() -> SceneRequest | None:
    """The scene a new run would use: the one opened last in this session, else that of the run that is shown."""
    if "scene_request" in st.session_state:
        return SceneRequest.from_json(json.loads(st.session_state["scene_request"]))
    chosen = run_id()
    return SceneRequest.from_json(workspace().store.run(chosen).scene) if chosen else None


def show_scene(chosen: SceneRequest) -> None:
    """Make a scene the present one.

    Raises:
        SceneError: If it cannot be read; the scene before stays.
    """
    scene_view(json.dumps(chosen.to_json()))
    st.session_state["scene_request"] = json.dumps(chosen.to_json())


@st.cache_resource(max_entries=4, show_spinner="Opening the scene …")
def scene_view(asked: str) -> SceneView:
    """The pictures of a scene, asked for as JSON."""
    return SceneView(SceneRequest.from_json(json.loads(asked)).load())


def present_scene() -> SceneView | None:
    """The present scene; None, with a note, where it cannot be opened any more."""
    asked = request()
    if asked is None:
        return None
    try:
        return scene_view(json.dumps(asked.to_json()))
    except S2DashError as error:
        st.warning(plain(f"The scene cannot be opened: {error}"), icon=":material/image_not_supported:")
        return None


@st.cache_resource(max_entries=4, show_spinner="Opening the run …")
def _run_view(chosen: str, written: str) -> ClusterView:  # noqa: ARG001 - `written` makes a rewritten run a new one
    scene: SceneView | None = None
    try:
        scene = scene_view(json.dumps(SceneRequest.from_json(workspace().store.run(chosen).scene).to_json()))
    except S2DashError:
        scene = None  # shown on grey; the page says why
    return ClusterView(workspace().open_run(chosen).clusters, scene)


def run_view() -> ClusterView:
    """The pictures of the run that is shown."""
    chosen = run_id() or ""
    record = workspace().store.run(chosen)
    view = _run_view(chosen, str(record.finished))
    if view.scene is None:
        st.warning("The scene of this run has gone; the map is shown without imagery.", icon=":material/warning:")
    return view


@st.cache_resource(max_entries=24, show_spinner=False)
def kept_layer(kind: str, chosen: str, version: int, _make: Callable[[], MapLayer]) -> MapLayer:  # noqa: ARG001
    """A layer that changes with the legend, kept until the next decision."""
    return _make()


def show_map(layers: list[MapLayer], *, key: str, height: int = 620, **options: Any) -> None:
    """Show layers on a map that keeps its view from rerun to rerun."""
    from streamlit_folium import st_folium

    figure = scene_map(layers, assets=assets(), remember_view=key, **options)
    st_folium(figure, key=key, height=height, width=None, use_container_width=True, returned_objects=[])


def start_job(title: str, work: Callable[[Progress], Any]) -> None:
    """Start long work whose progress the side bar shows."""
    st.session_state["job"] = board().start(title, work).id


def present_job() -> Job | None:
    """The job this session started, or joined."""
    return board().get(st.session_state.get("job"))


def job_panel() -> None:
    """Progress of the present job with a stop button; shows the new run when it is done."""
    job = present_job()
    if job is None:
        return
    if job.running:
        _watch_job()
        return
    del st.session_state["job"]
    if job.state == "done":
        if isinstance(job.result, str):
            show_run(job.result)
        st.toast(f"{job.title}: done", icon=":material/check_circle:")
        st.rerun()
    st.session_state["job_error"] = job.error


def job_error() -> None:
    """Say why the last job did not finish, until the person goes on."""
    if text := st.session_state.pop("job_error", None):
        say_error(text)


@st.fragment(run_every=1.0)
def _watch_job() -> None:
    job = present_job()
    if job is None or not job.running:
        st.rerun()
    assert job is not None
    left = job.remaining_s
    st.progress(
        job.tracker.share, text=f"**{job.title}** · {job.tracker.text}" + (f" · {left:.0f} s left" if left else "")
    )
    if st.button("Stop", icon=":material/stop_circle:", key="stop_job", width="stretch"):
        job.tracker.cancel()


def say_error(error: object) -> None:
    """Show why something could not be done; what files and people call things is shown as it is."""
    st.error(plain(error), icon=":material/error:")


def ensure_demo() -> None:
    """On the first start, make the demo run in the background; other sessions join the same job."""
    space = workspace()
    if run_id() is not None or present_job() is not None:
        return
    running = board().running()
    if running:
        st.session_state["job"] = running[0].id
    elif not space.store.runs():
        start_job("Making the demo", lambda progress: space.ensure_demo(progress=progress))
