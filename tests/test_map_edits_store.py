"""Corrections in the store, in the run's files and in what is exported: nothing is lost and the map is the same."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import rasterio
from sqlalchemy import text

from s2dash.check_points import draw_check_points, sample_designs, sample_edit
from s2dash.corrections import area_edit
from s2dash.errors import StoreError
from s2dash.export.cog import write_class_cog
from s2dash.export.run_files import read_run
from s2dash.export.scene import write_scene
from s2dash.map_edit import MapEdit
from s2dash.map_history import corrections, next_redo, next_undo, restoration, withdrawal
from s2dash.pipeline import ReferenceSettings, RunSettings
from s2dash.reference_points import centres_of, point_edit, reference_points
from s2dash.sources.request import SceneRequest
from s2dash.testing import make_patchwork
from s2dash.workspace import Workspace

SIDE = 48


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "workspace")


@pytest.fixture
def run(space: Workspace, tmp_path: Path) -> str:
    """Four stripes, compared with what they are."""
    scene, stripes = make_patchwork(side=SIDE)
    write_scene(scene, tmp_path / "stripes.tif")
    codes = np.array([0, 10, 30, 50, 80], dtype=np.uint8)[stripes]
    names, colours = {10: "a", 30: "b", 50: "c", 80: "d"}, dict.fromkeys((10, 30, 50, 80), "#808080")
    write_class_cog(tmp_path / "reference.tif", codes, grid=scene.grid, names=names, colours=colours)
    reference = ReferenceSettings(path=str(tmp_path / "reference.tif"))
    return space.start(
        SceneRequest(str(tmp_path / "stripes.tif")), RunSettings(k=4, sample=10_000), reference=reference
    )


def square(space: Workspace, run: str, rows: slice, cols: slice, code: int) -> MapEdit:
    """An area around these pixels."""
    grid = space.open_run(run).clusters.grid
    corners = [
        (rows.start, cols.start),
        (rows.start, cols.stop - 1),
        (rows.stop - 1, cols.stop - 1),
        (rows.stop - 1, cols.start),
    ]
    lon, lat = centres_of(np.array([row for row, _ in corners]), np.array([col for _, col in corners]), grid)
    west, east, south, north = lon.min() - 1e-5, lon.max() + 1e-5, lat.min() - 1e-5, lat.max() + 1e-5
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    landcover = space.open_run(run).landcover
    return area_edit({"type": "Polygon", "coordinates": [ring]}, code, landcover=landcover, who="Ada", why="visited")


def click(space: Workspace, run: str, row: int, col: int, code: int) -> MapEdit:
    result = space.open_run(run)
    lon, lat = centres_of(np.array([row]), np.array([col]), result.clusters.grid)
    return point_edit(lon[0], lat[0], code, grid=result.clusters.grid, scheme=result.legend.scheme, who="Ben")


def test_what_was_done_is_kept_in_order_with_who_when_and_why(space, run):
    area = space.change_map(run, square(space, run, slice(4, 10), slice(4, 10), 60))
    point = space.change_map(run, click(space, run, 3, 3, 10))
    assert (area.seq, point.seq) == (1, 2)
    assert space.store.map_edits(run) == (area, point)
    assert space.open_run(run).map_edits == (area, point)
    assert (area.who, area.why, point.who) == ("Ada", "visited", "Ben")
    assert space.store.changes(run).map_edits == 2


def test_history_cannot_be_rewritten(space, run):
    space.change_map(run, click(space, run, 3, 3, 10))
    with pytest.raises(StoreError, match="append-only"), space.store._database.write() as connection:
        connection.execute(text("UPDATE map_edits SET who = 'somebody else'"))


def test_an_unknown_run_is_refused(space):
    with pytest.raises(StoreError):
        space.change_map("nothing", MapEdit("point", {}))


def test_many_people_at_once_lose_nothing(space, run):
    edits = [click(space, run, number, number, 10) for number in range(24)]

    def work(part: list[MapEdit]) -> None:
        for edit in part:
            space.change_map(run, edit)

    threads = [threading.Thread(target=work, args=(edits[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = space.store.map_edits(run)
    assert [edit.seq for edit in kept] == list(range(1, 25))
    assert len(reference_points(kept)) == 24


def test_undo_and_redo_go_back_and_forth(space, run):
    first = space.change_map(run, square(space, run, slice(4, 10), slice(4, 10), 60))
    second = space.change_map(run, click(space, run, 3, 3, 10))
    assert (next_undo(space.store.map_edits(run)), next_redo(space.store.map_edits(run))) == (second, None)
    space.change_map(run, withdrawal(second, who="Ben"))
    assert (next_undo(space.store.map_edits(run)), next_redo(space.store.map_edits(run))) == (first, second)
    space.change_map(run, withdrawal(first, who="Ben"))
    assert (next_undo(space.store.map_edits(run)), next_redo(space.store.map_edits(run))) == (None, first)
    assert corrections(space.store.map_edits(run)) == ((second, False), (first, False))
    space.change_map(run, restoration(first, who="Ben"))
    edits = space.store.map_edits(run)
    assert (next_undo(edits), next_redo(edits)) == (first, second)
    space.change_map(run, click(space, run, 9, 9, 10))
    assert next_redo(space.store.map_edits(run)) is None, "something new was done since"
    assert reference_points(space.store.map_edits(run))[0].code == 10


def test_all_of_the_run_follows_the_correction(space, run, tmp_path):
    before = space.open_run(run)
    wrong = 60  # bare: nowhere in the reference
    space.change_map(run, square(space, run, slice(10, 20), slice(10, 30), wrong))
    space.change_map(run, click(space, run, 3, 3, 10))
    after = space.open_run(run)
    assert (after.landcover.codes[10:20, 10:30] == wrong).all()
    assert (after.landcover.codes == wrong).sum() == 200
    assert after.landcover.area_ha()[wrong] == pytest.approx(2.0)
    assert before.agreement is not None
    assert after.agreement is not None
    lost = (before.landcover.codes == before.reference.codes)[10:20, 10:30].sum()
    assert after.agreement.overall == pytest.approx(before.agreement.overall - lost / SIDE**2)
    assert after.agreement.ceiling == before.agreement.ceiling, "the ceiling is that of the clusters"

    files = space.export(run, tmp_path / "out")
    assert "reference_points.geojson" in files
    with rasterio.open(tmp_path / "out" / "landcover.tif") as written:
        np.testing.assert_array_equal(written.read(1), after.landcover.codes)
        assert written.tags()["CORRECTED_AREAS"] == "1"
    points = json.loads((tmp_path / "out" / "reference_points.geojson").read_text("utf-8"))
    assert [one["properties"]["code"] for one in points["features"]] == [10]
    report = json.loads((tmp_path / "out" / "agreement.json").read_text("utf-8"))
    assert report["overall"] == pytest.approx(after.agreement.overall)

    alone = read_run(tmp_path / "out")
    assert alone.map_edits == after.map_edits
    np.testing.assert_array_equal(alone.landcover.codes, after.landcover.codes)
    np.testing.assert_array_equal(alone.landcover.confidence, after.landcover.confidence)


def test_an_export_without_points_has_no_file_of_points_and_removes_an_earlier_one(space, run, tmp_path):
    kept = space.change_map(run, click(space, run, 3, 3, 10))
    assert "reference_points.geojson" in space.export(run, tmp_path / "out")
    space.change_map(run, withdrawal(kept, who="Ben"))
    assert "reference_points.geojson" not in space.export(run, tmp_path / "out")
    assert not (tmp_path / "out" / "reference_points.geojson").exists()


def test_a_correction_may_lift_the_map_above_the_ceiling_of_its_clusters(space, run):
    result = space.open_run(run)
    for cluster in result.legend.clusters:
        space.override(run, cluster, 60, who="Ada")
    assert space.open_run(run).agreement.overall == 0.0
    best = space.open_run(run).agreement.ceiling
    assert best is not None
    everything = square(space, run, slice(0, SIDE), slice(0, SIDE), 10)
    space.change_map(run, everything)
    reached = space.open_run(run).agreement
    assert reached.overall == pytest.approx(0.25)
    assert reached.ceiling == best


def test_corrections_outlive_edits_of_the_clusters(space, run):
    space.change_map(run, square(space, run, slice(10, 20), slice(10, 30), 60))
    space.change_map(run, click(space, run, 3, 3, 10))
    clusters = sorted(space.open_run(run).legend.clusters)
    space.edit_clusters(run, "merge", clusters=clusters[:2], who="Ada")
    assert (space.open_run(run).landcover.codes[10:20, 10:30] == 60).all()
    space.undo_edit(run, who="Ada")
    assert (space.open_run(run).landcover.codes[10:20, 10:30] == 60).all()
    assert len(reference_points(space.open_run(run).map_edits)) == 1
    fresh = Workspace.open(space.folder)
    assert (fresh.open_run(run).landcover.codes[10:20, 10:30] == 60).all()


def test_a_sample_is_kept_with_the_map(space, run):
    design = draw_check_points(space.open_run(run).landcover, 20, 1)
    kept = space.change_map(run, sample_edit(design, who="Ada"))
    (found,) = sample_designs(space.open_run(run).map_edits)
    assert (found.points, found.strata, found.seed, found.seq) == (design.points, design.strata, 1, kept.seq)
