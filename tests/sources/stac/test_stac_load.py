"""Reading tiles onto the area's grid: held against GDAL's own warper, and against servers that fail."""

from __future__ import annotations

import logging
import time

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.warp import reproject
from stac_archive import SIDE, outline

from s2dash.area import AreaOfInterest
from s2dash.bands import method_bands
from s2dash.errors import Cancelled, ImageryError
from s2dash.progress import Tracker
from s2dash.sources.stac import search_scenes
from s2dash.sources.stac.load import AssetGoneError, ImageReader

BANDS = (*method_bands(), "SCL")
INSIDE = AreaOfInterest.from_geojson(outline(epsg=32633, left=600_300, top=4_999_700, side_m=900))
GRID = GeoBox((100, 120), Affine(10, 0, 600_300, 0, -10, 4_999_700), "EPSG:32633")


def image_of(archive, area=INSIDE, **more):
    return search_scenes(area, "2023-07-01", "2023-07-31", catalogue=archive.catalogue(**more))[0]


def reader_of(archive, brisk, bands=BANDS, **more):
    return ImageReader(archive.catalogue(**more), bands, brisk)


def warped(archive, name, grid, *, how, nodata=0):
    """The oracle: GDAL's warper on the whole file."""
    out = np.zeros(grid.shape, dtype=np.uint16)
    with rasterio.open(archive.server.folder / f"{name}.tif") as file:
        reproject(
            file.read(1),
            out,
            src_transform=file.transform,
            src_crs=file.crs,
            src_nodata=nodata,
            dst_transform=grid.transform,
            dst_crs=str(grid.crs),
            dst_nodata=0,
            resampling=how,
            tolerance=0.01,
        )
    return out


def test_ten_metre_bands_on_their_own_grid_are_copied_number_for_number(archive, brisk):
    numbers = archive.add("T1")
    read = reader_of(archive, brisk).read(image_of(archive), GRID)
    # the tile begins at 600000, 5000040: 30 columns and 34 rows before the grid
    for band in ("B02", "B03", "B04", "B08"):
        assert np.array_equal(read[BANDS.index(band)], numbers[band][34:134, 30:150]), band


@pytest.mark.parametrize("offset", [0, 10])
def test_twenty_metre_bands_are_interpolated_and_classes_are_not(archive, brisk, offset):
    numbers = archive.add("T1")
    grid = GeoBox((100, 120), Affine(10, 0, 600_300 + offset, 0, -10, 4_999_700), "EPSG:32633")
    read = reader_of(archive, brisk).read(image_of(archive), grid)
    for band in ("B05", "B8A", "B12"):
        assert np.array_equal(read[BANDS.index(band)], warped(archive, f"T1-{band}", grid, how=Resampling.bilinear))
    doubled = numbers["SCL"].repeat(2, axis=0).repeat(2, axis=1)
    left = 30 + offset // 10
    assert np.array_equal(read[-1], doubled[34:134, left : left + 120])


