"""Scores against scikit-learn, the ceiling against every naming there is."""

from __future__ import annotations

import itertools
import json
import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from odc.geo.geobox import GeoBox
from sklearn.metrics import (
    cohen_kappa_score,
    confusion_matrix,
    f1_score,
    jaccard_score,
    precision_score,
    recall_score,
)

from s2dash.clustering.model import ClusterMap
from s2dash.comparison import Agreement, agreement, cluster_agreement, disagreement
from s2dash.errors import GridMismatchError, NoOverlapError, SchemeError
from s2dash.landcover import LandCoverMap
from s2dash.pair_counts import joint_histogram
from s2dash.reference import Reference, load_worldcover
from s2dash.reference_files import load_reference
from s2dash.schemes import ClassScheme, LandCoverClass, load_scheme

SCHEME = ClassScheme(
    name="four",
    title="Four classes",
    classes=tuple(
        LandCoverClass(code, f"k{code}", {"en": f"class {code}"}, "#102030", {}, {}) for code in (40, 10, 20, 30)
    ),
)


def grid_of(shape: tuple[int, ...], *, shift: float = 0.0) -> GeoBox:
    return GeoBox(shape, Affine(10, 0, 600000 + shift, 0, -10, 5600000), "EPSG:32633")


def map_of(codes: Any, *, year: int | None = 2021) -> LandCoverMap:
    codes = np.asarray(codes, dtype=np.uint8)
    return LandCoverMap(grid_of(codes.shape), codes, np.full_like(codes, 50), SCHEME, year)


def reference_of(codes: Any, **options: Any) -> Reference:
    codes = np.asarray(codes, dtype=np.uint8)
    return Reference(grid_of(codes.shape), codes, SCHEME, **{"title": "a map", "year": 2021} | options)


def clusters_of(labels: Any) -> ClusterMap:
    labels = np.asarray(labels, dtype=np.uint8)
    return ClusterMap(grid_of(labels.shape), labels, None)


SHAPE = (6, 7)
MAPS = arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 10, 20, 30, 40, 255]))
REFERENCES = arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 10, 20, 30, 40]))
CLUSTERS = arrays(np.uint8, SHAPE, elements=st.integers(0, 3))


def close(ours: float | None, theirs: float) -> bool:
    return ours is None if math.isnan(theirs) else ours is not None and math.isclose(ours, theirs, abs_tol=1e-12)


def kappa(expected: np.ndarray, mapped: np.ndarray) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it divides by zero where kappa is not defined
        return float(cohen_kappa_score(expected, mapped))


@settings(deadline=None, max_examples=40)
@given(mapped=MAPS, expected=REFERENCES)
def test_scores_are_those_of_scikit_learn(mapped: np.ndarray, expected: np.ndarray) -> None:
    both = (mapped != 0) & (expected != 0)
    assume(both.any())
    found = agreement(map_of(mapped), reference_of(expected))
    y_true, y_pred = expected[both], mapped[both]
    labels = [code for code in SCHEME.codes if code in y_true or code in y_pred]
    assert found.n == both.sum()
    assert list(found.confusion.codes) == labels
    matrix = confusion_matrix(y_true, y_pred, labels=[*labels, 255])
    np.testing.assert_array_equal(found.confusion.matrix, matrix[:-1, :-1])
    np.testing.assert_array_equal(found.confusion.undecided, matrix[:-1, -1])
    assert close(found.overall, float((y_true == y_pred).mean()))
    assert close(found.kappa, kappa(y_true, y_pred))
    options: dict[str, Any] = {"labels": labels, "zero_division": 0}
    assert close(found.macro_f1, f1_score(y_true, y_pred, average="macro", **options))
    assert close(found.miou, jaccard_score(y_true, y_pred, average="macro", **options))
    options = {"labels": labels, "average": None, "zero_division": np.nan}
    for row, recall, precision, f1, iou in zip(
        found.classes,
        recall_score(y_true, y_pred, **options),
        precision_score(y_true, y_pred, **options),
        f1_score(y_true, y_pred, labels=labels, average=None, zero_division=0),
        jaccard_score(y_true, y_pred, labels=labels, average=None, zero_division=0),
        strict=True,
    ):
        assert close(row.producers, recall)
        assert close(row.users, precision)
        assert close(row.f1, f1)
        assert close(row.iou, iou)
        assert row.support == (y_true == row.code).sum()
        assert row.mapped == (y_pred == row.code).sum()
        assert row.name == f"class {row.code}"


