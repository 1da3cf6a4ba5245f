"""The estimator of Olofsson et al. (2014): the paper's own numbers, and what any such estimator must do."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from s2dash.area_estimate import allocate, estimate_areas, sampled_counts
from s2dash.errors import AreaEstimateError

PAPER = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]
"""Table 8 of the paper: 640 sample units by map class and reference class."""
PAPER_HA = {1: 200_000.0, 2: 150_000.0, 3: 3_200_000.0, 4: 6_450_000.0}
"""Mapped pixels of its four classes (deforestation, forest gain, stable forest, stable other); any unit of area."""


def counted(rows: list[list[int]]) -> dict[int, dict[int, int]]:
    return {i: {j: count for j, count in enumerate(row, start=1) if count} for i, row in enumerate(rows, start=1)}


def test_the_example_of_the_paper() -> None:
    found = estimate_areas(counted(PAPER), stratum_ha=PAPER_HA)
    assert found.n == 640
    assert round(found.overall.value, 2) == 0.95
    assert round(found.overall.half, 2) == 0.02
    users = [(round(one.users.value, 2), round(one.users.half, 2)) for one in found.classes]
    assert users == [(0.88, 0.07), (0.73, 0.10), (0.93, 0.04), (0.96, 0.02)]
    producers = [(round(one.producers.value, 2), round(one.producers.half, 2)) for one in found.classes]
    assert producers == [(0.75, 0.21), (0.85, 0.25), (0.93, 0.03), (0.96, 0.02)]
    assert round(found[1].area.value) == 235_086  # pixels in the paper, which makes them 21 158 ha
    assert round(found[1].area.half) == 68_418
    assert found[1].mapped_ha == 200_000
    assert math.fsum(one.area.value for one in found.classes) == pytest.approx(10_000_000)


def direct(sample: dict[int, dict[int, int]], ha: dict[int, float]) -> dict[int, tuple[float, float]]:
    """Area and standard error of every class, from equations 9 and 10 as the paper prints them."""
    total = sum(ha[i] for i in sample)
    codes = {j for found in sample.values() for j in found}
    result = {}
    for k in codes:
        share = variance = 0.0
        for i, found in sample.items():
            weight, n = ha[i] / total, sum(found.values())
            p = weight * found.get(k, 0) / n
            share += p
            variance += (weight * p - p * p) / (n - 1)
        result[k] = (total * share, total * math.sqrt(max(variance, 0.0)))
    return result


counts = st.dictionaries(st.integers(1, 6), st.integers(0, 60), min_size=1, max_size=5)
samples = st.dictionaries(st.integers(1, 4), counts.filter(lambda one: sum(one.values()) >= 2), min_size=1, max_size=4)


@given(samples, st.lists(st.floats(0.5, 1e6), min_size=4, max_size=4))
def test_areas_add_up_and_follow_the_printed_equations(sample, sizes) -> None:
    ha = dict(zip(range(1, 5), sizes, strict=True))
    found = estimate_areas(sample, stratum_ha=ha)
    total = sum(ha[i] for i in sample)
    assert math.fsum(one.area.value for one in found.classes) == pytest.approx(total)
    assert 0.0 <= found.overall.value <= 1.0 + 1e-12
    expected = direct(sample, ha)
    for one in found.classes:
        area, error = expected.get(one.code, (0.0, 0.0))
        assert one.area.value == pytest.approx(area, abs=1e-6 * total)
        assert one.area.se == pytest.approx(error, abs=1e-6 * total)
        if one.area.interval:
            low, high = one.area.interval
            assert 0 <= low <= one.area.value <= high <= total * (1 + 1e-12)
        if one.producers is not None:
            assert -1e-12 <= one.producers.value <= 1 + 1e-12
    assert set(found.unsampled) == {i for i in ha if i not in sample}


def test_a_class_that_the_map_does_not_have_gets_its_area_and_no_users() -> None:
    found = estimate_areas({10: {10: 45, 50: 5}, 255: {50: 20, 10: 10}}, stratum_ha={10: 90.0, 255: 9.0})
    built = found[50]
    assert built.users is None
    assert built.mapped_ha == 0
    assert built.area.value == pytest.approx(90 * 0.1 + 9 * 2 / 3)
    assert built.area.interval is not None
    assert (built.producers.value, built.producers.interval) == (0.0, None)
    assert found.overall.value == pytest.approx(90 / 99 * 0.9)  # what nobody named cannot be right


def test_where_all_units_are_alike_there_is_no_interval() -> None:
    found = estimate_areas({1: {1: 30}, 2: {2: 30}}, stratum_ha={1: 10.0, 2: 20.0})
    assert found.overall.value == 1
    assert found.overall.se == 0
    assert found.overall.interval is None
    assert found[1].area.value == 10
    assert found[1].area.interval is None


def test_a_single_unit_has_no_variance_and_takes_the_intervals_of_the_whole() -> None:
    found = estimate_areas({1: {1: 20, 2: 5}, 2: {2: 1}}, stratum_ha={1: 10.0, 2: 20.0})
    assert found.thin == (2,)
    assert found.overall.se is None
    assert found[2].area.se is None
    assert found[2].users.se is None
    assert found[1].users.interval is not None  # of this stratum alone
    assert found[2].area.value == pytest.approx(22)


def test_what_was_not_sampled_is_left_out_and_said() -> None:
    found = estimate_areas({1: {1: 8, 2: 2}, 3: {}}, stratum_ha={1: 10.0, 2: 5.0, 3: 1.0})
    assert found.total_ha == 10
    assert found.unsampled == {2: 5.0, 3: 1.0}


@pytest.mark.parametrize(
    ("sample", "ha", "words"),
    [
        ({}, {1: 1.0}, "no sample unit"),
        ({1: {1: 0}}, {1: 1.0}, "no sample unit"),
        ({1: {1: -1, 2: 3}}, {1: 1.0}, "negative"),
        ({1: {1: 3}}, {2: 1.0}, "no area of it"),
    ],
)
def test_what_cannot_be_estimated_is_refused(sample, ha, words) -> None:
    with pytest.raises(AreaEstimateError, match=words):
        estimate_areas(sample, stratum_ha=ha)


def population() -> np.ndarray:
    """Pixels by reference code and map code of a map that confuses its classes."""
    joint = np.zeros((256, 256), dtype=np.int64)
    joint[np.ix_([1, 2, 3, 4], [1, 2, 3])] = [
        [30_000, 4_000, 500], [6_000, 45_000, 1_500], [1_000, 2_000, 8_000], [900, 500, 600],
    ]  # fmt: skip
    joint[0, 1] = joint[3, 0] = 99_999  # no data in one of them: no part of it
    return joint


def test_intervals_hold_the_true_area_in_about_95_of_100_samples() -> None:
    joint = population()
    ha = {code: float(joint[1:, code].sum()) for code in (1, 2, 3)}
    truth = {code: float(joint[code, 1:].sum()) for code in (1, 2, 3, 4)}
    right = sum(int(joint[code, code]) for code in (1, 2, 3)) / sum(ha.values())
    hits = dict.fromkeys([*truth, "overall"], 0)
    values: dict[int, list[float]] = {code: [] for code in truth}
    rounds = 600
    for seed in range(rounds):
        found = estimate_areas(sampled_counts(joint, n=600, seed=seed), stratum_ha=ha)
        low, high = found.overall.interval
        hits["overall"] += low <= right <= high
        for code in truth:
            low, high = found[code].area.interval
            hits[code] += low <= truth[code] <= high
            values[code].append(found[code].area.value)
    for what, count in hits.items():
        assert 0.92 < count / rounds < 0.985, what
    for code, found_values in values.items():  # unbiased: within four standard errors of the mean
        error = np.std(found_values) / math.sqrt(rounds)
        assert abs(np.mean(found_values) - truth[code]) < 4 * error


def test_the_same_seed_draws_the_same_sample() -> None:
    joint = population()
    assert sampled_counts(joint, n=300, seed=5) == sampled_counts(joint, n=300, seed=5)
    assert sampled_counts(joint, n=300, seed=5) != sampled_counts(joint, n=300, seed=6)
    assert 0 not in sampled_counts(joint, n=300, seed=5)


@given(st.integers(2, 5000), st.dictionaries(st.integers(1, 255), st.integers(0, 10_000), min_size=1, max_size=12))
def test_every_class_gets_units_and_none_more_than_it_has(n, sizes) -> None:
    assume(any(sizes.values()))
    given_units = allocate(n, sizes)
    assert set(given_units) == {code for code, size in sizes.items() if size}
    for code, units in given_units.items():
        assert min(2, sizes[code]) <= units <= sizes[code]
    assert sum(given_units.values()) <= n + 2 * len(sizes) + len(sizes)


def test_rare_classes_get_more_than_their_share() -> None:
    units = allocate(100, {1: 9_900, 2: 100})
    assert units == {1: 74, 2: 26}  # 25 each, and half of all by size: round(25 + 49.5), round(25 + 0.5)
