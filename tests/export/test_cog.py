"""Class maps on disk: what gdalinfo, QGIS and we ourselves read back, and what is left when writing fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from s2dash.errors import GridMismatchError, MissingCRSError, NotARasterError, OutputError, SchemeError
from s2dash.export import cog
from s2dash.export.cog import read_labels, read_numbers, write_class_cog, write_confidence_cog, write_number_cog
from s2dash.export.pyramid import mode_pyramid

NAMES = {10: "Tree cover", 80: "Water <&> \"ice\" 'воді'\x07", 255: "Not decided"}
COLOURS = {10: "#006400", 80: "#0064c8", 255: "#808080"}


def grid_of(shape: tuple[int, ...], crs: str | None = "EPSG:32633") -> GeoBox:
    return GeoBox(shape, Affine(10, 0, 647360, 0, -10, 5656480), crs)


def some_codes(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.choice(np.array([0, 10, 80, 255], dtype=np.uint8), shape)


def write(path: Path, codes: np.ndarray, **options: Any) -> None:
    defaults = {"grid": grid_of(codes.shape), "names": NAMES, "colours": COLOURS}
    write_class_cog(path, codes, **defaults | options)


@settings(deadline=None, max_examples=25)
@given(
    codes=arrays(
        np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.sampled_from([0, 10, 80, 255])
    )
)
def test_values_and_grid_come_back(tmp_path_factory: pytest.TempPathFactory, codes: np.ndarray) -> None:
    path = tmp_path_factory.mktemp("cog") / "map.tif"
    write(path, codes)
    back, grid = read_labels(path)
    np.testing.assert_array_equal(back, codes)
    assert grid == grid_of(codes.shape)


def test_geographic_grid_comes_back(tmp_path: Path) -> None:
    grid = GeoBox((33, 65), Affine(0.0001, 0, 71.5, 0, -0.0001, 30.25), "EPSG:4326")
    write(tmp_path / "map.tif", some_codes((33, 65)), grid=grid)
    assert read_labels(tmp_path / "map.tif")[1] == grid


def test_file_is_a_cog_with_palette_overviews_and_tags(tmp_path: Path) -> None:
    codes = some_codes((1300, 1100))
    write(tmp_path / "map.tif", codes, tags={"simulated": "yes"})
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.tags()["simulated"] == "yes"
        assert dataset.nodata == 0
        assert dataset.overviews(1) == [2, 4]
        assert dataset.block_shapes == [(512, 512)]
        palette = dataset.colormap(1)
        assert palette[10] == (0, 0x64, 0, 255)
        assert palette[80] == (0, 0x64, 0xC8, 255)
        assert palette[255] == (0x80, 0x80, 0x80, 255)
        assert palette[0][3] == 0
        assert dataset.descriptions == ("class",)
    for index, level in enumerate(mode_pyramid(codes, nodata=0)):
        with rasterio.open(tmp_path / "map.tif", overview_level=index) as dataset:
            np.testing.assert_array_equal(dataset.read(1), level)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["map.tif", "map.tif.aux.xml"]


@settings(deadline=None, max_examples=60)
@given(codes=arrays(np.uint8, st.tuples(st.integers(2, 9), st.integers(2, 9)), elements=st.integers(0, 3)))
def test_pyramid_takes_a_most_frequent_class(codes: np.ndarray) -> None:
    (level,) = mode_pyramid(codes, nodata=0, largest=max((max(codes.shape) + 1) // 2, 1))
    for row, col in np.ndindex(level.shape):
        four = [int(code) for code in codes[2 * row : 2 * row + 2, 2 * col : 2 * col + 2].ravel() if code]
        counts = Counter(four)
        best = [code for code, count in counts.items() if count == max(counts.values())]
        assert level[row, col] == (best[0] if best else 0)  # Counter keeps the order: the first of equals


def test_pyramid_is_gdals_where_the_mode_is_unique(tmp_path: Path) -> None:
    codes = some_codes((1026, 770), seed=1)
    with rasterio.open(
        tmp_path / "gdal.tif", "w", driver="GTiff", width=770, height=1026, count=1, dtype="uint8", nodata=0,
        crs="EPSG:32633", transform=grid_of(codes.shape).transform,
    ) as dataset:  # fmt: skip
        dataset.write(codes, 1)
        dataset.build_overviews([2], Resampling.mode)
    with rasterio.open(tmp_path / "gdal.tif", overview_level=0) as dataset:
        theirs = dataset.read(1)
    ours = mode_pyramid(codes, nodata=0)[0]
    four = np.stack([codes[y::2, x::2] for y in (0, 1) for x in (0, 1)])
    counts = np.stack([(four == code).sum(axis=0) for code in (10, 80, 255)])
    unique = (counts == counts.max(axis=0)).sum(axis=0) == 1
    assert unique.mean() > 0.3
    np.testing.assert_array_equal(ours[unique], theirs[unique])


def test_sidecar_holds_names_and_counts(tmp_path: Path) -> None:
    codes = some_codes((64, 64))
    write(tmp_path / "map.tif", codes)
    root = ET.parse(tmp_path / "map.tif.aux.xml").getroot()
    assert root.tag == "PAMDataset"
    categories = [element.text or "" for element in root.findall("PAMRasterBand[@band='1']/CategoryNames/Category")]
    assert len(categories) == 256
    assert categories[10] == "Tree cover"
    assert categories[80] == "Water <&> \"ice\" 'воді' "
    assert categories[11] == ""
    table = root.find("PAMRasterBand/GDALRasterAttributeTable")
    assert table is not None
    columns = [field.findtext("Name") for field in table.findall("FieldDefn")]
    rows = [dict(zip(columns, [f.text for f in row.findall("F")], strict=True)) for row in table.findall("Row")]
    assert (rows[0]["Value"], rows[0]["Class"]) == ("10", "Tree cover")
    assert {int(row["Value"]): int(row["Count"]) for row in rows} == {
        code: int((codes == code).sum()) for code in (10, 80, 255)
    }
    assert (rows[1]["Red"], rows[1]["Green"], rows[1]["Blue"], rows[1]["Alpha"]) == ("0", "100", "200", "255")


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="gdalinfo is not installed")
def test_gdalinfo_shows_the_names(tmp_path: Path) -> None:
    write(tmp_path / "map.tif", some_codes((64, 64)))
    told = json.loads(
        subprocess.run(["gdalinfo", "-json", tmp_path / "map.tif"], check=True, capture_output=True).stdout
    )
    band = told["bands"][0]
    text = subprocess.run(["gdalinfo", tmp_path / "map.tif"], check=True, capture_output=True, text=True).stdout
    assert "10: Tree cover" in text
    assert "<GDALRasterAttributeTable" in text
    assert "<F>Water &lt;&amp;&gt;" in text
    assert band["colorInterpretation"] == "Palette"
    assert [str(tmp_path / name) for name in ("map.tif", "map.tif.aux.xml")] == told["files"]


def test_no_data_needs_no_colour_and_gets_no_name(tmp_path: Path) -> None:
    write(tmp_path / "map.tif", np.zeros((8, 8), np.uint8), names=NAMES | {0: "No data"})
    root = ET.parse(tmp_path / "map.tif.aux.xml").getroot()
    assert [row.findtext("F") for row in root.iter("Row")] == ["10", "80", "255"]


def test_confidence_is_grey(tmp_path: Path) -> None:
    percent = np.full((600, 700), 40, dtype=np.uint8)
    percent[:, ::2] = 60
    valid = np.ones(percent.shape, dtype=bool)
    valid[:100] = False
    write_confidence_cog(tmp_path / "c.tif", percent, grid=grid_of(percent.shape), valid=valid)
    with rasterio.open(tmp_path / "c.tif") as dataset:
        assert dataset.nodata == 255
        assert dataset.colorinterp[0].name == "gray"
        np.testing.assert_array_equal(dataset.read(1), np.where(valid, percent, 255))
    with rasterio.open(tmp_path / "c.tif", overview_level=0) as dataset:
        assert set(np.unique(dataset.read(1))) == {50, 255}
    assert not (tmp_path / "c.tif.aux.xml").exists()


def test_confidence_must_be_percent(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="101 is not"):
        write_confidence_cog(tmp_path / "c.tif", np.full((4, 4), 101, np.uint8), grid=grid_of((4, 4)))


def test_names_of_an_earlier_file_do_not_stay(tmp_path: Path) -> None:
    write(tmp_path / "map.tif", some_codes((8, 8)))
    write_confidence_cog(tmp_path / "map.tif", np.full((8, 8), 7, np.uint8), grid=grid_of((8, 8)))
    assert [item.name for item in tmp_path.iterdir()] == ["map.tif"]


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"names": {10: "a", 80: "b"}}, SchemeError, r"\[255\]"),
        ({"colours": {10: "#006400", 80: "#0064c8"}}, SchemeError, r"\[255\]"),
        ({"colours": COLOURS | {10: "green"}}, SchemeError, r"\[10\]"),
        ({"names": NAMES | {300: "x"}, "colours": COLOURS | {300: "#000000"}}, SchemeError, r"\[300\]"),
        ({"grid": grid_of((9, 8))}, GridMismatchError, "grid"),
        ({"grid": grid_of((8, 8), crs=None)}, MissingCRSError, "where on Earth"),
    ],
)
def test_bad_input_is_refused(tmp_path: Path, options: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        write(tmp_path / "map.tif", some_codes((8, 8)), **options)
    assert list(tmp_path.iterdir()) == []


def test_only_bytes_are_codes(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="int64"):
        write(tmp_path / "map.tif", np.zeros((8, 8), dtype=np.int64))


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OutputError, match=r"map\.tif"):
        write(tmp_path / "file" / "map.tif", some_codes((8, 8)))
    with pytest.raises(OutputError, match=r"map\.tif"):
        write(tmp_path / "missing" / "map.tif", some_codes((8, 8)))
    (tmp_path / "map.tif").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write(tmp_path / "map.tif", some_codes((8, 8)))


def snapshot(folder: Path) -> dict[str, bytes]:
    return {item.name: item.read_bytes() for item in folder.iterdir()}


def test_earlier_file_stays_when_gdal_fails_halfway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "map.tif", some_codes((64, 64)))
    before = snapshot(tmp_path)
    copy = rasterio.shutil.copy

    def broken(source: Any, target: Path, **options: Any) -> None:
        copy(source, target, **options)
        if options["driver"] == "COG":
            Path(target).write_bytes(Path(target).read_bytes()[:500])
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(rasterio.shutil, "copy", broken)
    with pytest.raises(OutputError, match=r"map\.tif cannot be written.*No space left"):
        write(tmp_path / "map.tif", some_codes((64, 64), seed=5))
    assert snapshot(tmp_path) == before


def test_earlier_file_stays_when_gdal_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "map.tif", some_codes((600, 600)))
    before = snapshot(tmp_path)
    copy = rasterio.shutil.copy

    def silent(source: Any, target: Path, **options: Any) -> None:
        copy(source, target, **options)
        if options["driver"] == "COG":
            os.truncate(target, Path(target).stat().st_size * 2 // 3)

    monkeypatch.setattr(rasterio.shutil, "copy", silent)
    with pytest.raises(OutputError, match=r"map\.tif cannot be written"):
        write(tmp_path / "map.tif", some_codes((600, 600), seed=5))
    assert snapshot(tmp_path) == before


LIMITED = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from s2dash.errors import OutputError
from s2dash.export.cog import write_class_cog
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
if len(sys.argv) > 2:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
codes = np.random.default_rng(0).integers(1, 200, (700, 700), dtype=np.uint8)
names = {code: "class" for code in range(256)}
try:
    write_class_cog(sys.argv[1], codes, grid=GeoBox((700, 700), Affine(10, 0, 0, 0, -10, 0), "EPSG:32633"),
                    names=names, colours={code: "#102030" for code in names})
except OutputError as error:
    print(error)
    sys.exit(3)
"""


