"""How a map was made, in six steps for people who have never made one: pictures and plain words out of a run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date

import numpy as np
from babel.dates import format_date
from babel.numbers import format_decimal

from s2dash.annotation.answer import Answer
from s2dash.annotation.legend import LegendEntry, LegendEvent
from s2dash.clustering import METHODS
from s2dash.colours import AGREE_COLOUR, DISAGREE_COLOUR, UNDECIDED_COLOUR, cluster_colours, scheme_colours
from s2dash.comparison import WORLDCOVER_OVERALL
from s2dash.dashboard.labels import who
from s2dash.dashboard.language import language, t
from s2dash.dashboard.story_pictures import StoryPicture, codes_picture, imagery, one_cluster
from s2dash.dashboard.view import ClusterView
from s2dash.grid import pixel_area_ha
from s2dash.map_edit import in_force
from s2dash.pipeline import RunResult
from s2dash.schemes import UNDECIDED

STEPS = ("saw", "unseen", "groups", "names", "people", "map")
"""The steps, in order."""
_PERSON_COLOUR, _AGREED, _DIFFER, _PERSON, _WAITS = "#8E5BD0", 1, 2, 3, 4
_FAR_KM = 100.0
"""A town farther off does not say where a place is."""


@dataclass(frozen=True)
class StoryStep:
    """One step of the story."""

    name: str
    """One of `STEPS`."""
    title: str
    """In a few words."""
    sentences: tuple[str, ...]
    """What happened, in plain text."""
    picture: StoryPicture | None = None
    """What it looks like; None where there is nothing to show."""
    head: tuple[str, ...] = ()
    """Titles of the table's columns."""
    rows: tuple[tuple[str, ...], ...] = ()
    """A small table; empty where there is none."""
    marks: tuple[str, ...] = ()
    """`#RRGGBB` of each row in the picture; empty where rows have no colour."""
    after: tuple[str, ...] = ()
    """What to know besides, below the table."""


def story_steps(result: RunResult, view: ClusterView) -> tuple[StoryStep, ...]:
    """The six steps of a run, in the language that is spoken.

    What a run lacks (imagery, answers, a reference) is said in its step; no figure is made up.

    Args:
        result: The run with all decisions.
        view: Its pictures.
    """
    return (
        _saw(result, view),
        _unseen(result, view),
        _groups(result),
        _names(result, view),
        _people(result),
        _map(result),
    )


def sources(result: RunResult) -> str:
    """Whose data the pictures and figures are from, in a line; empty where nobody asks to be named."""
    credits = [str(result.scene.get("attribution") or ""), result.reference.attribution if result.reference else ""]
    return " · ".join(dict.fromkeys(filter(None, credits)))


# ---- the steps


def _saw(result: RunResult, view: ClusterView) -> StoryStep:
    scene = result.scene
    simulated = scene["kind"] == "simulated"
    acquired = scene.get("acquired")
    if simulated:
        said = [t("story.saw_simulated")]
    elif acquired:
        said = [t("story.saw_on", day=_day(str(acquired)))]
    else:
        said = [t("story.saw_unknown_day")]
    if not simulated:
        said.append(_place(result))
    side, width, height = scene["pixel_size_m"], scene["width"], scene["height"]
    said.append(
        t(
            "story.saw_size",
            area=_number(scene["area_km2"]),
            width=_number(width * side / 1000),
            height=_number(height * side / 1000),
            side=_number(side),
        )
    )
    if scene.get("scl"):
        clear = float(scene["clear_percent"])
        said.append(t("story.saw_all_clear") if clear >= 99.95 else t("story.saw_clear", percent=_number(clear)))
    picture = imagery(view, "true colour", caption=t("story.saw_caption"))
    if picture is None:
        said.append(t("story.no_imagery") if view.scene is None else t("story.saw_no_colours"))
    return StoryStep("saw", t("story.saw"), tuple(said), picture)


def _unseen(result: RunResult, view: ClusterView) -> StoryStep:
    said = [t("story.unseen_bands", count=len(result.scene["bands"]))]
    picture = imagery(view, "false colour", caption=t("story.unseen_caption"))
    if picture is not None:
        said += [t("story.unseen_red"), t("story.unseen_use")]
    else:
        said.append(t("story.no_imagery") if view.scene is None else t("story.unseen_missing"))
    return StoryStep("unseen", t("story.unseen"), tuple(said), picture)


def _groups(result: RunResult) -> StoryStep:
    cards = result.cards.values()
    said = [t("story.groups_sorted", count=len(result.cards)), t("story.groups_no_names")]
    if len(result.cards) > 1:
        largest, smallest = max(card.share for card in cards), min(card.share for card in cards)
        said.append(t("story.groups_shares", largest=_percent(largest), smallest=_percent(smallest)))
    if edits := len(result.edits.in_force):
        said.append(t("story.groups_edited", count=edits))
    if (method := METHODS.get(result.settings.method)) is not None:
        said.append(t("story.groups_method", method=method.title))
    clusters = result.clusters
    caption = t("story.groups_caption")
    picture = codes_picture(
        clusters.labels,
        clusters.grid,
        colours=cluster_colours(clusters.n_clusters, noise=clusters.noise),
        caption=caption,
    )
    return StoryStep("groups", t("story.groups"), tuple(said), picture)


