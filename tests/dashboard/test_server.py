import threading
import time

import numpy as np
import pytest

from s2dash.clustering.model import ClusterMap
from s2dash.colours import UNDECIDED_COLOUR
from s2dash.dashboard.assets import PUBLIC_CDN
from s2dash.dashboard.maps import label_layer, warp_labels
from s2dash.dashboard.server import Server, scene_key
from s2dash.dashboard.view import ClusterView, SceneView, named_legend
from s2dash.export.scene import write_scene
from s2dash.pipeline import RunSettings
from s2dash.schemes import UNDECIDED, load_scheme
from s2dash.sources.request import SceneRequest
from s2dash.testing import make_patchwork, make_scene
from s2dash.workspace import Workspace


@pytest.fixture
def server(tmp_path):
    space = Workspace.open(tmp_path / "workspace")
    yield Server(space, PUBLIC_CDN)
    space.store.close()


@pytest.fixture
def asked(tmp_path):
    scene, _ = make_patchwork(side=40)
    write_scene(scene, tmp_path / "scene.tif")
    return SceneRequest(str(tmp_path / "scene.tif"))


def test_a_scene_is_opened_once_for_all_and_is_ready_to_be_shown(server, asked):
    views = []
    threads = [threading.Thread(target=lambda: views.append(server.open_scene(asked, patience=20))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(view) for view, _ in views}) == 1
    assert len({job.id for _, job in views}) == 1
    view, job = views[0]
    assert job.state == "done"
    assert view.about["width"] == 40
    assert server.is_opening(job.id)


def test_a_scene_that_cannot_be_opened_says_why_until_it_is_tried_again_or_changes(server, asked, tmp_path):
    gone = SceneRequest(str(tmp_path / "none.tif"))
    view, job = server.open_scene(gone, patience=20)
    assert view is None
    assert job.state == "failed"
    assert "There is no file" in job.error
    assert server.open_scene(gone, patience=20)[1].id == job.id
    server.forget_failure(gone)
    assert server.open_scene(gone, patience=20)[1].id != job.id
    before = scene_key(gone)
    write_scene(make_patchwork(side=40)[0], tmp_path / "none.tif")
    assert scene_key(gone) != before
    assert server.open_scene(gone, patience=20)[0] is not None


def test_a_scene_not_shown_for_long_is_opened_again(server, tmp_path):
    scene, _ = make_patchwork(side=24)
    places = [tmp_path / f"{name}.tif" for name in "abcdef"]
    for place in places:
        write_scene(scene, place)
        assert server.open_scene(SceneRequest(str(place)), patience=20)[0] is not None
    assert server.open_scene(SceneRequest(str(places[0])), patience=20)[0] is not None


def test_no_patience_gives_the_job(server, asked):
    view, job = server.open_scene(asked, patience=0.0)
    until = time.monotonic() + 20
    while job.running and time.monotonic() < until:
        time.sleep(0.01)
    assert view is None or job.state == "done"
    assert server.open_scene(asked, patience=0.0)[0] is not None


def test_a_run_is_computed_once_until_somebody_decides(server, asked):
    run = server.workspace.start(asked, RunSettings(k=4, sample=10_000))
    found = server.open_run(run)
    assert server.open_run(run) is found
    made = []
    for _ in range(2):
        server.kept("layer", run, lambda: made.append(True))
    assert len(made) == 1
    server.workspace.override(run, 2, 90, who="Ada")
    assert server.open_run(run) is not found
    assert server.open_run(run).legend.entries[2].code == 90
    server.kept("layer", run, lambda: made.append(True))
    assert len(made) == 2
    view = SceneView(asked.load())
    assert server.cluster_view(run, found, view, of=asked) is server.cluster_view(run, found, view, of=asked)
    assert server.cluster_view(run, found, None, of=asked) is not server.cluster_view(run, found, view, of=asked)


def test_the_first_start_begins_one_demo_and_never_again(server, monkeypatch):
    made = []
    monkeypatch.setattr(Workspace, "ensure_demo", lambda space, *, progress: made.append(True) or "run")
    jobs = []
    threads = [threading.Thread(target=lambda: jobs.append(server.first_start())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([job for job in jobs if job is not None]) == 1
    until = time.monotonic() + 10
    while server.board.running() and time.monotonic() < until:
        time.sleep(0.01)
    assert made == [True]
    assert server.first_start() is None
    assert Server(server.workspace, PUBLIC_CDN).first_start() is None  # nor after a restart


def test_the_land_cover_layer_is_the_land_cover_map(server, asked):
    run = server.workspace.start(asked, RunSettings(k=4, sample=10_000))
    server.workspace.override(run, 1, None, who="Ada")
    server.workspace.override(run, 2, 90, who="Ada")
    found = server.open_run(run)
    view = ClusterView(found.clusters, SceneView(asked.load()))
    scheme = load_scheme("worldcover")
    colours = {cls.code: cls.colour for cls in scheme.classes} | {UNDECIDED: UNDECIDED_COLOUR}
    expected = label_layer(
        "Land cover", warp_labels(found.landcover.codes, found.landcover.grid), colours, opacity=0.75
    )

    def pixels(layer):
        import io
        from base64 import b64decode

        from PIL import Image

        return np.asarray(Image.open(io.BytesIO(b64decode(layer.url.partition(",")[2]))).convert("RGBA"))

    assert (pixels(view.landcover_layer(found.legend)) == pixels(expected)).all()
    named = dict(named_legend(found.legend))
    assert named["Not named yet"] == UNDECIDED_COLOUR
    assert set(named) - {"Not named yet"} == {
        scheme[code].name for code in np.unique(found.landcover.codes).tolist() if code not in (0, UNDECIDED)
    }


def test_a_view_offers_what_the_bands_allow():
    numbers = np.random.default_rng(0).integers(200, 3000, (3, 30, 30)).astype(np.uint16)
    full = SceneView(make_patchwork(side=30)[0])
    assert full.composites == ("true colour", "false colour")
    assert [layer.name for layer in full.base()] == ["True colour"]
    assert not full.layer("true colour", shown=False).shown
    blue = SceneView(make_scene(numbers, bands=("B02", "B05", "B11")))
    assert blue.composites == ("grey",)
    assert [layer.name for layer in blue.base()] == ["Band B02"]
    assert blue.mask is None


def test_a_cluster_is_picked_out_with_and_without_imagery():
    scene, stripes = make_patchwork(side=40)
    clusters = ClusterMap(grid=scene.grid, labels=stripes, model=None, settings={})
    pictures = {ClusterView(clusters, view).highlight(2) for view in (SceneView(scene), None)}
    assert len(pictures) == 2
    assert all(picture.startswith(b"\xff\xd8") for picture in pictures)  # JPEG
    assert ClusterView(clusters, None).base() == []
