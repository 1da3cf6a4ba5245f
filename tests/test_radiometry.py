from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio import Affine
from rasterio.windows import Window

from s2dash.errors import SceneError
from s2dash.grid import blocks, slices, spread_blocks
from s2dash.radiometry import DeclaredRadiometry, detect_radiometry
from s2dash.scene import Radiometry
from s2dash.sources.arrays import ArraySource

BANDS = ("B02", "B03", "B04", "B08", "B11")


def source_of(numbers: np.ndarray, bands=BANDS, scl=None) -> ArraySource:
    grid = GeoBox(numbers.shape[1:], Affine(10, 0, 600000, 0, -10, 5000000), "EPSG:32633")
    return ArraySource(grid, bands, numbers, scl)


def scene(lowest: dict[str, float], *, size: int = 100, dtype=np.uint16, bands=BANDS) -> ArraySource:
    """Numbers from `lowest` upwards in each band, a twentieth of them close to it."""
    rng = np.random.default_rng(1)
    spread = np.where(rng.random((len(bands), size, size)) < 0.05, 10, 2500) * rng.random((len(bands), size, size))
    low = np.array([lowest.get(band, lowest["others"]) for band in bands])[:, None, None]
    return source_of((low + spread).astype(dtype), bands)


def detect(source: ArraySource, **more) -> Radiometry:
    return detect_radiometry(source, bands=source.bands, **more)


@pytest.mark.parametrize(
    ("lowest", "offset", "certain", "said"),
    [
        ({"others": 120}, 0, True, "+1000 of processing baseline 04.00 is not in the numbers"),
        ({"others": 1600, "B04": 880}, 0, True, "is not in the numbers"),
        ({"others": 1060, "B04": 1047}, -0.1, True, "0.1 is subtracted"),
        ({"others": 1000, "B02": 951}, -0.1, True, "0.1 is subtracted"),
        ({"others": 1400, "B03": 925}, 0, False, "between DN 900 and DN 950 it cannot be told"),
        ({"others": 6000, "B11": 110}, 0, True, "but B11 goes down to DN 11"),
        ({"others": 1200, "B11": 300}, 0, True, "the scene is bright"),
        ({"others": 4000}, 0, False, "snow or cloud everywhere"),
        ({"others": 4000, "B11": 1100}, -0.1, False, "look at the spectra"),
        ({"others": 2000}, -0.1, False, "Bright ground alone could look like this too"),
        ({"others": 4500, "B02": 1300, "B03": 2000, "B04": 3000}, -0.1, False, "Bright ground alone"),
    ],
)
def test_pixel_check(lowest, offset, certain, said):
    found = detect(scene(lowest))
    assert (found.scale, found.offset, found.certain, found.rule) == (1e-4, offset, certain, "pixel check")
    assert said in found.evidence


def test_evidence_names_the_lowest_value_and_its_band():
    numbers = np.full((5, 10, 10), 2000, np.uint16)
    numbers[2] = 1047
    assert "DN 1047 (B04" in detect(source_of(numbers)).evidence


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int32, np.uint32, np.int64, np.float32, np.float64])
def test_any_type_of_number(dtype):
    assert detect(scene({"others": 1050}, dtype=dtype)).offset == -0.1
    assert detect(scene({"others": 150}, dtype=dtype)).offset == 0


def test_negative_numbers_are_done():
    assert detect(scene({"others": -40}, dtype=np.int16)).offset == 0


@pytest.mark.parametrize(("size", "dead"), [(100, 1), (100, 3), (400, 12)])
def test_a_handful_of_dead_pixels_decides_nothing(size, dead):
    source = scene({"others": 1050}, size=size)
    source.numbers[:, 0, :dead] = 3
    assert detect(source).offset == -0.1


def test_pixels_beside_no_data_decide_nothing():
    """Averaged overviews mix those with 0: in a shifted scene they look as if nothing had to be done."""
    source = scene({"others": 1050}, size=200)
    source.numbers[:, :, :50] = 0
    source.numbers[:, :, 50] = 400
    assert detect(source).offset == -0.1


