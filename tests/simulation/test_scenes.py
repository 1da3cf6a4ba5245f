"""The simulated scene as a whole: same numbers from any window, right classes, right location."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from s2dash.bands import method_bands
from s2dash.errors import SceneError
from s2dash.grid import full_window, slices
from s2dash.simulation import parse_location, simulate_scene, simulate_season
from s2dash.simulation.scenes import location_of
from s2dash.simulation.source import TILE, Recipe, draw_tile
from s2dash.sources.arrays import thin

CLOUDY = simulate_scene(size=(300, 410), seed=2, cloud_share=0.2)
DEFAULT = simulate_scene()


@pytest.fixture(scope="module")
def whole() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    window = full_window(CLOUDY.scene.grid)
    source = CLOUDY.source
    return source.read(source.bands, window), source.read_scl(window), source.read_truth(window)


@settings(max_examples=40, deadline=None)
@given(st.tuples(st.integers(0, 299), st.integers(0, 299)), st.tuples(st.integers(0, 409), st.integers(0, 409)))
def test_any_window_holds_the_same_numbers(
    whole: tuple[np.ndarray, np.ndarray, np.ndarray], rows: tuple[int, int], cols: tuple[int, int]
) -> None:
    window = Window(min(cols), min(rows), max(cols) - min(cols) + 1, max(rows) - min(rows) + 1)
    part = slices(window)
    np.testing.assert_array_equal(CLOUDY.source.read(CLOUDY.source.bands, window), whole[0][(slice(None), *part)])
    np.testing.assert_array_equal(CLOUDY.source.read_scl(window), whole[1][part])
    np.testing.assert_array_equal(CLOUDY.truth(window), whole[2][part])


def test_tiles_drawn_again_in_another_order_and_in_threads_are_the_same(
    whole: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    with ThreadPoolExecutor(2) as pool:
        tiles = list(pool.map(lambda place: draw_tile.__wrapped__(CLOUDY.recipe, *place), [(1, 1), (1, 0)]))
    np.testing.assert_array_equal(tiles[0].numbers[:, :44, :154], whole[0][:, TILE:, TILE:])
    np.testing.assert_array_equal(tiles[1].numbers[:, :44], whole[0][:, TILE:, :TILE])
    np.testing.assert_array_equal(tiles[1].scl[:44], whole[1][TILE:, :TILE])


def test_neighbouring_tiles_meet_without_a_seam() -> None:
    """Across the border of two tiles, pixels are as alike as within a tile, in bands of both resolutions."""
    source = DEFAULT.source
    for band in ("B04", "B8A", "B11"):
        strip = source.read((band,), Window(TILE - 24, 0, 48, 512))[0].astype(float)
        steps = np.abs(np.diff(strip, axis=1)).mean(axis=0)
        even = steps[1::2]  # 20 m bands step unevenly within and between their pixels
        assert steps[23] < 1.6 * np.median(even)
    # The ground itself, drawn for both tiles, agrees where they overlap.
    from s2dash.simulation.landscape import draw_ground
    from s2dash.simulation.layout import Layout
    from s2dash.simulation.noise import Axes

    y = np.arange(64) * 5 + 2.5
    x = np.arange(160) * 5 + 2402.5
    left, right = (draw_ground(Axes(part, y), layout=Layout(512, 512, 0)) for part in (x[:96], x[64:]))
    # Rounding of the interpolated fields may move a border by a hair.
    assert (left.unit[8:-8, 64:88] == right.unit[8:-8, :24]).mean() > 0.99


@pytest.mark.parametrize("size", [(1, 1), (7, 513)])
def test_any_size_works(size: tuple[int, int]) -> None:
    simulated = simulate_scene(size=size, cloud_share=0.1)
    assert simulated.scene.grid.shape == size
    assert simulated.scene.read().shape == (10, *size)
    assert simulated.truth().shape == size
    assert simulated.scene.validity.total == size[0] * size[1]


def test_same_parameters_same_numbers_other_seed_other_landscape() -> None:
    window = Window(0, 0, 128, 128)
    first = simulate_scene(seed=5).scene.read_numbers(window)[0]
    again = draw_tile.__wrapped__(Recipe(seed=5), 0, 0)
    np.testing.assert_array_equal(again.numbers[:, :128, :128], first)
    other = simulate_scene(seed=6)
    assert (other.scene.read_numbers(window)[0] == first).mean() < 0.05
    assert (other.truth(window) == simulate_scene(seed=5).truth(window)).mean() < 0.8


def test_the_default_scene_has_every_main_class() -> None:
    truth = DEFAULT.truth()
    shares = {code: float((truth == code).mean()) for code in (10, 30, 40, 50, 60, 80, 90)}
    assert min(shares.values()) >= 0.01, shares
    assert set(np.unique(truth)) <= {10, 20, 30, 40, 50, 60, 80, 90}


def test_it_says_that_it_is_simulated() -> None:
    scene = DEFAULT.scene
    assert scene.simulated
    assert scene.provenance.title == "Simulated landscape, 1 July 2021"
    assert "simulated" in scene.provenance.attribution.lower()
    assert "copernicus" not in scene.provenance.attribution.lower()
    assert scene.radiometry.rule == "simulated"
    assert scene.bands == method_bands()
    grid = scene.grid
    assert isinstance(grid, GeoBox)
    assert grid.crs.epsg == 32636
    assert (grid.transform.a, grid.transform.e, grid.transform.c % 10, grid.transform.f % 10) == (10, -10, 0, 0)


def test_digital_numbers_are_never_no_data_and_become_reflectance() -> None:
    numbers, valid = DEFAULT.scene.read_numbers(Window(0, 0, 512, 512))
    assert numbers.dtype == np.uint16
    assert numbers.min() >= 1
    assert valid.all()
    np.testing.assert_allclose(DEFAULT.scene.read(), numbers / 10_000, rtol=1e-6)
    assert numbers.max() < 8000


def test_shifted_adds_exactly_a_thousand_and_reflectance_stays() -> None:
    window = Window(10, 20, 90, 70)
    plain, shifted = (simulate_scene(size=128, shifted=one, cloud_share=0.1) for one in (False, True))
    a, b = plain.source.read(method_bands(), window), shifted.source.read(method_bands(), window)
    np.testing.assert_array_equal(a.astype(int) + 1000, b)
    np.testing.assert_allclose(plain.scene.read(window), shifted.scene.read(window), atol=1e-6)


def test_a_season_changes_crops_but_not_the_land() -> None:
    spring, summer, autumn = simulate_season(
        size=256, days=(date(2021, 5, 22), date(2021, 7, 10), date(2021, 9, 25)), seed=1
    )
    np.testing.assert_array_equal(spring.truth(), autumn.truth())
    np.testing.assert_array_equal(spring.truth(), summer.truth())
    fields = spring.truth() == 40
    change = np.abs(_ndvi(spring) - _ndvi(autumn))[fields]
    assert np.median(change) > 0.15
    assert np.median(np.abs(_ndvi(summer) - _ndvi(spring))[fields]) > 0.08


def _ndvi(simulated: object) -> np.ndarray:
    red, near = simulated.scene.read(bands=("B04", "B08"))  # type: ignore[attr-defined]
    return (near - red) / (near + red)


def test_a_huge_scene_is_read_where_asked() -> None:
    huge = simulate_scene(size=10980, seed=4)
    window = Window(10_700, 10_800, 280, 180)
    pixels = huge.scene.read(window)
    assert np.isfinite(pixels).all()
    assert len(np.unique(huge.truth(window))) >= 2


def test_overview_thins_the_scenes_own_pixels(whole: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    shape = (73, 100)
    np.testing.assert_array_equal(CLOUDY.source.read_overview(("B03", "B12"), shape), thin(whole[0][[1, 9]], shape))
    np.testing.assert_array_equal(CLOUDY.source.read_scl_overview(shape), thin(whole[1], shape))


def test_overview_of_a_large_scene_is_drawn_like_its_pixels() -> None:
    large = simulate_scene(size=2040, seed=3)
    shape = (60, 60)
    sampled = large.source.read_overview(("B04", "B08", "B11"), shape)[:, :15, :15].astype(float)
    exact = large.source.read(("B04", "B08", "B11"), Window(0, 0, 512, 512))[:, 17::34, 17::34].astype(float)
    for one, other in zip(sampled, exact, strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.85


def test_overviews_may_be_changed_by_who_reads_them() -> None:
    overview = CLOUDY.source.read_overview(("B02",), (10, 10))
    overview[:] = 0
    assert CLOUDY.source.read_overview(("B02",), (10, 10)).min() > 0


recipes = st.builds(
    Recipe,
    height=st.integers(1, 20_000),
    width=st.integers(1, 20_000),
    seed=st.integers(0, 2**32 - 1),
    day=st.dates(date(2015, 6, 23), date(2035, 12, 31)),
    clouds=st.floats(0, 1),
    shifted=st.booleans(),
)


@given(recipes)
def test_location_goes_there_and_back(recipe: Recipe) -> None:
    again = parse_location(location_of(recipe))
    assert again.recipe == recipe
    assert again.scene.provenance.location == location_of(recipe)


def test_a_bare_location_is_the_default_scene() -> None:
    assert parse_location("simulated:").recipe == DEFAULT.recipe
    assert parse_location("simulated:size=64").recipe == Recipe(height=64, width=64)


@pytest.mark.parametrize(
    "location",
    [
        "simulated:size=0",
        "simulated:size=big",
        "simulated:colour=red",
        "simulated:seed",
        "simulated:seed=-1",
        "simulated:seed=1.5",
        "simulated:day=yesterday",
        "simulated:clouds=2",
        "simulated:clouds=nan",
        "simulated:shifted=maybe",
        "simulated:seed=1,seed=2",
        "scene.tif",
    ],
)
def test_bad_locations_are_refused_with_what_is_allowed(location: str) -> None:
    with pytest.raises(SceneError) as caught:
        parse_location(location)
    assert location in str(caught.value)
    assert "simulated:" in str(caught.value)
    assert "size" in str(caught.value)


@pytest.mark.parametrize("wrong", [{"size": 0}, {"size": (5, -1)}, {"cloud_share": 1.1}, {"seed": -3}])
def test_bad_parameters_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SceneError):
        simulate_scene(**wrong)  # type: ignore[arg-type]
