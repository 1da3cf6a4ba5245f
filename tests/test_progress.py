"""Progress: stages map onto the whole, and a stop is heard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dash.errors import Cancelled
from s2dash.progress import Silent, Stage, Tracker, steps


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


def test_cancelling_stops_at_the_next_report():
    tracker = Tracker()
    iterator = steps(range(10), total=10, progress=tracker, text="t")
    next(iterator)
    tracker.cancel()
    with pytest.raises(Cancelled):
        next(iterator)


def test_no_watcher_is_fine():
    assert list(steps([1], total=1, progress=Silent(), text="t")) == [1]
