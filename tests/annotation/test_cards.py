"""Cards: what is said of a cluster is what its pixels are."""

from __future__ import annotations

import numpy as np
import pytest

from s2dash.annotation import cards as module
from s2dash.annotation.cards import build_cards
from s2dash.clustering import ClusterMap
from s2dash.errors import GridMismatchError
from s2dash.scene import Radiometry
from s2dash.testing import make_grid, make_patchwork, make_scene


def clusters_of(scene, labels):
    return ClusterMap(grid=scene.grid, labels=labels, model=None)


def test_medians_spreads_and_areas_are_those_of_the_pixels():
    scene, stripes = make_patchwork(side=60, noise=200)
    scene = scene.with_radiometry(Radiometry(1e-4, -0.1))
    cards = build_cards(clusters_of(scene, stripes), scene)
    reflectance = scene.read()
    for cluster, card in cards.items():
        inside = stripes == cluster
        assert card.pixels == inside.sum()
        assert card.area_ha == pytest.approx(inside.sum() / 100)
        assert card.share == pytest.approx(0.25)
        for index, band in enumerate(scene.bands):
            values = reflectance[index][inside]
            assert card.median[band] == pytest.approx(np.median(values), abs=1e-5)
            assert card.mean[band] == pytest.approx(np.mean(values), abs=1e-5)
            assert card.spread[band] == pytest.approx(np.subtract(*np.percentile(values, [75, 25])), abs=1e-5)


def test_large_clusters_are_measured_on_a_sample(monkeypatch):
    monkeypatch.setattr(module, "PER_CLUSTER", 500)
    scene, stripes = make_patchwork(side=200, noise=100, patches=2)
    cards = build_cards(clusters_of(scene, stripes), scene)
    again = build_cards(clusters_of(scene, stripes), scene)
    assert cards == again
    exact = np.median(scene.read()[3][stripes == 1])
    assert cards[1].median["B05"] == pytest.approx(exact, abs=0.002)
    assert cards[1].pixels == 20_000


def test_no_data_and_clusters_without_pixels_have_no_card():
    scene, stripes = make_patchwork(side=40)
    labels = np.where(stripes == 2, 0, stripes).astype(np.uint8)
    assert set(build_cards(clusters_of(scene, labels), scene)) == {1, 3, 4}


def test_indices_a_scene_cannot_have_are_left_out():
    scene = make_scene(np.full((3, 8, 8), 700, dtype=np.uint16), bands=("B02", "B03", "B04"))
    cards = build_cards(clusters_of(scene, np.ones((8, 8), dtype=np.uint8)), scene)
    assert cards[1].indices == {}


def test_area_in_degrees_is_that_of_the_ellipsoid():
    """Oracle: a square of 0.01 degrees at 60° N has half the width it has at the equator."""
    areas = {}
    for latitude in (0.005, 60.0):
        grid = make_grid(10, 10, crs="EPSG:4326", resolution=0.001, origin=(20.0, latitude))
        scene = make_scene(np.full((2, 10, 10), 500, dtype=np.uint16), grid=grid)
        areas[latitude] = build_cards(clusters_of(scene, np.ones((10, 10), dtype=np.uint8)), scene)[1].area_ha
    assert areas[60.0] / areas[0.005] == pytest.approx(0.504, abs=0.003)
    assert areas[0.005] == pytest.approx(1.113195 * 1.10574 * 100, rel=1e-3)  # 0.01 degrees in km, then ha


def test_clusters_of_another_scene_are_refused():
    scene, stripes = make_patchwork(side=40)
    other = ClusterMap(grid=make_grid(40, 40, origin=(5e5 + 5, 5e6)), labels=stripes, model=None)
    with pytest.raises(GridMismatchError):
        build_cards(other, scene)


def test_the_fingerprint_changes_with_what_is_shown():
    scene, stripes = make_patchwork(side=40)
    cards = build_cards(clusters_of(scene, stripes), scene)
    assert len({card.fingerprint for card in cards.values()}) == 4
    assert build_cards(clusters_of(scene, stripes), scene)[1].fingerprint == cards[1].fingerprint