@settings(deadline=None, max_examples=30)
@given(mapped=MAPS, expected=REFERENCES)
def test_every_pixel_is_accounted_for(mapped: np.ndarray, expected: np.ndarray) -> None:
    both = (mapped != 0) & (expected != 0)
    assume(both.any())
    found = agreement(map_of(mapped), reference_of(expected))
    assert found.no_map == pytest.approx((mapped == 0).mean())
    assert found.no_reference == pytest.approx(((mapped != 0) & (expected == 0)).mean())
    assert found.coverage == pytest.approx(both.mean())
    verdict = disagreement(map_of(mapped), reference_of(expected))
    np.testing.assert_array_equal(verdict, np.where(both, np.where(mapped == expected, 1, 2), 0))
    assert verdict.dtype == np.uint8
    assert (verdict == 1).sum() / found.n == pytest.approx(found.overall)


@settings(deadline=None, max_examples=30)
@given(labels=CLUSTERS, mapped=MAPS, expected=REFERENCES)
def test_no_naming_beats_the_ceiling(labels: np.ndarray, mapped: np.ndarray, expected: np.ndarray) -> None:
    both = (mapped != 0) & (expected != 0)
    assume(both.any())
    best = agreement(map_of(mapped), reference_of(expected), clusters=clusters_of(labels)).ceiling
    assert best is not None
    y_true, inside = expected[both], labels[both]

    def named(names: tuple[int, ...]) -> np.ndarray:
        return np.array([255, *names], dtype=np.uint8)[inside]

    overall = {names: float((named(names) == y_true).mean()) for names in itertools.product((10, 20, 30, 40), repeat=3)}
    assert best.overall == pytest.approx(max(overall.values()))
    used = [cluster for cluster in (1, 2, 3) if cluster in inside]
    assert sorted(best.naming) == used
    y_pred = named(tuple(best.naming.get(cluster, 10) for cluster in (1, 2, 3)))
    present = [code for code in SCHEME.codes if code in y_true or code in y_pred]
    assert close(best.kappa, kappa(y_true, y_pred))
    assert close(best.macro_f1, f1_score(y_true, y_pred, labels=present, average="macro", zero_division=0))
    assert close(best.miou, jaccard_score(y_true, y_pred, labels=present, average="macro", zero_division=0))
    for cluster in used:
        counts = {code: int((y_true[inside == cluster] == code).sum()) for code in (10, 20, 30, 40)}
        most = max(counts.values())
        assert best.naming[cluster] == min(code for code, count in counts.items() if count == most)
        assert best.purity[cluster] == pytest.approx(most / (inside == cluster).sum())


@settings(deadline=None, max_examples=25)
@given(labels=CLUSTERS, mapped=MAPS, expected=REFERENCES)
def test_clusters_one_by_one(labels: np.ndarray, mapped: np.ndarray, expected: np.ndarray) -> None:
    rows = cluster_agreement(map_of(mapped), reference_of(expected), clusters=clusters_of(labels))
    both = (mapped != 0) & (expected != 0)
    assert [row.cluster for row in rows] == [cluster for cluster in (1, 2, 3) if cluster in labels]
    for row in rows:
        inside = both & (labels == row.cluster)
        assert row.pixels == (labels == row.cluster).sum()
        assert row.compared == inside.sum()
        if not inside.any():
            assert (row.agree, row.majority, row.purity) == (None, None, None)
            continue
        assert row.agree == pytest.approx((mapped == expected)[inside].mean())
        codes, counts = np.unique(expected[inside], return_counts=True)
        assert row.majority == codes[counts.argmax()]
        assert row.purity == pytest.approx(counts.max() / counts.sum())


