"""What a person changes in a cluster map: merge, split, sieve, smooth; recorded, so that it can be done again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import numpy as np
from rasterio.windows import Window

from s2dash.clustering.filters import WINDOWS, majority, sieve
from s2dash.clustering.kmeans import fit_centres
from s2dash.clustering.model import MAX_CLUSTERS, ClusterMap
from s2dash.errors import EditError, GridMismatchError, TooFewDistinctPixelsError
from s2dash.features import FeatureStack
from s2dash.grid import blocks, slices
from s2dash.parallel import ordered_map
from s2dash.progress import Progress, Silent, Stage, steps
from s2dash.types import FloatArray, LabelArray

Kind = Literal["merge", "split", "sieve", "majority"]

MOST_PARTS = 10
"""Most parts a cluster is split into at once."""
SPLIT_PIXELS = 20_000
"""Most pixels of a cluster that its parts are fitted on."""


@dataclass(frozen=True)
class ClusterEdit:
    """One change of a cluster map.

    Numbers are never used twice: what merging and splitting make gets new ones, because what people and annotators
    said belongs to a number.

    Raises:
        EditError: If it makes no sense on any map.
    """

    kind: Kind
    """What is done."""
    clusters: tuple[int, ...]
    """Clusters it is done to: two or more to merge, one to split, none for the others, which look at the whole map."""
    value: int
    """Split: number of parts, 2 … 10. Sieve: smallest patch that stays, pixels. Majority: side of the window, pixels,
    odd, 3 … 15. Merge: 0."""
    who: str
    """Who asked for it."""
    when: datetime
    """When, with a time zone; kept in UTC."""
    made: tuple[int, ...] = ()
    """Numbers of the clusters it made; empty before it was applied, and for sieve and majority."""
    seed: int = 0
    """Of a split."""
    why: str = ""
    """The person's reason, if they gave one."""

    def __post_init__(self) -> None:
        if self.when.tzinfo is None:
            raise EditError(f"The time of a change, {self.when}, has no time zone. Give it in UTC.")
        object.__setattr__(self, "when", self.when.astimezone(UTC))
        if self.kind not in get_args(Kind):
            raise EditError(f"There is no change {self.kind!r} of a cluster map. Known: {', '.join(get_args(Kind))}.")
        problem = _PROBLEMS[self.kind](self.clusters, self.value)
        if problem:
            raise EditError(problem)

    @property
    def text(self) -> str:
        """What was done, in plain words."""
        made = _listed(self.made)
        if self.kind == "merge":
            return f"Merged clusters {_listed(self.clusters)}" + (f" into {made}" if made else "")
        if self.kind == "split":
            return f"Split cluster {self.clusters[0]} into {made or f'{self.value} parts'}"
        if self.kind == "sieve":
            return f"Sieved: patches smaller than {self.value:,} pixels went to their largest neighbour"
        return f"Smoothed: each pixel went to the majority of {self.value} × {self.value} pixels around it"

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        lists = {"clusters": list(self.clusters), "made": list(self.made)}
        return {**asdict(self), **lists, "when": self.when.isoformat()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ClusterEdit:
        """From `to_json`.

        Raises:
            EditError: If something is missing or makes no sense.
        """
        try:
            return cls(
                kind=content["kind"],
                clusters=tuple(int(cluster) for cluster in content["clusters"]),
                value=int(content["value"]),
                who=str(content["who"]),
                when=datetime.fromisoformat(content["when"]),
                made=tuple(int(cluster) for cluster in content.get("made", ())),
                seed=int(content.get("seed", 0)),
                why=str(content.get("why", "")),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise EditError(f"A recorded change of the clusters cannot be read: {error!r} in {content!r}.") from error


def apply_edit(
    clusters: ClusterMap,
    edit: ClusterEdit,
    *,
    used: Collection[int],
    features: FeatureStack | None = None,
    progress: Progress | None = None,
) -> tuple[ClusterMap, ClusterEdit]:
    """Change a cluster map; the one given stays as it is.

    Args:
        clusters: The map.
        edit: What to do. If it was applied before (`made` is known), the same numbers are given again, so that a
            history can be replayed without one of its steps.
        used: Every number ever used in this run, also of clusters that are gone.
        features: Of the scene; needed to split.
        progress: Where to report, and through which to cancel.

    Returns:
        The changed map, without a fitted model, whose settings list the change under `edits`; and the change with
        the numbers it made.

    Raises:
        EditError: If a cluster is not on the map, numbers run out, or the change does not fit the map.
        GridMismatchError: If `features` lie on another grid.
        TooLargeError: If the map has too many patches to sieve.
    """
    watch = progress or Silent()
    labels = clusters.labels
    present = clusters.counts()
    missing = [cluster for cluster in edit.clusters if cluster not in present]
    if missing:
        raise EditError(
            f"The map has no pixels of cluster {missing[0]}. Its clusters: {_listed(tuple(present)) or 'none'}."
        )
    if edit.kind == "merge":
        made = _numbers(edit, 1, {*used, *present})
        changed = _recode(labels, dict.fromkeys(edit.clusters, made[0]), watch)
    elif edit.kind == "split":
        made = _numbers(edit, edit.value, {*used, *present})
        changed = _split(clusters, edit, made, features, watch)
    elif edit.kind == "sieve":
        made = ()
        pixels = sum(present.values())
        if edit.value > pixels:
            raise EditError(
                f"No patch can have {edit.value:,} pixels: the map has {pixels:,}. Choose a smaller mapping unit."
            )
        changed = sieve(labels, unit=edit.value, progress=watch)
    else:
        made = ()
        changed = majority(labels, window=edit.value, progress=watch)
    done = replace(edit, made=made)
    settings = {**clusters.settings, "edits": [*clusters.settings.get("edits", ()), done.to_json()]}
    return ClusterMap(grid=clusters.grid, labels=changed, model=None, settings=settings), done


def _numbers(edit: ClusterEdit, count: int, taken: set[int]) -> tuple[int, ...]:
    """New cluster numbers, or those that a recorded change made before."""
    if edit.made:
        if len(set(edit.made)) != count or not all(1 <= number <= MAX_CLUSTERS for number in edit.made):
            raise EditError(f"The recorded change made clusters {_listed(edit.made)}, which does not fit: {edit.text}.")
        return edit.made
    first = max(taken, default=0) + 1
    if first + count - 1 > MAX_CLUSTERS:
        raise EditError(
            f"The new clusters would get numbers up to {first + count - 1}, but there are only {MAX_CLUSTERS} and none "
            "is used twice. Undo earlier changes, or cluster anew."
        )
    return tuple(range(first, first + count))


def _recode(labels: LabelArray, numbers: Mapping[int, int], progress: Progress) -> LabelArray:
    table = np.arange(256, dtype=np.uint8)
    for old, new in numbers.items():
        table[old] = new
    progress.report(0.0, "Renumbering clusters")
    return table[labels]


def _split(
    clusters: ClusterMap, edit: ClusterEdit, made: tuple[int, ...], features: FeatureStack | None, progress: Progress
) -> LabelArray:
    """The map with one cluster grouped anew by K-Means on its own pixels; the largest part gets the first number."""
    if features is None:
        raise EditError(f"Splitting cluster {edit.clusters[0]} needs the features of the scene.")
    if features.grid != clusters.grid:
        raise GridMismatchError("The clusters do not lie on the grid of these features; open the scene they belong to.")
    members = np.asarray(clusters.labels == edit.clusters[0])
    windows = [window for window in blocks(clusters.grid) if members[slices(window)].any()]
    keep = min(1.0, SPLIT_PIXELS / int(members.sum()))

    def draw(item: tuple[int, Window]) -> FloatArray:
        index, window = item
        inside = members[slices(window)]
        wanted = inside & (np.random.default_rng([edit.seed, 6, index]).random(inside.shape) < keep)
        if not wanted.any():
            return np.empty((0, len(features.names)), dtype=np.float32)
        values, valid = features.block(window)
        return values[:, wanted & valid].T

    drawing, fitting = Stage(progress, 0.0, 0.3), Stage(progress, 0.3, 0.6)
    drawn = np.concatenate(
        list(steps(ordered_map(draw, enumerate(windows)), total=len(windows), progress=drawing, text="Sampling pixels"))
    )
    try:
        model = fit_centres(drawn, k=edit.value, seed=edit.seed, feature_names=features.names, progress=fitting)
    except TooFewDistinctPixelsError as error:
        raise EditError(
            f"Cluster {edit.clusters[0]} has too few distinct pixels to make {edit.value} parts; choose fewer."
        ) from error
    parts = np.zeros_like(clusters.labels)

    def label(window: Window) -> None:
        inside = members[slices(window)]
        values, _ = features.block(window)
        parts[slices(window)][inside] = model.predict(np.ascontiguousarray(values[:, inside]))

    labelling = Stage(progress, 0.6, 1.0)
    for _ in steps(ordered_map(label, windows), total=len(windows), progress=labelling, text="Splitting the cluster"):
        pass
    sizes = np.bincount(parts[members], minlength=edit.value + 1)[1:]
    table = np.zeros(edit.value + 1, dtype=np.uint8)
    table[1 + np.argsort(-sizes, kind="stable")] = made
    return np.where(members, table[parts], clusters.labels)


def _listed(numbers: Sequence[int]) -> str:
    """`3, 5 and 7`."""
    *most, last = [str(number) for number in numbers] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def _merge_problem(clusters: tuple[int, ...], value: int) -> str:
    if len(set(clusters)) < 2 or len(set(clusters)) < len(clusters):
        return f"Merging takes two or more different clusters, not {_listed(clusters) or 'none'}."
    return "" if value == 0 else f"Merging takes no number, but {value} was given."


def _split_problem(clusters: tuple[int, ...], value: int) -> str:
    if len(clusters) != 1:
        return f"One cluster is split at a time, not {_listed(clusters) or 'none'}."
    return "" if 2 <= value <= MOST_PARTS else f"A cluster is split into 2 to {MOST_PARTS} parts, not {value}."


def _sieve_problem(clusters: tuple[int, ...], value: int) -> str:
    if clusters:
        return f"The sieve looks at the whole map, not at cluster {_listed(clusters)} alone."
    return "" if value >= 2 else f"The smallest patch to keep must have 2 pixels or more, not {value}."


def _majority_problem(clusters: tuple[int, ...], value: int) -> str:
    if clusters:
        return f"The majority filter looks at the whole map, not at cluster {_listed(clusters)} alone."
    sides = ", ".join(map(str, WINDOWS))
    return "" if value in WINDOWS else f"The window of a majority filter has a side of {sides} pixels, not {value}."


_PROBLEMS = {"merge": _merge_problem, "split": _split_problem, "sieve": _sieve_problem, "majority": _majority_problem}
