"""Bad input through the command line: a clear error, nothing lost, nothing half-written.

Every failure is looked at in the same way (`refused`): exit code 1, one error that says what and what to do, the same
as JSON, no traceback, and the folder of the results as it was before, down to the byte.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine

from s2dash.bands import method_bands
from s2dash.cli import main as cli
from s2dash.cli.main import TRACEBACK, main
from s2dash.export.folder import LOCK_NAME, output_folder
from s2dash.export.run_files import RUN_FILES

ROOT = Path(__file__).resolve().parents[1]
TEN = method_bands()
CORNER = Affine(10, 0, 600_000, 0, -10, 5_000_000)
STRIPES = (np.arange(64) // 16)[None].repeat(64, axis=0)
"""Which of four stripes each pixel of the test scene is in, 0-3."""
CLASSES = np.array([10, 40, 50, 80], dtype=np.uint8)[STRIPES]
"""A reference map of the four stripes, WorldCover codes."""


def write(
    path: Path,
    array: np.ndarray,
    *,
    names: Sequence[str] | None = None,
    crs: str | None = "EPSG:32633",
    transform: Affine = CORNER,
    **more: Any,
) -> Path:
    array = array if array.ndim == 3 else array[None]
    count, height, width = array.shape
    profile = {"count": count, "height": height, "width": width, "dtype": array.dtype.name, "crs": crs}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", driver="GTiff", transform=transform, **profile, **more) as file:
        file.write(array)
        for index, name in enumerate(names or (), start=1):
            file.set_band_description(index, name)
    return path


@pytest.fixture
def numbers() -> np.ndarray:
    """Digital numbers of ten bands on 64 x 64 pixels: four stripes, far apart from each other."""
    rng = np.random.default_rng(5)
    spectra = 200 + 900 * rng.permuted(np.tile(np.arange(4), (10, 1)), axis=1)
    return (spectra[:, STRIPES] + rng.integers(0, 30, (10, 64, 64))).astype(np.uint16)


@pytest.fixture
def scene(tmp_path, numbers) -> Path:
    return write(tmp_path / "scene.tif", numbers, names=TEN, nodata=0)


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def run(out, capsys) -> Callable[..., tuple[int, dict[str, Any], str]]:
    """`run … --k 4 --out results --json`: exit code, what was printed as JSON, standard error."""

    def call(*arguments: object, k: int = 4, to: Path = out) -> tuple[int, dict[str, Any], str]:
        options = ["--k", k, "--out", to, "--json", "--quiet"]
        code = main(["run", *(str(argument) for argument in (*arguments, *options))])
        captured = capsys.readouterr()
        return code, json.loads(captured.out), captured.err

    return call


@pytest.fixture
def refused(run, out) -> Callable[..., str]:
    """A run that must be refused and leave no trace; its error."""

    def call(*arguments: object, k: int = 4, to: Path = out) -> str:
        before = content(to)
        code, said, err = run(*arguments, k=k, to=to)
        assert code == 1
        assert list(said) == ["error"]
        assert err.encode() == f"error: {said['error']}\n".encode(errors="backslashreplace")
        assert "did not foresee" not in err, err
        assert content(to) == before
        assert to.exists() == (before is not None), "a folder was left behind"
        return str(said["error"])

    return call


def content(folder: Path) -> dict[str, bytes] | None:
    """Every file under a folder, hidden ones too, byte for byte."""
    if not folder.is_dir():
        return None
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def labels(folder: Path, name: str = "clusters.tif") -> np.ndarray:
    with rasterio.open(folder / name) as file:
        return file.read(1)


# --- the scene


@pytest.mark.parametrize(
    ("name", "bytes_", "says"),
    [
        ("nothing.tif", None, "Check the spelling"),
        ("notes.tif", b"not a raster at all", "not a raster"),
        ("product.zip", b"PK\x03\x04", "Unpack it"),
        ("empty.tif", b"", "0 bytes"),
        ("a folder/readme.txt", b"bands elsewhere", "holds no GeoTIFF or JP2"),
    ],
)
def test_not_a_raster(name, bytes_, says, refused, tmp_path):
    path = tmp_path / name
    if bytes_ is not None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes_)
    given = path.parent if "/" in name else path
    said = refused(given)
    assert str(given) in said
    assert says in said


def test_no_coordinate_system(refused, tmp_path, numbers):
    said = refused(write(tmp_path / "lost.tif", numbers, names=TEN, crs=None))
    assert "lost.tif has no coordinate system" in said
    assert "gdal_edit.py -a_srs" in said


def test_coordinates_that_are_not_on_earth(refused, tmp_path, numbers):
    beyond = Affine(1e-4, 0, 30, 0, -1e-4, 95)
    said = refused(write(tmp_path / "pole.tif", numbers, names=TEN, crs="EPSG:4326", transform=beyond))
    assert "pole.tif cannot be turned into longitude and latitude" in said


def test_one_band(refused, tmp_path, numbers):
    assert "has one band" in refused(write(tmp_path / "one.tif", numbers[:1], names=["B02"]))


@pytest.mark.parametrize("filled", ["zeros", "declared", "nan"])
def test_all_no_data(filled, refused, tmp_path, numbers):
    values, more = {
        "zeros": (np.zeros_like(numbers), {}),
        "declared": (np.full_like(numbers, 7), {"nodata": 7}),
        "nan": (np.full(numbers.shape, np.nan, np.float32), {}),
    }[filled]
    said = refused(write(tmp_path / "blank.tif", values, names=TEN, **more))
    assert "blank has no pixel with data" in said
    assert "choose another date" in said


def test_all_cloud(refused, run, tmp_path, numbers, scene):
    clouds = write(tmp_path / "scl.tif", np.full((64, 64), 9, np.uint8))
    said = refused(scene, "--scl", clouds)
    assert "no valid pixel" in said
    assert "Choose another date" in said
    snow = write(tmp_path / "snow.tif", np.full((64, 64), 11, np.uint8))
    assert "loosen the mask" in refused(scene, "--scl", snow, "--mask-snow")
    assert run(scene, "--scl", snow)[0] == 0


@pytest.mark.parametrize("count", [2, 4, 10, 12])
def test_bands_without_names_and_what_the_error_says_to_do(count, refused, run, tmp_path, numbers):
    path = write(tmp_path / "nameless.tif", np.resize(numbers, (count, 64, 64)))
    said = refused(path)
    assert f"which Sentinel-2 band each of its {count} bands is" in said
    advice = re.search(r"--bands (\S+)", said)
    assert advice is not None
    code, content, err = run(path, "--bands", advice[1], "--indices", "none")
    assert code == 0, err
    named = [name for name in advice[1].split(",") if name != "-"]
    assert len(advice[1].split(",")) == count
    assert sorted(content["scene"]["bands"]) == sorted(named)


def test_names_go_to_the_bands_they_are_given_for(run, tmp_path, numbers, scene, out):
    shuffled = [3, 1, 0, 2, 9, 8, 7, 6, 5, 4]
    path = write(tmp_path / "nameless.tif", numbers[shuffled])
    assert run(path, "--bands", ",".join(TEN[index] for index in shuffled))[0] == 0
    assert run(scene, to=tmp_path / "named")[0] == 0
    assert np.array_equal(labels(out), labels(tmp_path / "named"))


@pytest.mark.parametrize("given", ["B02,B03", "B02,B02,B04,B05,B06,B07,B08,B8A,B11,B12", "B02,B03,B04,red,x,-,-,-,-,-"])
def test_band_names_that_make_no_sense(given, refused, tmp_path, numbers):
    path = write(tmp_path / "nameless.tif", numbers)
    assert refused(path, "--bands", given)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_reflectance_is_accepted_and_its_scale_found(dtype, run, tmp_path, numbers, scene, out):
    path = write(tmp_path / "reflectance.tif", (numbers / 10_000).astype(dtype), names=TEN)
    code, content, _ = run(path)
    assert code == 0
    assert content["scene"]["radiometry"]["scale"] == 1.0
    assert content["scene"]["radiometry"]["offset"] == 0.0
    run(scene, to=tmp_path / "integers")
    assert np.array_equal(labels(out), labels(tmp_path / "integers"))


def test_nan_and_infinity_are_no_data(run, tmp_path, numbers, out):
    values = (numbers / 10_000).astype(np.float32)
    values[:, :8] = np.nan
    values[3, 20, 20:30] = np.inf
    values[4, 21, 20:30] = -np.inf
    code, content, _ = run(write(tmp_path / "holes.tif", values, names=TEN))
    assert code == 0
    holes = ~np.isfinite(values).all(axis=0)
    assert np.array_equal(labels(out) == 0, holes)
    assert np.array_equal(labels(out, "landcover.tif") == 0, holes)
    assert content["scene"]["filled_percent"] == pytest.approx(100 * (1 - holes.mean()), abs=1e-3)


@pytest.mark.parametrize(
    ("fill", "dtype"),
    [(-9999, np.int16), (-32768, np.int16), (-9999.0, np.float32), (-3.4028235e38, np.float32), (1e20, np.float64)],
)
def test_a_fill_value_that_nobody_declared_does_not_drown_the_scene(fill, dtype, run, tmp_path, numbers, out):
    """Beside -3.4e38 every other pixel looks the same: all would fall into one cluster, without a word."""
    values = numbers.astype(dtype) if np.issubdtype(dtype, np.integer) else (numbers / 10_000).astype(dtype)
    values[:, :4] = fill
    assert run(write(tmp_path / "filled.tif", values, names=TEN))[0] == 0
    found = labels(out)
    assert not found[:4].any()
    assert len({tuple(np.unique(found[4:][STRIPES[4:] == stripe])) for stripe in range(4)}) == 4


def test_more_clusters_than_distinct_pixels(refused, run, tmp_path):
    stripes = np.array([300, 1200, 2100, 3000], np.uint16)[STRIPES]
    path = write(tmp_path / "few.tif", np.repeat(stripes[None], 10, axis=0), names=TEN)
    said = refused(path, k=5)
    assert "4 distinct" in said
    assert "Choose K = 4 or less" in said
    assert run(path, k=4)[0] == 0


def test_a_constant_image(refused, tmp_path):
    path = write(tmp_path / "flat.tif", np.full((10, 64, 64), 1234, np.uint16), names=TEN)
    assert "constant" in refused(path)


def test_one_constant_band_is_no_harm(run, tmp_path, numbers, out):
    numbers[9] = 500
    assert run(write(tmp_path / "dull.tif", numbers, names=TEN))[0] == 0
    assert len(np.unique(labels(out))) == 4


@pytest.mark.parametrize("share", [0.001, 0.5, 0.95])
def test_a_truncated_file(share, refused, tmp_path, numbers, scene):
    """A COG has its header in front: what is cut off is found out only when that part is read."""
    rasterio.shutil.copy(scene, tmp_path / "whole.tif", driver="COG")
    whole = (tmp_path / "whole.tif").read_bytes()
    cut = tmp_path / "cut.tif"
    cut.write_bytes(whole[: int(len(whole) * share)])
    assert "cut.tif" in refused(cut)


def test_damage_in_the_last_block_is_met_and_leaves_the_earlier_result(run, refused, tmp_path, numbers, scene, out):
    """The beginning is read, sampled and clustered before the damage shows."""
    assert run(scene)[0] == 0
    wide = np.tile(numbers, (1, 20, 20))
    path = write(tmp_path / "wide.tif", wide, names=TEN, tiled=True, blockxsize=256, blockysize=256, compress="deflate")
    rasterio.shutil.copy(path, tmp_path / "cog.tif", driver="COG", compress="DEFLATE", overviews="NONE")
    damaged = bytearray((tmp_path / "cog.tif").read_bytes())
    damaged[-3000:] = b"\x55" * 3000
    (tmp_path / "cog.tif").write_bytes(bytes(damaged))
    said = refused(tmp_path / "cog.tif")
    assert "truncated or damaged" in said


def test_a_name_that_is_no_text(refused, tmp_path, scene):
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/sc\xff\xfene.tif"))
    try:
        shutil.copy(scene, odd)
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    assert "sc\udcff\udcfene.tif" in refused(odd)


def test_a_name_full_of_signs_is_shown_as_it_is(tmp_path, scene, capsys):
    odd = tmp_path / "[bold]ünï[red] :cloud: 100%.tif"
    shutil.copy(scene, odd)
    assert main(["info", str(odd)]) == 0
    assert "[bold]ünï[red] :cloud: 100%" in capsys.readouterr().out


# --- the reference


def test_a_reference_that_does_not_overlap(refused, tmp_path, scene):
    away = write(tmp_path / "away.tif", CLASSES, transform=Affine.translation(100_000, 0) @ CORNER)
    said = refused(scene, "--reference", away)
    assert "does not overlap" in said
    assert "16.27" in said  # where the scene lies
    assert "17.5" in said  # where the reference lies


def test_unknown_codes_are_reported_and_not_scored(run, tmp_path, scene, out):
    with_unknown = CLASSES.copy()
    with_unknown[:10] = 77
    with_unknown[10] = 78
    code, content, _ = run(scene, "--reference", write(tmp_path / "map.tif", with_unknown))
    assert code == 0
    report = content["agreement"]
    assert report["reference"]["unknown"] == {"77": 640, "78": 64}
    assert report["n"] == CLASSES.size - 11 * 64
    assert report["ceiling"]["overall"] == 1.0
    assert "77, 78" in report["caution"]
    assert not labels(out, "reference.tif")[:11].any()
    without = np.where(with_unknown == CLASSES, CLASSES, 0)
    known = run(scene, "--reference", write(tmp_path / "clean.tif", without))[1]
    assert known["agreement"]["confusion"] == report["confusion"]


def test_unknown_codes_are_said_to_people_too(tmp_path, scene, out, capsys):
    strange = write(tmp_path / "map.tif", np.where(STRIPES == 0, 77, CLASSES))
    assert main(["run", str(scene), "--reference", str(strange), "--k", "4", "--out", str(out)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "1024 pixels of the reference have codes that nothing is known of (77)" in text
    assert "Compared on 3,072 pixels, 75 % of the scene" in text


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("unknown", "Every code"),
        ("blank", "holds no data on the scene"),
        ("lost", "no reference system"),
        ("continuous", "whole numbers"),
        ("image", "has 10 bands"),
        ("text", "not a raster"),
        ("cut", "damaged or truncated"),
        ("folder", "it is a folder"),
        ("missing", "no such file"),
    ],
)
def test_a_reference_that_cannot_be_used(name, says, refused, tmp_path, numbers, scene):
    path = tmp_path / f"{name}.tif"
    if name == "text":
        path.write_text("not a raster")
    elif name == "cut":
        write(path, CLASSES)
        path.write_bytes(path.read_bytes()[:-1000])
    elif name == "folder":
        path.mkdir()
    elif name != "missing":
        values = {
            "unknown": np.full_like(CLASSES, 7),
            "blank": np.zeros_like(CLASSES),
            "continuous": CLASSES + np.float32(0.5),
            "image": numbers,
        }.get(name, CLASSES)
        write(path, values, crs=None if name == "lost" else "EPSG:32633")
    said = refused(scene, "--reference", path)
    assert str(path) in said
    assert says in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not a readable JSON"),
        ("[1, 2]", "should hold an object"),
        ('{"1": "water"}', "should hold an object"),
        ('{"1": 81}', "81"),
        ('{"reference": null, "place": "x"}', "should hold an object"),
        ("{}", "should hold an object"),
    ],
)
def test_a_class_map_that_makes_no_sense(text, says, refused, tmp_path, scene):
    (tmp_path / "codes.json").write_text(text)
    reference = write(tmp_path / "map.tif", CLASSES)
    said = refused(scene, "--reference", reference, "--reference-map", tmp_path / "codes.json")
    assert "codes.json" in said
    assert says in said


# --- settings


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--seed", "-1", "seed -1"),
        ("--seed", "99999999999", "seed 99999999999"),
        ("--sample", "0", "1 to 5,000,000"),
        ("--sample", "3", "cannot make 4 clusters"),
        ("--sample", "1000000000", "1 to 5,000,000"),
        ("--texture", "4", "odd number"),
        ("--texture", "99999", "odd number"),
        ("--indices", "NDVI,NDXX", "NDXX"),
        ("--annotators", ",", "No annotator"),
        ("--annotators", "rules,gpt-99", "gpt-99"),
        ("--offset", "-1000", "-0.1"),
        ("--offset", "nan", "nan"),
        ("--scale", "0", "positive"),
        ("--reference-year", "2020", "--reference FILE"),
        ("--name", "../map", "'../map'"),
        ("--name", "a/b", "separates folders"),
        ("--name", "a\\b", "separates folders"),
        ("--name", "..", "means a folder"),
        ("--name", " ", "empty"),
        ("--name", "a\nb", "control character"),
    ],
)
def test_settings_out_of_range(option, value, says, refused, scene):
    assert says in refused(scene, f"{option}={value}")


@pytest.mark.parametrize("k", [-3, 0, 1, 255])
def test_a_number_of_clusters_out_of_range(k, refused, scene):
    assert "between 2 and 254" in refused(scene, k=k)


def test_an_unknown_annotator_is_found_out_before_the_work(refused, scene, monkeypatch):
    def never(*_: object, **__: object) -> None:
        raise AssertionError("pixels were read before the annotators were looked up")

    monkeypatch.setattr("s2dash.run_settings.build_features", never)
    assert "gpt-99" in refused(scene, "--annotators", "gpt-99")


def test_the_name_of_a_run_is_kept(run, scene, out):
    assert run(scene, "--name", " Перша спроба ")[1]["name"] == "Перша спроба"
    assert json.loads((out / "run.json").read_text("utf-8"))["name"] == "Перша спроба"


# --- the folder of the results


def test_a_file_where_the_folder_should_be(refused, tmp_path, scene):
    (tmp_path / "taken").write_text("mine")
    assert "is not a folder" in refused(scene, to=tmp_path / "taken/below")
    assert "is not a folder" in run_error(scene, tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "mine"


def run_error(scene: Path, to: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "s2dash", "run", str(scene), "--k", "4", "--out", str(to), "--json", "--quiet"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return str(json.loads(done.stdout)["error"])


def test_results_of_one_run_never_mix_with_those_of_another(run, tmp_path, scene, out):
    run(scene, "--reference", write(tmp_path / "map.tif", CLASSES))
    assert (out / "agreement.json").is_file()
    (out / "notes.txt").write_text("mine")
    code, said, _ = run(scene)
    assert code == 0
    assert {path.name for path in out.iterdir()} == {*said["files"], "notes.txt"} | {
        f"{name}.aux.xml" for name in said["files"] if name.endswith(".tif")
    }
    assert "agreement.json" not in said["files"]
    assert (out / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", sorted({"scene.tif", *RUN_FILES}))
def test_a_file_of_the_persons_own_is_neither_replaced_nor_removed(name, run, tmp_path, scene):
    """A reference.tif beside the scene, say, with the results to go into the same folder."""
    home = tmp_path / "home"
    home.mkdir()
    (home / name).write_bytes(b"mine")
    code, said, _ = run(scene, to=home)
    assert (code == 0) == (name == "scene.tif")
    assert (home / name).read_bytes() == b"mine"
    if code:
        assert f"holds {name}" in said["error"]
        assert content(home) == {name: b"mine"}


def test_a_reference_put_beside_earlier_results_is_not_replaced(run, refused, tmp_path, scene, out):
    run(scene)
    mine = write(out / "reference.tif", CLASSES)
    assert "holds reference.tif" in refused(scene, "--reference", mine)


def test_the_demo_does_not_replace_a_scene(tmp_path, scene, capsys):
    before = content(tmp_path)
    assert main(["demo", "--size", "64", "--out", str(tmp_path), "--quiet"]) == 1
    assert "holds scene.tif" in capsys.readouterr().err
    assert content(tmp_path) == before


def test_the_demo_can_be_made_again(tmp_path, capsys):
    for _ in range(2):
        assert main(["demo", "--size", "64", "--out", str(tmp_path / "demo"), "--quiet"]) == 0
    (tmp_path / "demo" / "run.json").unlink()  # as if it had been stopped after the scene was written
    for name in RUN_FILES:
        (tmp_path / "demo" / name).unlink(missing_ok=True)
    assert main(["demo", "--size", "64", "--out", str(tmp_path / "demo"), "--quiet"]) == 0


def test_a_second_run_into_the_same_folder_is_refused(run, scene, out):
    with output_folder(out) as staging:
        code, said, _ = run(scene)
        (staging / "theirs.txt").write_text("first")
    assert code == 1
    assert f"process {os.getpid()}" in said["error"]
    assert "choose another folder" in said["error"]
    assert content(out) == {"theirs.txt": b"first"}


def test_two_runs_at_the_same_time_and_the_first_completes(run, tmp_path, numbers, scene, out):
    large = write(tmp_path / "large.tif", np.tile(numbers, (1, 16, 16)), names=TEN)
    command = [sys.executable, "-m", "s2dash", "run", str(large), "--k", "4", "--out", str(out), "--json"]
    first = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert first.stderr is not None
    first.stderr.readline()  # it has begun
    assert (out / LOCK_NAME).is_file()
    code, said, _ = run(scene)
    stdout, _ = first.communicate(timeout=120)
    assert code == 1
    assert f"process {first.pid}" in said["error"]
    assert first.returncode == 0
    assert {*json.loads(stdout)["files"]} <= {path.name for path in out.iterdir()}
    assert not (out / LOCK_NAME).exists()


DISK = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from s2dash.cli.main import main
place, small, large = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
def content():
    return {str(p): p.read_bytes() for p in place.rglob("*") if p.is_file() and p.name != "ballast"}
steps = []
def run(scene, out):
    before, text, err = content(), io.StringIO(), io.StringIO()
    with redirect_stdout(text), redirect_stderr(err):
        code = main(
            ["run", scene, "--k", "16", "--sample", "5000", "--out", str(place / out), "--json", "--quiet"]
        )
    said = json.loads(text.getvalue()).get("error", "")
    steps.append({"code": code, "error": said, "same": content() == before, "err": err.getvalue(),
                  "folders": sorted(p.name for p in place.iterdir() if p.is_dir())})
run(small, "out")
run(large, "out")
run(large, "new")
with open(place / "ballast", "wb", buffering=0) as ballast:
    try:
        while True:
            ballast.write(bytes(4096))
    except OSError:
        pass
run(small, "out")
run(small, "new")
(place / "ballast").unlink()
run(small, "out")
print(json.dumps(steps))
"""