@pytest.mark.parametrize("declared", [0, None])
def test_no_data_never_bleeds_into_what_lies_beside_it(archive, brisk, declared):
    """Beside zeros a bilinear mean that takes them in would be lower than every number there is."""

    def holed(numbers):
        for band, values in numbers.items():
            values[:] = 3 if band == "SCL" else 2000
            side = values.shape[0]
            values[: side // 2, : side // 2] = 0
            values[side // 2 + 9, side // 2 + 9] = 0

    archive.add("T1", edit=holed, nodata=declared)
    read = reader_of(archive, brisk).read(image_of(archive), GRID)
    spectral = read[:-1]
    assert set(np.unique(spectral)) == {0, 2000}
    empty = (spectral == 0).all(axis=0)
    assert np.array_equal(empty, (spectral == 0).any(axis=0))
    inner = np.zeros(GRID.shape, dtype=bool)
    inner[: 120 - 34, : 120 - 30] = True  # the quarter that holds no data
    assert empty[inner].all()
    assert 1 <= empty[~inner].sum() <= 20  # and one pixel of each size


def test_a_file_that_calls_another_value_no_data_still_has_its_zeros_masked(archive, brisk):
    def holed(numbers):
        for band, values in numbers.items():
            if band != "SCL":
                values[:] = 1500
                values[:, : values.shape[1] // 2] = 0

    archive.add("T1", edit=holed, nodata=255)
    read = reader_of(archive, brisk, bands=method_bands()).read(image_of(archive), GRID)
    assert set(np.unique(read)) <= {0, 1500}


def test_tiles_of_two_zones_are_joined_where_they_lie(archive, brisk):
    west = {"epsg": 32633, "left": 734_400.0, "top": 5_000_040.0}
    east = {"epsg": 32634, "left": 262_900.0, "top": 5_000_040.0}
    archive.add("W", **west, place="MGRS-33TYL", seed=1)
    archive.add("E", **east, place="MGRS-34TBR", seed=2, moment="09:50:41")
    grid = GeoBox((150, 400), Affine(10, 0, 735_000, 0, -10, 4_999_000), "EPSG:32633")
    area = AreaOfInterest.from_geojson(outline(epsg=32633, left=735_000, top=4_999_000, side_m=1500))
    image = image_of(archive, area)
    read = reader_of(archive, brisk).read(image, grid)
    own = warped(archive, "W-B02", grid, how=Resampling.bilinear)
    other = warped(archive, "E-B02", grid, how=Resampling.bilinear)
    assert len(image.tiles) == (2 if (other > 0).any() else 1)
    assert ((other > 0) & (own == 0)).any()
    assert np.array_equal(read[0][own > 0], own[own > 0])
    beside = (own == 0) & (other > 0) & (read[0] > 0)
    assert beside.sum() > 0.95 * ((own == 0) & (other > 0)).sum()
    # GDAL puts pixels at most an eighth off, so few numbers differ from those of an exact warp, and hardly
    assert np.median(np.abs(read[0][beside].astype(int) - other[beside])) <= 2


def test_numbers_are_raised_where_they_are_data_only(archive, brisk):
    def holed(numbers):
        for values in numbers.values():
            values[: values.shape[0] // 2] = 0

    archive.add("T1", edit=holed)
    reader, image = reader_of(archive, brisk), image_of(archive)
    plain, raised = reader.read(image, GRID), reader.read(image, GRID, shifts={"T1": 1000})
    data = plain[:-1] > 0
    assert np.array_equal(raised[:-1][data], plain[:-1][data] + 1000)
    assert not raised[:-1][~data].any()
    assert np.array_equal(raised[-1], plain[-1])


@pytest.mark.parametrize("times", [1, 6])
def test_a_connection_cut_in_the_middle_is_taken_up_again(archive, brisk, times):
    numbers = archive.add("T1")
    image = image_of(archive)
    archive.server.cut["/files/T1-B03.tif"] = times
    read = reader_of(archive, brisk).read(image, GRID)
    assert archive.server.cut["/files/T1-B03.tif"] == 0
    assert np.array_equal(read[1], numbers["B03"][34:134, 30:150])


def test_a_busy_file_server_is_waited_for(archive, brisk):
    numbers = archive.add("T1")
    image = image_of(archive)
    archive.server.busy["/files/T1-B02.tif"] = 2
    read = reader_of(archive, brisk).read(image, GRID)
    assert np.array_equal(read[0], numbers["B02"][34:134, 30:150])


def test_a_file_that_is_gone_is_named_and_not_asked_for_again_and_again(archive, brisk):
    archive.add("T1")
    image = image_of(archive)
    archive.server.gone.add("/files/T1-B03.tif")
    with pytest.raises(AssetGoneError, match="T1 is not there"):
        reader_of(archive, brisk).read(image, GRID)
    assert archive.server.requests["/files/T1-B03.tif"] <= 3


def test_a_server_that_always_breaks_off_ends_in_words(archive, brisk):
    archive.add("T1")
    image = image_of(archive)
    archive.server.cut["/files/T1-B03.tif"] = 10_000
    with pytest.raises(ImageryError, match="T1 cannot be read after 4 attempts"):
        reader_of(archive, brisk).read(image, GRID)


def signed(archive):
    return {
        "name": "planetary-computer",
        "token": f"{archive.server.url}/token/{{collection}}",
        "token_hosts": ("127.0.0.1",),
    }


def test_files_are_signed_and_signatures_renewed_before_they_expire(archive, brisk):
    archive.add("T1", catalogue="planetary-computer")
    archive.server.signature = "nobody knows"
    archive.server.lifetime_s = 1.0
    reader = reader_of(archive, brisk, **signed(archive))

    now = [time.time()]
    reader.signer.now = lambda: now[0]
    image = image_of(archive, **signed(archive))
    reader.read(image, GRID)
    assert archive.server.tokens == 1
    now[0] += 0.2
    reader.read(image, GRID)
    assert archive.server.tokens == 1
    now[0] += 0.5  # still valid, but for less than half its time
    reader.read(image, GRID)
    assert archive.server.tokens == 2


def test_a_signature_refused_in_the_middle_is_renewed_and_never_shows(archive, brisk, caplog):
    archive.add("T1", catalogue="planetary-computer")
    numbers = archive.add("T2", catalogue="planetary-computer", day="2023-07-16", seed=2)
    archive.server.signature = "nobody knows"
    reader = reader_of(archive, brisk, **signed(archive))
    first, second = search_scenes(INSIDE, "2023-07-01", "2023-07-31", catalogue=archive.catalogue(**signed(archive)))
    with caplog.at_level(logging.DEBUG):
        reader.read(first, GRID)
        archive.server.signature = "changed by the server"
        read = reader.read(second, GRID)
    assert np.array_equal(read[0], numbers["B02"][34:134, 30:150])
    assert archive.server.tokens == 2
    assert "secret" not in caplog.text
    assert "secret" not in repr(reader.signer)


def test_a_server_that_refuses_every_signature_is_given_up(archive, brisk, caplog):
    archive.add("T1", catalogue="planetary-computer")
    reader, image = reader_of(archive, brisk, **signed(archive)), image_of(archive, **signed(archive))

    def spoil():
        archive.server.signature += "x"

    archive.server.on_token = spoil
    archive.server.signature = "y"
    archive.server.tokens = 0
    with caplog.at_level(logging.DEBUG), pytest.raises(AssetGoneError, match="does not let T1 be read") as raised:
        reader.read(image, GRID)
    assert "secret" not in str(raised.value) + caplog.text


def test_reading_stops_when_it_is_told_to(archive, brisk):
    archive.add("T1")
    tracker = Tracker()
    tracker.cancel()
    before = archive.server.file_requests
    with pytest.raises(Cancelled):
        reader_of(archive, brisk).read(image_of(archive), GRID, progress=tracker)
    assert archive.server.file_requests == before


def test_outside_every_tile_nothing_is_asked_and_nothing_is_there(archive, brisk):
    archive.add("T1")
    image, before = image_of(archive), archive.server.file_requests
    far = GeoBox((20, 20), Affine(10, 0, 600_000 + 10 * SIDE + 1000, 0, -10, 4_999_000), "EPSG:32633")
    assert not reader_of(archive, brisk).read(image, far).any()
    assert archive.server.file_requests == before


def in_bucket(archive, name):
    """Point an item's files into the bucket, as Copernicus does."""
    item = next(item for item in archive.server.items if item["id"] == name)
    for asset in item["assets"].values():
        asset["href"] = "s3://eodata/" + asset["href"].rpartition("/")[2]
    return {"name": "copernicus", "s3_endpoint": archive.server.url}


def test_files_in_a_bucket_are_read_with_keys_from_the_environment(archive, brisk, monkeypatch, caplog):
    numbers = archive.add("T1", catalogue="copernicus")
    copernicus = in_bucket(archive, "T1")
    archive.server.keys = {"PERSON": "hush-hush"}
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "PERSON")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    with caplog.at_level(logging.DEBUG):
        read = reader_of(archive, brisk, **copernicus).read(image_of(archive, **copernicus), GRID)
    assert np.array_equal(read[BANDS.index("B02")], numbers["B02"][34:134, 30:150])
    assert any(path.startswith("/eodata/") for path in archive.server.requests)
    assert "hush" not in caplog.text


@pytest.mark.parametrize("keys", [None, ("PERSON", "hush-wrong")])
def test_a_bucket_without_the_right_keys_says_where_they_are_made(archive, brisk, monkeypatch, caplog, keys):
    archive.add("T1", catalogue="copernicus")
    copernicus = in_bucket(archive, "T1")
    archive.server.keys = {"PERSON": "hush-hush"}
    for name, value in zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), keys or (None, None), strict=True):
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises(AssetGoneError, match="put them into AWS_ACCESS_KEY_ID") as raised,
    ):
        reader_of(archive, brisk, **copernicus).read(image_of(archive, **copernicus), GRID)
    assert "hush" not in str(raised.value) + caplog.text