def write_elsewhere(path: Path, *limit: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(path), *limit], capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limit to set")
def test_earlier_file_stays_when_the_system_refuses_bytes(tmp_path: Path) -> None:
    write(tmp_path / "map.tif", some_codes((64, 64)))
    before = snapshot(tmp_path)
    done = write_elsewhere(tmp_path / "map.tif", "100000")
    assert done.returncode == 3, done.stderr
    assert "map.tif cannot be written" in done.stdout
    assert snapshot(tmp_path) == before


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 128 KiB; skips where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk cannot be mounted here (needs root)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_earlier_file_stays_when_the_disk_is_full(tiny_disk: Path) -> None:
    write(tiny_disk / "map.tif", some_codes((64, 64)))
    before = snapshot(tiny_disk)
    done = write_elsewhere(tiny_disk / "map.tif")
    assert done.returncode == 3, done.stderr
    assert "MiB are free" in done.stdout
    assert snapshot(tiny_disk) == before


def test_read_labels_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(NotARasterError, match="missing"):
        read_labels(tmp_path / "none.tif")
    (tmp_path / "empty.tif").write_bytes(b"")
    with pytest.raises(NotARasterError, match=r"empty\.tif"):
        read_labels(tmp_path / "empty.tif")
    profile = {"driver": "GTiff", "width": 4, "height": 4, "count": 1, "crs": "EPSG:32633"}
    with rasterio.open(tmp_path / "f.tif", "w", dtype="float32", transform=Affine(10, 0, 0, 0, -10, 0), **profile) as d:
        d.write(np.ones((1, 4, 4), np.float32))
    with pytest.raises(NotARasterError, match="float32"):
        read_labels(tmp_path / "f.tif")
    del profile["crs"]
    with rasterio.open(tmp_path / "n.tif", "w", dtype="uint8", transform=Affine(10, 0, 0, 0, -10, 0), **profile) as d:
        d.write(np.ones((1, 4, 4), np.uint8))
    with pytest.raises(MissingCRSError, match="where on Earth"):
        read_labels(tmp_path / "n.tif")
    write(tmp_path / "cut.tif", some_codes((600, 600)))
    os.truncate(tmp_path / "cut.tif", 30_000)
    with pytest.raises(NotARasterError, match=r"cut\.tif"):
        read_labels(tmp_path / "cut.tif")


