"""The verbs from Python, as in a notebook: each takes what the one before returns, with no file anywhere."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

import s2dash
from s2dash.annotation.legend import Legend
from s2dash.clustering import ClusterMap
from s2dash.comparison import Agreement
from s2dash.errors import NotARasterError, S2DashError
from s2dash.export.cog import write_class_cog
from s2dash.features import FeatureStack
from s2dash.landcover import LandCoverMap
from s2dash.pipeline import ReferenceSettings, RunSettings
from s2dash.reference import Reference
from s2dash.scene import Scene
from s2dash.schemes import load_scheme

ROOT = Path(__file__).resolve().parents[1]
WORLDCOVER = load_scheme("worldcover")


@pytest.fixture(scope="module")
def simulated():
    return s2dash.simulate_scene(size=192, seed=3, cloud_share=0.15)


def test_the_chain_of_a_notebook(simulated, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scene = simulated.scene
    features = s2dash.build_features(scene, indices=["NDVI", "NDWI", "NDBI"])
    clusters = s2dash.cluster(features, method="kmeans", k=10, seed=0)
    legend = s2dash.annotate(clusters, scene, annotators=["rules"])
    landcover = legend.apply(clusters)
    truth = Reference(scene.grid, simulated.truth(), WORLDCOVER, title="Simulated truth")
    report = s2dash.agreement(landcover, truth, clusters=clusters)

    kinds = {Scene: scene, FeatureStack: features, ClusterMap: clusters, Legend: legend, LandCoverMap: landcover}
    assert all(isinstance(value, kind) for kind, value in kinds.items())
    assert isinstance(report, Agreement)
    assert scene.grid == features.grid == clusters.grid == landcover.grid
    _, valid = scene.read_numbers(window=simulated_window(scene))
    assert 0.7 < valid.mean() < 0.95
    assert np.array_equal(clusters.labels != 0, valid)
    assert np.array_equal(landcover.codes != 0, valid)
    compared = valid & (truth.codes != 0)
    counted = confusion_matrix(truth.codes[compared], landcover.codes[compared], labels=report.confusion.codes)
    assert np.array_equal(counted, report.confusion.matrix)
    assert report.overall == pytest.approx(np.trace(counted) / compared.sum())
    assert report.overall <= report.ceiling.overall <= 1
    assert report.ceiling.overall > 0.6, "clusters of a simulated landscape follow its classes"
    assert not list(tmp_path.iterdir()), "no verb writes a file"


def simulated_window(scene):
    from rasterio.windows import Window

    height, width = scene.grid.shape
    return Window(0, 0, width, height)


def test_load_scene_opens_a_simulated_location_as_it_does_a_file(simulated):
    scene = s2dash.load_scene(simulated.scene.provenance.location)
    assert scene.simulated
    assert np.array_equal(scene.read(), simulated.scene.read(), equal_nan=True)


def test_a_person_corrects_and_the_map_follows(simulated):
    scene = simulated.scene
    clusters = s2dash.cluster(s2dash.build_features(scene, indices=["NDVI"]), k=5)
    legend = s2dash.annotate(clusters, scene, annotators=["rules"])
    first = min(legend.clusters)
    corrected = legend.override(first, 95, who="Olena", why="seen from the boat")
    assert (corrected.apply(clusters).codes[clusters.labels == first] == 95).all()
    assert np.array_equal(corrected.undo(who="Olena").apply(clusters).codes, legend.apply(clusters).codes)


def test_all_in_one_verb_is_the_same_as_one_by_one(simulated):
    scene = simulated.scene
    result = s2dash.run_chain(scene, RunSettings(k=7, seed=5))
    clusters = s2dash.cluster(s2dash.build_features(scene, seed=5), k=7, seed=5)
    legend = s2dash.annotate(clusters, scene)
    assert np.array_equal(result.clusters.labels, clusters.labels)
    assert np.array_equal(result.landcover.codes, legend.apply(clusters).codes)


def test_a_reference_from_a_file(simulated, tmp_path):
    scene = simulated.scene
    names = {cls.code: cls.name for cls in WORLDCOVER.classes}
    colours = {cls.code: cls.colour for cls in WORLDCOVER.classes}
    write_class_cog(tmp_path / "map.tif", simulated.truth(), grid=scene.grid, names=names, colours=colours)
    reference = s2dash.load_reference(tmp_path / "map.tif", grid=scene.grid, scheme=WORLDCOVER)
    assert np.array_equal(reference.codes, simulated.truth())
    result = s2dash.run_chain(scene, RunSettings(k=4), reference=ReferenceSettings(str(tmp_path / "map.tif")))
    assert result.agreement is not None
    assert result.agreement.n == np.count_nonzero(result.clusters.labels)


def test_worldcover_from_a_folder_of_published_tiles(real_data):
    grid = s2dash.simulate_scene(size=8).scene.grid
    from odc.geo.geobox import GeoBox

    island = GeoBox((80, 90), grid.transform.translation(225_000, 22_000) @ grid.transform.scale(10, -10), "EPSG:32632")
    old, new = (s2dash.load_worldcover(island, year=year, folder=real_data / "worldcover") for year in (2020, 2021))
    assert (old.year, new.year) == (2020, 2021)
    assert 10 in new.codes
    assert not np.array_equal(old.codes, new.codes)


def test_errors_are_of_one_family(tmp_path):
    (tmp_path / "notes.tif").write_text("no raster")
    with pytest.raises(NotARasterError):
        s2dash.load_scene(tmp_path / "notes.tif")
    with pytest.raises(S2DashError):
        s2dash.cluster(s2dash.build_features(s2dash.simulate_scene(size=64).scene), k=1000)


def test_every_verb_is_there():
    assert set(s2dash.__all__) == set(s2dash._VERBS)
    for name in s2dash.__all__:
        verb = getattr(s2dash, name)
        assert callable(verb)
        assert verb.__doc__, name
        assert getattr(importlib.import_module(s2dash._VERBS[name]), name) is verb
    with pytest.raises(AttributeError, match="no attribute 'paint'"):
        _ = s2dash.paint


def modules_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_costs_nothing_before_a_verb_is_used():
    heavy = {"numpy", "rasterio", "sklearn", "torch", "scipy", "spyndex", "streamlit", "folium", "sqlalchemy"}
    assert not heavy & modules_after("import s2dash")
    command_line = modules_after("import s2dash.cli.main")
    assert not {"sklearn", "torch", "spyndex", "streamlit", "folium", "sqlalchemy"} & command_line
