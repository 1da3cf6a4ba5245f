"""What is told of a cluster: the figures, plainly, and no colour."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dash.annotation.answer import ClusterCard
from s2dash.annotation.card_facts import ClusterFacts, Patches, SceneFacts
from s2dash.annotation.card_words import band_title, card_words, season_text
from s2dash.annotation.colour_words import colour_words
from s2dash.bands import method_bands, sensor_table

SCENE = SceneFacts(10.0, 2240.0, 2240.0, -38.6, date(2020, 1, 8))
PATCHES = Patches(193, 12.4, 22.0, 0.027, 0.49, False)


def card(cluster: int = 1, *, level: float = 0.1, share: float = 0.2, ndvi: float = 0.3) -> ClusterCard:
    bands = {band: level + 0.01 * place for place, band in enumerate(method_bands())}
    indices = {"NDVI": ndvi, "NDWI": -0.4, "MNDWI": -0.3, "NDSI": -0.3, "NDBI": 0.1}
    return ClusterCard(cluster, 1000, 10.0, share, bands, dict.fromkeys(bands, 0.02), indices, bands)


def told(**changes) -> str:
    facts = ClusterFacts(PATCHES, {2: 0.6, 3: 0.36, 4: 0.04}, {"B04": 0.27, "B08": 0.21})
    others = {n: card(n, level=0.1 * n, share=0.1 * n, ndvi=0.2 * n) for n in (1, 2, 3, 4)}
    return card_words(others[1], changes.get("facts", facts), others=others, scene=changes.get("scene", SCENE))


def test_every_figure_is_told() -> None:
    text = told()
    for part in (
        "One pixel covers 10 m", "latitude about 39° south", "January 2020, summer in the southern hemisphere",
        "10 ha, 10 % of what could be seen", "193 connected patches", "patches of 12 ha or more",
        "the largest has 22 ha", "2.7 % of its area is speckle", "49 % of its pixels touch something else",
        "490 nm, visible: 0.100 (scene 0.100 to 0.400; spread 0.020)", "842 nm, near infrared: 0.160",
        "2190 nm, short-wave infrared", "NDVI 0.20 (scene 0.20 to 0.80): living leaves", "27 % at 665 nm and 21 %",
        "60 %: 20 % of the scene, NDVI 0.40", "36 %: 30 % of the scene, NDVI 0.60",
    ):  # fmt: skip
        assert part in text, part
    assert "40 % of the scene" not in text  # a neighbour along 4 % of the border
    assert "NDSI" not in text  # the same formula as MNDWI


def test_what_is_not_known_is_not_told() -> None:
    text = told(facts=ClusterFacts(Patches(0, 0, 0, 0, 0, True)), scene=replace(SCENE, latitude=None, acquired=None))
    for part in ("latitude", "taken in", "patches", "Texture", "borders"):
        assert part not in text


def test_old_runs_without_means_tell_medians() -> None:
    old = replace(card(), mean={})
    text = card_words(old, ClusterFacts(PATCHES), others={1: old}, scene=SCENE)
    assert "Median reflectance" in text
    assert "842 nm, near infrared: 0.160" in text


def test_bands_go_by_wavelength() -> None:
    for name, band in sensor_table().items():
        assert band_title(name).startswith(f"{band.wavelength} nm, ")
        assert not colour_words(band_title(name))


@pytest.mark.parametrize(
    ("day", "latitude", "text"),
    [
        (date(2021, 7, 1), 49.0, "July 2021, summer in the northern hemisphere"),
        (date(2021, 7, 1), -49.0, "July 2021, winter in the southern hemisphere"),
        (date(2021, 12, 31), 49.0, "December 2021, winter in the northern hemisphere"),
        (date(2021, 3, 1), -30.0, "March 2021, autumn in the southern hemisphere"),
        (date(2021, 9, 1), -30.0, "September 2021, spring in the southern hemisphere"),
        (date(2021, 11, 30), 30.0, "November 2021, autumn in the northern hemisphere"),
        (date(2021, 7, 1), -3.0, "July 2021, in the tropics"),
        (date(2021, 7, 1), None, "July 2021"),
    ],
)
def test_the_season_goes_by_month_and_hemisphere(day, latitude, text) -> None:
    assert season_text(day, latitude=latitude) == text


@given(st.integers(0, 2**32 - 1))
def test_whatever_the_figures_no_colour_and_no_cluster_number_is_told(seed: int) -> None:
    rng = np.random.default_rng(seed)
    facts = ClusterFacts(
        Patches(int(rng.integers(1, 10**6)), *map(float, 10 ** rng.uniform(-3, 5, 2)), *rng.random(2), bool(seed % 2)),
        {n: float(rng.random()) for n in (2, 3)},
        {"B04": float(rng.random()), "B08": float(rng.random())},
    )
    day = date.fromordinal(int(rng.integers(735_000, 740_000)))
    scene = SceneFacts(float(rng.uniform(1, 60)), 1e3, 1e3, float(rng.uniform(-80, 80)), day)
    some = {n: card(n, level=float(rng.random()), share=float(rng.random())) for n in (1, 2, 3)}
    text = card_words(some[1], facts, others=some, scene=scene)
    assert not colour_words(text)
    assert "cluster " not in text
    assert "nan" not in text
