"""What the simulated ground looks like: spectra, mixed edges, texture."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from scipy import ndimage

from s2dash.bands import method_bands
from s2dash.schemes import load_scheme
from s2dash.simulation import simulate_scene
from s2dash.simulation.sensor import observe, with_noise
from s2dash.simulation.spectra import day_spectra, first_field, materials, spectra_bands, unit, unit_codes

JULY = simulate_scene()


@pytest.fixture(scope="module")
def july() -> dict[str, np.ndarray]:
    return dict(zip(method_bands(), JULY.scene.read(), strict=True))


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return JULY.truth()


def index(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a - b) / (a + b)


def test_spectra_are_reflectances_in_the_bands_of_the_method() -> None:
    assert spectra_bands() == method_bands()
    for material in materials().values():
        assert len(material.reflectance) == 10
        assert min(material.reflectance) > 0
        assert max(material.reflectance) < 0.8
        assert material.vary in materials()
        assert material.code in load_scheme("worldcover")
        assert material.source


def test_materials_behave_as_physics_says() -> None:
    bands = {band: number for number, band in enumerate(spectra_bands())}

    def value(name: str, band: str) -> float:
        return materials()[name].reflectance[bands[band]]

    def ndvi(name: str) -> float:
        return (value(name, "B08") - value(name, "B04")) / (value(name, "B08") + value(name, "B04"))

    for name in ("deciduous", "conifer", "meadow", "cereal", "maize", "broadleaf_crop", "reed", "shrub"):
        assert ndvi(name) > 0.6, name
        assert value(name, "B03") > value(name, "B04"), name
        assert value(name, "B11") > value(name, "B12"), name
    for name in ("soil_dark", "soil_light", "sand", "rock", "asphalt", "concrete", "tile_roof", "track"):
        assert -0.05 < ndvi(name) < 0.35, name
    for name in ("lake_water", "river_water"):
        assert ndvi(name) < 0
        assert value(name, "B12") < value(name, "B08") < value(name, "B03"), name
    for name in ("soil_dark", "soil_light", "sand"):
        spectrum = np.array(materials()[name].reflectance[:-1])
        assert (np.diff(spectrum) > 0).all(), name
    assert value("conifer", "B08") < 0.7 * value("deciduous", "B08")


def test_classes_look_like_themselves_in_july(july: dict[str, np.ndarray], truth: np.ndarray) -> None:
    ndvi = index(july["B08"], july["B04"])
    woods, water, bare, built = (ndimage.binary_erosion(truth == code) for code in (10, 80, 60, 50))
    assert np.median(ndvi[woods]) > 0.7
    assert np.median(july["B08"][water]) < 0.05
    assert np.median(index(july["B03"], july["B08"])[water]) > 0.2
    assert np.median(ndvi[bare]) < 0.3
    assert np.median(ndvi[built]) < 0.35
    assert np.median(july["B11"][bare]) > np.median(july["B08"][bare])
    # Woods are darker in the visible than fields and grass, and rougher than them.
    assert np.median(july["B03"][woods]) < 0.8 * np.median(july["B03"][truth == 40])


def test_fields_are_in_several_stages_in_july(july: dict[str, np.ndarray], truth: np.ndarray) -> None:
    fields = ndimage.binary_erosion(truth == 40, iterations=2)
    ndvi = index(july["B08"], july["B04"])[fields]
    shares = [float(((ndvi >= low) & (ndvi < high)).mean()) for low, high in ((-1, 0.35), (0.35, 0.7), (0.7, 1))]
    assert min(shares) > 0.08, shares


def test_calendars_stay_whole_and_crops_differ() -> None:
    for day in (1, 100, 182, 270, 366):
        spectra = day_spectra(seed=0, day_of_year=day)
        assert np.isfinite(spectra.base).all()
        assert spectra.base.min() > 0
        assert spectra.base.max() < 0.8
        assert len(spectra.base) == len(unit_codes())
    july, may = (day_spectra(seed=0, day_of_year=day).base[first_field() :] for day in (190, 140))
    assert np.abs(july - may).mean() > 0.02
    near = list(spectra_bands()).index("B08")
    leaf_on, leaf_off = (day_spectra(seed=0, day_of_year=day).base[unit("deciduous"), near] for day in (190, 20))
    assert leaf_on > 1.5 * leaf_off
    water = [day_spectra(seed=0, day_of_year=day).base[unit("lake_water")] for day in (20, 190)]
    np.testing.assert_array_equal(*water)


def test_point_spread_function_is_the_gaussian_it_says() -> None:
    """Against SciPy's Gaussian filter, sampled at the pixels' middles."""
    rng = np.random.default_rng(1)
    ground = rng.random((240, 200)).astype(np.float32)
    for resolution, factor in ((10, 2), (20, 4)):
        seen = observe(ground, resolution=resolution)
        # A pixel's middle lies between samples: refine by repeating, filter, then take the point there.
        edge = np.zeros((240, 200), dtype=np.float64)
        edge[:, 100:] = 1
        response = observe(edge.astype(np.float32), resolution=resolution)[5]
        first = (np.arange(len(response)) * factor + factor * 1.5 - factor / 2) * 5 + resolution / 2
        from scipy.stats import norm

        expected = norm.cdf((first - 500) / (0.5 * resolution))
        np.testing.assert_allclose(response, expected, atol=0.03)
        assert seen.mean() == pytest.approx(0.5, abs=0.01)
        assert seen.std() < ground.std() / 2


def test_edges_are_mixed_and_coarser_bands_mix_further(july: dict[str, np.ndarray], truth: np.ndarray) -> None:
    """From the shore into the lake, 20 m bands take longer to become water than 10 m bands."""
    water = ndimage.binary_opening(truth == 80, iterations=2)
    depth = ndimage.distance_transform_edt(water)
    profile = {}
    for band in ("B08", "B8A"):
        shore, first, deep = (
            np.median(july[band][part])
            for part in (
                (ndimage.distance_transform_edt(~water) == 2) & (truth != 50),
                water & (depth == 1),
                depth > 6,
            )
        )
        profile[band] = (first - deep) / (shore - deep)
        assert shore > first > deep
    assert profile["B8A"] > profile["B08"] > 0.05


def test_coarser_bands_carry_less_detail(july: dict[str, np.ndarray], truth: np.ndarray) -> None:
    """In the town, where houses differ from pixel to pixel, B8A varies less between neighbours than B08."""
    town = ndimage.binary_dilation(truth == 50, iterations=2)[:, 1:]
    fine, coarse = (np.abs(np.diff(july[band], axis=1))[town].mean() for band in ("B08", "B8A"))
    assert coarse < 0.75 * fine


def test_noise_depends_on_place_and_key_only() -> None:
    flat = np.full((50, 60), 0.2, dtype=np.float32)
    whole = with_noise(flat, first_row=0, first_col=0, key=7)
    part = with_noise(flat[10:20, 5:25], first_row=10, first_col=5, key=7)
    np.testing.assert_array_equal(part, whole[10:20, 5:25])
    assert (with_noise(flat, first_row=0, first_col=0, key=8) != whole).mean() > 0.9
    noise = whole - flat
    assert abs(noise.mean()) < 0.0002
    assert noise.std() == pytest.approx(0.0016, rel=0.1)
    lag = np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]
    assert abs(lag) < 0.06


def test_noise_differs_between_days_but_ground_does_not_jump() -> None:
    """Deep water hardly changes between two days but for noise."""
    first, second = (simulate_scene(day=date(2021, 7, day)) for day in (1, 2))
    deep = ndimage.binary_erosion(first.truth() == 80, iterations=4)
    a, b = (one.scene.read(bands=("B03",))[0][deep] for one in (first, second))
    assert (a != b).mean() > 0.7
    assert np.abs(a - b).mean() < 0.004


def test_parcels_have_straight_long_edges_in_several_directions(july: dict[str, np.ndarray]) -> None:
    """Strong gradients of the near infrared in fields point in more than one pair of directions."""
    near = ndimage.gaussian_filter(july["B08"], 1)
    gy, gx = np.gradient(near)
    strong = np.hypot(gx, gy) > np.quantile(np.hypot(gx, gy), 0.95)
    angles = np.degrees(np.arctan2(gy, gx))[strong] % 90
    counts, _ = np.histogram(angles, bins=9, range=(0, 90))
    assert (counts > 0.04 * counts.sum()).sum() >= 5
    assert counts.max() > 1.3 * np.median(counts)
