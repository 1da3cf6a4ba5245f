import colorsys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from skimage.color import rgb2lab

from pages.parts.style import INK
from s2dash import colours
from s2dash.clustering.model import MAX_CLUSTERS
from s2dash.colour_vision import VISIONS, contrast, difference, least_difference, seen
from s2dash.colours import (
    NOISE_COLOUR,
    UNDECIDED_COLOUR,
    cluster_colour,
    cluster_colours,
    file_cluster_colours,
    file_scheme_colours,
    free_colour,
    oklab,
    palette,
    rgb_of,
    scheme_colours,
    series_colours,
    use_palette,
)
from s2dash.errors import ClusteringError
from s2dash.map_edit import MapEdit
from s2dash.scheme_edits import edited_scheme
from s2dash.schemes import UNDECIDED, load_scheme, scheme_names


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
    known = scheme_colours(load_scheme("worldcover"))
    assert known[80] == "#0064C8"
    assert known[UNDECIDED] == UNDECIDED_COLOUR


# ---- the palette for colour-blind people


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Look with a palette; afterwards as before."""
    monkeypatch.setattr(colours, "_asked", [])
    return lambda name: use_palette(lambda: name)


LEAST = {"worldcover": 14.0, "main": 20.0, "nlcd4": 20.0}
"""CIEDE2000 difference that any two classes keep, whoever looks; the usual colours of WorldCover come down to 1.4."""


@pytest.mark.parametrize("name", scheme_names())
@pytest.mark.parametrize("vision", VISIONS)
def test_everybody_tells_the_classes_of_the_safe_palette_apart(name, vision, shown):
    scheme = load_scheme(name)
    usual = least_difference(list(scheme_colours(scheme).values()), vision)[0]
    shown("safe")
    safe = scheme_colours(scheme)
    assert set(safe) == {*scheme.codes, UNDECIDED}
    assert least_difference(list(safe.values()), vision)[0] >= LEAST[name]
    assert least_difference(list(safe.values()), vision)[0] > usual


@pytest.mark.parametrize("vision", VISIONS)
def test_everybody_tells_the_first_clusters_apart(vision, shown):
    shown("safe")
    assert least_difference(list(cluster_colours(12).values()), vision)[0] > 10.0
    assert least_difference(list(cluster_colours(20).values()), vision)[0] > 6.5
    assert len(set(cluster_colours(MAX_CLUSTERS).values())) == MAX_CLUSTERS
    assert least_difference(list(series_colours()), vision)[0] > 10.0


def test_files_keep_their_colours_whatever_is_shown(shown):
    scheme, clusters, usual = load_scheme("worldcover"), file_cluster_colours(20), cluster_colours(20)
    assert clusters == usual
    shown("safe")
    assert file_cluster_colours(20) == clusters
    assert cluster_colours(20) != clusters
    assert file_scheme_colours(scheme) == {**{cls.code: cls.colour for cls in scheme.classes}, UNDECIDED: "#2B2B2B"}
    assert scheme_colours(scheme) != file_scheme_colours(scheme)


def test_a_colour_that_a_person_gave_is_theirs_in_both_palettes(shown):
    edits = (
        MapEdit("class", {"op": "recolour", "code": 10, "colour": "#123456"}, seq=1),
        MapEdit(
            "class",
            {"op": "add", "code": 101, "word": "vine", "names": {"en": "Vine", "uk": "Виноград"}, "colour": "#654321",
             "definitions": {}, "counts_as": None},
            seq=2,
        ),
    )  # fmt: skip
    scheme = edited_scheme(load_scheme("worldcover"), edits)
    usual = scheme_colours(scheme)
    shown("safe")
    safe = scheme_colours(scheme)
    assert (safe[10], safe[101]) == (usual[10], usual[101]) == ("#123456", "#654321")
    assert safe[80] != usual[80]


@pytest.mark.parametrize("name", ["rainbow", "", None, "SAFE"])
def test_an_unknown_palette_is_the_usual_one(name, shown):
    shown(name)
    assert palette() == "standard"


def test_a_free_colour_is_told_from_all_that_are_taken():
    for name in scheme_names():
        taken = list(file_scheme_colours(load_scheme(name)).values())
        colour = free_colour(taken)
        assert min(difference(colour, other) for other in taken) > 10.0


def test_grey_looks_the_same_to_everybody_and_red_like_green_only_to_some():
    greys = np.array([[0, 0, 0], [128, 128, 128], [255, 255, 255]])
    for vision in VISIONS:
        np.testing.assert_allclose(seen(greys, vision), greys, atol=0.6)
    red, green = "#A05000", "#467000"
    assert difference(red, green, "full") > 25
    assert min(difference(red, green, vision) for vision in ("protanopia", "deuteranopia")) < 12
    assert difference("#0000FF", "#0000FF", "tritanopia") == 0.0


def test_contrast_of_known_pairs():
    # WCAG 2.2: black on white is 21, and #767676 on white is the lightest grey that passes 4.5.
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21.0)
    assert contrast("#FFFFFF", "#767676") == pytest.approx(4.54, abs=0.01)
    assert contrast("#777777", "#FFFFFF") < 4.5


# ---- the themes of the pages


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_is_read_in_both_themes(theme):
    config = tomllib.loads((Path(__file__).resolve().parents[1] / ".streamlit" / "config.toml").read_text("utf-8"))
    found = {**config["theme"], **config["theme"][theme]}
    text, primary, page = found["textColor"], found["primaryColor"], found["backgroundColor"]
    for ground in (page, found["secondaryBackgroundColor"]):
        assert contrast(text, ground) >= 4.5
        assert contrast(mixed(text, ground, 0.6), ground) >= 4.5  # captions
        assert contrast(primary, ground) >= 3.0  # outlines of what can be used
    # The chosen one of several buttons: words in the primary colour, in the light theme on a tint of it.
    assert contrast(primary, mixed(primary, page, 0.2 if theme == "light" else 0.0)) >= 4.5
    assert contrast(INK[theme], primary) >= 4.5  # on the main buttons


def mixed(colour: str, ground: str, share: float) -> str:
    """A colour that lets the ground shine through."""
    parts = [share * one + (1 - share) * other for one, other in zip(rgb_of(colour), rgb_of(ground), strict=True)]
    return "#" + "".join(f"{round(part):02X}" for part in parts)


@pytest.mark.parametrize("colours", [cluster_colours, file_cluster_colours])
def test_noise_is_grey_and_the_clusters_keep_their_colours(colours):
    usual, noisy = colours(9), colours(9, noise=9)
    assert noisy == usual | {9: NOISE_COLOUR}
    assert colours(9, noise=10) == usual
