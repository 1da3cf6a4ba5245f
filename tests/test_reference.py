"""Reference maps on the scene's grid: against rasterio's own warp, against exact geometry, and over the network."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.enums import ColorInterp, Resampling
from rasterio.warp import reproject
from rasterio.windows import Window

from s2dash.errors import (
    Cancelled,
    MissingCRSError,
    NoOverlapError,
    NotARasterError,
    ReferenceMapError,
    SchemeError,
)
from s2dash.progress import Tracker
from s2dash.reference import _NETWORK, Reference, load_worldcover, worldcover_tiles
from s2dash.reference_files import load_reference
from s2dash.schemes import SchemeMap, load_scheme, load_scheme_map, read_scheme_map

WORLDCOVER = load_scheme("worldcover")
UTM = Affine(10, 0, 647360, 0, -10, 5656480)
ISLAND = GeoBox((1200, 1500), Affine(10, 0, 222000, 0, -10, 26000), "EPSG:32632")
"""Northern São Tomé and the sea around it."""


def scene_grid(height: int = 8, width: int = 8, *, transform: Affine = UTM, crs: str | None = "EPSG:32633") -> GeoBox:
    return GeoBox((height, width), transform, crs)


def write(
    path: Path,
    values: np.ndarray,
    *,
    transform: Affine = UTM,
    crs: str | None = "EPSG:32633",
    nodata: float | None = None,
    mask: np.ndarray | None = None,
    tags: dict[str, str] | None = None,
) -> Path:
    values = values[None] if values.ndim == 2 else values
    count, height, width = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=count, dtype=values.dtype, crs=crs,
        transform=transform, nodata=nodata,
    ) as dataset:  # fmt: skip
        dataset.write(values)
        dataset.update_tags(**(tags or {}))
        if mask is not None:
            dataset.write_mask(mask)
    return path


def load(path: Path, grid: GeoBox | None = None, **options: Any) -> Reference:
    return load_reference(path, grid=grid or scene_grid(), **{"scheme": WORLDCOVER} | options)


def checkered(shape: tuple[int, int] = (8, 8), dtype: str = "uint8") -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.choice(np.array([10, 30, 40, 50, 80]), shape).astype(dtype)


def exactly(path: Path, grid: GeoBox) -> np.ndarray:
    """The source pixel under each centre, every one of them projected; 0 outside."""
    height, width = grid.shape
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    t = grid.transform
    x, y = t.a * columns + t.b * rows + t.c, t.d * columns + t.e * rows + t.f
    with rasterio.open(path) as dataset:
        x, y = Transformer.from_crs(grid.crs, dataset.crs.to_wkt(), always_xy=True).transform(x, y)
        inverse = ~dataset.transform
        source_columns = np.floor(inverse.a * x + inverse.b * y + inverse.c).astype(int)
        source_rows = np.floor(inverse.d * x + inverse.e * y + inverse.f).astype(int)
        inside = (source_columns >= 0) & (source_columns < dataset.width)
        inside &= (source_rows >= 0) & (source_rows < dataset.height)
        left, top = int(source_columns[inside].min()), int(source_rows[inside].min())
        right, bottom = int(source_columns[inside].max()) + 1, int(source_rows[inside].max()) + 1
        values = dataset.read(1, window=Window(left, top, right - left, bottom - top))
    result = np.zeros(grid.shape, dtype=np.uint8)
    result[inside] = values[source_rows[inside] - top, source_columns[inside] - left]
    return result


def test_same_grid_is_read_as_it_is(tmp_path: Path) -> None:
    values = checkered()
    found = load(write(tmp_path / "map.tif", values))
    np.testing.assert_array_equal(found.codes, values)
    assert found.codes.dtype == np.uint8
    assert found.grid == scene_grid()
    assert found.overlap_percent == 100
    assert found.unknown == {}


def test_shifted_by_whole_pixels(tmp_path: Path) -> None:
    values = checkered()
    path = write(tmp_path / "map.tif", values, transform=UTM @ Affine.translation(3, -2))
    found = load(path)
    expected = np.zeros((8, 8), dtype=np.uint8)
    expected[:6, 3:] = values[2:, :5]
    np.testing.assert_array_equal(found.codes, expected)
    assert found.overlap_percent == pytest.approx(100 * 30 / 64)


@pytest.mark.parametrize("year", [2020, 2021])
def test_real_worldcover_tile_like_gdalwarp_and_like_geometry(real_data: Path, year: int) -> None:
    version = {2020: "v100", 2021: "v200"}[year]
    path = real_data / "worldcover" / f"ESA_WorldCover_10m_{year}_{version}_N00E006_Map.tif"
    found = load(path, ISLAND)
    with rasterio.open(path) as dataset:
        warped = np.zeros(ISLAND.shape, dtype=np.uint8)
        reproject(
            rasterio.band(dataset, 1), warped, dst_transform=ISLAND.transform, dst_crs="EPSG:32632",
            resampling=Resampling.nearest,
        )  # fmt: skip
    assert len(np.unique(warped)) >= 5
    # gdalwarp puts pixels up to an eighth of a pixel off; those on a border may fall to the other side.
    assert (found.codes == warped).mean() > 0.998
    assert (found.codes == exactly(path, ISLAND)).mean() > 0.9999
    assert found.year == year
    assert found.title == f"ESA WorldCover {year} ({version})"
    assert found.attribution == (
        f"© ESA WorldCover project {year} / Contains modified Copernicus Sentinel data ({year}) processed by "
        "ESA WorldCover consortium"
    )
    assert found.worldcover_year == year
    again = load_worldcover(ISLAND, year=year, folder=path.parent)
    np.testing.assert_array_equal(again.codes, found.codes)
    assert (again.title, again.year, again.attribution) == (found.title, found.year, found.attribution)


def test_real_tile_in_main_classes(real_data: Path) -> None:
    scheme = load_scheme("main")
    fine = load_worldcover(ISLAND, folder=real_data / "worldcover")
    main = load_worldcover(ISLAND, folder=real_data / "worldcover", scheme=scheme)
    table = load_scheme_map("worldcover", "main").codes
    for code in np.unique(fine.codes):
        assert set(np.unique(main.codes[fine.codes == code])) == {table[int(code)]}


@pytest.mark.parametrize("name", ["chile", "poland", "tanzania", "hudson-bay", "belgium"])
def test_real_references_translate(real_data: Path, name: str) -> None:
    folder = real_data / name
    with rasterio.open(folder / "scene.tif") as scene:
        grid = GeoBox.from_rio(scene)
    translate = read_scheme_map(folder / "about.json", target="worldcover")
    found = load(folder / "reference.tif", grid, scheme_map=translate, title=name, year=2020)
    with rasterio.open(folder / "reference.tif") as dataset:
        source = dataset.read(1)
    for code in np.unique(source):
        assert set(np.unique(found.codes[source == code])) == {translate.codes.get(int(code), 0)}
    assert found.unknown == {}
    assert (found.title, found.year) == (name, 2020)


DTYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shift", [0, 2])
def test_every_integer_like_type(tmp_path: Path, dtype: str, shift: int) -> None:
    values = checkered(dtype=dtype)
    values[2, 2] = 0
    values[3, 3] = 77
    path = write(tmp_path / "map.tif", values, transform=UTM @ Affine.translation(-shift, 0))
    found = load(path)
    expected = np.zeros((8, 8), dtype=np.uint8)
    expected[:, : 8 - shift] = np.where(values == 77, 0, values)[:, shift:]
    np.testing.assert_array_equal(found.codes, expected)
    assert found.unknown == {77: 1}


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize(
    ("dtype", "nodata"), [("uint8", 255), ("uint8", 40), ("int16", -1), ("float32", np.nan), ("float32", -9999.0)]
)
def test_no_data_is_no_data(tmp_path: Path, dtype: str, nodata: float, shift: int) -> None:
    values = checkered(dtype=dtype)
    values[4, 4] = nodata
    path = write(tmp_path / "map.tif", values, nodata=nodata, transform=UTM @ Affine.translation(-shift, 0))
    found = load(path)
    gone = np.isnan(values) if np.isnan(nodata) else values == nodata
    expected = np.zeros((8, 8), dtype=np.uint8)
    expected[:, : 8 - shift] = np.where(gone, 0, values)[:, shift:]
    np.testing.assert_array_equal(found.codes, expected)
    assert found.unknown == {}
    assert found.overlap_percent == pytest.approx(100 * (~gone)[:, shift:].sum() / 64)


@pytest.mark.parametrize("shift", [0, 1])
def test_masked_pixels_are_no_data(tmp_path: Path, shift: int) -> None:
    values, mask = checkered(), np.full((8, 8), 255, dtype=np.uint8)
    mask[:, 5] = 0
    found = load(write(tmp_path / "map.tif", values, mask=mask, transform=UTM @ Affine.translation(-shift, 0)))
    expected = np.zeros((8, 8), dtype=np.uint8)
    expected[:, : 8 - shift] = np.where(mask, values, 0)[:, shift:]
    np.testing.assert_array_equal(found.codes, expected)


@pytest.mark.parametrize("shift", [0, 1])
def test_alpha_band_is_a_mask(tmp_path: Path, shift: int) -> None:
    alpha = np.full((8, 8), 255, dtype=np.uint8)
    alpha[2] = 0
    values = checkered()
    path = write(tmp_path / "map.tif", np.stack([values, alpha]), transform=UTM @ Affine.translation(-shift, 0))
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = [ColorInterp.gray, ColorInterp.alpha]
    expected = np.zeros((8, 8), dtype=np.uint8)
    expected[:, : 8 - shift] = np.where(alpha, values, 0)[:, shift:]
    np.testing.assert_array_equal(load(path).codes, expected)


def test_zero_and_255_are_classes_where_the_mapping_says_so(tmp_path: Path) -> None:
    values = np.tile(np.array([0, 1, 2, 255], dtype=np.uint8), (8, 2))
    translate = SchemeMap("zero-based", "worldcover", {0: 80, 1: 10, 2: 0, 255: 50})
    path = write(tmp_path / "map.tif", values, transform=UTM @ Affine.translation(4, 0))
    found = load(path, scheme_map=translate)
    np.testing.assert_array_equal(found.codes[0], [0, 0, 0, 0, 80, 10, 0, 50])
    assert found.overlap_percent == 50
    assert found.unknown == {}


def test_another_band(tmp_path: Path) -> None:
    first, second = checkered(), np.flipud(checkered())
    path = write(tmp_path / "map.tif", np.stack([first, second]), transform=UTM @ Affine.translation(-1, 0))
    np.testing.assert_array_equal(load(path, band=2).codes[:, :7], second[:, 1:])
    with pytest.raises(ReferenceMapError, match="no band 3"):
        load(path, band=3)


def test_coarser_reference_in_degrees(tmp_path: Path) -> None:
    transform = Affine(0.001, 0, 17.05, 0, -0.001, 51.07)
    path = write(tmp_path / "map.tif", checkered((100, 200)), transform=transform, crs="EPSG:4326")
    grid = scene_grid(700, 1300)
    found = load(path, grid)
    expected = exactly(path, grid)
    assert (expected > 0).any()
    assert (found.codes == expected).mean() > 0.999
    assert found.overlap_percent == pytest.approx(100 * (expected > 0).mean(), abs=0.1)


@pytest.mark.parametrize(
    ("name", "tags", "title", "year"),
    [
        ("landcover_2019.tif", {}, "landcover_2019.tif", 2019),
        ("a-2018-b-2019.tif", {}, "a-2018-b-2019.tif", None),
        ("t32633_20190101.tif", {}, "t32633_20190101.tif", None),
        ("map.tif", {"title": "CORINE", "time_start": "2018-01-01T00:00:00Z"}, "CORINE", 2018),
        ("map.tif", {"title": "ESA WorldCover product at 10m resolution for year 2020"}, "ESA WorldCover 2020", 2020),
        ("ESA_WorldCover_10m_2021_v200_N51E015_Map.tif", {}, "ESA WorldCover 2021 (v200)", 2021),
    ],
)
def test_title_and_year(tmp_path: Path, name: str, tags: dict[str, str], title: str, year: int | None) -> None:
    path = write(tmp_path / name, checkered(), tags=tags)
    found = load(path)
    assert (found.title, found.year) == (title, year)
    assert found.worldcover_year == (year if "WorldCover" in title else None)
    named = load(path, title="mine", year=1999)
    assert (named.title, named.year) == ("mine", 1999)


def test_what_is_no_raster(tmp_path: Path) -> None:
    with pytest.raises(NotARasterError, match="no such file"):
        load(tmp_path / "none.tif")
    (tmp_path / "empty.tif").write_bytes(b"")
    (tmp_path / "text.tif").write_text("not a raster")
    for name in ("empty.tif", "text.tif"):
        with pytest.raises(NotARasterError, match=name):
            load(tmp_path / name)
    path = write(tmp_path / "cut.tif", np.random.default_rng(0).integers(1, 9, (600, 600), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:100_000])
    for grid in (scene_grid(600, 600), scene_grid(590, 590, transform=UTM @ Affine.translation(5, 5))):
        with pytest.raises(NotARasterError, match="truncated"):
            load(path, grid)


def test_where_it_lies_must_be_known(tmp_path: Path) -> None:
    with pytest.raises(MissingCRSError, match="no reference system"):
        load(write(tmp_path / "map.tif", checkered(), crs=None))
    with pytest.raises(MissingCRSError, match="scene"):
        load(write(tmp_path / "map.tif", checkered()), scene_grid(crs=None))


def test_other_than_whole_numbers_is_refused(tmp_path: Path) -> None:
    values = checkered(dtype="float32")
    values[5, 5] = 30.5
    with pytest.raises(ReferenceMapError, match=r"holds 30\.5"):
        load(write(tmp_path / "map.tif", values))
    values[5, 5] = np.inf
    with pytest.raises(ReferenceMapError, match="holds inf"):
        load(write(tmp_path / "map.tif", values))
    with pytest.raises(ReferenceMapError, match="complex"):
        load(write(tmp_path / "map.tif", checkered(dtype="complex64")))


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:32633", UTM @ Affine.translation(100, 0)),
        ("EPSG:32718", Affine(10, 0, 717730, 0, -10, 5700090)),
        ("EPSG:4326", Affine(0.001, 0, -72.5, 0, -0.001, -38.8)),
        ("EPSG:3857", Affine(10, 0, -8.0e6, 0, -10, -4.0e6)),
    ],
)
def test_no_overlap_names_both_places(tmp_path: Path, crs: str, transform: Affine) -> None:
    path = write(tmp_path / "map.tif", checkered(), transform=transform, crs=crs)
    with pytest.raises(NoOverlapError, match="does not overlap") as caught:
        load(path)
    places = re.findall(r"(-?[\d.]+)° to (-?[\d.]+)° E, (-?[\d.]+)° to (-?[\d.]+)° N", str(caught.value))
    assert len(places) == 2
    assert [float(number) for number in places[0]] == pytest.approx([17.102, 17.103, 51.039, 51.041], abs=0.002)


def test_empty_under_the_scene(tmp_path: Path) -> None:
    values = np.zeros((8, 8), dtype=np.uint8)
    with pytest.raises(NoOverlapError, match="holds no data on the scene"):
        load(write(tmp_path / "map.tif", values))
    values[:, 6:] = 10
    with pytest.raises(NoOverlapError, match="holds no data on the scene"):
        load(write(tmp_path / "map.tif", values, nodata=0), scene_grid(8, 6))


def test_nothing_but_unknown_codes(tmp_path: Path) -> None:
    path = write(tmp_path / "map.tif", np.tile(np.array([1, 2], dtype=np.uint8), (8, 4)))
    with pytest.raises(ReferenceMapError, match=r"unknown: 1, 2\. .*--reference-map"):
        load(path)
    with pytest.raises(ReferenceMapError, match="leaves out every class"):
        load(path, scheme_map=SchemeMap("mine", "worldcover", {1: 0, 2: 0}))


def test_mapping_to_another_scheme_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "map.tif", checkered())
    with pytest.raises(SchemeError, match=r"'main'.*'worldcover'"):
        load(path, scheme_map=SchemeMap("mine", "main", {1: 1}))
    with pytest.raises(SchemeError, match=r"\[77\]"):
        load(path, scheme_map=SchemeMap("mine", "worldcover", {1: 77}))


def test_can_be_stopped(tmp_path: Path) -> None:
    tracker = Tracker()
    tracker.cancel()
    with pytest.raises(Cancelled):
        load(write(tmp_path / "map.tif", checkered()), progress=tracker)


def tiles_of(crs: str, x: float, y: float, *, size: float = 1000.0) -> tuple[str, ...]:
    return worldcover_tiles(GeoBox((100, 100), Affine(size / 100, 0, x, 0, -size / 100, y), crs))


@pytest.mark.parametrize(
    ("west", "north", "size", "tiles"),
    [
        (6.5, 0.3, 0.2, ["N00E006"]),
        (33.1, 49.0, 0.2, ["N48E033"]),
        (-77.0, -9.5, 0.2, ["S12W078"]),
        (-0.1, 0.1, 0.2, ["S03W003", "S03E000", "N00W003", "N00E000"]),
        (6.0, 3.0, 3.0, ["N00E006"]),
        (5.9, 3.0, 3.0, ["N00E003", "N00E006"]),
        (177.5, -15.2, 0.2, ["S18E177"]),
        (-180.0, -15.2, 0.2, ["S18W180"]),
    ],
)
def test_tile_names_in_degrees(west: float, north: float, size: float, tiles: list[str]) -> None:
    assert list(tiles_of("EPSG:4326", west, north, size=size)) == tiles


def test_tile_names_in_utm() -> None:
    assert tiles_of("EPSG:32632", 222000, 26000, size=10_000) == ("N00E006",)
    assert tiles_of("EPSG:32718", 717730, 5700090) == ("S39W075",)
    # A Sentinel-2 tile over the antimeridian: 60 S is E177, beyond lies W180.
    assert tiles_of("EPSG:32660", 780000, 1_000_000, size=109_800) == ("N06E177", "N06W180", "N09E177", "N09W180")


def test_tile_names_are_those_of_all_pixels() -> None:
    grid = GeoBox((300, 300), Affine(1000, 0, 350000, 0, -1000, 6_200_000), "EPSG:32633")
    columns, rows = np.meshgrid(np.arange(300) + 0.5, np.arange(300) + 0.5)
    lon, lat = Transformer.from_crs(32633, 4326, always_xy=True).transform(
        350000 + 1000 * columns, 6_200_000 - 1000 * rows
    )
    expected = {f"N{int(y):02d}E{int(x):03d}" for x, y in zip((lon // 3 * 3).flat, (lat // 3 * 3).flat, strict=True)}
    assert len(expected) >= 4
    assert set(worldcover_tiles(grid)) == expected


SEAM = GeoBox((400, 500), Affine(1000, 0, 580000, 0, -1000, 480000), "EPSG:32632")
"""Across four tiles: 9° to 14° E, 1° to 4° N."""


def tile(folder: Path, west: int, south: int, *, year: int = 2021) -> np.ndarray:
    """A small made-up tile under the name of a published one."""
    name = f"ESA_WorldCover_10m_{year}_{'v200' if year == 2021 else 'v100'}_N{south:02d}E{west:03d}_Map.tif"
    rng = np.random.default_rng(west * 100 + south)
    values = rng.choice(np.array(WORLDCOVER.codes, dtype=np.uint8), (300, 300))
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / name, values, transform=Affine(0.01, 0, west, 0, -0.01, south + 3), crs="EPSG:4326", nodata=0)
    return values


def joined(folder: Path, tiles: dict[tuple[int, int], np.ndarray]) -> Path:
    """The same tiles in one raster."""
    west, north = min(x for x, _ in tiles), max(y for _, y in tiles) + 3
    whole = np.zeros((600, 600), dtype=np.uint8)
    for (x, y), values in tiles.items():
        row, column = (north - y - 3) * 100, (x - west) * 100
        whole[row : row + 300, column : column + 300] = values
    return write(
        folder / "whole.tif", whole, transform=Affine(0.01, 0, west, 0, -0.01, north), crs="EPSG:4326", nodata=0
    )


def test_tiles_join_without_a_seam(tmp_path: Path) -> None:
    folder = tmp_path / "tiles"
    tiles = {(x, y): tile(folder, x, y) for x in (9, 12) for y in (0, 3)}
    assert worldcover_tiles(SEAM) == ("N00E009", "N00E012", "N03E009", "N03E012")
    found = load_worldcover(SEAM, folder=folder)
    assert found.overlap_percent == 100
    assert found.codes.all()
    assert (found.codes == exactly(joined(tmp_path, tiles), SEAM)).mean() > 0.9995
    assert found.notes == ()


def test_tile_that_is_not_there(tmp_path: Path) -> None:
    folder = tmp_path / "tiles"
    tiles = {(x, y): tile(folder, x, y) for x, y in ((9, 0), (12, 0), (12, 3))}
    found = load_worldcover(SEAM, folder=folder)
    assert (found.codes == exactly(joined(tmp_path, tiles), SEAM)).mean() > 0.9995
    assert len(found.notes) == 1
    assert "N03E009" in found.notes[0]
    with pytest.raises(ReferenceMapError, match=r"none of the WorldCover tiles.*N00E009.*Download"):
        load_worldcover(SEAM, folder=tmp_path)


def test_tiles_on_both_sides_of_the_antimeridian(tmp_path: Path) -> None:
    for name, west, code in (("E177", 177, 10), ("W180", -180, 80)):
        write(
            tmp_path / f"ESA_WorldCover_10m_2021_v200_S18{name}_Map.tif", np.full((300, 300), code, np.uint8),
            transform=Affine(0.01, 0, west, 0, -0.01, -15), crs="EPSG:4326", nodata=0,
        )  # fmt: skip
    grid = GeoBox((50, 200), Affine(500, 0, 770000, 0, -500, 8_230_000), "EPSG:32760")
    found = load_worldcover(grid, folder=tmp_path)
    lon, _ = Transformer.from_crs(32760, 4326, always_xy=True).transform(
        770250 + 500 * np.arange(200), np.full(200, 8_229_750)
    )
    assert (lon > 0).any()
    assert (lon < 0).any()
    assert (found.codes[0] == np.where(lon > 0, 10, 80)).mean() > 0.99
    assert found.codes.all()


@pytest.mark.parametrize("first", [-180, 0])
@pytest.mark.parametrize(
    "grid",
    [
        GeoBox((50, 200), Affine(500, 0, 770000, 0, -500, 8_230_000), "EPSG:32760"),
        GeoBox((20, 40), Affine(0.05, 0, 179, 0, -0.05, -16), "EPSG:4326"),
        GeoBox((20, 40), Affine(0.05, 0, -181, 0, -0.05, -16), "EPSG:4326"),
        GeoBox((20, 40), Affine(0.05, 0, -76, 0, -0.05, -16), "EPSG:4326"),
    ],
    ids=["UTM across it", "degrees beyond 180", "degrees before -180", "west of Greenwich"],
)
def test_a_map_of_the_world_is_seen_on_both_sides_of_the_antimeridian(tmp_path: Path, grid: GeoBox, first: int) -> None:
    # the class of a cell says on which whole degree it lies, wherever the file begins to count
    codes = np.array(WORLDCOVER.codes, dtype=np.uint8)
    degrees = np.repeat((np.arange(first, first + 360) + 180) % 360, 10)
    values = np.broadcast_to(codes[degrees % len(codes)], (400, 3600))
    transform = Affine(0.1, 0, first, 0, -0.1, 10)
    path = write(tmp_path / "world.tif", values, transform=transform, crs="EPSG:4326", nodata=0)
    found = load(path, grid)
    columns, rows = np.meshgrid(np.arange(grid.shape[1]) + 0.5, np.arange(grid.shape[0]) + 0.5)
    t = grid.transform
    lon, _ = Transformer.from_crs(grid.crs, 4326, always_xy=True).transform(
        t.a * columns + t.b * rows + t.c, t.d * columns + t.e * rows + t.f
    )
    wanted = codes[(np.floor(lon).astype(int) + 180) % 360 % len(codes)]
    clear = np.abs(lon - np.rint(lon)) > 0.006  # not within a pixel of a border between two classes
    assert found.overlap_percent == 100
    np.testing.assert_array_equal(found.codes[clear], wanted[clear])


def test_there_is_no_worldcover_of_other_years(tmp_path: Path) -> None:
    with pytest.raises(ReferenceMapError, match="2019"):
        load_worldcover(SEAM, year=2019, folder=tmp_path)


class Bucket(BaseHTTPRequestHandler):
    """Serves files of a folder with range requests, as the public bucket does."""

    folder: Path
    status = 200
    asked: list[tuple[str, str | None]]

    def do_HEAD(self) -> None:
        self.serve(body=False)

    def do_GET(self) -> None:
        self.serve(body=True)

    def serve(self, *, body: bool) -> None:
        wanted = self.headers.get("Range")
        self.asked.append((self.path, wanted))
        path = self.folder / self.path.lstrip("/")
        if self.status != 200 or not path.is_file():
            self.send_error(self.status if self.status != 200 else 404)
            return
        content = path.read_bytes()
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted or "")
        if span:
            start, stop = int(span[1]), min(int(span[2] or len(content)) + 1, len(content))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
            content = content[start:stop]
        else:
            self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[type[Bucket], str]]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = type("Bucket", (Bucket,), {"folder": tmp_path / "bucket", "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_worldcover_over_the_network(
    tmp_path: Path, bucket: tuple[type[Bucket], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    handler, url = bucket
    folder = tmp_path / "bucket" / "v200" / "2021" / "map"
    tiles = {(x, y): tile(folder, x, y) for x, y in ((9, 0), (12, 0), (9, 3))}
    monkeypatch.setenv("S2DASH_WORLDCOVER_URL", f"{url}/")
    found = load_worldcover(SEAM)
    assert (found.codes == exactly(joined(tmp_path, tiles), SEAM)).mean() > 0.9995
    assert found.title == "ESA WorldCover 2021 (v200)"
    assert ["N03E012" in note for note in found.notes] == [True]
    gets = {path for path, wanted in handler.asked if wanted}
    assert gets == {f"/v200/2021/map/ESA_WorldCover_10m_2021_v200_{name}_Map.tif" for name in
                    ("N00E009", "N00E012", "N03E009")}  # fmt: skip


def test_worldcover_of_2020_over_the_network(tmp_path: Path, bucket: tuple[type[Bucket], str]) -> None:
    _, url = bucket
    values = tile(tmp_path / "bucket" / "v100" / "2020" / "map", 9, 0, year=2020)
    grid = GeoBox((300, 300), Affine(0.01, 0, 9, 0, -0.01, 3), "EPSG:4326")
    found = load_worldcover(grid, year=2020, url=url)
    np.testing.assert_array_equal(found.codes, values)
    assert found.year == found.worldcover_year == 2020


def test_open_sea_only(bucket: tuple[type[Bucket], str]) -> None:
    with pytest.raises(NoOverlapError, match="open sea"):
        load_worldcover(SEAM, url=bucket[1])


@pytest.mark.parametrize("status", [403, 500])
def test_a_server_that_refuses_is_not_open_sea(
    bucket: tuple[type[Bucket], str], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_NETWORK, "GDAL_HTTP_RETRY_DELAY", "0.01")
    handler, url = bucket
    handler.status = status
    with pytest.raises(ReferenceMapError, match=rf"{status}.*--reference") as caught:
        load_worldcover(SEAM, url=url)
    assert not isinstance(caught.value, NoOverlapError)


def test_a_dead_network_is_said_and_not_remembered(tmp_path: Path, bucket: tuple[type[Bucket], str]) -> None:
    handler, _ = bucket
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as late:
        port = late.server_port
    for _ in range(2):
        with pytest.raises(ReferenceMapError, match=r"Check the network.*--reference"):
            load_worldcover(SEAM, url=f"http://127.0.0.1:{port}")
    tile(tmp_path / "bucket" / "v200" / "2021" / "map", 9, 0)
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as late:
        thread = threading.Thread(target=late.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        found = load_worldcover(SEAM, url=f"http://127.0.0.1:{port}")
        late.shutdown()
        thread.join()
    assert found.codes.any()
