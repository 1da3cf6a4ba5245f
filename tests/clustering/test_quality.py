"""Figures of clusters against scikit-learn, SciPy and closed forms, and the words made of them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from sklearn.metrics import silhouette_samples

from s2dash.annotation.cards import build_cards
from s2dash.clustering import ClusterMap, cluster
from s2dash.clustering.quality import SCATTERED, TINY_SHARE, ClusterQuality, measure_quality
from s2dash.errors import Cancelled, GridMismatchError
from s2dash.features import Texture, build_features
from s2dash.grid import full_window
from s2dash.progress import Tracker
from s2dash.scene import Scene
from s2dash.simulation import simulate_scene
from s2dash.testing import make_grid, make_patchwork, make_scene


def as_map(scene: Scene, labels: np.ndarray) -> ClusterMap:
    return ClusterMap(scene.grid, labels.astype(np.uint8), None)


def patchwork(*, side: int = 60, patches: int = 3, noise: float = 300.0) -> tuple[Scene, ClusterMap]:
    scene, stripes = make_patchwork(side=side, patches=patches, noise=noise)
    return scene, as_map(scene, stripes)


@pytest.fixture(scope="module")
def landscape() -> tuple[Scene, ClusterMap]:
    scene = simulate_scene(size=200, seed=3, cloud_share=0.1).scene
    return scene, cluster(build_features(scene), k=7, sample=5_000)


def test_sizes_and_spectra_are_those_of_all_pixels(landscape):
    scene, clusters = landscape
    found = measure_quality(clusters, scene, sample=10**6)  # enough to draw every pixel
    numbers, valid = scene.read_numbers(full_window(scene.grid))
    reflectance = scene.radiometry.apply(numbers)
    assert found.sampled == valid.sum()
    for measures in found.clusters:
        inside = clusters.labels == measures.cluster
        assert measures.pixels == inside.sum()
        assert measures.area_ha == pytest.approx(inside.sum() / 100)
        assert measures.share == pytest.approx(inside.sum() / valid.sum())
        assert list(measures.mean.values()) == pytest.approx(reflectance[:, inside].mean(axis=1), abs=1e-5)
        assert list(measures.std.values()) == pytest.approx(reflectance[:, inside].std(axis=1), abs=1e-5)
        assert tuple(measures.mean) == scene.bands
        assert measures.patches == ndimage.label(inside)[1]
        assert measures.patch_ha == pytest.approx(measures.area_ha / measures.patches)


def test_a_sample_says_about_the_same_as_all_pixels(landscape):
    scene, clusters = landscape
    whole, some = (measure_quality(clusters, scene, sample=size) for size in (10**6, 4_000))
    assert 3_500 < some.sampled < 4_500
    assert some.silhouette == pytest.approx(whole.silhouette, abs=0.03)
    for one, other in zip(whole.clusters, some.clusters, strict=True):
        assert list(one.mean.values()) == pytest.approx(list(other.mean.values()), abs=0.01)
        assert one.separability == pytest.approx(other.separability, abs=0.15)
        assert (one.pixels, one.patches, one.fragmentation) == (other.pixels, other.patches, other.fragmentation)


def test_silhouettes_are_those_of_scikit_learn_weighted_by_size():
    scene, clusters = patchwork(side=40, noise=900)
    clusters.labels[:, :4] = 3
    features = build_features(scene)
    found = measure_quality(clusters, scene, features=features, sample=10**6)
    values, _ = features.block(full_window(scene.grid))
    labels = clusters.labels.ravel()
    scores = silhouette_samples(values.reshape(len(features.names), -1).T, labels)
    for measures in found.clusters:
        assert measures.silhouette == pytest.approx(scores[labels == measures.cluster].mean(), abs=1e-3)
    assert found.silhouette == pytest.approx(scores.mean(), abs=1e-3)
    assert found.space == features.names


def test_silhouette_weights_clusters_by_their_true_size():
    scene, clusters = patchwork(side=200, patches=2, noise=1_500)
    clusters.labels[:] = np.where(np.arange(200) < 60, 1, 2)
    whole = measure_quality(clusters, scene, sample=10**6)
    by_hand = sum(measures.silhouette * measures.share for measures in whole.clusters)
    assert whole.silhouette == pytest.approx(by_hand)
    assert whole.silhouette != pytest.approx(np.mean([measures.silhouette for measures in whole.clusters]), abs=1e-3)


def test_separability_of_normal_clusters_is_the_closed_form():
    # one cluster 400 numbers above the other in one band, spread 200 in all: B = d²/8 = 0.5 with d in spreads
    rng = np.random.default_rng(0)
    side = 300
    numbers = rng.normal(3000, 200, (2, side, side))
    labels = np.ones((side, side), np.uint8)
    labels[:, side // 2 :] = 2
    numbers[0, labels == 2] += 400
    scene = make_scene(numbers.round().astype(np.uint16))
    found = measure_quality(as_map(scene, labels), scene, sample=50_000)
    expected = 2 * (1 - np.exp(-(2.0**2) / 8))
    assert found.separability[0][1] == found.separability[1][0] == pytest.approx(expected, abs=0.02)
    assert [measures.nearest for measures in found.clusters] == [2, 1]
    assert found[1].separability == found.separability[0][1]
    assert "Cluster 1 is hardly separable from cluster 2" in found[1].warnings[0]
    assert "merging" in found[1].warnings[0]
    apart = make_scene((numbers + np.where(labels == 2, 1000, 0)).astype(np.uint16))
    assert measure_quality(as_map(apart, labels), apart).warnings == ()


def test_fragmentation_is_one_minus_the_like_adjacencies():
    scene = make_scene(np.random.default_rng(0).integers(500, 600, (2, 8, 8)).astype(np.uint16))
    board = as_map(scene, np.indices((8, 8)).sum(axis=0) % 2 + 1)
    found = measure_quality(board, scene)
    assert [measures.fragmentation for measures in found.clusters] == [1.0, 1.0]
    assert [measures.patches for measures in found.clusters] == [32, 32]
    assert all(any("scattered: 100 %" in warning for warning in measures.warnings) for measures in found.clusters)
    halves = as_map(scene, np.where(np.arange(8) < 4, 1, 2) * np.ones((8, 1)))
    # each half: 52 sides between its own pixels, counted twice, and 8 to the other half
    assert measure_quality(halves, scene)[1].fragmentation == pytest.approx(8 / (2 * 52 + 8))
    assert SCATTERED > 8 / 112


def test_a_tiny_cluster_is_named():
    scene, clusters = patchwork(side=100)
    clusters.labels[10:13, 10:13] = 9
    found = measure_quality(clusters, scene)
    assert found[9].share < TINY_SHARE
    assert found[9].warnings[0].startswith("Cluster 9 is tiny: 0.09 % of the pixels (0.1 ha)")
    assert not any("tiny" in warning for measures in found.clusters[:3] for warning in measures.warnings)


def two_kinds(*, red: int, infrared: int, others: int, share: float = 0.4) -> tuple[Scene, ClusterMap]:
    """Cluster 1 holds two kinds of pixels that differ in what is given; cluster 2 one kind, far away."""
    rng = np.random.default_rng(0)
    numbers = np.full((10, 80, 80), 2000.0)
    second = rng.random((80, 80)) < share
    step = np.full(10, others)
    step[2], step[6], step[7] = red, infrared, infrared
    numbers += np.where(second, step[:, None, None], 0)
    numbers[:, :, 60:] = 6000
    numbers += rng.normal(0, 60, numbers.shape)
    scene = make_scene(numbers.astype(np.uint16))
    return scene, as_map(scene, np.where(np.arange(80) < 60, 1, 2) * np.ones((80, 1)))


def test_a_cluster_of_dark_and_bright_pixels_is_named():
    scene, clusters = two_kinds(red=900, infrared=900, others=900)
    found = measure_quality(clusters, scene, features=build_features(scene))
    modes = found[1].modes
    assert modes.measure == "brightness"
    assert (modes.low, modes.high) == pytest.approx((0.20, 0.29), abs=0.005)
    assert modes.low_share == pytest.approx(0.6, abs=0.03)
    assert "60 % darker (reflectance 0.20) and 40 % brighter (0.29). Split it" in found[1].warnings[0].replace(
        "59", "60"
    )
    assert found[2].modes is None
    assert found[2].warnings == ()


def test_a_cluster_of_green_and_bare_pixels_is_named_by_its_ndvi():
    scene, clusters = two_kinds(red=-1200, infrared=1200, others=0)
    found = measure_quality(clusters, scene, features=build_features(scene))
    modes = found[1].modes
    assert modes.measure == "NDVI"
    assert (modes.low, modes.high) == pytest.approx((0.0, 0.6), abs=0.03)
    assert modes.low_share == pytest.approx(0.6, abs=0.03)
    assert "with low NDVI" in found[1].warnings[0]


def test_kinds_that_hardly_differ_are_not_reported():
    rng = np.random.default_rng(0)
    numbers = (
        np.full((10, 60, 60), 2000.0) + np.where(rng.random((60, 60)) < 0.5, 100, 0) + rng.normal(0, 10, (10, 60, 60))
    )
    scene = make_scene(numbers.astype(np.uint16))
    found = measure_quality(as_map(scene, np.ones((60, 60))), scene)
    assert found[1].modes is None  # 0.01 of reflectance


def test_one_cluster_has_no_silhouette_and_no_neighbour():
    scene, _ = make_patchwork(side=20)
    found = measure_quality(as_map(scene, np.ones((20, 20))), scene)
    assert found.silhouette is None
    assert (found[1].silhouette, found[1].nearest, found[1].separability) == (None, None, None)
    assert found.separability == ((0.0,),)
    assert found[1].fragmentation == 0


def test_an_empty_map_and_single_pixels():
    scene, _ = make_patchwork(side=4)
    assert measure_quality(as_map(scene, np.zeros((4, 4))), scene).clusters == ()
    labels = np.zeros((4, 4), np.uint8)
    labels[0, 0], labels[3, 3] = 1, 2
    found = measure_quality(as_map(scene, labels), scene)
    assert [measures.pixels for measures in found.clusters] == [1, 1]
    json.dumps(found.to_json(), allow_nan=False)


def test_every_pixel_a_cluster_of_its_own_up_to_254():
    scene, _ = make_patchwork(side=16, noise=500)
    labels = (np.arange(256) % 254 + 1).reshape(16, 16)
    found = measure_quality(as_map(scene, labels), scene)
    assert len(found.clusters) == 254
    json.dumps(found.to_json(), allow_nan=False)


def test_pixels_the_scene_has_no_data_for_are_left_out():
    scene, clusters = patchwork(side=30)
    numbers = scene.source.read(scene.bands, full_window(scene.grid)).copy()
    numbers[:, clusters.labels == 2] = 0
    found = measure_quality(clusters, make_scene(numbers))
    assert found[2].pixels == 300
    assert (found[2].mean, found[2].silhouette, found[2].nearest) == ({}, None, None)
    assert found.separability[0][1] is None
    assert found[1].nearest == 3
    json.dumps(found.to_json(), allow_nan=False)


def test_constant_scene():
    scene = make_scene(np.full((3, 20, 20), 900, np.uint16))
    found = measure_quality(as_map(scene, np.where(np.arange(20) < 10, 1, 2) * np.ones((20, 1))), scene)
    assert found[1].separability == pytest.approx(0, abs=1e-6)
    assert found[1].std["B02"] == 0


def test_json_and_back(landscape):
    scene, clusters = landscape
    found = measure_quality(clusters, scene, features=build_features(scene), sample=2_000)
    content = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert ClusterQuality.from_json(content) == found
    mixed_scene, mixed = two_kinds(red=900, infrared=900, others=900)
    found = measure_quality(mixed, mixed_scene)
    assert found[1].modes is not None
    assert ClusterQuality.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_same_figures_whatever_the_threads_and_another_seed_another_sample(monkeypatch):
    scene, _ = make_patchwork(side=600, noise=900)
    clusters = as_map(scene, np.random.default_rng(0).integers(1, 4, (600, 600)))
    features = build_features(scene, texture=Texture(of=("B04",), size=3))
    found = []
    for threads in (1, 3):
        monkeypatch.setattr("s2dash.parallel.workers", lambda threads=threads: threads)
        found.append(measure_quality(clusters, scene, features=features, sample=2_000))
    assert found[0] == found[1]
    assert measure_quality(clusters, scene, features=features, sample=2_000, seed=1) != found[0]


def test_areas_of_cards_are_not_counted_again(monkeypatch):
    scene, clusters = patchwork()
    plain, cards = measure_quality(clusters, scene), build_cards(clusters, scene)
    monkeypatch.delattr("s2dash.clustering.quality.pixel_area_ha")
    assert measure_quality(clusters, scene, cards=cards) == plain


def test_areas_in_degrees_shrink_with_the_latitude():
    grid = make_grid(40, 40, crs="EPSG:4326", resolution=0.01, origin=(30.0, 60.0))
    scene = make_scene(np.random.default_rng(0).integers(500, 900, (2, 40, 40)).astype(np.uint16), grid=grid)
    labels = np.repeat([1, 2], 20)[:, None] * np.ones((1, 40))
    found = measure_quality(as_map(scene, labels), scene)
    assert found[1].area_ha < found[2].area_ha
    assert found[2].area_ha == pytest.approx(
        sum(card.area_ha for n, card in build_cards(as_map(scene, labels), scene).items() if n == 2)
    )


def test_another_grid_is_refused():
    scene, clusters = patchwork(side=30)
    other, _ = make_patchwork(side=31)
    with pytest.raises(GridMismatchError):
        measure_quality(clusters, other)
    with pytest.raises(GridMismatchError):
        measure_quality(clusters, scene, features=build_features(other))


def test_it_reports_and_stops():
    scene, clusters = patchwork(side=30)
    tracker = Tracker()
    measure_quality(clusters, scene, progress=tracker)
    assert tracker.share == 1.0
    tracker.cancel()
    with pytest.raises(Cancelled):
        measure_quality(clusters, scene, progress=tracker)


def test_noise_is_called_noise_and_nothing_else():
    scene, clusters = patchwork(side=60)
    rng = np.random.default_rng(0)
    labels = np.where(rng.random(clusters.labels.shape) < 0.3, 9, clusters.labels).astype(np.uint8)
    noisy = replace(clusters, labels=labels, settings={"noise_cluster": 9})
    found = measure_quality(noisy, scene)
    share = (labels == 9).sum() / (labels > 0).sum()
    assert [measures.cluster for measures in found.clusters if measures.noise] == [9]
    assert len(found[9].warnings) == 1
    assert found[9].warnings[0].startswith(f"Cluster 9 is noise: {100 * share:.2g} % of the pixels")
    assert ClusterQuality.from_json(found.to_json()) == found


def test_measures_of_an_earlier_version_know_no_noise():
    scene, clusters = patchwork(side=30)
    content = measure_quality(clusters, scene).to_json()
    for measures in content["clusters"]:
        del measures["noise"]
    assert not any(measures.noise for measures in ClusterQuality.from_json(content).clusters)
