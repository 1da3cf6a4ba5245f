"""`correct` and `points`: areas and reference points by command, on a plain folder and on a run of the workspace."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

from s2dash.cli.main import main
from s2dash.export.run_files import read_run
from s2dash.export.scene import write_scene
from s2dash.pipeline import RunSettings
from s2dash.reference_points import centres_of, reference_points
from s2dash.sources.request import SceneRequest
from s2dash.testing import make_patchwork
from s2dash.workspace import Workspace

GRID = make_patchwork(side=60, patches=3)[0].grid


@pytest.fixture
def folder(tmp_path, capsys) -> Path:
    write_scene(make_patchwork(side=60, patches=3)[0], tmp_path / "scene.tif")
    assert call(capsys, "run", tmp_path / "scene.tif", "--k", 3, "--out", tmp_path / "run", "--quiet")[0] == 0
    return tmp_path / "run"


def call(capsys, *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def area_file(tmp_path: Path, *, rows: tuple[int, int], cols: tuple[int, int]) -> Path:
    """GeoJSON around the pixels, first and last."""
    lon, lat = centres_of(np.array(rows), np.array(cols), GRID)
    (west, east), (north, south) = (lon[0] - 1e-5, lon[1] + 1e-5), (lat[0] + 1e-5, lat[1] - 1e-5)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    path = tmp_path / "area.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


def test_an_area_of_a_folder_is_corrected_and_its_files_follow(folder, tmp_path, capsys):
    area = area_file(tmp_path, rows=(10, 19), cols=(0, 59))
    code, text, _ = call(
        capsys, "correct", folder, "--area", area, "--class", "Snow and ice", "--why", "winter", "--as", "Ada", "--json"
    )
    assert code == 0
    said = json.loads(text)
    assert (said["class"], said["pixels"]) == ("snow_ice", 600)
    assert said["hectares"] == pytest.approx(6.0)
    with rasterio.open(folder / "landcover.tif") as file:
        assert (file.read(1)[10:20] == 70).all()
    (edit,) = read_run(folder).map_edits
    assert (edit.seq, edit.who, edit.why) == (1, "Ada", "winter")
    code, text, _ = call(capsys, "correct", folder, "--area", area, "--class", "80")
    assert code == 0
    assert "Snow and ice" in text, "what the map said before"
    assert [edit.seq for edit in read_run(folder).map_edits] == [1, 2]
    with rasterio.open(folder / "landcover.tif") as file:
        assert (file.read(1)[10:20] == 80).all()


def test_what_cannot_be_corrected_is_said_and_changes_nothing(folder, tmp_path, capsys):
    area = area_file(tmp_path, rows=(10, 19), cols=(0, 59))
    before = (folder / "run.json").read_bytes()
    for arguments, words in (
        (["--area", area, "--class", "lava"], "no class 'lava'"),
        (["--area", tmp_path / "none.geojson", "--class", "80"], "no GeoJSON file"),
        (["--area", folder / "run.json", "--class", "80"], "no GeoJSON that can be read"),
    ):
        code, _, failed = call(capsys, "correct", folder, *arguments)
        assert code == 1
        assert words in failed
    assert (folder / "run.json").read_bytes() == before


def test_points_are_added_written_and_compared(folder, tmp_path, capsys):
    lon, lat = centres_of(np.array([5, 30]), np.array([5, 30]), GRID)
    rows = "".join(f"{x},{y},{name}\n" for x, y, name in zip(lon, lat, ("Tree cover", "80"), strict=True))
    (tmp_path / "field.csv").write_text(f"lon,lat,class\n{rows}0,0,10\n")
    code, text, _ = call(capsys, "points", folder, "--add", tmp_path / "field.csv", "--as", "Ben", "--json")
    assert code == 0
    said = json.loads(text)
    assert (said["points"], said["added"], said["outside"]) == (2, 2, 1)
    mapped = read_run(folder).landcover.codes[[5, 30], [5, 30]]
    assert said["agreement_with_points"]["overall"] == np.mean(mapped == [10, 80])
    assert json.loads((folder / "reference_points.geojson").read_text())["features"][0]["properties"]["who"] == "Ben"
    for ending in ("geojson", "csv", "gpkg"):
        code, text, _ = call(capsys, "points", folder, "--out", tmp_path / "out" / f"p.{ending}")
        assert code == 0
        assert "2 points written" in text
        assert "Agreement with 2 points" in text
        assert (tmp_path / "out" / f"p.{ending}").stat().st_size > 100
    code, _, failed = call(capsys, "points", folder, "--out", tmp_path / "p.shp")
    assert code == 1
    assert "call it .geojson" in failed


def test_a_run_of_the_workspace_gets_them_too(folder, tmp_path, capsys):
    space = Workspace.open(tmp_path / "workspace")
    run = space.start(SceneRequest(str(tmp_path / "scene.tif")), RunSettings(k=3, sample=10_000))
    home = ("--workspace", tmp_path / "workspace")
    area = area_file(tmp_path, rows=(10, 19), cols=(0, 59))
    assert call(capsys, "correct", run, *home, "--area", area, "--class", "water")[0] == 0
    assert (space.open_run(run).landcover.codes[10:20] == 80).all()
    lon, lat = centres_of(np.array([5]), np.array([5]), GRID)
    (tmp_path / "field.csv").write_text(f"lon,lat,class\n{lon[0]},{lat[0]},10\n")
    assert call(capsys, "points", run, *home, "--add", tmp_path / "field.csv")[0] == 0
    assert [point.code for point in reference_points(space.open_run(run).map_edits)] == [10]
    code, _, failed = call(capsys, "points", folder, "--out", tmp_path / "p.csv")
    assert code == 1
    assert "no reference points" in failed
