import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dash.annotation.annotate import make_annotators
from s2dash.annotation.answer import Question
from s2dash.annotation.cards import build_cards
from s2dash.annotation.catalogue import load_catalogue
from s2dash.annotation.estimate import estimate
from s2dash.annotation.exhibits import build_exhibits
from s2dash.area import AreaOfInterest
from s2dash.area_budget import area_budget, memory_needed, naming_cost, run_time, time_needed
from s2dash.clustering import cluster
from s2dash.clustering.effort import expected_effort
from s2dash.errors import AnnotationError, TooLargeError
from s2dash.features import build_features
from s2dash.run_settings import RunSettings
from s2dash.schemes import load_scheme
from s2dash.sources.load import load_scene

GIB = 1024**3
MODELS = ("claude", "gpt", "gemini")


def test_other_methods_take_as_much_longer_as_they_are_expected_to():
    usual = run_time(10**6, RunSettings())
    assert usual == pytest.approx(time_needed(10**6))
    for method in ("deep", "unet", "slic", "autoencoder"):
        more = expected_effort(method, pixels=10**6).total - expected_effort("kmeans", pixels=10**6).total
        assert run_time(10**6, RunSettings(method=method)) == pytest.approx(usual + more)
        assert more > 0


def test_what_was_measured_is_what_is_told():
    # the table in the module: side → MiB and seconds of the processor, of which two do at least a half at once
    measured = (
        (512, 397, 4.8),
        (1024, 667, 7.8),
        (2048, 860, 12.8),
        (3072, 866, 22.4),
        (9216, 1272, 126.7),
    )
    for side, mib, processor in measured:
        assert mib <= memory_needed(side**2) / 1024**2 <= 1.2 * mib
        assert processor / 2 <= time_needed(side**2, cores=2) <= 1.2 * processor
        assert time_needed(side**2, cores=8) < time_needed(side**2, cores=2)


@given(st.floats(-60, 60), st.floats(0.02, 1.5), st.floats(0.5, 64))
def test_an_area_of_the_size_that_is_said_to_fit_fits_and_a_larger_one_does_not(latitude, size, free):
    area = AreaOfInterest.from_bbox(20, latitude, 20 + size, latitude + size)
    budget = area_budget(area, free_bytes=round(free * GIB))
    share = budget.most_km2 / budget.area_km2
    assert memory_needed(int(0.999 * share * budget.pixels)) <= 0.8 * free * GIB
    assert memory_needed(int(1.001 * share * budget.pixels) + 2) >= 0.8 * free * GIB
    assert budget.too_large == (share < 1) or share == pytest.approx(1)
    assert budget.pixels == area.pixels
    assert budget.pixels >= 0.98 * budget.area_km2 * 1e4


def test_what_is_too_large_is_refused_with_numbers_and_the_way_out():
    area = AreaOfInterest.from_bbox(30, 46, 36, 50)
    budget = area_budget(area, free_bytes=2 * GIB)
    assert budget.too_large
    with pytest.raises(TooLargeError) as caught:
        budget.check()
    said = str(caught.value).replace("km²", "")
    numbers = [float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", said)]
    assert numbers[:4] == [round(area.area_km2), round(area.pixels / 1e6), round(budget.memory_bytes / 1024**2), 2048]
    assert numbers[4:] == [round(budget.most_km2), round(budget.most_side_km)]
    # the square that is offered is one that fits
    degrees = budget.most_side_km / 111.4 * 0.98
    offered = AreaOfInterest.from_bbox(33, 0, 33 + degrees, degrees)
    assert not area_budget(offered, free_bytes=2 * GIB).too_large
    area_budget(offered, free_bytes=2 * GIB).check()


def test_what_no_grid_holds_is_refused_however_much_memory_there_is():
    budget = area_budget(AreaOfInterest.from_bbox(0, 0, 40, 1), free_bytes=10**15)
    assert budget.shape is None
    assert budget.too_large
    assert "Choose at most" in budget.reason


def test_coarser_pixels_are_fewer():
    area = AreaOfInterest.from_bbox(35, 48, 35.5, 48.3)
    fine, coarse = area_budget(area), area_budget(area, resolution=20.0)
    assert fine.pixels == pytest.approx(4 * coarse.pixels, rel=1e-2)
    assert fine.seconds > coarse.seconds
    assert not fine.reason


@pytest.fixture(scope="module")
def questions():
    """What is really asked about simulated scenes, by card style."""

    def make(size: int, style: str) -> tuple[tuple[int, int], list[Question]]:
        scene = load_scene(f"simulated:size={size},seed=5,clouds=0.05")
        clusters = cluster(build_features(scene, sample=5000), method="kmeans", k=6, sample=5000)
        cards = build_cards(clusters, scene)
        exhibits = build_exhibits(clusters, scene, cards, style=style)
        scheme = load_scheme("worldcover")
        return scene.grid.shape, [Question(cards[one], scheme, exhibit=exhibits[one]) for one in cards]

    return make


@pytest.mark.parametrize(("size", "style"), [(96, "numbers"), (330, "composites"), (700, "numbers"), (200, "words")])
def test_naming_never_costs_more_than_was_said_before_there_were_clusters(questions, size, style):
    shape, asked = questions(size, style)
    for model in MODELS:
        chosen, _ = make_annotators([model], live=False)
        real = estimate([(chosen[0], question) for question in asked])
        told = naming_cost([model], clusters=len(asked), shape=shape, style=style)
        assert told.calls == real.calls
        assert real.dollars_high <= told.dollars_high <= 3 * real.dollars_high
        assert real.input_tokens <= told.input_tokens


def test_every_model_of_the_catalogue_can_be_told_and_the_rules_cost_nothing():
    for name, entry in load_catalogue().items():
        told = naming_cost([name], clusters=3, shape=(400, 300))
        assert told.calls == 3
        assert (told.dollars_high == 0) == entry.free
    assert naming_cost(["rules"], clusters=12, shape=(512, 512)).dollars == (0, 0)
    both = naming_cost(["claude", "gpt"], clusters=4, shape=(512, 512))
    parts = [naming_cost([name], clusters=4, shape=(512, 512)).dollars_high for name in ("claude", "gpt")]
    assert both.dollars_high == pytest.approx(sum(parts))
    with pytest.raises(AnnotationError, match="no annotator"):
        naming_cost(["nobody"], clusters=4, shape=(512, 512))
