"""Clouds, their shadows, and the scene classification that goes with them."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from s2dash.bands import method_bands
from s2dash.grid import full_window
from s2dash.simulation import simulate_scene
from s2dash.simulation.clouds import Sky, sun
from s2dash.simulation.noise import Axes


def test_the_sun_stands_where_almanacs_say() -> None:
    """Solstices and equinox at 48.5 N, 80 minutes before solar noon (spherical astronomy, worked by hand)."""
    zenith, azimuth = sun(date(2021, 6, 21))
    assert zenith == pytest.approx(29.7, abs=1)
    assert 125 < azimuth < 145
    zenith, azimuth = sun(date(2021, 12, 21))
    assert zenith == pytest.approx(73.5, abs=1)
    assert 155 < azimuth < 165
    zenith, _ = sun(date(2021, 3, 21))
    assert zenith == pytest.approx(51.5, abs=1.5)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.35, 0.8, 1.0])
def test_the_share_asked_for_is_hidden(share: float) -> None:
    sky = Sky(height=5120, width=5120, seed=3, day=date(2021, 7, 1), share=share)
    middles = (np.arange(512) + 0.5) * 10
    scl = sky.veil(Axes(middles, middles)).classified(np.full((512, 512), 4, dtype=np.uint8))
    assert np.isin(scl, (3, 8, 9, 10)).mean() == pytest.approx(share, abs=0.01)


def test_the_scene_is_clear_where_its_classification_says() -> None:
    simulated = simulate_scene(size=(256, 512), seed=1, cloud_share=0.3)
    assert simulated.scene.validity.clear_percent == pytest.approx(70, abs=3)
    scl = simulated.source.read_scl(full_window(simulated.scene.grid))
    assert {3, 4, 5, 8, 9, 10} <= set(np.unique(scl))
    assert set(np.unique(scl)) <= {3, 4, 5, 6, 8, 9, 10}
    # 20 m classes on the 10 m grid.
    np.testing.assert_array_equal(scl[::2, ::2], scl[1::2, 1::2])


def test_clouds_are_bright_shadows_dark_and_the_rest_untouched() -> None:
    cloudy = simulate_scene(size=(256, 512), seed=1, cloud_share=0.3)
    clear = simulate_scene(size=(256, 512), seed=1)
    window = full_window(clear.scene.grid)
    scl = cloudy.source.read_scl(window)
    seen, ground = (
        dict(zip(method_bands(), one.source.read(method_bands(), window).astype(float), strict=True))
        for one in (cloudy, clear)
    )
    assert np.median(seen["B02"][scl == 9]) > 4000
    assert (seen["B02"] > ground["B02"])[scl == 9].mean() > 0.99
    assert np.median((seen["B02"] - ground["B02"])[scl == 10]) > 40
    shadow = scl == 3
    assert np.median(seen["B08"][shadow] / ground["B08"][shadow]) < 0.85
    # Blue sky lights shadows: they keep more blue than near infrared.
    assert np.median(seen["B02"][shadow] / ground["B02"][shadow]) > np.median(
        seen["B08"][shadow] / ground["B08"][shadow]
    )
    from scipy import ndimage

    far = ~ndimage.binary_dilation(np.isin(scl, (3, 8, 9, 10)), iterations=3)
    assert far.mean() > 0.2
    change = np.abs(seen["B04"][far] - ground["B04"][far])
    assert np.quantile(change, 0.9) < 0.1 * np.median(ground["B04"][far]) + 10
    np.testing.assert_array_equal(cloudy.truth(), clear.truth())


def test_shadows_are_the_clouds_moved_away_from_the_sun() -> None:
    day = date(2021, 7, 1)
    sky = Sky(height=5120, width=5120, seed=3, day=day, share=0.3)
    middles = (np.arange(512) + 0.5) * 10
    veil = sky.veil(Axes(middles, middles))
    zenith, azimuth = np.radians(sun(day))
    length = 1250 * np.tan(zenith)
    right, down = round(-np.sin(azimuth) * length / 10), round(np.cos(azimuth) * length / 10)
    assert down < 0  # northwards, as the sun stands in the south
    moved = np.roll(veil.cloud, (down, right), axis=(0, 1))[120:-120, 120:-120]
    shadow = veil.shadow[120:-120, 120:-120]
    assert np.corrcoef(moved.ravel(), shadow.ravel())[0, 1] > 0.98
    assert np.corrcoef(veil.cloud[120:-120, 120:-120].ravel(), shadow.ravel())[0, 1] < 0.7


def test_clouds_differ_from_day_to_day() -> None:
    middles = (np.arange(200) + 0.5) * 20
    first, second = (
        Sky(4000, 4000, 0, day, 0.4).veil(Axes(middles, middles)).cloud > 0
        for day in (date(2021, 7, 1), date(2021, 7, 6))
    )
    assert (first != second).mean() > 0.1


def test_ground_classes_match_the_truth() -> None:
    simulated = simulate_scene()
    scl, truth = simulated.source.read_scl(full_window(simulated.scene.grid)), simulated.truth()
    assert (scl[truth == 10] == 4).mean() > 0.95
    assert (scl[truth == 80] == 6).mean() > 0.8
    assert (scl[truth == 60] == 5).mean() > 0.8
    assert (scl[truth == 40] == 6).mean() < 0.01
