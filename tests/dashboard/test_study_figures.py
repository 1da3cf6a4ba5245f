from __future__ import annotations

import re

import pytest

from s2dash.confusion import Scores
from s2dash.dashboard.study_figures import study_figure, study_page, study_rows
from s2dash.run_settings import RunSettings
from s2dash.sources.request import SceneRequest
from s2dash.study import StrategyResult, Study


def row(method: str, k: int, reached: float | None, ceiling: float | None, **figures) -> StrategyResult:
    def scores(value: float | None) -> Scores | None:
        return None if value is None else Scores(value, value / 2, None, value / 3)

    figures = {"clusters": k, "seconds": 1.0, "peak_mib": 300.0, "baseline_mib": 250.0, "silhouette": 0.2} | figures
    return StrategyResult(RunSettings(method=method, k=k), ceiling=scores(ceiling), reached=scores(reached), **figures)


@pytest.fixture
def study() -> Study:
    return Study(
        request=SceneRequest("scene.tif"),
        scene={"title": "A <b>river</b>", "kind": "local", "width": 3, "height": 4, "acquired": None},
        results=(
            row("kmeans", 8, 0.5, 0.75, silhouette=-0.1),
            row("gmm", 8, 0.625, 0.8125, seconds=31.25),
            StrategyResult(RunSettings(method="sam", k=8), error="There are no <weights>."),
            row("dbscan", 8, 0.25, 0.875, noise_share=0.4, notes=("40 % is noise.",)),
        ),
        judged_on=("B02", "NDVI"),
        judged_pixels=4321,
        reference={"title": "Map & more", "year": 2021, "attribution": "", "caution": "It has errors of its own."},
        started="2026-01-02T03:04:05+00:00",
    )


def test_every_strategy_that_was_done_has_its_bars_in_order(study):
    figure = study_figure(study)
    ceiling, reached, seconds = figure.data
    assert list(ceiling.x) == [0.75, 0.8125, 0.875]
    assert list(reached.x) == [0.5, 0.625, 0.25]
    assert list(seconds.x) == [1.0, 31.25, 1.0]
    assert ceiling.y == reached.y == seconds.y
    assert [label.replace("<br>", " ").replace("\u00a0", " ") for label in ceiling.y] == [
        "K-Means, K = 8",
        "Gaussian mixture, K = 8",
        "DBSCAN",
    ]
    assert (ceiling.xaxis, reached.xaxis, seconds.xaxis) == ("x", "x", "x2")
    assert figure.layout.yaxis.autorange == "reversed"  # the first on top


def test_figures_stand_at_the_bars_and_the_best_is_bold(study):
    said = [note.text for note in study_figure(study).layout.annotations]
    assert said == [
        "Agreement with the reference", "Seconds",
        "0.50 of 0.75", "<b>0.62</b> of 0.81", "0.25 of 0.88", "1.0 s", "31 s", "1.0 s",
    ]  # fmt: skip


def test_without_a_reference_the_silhouette_is_drawn(study):
    from dataclasses import replace

    alone = replace(study, reference=None, results=tuple(replace(r, reached=None, ceiling=None) for r in study.results))
    figure = study_figure(alone)
    assert list(figure.data[0].x) == [-0.1, 0.2, 0.2]
    assert figure.layout.xaxis.range[0] < -0.1
    assert not [note for note in figure.layout.annotations if "greement" in note.text]
    assert not {"Ceiling", "Reached", "Kappa"} & set(study_rows(alone)[0])
    assert "none of them is an agreement" in study_page(alone)


def test_nothing_is_coloured_for_one_theme_only(study):
    figure = study_figure(study)
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0, 0, 0, 0)"
    assert figure.layout.font.color is None
    assert all(note.font.color is None for note in figure.layout.annotations)


def test_a_study_in_which_nothing_worked_still_has_a_table_and_a_page(study):
    from dataclasses import replace

    failed = replace(study, results=(study.results[2],))
    assert study_figure(failed).data[0].x in ((), None)
    assert [(line["Strategy"], line["Ceiling"], line["Best"]) for line in study_rows(failed)] == [
        ("Segment Anything (SAM), K = 8", None, "")
    ]
    assert "There are no &lt;weights&gt;." in study_page(failed)


def test_the_table_names_the_best_and_has_a_row_for_every_strategy(study):
    rows = study_rows(study)
    assert [line["Best"] for line in rows] == ["", "reached, silhouette", "", "ceiling, silhouette"]
    assert [line["Reached"] for line in rows] == [0.5, 0.625, None, 0.25]
    assert [line["mIoU"] for line in rows][1] == pytest.approx(0.625 / 3)
    assert [line["Noise %"] for line in rows] == [None, None, None, 40.0]
    assert [line["Remarks"] for line in rows] == ["", "", "There are no <weights>.", "40 % is noise."]


def test_the_page_is_escaped_and_complete(study):
    page = study_page(study)
    outside = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert "<b>river</b>" not in outside
    assert "A &lt;b&gt;river&lt;/b&gt;" in outside
    assert "Map &amp; more" in outside
    assert "4321 pixels for all strategies, in B02, NDVI" in outside
    assert "It has errors of its own." in outside
    assert "simulated" not in outside
    assert "accuracy" not in outside
    assert outside.count("<tr>") == 1 + len(study.results)
    assert "plotly.js v" in page  # the library is in the file
