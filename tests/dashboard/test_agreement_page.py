"""The page Agreement: empty, loading, ready and in trouble; confusions that are picked, and what can be kept."""

from __future__ import annotations

import csv
import io
import json
import time
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import streamlit as st
from app_pages import make_run, opened, wait_for
from app_pages import texts as said
from PIL import Image
from streamlit.testing.v1 import AppTest

from pages.parts import agreement_map
from s2dash.comparison import Agreement
from s2dash.dashboard import state
from s2dash.dashboard.agreement_layers import WarpedComparison
from s2dash.dashboard.agreement_tables import csv_bytes
from s2dash.dashboard.agreement_words import cautions, class_names
from s2dash.dashboard.fine_image import fine_codes
from s2dash.dashboard.language import speak, t, texts
from s2dash.export.cog import write_class_cog
from s2dash.pipeline import ReferenceSettings
from s2dash.reference import Reference
from s2dash.schemes import load_scheme
from s2dash.testing import make_patchwork
from s2dash.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
SCHEME = load_scheme("worldcover")
pytestmark = pytest.mark.usefixtures("after_the_first_visit")


@pytest.fixture
def reference_file(tmp_path: Path) -> Path:
    """A reference that is not quite the stripes of the scene: part of each is the next one's class."""
    scene, stripes = make_patchwork(side=48)
    codes = np.array([0, 10, 30, 50, 80], dtype=np.uint8)[stripes]
    codes[:12] = np.array([0, 30, 50, 80, 10], dtype=np.uint8)[stripes[:12]]
    names, colours = {10: "a", 30: "b", 50: "c", 80: "d"}, dict.fromkeys((10, 30, 50, 80), "#808080")
    write_class_cog(tmp_path / "reference_2020.tif", codes, grid=scene.grid, names=names, colours=colours)
    return tmp_path / "reference_2020.tif"


@pytest.fixture
def bare(space: Workspace, scene_file: Path) -> str:
    """A run that was compared with nothing."""
    return make_run(space, scene_file)


@pytest.fixture
def run(space: Workspace, bare: str, reference_file: Path) -> str:
    """The same, compared with the reference, its clusters named by a person as the stripes are, but for one."""
    space.compare_with(bare, ReferenceSettings(path=str(reference_file)))
    result = space.open_run(bare)
    stripes = make_patchwork(side=48)[1]
    for cluster in sorted(result.cards):
        stripe = int(np.bincount(stripes[result.clusters.labels == cluster]).argmax())
        space.override(bare, cluster, {1: 10, 2: 30, 3: 50, 4: None}[stripe], who="Ada")
    return bare


def charts(app: AppTest) -> list[dict[str, Any]]:
    return [json.loads(one.proto.spec) for one in app.get("plotly_chart")]


def test_empty_the_page_says_what_to_do(space):
    app = opened("agreement")
    assert "There is no finished map yet" in said(app)
    assert not app.get("plotly_chart")


def test_a_map_without_a_reference_offers_the_comparison(space, bare):
    app = opened("agreement")
    assert "has not been compared with a reference yet" in said(app)
    assert app.button(key="compare").disabled
    app.text_input(key="ref_path").set_value("/somewhere/map.tif").run()
    assert not app.button(key="compare").disabled
    assert not app.get("plotly_chart")


def test_while_a_comparison_runs_no_second_one_can_be_begun(space, bare, reference_file, monkeypatch):
    go: list[bool] = []
    original = Workspace.compare_with

    def slow(self, run, reference, *, progress=None):
        while not go:
            progress.report(0.4, "Reading tiles")
            time.sleep(0.01)
        return original(self, run, reference, progress=progress)

    monkeypatch.setattr(Workspace, "compare_with", slow)
    app = opened("agreement")
    app.text_input(key="ref_path").set_value(str(reference_file)).run()
    app.button(key="compare").click().run()
    assert app.button(key="compare").disabled
    assert "has not been compared" in said(app)
    go.append(True)
    wait_for(app, lambda app: bool(app.metric))
    assert not app.error


def test_trouble_with_the_reference_is_said_in_words(space, bare, tmp_path):
    (tmp_path / "text.tif").write_text("no raster")
    app = opened("agreement")
    app.text_input(key="ref_path").set_value(str(tmp_path / "text.tif")).run()
    app.button(key="compare").click().run()
    wait_for(app, lambda app: bool(app.error))
    assert "not a raster" in said(app)
    app.selectbox(key="ref_scheme").set_value("own").run()
    app.text_input(key="ref_map").set_value(str(tmp_path / "none.json")).run()
    app.button(key="compare").click().run()
    assert "none.json" in said(app)
    assert not app.exception


