"""The map of the page of labels: as everything is named now, or where one cluster is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pages.parts.probe import CLICKED, probe_panel
from s2dash.colours import palette, scheme_colours
from s2dash.dashboard import state
from s2dash.dashboard.corrected_layers import area_shapes, corrected_layer
from s2dash.dashboard.labels import scheme_class_name
from s2dash.dashboard.language import language, t
from s2dash.dashboard.maps import MapLayer
from s2dash.dashboard.view import ClusterView, named_legend
from s2dash.map_edit import in_force
from s2dash.pipeline import RunResult


def landcover_map(result: RunResult, view: ClusterView, run: str) -> None:
    """The map as it is named now, and what is known of the place a person clicked."""
    layers = [*view.base(), _named(result, view)]
    did = _show(result, layers, key=f"labels {run}", height=505, returned=(CLICKED,))
    probe_panel(did.get(CLICKED), result, view.scene)


def place_on_map(result: RunResult, view: ClusterView, cluster: int, run: str) -> None:
    """Where a cluster is; the named map lies ready below."""
    layers = [*view.base(), replace(_named(result, view), shown=False), view.picked_layer(cluster)]
    _show(result, layers, key=f"place {run}", height=300)


def _named(result: RunResult, view: ClusterView) -> MapLayer:
    return state.kept(f"labels map {language()} {palette()}", lambda: corrected_layer(result, view))


def _show(result: RunResult, layers: list[MapLayer], **options: Any) -> dict[str, Any]:
    return state.show_map(
        layers,
        shapes=area_shapes(result.map_edits, result.legend.scheme),
        legend=land_cover_marks(result),
        legend_title=t("labels.land_cover"),
        attribution=str(result.scene["attribution"]),
        **options,
    )


def land_cover_marks(result: RunResult) -> list[tuple[str, str]]:
    """Names and colours of the classes on the map, those that only areas have at the end."""
    scheme, marks = result.legend.scheme, named_legend(result.legend)
    colours, named = scheme_colours(scheme), {name for name, _ in marks}
    codes = {int(edit.content["code"]) for edit in in_force(result.map_edits) if edit.kind == "area"}
    areas = [(scheme_class_name(scheme, code), colours[code]) for code in sorted(codes) if code in scheme]
    return [*marks, *((name, colour) for name, colour in areas if name not in named)]
