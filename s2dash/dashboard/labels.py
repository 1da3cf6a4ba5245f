"""What the page of labels lists: clusters in the order a person wants, how far the work is, and decisions in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from s2dash.annotation.answer import Answer
from s2dash.annotation.legend import Legend, LegendEntry, LegendEvent
from s2dash.dashboard.language import language, t
from s2dash.dashboard.texts import by_whom, plain
from s2dash.grid import pixel_area_ha
from s2dash.map_edit import in_force
from s2dash.pipeline import RunResult
from s2dash.schemes import UNDECIDED, ClassScheme

FILTERS = ("all", "waiting", "disputed", "changed")
"""Which clusters to show: all, those a person must decide, those in doubt, those a person decided."""
ORDERS = ("number", "large", "unsure", "disputed")
"""In which order."""
CLEAR = 0.5
"""A lead of this share of the vote or more is called clear, a smaller one close."""


class Work(NamedTuple):
    """How far the naming is."""

    decided: int
    """Clusters that a person gave a class, or that two annotators or more called the same."""
    waiting: int
    """Clusters without any class."""
    total: int
    """All."""


def class_name(result: RunResult, code: int | None) -> str:
    """Name of a class in the language of the session, or that there is none."""
    return name_in(result.legend.scheme, code)


def noise_marked(result: RunResult, cluster: int, name: str) -> str:
    """What a cluster is called, and that it is noise if it is."""
    return t("clusters.noise", name=name) if cluster == result.clusters.noise else name


def name_in(scheme: ClassScheme, code: int | None) -> str:
    """Name of a class of a scheme in the language of the session, or that there is none."""
    return t("common.unknown") if code is None else scheme_class_name(scheme, code)


def scheme_class_name(scheme: ClassScheme, code: int) -> str:
    """Name of a class in the language of the session; of one that the scheme no longer has, its code."""
    if code not in scheme:
        return str(code)
    return scheme[code].names.get(language()) or scheme[code].name


def is_decided(entry: LegendEntry) -> bool:
    """Whether nobody need look at a cluster any more: a person gave it a class, or those who named it agree.

    Agreement takes two: what one annotator says alone has been checked by nobody.
    """
    if entry.code is None:
        return False
    if entry.override is not None:
        return True
    named = sum(answer.code is not None for answer in entry.voters)
    return named >= 2 and entry.vote.margin >= 1.0 and entry.mixed == 0.0


def work_done(legend: Legend) -> Work:
    """How far the naming is."""
    entries = legend.entries.values()
    return Work(sum(map(is_decided, entries)), len(legend.queue), len(legend.entries))


def in_doubt(legend: Legend) -> tuple[int, ...]:
    """Clusters that are not decided: the disputed ones first, as the legend ranks them, then those one named alone."""
    disputed = legend.disputed
    alone = (cluster for cluster, entry in legend.entries.items() if not is_decided(entry) and cluster not in disputed)
    return (*disputed, *alone)


def next_in_doubt(legend: Legend, at: int | None) -> int | None:
    """The cluster to look at after this one: along the ranking from where it stands, then round; None for none."""
    rank = in_doubt(legend)
    if not rank or rank == (at,):
        return None
    return rank[(rank.index(at) + 1) % len(rank)] if at in rank else rank[0]


def step_from(clusters: Sequence[int], at: int, step: int) -> int | None:
    """The cluster so many places on in a list; None past its ends, the first where `at` is not in it."""
    if at not in clusters:
        return clusters[0] if clusters else None
    place = clusters.index(at) + step
    return clusters[place] if 0 <= place < len(clusters) else None


def chosen_entries(result: RunResult, *, show: str, order: str) -> list[LegendEntry]:
    """The clusters to show, in order.

    Args:
        result: The run.
        show: One of `FILTERS`.
        order: One of `ORDERS`; alike ones stay in the order of their numbers.
    """
    doubtful = in_doubt(result.legend)
    entries = list(result.legend.entries.values())
    if show == "waiting":
        entries = [entry for entry in entries if entry.code is None]
    elif show == "disputed":
        entries = [entry for entry in entries if entry.cluster in doubtful]
    elif show == "changed":
        entries = [entry for entry in entries if entry.override is not None]
    if order == "large":
        entries.sort(key=lambda entry: -result.cards[entry.cluster].pixels)
    elif order == "unsure":
        entries.sort(key=lambda entry: entry.confidence)
    elif order == "disputed":
        place = {cluster: rank for rank, cluster in enumerate(doubtful)}
        entries.sort(key=lambda entry: place.get(entry.cluster, len(place)))
    return entries


def class_areas(result: RunResult) -> list[tuple[str, float, float]]:
    """Name, hectares and share (0-1) of every class, the largest first; clusters nobody named are `unknown`."""
    areas: dict[str, float] = {}
    if any(edit.kind == "area" for edit in in_force(result.map_edits)):  # areas cut through clusters
        named, per_row = result.landcover, pixel_area_ha(result.landcover.grid)
        areas = {class_name(result, code): hectares for code, hectares in named.area_ha().items()}
        if unnamed := float(((named.codes == UNDECIDED).sum(axis=1) * per_row).sum()):
            areas[class_name(result, None)] = unnamed
    else:
        for cluster, entry in result.legend.entries.items():
            name = class_name(result, entry.code)
            areas[name] = areas.get(name, 0.0) + result.cards[cluster].area_ha
    whole = sum(areas.values()) or 1.0
    return [(name, area, area / whole) for name, area in sorted(areas.items(), key=lambda item: (-item[1], item[0]))]


def event_lines(result: RunResult, event: LegendEvent) -> tuple[str, str]:
    """A decision or a note in two lines of plain text: what, and by whom, when and why."""
    why = "" if event.kind == "note" else event.why
    return event_text(result, event), by_whom(event.who, event.when, why)


def event_text(result: RunResult, event: LegendEvent, *, scheme: ClassScheme | None = None) -> str:
    """A decision or a note in a line of plain text.

    Args:
        result: The run.
        event: What was done.
        scheme: The classes as they were called then; by default as they are called now.
    """
    if event.kind == "note":
        return t("labels.event_note", cluster=event.cluster, text=event.why)
    scheme = scheme or result.legend.scheme
    before, after = name_in(scheme, event.before), name_in(scheme, event.after)
    kind = "accept" if event.kind == "override" and event.before == event.after else event.kind
    change = f"{event.cluster}: {after}" if before == after else f"{event.cluster}: {before} → {after}"
    return f"{t(f'labels.event_{kind}')} {change}"


def answer_line(result: RunResult, answer: Answer) -> str:
    """What an annotator said of a cluster, in Markdown."""
    name = class_name(result, answer.code)
    if answer.fault:
        name = t("labels.no_reply")
    elif answer.second is not None:
        name = t("labels.first_and_second", first=name, second=class_name(result, answer.second))
    notes = [f"{answer.confidence:.0%}", *([t("labels.mixed")] if answer.mixed else [])]
    return f"**{plain(who(answer))}**: {plain(name)} ({', '.join(notes)})"


def who(answer: Answer) -> str:
    """Who gave an answer; of a recorded one the model, and the day it was recorded."""
    return answer.model if answer.recorded and not answer.fault else answer.annotator


def unread_terms(entry: LegendEntry) -> tuple[str, ...]:
    """Words that annotators used for a cluster and that name no class, for a person to say what they mean."""
    words = (answer.term for answer in entry.voters if answer.fault and answer.term)
    return tuple(dict.fromkeys(words))


def votes_line(result: RunResult, entry: LegendEntry) -> str:
    """How the vote over a cluster went, in a line of plain text."""
    if not entry.vote.tally:
        return t("labels.no_vote")
    return t("labels.votes") + ", ".join(
        t("labels.votes_for", count=one.count, name=class_name(result, code)) for code, one in entry.vote.tally.items()
    )


def margin_line(result: RunResult, entry: LegendEntry) -> str:
    """How close the vote over a cluster was, in a line of plain text; empty where nobody voted."""
    tally, voted = entry.vote.tally, entry.vote
    if not tally:
        return ""
    if sum(one.count for one in tally.values()) == 1:
        return t("labels.one_vote")
    if len(tally) == 1:
        return t("labels.unanimous")
    if voted.code is None:
        return t("labels.tied")
    if voted.decided_by == "confidence":
        return t("labels.tied_surer", name=class_name(result, voted.code))
    second = max((code for code in tally if code != voted.code), key=lambda code: tally[code].strength)
    return t(
        "labels.clear" if voted.margin >= CLEAR else "labels.close",
        first=class_name(result, voted.code),
        second=class_name(result, second),
        lead=f"{100 * voted.margin:.0f}",
    )
