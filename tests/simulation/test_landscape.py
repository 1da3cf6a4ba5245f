"""The plan of the landscape and its lines and parcels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree
from shapely.geometry import LineString, Point

from s2dash.simulation.layout import Layout
from s2dash.simulation.lines import Line, nearest, pieces_of, winding
from s2dash.simulation.noise import Axes
from s2dash.simulation.parcels import draw_parcels


def line(points: list[tuple[float, float]], half_width: float = 3.0, key: int = 9) -> Line:
    return Line(np.array(points, dtype=float), np.full(len(points), half_width), key)


@pytest.mark.parametrize("step", [5.0, 25.0])
def test_distance_to_lines_is_that_of_shapely(step: float) -> None:
    points = [(20.0, 30.0), (180.0, 90.0), (260.0, 40.0), (300.0, 310.0)]
    axes = Axes(np.arange(0, 400, step), np.arange(0, 350, step))
    near = nearest(axes, pieces_of([line(points)]), reach=60)
    shape = LineString(points)
    for row in range(0, axes.shape[0], 3):
        for col in range(0, axes.shape[1], 3):
            place = Point(axes.x[col], axes.y[row])
            exact = shape.distance(place)
            if exact < 60:
                assert near.distance[row, col] == pytest.approx(exact, abs=0.01)
                # On the bisector of a bend, the nearest point may be either end of it.
                assert near.along[row, col] == pytest.approx(shape.project(place), abs=0.5)
            elif not np.isfinite(near.bank[row, col]):
                assert not near.inside[row, col]


def test_sides_and_ends_of_a_line() -> None:
    axes = Axes(np.arange(0, 100, 5.0) + 2.5, np.arange(0, 100, 5.0) + 2.5)
    near = nearest(axes, pieces_of([line([(30.0, 50.0), (50.0, 50.0), (70.0, 50.0)])]), reach=40)
    assert near.right[14, 10]  # below a line to the right, as y points down
    assert not near.right[5, 10]
    assert near.beyond_end[10, 2]
    assert near.beyond_end[10, 17]
    assert not near.beyond_end[12, 10]


def test_dense_and_sparse_positions_see_the_same_lines() -> None:
    rng = np.random.default_rng(4)
    lines = [line([tuple(p) for p in rng.uniform(0, 1000, (5, 2))], half_width=w, key=w) for w in (2, 6, 11)]
    dense = Axes(np.arange(200) * 5.0, np.arange(200) * 5.0)
    sparse = Axes(dense.x[::5], dense.y[::5])
    a, b = (nearest(axes, pieces_of(lines), reach=50) for axes in (dense, sparse))
    np.testing.assert_array_equal(a.inside[::5, ::5], b.inside)
    np.testing.assert_allclose(a.bank[::5, ::5][b.inside], b.bank[b.inside], atol=0.01)
    assert (a.key[::5, ::5] == b.key).mean() > 0.99


def test_winding_lines_keep_their_ends() -> None:
    points = winding((10, 20), (900, 700), key=3, amplitude=80, wavelength=300)
    np.testing.assert_allclose(points[[0, -1]], [(10, 20), (900, 700)])
    assert np.hypot(*np.diff(points, axis=0).T).max() < 150


@pytest.mark.parametrize("seed", range(6))
def test_rivers_meander_from_side_to_side_without_crossing_themselves(seed: int) -> None:
    rivers = Layout(700, 900, seed).rivers
    for river in rivers.lines:
        span = np.ptp(river.points, axis=0)
        assert span.max() > 7000 if span[1] > span[0] else span.max() > 9000
        length = np.hypot(*np.diff(river.points, axis=0).T).sum()
        assert length > 1.05 * span.max()
        assert LineString(river.points).is_simple


@pytest.mark.parametrize("seed", range(6))
def test_the_home_stretch_has_one_of_everything_apart_from_each_other(seed: int) -> None:
    layout = Layout(512, 512, seed)
    sites = layout.sites(*layout.home)
    places = sites.lakes + sites.towns + sites.quarries
    assert len(places) == 3
    for number, one in enumerate(places):
        assert 0 < one.x < 5120
        assert 0 < one.y < 5120
        for other in places[number + 1 :]:
            assert np.hypot(one.x - other.x, one.y - other.y) > 0.8 * (one.radius + other.radius)
    assert len(layout.town(sites.towns[0]).streets.along) > 40


def test_large_scenes_have_many_stretches_and_small_ones_a_middle() -> None:
    large = Layout(10980, 10980, 0)
    assert large.cell[0] == pytest.approx(10980 * 10 / 21)
    assert large.home == (10, 10)
    assert len(large.rivers.lines) > 1
    small = Layout(100, 100, 0)
    assert small.origin[0] == pytest.approx((1000 - 3840) / 2)
    assert large.cells_near((0, 0, 100, 100), reach=10) == [(-1, -1), (-1, 0), (0, -1), (0, 0)]


def test_parcels_do_not_depend_on_the_window_and_have_real_sizes() -> None:
    whole = Axes(np.arange(400) * 10.0, np.arange(400) * 10.0)
    parcels = draw_parcels(whole, seed=3)
    part = draw_parcels(Axes(whole.x[130:210], whole.y[50:300]), seed=3)
    assert (parcels.parcel[50:300, 130:210] == part.parcel).mean() > 0.995
    hectares = np.unique(parcels.parcel, return_counts=True)[1] / 100
    assert 1 < np.median(hectares) < 40
    assert hectares.max() > 15
    assert np.quantile(parcels.margin, 0.001) > -1
    # Where the margin is wide, the neighbours belong to the same parcel.
    inside = parcels.margin[:, :-1] > 15
    assert (parcels.parcel[:, :-1] == parcels.parcel[:, 1:])[inside].mean() > 0.995


def test_the_nearest_estate_is_the_nearest() -> None:
    from s2dash.simulation.parcels import _two_nearest

    rng = np.random.default_rng(0)
    x, y = rng.uniform(-500, 1500, (2, 12)).astype(np.float32)
    px, py = (part.astype(np.float32) for part in np.meshgrid(np.arange(60) * 10.0, np.arange(50) * 10.0))
    best, second, owner, other = _two_nearest(px, py, x, y)
    away, which = cKDTree(np.stack([x, y], axis=1)).query(np.stack([px.ravel(), py.ravel()], axis=1), k=2)
    np.testing.assert_allclose(np.sqrt(best).ravel(), away[:, 0], atol=0.05)
    np.testing.assert_allclose(np.sqrt(second).ravel(), away[:, 1], atol=0.05)
    assert (owner.ravel() == which[:, 0]).mean() > 0.999
    assert (other.ravel() == which[:, 1]).mean() > 0.999