def test_ready_the_page_names_both_years_and_shows_every_chart(space, run):
    app = opened("agreement")
    assert not app.error
    assert not app.warning
    words = said(app)
    assert "against reference_2020 of 2020" in words or "of 2020" in words
    assert "another map with errors of its own" in words
    assert len(charts(app)) == 6  # ceiling, confusion, classes, areas, clusters, votes
    found = space.open_run(run).agreement
    assert {metric.label: metric.value for metric in app.metric}["Overall agreement"] == f"{found.overall:.3f}"
    assert "accuracy" not in words.lower().replace("overall accuracy of", "")


def test_a_confusion_from_the_list_is_shown_alone_with_its_clusters(space, run, monkeypatch):
    shown: list[dict[str, Any]] = []
    original = state.show_map

    def seen(layers: list[Any], **about: Any) -> Any:
        shown.append({"layers": layers, **about})
        return original(layers, **about)

    monkeypatch.setattr(state, "show_map", seen)
    app = opened("agreement")
    assert [layer.name for layer in shown[-1]["layers"]][-1] == "Disagreement"
    box = app.selectbox(key=f"pair {run}")
    result = space.open_run(run)
    mapped, reference = result.landcover.codes, result.reference.codes
    assert box.options[0] == "All differences"
    assert box.options[1].startswith("Map Not named yet, reference Permanent water bodies: 4.32 ha")  # 36 of 48 rows
    box.set_value("10-30").run()
    assert [layer.name for layer in shown[-1]["layers"]][-1] == "Confusion picked"
    assert "Clusters that make most of it" in said(app)
    (cluster,) = np.unique(result.clusters.labels[(mapped == 10) & (reference == 30)])
    links = [link for link in app.main.get("page_link") if link.label == f"Cluster {cluster}"]
    assert len(links) == 1
    assert f"cluster={cluster}" in links[0].query_string
    box = app.selectbox(key=f"pair {run}")
    box.set_value("").run()
    assert [layer.name for layer in shown[-1]["layers"]][-1] == "Disagreement"


def test_a_confusion_that_has_gone_is_forgotten(space, run):
    app = opened("agreement")
    app.selectbox(key=f"pair {run}").set_value("255-80").run()
    result = space.open_run(run)
    unnamed = next(cluster for cluster, entry in result.legend.entries.items() if entry.code is None)
    space.override(run, unnamed, 80, who="Ben")
    app.run()
    assert not app.exception
    assert app.selectbox(key=f"pair {run}").value == ""
    assert not any("Not named yet" in option for option in app.selectbox(key=f"pair {run}").options)


def test_a_click_on_a_cell_picks_its_pair(space, run, monkeypatch):
    report = space.open_run(run).agreement.to_json()
    codes = report["confusion"]["codes"]
    assert codes == [10, 30, 50, 80]
    session: dict[str, Any] = {}
    monkeypatch.setattr(agreement_map, "st", SimpleNamespace(session_state=session))

    def click(*places: int) -> str:
        session[f"confusion {run}"] = {"selection": {"points": [{"point_index": place} for place in places]}}
        agreement_map.pick_cell(report, run)
        return session[f"pair {run}"]

    wide = 5  # four classes and what is not named
    assert click(1 * wide + 0) == "10-30"  # row of the reference, column of the map
    assert click(3 * wide + 4) == "255-80"
    assert click(0) == "10-10"
    assert click(0 * wide + 1) == ""  # nothing in it
    assert click() == ""


def test_ground_that_agrees_can_be_shown_too(space, run):
    app = opened("agreement", session={f"pair {run}": "10-10"})
    assert app.selectbox(key=f"pair {run}").value == "10-10"
    assert "Both Tree cover" in "".join(app.selectbox(key=f"pair {run}").options)


def test_the_layer_of_a_confusion_holds_its_pixels_and_no_others(space, run):
    result = space.open_run(run)
    both = WarpedComparison.of(result.landcover, result.reference)
    drawn = (both.mapped.codes == 10) & (both.reference.codes == 30)
    assert both.mapped.bounds == both.reference.bounds
    layer = both.pair_layer(mapped=10, reference=30)
    picture = np.array(Image.open(io.BytesIO(b64decode(layer.url.split(",")[1]))).convert("RGBA"))
    assert ((picture[..., 3] > 0) == drawn).all()
    fine = WarpedComparison(
        replace(both.mapped, fine=fine_codes(both.mapped.codes, both.mapped.bounds, side=40)),
        replace(both.reference, fine=fine_codes(both.reference.codes, both.reference.bounds, side=40)),
        result.landcover,
    ).pair_layer(mapped=10, reference=30)
    assert len(fine.fine.pieces) > 4
    opaque = [np.array(Image.open(io.BytesIO(one)).convert("RGBA"))[..., 3] > 0 for one in fine.fine.pieces if one]
    assert sum(int(one.sum()) for one in opaque) == drawn.sum()
    inside = ((result.landcover.codes == 10) & (result.reference.codes == 30)).mean()
    assert drawn.sum() / (both.mapped.codes > 0).sum() == pytest.approx(inside, abs=0.02)


