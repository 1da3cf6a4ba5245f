"""What the pages show of a run or a scene: every picture computed once and kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from s2dash.annotation.legend import Legend
from s2dash.clustering.model import ClusterMap
from s2dash.colours import cluster_colours, palette, scheme_colours
from s2dash.dashboard.band_pictures import IndexPicture, imagery_layer, index_picture
from s2dash.dashboard.highlights import highlight_overlay
from s2dash.dashboard.language import language, t
from s2dash.dashboard.layers import MapLayer, WarpedLabels, data_url, label_layer, picture_layer, warp_labels
from s2dash.dashboard.pictures import (
    MASK_LEGEND,
    Composite,
    Picture,
    Stretch,
    class_picture,
    composite_bands,
    disagreement_picture,
    highlight_picture,
    jpeg_bytes,
    mask_picture,
    scene_picture,
    scene_stretch,
    thin_labels,
)
from s2dash.dashboard.products import ProductLegend, product_layer
from s2dash.dashboard.shelf import Shelf
from s2dash.errors import TooFewBandsError
from s2dash.landcover import LandCoverMap
from s2dash.progress import Progress, Silent, Stage
from s2dash.reference import Reference
from s2dash.scene import Scene
from s2dash.schemes import UNDECIDED
from s2dash.sources.describe import describe_scene

CARD_SIDE = 420
"""Longest side of a cluster's picture, pixels of the scene."""
_MASK_TEXTS = dict(
    zip((name for name, _ in MASK_LEGEND), ("map.mask_cloud", "map.mask_shadow", "map.mask_other"), strict=True)
)
_COMPOSITES: tuple[Composite, ...] = ("true colour", "false colour")


