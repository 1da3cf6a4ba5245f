"""Fields as a land register draws them: estates of one direction, cut into blocks by tracks, and blocks into parcels.

Estates are the cells of a jittered-grid Voronoi diagram; inside each, staggered rows of blocks stand at the estate's
own angle; each block is halved again and again until its parcels have the size that block happens to have. All of it
is a function of position, so that any part of the plane can be drawn on its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2dash.simulation.hashing import HashArray, combine, four_uniform, lattice, mix, stream_key, uniform
from s2dash.simulation.noise import Axes, fractal
from s2dash.types import BoolArray, FloatArray

ESTATE_M = 2600.0
"""Mean distance between estates, m."""
_LINES = 24
"""Block lines per estate and direction in the table of line positions; the estate's seed lies in the middle."""
_SPLITS = 4
"""How often a block can be halved."""
_PART = 134
"""Side of the parts in which the nearest estates are looked for, positions."""


@dataclass(frozen=True, eq=False)
class Parcels:
    """The parcel under every position; arrays of shape (y, x) unless said otherwise."""

    bits: HashArray
    """Shape (parcel,), random bits of each parcel."""
    number: NDArray[np.intp]
    """The parcel, as an index into `bits`; several numbers may stand for one parcel, with the same bits."""
    across: FloatArray
    """Distance across the working direction, m: tramlines run along constant values."""
    margin: FloatArray
    """Distance to the parcel's edge, m."""
    block_edge: FloatArray
    """Distance to the edge of the block, m: where tracks and shelterbelts run."""
    edge: HashArray
    """Random bits of the nearest block edge."""

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values per parcel (parcel,) → per position (y, x)."""
        return values.take(self.number, mode="clip")

    @property
    def parcel(self) -> HashArray:
        """Random bits of the parcel: the same throughout it."""
        return self.spread(self.bits)


@dataclass(frozen=True, eq=False)
class _Estates:
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    bits: HashArray
    cos: FloatArray
    sin: FloatArray
    shear: FloatArray
    step_u: FloatArray
    step_v: FloatArray
    lines_u: FloatArray
    lines_v: FloatArray


@dataclass(frozen=True, eq=False)
class _Rectangles:
    """Blocks or parcels, in the coordinates of their estates; all arrays of length rectangle."""

    place: NDArray[np.intp]
    bits: HashArray
    low_u: FloatArray
    high_u: FloatArray
    low_v: FloatArray
    high_v: FloatArray


def draw_parcels(axes: Axes, *, seed: int) -> Parcels:
    """The parcels under a grid of positions."""
    wind_x = fractal(axes, wavelength=420, octaves=1, key=stream_key(seed, 101))
    wind_y = fractal(axes, wavelength=420, octaves=1, key=stream_key(seed, 102))
    px = axes.local_x + 9 * wind_x
    py = axes.local_y + 9 * wind_y
    estates = _estates(axes, seed=seed)
    here, boundary, pair = _voronoi(px, py, estates, axes=axes)
    dx = px - (estates.x - axes.x[0]).astype(np.float32)[here]
    dy = py - (estates.y - axes.y[0]).astype(np.float32)[here]
    cos, sin = estates.cos[here], estates.sin[here]
    u = cos * dx + sin * dy
    v = cos * dy - sin * dx
    u += estates.shear[here] * v
    col = _line_below(u, estates.step_u[here], estates.lines_u, here)
    row = _line_below(v, estates.step_v[here], estates.lines_v, here * _LINES + col)
    blocks, block = _blocks(estates, (here * _LINES + col) * _LINES + row)
    to_left, to_right = u - blocks.low_u[block], blocks.high_u[block] - u
    to_top, to_bottom = v - blocks.low_v[block], blocks.high_v[block] - v
    to_u, to_v = np.minimum(to_left, to_right), np.minimum(to_top, to_bottom)
    right, below = (to_left > to_right).astype(np.intp), to_top > to_bottom
    edges = _edge_bits(estates, blocks)
    edge = edges.take(block * 6 + np.where(to_u < to_v, right, 2 * right + below + 2))
    inner = np.minimum(to_u, to_v)
    parcels, number = _halved(blocks, block, u, v)
    margin = np.minimum(u - parcels.low_u[number], parcels.high_u[number] - u)
    np.minimum(margin, v - parcels.low_v[number], out=margin)
    np.minimum(margin, parcels.high_v[number] - v, out=margin)
    wide = parcels.high_u - parcels.low_u > parcels.high_v - parcels.low_v
    return Parcels(
        bits=parcels.bits,
        number=number,
        across=np.where(wide[number], v, u),
        margin=np.minimum(margin, boundary),
        block_edge=np.minimum(inner, boundary),
        edge=np.where(boundary < inner, pair, edge),
    )


def _estates(axes: Axes, *, seed: int) -> _Estates:
    left, top, right, bottom = axes.bounds
    cols = np.arange(np.floor(left / ESTATE_M) - 2, np.floor(right / ESTATE_M) + 3).astype(np.int64)
    rows = np.arange(np.floor(top / ESTATE_M) - 2, np.floor(bottom / ESTATE_M) + 3).astype(np.int64)
    bits = lattice(rows, cols, key=stream_key(seed, 103)).ravel()

    def draw(salt: int) -> FloatArray:
        return uniform(combine(bits, salt))

    grid_y, grid_x = (part.ravel() for part in np.meshgrid(rows, cols, indexing="ij"))
    x = (grid_x + 0.5 + 0.8 * (draw(1) - 0.5)) * ESTATE_M
    y = (grid_y + 0.5 + 0.8 * (draw(2) - 0.5)) * ESTATE_M
    # Seeds that are farther from every position than some other seed is at most can own none of them.
    near = np.hypot(np.maximum(np.maximum(left - x, x - right), 0), np.maximum(np.maximum(top - y, y - bottom), 0))
    far = np.hypot(np.maximum(x - left, right - x), np.maximum(y - top, bottom - y))
    kept = near <= np.sort(far)[1] + 200
    main = uniform(mix(np.array([stream_key(seed, 104)], dtype=np.uint32)))[0] * np.pi
    turn = np.where(draw(3) < 0.5, draw(4) - 0.5, 3 * (draw(4) - 0.5))
    angle = main + turn
    step_u, step_v = 430 + 520 * draw(5), 430 + 620 * draw(6)
    number = np.arange(_LINES, dtype=np.int64)
    middle = _LINES // 2
    jitter_u = uniform(combine(np.repeat(bits[:, None], _LINES, 1), number[None, :] + 300))
    lines_u = (number - middle + 0.4 * jitter_u) * step_u[:, None]
    spread = np.broadcast_to(bits[:, None, None], (len(bits), _LINES, _LINES))
    stagger = uniform(combine(bits[:, None].repeat(_LINES, 1), number[None, :] + 500))
    jitter_v = uniform(combine(spread, number[None, None, :] + (number * 64)[None, :, None] + 900))
    lines_v = (number - middle + 0.3 * jitter_v + 0.6 * stagger[:, :, None]) * step_v[:, None, None]
    return _Estates(
        x=x[kept],
        y=y[kept],
        bits=bits[kept],
        cos=np.cos(angle)[kept].astype(np.float32),
        sin=np.sin(angle)[kept].astype(np.float32),
        shear=(0.36 * (draw(7) - 0.5))[kept].astype(np.float32),
        step_u=step_u[kept].astype(np.float32),
        step_v=step_v[kept].astype(np.float32),
        lines_u=lines_u[kept].astype(np.float32),
        lines_v=lines_v[kept].astype(np.float32),
    )


def _voronoi(
    px: FloatArray, py: FloatArray, estates: _Estates, *, axes: Axes
) -> tuple[NDArray[np.intp], FloatArray, HashArray]:
    """Index of the nearest estate, distance to its border, and random bits of that border."""
    owner = np.zeros(px.shape, dtype=np.intp)
    other = owner.copy()
    best, second = np.empty(px.shape, dtype=np.float32), np.empty(px.shape, dtype=np.float32)
    local_x = (estates.x - axes.x[0]).astype(np.float32)
    local_y = (estates.y - axes.y[0]).astype(np.float32)
    # Part by part, because few estates come near a small part.
    for top in range(0, px.shape[0], _PART):
        for left in range(0, px.shape[1], _PART):
            part = slice(top, top + _PART), slice(left, left + _PART)
            best[part], second[part], owner[part], other[part] = _two_nearest(px[part], py[part], local_x, local_y)
    gap = np.hypot(local_x[:, None] - local_x[None, :], local_y[:, None] - local_y[None, :])
    gap[gap == 0] = 1
    border = (second - best) / (2 * gap[owner, other])
    return owner, border, mix(estates.bits[owner] ^ estates.bits[other])


def _two_nearest(
    px: FloatArray, py: FloatArray, x: FloatArray, y: FloatArray
) -> tuple[FloatArray, FloatArray, NDArray[np.int16], NDArray[np.int16]]:
    """Squared distances to the nearest and second nearest of the points x, y, and which these are."""
    left, right, top, bottom = px.min(), px.max(), py.min(), py.max()
    gap_x, gap_y = np.maximum(np.maximum(left - x, x - right), 0), np.maximum(np.maximum(top - y, y - bottom), 0)
    far = np.hypot(np.maximum(x - left, right - x), np.maximum(y - top, bottom - y))
    best = np.full(px.shape, np.inf, dtype=np.float32)
    second = best.copy()
    owner = np.zeros(px.shape, dtype=np.int16)
    other = owner.copy()
    for index in np.flatnonzero(np.hypot(gap_x, gap_y) <= np.partition(far, 1)[1]):
        away = np.square(px - x[index])
        away += np.square(py - y[index])
        nearer = away < second
        np.copyto(second, away, where=nearer)
        np.copyto(other, np.int16(index), where=nearer)
        wins = second < best
        second[wins], best[wins] = best[wins], second[wins]
        other[wins], owner[wins] = owner[wins], other[wins]
    return best, second, owner, other


def _line_below(position: FloatArray, step: FloatArray, lines: FloatArray, table: NDArray[np.intp]) -> NDArray[np.intp]:
    """The last line of its table row that lies before each position."""
    number = np.floor(position / step).astype(np.intp)
    number += _LINES // 2
    np.clip(number, 1, _LINES - 2, out=number)
    number -= position < lines.ravel().take(table * _LINES + number)
    return number


def _blocks(estates: _Estates, place: NDArray[np.intp]) -> tuple[_Rectangles, NDArray[np.intp]]:
    """The blocks that occur (`place` counts estates, columns and rows), and which of them each position is in."""
    occurs = np.zeros(len(estates.bits) * _LINES * _LINES, dtype=bool)
    occurs[place] = True
    found = np.flatnonzero(occurs)
    order = np.cumsum(occurs) - 1
    estate, col, row = _parts(found)
    lines_u, lines_v = estates.lines_u.ravel(), estates.lines_v.ravel()
    at_u, at_v = estate * _LINES + col, found
    blocks = _Rectangles(
        place=found,
        bits=combine(combine(estates.bits[estate], col), row + 77),
        low_u=lines_u[at_u],
        high_u=lines_u[at_u + 1],
        low_v=lines_v[at_v],
        high_v=lines_v[at_v + 1],
    )
    return blocks, order.take(place)


def _parts(place: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    return place // _LINES**2, place // _LINES % _LINES, place % _LINES


def _edge_bits(estates: _Estates, blocks: _Rectangles) -> HashArray:
    """Random bits of each block's edges, shape (block, 6): left, right, and top and bottom in a left and right half."""
    estate, col, row = _parts(blocks.place)
    sides = [combine(estates.bits[estate], col + right + 1000) for right in (0, 1)]
    ends = [combine(side, row + below + 2000) for side in sides for below in (0, 1)]
    return np.stack(sides + ends, axis=1)