def test_every_chart_can_be_kept_as_a_picture_and_as_numbers(space, run):
    app = opened("agreement")
    names = ["ceiling", "confusion", "classes", "areas", "agreement-by-cluster", "agreement-by-vote"]
    options = [json.loads(one.proto.config)["toImageButtonOptions"] for one in app.get("plotly_chart")]
    assert [one["filename"] for one in options] == names
    assert {(one["format"], one["scale"]) for one in options} == {("png", 2)}
    buttons = [button for button in app.get("download_button") if button.label == "CSV"]
    assert len(buttons) == len(names)
    assert [button.label for button in app.get("download_button")].count("Download agreement.json") == 1
    app.session_state["save_as"] = "svg"
    app.run()
    assert {json.loads(one.proto.config)["toImageButtonOptions"]["format"] for one in app.get("plotly_chart")} == {
        "svg"
    }


def test_csv_is_read_back_as_it_was_and_runs_nothing():
    rows = [{"Клас": "Ліс, луки", "ha": 1.5}, {"Клас": '=HYPERLINK("x")', "ha": None}, {"Клас": "b", "more": 3}]
    read = list(csv.DictReader(io.StringIO(csv_bytes(rows).decode("utf-8-sig"))))
    assert read[0] == {"Клас": "Ліс, луки", "ha": "1.5", "more": ""}
    assert read[1]["Клас"] == '\'=HYPERLINK("x")'
    assert read[2]["more"] == "3"


def test_areas_are_estimated_from_a_sample_of_the_size_asked_for(space, run):
    app = opened("agreement")
    first = next(words for words in (caption.value for caption in app.caption) if "drawn at random" in words)
    assert "500 pixels" in first
    app.number_input(key="area_sample").set_value(200).run()
    app.number_input(key="area_seed").set_value(7).run()
    words = said(app)
    assert "(seed 7)" in words
    assert "Agreement by this sample" in words
    assert "Accuracy by" not in words


def test_the_page_speaks_ukrainian(space, run):
    app = opened("agreement", lang="uk")
    assert [title.value for title in app.title] == ["Узгодженість"]
    words = said(app)
    assert "Які площі класів" in words
    assert "Дерев" in json.dumps(charts(app), ensure_ascii=False) or "Ліс" in json.dumps(
        charts(app), ensure_ascii=False
    )
    assert "Agreement" not in json.dumps([one["layout"] for one in charts(app)])


def test_nothing_is_computed_again_where_nothing_changed(space, run, monkeypatch):
    app = opened("agreement")

    def never(*arguments: Any, **options: Any) -> None:
        raise AssertionError("computed again")

    for name in ("confusion_figure", "confused_pairs", "pair_clusters", "confusion_rows"):
        monkeypatch.setattr(agreement_map, name, never)
    monkeypatch.setattr(WarpedComparison, "of", never)
    monkeypatch.setattr("s2dash.confused_pairs.joint_area", never)  # the page is read anew in every rerun
    app.run()
    assert not app.error
    assert not app.exception


def test_cautions_are_those_of_the_report(space, run):
    result = space.open_run(run)
    found, reference = result.agreement, result.reference
    assert isinstance(found, Agreement)
    said_here = cautions(found.to_json(), reference, scheme=SCHEME, present={10})
    assert " ".join(said_here) == found.caution


def test_worldcover_is_quoted_with_its_own_figure():
    credit = "© ESA WorldCover project 2021 / Contains modified Copernicus Sentinel data (2021)"
    grid, codes = make_patchwork(side=8)[0].grid, np.full((8, 8), 10, np.uint8)
    reference = Reference(grid, codes, SCHEME, "ESA WorldCover 2021", 2021, credit, {7: 3})
    report = {"image_year": 2023, "n": 64, "reference": {}}
    words = " ".join(cautions(report, reference, scheme=SCHEME, present=set()))
    assert "overall accuracy of 76.7 %" in words
    assert "The image is of 2023, the reference of 2021" in words
    assert "3 pixels of the reference" in words


def test_every_text_is_there_in_both_languages():
    for key in texts("en"):
        if key.split(".")[0] in ("agreement", "figures", "area_estimate"):
            assert key in texts("uk"), key


def test_class_names_follow_the_language():
    try:
        speak(lambda: "uk")
        assert class_names(SCHEME)[10] == SCHEME[10].names["uk"]
        assert class_names(SCHEME)[255] == t("agreement.not_named") == "Ще без назви"
    finally:
        speak(state.spoken)
    st.cache_resource.clear()
