"""Autoencoders: clusters of what a small network makes of pixels and patches, the same each time, and odd pixels."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from s2dash.clustering import SavedModel, autoencoder, cluster, predict_map, product_map
from s2dash.clustering.autoencoder import AutoencoderModel, fit_autoencoder
from s2dash.errors import (
    Cancelled,
    ClusteringError,
    ModelFileError,
    ModelMismatchError,
    NoValidPixelsError,
    TooFewDistinctPixelsError,
)
from s2dash.features import Texture, build_features
from s2dash.progress import Tracker
from s2dash.simulation import simulate_scene
from s2dash.testing import make_patchwork, make_scene


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    """A short training will do for these small scenes; only the last few pixels need a longer one."""
    monkeypatch.setattr(autoencoder, "STEPS", 80)
    monkeypatch.setattr(autoencoder, "_EVERY", 20)


@pytest.fixture(scope="module")
def landscape():
    simulated = simulate_scene(size=96, seed=1)
    return simulated.scene, simulated.truth()


@pytest.fixture(scope="module")
def features(landscape):
    return build_features(landscape[0])


@pytest.fixture(scope="module")
def trained(features):
    """Trained as long as a person's would be."""
    return fit(features, k=7)


def fit(features, *, k=4, seed=0, sample=5000, **options):
    return fit_autoencoder(features, k=k, seed=seed, sample=sample, **options)


