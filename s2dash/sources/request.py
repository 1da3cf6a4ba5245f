"""Which scene to load and how: what a run remembers, so that it can be opened again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from s2dash.masking import MaskRule
from s2dash.scene import Scene
from s2dash.sources.load import load_scene


@dataclass(frozen=True)
class SceneRequest:
    """The arguments of `load_scene`, as a value."""

    location: str
    """File, folder, or `simulated:…`."""
    scl: str = ""
    """Scene classification in a file of its own; empty for none."""
    bands: tuple[str, ...] = ()
    """Names of the bands in file order, where the file names none."""
    offset: float | Literal["auto"] = "auto"
    """Added to the reflectance."""
    scale: float | Literal["auto"] = "auto"
    """Reflectance per number."""
    mask: MaskRule = field(default_factory=MaskRule)
    """Which SCL classes are masked."""
    area: Mapping[str, Any] | None = field(default=None, hash=False)
    """GeoJSON geometry, degrees: only the pixels under it are used; None for the whole scene."""

    def load(self) -> Scene:
        """Load the scene.

        Raises:
            SceneError: If it cannot be read as asked.
            AreaError: If its area lies elsewhere, or covers too few pixels.
        """
        return load_scene(
            self.location,
            scl=Path(self.scl) if self.scl else None,
            bands=list(self.bands) or None,
            offset=self.offset,
            scale=self.scale,
            mask=self.mask,
            area=self.area,
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON; without an area it is what it was before there were areas, and so are keys made of it."""
        content = asdict(self) | {"bands": list(self.bands)}
        if self.area is None:
            del content["area"]
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> SceneRequest:
        """From `to_json`."""
        return cls(**{**content, "bands": tuple(content["bands"]), "mask": MaskRule(**content["mask"])})
