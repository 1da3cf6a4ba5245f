"""What a browser session holds between reruns: ids, and the caches behind them. The one place that knows Streamlit."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from s2dash.annotation.keys import Keys
from s2dash.dashboard.address import choose_run
from s2dash.dashboard.assets import find_assets
from s2dash.dashboard.language import FIRST, known_language, speak, t
from s2dash.dashboard.maps import MapLayer, scene_map
from s2dash.dashboard.server import Server
from s2dash.dashboard.session import check_guards, first_value, written_keys
from s2dash.dashboard.session import guard_by as guard_by
from s2dash.dashboard.texts import duration, plain
from s2dash.dashboard.view import ClusterView, SceneView
from s2dash.errors import S2DashError, StoreError
from s2dash.jobs import Job
from s2dash.pipeline import RunResult
from s2dash.progress import Progress
from s2dash.sources.request import SceneRequest
from s2dash.store import Changes
from s2dash.workspace import Workspace

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
"""Folder of `app.py`."""
KEY_FIELD = "key of "
"""What the names of the fields for keys begin with; the rest is the key's own name."""
_running = threading.local()  # a rerun, its page included, is one thread
_PATIENCE = 3.0
"""How long a page waits for a scene to be opened before it shows the progress instead, s."""


def spoken() -> str:
    """The language chosen, in the address or by the switch; before that, the browser's own."""
    if get_script_run_ctx(suppress_warning=True) is None:  # work in the background: nobody in particular reads it
        return FIRST
    chosen = st.session_state.get("language") or st.query_params.get("lang") or st.context.locale
    return known_language(chosen)


speak(spoken)


@st.cache_resource(show_spinner=False)  # it takes a moment, and no language is known this early
def server() -> Server:
    """The shared part; made once.

    Raises:
        StoreError: If the workspace cannot be opened.
    """
    folder = Path(os.environ.get("S2DASH_WORKSPACE") or ROOT / "workspace")
    space = Workspace.open(folder, url=os.environ.get("S2DASH_DATABASE") or None)
    return Server(workspace=space, assets=find_assets(ROOT / "static"))


def workspace() -> Workspace:
    """The workspace."""
    return server().workspace


# ---- every rerun


def begin() -> None:
    """What comes first in every rerun: jobs that ended, the first start, and which run is shown."""
    if "jobs" not in st.session_state:
        st.session_state["jobs"] = {}
        if "run" not in st.query_params and (last := recall("scene")):
            st.session_state["scene_request"] = last
    _settle_jobs()
    _choose_run()
    if run_id() is None and (job := server().first_start()):
        _own(job)
    for running in server().board.running():  # what others began, or this session before a reload
        if not server().is_opening(running.id):
            st.session_state["jobs"].setdefault(running.id, False)


@contextmanager
def frame() -> Iterator[None]:
    """Around the page, in `app.py`."""
    _running.framed = True
    try:
        yield
    finally:
        _running.framed = False


def framed() -> None:
    """See, in a page, that `app.py` runs around it.

    Until somebody opens the app itself, Streamlit takes the folder `pages/` for an app of the old kind and runs the
    page that is asked for alone. Any call of `st.navigation` ends that.
    """
    if not getattr(_running, "framed", False):
        st.navigation(sorted((ROOT / "pages").glob("*.py")), position="hidden")
        st.rerun()


def run_id() -> str | None:
    """The run that is shown."""
    shown: str | None = st.session_state.get("run")
    return shown


def show_run(chosen: str) -> None:
    """Make a run the one that is shown, and its scene the present scene."""
    st.session_state["run"] = chosen
    if st.session_state.pop("scene_request", None) is not None:
        remember("scene", None)


def _choose_run() -> None:
    """The run asked for in the address, else the one shown before, else the newest; the address says which."""
    finished = [record.id for record in server().finished_runs()]
    asked, written = st.query_params.get("run"), st.session_state.get("address")
    choice = choose_run(asked=asked, written=written, shown=run_id(), finished=finished)
    if choice.unknown:
        _say_later("warning", t("frame.unknown_run", run=str(asked)[:80]))
    elif choice.shown is not None and choice.shown == asked != written:
        show_run(choice.shown)
    st.session_state["run"] = st.session_state["address"] = choice.shown
    if choice.write:
        st.query_params["run"] = choice.shown or ""


# ---- the run that is shown


