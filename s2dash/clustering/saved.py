"""A fitted model as a file, so that another scene, or the same one next year, is treated alike."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from s2dash.clustering.methods import method_entry
from s2dash.clustering.model import ClusterMap, FittedModel
from s2dash.clustering.predict import label_scene
from s2dash.errors import ModelFileError, ModelMismatchError, OutputError, S2DashError, WeightsError
from s2dash.features import FeatureStack, Standardiser, Texture, build_features
from s2dash.progress import Progress
from s2dash.scene import Scene

MODEL_VERSION = 1
"""Layout of the file."""
_BROKEN = (
    S2DashError,
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RuntimeError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What damaged content may lead to."""


@dataclass(frozen=True)
class SavedModel:
    """A fitted model with all that is needed to apply it to another scene."""

    model: FittedModel
    """The model."""
    scaler: Standardiser
    """Statistics of the scene it was fitted on; other scenes are standardised with them too."""
    bands: tuple[str, ...]
    """The bands it looks at."""
    indices: tuple[str, ...]
    """The spectral indices it looks at."""
    texture: Texture | None
    """The local texture it looks at."""
    season: tuple[str, ...] = ()
    """The statistics of the season it looks at."""
    title: str = ""
    """The scene it was fitted on."""

    @classmethod
    def of(cls, model: FittedModel, features: FeatureStack) -> SavedModel:
        """A model together with the features it was fitted on."""
        scene = features.scene
        title = scene.provenance.title
        return cls(model, features.scaler, scene.bands, features.indices, features.texture, features.season, title)

    def features(self, scene: Scene) -> FeatureStack:
        """The features of another scene, as the model expects them.

        Raises:
            ModelMismatchError: If the scene lacks a band the model needs.
            FeatureError: If it lacks a layer of the season the model needs.
        """
        missing = [band for band in self.bands if band not in scene.bands]
        more = [band for band in scene.bands if band not in self.bands]
        if missing or more:
            which = f"lacks {', '.join(missing)}" if missing else f"also has {', '.join(more)}"
            raise ModelMismatchError(
                f"The model was fitted on the bands {', '.join(self.bands)}, but {scene.provenance.title} {which}. "
                "Choose a scene with the same bands, or fit anew."
            )
        return build_features(scene, indices=self.indices, texture=self.texture, season=self.season, scaler=self.scaler)

    def apply(self, scene: Scene, *, progress: Progress | None = None) -> ClusterMap:
        """Label another scene.

        Raises:
            ModelMismatchError: If the scene has other bands.
            NoValidPixelsError: If no pixel is valid.
            TooLargeError: If it would not fit in memory.
        """
        features = self.features(scene)
        labels, notes = label_scene(features, self.model, progress=progress)
        settings = {
            **self.model.describe(),
            "standardiser": self.scaler.to_json(),
            "notes": [*self.model.notes, *notes, f"The model was fitted on {self.title or 'another scene'}."],
        }
        return ClusterMap(grid=features.grid, labels=labels, model=self.model, settings=settings)

    def save(self, path: Path) -> None:
        """Write one `.npz` file: arrays, and JSON text; nothing in it is ever executed.

        Raises:
            OutputError: If it cannot be written.
        """
        about = {
            "version": MODEL_VERSION,
            "method": self.model.method,
            "model": self.model.describe(),
            "scaler": self.scaler.to_json(),
            "bands": list(self.bands),
            "indices": list(self.indices),
            "texture": None if self.texture is None else {"of": list(self.texture.of), "size": self.texture.size},
            "season": list(self.season),
            "title": self.title,
        }
        arrays: dict[str, Any] = {f"model/{name}": array for name, array in self.model.arrays().items()}
        try:
            with path.open("wb") as file:
                np.savez_compressed(file, about=np.frombuffer(json.dumps(about).encode(), dtype=np.uint8), **arrays)
        except OSError as error:
            raise OutputError(
                f"The model cannot be written to {path}: {error.strerror or error}. Free some space, or choose another "
                "folder."
            ) from error

    @classmethod
    def load(cls, path: Path) -> SavedModel:
        """Read what `save` wrote.

        Raises:
            ModelFileError: If it is not there, no model, damaged, or of a later version.
        """
        try:
            # opened here: NumPy leaves a file open that it finds to be no archive
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                about = json.loads(bytes(file["about"]))
                if about["version"] != MODEL_VERSION:
                    raise ModelFileError(
                        f"{path} is a model of version {about['version']}, and this program reads version "
                        f"{MODEL_VERSION}. Use the program it was written with, or fit anew."
                    )
                arrays = {name.removeprefix("model/"): file[name] for name in file.files if name != "about"}
            texture = about["texture"]
            return cls(
                model=method_entry(about["method"]).model_class.restore(about["model"], arrays),
                scaler=Standardiser.from_json(about["scaler"]),
                bands=tuple(about["bands"]),
                indices=tuple(about["indices"]),
                texture=texture and Texture(of=tuple(texture["of"]), size=texture["size"]),
                season=tuple(about.get("season", ())),
                title=about["title"],
            )
        except FileNotFoundError as error:
            raise ModelFileError(f"There is no model at {path}. A run keeps its own as model.npz.") from error
        except (ModelFileError, WeightsError):
            raise
        except _BROKEN as error:
            raise ModelFileError(
                f"{path} is not a model that can be read ({error}). Choose the model.npz of a run, or fit anew."
            ) from error
