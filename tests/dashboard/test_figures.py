import json
import re
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from s2dash.agreement_by import ClusterRow, VoteAgreement
from s2dash.area_estimate import estimate_areas
from s2dash.bands import method_bands, sensor_table
from s2dash.colours import cluster_colour
from s2dash.confusion import Confusion
from s2dash.dashboard.agreement_by_figures import areas_figure, cluster_agreement_figure, vote_agreement_figure
from s2dash.dashboard.agreement_figures import ceiling_figure, class_figure, confusion_figure, pair_at
from s2dash.dashboard.agreement_words import how_titles
from s2dash.dashboard.figures import area_figure, spectrum_figure
from s2dash.pair_counts import joint_histogram
from s2dash.schemes import UNDECIDED, load_scheme

SCHEME = load_scheme("worldcover")
NAMES = {code: SCHEME[code].name for code in SCHEME.codes}


def agreement_of(reference: np.ndarray, mapped: np.ndarray) -> dict[str, Any]:
    """What `Agreement.to_json()` holds, from the confusion matrix itself."""
    confusion = Confusion.from_histogram(joint_histogram(reference, mapped), order=SCHEME.codes)
    rows = zip(
        confusion.codes,
        confusion.producers,
        confusion.users,
        confusion.f1,
        confusion.iou,
        confusion.support,
        confusion.mapped,
        strict=True,
    )
    keys = ("producers", "users", "f1", "iou", "support", "mapped")
    return {
        **confusion.scores.to_json(),
        "ceiling": {"overall": 0.9, "kappa": 0.8, "macro_f1": 0.7, "miou": 0.6},
        "confusion": {
            "codes": list(confusion.codes),
            "matrix": [list(row) for row in confusion.matrix],
            "undecided": list(confusion.undecided),
        },
        "classes": [
            {"code": code, "name": NAMES[code], **dict(zip(keys, values, strict=True))} for code, *values in rows
        ],
    }


@pytest.fixture
def agreement() -> dict[str, Any]:
    reference = np.array([[10] * 6 + [80] * 3 + [50]], np.uint8)
    mapped = np.array([[10] * 3 + [30] * 2 + [UNDECIDED] + [80] * 3 + [10]], np.uint8)
    return agreement_of(reference, mapped)


def spectra(count: int) -> dict[int, dict[str, float]]:
    generator = np.random.default_rng(0)
    return {
        cluster: dict(zip(method_bands(), map(float, generator.uniform(0.01, 0.5, 10)), strict=True))
        for cluster in range(1, count + 1)
    }


def every_figure(agreement: dict[str, Any]) -> list[go.Figure]:
    return [
        spectrum_figure(spectra(5)),
        area_figure({1: 3.0, 2: 5.0}, names={1: "a", 2: "b"}, colours={1: "#112233", 2: "#445566"}),
        confusion_figure(agreement),
        confusion_figure(agreement, cells="column"),
        confusion_figure(agreement, cells="pixels", pickable=True),
        class_figure(agreement),
        ceiling_figure(agreement),
        cluster_agreement_figure(CLUSTERS, names=NAMES, colours={10: "#006400"}),
        vote_agreement_figure(VOTES, titles=how_titles()),
    ]


CLUSTERS = [
    ClusterRow(3, 10, 120.0, 0.8, 10, 0.8, "unanimous"),
    ClusterRow(1, 30, 60.0, 0.25, 10, 0.75, "majority"),
    ClusterRow(2, None, 5.0, None, None, None, "nobody"),
]
VOTES = [VoteAgreement("unanimous", 1, 120.0, 0.6667, 0.8), VoteAgreement("nobody", 1, 0.0, 0.0, None)]


def test_every_figure_reads_on_light_and_dark_pages(agreement: dict[str, Any]) -> None:
    for figure in every_figure(agreement):
        layout = json.loads(figure.to_json())["layout"]
        template = layout.pop("template", {})
        del template
        assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == "rgba(0, 0, 0, 0)"
        text = json.dumps(layout)
        assert not re.search(r'"(?:font|tickfont|textfont)": \{[^}]*"color"', text)
        for trace in figure.data:
            assert trace.textfont.color is None if hasattr(trace, "textfont") else True
        assert figure.to_json() == figure.to_json()