def shown_run() -> RunResult | None:
    """The run that is shown with all decisions; None, having said why, where it cannot be opened, or there is none."""
    chosen = run_id()
    if chosen is None:
        return None
    try:
        with st.spinner(t("frame.opening_run"), show_time=True):
            return server().open_run(chosen)
    except S2DashError as error:
        say_error(error)
        return None


def result() -> RunResult:
    """The run that is shown with all decisions; ends the page with what to do where there is none."""
    found = shown_run()
    if found is None:
        nothing()
        st.stop()
    return found


def kept(kind: str, make: Callable[[], T]) -> T:
    """Something made of the run that is shown, kept until the next decision."""
    return server().kept(kind, run_id() or "", make)


def run_view(found: RunResult) -> ClusterView:
    """The pictures of the run that is shown; says so where its scene cannot be shown."""
    chosen = run_id() or ""
    asked = SceneRequest.from_json(workspace().store.run(chosen).scene)
    scene, job = server().open_scene(asked, patience=_PATIENCE)
    if scene is None and job.running:
        _watch_opening(job.id, "run")
    elif scene is None:
        st.warning(t("frame.no_imagery", why=plain(job.error)), icon=":material/image_not_supported:")
    elif scene.scene.grid != found.clusters.grid:
        st.warning(t("frame.scene_changed"), icon=":material/warning:")
        scene = None
    return server().cluster_view(chosen, found, scene, of=asked)


def changes() -> Changes:
    """How much happened to the run that is shown; asked for before it is opened, for `follow`."""
    return workspace().store.changes(run_id() or "")


@st.fragment(run_every=4.0)
def follow(chosen: str, seen: Changes) -> None:
    """Show what others decide on the same run, or edit of its clusters, within seconds."""
    with suppress(StoreError):
        if workspace().store.changes(chosen) != seen:
            st.rerun()


def keys() -> Keys:
    """The services' keys: of the environment, `.streamlit/secrets.toml`, and this session, which alone holds those."""
    kept: dict[Any, Any] = dict(st.secrets) if st.secrets.load_if_toml_exists() else {}
    return Keys.from_environment().with_values(written_keys(kept, dict(st.session_state), prefix=KEY_FIELD))


# ---- the present scene


def request() -> SceneRequest | None:
    """The scene a new run would use: the one opened last, else that of the run that is shown."""
    if "scene_request" in st.session_state:
        return SceneRequest.from_json(json.loads(st.session_state["scene_request"]))
    chosen = run_id()
    return SceneRequest.from_json(workspace().store.run(chosen).scene) if chosen else None


def show_scene(chosen: SceneRequest) -> None:
    """Make a scene the present one, in this session and after a restart.

    Raises:
        SceneError: If it cannot be opened; the scene before stays.
    """
    with st.spinner(t("frame.opening_scene")):
        chosen.load()
    server().forget_failure(chosen)
    st.session_state["scene_request"] = json.dumps(chosen.to_json())
    remember("scene", st.session_state["scene_request"])


def present_scene() -> SceneView | None:
    """The present scene; None, having said why, where there is none to show."""
    asked = request()
    if asked is None:
        nothing(elsewhere=False)
        return None
    view, job = server().open_scene(asked, patience=_PATIENCE)
    if view is not None:
        return view
    if job.running:
        _watch_opening(job.id, "scene")
        return None
    st.warning(t("frame.no_scene", why=plain(job.error)), icon=":material/image_not_supported:")
    if st.button(t("frame.try_again"), icon=":material/refresh:"):
        server().forget_failure(asked)
        st.rerun()
    return None


# ---- long work


def start_job(title: str, work: Callable[[Progress], Any]) -> None:
    """Start long work whose progress every side bar shows; raises `NotAllowedError` where `guard_by` forbids it."""
    check_guards()
    _own(server().board.start(title, work))


def _own(job: Job) -> None:
    st.session_state["jobs"][job.id] = True


def busy() -> bool:
    """Whether this session waits for work of its own."""
    jobs = [server().board.get(job) for job, own in st.session_state["jobs"].items() if own]
    return any(job is not None and job.running for job in jobs)


@st.fragment(run_every=0.5)
def _watch_opening(job_id: str, place: str) -> None:
    with st.container(border=True):
        watch(job_id, place, width="content")


