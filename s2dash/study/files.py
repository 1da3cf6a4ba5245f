"""A study on disk: the tables a person asked for, and the last one of each scene, kept in the workspace."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from s2dash.errors import OutputError, StoreError
from s2dash.export.folder import write_json
from s2dash.sources.request import SceneRequest
from s2dash.study.study import Study

JSON, CSV, HTML = "study.json", "study.csv", "study.html"
STUDY_FILES = (JSON, CSV, HTML)
"""What `compare --out` writes."""


def write_tables(study: Study, folder: Path) -> None:
    """Write `study.json` and `study.csv` into a folder that is there.

    Raises:
        OutputError: If they cannot be written.
    """
    write_json(folder / JSON, study.to_json())
    (folder / CSV).write_text(study.to_csv(), "utf-8")


def check_study_folder(folder: Path) -> None:
    """See that no file would be replaced that is not of an earlier study.

    Raises:
        OutputError: If there is one.
    """
    there = [name for name in STUDY_FILES if (folder / name).exists()]
    try:
        ours = not there or "study" in json.loads((folder / JSON).read_text("utf-8"))
    except (OSError, ValueError, TypeError):
        ours = False
    if not ours:
        raise OutputError(
            f"{folder / there[0]} is there and belongs to no study of this program, so it is not replaced. "
            "Choose another folder."
        )


def keep_study(study: Study, folder: Path) -> None:
    """Keep a study as the last one of its scene.

    Args:
        study: The study.
        folder: The workspace.

    Raises:
        OutputError: If it cannot be written; the one before stays.
    """
    path = _path(folder, study.request)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path.parent} cannot be made: {error.strerror}. Check its rights and its disk.") from error
    write_json(path, study.to_json())


def kept_study(request: SceneRequest, folder: Path) -> Study | None:
    """The last study of a scene; None where there is none.

    Args:
        request: The scene.
        folder: The workspace.

    Raises:
        StoreError: If it cannot be read.
    """
    path = _path(folder, request)
    try:
        return Study.from_json(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"The last comparison of this scene, {path}, cannot be read ({error}). Compare again: that replaces it."
        ) from error


def _path(folder: Path, request: SceneRequest) -> Path:
    asked = json.dumps(request.to_json(), sort_keys=True)
    return folder / "studies" / f"{hashlib.sha256(asked.encode()).hexdigest()[:24]}.json"