def _halved(
    blocks: _Rectangles, block: NDArray[np.intp], u: FloatArray, v: FloatArray
) -> tuple[_Rectangles, NDArray[np.intp]]:
    """Halve blocks into parcels, 2 ** _SPLITS to a block (equal where it was halved less), and find each position's."""
    kind, size, _, _ = four_uniform(combine(blocks.bits, 11))
    # Square metres at which halving stops: from garden plots to fields that fill the block.
    largest = 10_000 * np.exp(np.float32(np.log(2.2)) + np.float32(np.log(45 / 2.2)) * size)
    strips, strips_u = kind < 0.3, kind < 0.15
    parts = blocks
    number = block
    for _ in range(_SPLITS):
        wide, tall = parts.high_u - parts.low_u, parts.high_v - parts.low_v
        halves = wide * tall > largest
        along_u = np.where(strips, strips_u, wide > tall)
        bits = mix(parts.bits)
        share = np.float32(0.36) + np.float32(0.28) * uniform(bits)
        cut = np.where(along_u, parts.low_u + share * wide, parts.low_v + share * tall)
        number = 2 * number + (np.where(along_u[number], u, v) >= cut[number])
        parts = _children(parts, halves, along_u, cut, bits)
        largest, strips, strips_u = largest.repeat(2), strips.repeat(2), strips_u.repeat(2)
    return parts, number


def _children(
    parts: _Rectangles, halves: BoolArray, along_u: BoolArray, cut: FloatArray, bits: HashArray
) -> _Rectangles:
    """Both halves of every rectangle, one after the other; twice the same where it is not halved."""
    upper = np.tile([False, True], len(cut))
    by_u, by_v = (halves & along_u).repeat(2), (halves & ~along_u).repeat(2)
    line = cut.repeat(2)
    child = bits.repeat(2) ^ (upper.astype(np.uint32) * np.uint32(0x2545F491))
    return _Rectangles(
        place=parts.place.repeat(2),
        bits=np.where(halves.repeat(2), child, parts.bits.repeat(2)),
        low_u=np.where(by_u & upper, line, parts.low_u.repeat(2)),
        high_u=np.where(by_u & ~upper, line, parts.high_u.repeat(2)),
        low_v=np.where(by_v & upper, line, parts.low_v.repeat(2)),
        high_v=np.where(by_v & ~upper, line, parts.high_v.repeat(2)),
    )
