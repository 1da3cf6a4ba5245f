from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from s2dash.annotation.answer import Answer
from s2dash.annotation.legend import Legend, LegendEvent, build_legend
from s2dash.annotation.vote import VotingRule
from s2dash.clustering.model import ClusterMap
from s2dash.errors import LegendError
from s2dash.schemes import UNDECIDED, load_scheme

SCHEME = load_scheme("worldcover")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def answer(cluster: int, code: int | None, confidence: float = 0.8, who: str = "rules") -> Answer:
    return Answer(annotator=who, cluster=cluster, code=code, confidence=confidence, answered=NOON)


def legend() -> Legend:
    """1: voted water; 2: tied; 3: only an unknown; 4: no answer at all."""
    given_answers = [answer(1, 80), answer(2, 30, 0.5), answer(2, 40, 0.5, "other"), answer(3, None)]
    return build_legend(given_answers, scheme=SCHEME, clusters=[1, 2, 3, 4])


def codes(of: Legend) -> list[int | None]:
    return [entry.code for entry in of.entries.values()]


def test_clusters_without_a_decision_wait_in_the_queue() -> None:
    built = legend()
    assert codes(built) == [80, None, None, None]
    assert built.queue == (2, 3, 4)
    assert [entry.decided_by for entry in built.entries.values()] == ["vote", "nobody", "nobody", "nobody"]
    assert built.entries[4].answers == ()


def test_a_persons_word_is_certain_and_kept_with_who_when_from_to_why() -> None:
    built = legend().override(1, 90, who="Olena", why="reeds", when=NOON)
    entry = built.entries[1]
    assert (entry.code, entry.confidence, entry.decided_by) == (90, 1.0, "person")
    assert entry.vote.code == 80
    assert built.events == (LegendEvent("override", 1, 80, 90, "Olena", NOON, "reeds"),)
    assert entry.override == built.events[0]


def test_accepting_the_vote_is_recorded() -> None:
    built = legend().override(1, 80, who="Olena")
    assert (built.entries[1].code, built.entries[1].decided_by, built.entries[1].confidence) == (80, "person", 1.0)
    assert len(built.events) == 1
    assert built.events[0].when.tzinfo is not None


def test_setting_to_unknown_puts_a_cluster_into_the_queue() -> None:
    built = legend().override(1, None, who="Olena")
    assert 1 in built.queue
    assert (built.entries[1].decided_by, built.entries[1].confidence) == ("person", 0.0)


def test_overriding_an_override_and_back() -> None:
    built = legend().override(1, 90, who="Olena").override(1, 10, who="Petro")
    assert built.events[1].before == 90
    once = built.undo(who="Olena")
    twice = once.undo(who="Olena")
    assert [one.entries[1].code for one in (built, once, twice)] == [10, 90, 80]
    assert (once.events[-1].before, once.events[-1].after) == (10, 90)
    assert twice.entries[1].decided_by == "vote"
    assert twice.redo(who="Petro").redo(who="Petro").entries[1].code == 10
    assert len(twice.events) == 4
    assert twice.history[0] == twice.events[-1]


def test_undo_takes_the_latest_of_anyone() -> None:
    built = legend().override(1, 90, who="Olena").override(2, 40, who="Petro").undo(who="Olena")
    assert codes(built) == [90, None, None, None]
    assert built.events[-1].cluster == 2
    assert built.events[-1].who == "Olena"


def test_a_new_override_clears_the_redo() -> None:
    built = legend().override(1, 90, who="Olena").undo(who="Olena")
    assert built.can_redo
    changed = built.override(2, 40, who="Olena")
    assert not changed.can_redo
    with pytest.raises(LegendError, match="redo"):
        changed.redo(who="Olena")


def test_nothing_to_undo_or_redo() -> None:
    built = legend()
    assert not built.can_undo
    assert not built.can_redo
    with pytest.raises(LegendError, match="nothing to undo"):
        built.undo(who="Olena")
    with pytest.raises(LegendError, match="nothing to redo"):
        built.redo(who="Olena")
    with pytest.raises(LegendError, match="nothing to undo"):
        built.override(1, 90, who="Olena").undo(who="Olena").undo(who="Olena")


def test_strangers_are_refused_with_what_there_is() -> None:
    with pytest.raises(LegendError, match=r"no cluster 9\..*1-4"):
        legend().override(9, 80, who="Olena")
    with pytest.raises(LegendError, match=r"no class 33.*80 Permanent water bodies"):
        legend().override(1, 33, who="Olena")
    with pytest.raises(LegendError, match="only 1, 2"):
        build_legend([answer(7, 80)], scheme=SCHEME, clusters=[1, 2])
    with pytest.raises(LegendError, match="answered 33"):
        build_legend([answer(1, 33)], scheme=SCHEME, clusters=[1])
    with pytest.raises(LegendError, match="1 to 254"):
        build_legend([], scheme=SCHEME, clusters=[0, 1])
    with pytest.raises(LegendError, match="time zone"):
        legend().override(1, 80, who="Olena", when=datetime(2026, 3, 1))
    with pytest.raises(LegendError, match="no event 'erase'"):
        legend().with_events([LegendEvent("erase", 1, None, 80, "Olena", NOON)])  # type: ignore[arg-type]


