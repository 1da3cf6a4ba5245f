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


def across(along: np.ndarray, rng: np.random.Generator, noise: float = 0.2) -> np.ndarray:
    """Pixels whose spread along one direction is as given, and small along all others."""
    return (along[:, None] * np.array([[0.6, 0.0, -0.8]]) + rng.normal(0, noise, (len(along), 3))).astype(np.float32)


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
    return across(along, rng)


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


def kinds(rng: np.random.Generator, pixels: int, *each: tuple[float, float, float]) -> np.ndarray:
    """Pixels of several kinds, each with its share, its mean and its spread."""
    shares, means, spreads = (np.array(column) for column in zip(*each, strict=True))
    kind = rng.choice(len(each), pixels, p=shares)
    return across(rng.normal(means[kind], spreads[kind]), rng, noise=0.05)


ONE_MODE = {
    "normal": lambda rng, pixels: rng.normal(0, [1.0, 0.9, 0.8], (pixels, 3)),
    "flat": lambda rng, pixels: rng.uniform(-2, 2, (pixels, 3)) * [1.0, 0.9, 0.8],
    "cut off": lambda rng, pixels: across(np.abs(rng.standard_normal(pixels)), rng),
    "gamma": lambda rng, pixels: rng.gamma(2, 1, (pixels, 3)),
    "lognormal": lambda rng, pixels: across(rng.lognormal(0, 0.5, pixels), rng),
    "heavy tails": lambda rng, pixels: rng.standard_t(2, (pixels, 3)),
    "peak on a wide one": lambda rng, pixels: kinds(rng, pixels, (0.5, 0, 0.2), (0.5, 0, 1.5)),
    "whole numbers": lambda rng, pixels: np.round(rng.normal(0, 3, (pixels, 1))),
}


@pytest.mark.parametrize("pixels", [300, 3000])
@pytest.mark.parametrize("kind", ONE_MODE)
def test_one_mode_is_taken_for_two_in_one_of_fifty_at_most(kind, pixels):
    samples = (ONE_MODE[kind](np.random.default_rng(seed), pixels) for seed in range(200))
    assert sum(find_valley(sample) is not None for sample in samples) <= 4


@pytest.mark.parametrize("pixels", [300, 2000, 10_000])
def test_three_even_kinds_are_cut_between_two_of_them(pixels):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        sample = kinds(rng, pixels, (0.33, 0, 0.1), (0.34, 1.5, 0.1), (0.33, 3, 0.1))
        projection, bottom = find_valley(sample)
        along = sample @ np.array([0.6, 0, -0.8])
        hits = [np.mean((projection > bottom) == (along > gap)) for gap in (0.75, 2.25)]
        assert max(max(hit, 1 - hit) for hit in hits) > 0.99


def test_many_even_kinds_are_more_than_one():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        assert find_valley(kinds(rng, 2000, *((0.2, place, 0.2) for place in range(5)))) is not None


def test_a_narrow_and_a_wide_kind_are_cut_between_them():
    for seed in range(10):
        sample = kinds(np.random.default_rng(seed), 1500, (0.6, 0, 0.05), (0.4, 2.5, 0.6))
        projection, bottom = find_valley(sample)
        wide = sample @ np.array([0.6, 0, -0.8]) > 1
        assert max(np.mean((projection > bottom) == wide), np.mean((projection < bottom) == wide)) > 0.95


def test_a_tail_that_bridges_a_gap_does_not_hide_it():
    tail = [(0.03, place, 0.1) for place in (0.6, 1.2, 1.8, 2.4)]  # a mean fitted to tail and bulk lies between them
    for seed in range(10):
        sample = kinds(np.random.default_rng(seed), 2000, (0.7, 0, 0.08), *tail, (0.18, 3, 0.1))
        assert find_valley(sample) is not None


def test_kinds_without_any_spread_are_two():
    sample = np.repeat(np.array([[0.0, 1, 2], [3, 1, 0]]), [300, 200], axis=0)
    projection, bottom = find_valley(sample)
    assert sorted([int((projection < bottom).sum()), int((projection > bottom).sum())]) == [200, 300]


def test_the_direction_and_the_order_of_the_pixels_do_not_matter():
    rng = np.random.default_rng(0)
    sample = line("two", rng, 1000)
    projection, bottom = find_valley(sample)
    below = projection < bottom
    order = rng.permutation(1000)
    for other, shares in ((sample[order], below[order]), (-sample, below)):
        projection, bottom = find_valley(other)
        assert max(np.mean((projection < bottom) == shares), np.mean((projection > bottom) == shares)) > 0.999


def test_a_single_far_pixel_in_a_constant_cluster_is_not_a_mode():
    sample = np.zeros((100, 2))
    sample[0] = 5
    assert find_valley(sample) is None


def test_constant_and_tiny_clusters_have_one_mode():
    assert find_valley(np.ones((500, 3), np.float32)) is None
    assert find_valley(line("two", np.random.default_rng(0), 60)) is None
