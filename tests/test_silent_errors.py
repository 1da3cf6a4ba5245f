"""What goes wrong without a word: shifts by half a pixel, the offset forgotten, no-data scored, chance in the map.

The scenes are small files; what the command line writes about them is checked against figures computed here otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.warp import reproject
from scipy.ndimage import zoom

from s2dash import parallel
from s2dash.bands import method_bands
from s2dash.cli.main import main
from s2dash.export.cog import write_class_cog
from s2dash.export.scene import write_scene
from s2dash.schemes import load_scheme
from s2dash.simulation import simulate_scene

SIDE = 120
CORNER = Affine(10, 0, 600_000, 0, -10, 5_000_000)
SPECTRA = {  # reflectance x 10000 in the ten bands, as published for such ground; each is named by the rules
    80: [300, 280, 160, 120, 110, 110, 100, 100, 60, 40],
    10: [250, 450, 280, 700, 2300, 2900, 3100, 3300, 1500, 700],
    50: [1500, 1600, 1700, 1800, 1900, 1950, 2000, 2050, 2250, 2100],
    70: [9000, 8900, 8800, 8800, 8700, 8600, 8500, 8400, 1000, 800],
}


def patches(seed: int = 1) -> np.ndarray:
    """Ragged patches of four materials, no straight borders: index 0-3."""
    field = np.random.default_rng(seed).normal(size=(4, 12, 12))
    return np.argmax([zoom(layer, SIDE / 12, order=1) for layer in field], axis=0)


def write(path: Path, array: np.ndarray, *, transform: Affine = CORNER, crs: str = "EPSG:32633") -> Path:
    array = array if array.ndim == 3 else array[None]
    profile = {"count": len(array), "height": array.shape[1], "width": array.shape[2], "dtype": array.dtype.name}
    with rasterio.open(path, "w", driver="GTiff", transform=transform, crs=crs, nodata=0, **profile) as file:
        file.write(array)
        if len(array) == 10:
            file.descriptions = method_bands()
    return path


def numbers_of(where: np.ndarray) -> np.ndarray:
    spectra = np.array(list(SPECTRA.values()))
    noise = np.random.default_rng(3).integers(-15, 16, (10, *where.shape))
    return np.asarray(spectra[where].transpose(2, 0, 1) + noise, dtype=np.uint16)


@pytest.fixture
def where() -> np.ndarray:
    return patches()


@pytest.fixture
def scene(tmp_path, where) -> Path:
    return write(tmp_path / "scene.tif", numbers_of(where))


@pytest.fixture
def run(tmp_path, capsys) -> Callable[..., dict[str, Any]]:
    def call(*arguments: object, out: str = "out", k: int = 4) -> dict[str, Any]:
        options = ["--k", k, "--out", tmp_path / out, "--json", "--quiet"]
        code = main(["run", *map(str, (*arguments, *options))])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return dict(json.loads(captured.out))

    return call


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(1)


# --- where the reference lies


@pytest.fixture
def mapped(run, scene, tmp_path) -> np.ndarray:
    """The map itself, which stands in for a reference that would agree everywhere."""
    run(scene, out="first")
    codes = read(tmp_path / "first/landcover.tif")
    assert len(np.unique(codes)) == 4
    assert codes.min() > 0
    assert codes.max() < 255
    return codes


@pytest.mark.parametrize(("right", "down"), [(0, 0), (1, 0), (0, 1), (-2, 3)])
def test_a_reference_shifted_by_whole_pixels(right, down, run, scene, mapped, tmp_path):
    path = write(tmp_path / "map.tif", mapped, transform=CORNER @ Affine.translation(right, down))
    report = run(scene, "--reference", path)["agreement"]
    shifted = np.zeros_like(mapped)
    rows, cols = np.mgrid[:SIDE, :SIDE]
    inside = (rows >= down) & (rows < SIDE + down) & (cols >= right) & (cols < SIDE + right)
    shifted[inside] = mapped[rows[inside] - down, cols[inside] - right]
    assert np.array_equal(read(tmp_path / "out/reference.tif"), shifted)
    assert report["n"] == inside.sum()
    assert report["overall"] == pytest.approx(np.mean(shifted[inside] == mapped[inside]), abs=1e-12)
    assert (report["overall"] == 1.0) == (right == down == 0)


@pytest.mark.parametrize(("share", "moves"), [(0.4, {0}), (0.5, {0, 1}), (0.6, {1}), (-0.4, {0}), (-0.6, {-1})])
def test_a_reference_shifted_by_part_of_a_pixel(share, moves, run, scene, mapped, tmp_path):
    """Each pixel takes the class its centre lies in; on a border either neighbour will do, but the same everywhere."""
    path = write(tmp_path / "map.tif", mapped, transform=CORNER @ Affine.translation(share, 0))
    run(scene, "--reference", path)
    found = read(tmp_path / "out/reference.tif")[:, 2:-2]
    assert any(np.array_equal(found, np.roll(mapped, move, axis=1)[:, 2:-2]) for move in moves)


@pytest.mark.parametrize(
    ("crs", "pixel"), [("EPSG:32634", 20.0), ("EPSG:3035", 30.0), ("EPSG:4326", 1 / 4000), ("EPSG:3857", 20.0)]
)
def test_a_coarser_reference_in_other_coordinates(crs, pixel, run, scene, mapped, tmp_path):
    """Two oracles: GDAL's exact warp, and each pixel's centre taken through PROJ."""
    rows, cols = np.mgrid[:SIDE, :SIDE] + 0.5
    x, y = Transformer.from_crs("EPSG:32633", crs, always_xy=True).transform(*(CORNER @ (cols, rows)))
    width, height = int(np.ptp(x) / pixel) - 3, int(np.ptp(y) / pixel) - 3  # it does not reach all of the scene
    transform = Affine(pixel, 0, x.min() + 0.3 * pixel, 0, -pixel, y.max() - 0.7 * pixel)
    coarse = np.random.default_rng(2).choice(np.array([10, 40, 50, 80], np.uint8), (height, width))
    path = write(tmp_path / "map.tif", coarse, transform=transform, crs=crs)
    report = run(scene, "--reference", path)["agreement"]
    found = read(tmp_path / "out/reference.tif")

    by_gdal = np.zeros_like(found)
    reproject(
        coarse, by_gdal, src_transform=transform, src_crs=crs, dst_transform=CORNER, dst_crs="EPSG:32633",
        resampling=Resampling.nearest, tolerance=0,
    )  # fmt: skip
    assert np.mean(found != by_gdal) < 2e-3

    col, row = ~transform @ (x, y)
    clear_of_borders = (np.abs(col - np.rint(col)) > 0.01) & (np.abs(row - np.rint(row)) > 0.01)
    inside = (row > 0) & (row < height) & (col > 0) & (col < width)
    checked = inside & clear_of_borders
    assert 0.5 < checked.mean() < 1
    assert not found[~inside & clear_of_borders].any()
    assert np.array_equal(
        found[checked], coarse[np.floor(row[checked]).astype(int), np.floor(col[checked]).astype(int)]
    )
    assert report["overall"] == pytest.approx(np.mean(found[found > 0] == mapped[found > 0]), abs=1e-12)


# --- the offset


@pytest.mark.parametrize("indices", ["NDVI,NDWI,NDBI", "none"])
def test_the_offset_makes_no_difference_where_it_is_found(indices, run, scene, where, tmp_path):
    shifted = write(tmp_path / "shifted.tif", numbers_of(where) + np.uint16(1000))
    plain = run(scene, "--indices", indices, out="plain")
    other = run(shifted, "--indices", indices, out="shifted")
    assert plain["scene"]["radiometry"]["offset"] == 0
    assert other["scene"]["radiometry"]["offset"] == -0.1
    for name in ("clusters.tif", "landcover.tif"):
        assert np.array_equal(read(tmp_path / "plain" / name), read(tmp_path / "shifted" / name))
    cards = [json.loads((tmp_path / out / "clusters.json").read_text("utf-8")) for out in ("plain", "shifted")]
    for one, two in zip(*cards, strict=True):
        assert one["indices"] == pytest.approx(two["indices"], abs=1e-5)
        assert one["median"] == pytest.approx(two["median"], abs=1e-6)


def test_the_offset_given_wrongly_changes_the_indices(run, scene, where, tmp_path):
    """So the test above can fail."""
    run(scene, out="plain")
    run(scene, "--offset", "-0.02", out="wrong")
    cards = [json.loads((tmp_path / out / "clusters.json").read_text("utf-8")) for out in ("plain", "wrong")]
    assert any(abs(one["indices"]["NDVI"] - two["indices"]["NDVI"]) > 0.05 for one, two in zip(*cards, strict=True))


def test_a_real_scene_with_the_shift_put_in(real_data, run, tmp_path):
    with rasterio.open(real_data / "poland/scene.tif") as file:
        profile, numbers, names = file.profile, file.read(), file.descriptions
    numbers = np.where(numbers > 0, numbers + 1000, 0).astype(np.uint16)
    with rasterio.open(tmp_path / "shifted.tif", "w", **profile | {"dtype": "uint16"}) as file:
        file.write(numbers)
        file.descriptions = names
    plain = run(real_data / "poland/scene.tif", out="plain", k=12)
    shifted = run(tmp_path / "shifted.tif", out="shifted", k=12)
    assert shifted["scene"]["radiometry"]["offset"] == pytest.approx(plain["scene"]["radiometry"]["offset"] - 0.1)
    same = read(tmp_path / "plain/clusters.tif") == read(tmp_path / "shifted/clusters.tif")
    assert same.mean() > 0.999  # float rounding may move a pixel that lies on a border between clusters


# --- what is scored


def test_masked_pixels_and_no_data_are_never_scored(run, scene, where, tmp_path):
    """Beneath clouds and outside either map, whatever stands there."""
    numbers = numbers_of(where)
    numbers[:, :10] = 0
    scl = np.full((SIDE, SIDE), 4, np.uint8)
    scl[20:50, 30:90] = 9
    scl[60:70] = 3
    codes = np.array(list(SPECTRA), dtype=np.uint8)[where]
    codes[80:90] = 0
    codes[90:95] = 255
    content = run(
        write(tmp_path / "gaps.tif", numbers), "--scl", write(tmp_path / "scl.tif", scl),
        "--reference", write(tmp_path / "map.tif", codes),
    )  # fmt: skip
    valid = (numbers != 0).all(axis=0) & (scl == 4)
    compared = valid & (codes != 0) & (codes != 255)
    landcover = read(tmp_path / "out/landcover.tif")
    assert np.array_equal(landcover != 0, valid)
    report = content["agreement"]
    assert (
        report["n"]
        == compared.sum()
        == sum(map(sum, report["confusion"]["matrix"])) + sum(report["confusion"]["undecided"])
    )
    assert report["overall"] == pytest.approx(np.mean(landcover[compared] == codes[compared]), abs=1e-12)
    assert report["coverage"] == pytest.approx(compared.mean(), abs=1e-12)
    assert report["no_map"] == pytest.approx(1 - valid.mean(), abs=1e-12)
    assert content["scene"]["clear_percent"] == pytest.approx(
        100 * valid.sum() / (numbers != 0).all(axis=0).sum(), abs=1e-3
    )


def test_clusters_that_nobody_named_count_as_disagreement(run, where, tmp_path):
    """A spectrum of nothing on Earth: the rules must not guess, and must not gain by it."""
    numbers = numbers_of(where)
    odd = where == 3
    numbers[:, odd] = np.array([300, 9000, 9000, 300, 300, 300, 300, 300, 9000, 9000], np.uint16)[:, None]
    codes = np.array(list(SPECTRA), dtype=np.uint8)[where]
    content = run(write(tmp_path / "odd.tif", numbers), "--reference", write(tmp_path / "map.tif", codes))
    landcover = read(tmp_path / "out/landcover.tif")
    assert np.array_equal(landcover == 255, odd)
    report = content["agreement"]
    assert content["queue"]
    assert report["n"] == SIDE * SIDE
    assert sum(report["confusion"]["undecided"]) == odd.sum()
    assert report["overall"] == pytest.approx(1 - odd.mean(), abs=1e-12)
    assert report["ceiling"]["overall"] == 1.0


@pytest.mark.parametrize("scheme", ["main", "nlcd4"])
def test_a_map_in_fewer_classes_against_worldcover(scheme, run, scene, where, tmp_path):
    table = {"main": {80: 1, 10: 2, 50: 3, 70: 5}, "nlcd4": {80: 1, 10: 4, 50: 2, 70: 0}}[scheme]
    codes = np.array(list(SPECTRA), dtype=np.uint8)[where]
    reference = np.array(list(table.values()), dtype=np.uint8)[where]
    content = run(scene, "--scheme", scheme, "--reference", write(tmp_path / "map.tif", codes))
    landcover = read(tmp_path / "out/landcover.tif")
    assert np.array_equal(read(tmp_path / "out/reference.tif"), reference)
    assert set(np.unique(landcover)) <= {0, 255, *load_scheme(scheme).codes}
    report = content["agreement"]
    compared = reference != 0  # nlcd4 has no snow: it is in no class, and not scored
    assert report["n"] == compared.sum()
    assert report["overall"] == np.mean(landcover[compared] == reference[compared]) == 1.0
    assert not report["reference"]["unknown"]


# --- chance


def test_the_same_call_writes_the_same_maps_byte_for_byte(run, tmp_path, monkeypatch):
    """Over several blocks, whatever the number of threads."""
    where = np.tile(patches(), (5, 6))
    numbers = numbers_of(where) + np.random.default_rng(0).integers(0, 400, (10, *where.shape)).astype(np.uint16)
    path = write(tmp_path / "wide.tif", numbers)
    maps = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(parallel, "workers", lambda threads=threads: threads)
        run(path, "--texture", "3", "--seed", "4", "--sample", "20000", out=f"{len(maps)}", k=9)
        folder = tmp_path / f"{len(maps)}"
        maps.append([(folder / name).read_bytes() for name in ("clusters.tif", "landcover.tif", "clusters.json")])
    assert maps[0] == maps[1] == maps[2]
    run(path, "--texture", "3", "--seed", "5", "--sample", "20000", out="other", k=9)
    assert (tmp_path / "other/clusters.tif").read_bytes() != maps[0][0]


# --- simulated is said


def test_what_is_simulated_says_so_everywhere(run, tmp_path, capsys):
    simulated = simulate_scene(size=96, seed=2, cloud_share=0.1)
    write_scene(simulated.scene, tmp_path / "scene.tif")
    scheme = load_scheme("worldcover")
    write_class_cog(
        tmp_path / "truth.tif",
        simulated.truth(),
        grid=simulated.scene.grid,
        names={cls.code: cls.name for cls in scheme.classes},
        colours={cls.code: cls.colour for cls in scheme.classes},
    )
    content = run(tmp_path / "scene.tif", "--reference", tmp_path / "truth.tif")
    assert content["scene"]["simulated"] is True
    assert content["scene"]["kind"] == "simulated"
    record = json.loads((tmp_path / "out/run.json").read_text("utf-8"))
    assert record["scene"]["simulated"] is True
    for name in ("clusters.tif", "landcover.tif", "reference.tif"):
        with rasterio.open(tmp_path / "out" / name) as file:
            assert "not a real place" in file.tags()["SIMULATED"], name
    for command in (["run", "--k", "4", "--out", str(tmp_path / "again")], ["info"]):
        assert main([command[0], str(tmp_path / "scene.tif"), *command[1:], "--quiet"]) == 0
        assert "simulated" in capsys.readouterr().out.lower()
    assert run("simulated:size=64", out="direct")["scene"]["simulated"] is True


def test_what_is_real_is_not_called_simulated(run, scene, tmp_path, capsys):
    assert run(scene)["scene"]["simulated"] is False
    with rasterio.open(tmp_path / "out/landcover.tif") as file:
        assert "SIMULATED" not in file.tags()
    assert main(["run", str(scene), "--k", "4", "--out", str(tmp_path / "again"), "--quiet"]) == 0
    assert "simulated" not in capsys.readouterr().out.lower()
