"""The U-Net: filling in, one map whatever the blocks, odd pixels, round trips, and bad input."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window
from sklearn.metrics import adjusted_rand_score

from s2dash.clustering import SavedModel, cluster, predict_map, product_map, unet_network
from s2dash.clustering.predict import label_scene, plan_blocks
from s2dash.clustering.unet import HALO, SMALLER_TILES, TILE, UNetModel, fit_unet
from s2dash.errors import (
    Cancelled,
    ClusteringError,
    ModelFileError,
    ModelMismatchError,
    NoValidPixelsError,
    TooFewDistinctPixelsError,
    TooLargeError,
)
from s2dash.features import build_features
from s2dash.grid import full_window
from s2dash.progress import Tracker
from s2dash.simulation import simulate_scene
from s2dash.sources import load_scene
from s2dash.testing import make_patchwork, make_scene


@pytest.fixture(autouse=True, scope="module")
def _few_steps():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unet_network, "STEPS", 40)
        patch.setattr(unet_network, "CHECK_EVERY", 10)
        yield


def read(scene):
    return scene.read_numbers(full_window(scene.grid))


def small(scene, *, k=5, seed=0, indices=(), width=8):
    features = build_features(scene, indices=indices)
    return features, fit_unet(features, k=k, seed=seed, sample=20_000, width=width)


@pytest.fixture(scope="module")
def holed():
    """A simulated scene with holes, neither side a multiple of 4, larger than a block."""
    numbers = read(simulate_scene(size=(301, 330), seed=3).scene)[0].copy()
    numbers[:, 40:71, 58:75] = 0
    numbers[:, :9, 100:] = 0
    return make_scene(numbers)


@pytest.fixture(scope="module")
def fitted(holed):
    return small(holed)


def test_the_network_halves_and_doubles_as_a_u_net():
    network = unet_network.build(10, 16)
    seen = {}
    for name, layer in network.items():
        layer.register_forward_hook(lambda _l, _x, y, name=name: seen.update({name: tuple(y.shape[1:])}))
    unet_network.decode(network, torch.zeros(1, 10, 32, 64), torch.ones(1, 1, 32, 64))
    assert seen == {
        "down0": (16, 32, 64),
        "down1": (32, 16, 32),
        "down2": (64, 8, 16),
        "up1": (32, 16, 32),
        "up0": (16, 32, 64),
    }


@given(rows=st.integers(1, 40), cols=st.integers(1, 40))
def test_chequers_hide_every_pixel_once(rows, cols):
    masks = unet_network.chequers(rows, cols)
    assert masks.shape == (4, rows, cols)
    assert (masks.sum(axis=0) == 1).all()


def test_hidden_squares_cover_the_share_they_should():
    shown = unet_network.hide((200, 40, 40), np.random.default_rng(0))
    assert shown.shape == (200, 1, 40, 40)
    assert set(np.unique(shown)) == {0.0, 1.0}
    assert 1 - shown.mean() == pytest.approx(unet_network.HIDDEN, abs=0.01)


def test_what_is_hidden_or_invalid_plays_no_part():
    torch.manual_seed(0)
    network = unet_network.build(3, 8).eval()
    x = torch.randn(1, 3, 32, 32)
    known = (torch.rand(1, 1, 32, 32) < 0.6).float()
    other = torch.where(known > 0, x, torch.full_like(x, 99.0))
    torch.testing.assert_close(unet_network.decode(network, x, known), unet_network.decode(network, other, known))


def test_losses_are_mean_squares_on_hidden_and_seen_valid_pixels():
    torch.manual_seed(0)
    network = unet_network.build(3, 8).eval()
    x = torch.randn(2, 3, 16, 16)
    valid, shown = ((torch.rand(2, 1, 16, 16) < 0.7).float() for _ in range(2))
    with torch.no_grad():
        guess = network["head"](unet_network.decode(network, x, valid * shown)).numpy()
        hidden, seen = unet_network.errors(network, x, valid, shown)
    squares = ((guess - x.numpy()) ** 2).mean(axis=1)
    where, sight = valid[:, 0].numpy() > 0, shown[:, 0].numpy() > 0
    assert hidden.item() == pytest.approx(squares[where & ~sight].mean(), rel=1e-5)
    assert seen.item() == pytest.approx(squares[where & sight].mean(), rel=1e-5)


def test_separate_spectra_become_separate_clusters():
    scene, stripes = make_patchwork(side=128, patches=3)
    features, model = small(scene, k=3, width=16)
    assert adjusted_rand_score(stripes.ravel(), predict_map(features, model).ravel()) > 0.8


def test_it_learns_to_fill_in(fitted):
    curve = fitted[1].describe()["training"]
    assert curve["steps"] == 40
    assert len(curve["loss"]) == len(curve["held_out"]) == 4
    assert min(curve["held_out"]) < 0.8  # 1 is what the mean of every feature gives
    assert min(curve["held_out"]) == curve["held_out"][curve["stopped"] // 10 - 1]
    assert "variance of hidden" in fitted[1].notes[0]


def test_pure_noise_stops_early_and_is_said(monkeypatch):
    monkeypatch.setattr(unet_network, "STEPS", 200)
    numbers = np.random.default_rng(0).integers(500, 3000, (3, 96, 96)).astype(np.uint16)
    _, model = small(make_scene(numbers, bands=("B02", "B03", "B04")), k=2)
    assert model.training.steps < 200
    assert "hardly learnt" in model.notes[0]


def test_blocks_do_not_show(holed, fitted):
    features, model = fitted
    assert (model.tile, model.halo) == (TILE, HALO)
    found = predict_map(features, model)
    assert ((found > 0) == read(holed)[1]).all()
    assert len(np.unique(found)) == 6
    for side in (512, 64):
        np.testing.assert_array_equal(predict_map(features, model, block=side), found)


@pytest.mark.parametrize("side", SMALLER_TILES)
def test_where_memory_is_short_blocks_are_smaller_the_map_is_the_same_and_it_is_said(fitted, monkeypatch, side):
    features, model = fitted
    found, error = predict_map(features, model), product_map(features, model, "reconstruction_error")
    monkeypatch.setattr("s2dash.clustering.predict.workers", lambda: 2)
    assert side in (first_side(features, model, mib, monkeypatch) for mib in range(1, 4000))  # leaves that memory free
    labels, notes = label_scene(features, model)
    assert notes == (f"Memory is short: the scene was labelled in blocks of {side} × {side} pixels.",)
    np.testing.assert_array_equal(labels, found)
    np.testing.assert_allclose(product_map(features, model, "reconstruction_error"), error, atol=1e-4)


def first_side(features, model, mib, monkeypatch):
    """Side of the blocks that are labelled on both cores with so much memory free; 0 where they do not fit."""
    monkeypatch.setattr("s2dash.clustering.predict.available_bytes", lambda: mib * 1024**2)
    try:
        plan = plan_blocks(features, model)
    except TooLargeError:
        return 0
    return plan.side if plan.threads == 2 else 0


def test_neighbouring_blocks_agree_where_they_overlap(fitted):
    features, model = fitted
    left = model.label(*features.block(Window(0, 0, 200, 300)))
    right = model.label(*features.block(Window(120, 0, 200, 300)))
    # up to the very edge, where one of the two does not see what is beyond
    assert np.mean(left[:, 120:] == right[:, :80]) >= 0.9
    np.testing.assert_array_equal(left[:, 120 + HALO : 200 - HALO], right[:, HALO : 80 - HALO])


def test_the_halo_holds_all_that_a_label_depends_on(fitted):
    features, model = fitted
    values, valid = features.block(Window(0, 100, 120, 120))
    reach = 0
    for offset in range(4):  # pooling: it depends on the place within the coarsest pixel
        changed = values.copy()
        changed[:, 56 + offset, 56 + offset] += 100
        rows, cols = np.nonzero(model.label(changed, valid) != model.label(values, valid))
        reach = max(reach, np.abs(np.r_[rows, cols] - 56 - offset).max())
    assert 2 < reach < HALO


def test_reconstruction_error_shows_odd_pixels():
    numbers = read(make_patchwork(side=96, patches=2, bands=4)[0])[0].copy()
    numbers[:, 40:43, 20:23] = 9000
    numbers[:, 80:, 80:] = 0
    features, model = small(make_scene(numbers), k=2)
    error = product_map(features, model, "reconstruction_error")
    assert (np.isnan(error) == (numbers[0] == 0)).all()
    odd = error[40:43, 20:23].min()
    rest = np.ones(error.shape, dtype=bool)
    rest[36:48, 16:28] = False
    assert odd > 3 * np.nanquantile(error[rest], 0.99)
    with pytest.raises(ClusteringError, match="no map 'membership'"):
        product_map(features, model, "membership")


def test_reconstruction_error_does_not_look_at_what_it_guesses(fitted):
    features, model = fitted
    values, valid = features.block(Window(0, 100, 64, 64))
    before = model.product("reconstruction_error", values, valid)
    changed = values.copy()
    changed[0, 21, 22] += 3
    after = model.product("reconstruction_error", changed, valid)
    # the guess stays, so the squared error changes as that of one feature does
    n = len(values)
    gap = (n * after[21, 22] ** 2 - n * before[21, 22] ** 2 - 9) / 6  # = value - guess, from (d + 3)² - d²
    assert abs(gap) <= np.sqrt(n) * before[21, 22] + 1e-3
    again = values.copy()
    again[0, 21, 22] -= gap  # now the value is what the network guesses
    assert n * model.product("reconstruction_error", again, valid)[21, 22] ** 2 == pytest.approx(
        n * before[21, 22] ** 2 - gap**2, abs=1e-3
    )


def test_same_seed_same_map(fitted, holed):
    features, model = fitted
    again = small(holed)[1]
    assert again.describe() == model.describe()
    np.testing.assert_array_equal(predict_map(features, again), predict_map(features, model))
    other = small(make_patchwork(side=64)[0], seed=1)[1]
    assert not np.array_equal(other.weights["down0.0.weight"], model.weights["down0.0.weight"])


def test_saved_model_gives_the_same_map_here_and_elsewhere(tmp_path, fitted):
    features, model = fitted
    path = tmp_path / "model.npz"
    SavedModel.of(model, features).save(path)
    loaded = SavedModel.load(path)
    assert isinstance(loaded.model, UNetModel)
    assert loaded.model.describe() == model.describe()
    for scene in (features.scene, simulate_scene(size=70, seed=8).scene):
        expected = predict_map(loaded.features(scene), model)
        np.testing.assert_array_equal(loaded.apply(scene).labels, expected)


def test_other_bands_are_refused(fitted):
    features, model = fitted
    other = make_scene(read(features.scene)[0][:3], bands=("B02", "B03", "B04"))
    with pytest.raises(ModelMismatchError, match="B08"):
        SavedModel.of(model, features).apply(other)
    with pytest.raises(ModelMismatchError):
        predict_map(build_features(other, indices=()), model)


@pytest.mark.parametrize(
    "damage",
    [
        lambda arrays: arrays.pop("centres"),
        lambda arrays: arrays.pop("network/head.bias"),
        lambda arrays: arrays.update({"centres": arrays["centres"][:, :3]}),
        lambda arrays: arrays.update({"network/head.bias": arrays["network/head.bias"][:-1]}),
        lambda arrays: arrays.update({"mean": arrays["mean"] * np.nan}),
    ],
)
def test_damaged_model_is_refused(tmp_path, fitted, damage):
    features, model = fitted

    class Damaged(UNetModel):
        def arrays(self):
            arrays = super().arrays()
            damage(arrays)
            return arrays

    broken = Damaged(**{name: getattr(model, name) for name in (field.name for field in fields(UNetModel))})
    path = tmp_path / "model.npz"
    SavedModel.of(broken, features).save(path)
    with pytest.raises(ModelFileError, match="not a model"):
        SavedModel.load(path)


@pytest.mark.parametrize("k", [0, 1, -3, 255])
def test_k_out_of_range_is_refused(fitted, k):
    with pytest.raises(ClusteringError, match="between 2 and 254"):
        fit_unet(fitted[0], k=k, seed=0, sample=1000)


def test_small_scenes():
    with pytest.raises(ClusteringError, match="16 × 16"):
        small(make_patchwork(side=15)[0], k=2)
    scene, _ = make_patchwork(side=18, patches=2)
    features, model = small(scene, k=2)
    assert set(np.unique(predict_map(features, model))) == {1, 2}


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
    with pytest.raises(NoValidPixelsError):
        predict_map(replace(features, scene=make_scene(np.zeros_like(numbers))), model)


def test_bands_with_nan_count_as_no_data():
    numbers = read(make_patchwork(side=48, patches=3)[0])[0].astype(np.float32)
    numbers[3, 10:20, 10:20] = np.nan
    features, model = small(make_scene(numbers), k=3)
    assert ((predict_map(features, model) == 0) == np.isnan(numbers[3])).all()


def test_cancelling_leaves_torch_as_it_was(holed):
    class StopInTraining(Tracker):
        def report(self, share, text):
            if "Training" in text and share > 0.5:
                self.cancel()
            super().report(share, text)

    torch.manual_seed(7)
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    with pytest.raises(Cancelled, match="Training"):
        fit_unet(build_features(holed), k=4, seed=0, sample=5000, progress=StopInTraining(), width=8)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_importing_does_not_load_torch():
    code = "import sys, s2dash.clustering.unet; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_real_scene(real_data):
    scene = load_scene(real_data / "poland" / "scene.tif")
    numbers, _ = scene.read_numbers(Window(0, 0, 128, 128))
    crop = make_scene(numbers, bands=scene.bands, radiometry=scene.radiometry)
    clusters = cluster(build_features(crop), method="unet", k=6, options={"width": 8})
    assert clusters.n_clusters == 6
    assert len(clusters.counts()) == 6
    assert ((clusters.labels > 0) == read(crop)[1]).all()
