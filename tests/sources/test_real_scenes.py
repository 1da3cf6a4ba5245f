"""The real scenes: what must come out of each is in their `about.json`, which the package never reads."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from s2dash.bands import method_bands
from s2dash.errors import TooFewBandsError
from s2dash.radiometry import detect_radiometry
from s2dash.sources import ArraySource, describe_scene, load_scene

PLACES = {
    "belgium": "belgium/scene.tif",
    "chile": "chile/scene.tif",
    "hudson-bay": "hudson-bay/scene.tif",
    "poland": "poland/scene.tif",
    "tanzania": "tanzania/scene.tif",
    "ireland": "ireland-60m/scene.tif",
    "thailand": "thailand",
    "pakistan, June": "pakistan/scene-2020-06-04.tif",
    "pakistan, August": "pakistan/scene-2020-08-13.tif",
}


@pytest.mark.parametrize("place", PLACES)
def test_offset_bands_and_date(real_data, place):
    path = real_data / PLACES[place]
    about = json.loads((path if path.is_dir() else path.parent).joinpath("about.json").read_text("utf-8"))
    scene = load_scene(path)
    assert scene.radiometry.scale == about["scale"]
    assert scene.radiometry.offset == pytest.approx(about["offset_needed_dn"] / 10_000)
    assert scene.radiometry.rule == "pixel check"
    assert scene.radiometry.certain
    assert scene.missing == (("B08",) if place == "ireland" else ())
    assert scene.bands == tuple(band for band in method_bands() if band not in scene.missing)
    if place == "thailand":
        assert scene.provenance.acquired is None  # neither names nor tags tell
    elif "dates" in about:
        assert str(scene.provenance.acquired) in about["dates"]
    else:
        assert scene.provenance.acquired == date.fromisoformat(about["date"])


@pytest.mark.parametrize("place", PLACES)
def test_the_same_scene_with_the_shift_put_in_or_taken_out(real_data, place):
    """Dead pixels of the packer apart, what needs nothing needs the shift after adding 1000."""
    scene = load_scene(real_data / PLACES[place])
    height, width = scene.grid.shape
    numbers = scene.source.read(scene.bands, Window(0, 0, min(width, 400), min(height, 400))).astype(np.int32)
    shifted = scene.radiometry.offset != 0
    moved = np.where(numbers > 0, numbers + (-1000 if shifted else 1000), 0).clip(0 if shifted else None)
    grid = GeoBox(moved.shape[1:], scene.grid.transform, scene.grid.crs)
    found = detect_radiometry(ArraySource(grid, scene.bands, moved.astype(np.uint16)), bands=scene.bands)
    assert found.offset == pytest.approx(0 if shifted else -0.1)


def test_stack_is_read_as_the_file_has_it(real_data):
    path = real_data / "chile" / "scene.tif"
    scene = load_scene(path)
    with rasterio.open(path) as dataset:
        stored = dict(zip(dataset.descriptions, dataset.read(), strict=True))
        assert scene.grid.transform == dataset.transform
    expected = np.stack([stored[band] for band in scene.bands]).astype(float) / 1e4 - 0.1
    np.testing.assert_allclose(scene.read(), expected, atol=1e-6)


def test_ireland_with_its_classification(real_data):
    folder = real_data / "ireland-60m"
    scene = load_scene(folder / "scene.tif", scl=folder / "scl.tif")
    with rasterio.open(folder / "scene.tif") as dataset, rasterio.open(folder / "scl.tif") as classes:
        filled = (dataset.read() != 0).all(axis=0)
        ground = np.isin(classes.read(1), [2, 4, 5, 6, 7, 11])
    assert scene.validity.filled == int(filled.sum())
    assert scene.validity.clear == int((filled & ground).sum())
    assert scene.grid.transform.a == 60
    assert "B08" in " ".join(scene.provenance.notes)
    described = describe_scene(scene)
    assert sum(row["pixels"] for row in described["scl"]) == 900 * 900


def test_thailand_at_three_resolutions(real_data):
    scene = load_scene(real_data / "thailand")
    assert scene.grid.shape == (1068, 1068)
    assert scene.grid.transform.a == 10
    assert "cloud_mask.tif" in " ".join(scene.provenance.notes)
    window = Window(301, 207, 200, 150)
    got = scene.source.read(["B08", "B11"], window)
    with rasterio.open(real_data / "thailand" / "B08.tif") as dataset:
        np.testing.assert_array_equal(got[0], dataset.read(1, window=window))
    with rasterio.open(real_data / "thailand" / "B11.tif") as dataset:
        coarse = dataset.read(1, window=Window(150, 103, 101, 76)).astype(float)
    # the mean of four fine pixels of one coarse pixel is near it; a shift of half a fine pixel would show as a bias
    fine = got[1][1:149, 1:199].astype(float)
    blocks = fine.reshape(74, 2, 99, 2).mean(axis=(1, 3))
    assert np.corrcoef(blocks.ravel(), coarse[1:75, 1:100].ravel())[0, 1] > 0.98
    errors = {
        (down, right): np.abs(blocks - coarse[1 + down : 75 + down, 1 + right : 100 + right]).mean()
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
    }
    assert min(errors, key=errors.__getitem__) == (0, 0)


def test_pakistan_lies_in_degrees(real_data):
    scene = load_scene(real_data / "pakistan" / "scene-2020-06-04.tif")
    assert scene.grid.crs.epsg == 4326
    described = describe_scene(scene)
    assert described["pixel_size_m"] == pytest.approx(9.75, abs=0.05)
    assert 0 < described["filled_percent"] < 100


def test_folders_of_stacks_tell_what_to_give(real_data):
    with pytest.raises(TooFewBandsError, match=r"give the file: .*chile.scene\.tif"):
        load_scene(real_data / "chile")


@pytest.mark.parametrize("place", PLACES)
def test_description_is_json(real_data, place):
    described = describe_scene(load_scene(Path(real_data / PLACES[place])))
    assert json.loads(json.dumps(described)) == described