class SceneView:
    """Pictures of a scene, made when first asked for."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._kept = Shelf()
        self._chosen = Shelf(6)  # pictures that a person asked for besides

    def prepare(self, progress: Progress | None = None) -> SceneView:
        """Make all that the page of the scene shows.

        Raises:
            SceneError: If a part of the scene cannot be read.
            Cancelled: If the person stopped it.
        """
        watch = progress or Silent()
        self._kept.get("about", lambda: describe_scene(self.scene, progress=Stage(watch, 0.0, 0.7)))
        for done, kind in enumerate(self.composites):
            watch.report(0.7 + 0.1 * done, t("map.making_pictures"))
            self.layer(kind)
        _ = self.mask
        watch.report(1.0, t("map.pictures_made"))
        return self

    @property
    def about(self) -> dict[str, Any]:
        """The scene in figures; reads the whole scene once."""
        return self._kept.get("about", lambda: describe_scene(self.scene))

    @property
    def stretch(self) -> Stretch:
        """One stretch for all pictures of the scene."""
        return self._kept.get("stretch", lambda: scene_stretch(self.scene))

    @property
    def composites(self) -> tuple[Composite, ...]:
        """The composites that the scene has the bands for, the best first; grey where there is no other."""

        def possible(kind: Composite) -> bool:
            try:
                composite_bands(kind, self.scene.bands)
            except TooFewBandsError:
                return False
            return True

        return tuple(kind for kind in _COMPOSITES if possible(kind)) or ("grey",)

    @property
    def mask(self) -> tuple[MapLayer, tuple[tuple[str, str], ...]] | None:
        """What the scene classification hides, as a layer with its legend; None where there is none."""

        def make() -> tuple[MapLayer, tuple[tuple[str, str], ...]] | None:
            made = mask_picture(self.scene)
            return made and (picture_layer("", made[0], opacity=0.55), made[1])

        found = self._kept.get("mask", make)
        if found is None:
            return None
        layer, legend = found
        return replace(layer, name=t("map.masked")), tuple((t(_MASK_TEXTS[name]), colour) for name, colour in legend)

    def picture(self, kind: Composite, *, max_side: int = 1600) -> Picture:
        """A composite of the scene."""
        return self._kept.get(
            ("picture", kind, max_side),
            lambda: scene_picture(self.scene, kind=kind, stretch=self.stretch, max_side=max_side),
        )

    def layer(self, kind: Composite, *, shown: bool = True) -> MapLayer:
        """A composite as a layer of the map."""
        bands = composite_bands(kind, self.scene.bands)
        made = self._kept.get(("layer", kind), lambda: imagery_layer(self.scene, bands, stretch=self.stretch))
        return replace(made, name=self._name(kind), shown=shown)

    def bands_layer(self, bands: tuple[str, str, str], *, shown: bool = True) -> MapLayer:
        """Any three bands as red, green and blue, as a layer of the map.

        Raises:
            SceneError: If they cannot be read.
        """
        made = self._chosen.get(bands, lambda: imagery_layer(self.scene, bands, stretch=self.stretch))
        red, green, blue = bands
        return replace(made, name=t("map.bands", red=red, green=green, blue=blue), shown=shown)

    def index(self, name: str) -> IndexPicture | None:
        """An index of the scene; None where no pixel has data.

        Raises:
            FeatureError: If it is unknown or needs a band the scene lacks.
            SceneError: If the scene cannot be read.
        """
        return self._chosen.get(name, lambda: index_picture(self.scene, name))

    def base(self) -> list[MapLayer]:
        """The composite that other layers lie on, true colour where possible."""
        return [self.layer(self.composites[0])]

    def _name(self, kind: Composite) -> str:
        if kind == "grey":
            return t("map.one_band", band=self.scene.bands[0])
        return t("map.true_colour" if kind == "true colour" else "map.false_colour")


class ClusterView:
    """Pictures of a cluster map over its scene."""

    def __init__(self, clusters: ClusterMap, scene: SceneView | None) -> None:
        self.clusters, self.scene = clusters, scene
        self._kept = Shelf()

    @property
    def colours(self) -> dict[int, str]:
        """Colours of the clusters in the palette in force."""
        return cluster_colours(max(self.clusters.n_clusters, 1), noise=self.clusters.noise)

    def base(self) -> list[MapLayer]:
        """The imagery under the map; empty where the scene has gone."""
        return self.scene.base() if self.scene is not None else []

    @property
    def warped(self) -> WarpedLabels:
        """The clusters as they lie on the map."""
        return self._kept.get("warped", lambda: warp_labels(self.clusters.labels, self.clusters.grid))

    def layer(self, *, opacity: float = 0.85, shown: bool = True) -> MapLayer:
        """The clusters as a layer of the map."""
        made = self._kept.get(
            ("layer", opacity, palette()), lambda: label_layer("", self.warped, self.colours, opacity=opacity)
        )
        return replace(made, name=t("map.clusters"), shown=shown)

    def picked_layer(self, cluster: int) -> MapLayer:
        """One cluster picked out, to lie over the imagery."""

        def make() -> MapLayer:
            picture = highlight_overlay(self.warped.codes, cluster)
            return MapLayer("", data_url(picture, "png"), self.warped.bounds)

        return replace(self._kept.get(("picked", cluster), make), name=t("map.cluster", number=cluster))

    def landcover_layer(
        self,
        legend: Legend,
        *,
        opacity: float = 0.85,
        shown: bool = True,
        corrected: LandCoverMap | None = None,
    ) -> MapLayer:
        """The clusters in the colours of their classes: what `legend.apply` gives, without its cost.

        Args:
            legend: What they are called.
            opacity: At first, 0-1.
            shown: Whether it is switched on at first.
            corrected: The map, where people set classes below the clusters too: it is warped anew.
        """
        named = scheme_colours(legend.scheme)
        if corrected is not None:
            labels = warp_labels(corrected.codes, corrected.grid)
            return label_layer(t("map.landcover"), labels, named, opacity=opacity, shown=shown)
        colours = {
            cluster: named[
                UNDECIDED if (entry := legend.entries.get(cluster)) is None or entry.code is None else entry.code
            ]
            for cluster in range(1, self.clusters.n_clusters + 1)
        }
        return label_layer(t("map.landcover"), self.warped, colours, opacity=opacity, shown=shown)

    def product(self, name: str, path: Path) -> tuple[MapLayer, ProductLegend]:
        """A map of numbers that the method made besides, as a layer with its legend.

        Raises:
            NotARasterError: If it cannot be read.
        """
        return self._kept.get(("product", name, language()), lambda: product_layer(name, path))

    def highlight(self, cluster: int) -> bytes:
        """One cluster picked out for the person, JPEG; on plain grey where there is no imagery."""

        def make() -> bytes:
            labels, _ = thin_labels(self.clusters.labels, self.clusters.grid, max_side=CARD_SIDE)
            if self.scene is not None:
                base = self.scene.picture(self.scene.composites[0], max_side=CARD_SIDE).rgba
            else:
                base = class_picture(labels, dict.fromkeys(range(1, 256), "#9A9A9A"))
            picture = highlight_picture(
                base, labels, cluster=cluster, tint=0.0 if self.scene else 0.8, min_side=2 * CARD_SIDE
            )
            return jpeg_bytes(picture)

        return self._kept.get(("highlight", cluster), make)


def reference_layer(reference: Reference, *, opacity: float = 0.85, shown: bool = False) -> MapLayer:
    """The reference as a layer."""
    warped = warp_labels(reference.codes, reference.grid)
    colours = scheme_colours(reference.scheme)
    return label_layer(t("map.reference", title=reference.title), warped, colours, opacity=opacity, shown=shown)


def disagreement_layer(
    landcover: LandCoverMap, reference: Reference, *, opacity: float = 0.85, shown: bool = True
) -> MapLayer:
    """Where map and reference say different things, as a layer."""
    codes, grid = thin_labels(landcover.codes, landcover.grid)
    other, _ = thin_labels(reference.codes, reference.grid)
    picture = Picture(disagreement_picture(codes, other), grid)
    return picture_layer(t("map.disagreement"), picture, opacity=opacity, shown=shown)


def named_legend(legend: Legend, reference: Reference | None = None) -> list[tuple[str, str]]:
    """Names and colours of the classes that occur in the map, and in the reference, in the scheme's order."""
    import numpy as np

    found = {UNDECIDED if entry.code is None else entry.code for entry in legend.entries.values()}
    if reference is not None:
        found |= set(np.flatnonzero(np.bincount(reference.codes.ravel(), minlength=256)).tolist())
    colours = scheme_colours(legend.scheme)
    named = [
        (cls.names.get(language()) or cls.name, colours[cls.code]) for cls in legend.scheme.classes if cls.code in found
    ]
    return [*named, *([(t("map.not_named"), colours[UNDECIDED])] if UNDECIDED in found else [])]
