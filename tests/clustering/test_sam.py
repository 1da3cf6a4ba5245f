"""Segment Anything with a tiny network made here: the whole way from weights to a map, and all that can be missing."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import Loopback, QuietHandler
from scipy.ndimage import label as connected
from sklearn.metrics import adjusted_rand_score
from transformers import SamConfig, SamImageProcessorPil, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig
from transformers import SamVisionConfig as VisionConfig

from s2dash.clustering import METHODS, SavedModel, cluster, predict_map, sam_masks
from s2dash.clustering.sam import TRUE_COLOUR, Colours, SAMModel, fit_sam
from s2dash.clustering.sam_masks import (
    LEAST_PIXELS,
    MOST_OVERLAP,
    automatic_masks,
    box_of,
    fill_gaps,
    grid_points,
    paint,
    stability,
    suppress_overlaps,
)
from s2dash.clustering.sam_weights import find_weights, known_weights, load_network, weights_hash, weights_status
from s2dash.errors import (
    Cancelled,
    ClusteringError,
    ModelFileError,
    ModelMismatchError,
    TooFewDistinctPixelsError,
    TooLargeError,
    WeightsError,
)
from s2dash.features import build_features
from s2dash.grid import full_window
from s2dash.progress import Tracker
from s2dash.testing import make_patchwork, make_scene

SIDE = 64


def make_network(*, confident: bool) -> SamModel:
    """A tiny network of random weights; a confident one thinks well of its masks, and their edges are sharp."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vision = VisionConfig(
            hidden_size=16,
            output_channels=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=SIDE,
            patch_size=8,
            window_size=4,
            global_attn_indexes=[1],
            num_pos_feats=8,
            mlp_dim=32,
            initializer_range=0.1,
        )
        prompts = SamPromptEncoderConfig(hidden_size=16, image_size=SIDE, patch_size=8, mask_input_channels=4)
        decoder = SamMaskDecoderConfig(hidden_size=16, mlp_dim=32, num_attention_heads=2, iou_head_hidden_dim=16)
        config = SamConfig(
            vision_config=vision.to_dict(),
            prompt_encoder_config=prompts.to_dict(),
            mask_decoder_config=decoder.to_dict(),
            initializer_range=0.2,
        )
        network = SamModel(config).eval()
    if confident:
        with torch.no_grad():
            network.mask_decoder.iou_prediction_head.proj_out.bias += 1.0
            for head in network.mask_decoder.output_hypernetworks_mlps:
                head.proj_out.weight *= 30_000
                head.proj_out.bias *= 30_000
    return network


def save(network: SamModel, folder: Path) -> Path:
    network.save_pretrained(folder)
    size = {"height": SIDE, "width": SIDE}
    SamImageProcessorPil(size={"longest_edge": SIDE}, pad_size=size).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(make_network(confident=True), tmp_path_factory.mktemp("sam"))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A download cache of the test's own, and settings of the hub library as they were."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    for name in ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_XET"):
        monkeypatch.setattr(constants, name, getattr(constants, name))


