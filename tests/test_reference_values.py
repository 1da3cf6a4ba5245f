"""What a reference holds under a scene, against NumPy's own counting."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from pyogrio import raw

from s2dash import canvas
from s2dash.errors import MissingCRSError, NoOverlapError, NotARasterError, ReferenceMapError
from s2dash.reference_values import MOST_LISTED, reference_values

UTM = Affine(10, 0, 640000, 0, -10, 5370000)
GRID = GeoBox((60, 80), UTM, "EPSG:32636")


def write(path, values, *, transform=UTM, crs="EPSG:32636", nodata=None):
    with rasterio.open(
        path, "w", driver="GTiff", width=values.shape[1], height=values.shape[0], count=1, dtype=values.dtype, crs=crs,
        transform=transform, nodata=nodata,
    ) as dataset:  # fmt: skip
        dataset.write(values, 1)
    return path


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_pixels_of_a_raster_by_value(tmp_path, dtype):
    values = np.random.default_rng(1).choice([0, 3, 11, 95, 255], (60, 80)).astype(dtype)
    found = reference_values(write(tmp_path / "map.tif", values, nodata=3), grid=GRID)
    kinds, counts = np.unique(values[values != 3], return_counts=True)
    assert dict(found.counts) == dict(zip(kinds.astype(int).tolist(), counts.tolist(), strict=True))
    assert (found.unit, found.share, found.unlisted) == ("pixels", 1.0, 0)


def test_only_what_lies_under_the_scene_is_counted(tmp_path):
    values = np.full((200, 200), 7, np.uint8)
    values[50:80, 50:90] = 9
    path = write(tmp_path / "map.tif", values, transform=UTM @ Affine.translation(-50, -50))
    assert reference_values(path, grid=GRID).counts == {7: 60 * 80 - 30 * 40, 9: 30 * 40}


def test_a_large_raster_is_sampled_evenly(tmp_path, monkeypatch):
    monkeypatch.setattr(canvas, "_LOOKED_AT", 2)
    grid = GeoBox((1024, 1024), UTM, "EPSG:32636")
    found = reference_values(write(tmp_path / "map.tif", np.full((1024, 1024), 5, np.uint8)), grid=grid)
    assert found.share == 0.5
    assert found.counts == {5: 2 * 512 * 512}


def test_the_most_frequent_values_are_listed(tmp_path):
    values = np.resize(np.arange(400, dtype=np.uint16), (60, 80))
    values[:20] = 399
    found = reference_values(write(tmp_path / "map.tif", values), grid=GRID)
    assert len(found.counts) == MOST_LISTED
    assert found.counts[399] > 1600
    assert found.unlisted == 400 - MOST_LISTED
    assert list(found.counts) == sorted(found.counts)


def test_polygons_by_value(tmp_path):
    shapes = [shapely.box(640000, 5369400, 640400, 5370000)] * 3
    raw.write(
        tmp_path / "a.gpkg", geometry=np.array([shapely.to_wkb(one) for one in shapes], dtype=object),
        field_data=[np.array(["ліс", "7", "ліс"], dtype=object)], fields=["клас"], geometry_type="Polygon",
        crs="EPSG:32636", layer="a",
    )  # fmt: skip
    found = reference_values(tmp_path / "a.gpkg", grid=GRID)
    assert list(found.counts.items()) == [(7, 1), ("ліс", 2)]
    assert found.unit == "polygons"


def test_trouble_is_said_in_words(tmp_path):
    values = np.full((60, 80), 5, np.uint8)
    with pytest.raises(NotARasterError, match="no such file"):
        reference_values(tmp_path / "none.tif", grid=GRID)
    with pytest.raises(NoOverlapError):
        reference_values(write(tmp_path / "far.tif", values, transform=Affine(10, 0, 0, 0, -10, 100)), grid=GRID)
    with pytest.raises(MissingCRSError):
        reference_values(write(tmp_path / "bare.tif", values, crs=None), grid=GRID)
    with pytest.raises(ReferenceMapError, match="whole numbers"):
        reference_values(write(tmp_path / "real.tif", values + 0.5), grid=GRID)
    with pytest.raises(ReferenceMapError, match="complex"):
        reference_values(write(tmp_path / "complex.tif", values.astype("complex64")), grid=GRID)
