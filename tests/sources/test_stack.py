from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from rasterio import Affine
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from s2dash.errors import (
    DuplicateBandsError,
    MissingCRSError,
    NotARasterError,
    NoValidPixelsError,
    SceneError,
    SceneNotFoundError,
    TooFewBandsError,
    UnnamedBandsError,
)
from s2dash.sources import load_scene
from s2dash.sources.header import inspect_raster

TEN = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")


def test_named_stack_is_read_as_it_is(stack, numbers):
    scene = load_scene(stack)
    assert scene.bands == TEN
    assert scene.missing == ()
    assert scene.grid.crs.epsg == 32633
    assert scene.grid.transform == Affine(10, 0, 600000, 0, -10, 5000000)
    got, valid = scene.read_numbers(Window(13, 5, 40, 30))
    np.testing.assert_array_equal(got, numbers[:, 5:35, 13:53])
    assert valid.all()
    assert got.dtype == np.uint16
    np.testing.assert_allclose(scene.read(bands=["B8A"])[0], numbers[7] / 1e4, rtol=1e-6)


def test_bands_are_put_into_sensor_order_and_others_left_out(tmp_path, raster, numbers):
    names = ("nir", "B2", "B01", "red", "AOT", "green", "B12_20m", "", "SCL", "B09")
    content = numbers.copy()
    content[8] = 4
    scene = load_scene(raster(tmp_path / "a.tif", content, names=names))
    assert scene.bands == ("B02", "B03", "B04", "B08", "B12")
    assert scene.missing == ("B05", "B06", "B07", "B8A", "B11")
    got, valid = scene.read_numbers(Window(0, 0, 90, 60))
    np.testing.assert_array_equal(got, numbers[[1, 5, 3, 0, 6]])
    scl = scene.source.read_scl(Window(0, 0, 90, 60))
    assert scl.dtype == np.uint8
    assert (scl == 4).all()
    assert valid.all()
    notes = " ".join(scene.provenance.notes)
    assert "B05" in notes
    assert "B01, B09" in notes
    assert "AOT, band 8" in notes


def test_names_given_as_list_and_as_mapping(tmp_path, raster, numbers):
    numbers[3] = 5
    path = raster(tmp_path / "a.tif", numbers[:4], names=("first", "", "", ""))
    scene = load_scene(path, bands=["blue", "-", "b4", "SCL"])
    assert scene.bands == ("B02", "B04")
    assert scene.source.scl.index == 4
    scene = load_scene(path, bands={"first": "B11", 3: "B8", "4": "B03"})
    assert scene.bands == ("B03", "B08", "B11")
    np.testing.assert_array_equal(scene.source.read(("B11", "B03"), Window(0, 0, 9, 9)), numbers[[0, 3], :9, :9])


@pytest.mark.parametrize(
    ("bands", "said"),
    [
        (["B02", "B03"], "2 band names were given for the 4 bands"),
        (["B02", "B03", "B04", "B13"], "'B13' is no Sentinel-2 band"),
        (["B02", "B03", "B04", "B10"], "'B10' is no Sentinel-2 band"),
        ({7: "B02"}, "bands 1 to 4, not 7"),
        ({"nope": "B02"}, "described as 'nope'"),
        ("B02,B03", "as a list"),
    ],
)
def test_wrong_names_are_refused(tmp_path, raster, numbers, bands, said):
    with pytest.raises(SceneError, match=said):
        load_scene(raster(tmp_path / "a.tif", numbers[:4]), bands=bands)


def test_bands_without_names_offer_a_mapping(tmp_path, raster, numbers):
    path = raster(tmp_path / "a.tif", numbers[:4], names=("B04", "layer 2", "", ""))
    with pytest.raises(UnnamedBandsError) as caught:
        load_scene(path)
    text = str(caught.value)
    assert "4 bands" in text
    assert "2 'layer 2', 3 (no name)" in text
    assert "--bands B04,B02,B03,B08" in text
    assert "B8A (narrow near infrared)" in text
    assert load_scene(path, bands=["B04", "B02", "B03", "B08"]).bands == ("B02", "B03", "B04", "B08")


