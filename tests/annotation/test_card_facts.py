"""Patches, borders and texture against the slow way."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from odc.geo.geobox import GeoBox
from skimage.measure import label

from s2dash.annotation import card_facts
from s2dash.annotation.card_facts import SPECKLE, cluster_facts, scene_facts
from s2dash.clustering.model import ClusterMap
from s2dash.testing import make_grid, make_scene

MAPS = st.tuples(st.integers(2, 14), st.integers(2, 14)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, 7, 254]))
)


def facts_of(labels: np.ndarray, *, numbers: np.ndarray | None = None):
    shape = labels.shape
    numbers = np.full((10, *shape), 1000, np.uint16) if numbers is None else numbers
    scene = make_scene(numbers, grid=make_grid(*shape))
    return cluster_facts(ClusterMap(scene.grid, labels, None), scene)


@settings(max_examples=60)
@given(MAPS)
def test_patches_and_borders_are_those_one_counts_by_hand(labels: np.ndarray) -> None:
    found = facts_of(labels)
    assert set(found) == set(map(int, np.unique(labels))) - {0}
    height, width = labels.shape
    for cluster, facts in found.items():
        parts = label(labels == cluster, connectivity=2)
        sizes = np.sort(np.bincount(parts.ravel())[1:])[::-1]
        assert facts.patches.count == len(sizes)
        assert facts.patches.largest_ha == pytest.approx(sizes[0] * 0.01)
        assert facts.patches.speckle == pytest.approx(sizes[sizes < SPECKLE].sum() / sizes.sum())
        larger = sizes[sizes >= facts.patches.typical_ha / 0.01 - 1e-6].sum()
        smaller = sizes[sizes > facts.patches.typical_ha / 0.01 + 1e-6].sum()
        assert larger >= sizes.sum() / 2 >= smaller
        sides: dict[int, int] = {}
        touching = 0
        for row, col in zip(*np.nonzero(labels == cluster), strict=True):
            near = [(row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)]
            others = [int(labels[at]) for at in near if 0 <= at[0] < height and 0 <= at[1] < width]
            touching += any(other != cluster for other in others)
            for other in others:
                if other not in {0, cluster}:
                    sides[other] = sides.get(other, 0) + 1
        assert facts.patches.edge == pytest.approx(touching / (labels == cluster).sum())
        assert facts.borders == pytest.approx({other: n / sum(sides.values()) for other, n in sides.items()})
        assert list(facts.borders.values()) == sorted(facts.borders.values(), reverse=True)
        assert not facts.patches.thinned


def test_texture_is_the_local_spread_relative_to_the_mean() -> None:
    rng = np.random.default_rng(0)
    labels = np.ones((24, 30), np.uint8)
    labels[:, 13:] = 2
    labels[9:12, 4:20] = 0
    numbers = rng.integers(500, 3000, (10, 24, 30)).astype(np.uint16)
    numbers[:, 9:12, 4:20] = 0
    found = facts_of(labels, numbers=numbers)
    for cluster, facts in found.items():
        assert set(facts.texture) == {"B04", "B08"}
        for band, place in (("B04", 2), ("B08", 6)):
            spreads = []
            for row, col in zip(*np.nonzero(labels == cluster), strict=True):
                part = numbers[place, max(row - 2, 0) : row + 3, max(col - 2, 0) : col + 3]
                known = part[part > 0].astype(float)
                spreads.append(known.std() / known.mean())
            assert facts.texture[band] == pytest.approx(np.mean(spreads), rel=1e-4)


def test_pixels_without_data_have_no_texture() -> None:
    labels = np.ones((20, 20), np.uint8)
    numbers = np.full((10, 20, 20), 1500, np.uint16)
    numbers[:, 5:8] = 0
    labels[5:8] = 0
    assert facts_of(labels, numbers=numbers)[1].texture["B04"] == pytest.approx(0.0, abs=1e-6)
    nothing = cluster_facts(
        ClusterMap(make_grid(4, 4), np.ones((4, 4), np.uint8), None),
        make_scene(np.full((1, 4, 4), 900, np.uint16), bands=("B05",)),
    )
    assert nothing[1].texture == {}


def test_large_maps_are_thinned_and_say_so(monkeypatch) -> None:
    monkeypatch.setattr(card_facts, "MOST_SIDE", 50)
    labels = np.ones((200, 100), np.uint8)
    labels[80:160, 40:80] = 2
    labels[1, 1] = 3
    found = facts_of(labels)
    assert found[2].patches.thinned
    assert found[2].patches.count == 1
    assert found[2].patches.largest_ha == pytest.approx(32.0)
    assert found[3].patches.count == 0  # too rare to be on the overview


def test_a_scene_tells_where_and_when_as_far_as_it_knows() -> None:
    scene = make_scene(np.full((2, 30, 50), 900, np.uint16))
    about = scene_facts(scene, acquired=date(2021, 7, 1))
    assert about.latitude == pytest.approx(45.15, abs=0.05)  # 5 000 km north of the equator
    assert about.acquired == date(2021, 7, 1)
    assert (about.pixel_m, about.width_m, about.height_m) == pytest.approx((10, 500, 300), rel=1e-3)
    nowhere = scene_facts(make_scene(np.full((2, 3, 5), 900, np.uint16), grid=GeoBox((3, 5), Affine.scale(10), None)))
    assert nowhere.latitude is None
    assert nowhere.acquired is None
