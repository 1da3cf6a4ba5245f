"""Windows to learn from: inside the scene, the same each time, and where there is something to see."""

from __future__ import annotations

import numpy as np
import pytest

from s2dash.clustering.windows import check_side, draw_windows
from s2dash.errors import ClusteringError, NoValidPixelsError
from s2dash.features import build_features
from s2dash.testing import make_patchwork, make_scene


def numbered(height=90, width=120):
    """A scene whose two bands say where a pixel lies."""
    rows, cols = np.mgrid[1 : height + 1, 1 : width + 1]
    return build_features(make_scene(np.stack([rows, cols]).astype(np.uint16)), indices=[], sample=5000)


def place(features, values):
    means, spreads = features.scaler.mean, features.scaler.std
    return [round(float(values[band, 0, 0] * spreads[band] + means[band]) * 10_000) - 1 for band in (0, 1)]


def test_windows_are_what_the_scene_holds_there():
    features = numbered()
    for values, valid in draw_windows(features, side=20, count=5, seed=1):
        assert values.shape == (2, 20, 20)
        assert valid.all()
        top, left = place(features, values)
        assert 0 <= top <= 70
        assert 0 <= left <= 100
        assert np.allclose(np.diff(values[0], axis=0) * features.scaler.std[0], 1e-4, atol=1e-6)


def test_same_seed_same_windows():
    features = numbered()
    first, again, other = (draw_windows(features, side=16, count=6, seed=seed) for seed in (3, 3, 4))
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a[0], b[0]) for a, b in zip(first, other, strict=True))


def test_a_small_scene_is_covered_once():
    features = numbered()
    drawn = draw_windows(features, side=64, count=50, seed=0)
    assert len(drawn) == 4
    seen = np.zeros((90, 120), bool)
    for values, _ in drawn:
        top, left = place(features, values)
        seen[top : top + 64, left : left + 64] = True
    assert seen.all()


def test_a_scene_smaller_than_the_window_is_one_window():
    drawn = draw_windows(numbered(30, 40), side=64, count=10, seed=0)
    assert [values.shape for values, _ in drawn] == [(2, 30, 40)]


def test_clear_windows_come_first_and_empty_ones_never():
    numbers = make_patchwork(side=128)[0].source.numbers.copy()
    numbers[:, :, 20:] = 0
    features = build_features(make_scene(numbers), indices=[], sample=2000)
    drawn = draw_windows(features, side=16, count=8, seed=0)
    assert drawn
    shares = [valid.mean() for _, valid in drawn]
    assert min(shares) > 0
    assert all(np.all(values[:, ~valid] == 0) for values, valid in drawn)


def test_nothing_valid_is_said():
    features = numbered()
    hidden = make_scene(np.zeros((2, 90, 120), np.uint16))
    with pytest.raises(NoValidPixelsError, match="No window"):
        draw_windows(type(features)(hidden, (), None, features.scaler), side=16, count=4, seed=0)


def test_a_scene_smaller_than_the_patch_is_refused_with_numbers():
    check_side(numbered(), side=90, what="This")
    with pytest.raises(ClusteringError, match="91 × 91 pixels at once, but the scene has only 120 × 90"):
        check_side(numbered(), side=91, what="This")
