from datetime import UTC, datetime

import numpy as np
import pytest

from s2dash.annotation.answer import Answer, ClusterCard
from s2dash.annotation.legend import build_legend
from s2dash.clustering.model import ClusterMap
from s2dash.dashboard.labels import (
    Work,
    chosen_entries,
    class_areas,
    event_lines,
    in_doubt,
    is_decided,
    margin_line,
    next_in_doubt,
    step_from,
    votes_line,
    work_done,
)
from s2dash.dashboard.typical_spectra import nearest_spectra, typical_figure, unlike_any
from s2dash.pipeline import RunResult, RunSettings
from s2dash.schemes import load_scheme
from s2dash.simulation.spectra import materials, spectra_bands
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


def numbers(result: RunResult, show: str = "all", order: str = "number") -> list[int]:
    return [entry.cluster for entry in chosen_entries(result, show=show, order=order)]


def test_clusters_come_in_the_order_and_choice_asked_for(result):
    assert numbers(result) == [1, 2, 3, 4]
    assert numbers(result, order="large") == [2, 3, 4, 1]
    assert numbers(result, order="unsure") == [4, 2, 3, 1]
    assert numbers(result, show="waiting") == [4]
    assert numbers(result, show="changed") == []
    decided = result.with_legend(result.legend.override(3, 10, who="Ada"))
    assert numbers(decided, show="changed") == [3]
    assert numbers(decided, order="unsure") == [4, 2, 1, 3]


def test_areas_are_summed_by_class_and_the_largest_is_first(result):
    assert class_areas(result) == [
        ("Cropland", pytest.approx(0.4), pytest.approx(0.4)),
        ("Permanent water bodies", pytest.approx(0.4), pytest.approx(0.4)),
        ("unknown", pytest.approx(0.2), pytest.approx(0.2)),
    ]


def test_decisions_and_votes_in_words(result):
    legend = result.legend.override(4, 50, who="Ada", why="roofs", when=WHEN)
    assert event_lines(result, legend.events[0]) == (
        "set 4: unknown → Built-up",
        "Ada, 4 Mar 2026, 12:30 UTC (roofs)",
    )
    assert votes_line(result, result.legend.entries[1]) == "Votes: 1 for Cropland"
    assert votes_line(result, result.legend.entries[4]) == "Nobody could name it."


# ---- what is decided, and what to look at next


def legend_of(*clusters: tuple[tuple[int | None, float], ...], mixed: tuple[int, ...] = ()):
    """A legend of clusters 1, 2 …: for each what its annotators a, b, c said, and how sure they were."""
    answers = [
        Answer(annotator="abc"[turn], cluster=number, code=code, confidence=sure, mixed=number in mixed and turn == 0)
        for number, said in enumerate(clusters, start=1)
        for turn, (code, sure) in enumerate(said)
    ]
    return build_legend(answers, scheme=load_scheme("worldcover"), clusters=range(1, len(clusters) + 1))


AGREED = ((40, 0.9), (40, 0.8))
ALONE = ((40, 0.9),)
TIED = ((40, 0.5), (10, 0.5))
SURER = ((40, 0.6), (10, 0.5))
NOBODY = ((None, 0.0), (None, 0.0))


def test_decided_is_what_two_agree_on_or_a_person_said():
    legend = legend_of(AGREED, ALONE, TIED, SURER, NOBODY, AGREED, mixed=(6,))
    assert [is_decided(entry) for entry in legend.entries.values()] == [True, False, False, False, False, False]
    assert work_done(legend) == Work(decided=1, waiting=2, total=6)
    for cluster in (2, 3, 6):
        legend = legend.override(cluster, 40, who="Ada")
    legend = legend.override(5, None, who="Ada")  # "unknown" is said, and still waits
    assert work_done(legend) == Work(decided=4, waiting=2 - 1, total=6)


def test_an_unknown_second_voice_is_no_agreement():
    assert not is_decided(legend_of(((40, 0.9), (None, 0.0))).entries[1])


def test_next_disputed_goes_along_the_ranking_and_round():
    legend = legend_of(AGREED, ALONE, TIED, SURER)
    rank = in_doubt(legend)
    assert rank == (*legend.disputed, 2)  # what one annotator named alone comes after what several differ on
    assert set(rank) == {2, 3, 4}
    seen, at = [], None
    for _ in range(4):
        at = next_in_doubt(legend, at)
        seen.append(at)
    assert seen == [*rank, rank[0]]
    assert next_in_doubt(legend, 1) == rank[0]  # from one that is decided to the most doubtful


