"""Distances of known distributions, and modes where there are and are not two."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2dash.clustering.separability import RIDGE, find_valley, gaussian_statistics, jeffries_matusita


def test_distance_of_two_normal_distributions_in_closed_form():
    # one feature: B = d²/(4 (s² + t²)) + ½ ln((s² + t²)/(2 s t))
    s, t, d = 0.5, 1.2, 1.5
    bhattacharyya = d**2 / (4 * (s**2 + t**2)) + 0.5 * np.log((s**2 + t**2) / (2 * s * t))
    found = jeffries_matusita(np.array([[0.0], [d]]), np.array([[[s**2]], [[t**2]]]))
    assert found[0, 1] == pytest.approx(2 * (1 - np.exp(-bhattacharyya)), rel=1e-12)
    assert found[0, 0] == found[1, 1] == 0


def test_distance_agrees_with_the_integral():
    # JM = ∫ (√p - √q)² over the plane
    means = np.array([[0.0, 0.0], [1.0, -0.5]])
    covariances = np.array([[[1.0, 0.3], [0.3, 0.5]], [[0.4, -0.1], [-0.1, 0.8]]])
    axis = np.linspace(-9, 9, 901)
    points = np.stack(np.meshgrid(axis, axis), axis=-1)
    roots = []
    for mean, covariance in zip(means, covariances, strict=True):
        apart = points - mean
        exponent = -0.5 * np.einsum("...i,ij,...j", apart, np.linalg.inv(covariance), apart)
        roots.append(np.sqrt(np.exp(exponent) / (2 * np.pi * np.sqrt(np.linalg.det(covariance)))))
    integral = ((roots[0] - roots[1]) ** 2).sum() * (axis[1] - axis[0]) ** 2
    assert jeffries_matusita(means, covariances)[0, 1] == pytest.approx(integral, rel=1e-6)


@settings(max_examples=40)
@given(st.integers(2, 8), st.integers(1, 6), st.integers(0, 2**31))
def test_distances_are_symmetric_between_0_and_2_and_do_not_depend_on_units(clusters, features, seed):
    rng = np.random.default_rng(seed)
    means = rng.normal(0, 2, (clusters, features))
    shapes = rng.standard_normal((clusters, features, features + 2))
    covariances = shapes @ shapes.transpose(0, 2, 1)
    found = jeffries_matusita(means, covariances)
    assert np.array_equal(found, found.T)
    assert (np.diag(found) == 0).all()
    assert ((found >= 0) & (found <= 2)).all()
    scale = rng.uniform(0.1, 10, features)
    scaled = jeffries_matusita(means * scale, covariances * np.outer(scale, scale))
    assert np.allclose(found, scaled, atol=1e-7)


def test_the_same_distribution_twice_and_two_far_apart():
    means, covariances = np.array([[0.0, 0], [0, 0], [50, 50]]), np.stack([np.eye(2)] * 3)
    assert jeffries_matusita(means, covariances).round(9).tolist() == [[0, 0, 2], [0, 0, 2], [2, 2, 0]]


def test_statistics_of_large_samples_are_their_own():
    rng = np.random.default_rng(0)
    samples = [rng.normal(index, 1 + index, (20_000, 3)).astype(np.float32) for index in range(2)]
    means, covariances = gaussian_statistics(samples, shares=[0.5, 0.5])
    for index, sample in enumerate(samples):
        assert np.allclose(means[index], sample.mean(axis=0), atol=1e-4)
        assert np.allclose(covariances[index], np.cov(sample.T, bias=True) + RIDGE * np.eye(3), atol=5e-3)


def test_a_cluster_of_one_pixel_borrows_the_shape_of_the_others():
    rng = np.random.default_rng(0)
    samples = [rng.normal(0, 2, (5000, 3)), np.full((1, 3), 30.0), np.empty((0, 3))]
    means, covariances = gaussian_statistics(samples, shares=[0.9, 0.05, 0.05])
    assert np.linalg.eigvalsh(covariances[1]).min() > 1
    distances = jeffries_matusita(means, covariances)
    assert distances[0, 1] > 1.9
    assert np.isnan(distances[2]).all()


def line(kind: str, rng: np.random.Generator, pixels: int) -> np.ndarray:
    """Pixels whose spread along one direction is as named, and small along all others."""
    two = np.where(rng.random(pixels) < (0.05 if kind == "5 %" else 0.3), -1.6, 1.6)
    along = {
        "normal": rng.standard_normal(pixels),
        "flat": rng.uniform(-2, 2, pixels),  # what K-Means cuts out of a wide cloud
        "cut off": np.abs(rng.standard_normal(pixels)),
        "skewed": rng.exponential(1, pixels),
        "heavy tails": rng.standard_t(3, pixels),
        "two close": rng.choice([-0.8, 0.8], pixels) + rng.normal(0, 0.7, pixels),
        "5 %": two + rng.normal(0, 0.5, pixels),
        "two": two + rng.normal(0, 0.5, pixels),
    }[kind]
    return (along[:, None] * np.array([[0.6, 0.0, -0.8]]) + rng.normal(0, 0.2, (pixels, 3))).astype(np.float32)


@pytest.mark.parametrize("kind", ["normal", "flat", "cut off", "skewed", "heavy tails", "two close", "5 %"])
def test_one_mode_is_not_taken_for_two(kind):
    found = [find_valley(line(kind, np.random.default_rng(seed), 1500)) for seed in range(8)]
    assert found == [None] * 8


@pytest.mark.parametrize("pixels", [300, 1500])
def test_two_modes_are_found_and_cut_in_the_valley(pixels):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        sample = line("two", rng, pixels)
        projection, bottom = find_valley(sample)
        true = sample @ np.array([0.6, 0, -0.8]) > 0
        assert max(np.mean((projection > bottom) == true), np.mean((projection < bottom) == true)) > 0.98


def test_constant_and_tiny_clusters_have_one_mode():
    assert find_valley(np.ones((500, 3), np.float32)) is None
    assert find_valley(line("two", np.random.default_rng(0), 60)) is None
