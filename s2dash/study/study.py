"""What a comparison of strategies found: one result a strategy, as JSON and as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from s2dash.clustering import METHODS, K
from s2dash.confusion import Scores
from s2dash.run_settings import ReferenceSettings, RunSettings
from s2dash.sources.request import SceneRequest
from s2dash.study.strategies import strategy_title

STUDY_VERSION = 1
"""Of the JSON form."""
_SCORES = ("overall", "kappa", "macro_f1", "miou")
_MEASURED = ("clusters", "seconds", "peak_mib", "baseline_mib", "silhouette", "noise_share")


@dataclass(frozen=True)
class StrategyResult:
    """One strategy: what it cost and how good it is, or why it could not be done."""

    settings: RunSettings
    """What was asked for."""
    clusters: int | None = None
    """Clusters that occur in the map, noise not among them."""
    seconds: float | None = None
    """From the opened scene to the cluster map in memory: sample, fit and labels; process start and imports apart."""
    peak_mib: float | None = None
    """Most memory its process held until the map was made, MiB; of one that died, the most that was seen."""
    baseline_mib: float | None = None
    """What the process held before it began: the interpreter and its libraries, MiB."""
    silhouette: float | None = None
    """Mean silhouette of the sampled pixels, -1 … 1; None where they are all in one cluster."""
    ceiling: Scores | None = None
    """What the clusters would reach if each had its best name."""
    reached: Scores | None = None
    """What the map reached with the names the annotators gave."""
    noise_share: float | None = None
    """Share of the pixels that the method calls noise, 0-1; None for methods that know no noise."""
    notes: tuple[str, ...] = ()
    """What the person should know of the fit."""
    error: str = ""
    """Why it could not be done; empty where it could."""

    @property
    def title(self) -> str:
        """What to call it."""
        return strategy_title(self.settings)

    @property
    def k(self) -> K | None:
        """The K asked for; None where the method finds the number itself."""
        entry = METHODS.get(self.settings.method)
        return self.settings.k if entry is None or entry.takes_k else None

    @property
    def done(self) -> bool:
        """Whether there is a map."""
        return not self.error

    def to_json(self) -> dict[str, Any]:
        """As JSON: numbers, text and null, never NaN."""
        return {
            "title": self.title,
            "method": self.settings.method,
            "k": self.k,
            **{name: getattr(self, name) for name in _MEASURED},
            "ceiling": self.ceiling.to_json() if self.ceiling else None,
            "reached": self.reached.to_json() if self.reached else None,
            "notes": list(self.notes),
            "error": self.error,
            "settings": self.settings.to_json(),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> StrategyResult:
        """From `to_json`."""
        figures: dict[str, Any] = {name: content[name] for name in _MEASURED}
        for name in ("ceiling", "reached"):
            figures[name] = Scores(**content[name]) if content[name] else None
        settings = RunSettings.from_json(content["settings"])
        return cls(settings, **figures, notes=tuple(content["notes"]), error=content["error"])


@dataclass(frozen=True)
class Study:
    """Strategies compared on one scene."""

    request: SceneRequest
    """How the scene was asked for."""
    scene: Mapping[str, Any]
    """Its title, kind (`simulated` is one), width and height in pixels, and the day it was taken, where known."""
    results: tuple[StrategyResult, ...]
    """One a strategy, in the order asked for."""
    judged_on: tuple[str, ...] = ()
    """The features in which silhouettes are measured, the same for all."""
    judged_pixels: int = 0
    """Pixels they are measured on, the same for all."""
    reference: Mapping[str, Any] | None = None
    """Title, year, attribution and how to read the figures, of the map compared with; None where there is none."""
    reference_settings: ReferenceSettings | None = None
    """Where that map is from."""
    started: str = ""
    """When it began, ISO 8601, UTC."""
    machine: Mapping[str, Any] = field(default_factory=dict)
    """Cores and versions: times and memory are those of this machine."""

    @property
    def simulated(self) -> bool:
        """Whether the scene is simulated; wherever the study is shown, this must be said."""
        return self.scene.get("kind") == "simulated"

    @property
    def compared(self) -> bool:
        """Whether there are figures of agreement."""
        return self.reference is not None

    def best(self, figure: str) -> frozenset[int]:
        """Places in `results` of the highest `ceiling`, `reached` (overall agreement) or `silhouette`; ties all."""
        values = {
            place: value for place, result in enumerate(self.results) if (value := _figure(result, figure)) is not None
        }
        return frozenset(place for place, value in values.items() if value == max(values.values()))

    def to_json(self) -> dict[str, Any]:
        """What `study.json` holds."""
        return {
            "study": STUDY_VERSION,
            "started": self.started,
            "scene": {**self.scene, "request": self.request.to_json()},
            "reference": None if self.reference is None else dict(self.reference),
            "reference_settings": self.reference_settings.to_json() if self.reference_settings else None,
            "silhouette_on": {"features": list(self.judged_on), "pixels": self.judged_pixels},
            "machine": dict(self.machine),
            "best": {name: sorted(self.best(name)) for name in ("ceiling", "reached", "silhouette")},
            "strategies": [result.to_json() for result in self.results],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Study:
        """From `to_json`.

        Raises:
            KeyError: If something is missing.
            ValueError: If it is of a later version.
        """
        if content["study"] != STUDY_VERSION:
            raise ValueError(f"a study of version {content['study']}, not {STUDY_VERSION}")
        scene = dict(content["scene"])
        chosen = content["reference_settings"]
        return cls(
            request=SceneRequest.from_json(scene.pop("request")),
            scene=scene,
            results=tuple(StrategyResult.from_json(row) for row in content["strategies"]),
            judged_on=tuple(content["silhouette_on"]["features"]),
            judged_pixels=content["silhouette_on"]["pixels"],
            reference=content["reference"],
            reference_settings=ReferenceSettings.from_json(chosen) if chosen else None,
            started=content["started"],
            machine=content["machine"],
        )

    def to_csv(self) -> str:
        """One line a strategy, with a header; empty cells where there is no figure."""
        text = io.StringIO()
        scores = [f"{kind}_{name}" for kind in ("ceiling", "reached") for name in _SCORES]
        columns = ["strategy", "method", "k", *_MEASURED, *scores, "notes", "error"]
        table = csv.DictWriter(text, columns, lineterminator="\n")
        table.writeheader()
        for result in self.results:
            content = result.to_json()
            row = {name: content[name] for name in ("method", "k", *_MEASURED, "error")}
            for kind in ("ceiling", "reached"):
                row |= {f"{kind}_{name}": (content[kind] or {}).get(name) for name in _SCORES}
            table.writerow({**row, "strategy": result.title, "notes": " ".join(result.notes)})
        return text.getvalue()


def _figure(result: StrategyResult, name: str) -> float | None:
    value: Scores | float | None = getattr(result, name)
    return value.overall if isinstance(value, Scores) else value
