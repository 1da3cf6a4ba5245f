"""The real scenes through the command line, and what was written recomputed by others: rasterio, scikit-learn, GDAL."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasterio.warp import reproject
from sklearn.metrics import cohen_kappa_score, confusion_matrix, f1_score, jaccard_score

from s2dash.bands import method_bands
from s2dash.cli.main import main
from s2dash.schemes import load_scheme
from s2dash.sources import load_scene

COMPARED = ("chile", "poland", "tanzania", "hudson-bay", "belgium")
ALONE = {
    "pakistan, June": ("pakistan/scene-2020-06-04.tif",),
    "pakistan, August": ("pakistan/scene-2020-08-13.tif",),
    "thailand": ("thailand",),
    "ireland": ("ireland-60m/scene.tif", "--scl", "ireland-60m/scl.tif"),
}
CODES = load_scheme("worldcover").codes
UNDECIDED = 255


def run(*arguments: object, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    code = main(["run", *map(str, arguments), "--json", "--quiet"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    content: dict[str, Any] = json.loads(captured.out)
    return content


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(1)


def grid_of(path: Path) -> tuple[Any, ...]:
    with rasterio.open(path) as file:
        return file.crs, file.transform, file.shape


def check_maps(out: Path, scene: Path, content: dict[str, Any]) -> None:
    """Maps on the scene's own grid, same no-data in both, areas that add up to the ground that was seen."""
    clusters, landcover = read(out / "clusters.tif"), read(out / "landcover.tif")
    assert grid_of(out / "clusters.tif") == grid_of(out / "landcover.tif") == grid_of(scene)
    assert np.array_equal(clusters == 0, landcover == 0)
    assert set(np.unique(landcover)) <= {0, UNDECIDED, *CODES}
    assert set(np.unique(clusters)) - {0} == set(range(1, 13))
    cards = json.loads((out / "clusters.json").read_text("utf-8"))
    assert [card["pixels"] for card in cards] == [int((clusters == card["cluster"]).sum()) for card in cards]
    legend = json.loads((out / "legend.json").read_text("utf-8"))
    for entry in legend["entries"]:
        code = UNDECIDED if entry["code"] is None else entry["code"]
        assert np.unique(landcover[clusters == entry["cluster"]]).tolist() == [code]
    about = content["scene"]
    assert about["valid_percent"] == pytest.approx(100 * np.mean(clusters != 0), abs=1e-3)
    seen_ha = 100 * about["area_km2"] * about["valid_percent"] / 100
    assert sum(card["area_ha"] for card in cards) == pytest.approx(seen_ha, rel=2e-3)  # rows differ in geographic grids


def metrics(reference: np.ndarray, mapped: np.ndarray) -> dict[str, float]:
    """The four figures by scikit-learn, over the classes that occur in either map."""
    codes = sorted({*np.unique(reference).tolist(), *np.unique(mapped).tolist()} - {UNDECIDED})
    return {
        "overall": float(np.mean(reference == mapped)),
        "kappa": cohen_kappa_score(reference, mapped) if len({*reference.tolist(), *mapped.tolist()}) > 1 else None,
        "macro_f1": f1_score(reference, mapped, labels=codes, average="macro", zero_division=0),
        "miou": jaccard_score(reference, mapped, labels=codes, average="macro", zero_division=0),
    }


def expected_reference(place: Path) -> np.ndarray:
    """The reference in WorldCover codes, straight from the two files."""
    about = json.loads((place / "about.json").read_text("utf-8"))["reference"]["to_worldcover"]
    table = np.zeros(256, dtype=np.uint8)
    for code, to in about.items():
        table[int(code)] = to
    return table[read(place / "reference.tif")]


