from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from rasterio.windows import Window

from s2dash.errors import SceneError, TooFewBandsError
from s2dash.sources import load_scene
from s2dash.sources.safe import read_safe_metadata

NEW = "S2B_MSIL2A_20230106T100319_N0509_R122_T33UXP_20230106T121703.SAFE"
OLD = "S2A_MSIL2A_20180607T095031_N0208_R079_T33UXP_20180607T130225.SAFE"


def metadata(*, baseline: str, offsets: bool, old_names: bool = False, product: str = NEW, head: str = "") -> str:
    """A product's metadata, cut down to the elements that real ones have."""
    listed = "".join(f'<BOA_ADD_OFFSET band_id="{band}">-1000</BOA_ADD_OFFSET>' for band in range(13))
    part = "L2A_" if old_names else ""
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>{head}
<n1:Level-2A_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-2A.xsd">
  <n1:General_Info>
    <{part}Product_Info>
      <PRODUCT_START_TIME>{product[11:15]}-{product[15:17]}-{product[17:19]}T10:03:19.024Z</PRODUCT_START_TIME>
      <{"PRODUCT_URI_2A" if old_names else "PRODUCT_URI"}>{product}</{"PRODUCT_URI_2A" if old_names else "PRODUCT_URI"}>
      <PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
    </{part}Product_Info>
    <Product_Image_Characteristics>
      <QUANTIFICATION_VALUES_LIST>
        <{part}BOA_QUANTIFICATION_VALUE unit="none">10000</{part}BOA_QUANTIFICATION_VALUE>
      </QUANTIFICATION_VALUES_LIST>
      {f"<BOA_ADD_OFFSET_VALUES_LIST>{listed}</BOA_ADD_OFFSET_VALUES_LIST>" if offsets else ""}
    </Product_Image_Characteristics>
  </n1:General_Info>
