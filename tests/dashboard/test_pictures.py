import io
from datetime import date

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from odc.geo.geobox import GeoBox
from PIL import Image
from scipy.ndimage import binary_dilation, generate_binary_structure

from s2dash.colours import AGREE_COLOUR, DISAGREE_COLOUR, HIGHLIGHT_COLOUR, UNDECIDED_COLOUR, rgb_of
from s2dash.dashboard.pictures import (
    MASK_LEGEND,
    Stretch,
    class_picture,
    composite,
    composite_bands,
    disagreement_picture,
    highlight_picture,
    indexed_png,
    jpeg_bytes,
    label_picture,
    mask_picture,
    measure_stretch,
    png_bytes,
    scene_picture,
    scene_stretch,
    thin_labels,
    webp_bytes,
)
from s2dash.errors import GridMismatchError, TooFewBandsError
from s2dash.masking import MaskRule
from s2dash.scene import Provenance, Radiometry, Scene
from s2dash.sources.arrays import ArraySource

BANDS = ("B02", "B03", "B04", "B08")


def grid_of(height: int, width: int) -> GeoBox:
    return GeoBox((height, width), Affine(10, 0, 600000, 0, -10, 5700000), "EPSG:32633")


def small_scene(numbers: np.ndarray, *, bands: tuple[str, ...] = BANDS, scl: np.ndarray | None = None) -> Scene:
    source = ArraySource(grid_of(*numbers.shape[1:]), bands, numbers, scl)
    return Scene(source, bands, radiometry=Radiometry(), provenance=Provenance(title="t", acquired=date(2021, 6, 1)))


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(1).integers(200, 3000, (4, 40, 60), dtype=np.uint16)


def decoded(encoded: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(encoded)) as image:
        return np.asarray(image.convert("RGBA"))


def test_infrared_keeps_its_own_percentiles_and_visible_bands_go_half_way_to_common_ones(noise: np.ndarray) -> None:
    reflectance = noise.astype(np.float32) * np.array([1, 2, 3, 4], np.float32)[:, None, None] / 1e4
    stretch = measure_stretch(reflectance, bands=BANDS)
    low, high = np.percentile(reflectance.reshape(4, -1).astype(float), [2, 98], axis=1)
    assert stretch.low["B08"] == pytest.approx(low[3])
    assert stretch.high["B08"] == pytest.approx(high[3])
    for index in range(3):
        assert stretch.low[BANDS[index]] == pytest.approx((low[index] + low[:3].min()) / 2)
        assert stretch.high[BANDS[index]] == pytest.approx((high[index] + high[:3].max()) / 2)


def test_invalid_pixels_do_not_count_in_the_stretch(noise: np.ndarray) -> None:
    reflectance = noise.astype(np.float32) / 1e4
    clouded = reflectance.copy()
    clouded[:, :10] = np.nan
    clouded[0, 10:20] = np.nan  # one band is enough
    assert measure_stretch(clouded, bands=BANDS) == measure_stretch(reflectance[:, 20:], bands=BANDS)


def test_constant_and_empty_scenes_have_a_stretch() -> None:
    flat = measure_stretch(np.full((4, 5, 5), 0.2, np.float32), bands=BANDS)
    assert all(flat.high[band] - flat.low[band] == pytest.approx(0.02) for band in BANDS)
    assert set(np.unique(flat.apply(np.full((5, 5), 0.2), "B04"))) == {round(255 * 0.5 ** (1 / 1.2))}
    empty = measure_stretch(np.full((4, 5, 5), np.nan, np.float32), bands=BANDS)
    assert all(empty.high[band] > empty.low[band] for band in BANDS)


def test_gamma_brightens_the_middle_and_leaves_the_ends() -> None:
    ramp = np.array([[0.0, 0.05, 0.1, 0.3]])
    plain, bright = (Stretch({"B04": 0.0}, {"B04": 0.1}, gamma=gamma).apply(ramp, "B04")[0] for gamma in (1.0, 2.0))
    assert list(plain) == [0, 128, 255, 255]
    assert list(bright) == [0, 180, 255, 255]  # 255 * sqrt(0.5)


def test_composites_choose_the_fields_bands() -> None:
    assert composite_bands("true colour", BANDS) == ("B04", "B03", "B02")
    assert composite_bands("false colour", BANDS) == ("B08", "B04", "B03")
    assert composite_bands("false colour", ("B02", "B03", "B04", "B8A")) == ("B8A", "B04", "B03")
    with pytest.raises(TooFewBandsError, match="lacks B8A"):
        composite_bands("false colour", ("B02", "B03", "B04"))
    with pytest.raises(TooFewBandsError, match="lacks B02"):
        composite_bands("true colour", ("B03", "B04"))


