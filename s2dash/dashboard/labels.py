"""What the page of labels lists: clusters in the order a person wants, and how much land each class has."""

from __future__ import annotations

from s2dash.annotation.answer import Answer
from s2dash.annotation.legend import LegendEntry, LegendEvent
from s2dash.dashboard.texts import plain
from s2dash.pipeline import RunResult

FILTERS = ("All", "Waiting", "Changed")
"""Which clusters to show: all, those a person must decide, those a person decided."""
ORDERS = ("By number", "Largest first", "Least sure first", "Disputed first")
"""In which order."""


def class_name(result: RunResult, code: int | None) -> str:
    """Name of a class, or that there is none."""
    return "unknown" if code is None else result.legend.scheme[code].name


def chosen_entries(result: RunResult, *, show: str, order: str) -> list[LegendEntry]:
    """The clusters to show, in order.

    Args:
        result: The run.
        show: One of `FILTERS`.
        order: One of `ORDERS`; alike ones stay in the order of their numbers.
    """
    entries = list(result.legend.entries.values())
    if show == "Waiting":
        entries = [entry for entry in entries if entry.code is None]
    elif show == "Changed":
        entries = [entry for entry in entries if entry.override is not None]
    if order == "Largest first":
        entries.sort(key=lambda entry: -result.cards[entry.cluster].pixels)
    elif order == "Least sure first":
        entries.sort(key=lambda entry: entry.confidence)
    elif order == "Disputed first":
        place = {cluster: rank for rank, cluster in enumerate(result.legend.disputed)}
        entries.sort(key=lambda entry: place.get(entry.cluster, len(place)))
    return entries


def class_areas(result: RunResult) -> list[tuple[str, float, float]]:
    """Name, hectares and share (0-1) of every class, the largest first; clusters nobody named are `unknown`."""
    areas: dict[str, float] = {}
    for cluster, entry in result.legend.entries.items():
        name = class_name(result, entry.code)
        areas[name] = areas.get(name, 0.0) + result.cards[cluster].area_ha
    whole = sum(areas.values()) or 1.0
    return [(name, area, area / whole) for name, area in sorted(areas.items(), key=lambda item: (-item[1], item[0]))]


def event_lines(result: RunResult, event: LegendEvent) -> tuple[str, str]:
    """A decision in two lines of plain text: what, and by whom, when and why."""
    change = f"{event.cluster}: {class_name(result, event.before)} → {class_name(result, event.after)}"
    why = f" ({event.why})" if event.why else ""
    return f"{event.kind} {change}", f"{event.who}, {event.when:%d %b %Y, %H:%M} UTC{why}"


def answer_line(result: RunResult, answer: Answer) -> str:
    """What an annotator said of a cluster, in Markdown."""
    second = f", else {class_name(result, answer.second)}" if answer.second is not None else ""
    notes = [
        f"{answer.confidence:.0%}",
        *(["mixed"] if answer.mixed else []),
    ]
    name = "no usable reply" if answer.fault else f"{class_name(result, answer.code)}{second}"
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
        return "Nobody could name it."
    return "Votes: " + ", ".join(
        f"{one.count} for {class_name(result, code)}" for code, one in entry.vote.tally.items()
    )
