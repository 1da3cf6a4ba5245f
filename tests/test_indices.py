"""Spectral indices: the published formulas, whatever bands there are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dash.errors import FeatureError
from s2dash.features import build_features
from s2dash.indices import available_indices, compute_index
from s2dash.testing import make_patchwork, make_scene

FORMULAS = {
    "NDVI": lambda b: (b["B08"] - b["B04"]) / (b["B08"] + b["B04"]),
    "NDWI": lambda b: (b["B03"] - b["B08"]) / (b["B03"] + b["B08"]),
    "MNDWI": lambda b: (b["B03"] - b["B11"]) / (b["B03"] + b["B11"]),
    "NDBI": lambda b: (b["B11"] - b["B08"]) / (b["B11"] + b["B08"]),
    "NDMI": lambda b: (b["B08"] - b["B11"]) / (b["B08"] + b["B11"]),
    "BSI": lambda b: ((b["B11"] + b["B04"]) - (b["B08"] + b["B02"])) / ((b["B11"] + b["B04"]) + (b["B08"] + b["B02"])),
}
"""Written out from the papers, independent of the library that computes them."""


@pytest.mark.parametrize("name", FORMULAS)
def test_indices_follow_their_published_formulas(name):
    scene, _ = make_patchwork()
    reflectance = scene.read()
    bands = dict(zip(scene.bands, reflectance, strict=True))
    assert np.allclose(compute_index(name, reflectance, scene.bands), FORMULAS[name](bands), atol=1e-5)


SPECTRA = st.lists(st.floats(-0.25, 2.0, width=32), min_size=10, max_size=10)
BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")


@given(SPECTRA)
def test_normalised_differences_stay_within_one(values):
    reflectance = np.array(values, dtype=np.float32)[:, None]
    for name in FORMULAS:
        assert -1 - 1e-6 <= float(compute_index(name, reflectance, BANDS)[0]) <= 1 + 1e-6


def test_every_index_offered_can_be_computed_and_is_finite():
    offered = available_indices(BANDS)
    assert len(offered) > 100
    assert offered[:6] == ("NDVI", "NDWI", "MNDWI", "NDBI", "BSI", "NDMI")
    reflectance = np.concatenate([np.zeros((10, 1)), np.random.default_rng(0).uniform(-0.1, 1.5, (10, 50))], axis=1)
    for name in offered:
        assert np.isfinite(compute_index(name, reflectance.astype(np.float32), BANDS)).all(), name


def test_an_index_with_free_parameters_is_refused():
    with pytest.raises(FeatureError, match="free parameters"):
        compute_index("FAI", np.ones((10, 1), np.float32), BANDS)


def test_an_unknown_index_is_refused_by_name():
    scene, _ = make_patchwork()
    with pytest.raises(FeatureError, match="'NDXX'"):
        build_features(scene, indices=["NDXX"])


def test_an_index_whose_band_is_missing_names_the_band():
    scene = make_scene(np.full((3, 8, 8), 500, dtype=np.uint16), bands=("B02", "B03", "B04"))
    with pytest.raises(FeatureError, match="NDVI needs B08"):
        build_features(scene, indices=["NDVI"])


def test_narrow_near_infrared_stands_in_and_is_noted():
    numbers = np.random.default_rng(0).integers(100, 4000, (3, 8, 8)).astype(np.uint16)
    scene = make_scene(numbers, bands=("B03", "B04", "B8A"))
    features = build_features(scene, indices=["NDVI"])
    assert any("B8A" in note for note in features.notes)
