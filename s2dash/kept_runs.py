"""Finished runs as they stand: opened with all that people decided and edited since, and never left half changed."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache

from s2dash.annotation.answer import Answer
from s2dash.annotation.legend import Legend, LegendEvent
from s2dash.cluster_state import ClusterState
from s2dash.clustering.edits import ClusterEdit, Kind
from s2dash.edit_history import EditEntry, EditHistory
from s2dash.errors import EditError, OutputError, StoreError
from s2dash.export.folder import output_folder
from s2dash.export.run_files import (
    MODEL,
    REFERENCE,
    RUN,
    RUN_FILES,
    read_run,
    read_state,
    state_folder,
    write_run,
    write_state,
)
from s2dash.map_edit import MapEdit
from s2dash.pipeline import RunResult
from s2dash.progress import Progress, Silent, Stage
from s2dash.run_edits import carry_decisions, decided_since, edit_state
from s2dash.scene import Scene
from s2dash.scheme_edits import checked_class_edit, codes_used, edited_scheme
from s2dash.schemes import ClassScheme, load_scheme
from s2dash.sources.request import SceneRequest
from s2dash.store import MEANWHILE, Store, folder_lock

_OPEN_RUNS = 4


class KeptRuns:
    """The finished runs of a workspace."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._read = lru_cache(maxsize=_OPEN_RUNS)(self._read_files)

    def open_run(self, run_id: str) -> RunResult:
        """A run with all decisions and cluster edits made since.

        Raises:
            StoreError: If it is unknown, unfinished or damaged.
        """
        edits = self.store.changes(run_id).edits
        result = self._read(run_id, edits, self._written(run_id))
        changed = self.store.map_edits(run_id)
        legend = self._with_answers(run_id, replace(result.legend, scheme=_every_class(result.legend.scheme, changed)))
        legend = legend.with_history(self.store.events(run_id))
        legend = replace(legend, scheme=_scheme_in_force(legend, changed))
        if legend == result.legend and changed == result.map_edits:
            return result
        reference = result.reference
        if reference is not None and reference.scheme != legend.scheme:
            reference = replace(reference, scheme=legend.scheme)
        return replace(result, legend=legend, reference=reference, map_edits=changed)

    def change_map(self, run_id: str, edit: MapEdit) -> MapEdit:
        """Record an area, a point or a class that a person changed, or that one is taken back.

        Returns:
            The same with its number; of a new class with its code.

        Raises:
            SchemeError: If a class cannot be changed so: its name is taken, or it is in use and cannot be taken back.
            StoreError: If the run is unknown.
        """
        named = replace(edit, who=edit.who or person())
        if named.kind in ("area", "point", "sample"):
            return self.store.add_map_edit(run_id, named)
        self.open_run(run_id)  # says so where there is no such run
        with folder_lock(self.store.run_folder(run_id)):  # one at a time, or two new classes would get one code
            legend, edits = self.open_run(run_id).legend, self.store.map_edits(run_id)
            return self.store.add_map_edit(run_id, checked_class_edit(named, legend, edits))

    def _with_answers(self, run_id: str, legend: Legend) -> Legend:
        """A legend with every answer that is kept for its clusters, also one that came after the files were written."""
        kept = [answer for answer in self.store.answers(run_id) if answer.cluster in legend.clusters]
        known = {_which(answer) for answer in kept}
        only_here = [answer for answer in legend.answers if _which(answer) not in known]
        return replace(legend, answers=(*only_here, *kept))

    def scene(self, run_id: str) -> Scene:
        """The scene of a run, opened again from where it was.

        Raises:
            SceneError: If it has gone.
        """
        return SceneRequest.from_json(self.store.run(run_id).scene).load()

    def override(self, run_id: str, cluster: int, code: int | None, *, who: str = "", why: str = "") -> None:
        """Decide what a cluster is; in the store before this returns.

        Raises:
            LegendError: If cluster or class is unknown.
        """
        self._decide(run_id, lambda legend: legend.override(cluster, code, who=who or person(), why=why))

    def note(self, run_id: str, cluster: int, text: str, *, who: str = "") -> None:
        """Leave a note on a cluster, for everybody who opens the run; it changes no class and is never lost.

        Raises:
            LegendError: If the cluster is unknown, or the note empty.
        """
        self._decide(run_id, lambda legend: legend.note(cluster, text, who=who or person()))

    def undo(self, run_id: str, *, who: str = "") -> None:
        """Take the last decision back.

        Raises:
            LegendError: If there is none.
        """
        self._decide(run_id, lambda legend: legend.undo(who=who or person()))

    def redo(self, run_id: str, *, who: str = "") -> None:
        """Decide again what was taken back.

        Raises:
            LegendError: If nothing was.
        """
        self._decide(run_id, lambda legend: legend.redo(who=who or person()))

    def edit_clusters(
        self,
        run_id: str,
        kind: Kind,
        *,
        clusters: Sequence[int] = (),
        value: int = 0,
        who: str = "",
        why: str = "",
        progress: Progress | None = None,
    ) -> EditEntry:
        """Change the clusters of a finished run; recorded in the run, and taken back by `undo_edit`.

        Cards are measured for the clusters that changed, annotators asked about those that are new, and nobody's
        decision is lost: see `s2dash.run_edits`.

        Args:
            run_id: The run.
            kind: `merge` several clusters, `split` one, `sieve` out small patches, or smooth by a `majority` filter.
            clusters: Which ones; for sieve and majority filter empty for all.
            value: Parts of a split, least pixels of a patch, or side of the filter's window, pixels.
            who: The person.
            why: The reason.
            progress: Where to report, and through which to cancel.

        Raises:
            EditError: If it cannot be done, or changes nothing.
            SceneError: If the scene has gone: new clusters cannot be measured then.
            StoreError: If somebody else edited the clusters meanwhile.
            Cancelled: If the person stopped it; the clusters stay as they were.
        """
        watch = progress or Silent()
        watch.report(0.0, "Opening the run")
        result = self.open_run(run_id)
        asked = ClusterEdit(
            kind=kind,
            clusters=tuple(clusters),
            value=value,
            who=who or person(),
            when=datetime.now(UTC),
            seed=result.settings.seed,
            why=why,
        )
        state, made, notes = edit_state(
            result,
            self.scene(run_id),
            asked,
            used=self._used_numbers(run_id, result),
            book=self.store.answer_book(run_id),
            model=result.kept_files.get(MODEL),
            progress=Stage(watch, 0.05, 0.95),
        )
        watch.report(0.95, "Keeping the result")
        after = state.legend(result.legend.scheme, rule=result.legend.rule)
        events, said = carry_decisions(result.legend, after, made)
        entry = EditEntry(result.edits.last + 1, "edit", made, made.who, made.when, (*notes, *said))
        self._commit(run_id, result, entry, state=state, events=events)
        return entry

    def undo_edit(self, run_id: str, *, who: str = "") -> EditEntry:
        """Take the latest edit of the clusters back; needs neither the scene nor time.

        Raises:
            EditError: If there is none.
        """
        result = self.open_run(run_id)
        back = result.edits.next_undo
        if back is None:
            raise EditError("There is no edit of the clusters to undo.")
        entry = EditEntry(result.edits.last + 1, "undo", back.edit, who or person(), datetime.now(UTC))
        self._commit(run_id, result, entry)
        return entry

    def redo_edit(self, run_id: str, *, who: str = "") -> EditEntry:
        """Bring back the edit of the clusters that was undone last.

        What people decided about the clusters meanwhile counts as if they had decided it before the edit.

        Raises:
            EditError: If there is none, or another was made since.
        """
        result = self.open_run(run_id)
        again = result.edits.next_redo
        if again is None:
            raise EditError("There is no edit of the clusters to redo: none was undone since the last was made.")
        events: list[LegendEvent] = []
        said: list[str] = []
        decided = [event for event in self.store.events(run_id) if event.kind != "note"]
        if decided_since(decided, again.edit):
            settings = result.clusters.settings
            state = read_state(self.store.run_folder(run_id), again.seq, settings=settings)
            after = self._with_answers(run_id, state.legend(result.legend.scheme, rule=result.legend.rule))
            events, said = carry_decisions(result.legend, after.with_history(decided), again.edit)
        entry = EditEntry(result.edits.last + 1, "redo", again.edit, who or person(), datetime.now(UTC), tuple(said))
        self._commit(run_id, result, entry, events=events)
        return entry

    def _decide(self, run_id: str, change: Callable[[Legend], Legend]) -> None:
        result = self.open_run(run_id)
        legend = result.legend
        for event in change(legend).events[len(legend.events) :]:
            self.store.add_event(run_id, event, edit=result.edits.last)

    def _commit(
        self,
        run_id: str,
        result: RunResult,
        entry: EditEntry,
        *,
        state: ClusterState | None = None,
        events: Sequence[LegendEvent] = (),
    ) -> None:
        """Make an edit, undo or redo so that a crash at any moment leaves the run before it or after it.

        The clusters are kept under the number of the edit first, then the edit is recorded: from that moment on it is
        done, and nothing may stop it. Files that do not show it yet are written anew when the run is next opened.
        """
        folder = self.store.run_folder(run_id)
        with folder_lock(folder):
            if self.store.changes(run_id).edits != result.edits.last:
                raise StoreError(MEANWHILE)
            if state is not None:
                with output_folder(folder) as staging:
                    if not result.edits.entries:
                        write_state(result.state, staging / state_folder(0))
                    write_state(state, staging / state_folder(entry.seq))
            target = EditHistory((*result.edits.entries, entry)).state
            read_state(folder, target, settings=result.clusters.settings)  # what cannot be read is found out before
            self.store.add_cluster_edit(run_id, entry, events=events)
        self.open_run(run_id)

    def _used_numbers(self, run_id: str, result: RunResult) -> set[int]:
        """Every cluster number that a run ever used: a number means one thing for good."""
        used = set(result.cards) | result.edits.made | {event.cluster for event in self.store.events(run_id)}
        return used | {cluster for entry in result.edits.entries for cluster in entry.edit.clusters}

    def _change(self, run_id: str, change: Callable[[RunResult], RunResult]) -> None:
        """Write something new into the files of a run, whatever else happened to it meanwhile."""
        with folder_lock(self.store.run_folder(run_id)):
            self._write(run_id, change(self.open_run(run_id)))

    def _write(self, run_id: str, result: RunResult, *, kept: frozenset[str] = frozenset()) -> None:
        with output_folder(self.store.run_folder(run_id), owns=frozenset(RUN_FILES) - kept) as staging:
            write_run(result, staging, kept=sorted(kept))
        self.store.finish_run(run_id, summary=summary(result))

    def _written(self, run_id: str) -> int:
        """When the files of a run were last written, ns."""
        try:
            return (self.store.run_folder(run_id) / RUN).stat().st_mtime_ns
        except OSError:
            return 0

    def _read_files(self, run_id: str, edits: int, written: int) -> RunResult:  # noqa: ARG002 - when to read again
        folder = self.store.run_folder(run_id)
        result = read_run(folder)
        history = self.store.cluster_edits(run_id)
        if history.last == result.edits.last:
            return result
        changed = self.store.map_edits(run_id)
        result = replace(result, map_edits=changed).with_legend(
            replace(result.legend, scheme=_every_class(result.legend.scheme, changed))
        )
        # The record is right, and the files are behind: of an edit just made, or of one that a crash cut short.
        state = read_state(folder, history.state, settings=result.clusters.settings)
        result = result.with_state(state, edits=history, events=self.store.events(run_id))
        result = result.with_legend(self._with_answers(run_id, result.legend))  # those that came since the state
        kept = [*result.kept_files, *([REFERENCE, f"{REFERENCE}.aux.xml"] if result.reference is not None else [])]
        with suppress(OutputError):  # another process is at it, or nothing can be written: it is shown all the same
            self._write(run_id, result, kept=frozenset(name for name in kept if (folder / name).is_file()))
        return result