def test_numbers_and_their_gaps_come_back(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(700, 600)).astype(np.float32)
    values[100:200, 50:300] = np.nan
    write_number_cog(tmp_path / "error.tif", values, grid=grid_of(values.shape), description="odd", tags={"TITLE": "t"})
    back, grid = read_numbers(tmp_path / "error.tif")
    np.testing.assert_array_equal(back, values)
    assert grid == grid_of(values.shape)
    with rasterio.open(tmp_path / "error.tif") as file:
        assert file.descriptions == ("odd",)
        assert np.isnan(file.nodata)
        assert file.overviews(1)
        assert file.tags()["TITLE"] == "t"
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


def test_codes_are_no_numbers(tmp_path: Path) -> None:
    write(tmp_path / "map.tif", some_codes((20, 20)))
    with pytest.raises(NotARasterError, match="uint8"):
        read_numbers(tmp_path / "map.tif")
    with pytest.raises(NotARasterError):
        read_numbers(tmp_path / "nothing.tif")


def test_numbers_must_lie_on_their_grid(tmp_path: Path) -> None:
    with pytest.raises(GridMismatchError):
        write_number_cog(tmp_path / "x.tif", np.zeros((3, 4), np.float32), grid=grid_of((4, 3)), description="x")


def test_a_large_map_is_staged_on_disk_and_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = some_codes((1100, 1300))
    write(tmp_path / "memory.tif", codes)
    monkeypatch.setattr(cog, "_IN_MEMORY", 1000)
    write(tmp_path / "disk.tif", codes)
    assert (tmp_path / "disk.tif").read_bytes() == (tmp_path / "memory.tif").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "disk.tif",
        "disk.tif.aux.xml",
        "memory.tif",
        "memory.tif.aux.xml",
    ]


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_codes_are_counted_as_numpy_counts_them(codes: np.ndarray) -> None:
    np.testing.assert_array_equal(cog._count_codes(codes), np.bincount(codes.ravel(), minlength=256))
