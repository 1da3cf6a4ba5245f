from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dash.bands import method_bands, parse_band, sensor_table


def test_the_method_keeps_ten_bands():
    assert method_bands() == ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")


def test_sensor_table_is_in_sensor_order_with_wavelengths_rising():
    assert list(sensor_table()) == ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"]
    wavelengths = [band.wavelength for band in sensor_table().values()]
    assert wavelengths == sorted(wavelengths)


def test_no_alias_is_used_twice():
    aliases = [alias for band in sensor_table().values() for alias in band.aliases]
    assert len(set(aliases)) == len(aliases)
    assert all(alias == alias.lower() for alias in aliases)


def test_letters_are_those_of_the_index_standard():
    spyndex = pytest.importorskip("spyndex")
    for band in sensor_table().values():
        if band.name != "B09":  # the standard calls it WV, after WorldView and Sentinel-2 alike
            assert spyndex.bands[band.spyndex].sentinel2a.band in {band.name, band.name.replace("B0", "B")}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("B2", "B02"),
        ("b02", "B02"),
        ("B8A", "B8A"),
        ("b8a", "B8A"),
        ("B08", "B08"),
        ("B12", "B12"),
        ("B02_10m", "B02"),
        ("T48QUE_20200223T032739_B8A_20m.jp2", "B8A"),
        ("S2A_USER_MSI_L2A_TL_SGS__20160101T000000_A002_T32UQD_B11_20m", "B11"),
        ("B4, central wavelength 665 nm", "B04"),
        ("blue", "B02"),
        (" NIR ", "B08"),
        ("nir08", "B8A"),
        ("swir22", "B12"),
        ("rededge1", "B05"),
        ("SCL", "SCL"),
        ("T48QUE_20200223T032739_SCL_20m", "SCL"),
        ("scl", "SCL"),
    ],
)
def test_names_as_found_in_files(text, name):
    assert parse_band(text) == name


@pytest.mark.parametrize(
    "text",
    ["", "B10", "B00", "B13", "B8B", "cloud_mask", "TCI", "AOT_10m", "B02 B03", "B02/B04 ratio", "SCL of B04",
     "S2B", "reference", "class", "AB02", "B021", "blueberry", "MUSCLE", "scene"],
)  # fmt: skip
def test_what_names_no_band(text):
    assert parse_band(text) is None


@given(st.text(max_size=30))
def test_any_text_gives_a_known_name_or_none(text):
    assert parse_band(text) in {None, "SCL", *sensor_table()}


@given(st.sampled_from(list(sensor_table())), st.sampled_from(["{}", "{}_20m", "x_{}", "T30TXX {} y", "{}.jp2"]))
def test_every_name_is_found_in_any_setting(name, pattern):
    assert parse_band(pattern.format(name)) == name
    assert parse_band(pattern.format(name.lower())) == name
