"""The whole chain: scene → features → clusters → legend → land cover → agreement."""

from __future__ import annotations

import json
import platform
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from s2dash.annotation.annotate import AnswerBook, annotate
from s2dash.annotation.answer import ClusterCard
from s2dash.annotation.cards import build_cards
from s2dash.annotation.legend import Legend
from s2dash.annotation.registry import annotator
from s2dash.clustering import ClusterMap, check_k, cluster
from s2dash.comparison import Agreement, agreement
from s2dash.features import DEFAULT_INDICES, DEFAULT_SAMPLE, Texture, build_features
from s2dash.landcover import LandCoverMap
from s2dash.progress import Progress, Silent, Stage
from s2dash.reference import Reference, load_reference, load_worldcover
from s2dash.scene import Scene
from s2dash.schemes import ClassScheme, SchemeMap, load_scheme, load_scheme_map, read_scheme_map
from s2dash.sources.describe import describe_scene
from s2dash.sources.request import SceneRequest


@dataclass(frozen=True)
class RunSettings:
    """What a person chose for a run."""

    scheme: str = "worldcover"
    """Class scheme of the map."""
    method: str = "kmeans"
    """Clustering method."""
    k: int = 12
    """Number of clusters."""
    seed: int = 0
    """Of the sample and of the clustering."""
    sample: int = DEFAULT_SAMPLE
    """Pixels to fit on."""
    indices: tuple[str, ...] = DEFAULT_INDICES
    """Spectral indices among the features."""
    texture: int = 0
    """Side of the texture window in pixels; 0 for none."""
    annotators: tuple[str, ...] = ("rules",)
    """Who names the clusters."""

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self) | {"indices": list(self.indices), "annotators": list(self.annotators)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> RunSettings:
        """From `to_json`; what a later version added is ignored."""
        known = {name: content[name] for name in cls.__dataclass_fields__ if name in content}
        return cls(**known | {name: tuple(known[name]) for name in ("indices", "annotators") if name in known})


@dataclass(frozen=True)
class ReferenceSettings:
    """Which map to compare with, and what its codes mean."""

    path: str = ""
    """A raster on disk; empty for WorldCover from its public bucket."""
    scheme: str = "worldcover"
    """Scheme of its codes, where `codes` is not given."""
    codes: Mapping[int, int] = field(default_factory=dict)
    """Its code → WorldCover code, for maps of no known scheme."""
    year: int | None = None
    """Year of the map; for WorldCover 2020 or 2021."""
    title: str = ""
    """What to call it; empty for what the file says."""

    @classmethod
    def from_map_file(cls, path: str, map_file: Path, *, year: int | None = None) -> ReferenceSettings:
        """Codes from a JSON file, and what it says of the map's source and year under `reference`.

        Raises:
            SchemeError: If the file holds no such map.
        """
        codes = read_scheme_map(map_file, target="worldcover").codes
        about = json.loads(map_file.read_text("utf-8")).get("reference")
        about = about if isinstance(about, dict) else {}
        said = str(about.get("year", ""))
        return cls(
            path=path,
            scheme=map_file.name,
            codes=codes,
            year=year or (int(said) if said.isdecimal() else None),
            title=str(about.get("source", "")),
        )

    def scheme_map(self, target: str) -> SchemeMap:
        """From the reference's codes to those of the run's scheme.

        Raises:
            SchemeError: If no map between the two is known.
        """
        if self.codes:
            return SchemeMap(self.scheme, "worldcover", self.codes).then(load_scheme_map("worldcover", target))
        return load_scheme_map(self.scheme, target)

    def load(self, scene: Scene, scheme: ClassScheme, *, progress: Progress | None = None) -> Reference:
        """Read it onto the scene's grid.

        Args:
            scene: The scene.
            scheme: The scheme of the result.
            progress: Where to report.

        Raises:
            ReferenceMapError: If it cannot be read or does not overlap.
            SchemeError: If its codes cannot be translated.
        """
        if not self.path:
            return load_worldcover(scene, year=self.year or 2021, scheme=scheme, progress=progress)
        return load_reference(
            Path(self.path),
            grid=scene.grid,
            scheme=scheme,
            scheme_map=self.scheme_map(scheme.name),
            title=self.title or None,
            year=self.year,
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self) | {"codes": {str(code): to for code, to in self.codes.items()}}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ReferenceSettings:
        """From `to_json`."""
        codes = {int(code): int(to) for code, to in content.get("codes", {}).items()}
        return cls(
            path=content["path"],
            scheme=content["scheme"],
            codes=codes,
            year=content.get("year"),
            title=content.get("title", ""),
        )


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

    @property
    def year(self) -> int | None:
        """Year of the image, where known."""
        acquired = self.scene.get("acquired")
        return int(str(acquired)[:4]) if acquired else None

    @cached_property
    def landcover(self) -> LandCoverMap:
        """The named map."""
        return self.legend.apply(self.clusters, year=self.year)

    @cached_property
    def agreement(self) -> Agreement | None:
        """How far the map agrees with the reference; None where there is none."""
        if self.reference is None:
            return None
        return agreement(self.landcover, self.reference, clusters=self.clusters)

    def with_legend(self, legend: Legend) -> RunResult:
        """The same run after a person decided something."""
        return replace(self, legend=legend)

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
        progress: Where to report, and through which to cancel.

    Raises:
        S2DashError: One of its kinds, with what to do, if a step cannot be done.
        Cancelled: If the person stopped it.
    """
    watch = progress or Silent()
    started = datetime.now(UTC)
    timings: dict[str, float] = {}
    scheme = load_scheme(settings.scheme)
    for name in settings.annotators:
        annotator(name)
    check_k(settings.k)
    compared = None
    if reference is not None:
        with _timed(timings, "reference"):
            watch.report(0.0, "Reading the reference map")
            compared = reference.load(scene, scheme)
    with _timed(timings, "features"):
        features = build_features(
            scene,
            indices=settings.indices,
            texture=Texture(size=settings.texture) if settings.texture else None,
            sample=settings.sample,
            seed=settings.seed,
            progress=Stage(watch, 0.05, 0.3),
        )
    with _timed(timings, "clustering"):
        clusters = cluster(
            features,
            method=settings.method,
            k=settings.k,
            seed=settings.seed,
            sample=settings.sample,
            progress=Stage(watch, 0.3, 0.75),
        )
    with _timed(timings, "cards"):
        cards = build_cards(clusters, scene, seed=settings.seed, progress=Stage(watch, 0.75, 0.85))
    with _timed(timings, "annotation"):
        legend = annotate(
            clusters,
            scene,
            annotators=settings.annotators,
            scheme=scheme,
            cards=cards,
            book=book,
            progress=Stage(watch, 0.85, 0.95),
        )
    with _timed(timings, "description"):
        described = describe_scene(scene, valid=clusters.labels)
    described["notes"] = [*described.get("notes", []), *features.notes]
    if request is not None:
        described["request"] = request.to_json()
    result = RunResult(settings, described, clusters, cards, legend, compared, reference, timings, started)
    with _timed(timings, "agreement"):
        watch.report(0.95, "Comparing with the reference map" if compared else "Finishing the map")
        _ = result.agreement
    watch.report(1.0, "Done")
    return result


def versions() -> dict[str, str]:
    """Versions of what decides the result."""
    found = {"python": platform.python_version(), "platform": platform.platform(terse=True)}
    for package in ("numpy", "scikit-learn", "rasterio", "spyndex", "odc-geo"):
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
