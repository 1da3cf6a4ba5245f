from __future__ import annotations

import shutil
from datetime import date

import numpy as np
import pytest
from rasterio import Affine
from rasterio.windows import Window

from s2dash.errors import (
    DuplicateBandsError,
    GridMismatchError,
    NotARasterError,
    SceneError,
    TooFewBandsError,
)
from s2dash.sources import load_scene


@pytest.fixture
def bands(numbers):
    """Ten and twenty metre content of one image."""
    return {name: numbers[place] for place, name in enumerate(("B02", "B03", "B04", "B08"))} | {
        name: numbers[place, ::2, ::2] for place, name in enumerate(("B05", "B8A", "B11", "B12"))
    }


def pixel(name: str) -> int:
    return 10 if name in {"B02", "B03", "B04", "B08"} else 20


@pytest.mark.parametrize(
    "pattern",
    ["{}.tif", "{}.TIF", "T33UXP_20200101T101010_{}_10m.jp2", "S2A_33UXP_20200101_0_L2A_{}.tif", "crop-{}.tiff"],
)
def test_names_of_files(tmp_path, raster, bands, pattern):
    for name, content in bands.items():
        raster(tmp_path / pattern.format(name), content, pixel=pixel(name))
    raster(tmp_path / "cloud_mask.tif", np.zeros((60, 90), np.uint8))
    (tmp_path / "about.txt").write_text("B06")
    scene = load_scene(tmp_path)
    assert scene.bands == ("B02", "B03", "B04", "B05", "B08", "B8A", "B11", "B12")
    assert scene.missing == ("B06", "B07")
    assert scene.grid.shape == (60, 90)
    got, valid = scene.read_numbers(Window(0, 0, 90, 60))
    for name in ("B02", "B03", "B04", "B08"):
        np.testing.assert_array_equal(got[scene.bands.index(name)], bands[name])
    assert valid.all()
    assert "cloud_mask.tif" in " ".join(scene.provenance.notes)
    assert scene.provenance.acquired == (date(2020, 1, 1) if "2020" in pattern else None)
    assert scene.provenance.title == tmp_path.name


def test_names_of_catalogue_assets(tmp_path, raster, bands):
    for asset, name in {"blue": "B02", "green": "B03", "nir": "B08", "swir16": "B11", "rededge1": "B05"}.items():
        raster(tmp_path / f"{asset}.tif", bands[name], pixel=pixel(name))
    raster(tmp_path / "scl.tif", np.full((30, 45), 5, np.uint8), pixel=20)
    scene = load_scene(tmp_path)
    assert scene.bands == ("B02", "B03", "B05", "B08", "B11")
    assert scene.source.read_scl(Window(0, 0, 90, 60)).tolist() == np.full((60, 90), 5).tolist()


def test_colour_words_count_at_the_end_of_product_names_only(tmp_path, raster, bands):
    raster(tmp_path / "S2A_33UXP_20200101_0_L2A_blue.tif", bands["B02"])
    raster(tmp_path / "S2A_33UXP_20200101_0_L2A_nir.tif", bands["B08"])
    raster(tmp_path / "village_green.tif", bands["B03"])
    scene = load_scene(tmp_path)
    assert scene.bands == ("B02", "B08")
    assert "village_green.tif" in " ".join(scene.provenance.notes)


def test_finest_of_several_resolutions_is_taken(tmp_path, raster, bands):
    for name, content in bands.items():
        raster(tmp_path / f"{name}_{pixel(name)}m.tif", content, pixel=pixel(name))
    raster(tmp_path / "B02_20m.tif", bands["B02"][::2, ::2], pixel=20)
    raster(tmp_path / "B8A_60m.tif", bands["B8A"][::3, ::3], pixel=60)
    scene = load_scene(tmp_path)
    files = {layer.band: layer.file.name for layer in scene.source.layers}
    assert files["B02"] == "B02_10m.tif"
    assert files["B8A"] == "B8A_20m.tif"


