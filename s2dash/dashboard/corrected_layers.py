"""What the map shows of corrections: the land cover with the areas that people set, their outlines, and the points."""

from __future__ import annotations

from collections.abc import Iterable

from s2dash.colours import scheme_colours
from s2dash.dashboard.labels import scheme_class_name
from s2dash.dashboard.language import t
from s2dash.dashboard.layers import MapLayer, MapShape, label_layer, warp_labels
from s2dash.dashboard.view import ClusterView
from s2dash.map_edit import MapEdit, in_force
from s2dash.pipeline import RunResult
from s2dash.reference_points import ReferencePoint
from s2dash.schemes import UNDECIDED, ClassScheme

SHAPES = 400
"""Most outlines, and most points, that are put on the map: the latest ones."""
POINTER_COLOUR = "#FFF200"
"""Of a place that was clicked and not yet kept."""


def has_areas(result: RunResult) -> bool:
    """Whether people set the class of areas, so that the clusters alone no longer make the map."""
    return any(edit.kind == "area" for edit in in_force(result.map_edits))


def corrected_layer(result: RunResult, view: ClusterView, *, opacity: float = 0.75, shown: bool = True) -> MapLayer:
    """The land cover as it is now, areas that people set included: to be used wherever a page shows the map.

    Without such areas it is `ClusterView.landcover_layer`, which warps nothing anew. Keep what it returns until the
    next change of the run.
    """
    if not has_areas(result):
        return view.landcover_layer(result.legend, opacity=opacity, shown=shown)
    warped = warp_labels(result.landcover.codes, result.landcover.grid)
    colours = scheme_colours(result.legend.scheme)
    return label_layer(t("corrections.layer"), warped, colours, opacity=opacity, shown=shown)


def area_shapes(edits: tuple[MapEdit, ...], scheme: ClassScheme) -> list[MapShape]:
    """The outlines of all areas in force, in the colours of their classes."""
    areas = [edit for edit in in_force(edits) if edit.kind == "area" and edit.content["code"] in scheme]
    return [
        MapShape(scheme_class_name(scheme, edit.content["code"]), edit.content["geometry"], _colour(scheme, edit), 0.05)
        for edit in areas[-SHAPES:]
    ]


def point_shapes(points: Iterable[ReferencePoint], scheme: ClassScheme) -> list[MapShape]:
    """Reference points as markers in the colours of their classes."""
    colours = scheme_colours(scheme)
    return [
        MapShape(
            scheme_class_name(scheme, point.code),
            {"type": "Point", "coordinates": [point.longitude, point.latitude]},
            colours.get(point.code, colours[UNDECIDED]),
            0.9,
        )
        for point in tuple(points)[-SHAPES:]
    ]


def place_shape(longitude: float, latitude: float) -> MapShape:
    """The place that was clicked last."""
    geometry = {"type": "Point", "coordinates": [longitude, latitude]}
    return MapShape(t("corrections.here"), geometry, POINTER_COLOUR, 0.2)


def _colour(scheme: ClassScheme, edit: MapEdit) -> str:
    return scheme_colours(scheme)[int(edit.content["code"])]
