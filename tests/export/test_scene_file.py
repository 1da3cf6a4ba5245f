"""A scene written and read back is the same scene, and stays simulated if it was."""

from __future__ import annotations

import numpy as np
import pytest

from s2dash.errors import OutputError
from s2dash.export.scene import write_scene
from s2dash.grid import full_window
from s2dash.scene import Radiometry
from s2dash.simulation import simulate_scene
from s2dash.sources import load_scene
from s2dash.testing import make_patchwork, make_scene


def test_numbers_grid_and_radiometry_come_back(tmp_path):
    scene, _ = make_patchwork(side=70)
    scene = scene.with_radiometry(Radiometry(scale=2e-4, offset=-0.1))
    write_scene(scene, tmp_path / "scene.tif")
    again = load_scene(tmp_path / "scene.tif")
    window = full_window(scene.grid)
    assert np.array_equal(again.read_numbers(window)[0], scene.read_numbers(window)[0])
    assert again.grid == scene.grid
    assert again.bands == scene.bands
    assert (again.radiometry.scale, again.radiometry.offset) == (2e-4, -0.1)


def test_the_scene_classification_goes_along(tmp_path):
    scl = np.full((40, 40), 4, dtype=np.uint8)
    scl[:10] = 9
    scene = make_scene(np.full((3, 40, 40), 900, dtype=np.uint16), scl=scl)
    write_scene(scene, tmp_path / "scene.tif")
    again = load_scene(tmp_path / "scene.tif")
    assert np.array_equal(again.source.read_scl(full_window(scene.grid)), scl)
    assert again.bands == scene.bands
    assert again.validity.clear_percent == 75.0


def test_a_simulated_scene_stays_simulated(tmp_path):
    scene = simulate_scene(size=64, seed=1).scene
    write_scene(scene, tmp_path / "scene.tif")
    again = load_scene(tmp_path / "scene.tif")
    assert again.simulated
    assert again.provenance.title == scene.provenance.title
    assert "Copernicus" not in again.provenance.attribution
    assert again.provenance.acquired == scene.provenance.acquired


def test_float_reflectance_keeps_its_gaps(tmp_path):
    values = np.random.default_rng(0).random((2, 30, 30)).astype(np.float32)
    values[:, 4] = np.nan
    write_scene(make_scene(values, radiometry=Radiometry(1.0)), tmp_path / "scene.tif")
    again = load_scene(tmp_path / "scene.tif")
    assert not again.read_numbers(full_window(again.grid))[1][4].any()


def test_an_unwritable_place_is_said(tmp_path):
    scene, _ = make_patchwork(side=20)
    with pytest.raises(OutputError, match="nowhere"):
        write_scene(scene, tmp_path / "nowhere" / "scene.tif")