def test_two_bands_of_one_name_are_refused(tmp_path, raster, numbers):
    with pytest.raises(DuplicateBandsError, match=r"Bands 1 and 3 .* both called B02"):
        load_scene(raster(tmp_path / "a.tif", numbers[:3], names=("B02", "B03", "blue")))


def test_one_band_is_too_few(tmp_path, raster, numbers):
    with pytest.raises(TooFewBandsError, match="has one band"):
        load_scene(raster(tmp_path / "a.tif", numbers[:1], names=("B02",)))
    with pytest.raises(TooFewBandsError, match="only B02"):
        load_scene(raster(tmp_path / "b.tif", numbers[:3], names=("B02", "B01", "B09")))


def test_what_is_no_raster(tmp_path):
    text = tmp_path / "text.tif"
    text.write_text("B02;B03\n1;2\n")
    with pytest.raises(NotARasterError, match=r"text\.tif is not a raster"):
        load_scene(text)
    empty = tmp_path / "empty.tif"
    empty.touch()
    with pytest.raises(NotARasterError, match="0 bytes"):
        load_scene(empty)
    packed = tmp_path / "S2A.SAFE.zip"
    packed.write_bytes(b"PK\x03\x04")
    with pytest.raises(NotARasterError, match="Unpack it first"):
        load_scene(packed)
    with pytest.raises(SceneNotFoundError, match="nowhere"):
        load_scene(tmp_path / "nowhere.tif")


def test_connection_strings_of_gdal_are_not_followed(tmp_path):
    for text in ("/vsicurl/http://127.0.0.1:9/a.tif", "http://127.0.0.1:9/a.tif", 'NETCDF:"a.nc":B02'):
        with pytest.raises(SceneNotFoundError):
            load_scene(text)


@pytest.mark.parametrize("compress", ["deflate", "none"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.98])
def test_truncated_file_is_named_whenever_it_is_noticed(tmp_path, raster, compress, share):
    rng = np.random.default_rng(0)
    content = rng.integers(1, 4000, (3, 1200, 1100)).astype(np.uint16)
    more = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": compress, "interleave": "band"}
    path = raster(tmp_path / "cut.tif", content, names=("B02", "B03", "B04"), **more)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(NotARasterError, match=r"cut\.tif"):
        load_scene(path).validity  # noqa: B018


def test_damage_that_appears_after_opening(tmp_path, raster):
    rng = np.random.default_rng(0)
    content = rng.integers(1, 4000, (2, 1200, 1100)).astype(np.uint16)
    path = raster(tmp_path / "late.tif", content, names=("B02", "B03"), tiled=True, compress="deflate")
    scene = load_scene(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 3])
    with pytest.raises(NotARasterError, match=r"late\.tif cannot be read to the end"):
        scene.read()


def test_no_coordinate_system(tmp_path, raster, numbers):
    with pytest.raises(MissingCRSError, match="no coordinate system"):
        load_scene(raster(tmp_path / "a.tif", numbers, names=TEN, crs=None))
    with pytest.warns(NotGeoreferencedWarning):
        nowhere = raster(tmp_path / "b.tif", numbers, names=TEN, transform=Affine.identity())
    with pytest.raises(MissingCRSError, match="no position"):
        load_scene(nowhere)
    local = 'LOCAL_CS["site",LOCAL_DATUM["site",0],UNIT["metre",1],AXIS["X",EAST],AXIS["Y",NORTH]]'
    with pytest.raises(MissingCRSError, match="longitude and latitude"):
        load_scene(raster(tmp_path / "c.tif", numbers, names=TEN, crs=local))


