from __future__ import annotations

import json

import numpy as np
import pytest

from s2dash.errors import Cancelled, SceneError
from s2dash.grid import full_window
from s2dash.masking import MaskRule
from s2dash.progress import Tracker
from s2dash.sources import describe_scene, load_scene


def test_figures(tmp_path, raster, stack, numbers):
    classes = np.full((60, 90), 4, np.uint8)
    classes[:6] = 9
    classes[6:12] = 11
    classes[12:15] = 99
    scl = raster(tmp_path / "scl.tif", classes)
    scene = load_scene(stack, scl=scl, mask=MaskRule(mask_snow=True), title="Field")
    told = describe_scene(scene)
    assert json.loads(json.dumps(told)) == told
    assert (told["title"], told["kind"], told["simulated"]) == ("Field", "local", False)
    assert (told["width"], told["height"], told["crs"], told["pixel_size_m"]) == (90, 60, "EPSG:32633", 10)
    assert told["area_km2"] == pytest.approx(0.54)
    assert 16.2 < told["bounds"]["west"] < told["bounds"]["east"] < 16.4
    assert 45 < told["bounds"]["south"] < told["bounds"]["north"] < 45.2
    assert len(told["bands"]) == 10
    assert told["missing"] == []
    assert told["numbers"] == "uint16"
    assert told["filled_percent"] == 100
    assert told["clear_percent"] == told["valid_percent"] == 75
    assert told["radiometry"]["rule"] == "pixel check"
    rows = {row["code"]: row for row in told["scl"]}
    assert {code: row["pixels"] for code, row in rows.items()} == {4: 4050, 9: 540, 11: 540, 99: 270}
    assert [rows[code]["masked"] for code in (4, 9, 11, 99)] == [False, True, True, True]
    assert rows[9]["name"] == "cloud, high probability"
    assert rows[4]["percent"] == 75


def test_shares_agree_with_the_scene(tmp_path, raster, numbers):
    numbers[:, :7] = 0
    scene = load_scene(raster(tmp_path / "a.tif", numbers[:3], names=("B02", "B03", "B04")))
    told = describe_scene(scene)
    assert told["clear_percent"] == pytest.approx(scene.validity.clear_percent, abs=1e-3)
    assert told["valid_percent"] == pytest.approx(scene.validity.valid_percent, abs=1e-3)
    assert told["scl"] is None
    assert told["acquired"] is None
    assert "B08" in told["missing"]


def test_can_be_cancelled(stack):
    tracker = Tracker()
    tracker.cancel()
    with pytest.raises(Cancelled):
        describe_scene(load_scene(stack), progress=tracker)


def test_simulated_locations_are_handed_on():
    scene = load_scene("simulated:size=96x80,seed=3", mask=MaskRule(mask_snow=True), title="Trial")
    assert scene.simulated
    assert scene.provenance.title == "Trial"
    assert scene.mask.mask_snow
    assert scene.grid.shape == (96, 80)
    assert describe_scene(scene)["simulated"]
    for more in ({"scl": "x.tif"}, {"bands": ["B02"]}, {"offset": 0.0}, {"scale": 1.0}):
        with pytest.raises(SceneError, match="leave those options out"):
            load_scene("simulated:size=64", **more)


@pytest.mark.parametrize("masked", [False, True])
def test_known_validity_saves_reading_and_changes_nothing(masked, tmp_path, raster, numbers):
    wide = np.tile(numbers, (1, 10, 8))
    wide[:, :, :7] = 0
    classes = np.full(wide.shape[1:], 4, np.uint8)
    classes[100:130, 5:40] = 9
    path = raster(tmp_path / "a.tif", wide[:3], names=("B02", "B03", "B04"))
    scene = load_scene(path, scl=raster(tmp_path / "scl.tif", classes) if masked else None)
    _, valid = scene.read_numbers(full_window(scene.grid))
    assert describe_scene(scene, valid=valid) == describe_scene(scene)
    assert describe_scene(scene, valid=valid.astype(np.uint8) * 5) == describe_scene(scene)