</n1:Level-2A_User_Product>"""


@pytest.fixture
def safe(tmp_path, raster, numbers):
    """Write an unpacked product with JP2 files; returns its folder."""

    def write(product: str, xml: str | None, *, shift: int = 0) -> Path:
        root = tmp_path / product
        images = root / "GRANULE" / "L2A_T33UXP_A030529_20230106T100317" / "IMG_DATA"
        stem = f"T33UXP_{product[11:26]}"
        fine, coarse, coarsest = numbers + shift, numbers[:, ::2, ::2] + shift, numbers[:, ::6, ::6] + shift
        for place, name in enumerate(("B02", "B03", "B04", "B08")):
            raster(images / "R10m" / f"{stem}_{name}_10m.jp2", fine[place])
            if name != "B08":
                raster(images / "R20m" / f"{stem}_{name}_20m.jp2", coarse[place], pixel=20)
        for place, name in enumerate(("B05", "B06", "B07", "B8A", "B11", "B12"), start=4):
            raster(images / "R20m" / f"{stem}_{name}_20m.jp2", coarse[place], pixel=20)
            raster(images / "R60m" / f"{stem}_{name}_60m.jp2", coarsest[place], pixel=60)
        raster(images / "R60m" / f"{stem}_B01_60m.jp2", coarsest[0], pixel=60)
        raster(images / "R20m" / f"{stem}_SCL_20m.jp2", np.full((30, 45), 4, np.uint8), pixel=20)
        raster(images / "R20m" / f"{stem}_AOT_20m.jp2", coarse[0], pixel=20)
        if xml is not None:
            (root / "MTD_MSIL2A.xml").write_text(xml)
        return root

    return write


def test_new_product(safe, numbers):
    root = safe(NEW, metadata(baseline="05.09", offsets=True), shift=1000)
    scene = load_scene(root)
    assert len(scene.bands) == 10
    assert scene.missing == ()
    assert (scene.radiometry.scale, scene.radiometry.offset) == (1e-4, -0.1)
    assert scene.radiometry.rule == "metadata"
    assert scene.radiometry.certain
    assert "05.09" in scene.radiometry.evidence
    assert scene.provenance.product == NEW.removesuffix(".SAFE")
    assert scene.provenance.title == NEW.removesuffix(".SAFE")
    assert scene.provenance.acquired == date(2023, 1, 6)
    assert scene.grid.shape == (60, 90)
    np.testing.assert_allclose(scene.read(bands=["B03"])[0], numbers[1] / 1e4, atol=1e-6)
    assert {layer.file.name.split("_")[-1] for layer in scene.source.layers[:3]} == {"10m.jp2"}
    assert (scene.source.read_scl(Window(0, 0, 90, 60)) == 4).all()
    assert not [note for note in scene.provenance.notes if "AOT" in note]


def test_the_metadata_file_stands_for_its_product(safe):
    root = safe(NEW, metadata(baseline="05.09", offsets=True), shift=1000)
    assert load_scene(root / "MTD_MSIL2A.xml").radiometry.offset == -0.1


def test_folder_need_not_be_called_safe(safe, tmp_path):
    root = safe(NEW, metadata(baseline="05.09", offsets=True), shift=1000)
    scene = load_scene(root.rename(tmp_path / "january"))
    assert scene.provenance.title == "january"
    assert scene.provenance.product == NEW.removesuffix(".SAFE")


@pytest.mark.parametrize("old_names", [True, False])
def test_old_product_has_no_offset(safe, old_names):
    root = safe(OLD, metadata(baseline="02.08", offsets=False, old_names=old_names, product=OLD))
    scene = load_scene(root)
    assert (scene.radiometry.rule, scene.radiometry.offset, scene.radiometry.certain) == ("metadata", 0.0, True)
    assert scene.provenance.acquired == date(2018, 6, 7)
    assert scene.provenance.product == OLD.removesuffix(".SAFE")


def test_person_goes_before_metadata(safe):
    root = safe(NEW, metadata(baseline="05.09", offsets=True), shift=1000)
    radiometry = load_scene(root, offset=0.0).radiometry
    assert (radiometry.rule, radiometry.scale, radiometry.offset) == ("given", 1e-4, 0.0)


BOMB = '<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY secret SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        (None, "cannot be read"),
        ("<broken", "not readable XML"),
        ("", "not readable XML"),
        ("<a/>", "no quantification value"),
        (metadata(baseline="05.09", offsets=True).replace(">10000<", ">0<"), "no quantification value"),
        (metadata(baseline="05.09", offsets=True).replace(">10000<", ">many<"), "no quantification value"),
        (metadata(baseline="99.99", offsets=False), "lists no offsets"),
        (metadata(baseline="", offsets=False), "lists no offsets"),
        (metadata(baseline="05.09", offsets=True).replace('"3">-1000', '"3">0'), "no one offset"),
        (metadata(baseline="05.09", offsets=True, head=BOMB), "document type"),
        (metadata(baseline="05.09", offsets=True, head=OUTSIDE).replace(NEW, "&secret;"), "document type"),
    ],
)
def test_unusable_metadata_leave_it_to_the_pixels_and_say_so(safe, xml, said):
    scene = load_scene(safe(NEW, xml, shift=1000))
    assert scene.radiometry.rule == "pixel check"
    assert scene.radiometry.offset == -0.1
    note = next(note for note in scene.provenance.notes if said in note)
    assert "judged from the pixels" in note
    assert scene.provenance.acquired == date(2023, 1, 6)


def test_document_types_are_refused_in_any_encoding(tmp_path):
    path = tmp_path / "MTD_MSIL2A.xml"
    path.write_bytes(f'<?xml version="1.0" encoding="UTF-16"?>{BOMB}<a>&b;</a>'.encode("utf-16"))
    with pytest.raises(SceneError, match="document type"):
        read_safe_metadata(path)


def test_huge_metadata_are_not_read(tmp_path):
    path = tmp_path / "MTD_MSIL2A.xml"
    with path.open("wb") as file:
        file.truncate(30 * 2**20)
    with pytest.raises(SceneError, match="larger than"):
        read_safe_metadata(path)


def test_other_products_are_refused(safe, tmp_path):
    root = safe(NEW, None)
    (root / "MTD_MSIL1C.xml").touch()
    with pytest.raises(SceneError, match="level 1C"):
        load_scene(root)
    (root / "MTD_MSIL1C.xml").unlink()
    (root / "GRANULE" / "L2A_T33UYP_A1" / "IMG_DATA").mkdir(parents=True)
    with pytest.raises(SceneError, match="holds 2 tiles"):
        load_scene(root)
    with pytest.raises(SceneError, match="leave the band names out"):
        load_scene(root, bands={"x": "B02"})


def test_incomplete_products(tmp_path):
    root = tmp_path / NEW
    root.mkdir()
    with pytest.raises(TooFewBandsError, match="unpacked completely"):
        load_scene(root)
    (root / "GRANULE" / "L2A_T33UXP_A1" / "IMG_DATA" / "R10m").mkdir(parents=True)
    with pytest.raises(TooFewBandsError, match="holds no band"):
        load_scene(root)