def test_rotated_and_flat_grids_are_refused(tmp_path, raster, numbers):
    rotated = Affine(9.4, -3.4, 600000, -3.4, -9.4, 5000000)
    with pytest.raises(SceneError, match="rotated or sheared"):
        load_scene(raster(tmp_path / "a.tif", numbers, names=TEN, transform=rotated))
    flat = Affine(10, 0, 600000, 0, 0, 5000000)
    with pytest.raises(SceneError, match="covers no area"):
        load_scene(raster(tmp_path / "b.tif", numbers, names=TEN, transform=flat))


def test_south_up_file_is_turned(tmp_path, raster, numbers):
    content = numbers.copy()
    content[:, 5, 7] = 0
    up = Affine(10, 0, 600000, 0, 10, 5000000 - 600)
    scene = load_scene(raster(tmp_path / "a.tif", content[:, ::-1], names=TEN, transform=up))
    assert scene.grid.transform == Affine(10, 0, 600000, 0, -10, 5000000)
    got, valid = scene.read_numbers(Window(0, 0, 90, 60))
    np.testing.assert_array_equal(got, content)
    assert valid.sum() == valid.size - 1
    np.testing.assert_array_equal(scene.source.read_overview(scene.bands, (60, 90)), content)


def test_geographic_coordinates_work(tmp_path, raster, numbers):
    path = raster(tmp_path / "a.tif", numbers, names=TEN, crs="EPSG:4326", transform=Affine(1e-4, 0, 73, 0, -1e-4, 30))
    scene = load_scene(path)
    np.testing.assert_array_equal(scene.source.read(TEN, Window(0, 0, 90, 60)), numbers)


def test_one_pixel_is_a_scene(tmp_path, raster):
    scene = load_scene(raster(tmp_path / "a.tif", np.full((2, 1, 1), 500, np.uint16), names=("B02", "B03")))
    assert scene.read().shape == (2, 1, 1)
    assert scene.validity.clear == 1


def test_nothing_but_no_data(tmp_path, raster, numbers):
    with pytest.raises(NoValidPixelsError, match="no pixel with data"):
        load_scene(raster(tmp_path / "a.tif", np.zeros_like(numbers), names=TEN))
    one_empty = numbers.copy()
    one_empty[4] = 0
    with pytest.raises(NoValidPixelsError, match="or one band is"):
        load_scene(raster(tmp_path / "b.tif", one_empty, names=TEN))


def test_data_in_a_far_corner_is_found(tmp_path, raster):
    content = np.zeros((2, 1500, 1500), np.uint16)
    content[:, -3:, -3:] = 700
    scene = load_scene(raster(tmp_path / "a.tif", content, names=("B02", "B03"), compress="deflate"))
    assert scene.validity.filled == 9


def test_declared_no_data_becomes_zero(tmp_path, raster, numbers):
    content = numbers.astype(np.int16)
    content[:, 0, :5] = -9999
    scene = load_scene(raster(tmp_path / "a.tif", content, names=TEN, nodata=-9999))
    got, valid = scene.read_numbers(Window(0, 0, 90, 60))
    assert (got[:, 0, :5] == 0).all()
    assert valid.sum() == valid.size - 5
    assert scene.source.read_overview(TEN, (30, 45)).min() >= 0


def test_float_stack_with_nan_and_inf(tmp_path, raster, numbers):
    content = (numbers / 1e4).astype(np.float32)
    content[0, 0, 0], content[1, 0, 1], content[:, 0, 2], content[:, 0, 3] = np.nan, np.inf, 0, -9999
    content[3, 0, 4] = 0  # a clipped dark pixel, not no-data
    scene = load_scene(raster(tmp_path / "a.tif", content, names=TEN, nodata=-9999))
    assert scene.radiometry.rule == "float reflectance"
    assert scene.radiometry.scale == 1
    _, valid = scene.read_numbers(Window(0, 0, 90, 60))
    assert valid[0, :5].tolist() == [False, False, False, False, True]
    assert valid.sum() == valid.size - 4


