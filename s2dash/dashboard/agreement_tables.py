"""The numbers behind the charts of agreement: as tables on the page, and as CSV to keep."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from s2dash.agreement_by import ClusterRow, VoteAgreement
from s2dash.area_estimate import AreaEstimate
from s2dash.confused_pairs import ConfusedPair, JointArea, PairCluster
from s2dash.dashboard.agreement_figures import SCORES, matrix_codes, matrix_counts
from s2dash.dashboard.agreement_words import how_titles
from s2dash.dashboard.language import t
from s2dash.naming_scores import NamingScore
from s2dash.schemes import UNDECIDED

Row = dict[str, Any]
"""A row of a table by column title."""


def csv_bytes(rows: Sequence[Row]) -> bytes:
    """A table as CSV in UTF-8, marked as such for spreadsheets; empty cells for None."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows([{key: _harmless(value) for key, value in row.items()} for row in rows])
    return text.getvalue().encode("utf-8-sig")


def _harmless(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula, kept from being one: people name classes and models."""
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value


def ceiling_rows(report: Mapping[str, Any]) -> list[Row]:
    """Scores reached, and their ceiling."""
    best = report.get("ceiling") or {}
    return [
        {
            t("agreement.score"): t(f"figures.{key}"),
            t("agreement.reached"): report[key],
            t("agreement.ceiling"): best.get(key),
        }
        for key in SCORES
    ]


def matrix_hectares(report: Mapping[str, Any], joint: JointArea) -> list[list[float]]:
    """Area of every cell of the confusion matrix as it is drawn, ha."""
    rows, columns = matrix_codes(report)
    return [[float(joint.ha[row, column]) for column in columns] for row in rows]


def confusion_rows(report: Mapping[str, Any], joint: JointArea, names: Mapping[int, str]) -> list[Row]:
    """The confusion matrix, a row for every cell."""
    rows, columns = matrix_codes(report)
    matrix = matrix_counts(report)
    down = [sum(row[at] for row in matrix) for at in range(len(columns))]
    return [
        {
            t("agreement.reference_class"): names.get(row, str(row)),
            t("agreement.map_class"): names.get(column, str(column)),
            t("agreement.pixels"): matrix[y][x],
            t("agreement.ha"): float(joint.ha[row, column]),
            t("agreement.of_reference"): matrix[y][x] / sum(matrix[y]) if sum(matrix[y]) else None,
            t("agreement.of_map"): matrix[y][x] / down[x] if down[x] else None,
        }
        for y, row in enumerate(rows)
        for x, column in enumerate(columns)
    ]


def class_rows(report: Mapping[str, Any], names: Mapping[int, str]) -> list[Row]:
    """Scores of every class."""
    titles = {
        "code": t("agreement.code"),
        "producers": t("figures.producers"),
        "users": t("figures.users"),
        "f1": t("figures.f1"),
        "iou": t("figures.iou"),
        "support": t("agreement.in_reference_pixels"),
        "mapped": t("agreement.in_map_pixels"),
    }
    rows = []
    for one in report["classes"]:
        row = {title: one[key] for key, title in titles.items()}
        rows.append(
            {t("agreement.code"): row.pop(t("agreement.code")), t("agreement.class"): names.get(one["code"]), **row}
        )
    return rows


def area_rows(
    mapped: Mapping[int, float],
    reference: Mapping[int, float],
    *,
    order: Sequence[int],
    names: Mapping[int, str],
    estimate: AreaEstimate | None = None,
) -> list[Row]:
    """Area of every class in map and reference, and what a sample estimates, ha."""
    known = {one.code: one for one in estimate.classes} if estimate else {}
    rows = []
    for code in order:
        if not (mapped.get(code) or reference.get(code)):
            continue
        here, there = mapped.get(code, 0.0), reference.get(code, 0.0)
        row: Row = {
            t("agreement.class"): names.get(code, str(code)),
            t("agreement.map_ha"): here,
            t("agreement.reference_ha"): there,
            t("agreement.difference_ha"): here - there,
        }
        if estimate is not None:
            area = known[code].area if code in known else None
            low, high = (area.interval if area else None) or (None, None)
            row |= {
                t("agreement.estimated_ha"): area.value if area else 0.0,
                t("agreement.from_ha"): low,
                t("agreement.to_ha"): high,
            }
        rows.append(row)
    return rows


def estimate_rows(estimate: AreaEstimate, names: Mapping[int, str]) -> list[Row]:
    """What a sample says, class by class, with the half widths of its 95 % intervals."""
    return [
        {
            t("agreement.class"): names.get(one.code, str(one.code)),
            t("agreement.units"): one.units,
            t("agreement.found"): one.found,
            t("agreement.map_ha"): one.mapped_ha,
            t("agreement.estimated_ha"): one.area.value,
            t("agreement.half", what=t("agreement.ha")): one.area.half,
            t("figures.users"): one.users.value if one.users and one.code != UNDECIDED else None,
            t("agreement.half", what=t("figures.users")): one.users.half if one.users else None,
            t("figures.producers"): one.producers.value if one.producers else None,
            t("agreement.half", what=t("figures.producers")): one.producers.half if one.producers else None,
        }
        for one in estimate.classes
    ]


def pair_rows(pairs: Sequence[ConfusedPair], names: Mapping[int, str]) -> list[Row]:
    """Confusions, as they are sorted."""
    return [
        {
            t("agreement.map_class"): names.get(one.mapped, str(one.mapped)),
            t("agreement.reference_class"): names.get(one.reference, str(one.reference)),
            t("agreement.ha"): one.ha,
            t("agreement.of_compared"): one.share,
            t("agreement.of_differing"): one.of_differing,
            t("agreement.pixels"): one.pixels,
        }
        for one in pairs
    ]


def pair_cluster_rows(parts: Sequence[PairCluster]) -> list[Row]:
    """The clusters behind a confusion."""
    return [
        {
            t("agreement.cluster"): one.cluster,
            t("agreement.pixels"): one.pixels,
            t("agreement.of_pair"): one.of_pair,
            t("agreement.of_cluster"): one.of_cluster,
        }
        for one in parts
    ]


def cluster_rows(rows: Sequence[ClusterRow], names: Mapping[int, str]) -> list[Row]:
    """Agreement cluster by cluster."""
    titles = how_titles()
    return [
        {
            t("agreement.cluster"): one.cluster,
            t("agreement.class"): names.get(UNDECIDED if one.code is None else one.code),
            t("agreement.ha"): one.ha,
            t("agreement.share_agreeing"): one.agree,
            t("agreement.mostly"): names.get(one.majority) if one.majority is not None else None,
            t("agreement.its_share"): one.purity,
            t("agreement.could_win"): one.lost,
            t("agreement.how_found"): titles[one.how],
        }
        for one in rows
    ]


def vote_rows(rows: Sequence[VoteAgreement]) -> list[Row]:
    """Agreement by how the class was found."""
    titles = how_titles()
    return [
        {
            t("agreement.how_found"): titles[one.how],
            t("agreement.clusters"): one.clusters,
            t("agreement.ha"): one.ha,
            t("agreement.of_compared"): one.share,
            t("agreement.share_agreeing"): one.agree,
        }
        for one in rows
    ]


def naming_rows(found: Sequence[NamingScore], *, ceiling: float | None) -> list[Row]:
    """Every annotator by itself."""
    return [
        {
            t("agreement.annotator"): one.annotator,
            t("agreement.model"): one.model,
            t("agreement.shown"): one.style or t("agreement.figures_only"),
            t("agreement.named"): t("agreement.n_of_m", n=one.answered, m=one.asked),
            t("figures.overall"): one.overall,
            t("agreement.of_ceiling"): one.overall / ceiling if ceiling else None,
            t("agreement.mean_iou"): one.miou,
        }
        for one in found
    ]