@pytest.mark.parametrize("name", COMPARED)
def test_a_scene_with_a_reference(name, real_data, tmp_path, capsys):
    place, out = real_data / name, tmp_path / "out"
    content = run(
        place / "scene.tif", "--reference", place / "reference.tif", "--reference-map", place / "about.json",
        "--out", out, capsys=capsys,
    )  # fmt: skip
    about = json.loads((place / "about.json").read_text("utf-8"))
    assert content["scene"]["radiometry"]["offset"] == pytest.approx(about["offset_needed_dn"] / 10_000)
    check_maps(out, place / "scene.tif", content)

    report = json.loads((out / "agreement.json").read_text("utf-8"))
    clusters, landcover = read(out / "clusters.tif"), read(out / "landcover.tif")
    reference = expected_reference(place)
    assert grid_of(place / "reference.tif") == grid_of(place / "scene.tif"), "else this oracle would have to warp"
    assert np.array_equal(read(out / "reference.tif"), reference)
    both = (landcover != 0) & (reference != 0)
    assert report["n"] == both.sum()
    assert report["coverage"] == pytest.approx(both.mean(), abs=1e-12)
    for figure, value in metrics(reference[both], landcover[both]).items():
        assert report[figure] == pytest.approx(value, abs=1e-9), figure
    codes = report["confusion"]["codes"]
    counted = confusion_matrix(reference[both], landcover[both], labels=[*codes, UNDECIDED])
    assert np.array_equal(counted[:-1, :-1], report["confusion"]["matrix"])
    assert np.array_equal(counted[:-1, -1], report["confusion"]["undecided"])

    best = np.zeros(256, dtype=np.uint8)
    for cluster in np.unique(clusters[both]):
        best[cluster] = np.bincount(reference[both & (clusters == cluster)]).argmax()
    for figure, value in metrics(reference[both], best[clusters[both]]).items():
        assert report["ceiling"][figure] == pytest.approx(value, abs=1e-9), figure
    assert report["ceiling"]["overall"] >= report["overall"]
    assert {row["code"]: row["support"] for row in report["classes"]} == dict(
        zip(codes, counted[:-1].sum(axis=1).tolist(), strict=True)
    )


@pytest.mark.parametrize("name", ALONE)
def test_a_scene_without_a_reference(name, real_data, tmp_path, capsys):
    path, *options = (real_data / part if not part.startswith("--") else part for part in ALONE[name])
    out = tmp_path / "out"
    content = run(path, *options, "--out", out, capsys=capsys)
    scene = path / "B02.tif" if path.is_dir() else path
    check_maps(out, scene, content)
    assert not (out / "agreement.json").exists()
    assert content["scene"]["radiometry"]["offset"] == 0
    if name == "ireland":  # nothing that the classification calls cloud, shadow or no data is mapped
        hidden = np.isin(read(real_data / "ireland-60m/scl.tif"), [0, 1, 3, 8, 9, 10])
        assert 0.05 < hidden.mean() < 0.95
        assert not read(out / "landcover.tif")[hidden].any()