def _names(result: RunResult, view: ClusterView) -> StoryStep:
    asked = list(dict.fromkeys(_called(answer) for answer in result.legend.answers))
    entry = example(result)
    if entry is None:
        return StoryStep("names", t("story.names"), (t("story.names_nobody"),))
    card = result.cards[entry.cluster]
    caption = t("story.names_caption", group=entry.cluster)
    picture = one_cluster(view, entry.cluster, caption=caption)
    area, share = _number(card.area_ha), _percent(card.share)
    if not asked:
        return StoryStep("names", t("story.names"), (t("story.names_nobody"),), picture)
    said = (
        t("story.names_asked", count=len(asked), names=", ".join(asked)),
        t("story.names_example", group=entry.cluster, area=area, percent=share),
    )
    rows = tuple((_called(answer), _answered(result, answer), _sure(answer)) for answer in entry.voters)
    head = (t("story.column_who"), t("story.column_says"), t("story.column_sure"))
    return StoryStep("names", t("story.names"), said, picture, head, rows, after=(_vote(result, entry),))


def _people(result: RunResult) -> StoryStep:
    legend = result.legend
    decided = Counter(entry.decided_by for entry in legend.entries.values())
    total, by_vote = len(legend.entries), decided["vote"] + decided["confidence"]
    said = [t("story.people_total", count=total)]
    said += [t("story.people_vote", count=by_vote)] if by_vote else []
    said += [t("story.people_person", count=decided["person"])] if decided["person"] else []
    said += [t("story.people_nobody", count=decided["nobody"])] if decided["nobody"] else []
    chosen = [entry.override for entry in legend.entries.values() if entry.override is not None]
    after: list[str] = []
    if chosen:
        after.append(_decision(result, max(chosen, key=lambda event: event.when)))
    kinds = Counter(edit.kind for edit in in_force(result.map_edits))
    after += [t("story.people_areas", count=kinds["area"])] if kinds["area"] else []
    after += [t("story.people_points", count=kinds["point"])] if kinds["point"] else []
    after += [t("story.people_notes", count=len(legend.notes))] if legend.notes else []
    if not after:
        after.append(t("story.people_untouched"))
    return StoryStep("people", t("story.people"), tuple(said), _who_decided(result), after=tuple(after))


def _map(result: RunResult) -> StoryStep:
    landcover = result.landcover
    areas = sorted(landcover.area_ha().items(), key=lambda item: -item[1])
    waiting = float(((landcover.codes == UNDECIDED).sum(axis=1) * pixel_area_ha(landcover.grid)).sum())
    whole = sum(area for _, area in areas) + waiting
    colours = scheme_colours(landcover.scheme)
    named = [(_class(result, code), colours[code], area) for code, area in areas]
    named += [(t("story.unnamed"), UNDECIDED_COLOUR, waiting)] if waiting else []
    rows = tuple((name, _hectares(area), _percent(area / whole)) for name, _, area in named)
    picture = codes_picture(
        landcover.codes,
        landcover.grid,
        colours=colours,
        caption=t("story.map_caption"),
    )
    said = [t("story.map_made", count=len(areas))] if areas else [t("story.map_nothing")]
    head = (t("story.column_class"), t("story.column_hectares"), t("story.column_share"))
    marks = tuple(colour for _, colour, _ in named)
    return StoryStep("map", t("story.map"), tuple(said), picture, head, rows, marks, tuple(_agreement(result)))


# ---- words


def _agreement(result: RunResult) -> list[str]:
    found, reference = result.agreement, result.reference
    if found is None or reference is None:
        return [t("story.map_not_compared")]
    simulated = result.scene["kind"] == "simulated"
    name = f"{reference.title} {reference.year}" if reference.year and not simulated else reference.title
    if str(reference.year) in reference.title:
        name = reference.title
    other = t("story.map_truth") if simulated else name
    said = [t("story.map_agrees", same=_hundred(found.overall), other=other)]
    if found.ceiling is not None and found.ceiling.overall >= found.overall:
        said.append(t("story.map_ceiling", same=_hundred(found.ceiling.overall)))
    if simulated:
        return [*said, t("story.map_simulated")]
    said.append(t("story.map_not_right", other=name))
    if (stated := WORLDCOVER_OVERALL.get(reference.worldcover_year or 0)) is not None:
        said.append(t("story.map_worldcover", percent=_number(stated), year=reference.worldcover_year))
    if result.year and reference.year and result.year != reference.year:
        said.append(t("story.map_years", image=result.year, other=reference.year))
    return said


