"""The whole chain: scene → features → clusters → legend → land cover → agreement."""

from __future__ import annotations

import platform
import resource
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from s2dash.annotation.annotate import ask_annotators
from s2dash.annotation.answer import ClusterCard
from s2dash.annotation.cards import build_cards
from s2dash.annotation.catalogue import ModelEntry
from s2dash.annotation.keys import Keys
from s2dash.annotation.legend import Legend, LegendEvent, build_legend
from s2dash.annotation.registry import is_local
from s2dash.annotation.replies import AnswerBook
from s2dash.annotation.second_look import RoundReport
from s2dash.annotation.vote import VotingRule
from s2dash.cluster_state import ClusterState
from s2dash.clustering import ClusterMap, SavedModel, cluster, method_entry, product_map
from s2dash.clustering.quality import ClusterQuality, measure_if_it_fits
from s2dash.comparison import Agreement, agreement
from s2dash.corrections import corrected
from s2dash.edit_history import EditHistory
from s2dash.errors import TooLargeError
from s2dash.features import FeatureStack
from s2dash.landcover import LandCoverMap
from s2dash.map_edit import MapEdit
from s2dash.progress import Progress, Silent, Stage, timetable
from s2dash.reference import Reference
from s2dash.run_settings import ReferenceSettings, RunSettings
from s2dash.scene import Scene
from s2dash.schemes import load_scheme
from s2dash.sources.describe import describe_scene
from s2dash.sources.request import SceneRequest
from s2dash.types import FloatArray

__all__ = [
    "ReferenceSettings",
    "RunResult",
    "RunSettings",
    "peak_memory_mib",
    "run_chain",
    "versions",
]


@dataclass(frozen=True)
class RunResult:
    """All that a run made."""

    settings: RunSettings
    """What was asked for."""
    scene: Mapping[str, Any]
    """`describe_scene` of the scene."""
    clusters: ClusterMap
    """The clusters."""
    cards: Mapping[int, ClusterCard]
    """What is known of each."""
    legend: Legend
    """What each is called, by whom and why."""
    reference: Reference | None = None
    """The map it is compared with."""
    reference_settings: ReferenceSettings | None = None
    """Where that map is from."""
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds per step."""
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When the run began."""
    name: str = ""
    """What the person calls it."""
    saved: SavedModel | None = None
    """The fitted model, to be applied to other scenes; None for a run read back from disk."""
    products: Mapping[str, FloatArray] = field(default_factory=dict)
    """Maps the model made besides the clusters, by name: shape (y, x), float32, NaN where there is no data."""
    kept_files: Mapping[str, Path] = field(default_factory=dict)
    """Files of a run read back from disk that need not be read to be kept: its model and its products, by name."""
    quality: ClusterQuality | None = None
    """How good the clusters are; None for runs made before it was measured."""
    edits: EditHistory = field(default_factory=EditHistory)
    """What people did to the clusters since they were fitted."""
    rounds: tuple[RoundReport, ...] = ()
    """Feedback rounds: what was asked once more, what that cost and what it changed."""
    map_edits: tuple[MapEdit, ...] = ()
    """Areas, points and classes that people changed since."""

    @property
    def year(self) -> int | None:
        """Year of the image, where known."""
        acquired = self.scene.get("acquired")
        return int(str(acquired)[:4]) if acquired else None

    @cached_property
    def landcover(self) -> LandCoverMap:
        """The named map, with the areas that people corrected."""
        return corrected(self.legend.apply(self.clusters, year=self.year), self.map_edits)

    @cached_property
    def agreement(self) -> Agreement | None:
        """How far the map, corrections and all, agrees with the reference; None where there is none.

        The ceiling stays that of the clusters: areas corrected by hand lie below it, so that what the map reaches may
        exceed it.
        """
        if self.reference is None:
            return None
        return agreement(self.landcover, self.reference, clusters=self.clusters)

    def with_legend(self, legend: Legend) -> RunResult:
        """The same run after a person decided something."""
        return replace(self, legend=legend)

    @property
    def state(self) -> ClusterState:
        """The clusters as they are now, with all that belongs to them."""
        return ClusterState(self.clusters, self.cards, self.legend.answers, self.quality)

    def with_state(self, state: ClusterState, *, edits: EditHistory, events: Iterable[LegendEvent] = ()) -> RunResult:
        """The same run with its clusters in another state, and the decisions that are about those clusters."""
        return replace(
            self,
            clusters=state.clusters,
            cards=state.cards,
            legend=replace(state.legend(self.legend.scheme), rule=self.legend.rule).with_history(events),
            quality=state.quality,
            edits=edits,
        )

    def to_json(self) -> dict[str, Any]:
        """What `run.json` holds: settings, sources, versions, timings, peak memory."""
        reference = None
        if self.reference is not None:
            chosen = self.reference_settings.to_json() if self.reference_settings else {}
            reference = chosen | {
                "asked": chosen,
                "title": self.reference.title,
                "year": self.reference.year,
                "attribution": self.reference.attribution,
                "unknown_codes": {str(code): count for code, count in self.reference.unknown.items()},
                "overlap_percent": self.reference.overlap_percent,
                "notes": list(self.reference.notes),
            }
        return {
            "name": self.name,
            "started": self.started.isoformat(),
            "settings": self.settings.to_json(),
            "scene": dict(self.scene),
            "reference": reference,
            "clustering": dict(self.clusters.settings),
            "edits": self.edits.to_json(),
            "rounds": [report.to_json() for report in self.rounds],
            "map_edits": [edit.to_json() for edit in self.map_edits],
            "timings_s": {step: round(seconds, 3) for step, seconds in self.timings.items()},
            "peak_memory_mib": peak_memory_mib(),
            "versions": versions(),
        }


