"""Statistics of a season beside a composite: found, cut with it, and left out with a word where they do not fit."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

from s2dash.area import AreaOfInterest
from s2dash.export.scene import write_scene
from s2dash.grid import full_window, latitude_longitude_bounds
from s2dash.simulation import simulate_scene
from s2dash.sources import load_scene
from s2dash.sources.area_scene import clip_scene

NAMES = ("LOOKS", "NDVI_P10", "NDVI_AMPLITUDE")


@pytest.fixture
def scene_path(tmp_path):
    path = tmp_path / "summer.tif"
    write_scene(simulate_scene(size=96, seed=3).scene, path)
    return path


def write_layers(path, grid, *, names=NAMES, shift=0.0):
    values = np.random.default_rng(4).random((len(names), *grid.shape)).astype(np.float32)
    profile = {"driver": "GTiff", "count": len(names), "dtype": "float32", "nodata": float("nan")}
    profile |= {"height": grid.shape[0], "width": grid.shape[1], "crs": grid.crs.to_wkt()}
    profile["transform"] = grid.transform @ Affine.translation(shift, 0)
    with rasterio.open(path.with_name(f"{path.stem}_season.tif"), "w", **profile) as file:
        file.write(values)
        file.descriptions = names
    return values


def test_layers_beside_a_scene_are_its_season(scene_path):
    values = write_layers(scene_path, load_scene(scene_path).grid)
    scene = load_scene(scene_path)
    assert scene.season is not None
    assert scene.season.bands == NAMES
    read = scene.season.read(["NDVI_AMPLITUDE", "NDVI_P10"], full_window(scene.grid))
    assert np.array_equal(read, values[[2, 1]])


def test_the_season_is_cut_with_the_scene(scene_path):
    values = write_layers(scene_path, load_scene(scene_path).grid)
    whole = load_scene(scene_path)
    part = GeoBox((40, 50), whole.grid.transform @ Affine.translation(20, 30), whole.grid.crs)
    west, south, east, north = latitude_longitude_bounds(part)
    scene = clip_scene(whole, AreaOfInterest.from_bbox(west, south, east, north))
    corner = ~whole.grid.transform @ scene.grid.transform
    row, col = round(corner.f), round(corner.c)
    height, width = scene.grid.shape
    read = scene.season.read(["NDVI_P10"], full_window(scene.grid))[0]
    inside = np.isfinite(read)
    assert inside.mean() > 0.8
    assert np.array_equal(read[inside], values[1][row : row + height, col : col + width][inside])


def test_layers_that_do_not_fit_are_left_out_with_a_word(scene_path):
    grid = load_scene(scene_path).grid
    write_layers(scene_path, grid, shift=0.5)
    assert load_scene(scene_path).season is None
    assert any("another grid" in note for note in load_scene(scene_path).provenance.notes)
    write_layers(scene_path, grid, names=("NDVI_P10", "NDVI_P10"))
    assert any("what its layers are" in note for note in load_scene(scene_path).provenance.notes)
    scene_path.with_name("summer_season.tif").write_bytes(b"II*\x00 nothing")
    scene = load_scene(scene_path)
    assert scene.season is None
    assert any("statistics of the season are left out" in note for note in scene.provenance.notes)
