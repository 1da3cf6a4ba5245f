"""Water and what grows beside it: rivers with sand bars, old arms, lakes, reeds, wet meadows."""

from __future__ import annotations

import numpy as np

from s2dash.simulation.canvas import Canvas, coverage
from s2dash.simulation.lines import joined, nearest
from s2dash.simulation.noise import filled_in, fractal, smooth
from s2dash.simulation.spectra import unit

_FLOODPLAIN_REACH = 330.0


def draw_floodplain(canvas: Canvas) -> None:
    """Meadows, reeds and willows along the rivers, where nobody ploughs."""
    coarse, pieces = canvas.axes.coarse, canvas.layout.rivers.coarse_pieces
    if coarse is None:
        bank = nearest(canvas.axes, pieces, reach=_FLOODPLAIN_REACH).bank
    else:
        rough = np.minimum(nearest(coarse, pieces, reach=_FLOODPLAIN_REACH).bank, np.float32(_FLOODPLAIN_REACH))
        bank = filled_in(rough, shape=canvas.axes.shape)
    plain = bank + 62 * canvas.ragged + 30 * canvas.soils < 150
    if not plain.any():
        return
    wet = fractal(canvas.axes, wavelength=150, octaves=3, key=canvas.key(41))
    canvas.paint(plain, "meadow", vary=np.clip(0.06 - 0.06 * wet, -0.1, 0.4))
    # Old scroll bars: faint ridges along the river.
    ridges = np.sin(np.where(plain, bank / 9, 0) + canvas.ragged)
    canvas.light *= np.where(plain, 1 + 0.035 * ridges, 1)
    reeds = plain & (wet + 0.45 * canvas.ragged > 1.05)
    canvas.paint(reeds, "reed")
    thicket = canvas.ragged + 0.55 * wet + 0.35 * canvas.crowns
    canvas.paint(plain & ~reeds & (thicket - bank / 160 > 0.42), "deciduous", vary=0.15)


def draw_marshes(canvas: Canvas) -> None:
    """Reed beds with wet meadow and pools."""
    for sites in canvas.sites:
        for place in sites.marshes:
            if not canvas.near(place, reach=2.2 * place.radius):
                continue
            share = canvas.share_of_radius(place) + 0.2 * canvas.ragged
            canvas.paint(share < 1.2, "meadow", vary=-0.02)
            canvas.paint(share < 0.98, "reed", vary=np.clip(0.04 + 0.1 * canvas.patches, 0, 0.5))
            canvas.paint((share < 0.8) & (canvas.ragged + 0.5 * canvas.patches > 1.55), "shallow_water")
            canvas.paint((share < 0.95) & (canvas.ragged + 0.4 * canvas.crowns < -1.35), "deciduous", vary=0.2)


def draw_lakes(canvas: Canvas) -> None:
    """Lakes with shallows, reeds on part of the shore and a beach on another."""
    for sites in canvas.sites:
        for place in sites.lakes:
            if not canvas.near(place, reach=2.2 * place.radius):
                continue
            side = smooth(canvas.axes, wavelength=340, key=canvas.key(51))
            share = canvas.share_of_radius(place) + 0.13 * canvas.ragged + 0.25 * side
            reed_width = np.clip(0.13 + 0.12 * smooth(canvas.axes, wavelength=300, key=canvas.key(52)), 0, 0.4)
            canvas.paint(share < 1.22 + 0.1 * side, "meadow")
            canvas.paint((share < 1.08) & (reed_width < 0.03), "sand", vary=0.2)
            canvas.paint(share < 1 + reed_width, "reed")
            canvas.paint(
                (share < 1.3) & (share > 1 + reed_width) & (canvas.ragged + 0.5 * canvas.crowns > 1.1), "deciduous"
            )
            depth = (1 - share) * np.float32(place.radius)
            canvas.paint(share < 1, "lake_water", vary=0.75 * np.exp(-np.maximum(depth, 0) / 22))


def draw_rivers(canvas: Canvas) -> None:
    """The river with sand on its inner bends, old arms with a fringe of reeds, and brooks under trees."""
    _draw_brooks(canvas)
    arm = nearest(canvas.axes, joined(ways.oxbows for ways in canvas.ways), reach=70)
    if arm.found:
        canvas.paint(arm.bank < 14 + 11 * canvas.ragged, "reed", vary=0.05)
        canvas.paint(arm.bank < 0, "lake_water", vary=0.35 * np.exp(np.minimum(arm.bank, 0) / 8))
    river = nearest(canvas.axes, canvas.layout.rivers.pieces, reach=90)
    if not river.found:
        return
    bank = river.bank
    # A bar lies on the inner side: to the right where the river bends to the right.
    inner = np.where(river.right, river.curvature, -river.curvature)
    bar = np.clip((inner - 0.0022) * 16000, 0, 46) * (1 + 0.25 * canvas.ragged)
    canvas.paint((bank < bar) & (bank < 70), "sand", vary=np.clip(0.15 + bank / 80, 0, 0.6))
    canvas.paint((bank < bar + 12) & (bank > bar) & (bank < 82) & (bar > 4) & (canvas.crowns > 0.2), "shrub")
    fringe = (bank < 9) & (bank > 0) & (bar < 3) & (canvas.ragged + 0.4 * canvas.crowns > -0.4)
    canvas.paint(fringe, "deciduous", vary=0.2)
    canvas.paint(bank < 0, "river_water", vary=0.5 * np.exp(np.minimum(bank, 0) / 7))


def _draw_brooks(canvas: Canvas) -> None:
    brook = nearest(canvas.axes, joined(ways.streams for ways in canvas.ways), reach=45)
    if not brook.found:
        return
    beside = brook.inside
    open_water = (canvas.unit == unit("lake_water")) | (canvas.unit == unit("river_water"))
    dry = beside & ~open_water
    canvas.paint(dry & (brook.distance < 20 + 9 * canvas.ragged), "meadow", vary=0.05)
    trees = dry & (brook.distance < 13 + 8 * canvas.ragged) & (canvas.patches + 0.4 * canvas.crowns > -0.35)
    canvas.paint(trees, "deciduous", vary=0.1)
    canvas.line("river_water", coverage(brook.distance, half_width=brook.half_width), where=dry)
