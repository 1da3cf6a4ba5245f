"""From an area and dates to a scene: one image, composites, offsets, the cache, refusals, and the command."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window
from stac_archive import SIDE, numbers_of, outline

import s2dash
from s2dash.area import AreaOfInterest
from s2dash.bands import method_bands, sensor_table
from s2dash.cli.main import main
from s2dash.errors import (
    AreaError,
    Cancelled,
    ImageryError,
    NoImageryError,
    OutputError,
    TooFewBandsError,
    TooLargeError,
)
from s2dash.grid import full_window
from s2dash.masking import MaskRule
from s2dash.sources import load_scene
from s2dash.sources.stac import fetch_scene, read_layers
from s2dash.sources.stac.addresses import gdal_path
from s2dash.sources.stac.cache import ImageryCache

INSIDE = AreaOfInterest.from_geojson(outline(epsg=32633, left=600_300, top=4_999_700, side_m=900))
JULY = ("2023-07-01", "2023-07-31")


@pytest.fixture
def get(archive, brisk, cache):
    """Fetch from the archive into the cache."""

    def run(area=INSIDE, first=JULY[0], last=JULY[1], *, name="earth-search", collection="sentinel-2-l2a", **more):
        more.setdefault("source", archive.catalogue(name))
        return fetch_scene(area, first, last, collection=collection, patience=brisk, cache=cache, **more)

    return run


def cut(numbers, scene):
    """The part of a tile at 600000, 5000040 under a scene."""
    row, col = round((5_000_040 - scene.grid.transform.f) / 10), round((scene.grid.transform.c - 600_000) / 10)
    height, width = scene.grid.shape
    return numbers[row : row + height, col : col + width]


class Counting:
    """Progress that stops at a step, or counts them."""

    def __init__(self, stop_at=None):
        self.shares, self.texts, self.stop_at = [], [], stop_at

    def report(self, share, text):
        self.shares.append(share)
        self.texts.append(text)
        if self.stop_at and self.stop_at in text:
            raise Cancelled("Stopped.")


def test_one_image_becomes_a_scene_of_its_own_numbers(archive, get, tmp_path):
    cloudy = archive.add("cloudy", day="2023-07-04", cloud=50.0, seed=2)
    fair = archive.add("fair", day="2023-07-09", cloud=2.0, seed=1)
    made = get(out=tmp_path / "scene.tif")
    scene = made.load()
    assert scene.provenance.kind == "stac"
    assert str(scene.provenance.acquired) == "2023-07-09"
    assert scene.bands == method_bands()
    numbers = scene.source.read(("B02", "B08"), full_window(scene.grid))
    assert np.array_equal(numbers[0], cut(fair["B02"], scene))
    assert not np.array_equal(numbers[0], cut(cloudy["B02"], scene))
    assert np.array_equal(numbers[1], cut(fair["B08"], scene))
    assert scene.grid == INSIDE.utm_grid()
    assert get(item="cloudy", out=tmp_path / "other.tif").images[0].id == "cloudy"
    with rasterio.open(made.path) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.descriptions == (*method_bands(), "SCL")
    opened = s2dash.load_scene(made.path)  # and any other way in finds the same
    assert (opened.radiometry.scale, opened.radiometry.offset) == (scene.radiometry.scale, scene.radiometry.offset)


OFFSETS = [
    ("earth-search", "sentinel-2-l2a", "03.00", False, 0.0),
    ("earth-search", "sentinel-2-l2a", "05.00", False, 0.0),
    ("earth-search", "sentinel-2-l2a", "05.00", True, -0.1),  # one of those that were not harmonised
    ("earth-search", "sentinel-2-c1-l2a", "05.00", True, -0.1),
    ("planetary-computer", "sentinel-2-l2a", "03.00", False, 0.0),
    ("planetary-computer", "sentinel-2-l2a", "04.00", True, -0.1),
    ("copernicus", "sentinel-2-l2a", "05.10", True, -0.1),
]


@pytest.mark.parametrize(("name", "collection", "baseline", "shifted", "offset"), OFFSETS)
def test_the_offset_of_every_collection(archive, get, name, collection, baseline, shifted, offset):
    archive.add("T1", catalogue=name, collection=collection, baseline=baseline, shifted=shifted, seed=3)
    truth = numbers_of(3, shifted=False)
    made = get(collection=collection, source=archive.catalogue(name, token="", s3_endpoint=""))
    scene = made.load()
    assert scene.radiometry.offset == pytest.approx(offset)
    assert scene.radiometry.evidence
    assert scene.radiometry.certain
    red = scene.read(bands=["B04"])[0]
    np.testing.assert_allclose(red, cut(truth["B04"], scene) * 1e-4, atol=1e-6)


def test_what_an_item_says_of_its_offset_counts_where_metadata_are_right(archive, get):
    archive.add("T1", catalogue="copernicus", baseline="03.00", shifted=True)
    for asset in archive.server.items[0]["assets"].values():
        asset["raster:bands"] = [{"scale": 0.0001, "offset": -0.1}]
    made = get(source=archive.catalogue("copernicus", s3_endpoint=""))
    assert made.load().radiometry.offset == pytest.approx(-0.1)
    assert made.load().radiometry.rule == "metadata"


def test_baselines_mix_in_a_composite_without_loss(archive, get):
    truth = numbers_of(4, shifted=False)
    archive.add("old", catalogue="planetary-computer", day="2023-07-02", baseline="03.01", seed=4)
    archive.add("new", catalogue="planetary-computer", day="2023-07-12", baseline="05.09", seed=4, shifted=True)
    made = get(source=archive.catalogue("planetary-computer", token=""), composite="median")
    scene = made.load()
    assert len(made.images) == 2
    assert scene.radiometry.offset == pytest.approx(-0.1)
    np.testing.assert_allclose(scene.read(bands=["B08"])[0], cut(truth["B08"], scene) * 1e-4, atol=1e-6)


def test_a_composite_looks_through_clouds_and_counts_its_looks(archive, get, tmp_path):
    truth = numbers_of(5, shifted=False)
    for index, day in enumerate((2, 7, 12)):

        def hide(numbers, index=index):
            third = numbers["SCL"].shape[1] // 3
            numbers["SCL"][:, :] = 4
            numbers["SCL"][:, : third * index] = 9
            for band, values in numbers.items():
                if band != "SCL":
                    values[:, : values.shape[1] // 3 * index] = 9000

        archive.add(f"D{day}", day=f"2023-07-{day:02d}", seed=5, edit=hide)
    made = get(composite="median", season=True, out=tmp_path / "summer.tif")
    scene = made.load()
    assert np.array_equal(scene.source.read(("B02",), full_window(scene.grid))[0], cut(truth["B02"], scene))
    names, layers = read_layers(made.layers)
    assert made.layers == tmp_path / "summer_season.tif"
    assert names[:2] == ("LOOKS", "CLEAR_SHARE")
    assert names[2] == "B02_MEDIAN"
    looks = np.full((240, 240), 3.0)
    looks[:, :160] -= 1
    looks[:, :80] -= 1
    assert np.array_equal(layers[0], cut(looks, scene))
    np.testing.assert_allclose(layers[1], cut(looks, scene) / 3, atol=1e-6)
    np.testing.assert_allclose(layers[names.index("B02_MEDIAN")], cut(truth["B02"], scene) * 1e-4, atol=1e-6)
    assert scene.provenance.acquired is None
    assert "3 images" in scene.provenance.title


def test_the_same_request_downloads_nothing_twice(archive, get):
    archive.add("T1")
    first, before = get(), archive.server.file_requests
    assert first.downloaded == 1
    assert before > 0
    again = get()
    assert again.downloaded == 0
    assert again.path == first.path
    assert again.clear_percent == first.clear_percent
    assert archive.server.file_requests == before


def test_what_was_fetched_stays_when_the_work_is_stopped(archive, get, cache, monkeypatch):
    monkeypatch.setattr("s2dash.sources.stac.cache.BLOCK_SIDE", 64)
    archive.add("T1")
    with pytest.raises(Cancelled):
        get(progress=Stopper(after=3))
    kept = len(list(cache.root.glob("images/*/*.tif")))
    assert kept >= 1
    made = get()
    assert made.downloaded == 4 - kept
    assert not list(cache.root.rglob(".*"))


class Stopper:
    """Progress that stops at the third block."""

    def __init__(self, after):
        self.left = after

    def report(self, share, text):
        if text.startswith("Fetching T1"):
            self.left -= 1
            if self.left == 0:
                raise Cancelled("Stopped.")


def test_small_blocks_give_the_same_scene(archive, brisk, tmp_path, monkeypatch):
    archive.add("T1")
    made = []
    for side in (1024, 48):
        monkeypatch.setattr("s2dash.sources.stac.cache.BLOCK_SIDE", side)
        kept, out = ImageryCache(tmp_path / f"cache{side}"), tmp_path / f"{side}.tif"
        made.append(fetch_scene(INSIDE, *JULY, source=archive.catalogue(), cache=kept, out=out, patience=brisk))
    assert [each.downloaded for each in made] == [1, 4]
    with rasterio.open(made[0].path) as one, rasterio.open(made[1].path) as other:
        assert np.array_equal(one.read(), other.read())


def test_a_damaged_block_is_fetched_again(archive, get, cache, tmp_path):
    archive.add("T1")
    first = get(out=tmp_path / "a.tif")
    (block,) = cache.root.glob("images/*/*.tif")
    block.write_bytes(block.read_bytes()[:200])
    second = get(out=tmp_path / "b.tif")
    with rasterio.open(first.path) as one, rasterio.open(second.path) as other:
        assert np.array_equal(one.read(), other.read())


def test_progress_never_runs_backwards(archive, get):
    archive.add("T1")
    counting = Counting()
    get(progress=counting)
    assert counting.shares == sorted(counting.shares)
    assert counting.shares[-1] == 1.0


def test_a_tile_without_an_asset_is_left_out_and_said(archive, get):
    archive.add("whole", day="2023-07-02")
    archive.add("torn", day="2023-07-12", without=("B08",))
    made = get(composite="median")
    assert [image.id for image in made.images] == ["whole"]
    assert any("torn" in note and "B08" in note for note in made.notes)


def test_a_band_that_no_tile_has_is_left_out_of_the_scene(archive, get):
    archive.add("T1", without=("B8A", "SCL"))
    scene = get().load()
    assert scene.missing == ("B8A",)
    assert any("clouds stay" in note for note in scene.provenance.notes)
    assert scene.source.read_scl(full_window(scene.grid)) is None


def test_a_composite_goes_on_without_an_image_whose_files_are_gone(archive, get):
    archive.add("here", day="2023-07-02")
    archive.add("lost", day="2023-07-12")
    archive.server.gone.add("/files/lost-B03.tif")
    made = get(composite="best")
    assert [image.id for image in made.images] == ["here"]
    assert any("2023-07-12" in note for note in made.notes)
    with pytest.raises(ImageryError, match="lost is not there"):
        get(item="lost")


def test_no_clear_look(archive, get, tmp_path):
    def hide(numbers):
        numbers["SCL"][:] = 9

    archive.add("T1", edit=hide)
    for composite in ("none", "median"):
        with pytest.raises(NoImageryError, match=r"No pixel is seen clearly: 8,\d{3} of 8,\d{3} pixels"):
            get(composite=composite, out=tmp_path / "none.tif")
    assert not list(tmp_path.glob("*none*"))


def test_a_tile_that_holds_nothing_here(archive, get):
    def empty(numbers):
        for values in numbers.values():
            values[:] = 0

    archive.add("T1", edit=empty, baseline="03.00")
    with pytest.raises(NoImageryError, match="holds data"):
        get()


def test_across_the_180th_meridian(archive, get):
    # zone 60 ends there; at 60.4° N the meridian lies 665 km east of its false origin
    archive.add("T60", epsg=32660, left=664_200, top=6_700_000, seed=6, place="MGRS-60VXM")
    tile = archive.server.items[-1]
    ring = tile["geometry"]["coordinates"][0]
    assert min(x for x, _ in ring) < -179.9 or max(x for x, _ in ring) > 179.9
    area = AreaOfInterest.from_geojson(outline(epsg=32660, left=664_900, top=6_699_300, side_m=800))
    assert area.crosses
    tile["geometry"] = AreaOfInterest.from_geojson(tile["geometry"]).geojson
    made = get(area)
    assert made.images[0].coverage_percent == pytest.approx(100, abs=0.01)
    assert made.clear_percent == 100


@pytest.mark.parametrize(
    ("box", "error", "said"),
    [
        ((10, 40, 22.0, 49.0), TooLargeError, r"9\d\d,\d{3} km².*million pixels.*GB.*100,000 km²"),
        ((30, 88, 40, 89), AreaError, "between 88 and 89 degrees"),
        ((30, -89, 40, -88), AreaError, "nothing beyond 84"),
    ],
)
def test_areas_that_are_refused_before_anything_is_asked(archive, get, box, error, said):
    with pytest.raises(error, match=said):
        get(AreaOfInterest.from_bbox(*box))
    assert not archive.server.requests


def test_an_area_of_no_size_and_one_that_crosses_itself():
    with pytest.raises(AreaError, match="no size"):
        AreaOfInterest.from_bbox(10, 50, 10, 51)
    bow = {"type": "Polygon", "coordinates": [[[10, 50], [10.1, 50.1], [10.1, 50], [10, 50.1], [10, 50]]]}
    area = AreaOfInterest.from_geojson(bow)
    assert area.notes
    assert area.area_km2 == pytest.approx(0.5 * AreaOfInterest.from_bbox(10, 50, 10.1, 50.1).area_km2, rel=0.01)


def test_settings_that_make_no_sense(get):
    with pytest.raises(ImageryError, match="several images"):
        get(season=True)
    with pytest.raises(ImageryError, match="none, median or best"):
        get(composite="mean")
    with pytest.raises(TooFewBandsError):
        get(bands=["B02"])


def test_a_file_of_somebody_else_is_not_overwritten(archive, get, tmp_path):
    archive.add("T1")
    (tmp_path / "mine.tif").write_text("precious")
    with pytest.raises(OutputError, match="was not fetched by this program"):
        get(out=tmp_path / "mine.tif")
    assert (tmp_path / "mine.tif").read_text() == "precious"


def test_no_signature_is_ever_kept(archive, get, cache, tmp_path):
    archive.add("T1", catalogue="planetary-computer")
    archive.server.signature = "nobody knows"
    source = archive.catalogue(
        "planetary-computer", token=f"{archive.server.url}/token/{{collection}}", token_hosts=("127.0.0.1",)
    )
    made = get(source=source, out=tmp_path / "scene.tif")
    assert any("sig=secret" in query for query in archive.server.queries)
    for path in [made.path, *cache.root.rglob("*")]:
        if path.is_file():
            assert b"secret" not in path.read_bytes(), path
    assert "secret" not in json.dumps(made.to_json()) + repr(made.load().provenance)


def test_files_of_this_machine_are_not_read_for_a_remote_catalogue():
    for address in ("/etc/passwd", "file:///etc/passwd", "/vsizip//etc/x.zip", "ftp://host/x"):
        with pytest.raises(ImageryError, match="neither https"):
            gdal_path(address, local=False)
    assert gdal_path("s3://eodata/x.jp2", local=False) == "/vsis3/eodata/x.jp2"


def test_the_cache_is_pruned_from_its_oldest_end(archive, get, cache, tmp_path):
    archive.add("T1", day="2023-07-02")
    archive.add("T2", day="2023-07-12")
    get(item="T1", out=tmp_path / "1.tif")
    get(item="T2", out=tmp_path / "2.tif")
    folders = sorted(cache.root.glob("images/*"), key=lambda path: path.stat().st_mtime)
    os.utime(folders[0], (1, 1))
    assert cache.prune(gigabytes=1e-9, keep=[folders[1]]) > 0
    assert [path for path in folders if path.exists()] == [folders[1]]


def test_the_command_lists_and_fetches(archive, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("S2DASH_IMAGERY", str(tmp_path / "cache"))
    monkeypatch.setattr(
        "s2dash.sources.stac.catalogues.known_catalogues", lambda: {"earth-search": archive.catalogue()}
    )
    archive.add("T1")
    archive.add("T2", day="2023-07-16", cloud=30.0)
    box = ",".join(f"{side:.6f}" for side in INSIDE.bounds)
    common = ["fetch", f"--bbox={box}", "--start", JULY[0], "--end", JULY[1], "--json", "--quiet"]
    assert main([*common, "--list"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [image["id"] for image in listed["images"]] == ["T1", "T2"]
    assert main([*common, "--out", str(tmp_path / "scene.tif"), "--composite", "best", "--season"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["clear_percent"] > 0
    assert (tmp_path / "scene.tif").is_file()
    assert (tmp_path / "scene_season.tif").is_file()
    assert main(common) == 1
    assert "--out" in capsys.readouterr().err
    assert main([*common[:1], "--bbox=1,2,3", *common[2:], "--list"]) == 1
    assert "no bounding box" in capsys.readouterr().err


def test_masks_decide_what_a_clear_look_is(archive, get):
    def snow(numbers):
        numbers["SCL"][:] = 11

    archive.add("T1", edit=snow)
    assert get(composite="median").clear_percent == 100
    with pytest.raises(NoImageryError):
        get(composite="median", mask=MaskRule(mask_snow=True))


@pytest.mark.parametrize(("place", "baseline"), [("chile", "05.09"), ("poland", "02.14")])
def test_real_pixels_come_through_the_archive_as_they_are_on_disk(archive, get, real_data, place, baseline):
    about = json.loads((real_data / place / "about.json").read_text("utf-8"))
    with rasterio.open(real_data / place / "scene.tif") as file:
        whole = {band: file.read(file.descriptions.index(band) + 1)[:SIDE, :SIDE] for band in method_bands()}
    height, width = whole["B02"].shape  # a tile of the archive is a little larger; the area lies within
    whole = {band: np.pad(array, ((0, SIDE - height), (0, SIDE - width)), "reflect") for band, array in whole.items()}
    numbers = {band: values for band, values in whole.items() if sensor_table()[band].resolution == 10}
    for band in set(whole) - set(numbers):
        numbers[band] = whole[band][::2, ::2]
    numbers["SCL"] = np.full((SIDE // 2, SIDE // 2), 4, dtype=np.uint8)
    archive.add("real", numbers=numbers, catalogue="planetary-computer", baseline=baseline)
    scene = get(source=archive.catalogue("planetary-computer", token="")).load()
    assert scene.radiometry.offset == pytest.approx(about["offset_needed_dn"] * about["scale"])
    on_disk = load_scene(real_data / place / "scene.tif")
    for band in ("B02", "B03", "B04", "B08"):
        expected = on_disk.read(Window(0, 0, width, height), bands=[band])[0]
        np.testing.assert_allclose(scene.read(bands=[band])[0], cut(expected, scene), atol=1e-6)
