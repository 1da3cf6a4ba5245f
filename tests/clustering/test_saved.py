"""Models as files: they come back as they were, serve other scenes, and a broken file is named."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from s2dash.clustering import SavedModel, cluster
from s2dash.errors import FeatureError, ModelFileError, ModelMismatchError, OutputError
from s2dash.features import Texture, build_features
from s2dash.sources.arrays import ArraySource
from s2dash.testing import make_patchwork, make_scene


@pytest.fixture
def scene():
    return make_patchwork(side=64, noise=300)[0]


@pytest.mark.parametrize("method", ["kmeans", "gmm"])
def test_a_model_comes_back_as_it_was(tmp_path, scene, method):
    features = build_features(scene, indices=["NDVI"], texture=Texture(of=("B04", "NDVI"), size=3))
    found = cluster(features, method=method, k=5)
    SavedModel.of(found.model, features).save(tmp_path / "model.npz")
    loaded = SavedModel.load(tmp_path / "model.npz")
    assert loaded.model.describe() == found.model.describe()
    assert np.array_equal(loaded.apply(scene).labels, found.labels)


def test_another_scene_is_standardised_like_the_first(tmp_path, scene):
    features = build_features(scene, indices=[])
    found = cluster(features, k=4)
    SavedModel.of(found.model, features).save(tmp_path / "model.npz")
    numbers = scene.source.numbers
    part = make_scene(numbers[:, :, :16])  # one stripe only: statistics of its own would be others
    again = SavedModel.load(tmp_path / "model.npz").apply(part)
    assert np.array_equal(again.labels, found.labels[:, :16])
    assert any("test scene" in note for note in again.notes)


def test_short_memory_is_said_when_a_model_is_applied_too(scene, monkeypatch):
    features = build_features(scene, indices=[])
    found = cluster(features, k=4)
    saved = SavedModel.of(found.model, features)
    assert not [note for note in saved.apply(scene).notes if "Memory" in note]
    monkeypatch.setattr("s2dash.clustering.predict.available_bytes", lambda: 20 * 1024**2)
    applied, fitted = saved.apply(scene), cluster(features, k=4)
    assert "Memory is short" in fitted.notes[0]
    assert applied.notes == (*fitted.notes, "The model was fitted on test scene.")
    assert np.array_equal(applied.labels, found.labels)


def test_a_model_of_a_season_asks_for_one(tmp_path, scene):
    layers = np.random.default_rng(0).random((1, 64, 64)).astype(np.float32)
    seasonal = replace(scene, season=ArraySource(scene.grid, ("NDVI_AMPLITUDE",), layers))
    features = build_features(seasonal, season=["NDVI_AMPLITUDE"])
    found = cluster(features, k=4)
    SavedModel.of(found.model, features).save(tmp_path / "model.npz")
    loaded = SavedModel.load(tmp_path / "model.npz")
    assert loaded.season == ("NDVI_AMPLITUDE",)
    assert np.array_equal(loaded.apply(seasonal).labels, found.labels)
    with pytest.raises(FeatureError, match="no statistics of a season"):
        loaded.apply(scene)


@pytest.mark.parametrize("bands", [("B02", "B03", "B04"), ("B02", "B03", "B04", "B08")])
def test_other_bands_are_refused_by_name(scene, bands):
    numbers = scene.source.numbers
    three = make_scene(numbers[:4] if len(bands) == 3 else numbers[:3])
    features = build_features(three, indices=[])
    saved = SavedModel.of(cluster(features, k=3).model, features)
    with pytest.raises(ModelMismatchError, match=r"B0\d"):
        saved.apply(make_scene(numbers[: len(bands)], bands=bands))


def test_what_is_no_model_is_named(tmp_path):
    with pytest.raises(ModelFileError, match="no model at"):
        SavedModel.load(tmp_path / "model.npz")
    for content in (b"", b"not a model", b"PK\x03\x04 half"):
        (tmp_path / "model.npz").write_bytes(content)
        with pytest.raises(ModelFileError, match=r"model\.npz"):
            SavedModel.load(tmp_path / "model.npz")
    with pytest.raises(ModelFileError):
        SavedModel.load(tmp_path)


def about(path):
    with np.load(path) as file:
        return json.loads(bytes(file["about"])), {name: file[name] for name in file.files if name != "about"}


@pytest.mark.parametrize(
    "change",
    [
        {"version": 99},
        {"method": "nothing"},
        {"model": {}},
        {"scaler": {"names": ["B02"]}},
        {"texture": {"of": ["B02"], "size": 4}},
    ],
)
def test_a_damaged_model_is_refused_not_used(tmp_path, scene, change):
    features = build_features(scene, indices=[])
    path = tmp_path / "model.npz"
    SavedModel.of(cluster(features, k=4).model, features).save(path)
    content, arrays = about(path)
    np.savez(path, about=np.frombuffer(json.dumps(content | change).encode(), np.uint8), **arrays)
    with pytest.raises(ModelFileError):
        SavedModel.load(path)


def test_centres_that_do_not_fit_the_features_are_refused(tmp_path, scene):
    features = build_features(scene, indices=[])
    path = tmp_path / "model.npz"
    SavedModel.of(cluster(features, k=4).model, features).save(path)
    content, arrays = about(path)
    cut = {name: array[:, :3] for name, array in arrays.items()}
    np.savez(path, about=np.frombuffer(json.dumps(content).encode(), np.uint8), **cut)
    with pytest.raises(ModelFileError):
        SavedModel.load(path)


def test_nothing_in_a_file_is_executed(tmp_path):
    np.savez(tmp_path / "model.npz", about=np.array([{"version": 1}], dtype=object))
    with pytest.raises(ModelFileError):
        SavedModel.load(tmp_path / "model.npz")


def test_a_folder_that_is_not_there_is_an_error_in_words(tmp_path, scene):
    features = build_features(scene, indices=[])
    with pytest.raises(OutputError, match="cannot be written"):
        SavedModel.of(cluster(features, k=3).model, features).save(tmp_path / "no" / "model.npz")
