"""What the pages show of a run or a scene: every picture computed once and kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from s2dash.clustering.model import ClusterMap
from s2dash.colours import UNDECIDED_COLOUR, cluster_colours, scheme_colours
from s2dash.dashboard.maps import MapLayer, picture_layer
from s2dash.dashboard.pictures import (
    Composite,
    Picture,
    Stretch,
    class_picture,
    disagreement_picture,
    highlight_picture,
    label_picture,
    scene_picture,
    scene_stretch,
    thin_labels,
    webp_bytes,
)
from s2dash.landcover import LandCoverMap
from s2dash.reference import Reference
from s2dash.scene import Scene
from s2dash.schemes import UNDECIDED, ClassScheme
from s2dash.sources.describe import describe_scene
from s2dash.types import LabelArray

T = TypeVar("T")


CARD_SIDE = 420
"""Longest side of a cluster's picture, pixels of the scene."""


class SceneView:
    """Pictures of a scene, made when first asked for."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._kept = _Kept()

    @property
    def about(self) -> dict[str, Any]:
        """The scene in figures; reads the whole scene once."""
        return self._kept.get("about", lambda: describe_scene(self.scene))

    @property
    def stretch(self) -> Stretch:
        """One stretch for all pictures of the scene."""
        return self._kept.get("stretch", lambda: scene_stretch(self.scene))

    def picture(self, kind: Composite, *, max_side: int = 1600) -> Picture:
        """A composite of the scene."""
        return self._kept.get(
            ("picture", kind, max_side),
            lambda: scene_picture(self.scene, kind=kind, stretch=self.stretch, max_side=max_side),
        )

    def layer(self, kind: Composite, *, shown: bool = True) -> MapLayer:
        """A composite as a layer of the map."""
        return self._kept.get(
            ("layer", kind, shown),
            lambda: picture_layer(kind.capitalize(), self.picture(kind), imagery=True, shown=shown),
        )


class ClusterView:
    """Pictures of a cluster map over its scene."""

    def __init__(self, clusters: ClusterMap, scene: SceneView | None) -> None:
        self.clusters, self.scene = clusters, scene
        self.colours = cluster_colours(max(clusters.n_clusters, 1))
        self._kept = _Kept()

    def layer(self, *, opacity: float = 0.6, shown: bool = True) -> MapLayer:
        """The clusters as a layer of the map."""

        def make() -> MapLayer:
            picture = label_picture(self.clusters.labels, grid=self.clusters.grid, colours=self.colours)
            return picture_layer("Clusters", picture, opacity=opacity, shown=shown)

        return self._kept.get(("layer", opacity, shown), make)

    def highlight(self, cluster: int) -> bytes:
        """One cluster picked out for the person, WebP; on plain grey where the scene has gone."""

        def make() -> bytes:
            labels, _ = thin_labels(self.clusters.labels, self.clusters.grid, max_side=CARD_SIDE)
            if self.scene is not None:
                base = self.scene.picture("true colour", max_side=CARD_SIDE).rgba
            else:
                base = class_picture(labels, dict.fromkeys(range(1, 256), "#9A9A9A"))
            return webp_bytes(highlight_picture(base, labels, cluster=cluster, tint=0.0 if self.scene else 0.8))

        return self._kept.get(("highlight", cluster), make)


def landcover_layer(landcover: LandCoverMap, *, opacity: float = 0.75, shown: bool = True) -> MapLayer:
    """The named map as a layer."""
    colours = scheme_colours(landcover.scheme) | {UNDECIDED: UNDECIDED_COLOUR}
    picture = label_picture(landcover.codes, grid=landcover.grid, colours=colours)
    return picture_layer("Land cover", picture, opacity=opacity, shown=shown)


def reference_layer(reference: Reference, *, opacity: float = 0.75, shown: bool = False) -> MapLayer:
    """The reference as a layer."""
    picture = label_picture(reference.codes, grid=reference.grid, colours=scheme_colours(reference.scheme))
    return picture_layer(f"Reference: {reference.title}", picture, opacity=opacity, shown=shown)


def disagreement_layer(
    landcover: LandCoverMap, reference: Reference, *, opacity: float = 0.8, shown: bool = True
) -> MapLayer:
    """Where map and reference say different things, as a layer."""
    codes, grid = thin_labels(landcover.codes, landcover.grid)
    other, _ = thin_labels(reference.codes, reference.grid)
    picture = Picture(disagreement_picture(codes, other), grid)
    return picture_layer("Disagreement", picture, opacity=opacity, shown=shown)


def class_legend(scheme: ClassScheme, *maps: LabelArray) -> list[tuple[str, str]]:
    """Names and colours of the classes that occur in any of the maps, in the scheme's order."""
    import numpy as np

    found = set().union(*(np.flatnonzero(np.bincount(codes.ravel(), minlength=256)).tolist() for codes in maps))
    legend = [(cls.name, cls.colour) for cls in scheme.classes if cls.code in found]
    return [*legend, *([("Not named yet", UNDECIDED_COLOUR)] if UNDECIDED in found else [])]


class _Kept:
    """Values made at most once, whoever asks at the same time."""

    def __init__(self) -> None:
        self._values: dict[Any, Any] = {}
        self._lock = threading.RLock()

    def get(self, key: Any, make: Callable[[], T]) -> T:
        with self._lock:
            if key not in self._values:
                self._values[key] = make()
            value: T = self._values[key]
            return value


def names_of(clusters: Mapping[int, str]) -> dict[int, str]:
    """`3: Cropland` for every cluster."""
    return {cluster: f"{cluster}: {name}" for cluster, name in clusters.items()}
