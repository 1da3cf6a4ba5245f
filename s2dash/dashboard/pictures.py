"""Pictures for people: scenes, class maps, one cluster picked out, where two maps differ. Same input, same bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox
from PIL import Image

from s2dash.colours import (
    AGREE_COLOUR,
    DISAGREE_COLOUR,
    HIGHLIGHT_COLOUR,
    UNDECIDED_COLOUR,
    rgb_of,
)
from s2dash.errors import GridMismatchError
from s2dash.grid import overview_grid
from s2dash.pictures import (
    MAX_SIDE,
    Composite,
    Picture,
    PictureArray,
    Stretch,
    composite,
    composite_bands,
    measure_stretch,
    scene_picture,
    scene_stretch,
    thin_labels,
)
from s2dash.scene import Scene
from s2dash.schemes import NO_DATA, UNDECIDED
from s2dash.types import BoolArray, LabelArray

__all__ = [
    "DISAGREEMENT_LEGEND",
    "MASK_LEGEND",
    "MAX_SIDE",
    "Composite",
    "Picture",
    "PictureArray",
    "Stretch",
    "class_picture",
    "composite",
    "composite_bands",
    "disagreement_picture",
    "highlight_picture",
    "indexed_png",
    "jpeg_bytes",
    "label_picture",
    "mask_picture",
    "measure_stretch",
    "png_bytes",
    "scene_picture",
    "scene_stretch",
    "thin_labels",
    "webp_bytes",
]


def class_picture(codes: LabelArray, colours: Mapping[int, str]) -> PictureArray:
    """Codes as colours.

    Args:
        codes: Shape (y, x), uint8.
        colours: `#RRGGBB` by code. Codes without a colour, and 0, are transparent.

    Returns:
        Shape (y, x, 4), uint8.
    """
    table = np.zeros((256, 4), dtype=np.uint8)
    for code, colour in colours.items():
        if code != NO_DATA:
            table[code] = (*rgb_of(colour), 255)
    return np.asarray(table[codes])


def label_picture(labels: LabelArray, *, grid: GeoBox, colours: Mapping[int, str], max_side: int = MAX_SIDE) -> Picture:
    """A cluster or class map of any size as a picture no larger than `max_side`."""
    coarse, coarse_grid = thin_labels(labels, grid, max_side=max_side)
    return Picture(class_picture(coarse, colours), coarse_grid)


def highlight_picture(
    base: PictureArray,
    labels: LabelArray,
    *,
    cluster: int,
    colour: str = HIGHLIGHT_COLOUR,
    tint: float = 0.0,
    min_side: int = 900,
) -> PictureArray:
    """One cluster in true colour inside a bright outline, everything else grey and dim. For people, not for models.

    Args:
        base: True colour, shape (y, x, 4).
        labels: Shape (y, x), on the same grid.
        cluster: The one to pick out.
        colour: Of the outline, `#RRGGBB`.
        tint: How much of that colour is mixed into the cluster itself, 0-1; hides its true colour.
        min_side: Small pictures are enlarged by a whole factor (4 at most) towards this side, so that the outline is
            thinner than a pixel of the scene and hides nothing.

    Returns:
        Shape (y * factor, x * factor, 4), uint8; transparent where the base is.

    Raises:
        GridMismatchError: If base and labels differ in shape.
    """
    if base.shape[:2] != labels.shape:
        raise GridMismatchError(f"A picture of shape {base.shape[:2]} does not fit labels of shape {labels.shape}.")
    inside = labels == cluster
    # tables of 256 values and single precision: a tenth of the time of arithmetic on every pixel in double
    levels = np.arange(256, dtype=np.float64)
    tints = [(1.0 - tint) * np.minimum(levels * 1.15 + 12.0, 255.0) + tint * part for part in rgb_of(colour)]
    bright = [np.rint(table).astype(np.uint8) for table in tints]
    dim = np.rint(30.0 + 0.42 * levels).astype(np.uint8)
    grey = dim[np.rint(base[..., :3] @ np.array([0.299, 0.587, 0.114], dtype=np.float32)).astype(np.uint8)]
    picture = base.copy()
    for channel, table in enumerate(bright):
        picture[..., channel] = np.where(inside, table[base[..., channel]], grey)

    factor = int(np.clip(-(-min_side // max(labels.shape)), 1, 4))
    picture = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    inside = inside.repeat(factor, axis=0).repeat(factor, axis=1)
    outline = touching(inside) & (picture[..., 3] > 0)
    picture[outline, :3] = rgb_of(colour)
    picture[picture[..., 3] == 0] = 0
    return picture


def touching(inside: BoolArray) -> BoolArray:
    """Pixels outside a region that share a side with it."""
    near = np.zeros_like(inside)
    near[1:] |= inside[:-1]
    near[:-1] |= inside[1:]
    near[:, 1:] |= inside[:, :-1]
    near[:, :-1] |= inside[:, 1:]
    return near & ~inside


DISAGREEMENT_LEGEND: tuple[tuple[str, str], ...] = (
    ("Agrees with the reference", AGREE_COLOUR),
    ("Differs from the reference", DISAGREE_COLOUR),
    ("Not named yet", UNDECIDED_COLOUR),
)
"""What the colours of `disagreement_picture` mean."""


def disagreement_picture(codes: LabelArray, reference: LabelArray) -> PictureArray:
    """Where a land-cover map and a reference say different things.

    Args:
        codes: Class codes of the map, shape (y, x).
        reference: Codes of the same scheme on the same grid; 0 where it says nothing.

    Returns:
        Shape (y, x, 4); blue agrees, orange differs, near black is not named yet, transparent where either is 0.

    Raises:
        GridMismatchError: If the two differ in shape.
    """
    if codes.shape != reference.shape:
        raise GridMismatchError(f"A map of shape {codes.shape} cannot be compared with one of {reference.shape}.")
    states = np.where(codes == reference, np.uint8(1), np.uint8(2))
    states[codes == UNDECIDED] = 3
    states[(codes == NO_DATA) | (reference == NO_DATA)] = NO_DATA
    return class_picture(states, {state: colour for state, (_, colour) in enumerate(DISAGREEMENT_LEGEND, start=1)})


MASK_LEGEND: tuple[tuple[str, str], ...] = (
    ("Cloud or cirrus", "#FF3FB4"),
    ("Cloud shadow", "#8E44FF"),
    ("Other", "#FFB000"),
)
"""What the colours of `mask_picture` mean; none of them is found in a landscape."""
_MASK_STATES = {8: 1, 9: 1, 10: 1, 3: 2}
_MASK_OTHER = 3


def mask_picture(scene: Scene, *, max_side: int = MAX_SIDE) -> tuple[Picture, tuple[tuple[str, str], ...]] | None:
    """What the scene classification hides of a scene, and the part of `MASK_LEGEND` that occurs.

    Returns:
        None where there is no scene classification. Pixels without data are transparent: there is nothing to hide.
    """
    grid = overview_grid(scene.grid, max_side=max_side)
    shape = (int(grid.shape[0]), int(grid.shape[1]))
    scl = scene.source.read_scl_overview(shape)
    if scl is None:
        return None
    table = np.full(256, _MASK_OTHER, dtype=np.uint8)
    table[list(_MASK_STATES)] = list(_MASK_STATES.values())
    states = table[np.clip(scl, 0, 255).astype(np.uint8)]
    states[scene.mask.valid(scl) | (scl == 0)] = NO_DATA
    legend = tuple(entry for state, entry in enumerate(MASK_LEGEND, start=1) if (states == state).any())
    colours = {state: colour for state, (_, colour) in enumerate(MASK_LEGEND, start=1)}
    return Picture(class_picture(states, colours), grid), legend


def png_bytes(rgba: PictureArray) -> bytes:
    """A picture as PNG, without loss; with a palette, and so much smaller, where it has at most 256 colours."""
    return _encode(_indexed(rgba) or Image.fromarray(rgba), "PNG", compress_level=6)


def indexed_png(codes: LabelArray, colours: Mapping[int, str]) -> bytes:
    """Codes as a PNG whose palette is their colours: `png_bytes(class_picture(…))`, several times faster.

    Args:
        codes: Shape (y, x), uint8.
        colours: `#RRGGBB` by code. Codes without a colour, and 0, are transparent.
    """
    table = class_picture(np.arange(256, dtype=np.uint8)[None], colours)[0]
    image = Image.fromarray(codes, mode="P")
    image.putpalette(table[:, :3].tobytes())
    image.info["transparency"] = table[:, 3].tobytes()
    return _encode(image, "PNG", compress_level=6)


def webp_bytes(rgba: PictureArray, *, quality: int = 88) -> bytes:
    """A picture as lossy WebP with exact transparency: for imagery, about a tenth of its PNG."""
    return _encode(Image.fromarray(rgba), "WEBP", quality=quality, method=4, alpha_quality=100, exact=False)


def jpeg_bytes(rgba: PictureArray, *, quality: int = 85, under: str = "#7F868C") -> bytes:
    """A picture as JPEG, its transparent parts in one colour: what Streamlit shows without encoding it anew."""
    flat = Image.new("RGB", rgba.shape[1::-1], under)
    picture = Image.fromarray(rgba)
    flat.paste(picture, mask=picture.getchannel("A"))
    return _encode(flat, "JPEG", quality=quality)


def _encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _indexed(rgba: PictureArray) -> Image.Image | None:
    """The picture with a palette, or None where it has more colours than fit."""
    flat = np.ascontiguousarray(rgba).view("<u4").ravel()
    if flat.size > 65536 and np.unique(flat[:: flat.size // 65536]).size > 256:
        return None  # imagery: a look at part of it is enough
    colours, index = np.unique(flat, return_inverse=True)
    if colours.size > 256:
        return None
    image = Image.fromarray(index.reshape(rgba.shape[:2]).astype(np.uint8), mode="P")
    table = colours.view(np.uint8).reshape(-1, 4)
    image.putpalette(table[:, :3].tobytes())
    image.info["transparency"] = table[:, 3].tobytes()
    return image
