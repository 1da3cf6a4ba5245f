"""The landscape, drawn at any grid of positions: fields and woods first, then towns, water, and what crosses them."""

from __future__ import annotations

import numpy as np

from s2dash.simulation.buildings import draw_quarries, draw_roads, draw_settlements, draw_yards
from s2dash.simulation.canvas import Canvas, coverage
from s2dash.simulation.hashing import combine, four_uniform, mix, uniform
from s2dash.simulation.layout import Layout
from s2dash.simulation.noise import Axes, fractal
from s2dash.simulation.parcels import Parcels, draw_parcels
from s2dash.simulation.shores import draw_floodplain, draw_lakes, draw_marshes, draw_rivers
from s2dash.simulation.spectra import FIELD_KINDS, first_field, materials, unit
from s2dash.types import BoolArray, FloatArray

# Per material: how strongly brightness follows grains, crowns, patches and soils; how strongly the shading into the
# other material follows patches and soils.
_TEXTURE: dict[str, tuple[float, float, float, float, float, float]] = {
    "lake_water": (0.015, 0.0, 0.015, 0.04, 0.0, 0.01),
    "river_water": (0.02, 0.0, 0.03, 0.04, 0.01, 0.02),
    "shallow_water": (0.02, 0.0, 0.05, 0.05, 0.1, 0.05),
    "deciduous": (0.05, 0.14, 0.05, 0.05, 0.05, 0.10),
    "deciduous_bare": (0.05, 0.14, 0.05, 0.05, 0.05, 0.10),
    "conifer": (0.06, 0.16, 0.04, 0.05, 0.07, 0.07),
    "shrub": (0.06, 0.13, 0.08, 0.05, 0.14, 0.10),
    "meadow": (0.03, 0.03, 0.04, 0.03, 0.08, 0.09),
    "meadow_dry": (0.03, 0.03, 0.05, 0.05, 0.06, 0.10),
    "reed": (0.04, 0.06, 0.07, 0.03, 0.07, 0.06),
    "sand": (0.04, 0.0, 0.08, 0.04, 0.12, 0.06),
    "rock": (0.06, 0.0, 0.08, 0.04, 0.12, 0.06),
    "mud": (0.04, 0.0, 0.10, 0.04, 0.10, 0.06),
    "track": (0.04, 0.0, 0.06, 0.03, 0.12, 0.06),
    "asphalt": (0.07, 0.0, 0.04, 0.02, 0.10, 0.0),
    "concrete": (0.08, 0.0, 0.06, 0.02, 0.15, 0.0),
    "tile_roof": (0.09, 0.0, 0.0, 0.0, 0.0, 0.0),
    "metal_roof": (0.10, 0.0, 0.0, 0.0, 0.0, 0.0),
    "bitumen_roof": (0.10, 0.0, 0.0, 0.0, 0.0, 0.0),
    "fibre_cement_roof": (0.10, 0.0, 0.0, 0.0, 0.0, 0.0),
}
_FIELD_TEXTURE = (0.018, 0.0, 0.022, 0.055, 0.045, 0.0)


def _texture_table() -> FloatArray:
    rows = [_TEXTURE.get(name, _FIELD_TEXTURE) for name in materials()]
    return np.array(rows + [_FIELD_TEXTURE] * FIELD_KINDS, dtype=np.float32)


def draw_ground(axes: Axes, *, layout: Layout) -> Canvas:
    """Everything that covers the ground, the same at a place whatever grid it is asked for with."""
    canvas = Canvas.blank(axes, layout=layout)
    parcels = draw_parcels(axes, seed=layout.seed)
    _draw_fields(canvas, parcels)
    _draw_ravines(canvas)
    _draw_woods(canvas, parcels)
    _draw_edges(canvas, parcels)
    draw_floodplain(canvas)
    draw_marshes(canvas)
    draw_settlements(canvas)
    draw_yards(canvas)
    draw_quarries(canvas)
    draw_lakes(canvas)
    draw_rivers(canvas)
    draw_roads(canvas)
    _shade(canvas)
    _texture(canvas)
    return canvas


def _draw_fields(canvas: Canvas, parcels: Parcels) -> None:
    bits, spread = parcels.bits, parcels.spread
    canvas.unit[...] = spread(first_field() + (mix(bits) % np.uint32(FIELD_KINDS)).astype(np.int16))
    # Drill passes: fainter and denser stripes in some fields than in others.
    strength, width, poor, dryness = four_uniform(combine(bits, 1))
    passes = np.floor(parcels.across * spread(1 / (11 + 9 * width))).astype(np.int32)
    stripe = uniform(combine(parcels.parcel, passes)) - np.float32(0.5)
    canvas.light *= 1 + spread(0.09 * strength * strength) * stripe
    # Poor spots where the soil shows: strong in some fields, absent in most.
    gaps = np.maximum(canvas.patches + 0.5 * canvas.soils - 0.7, 0)
    canvas.vary += gaps * spread(0.24 * poor * poor)
    kind = uniform(combine(bits, 4))
    dry = spread(0.5 * dryness - 0.1)
    canvas.paint(spread(kind < 0.075), "meadow", vary=dry)
    abandoned = spread((kind > 0.075) & (kind < 0.1))
    if abandoned.any():
        canvas.paint(abandoned, "meadow", vary=dry + 0.2)
        canvas.paint(abandoned & (canvas.crowns + 0.8 * canvas.patches > 0.2), "shrub", vary=dry * 0.5)
    orchard = spread(kind > 0.988) & (parcels.margin > 6)
    if orchard.any():
        canvas.paint(orchard, "meadow", vary=0.1)
        canvas.paint(orchard & (canvas.crowns > -0.3), "deciduous", vary=0.25)


