"""What a child process is asked to do, as it goes over the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from s2dash.run_settings import RunSettings
from s2dash.sources.request import SceneRequest


@dataclass(frozen=True)
class Job:
    """What one child is to do."""

    request: SceneRequest
    """The scene; the child opens it itself."""
    settings: RunSettings
    """The strategy."""
    judge: RunSettings
    """Features, sample and seed of the space in which silhouettes are measured."""
    judge_pixels: int
    """Pixels they are measured on."""
    reference: Mapping[str, Any] | None = None
    """File with its codes on the scene's grid (`.npy`), and what else a `Reference` holds."""

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "request": self.request.to_json(),
            "settings": self.settings.to_json(),
            "judge": self.judge.to_json(),
            "judge_pixels": self.judge_pixels,
            "reference": None if self.reference is None else dict(self.reference),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Job:
        """From `to_json`."""
        return cls(
            request=SceneRequest.from_json(content["request"]),
            settings=RunSettings.from_json(content["settings"]),
            judge=RunSettings.from_json(content["judge"]),
            judge_pixels=content["judge_pixels"],
            reference=content["reference"],
        )
