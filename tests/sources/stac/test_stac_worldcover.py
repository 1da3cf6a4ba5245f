"""WorldCover out of a catalogue: tiles joined, the year right, signed, and nearest neighbour as GDAL does it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.warp import reproject

from s2dash.errors import NoImageryError, ReferenceMapError
from s2dash.sources.stac.worldcover import load_worldcover_items

GRID = GeoBox((60, 80), Affine(10, 0, 735_600, 0, -10, 4_999_000), "EPSG:32633")
CLASSES = np.array([10, 30, 40, 50, 80], dtype=np.uint8)
STEP = 1 / 12000
"""Pixels of WorldCover, degrees."""


def add_tile(archive, name: str, *, west: float, north: float, year: int, seed: int) -> np.ndarray:
    side = 128
    codes = np.random.default_rng(seed).choice(CLASSES, (side, side))
    path: Path = archive.server.folder / f"{name}.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=side, height=side, count=1, dtype="uint8", nodata=0, tiled=True,
        blockxsize=64, blockysize=64, crs="EPSG:4326", transform=Affine(STEP, 0, west, 0, -STEP, north),
    ) as file:  # fmt: skip
        file.write(codes, 1)
    east, south = west + side * STEP, north - side * STEP
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    span = {"start_datetime": f"{year}-01-01T00:00:00Z", "end_datetime": f"{year}-12-31T23:59:59Z"}
    archive.server.items.append(
        {
            "type": "Feature",
            "stac_version": "1.0.0",
            "id": name,
            "collection": "esa-worldcover",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "bbox": [west, south, east, north],
            "properties": {"datetime": f"{year}-01-01T00:00:00Z", **span},
            "assets": {"map": {"href": f"{archive.server.url}/files/{name}.tif", "type": "image/tiff"}},
            "links": [],
        }
    )
    return codes


@pytest.fixture
def tiles(archive):
    """Two tiles of 2021 that meet under the grid, and one of 2020."""
    west, north = 17.99, 45.11
    add_tile(archive, "A", west=west, north=north, year=2021, seed=1)
    add_tile(archive, "B", west=west + 128 * STEP, north=north, year=2021, seed=2)
    add_tile(archive, "C", west=west, north=north, year=2020, seed=3)
    return archive


def expected(archive, *names):
    out = np.zeros(GRID.shape, dtype=np.uint8)
    for name in names:
        part = np.zeros_like(out)
        with rasterio.open(archive.server.folder / f"{name}.tif") as file:
            reproject(rasterio.band(file, 1), part, dst_transform=GRID.transform, dst_crs="EPSG:32633", tolerance=0.001)
        out = np.where(out == 0, part, out)
    return out


def test_tiles_of_the_year_are_joined(tiles, brisk):
    middle = load_worldcover_items(GRID, source=tiles.catalogue(), year=2021, patience=brisk)
    assert middle.year == middle.worldcover_year == 2021
    wanted = expected(tiles, "A", "B")
    assert (expected(tiles, "A") > 0).any()
    assert ((expected(tiles, "A") == 0) & (wanted > 0)).any()
    assert np.mean(middle.codes == wanted) > 0.999  # GDAL's two ways may round a border pixel differently
    other = load_worldcover_items(GRID, source=tiles.catalogue(), year=2020, patience=brisk)
    assert np.mean(other.codes == expected(tiles, "C")) > 0.999


def test_a_cut_connection_and_a_signature_do_not_matter(tiles, brisk):
    tiles.server.signature = "nobody knows"
    tiles.server.cut["/files/A.tif"] = 1
    source = tiles.catalogue(
        "planetary-computer", token=f"{tiles.server.url}/token/{{collection}}", token_hosts=("127.0.0.1",)
    )
    found = load_worldcover_items(GRID, source=source, patience=brisk)
    assert np.mean(found.codes == expected(tiles, "A", "B")) > 0.999
    assert tiles.server.requests["/token/esa-worldcover"] == 1
    assert "secret" not in repr(found)


def test_years_and_places_without_a_map(tiles, brisk):
    with pytest.raises(ReferenceMapError, match="no map of 2019"):
        load_worldcover_items(GRID, source=tiles.catalogue(), year=2019)
    far = GeoBox((10, 10), Affine(10, 0, 300_000, 0, -10, 2_000_000), "EPSG:32633")
    with pytest.raises(NoImageryError, match="no tile of esa-worldcover for 2021"):
        load_worldcover_items(far, source=tiles.catalogue(), patience=brisk)