@pytest.mark.parametrize("name", [*COMPARED, *ALONE])
def test_info(name, real_data, capsys):
    path, *options = ALONE.get(name, (f"{name}/scene.tif",))
    options = [real_data / part if not part.startswith("--") else part for part in options]
    assert main(["info", *map(str, (real_data / path, *options)), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    grid = load_scene(real_data / path).grid
    assert (content["height"], content["width"]) == tuple(grid.shape)
    assert content["radiometry"]["rule"] == "pixel check"
    assert (content["scl"] is not None) == (name == "ireland")


def test_the_same_figures_with_a_scheme_of_fewer_classes(real_data, tmp_path, capsys):
    """`main` and `nlcd4` against a map in other codes: translated twice, once per file and once per scheme."""
    place = real_data / "chile"
    for scheme, table in {
        "main": {10: 2, 20: 2, 30: 2, 40: 2, 50: 3, 60: 4, 70: 5, 80: 1, 90: 2, 95: 2, 100: 2},
        "nlcd4": {10: 4, 40: 8, 50: 2, 80: 1},
    }.items():
        out = tmp_path / scheme
        content = run(
            place / "scene.tif", "--reference", place / "reference.tif", "--reference-map", place / "about.json",
            "--scheme", scheme, "--out", out, capsys=capsys,
        )  # fmt: skip
        expected = np.zeros(256, dtype=np.uint8)
        expected[list(table)] = list(table.values())
        reference, landcover = expected[expected_reference(place)], read(out / "landcover.tif")
        assert np.array_equal(read(out / "reference.tif"), reference)
        both = (landcover != 0) & (reference != 0)
        assert content["agreement"]["n"] == both.sum()
        assert content["agreement"]["overall"] == pytest.approx(np.mean(reference[both] == landcover[both]), abs=1e-12)


def test_the_published_worldcover_tile_as_the_reference(real_data, tmp_path, capsys):
    """A made-up scene on São Tomé: only its place is real. Against rasterio's own nearest-neighbour warp."""
    tile = real_data / "worldcover/ESA_WorldCover_10m_2021_v200_N00E006_Map.tif"
    transform, shape = Affine(10, 0, 224_000, 0, -10, 24_000), (260, 240)
    stripes = np.arange(240) // 60
    numbers = (200 + 700 * stripes * np.arange(1, 11)[:, None, None] / 10).astype(np.uint16)
    profile = {"driver": "GTiff", "count": 10, "height": 260, "width": 240, "dtype": "uint16", "crs": "EPSG:32632"}
    with rasterio.open(tmp_path / "scene.tif", "w", transform=transform, **profile) as file:
        file.write(np.broadcast_to(numbers, (10, *shape)))
        file.descriptions = method_bands()
    content = run(
        tmp_path / "scene.tif", "--reference", tile, "--k", 4, "--out", tmp_path / "out", capsys=capsys
    )  # fmt: skip
    expected = np.zeros(shape, dtype=np.uint8)
    with rasterio.open(tile) as file:
        reproject(
            rasterio.band(file, 1), expected, dst_transform=transform, dst_crs="EPSG:32632",
            resampling=Resampling.nearest, tolerance=0,
        )  # fmt: skip
    found = read(tmp_path / "out/reference.tif")
    assert len(np.unique(expected)) >= 4
    assert np.mean(found != expected) < 1e-3  # pixels whose centres lie on a border of the tile's pixels
    report = content["agreement"]
    assert report["n"] == np.count_nonzero(found)
    assert report["reference"]["year"] == 2021
    assert "76.7 %" in report["caution"]
    assert "© ESA WorldCover project 2021" in report["reference"]["attribution"]


def test_gdal_shows_palette_names_and_table(real_data, tmp_path, capsys):
    if shutil.which("gdalinfo") is None:
        pytest.skip("gdalinfo is not installed")
    run(real_data / "chile/scene.tif", "--out", tmp_path, capsys=capsys)
    for name, shown in {"landcover.tif": ["Tree cover", "Cropland"], "clusters.tif": ["1: ", "12: "]}.items():
        done = subprocess.run(
            ["gdalinfo", "-json", tmp_path / name], capture_output=True, text=True, check=True, timeout=60
        )
        content = json.loads(done.stdout)
        (band,) = content["bands"]
        assert content["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"] == "COG"
        assert band["colorInterpretation"] == "Palette"
        assert band["noDataValue"] == 0
        named = {code: text for code, text in enumerate(band["categories"]) if text}
        assert all(any(text in category for category in named.values()) for text in shown)
        codes = read(tmp_path / name)
        text = subprocess.run(["gdalinfo", tmp_path / name], capture_output=True, text=True, check=True).stdout
        table = ET.fromstring(text[text.index("<GDALRasterAttributeTable") :])
        rows = [[cell.text for cell in row.findall("F")] for row in table.findall("Row")]
        assert {int(row[0]): int(row[1]) for row in rows} == {code: int((codes == code).sum()) for code in named}
        assert {int(row[0]): row[2] for row in rows} == named
        with rasterio.open(tmp_path / name) as file:
            palette = file.colormap(1)
        if name == "landcover.tif":
            assert named == {**{cls.code: cls.name for cls in load_scheme("worldcover").classes}, 255: "Not decided"}
            assert all(palette[cls.code][:3] == cls.rgb for cls in load_scheme("worldcover").classes)
        else:
            assert len({palette[code] for code in named}) == len(named) == 12