def test_a_full_disk_leaves_the_earlier_result_byte_for_byte(tmp_path, numbers):
    """On a real file system of 400 KiB that only this test sees."""
    if shutil.which("unshare") is None:
        pytest.skip("needs `unshare` to mount a small disk of its own")
    small = write(tmp_path / "small.tif", numbers, names=TEN)
    noise = np.random.default_rng(0).integers(100, 4000, (10, 800, 800)).astype(np.uint16)  # does not compress
    large = write(tmp_path / "large.tif", noise, names=TEN)
    place = tmp_path / "disk"
    place.mkdir()
    namespace = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    mount = f"mount -t tmpfs -o size=400k tmpfs '{place}'"
    if subprocess.run([*namespace, mount], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let the test mount a small disk of its own")
    done = subprocess.run(
        [*namespace, f'{mount} && exec "$@"', "sh", sys.executable, "-c", DISK, str(place), str(small), str(large)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    first, too_large, into_new, full, full_new, after = json.loads(done.stdout.splitlines()[-1])
    assert first["code"] == after["code"] == 0
    for step in (too_large, into_new, full, full_new):
        assert step["code"] == 1
        assert "free" in step["error"]
        assert "choose another folder" in step["error"]
        assert "did not foresee" not in step["error"]
        assert step["same"], "the earlier result changed"
        assert step["folders"] == ["out"], "a folder was left behind"


# --- what nobody foresaw


def test_a_failure_nobody_foresaw_is_told_without_a_traceback(scene, out, run, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("somewhere deep down")

    monkeypatch.setattr(cli.run, "run_chain", broken)
    monkeypatch.delenv(TRACEBACK, raising=False)
    code, said, err = run(scene)
    assert code == 1
    assert "ZeroDivisionError: somewhere deep down" in said["error"]
    assert TRACEBACK in said["error"]
    assert "Traceback" not in err
    assert not out.exists()
    monkeypatch.setenv(TRACEBACK, "1")
    with pytest.raises(ZeroDivisionError):
        run(scene)
    assert not out.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_standard_output_that_cannot_be_written(scene):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "s2dash", "info", str(scene), "--json"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode != 0
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_terminal_that_knows_few_letters(scene):
    done = subprocess.run(
        [sys.executable, "-m", "s2dash", "info", str(scene)],
        cwd=ROOT,
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"clear percent" in done.stdout