def test_two_people_who_undo_the_same_override() -> None:
    """Each saw one override and took it back; together that is one undo, and the second does nothing."""
    one = LegendEvent("override", 1, 80, 90, "Olena", NOON)
    back = [LegendEvent("undo", 1, 90, 80, who, NOON - timedelta(hours=1)) for who in ("Olena", "Petro")]
    merged = legend().with_events([one, *back])
    assert merged.entries[1].code == 80
    assert len(merged.events) == 3
    assert not merged.can_undo


def test_two_who_undo_the_same_override_do_not_take_back_a_third_ones() -> None:
    both = [LegendEvent("override", cluster, None, 90, "Olena", NOON) for cluster in (1, 2)]
    back = [LegendEvent("undo", 2, 90, None, who, NOON) for who in ("Olena", "Petro")]
    merged = legend().with_events([*both, *back])
    assert merged.entries[1].code == 90
    assert merged.entries[2].override is None
    again = merged.with_events([*both, *back, LegendEvent("redo", 2, None, 90, "Petro", NOON)])
    assert again.entries[2].code == 90


def test_history_about_clusters_that_are_not_there_waits_until_they_are() -> None:
    full = legend().override(1, 90, who="Olena").override(3, 10, who="Olena").override(2, 20, who="Petro")
    few = build_legend([answer(1, 80), answer(2, 80)], scheme=SCHEME, clusters=[1, 2]).with_history(full.events)
    assert [event.cluster for event in few.events] == [1, 2]
    assert [few.entries[cluster].code for cluster in (1, 2)] == [90, 20]
    taken = few.undo(who="Olena").undo(who="Olena").events[-2:]
    assert [event.cluster for event in taken] == [2, 1]
    back = full.with_history([*full.events, *taken])
    assert [entry.override and entry.override.after for entry in back.entries.values()] == [None, None, 10, None]


def test_order_of_recording_counts_not_the_clocks() -> None:
    late = LegendEvent("override", 1, 80, 90, "Olena", NOON)
    early = LegendEvent("override", 1, 80, 10, "Petro", NOON - timedelta(days=1))
    assert legend().with_events([late, early]).entries[1].code == 10


def make_map(labels: np.ndarray) -> ClusterMap:
    grid = GeoBox(labels.shape, Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0), "EPSG:32636")
    return ClusterMap(grid=grid, labels=labels.astype(np.uint8), model=None)


def test_apply_names_every_pixel() -> None:
    labels = np.array([[0, 1, 2], [3, 4, 5]])
    built = legend().override(2, 40, who="Olena")
    landcover = built.apply(make_map(labels), year=2021)
    assert landcover.codes.tolist() == [[0, 80, 40], [UNDECIDED, UNDECIDED, UNDECIDED]]
    assert landcover.confidence.tolist() == [[0, 80, 100], [0, 0, 0]]
    assert landcover.codes.dtype == landcover.confidence.dtype == np.uint8
    assert (landcover.year, landcover.scheme.name) == (2021, "worldcover")


def test_a_legend_from_a_map_has_an_entry_for_every_label() -> None:
    built = build_legend([answer(3, 80)], scheme=SCHEME, clusters=make_map(np.array([[0, 3], [7, 7]])))
    assert built.clusters == (3, 7)
    assert built.queue == (7,)


def test_apply_agrees_with_naming_pixel_by_pixel() -> None:
    labels = np.random.default_rng(0).integers(0, 5, (40, 30))
    built = legend().override(3, 10, who="Olena")
    landcover = built.apply(make_map(labels))
    for (row, col), label in np.ndenumerate(labels):
        code = 0 if label == 0 else built.entries[int(label)].code
        assert landcover.codes[row, col] == (UNDECIDED if code is None else code)


zones = st.timezones() | st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours)))
moments = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2090, 1, 1), timezones=zones)
choices = st.sampled_from([*SCHEME.codes, None])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
some_answers = st.lists(
    st.builds(
        Answer,
        annotator=texts,
        cluster=st.integers(1, 4),
        code=choices,
        second=choices,
        term=texts,
        confidence=st.floats(0, 1),
        evidence=st.tuples(texts),
        raw=texts,
        answered=moments.map(lambda moment: moment.astimezone(UTC)),
    ),
    max_size=6,
)
actions = st.lists(
    st.one_of(
        st.tuples(st.just("override"), st.integers(1, 4), choices, texts, moments, texts),
        st.tuples(st.sampled_from(["undo", "redo"]), st.just(1), st.none(), texts, moments, st.just("")),
    ),
    max_size=12,
)


def perform(start: Legend, todo: list[tuple[str, int, int | None, str, datetime, str]]) -> Legend:
    for kind, cluster, code, who, when, why in todo:
        if kind == "override":
            start = start.override(cluster, code, who=who, why=why, when=when)
        elif kind == "undo" and start.can_undo:
            start = start.undo(who=who, when=when)
        elif kind == "redo" and start.can_redo:
            start = start.redo(who=who, when=when)
    return start