@settings(deadline=None, max_examples=25)
@given(labels=CLUSTERS, mapped=MAPS, expected=REFERENCES)
def test_json_there_and_back(labels: np.ndarray, mapped: np.ndarray, expected: np.ndarray) -> None:
    assume(((mapped != 0) & (expected != 0)).any())
    reference = reference_of(expected, unknown={7: 3}, attribution="© someone")
    found = agreement(map_of(mapped, year=2019), reference, clusters=clusters_of(labels))
    text = json.dumps(found.to_json(), allow_nan=False)
    back = Agreement.from_json(json.loads(text))
    assert back == found
    assert back.to_json() == found.to_json()


def test_json_holds_what_readers_look_for() -> None:
    mapped = [[10, 10, 20, 255], [10, 20, 0, 20]]
    expected = [[10, 20, 20, 20], [0, 20, 10, 10]]
    labels = [[1, 1, 2, 3], [1, 2, 0, 2]]
    reference = reference_of(expected, unknown={99: 5}, attribution="© a maker", year=2020)
    content = agreement(map_of(mapped), reference, clusters=clusters_of(labels)).to_json()
    assert content["confusion"] == {"codes": [10, 20], "matrix": [[1, 1], [1, 2]], "undecided": [0, 1]}
    assert content["n"] == 6
    assert content["overall"] == pytest.approx(3 / 6)
    assert content["image_year"] == 2021
    assert content["reference"] == {
        "title": "a map",
        "year": 2020,
        "attribution": "© a maker",
        "unknown": {"99": 5},
    }
    assert content["classes"][1] == {
        "code": 20,
        "name": "class 20",
        "producers": pytest.approx(2 / 4),
        "users": pytest.approx(2 / 3),
        "f1": pytest.approx(4 / 7),
        "iou": pytest.approx(2 / 5),
        "support": 4,
        "mapped": 3,
    }
    assert set(content["ceiling"]) == {"overall", "kappa", "macro_f1", "miou", "naming", "purity"}
    assert content["ceiling"]["naming"] == {"1": 10, "2": 20, "3": 20}
    assert content["ceiling"]["overall"] == pytest.approx(4 / 6)


def test_leaving_clusters_unnamed_does_not_pay() -> None:
    expected = [[10, 10, 20, 20]]
    wrong = agreement(map_of([[10, 10, 20, 10]]), reference_of(expected))
    unnamed = agreement(map_of([[10, 10, 20, 255]]), reference_of(expected))
    assert unnamed.n == wrong.n == 4
    assert unnamed.overall == wrong.overall == 0.75
    assert [row.code for row in unnamed.classes] == [10, 20]


def test_kappa_is_not_defined_for_a_single_class() -> None:
    found = agreement(map_of([[10, 10]]), reference_of([[10, 10]]))
    assert found.kappa is None
    assert found.to_json()["kappa"] is None
    assert (found.overall, found.macro_f1, found.miou) == (1.0, 1.0, 1.0)


def test_ceiling_needs_clusters() -> None:
    found = agreement(map_of([[10, 20]]), reference_of([[10, 10]]))
    assert found.ceiling is None
    assert found.to_json()["ceiling"] is None


@pytest.mark.parametrize("shape", [(1, 1), (300, 2000), (1001, 1003)])
def test_histogram_is_numpys(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 256, (2, *shape), dtype=np.uint8)
    within = rng.integers(0, 2, shape, dtype=np.uint8)
    expected, _, _ = np.histogram2d(first.ravel(), second.ravel(), bins=np.arange(257))
    np.testing.assert_array_equal(joint_histogram(first, second), expected)
    np.testing.assert_array_equal(joint_histogram(first[:, ::-1], second[:, ::-1]), expected)
    expected, _, _ = np.histogram2d(first.ravel(), (second * within).ravel(), bins=np.arange(257))
    np.testing.assert_array_equal(joint_histogram(first, second, within=within), expected)