@pytest.fixture(scope="module", autouse=True)
def _large_masks() -> Iterator[None]:
    """Let masks of more than a quarter of the picture pass: those of random weights are about half of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sam_masks, "MOST_SHARE", 0.7)
        yield


@pytest.fixture(scope="module")
def features():
    scene, _ = make_patchwork(side=96, patches=6, noise=150)
    return build_features(scene)


@pytest.fixture(scope="module")
def found(features, weights):
    return cluster(features, method="sam", k=5, options={"weights": str(weights), "points": 6})


# --- the map ---------------------------------------------------------------------------------------------------------


def test_the_whole_way_from_weights_to_a_map(features, found):
    assert 0.1 < found.settings["outlined"] <= 1
    assert set(np.unique(found.labels)) == {1, 2, 3, 4, 5}
    segments = found.model.segment(*features.block(full_window(features.grid)))
    assert found.settings["segments"] == len(np.unique(segments))
    for number in np.unique(segments):
        assert len(np.unique(found.labels[segments == number])) == 1


class Knowing(torch.nn.Module):
    """Stands for a well trained network: outlines exactly the stripe that a point lies in."""

    def __init__(self, stripes: np.ndarray) -> None:
        super().__init__()
        self.stripes = torch.as_tensor(stripes.astype(np.int64))
        self.anything = torch.nn.Parameter(torch.zeros(1))
        self.vision_encoder = torch.nn.Module()
        self.vision_encoder.layers = torch.nn.ModuleList([torch.nn.Identity()])

    def get_image_embeddings(self, pixel_values):
        return self.vision_encoder.layers[0](pixel_values)

    def forward(self, image_embeddings, input_points, multimask_output):
        side = len(self.stripes)
        x, y = (input_points[0, :, 0] * side / SIDE).long().T
        inside = self.stripes == self.stripes[y, x][:, None, None]
        masks = torch.where(inside, 20.0, -20.0)[None, :, None].expand(-1, -1, 3, -1, -1)
        return SimpleNamespace(pred_masks=masks, iou_scores=torch.tensor([0.95, 0.9, 0.5]).expand(1, len(x), 3))


def test_good_outlines_make_a_map_without_salt_and_pepper(weights, monkeypatch):
    scene, stripes = make_patchwork(side=96, patches=6, noise=2500)
    monkeypatch.setattr(
        "s2dash.clustering.sam.load_network", lambda folder: (Knowing(stripes), load_network(folder)[1])
    )
    features = build_features(scene, indices=[])
    objects = cluster(features, method="sam", k=6, options={"weights": str(weights), "points": 12}).labels
    pixels = cluster(features, k=6).labels
    assert (
        adjusted_rand_score(stripes.ravel(), objects.ravel())
        > 0.97
        > adjusted_rand_score(stripes.ravel(), pixels.ravel())
    )
    assert patches(objects) < 0.1 * patches(pixels)


def patches(labels):
    return sum(connected(labels == number)[1] for number in np.unique(labels[labels > 0]))


def test_same_seed_same_map_and_torch_is_left_as_it_was(features, found, weights):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    level = logging.getLogger("transformers").level
    again = cluster(features, method="sam", k=5, options={"weights": str(weights), "points": 6})
    assert np.array_equal(again.labels, found.labels)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert logging.getLogger("transformers").level == level


def test_it_goes_to_disk_without_the_weights_and_back(features, found, weights, tmp_path):
    path = tmp_path / "model.npz"
    SavedModel.of(found.model, features).save(path)
    assert path.stat().st_size < 0.2 * (weights / "model.safetensors").stat().st_size
    loaded = SavedModel.load(path)
    assert isinstance(loaded.model, SAMModel)
    assert loaded.model.describe() == found.model.describe()
    assert np.array_equal(predict_map(features, loaded.model), found.labels)
    other, _ = make_patchwork(side=70, patches=3, seed=8)
    assert np.array_equal(loaded.apply(other).labels, SavedModel.of(found.model, features).apply(other).labels)


def test_a_model_whose_weights_are_gone_or_changed_says_so(features, weights, tmp_path):
    folder = shutil.copytree(weights, tmp_path / "sam")
    model = fit_sam(features, k=3, seed=0, sample=1000, weights=str(folder), points=3)
    path = tmp_path / "model.npz"
    SavedModel.of(model, features).save(path)
    save(make_network(confident=False), folder)
    with pytest.raises(WeightsError, match="not those that the model was fitted with"):
        SavedModel.load(path)
    shutil.rmtree(folder)
    with pytest.raises(WeightsError, match="no folder"):
        SavedModel.load(path)


@pytest.mark.parametrize("change", [{"channels": ["B04", "B03"]}, {"black": [1.0]}, {"channels": ["x", "y", "z"]}])
def test_a_damaged_file_is_refused(features, found, tmp_path, change, monkeypatch):
    described = found.model.describe() | change
    monkeypatch.setattr(SAMModel, "describe", lambda self: described)
    SavedModel.of(found.model, features).save(tmp_path / "model.npz")
    with pytest.raises(ModelFileError, match="channels"):
        SavedModel.load(tmp_path / "model.npz")


def test_clouds_stay_empty_and_do_not_matter(weights):
    scene, _ = make_patchwork(side=80, patches=4, noise=150)
    scl = np.full((80, 80), 4, dtype=np.uint8)
    scl[10:40, 20:60] = 9
    bright = scene.source.numbers.copy()
    bright[:, scl == 9] = 15_000
    maps = []
    for numbers in (scene.source.numbers, bright):
        features = build_features(make_scene(numbers, scl=scl))
        maps.append(cluster(features, method="sam", k=4, options={"weights": str(weights), "points": 4}).labels)
    assert np.array_equal(maps[0], maps[1])
    assert np.array_equal(maps[0] == 0, scl == 9)


def test_a_network_that_outlines_nothing_leaves_superpixels_and_says_so(features, tmp_path):
    folder = save(make_network(confident=False), tmp_path / "sam")
    made = cluster(features, method="sam", k=5, options={"weights": str(folder), "points": 3})
    assert made.settings["outlined"] == 0
    assert "outlined 0% of the ground" in made.notes[0]
    assert (made.labels > 0).all()


def test_without_the_bands_of_true_colour_the_first_three_are_shown_and_said(weights):
    numbers = make_patchwork(side=64)[0].source.numbers
    for bands, shown in (
        (("B05", "B8A", "B11", "B12"), ("B05", "B8A", "B11")),
        (("B08", "B11"), ("B08", "B11", "B08")),
    ):
        features = build_features(make_scene(numbers[: len(bands)], bands=bands), indices=[])
        model = fit_sam(features, k=3, seed=0, sample=1000, weights=str(weights), points=3)
        assert model.colours.channels == shown
        assert ", ".join(shown) in model.notes[0]


def test_the_picture_is_true_colour_stretched_over_the_scene(features):
    values, valid = features.block(full_window(features.grid))
    names = features.names
    picture = Colours.fit(names, [(values, valid)]).picture(names, values, valid)
    for channel, band in enumerate(TRUE_COLOUR):
        shown, value = picture[..., channel].ravel().astype(int), values[names.index(band)].ravel()
        assert (np.diff(shown[np.argsort(value)]) >= 0).all()
        assert np.mean(shown == 0) == pytest.approx(0.02, abs=0.005)
        assert np.mean(shown == 255) == pytest.approx(0.02, abs=0.005)


def test_other_bands_are_refused(found):
    with pytest.raises(ModelMismatchError, match="NDWI"):
        predict_map(build_features(make_patchwork(side=64)[0], indices=["NDWI"]), found.model)


def test_a_constant_scene_is_refused(weights):
    features = build_features(make_scene(np.full((3, 64, 64), 700, np.uint16)), indices=[])
    with pytest.raises(TooFewDistinctPixelsError, match="constant"):
        fit_sam(features, k=2, seed=0, sample=99, weights=str(weights), points=2)


@pytest.mark.parametrize("points", [0, 1, 65])
def test_points_out_of_range_are_refused(features, weights, points):
    with pytest.raises(ClusteringError, match=str(points)):
        fit_sam(features, k=3, seed=0, sample=1000, weights=str(weights), points=points)


def test_too_little_memory_is_said_before_anything_is_loaded(features, weights, monkeypatch):
    monkeypatch.setattr("s2dash.memory.available_bytes", lambda: 1000)
    with pytest.raises(TooLargeError, match=r"Segment Anything needs .* superpixels \(slic\)"):
        fit_sam(features, k=3, seed=0, sample=1000, weights=str(weights))


class Impatient(Tracker):
    """Cancels once a step of this name is at this share of the whole."""

    def __init__(self, text: str, share: float) -> None:
        super().__init__()
        self.wanted, self.least = text, share

    def report(self, share: float, text: str) -> None:
        if text.startswith(self.wanted) and share >= self.least:
            self.cancel()
        super().report(share, text)


@pytest.mark.parametrize("share", [0.31, 0.6])  # in the encoder, and between points
def test_it_can_be_cancelled(features, weights, share):
    watch = Impatient("Outlining objects", share)
    with pytest.raises(Cancelled, match="Outlining"):
        fit_sam(features, k=3, seed=0, sample=1000, weights=str(weights), points=8, progress=watch)


# --- outlines --------------------------------------------------------------------------------------------------------


def test_masks_are_those_of_the_librarys_own_processing(weights, monkeypatch):
    """Independent way: each point alone, masks enlarged by the processor, no batches; nothing is suppressed here."""
    monkeypatch.setattr(sam_masks, "MOST_OVERLAP", 1.0)
    network, prepare = load_network(weights)
    picture = np.random.default_rng(0).integers(0, 255, (40, 56, 3)).astype(np.uint8)
    valid = np.ones((40, 56), dtype=bool)
    valid[:, 50:] = False
    found = automatic_masks(network, prepare, picture, valid, points=6)
    expected = []
    for point in grid_points(valid, points=6):
        inputs = prepare(images=picture, return_tensors="pt")
        rows, cols = inputs["reshaped_input_sizes"][0].tolist()
        scaled = torch.tensor([[[[point[0] * cols / 56, point[1] * rows / 40]]]], dtype=torch.float32)
        with torch.inference_mode():
            answer = network(pixel_values=inputs["pixel_values"], input_points=scaled, multimask_output=True)
        logits = prepare.post_process_masks(
            answer.pred_masks,
            inputs["original_sizes"],
            inputs["reshaped_input_sizes"],
            binarize=False,
            pad_size={"height": SIDE, "width": SIDE},
        )[0][0]
        for score, values in zip(answer.iou_scores[0, 0].tolist(), logits.numpy(), strict=True):
            inside = (values > 0) & valid
            fits = 9 <= inside.sum() <= 0.7 * inside.size
            if score > 0.88 and fits and (values > 1).sum() / (values > -1).sum() >= 0.95:
                expected.append((score, inside))
    expected.sort(key=lambda item: -item[0])
    assert len(found.inside) == len(expected) > 10
    assert found.quality == pytest.approx([score for score, _ in expected], abs=1e-4)
    assert np.mean(found.inside != np.array([inside for _, inside in expected])) < 0.001


def test_background_is_no_object(weights, monkeypatch):
    network, prepare = load_network(weights)
    picture = np.random.default_rng(0).integers(0, 255, (40, 56, 3)).astype(np.uint8)
    valid = np.ones((40, 56), dtype=bool)
    largest = automatic_masks(network, prepare, picture, valid, points=4).inside.mean(axis=(1, 2)).max()
    monkeypatch.setattr(sam_masks, "MOST_SHARE", largest - 0.01)
    assert (automatic_masks(network, prepare, picture, valid, points=4).inside.mean(axis=(1, 2)) < largest).all()


def overlap(first, second):
    grid = [np.zeros((30, 30), bool) for _ in range(2)]
    for cells, (left, top, right, bottom) in zip(grid, (first, second), strict=True):
        cells[top:bottom, left:right] = True
    return (grid[0] & grid[1]).sum() / (grid[0] | grid[1]).sum()


@given(
    st.lists(st.tuples(*[st.integers(0, 14), st.integers(0, 14), st.integers(1, 15), st.integers(1, 15)]), max_size=25)
)
def test_suppression_keeps_the_best_of_what_overlaps(sizes):
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in sizes], dtype=np.int64).reshape(-1, 4)
    expected: list[int] = []
    for index, box in enumerate(boxes):
        if all(overlap(boxes[other], box) <= MOST_OVERLAP for other in expected):
            expected.append(index)
    assert suppress_overlaps(boxes).tolist() == expected


def test_stability_is_the_overlap_of_a_strict_and_a_loose_mask():
    assert stability(np.array([[3.0, 2.0, 0.5, -0.5, -3.0]])) == 0.5
    assert stability(np.full((2, 2), -9.0)) == 0


@given(st.integers(1, 90), st.integers(1, 90), st.integers(2, 9))
def test_points_are_centres_of_nearly_square_cells_and_valid(height, width, points):
    valid = np.random.default_rng(height * width).random((height, width)) < 0.8
    grid = grid_points(valid, points=points)
    assert len(grid) <= (points + 1) ** 2
    x, y = grid.T.astype(int)
    assert valid[y, x].all()
    every = grid_points(np.ones_like(valid), points=points)
    assert len(np.unique(every[:, 0 if width >= height else 1])) == points
    assert every.mean(axis=0) == pytest.approx([width / 2, height / 2])


def test_a_box_is_as_tight_as_can_be():
    inside = np.zeros((9, 9), bool)
    inside[2, 3:6] = inside[5, 4] = True
    assert box_of(inside) == (3, 2, 6, 6)


def test_small_masks_lie_over_large_ones():
    masks = np.zeros((3, 6, 6), bool)
    masks[0, 2:4, 2:4] = True
    masks[1, :5, :5] = True
    masks[2, 1:5, 1:5] = True
    segments = paint(masks)
    assert [segments[2, 2], segments[1, 1], segments[0, 0], segments[5, 5]] == [3, 2, 1, 0]
    assert paint(np.zeros((0, 4, 4), bool)).tolist() == [[0] * 4] * 4


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_gaps_are_filled_and_no_crumb_is_left(seed):
    rng = np.random.default_rng(seed)
    valid = rng.random((30, 30)) < 0.9
    superpixels = np.where(valid, np.kron(np.arange(1, 26).reshape(5, 5), np.ones((6, 6), int)), 0).astype(np.int32)
    objects = np.where(valid & (rng.random((30, 30)) < 0.5), rng.integers(0, 4, (30, 30)), 0).astype(np.int32)
    filled = fill_gaps(objects, superpixels)
    assert np.array_equal(filled > 0, valid)
    sizes = np.bincount(filled[valid])
    assert sizes[sizes > 0].min() >= LEAST_PIXELS
    large = np.bincount(objects.ravel(), minlength=4) >= LEAST_PIXELS
    large[0] = False
    stay = large[objects]
    assert np.array_equal(filled[stay], objects[stay])


# --- weights ---------------------------------------------------------------------------------------------------------


def test_what_is_known_of_weights_is_said_before_a_download():
    for name in known_weights():
        status = weights_status(name)
        assert (status.place, status.ready, status.licence) == ("hub", False, "Apache-2.0")
    assert known_weights()[0] == METHODS["sam"].check_options({})["weights"]
    assert "375 MB, to be downloaded; licence Apache-2.0; from https://huggingface.co" in str(
        weights_status(known_weights()[0])
    )


def test_the_sizes_are_those_of_the_published_networks():
    shapes = (
        {},
        {
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "global_attn_indexes": [5, 11, 17, 23],
        },
        {
            "hidden_size": 1280,
            "num_hidden_layers": 32,
            "num_attention_heads": 16,
            "global_attn_indexes": [7, 15, 23, 31],
        },
    )
    for name, shape in zip(known_weights(), shapes, strict=True):
        with torch.device("meta"):
            network = SamModel(SamConfig(vision_config=VisionConfig(**shape).to_dict()))
        numbers = sum(
            tensor.numel() for tensor in {id(t): t for t in network.state_dict(keep_vars=True).values()}.values()
        )
        assert weights_status(name).megabytes == pytest.approx(4 * numbers / 1e6, abs=1)


def test_nothing_is_fetched_unless_allowed(features, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://192.0.2.1")  # the wall around the tests would fail on any look at it
    with pytest.raises(WeightsError, match=r"375 MB, licence: Apache-2.0.*'download' to 1"):
        cluster(features, method="sam", k=3)


def test_a_folder_says_its_size(weights):
    status = weights_status(str(weights))
    assert (status.place, status.folder) == ("folder", weights)
    assert status.megabytes == round((weights / "model.safetensors").stat().st_size / 1e6)


def test_a_folder_without_weights_says_what_is_missing(features, weights, tmp_path):
    with pytest.raises(WeightsError, match=r"config.json and model.safetensors is missing"):
        cluster(features, method="sam", k=3, options={"weights": str(tmp_path)})
    shutil.copy(weights / "config.json", tmp_path)
    with pytest.raises(WeightsError, match=r": model.safetensors is missing.*Choose"):
        cluster(features, method="sam", k=3, options={"weights": str(tmp_path)})


@pytest.mark.parametrize(
    "name",
    [
        "",
        "sam",
        "./nowhere",
        "/nowhere/at/all",
        "a/b/c",
        "a/../b",
        "a--b/c",
        "~/nowhere",
        "~nobody-known/x",
        "x" * 5000,
    ],
)
def test_what_is_neither_folder_nor_name_is_refused(name, features):
    with pytest.raises(WeightsError if name else ClusteringError, match=r"no folder|holds no weights|needs a value"):
        cluster(features, method="sam", k=3, options={"weights": name})


def test_a_model_of_another_kind_is_refused(features, weights, tmp_path):
    folder = shutil.copytree(weights, tmp_path / "other")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "bert"}))
    with pytest.raises(WeightsError, match=r"kind 'bert', not Segment Anything"):
        cluster(features, method="sam", k=3, options={"weights": str(folder)})


def drop_a_part(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    del tensors["vision_encoder.neck.conv1.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def other_shape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["mlp_dim"] = 48
    (folder / "config.json").write_text(json.dumps(config))


def truncate(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])


def empty(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")


def nonsense(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def list_instead(folder: Path) -> None:
    (folder / "config.json").write_text("[1]")


def broken_preprocessor(folder: Path) -> None:
    (folder / "preprocessor_config.json").write_text("no json")


def no_network(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vision_config": {"patch_size": 0}}))


def odd_setting(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["num_hidden_layers"] = "many"
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    "damage",
    [drop_a_part, other_shape, truncate, empty, nonsense, list_instead, broken_preprocessor, no_network, odd_setting],
    ids=lambda damage: damage.__name__,
)
def test_damaged_weights_are_refused_and_nothing_is_printed(features, weights, tmp_path, damage, capfd):
    folder = shutil.copytree(weights, tmp_path / "damaged")
    damage(folder)
    with pytest.raises(WeightsError, match=r"[Dd]ownload (them|the weights) again"):
        cluster(features, method="sam", k=3, options={"weights": str(folder)})
    assert capfd.readouterr() == ("", "")


def test_a_folder_without_settings_for_pictures_will_do(weights, tmp_path):
    folder = shutil.copytree(weights, tmp_path / "sam")
    (folder / "preprocessor_config.json").unlink()
    picture = np.random.default_rng(0).integers(0, 255, (40, 56, 3)).astype(np.uint8)
    first, second = (load_network(place)[1](images=picture, return_tensors="pt") for place in (weights, folder))
    assert torch.equal(first["pixel_values"], second["pixel_values"])
    assert first["pixel_values"].shape == (1, 3, SIDE, SIDE)


# --- the hub ---------------------------------------------------------------------------------------------------------


class Hub(Loopback):
    """A server on this machine that answers as the hub does, and remembers what it was asked."""

    def __init__(self, files: dict[str, bytes], name: str) -> None:
        self.asked: list[tuple[str, str]] = []
        self.slow = threading.Event()
        hub = self

        class Handler(QuietHandler):
            def answer(self) -> None:
                hub.asked.append((self.command, self.path))
                prefix = f"/{name}/resolve/main/"
                content = files.get(self.path.removeprefix(prefix)) if self.path.startswith(prefix) else None
                if content is None:
                    self.send_response(404)
                    code = "EntryNotFound" if self.path.startswith(prefix) else "RepoNotFound"
                    self.send_header("X-Error-Code", code)
                    self.send_header("X-Repo-Commit", "a" * 40)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(200)
                self.send_header("X-Repo-Commit", "a" * 40)
                self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content)

            do_GET = do_HEAD = answer  # noqa: N815

        super().__init__(Handler)


@pytest.fixture
def hub(weights, monkeypatch) -> Iterator[Hub]:
    served = Hub({file.name: file.read_bytes() for file in weights.iterdir()}, "somebody/sam-tiny")
    monkeypatch.setenv("HF_ENDPOINT", served.address)
    yield served
    served.close()


def test_weights_are_fetched_once_when_allowed_and_then_found_offline(hub, features, found, tmp_path, capfd):
    options = {"weights": "somebody/sam-tiny", "points": 6}
    with pytest.raises(WeightsError, match="unknown size"):
        cluster(features, method="sam", k=5, options=options)
    assert hub.asked == []
    watch = Impatient("never", 2)
    made = cluster(features, method="sam", k=5, options=options | {"download": 1}, progress=watch)
    assert np.array_equal(made.labels, found.labels)
    assert {path for _, path in hub.asked} == {
        f"/somebody/sam-tiny/resolve/main/{file}"
        for file in ("config.json", "preprocessor_config.json", "model.safetensors")
    }
    SavedModel.of(made.model, features).save(tmp_path / "model.npz")
    hub.asked.clear()
    status = weights_status("somebody/sam-tiny")
    assert (status.place, status.ready) == ("cache", True)
    assert weights_hash(status.folder) == made.settings["sha256"]
    again = cluster(features, method="sam", k=5, options=options)
    assert np.array_equal(again.labels, found.labels)
    assert np.array_equal(predict_map(features, SavedModel.load(tmp_path / "model.npz").model), found.labels)
    assert hub.asked == []
    assert capfd.readouterr() == ("", "")


def test_a_download_tells_how_far_it_is_and_can_be_cancelled(hub, tmp_path):
    watch = Impatient("Fetching somebody/sam-tiny", 0.0)
    with pytest.raises(Cancelled, match="Fetching"):
        find_weights("somebody/sam-tiny", download=True, progress=watch)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.name.endswith(".incomplete")]
    assert weights_status("somebody/sam-tiny").place == "hub"


def test_a_name_the_hub_does_not_know(hub):
    with pytest.raises(WeightsError, match=r"nobody/nothing could not be fetched .*no such model"):
        find_weights("nobody/nothing", download=True)


def test_a_model_of_another_kind_is_not_downloaded(weights, monkeypatch):
    other = Hub({"config.json": b'{"model_type": "sam2"}', "model.safetensors": b"large"}, "somebody/sam2")
    monkeypatch.setenv("HF_ENDPOINT", other.address)
    try:
        with pytest.raises(WeightsError, match="'sam2'"):
            find_weights("somebody/sam2", download=True)
    finally:
        other.close()
    assert not [path for _, path in other.asked if "safetensors" in path]


def test_a_model_without_safe_weights(weights, monkeypatch):
    other = Hub({"config.json": (weights / "config.json").read_bytes(), "pytorch_model.bin": b"pickle"}, "some/old")
    monkeypatch.setenv("HF_ENDPOINT", other.address)
    try:
        with pytest.raises(WeightsError, match=r"no config.json or no model.safetensors"):
            find_weights("some/old", download=True)
    finally:
        other.close()
