"""What people built: houses along streets, works, quarries, roads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from s2dash.simulation.canvas import Canvas, coverage
from s2dash.simulation.hashing import HashArray, combine, mix, uniform
from s2dash.simulation.lines import joined, nearest
from s2dash.simulation.noise import smooth
from s2dash.simulation.settlements import VILLAGE_BIT, Yard
from s2dash.simulation.spectra import FIELD_KINDS, first_field, unit
from s2dash.types import FloatArray

_DEEPEST_PLOT = 78.0
"""How far plots reach from the middle of the street, m."""
_SUBURB_ROOFS = (("tile_roof", 0.45), ("fibre_cement_roof", 0.27), ("bitumen_roof", 0.14), ("metal_roof", 0.14))
_CORE_ROOFS = (("bitumen_roof", 0.38), ("tile_roof", 0.22), ("concrete", 0.22), ("metal_roof", 0.18))
_HALL_ROOFS = (("metal_roof", 0.38), ("bitumen_roof", 0.30), ("fibre_cement_roof", 0.32))


def _choose(bits: HashArray, options: tuple[tuple[str, float], ...]) -> NDArray[np.int16]:
    """Unit numbers drawn by their shares."""
    bounds = np.cumsum([share for _, share in options])[:-1].astype(np.float32)
    units = np.array([unit(name) for name, _ in options], dtype=np.int16)
    return units[np.searchsorted(bounds, uniform(bits), side="right")]


def draw_settlements(canvas: Canvas) -> None:
    """Plots with houses, yards and gardens on both sides of every street; then the streets."""
    if not canvas.settlements:
        return
    street = nearest(canvas.axes, joined(one.streets for one in canvas.settlements), reach=_DEEPEST_PLOT)
    if not street.found:
        return
    inside = street.inside & ~street.beyond_end
    core = np.zeros(canvas.axes.shape, dtype=np.float32)
    for sites in canvas.sites:
        for town in sites.towns:
            core = np.maximum(core, np.clip(1 - canvas.share_of_radius(town), 0, 1))
    _plots(
        canvas,
        at=np.flatnonzero(inside),
        distance=street.distance[inside],
        along=street.along[inside],
        half_width=street.half_width[inside],
        bits=street.key[inside],
        side=street.right[inside],
        core=core[inside],
    )
    village = (street.key & VILLAGE_BIT).astype(bool)
    paved = ~village | (uniform(combine(street.key, 71)) < 0.6)
    cover = coverage(street.distance, half_width=street.half_width)
    canvas.line("asphalt", cover, where=inside & paved)
    canvas.line("track", cover, where=inside & ~paved)


def _plots(
    canvas: Canvas,
    *,
    at: NDArray[np.int64],
    distance: FloatArray,
    along: FloatArray,
    half_width: FloatArray,
    bits: HashArray,
    side: NDArray[np.bool_],
    core: FloatArray,
) -> None:
    """Paint the plots at flat positions `at`; all arrays of length (position,)."""
    village = (bits & VILLAGE_BIT).astype(bool)
    dense = (core > 0.62) & ~village
    width = np.where(dense, 36, np.where(village, 25, 19)).astype(np.float32)
    number = np.floor(along / width)
    plot = combine(combine(bits, side + 5), number.astype(np.int32))
    within = np.abs(along / width - number - np.float32(0.5)) * width

    def draw(salt: int) -> FloatArray:
        return uniform(combine(plot, salt))

    back = distance - half_width
    front = np.where(dense, 2 + 3 * draw(1), np.where(village, 5 + 12 * draw(1), 3.5 + 5 * draw(1)))
    deep = np.where(dense, 14 + 10 * draw(2), 9 + 6 * draw(2))
    half = np.where(dense, 13 + 5 * draw(3), np.where(village, 4.5 + 2.5 * draw(3), 4.6 + 3.6 * draw(3)))
    end = np.where(village, 26 + 46 * draw(4), 62)
    fine = canvas.fine.ravel()[at]
    crowns = canvas.crowns.ravel()[at]
    mine = back < end

    # Garden: lawn, beds, fruit trees; in the core mostly paved courts.
    garden = draw(5)
    material = np.full(at.shape, unit("meadow"), dtype=np.int16)
    vary = (0.35 * draw(6) - 0.02).astype(np.float32)
    light = (0.9 + 0.2 * draw(7)).astype(np.float32)
    beds = (back > front + deep + 5) & (garden < np.where(village, 0.5, 0.16))
    material = np.where(beds, first_field() + (mix(plot) % np.uint32(FIELD_KINDS)).astype(np.int16), material)
    vary = np.where(beds, 0.25 * draw(6), vary)
    trees = crowns + 1.3 * (draw(8) - 0.5) > np.where(dense, 1.5, 0.75)
    material = np.where(trees, np.int16(unit("deciduous")), material)
    court = (back < front + deep + 9) & (garden > np.where(dense, 0.3, np.where(village, 0.9, 0.72)))
    court |= (back < 1.6) & ~village
    material = np.where(court & ~trees, np.where(draw(9) < 0.75, unit("asphalt"), unit("concrete")), material)
    built = draw(10) < np.where(dense, 0.86, np.where(village, 0.84, 0.93))
    house = built & (within < half) & (back > front) & (back < front + deep)
    shed = built & (draw(11) < 0.5) & (within > width * 0.18) & (back > front + deep + 9) & (back < front + deep + 16)
    roof = np.where(dense, _choose(combine(plot, 12), _CORE_ROOFS), _choose(combine(plot, 12), _SUBURB_ROOFS))
    roof = np.where(shed & ~house, _choose(combine(plot, 13), _HALL_ROOFS), roof)
    covered = house | shed
    material = np.where(covered, roof, material)
    light = np.where(covered, 0.55 + 0.5 * draw(14) + 0.02 * fine, light)
    vary = np.where(covered, 0.3 * draw(15), vary)

    mine_at = at[mine]
    canvas.unit.ravel()[mine_at] = material[mine]
    canvas.vary.ravel()[mine_at] = vary[mine]
    canvas.light.ravel()[mine_at] = light[mine]
    canvas.cover.ravel()[mine_at] = 0


def draw_yards(canvas: Canvas) -> None:
    """Works at the edge of towns and farms at the edge of villages."""
    for settlement in canvas.settlements:
        for yard in settlement.yards:
            _yard(canvas, yard)


def _yard(canvas: Canvas, yard: Yard) -> None:
    axes = canvas.axes
    reach = float(np.hypot(yard.half_length, yard.half_breadth))
    rows = slice(*np.searchsorted(axes.y, [yard.y - reach, yard.y + reach]))
    cols = slice(*np.searchsorted(axes.x, [yard.x - reach, yard.x + reach]))
    if rows.start == rows.stop or cols.start == cols.stop:
        return
    dx, dy = (axes.x[cols] - yard.x)[None, :], (axes.y[rows] - yard.y)[:, None]
    cos, sin = np.cos(yard.angle), np.sin(yard.angle)
    u, v = cos * dx + sin * dy + yard.half_length, cos * dy - sin * dx + yard.half_breadth
    inside = (u > 0) & (u < 2 * yard.half_length) & (v > 0) & (v < 2 * yard.half_breadth)
    count_u = max(1, round(yard.half_length / (50 if yard.farm else 42)))
    count_v = max(1, round(yard.half_breadth / (13 if yard.farm else 26)))
    step_u, step_v = 2 * yard.half_length / count_u, 2 * yard.half_breadth / count_v
    col, row = np.floor(u / step_u), np.floor(v / step_v)
    hall = combine(np.full(inside.shape, yard.key, dtype=np.uint32), (col + 64 * row).astype(np.int32))
    to_u = np.minimum(u - col * step_u, (col + 1) * step_u - u)
    to_v = np.minimum(v - row * step_v, (row + 1) * step_v - v)
    gap = 4 + 11 * uniform(combine(hall, 1))
    roofed = inside & (to_u > gap) & (to_v > gap * 0.8) & (uniform(combine(hall, 2)) < 0.62)
    border = np.minimum(np.minimum(u, 2 * yard.half_length - u), np.minimum(v, 2 * yard.half_breadth - v)) < 7
    window = (rows, cols)
    ground = unit("track") if yard.farm else unit("concrete") if yard.key & 4 else unit("asphalt")
    material = np.where(roofed, _choose(combine(hall, 3), _HALL_ROOFS), np.int16(ground))
    material = np.where(border, np.int16(unit("meadow")), material)
    np.copyto(canvas.unit[window], material.astype(np.int16), where=inside)
    np.copyto(canvas.vary[window], np.float32(0.1), where=inside)
    np.copyto(
        canvas.light[window],
        np.where(roofed, 0.5 + 0.5 * uniform(combine(hall, 4)), 0.7).astype(np.float32),
        where=inside,
    )
    np.copyto(canvas.cover[window], np.float32(0), where=inside)


def draw_quarries(canvas: Canvas) -> None:
    """Pits with benches of rock and sand, spoil half overgrown, and a pond at the bottom of some."""
    for sites in canvas.sites:
        for place in sites.quarries:
            if not canvas.near(place, reach=2 * place.radius):
                continue
            lobes = smooth(canvas.axes, wavelength=210, key=canvas.key(61))
            share = canvas.share_of_radius(place) + 0.11 * canvas.ragged + 0.17 * lobes
            # Benches step down towards one side, where the rock is worked.
            face = smooth(canvas.axes, wavelength=170, key=canvas.key(62))
            level = 3.2 * share + 1.5 * face + 0.2 * canvas.patches
            bench = np.floor(level)
            tone = uniform(combine(np.full(share.shape, place.key, dtype=np.uint32), (bench + 40).astype(np.int32)))
            light = (0.66 + 0.40 * tone) * np.where(level - bench < 0.13, 0.72, 1)
            canvas.paint(share < 1.1, "meadow", vary=np.clip(0.45 + 0.3 * canvas.patches, 0.1, 0.9))
            canvas.paint(share < 1, "sand", vary=np.clip(0.2 + 0.25 * canvas.patches, 0, 0.7), light=light)
            rock = (share < 0.72) & (tone > 0.35) if place.key & 2 else share < 0
            canvas.paint(rock, "rock", light=light)
            if place.key & 4:
                canvas.paint((share < 0.55) & (level < 0.35), "lake_water", vary=0.35)


def draw_roads(canvas: Canvas) -> None:
    """Country roads with verges, trees along some stretches, and bridges."""
    road = nearest(canvas.axes, joined(ways.roads for ways in canvas.ways), reach=22)
    if not road.found:
        return
    open_land = (canvas.unit >= first_field()) | (canvas.unit == unit("meadow"))
    canvas.paint(open_land & (road.bank < 3.5), "meadow", vary=0.3)
    stretch = uniform(combine(road.key, np.floor(road.along / 260).astype(np.int32)))
    trees = open_land & (road.bank > 4) & (road.bank < 13) & (stretch < 0.34) & (canvas.crowns > -0.5)
    canvas.paint(trees, "deciduous", vary=0.1)
    felled = (road.bank < 3) & ((canvas.unit == unit("deciduous")) | (canvas.unit == unit("conifer")))
    canvas.paint(felled, "meadow", vary=0.2)
    canvas.line("asphalt", coverage(road.distance, half_width=road.half_width), where=road.inside)
