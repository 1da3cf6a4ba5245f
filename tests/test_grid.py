from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio import Affine
from rasterio.windows import Window

from s2dash.errors import MissingCRSError
from s2dash.grid import (
    blocks,
    full_window,
    latitude_longitude_bounds,
    overview_grid,
    pad,
    pixel_area_ha,
    pixel_size_m,
    resized,
    slices,
    spread_blocks,
    strips,
    window_grid,
)

sides = st.integers(1, 1500)


def utm(height: int = 100, width: int = 80, pixel: float = 10) -> GeoBox:
    return GeoBox((height, width), Affine(pixel, 0, 600000, 0, -pixel, 5000000), "EPSG:32633")


def degrees(height: int, width: int, step: float, left: float = 30.0, top: float = 50.0) -> GeoBox:
    return GeoBox((height, width), Affine(step, 0, left, 0, -step, top), "EPSG:4326")


@given(sides, sides, st.integers(1, 600))
def test_blocks_cover_every_pixel_once(height, width, side):
    seen = np.zeros((height, width), np.uint8)
    for window in blocks(utm(height, width), side=max(side, 40)):
        seen[slices(window)] += 1
        assert window.width <= max(side, 40)
        assert window.height <= max(side, 40)
    assert (seen == 1).all()


@given(sides, sides, st.integers(1, 300))
def test_strips_cover_every_row_once(height, width, rows):
    windows = list(strips(utm(height, width), rows=rows))
    assert all(window.width == width and window.height <= rows for window in windows)
    assert [window.row_off for window in windows] == list(range(0, height, rows))
    assert sum(window.height for window in windows) == height


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 9))
def test_spread_blocks_are_distinct_blocks(height, width, count):
    every = blocks(utm(height, width))
    picked = spread_blocks(utm(height, width), count=count)
    assert len(picked) == min(count, len(every))
    assert len(set(picked)) == len(picked)
    assert set(picked) <= set(every)


def test_full_window():
    assert full_window(utm(100, 80)) == Window(0, 0, 80, 100)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 20), st.data())
def test_padded_window_holds_the_original_and_stays_inside(height, width, halo, data):
    row, col = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    window = Window(col, row, data.draw(st.integers(1, width - col)), data.draw(st.integers(1, height - row)))
    array = np.arange(height * width).reshape(height, width)
    outer, inner = pad(window, halo=halo, grid=utm(height, width))
    np.testing.assert_array_equal(array[slices(outer)][inner], array[slices(window)])
    assert outer.col_off == max(col - halo, 0)
    assert outer.row_off + outer.height == min(row + window.height + halo, height)


def test_window_grid_lies_where_the_window_lies():
    part = window_grid(utm(), Window(20, 30, 15, 5))
    assert part.shape == (5, 15)
    assert part.transform == Affine(10, 0, 600200, 0, -10, 4999700)


@pytest.mark.parametrize(("height", "width"), [(100, 80), (3000, 2000), (7, 5000), (5000, 1)])
def test_overview_covers_the_same_ground(height, width):
    grid = utm(height, width)
    small = overview_grid(grid, max_side=512)
    assert max(small.shape) <= 512
    assert min(small.shape) >= 1
    np.testing.assert_allclose(list(small.boundingbox), list(grid.boundingbox), rtol=1e-12)
    if max(height, width) <= 512:
        assert small == grid


def test_resized_covers_the_same_ground():
    np.testing.assert_allclose(list(resized(utm(), (33, 7)).boundingbox), list(utm().boundingbox), rtol=1e-12)


def ellipsoid_area_ha(south: float, north: float, wide: float) -> float:
    """Area between two parallels and two meridians on WGS 84 in closed form (Snyder 1987, equation 3-12)."""
    axis, squared = 6378137.0, 0.00669437999014
    eccentricity = math.sqrt(squared)

    def authalic(latitude: float) -> float:
        sine = math.sin(math.radians(latitude))
        return (1 - squared) * (sine / (1 - squared * sine**2) + math.atanh(eccentricity * sine) / eccentricity)

    return axis**2 / 2 * math.radians(wide) * (authalic(north) - authalic(south)) / 10_000


@pytest.mark.parametrize("top", [0.05, 30.4, 50.0, 68.0, -33.0])
def test_area_of_geographic_pixels(top):
    step = 1e-4
    area = pixel_area_ha(degrees(500, 10, step, top=top))
    assert area.shape == (500,)
    assert area.sum() == pytest.approx(ellipsoid_area_ha(top - 500 * step, top, step), rel=1e-6)
    assert area[0] == pytest.approx(ellipsoid_area_ha(top - step, top, step), rel=1e-6)


def test_area_of_projected_pixels():
    assert pixel_area_ha(utm(4, 5)).tolist() == [0.01] * 4
    feet = GeoBox((2, 2), Affine(100, 0, 600000, 0, -100, 200000), "EPSG:2263")  # New York, US survey feet
    assert pixel_area_ha(feet)[0] == pytest.approx((100 * 1200 / 3937) ** 2 / 10_000)


def test_pixel_size():
    assert pixel_size_m(utm(pixel=20)) == pytest.approx(20)
    assert pixel_size_m(degrees(10, 10, 1e-4, top=0.0005)) == pytest.approx(11.1, abs=0.05)


@pytest.mark.parametrize("grid", [utm(300, 200), GeoBox((90, 90), Affine(20, 0, 3e5, 0, -20, 9e6), "EPSG:32736")])
def test_bounds_in_degrees_hold_every_corner(grid):
    west, south, east, north = latitude_longitude_bounds(grid)
    box = grid.boundingbox
    to_degrees = Transformer.from_crs(str(grid.crs), "EPSG:4326", always_xy=True)
    xs, ys = to_degrees.transform([box.left, box.left, box.right, box.right], [box.bottom, box.top] * 2)
    assert west == pytest.approx(min(xs))
    assert east == pytest.approx(max(xs))
    assert south == pytest.approx(min(ys), abs=1e-5)
    assert north == pytest.approx(max(ys), abs=1e-5)


def test_bounds_of_geographic_grids_are_their_own():
    assert latitude_longitude_bounds(degrees(10, 20, 0.01)) == pytest.approx((30.0, 49.9, 30.2, 50.0))


def test_bounds_across_the_180th_meridian():
    fiji = GeoBox((100, 8000), Affine(10, 0, 780000, 0, -10, 8_000_000), "EPSG:32760")
    west, _, east, _ = latitude_longitude_bounds(fiji)
    assert west > 179
    assert east < -179


def test_bounds_need_a_coordinate_system():
    with pytest.raises(MissingCRSError):
        latitude_longitude_bounds(GeoBox((1, 1), Affine(1, 0, 0, 0, -1, 0), None))