def example(result: RunResult) -> LegendEntry | None:
    """The group that shows best how groups get names: most annotators answered, then the largest; None without any."""
    entries = list(result.legend.entries.values())
    return max(
        entries,
        key=lambda entry: (len(entry.voters), result.cards[entry.cluster].pixels, -entry.cluster),
        default=None,
    )


def _vote(result: RunResult, entry: LegendEntry) -> str:
    vote = entry.vote
    if vote.code is None:
        return t("story.vote_tied") if vote.tally else t("story.vote_nobody")
    name, voters = _class(result, vote.code), sum(one.count for one in vote.tally.values())
    if vote.decided_by == "confidence":
        return t("story.vote_surer", name=name)
    return t("story.vote_won", votes=vote.tally[vote.code].count, count=voters, name=name)


def _decision(result: RunResult, event: LegendEvent) -> str:
    day = format_date(event.when.date(), "d MMMM y", locale=language())
    after = t("story.unknown_class") if event.after is None else _class(result, event.after)
    before = t("story.unknown_class") if event.before is None else _class(result, event.before)
    kind = "kept" if event.before == event.after else "changed"
    said = t(f"story.people_{kind}", who=event.who, day=day, group=event.cluster, before=before, after=after)
    return f"{said} {t('story.people_why', why=event.why)}" if event.why else said


def _called(answer: Answer) -> str:
    return t("story.rules") if answer.annotator == "rules" else who(answer)


def _answered(result: RunResult, answer: Answer) -> str:
    return t("story.no_answer") if answer.code is None else _class(result, answer.code)


def _sure(answer: Answer) -> str:
    return "" if answer.code is None else t("story.percent", percent=_number(round(100 * answer.confidence)))


def _class(result: RunResult, code: int) -> str:
    if not result.legend.scheme.knows(code):
        return str(code)
    cls = result.legend.scheme[code]
    return cls.names.get(language()) or cls.name


def _place(result: RunResult) -> str:
    from babel import Locale

    from s2dash.nearest_town import nearest_town

    bounds = result.scene["bounds"]
    east = bounds["east"] + (360 if bounds["east"] < bounds["west"] else 0)
    latitude, longitude = (bounds["south"] + bounds["north"]) / 2, (bounds["west"] + east) / 2
    town = nearest_town(latitude, longitude)
    if town.distance_km <= _FAR_KM:
        country = Locale(language()).territories.get(town.country, town.country)
        return t("story.saw_near", town=town.name, country=country, distance=_number(max(round(town.distance_km), 1)))
    longitude = (longitude + 180) % 360 - 180
    north = t("story.north" if latitude >= 0 else "story.south", degrees=_number(abs(latitude)))
    return t(
        "story.saw_at",
        latitude=north,
        longitude=t("story.east" if longitude >= 0 else "story.west", degrees=_number(abs(longitude))),
    )


def _who_decided(result: RunResult) -> StoryPicture:
    states = np.zeros(256, dtype=np.uint8)
    doubtful = set(result.legend.disputed)
    for cluster, entry in result.legend.entries.items():
        if entry.code is None:
            states[cluster] = _WAITS
        elif entry.decided_by == "person":
            states[cluster] = _PERSON
        else:
            states[cluster] = _DIFFER if cluster in doubtful else _AGREED
    colours = {_AGREED: AGREE_COLOUR, _DIFFER: DISAGREE_COLOUR, _PERSON: _PERSON_COLOUR, _WAITS: UNDECIDED_COLOUR}
    titles = {
        _AGREED: t("story.legend_agreed"),
        _DIFFER: t("story.legend_differ"),
        _PERSON: t("story.legend_person"),
        _WAITS: t("story.legend_waits"),
    }
    found = set(states.tolist())
    legend = tuple((title, colours[state]) for state, title in titles.items() if state in found)
    clusters = result.clusters
    return codes_picture(
        states[clusters.labels], clusters.grid, colours=colours, caption=t("story.people_caption"), legend=legend
    )


def _day(written: str) -> str:
    return format_date(date.fromisoformat(written[:10]), "d MMMM y", locale=language())


def _number(value: float) -> str:
    """A number as people write it: whole from 100 on, else with one digit behind the point."""
    return format_decimal(value, format="#,##0" if abs(value) >= 100 else "#,##0.#", locale=language())


def _hectares(area: float) -> str:
    return format_decimal(area, format="#,##0" if area >= 10 else "#,##0.0", locale=language())


def _percent(share: float) -> str:
    form = "#,##0.#" if share < 0.1 else "#,##0"
    return t("story.percent", percent=format_decimal(100 * share, format=form, locale=language()))


def _hundred(share: float) -> str:
    """So many of a hundred; only all are a hundred, and only none are 0."""
    return str(min(max(round(100 * share), 1 if share > 0 else 0), 99 if share < 1 else 100))
