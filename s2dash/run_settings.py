"""What a person chooses for a run: how to make the map, and what to compare it with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from dataclasses import field as made  # the settings of a reference have a field of that name
from pathlib import Path
from typing import Any

from s2dash.annotation.card_style import DEFAULT_STYLE, card_style
from s2dash.annotation.catalogue import ModelEntry
from s2dash.annotation.registry import check_annotator
from s2dash.annotation.vote import RuleKind, VotingRule
from s2dash.clustering import K, check_k, method_entry
from s2dash.clustering.effort import Effort, expected_effort
from s2dash.features import (
    DEFAULT_INDICES,
    DEFAULT_SAMPLE,
    FeatureStack,
    Standardiser,
    Texture,
    build_features,
)
from s2dash.progress import Progress
from s2dash.reference import Reference, load_worldcover
from s2dash.reference_files import load_reference
from s2dash.scene import Scene
from s2dash.schemes import ClassScheme, SchemeMap, load_scheme_map, read_scheme_map, scheme_map_sources

_LISTS = ("indices", "season", "annotators")
"""Settings of several names each."""


@dataclass(frozen=True)
class RunSettings:
    """What a person chose for a run."""

    scheme: str = "worldcover"
    """Class scheme of the map."""
    method: str = "kmeans"
    """Clustering method."""
    k: K = 12
    """Number of clusters, or `"auto"` for the number that a sweep proposes."""
    seed: int = 0
    """Of the sample and of the clustering."""
    sample: int = DEFAULT_SAMPLE
    """Pixels to fit on."""
    indices: tuple[str, ...] = DEFAULT_INDICES
    """Spectral indices among the features."""
    texture: int = 0
    """Side of the texture window in pixels; 0 for none."""
    season: tuple[str, ...] = ()
    """Layers of the scene's season among the features, e.g. `NDVI_AMPLITUDE`."""
    annotators: tuple[str, ...] = ("rules",)
    """Who names the clusters."""
    style: str = DEFAULT_STYLE
    """Card style: what annotators that look are shown."""
    budget: float | None = None
    """Most that the annotators may cost, US dollars; None for no limit."""
    voting: RuleKind = "majority"
    """How the annotators' votes count."""
    options: Mapping[str, Any] = made(default_factory=dict)
    """Settings of the method's own, by name; those not given are at their defaults."""
    model: str = ""
    """A fitted model on disk to apply instead of fitting one; it brings method, K and features with it."""

    def check(self, *, catalogue: Mapping[str, ModelEntry] | None = None) -> None:
        """Find out what is unusable before any work is done.

        Args:
            catalogue: The models that annotators may be; by default those that come with the package.

        Raises:
            ClusteringError: If the method, K or one of the method's settings is unknown or out of range.
            AnnotationError: If an annotator, the card style or the way of voting is unknown.
        """
        for name in self.annotators:
            check_annotator(name, catalogue=catalogue)
        card_style(self.style)
        VotingRule(self.voting)
        entry = method_entry(self.method)
        entry.check_options(self.options)
        if entry.takes_k:
            check_k(self.k)

    def features(
        self, scene: Scene, *, scaler: Standardiser | None = None, progress: Progress | None = None
    ) -> FeatureStack:
        """What clustering looks at; arguments and errors as of `build_features`."""
        return build_features(
            scene,
            indices=self.indices,
            texture=Texture(size=self.texture) if self.texture else None,
            season=self.season,
            scaler=scaler,
            sample=self.sample,
            seed=self.seed,
            progress=progress,
        )

    def effort(self, pixels: int) -> Effort:
        """How long clustering a scene of so many pixels takes."""
        return expected_effort(self.method, pixels=pixels, k=self.k, options=self.options)

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        lists = {name: list(getattr(self, name)) for name in _LISTS}
        return asdict(self) | lists | {"options": dict(self.options)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> RunSettings:
        """From `to_json`; what a later version added is ignored."""
        known = {name: content[name] for name in cls.__dataclass_fields__ if name in content}
        return cls(**known | {name: tuple(known[name]) for name in _LISTS if name in known})


_NO_WATER = (
    "Dynamic World calls water 0, which also stands for no data, so its water is left out of the comparison. Set 0 to "
    "water if the file holds no missing pixels, or add 1 to its codes and read it as dynamic_world_plus_1."
)


@dataclass(frozen=True)
class ReferenceSettings:
    """Which map to compare with, and what its codes mean."""

    path: str = ""
    """A raster or polygons on disk; empty for WorldCover from its public bucket."""
    scheme: str = "worldcover"
    """Scheme of its codes, where `codes` is not given."""
    codes: Mapping[int, int] = made(default_factory=dict)
    """Its code → WorldCover code, for maps of no known scheme."""
    year: int | None = None
    """Year of the map; for WorldCover 2020 or 2021."""
    title: str = ""
    """What to call it; empty for what the file says."""
    names: Mapping[str, int] = made(default_factory=dict)
    """Of polygons that say their classes in words: text → WorldCover code; what is not listed may be a class's name."""
    field: str = ""
    """Of polygons, which attribute says the class; empty for the one that can be no other."""

    @classmethod
    def from_map_file(cls, path: str, map_file: Path, *, year: int | None = None) -> ReferenceSettings:
        """Codes from a JSON file, and what it says of the map's source and year under `reference`.

        Raises:
            SchemeError: If the file holds no such map.
        """
        read = read_scheme_map(map_file, target="worldcover")
        about = json.loads(map_file.read_text("utf-8")).get("reference")
        about = about if isinstance(about, dict) else {}
        said = str(about.get("year", ""))
        return cls(
            path=path,
            scheme=map_file.name,
            codes=read.codes,
            names=read.names,
            year=year or (int(said) if said.isdecimal() else None),
            title=str(about.get("source", "")),
        )

    def scheme_map(self, target: str) -> SchemeMap:
        """From the reference's codes to those of the run's scheme, by way of WorldCover where no other is known.

        Raises:
            SchemeError: If no map between the two is known.
        """
        if self.codes or self.names:
            own = SchemeMap(self.scheme, "worldcover", self.codes, self.names)
            return own.then(load_scheme_map("worldcover", target))
        if self.scheme in scheme_map_sources("worldcover") and self.scheme not in scheme_map_sources(target):
            return load_scheme_map(self.scheme, "worldcover").then(load_scheme_map("worldcover", target))
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
        meaning = self.scheme_map(scheme.name)
        found = load_reference(
            Path(self.path),
            grid=scene.grid,
            scheme=scheme,
            scheme_map=meaning,
            title=self.title or None,
            year=self.year,
            field=self.field,
            progress=progress,
        )
        if self.scheme == "dynamic_world" and 0 not in meaning.codes:
            return replace(found, notes=(*found.notes, _NO_WATER))
        return found

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self) | {"codes": {str(code): to for code, to in self.codes.items()}, "names": dict(self.names)}

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
            names={str(name): int(to) for name, to in content.get("names", {}).items()},
            field=content.get("field", ""),
        )
