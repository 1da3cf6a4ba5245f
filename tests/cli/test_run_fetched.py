"""`run` without a scene: an area and dates are enough."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from s2dash.area import AreaOfInterest
from s2dash.cli.main import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A catalogue on loopback with one image, and a cache of its own."""
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "sources" / "stac"))
    from server import StacServer
    from stac_archive import Archive

    monkeypatch.setenv("S2DASH_IMAGERY", str(tmp_path / "cache"))
    (tmp_path / "served").mkdir()
    with StacServer(tmp_path / "served") as server:
        found = Archive(server)
        found.add("fair", day="2023-07-14", cloud=2.0, seed=1, catalogue="planetary-computer")
        yield found


@pytest.fixture
def area(archive: Any) -> AreaOfInterest:
    from stac_archive import outline

    return AreaOfInterest.from_geojson(outline(epsg=32633, left=600_300, top=4_999_700, side_m=900))


def test_a_map_is_made_of_an_area_and_dates(archive, area, tmp_path, capsys):
    box = ",".join(f"{side:.6f}" for side in area.bounds)
    days = ["--start", "2023-07-01", "--end", "2023-07-31", "--catalogue", archive.server.url]
    common = ["run", *days, "--k", "4", "--json", "--quiet"]
    assert main([*common, f"--bbox={box}", "--out", str(tmp_path / "box")]) == 0
    made = json.loads(capsys.readouterr().out)
    assert str(tmp_path / "cache" / "scenes") in json.dumps(made)
    assert made["scene"]["acquired"] == "2023-07-14"
    (tmp_path / "area.geojson").write_text(json.dumps(area.geojson))
    assert main([*common, "--area", str(tmp_path / "area.geojson"), "--out", str(tmp_path / "outline")]) == 0
    cut = json.loads(capsys.readouterr().out)
    assert "(part)" in cut["scene"]["title"]
    assert "(part)" not in made["scene"]["title"]
    assert len(list((tmp_path / "outline").glob("*.tif"))) == 2


def test_a_composite_is_mapped_with_its_season(archive, area, tmp_path, capsys):
    archive.add("later", day="2023-07-24", cloud=2.0, seed=2, catalogue="planetary-computer")
    box = ",".join(f"{side:.6f}" for side in area.bounds)
    days = ["--start", "2023-07-01", "--end", "2023-07-31", "--catalogue", archive.server.url]
    common = ["run", *days, f"--bbox={box}", "--k", "4", "--json", "--quiet", "--composite", "median"]
    assert main([*common, "--season", "--out", str(tmp_path / "out")]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["settings"]["season"] == ["NDVI_P10", "NDVI_P50", "NDVI_P90", "NDVI_AMPLITUDE"]
    assert main([*common, "--season", "NDVI_P20", "--out", str(tmp_path / "other")]) == 1
    assert "has no NDVI_P20; it has LOOKS" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "There is no scene"),
        (["--bbox=15,45,15.1,45.1", "--start", "2023-07-01"], "There is no scene"),
        (["simulated:size=64", "--start", "2023-07-01", "--max-cloud", "5"], "--start, --max-cloud and the scene"),
        (["--bbox=15,45,15.1,45.1", "--start", "2023-07-01", "--end", "2023-07-02", "--bands", "B02"], "--bands"),
        (["--bbox=20,40,36,50", "--start", "2023-07-01", "--end", "2023-07-02"], "At most 100,000 km²"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_said(tmp_path, capsys, arguments, words):
    assert main(["run", *arguments, "--out", str(tmp_path / "out")]) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