def test_every_score_is_called_agreement_and_never_accuracy(agreement: dict[str, Any]) -> None:
    for figure in every_figure(agreement)[2:]:
        text = figure.to_json().lower()
        assert "agreement" in text
        assert "accuracy" not in text


def test_spectra_stand_in_order_of_wavelength_with_band_names() -> None:
    figure = spectrum_figure(spectra(3))
    axis = figure.layout.xaxis
    assert [re.sub("^(<br>)*", "", text) for text in axis.ticktext] == [
        f"{band}<br>{sensor_table()[band].wavelength}" for band in method_bands()
    ]
    assert list(axis.tickvals) == sorted(set(axis.tickvals))
    for cluster, trace in enumerate(figure.data, start=1):
        assert trace.name == f"Cluster {cluster}"
        assert trace.line.color == cluster_colour(cluster)
        assert list(trace.x) == list(axis.tickvals)
        assert list(trace.y) == list(spectra(3)[cluster].values())
        assert trace.customdata[0][2] == 490
        assert "reflectance" in trace.hovertemplate
        assert "nm" in trace.hovertemplate


def test_labels_of_neighbouring_bands_stay_apart_on_a_narrow_page() -> None:
    axis = spectrum_figure(spectra(1)).layout.xaxis
    places, deep = np.array(axis.tickvals, float), np.array([text.startswith("<br>") for text in axis.ticktext])
    width = 300 / np.ptp(places)  # px per unit in a plot 300 px wide
    for row in (places[deep], places[~deep]):
        assert (np.diff(row) * width).min() > 24  # three letters at 12 px


def test_missing_bands_leave_no_hole_in_the_axis() -> None:
    figure = spectrum_figure({1: {"B02": 0.1, "B04": 0.2}, 2: {"B02": 0.1, "B03": 0.3, "B04": 0.2}})
    assert [text.replace("<br>", " ").split()[0] for text in figure.layout.xaxis.ticktext] == ["B02", "B03", "B04"]
    assert len(figure.data[0].x) == 2
    assert list(figure.data[0].x) == [490, 665]
    assert list(figure.data[1].x) == [490, 560, 665]


def test_a_highlighted_cluster_is_drawn_last_with_its_spread() -> None:
    spread = {cluster: dict.fromkeys(method_bands(), 0.04) for cluster in range(1, 5)}
    figure = spectrum_figure(spectra(4), spread=spread, highlight=2, statistic="Median")
    lines = [trace for trace in figure.data if trace.name]
    assert [trace.name for trace in lines] == ["Cluster 1", "Cluster 3", "Cluster 4", "Cluster 2"]
    assert [trace.opacity for trace in lines] == [0.22, 0.22, 0.22, 1.0]
    (band,) = [trace for trace in figure.data if trace.fill]
    assert list(band.y[:10]) == pytest.approx([value + 0.02 for value in spectra(4)[2].values()])
    assert list(band.y[10:]) == pytest.approx([value - 0.02 for value in list(spectra(4)[2].values())[::-1]])
    assert "Median" in figure.layout.yaxis.title.text
    assert sum(bool(trace.fill) for trace in spectrum_figure(spectra(4), spread=spread).data) == 4


def test_areas_are_sorted_and_written_with_their_unit() -> None:
    areas = {10: 12345.6, 20: 0.0417, 30: 54.321, 40: 0.0}
    colours = {code: SCHEME[code].colour for code in areas}
    figure = area_figure(areas, names=NAMES, colours=colours)
    (bar,) = figure.data
    assert list(bar.y) == ["Tree cover", "Grassland", "Shrubland", "Cropland"]
    assert [text.split(" ha")[0].strip() for text in bar.text] == ["12 346", "54.3", "0.0417", "0"]
    assert bar.text[0].endswith("99.6 %")
    assert list(bar.marker.color) == [colours[code] for code in (10, 30, 20, 40)]
    assert figure.layout.xaxis.title.text == "Area, ha"
    assert figure.layout.yaxis.autorange == "reversed"