def test_a_composite_puts_bands_into_channels_and_hides_what_is_missing(noise: np.ndarray) -> None:
    reflectance = noise.astype(np.float32) / 1e4
    reflectance[1, 0, 0] = np.nan  # B03
    reflectance[3, 0, 1] = np.nan  # B08, not part of this picture
    stretch = Stretch(dict.fromkeys(BANDS, 0.0), dict.fromkeys(BANDS, 0.3), gamma=1.0)
    picture = composite(reflectance, names=BANDS, bands=("B04", "B03", "B02"), stretch=stretch)
    assert list(picture[0, 0]) == [0, 0, 0, 0]
    assert (picture[..., 3] == 0).sum() == 1
    for channel, band in enumerate((2, 1, 0)):
        expected = np.round(reflectance[band].astype(float) / 0.3 * 255)
        np.testing.assert_allclose(picture[0, 1:, channel], expected[0, 1:], atol=1)


def test_a_large_scene_makes_a_small_picture_that_shows_clouds(noise: np.ndarray) -> None:
    scl = np.full(noise.shape[1:], 4, np.uint8)
    scl[:, :5] = 9
    noise[:, :, :5] = 9000
    noise[:, -3:] = 0
    scene = small_scene(noise, scl=scl)
    picture = scene_picture(scene, max_side=30)
    assert picture.rgba.shape == (20, 30, 4)
    assert picture.grid.shape == (20, 30)
    assert picture.grid.boundingbox == scene.grid.boundingbox
    assert (picture.rgba[:-2, 0] == 255).all()  # the cloud is shown, but did not darken the rest
    assert (picture.rgba[-1, :, 3] == 0).all()
    assert scene_stretch(scene).high["B08"] < 0.31


def test_an_all_cloud_scene_still_has_a_picture(noise: np.ndarray) -> None:
    picture = scene_picture(small_scene(noise, scl=np.full(noise.shape[1:], 9, np.uint8)))
    assert (picture.rgba[..., 3] == 255).all()
    assert picture.rgba[..., :3].std() > 20


@settings(deadline=None, max_examples=40)
@given(
    arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=12)),
    st.dictionaries(st.integers(0, 255), st.integers(0, 0xFFFFFF).map("#{:06X}".format), max_size=20),
)
def test_every_code_gets_its_colour_or_none(codes: np.ndarray, colours: dict[int, str]) -> None:
    picture = class_picture(codes, colours)
    for at in np.ndindex(codes.shape):
        code = int(codes[at])
        shown = (*rgb_of(colours[code]), 255) if code in colours and code != 0 else (0, 0, 0, 0)
        assert tuple(picture[at]) == shown
    assert (decoded(png_bytes(picture)) == picture).all()
    assert (decoded(indexed_png(codes, colours)) == picture).all()


def test_a_jpeg_keeps_the_picture_and_fills_what_is_transparent(noise: np.ndarray) -> None:
    rgba = np.zeros((40, 60, 4), dtype=np.uint8)
    rgba[:, :30] = (200, 40, 40, 255)
    shown = decoded(jpeg_bytes(rgba, under="#0000FF")).astype(int)
    assert np.abs(shown[4:-4, 4:24] - (200, 40, 40, 255)).max() < 12
    assert np.abs(shown[4:-4, 40:-4] - (0, 0, 255, 255)).max() < 12


def test_the_mask_shows_cloud_shadow_and_the_rest_where_the_classification_hides_them(noise: np.ndarray) -> None:
    scl = np.full((40, 60), 4, np.uint8)  # vegetation
    scl[:5], scl[5:10], scl[10:12], scl[12:14], scl[14:16] = 9, 3, 10, 0, 2
    scene = small_scene(noise, scl=scl)
    picture, legend = mask_picture(scene.with_mask(MaskRule(mask_dark=True)))
    cloud, shadow, other = (np.array([*rgb_of(colour), 255]) for _, colour in MASK_LEGEND)
    assert legend == MASK_LEGEND
    assert (picture.rgba[:5] == cloud).all()
    assert (picture.rgba[5:10] == shadow).all()
    assert (picture.rgba[10:12] == cloud).all()
    assert (picture.rgba[14:16] == other).all()
    assert (picture.rgba[12:14, :, 3] == 0).all()  # no data is not hidden, it is not there
    assert (picture.rgba[16:, :, 3] == 0).all()
    open_to_shade, legend = mask_picture(scene)
    assert (open_to_shade.rgba[14:16, :, 3] == 0).all()
    assert legend == MASK_LEGEND[:2]
    assert mask_picture(small_scene(noise)) is None


def test_a_scene_without_colours_is_shown_in_grey(noise: np.ndarray) -> None:
    scene = small_scene(noise[:2], bands=("B05", "B11"))
    assert composite_bands("grey", scene.bands) == ("B05", "B05", "B05")
    rgba = scene_picture(scene, kind="grey").rgba
    assert (rgba[..., 0] == rgba[..., 1]).all()
    assert (rgba[..., 0] == rgba[..., 2]).all()
    assert rgba[..., 0].std() > 20


