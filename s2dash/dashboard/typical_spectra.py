"""A cluster's spectrum beside the typical ones of the classes, so that a person sees what it could be.

The typical spectra are those of the ground materials that the simulated scene is made of: values typical of published
libraries (ECOSTRESS, the USGS library and others, named in `s2dash/data/spectra.toml`), rounded by hand to the bands of
Sentinel-2. They are no measurements of the place, and other days and soils give other spectra.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2dash.annotation.answer import ClusterCard
from s2dash.colours import scheme_colours
from s2dash.dashboard.figures import spectrum_figure
from s2dash.dashboard.labels import scheme_class_name
from s2dash.dashboard.language import t
from s2dash.errors import SchemeError
from s2dash.schemes import ClassScheme, load_scheme_map
from s2dash.simulation.spectra import materials, spectra_bands

if TYPE_CHECKING:
    import plotly.graph_objects as go

MATERIALS_SCHEME = "worldcover"
"""The scheme whose codes the materials have."""
SHOWN = 3
"""How many of the classes, the nearest ones, are drawn from the start; the others come by a click on the legend."""


@dataclass(frozen=True)
class TypicalSpectrum:
    """What a class can look like."""

    code: int
    """The class."""
    material: str
    """Its material that is most like the cluster, by its key in `data/spectra.toml`."""
    reflectance: Mapping[str, float]
    """By band, 0-1."""
    distance: float
    """Root mean square difference from the cluster over the bands both have, reflectance."""


def nearest_spectra(card: ClusterCard, scheme: ClassScheme) -> tuple[TypicalSpectrum, ...]:
    """Of every class with a typical spectrum the one most like a cluster; the nearest class first.

    Args:
        card: The cluster.
        scheme: The classes; one that no map leads to from the materials' own scheme has none.
    """
    spectrum = card.mean or card.median
    try:
        classes = load_scheme_map(MATERIALS_SCHEME, scheme.name).codes
    except SchemeError:
        return ()
    nearest: dict[int, TypicalSpectrum] = {}
    for name, material in materials().items():
        code = classes.get(material.code, 0)
        typical = dict(zip(spectra_bands(), material.reflectance, strict=True))
        shared = [band for band in typical if band in spectrum]
        if code not in scheme or not shared:
            continue
        squares = math.fsum((typical[band] - float(spectrum[band])) ** 2 for band in shared)
        distance = math.sqrt(squares / len(shared))
        if code not in nearest or distance < nearest[code].distance:
            nearest[code] = TypicalSpectrum(code, name, typical, distance)
    return tuple(sorted(nearest.values(), key=lambda found: (found.distance, found.code)))


def typical_figure(card: ClusterCard, scheme: ClassScheme, *, colour: str) -> go.Figure:
    """A cluster's spectrum, thick, and the typical ones of the classes, the nearest of them to be seen.

    Args:
        card: The cluster.
        scheme: The classes.
        colour: Of the cluster, `#RRGGBB`.
    """
    found = nearest_spectra(card, scheme)
    this, classes = 0, scheme_colours(scheme)  # no class has the code 0
    named = {
        one.code: f"{scheme_class_name(scheme, one.code)}: {t(f'labels.material_{one.material}')}" for one in found
    }
    figure = spectrum_figure(
        {this: card.mean or card.median} | {one.code: one.reflectance for one in found},
        spread={this: card.spread},
        names={this: t("labels.this_cluster", cluster=card.cluster)} | named,
        colours={this: colour} | {one.code: classes[one.code] for one in found},
        highlight=this,
    )
    rank = {str(one.code): place for place, one in enumerate(found, start=1)}
    for trace in figure.data:
        if (place := rank.get(trace.legendgroup)) is not None:
            seen = place <= SHOWN
            trace.update(opacity=0.9, visible=True if seen else "legendonly", legendrank=place, line={"dash": "dot"})
    figure.update_layout(height=360)
    return figure


def unlike_any(scheme: ClassScheme, found: tuple[TypicalSpectrum, ...]) -> tuple[str, ...]:
    """Names of the classes that no typical spectrum is kept for."""
    known = {one.code for one in found}
    return tuple(scheme_class_name(scheme, code) for code in scheme.codes if code not in known)