def watch(job_id: str, place: str, *, width: Literal["stretch", "content"]) -> None:
    """Progress of some work with a way to stop it, in a fragment that runs again and again."""
    job = server().board.get(job_id)
    if job is None or not job.running:
        st.rerun()
    left = t("frame.time_left", time=duration(job.remaining_s)) if job.remaining_s else ""
    step = t("frame.stopping") if job.tracker.cancelled else " · ".join(filter(None, [job.tracker.text, left]))
    st.progress(job.tracker.share, text=f"**{plain(job.title)}**  \n{plain(step)}")
    if st.button(t("frame.stop"), icon=":material/stop_circle:", key=f"stop {job.id} {place}", width=width):
        job.tracker.cancel()


def _settle_jobs() -> None:
    """Say how work ended; a new map of one's own is shown."""
    shared, watched = server(), st.session_state["jobs"]
    for job_id, own in list(watched.items()):
        job = shared.board.get(job_id)
        if job is not None and job.running:
            continue
        del watched[job_id]
        if job is None:
            continue
        if job.state == "failed":
            _say_later("error", job.error)
        elif job.state == "cancelled":
            st.toast(plain(job.error), icon=":material/stop_circle:")
        elif isinstance(job.result, str) and not own and run_id() is not None:
            st.toast(t("frame.done_choose", what=plain(job.title)), icon=":material/check_circle:")
        else:
            if isinstance(job.result, str):
                show_run(job.result)
            for remark in getattr(job.result, "remarks", ()):
                _say_later("warning", remark)
            st.toast(t("frame.done", what=plain(job.title)), icon=":material/check_circle:")


def nothing(*, elsewhere: bool = True) -> None:
    """What to do where there is no run to show."""
    if run_id() is not None:
        return
    if busy() or st.session_state["jobs"]:
        st.info(t("frame.being_made"), icon=":material/hourglass:")
        return
    st.info(t("frame.no_map"), icon=":material/info:")
    with st.container(horizontal=True):
        if st.button(t("frame.make_demo"), icon=":material/science:"):
            _own(server().start_demo())
            st.rerun()
        if elsewhere:
            st.page_link("pages/imagery.py", label=t("frame.choose_scene"), icon=":material/satellite_alt:")


# ---- what is remembered


def recall(name: str) -> Any:
    """What `remember` kept under a name, by whatever session; None for nothing."""
    return workspace().store.get_setting(f"dashboard.{name}")


def remember(name: str, value: Any) -> None:
    """Keep something for the next start; what the store refuses, such as an address with a password, is not kept."""
    with suppress(StoreError):
        workspace().store.set_setting(f"dashboard.{name}", value)


def seed(key: str, default: T, *, saved: Any = None, options: Collection[Any] | None = None) -> None:
    """Give a widget its first value, and see that it is always one of the options.

    Args:
        key: Of the widget.
        default: Where nothing better is known.
        saved: What it was when it was last used.
        options: What can be chosen; of a list, every item.
    """
    known = default if saved is None else saved
    value = first_value(st.session_state.get(key, known), default=default, options=options)
    if key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value


# ---- on the page


def show_map(
    layers: list[MapLayer], *, key: str, height: int = 560, returned: Sequence[str] = (), **options: Any
) -> dict[str, Any]:
    """Show layers on a map that keeps its view from rerun to rerun.

    Returns:
        What the person did on it, of the kinds asked for: `last_clicked`, `last_active_drawing`.
    """
    from streamlit_folium import st_folium

    figure = scene_map(layers, assets=server().assets, remember_view=key, **options)
    did = st_folium(
        figure, key=key, height=height, width=None, use_container_width=True, returned_objects=list(returned)
    )
    return dict(did or {})


def subject(what: str, *, simulated: bool) -> None:
    """What the page is about, in bold; says "simulated" where it is."""
    badge = f" :orange-badge[:material/science: {t('common.simulated')}]" if simulated else ""
    st.markdown(f"**{plain(what)}**{badge}")


def say_error(error: object) -> None:
    """Show why something could not be done; what files and people call things is shown as it is."""
    st.error(plain(error), icon=":material/error:")


@contextmanager
def said(*, later: bool = False) -> Iterator[None]:
    """Show a failure of the block in words, here or on top of the page that is drawn next, and go on."""
    try:
        yield
    except S2DashError as error:
        _say_later("error", str(error)) if later else say_error(error)


def messages() -> None:
    """Say what happened since the last rerun."""
    for kind, text in st.session_state.pop("messages", []):
        show = st.error if kind == "error" else st.warning
        show(plain(text), icon=f":material/{kind}:")


def _say_later(kind: str, text: str) -> None:
    st.session_state.setdefault("messages", []).append((kind, text))