def test_labels_of_any_size_become_a_picture_on_the_same_ground() -> None:
    labels = np.arange(200 * 100, dtype=np.int64).reshape(200, 100).astype(np.uint8) % 7
    coarse, grid = thin_labels(labels, grid_of(200, 100), max_side=50)
    assert coarse.shape == (50, 25) == tuple(grid.shape)
    assert (coarse == labels[2::4, 2::4]).all()
    assert grid.boundingbox == grid_of(200, 100).boundingbox
    picture = label_picture(labels, grid=grid_of(200, 100), colours={3: "#102030"}, max_side=50)
    assert ((picture.rgba[..., 3] > 0) == (coarse == 3)).all()
    with pytest.raises(GridMismatchError, match="do not lie"):
        thin_labels(labels, grid_of(10, 10))


def test_a_highlighted_cluster_keeps_its_colours_and_the_rest_turns_grey() -> None:
    generator = np.random.default_rng(0)
    base = generator.integers(30, 200, (300, 250, 4), dtype=np.uint8)
    base[..., 3] = 255
    base[:20, :, 3] = 0
    labels = np.ones((300, 250), np.uint8)
    labels[100:180, 60:200] = 2
    labels[250, 10] = 2
    labels[10:25, 100:110] = 2
    picture = highlight_picture(base, labels, cluster=2)
    factor = 3  # 300 px towards 900
    assert picture.shape == (900, 750, 4)
    inside = (labels == 2).repeat(factor, 0).repeat(factor, 1)
    empty = (base[..., 3] == 0).repeat(factor, 0).repeat(factor, 1)
    outline = binary_dilation(inside, generate_binary_structure(2, 1)) & ~inside & ~empty
    assert (picture[outline] == [*rgb_of(HIGHLIGHT_COLOUR), 255]).all()
    others = picture[~inside & ~outline & ~empty][:, :3].astype(int)
    assert (np.ptp(others, axis=1) == 0).all()  # grey
    shown = picture[inside & ~empty][:, :3].astype(int)
    original = base.repeat(factor, 0).repeat(factor, 1)[inside & ~empty][:, :3].astype(int)
    assert np.corrcoef(shown.ravel(), original.ravel())[0, 1] > 0.99  # true colour, brighter
    assert shown.mean() > others.mean() + 40
    assert (picture[empty] == 0).all()


def test_a_tint_mixes_the_colour_in_and_large_pictures_are_not_enlarged() -> None:
    base = np.full((1000, 20, 4), 255, np.uint8)
    labels = np.ones((1000, 20), np.uint8)
    picture = highlight_picture(base, labels, cluster=1, tint=1.0, colour="#0000FF")
    assert picture.shape == base.shape
    assert (picture == [0, 0, 255, 255]).all()
    with pytest.raises(GridMismatchError):
        highlight_picture(base, labels[:-1], cluster=1)


def test_disagreement_tells_four_things_apart() -> None:
    codes = np.array([[10, 10, 255, 0, 10, 0]], np.uint8)
    reference = np.array([[10, 20, 10, 10, 0, 0]], np.uint8)
    shown = [tuple(pixel) for pixel in disagreement_picture(codes, reference)[0]]
    clear = (0, 0, 0, 0)
    named = [(*rgb_of(colour), 255) for colour in (AGREE_COLOUR, DISAGREE_COLOUR, UNDECIDED_COLOUR)]
    assert shown == [*named, clear, clear, clear]
    with pytest.raises(GridMismatchError, match="cannot be compared"):
        disagreement_picture(codes, reference[:, 1:])


def test_png_is_exact_small_and_always_the_same(noise: np.ndarray) -> None:
    classes = class_picture((noise[0] % 9).astype(np.uint8), {code: f"#{code:02X}AA10" for code in range(1, 9)})
    imagery = np.dstack([*(noise[:3] >> 4).astype(np.uint8), np.full(noise.shape[1:], 255, np.uint8)])
    many = np.random.default_rng(0).integers(0, 255, (400, 400, 4), dtype=np.uint8)
    for picture in (classes, imagery, many):
        encoded = png_bytes(picture)
        assert encoded == png_bytes(picture.copy())
        assert (decoded(encoded) == picture).all()
    with Image.open(io.BytesIO(png_bytes(classes))) as image:
        assert image.mode == "P"


def test_a_colour_missed_by_the_first_look_is_not_lost() -> None:
    picture = np.zeros((600, 600, 4), np.uint8)
    picture[..., 3] = 255
    picture.reshape(-1, 4)[1:301:1, :3] = np.random.default_rng(0).integers(0, 255, (300, 3))
    assert (decoded(png_bytes(picture)) == picture).all()


def test_webp_keeps_transparency_and_nearly_the_colours() -> None:
    row, column = np.mgrid[0:200, 0:200]
    picture = np.dstack([row, column, 255 - row, np.full_like(row, 255)]).astype(np.uint8)
    picture[50:80, 50:80] = 0
    encoded = webp_bytes(picture)
    assert encoded == webp_bytes(picture.copy())
    back = decoded(encoded)
    assert (back[..., 3] == picture[..., 3]).all()
    assert np.abs(back.astype(int) - picture)[100:].mean() < 4