def test_complex_numbers_are_refused(tmp_path, raster, numbers):
    for kind in ("complex64", "complex_int16"):
        path = raster(tmp_path / f"{kind}.tif", numbers.astype(np.complex64), names=TEN, dtype=kind)
        with pytest.raises(SceneError, match="complex"):
            load_scene(path)


def test_no_data_value_outside_the_type_is_ignored(tmp_path, raster, numbers):
    vrt = tmp_path / "a.vrt"
    raster(tmp_path / "a.tif", numbers[:1])
    bands = "".join(
        f'<VRTRasterBand dataType="UInt16" band="{band}"><NoDataValue>{value}</NoDataValue><SimpleSource>'
        '<SourceFilename relativeToVRT="1">a.tif</SourceFilename><SourceBand>1</SourceBand></SimpleSource>'
        "</VRTRasterBand>"
        for band, value in ((1, -9999), (2, "nan"))
    )
    vrt.write_text(
        '<VRTDataset rasterXSize="90" rasterYSize="60"><SRS>EPSG:32633</SRS>'
        f"<GeoTransform>600000,10,0,5000000,0,-10</GeoTransform>{bands}</VRTDataset>"
    )
    assert inspect_raster(vrt).nodata is None
    assert load_scene(vrt, bands=["B02", "B03"]).validity.filled == 60 * 90


@pytest.mark.parametrize(
    ("name", "tags", "day"),
    [
        ("a", {"DATETIME": "2019-08-24"}, date(2019, 8, 24)),
        ("a", {"TIFFTAG_DATETIME": "2021:07:03 10:50:31"}, date(2021, 7, 3)),
        ("a", {"TIFFTAG_DATETIME": "2024:01:01 00:00:00", "ACQUISITION_DATE": "2021-07-03"}, date(2021, 7, 3)),
        ("S2A_MSIL2A_20200223T032739_N0500_R018_T48QUE_20230924T183543", {"DATETIME": "1999"}, date(2020, 2, 23)),
        ("fields_2020-06-04", {}, date(2020, 6, 4)),
        ("fields_20201399", {}, None),
        ("a", {}, None),
    ],
)
def test_date(tmp_path, raster, numbers, name, tags, day):
    scene = load_scene(raster(tmp_path / f"{name}.tif", numbers, names=TEN, tags=tags))
    assert scene.provenance.acquired == day
    assert scene.provenance.product == (name if name.startswith("S2A") else "")


def test_title(tmp_path, raster, numbers):
    path = raster(tmp_path / "dnipro" / "scene.tif", numbers, names=TEN)
    assert load_scene(path).provenance.title == "dnipro scene"
    assert load_scene(path, title="My town").provenance.title == "My town"
    assert load_scene(str(path)).provenance.location == str(path)


def test_scale_and_offset_tags(tmp_path, raster, numbers):
    shifted = numbers + 1000
    path = raster(tmp_path / "a.tif", shifted, names=TEN, scales=[1e-4] * 10, offsets=[-0.1] * 10)
    radiometry = load_scene(path).radiometry
    assert (radiometry.rule, radiometry.scale, radiometry.offset) == ("metadata", 1e-4, -0.1)
    assert radiometry.certain
    path = raster(tmp_path / "b.tif", shifted, names=TEN, scales=[1e-4] * 10)
    radiometry = load_scene(path).radiometry
    assert (radiometry.rule, radiometry.offset, radiometry.certain) == ("metadata", 0, False)
    assert "disagree" in radiometry.evidence
    path = raster(tmp_path / "c.tif", shifted, names=TEN, scales=[1e-4] * 9 + [1])
    scene = load_scene(path)
    assert scene.radiometry.rule == "pixel check"
    assert scene.radiometry.offset == -0.1
    assert "tags differ" in " ".join(scene.provenance.notes)
    path = raster(tmp_path / "d.tif", shifted, names=TEN, offsets=[-1000] * 10)
    assert "no reflectance" in " ".join(load_scene(path).provenance.notes)
