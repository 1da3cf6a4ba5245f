"""Exhibits: what a model is shown holds no hue that the imagery does not have, and is the same every time."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from PIL import Image

from s2dash.annotation import exhibits as room
from s2dash.annotation.card_pictures import NO_DATA_LEVEL
from s2dash.annotation.card_style import load_card_styles
from s2dash.annotation.cards import build_cards
from s2dash.annotation.colour_words import colour_words
from s2dash.annotation.exhibits import build_exhibits
from s2dash.clustering.model import ClusterMap
from s2dash.colours import cluster_colours, rgb_of
from s2dash.errors import AnnotationError, GridMismatchError
from s2dash.pictures import scene_stretch
from s2dash.sources.load import load_scene
from s2dash.testing import make_grid, make_scene


def patchwork(height: int = 120, width: int = 100, *, clusters: int = 4, bands: int = 10, seed: int = 0):
    """Square patches of `clusters` spectra with noise, a gap without data, and the clusters that they are."""
    rng = np.random.default_rng(seed)
    patch = rng.integers(1, clusters + 1, (height // 10 + 1, width // 10 + 1))
    labels = np.kron(patch, np.ones((10, 10), int))[:height, :width].astype(np.uint8)
    spectra = rng.integers(300, 3500, (clusters + 1, bands))
    numbers = (spectra[labels].transpose(2, 0, 1) + rng.normal(0, 60, (bands, height, width))).clip(1).astype(np.uint16)
    numbers[:, -7:, :9] = 0
    labels[-7:, :9] = 0
    scene = make_scene(numbers)
    return ClusterMap(scene.grid, labels, None), scene


def shown(exhibit, key: str) -> np.ndarray:
    png = next(picture.png for picture in exhibit.pictures if picture.key == key)
    with Image.open(io.BytesIO(png)) as image:
        assert image.mode == "RGB"
        return np.asarray(image)


def neutral(rgb: np.ndarray) -> bool:
    return bool((rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 0] == rgb[..., 2]).all())


def coloured_pixels(rgb: np.ndarray) -> set[tuple[int, ...]]:
    """Every pixel value that has a hue."""
    every = np.unique(rgb.reshape(-1, 3).astype(np.int64) @ [65536, 256, 1])
    values = {(int(one) >> 16, int(one) >> 8 & 255, int(one) & 255) for one in every}
    return {value for value in values if len(set(value)) > 1}


@pytest.fixture(scope="module")
def made():
    clusters, scene = patchwork()
    cards = build_cards(clusters, scene)
    return clusters, scene, cards, build_exhibits(clusters, scene, cards, style="composites", acquired=date(2021, 7, 1))


def test_the_pictures_hold_no_hue_that_the_imagery_does_not_have(made) -> None:
    clusters, scene, _, found = made
    stretch = scene_stretch(scene)
    imagery = np.stack([stretch.apply(scene.read()[scene.bands.index(b)], b) for b in ("B04", "B03", "B02")], axis=-1)
    hues = coloured_pixels(imagery)
    display = {rgb_of(colour) for colour in cluster_colours(4).values()}
    for cluster, exhibit in found.items():
        plain, dimmed = shown(exhibit, "scene"), shown(exhibit, "cluster")
        factor = plain.shape[1] // 100
        rows = 120 * factor
        inside = np.kron(clusters.labels == cluster, np.ones((factor, factor), int)) > 0
        gap = np.kron(clusters.labels == 0, np.ones((factor, factor), int)) > 0
        assert (dimmed[:rows][inside] == plain[:rows][inside]).all()  # inside nothing changed
        assert neutral(dimmed[:rows][~inside])  # outside no hue
        assert neutral(plain[rows:])  # and none in the strip of the scale bar
        assert neutral(dimmed[rows:])
        assert (plain[:rows][gap] == NO_DATA_LEVEL).all()
        expected = np.kron(imagery, np.ones((factor, factor, 1), int))
        assert (plain[:rows][~gap] == expected[~gap]).all()  # the hues are those of the stretched imagery
        for key in ("scene", "cluster", "closeup-1", "closeup-2", "closeup-3"):
            coloured = coloured_pixels(shown(exhibit, key))
            assert coloured <= hues
            assert not coloured & (display - hues)


def test_composites_show_the_target_alone(made) -> None:
    clusters, _, _, found = made
    for cluster, exhibit in found.items():
        for key in ("infrared", "shortwave"):
            rgb = shown(exhibit, key)
            factor = rgb.shape[1] // 100
            inside = np.kron(clusters.labels == cluster, np.ones((factor, factor), int)) > 0
            assert neutral(rgb[: 120 * factor][~inside])
            assert not neutral(rgb[: 120 * factor][inside])


def test_a_close_up_shows_the_ground_left_and_the_target_right(made) -> None:
    rgb = shown(made[3][2], "closeup-1")
    left, right = rgb[:, : (rgb.shape[1] - 8) // 2], rgb[:, -((rgb.shape[1] - 8) // 2) :]
    rows = left.shape[1]  # square
    same = (left[:rows] == right[:rows]).all(axis=-1)
    assert 0.2 < same.mean() < 1.0
    assert neutral(right[:rows][~same])


def test_the_same_input_gives_the_same_bytes_and_any_change_another_hash(made) -> None:
    clusters, scene, cards, found = made
    again = build_exhibits(clusters, scene, cards, style="composites", acquired=date(2021, 7, 1))
    assert {n: one.fingerprint for n, one in again.items()} == {n: one.fingerprint for n, one in found.items()}
    assert again == found
    one = found[1]
    picture = one.pictures[0]
    changes = [
        replace(one, style="composites@2"),
        replace(one, words=one.words + " "),
        replace(one, pictures=one.pictures[1:]),
        replace(one, pictures=one.pictures[::-1]),
        replace(one, pictures=(replace(picture, caption="x"), *one.pictures[1:])),
        replace(one, pictures=(replace(picture, png=picture.png + b"x"), *one.pictures[1:])),
    ]
    hashes = {change.fingerprint for change in changes}
    assert len(hashes) == len(changes)
    assert one.fingerprint not in hashes
    assert replace(one, cluster=9).fingerprint == one.fingerprint  # models are not told the number
    assert len({exhibit.fingerprint for exhibit in found.values()}) == len(found)
    moved = build_exhibits(clusters, scene, cards, style="composites", acquired=date(2021, 1, 1))
    assert moved[1].fingerprint != one.fingerprint


def test_every_style_shows_what_it_says_and_names_no_colour(made) -> None:
    clusters, scene, cards, _ = made
    keys = {
        "plain": ["scene", "cluster"],
        "closeup": ["scene", "cluster", "closeup-1", "closeup-2", "closeup-3"],
        "numbers": ["scene", "cluster", "closeup-1", "closeup-2", "closeup-3", "infrared"],
        "composites": ["scene", "cluster", "closeup-1", "closeup-2", "closeup-3", "infrared", "shortwave"],
        "words": [],
        "closer": ["scene", "cluster", "closeup-1", "closeup-2", "closeup-3", "infrared", "shortwave"],
    }
    assert set(keys) == set(load_card_styles())
    for name, style in load_card_styles().items():
        exhibit = build_exhibits(clusters, scene, cards, style=name, only=[3])[3]
        assert [picture.key for picture in exhibit.pictures] == keys[name]
        assert exhibit.style == f"{name}@1"
        assert bool(exhibit.words) is style.words
        for picture in exhibit.pictures:
            assert not colour_words(picture.caption)
            with Image.open(io.BytesIO(picture.png)) as image:
                assert 768 <= max(image.size) <= 1536
        assert not colour_words(exhibit.words)


def test_bands_that_are_missing_leave_brightness_or_nothing() -> None:
    def keys_of(*bands: str) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(0)
        scene = make_scene(rng.integers(500, 3000, (len(bands), 30, 30)).astype(np.uint16), bands=bands)
        clusters = ClusterMap(scene.grid, np.ones((30, 30), np.uint8), None)
        exhibit = build_exhibits(clusters, scene, build_cards(clusters, scene), style="composites")[1]
        return {picture.key: shown(exhibit, picture.key) for picture in exhibit.pictures}

    few = keys_of("B05", "B8A", "B11")
    assert neutral(few["scene"])  # no true colour without the visible bands
    assert neutral(few["infrared"])
    assert neutral(few["shortwave"])
    assert set(keys_of("B02", "B03", "B04")) == {"scene", "cluster", "closeup-1", "closeup-2", "closeup-3"}
    without_b08 = keys_of("B02", "B03", "B04", "B8A")
    assert not neutral(without_b08["infrared"])
    assert "shortwave" not in without_b08


def test_a_large_scene_is_read_in_windows_and_looks_the_same(monkeypatch) -> None:
    clusters, scene = patchwork(200, 180)
    cards = build_cards(clusters, scene)
    whole = build_exhibits(clusters, scene, cards, style="numbers")
    monkeypatch.setattr(room, "IN_MEMORY", 10)
    assert build_exhibits(clusters, scene, cards, style="numbers") == whole


def test_what_cannot_be_shown_is_named() -> None:
    clusters, scene = patchwork(40, 40)
    cards = build_cards(clusters, scene)
    with pytest.raises(AnnotationError, match=r"\[9\]"):
        build_exhibits(clusters, scene, cards, only=[1, 9])
    with pytest.raises(AnnotationError, match="numbers@1"):
        build_exhibits(clusters, scene, cards, style="none")
    other = ClusterMap(make_grid(40, 40, origin=(0, 0)), clusters.labels, None)
    with pytest.raises(GridMismatchError):
        build_exhibits(other, scene, cards)
    assert build_exhibits(clusters, scene, cards, only=[]) == {}


def test_the_seasons_and_places_of_real_scenes_are_told(real_data) -> None:
    for name, told in (("chile", "south; taken in April 2020, autumn"), ("poland", "51° north; taken in June 2018")):
        scene = load_scene(str(real_data / name / "scene.tif"))
        labels = np.where(scene.read(bands=("B08",))[0] > 0.25, 1, 2).astype(np.uint8)
        clusters = ClusterMap(scene.grid, labels, None)
        exhibit = build_exhibits(clusters, scene, build_cards(clusters, scene))[1]
        assert told in exhibit.words
        assert not colour_words(exhibit.words)
        assert not neutral(shown(exhibit, "cluster"))
