"""Deep clustering: losses and layers against oracles, one map whatever the blocks, live clusters, and bad input."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from rasterio.windows import Window
from scipy.special import log_softmax
from scipy.stats import spearmanr
from sklearn.metrics import adjusted_rand_score

from s2dash.clustering import SavedModel, cluster, deep_network, predict_map
from s2dash.clustering.deep import PATCH, DeepModel, fit_deep
from s2dash.errors import (
    Cancelled,
    ClusteringError,
    ModelFileError,
    ModelMismatchError,
    NoValidPixelsError,
    TooFewDistinctPixelsError,
)
from s2dash.features import build_features
from s2dash.grid import full_window
from s2dash.progress import Tracker
from s2dash.simulation import simulate_scene
from s2dash.sources import load_scene
from s2dash.testing import make_grid, make_patchwork, make_scene

SMALL = {"width": 16, "epochs": 1, "inner_steps": 6}


def read(scene):
    return scene.read_numbers(full_window(scene.grid))


def small(scene, *, k=6, seed=0, indices=(), **options):
    features = build_features(scene, indices=indices)
    return features, fit_deep(features, k=k, seed=seed, sample=20_000, **(SMALL | options))


@pytest.fixture(scope="module")
def holed():
    """A simulated scene of odd size with holes, one of them at the edge."""
    numbers = read(simulate_scene(size=(150, 131), seed=3).scene)[0].copy()
    numbers[:, 40:71, 58:75] = 0
    numbers[:, :9, 100:] = 0
    return make_scene(numbers)


@pytest.fixture(scope="module")
def fitted(holed):
    return small(holed)


def random_network(k=4, *, features=3, width=8, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return deep_network.build(features, width, k, training=True)


def test_losses_are_those_of_the_paper():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(3, 5, 4, 6))
    valid = rng.random((3, 1, 4, 6)) < 0.7
    own, contrast = deep_network.losses(torch.from_numpy(y), torch.from_numpy(valid.astype(np.float64)), 1)
    logs = log_softmax(y, axis=1).max(axis=1)  # at the argmax, the pseudo-label
    assert own.item() == pytest.approx(-logs[valid[:, 0]].mean())
    other, other_valid = np.roll(y, 1, axis=0), np.roll(valid, 1, axis=0)
    likeness = np.exp(-np.abs(y - other).sum(axis=1))
    assert contrast.item() == pytest.approx(likeness[(valid & other_valid)[:, 0]].mean())
    whole_own, whole = deep_network.losses(torch.from_numpy(y), None, 2)
    assert whole_own.item() == pytest.approx(-logs.mean())
    assert whole.item() == pytest.approx(np.exp(-np.abs(y - np.roll(y, 2, axis=0)).sum(axis=1)).mean())
    assert deep_network.losses(torch.from_numpy(y), None, 0)[1].item() == 0


def test_the_network_has_the_layers_of_the_paper():
    network = deep_network.build(13, 64, 8)
    convolutions = [layer for layer in network.values() if isinstance(layer, torch.nn.Conv2d)]
    assert [layer.kernel_size for layer in convolutions] == [(3, 3)] * 5 + [(1, 1)]
    assert [layer.out_channels for layer in convolutions] == [64] * 5 + [8]
    assert all(layer.stride == (1, 1) for layer in convolutions)
    assert sum(isinstance(layer, torch.nn.BatchNorm2d) for layer in network.values()) == 5


def test_attention_adds_average_and_maximum_pooling():
    network = random_network()
    pooled = torch.randn(2, 8)

    def perceptron(x):
        return network["excite"](torch.relu(network["squeeze"](x)))

    expected = torch.sigmoid(perceptron(pooled[0]) + perceptron(pooled[1]))
    torch.testing.assert_close(deep_network.attention(network, pooled), expected)


def test_pooling_and_batch_norm_see_valid_pixels_only():
    rng = np.random.default_rng(1)
    x = rng.normal(2, 3, (2, 8, 5, 7)).astype(np.float32)
    valid = rng.random((2, 1, 5, 7)) < 0.6
    mask = torch.from_numpy(valid.astype(np.float32))
    mean, most = deep_network.pool(torch.from_numpy(x * valid), mask).numpy()
    for patch in range(2):
        inside = x[patch][:, valid[patch, 0]]
        np.testing.assert_allclose(mean[patch], inside.mean(axis=1), rtol=1e-5)
        np.testing.assert_allclose(most[patch], inside.max(axis=1), rtol=1e-6)
    layer = torch.nn.BatchNorm2d(8, momentum=None)
    out = deep_network._normalise(layer, torch.from_numpy(x), mask).detach().numpy()
    flat = np.moveaxis(x, 1, -1)[valid[:, 0]]
    np.testing.assert_allclose(layer.running_mean.numpy(), flat.mean(axis=0), rtol=1e-5)
    normal = (flat - flat.mean(axis=0)) / np.sqrt(flat.var(axis=0) + layer.eps)
    np.testing.assert_allclose(np.moveaxis(out, 1, -1)[valid[:, 0]], normal, atol=1e-5)
    assert (np.moveaxis(out, 1, -1)[~valid[:, 0]] == 0).all()


def test_separate_spectra_become_separate_clusters():
    scene, stripes = make_patchwork(side=96, patches=4)
    features, model = small(scene, k=4)
    labels = predict_map(features, model)
    assert adjusted_rand_score(stripes.ravel(), labels.ravel()) > 0.8  # the borders between stripes are blurred


def test_nearly_all_clusters_asked_for_are_used_on_a_simulated_scene():
    clusters = cluster(
        build_features(simulate_scene(size=128, seed=4).scene),
        method="deep",
        k=12,
        options={"width": 32, "epochs": 2, "inner_steps": 15},
    )
    shares = np.array(list(clusters.counts().values())) / clusters.labels.size
    assert (shares > 0.002).sum() >= 11
    assert clusters.n_clusters >= 11
    assert any("in use" in note for note in clusters.notes)


def test_training_is_kept_and_makes_the_network_surer():
    _, model = small(simulate_scene(size=96, seed=4).scene, inner_steps=20)
    curve = model.describe()["training"]
    assert len(curve["loss"]) == model.epochs * model.inner_steps * -(-model.patches // deep_network.BATCH)
    np.testing.assert_allclose(np.add(curve["cross_entropy"], curve["contrast"]), curve["loss"], atol=2e-6)
    assert np.mean(curve["loss"][-5:]) < 0.9 * np.mean(curve["loss"][:5])


def test_a_dead_cluster_takes_half_of_the_largest_and_leaves_the_others():
    rng = np.random.default_rng(0)
    middles = np.array([[0, 0, 0], [9, 0, 0], [0, 9, 0]])
    which = rng.choice(3, 3000, p=[0.6, 0.3, 0.1])
    features = (middles[which] + rng.normal(0, [1.5, 0.5, 0.5], (3000, 3))).astype(np.float32)
    centres = np.vstack([middles, [[500, 500, 500], [600, 600, 600]]]).astype(float)
    weights, bias = 2 * centres, -(centres**2).sum(axis=1)

    def labels(weights, bias):
        return (features @ weights.T + bias).argmax(axis=1)

    before = labels(weights, bias)
    assert set(before) == {0, 1, 2}
    new_weights, new_bias, seeded = deep_network.revive(features, weights, bias)
    after = labels(new_weights, new_bias)
    assert seeded == 2
    assert np.bincount(after).min() > 100
    assert np.mean((after == before)[before != 0]) > 0.99  # the small ones stay
    assert set(after[before == 0]) == {0, 3, 4}


def test_clusters_that_cannot_be_revived_are_left_dead():
    features = np.ones((500, 3), dtype=np.float32)
    _, _, seeded = deep_network.revive(features, np.eye(3), np.array([1.0, 0.0, 0.0]))
    assert seeded == 0


def test_notes_say_how_many_clusters_survive(fitted):
    model = fitted[1]
    fewer = replace(model, asked=model.n_clusters + 3, revived=2)
    assert f"Of the {fewer.asked} clusters asked for, {model.n_clusters} are in use" in fewer.notes[0]
    assert fewer.notes[1].startswith("2 clusters died out")


def test_blocks_do_not_show(holed, fitted):
    features, model = fitted
    whole = predict_map(features, model, block=512)
    valid = read(holed)[1]
    assert ((whole > 0) == valid).all()
    assert len(np.unique(whole[valid])) > 3
    for side in (64, 37):
        np.testing.assert_array_equal(predict_map(features, model, block=side), whole)


def test_no_data_looks_like_the_edge_of_the_scene(holed, fitted):
    features, model = fitted
    numbers = read(holed)[0]
    framed = np.zeros((10, 60, 70), dtype=numbers.dtype)
    framed[:, 8:48, 13:53] = numbers[:, 80:120, 10:50]
    alone = replace(features, scene=make_scene(numbers[:, 80:120, 10:50].copy()))
    inside = predict_map(replace(features, scene=make_scene(framed)), model)
    np.testing.assert_array_equal(inside[8:48, 13:53], predict_map(alone, model))


def test_a_label_depends_on_eleven_by_eleven_pixels(fitted):
    features, model = fitted
    values, valid = features.block(Window(0, 80, 60, 60))
    changed = values.copy()
    changed[:, 30, 30] += 25
    differs = model.label(changed, valid) != model.label(values, valid)
    assert differs.any()
    rows, cols = np.nonzero(differs)
    assert (np.abs(rows - 30).max(), np.abs(cols - 30).max()) <= (model.halo, model.halo) == (5, 5)


def test_same_seed_same_map(fitted, holed):
    features, model = fitted
    again = small(holed)[1]
    assert again.describe() == model.describe()
    np.testing.assert_array_equal(predict_map(features, again), predict_map(features, model))
    other = small(holed, seed=1)[1]
    assert not np.array_equal(other.weights["convolution0.weight"], model.weights["convolution0.weight"])


def test_largest_cluster_comes_first(fitted):
    features, model = fitted
    counts = np.bincount(predict_map(features, model).ravel(), minlength=model.n_clusters + 1)[1:]
    assert spearmanr(counts, -np.arange(len(counts))).statistic > 0.5  # sizes are those of windows that overlap


def test_saved_model_gives_the_same_map_here_and_elsewhere(tmp_path, fitted):
    features, model = fitted
    path = tmp_path / "model.npz"
    SavedModel.of(model, features).save(path)
    loaded = SavedModel.load(path)
    assert isinstance(loaded.model, DeepModel)
    assert loaded.model.describe() == model.describe()
    for scene in (features.scene, simulate_scene(size=70, seed=8).scene):
        expected = predict_map(loaded.features(scene), model)
        np.testing.assert_array_equal(loaded.apply(scene).labels, expected)
    assert model.notes[0] in loaded.apply(features.scene).notes


def test_other_bands_are_refused(tmp_path, fitted):
    features, model = fitted
    numbers = read(features.scene)[0]
    other = make_scene(numbers[:3], bands=("B02", "B03", "B04"))
    with pytest.raises(ModelMismatchError, match="B08"):
        SavedModel.of(model, features).apply(other)
    with pytest.raises(ModelMismatchError):
        predict_map(build_features(other, indices=()), model)


@pytest.mark.parametrize(
    "damage",
    [
        lambda arrays: arrays.pop("pooled"),
        lambda arrays: arrays.update({"pooled": arrays["pooled"][:, :3]}),
        lambda arrays: arrays.update({"head.bias": arrays["head.bias"][:-1]}),
        lambda arrays: arrays.update({"head.bias": arrays["head.bias"] * np.nan}),
        lambda arrays: arrays.pop("head.bias"),
    ],
)
def test_damaged_model_is_refused(tmp_path, fitted, damage):
    features, model = fitted

    class Damaged(DeepModel):
        def arrays(self):
            arrays = super().arrays()
            damage(arrays)
            return arrays

    broken = Damaged(**{name: getattr(model, name) for name in (field.name for field in fields(DeepModel))})
    path = tmp_path / "model.npz"
    SavedModel.of(broken, features).save(path)
    with pytest.raises(ModelFileError, match="not a model"):
        SavedModel.load(path)


def aerial(side=160):
    """Three bands at 0.25 m: two textures of one mean colour side by side, lawn (smooth) and trees (rough)."""
    rng = np.random.default_rng(5)
    colour = np.array([900.0, 1200.0, 800.0])[:, None, None]
    rough = np.zeros((side, side), dtype=bool)
    rough[:, side // 2 :] = True
    wave = np.where(np.indices((side, side)).sum(axis=0) // 2 % 2 == 0, -300, 300)
    numbers = colour + np.where(rough, wave, 0) + rng.normal(0, 60, (3, side, side))
    grid = make_grid(side, side, resolution=0.25)
    return make_scene(numbers.astype(np.uint16), bands=("B02", "B03", "B04"), grid=grid), rough


def test_three_bands_of_an_aerial_image_are_told_apart_by_texture():
    scene, rough = aerial()
    features, model = small(scene, k=2, width=32, inner_steps=15)
    assert model.feature_names == ("B02", "B03", "B04")
    deep = adjusted_rand_score(rough.ravel(), predict_map(features, model).ravel())
    by_colour = adjusted_rand_score(rough.ravel(), cluster(features, method="kmeans", k=2).labels.ravel())
    assert by_colour < 0.3
    assert deep > 0.8


@pytest.mark.parametrize("k", [0, 1, -3, 255])
def test_k_out_of_range_is_refused(fitted, k):
    with pytest.raises(ClusteringError, match="between 2 and 254"):
        fit_deep(fitted[0], k=k, seed=0, sample=1000)


def test_scene_smaller_than_what_a_pixel_sees_is_refused():
    with pytest.raises(ClusteringError, match="11 × 11"):
        small(make_patchwork(side=10)[0], k=2)


def test_scene_smaller_than_a_patch_works():
    scene, stripes = make_patchwork(side=PATCH - 8, patches=2)
    features, model = small(scene, k=2, inner_steps=20)
    assert model.patches == 1
    assert set(model.training["contrast"]) == {0.0}  # nothing to contrast with
    assert adjusted_rand_score(stripes.ravel(), predict_map(features, model).ravel()) > 0.5


def test_constant_scene_is_refused():
    with pytest.raises(TooFewDistinctPixelsError, match="constant"):
        small(make_scene(np.full((10, 40, 40), 700, dtype=np.uint16)), k=2)


def test_more_clusters_than_pixels_are_refused():
    numbers = np.zeros((10, 40, 40), dtype=np.uint16)
    numbers[:, 20, 10:14] = np.arange(100, 104)
    with pytest.raises(TooFewDistinctPixelsError, match="4 distinct"):
        small(make_scene(numbers), k=5)


def test_nearly_all_no_data():
    numbers = np.zeros((10, 60, 60), dtype=np.uint16)
    numbers[:, 20:24, 30:33] = np.random.default_rng(0).integers(100, 3000, (10, 4, 3))
    features, model = small(make_scene(numbers), k=2)
    labels = predict_map(features, model)
    assert ((labels > 0) == (numbers[0] > 0)).all()
    assert set(np.unique(labels)) <= {0, 1, 2}


def test_no_valid_pixel_is_refused():
    with pytest.raises(NoValidPixelsError):
        small(make_scene(np.zeros((10, 40, 40), dtype=np.uint16)))


def test_bands_with_nan_count_as_no_data():
    numbers = read(make_patchwork(side=48, patches=3)[0])[0].astype(np.float32)
    numbers[3, 10:20, 10:20] = np.nan
    features, model = small(make_scene(numbers), k=3)
    labels = predict_map(features, model)
    assert ((labels == 0) == np.isnan(numbers[3])).all()


def test_cancelling_leaves_torch_as_it_was(holed):
    class StopInTraining(Tracker):
        def report(self, share, text):
            if "Training" in text and share > 0.5:
                self.cancel()
            super().report(share, text)

    torch.manual_seed(7)
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    with pytest.raises(Cancelled, match="Training"):
        fit_deep(build_features(holed, indices=()), k=4, seed=0, sample=5000, progress=StopInTraining(), **SMALL)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_labelling_leaves_torch_as_it_was(fitted):
    features, model = fitted
    fresh = DeepModel.restore(model.describe(), model.arrays())
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    predict_map(features, fresh)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_training_is_bounded_by_multiply_adds():
    pixels = deep_network.BATCH * PATCH**2
    for width, steps in ((64, 100), (16, 100), (64, 40), (64, 10_000), (256, 100)):
        batches = deep_network.batch_count(13, width, 12, pixels=pixels, steps=steps)
        network = deep_network.build(13, width, 12)
        weights = sum(layer.weight.numel() for layer in network.values() if isinstance(layer, torch.nn.Conv2d))
        assert 1 <= batches <= deep_network.MOST_BATCHES
        assert batches == 1 or 3 * weights * pixels * steps * batches <= deep_network.MULTIPLY_ADDS


def test_importing_does_not_load_torch():
    code = "import sys, s2dash.clustering.deep; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_real_scene(real_data):
    scene = load_scene(real_data / "chile" / "scene.tif")
    numbers, _ = scene.read_numbers(Window(0, 0, 128, 128))
    crop = make_scene(numbers, bands=scene.bands, radiometry=scene.radiometry)
    features, model = small(crop, k=8, indices=("NDVI",))
    labels = predict_map(features, model)
    assert model.n_clusters >= 7
    assert ((labels > 0) == read(crop)[1]).all()


def test_a_cancel_is_heard_at_the_next_step(holed, check_heard):
    features = build_features(holed, indices=())
    check_heard(lambda watch: fit_deep(features, k=4, seed=0, sample=5000, progress=watch, **SMALL), least=10)


@pytest.mark.parametrize("width", [8, 16, 32, 64, 128, 256])
def test_blocks_are_bounded_by_multiply_adds(fitted, width):
    model = replace(fitted[1], width=width)
    features, side = len(model.feature_names), model.tile or 512
    adds = 9 * width * (features + 4 * width) * (side + 2 * model.halo) ** 2
    assert adds <= 2e10 + 1
    assert model.tile is None or side >= 80
    assert all(smaller < side for smaller in model.smaller_tiles)