@pytest.mark.parametrize("patch", [1, 3, 5])
def test_plain_stripes_are_found(patch):
    scene, stripes = make_patchwork(patches=4, noise=60)
    found = cluster(build_features(scene, indices=[]), method="autoencoder", k=4, options={"patch": patch})
    labels = found.labels
    assert set(np.unique(labels)) == {1, 2, 3, 4}
    within = np.ones_like(stripes, dtype=bool)
    for edge in (16, 32, 48):  # where a patch holds two stripes
        within[:, edge - patch // 2 : edge + patch // 2] = False
    assert adjusted_rand_score(stripes[within], labels[within]) > 0.97
    assert found.model.halo == patch // 2


def test_it_comes_about_as_close_to_the_truth_of_a_simulated_scene_as_k_means(landscape, features, trained):
    truth = landscape[1].ravel()
    plain = adjusted_rand_score(truth, cluster(features, k=7).labels.ravel())
    deep = adjusted_rand_score(truth, predict_map(features, trained).ravel())
    assert deep > 0.2
    assert deep > plain - 0.1


@pytest.mark.parametrize("patch", [1, 3])
def test_same_seed_same_map_another_seed_another(landscape, patch):
    scene = landscape[0]
    first, again, other = (
        cluster(build_features(scene), method="autoencoder", k=5, seed=seed, sample=3000, options={"patch": patch})
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first.labels, again.labels)
    assert first.model.describe() == again.model.describe()
    assert not np.array_equal(first.labels, other.labels)


def test_labels_are_the_nearest_centres_in_latent_space_largest_first(features, trained):
    model = trained
    pixels = features.sample(5000, seed=3)
    x = torch.from_numpy(pixels)
    for layer in model.encoder[:-1]:
        x = torch.tanh(torch.nn.functional.linear(x, torch.from_numpy(layer.weight), torch.from_numpy(layer.bias)))
    last = model.encoder[-1]
    latent = torch.nn.functional.linear(x, torch.from_numpy(last.weight), torch.from_numpy(last.bias)).double()
    assert latent.shape == (5000, 8)
    expected = torch.cdist(latent, torch.from_numpy(model.centres)).argmin(dim=1).numpy() + 1
    found = model.label(pixels.T[:, None], np.ones((1, 5000), dtype=bool))[0]
    assert np.mean(found == expected) > 0.999
    sizes = np.bincount(predict_map(features, model).ravel(), minlength=8)[1:]
    assert sizes[0] > 0.8 * sizes.max()
    assert sizes.min() > 0


@pytest.mark.parametrize("patch", [1, 5])
def test_a_map_does_not_depend_on_its_blocks(features, patch):
    model = fit(features, k=6, patch=patch)
    whole = predict_map(features, model, block=512)
    cut = predict_map(features, model, block=24)
    assert np.mean(whole != cut) < 1e-3  # of two centres almost equally near, rounding decides
    assert (whole > 0).all()  # the pixels of the scene's border too


@pytest.mark.parametrize("patch", [1, 3])
def test_odd_pixels_are_made_again_worst(patch):
    scene, _ = make_patchwork(patches=4, noise=60)
    numbers = scene.source.numbers.copy()
    rows, cols = np.random.default_rng(0).integers(5, 59, (2, 12))
    numbers[:, rows, cols] = np.array([9000, 200] * 5)[:, None]
    features = build_features(make_scene(numbers), indices=[])
    error = product_map(features, fit(features, patch=patch), "reconstruction_error")
    odd = np.zeros(error.shape, dtype=bool)
    odd[rows, cols] = True
    assert error.dtype == np.float32
    assert np.isfinite(error).all()
    assert error[odd].min() > np.percentile(error[~odd], 99)
    assert np.median(error[odd]) > 5 * np.median(error[~odd])


def test_the_error_is_that_of_the_standardised_features(features, trained):
    model = trained
    values = features.sample(2000, seed=5).T[:, None]
    x = values[:, 0]
    for layers in (model.encoder, model.decoder):
        for layer in layers[:-1]:
            x = np.tanh(layer.weight @ x + layer.bias[:, None])
        x = layers[-1].weight @ x + layers[-1].bias[:, None]
    expected = np.sqrt(((x - values[:, 0]) ** 2).mean(axis=0))
    found = model.product("reconstruction_error", values, np.ones((1, 2000), dtype=bool))[0]
    assert np.allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert model.rmse == pytest.approx(np.sqrt((expected**2).mean()), rel=0.2)
    assert model.kept == pytest.approx(1 - model.rmse**2, abs=0.05)


def test_a_larger_latent_size_keeps_more(features, trained):
    narrow = fit(features, latent=1)
    assert narrow.centres.shape == (4, 1)
    assert trained.kept > 0.9
    assert narrow.kept < trained.kept - 0.1
    assert any("latent number keeps" in note and "larger latent size" in note for note in narrow.notes)
    assert trained.notes == ()


def test_more_latent_numbers_than_features_are_not_used_and_that_is_said():
    scene, _ = make_patchwork(patches=3, noise=60, bands=3)
    features = build_features(scene, indices=[])
    model = fit(features, k=3)
    assert model.latent == 3
    assert model.describe()["latent_asked"] == 8
    assert any("3 features cannot be squeezed into 8" in note for note in model.notes)
    assert fit(features, k=3, patch=3).latent == 8  # 27 numbers can


def test_the_training_curve_is_kept(trained):
    told = trained.describe()
    training = told["training"]
    assert json.loads(json.dumps(told)) == told
    assert training["device"] == "cpu" or torch.cuda.is_available()
    assert len(training["loss"]) == len(training["held_out"]) > 5
    assert training["held_out"][-1] < 0.5 * training["held_out"][0]
    assert 0 < training["stopped"] <= training["steps"] <= 1000
    assert (told["method"], told["k"], told["seed"], told["latent"]) == ("autoencoder", 7, 0, 8)


def test_training_stops_early_where_there_is_nothing_more_to_learn(monkeypatch):
    monkeypatch.setattr(autoencoder, "STEPS", 2000)
    scene, _ = make_patchwork(side=24, patches=2, noise=300, bands=2)
    training = fit(build_features(scene, indices=[]), k=2, latent=1).describe()["training"]
    assert training["steps"] < 2000


@pytest.mark.parametrize("patch", [1, 3])
def test_a_model_comes_back_as_it_was_and_serves_another_scene(tmp_path, landscape, patch):
    scene = landscape[0]
    features = build_features(scene, indices=["NDVI"], texture=Texture(of=("B04",), size=3))
    found = cluster(features, method="autoencoder", k=5, sample=3000, options={"patch": patch, "latent": 3})
    SavedModel.of(found.model, features).save(tmp_path / "model.npz")
    loaded = SavedModel.load(tmp_path / "model.npz")
    assert loaded.model.describe() == found.model.describe()
    assert np.array_equal(loaded.apply(scene).labels, found.labels)
    other = simulate_scene(size=64, seed=3).scene
    expected = SavedModel.of(found.model, features).apply(other).labels
    assert np.array_equal(loaded.apply(other).labels, expected)
    assert len(np.unique(expected)) > 1


def test_other_bands_are_refused(trained):
    fewer = build_features(make_scene(make_patchwork()[0].source.numbers[:5]), indices=[])
    with pytest.raises(ModelMismatchError, match="fitted on"):
        predict_map(fewer, trained)


def damage(about, arrays, kind):
    if kind == "no centres":
        del arrays["centres"]
    elif kind == "no layer":
        del arrays["decoder.1.weight"]
    elif kind == "other bias":
        arrays["encoder.0.bias"] = arrays["encoder.0.bias"][:-1]
    elif kind == "other latent size":
        arrays["centres"] = arrays["centres"][:, :-1]
    elif kind == "not finite":
        arrays["encoder.1.weight"] = np.full_like(arrays["encoder.1.weight"], np.nan)
    elif kind == "other patch":
        about["patch"] = 3
    elif kind == "strange patch":
        about["patch"] = 2
    elif kind == "no curve":
        del about["training"]
    elif kind == "swapped":
        arrays["encoder.1.weight"] = arrays["encoder.1.weight"].T
    elif kind == "fewer features":
        about["features"] = about["features"][:-1]


@pytest.mark.parametrize(
    "kind",
    [
        "no centres",
        "no layer",
        "other bias",
        "other latent size",
        "not finite",
        "other patch",
        "strange patch",
        "no curve",
        "swapped",
        "fewer features",
    ],
)
def test_a_damaged_model_is_refused(tmp_path, kind):
    features = build_features(make_patchwork()[0], indices=[])
    model = small_model(features)
    about, arrays = model.describe(), model.arrays()
    assert AutoencoderModel.restore(about, arrays).describe() == about
    damage(about, arrays, kind)
    with pytest.raises((KeyError, ValueError)):
        AutoencoderModel.restore(about, arrays)


def small_model(features):
    """Fitted in no time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(autoencoder, "STEPS", 5)
        return fit(features, latent=2, sample=500)


def test_a_damaged_file_is_named(tmp_path):
    features = build_features(make_patchwork()[0], indices=[])
    path = tmp_path / "model.npz"
    SavedModel.of(small_model(features), features).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ModelFileError, match=r"model\.npz"):
        SavedModel.load(path)


def test_stopped_midway_it_leaves_nothing(landscape, features, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    class Watch(Tracker):
        def report(self, share, text):
            if "Training" in text and share > 0.4:
                self.cancel()
            super().report(share, text)

    threads, state = torch.get_num_threads(), torch.get_rng_state()
    with pytest.raises(Cancelled, match="Training the autoencoder"):
        fit(features, progress=Watch())
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    assert list(tmp_path.iterdir()) == []
    finished = fit(features, k=4)
    assert np.array_equal(finished.centres, fit(build_features(landscape[0]), k=4).centres)
    assert torch.equal(torch.get_rng_state(), state)


def test_progress_rises_to_the_end(features):
    shares = []

    class Watch(Tracker):
        def report(self, share, text):
            shares.append(share)

    fit(features, patch=3, progress=Watch())
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) > 10


@pytest.mark.parametrize("k", [0, 1, -3, 255])
def test_a_k_that_makes_no_sense_is_refused(features, k):
    with pytest.raises(ClusteringError, match="between 2 and 254"):
        fit(features, k=k)


@pytest.mark.parametrize("options", [{"patch": 2}, {"patch": 7}, {"patch": 0}, {"latent": 0}, {"latent": 65}])
def test_settings_out_of_range_are_refused(features, options):
    with pytest.raises(ClusteringError, match=next(iter(options))):
        fit(features, **options)


def test_more_clusters_than_distinct_pixels_are_refused():
    numbers = np.tile(np.repeat([300, 900, 2000], 10), (3, 30, 1)).astype(np.uint16)
    features = build_features(make_scene(numbers), indices=[])
    with pytest.raises(TooFewDistinctPixelsError, match="3 distinct"):
        fit(features, k=4)
    assert set(np.unique(predict_map(features, fit(features, k=3)))) == {1, 2, 3}


@pytest.mark.parametrize("patch", [1, 3])
def test_a_constant_image_is_refused(patch):
    features = build_features(make_scene(np.full((3, 30, 30), 500, dtype=np.uint16)), indices=[])
    with pytest.raises(TooFewDistinctPixelsError, match="constant"):
        fit(features, k=2, patch=patch)


def test_a_constant_band_does_no_harm():
    scene, stripes = make_patchwork(patches=3, noise=60)
    numbers = scene.source.numbers.copy()
    numbers[4] = 700
    features = build_features(make_scene(numbers), indices=[])
    model = fit(features, k=3)
    assert adjusted_rand_score(stripes.ravel(), predict_map(features, model).ravel()) > 0.97
    assert np.isfinite(product_map(features, model, "reconstruction_error")).all()


def test_a_scene_smaller_than_the_patch_is_refused_in_words():
    scene, _ = make_patchwork(side=64, patches=2)
    features = build_features(make_scene(scene.source.numbers[:, :4, :]), indices=[])
    with pytest.raises(ClusteringError, match="5 × 5 pixels at once, but the scene has only 64 × 4"):
        fit(features, k=2, patch=5)
    assert (predict_map(features, fit(features, k=2, patch=3)) > 0).all()


@pytest.mark.parametrize("patch", [1, 3])
def test_pixels_without_data_have_no_label_and_no_say(patch):
    scene, stripes = make_patchwork(patches=4, noise=60)
    numbers = scene.source.numbers.copy()
    hidden = np.random.default_rng(0).random(stripes.shape) < 0.4
    numbers[:, hidden] = 0
    features = build_features(make_scene(numbers), indices=[])
    model = fit(features, patch=patch)
    labels = predict_map(features, model)
    assert np.array_equal(labels == 0, hidden)
    inner = ~hidden & ~np.isin(np.arange(64), (15, 16, 31, 32, 47, 48))
    assert adjusted_rand_score(stripes[inner], labels[inner]) > 0.97
    error = product_map(features, model, "reconstruction_error")
    assert np.array_equal(np.isnan(error), hidden)
    full = product_map(build_features(scene, indices=[], scaler=features.scaler), model, "reconstruction_error")
    assert np.median(error[inner]) == pytest.approx(np.median(full[inner]), rel=0.2)


@pytest.mark.parametrize("patch", [1, 5])
def test_a_handful_of_valid_pixels_is_enough(patch):
    scene, _ = make_patchwork(patches=4, noise=60)
    numbers = np.zeros_like(scene.source.numbers)
    numbers[:, 0, [3, 20, 40, 60]] = scene.source.numbers[:, 0, [3, 20, 40, 60]]  # all at the edge
    features = build_features(make_scene(numbers), indices=[])
    labels = predict_map(features, fit(features, k=3, patch=patch))
    assert set(np.unique(labels)) == {0, 1, 2, 3}
    with pytest.raises(TooFewDistinctPixelsError, match="4 distinct"):
        fit(features, k=5, patch=patch)


def test_no_valid_pixel_is_an_error_in_words():
    features = build_features(make_patchwork()[0], indices=[])
    empty = build_features(make_scene(np.zeros((10, 20, 20), np.uint16)), indices=[], scaler=features.scaler)
    for patch in (1, 3):
        with pytest.raises(NoValidPixelsError):
            fit(empty, patch=patch)


def test_bands_that_are_not_numbers_everywhere_do_no_harm():
    scene, _ = make_patchwork(patches=4, noise=60)
    numbers = scene.source.numbers.astype(np.float32)
    numbers[3, 10:20, 10:20] = np.nan
    features = build_features(make_scene(numbers), indices=["NDVI"])
    model = fit(features, patch=3)
    assert np.isfinite(model.centres).all()
    labels = predict_map(features, model)
    assert (labels[10:20, 10:20] == 0).all()
    assert (labels > 0).sum() == 64 * 64 - 100


def test_a_real_scene(real_data):
    from s2dash.sources.request import SceneRequest

    features = build_features(SceneRequest(str(real_data / "poland" / "scene.tif")).load())
    found = cluster(features, method="autoencoder", k=8, options={"patch": 3})
    assert set(found.counts()) == set(range(1, 9))
    assert found.model.kept > 0.5  # in a short training
    error = product_map(features, found.model, "reconstruction_error")
    assert np.isfinite(error).all()
    assert 0 < np.median(error) < 1
