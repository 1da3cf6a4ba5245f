"""Merging, splitting, sieving and smoothing: what changes, what does not, and what is written down."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from s2dash.clustering import ClusterMap, cluster
from s2dash.clustering.edits import ClusterEdit, apply_edit
from s2dash.clustering.filters import majority, sieve
from s2dash.errors import Cancelled, EditError, GridMismatchError
from s2dash.features import Texture, build_features
from s2dash.grid import full_window
from s2dash.progress import Tracker
from s2dash.testing import make_grid, make_patchwork, make_scene

WHEN = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def edit(kind: Any, clusters: tuple[int, ...] = (), value: int = 0, **more: Any) -> ClusterEdit:
    return ClusterEdit(kind, clusters, value, who="ann", when=WHEN, **more)


def make_map(labels: Any) -> ClusterMap:
    array = np.asarray(labels, dtype=np.uint8)
    return ClusterMap(make_grid(*array.shape), array, None, {"method": "kmeans", "k": 5})


labels_of = st.tuples(st.integers(2, 12), st.integers(2, 12), st.integers(0, 2**31)).map(
    lambda drawn: np.random.default_rng(drawn[2]).integers(0, 6, drawn[:2]).astype(np.uint8)
)


def test_merged_clusters_get_a_new_number():
    before = make_map([[3, 5, 0], [1, 3, 12]])
    after, done = apply_edit(before, edit("merge", (3, 5)), used=range(1, 13))
    assert after.labels.tolist() == [[13, 13, 0], [1, 13, 12]]
    assert done.made == (13,)
    assert done.text == "Merged clusters 3 and 5 into 13"
    assert before.labels.tolist() == [[3, 5, 0], [1, 3, 12]]
    assert after.model is None
    assert after.grid == before.grid
    assert after.settings == {"method": "kmeans", "k": 5, "edits": [done.to_json()]}
    assert "edits" not in before.settings


def test_a_number_that_was_ever_used_is_not_given_again():
    before = make_map([[3, 5, 1]])
    after, _ = apply_edit(before, edit("merge", (3, 5)), used={1, 3, 5, 20})
    assert after.labels.tolist() == [[21, 21, 1]]
    after, done = apply_edit(after, edit("merge", (1, 21)), used=set())  # what is on the map counts as used
    assert done.made == (22,)
    assert [made["clusters"] for made in after.settings["edits"]] == [[3, 5], [1, 21]]


def test_a_recorded_edit_gives_the_same_numbers_again():
    before = make_map([[1, 2, 3, 4]])
    _, first = apply_edit(before, edit("merge", (1, 2)), used=range(5))
    _, second = apply_edit(before, edit("merge", (3, 4)), used=range(6))
    assert (first.made, second.made) == ((5,), (6,))
    again, replayed = apply_edit(before, second, used=range(7))  # the first was undone
    assert replayed == second
    assert again.labels.tolist() == [[1, 2, 6, 6]]
    with pytest.raises(EditError, match="made clusters 5 and 6"):
        apply_edit(before, edit("merge", (1, 2), made=(5, 6)), used=range(5))


@settings(max_examples=60)
@given(labels_of, st.permutations([1, 2, 3, 4, 5]))
def test_merging_does_not_depend_on_the_order(labels, order):
    before, used = make_map(np.concatenate([labels, [[1, 2, 3, 4, 5, *[0] * labels.shape[1]][: labels.shape[1]]]])), {9}
    present = [number for number in order if number in before.counts()]
    if len(present) < 2:
        return
    chosen = tuple(present[:3])
    once, _ = apply_edit(before, edit("merge", chosen), used=used)
    turned, _ = apply_edit(before, edit("merge", chosen[::-1]), used=used)
    assert np.array_equal(once.labels, turned.labels)
    assert np.array_equal(once.labels == 10, np.isin(before.labels, chosen))
    others = ~np.isin(before.labels, chosen)
    assert np.array_equal(once.labels[others], before.labels[others])
    if len(present) >= 4:  # two mergers of different clusters, either way round
        a, b = tuple(present[:2]), tuple(present[2:4])
        one = apply_edit(apply_edit(before, edit("merge", a), used={9})[0], edit("merge", b), used={9})[0]
        other = apply_edit(
            apply_edit(before, edit("merge", b, made=(11,)), used={9})[0], edit("merge", a, made=(10,)), used={9}
        )[0]
        assert np.array_equal(one.labels, other.labels)


def test_a_cluster_of_three_spectra_is_split_into_them():
    scene, stripes = make_patchwork(patches=5, side=80)
    features = build_features(scene)
    truth = np.where(stripes <= 3, 1, stripes).astype(np.uint8)
    truth[5:9] = 0
    before = ClusterMap(scene.grid, truth, None)
    after, done = apply_edit(before, edit("split", (1,), 3), used=range(1, 6), features=features)
    assert done.made == (6, 7, 8)
    assert done.text == "Split cluster 1 into 6, 7 and 8"
    inside = truth == 1
    assert adjusted_rand_score(stripes[inside], after.labels[inside]) == 1.0
    assert np.array_equal(after.labels[~inside], truth[~inside])
    sizes = [after.counts()[number] for number in done.made]
    assert sizes == sorted(sizes, reverse=True)


def test_a_split_over_many_blocks_is_by_the_nearest_centre_and_largest_first():
    scene, _ = make_patchwork(patches=2, side=600, noise=900, seed=2)
    numbers = scene.source.read(scene.bands, full_window(scene.grid)).copy()
    numbers[:, :130] = np.clip(numbers[:, :130].astype(int) + 4000, 1, 20_000)
    scene = make_scene(numbers)
    for features in (build_features(scene), build_features(scene, texture=Texture(of=("B04",), size=3))):
        before = make_map(np.ones((600, 600)))
        maps = [
            apply_edit(before, edit("split", (1,), 4, seed=3), used=(), features=features)[0].labels for _ in range(2)
        ]
        assert np.array_equal(*maps)
        sizes = np.bincount(maps[0].ravel())[2:]
        assert sizes.tolist() == sorted(sizes, reverse=True)
        values = features.block(full_window(scene.grid))[0].reshape(len(features.names), -1)
        flat = maps[0].ravel()
        centres = np.stack([values[:, flat == number].mean(axis=1) for number in range(2, 6)])
        nearest = ((values.T[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1) + 2
        assert (nearest == flat).mean() > 0.98  # the centres are fitted on a sample


def test_splits_go_with_the_seed():
    scene, _ = make_patchwork(patches=1, side=60, noise=500)
    features = build_features(scene)
    before = make_map(np.ones((60, 60)))
    one, two = (
        apply_edit(before, edit("split", (1,), 5, seed=seed), used=(), features=features)[0].labels for seed in (0, 1)
    )
    assert not np.array_equal(one, two)


@pytest.mark.parametrize(("kind", "value"), [("sieve", 4), ("majority", 5)])
@given(labels=labels_of)
def test_filters_are_those_of_the_map(kind, value, labels):
    before = make_map(labels)
    if sum(before.counts().values()) < 4:
        return
    after, done = apply_edit(before, edit(kind, (), value), used=range(6))
    expected = sieve(labels, unit=4) if kind == "sieve" else majority(labels, window=5)
    assert np.array_equal(after.labels, expected)
    assert np.array_equal(after.labels == 0, labels == 0)
    assert done.made == ()
    assert after.settings["edits"] == [done.to_json()]


def test_a_cluster_that_vanishes_has_no_pixels():
    labels = np.ones((9, 9), np.uint8)
    labels[4, 4] = 2
    for change in (edit("sieve", (), 3), edit("majority", (), 3)):
        after, _ = apply_edit(make_map(labels), change, used=(1, 2))
        assert after.counts() == {1: 81}


def test_texts():
    assert edit("sieve", (), 20).text == "Sieved: patches smaller than 20 pixels went to their largest neighbour"
    assert edit("majority", (), 5).text == "Smoothed: each pixel went to the majority of 5 × 5 pixels around it"
    assert edit("split", (4,), 2).text == "Split cluster 4 into 2 parts"
    assert edit("merge", (1, 2, 9)).text == "Merged clusters 1, 2 and 9"


@given(
    st.sampled_from([("merge", (3, 5), 0), ("split", (4,), 3), ("sieve", (), 12), ("majority", (), 7)]),
    st.text(max_size=20),
    st.text(max_size=20),
    st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])),
    st.integers(0, 99),
    st.sampled_from([(), (7,), (8, 9)]),
)
def test_json_and_back(what, who, why, when, seed, made):
    change = ClusterEdit(*what, who=who, when=when, made=made, seed=seed, why=why)
    again = ClusterEdit.from_json(json.loads(json.dumps(change.to_json())))
    assert again == change
    assert again.when.tzinfo is UTC
    assert again.when == when


@pytest.mark.parametrize(
    ("kind", "clusters", "value"),
    [
        ("merge", (3,), 0),
        ("merge", (3, 3), 0),
        ("merge", (), 0),
        ("merge", (1, 2), 4),
        ("split", (1, 2), 2),
        ("split", (), 2),
        ("split", (1,), 1),
        ("split", (1,), 11),
        ("sieve", (), 1),
        ("sieve", (), -4),
        ("sieve", (2,), 9),
        ("majority", (), 4),
        ("majority", (), 1),
        ("majority", (), 17),
        ("majority", (1,), 3),
        ("paint", (), 3),
    ],
)
def test_senseless_edits_cannot_be_made(kind, clusters, value):
    with pytest.raises(EditError):
        edit(kind, clusters, value)


def test_the_time_needs_a_zone():
    with pytest.raises(EditError, match="time zone"):
        ClusterEdit("sieve", (), 3, who="ann", when=datetime(2026, 3, 1))


@pytest.mark.parametrize(
    "damage", [{"kind": "melt"}, {"clusters": None}, {"value": "many"}, {"when": "yesterday"}, {"when": None}]
)
def test_damaged_records_are_named(damage):
    content = {**edit("sieve", (), 4).to_json(), **damage}
    with pytest.raises(EditError):
        ClusterEdit.from_json(content)
    del content["who"]
    with pytest.raises(EditError):
        ClusterEdit.from_json(content)


def test_clusters_that_are_not_there_are_named():
    before = make_map([[1, 2, 0]])
    with pytest.raises(EditError, match=r"no pixels of cluster 7\. Its clusters: 1 and 2"):
        apply_edit(before, edit("merge", (1, 7)), used=())
    with pytest.raises(EditError, match="cluster 3"):
        apply_edit(before, edit("split", (3,), 2), used=())


def test_numbers_run_out_at_254():
    before = make_map([[1, 2, 253]])
    after, done = apply_edit(before, edit("merge", (1, 2)), used=())
    assert done.made == (254,)
    with pytest.raises(EditError, match="up to 255"):
        apply_edit(after, edit("merge", (253, 254)), used=())


def test_a_split_needs_features_of_the_same_grid_and_distinct_pixels():
    scene, stripes = make_patchwork(side=20, patches=2, noise=0)
    before = ClusterMap(scene.grid, stripes, None)
    with pytest.raises(EditError, match="features"):
        apply_edit(before, edit("split", (1,), 2), used=())
    with pytest.raises(GridMismatchError):
        apply_edit(make_map(np.ones((5, 5))), edit("split", (1,), 2), used=(), features=build_features(scene))
    with pytest.raises(EditError, match="too few distinct pixels"):
        apply_edit(before, edit("split", (1,), 2), used=(), features=build_features(scene))


def test_a_mapping_unit_beyond_the_scene_is_refused():
    with pytest.raises(EditError, match="4 pixels: the map has 3"):
        apply_edit(make_map([[1, 2, 2, 0]]), edit("sieve", (), 4), used=())


def test_an_edit_stops_when_asked_to():
    scene, _ = make_patchwork(side=30)
    before, tracker = cluster(build_features(scene), k=3), Tracker()
    tracker.cancel()
    for change in (edit("split", (1,), 2), edit("sieve", (), 3), edit("majority", (), 3), edit("merge", (1, 2))):
        with pytest.raises(Cancelled):
            apply_edit(before, change, used=(), features=build_features(scene), progress=tracker)