def _which(answer: Answer) -> tuple[object, ...]:
    """What tells an answer from every other of its run."""
    return answer.annotator, answer.cluster, answer.card, answer.prompt, answer.model


def _every_class(scheme: ClassScheme, edits: tuple[MapEdit, ...]) -> ClassScheme:
    """A run's scheme with every class that people ever added to it, for reading what was said and decided."""
    if not any(edit.kind == "class" for edit in edits):
        return scheme
    return edited_scheme(load_scheme(scheme.name), edits)


def _scheme_in_force(legend: Legend, edits: tuple[MapEdit, ...]) -> ClassScheme:
    """A run's scheme as it is now: without the classes that were taken back and that nothing uses."""
    if not any(edit.kind == "class" for edit in edits):
        return legend.scheme
    return edited_scheme(load_scheme(legend.scheme.name), edits, used=codes_used(legend, edits))


def person() -> str:
    """Who sits here, for the history of decisions: the account's name, until a person says another."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "someone"


def summary(result: RunResult) -> dict[str, object]:
    """What the list of runs shows."""
    found = result.agreement
    return {
        "clusters": len(result.cards),
        "edits": len(result.edits.in_force),
        "queue": len(result.legend.queue),
        "clear_percent": result.scene.get("clear_percent"),
        "overall": found.overall if found else None,
        "ceiling": found.ceiling.overall if found and found.ceiling else None,
        "reference": result.reference.title if result.reference else None,
        "seconds": round(sum(result.timings.values()), 2),
    }
