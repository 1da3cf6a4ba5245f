"""Pictures for models: no hue that the imagery does not have, nothing changed inside the cluster, true scale bars."""

from __future__ import annotations

import io

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from odc.geo.geobox import GeoBox
from PIL import Image

from s2dash.annotation.card_pictures import (
    LEAST_SIDE,
    MOST_SIDE,
    NO_DATA_LEVEL,
    beside,
    dim_outside,
    enlarge,
    enlargement,
    metres_text,
    pixel_sides_m,
    png,
    render,
    scale_bar,
    with_scale_bar,
)
from s2dash.pictures import measure_stretch
from s2dash.testing import make_grid

PICTURES = arrays(np.uint8, (7, 9, 3))
MASKS = arrays(np.bool_, (7, 9))


def neutral(rgb: np.ndarray) -> bool:
    return bool((rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 0] == rgb[..., 2]).all())


@given(PICTURES, MASKS, MASKS)
def test_outside_a_cluster_there_is_no_hue_and_inside_nothing_changes(rgb, inside, valid) -> None:
    rgb[~valid] = NO_DATA_LEVEL
    inside &= valid
    before = rgb.copy()
    dimmed = dim_outside(rgb, inside, valid=valid)
    assert (rgb == before).all()
    assert (dimmed[inside] == rgb[inside]).all()
    assert neutral(dimmed[~inside])
    assert (dimmed[~valid] == NO_DATA_LEVEL).all()


@given(PICTURES)
def test_what_is_dimmed_keeps_the_order_of_brightness_and_less_contrast(rgb) -> None:
    nothing, everything = np.zeros((7, 9), bool), np.ones((7, 9), bool)
    level = dim_outside(rgb, nothing, valid=everything)[..., 0].astype(float)
    luma = np.rint(rgb.astype(float) @ [0.299, 0.587, 0.114])
    order = np.argsort(luma, axis=None, kind="stable")
    assert (np.diff(level.ravel()[order])[np.diff(luma.ravel()[order]) > 1] >= 0).all()
    assert np.ptp(level) <= 0.3 * np.ptp(luma) + 2


def test_a_dark_cluster_stands_out_from_a_lifted_rest_and_a_bright_one_from_a_lowered_one() -> None:
    rgb = np.full((4, 4, 3), 90, np.uint8)
    inside = np.zeros((4, 4), bool)
    inside[:2] = True
    everything = np.ones((4, 4), bool)
    for own, above in ((20, True), (200, False)):
        rgb[inside] = own
        rest = dim_outside(rgb, inside, valid=everything)[~inside]
        assert bool((rest > own + 60).all()) is above
        assert bool((rest < own - 60).all()) is not above


def test_pictures_have_the_hues_of_the_stretched_imagery_and_gaps_are_neutral() -> None:
    rng = np.random.default_rng(0)
    names = ("B02", "B03", "B04")
    reflectance = rng.uniform(0.01, 0.3, (3, 20, 30)).astype(np.float32)
    reflectance[:, :4] = np.nan
    stretch = measure_stretch(reflectance, bands=names)
    rgb, valid = render(reflectance, names=names, bands=("B04", "B03", "B02"), stretch=stretch)
    assert (valid == np.isfinite(reflectance[0])).all()
    for channel, band in enumerate(("B04", "B03", "B02")):
        assert (rgb[valid][:, channel] == stretch.apply(reflectance[names.index(band)], band)[valid]).all()
    assert (rgb[~valid] == NO_DATA_LEVEL).all()


@given(PICTURES, st.integers(1, 5))
def test_enlarging_makes_no_new_value(rgb, factor) -> None:
    large = enlarge(rgb, factor=factor)
    assert large.shape == (7 * factor, 9 * factor, 3)
    for row in range(factor):
        for col in range(factor):
            assert (large[row::factor, col::factor] == rgb).all()


