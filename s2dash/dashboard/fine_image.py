"""Pictures in full detail, cut into pieces: a map that is zoomed in asks only for those that it shows."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from s2dash.dashboard.pictures import Picture, class_picture, indexed_png, webp_bytes
from s2dash.dashboard.warping import Bounds, frame_of, parts, warp_pieces
from s2dash.types import LabelArray

SIDE = 1024
"""Of a piece, pixels."""
FINEST = 6144
"""Longest side of all pieces together, pixels: two for every pixel of a scene of 3000 x 3000."""
_PLAIN = {code: f"#{code:02X}{code:02X}{code:02X}" for code in range(1, 256)}


@dataclass(frozen=True)
class FineImage:
    """A picture in full detail."""

    shape: tuple[int, int]
    """Rows and columns of the whole, pixels."""
    side: int
    """Of a piece, pixels; those at the end are smaller."""
    kind: str
    """Format of the pieces, `png` or `webp`."""
    pieces: tuple[bytes, ...]
    """Encoded, row by row; empty where there is nothing to see."""
    bounds: Bounds
    """Outer edges of the whole."""


def fine_picture(picture: Picture, *, detail: float = 1.25, side: int = SIDE) -> FineImage:
    """Imagery in full detail.

    Args:
        picture: In the detail of the scene.
        detail: Pixels of the result per pixel of the picture: enough for an interpolated picture.
        side: Of a piece, pixels.
    """
    frame = frame_of(picture.grid, max_side=FINEST, detail=detail)
    made = warp_pieces(picture.rgba, picture.grid, frame, side=side, smooth=True)
    pieces = tuple(webp_bytes(piece) if piece[..., 3].any() else b"" for piece in made)
    return FineImage(frame.shape, side, "webp", pieces, frame.bounds)


def fine_codes(codes: LabelArray, bounds: Bounds, *, side: int = SIDE) -> FineImage:
    """Codes in full detail, encoded once and coloured by `painted` again and again.

    Args:
        codes: As they lie on the map, shape (y, x); 0 is nothing.
        bounds: Their outer edges.
        side: Of a piece, pixels.
    """
    shape = (int(codes.shape[0]), int(codes.shape[1]))
    cut = (np.ascontiguousarray(codes[part]) for part in parts(shape, side=side))
    return FineImage(
        shape, side, "png", tuple(indexed_png(piece, _PLAIN) if piece.any() else b"" for piece in cut), bounds
    )


def painted(image: FineImage, colours: Mapping[int, str]) -> FineImage:
    """Pieces of codes in other colours: only their palettes are written anew.

    Args:
        image: Of `fine_codes`.
        colours: `#RRGGBB` by code; codes without a colour are transparent.
    """
    table = class_picture(np.arange(256, dtype=np.uint8)[None], colours)[0]
    chunks = {b"PLTE": table[:, :3].tobytes(), b"tRNS": table[:, 3].tobytes()}
    return replace(image, pieces=tuple(_with_chunks(piece, chunks) if piece else b"" for piece in image.pieces))


def _with_chunks(png: bytes, chunks: Mapping[bytes, bytes]) -> bytes:
    """A PNG with some of its chunks replaced (PNG specification, third edition, section 5: length, type, data, CRC)."""
    out, at = [png[:8]], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, end = png[at + 4 : at + 8], at + 12 + length
        if kind in chunks:
            body = kind + chunks[kind]
            out.append(struct.pack(">I", len(chunks[kind])) + body + struct.pack(">I", zlib.crc32(body)))
        else:
            out.append(png[at:end])
        at = end
        if kind == b"IDAT":  # the pixels, most of the file; nothing of ours comes after
            out.append(png[at:])
            break
    return b"".join(out)
