"""The command line: files written, JSON that can be read, exit codes that tell the truth, nothing half-written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from s2dash.cli.main import main
from s2dash.export.cog import write_class_cog
from s2dash.export.scene import write_scene
from s2dash.testing import make_patchwork, make_scene

FILES = {"clusters.tif", "landcover.tif", "legend.json", "run.json"}


@pytest.fixture
def scene_file(tmp_path):
    scene, stripes = make_patchwork(side=80)
    write_scene(scene, tmp_path / "scene.tif")
    classes = np.array([0, 10, 40, 50, 80], dtype=np.uint8)[stripes]
    names, colours = dict.fromkeys((10, 40, 50, 80), "x"), dict.fromkeys((10, 40, 50, 80), "#112233")
    write_class_cog(tmp_path / "reference.tif", classes, grid=scene.grid, names=names, colours=colours)
    return tmp_path / "scene.tif"


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_run_writes_its_files_and_says_so_as_json(scene_file, tmp_path, capsys):
    out = tmp_path / "out"
    code, text, progress = run(capsys, "run", scene_file, "--k", 4, "--out", out, "--json")
    assert code == 0
    content = json.loads(text)
    assert set(content["files"]) >= FILES
    assert {path.name for path in out.iterdir() if not path.name.startswith(".")} >= FILES
    assert "Labelling" in progress
    recorded = json.loads((out / "run.json").read_text())
    assert recorded["settings"]["k"] == 4
    assert recorded["peak_memory_mib"] > 10
    assert {"features", "clustering", "annotation"} <= set(recorded["timings_s"])
    assert recorded["versions"]["numpy"] == np.__version__


def test_agreement_is_written_with_its_ceiling(scene_file, tmp_path, capsys):
    out = tmp_path / "out"
    code, _, _ = run(
        capsys, "run", scene_file, "--k", 4, "--reference", tmp_path / "reference.tif", "--out", out, "--quiet"
    )
    assert code == 0
    report = json.loads((out / "agreement.json").read_text())
    assert {"overall", "kappa", "macro_f1", "miou", "ceiling", "confusion", "classes"} <= set(report)
    assert report["ceiling"]["overall"] == 1.0  # the stripes are separable, whatever the rules call them
    assert report["overall"] <= report["ceiling"]["overall"]


def test_the_tables_for_people_name_the_scores(scene_file, tmp_path, capsys):
    code, text, _ = run(
        capsys, "run", scene_file, "--k", 4, "--reference", tmp_path / "reference.tif", "--out", tmp_path / "o"
    )
    assert code == 0
    assert "overall agreement" in text
    assert "ceiling" in text
    assert "accuracy" not in text


def test_maps_lie_on_the_grid_of_the_scene(scene_file, tmp_path, capsys):
    run(capsys, "run", scene_file, "--k", 4, "--out", tmp_path / "out", "--quiet")
    with rasterio.open(scene_file) as scene, rasterio.open(tmp_path / "out" / "landcover.tif") as landcover:
        assert landcover.transform == scene.transform
        assert landcover.crs == scene.crs
        assert landcover.shape == scene.shape
        assert landcover.colormap(1)[10][:3] == (0, 100, 0)


def test_same_call_same_map(scene_file, tmp_path, capsys):
    maps = []
    for name in ("a", "b"):
        run(capsys, "run", scene_file, "--k", 6, "--seed", 3, "--out", tmp_path / name, "--quiet")
        with rasterio.open(tmp_path / name / "landcover.tif") as file:
            maps.append(file.read(1))
    assert np.array_equal(*maps)


def test_a_reference_with_codes_of_its_own(scene_file, tmp_path, capsys):
    (tmp_path / "map.json").write_text(json.dumps({"reference": {"to_worldcover": {"10": 10, "40": 40, "50": 50}}}))
    code, text, _ = run(
        capsys, "run", scene_file, "--k", 4, "--out", tmp_path / "out", "--json", "--quiet",
        "--reference", tmp_path / "reference.tif", "--reference-map", tmp_path / "map.json",
    )  # fmt: skip
    assert code == 0
    report = json.loads(text)["agreement"]
    assert report["n"] == 80 * 60
    assert report["reference"]["unknown"] == {"80": 80 * 20}


def test_another_scheme_has_its_own_classes(scene_file, tmp_path, capsys):
    code, text, _ = run(
        capsys, "run", scene_file, "--k", 4, "--scheme", "main", "--out", tmp_path / "out", "--json", "--quiet",
        "--reference", tmp_path / "reference.tif", "--reference-scheme", "worldcover",
    )  # fmt: skip
    assert code == 0
    assert set(json.loads(text)["agreement"]["confusion"]["codes"]) <= {1, 2, 3, 4, 5}


def test_info_describes_the_scene(scene_file, capsys):
    code, text, _ = run(capsys, "info", scene_file, "--json")
    assert code == 0
    content = json.loads(text)
    assert content["bands"][0] == "B02"
    assert content["clear_percent"] == 100.0
    code, text, _ = run(capsys, "info", scene_file)
    assert code == 0
    assert "clear percent" in text


def test_demo_needs_nothing(tmp_path, capsys):
    code, text, _ = run(capsys, "demo", "--out", tmp_path / "demo", "--size", 256, "--json", "--quiet")
    assert code == 0
    content = json.loads(text)
    assert content["scene"]["kind"] == "simulated"
    assert set(content["files"]) >= {"scene.tif", "truth.tif", "agreement.json", *FILES}
    assert content["agreement"]["reference"]["title"] == "Simulated truth"
    with rasterio.open(tmp_path / "demo" / "landcover.tif") as file:
        assert "not a real place" in file.tags()["SIMULATED"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["run", "{tmp}/nothing.tif", "--out", "{tmp}/o"], "nothing.tif"),
        (["run", "{scene}", "--k", "1", "--out", "{tmp}/o"], "between 2 and"),
        (["run", "{scene}", "--out", "{tmp}/o", "--name", "../x"], "../x"),
        (["run", "{scene}", "--out", "{tmp}/o", "--name", "a/b"], "a/b"),
        (["run", "{scene}", "--out", "{tmp}/o", "--reference", "{tmp}/none.tif"], "none.tif"),
        (["run", "{scene}", "--out", "{tmp}/o", "--reference-map", "{tmp}/x.json"], "--reference FILE"),
        (["run", "{scene}", "--out", "{tmp}/o", "--annotators", "gpt-99"], "gpt-99"),
        (["run", "{scene}", "--out", "{tmp}/o", "--indices", "NDXX"], "NDXX"),
        (["run", "{scene}", "--out", "{tmp}/o", "--offset", "much"], "much"),
        (["run", "{scene}", "--out", "{scene}"], "scene.tif"),
        (["info", "{tmp}"], ""),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_nothing(arguments, text, scene_file, tmp_path, capsys):
    for path in (tmp_path / "reference.tif").parent.glob("reference.tif*"):
        path.unlink()
    scene = tmp_path / "elsewhere" / "scene.tif"
    scene.parent.mkdir()
    scene_file.rename(scene)
    filled = [argument.format(tmp=tmp_path, scene=scene) for argument in arguments]
    code, out, err = run(capsys, *filled, "--quiet", "--json")
    assert code == 1
    assert text in err
    assert json.loads(out)["error"]
    assert "Traceback" not in err
    assert not [path for path in tmp_path.glob("o/*") if not path.name.startswith(".")]


def test_a_failed_run_leaves_the_earlier_result(scene_file, tmp_path, capsys):
    out = tmp_path / "out"
    run(capsys, "run", scene_file, "--k", 4, "--out", out, "--quiet")
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    code, _, _ = run(capsys, "run", scene_file, "--k", 200, "--sample", 100, "--out", out, "--quiet")
    assert code == 1
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before


def test_a_cloudy_scene_is_refused_in_words(tmp_path, capsys):
    scene, _ = make_patchwork()
    hidden = make_scene(scene.source.numbers, scl=np.full((64, 64), 9, dtype=np.uint8))
    write_scene(hidden, tmp_path / "cloud.tif")
    code, _, err = run(capsys, "run", tmp_path / "cloud.tif", "--out", tmp_path / "o", "--quiet")
    assert code == 1
    assert "masked as cloud" in err


def test_as_a_program_of_its_own(scene_file, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "s2dash", "run", scene_file, "--k", "3", "--out", tmp_path / "out", "--json"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["settings"]["k"] == 3
    assert "100%" in done.stderr


def test_a_terminated_run_leaves_nothing(tmp_path):
    """A SIGTERM in the middle: the folder holds no half-written file."""
    command = [sys.executable, "-m", "s2dash", "run", "simulated:size=3000x3000", "--out", str(tmp_path / "out")]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).resolve().parents[2])
    assert child.stderr is not None
    for line in child.stderr:
        if "Sampling" in line or "Reading" in line:
            break
    child.terminate()
    child.communicate(timeout=60)
    assert child.returncode == 130
    assert not [path for path in (tmp_path / "out").glob("*") if path.name != ".s2dash.lock"]


def test_settings_of_a_method_are_typed_and_recorded(scene_file, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ("--method", "slic", "--option", "segment_size=30", "--option", "compactness=0.5")
    code, text, _ = run(capsys, "run", scene_file, "--k", 4, *arguments, "--out", out, "--json", "--quiet")
    assert code == 0
    assert json.loads(text)["settings"]["options"] == {"segment_size": 30, "compactness": 0.5}


@pytest.mark.parametrize("option", ["segment_size", "segment_size=1", "segment_size=x", "eps=0.4"])
def test_wrong_settings_of_a_method_end_before_any_work(scene_file, tmp_path, capsys, option):
    out = tmp_path / "out"
    code, _, said = run(capsys, "run", scene_file, "--method", "slic", "--option", option, "--out", out)
    assert code == 1
    assert option.partition("=")[0] in said
    assert "Sampling" not in said
    assert not out.exists()


def test_k_can_be_proposed_and_its_curve_is_kept(scene_file, tmp_path, capsys):
    out = tmp_path / "out"
    code, text, _ = run(capsys, "run", scene_file, "--k", "auto", "--out", out, "--json", "--quiet")
    assert code == 0
    clustering = json.loads(text)["clustering"]
    assert clustering["k"] == clustering["k_sweep"]["proposed"] == 4  # the scene has four stripes
    assert json.loads(text)["settings"]["k"] == "auto"


def test_the_model_of_a_run_makes_the_same_map_again(scene_file, tmp_path, capsys):
    first, second = tmp_path / "first", tmp_path / "second"
    arguments = ("--k", 4, "--method", "gmm", "--indices", "NDVI", "--texture", 3, "--quiet")
    assert run(capsys, "run", scene_file, *arguments, "--out", first)[0] == 0
    assert run(capsys, "run", scene_file, "--model", first / "model.npz", "--out", second, "--quiet")[0] == 0
    maps = [rasterio.open(folder / "clusters.tif") for folder in (first, second)]
    with maps[0], maps[1]:
        assert np.array_equal(maps[0].read(), maps[1].read())
    recorded = json.loads((second / "run.json").read_text())
    assert recorded["settings"]["model"] == str(first / "model.npz")
    assert recorded["clustering"]["method"] == recorded["settings"]["method"] == "gmm"
    assert (recorded["settings"]["k"], recorded["settings"]["texture"]) == (4, 3)
    with rasterio.open(second / "membership.tif") as file:
        assert 0.25 <= np.nanmin(file.read(1)) <= np.nanmax(file.read(1)) <= 1.000001


def test_a_model_that_is_not_there_is_named(scene_file, tmp_path, capsys):
    code, _, said = run(capsys, "run", scene_file, "--model", tmp_path / "none.npz", "--out", tmp_path / "out")
    assert code == 1
    assert "none.npz" in said


def test_methods_are_listed_with_their_settings(capsys):
    code, text, _ = run(capsys, "methods", "--json")
    assert code == 0
    listed = json.loads(text)
    assert listed["dbscan"]["options"]["eps"]["default"] is None
    assert not listed["dbscan"]["takes_k"]
    code, text, _ = run(capsys, "methods")
    assert "Superpixels" in text


def test_an_aerial_image_needs_no_word_on_indices(tmp_path, capsys):
    """Three channels of 8 bits, a third of them in deep shadow."""
    rng = np.random.default_rng(0)
    content = rng.normal(90, 15, (3, 90, 90))
    content[:, 30:60] = rng.normal(6, 6, (3, 30, 90))
    content = content.clip(0, 255).astype(np.uint8)
    path = tmp_path / "aerial.tif"
    profile = {"driver": "GTiff", "height": 90, "width": 90, "count": 3, "dtype": "uint8", "crs": "EPSG:32632"}
    with rasterio.open(path, "w", transform=Affine(0.1, 0, 5e5, 0, -0.1, 5e6), **profile) as file:
        file.write(content)
    out = tmp_path / "out"
    code, _, said = run(capsys, "run", path, "--bands", "B04,B03,B02", "--k", 3, "--out", out)
    assert code == 0, said
    with rasterio.open(out / "clusters.tif") as file:
        assert ((file.read(1) == 0) == (content == 0).all(axis=0)).all()
    assert (content == 0).any(axis=0).mean() > 0.1
    code, _, said = run(capsys, "run", path, "--bands", "B04,B03,B02", "--indices", "NDVI", "--out", tmp_path / "other")
    assert code != 0
    assert "NDVI needs B08" in said
