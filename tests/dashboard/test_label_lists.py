from datetime import UTC, datetime

import numpy as np
import pytest

from s2dash.annotation.answer import Answer, ClusterCard
from s2dash.annotation.legend import build_legend
from s2dash.clustering.model import ClusterMap
from s2dash.dashboard.labels import chosen_entries, class_areas, event_lines, votes_line
from s2dash.pipeline import RunResult, RunSettings
from s2dash.schemes import load_scheme
from s2dash.testing import make_grid

WHEN = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)


@pytest.fixture
def result() -> RunResult:
    """Four clusters: two crops, a lake, and one that nobody could name."""
    pixels = {1: 10, 2: 40, 3: 30, 4: 20}
    labels = np.repeat(np.arange(1, 5, dtype=np.uint8), list(pixels.values())).reshape(10, 10)
    clusters = ClusterMap(grid=make_grid(10, 10), labels=labels, model=None, settings={})
    cards = {c: ClusterCard(c, n, n / 100, n / 100, {}, {}, {}) for c, n in pixels.items()}
    said = {1: (40, 0.9), 2: (80, 0.3), 3: (40, 0.5), 4: (None, 0.0)}
    answers = [Answer(annotator="rules", cluster=c, code=code, confidence=sure) for c, (code, sure) in said.items()]
    legend = build_legend(answers, scheme=load_scheme("worldcover"), clusters=clusters)
    return RunResult(RunSettings(), {}, clusters, cards, legend)


def numbers(result: RunResult, show: str = "All", order: str = "By number") -> list[int]:
    return [entry.cluster for entry in chosen_entries(result, show=show, order=order)]


def test_clusters_come_in_the_order_and_choice_asked_for(result):
    assert numbers(result) == [1, 2, 3, 4]
    assert numbers(result, order="Largest first") == [2, 3, 4, 1]
    assert numbers(result, order="Least sure first") == [4, 2, 3, 1]
    assert numbers(result, show="Waiting") == [4]
    assert numbers(result, show="Changed") == []
    decided = result.with_legend(result.legend.override(3, 10, who="Ada"))
    assert numbers(decided, show="Changed") == [3]
    assert numbers(decided, order="Least sure first") == [4, 2, 1, 3]


def test_areas_are_summed_by_class_and_the_largest_is_first(result):
    assert class_areas(result) == [
        ("Cropland", pytest.approx(0.4), pytest.approx(0.4)),
        ("Permanent water bodies", pytest.approx(0.4), pytest.approx(0.4)),
        ("unknown", pytest.approx(0.2), pytest.approx(0.2)),
    ]


def test_decisions_and_votes_in_words(result):
    legend = result.legend.override(4, 50, who="Ada", why="roofs", when=WHEN)
    assert event_lines(result, legend.events[0]) == (
        "override 4: unknown → Built-up",
        "Ada, 04 Mar 2026, 12:30 UTC (roofs)",
    )
    assert votes_line(result, result.legend.entries[1]) == "Votes: 1 for Cropland"
    assert votes_line(result, result.legend.entries[4]) == "Nobody could name it."
