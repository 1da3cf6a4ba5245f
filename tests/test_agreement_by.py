"""Agreement by cluster, by annotator and by vote, and the confusions behind it, against plain counting."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from s2dash.agreement_by import agreement_by_cluster, agreement_by_vote, how_agreed
from s2dash.annotation.answer import Answer
from s2dash.annotation.legend import Legend, build_legend
from s2dash.check_points import CheckPlace, SampleDesign, Stratum, judged_edit, sample_edit
from s2dash.clustering.model import ClusterMap
from s2dash.comparison import agreement
from s2dash.confused_pairs import confused_pairs, joint_area, pair_clusters
from s2dash.grid import pixel_area_ha
from s2dash.judged_sample import judged_samples
from s2dash.landcover import LandCoverMap
from s2dash.map_edit import MapEdit
from s2dash.naming_scores import naming_scores
from s2dash.pipeline import RunResult, RunSettings
from s2dash.reference import Reference
from s2dash.reference_points import centres_of
from s2dash.schemes import UNDECIDED, load_scheme
from s2dash.testing import make_grid

SCHEME = load_scheme("worldcover")


def answer(cluster: int, code: int | None, who: str, *, confidence: float = 0.8) -> Answer:
    return Answer(cluster=cluster, annotator=who, code=code, confidence=confidence)


ANSWERS = [
    *(answer(1, 10, who) for who in "abc"),
    answer(2, 30, "a"), answer(2, 30, "b"), answer(2, 40, "c"),
    answer(3, 40, "a", confidence=0.9), answer(3, 50, "b", confidence=0.5), answer(3, None, "c"),
    answer(4, 50, "a"),
    answer(5, None, "a"),
    answer(6, 60, "a"), answer(6, 60, "b"),
]  # fmt: skip


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 7, (60, 50)).astype(np.uint8)


@pytest.fixture
def clusters(labels: np.ndarray) -> ClusterMap:
    return ClusterMap(make_grid(60, 50), labels, None)


@pytest.fixture
def legend(clusters: ClusterMap) -> Legend:
    built = build_legend(ANSWERS, scheme=SCHEME, clusters=clusters)
    return built.override(6, 80, who="Ada", when=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def reference(labels: np.ndarray) -> Reference:
    rng = np.random.default_rng(4)
    right = np.array([0, 10, 30, 40, 50, 80, 80], np.uint8)[labels]
    noise = rng.choice(np.array([0, 10, 30, 40, 50, 80], np.uint8), labels.shape)
    codes = np.where(rng.random(labels.shape) < 0.3, noise, right).astype(np.uint8)
    return Reference(grid=make_grid(60, 50), codes=codes, scheme=SCHEME, title="truth", year=2021)


@pytest.fixture
def landcover(legend: Legend, clusters: ClusterMap) -> LandCoverMap:
    named = legend.apply(clusters, year=2021)
    codes = named.codes.copy()
    codes[:6, :][codes[:6, :] != 0] = 30  # a person set an area
    return replace(named, codes=codes)


def test_every_cluster_knows_how_its_class_was_found(legend: Legend) -> None:
    found = {cluster: how_agreed(entry) for cluster, entry in legend.entries.items()}
    assert found == {1: "unanimous", 2: "majority", 3: "tie", 4: "alone", 5: "nobody", 6: "person"}
    unknown = legend.override(1, None, who="Ada")
    assert how_agreed(unknown.entries[1]) == "nobody"


def test_agreement_by_vote_counts_every_pixel_once(legend, clusters, landcover, reference) -> None:
    rows = {row.how: row for row in agreement_by_vote(landcover, reference, clusters=clusters, legend=legend)}
    ways = ["", "unanimous", "majority", "tie", "alone", "nobody", "person"]
    own = legend.apply(clusters).codes
    way = np.array(ways, dtype=object)[clusters.labels]
    way[(landcover.codes != own)] = "person"
    compared = (landcover.codes != 0) & (reference.codes != 0)
    assert set(rows) == set(ways[1:])
    for how, row in rows.items():
        inside = compared & (way == how)
        assert row.ha == pytest.approx(inside.sum() * 0.01)
        assert row.share == pytest.approx(inside.sum() / compared.sum())
        assert row.agree == pytest.approx((landcover.codes == reference.codes)[inside].mean())
        assert row.clusters == 1
    assert sum(row.share for row in rows.values()) == pytest.approx(1.0)
    total = sum(row.share * row.agree for row in rows.values())
    assert total == pytest.approx(agreement(landcover, reference, clusters=clusters).overall)


def test_agreement_by_cluster_says_what_a_better_name_would_win(legend, clusters, landcover, reference) -> None:
    area = {cluster: 10.0 * cluster for cluster in range(1, 7)}
    rows = agreement_by_cluster(landcover, reference, clusters=clusters, legend=legend, area_ha=area)
    assert [row.cluster for row in rows] == [6, 5, 4, 3, 2, 1]
    for row in rows:
        inside = (clusters.labels == row.cluster) & (reference.codes != 0)
        assert row.agree == pytest.approx((landcover.codes == reference.codes)[inside].mean())
        assert row.majority == np.bincount(reference.codes[inside]).argmax()
        assert row.purity == pytest.approx((reference.codes[inside] == row.majority).mean())
        assert row.lost == pytest.approx(row.ha * max(row.purity - row.agree, 0))
    unnamed = next(row for row in rows if row.cluster == 5)
    assert (unnamed.code, unnamed.majority) == (None, 80)
    assert unnamed.lost > 0


def test_confusions_are_sorted_and_lead_to_their_clusters(clusters, landcover, reference) -> None:
    joint = joint_area(reference.codes, landcover.codes, grid=landcover.grid)
    pairs = confused_pairs(joint)
    areas = [pair.ha for pair in pairs]
    assert areas == sorted(areas, reverse=True)
    differing = ((landcover.codes != reference.codes) & (landcover.codes != 0) & (reference.codes != 0)).sum()
    assert sum(pair.pixels for pair in pairs) == differing
    assert sum(pair.of_differing for pair in pairs) == pytest.approx(1.0)
    for pair in pairs:
        inside = (landcover.codes == pair.mapped) & (reference.codes == pair.reference)
        assert (pair.pixels, pair.ha) == (inside.sum(), pytest.approx(inside.sum() * 0.01))
        parts = pair_clusters(clusters.labels, landcover.codes, reference.codes, pair=pair)
        expected = np.bincount(clusters.labels[inside], minlength=7)
        assert {part.cluster: part.pixels for part in parts} == {c: n for c, n in enumerate(expected) if n}
        assert sum(part.of_pair for part in parts) == pytest.approx(1.0)
        sizes = np.bincount(clusters.labels.ravel(), minlength=7)
        assert all(part.of_cluster == part.pixels / sizes[part.cluster] for part in parts)
    assert any(pair.mapped == UNDECIDED for pair in pairs)
    agreeing = joint.pair(10, 10)
    assert (agreeing.pixels, agreeing.of_differing) == (((landcover.codes == 10) & (reference.codes == 10)).sum(), 0)


def test_classes_that_count_as_others_are_counted_as_them(landcover, reference, clusters) -> None:
    table = np.arange(256, dtype=np.uint8)
    table[40] = 30
    joint = joint_area(reference.codes, landcover.codes, grid=landcover.grid).folded(table)
    assert joint.pixels[30, 30] == (np.isin(landcover.codes, [30, 40]) & np.isin(reference.codes, [30, 40])).sum()
    assert not joint.pixels[40].any()
    pair = joint.pair(30, 10)
    parts = pair_clusters(clusters.labels, landcover.codes, reference.codes, pair=pair, table=table)
    assert sum(part.pixels for part in parts) == pair.pixels


def test_areas_in_degrees_follow_the_latitude() -> None:
    grid = GeoBox((300, 4), Affine(0.01, 0, 30, 0, -0.01, 60), "EPSG:4326")
    codes = np.full((300, 4), 10, np.uint8)
    codes[150:] = 30
    joint = joint_area(codes, codes, grid=grid)
    per_row = pixel_area_ha(grid)
    assert joint.mapped_ha == pytest.approx({10: 4 * per_row[:150].sum(), 30: 4 * per_row[150:].sum()}, rel=1e-3)
    assert joint.mapped_ha[30] > joint.mapped_ha[10]


def test_every_annotator_alone_scores_as_a_map_of_its_own(clusters, legend, reference) -> None:
    cards = dict.fromkeys(range(1, 7))
    result = RunResult(RunSettings(), {"kind": "local"}, clusters, cards, legend, reference)  # type: ignore[arg-type]
    scores = {one.annotator: one for one in naming_scores(result)}
    assert set(scores) == {"a", "b", "c"}
    for who, score in scores.items():
        own = build_legend([one for one in ANSWERS if one.annotator == who], scheme=SCHEME, clusters=clusters)
        found = agreement(own.apply(clusters), reference)
        assert score.overall == pytest.approx(found.overall)
        assert score.miou == pytest.approx(found.miou)
    assert (scores["a"].answered, scores["a"].asked) == (5, 6)
    assert list(naming_scores(replace(result, reference=None))) == []


def test_points_that_people_judged_estimate_the_map_they_were_drawn_on(landcover) -> None:
    codes, per_pixel = landcover.codes, 0.01
    rng = np.random.default_rng(0)
    rows, cols = (part[:: max(len(part) // 40, 1)][:40] for part in np.nonzero(codes))
    longitude, latitude = centres_of(rows, cols, landcover.grid)
    strata = [int(code) for code in codes[rows, cols]]
    design = SampleDesign(
        tuple(CheckPlace(float(x), float(y), code) for x, y, code in zip(longitude, latitude, strata, strict=True)),
        tuple(
            Stratum(code, int((codes == code).sum()), float((codes == code).sum() * per_pixel), strata.count(code))
            for code in sorted(set(strata) | {80})
        ),
        seed=0,
    )
    edits = [replace(sample_edit(design, who="Ada"), seq=1)]
    kept = replace(design, seq=1)
    said: list[int] = []
    for place in range(30):
        judged = strata[place] if strata[place] != UNDECIDED and rng.random() < 0.7 else 90
        said.append(judged)
        edit = judged_edit(kept, place, judged, scheme=SCHEME, who="Ada" if place % 3 else "Ben")
        edits.append(replace(edit, seq=place + 2))
    (sample,) = judged_samples(landcover, tuple(edits))
    assert (sample.judged, sample.who, sample.moved) == (30, ("Ada", "Ben"), 0)
    total = right = 0.0
    for code in set(strata[:30]):
        area = (codes == code).sum() * per_pixel
        hits = [judged == code for judged, stratum in zip(said, strata, strict=False) if stratum == code]
        total += area
        right += area * sum(hits) / len(hits)
    assert sample.estimate.overall.value == pytest.approx(right / total)
    changed = replace(landcover, codes=np.where(codes == 30, np.uint8(40), codes))
    (later,) = judged_samples(changed, tuple(edits))
    assert later.moved == strata[:30].count(30)
    assert later.estimate == sample.estimate
    assert judged_samples(landcover, (edits[0],)) == ()
    assert judged_samples(landcover, (*edits, MapEdit("withdraw", {"seq": 1}, seq=99))) == ()