def test_image_folder_of_a_product_works_by_itself(tmp_path, raster, bands):
    for name, content in bands.items():
        raster(
            tmp_path / f"R{pixel(name)}m" / f"T33UXP_20200101T101010_{name}_{pixel(name)}m.tif",
            content,
            pixel=pixel(name),
        )
    raster(tmp_path / "R20m" / "T33UXP_20200101T101010_B02_20m.tif", bands["B02"][::2, ::2], pixel=20)
    raster(tmp_path / "R10m" / "T33UXP_20200101T101010_TCI_10m.tif", np.ones((3, 60, 90), np.uint8))
    scene = load_scene(tmp_path)
    assert len(scene.bands) == 8
    assert not [note for note in scene.provenance.notes if "Ignored" in note]


def test_two_images_in_one_folder_are_refused(tmp_path, raster, bands):
    for day in ("20200101T101010", "20200106T101009"):
        for name in ("B02", "B03"):
            raster(tmp_path / f"T33UXP_{day}_{name}.tif", bands[name])
    with pytest.raises(SceneError, match=r"2 images \(33UXP 20200101T101010, 33UXP 20200106T101009\)"):
        load_scene(tmp_path)


def test_bands_of_two_images_do_not_make_one(tmp_path, raster, bands):
    raster(tmp_path / "T33UXP_20200101_B02.tif", bands["B02"])
    raster(tmp_path / "T33UYP_20200101_B03.tif", bands["B03"])
    with pytest.raises(SceneError, match="2 images"):
        load_scene(tmp_path)


def test_one_band_twice_is_refused(tmp_path, raster, bands):
    raster(tmp_path / "B02.tif", bands["B02"])
    raster(tmp_path / "blue.tif", bands["B02"])
    raster(tmp_path / "B03.tif", bands["B03"])
    with pytest.raises(DuplicateBandsError, match=r"B02\.tif and blue\.tif"):
        load_scene(tmp_path)


def test_folders_without_enough(tmp_path, raster, bands, numbers):
    with pytest.raises(TooFewBandsError, match="no GeoTIFF or JP2"):
        load_scene(tmp_path)
    raster(tmp_path / "B02.tif", bands["B02"])
    with pytest.raises(TooFewBandsError, match="one band only: B02"):
        load_scene(tmp_path)
    raster(tmp_path / "mosaic.tif", numbers)
    with pytest.raises(TooFewBandsError, match=r"To open a stack, give the file: .*mosaic\.tif"):
        load_scene(tmp_path)


def test_broken_band_file_is_named(tmp_path, raster, bands):
    raster(tmp_path / "B02.tif", bands["B02"])
    (tmp_path / "B03.tif").write_text("oops")
    with pytest.raises(NotARasterError, match=r"B03\.tif"):
        load_scene(tmp_path)


def test_files_can_be_named_by_the_person(tmp_path, raster, bands):
    raster(tmp_path / "one.tif", bands["B02"])
    raster(tmp_path / "two.tif", bands["B03"])
    raster(tmp_path / "B04.tif", bands["B04"])
    scene = load_scene(tmp_path, bands={"one": "B02", "two.tif": "green", "B04": "-"})
    assert scene.bands == ("B02", "B03")
    with pytest.raises(SceneError, match="no file 'three'"):
        load_scene(tmp_path, bands={"three": "B02"})
    with pytest.raises(SceneError, match="name the files"):
        load_scene(tmp_path, bands=["B02", "B03"])


def test_bands_that_do_not_belong_together(tmp_path, raster, bands):
    raster(tmp_path / "B02.tif", bands["B02"])
    other = raster(tmp_path / "B03.tif", bands["B03"], crs="EPSG:32634")
    with pytest.raises(GridMismatchError, match="EPSG:32634"):
        load_scene(tmp_path)
    raster(other, bands["B03"], transform=Affine(10, 0, 700000, 0, -10, 5000000))
    with pytest.raises(GridMismatchError, match="does not overlap"):
        load_scene(tmp_path)
    raster(other, bands["B03"].astype(np.float32))
    with pytest.raises(SceneError, match="some floats"):
        load_scene(tmp_path)


