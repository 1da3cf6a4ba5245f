"""A run by the name a person gives it: a folder that `run` or `demo` wrote, or a run of the workspace."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from s2dash.annotation.answer import Answer, Question
from s2dash.annotation.exhibits import build_exhibits
from s2dash.errors import SceneError, StoreError
from s2dash.export.run_files import RUN, read_run
from s2dash.given_answers import give_answers, keep_given
from s2dash.pipeline import RunResult
from s2dash.progress import Progress
from s2dash.scene import Scene
from s2dash.sources.request import SceneRequest
from s2dash.workspace import Workspace

WORKSPACE = "S2DASH_WORKSPACE"
"""Environment variable that names the workspace folder, as for the app."""


@dataclass(frozen=True)
class NamedRun:
    """A run that a command was given."""

    result: RunResult
    """The run, with all decisions made since."""
    folder: Path
    """Where its files lie."""
    workspace: Workspace | None = None
    """The workspace it is of; None for a plain folder."""
    run_id: str = ""
    """Its id there."""

    @property
    def acquired(self) -> date | None:
        """Day of the image, where the run knows it."""
        said = self.result.scene.get("acquired")
        return date.fromisoformat(str(said)[:10]) if said else None

    def scene(self) -> Scene:
        """The scene, opened again from where it was.

        Raises:
            SceneError: If it has gone, or the run does not say where it was.
        """
        request = self.result.scene.get("request")
        if not request:
            raise SceneError(f"The run in {self.folder} does not say which scene it was made from; run it again.")
        return SceneRequest.from_json(request).load()

    def questions(
        self, *, style: str, only: Collection[int] | None = None, progress: Progress | None = None
    ) -> list[Question]:
        """What a model is asked about the clusters.

        Args:
            style: Card style.
            only: Clusters to ask about; all by default.
            progress: Where to report.

        Raises:
            AnnotationError: If the style or a cluster is unknown.
            SceneError: If the scene has gone.
        """
        result = self.result
        exhibits = build_exhibits(
            result.clusters,
            self.scene(),
            result.cards,
            style=style,
            only=only,
            acquired=self.acquired,
            progress=progress,
        )
        return [
            Question(result.cards[cluster], result.legend.scheme, exhibit=exhibit, seed=result.settings.seed)
            for cluster, exhibit in exhibits.items()
        ]

    def plain_questions(self) -> list[Question]:
        """The questions as annotators get them that judge by figures alone."""
        result = self.result
        return [
            Question(card, result.legend.scheme, seed=result.settings.seed) for _, card in sorted(result.cards.items())
        ]

    def give(self, answers: Sequence[Answer]) -> RunResult:
        """Let answers that somebody gave by hand vote, and keep them with the run.

        Raises:
            LegendError: If an answer names a cluster or class the run does not have.
            OutputError: If the run cannot be written.
            StoreError: If the workspace cannot be written.
        """
        if self.workspace is not None:
            return keep_given(self.workspace, self.run_id, answers)
        return give_answers(self.result, answers, folder=self.folder)


def find_run(name: str, *, workspace: Path | None = None) -> NamedRun:
    """The run of that name.

    Args:
        name: A folder with the files of a run, or the id of a run of the workspace. A folder inside the workspace is
            the workspace's run: what is given to it has to reach the store too.
        workspace: The workspace folder; by default what `S2DASH_WORKSPACE` names, else `workspace` where one stands.

    Raises:
        StoreError: If there is none, or it cannot be read.
    """
    folder = Path(name)
    home = workspace or Path(os.environ.get(WORKSPACE) or "workspace")
    kept = home / "runs"
    inside = folder.resolve().parent == kept.resolve()
    if (folder / RUN).is_file() and not inside:
        return NamedRun(read_run(folder), folder)
    if (kept / folder.name).is_dir() and (inside or folder.name == name):
        space = Workspace.open(home, url=os.environ.get("S2DASH_DATABASE") or None)
        return NamedRun(space.open_run(folder.name), space.store.run_folder(folder.name), space, folder.name)
    raise StoreError(
        f"There is no run {name!r}: it is neither a folder with {RUN} nor the id of a run in {home}. "
        "Give the folder that `run --out` wrote."
    )
