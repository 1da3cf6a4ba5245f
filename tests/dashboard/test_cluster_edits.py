"""The page of clusters: the method's own settings, quality, edits and their way back; and the charts behind it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from app_pages import opened, press, texts, wait_for
from hypothesis import given
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

from s2dash.annotation.legend import LegendEvent, build_legend
from s2dash.clustering import METHODS, Option
from s2dash.clustering.edits import ClusterEdit
from s2dash.clustering.quality import ClusterMeasures, ClusterQuality, TwoModes
from s2dash.clustering.sweep import KSweep
from s2dash.dashboard.cluster_figures import distance_figure, separability_figure, sweep_figure, training_figure
from s2dash.dashboard.cluster_tables import (
    edit_lines,
    pixel_hectares,
    pixels_of,
    quality_table,
    remarks,
    waiting_decisions,
)
from s2dash.dashboard.method_options import first_value, help_text, number_limits, option_key
from s2dash.dashboard.products import RAMP, product_layer, ramp_picture
from s2dash.dashboard.texts import METHOD_TITLES, method_and_k, run_facts
from s2dash.edit_history import EditEntry
from s2dash.errors import NotARasterError
from s2dash.export.cog import write_number_cog
from s2dash.export.scene import write_scene
from s2dash.pipeline import RunSettings
from s2dash.schemes import load_scheme
from s2dash.sources.request import SceneRequest
from s2dash.store import RunRecord
from s2dash.testing import make_grid, make_patchwork, make_scene
from s2dash.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("after_the_first_visit")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def tool(app: AppTest, kind: str) -> AppTest:
    next(group for group in app.get("button_group") if group.label == "Tool").set_value(kind).run()
    return app


# ---- edits on the page


def test_clusters_are_merged_and_it_is_taken_back_and_done_again(space, run):
    app = opened("clusters")
    app.text_input(key="who").set_value("Ada").run()
    app.text_input(key="edit_why").set_value("both are wheat").run()
    assert [button.disabled for button in app.button if button.label == "Merge"] == [True]
    app.multiselect(key=f"merge {run}").set_value([2, 4]).run()
    press(app, "Merge")
    wait_for(app, lambda _: space.store.changes(run)[1] == 1 and not app.session_state["jobs"])
    assert not app.error
    assert sorted(space.open_run(run).cards) == [1, 3, 5]
    (entry,) = space.store.cluster_edits(run).entries
    assert (entry.edit.clusters, entry.who, entry.edit.why) == ((2, 4), "Ada", "both are wheat")
    assert "Ada, " in texts(app)
    assert "(both are wheat)" in texts(app)
    assert {5} < set(app.multiselect(key=f"merge {run}").options) or app.multiselect(key=f"merge {run}").value == []
    press(app, "Undo")
    assert sorted(space.open_run(run).cards) == [1, 2, 3, 4]
    assert [button.disabled for button in app.button if button.label == "Undo"] == [True]
    press(app, "Redo")
    assert sorted(space.open_run(run).cards) == [1, 3, 5]
    assert [entry.who for entry in space.store.cluster_edits(run).entries] == ["Ada"] * 3


def test_the_other_tools_do_what_they_say(space, run):
    app = opened("clusters")
    tool(app, "split")
    app.selectbox(key=f"split {run}").set_value(3).run()
    press(app, "Split")
    wait_for(app, lambda _: space.store.changes(run)[1] == 1 and not app.session_state["jobs"])
    assert sorted(space.open_run(run).cards) == [1, 2, 4, 5, 6]
    tool(app, "sieve")
    app.number_input(key=f"unit {run}").set_value(0.051).run()
    assert "fewer than 6 pixels" in texts(app)
    press(app, "Sieve")
    wait_for(app, lambda _: not app.session_state["jobs"])
    assert not app.error or "no pixel" in texts(app) or "Nothing" in texts(app)
    tool(app, "majority")
    press(app, "Smooth")
    wait_for(app, lambda _: not app.session_state["jobs"])
    for entry in space.store.cluster_edits(run).entries[1:]:
        assert (entry.kind, entry.edit.value) in {("sieve", 6), ("majority", 3)}


def test_an_edit_that_fails_says_why_and_changes_nothing(space, run, scene_file):
    app = opened("clusters")
    app.multiselect(key=f"merge {run}").set_value([2, 4]).run()
    scene_file.unlink()
    press(app, "Merge")
    wait_for(app, lambda _: bool(app.error))
    assert str(scene_file) in texts(app)
    assert space.store.changes(run)[:2] == (0, 0)


def test_decisions_about_clusters_that_are_gone_are_mentioned(space, run):
    space.override(run, 2, 60, who="Ada")
    space.override(run, 4, 20, who="Ada")
    space.edit_clusters(run, "merge", clusters=(2, 4), who="Ben")
    app = opened("clusters")
    assert "goes by the vote" in texts(app)
    assert "Decisions about clusters 2, 4 are kept for when they are back." in texts(app)
    app.switch_page("pages/labels.py").run()
    assert not app.exception
    shown = "".join(str(bar.text) for bar in app.get("progress"))
    waiting = len(space.open_run(run).legend.queue)
    assert " of 3 decided" in shown
    assert (f"{waiting} wait" if waiting else "every cluster has a class") in shown


def test_edits_of_others_are_shown_on_every_page(space, run):
    app = opened("clusters")
    space.edit_clusters(run, "merge", clusters=(2, 4), who="Ben")
    app.run()
    assert "Ben, " in texts(app)
    for page in ("labels", "agreement", "runs"):
        app.switch_page(f"pages/{page}.py").run()
        assert not app.exception
        assert not app.error


# ---- the form


def test_every_method_can_be_chosen_and_shows_its_own_settings(space, run):
    app = opened("clusters")
    for name, method in METHODS.items():
        app.selectbox(key="method").set_value(name).run()
        assert not app.exception
        assert method.summary in texts(app)
        assert bool([slider for slider in app.slider if slider.key == "k"]) == method.takes_k
        for option in method.options:
            shown = [
                widget
                for kind in (app.number_input, app.selectbox, app.text_input)
                for widget in kind
                if widget.key == option_key(name, option.name)
            ]
            assert [widget.value for widget in shown] == [option.default], (name, option.name)


def test_settings_of_a_method_stay_and_reach_the_run(space, run, monkeypatch):
    asked: list[RunSettings] = []

    def note(self, request, settings, *, reference, progress):
        asked.append(settings)
        return run

    monkeypatch.setattr(Workspace, "start", note)
    app = opened("clusters")
    app.selectbox(key="method").set_value("slic").run()
    app.number_input(key="option slic segment_size").set_value(99).run()
    app.toggle(key="k_auto").set_value(True).run()
    app.switch_page("pages/labels.py").run()
    app.switch_page("pages/clusters.py").run()
    assert app.number_input(key="option slic segment_size").value == 99
    press(app, "Make the map")
    wait_for(app, lambda _: bool(asked) and not app.session_state["jobs"])
    assert (asked[0].method, asked[0].k, asked[0].options["segment_size"]) == ("slic", "auto", 99)
    asked[0].check()

    st.cache_resource.clear()  # a restart of the server, and a new browser
    fresh = opened("clusters")
    assert fresh.selectbox(key="method").value == "slic"
    assert fresh.toggle(key="k_auto").value is True
    assert fresh.number_input(key="option slic segment_size").value == 99
    fresh.toggle(key="k_auto").set_value(False).run()
    assert fresh.slider(key="k").value == 4
    fresh.selectbox(key="method").set_value("dbscan").run()
    assert fresh.number_input(key="option dbscan eps").value is None
    press(fresh, "Make the map")
    wait_for(fresh, lambda _: len(asked) == 2 and not fresh.session_state["jobs"])
    assert asked[1].options["eps"] is None
    asked[1].check()
    fresh.selectbox(key="method").set_value("kmeans").run()
    assert fresh.slider(key="k").value == 4


def test_old_settings_of_a_method_that_no_longer_fit_do_not_break_the_page(space, run):
    old = {"method": "slic", "k": "auto", "options": {"segment_size": -4, "colour": "red"}}
    space.store.set_setting("dashboard.settings", old)
    app = opened("clusters")
    assert app.number_input(key="option slic segment_size").value == 64


def test_k_is_proposed_and_the_sweep_is_shown(space, run):
    app = opened("clusters")
    app.toggle(key="k_auto").set_value(True).run()
    assert app.slider(key="k").disabled
    press(app, "Make the map")
    wait_for(app, lambda _: app.session_state["run"] != run)
    assert not app.error
    sweep = space.open_run(app.session_state["run"]).clusters.settings["k_sweep"]
    assert sweep["reason"] in texts(app)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_setting_has_a_field_that_takes_its_default(method):
    for option in method.options:
        assert option.check(first_value(option, {})) == option.default
        assert option.kind is str or first_value(option, {option.name: "many"}) == option.default
        if option.kind is str or option.choices:
            continue
        limits = number_limits(option)
        assert {type(value) for name, value in limits.items() if name != "format" and value is not None} == {
            option.kind
        }
        assert limits["step"] > 0
        assert help_text(method, option).endswith(".")


def test_limits_follow_the_size_of_the_number():
    option = Option("x", "X", 0.0005, kind=float, least=1e-6, most=0.5)
    assert number_limits(option)["step"] == pytest.approx(0.0001)
    assert number_limits(Option("n", "N", 8, least=1))["max_value"] is None


# ---- words


def test_runs_are_told_by_method_k_and_edits():
    def facts(summary, **settings):
        record = RunRecord("a", "b", "t", "finished", NOON, NOON, {}, settings, summary, "")
        return run_facts(record)

    assert facts({}, method="kmeans", k=12, seed=3) == "K-Means, K = 12, seed 3"
    assert facts({"clusters": 7, "edits": 2}, method="dbscan", k=12, seed=0) == "DBSCAN, 7 clusters, seed 0, 2 edits"
    assert facts({"clusters": 9, "edits": 0}, method="gmm", k="auto", seed=0) == (
        "Gaussian mixture, K proposed, 9 clusters, seed 0"
    )
    assert facts({}, method="of tomorrow", k=2, seed=0) == "of tomorrow, K = 2, seed 0"
    assert METHOD_TITLES.keys() == METHODS.keys()
    assert method_and_k(RunSettings(k="auto")) == "K-Means, K proposed"
    assert method_and_k(RunSettings(method="hdbscan")) == "HDBSCAN"


def test_an_edit_is_told_in_two_lines():
    edit = ClusterEdit(kind="merge", clusters=(3, 5), value=0, who="Ada", when=NOON, made=(13,), why="wheat")
    what, who = edit_lines(EditEntry(2, "edit", edit, "Ada", NOON))
    assert what == f"2. {edit.text}"
    assert who == "Ada, 1 Mar 2026, 12:00 UTC (wheat)"
    assert edit_lines(EditEntry(3, "undo", edit, "Ben", NOON)) == (
        f"3. Undone: {edit.text}",
        "Ben, 1 Mar 2026, 12:00 UTC",
    )


def test_a_mapping_unit_is_so_many_pixels():
    pixel = pixel_hectares(make_grid(10, 10))
    assert pixel == pytest.approx(0.01)
    assert [pixels_of(area, pixel) for area in (0.02, 0.05, 0.051, 1.0)] == [2, 5, 6, 100]


def test_only_decisions_about_clusters_that_are_gone_wait():
    legend = build_legend([], scheme=load_scheme("worldcover"), clusters=[1, 2])
    events = [LegendEvent("override", cluster, None, 10, "Ada", NOON) for cluster in (1, 4, 4, 3)]
    assert waiting_decisions(events[:1], legend) == ""
    assert waiting_decisions(events, legend) == "Decisions about clusters 3, 4 are kept for when they are back."
    assert waiting_decisions(events[1:2], legend) == "Decisions about cluster 4 are kept for when it is back."


# ---- charts and layers


def test_the_sweep_shows_both_curves_and_marks_the_proposal():
    sweep = KSweep((2, 3, 4, 5), (0.6, 0.5, 0.55, 0.4), (9.0, 8.0, 7.0, 6.0), (9.0, 4.0, 2.0, 1.8), 4, 5, "Because.")
    figure = sweep_figure(sweep)
    lines = [trace for trace in figure.data if trace.mode == "lines+markers"]
    assert [list(line.y) for line in lines] == [list(sweep.silhouette), list(sweep.inertia)]
    marks = [(trace.x[0], trace.y[0]) for trace in figure.data if trace.mode == "markers"]
    assert marks == [(5, 0.4), (5, 1.8)]
    said = [note.text for note in figure.layout.annotations]
    assert said.count("proposed: K = 5") == 2
    assert "elbow: K = 4" in said
    assert "elbow: K = 5" not in [note.text for note in sweep_figure(replace(sweep, elbow=5)).layout.annotations]


def test_the_distance_curve_shows_the_reach():
    curve = {"neighbours": 5, "share": [0.0, 0.25, 0.5, 0.75, 1.0], "distance": [0.1, 0.2, 0.3, 0.5, 9.0]}
    figure = distance_figure(curve, eps=0.3)
    assert list(figure.data[0].x) == [0, 25, 50, 75, 100]
    assert "nearest pixel no. 5" in figure.layout.yaxis.title.text
    assert figure.layout.shapes[0].y0 == 0.3
    assert "0.3" in figure.layout.annotations[0].text


def test_every_two_clusters_are_in_the_matrix_once_and_none_with_itself(space, run):
    found = space.open_run(run).quality
    (cells,) = separability_figure(found, {1: "#112233"}).data
    assert np.array(cells.z, dtype=float).shape == (4, 4)
    assert np.isnan(np.array(cells.z, dtype=float).diagonal()).all()
    assert cells.z[0][1] == found.separability[0][1]
    assert "#112233" in cells.x[0]


def measured(cluster, pixels, **changes):
    fields = {
        "cluster": cluster, "pixels": pixels, "area_ha": pixels / 100, "share": 0.25, "mean": {}, "std": {},
        "silhouette": 0.5, "patches": 3, "patch_ha": 1.0, "fragmentation": 0.1, "nearest": 1, "separability": 1.9,
        "modes": None, "warnings": (),
    }  # fmt: skip
    return ClusterMeasures(**fields | changes)


def test_noise_is_told_in_the_sessions_language_and_nothing_is_proposed(monkeypatch):
    noise = measured(7, 900, share=0.4, separability=0.1, fragmentation=0.9, noise=True, warnings=("7 is noise.",))
    quality = ClusterQuality(clusters=(noise,), silhouette=0.5, separability=(), space=(), sampled=10, seed=0)
    (remark,) = remarks(quality)
    assert (remark.text, remark.edits) == ("7 is noise.", ())
    monkeypatch.setattr("s2dash.dashboard.cluster_tables.language", lambda: "uk")
    assert "noise: 40 % of the pixels" in remarks(quality)[0].text


def test_warnings_come_with_what_can_be_done_and_each_thing_once():
    modes = TwoModes("NDVI", 0.1, 0.6, 0.4)
    quality = ClusterQuality(
        clusters=(
            measured(1, 100, nearest=2, separability=0.8, warnings=("1 is like 2.",)),
            measured(2, 300, nearest=1, separability=0.8, modes=modes, warnings=("2 is mixed.", "2 is like 1.")),
            measured(3, 200, fragmentation=0.9, warnings=("3 is scattered.",)),
            measured(4, 50, share=0.001, nearest=3, warnings=("4 is tiny.",)),
            measured(5, 500),
        ),
        silhouette=0.5,
        separability=(),
        space=(),
        sampled=10,
        seed=0,
    )
    found = remarks(quality)
    assert [remark.text for remark in found] == ["2 is mixed. 2 is like 1.", "3 is scattered.", "4 is tiny."]
    assert [dict(remark.edits) for remark in found] == [
        {
            "Merge 1 and 2": {"kind": "merge", "clusters": (1, 2)},
            "Split 2": {"kind": "split", "clusters": (2,), "value": 2},
        },
        {"Smooth 3 × 3": {"kind": "majority", "value": 3}},
        {"Merge 3 and 4": {"kind": "merge", "clusters": (3, 4)}},
    ]
    for remark in found:
        for _, options in remark.edits:  # the tools take what is proposed
            edit = {"clusters": (), "value": 0, **options}
            ClusterEdit(who="Ada", when=NOON, **edit)


def test_the_table_has_a_row_for_every_cluster_in_its_colour(space, run):
    found = space.open_run(run).quality
    table = quality_table(found, {1: "Cropland"}, {1: "#000000", 2: "#FFFFFF"})
    assert list(table.data["Cluster"]) == [1, 2, 3, 4]
    assert list(table.data["ha"]) == pytest.approx([one.area_ha for one in found.clusters])
    assert table.data["%"].sum() == pytest.approx(100)
    html = table.to_html()
    assert "background-color: #000000" in html
    assert "color: #FFFFFF" in html


def test_the_quality_is_on_the_page_and_a_proposal_is_one_click(space, tmp_path):
    scene, stripes = make_patchwork(side=48)
    numbers = np.array(scene.source.numbers)
    rows = np.random.default_rng(0).random((48, 48)) < 0.5
    numbers[:, (stripes == 4) & rows] += 400  # the last stripe is two kinds of ground
    write_scene(make_scene(numbers), tmp_path / "mixed.tif")
    run = space.start(SceneRequest(str(tmp_path / "mixed.tif")), RunSettings(k=4, sample=10_000))
    (mixed,) = [one.cluster for one in space.open_run(run).quality.clusters if one.modes is not None]
    app = opened("clusters")
    assert f"Cluster {mixed} mixes two kinds of pixels" in texts(app)
    assert len(app.dataframe) == 1
    press(app, f"Split {mixed}")
    wait_for(app, lambda _: space.store.changes(run)[1] == 1 and not app.session_state["jobs"])
    assert not app.error
    first, second = space.store.cluster_edits(run).entries[0].edit.made
    labels = space.open_run(run).clusters.labels
    kinds = {int(np.median(labels[(stripes == 4) & chosen])) for chosen in (rows, ~rows)}
    assert kinds == {first, second}
    assert f"Cluster {mixed} mixes" not in texts(app)


def test_a_run_without_measures_offers_to_make_them(space, run):
    (space.store.run_folder(run) / "quality.json").unlink()
    app = opened("clusters")
    press(app, "Measure them now")
    wait_for(app, lambda _: bool(app.dataframe))
    assert space.open_run(run).quality is not None


def test_training_curves_are_named_and_numbered_from_one():
    figure = training_figure({"clustering_loss": [3.0, 2.0, 1.0], "<b>x": [1.0]})
    assert [trace.name for trace in figure.data] == ["clustering loss", "&lt;b&gt;x"]
    assert list(figure.data[0].x) == [1, 2, 3]
    assert figure.layout.showlegend
    assert not training_figure({"loss": [1.0]}).layout.showlegend


@given(some.floats(-5, 5), some.floats(0.01, 10))
def test_the_ramp_is_monotonous_and_hides_what_is_not_known(low, width):
    values = np.array([[np.nan, low - 1, low, low + width / 2, low + width, low + width + 1]], dtype=np.float64)
    picture = ramp_picture(values, low=low, high=low + width)
    assert picture[0, 0].tolist() == [0, 0, 0, 0]
    shown = ["#" + "".join(f"{byte:02X}" for byte in pixel[:3]) for pixel in picture[0, 1:]]
    assert shown[:2] == [RAMP[0]] * 2
    assert shown[3:] == [RAMP[-1]] * 2
    assert picture[0, 1:, 3].tolist() == [255] * 5


def test_a_map_of_numbers_is_a_layer_with_its_range(tmp_path):
    values = np.linspace(0, 10, 60 * 40, dtype=np.float32).reshape(60, 40)
    values[:5] = np.nan
    path = tmp_path / "reconstruction_error.tif"
    write_number_cog(path, values, grid=make_grid(60, 40), description="error")
    layer, legend = product_layer("reconstruction_error", path)
    assert (layer.name, layer.shown) == ("Reconstruction error", False)
    assert legend[0] == ("Reconstruction error", "")
    low, high = np.nanpercentile(values, [2, 98])
    assert [float(text) for text, _ in legend[1:]] == pytest.approx([low, (low + high) / 2, high], rel=0.05)
    assert [colour for _, colour in legend[1:]] == [RAMP[0], RAMP[2], RAMP[4]]
    member, marks = product_layer("membership", path, max_side=16)
    assert member.bounds[0] == pytest.approx(layer.bounds[0], abs=1e-4)
    assert [text for text, _ in marks[1:]] == ["0", "0.5", "1"]
    path.write_text("no raster")
    with pytest.raises(NotARasterError):
        product_layer("membership", path)