@given(some_answers, actions)
def test_json_loses_nothing(
    given_answers: list[Answer], todo: list[tuple[str, int, int | None, str, datetime, str]]
) -> None:
    built = perform(build_legend(given_answers, scheme=SCHEME, clusters=range(1, 5)), todo)
    back = Legend.from_json(json.loads(json.dumps(built.to_json())))
    assert back == built
    assert back.entries == built.entries
    assert back.to_json() == built.to_json()


@given(actions)
def test_replay_and_snapshots_agree(todo: list[tuple[str, int, int | None, str, datetime, str]]) -> None:
    """An independent account of undo and redo: whole states on two stacks."""
    past: list[list[int | None]] = []
    future: list[list[int | None]] = []
    state = codes(legend())
    built = legend()
    for action in todo:
        kind, cluster, code = action[:3]
        if kind == "override":
            past.append(state)
            future.clear()
            state = state.copy()
            state[cluster - 1] = code
        elif kind == "undo" and past:
            future.append(state)
            state = past.pop()
        elif kind == "redo" and future:
            past.append(state)
            state = future.pop()
        before = built
        built = perform(built, [action])
        assert codes(built) == state
        if len(built.events) > len(before.events):
            event = built.events[-1]
            assert event.before == before.entries[event.cluster].code
            assert event.after == built.entries[event.cluster].code
    assert (built.can_undo, built.can_redo) == (bool(past), bool(future))
    assert codes(legend().with_events(built.events)) == state


@pytest.mark.parametrize(
    "table", [{}, {"version": 99}, {"version": 1}, {"version": 1, "scheme": "main", "clusters": 3}]
)
def test_what_is_no_legend_is_refused(table: dict[str, object]) -> None:
    with pytest.raises(LegendError):
        Legend.from_json(table)


def test_an_annotator_asked_again_has_one_vote_and_all_it_said_is_kept() -> None:
    said = [answer(1, 80), answer(1, 90, 0.7, "other"), answer(1, 90, 0.9, "third"), answer(1, 90, 0.4)]
    entry = build_legend(said, scheme=SCHEME, clusters=[1]).entries[1]
    assert (entry.code, entry.vote.tally[90].count, len(entry.vote.tally)) == (90, 3, 1)
    assert entry.answers == tuple(said)
    assert entry.voters == (said[3], said[1], said[2])


def test_the_rule_decides_and_is_kept() -> None:
    said = [answer(1, 80, 0.3), answer(1, 80, 0.3, "other"), answer(1, 90, 0.9, "third")]
    by_count = build_legend(said, scheme=SCHEME, clusters=[1])
    by_record = build_legend(said, scheme=SCHEME, clusters=[1], rule=VotingRule("record", {"third": 3.0}))
    assert (by_count.entries[1].code, by_record.entries[1].code) == (80, 90)
    assert Legend.from_json(json.loads(json.dumps(by_record.to_json()))) == by_record
    assert by_record.override(1, 10, who="Olena").undo(who="Olena").entries == by_record.entries


def test_a_legend_from_before_there_were_rules_goes_by_majority() -> None:
    table = {name: value for name, value in legend().to_json().items() if name != "rule"}
    assert Legend.from_json(table) == legend()
    with pytest.raises(LegendError, match="no voting rule"):
        Legend.from_json(table | {"rule": {"kind": "loudest"}})
    with pytest.raises(LegendError, match="can be read"):
        Legend.from_json(table | {"rule": {"kind": "record", "weights": 3}})


def test_the_most_doubtful_come_first_and_what_is_certain_is_left_out() -> None:
    said = [
        *(answer(1, 80, who=who) for who in "abc"),  # all agree
        answer(2, 40, who="a"), answer(2, 40, who="b"), answer(2, 30, who="c"),  # two of three
        answer(3, 10, who="a"), answer(3, 10, who="b").model_copy(update={"mixed": True}), answer(3, 10, who="c"),
        answer(4, 10, 0.9, who="a"), answer(4, 20, 0.2, who="b"),  # a tie that confidence broke
        answer(5, 10, 0.5, who="a"), answer(5, 20, 0.5, who="b"),  # a tie
        answer(6, 10, who="a"), answer(6, 20, who="b"),
    ]  # fmt: skip
    built = build_legend(said, scheme=SCHEME, clusters=range(1, 8)).override(6, 10, who="Olena")
    assert built.disputed == (5, 7, 4, 2, 3)
    assert built.queue == (5, 7)
    assert set(built.override(1, None, who="Olena").disputed[:3]) == {1, 5, 7}


@given(some_answers)
def test_everything_in_the_queue_is_disputed_and_first(given_answers: list[Answer]) -> None:
    built = build_legend(given_answers, scheme=SCHEME, clusters=range(1, 5))
    assert set(built.disputed[: len(built.queue)]) == set(built.queue)
    assert len(set(built.disputed)) == len(built.disputed)