def _draw_ravines(canvas: Canvas) -> None:
    """Dry valleys too steep to plough: winding bands of grass with bushes."""
    valley = np.abs(fractal(canvas.axes, wavelength=1500, octaves=4, key=canvas.key(11), gain=0.45))
    region = fractal(canvas.axes, wavelength=2600, octaves=1, key=canvas.key(12))
    steep = valley < 0.015 + 0.06 * np.clip(region + 0.5 * canvas.ragged, 0, 1.8)
    steep &= region > -0.3
    canvas.paint(steep, "meadow", vary=np.clip(0.28 + 0.1 * canvas.ragged, 0, 0.6))
    bushes = steep & (valley < 0.035) & (canvas.ragged + 0.7 * canvas.crowns > 0.9)
    canvas.paint(bushes, "shrub")
    canvas.paint(bushes & (canvas.crowns > 0.6), "deciduous")


def _draw_woods(canvas: Canvas, parcels: Parcels) -> None:
    axes = canvas.axes
    field = fractal(axes, wavelength=1250, octaves=6, key=canvas.key(21), gain=0.5) - np.float32(0.80)
    # Wooded and open country, as seen on scenes of many kilometres.
    field += np.float32(0.45) * fractal(axes, wavelength=11_000, octaves=2, key=canvas.key(24))
    for sites in canvas.sites:
        for place in sites.woods:
            if canvas.near(place, reach=2 * place.radius):
                field += 1.6 * np.clip(1.25 - canvas.share_of_radius(place), 0, 1)
        for place in sites.towns + sites.villages:
            if canvas.near(place, reach=2 * place.radius):
                field -= 1.6 * np.clip(1.5 - canvas.share_of_radius(place), 0, 0.7)
    # Woods give way to whole parcels here and there, so that part of their edge is straight.
    straight, kind, age, felling = four_uniform(combine(parcels.bits, 6))
    field += parcels.spread(0.85 * (straight - 0.5))
    wood = field > 0
    stand = fractal(axes, wavelength=560, octaves=4, key=canvas.key(22)) + parcels.spread(1.5 * (kind - 0.5))
    if wood.any():
        thin = parcels.spread(age * age)
        canvas.paint(wood, "deciduous", vary=0.28 * thin, light=0.94 + 0.12 * parcels.spread(age))
        canvas.paint(wood & (stand > 0.35), "conifer", vary=0.3 * thin, light=0.92 + 0.16 * parcels.spread(age))
    glade = wood & (fractal(axes, wavelength=75, octaves=3, key=canvas.key(23)) > 2.0)
    canvas.paint(glade, "meadow", vary=0.05)
    felled = wood & parcels.spread(felling < 0.045) & (parcels.margin > 5)
    canvas.paint(felled, "meadow", vary=0.35)
    canvas.paint(felled & (canvas.patches + 0.5 * canvas.crowns > 0.4), "shrub", vary=0.2)
    # Single trees and clumps in pastures.
    lone = (canvas.unit == unit("meadow")) & (canvas.crowns + 0.6 * canvas.ragged > 2.5)
    canvas.paint(lone, "deciduous")


def _draw_edges(canvas: Canvas, parcels: Parcels) -> None:
    """Shelterbelts, tracks and grass margins between fields."""
    field = canvas.unit >= first_field()
    open_land = field | (canvas.unit == unit("meadow"))
    kind, width, _, _ = four_uniform(combine(parcels.edge, 31))
    belt = open_land & (kind < 0.20) & (parcels.block_edge < 5.5 + 4.5 * width)
    belt &= canvas.ragged + 0.5 * canvas.crowns > -1.1
    canvas.paint(belt, "deciduous", vary=0.1)
    margin = coverage(parcels.margin, half_width=1.6) * parcels.spread(uniform(combine(parcels.bits, 33)) < 0.6)
    canvas.line("meadow", margin, where=field & ~belt)
    track = (kind > 0.24) & (kind < 0.8)
    canvas.line("track", coverage(parcels.block_edge, half_width=2.0), where=open_land & track)


def _shade(canvas: Canvas) -> None:
    """Shadow to the north-north-west of trees, about 9 m long: the sun stands in the south-south-east."""
    if not 0 < canvas.axes.step <= 6:
        return
    tall = (canvas.unit == unit("deciduous")) | (canvas.unit == unit("conifer"))
    shadow: BoolArray = np.zeros_like(tall)
    shadow[:-1, :-1] |= tall[1:, 1:]
    shadow[:-2, :-1] |= tall[2:, 1:]
    shadow &= ~tall
    canvas.light[shadow] *= 0.72


def _texture(canvas: Canvas) -> None:
    table = _texture_table()
    fields = (canvas.fine, canvas.crowns, canvas.patches, canvas.soils)
    units = canvas.unit.astype(np.intp)
    light = np.ones_like(canvas.light)
    for column, noise in enumerate(fields):
        light += np.ascontiguousarray(table[:, column]).take(units, mode="clip") * noise
    canvas.light *= np.maximum(light, 0.3)
    for column, noise in ((4, canvas.patches), (5, canvas.soils)):
        canvas.vary += np.ascontiguousarray(table[:, column]).take(units, mode="clip") * noise
    np.clip(canvas.vary, -0.25, 1, out=canvas.vary)