def test_charts_grow_with_their_rows() -> None:
    heights = [
        area_figure(dict.fromkeys(range(1, count), 1.0), names={}, colours={}).layout.height for count in (2, 20, 255)
    ]
    assert heights[2] > heights[1] > heights[0]
    assert (heights[2] - heights[1]) / (254 - 19) >= 20  # px a row: labels of 12 px do not touch
    nothing = area_figure({}, names={}, colours={})
    assert nothing.layout.height > 50
    assert nothing.layout.xaxis.range[1] > 0


def test_names_are_text_and_never_merge_two_bars() -> None:
    figure = area_figure({1: 2.0, 2: 1.0}, names={1: "<b>x</b> & y", 2: "<b>x</b> & y"}, colours={})
    labels = list(figure.data[0].y)
    assert labels[0] == "&lt;b&gt;x&lt;/b&gt; &amp; y"
    assert len(set(labels)) == 2
    name = spectrum_figure(spectra(1), names={1: "<a href='javascript:x'>y</a>"}).data[0].name
    assert name.startswith("&lt;a")


def test_the_confusion_matrix_has_reference_in_rows_and_shares_of_rows(agreement: dict[str, Any]) -> None:
    figure = confusion_figure(agreement)
    (cells,) = figure.data
    assert list(cells.y) == ["Tree cover", "Grassland", "Built-up", "Permanent water bodies"]
    assert len(cells.x) == 5
    assert cells.x[-1] == "Not named yet"
    tree = dict(zip(cells.x, cells.z[0], strict=True))
    assert tree["Tree cover"] == pytest.approx(50.0)
    assert tree["Grassland"] == pytest.approx(100 * 2 / 6)
    assert tree["Not named yet"] == pytest.approx(100 / 6)
    assert list(cells.z[1]) == [None] * 5  # no such pixel in the reference
    assert cells.text[0][0] == "50"
    assert cells.text[0][3] == "·"
    assert list(cells.customdata[0][1])[:2] == ["2", "33.3"]
    assert figure.layout.yaxis.title.text == "Reference"
    assert figure.layout.xaxis.title.text == "Map"
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]  # the first class on top
    outlined = [(shape.x0 + shape.x1) / 2 for shape in figure.layout.shapes]
    assert outlined == [0, 1, 2, 3]


def test_the_confusion_matrix_counts_pixels_when_asked(agreement: dict[str, Any]) -> None:
    agreement["confusion"]["matrix"][0][0] = 12_345_678
    agreement["confusion"]["matrix"][0][1] = 45_678
    cells = confusion_figure(agreement, cells="pixels").data[0]
    assert list(cells.text[0][:2]) == ["12 M", "46 k"]
    assert cells.customdata[0][0][0] == "12 345 678"


def test_a_matrix_of_all_classes_turns_its_labels() -> None:
    codes = np.array([SCHEME.codes], np.uint8)
    figure = confusion_figure(agreement_of(codes, codes))
    assert len(figure.data[0].x) == 11
    assert figure.layout.xaxis.tickangle == -50
    assert not any("<br>" in label for label in figure.data[0].x)
    assert figure.layout.height > 11 * 40


def test_class_scores_are_drawn_and_undefined_ones_left_out(agreement: dict[str, Any]) -> None:
    figure = class_figure(agreement)
    assert [trace.name for trace in figure.data] == ["Producer's", "User's", "F1", "IoU"]
    producers, users, f1, iou = figure.data
    assert list(producers.x) == [0.5, None, 0.0, 1.0]
    assert list(users.x) == [0.75, 0.0, None, 1.0]
    assert list(f1.x) == pytest.approx([2 * 3 / 10, 0, 0, 1])
    assert list(iou.x) == pytest.approx([3 / 7, 0, 0, 1])
    assert producers.text[1] == ""
    assert producers.text[0].strip() == "0.50"
    assert list(producers.customdata[0]) == ["6", "4"]


def test_the_ceiling_says_what_naming_and_what_clustering_cost(agreement: dict[str, Any]) -> None:
    agreement |= {"overall": 0.6, "kappa": -0.05, "macro_f1": None, "miou": 0.65}
    figure = ceiling_figure(agreement)
    limits, reached = figure.data
    assert list(limits.x) == [0.9, 0.8, 0.7, 0.6]
    assert list(reached.x) == [0.6, -0.05, None, 0.65]
    assert [re.sub("<.*?>", "", note.text) for note in figure.layout.annotations] == [
        "0.60 of 0.90",
        "-0.05 of 0.80",
        "not defined",
        "0.65 of 0.60",
    ]
    assert reached.customdata[0] == "<br>lost by naming 0.300<br>lost by clustering 0.100"
    assert reached.customdata[3] == ""  # another naming scores higher on mIoU: no loss to speak of
    assert figure.layout.xaxis.range[0] < -0.05


