"""Editing the clusters of a run: merge, split, sieve, majority filter, and what becomes of names and decisions.

What costs anything is done for the clusters that changed alone. Annotators are asked only about numbers that are new:
a sieve or a majority filter moves pixels at the borders of clusters but leaves them what they are, so that nobody is
asked again because of it. Models that cost something are never asked here, only where a person asks them. The cards are
measured anew all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from s2dash.annotation.annotate import annotate
from s2dash.annotation.answer import Answer, ClusterCard
from s2dash.annotation.cards import build_cards
from s2dash.annotation.legend import Legend, LegendEntry, LegendEvent
from s2dash.annotation.registry import is_local
from s2dash.annotation.replies import AnswerBook
from s2dash.cluster_state import ClusterState
from s2dash.clustering import ClusterMap, SavedModel
from s2dash.clustering.edits import ClusterEdit, apply_edit
from s2dash.clustering.quality import measure_if_it_fits
from s2dash.errors import AnnotationError, EditError
from s2dash.features import FeatureStack, Standardiser
from s2dash.grid import slices, strips
from s2dash.pipeline import RunResult
from s2dash.progress import Progress, Silent, Stage
from s2dash.scene import Scene


def edit_state(
    result: RunResult,
    scene: Scene,
    edit: ClusterEdit,
    *,
    used: Collection[int],
    book: AnswerBook | None = None,
    model: Path | None = None,
    progress: Progress | None = None,
) -> tuple[ClusterState, ClusterEdit, tuple[str, ...]]:
    """The clusters of a run after an edit, with cards, answers and quality; the run itself stays as it is.

    Args:
        result: The run as it is now.
        scene: Its scene.
        edit: What to do.
        used: Cluster numbers that the run ever used: none of them is given to a new cluster.
        book: Where answers are kept and found again.
        model: The run's fitted model on disk, for the features of one that was fitted on another scene.
        progress: Where to report, and through which to cancel.

    Returns:
        The clusters, the edit with the numbers it made, and what the person should know, in whole sentences.

    Raises:
        EditError: If the edit cannot be made, or changes nothing.
        GridMismatchError: If the scene has another grid by now.
    """
    watch = progress or Silent()
    watch.report(0.0, "Editing the clusters")
    features = run_features(result, scene, model=model)
    clusters, made = apply_edit(result.clusters, edit, used=used, features=features, progress=Stage(watch, 0.02, 0.3))
    changed = _changed(result.clusters, clusters)
    if not changed:
        raise EditError(f"{made.text}: this changes no pixel of the map, so nothing was done.")
    clusters = replace(clusters, settings=result.clusters.settings)  # of the fit: the edits have a record of their own
    cards = _cards(result, scene, clusters, changed, progress=Stage(watch, 0.3, 0.5))
    answers, notes = _answers(result, scene, clusters, cards, book=book, progress=Stage(watch, 0.5, 0.6))
    quality, unmeasured = measure_if_it_fits(
        clusters, scene, cards=cards, features=features, seed=result.settings.seed, progress=Stage(watch, 0.6, 1.0)
    )
    notes.extend(unmeasured)
    gone = [number for number in sorted(set(result.cards) - set(cards)) if number not in made.clusters]
    if gone:
        notes.append(f"Nothing is left of {_listed(gone)}: all of it lay in patches that were too small.")
    return ClusterState(clusters, cards, answers, quality), made, tuple(notes)


def carry_decisions(
    before: Legend, after: Legend, edit: ClusterEdit, *, when: datetime | None = None
) -> tuple[list[LegendEvent], list[str]]:
    """What becomes of people's decisions about clusters that an edit replaces.

    The parts of a split are what a person called the whole, and a merger is what a person called its parts, if all of
    them have the same class. Every such decision becomes one of its own about the new cluster, in the same person's
    name. Parts of different classes say nothing about their merger: it goes by the vote.

    Args:
        before: The legend of the clusters that were edited.
        after: That of the clusters there are now, with all that was decided of them so far.
        edit: The edit with the numbers it made.
        when: Now, if not given.

    Returns:
        Legend events to append, and sentences on what was not carried over.
    """
    parents = [before.entries[cluster] for cluster in edit.clusters if cluster in before.entries]
    decided = [entry.override for entry in parents if entry.override is not None]
    made = [after.entries[cluster] for cluster in edit.made if cluster in after.entries]
    codes = {entry.code for entry in parents}
    if not decided or not made:
        return [], []
    now = when or datetime.now(UTC)
    if len(codes) == 1:
        (code,) = codes
        who = " and ".join(dict.fromkeys(event.who for event in decided))
        why = f"carried over from {_listed(edit.clusters)}"
        return [
            LegendEvent("override", entry.cluster, entry.code, code, who, now, why)
            for entry in made
            if entry.override is None or entry.code != code
        ], []
    said = "; ".join(_said(before, entry) for entry in parents)
    # What was carried over while the parts still agreed says nothing any more.
    stale = [entry for entry in made if entry.override is not None and entry.override.why.startswith("carried over")]
    events = [
        LegendEvent("undo", entry.cluster, entry.code, entry.vote.code, entry.override.who, now, "its parts differ now")
        for entry in stale
        if entry.override is not None
    ]
    return events, [f"{said}: these differ, so {_listed(edit.made)} goes by the vote. See the page Labels."]


def decided_since(events: Sequence[LegendEvent], edit: ClusterEdit) -> bool:
    """Whether people decided about the clusters an edit replaces after they last did about those it made."""
    last = {"parents": -1, "made": -1}
    for place, event in enumerate(events):
        if event.cluster in edit.clusters:
            last["parents"] = place
        if event.cluster in edit.made:
            last["made"] = place
    return last["parents"] > last["made"]


def run_features(result: RunResult, scene: Scene, *, model: Path | None = None) -> FeatureStack:
    """The features that a run's clusters were made of, standardised as they were then.

    Args:
        result: The run.
        scene: Its scene.
        model: Its fitted model on disk: one that was fitted on another scene brings its own features.
    """
    if result.settings.model and model is not None:
        return SavedModel.load(model).features(scene)
    settings, scaler = result.settings, result.clusters.settings.get("standardiser")
    return settings.features(scene, scaler=Standardiser.from_json(scaler) if scaler else None)


def _changed(before: ClusterMap, after: ClusterMap) -> set[int]:
    """Clusters that gained or lost pixels."""
    touched = np.zeros(256, dtype=bool)
    for window in strips(before.grid, rows=256):
        old, new = before.labels[slices(window)], after.labels[slices(window)]
        moved = old != new
        touched[old[moved]] = touched[new[moved]] = True
    return {int(cluster) for cluster in np.flatnonzero(touched) if cluster}


def _cards(
    result: RunResult, scene: Scene, clusters: ClusterMap, changed: set[int], *, progress: Progress
) -> dict[int, ClusterCard]:
    """The cards of the run, those of clusters that changed measured anew."""
    picked = np.isin(np.arange(256), sorted(changed))
    alone = replace(clusters, labels=np.where(picked[clusters.labels], clusters.labels, 0).astype(np.uint8))
    measured = build_cards(alone, scene, seed=result.settings.seed, progress=progress) if alone.labels.any() else {}
    counts = clusters.counts()
    total = sum(counts.values())
    cards = {}
    for cluster, pixels in sorted(counts.items()):
        card = measured[cluster] if cluster in measured else result.cards[cluster]
        cards[cluster] = replace(card, share=pixels / total)
    return cards


def _answers(
    result: RunResult,
    scene: Scene,
    clusters: ClusterMap,
    cards: dict[int, ClusterCard],
    *,
    book: AnswerBook | None,
    progress: Progress,
) -> tuple[tuple[Answer, ...], list[str]]:
    """The answers that still stand, and those about new clusters, which only annotators that cost nothing are asked."""
    standing = [answer for answer in result.legend.answers if answer.cluster in cards]
    new = {cluster: card for cluster, card in cards.items() if cluster not in result.cards}
    if not new:
        return tuple(standing), []
    local = [name for name in result.settings.annotators if is_local(name)]
    waits = f"{_listed(sorted(new))} waits for a person to name it, or for models to be asked about it."
    if not local:
        return tuple(standing), [waits]
    try:
        named = annotate(
            clusters,
            scene,
            annotators=local,
            scheme=result.legend.scheme,
            cards=new,
            book=book,
            progress=progress,
        )
    except AnnotationError as error:  # the edit is a person's own and stands; the person can name what it made too
        return tuple(standing), [f"{error} So {waits}"]
    return (*standing, *named.answers), []


def _said(legend: Legend, entry: LegendEntry) -> str:
    """Who calls a cluster what."""
    name = "unknown" if entry.code is None else legend.scheme[entry.code].name
    by = entry.override.who if entry.override is not None else "the vote"
    return f"{entry.cluster} is {name} by {by}"


def _listed(numbers: Sequence[int]) -> str:
    """`3`, `3 and 5`, `3, 5 and 7`."""
    words = [str(number) for number in numbers]
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""
