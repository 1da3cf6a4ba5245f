"""One pixel, against what rasterio reads at the same coordinate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from s2dash.export.cog import write_class_cog
from s2dash.export.scene import write_scene
from s2dash.map_edit import MapEdit
from s2dash.pipeline import ReferenceSettings, RunResult, RunSettings
from s2dash.probe import pixel_at, probe
from s2dash.scene import Scene
from s2dash.sources.request import SceneRequest
from s2dash.testing import make_patchwork, make_scene
from s2dash.workspace import Workspace


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Workspace, str]:
    """A scene of four stripes and a reference in files, and a run of them."""
    folder = tmp_path_factory.mktemp("probe")
    scene, stripes = make_patchwork(side=48)
    write_scene(scene, folder / "stripes.tif")
    codes = np.array([0, 10, 30, 50, 80], dtype=np.uint8)[stripes]
    codes[20, :] = 0
    names, colours = {10: "a", 30: "b", 50: "c", 80: "d"}, dict.fromkeys((10, 30, 50, 80), "#808080")
    write_class_cog(folder / "reference.tif", codes, grid=scene.grid, names=names, colours=colours)
    space = Workspace.open(folder / "workspace")
    request = SceneRequest(str(folder / "stripes.tif"))
    reference = ReferenceSettings(path=str(folder / "reference.tif"))
    run = space.start(request, RunSettings(k=4, sample=10_000), reference=reference)
    return folder / "stripes.tif", folder / "reference.tif", space, run


@pytest.fixture(scope="module")
def result(made: tuple[Path, Path, Workspace, str]) -> RunResult:
    return made[2].open_run(made[3])


@pytest.fixture(scope="module")
def scene(made: tuple[Path, Path, Workspace, str]) -> Scene:
    return SceneRequest(str(made[0])).load()


@settings(deadline=None, max_examples=30)
@given(across=st.floats(-0.1, 1.1), down=st.floats(-0.1, 1.1))
def test_what_rasterio_reads_there(made, result, scene, across: float, down: float) -> None:
    with rasterio.open(made[0]) as file, rasterio.open(made[1]) as other:
        x = file.bounds.left + across * (file.bounds.right - file.bounds.left)
        y = file.bounds.top - down * (file.bounds.top - file.bounds.bottom)
        longitude, latitude = Transformer.from_crs(file.crs, 4326, always_xy=True).transform(x, y)
        near_edge = any(abs(at * 48 - round(at * 48)) < 1e-3 for at in (across, down))
        if near_edge:
            return
        row, column = file.index(x, y)
        found = probe(result, scene, latitude, longitude)
        if not (0 <= row < file.height and 0 <= column < file.width):
            assert found is None
            return
        numbers = {name: int(value[0, 0]) for name, value in zip(
            file.descriptions, file.read(window=((row, row + 1), (column, column + 1))), strict=True
        )}  # fmt: skip
        there = int(other.read(1)[row, column])
    assert found is not None
    assert (found.row, found.column) == (row, column)
    for band, value in found.spectrum.items():
        assert value == pytest.approx(numbers[band] * scene.radiometry.scale + scene.radiometry.offset, abs=1e-6)
    assert set(found.spectrum) == set(scene.bands)
    assert found.cluster == result.clusters.labels[row, column]
    assert found.entry == result.legend.entries[found.cluster]
    assert found.typical == dict(result.cards[found.cluster].median)
    assert found.reference == (there or None)
    assert not found.corrected


def place_of(scene: Scene, row: int, column: int) -> tuple[float, float]:
    x, y = scene.grid.transform @ (column + 0.5, row + 0.5)
    longitude, latitude = Transformer.from_crs(str(scene.grid.crs), 4326, always_xy=True).transform(x, y)
    return latitude, longitude


def test_only_one_pixel_is_read(result: RunResult, scene: Scene) -> None:
    read_windows: list[tuple[float, float]] = []

    class Counting:
        def __init__(self, source) -> None:
            self.source = source

        def __getattr__(self, name):
            return getattr(self.source, name)

        def read(self, bands, window):
            read_windows.append((window.height, window.width))
            return self.source.read(bands, window)

    counted = replace(scene, source=Counting(scene.source))
    found = probe(result, counted, *place_of(scene, 3, 40))
    assert found is not None
    assert read_windows == [(1, 1)]


def test_no_scene_no_run_and_neither(result: RunResult, scene: Scene) -> None:
    at = place_of(scene, 5, 5)
    without_scene = probe(result, None, *at)
    assert without_scene is not None
    assert without_scene.spectrum == {}
    assert without_scene.cluster > 0
    without_run = probe(None, scene, *at)
    assert without_run is not None
    assert (without_run.cluster, without_run.code, without_run.entry) == (0, None, None)
    assert without_run.spectrum
    assert probe(None, None, *at) is None


def test_masked_pixels_and_those_without_data_say_so() -> None:
    scene, _ = make_patchwork(side=24)
    numbers = np.array(scene.source.numbers)
    numbers[:, 2, 3] = 0
    classes = np.full((24, 24), 4, dtype=np.uint8)
    classes[7, 8] = 9
    other = make_scene(numbers, scl=classes)
    empty = probe(None, other, *place_of(other, 2, 3))
    assert empty is not None
    assert empty.spectrum == {}
    clouded = probe(None, other, *place_of(other, 7, 8))
    assert clouded is not None
    assert (clouded.scl, clouded.masked) == (9, True)
    assert clouded.spectrum  # what the satellite saw, all the same
    clear = probe(None, other, *place_of(other, 8, 8))
    assert clear is not None
    assert (clear.scl, clear.masked) == (4, False)


def test_who_decided_and_what_a_person_corrected(made, scene: Scene) -> None:
    _, _, space, run = made
    at = place_of(scene, 10, 2)
    before = probe(space.open_run(run), scene, *at)
    assert before is not None
    space.override(run, before.cluster, 90, who="Ada")
    after = probe(space.open_run(run), scene, *at)
    assert after is not None
    assert after.code == 90
    assert after.entry is not None
    assert after.entry.override is not None
    assert after.entry.override.who == "Ada"
    assert not after.corrected
    west, south, east, north = at[1] - 1e-4, at[0] - 1e-4, at[1] + 1e-4, at[0] + 1e-4
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    area = {"geometry": {"type": "Polygon", "coordinates": [ring]}, "code": 60}
    space.change_map(run, MapEdit("area", area, who="Ben"))
    corrected = probe(space.open_run(run), scene, *at)
    assert corrected is not None
    assert (corrected.code, corrected.corrected) == (60, True)
    space.undo(run, who="Ada")


def test_a_place_a_turn_of_the_globe_away_is_the_same() -> None:
    grid = GeoBox((10, 10), Affine(0.1, 0, 20, 0, -0.1, 50), "EPSG:4326")
    assert pixel_at(grid, latitude=49.95, longitude=20.15) == (0, 1)
    assert pixel_at(grid, latitude=49.95, longitude=380.15) == (0, 1)
    assert pixel_at(grid, latitude=49.95, longitude=19.95) is None
