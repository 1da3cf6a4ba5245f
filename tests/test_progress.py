"""Progress: stages map onto the whole, and a stop is heard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dash.errors import Cancelled
from s2dash.progress import Silent, Stage, Tracker, steps, time_left, timetable


@given(st.floats(0, 1), st.floats(0, 1), st.floats(-1, 2))
def test_a_stage_stays_within_its_part(one, other, share):
    start, stop = sorted((one, other))
    tracker = Tracker()
    Stage(tracker, start, stop).report(share, "x")
    assert start - 1e-9 <= tracker.share <= stop + 1e-9


def test_steps_report_before_each_and_at_the_end():
    seen = []

    class Watch:
        def report(self, share, text):
            seen.append((round(share, 2), text))

    assert list(steps("ab", total=2, progress=Watch(), text="t")) == ["a", "b"]
    assert seen == [(0.0, "t"), (0.5, "t"), (1.0, "t")]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=8))
def test_a_timetable_follows_the_seconds_without_a_gap(seconds):
    stages = list(timetable(Silent(), **{f"stage{place}": value for place, value in enumerate(seconds)}).values())
    assert [stage.stop for stage in stages[:-1]] == [stage.start for stage in stages[1:]]
    assert stages[0].start == 0
    if sum(seconds):
        assert stages[-1].stop == pytest.approx(1)
        for stage, value in zip(stages, seconds, strict=True):
            assert stage.stop - stage.start == pytest.approx(value / sum(seconds), abs=1e-9)


def test_time_left_is_told_at_the_pace_so_far():
    assert time_left(0.25, 10.0) == pytest.approx(30)
    assert time_left(1.0, 10.0) == 0
    assert time_left(0.01, 10.0) is None
    assert time_left(0.5, 0.1) is None


def test_cancelling_stops_at_the_next_report():
    tracker = Tracker()
    iterator = steps(range(10), total=10, progress=tracker, text="t")
    next(iterator)
    tracker.cancel()
    with pytest.raises(Cancelled):
        next(iterator)


def test_no_watcher_is_fine():
    assert list(steps([1], total=1, progress=Silent(), text="t")) == [1]
