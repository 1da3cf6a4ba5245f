"""The chain: settings that survive JSON, references in other codes, and one source of truth for the result."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dash.annotation.annotate import annotate
from s2dash.clustering import cluster, quality
from s2dash.errors import AnnotationError, SchemeError, TooLargeError
from s2dash.export.cog import write_class_cog
from s2dash.features import build_features
from s2dash.pipeline import ReferenceSettings, RunSettings, run_chain
from s2dash.progress import Tracker
from s2dash.schemes import load_scheme, scheme_names
from s2dash.testing import make_patchwork


@given(
    st.builds(
        RunSettings,
        k=st.integers(2, 254),
        seed=st.integers(0, 99),
        indices=st.lists(st.sampled_from(["NDVI", "NDWI", "BSI"]), unique=True).map(tuple),
        texture=st.sampled_from([0, 3, 5]),
        annotators=st.just(("rules",)),
    )
)
def test_settings_survive_json(settings):
    assert RunSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_settings_of_a_later_version_can_still_be_read():
    assert RunSettings.from_json({"k": 7, "something_new": True}) == RunSettings(k=7)


@given(st.dictionaries(st.integers(1, 254), st.sampled_from([0, 10, 40, 80])), st.none() | st.integers(2000, 2030))
def test_reference_settings_survive_json(codes, year):
    settings = ReferenceSettings(path="a.tif", scheme="x", codes=codes, year=year)
    assert ReferenceSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_words_and_the_field_of_a_reference_survive_json():
    settings = ReferenceSettings(path="a.gpkg", names={"Ліс": 10, "мозаїка": 0}, field="клас")
    assert ReferenceSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    before = {name: value for name, value in settings.to_json().items() if name not in ("names", "field")}
    assert ReferenceSettings.from_json(before) == ReferenceSettings(path="a.gpkg")  # as earlier versions wrote it
    assert settings.scheme_map("main").names == {"Ліс": 2, "мозаїка": 0}


@pytest.mark.parametrize("source", ["corine", "dynamic_world", "nlcd", "esri_lulc"])
def test_every_shipped_map_leads_to_every_scheme(source):
    for target in scheme_names():
        found = ReferenceSettings(path="a.tif", scheme=source).scheme_map(target)
        assert set(found.codes.values()) <= {0, *load_scheme(target).codes}
        assert len(set(found.codes.values())) > 2


@pytest.mark.parametrize(("codes", "told"), [({}, True), ({0: 80, 1: 10}, False)])
def test_water_of_dynamic_world_is_not_left_out_without_a_word(tmp_path, codes, told):
    scene, _ = make_patchwork(side=48)
    values = np.zeros(scene.grid.shape, np.uint8)
    values[:, 24:] = 1
    write_class_cog(tmp_path / "dw.tif", values, grid=scene.grid, names={1: "trees"}, colours={1: "#006400"})
    found = ReferenceSettings(str(tmp_path / "dw.tif"), "dynamic_world", codes).load(scene, load_scheme("worldcover"))
    assert (found.codes[:, 24:] == 10).all()
    assert any("water is left out" in note for note in found.notes) == told
    if told:
        assert not found.codes[:, :24].any()


def test_codes_of_a_reference_are_translated_into_the_scheme_of_the_run():
    settings = ReferenceSettings(path="a.tif", scheme="own", codes={1: 80, 2: 10, 3: 0})
    assert dict(settings.scheme_map("worldcover").codes) == {1: 80, 2: 10, 3: 0}
    main = settings.scheme_map("main").codes
    assert main[1] != main[2]
    assert main[3] == 0


def test_what_a_json_file_says_of_the_map_is_taken_over(tmp_path):
    path = tmp_path / "about.json"
    path.write_text(json.dumps({"reference": {"source": "a register", "year": "2020", "to_worldcover": {"1": 80}}}))
    settings = ReferenceSettings.from_map_file("a.tif", path)
    assert (settings.title, settings.year, dict(settings.codes)) == ("a register", 2020, {1: 80})
    assert ReferenceSettings.from_map_file("a.tif", path, year=2018).year == 2018
    path.write_text(json.dumps({"1": 80}))
    plain = ReferenceSettings.from_map_file("a.tif", path)
    assert (plain.title, plain.year) == ("", None)


def test_an_unknown_scheme_of_a_reference_is_refused():
    with pytest.raises(SchemeError, match="nonsense"):
        ReferenceSettings(path="a.tif", scheme="nonsense").scheme_map("worldcover")


def test_the_chain_is_what_its_verbs_are_one_by_one():
    scene, _ = make_patchwork(side=60)
    result = run_chain(scene, RunSettings(k=4))
    clusters = cluster(build_features(scene), k=4)
    assert np.array_equal(result.clusters.labels, clusters.labels)
    assert np.array_equal(annotate(clusters, scene).apply(clusters).codes, result.landcover.codes)


def test_the_reference_has_no_influence_on_the_map(tmp_path):
    scene, stripes = make_patchwork(side=60)
    codes = np.where(stripes == 1, 10, 80).astype(np.uint8)
    names, colours = {10: "x", 80: "y"}, {10: "#006400", 80: "#0064C8"}
    write_class_cog(tmp_path / "r.tif", codes, grid=scene.grid, names=names, colours=colours)
    with_one = run_chain(scene, RunSettings(k=4), reference=ReferenceSettings(str(tmp_path / "r.tif")))
    without = run_chain(scene, RunSettings(k=4))
    assert np.array_equal(with_one.landcover.codes, without.landcover.codes)
    assert with_one.agreement is not None
    assert without.agreement is None


def test_progress_runs_from_nothing_to_done():
    scene, _ = make_patchwork(side=60)
    seen = []

    class Watch(Tracker):
        def report(self, share, text):
            super().report(share, text)
            seen.append(share)

    run_chain(scene, RunSettings(k=4), progress=Watch())
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_what_was_done_is_recorded():
    scene, _ = make_patchwork(side=60)
    record = run_chain(scene, RunSettings(k=4, texture=3)).to_json()
    json.dumps(record, allow_nan=False)
    assert record["settings"]["texture"] == 3
    assert record["scene"]["radiometry"]["scale"] == 1e-4
    assert record["clustering"]["features"][-1] == "NDVI spread"
    assert all(seconds >= 0 for seconds in record["timings_s"].values())


def test_nobody_to_ask_is_refused():
    scene, _ = make_patchwork(side=60)
    with pytest.raises(AnnotationError, match="No annotator"):
        annotate(cluster(build_features(scene), k=3), scene, annotators=())


def test_an_annotator_that_fails_leaves_the_others_votes(monkeypatch):
    from s2dash.annotation import annotate as module
    from s2dash.annotation.rules import RulesAnnotator

    class Broken:
        name = model = "broken"

        def prompt_fingerprint(self, question):
            return "p"

        def answer(self, question):
            raise AnnotationError("The model cannot be reached.")

    known = {"rules": RulesAnnotator(), "broken": Broken()}
    monkeypatch.setattr(module, "annotator", lambda name, **_: known[name])
    scene, _ = make_patchwork(side=60)
    clusters = cluster(build_features(scene), k=3)
    legend = module.annotate(clusters, scene, annotators=("broken", "rules"))
    assert {answer.annotator for answer in legend.answers} == {"rules"}
    with pytest.raises(AnnotationError, match="cannot be reached"):
        module.annotate(clusters, scene, annotators=("broken",))


def test_a_map_whose_patches_do_not_fit_in_memory_is_kept(monkeypatch):
    def too_many(*_: object, **__: object) -> None:
        raise TooLargeError("A map of about 9 patches needs 9 GiB. Smooth it first.")

    monkeypatch.setattr(quality, "find_patches", too_many)
    scene, _ = make_patchwork(side=40)
    found = run_chain(scene, RunSettings(k=3, sample=500))
    assert found.quality is None
    assert set(found.clusters.counts()) == {1, 2, 3}
    said = "How good the clusters are was not measured. A map of about 9 patches needs 9 GiB."
    assert any(note.startswith(said) for note in found.scene["notes"])
