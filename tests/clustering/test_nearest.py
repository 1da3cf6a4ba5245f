"""Nearest centres in single precision: what double precision says, however little a band varies."""

from __future__ import annotations

import numpy as np
import pytest
from rasterio.windows import Window

from s2dash.clustering import cluster
from s2dash.clustering.kmeans import KMeansModel
from s2dash.features import FeatureStack, build_features
from s2dash.testing import make_scene

SIDE, KINDS = 120, 8


def scene_numbers(spread: float) -> np.ndarray:
    rng = np.random.default_rng(5)
    levels, kinds = rng.normal(0, 1, (KINDS, 10)), rng.integers(0, KINDS, (SIDE, SIDE))
    values = 2000 + spread * (levels[kinds].transpose(2, 0, 1) + 0.3 * rng.normal(size=(10, SIDE, SIDE)))
    return np.round(values).clip(1)


def in_double_precision(features: FeatureStack, model: KMeansModel) -> np.ndarray:
    numbers, _ = features.scene.read_numbers(Window(0, 0, SIDE, SIDE))
    radiometry = features.scene.radiometry
    reflectance = numbers.reshape(len(numbers), -1).astype(np.float64).T * radiometry.scale + radiometry.offset
    pixels = (reflectance - features.scaler.mean) / features.scaler.std
    distance = ((pixels[:, None] - model.centres) ** 2).sum(axis=2)
    return (distance.argmin(axis=1) + 1).reshape(SIDE, SIDE)


@pytest.mark.parametrize("spread", [500, 20, 1], ids=lambda spread: f"spread {spread}")
def test_a_homogeneous_scene_is_labelled_as_in_double_precision(spread: float) -> None:
    features = build_features(make_scene(scene_numbers(spread).astype(np.uint16)), indices=())
    clusters = cluster(features, k=KINDS)
    assert isinstance(clusters.model, KMeansModel)
    assert (clusters.labels != in_double_precision(features, clusters.model)).mean() < 1e-3


@pytest.mark.parametrize("strays", [3, 300])
def test_a_band_that_is_constant_but_for_a_few_pixels_does_not_drown_the_others(strays: int) -> None:
    numbers = scene_numbers(500)
    numbers[9] = 2000
    rows, cols = np.random.default_rng(1).integers(0, SIDE, (2, strays))
    numbers[9, rows, cols] = 2001
    features = build_features(make_scene(numbers.astype(np.uint16)), indices=())
    clusters = cluster(features, k=KINDS)
    assert isinstance(clusters.model, KMeansModel)
    assert (clusters.labels != in_double_precision(features, clusters.model)).mean() < 1e-3