def test_without_a_ceiling_only_what_was_reached_is_drawn(agreement: dict[str, Any]) -> None:
    agreement["ceiling"] = None
    figure = ceiling_figure(agreement)
    assert [trace.name for trace in figure.data] == ["Reached"]
    assert "of" not in figure.layout.annotations[0].text


def test_shares_of_columns_are_of_the_class_of_the_map(agreement: dict[str, Any]) -> None:
    figure = confusion_figure(agreement, cells="column", hectares=[[0.5] * 5] * 4)
    (cells,) = figure.data
    column = [row[0] for row in cells.z]  # tree cover on the map: 3 of tree cover, 1 of built-up
    assert column == pytest.approx([75.0, 0.0, 25.0, 0.0])
    assert [row[1] for row in cells.z] == pytest.approx([100.0, 0.0, 0.0, 0.0])
    assert list(cells.customdata[0][0]) == ["3", "50.0", "75.0", "0.500"]
    assert "map class" in figure.layout.title.text


def test_a_click_on_a_cell_finds_its_pair(agreement: dict[str, Any]) -> None:
    figure = confusion_figure(agreement, pickable=True)
    cells, points = figure.data
    assert len(points.x) == 4 * 5
    plain_code = {name: code for code, name in NAMES.items()} | {"Not named yet": UNDECIDED}
    plain_code |= {"Permanent<br>water bodies": 80, "Not named<br>yet": UNDECIDED}  # in short lines
    for place, (column, row) in enumerate(zip(points.x, points.y, strict=True)):
        count = int(list(points.customdata)[place][0])
        assert pair_at(agreement, place) == ((plain_code[column], plain_code[row]) if count else None)
    assert points.hovertemplate == cells.hovertemplate
    assert pair_at(agreement, 20) is None


def test_a_matrix_in_another_language_has_its_class_names(agreement: dict[str, Any]) -> None:
    names = {code: SCHEME[code].names["uk"] for code in SCHEME.codes}
    figure = confusion_figure(agreement, names=names)
    assert figure.data[0].y[0] == names[10]


def test_areas_stand_side_by_side_with_the_estimate_and_its_interval() -> None:
    estimate = estimate_areas({10: {10: 40, 30: 10}, 30: {30: 50}}, stratum_ha={10: 60.0, 30: 40.0})
    figure = areas_figure(
        {10: 60.0, 30: 40.0}, {10: 50.0, 30: 50.0}, order=SCHEME.codes, names=NAMES, colours={}, estimate=estimate
    )
    mapped, reference, points = figure.data
    assert list(mapped.y) == ["Tree cover", "Grassland"]
    assert list(mapped.x) == [60, 40]
    assert list(reference.x) == [50, 50]
    assert list(points.x) == pytest.approx([48, 52])
    half = 1.96 * 60 * np.sqrt(0.8 * 0.2 / 49)
    assert list(points.error_x.array) == pytest.approx([half, half])
    assert "±" in points.customdata[0]
    assert not areas_figure({}, {}, order=SCHEME.codes, names=NAMES, colours={}).data[0].x


def test_clusters_show_what_agrees_within_what_a_name_could_reach() -> None:
    best, agrees = cluster_agreement_figure(CLUSTERS, names=NAMES, colours={10: "#006400"}).data
    assert list(agrees.y) == ["3 · Tree cover", "1 · Grassland", "2 · –"]
    assert list(agrees.x) == [0.8, 0.25, None]
    assert list(best.x) == [0.8, 0.75, None]
    assert agrees.marker.color[0] == "#006400"


def test_ways_of_naming_show_their_share_and_their_agreement() -> None:
    share, agrees = vote_agreement_figure(VOTES, titles=how_titles()).data
    assert list(share.y) == ["Unanimous vote", "Not named yet"]
    assert list(share.x) == [0.6667, 0.0]
    assert list(agrees.x) == [0.8, None]
    assert agrees.text[1] == ""