def test_what_cannot_be_compared_is_refused() -> None:
    mapped, expected = map_of([[10, 20], [0, 0]]), reference_of([[10, 20], [10, 0]])
    with pytest.raises(GridMismatchError, match="2 x 2"):
        agreement(mapped, replace(expected, grid=grid_of((2, 2), shift=5)))
    with pytest.raises(GridMismatchError, match="2 x 1"):
        disagreement(mapped, reference_of([[10, 20]]))
    with pytest.raises(GridMismatchError, match="clusters"):
        agreement(mapped, expected, clusters=clusters_of([[1, 1]]))
    with pytest.raises(SchemeError, match=r"'four'.*'worldcover'"):
        agreement(mapped, replace(expected, scheme=load_scheme("worldcover")))
    with pytest.raises(SchemeError, match=r"reference 'a map' holds the codes \[77\]"):
        agreement(mapped, reference_of([[77, 10], [10, 0]]))
    with pytest.raises(SchemeError, match=r"map holds the codes \[77\]"):
        agreement(map_of([[77, 10], [10, 0]]), expected)
    with pytest.raises(SchemeError, match=r"reference 'a map' holds the codes \[255\]"):
        agreement(mapped, reference_of([[255, 10], [10, 0]]))
    with pytest.raises(NoOverlapError, match=r"covers 2 pixels, the reference 1"):
        agreement(mapped, reference_of([[0, 0], [10, 0]]))


def test_caution_names_years_and_strangers() -> None:
    mapped = map_of([[10, 20]], year=2023)
    worldcover = "© ESA WorldCover project 2021 / Contains modified Copernicus Sentinel data (2021)"
    text = agreement(mapped, reference_of([[10, 10]], title="ESA WorldCover 2021", attribution=worldcover)).caution
    assert "76.7 %" in text
    assert "image is of 2023" in text
    assert "reference of 2021" in text
    text = agreement(mapped, reference_of([[10, 10]], attribution=worldcover.replace("2021", "2020"))).caution
    assert "74.4 %" in text
    text = agreement(mapped, reference_of([[10, 10]], year=None, unknown={9: 4})).caution
    assert "%" not in text
    assert "year of the reference is not known" in text
    assert "4 pixels" in text
    assert "(9)" in text
    text = agreement(map_of([[10, 20]]), reference_of([[10, 10]])).caution
    assert "2021" not in text


def test_two_years_of_worldcover_agree_as_scikit_learn_says(real_data: Path) -> None:
    grid = GeoBox((700, 900), Affine(10, 0, 228000, 0, -10, 25000), "EPSG:32632")
    scheme = load_scheme("worldcover")
    first, second = (load_worldcover(grid, year=year, folder=real_data / "worldcover") for year in (2020, 2021))
    landcover = LandCoverMap(grid, first.codes, np.full_like(first.codes, 100), scheme, 2020)
    found = agreement(landcover, second, clusters=ClusterMap(grid, first.codes, None))
    y_true, y_pred = second.codes.ravel(), first.codes.ravel()
    assert found.n == y_true.size
    assert found.kappa == pytest.approx(cohen_kappa_score(y_true, y_pred), abs=1e-12)
    assert found.macro_f1 == pytest.approx(f1_score(y_true, y_pred, average="macro", zero_division=0), abs=1e-12)
    assert found.miou == pytest.approx(jaccard_score(y_true, y_pred, average="macro", zero_division=0), abs=1e-12)
    assert 0.5 < found.overall < 1
    assert found.ceiling is not None
    assert found.ceiling.overall >= found.overall
    assert "76.7 %" in found.caution
    assert "image is of 2020" in found.caution


@pytest.mark.parametrize("name", ["chile", "poland", "tanzania", "belgium"])
def test_a_real_reference_agrees_with_itself(real_data: Path, name: str) -> None:
    import rasterio

    from s2dash.schemes import read_scheme_map

    with rasterio.open(real_data / name / "scene.tif") as scene:
        grid = GeoBox.from_rio(scene)
    scheme = load_scheme("worldcover")
    translate = read_scheme_map(real_data / name / "about.json", target="worldcover")
    reference = load_reference(real_data / name / "reference.tif", grid=grid, scheme=scheme, scheme_map=translate)
    landcover = LandCoverMap(grid, reference.codes, np.full_like(reference.codes, 100), scheme)
    found = agreement(landcover, reference)
    assert (found.overall, found.macro_f1, found.miou) == (1.0, 1.0, 1.0)
    assert found.n == np.count_nonzero(reference.codes) > 1000
    assert not reference.unknown