@given(st.integers(1, 640), st.integers(1, 640), st.sampled_from([1, 2]))
def test_every_picture_has_a_long_side_that_services_take(height, width, panels) -> None:
    if panels == 2:
        height = width = min(height, 64)
    factor = enlargement(height, width, panels=panels)
    rgb = enlarge(np.zeros((height, width, 3), np.uint8), factor=factor)
    shown = with_scale_bar(rgb if panels == 1 else beside(rgb, rgb), metres_per_pixel=10 / factor)
    assert LEAST_SIDE <= max(shown.shape) <= MOST_SIDE


@given(st.floats(0.05, 1000), st.integers(60, 1500))
def test_a_scale_bar_has_a_round_length_and_as_many_pixels(metres_per_pixel, width) -> None:
    pixels, metres = scale_bar(metres_per_pixel, width=width)
    mantissa = float(f"{metres:.6e}".split("e")[0])
    assert mantissa in {1.0, 2.0, 5.0}
    assert pixels == max(1, round(metres / metres_per_pixel))
    assert width / 3 / 2.51 - 1 <= pixels <= width / 3 + 1


@pytest.mark.parametrize("metres_per_pixel", [2.5, 10 / 11, 60.0])
def test_the_bar_that_is_drawn_is_as_long_as_it_says(metres_per_pixel) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (80, 600, 3), dtype=np.uint8)
    shown = with_scale_bar(rgb, metres_per_pixel=metres_per_pixel)
    assert (shown[:80] == rgb).all()  # nothing of the imagery is covered
    foot = shown[80:]
    assert neutral(foot)
    row = foot[foot.shape[0] // 2, :, 0]
    first = int(np.argmax(row == 255))
    length = int(np.argmax(row[first:] != 255))
    pixels, metres = scale_bar(metres_per_pixel, width=600)
    assert length == pixels
    assert length * metres_per_pixel == pytest.approx(metres, abs=metres_per_pixel)
    assert (foot[:, first + length + 4 :] > 128).any()  # and the length is written beside it
    assert metres_text(metres) in {"500 m", "100 m", "10 km"}


def test_two_panels_stand_apart_and_are_unchanged() -> None:
    left, right = np.full((5, 6, 3), 200, np.uint8), np.full((5, 7, 3), 90, np.uint8)
    both = beside(left, right)
    assert (both[:, :6] == left).all()
    assert (both[:, -7:] == right).all()
    assert (both[:, 6:-7] == 0).all()


def test_png_is_exact_without_alpha_and_always_the_same() -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (50, 60, 3), dtype=np.uint8)
    encoded = png(rgb)
    assert encoded == png(rgb.copy())
    with Image.open(io.BytesIO(encoded)) as image:
        assert image.mode == "RGB"
        assert (np.asarray(image) == rgb).all()


def test_pixels_are_measured_on_the_ground() -> None:
    assert pixel_sides_m(make_grid(100, 100)) == pytest.approx((10, 10), rel=1e-3)
    degrees = GeoBox((100, 100), Affine(1e-4, 0, 70.0, 0, -1e-4, 60.005), "EPSG:4326")
    across, down = pixel_sides_m(degrees)
    assert down == pytest.approx(11.14, abs=0.02)
    assert across / down == pytest.approx(0.5, abs=0.005)  # cosine of 60 degrees
    mercator = GeoBox((100, 100), Affine(20, 0, 0, 0, -20, 8399738), "EPSG:3857")  # 60 degrees north
    assert pixel_sides_m(mercator) == pytest.approx((10, 10), rel=5e-3)
    assert pixel_sides_m(GeoBox((9, 9), Affine(3, 0, 0, 0, -4, 0), None)) == (3, 4)


@pytest.mark.parametrize(("metres", "text"), [(640, "640 m"), (0.5, "0.5 m"), (2240, "2.24 km"), (999.6, "1 km")])
def test_lengths_are_written_as_people_do(metres, text) -> None:
    assert metres_text(metres) == text