def run_chain(
    scene: Scene,
    settings: RunSettings,
    *,
    reference: ReferenceSettings | None = None,
    request: SceneRequest | None = None,
    book: AnswerBook | None = None,
    keys: Keys | None = None,
    catalogue: Mapping[str, ModelEntry] | None = None,
    synonyms: Mapping[str, int] | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Make a land-cover map of a scene, and compare it with a reference if one is given.

    Settings are checked and the reference is read first: what is unusable is found out before minutes are spent on the
    map. Nothing of the reference reaches clusters or names.

    Args:
        scene: The scene.
        settings: What is chosen.
        reference: The map to compare with.
        request: How the scene was asked for, to be remembered.
        book: Where answers are kept and found again.
        keys: Of the services that annotators ask; by default those of the environment.
        catalogue: The models that annotators may be; by default those that come with the package.
        synonyms: More words → class code, for reading replies.
        progress: Where to report, and through which to cancel.

    Raises:
        S2DashError: One of its kinds, with what to do, if a step cannot be done.
        Cancelled: If the person stopped it.
    """
    watch = progress or Silent()
    started = datetime.now(UTC)
    timings: dict[str, float] = {}
    scheme = load_scheme(settings.scheme)
    settings.check(catalogue=catalogue)
    saved = SavedModel.load(Path(settings.model)) if settings.model else None
    if saved is not None:  # the record says what was done, not what was not asked
        settings = replace(
            settings,
            method=saved.model.method,
            k=saved.model.n_clusters,
            indices=saved.indices,
            texture=saved.texture.size if saved.texture else 0,
            season=saved.season,
            options={},
        )
    compared = None
    if reference is not None:
        with _timed(timings, "reference"):
            watch.report(0.0, "Reading the reference map")
            compared = reference.load(scene, scheme)
    stages = _stages(watch, scene, settings, saved, compared=compared is not None)
    if saved is None:
        with _timed(timings, "features"):
            features = settings.features(scene, progress=stages["features"])
        with _timed(timings, "clustering"):
            clusters = cluster(
                features,
                method=settings.method,
                k=settings.k,
                seed=settings.seed,
                sample=settings.sample,
                options=settings.options,
                progress=stages["clustering"],
            )
        if clusters.model is not None:
            saved = SavedModel.of(clusters.model, features)
    else:
        with _timed(timings, "clustering"):
            features = saved.features(scene)
            clusters = saved.apply(scene, progress=stages["clustering"])
    with _timed(timings, "products"):
        products, unmade = _products(features, clusters, progress=stages["products"])
    with _timed(timings, "cards"):
        cards = build_cards(clusters, scene, seed=settings.seed, progress=stages["cards"])
    with _timed(timings, "quality"):
        quality, unmeasured = measure_if_it_fits(
            clusters, scene, cards=cards, features=features, seed=settings.seed, progress=stages["quality"]
        )
    with _timed(timings, "annotation"):
        asked = ask_annotators(
            clusters,
            scene,
            annotators=settings.annotators,
            scheme=scheme,
            cards=cards,
            style=settings.style,
            seed=settings.seed,
            keys=keys,
            catalogue=catalogue,
            synonyms=synonyms,
            book=book,
            budget=settings.budget,
            progress=stages["naming"],
        )
        rule = VotingRule(settings.voting)
        legend = build_legend(asked.answers, scheme=scheme, clusters=sorted(cards), rule=rule)
    with _timed(timings, "description"):
        described = describe_scene(scene, valid=clusters.labels)
    said = [*features.notes, *clusters.notes, *unmade, *unmeasured, *asked.remarks]
    described["notes"] = [*described.get("notes", []), *said]
    if request is not None:
        described["request"] = request.to_json()
    result = RunResult(
        settings,
        described,
        clusters,
        cards,
        legend,
        compared,
        reference,
        timings,
        started,
        saved=saved,
        products=products,
        quality=quality,
    )
    with _timed(timings, "agreement"):
        stages["agreement"].report(0.0, "Comparing with the reference map" if compared else "Finishing the map")
        _ = result.agreement
    watch.report(1.0, "Done")
    return result


def _stages(
    watch: Progress, scene: Scene, settings: RunSettings, saved: SavedModel | None, *, compared: bool
) -> dict[str, Stage]:
    """The steps of a run, each as long as it takes, about: seconds measured as those of `expected_effort`."""
    height, width = scene.grid.shape
    pixels = height * width
    millions = pixels / 1e6
    effort = settings.effort(pixels)
    model = saved.model if saved is not None else method_entry(settings.method).model_class
    return timetable(
        watch,
        features=0.0 if saved is not None else 0.1 + 0.05 * millions,
        clustering=effort.label if saved is not None else effort.total,
        products=effort.label * len(model.products),
        cards=0.1 + 0.04 * millions,
        quality=0.4 + 0.08 * millions,
        naming=0.05 if all(is_local(name) for name in settings.annotators) else _ASKING_S,
        agreement=0.05 + 0.02 * millions if compared else 0.01,
    )


_ASKING_S = 20.0
"""Seconds that asking models takes, whoever they are: nobody can know."""


def _products(
    features: FeatureStack, clusters: ClusterMap, *, progress: Progress
) -> tuple[dict[str, FloatArray], list[str]]:
    """Maps the model makes besides the clusters, and notes on those that do not fit in memory."""
    made: dict[str, FloatArray] = {}
    notes = []
    for name in clusters.model.products if clusters.model is not None else ():
        try:
            made[name] = product_map(features, clusters.model, name, progress=progress)  # type: ignore[arg-type]
        except TooLargeError as error:
            notes.append(f"The map {name!r} was left out. {error}")
    return made, notes


def versions() -> dict[str, str]:
    """Versions of what decides the result."""
    return dict(_versions())


@cache
def _versions() -> Mapping[str, str]:
    found = {"python": platform.python_version(), "platform": platform.platform(terse=True)}
    for package in ("numpy", "scikit-learn", "scikit-image", "torch", "rasterio", "spyndex", "odc-geo"):
        found[package] = metadata.version(package)
    from s2dash import __version__

    return {"s2dash": __version__, **found}


def peak_memory_mib() -> float:
    """Most memory this process ever held, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)


@contextmanager
def _timed(timings: dict[str, float], step: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[step] = time.perf_counter() - start
