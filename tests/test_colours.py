import colorsys

import numpy as np
import pytest
from skimage.color import rgb2lab

from s2dash.clustering.model import MAX_CLUSTERS
from s2dash.colours import (
    UNDECIDED_COLOUR,
    cluster_colour,
    cluster_colours,
    oklab,
    rgb_of,
    scheme_colours,
)
from s2dash.errors import ClusteringError
from s2dash.schemes import UNDECIDED, load_scheme


def lab_distances(count: int) -> np.ndarray:
    """Distances in CIELAB between the first colours: another space than the one they were chosen in."""
    rgb = np.array([rgb_of(cluster_colour(cluster)) for cluster in range(1, count + 1)])
    lab = rgb2lab(rgb[None] / 255.0)[0]
    distances = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    return distances[~np.eye(count, dtype=bool)]


@pytest.mark.parametrize(("count", "least"), [(12, 20.0), (20, 15.0), (60, 8.0), (MAX_CLUSTERS, 3.0)])
def test_no_two_clusters_look_alike(count: int, least: float) -> None:
    assert lab_distances(count).min() > least


def test_a_cluster_keeps_its_colour_when_k_changes() -> None:
    many = cluster_colours(MAX_CLUSTERS)
    assert len(set(many.values())) == MAX_CLUSTERS
    assert all(cluster_colours(k)[k] == many[k] for k in (1, 8, 20, 21, 100))


def test_colours_are_neither_grey_nor_white_nor_black() -> None:
    for colour in cluster_colours(MAX_CLUSTERS).values():
        _, lightness, _ = colorsys.rgb_to_hls(*(value / 255 for value in rgb_of(colour)))
        assert max(rgb_of(colour)) - min(rgb_of(colour)) >= 15
        assert 0.12 < lightness < 0.97


@pytest.mark.parametrize("cluster", [0, -1, MAX_CLUSTERS + 1])
def test_clusters_that_cannot_be_are_refused(cluster: int) -> None:
    with pytest.raises(ClusteringError, match="from 1 to"):
        cluster_colour(cluster)


@pytest.mark.parametrize("text", ["red", "#123", "123456#", "#12345G"])
def test_what_is_no_colour_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - int() has its own words
        rgb_of(text)


def test_oklab_of_published_colours() -> None:
    # Ottosson's page gives white (1, 0, 0); red and blue as CSS Color 4 lists them.
    got = oklab(np.array([[255, 255, 255], [255, 0, 0], [0, 0, 255]]))
    np.testing.assert_allclose(got, [[1, 0, 0], [0.628, 0.225, 0.126], [0.452, -0.032, -0.312]], atol=1e-3)


def test_a_scheme_brings_its_colours_and_one_for_what_is_unnamed() -> None:
    colours = scheme_colours(load_scheme("worldcover"))
    assert colours[80] == "#0064C8"
    assert colours[UNDECIDED] == UNDECIDED_COLOUR