def test_band_that_covers_a_part_is_no_data_elsewhere(tmp_path, raster, bands):
    raster(tmp_path / "B02.tif", bands["B02"])
    raster(tmp_path / "B03.tif", bands["B03"][10:, 20:], transform=Affine(10, 0, 600200, 0, -10, 4999900))
    scene = load_scene(tmp_path)
    numbers, valid = scene.read_numbers(Window(0, 0, 90, 60))
    assert valid[10:, 20:].all()
    assert valid.sum() == 50 * 70
    np.testing.assert_array_equal(numbers[1, 10:, 20:], bands["B03"][10:, 20:])
    assert scene.read_overview(max_side=45)[0].shape == (2, 30, 45)


def test_sixty_metre_files_stay_at_sixty(tmp_path, raster, bands):
    for name in ("B02", "B03", "B11"):
        raster(tmp_path / f"{name}_60m.tif", bands[name], pixel=60)
    assert load_scene(tmp_path).grid.transform.a == 60


class TestScl:
    def test_given_file_goes_before_the_one_found(self, tmp_path, raster, bands):
        raster(tmp_path / "in" / "B02.tif", bands["B02"])
        raster(tmp_path / "in" / "B03.tif", bands["B03"])
        raster(tmp_path / "in" / "SCL.tif", np.full((60, 90), 9, np.uint8))
        assert load_scene(tmp_path / "in").validity.clear == 0
        own = raster(tmp_path / "own.tif", np.full((30, 45), 4, np.uint8), pixel=20)
        assert load_scene(tmp_path / "in", scl=own).validity.clear_percent == 100

    def test_all_cloud_loads(self, stack, tmp_path, raster):
        scl = raster(tmp_path / "scl.tif", np.full((60, 90), 9, np.uint8))
        scene = load_scene(stack, scl=scl)
        assert scene.validity.clear_percent == 0
        assert scene.validity.filled == 60 * 90
        assert np.isnan(scene.read()).all()

    def test_elsewhere_is_refused(self, stack, tmp_path, raster):
        away = raster(
            tmp_path / "scl.tif", np.full((60, 90), 4, np.uint8), transform=Affine(10, 0, 700000, 0, -10, 5e6)
        )
        with pytest.raises(GridMismatchError, match="does not overlap the scene"):
            load_scene(stack, scl=away)

    def test_part_of_the_scene_is_noted(self, stack, tmp_path, raster):
        half = raster(tmp_path / "scl.tif", np.full((30, 90), 4, np.uint8))
        scene = load_scene(stack, scl=half)
        assert scene.validity.clear == 30 * 90
        assert "covers 50% of the scene" in " ".join(scene.provenance.notes)

    def test_another_kind_of_mask_is_refused(self, stack, tmp_path, raster):
        mask = raster(tmp_path / "mask.tif", np.full((60, 90), 255, np.uint8))
        with pytest.raises(SceneError, match="is it another mask"):
            load_scene(stack, scl=mask)
        some = np.full((60, 90), 4, np.uint8)
        some[0] = 77
        scene = load_scene(stack, scl=raster(tmp_path / "some.tif", some))
        assert "[77]" in " ".join(scene.provenance.notes)
        assert scene.validity.clear == 59 * 90

    def test_float_classes_are_understood(self, stack, tmp_path, raster):
        classes = np.full((60, 90), 4, np.float32)
        classes[0] = np.nan
        assert load_scene(stack, scl=raster(tmp_path / "scl.tif", classes)).validity.clear == 59 * 90

    def test_file_of_several_bands_must_name_it(self, stack, tmp_path, raster):
        two = raster(tmp_path / "two.tif", np.full((2, 60, 90), 4, np.uint8), names=("CLD", "SCL"))
        assert load_scene(stack, scl=two).source.scl.index == 2
        with pytest.raises(SceneError, match="none called SCL"):
            load_scene(stack, scl=raster(tmp_path / "none.tif", np.full((2, 60, 90), 4, np.uint8)))


def test_removed_file_is_named(tmp_path, raster, bands):
    for name in ("B02", "B03"):
        raster(tmp_path / "in" / f"{name}.tif", bands[name])
    scene = load_scene(tmp_path / "in")
    import pickle

    sent = pickle.dumps(scene)
    shutil.rmtree(tmp_path / "in")
    with pytest.raises(NotARasterError, match=r"B02\.tif cannot be read"):
        pickle.loads(sent).read()