def test_single_valid_pixels_amid_no_data_are_used():
    source = scene({"others": 1050}, size=40)
    keep = np.zeros((40, 40), bool)
    keep[::2, ::2] = True
    source.numbers[:, ~keep] = 0
    assert detect(source).offset == -0.1


def test_few_pixels_below_may_be_negative_reflectance():
    source = scene({"others": 1050}, size=200)
    source.numbers[0, :10, :10] = 800  # 0.25 % of the pixels
    found = detect(source)
    assert (found.offset, found.certain) == (0, False)
    assert "negative reflectance" in found.evidence
    source = scene({"others": 1050}, size=200)
    source.numbers[4, :10, :10] = 800
    found = detect(source)
    assert (found.offset, found.certain) == (0, False)
    assert "B11 goes down to DN 800" in found.evidence


def test_clouds_everywhere_make_the_check_uncertain():
    source = scene({"others": 1050})
    clouds = source_of(source.numbers, scl=np.full((100, 100), 9, np.uint8))
    ground = source_of(source.numbers, scl=np.full((100, 100), 5, np.uint8))
    assert (detect(clouds).offset, detect(clouds).certain) == (-0.1, False)
    assert (detect(ground).offset, detect(ground).certain) == (-0.1, True)


def test_bands_without_the_visible_ones():
    bands = ("B08", "B11")
    assert detect(scene({"others": 150}, bands=bands)).certain
    found = detect(scene({"others": 1050}, bands=bands))
    assert (found.offset, found.certain) == (-0.1, False)
    assert "Lowest value is" in found.evidence


@given(st.integers(1, 600), st.integers(0, 3000))
def test_shift_is_found_again(low, more):
    """What needs nothing with a dark pixel in the visible bands needs the shift after +1000, and the reverse."""
    numbers = np.full((5, 20, 20), low + more, np.uint16)
    numbers[:3, :10] = low
    assert detect(source_of(numbers)).offset == 0
    if low <= 500:
        assert detect(source_of(numbers + np.uint16(1000))).offset == -0.1


class Counted(ArraySource):
    """Remembers what was read."""

    def read(self, bands, window: Window):
        self.__dict__.setdefault("windows", []).append(window)
        return super().read(bands, window)

    def read_overview(self, bands, shape):
        self.__dict__["overview"] = shape
        return super().read_overview(bands, shape)


def big(low: int) -> Counted:
    numbers = np.full((2, 2100, 1900), 3000, np.uint16)
    numbers[:, ::3, ::3] = low
    grid = GeoBox((2100, 1900), Affine(10, 0, 600000, 0, -10, 5000000), "EPSG:32633")
    return Counted(grid, ("B02", "B04"), numbers)


def test_large_scene_is_settled_by_a_block_where_a_dark_value_is_found():
    source = big(200)
    assert detect(source).offset == 0
    assert len(source.__dict__["windows"]) == 1
    assert "overview" not in source.__dict__


def test_large_scene_is_looked_at_as_a_whole_before_shifting():
    source = big(1050)
    looked_at = spread_blocks(source.grid, count=4)
    rows, cols = slices(next(window for window in blocks(source.grid) if window not in looked_at))
    source.numbers[:, rows.start : rows.start + 60, cols] = 300  # a lake in a block that is not looked at
    found = detect(source)
    assert found.offset == 0
    height, width = source.__dict__["overview"]
    assert height * width >= 1_000_000
    assert detect(big(1050)).offset == -0.1