def test_there_is_no_next_where_nothing_else_is_in_doubt():
    assert next_in_doubt(legend_of(AGREED, AGREED), 1) is None
    assert next_in_doubt(legend_of(AGREED, TIED), 2) is None
    assert next_in_doubt(legend_of(AGREED, TIED), 1) == 2


def test_steps_stay_within_what_is_listed():
    assert [step_from([4, 7, 9], 7, step) for step in (-1, 1, 2)] == [4, 9, None]
    assert step_from([4, 7, 9], 4, -1) is None
    assert step_from([4, 7, 9], 5, 1) == 4
    assert step_from([], 5, 1) is None


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (AGREED, "All who named it agree."),
        (ALONE, "Only one annotator named it."),
        (TIED, "A tie: nobody won, a person has to decide."),
        (SURER, "A tie: those for Cropland were surer."),
        (NOBODY, ""),
        (((40, 0.9), (40, 0.9), (10, 0.9)), "Close: Cropland leads Tree cover by only 33 % of the vote."),
    ],
)
def test_how_close_a_vote_was_in_words(result, said, words):
    legend = legend_of(said)
    assert margin_line(result.with_legend(legend), legend.entries[1]) == words


# ---- typical spectra


def test_a_material_is_most_like_itself():
    scheme = load_scheme("worldcover")
    for name, material in materials().items():
        card = ClusterCard(1, 10, 1.0, 0.1, {}, {}, {}, dict(zip(spectra_bands(), material.reflectance, strict=True)))
        first = nearest_spectra(card, scheme)[0]
        assert (first.code, first.material, first.distance) == (material.code, name, 0.0)


def test_distances_are_root_mean_squares_over_shared_bands_and_rise():
    card = ClusterCard(1, 10, 1.0, 0.1, {"B02": 0.130, "B03": 0.236}, {}, {})
    found = nearest_spectra(card, load_scheme("worldcover"))
    water = next(one for one in found if one.code == 80)
    by_hand = {
        name: (((0.130 - one.reflectance[0]) ** 2 + (0.236 - one.reflectance[1]) ** 2) / 2) ** 0.5
        for name, one in materials().items()
        if one.code == 80
    }
    assert water.distance == pytest.approx(min(by_hand.values()))
    assert by_hand[water.material] == min(by_hand.values())
    assert [one.distance for one in found] == sorted(one.distance for one in found)
    assert unlike_any(load_scheme("worldcover"), found) == ("Snow and ice", "Mangroves", "Moss and lichen")


def test_other_schemes_get_theirs_through_the_scheme_map():
    card = ClusterCard(1, 10, 1.0, 0.1, dict.fromkeys(spectra_bands(), 0.02), {}, {})
    main = nearest_spectra(card, load_scheme("main"))
    assert main[0].code == 1  # water
    assert {one.code for one in main} == {1, 2, 3, 4}  # no snow is kept
    assert nearest_spectra(ClusterCard(1, 10, 1.0, 0.1, {"grey": 0.1}, {}, {}), load_scheme("main")) == ()


def test_the_chart_shows_the_cluster_and_the_nearest_classes_first():
    scheme = load_scheme("worldcover")
    card = ClusterCard(7, 10, 1.0, 0.1, dict.fromkeys(spectra_bands(), 0.02), {}, {})
    found, figure = nearest_spectra(card, scheme), typical_figure(card, scheme, colour="#123456")
    (own,) = [trace for trace in figure.data if trace.name == "Cluster 7"]
    assert own.line.color == "#123456"
    shown = [trace for trace in figure.data if trace.line.dash == "dot" and trace.visible is True]
    assert {int(trace.legendgroup) for trace in shown} == {one.code for one in found[:3]}
    hidden = [trace for trace in figure.data if trace.visible == "legendonly"]
    assert len(shown) + len(hidden) == len(found)
    water = next(trace for trace in figure.data if trace.legendgroup == "80")
    assert water.name == "Permanent water bodies: lake water"
    assert water.line.color == scheme[80].colour