@pytest.mark.parametrize(
    ("factor", "scale", "rule"),
    [(1e-4, 1.0, "float reflectance"), (1e-2, 0.01, "float percent"), (1, 1e-4, "pixel check")],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scale_of_floats(factor, scale, rule, dtype):
    found = detect(source_of((scene({"others": 150}).numbers * factor).astype(dtype)))
    assert (found.scale, found.offset, found.rule, found.certain) == (scale, 0, rule, True)


def test_float_reflectance_that_may_still_be_shifted_is_uncertain_and_left_alone():
    found = detect(source_of((scene({"others": 1050}).numbers / 1e4).astype(np.float32)))
    assert (found.scale, found.offset, found.certain) == (1.0, 0.0, False)
    assert "0.105" in found.evidence
    assert "-0.1" in found.evidence


def test_floats_with_nan_and_inf():
    numbers = (scene({"others": 150}).numbers / 1e4).astype(np.float32)
    numbers[0, :5], numbers[1, 10] = np.nan, np.inf
    found = detect(source_of(numbers))
    assert (found.scale, found.certain) == (1.0, True)


def test_eight_bit_numbers_are_never_certain():
    found = detect(source_of(np.random.default_rng(0).integers(1, 250, (5, 50, 50)).astype(np.uint8)))
    assert (found.scale, found.certain) == (1 / 255, False)
    found = detect(source_of(np.random.default_rng(0).integers(1, 80, (5, 50, 50)).astype(np.int8)))
    assert (found.scale, found.certain) == (0.01, False)


def test_very_dark_numbers_are_uncertain():
    found = detect(source_of(np.random.default_rng(0).integers(1, 200, (5, 50, 50)).astype(np.uint16)))
    assert (found.scale, found.offset, found.certain) == (1e-4, 0, False)


def test_nothing_to_look_at():
    found = detect(source_of(np.zeros((5, 9, 9), np.uint16)))
    assert not found.certain
    assert "nothing could be checked" in found.evidence


SAFE = DeclaredRadiometry(1e-4, -0.1, "MTD_MSIL2A.xml (processing baseline 05.09)")


def test_the_given_goes_before_the_declared_before_the_pixels():
    source = scene({"others": 150})
    both = detect(source, scale=2e-4, offset=-0.05, declared=SAFE)
    assert (both.scale, both.offset, both.rule) == (2e-4, -0.05, "given")
    part = detect(source, offset=0.0, declared=SAFE)
    assert (part.scale, part.offset, part.rule) == (1e-4, 0.0, "given")
    part = detect(source, scale=2e-4, declared=SAFE)
    assert (part.scale, part.offset, part.rule) == (2e-4, -0.1, "given")
    assert "05.09" in part.evidence
    declared = detect(source, declared=SAFE)
    assert (declared.offset, declared.rule, declared.certain) == (-0.1, "metadata", True)
    only_offset = detect(source, offset=-0.1)
    assert (only_offset.scale, only_offset.offset, only_offset.rule) == (1e-4, -0.1, "given")
    only_scale = detect(scene({"others": 2100}), scale=5e-5)
    assert (only_scale.scale, only_scale.offset) == (5e-5, -0.1)
    assert "5e-05 was given" in only_scale.evidence


@pytest.mark.parametrize(
    ("offset", "low", "certain"), [(-0.1, 1050, True), (-0.1, 150, False), (0.0, 1050, False), (0.0, 150, True)]
)
def test_tags_are_held_against_the_pixels(offset, low, certain):
    found = detect(scene({"others": low}), declared=DeclaredRadiometry(1e-4, offset, "Tags", trusted=False))
    assert (found.offset, found.rule, found.certain) == (offset, "metadata", certain)
    assert ("The pixels disagree" in found.evidence) is not certain


@pytest.mark.parametrize("wrong", [{"scale": 0.0}, {"scale": -1e-4}, {"scale": float("nan")}, {"offset": -1000.0}])
def test_senseless_settings_are_refused(wrong):
    with pytest.raises(SceneError):
        detect(scene({"others": 150}), **wrong)


@given(st.integers(0, 65535), st.sampled_from([0.0, -0.1]))
def test_apply(number, offset):
    got = Radiometry(scale=1e-4, offset=offset).apply(np.array([[number]], np.uint16))
    assert got.dtype == np.float32
    assert got[0, 0] == pytest.approx(number / 10000 + offset, abs=1e-6)
