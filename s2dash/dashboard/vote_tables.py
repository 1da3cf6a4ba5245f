"""Tables of how annotators vote: who said what, how far they agree, how they kept to the form, what they cost."""

from __future__ import annotations

from s2dash.annotation.answer import Answer
from s2dash.annotation.concord import compliance, fleiss_kappa, usage_by_annotator, vote_matrix
from s2dash.annotation.estimate import Estimate
from s2dash.annotation.second_look import RoundReport
from s2dash.dashboard.labels import class_name
from s2dash.dashboard.language import t, written_day
from s2dash.dashboard.texts import number
from s2dash.pipeline import RunResult

LANDIS_KOCH = (
    (0.0, "poor"),
    (0.2, "slight"),
    (0.4, "fair"),
    (0.6, "moderate"),
    (0.8, "substantial"),
    (1.0, "almost_perfect"),
)
"""Names of the words for kappa up to a value (Landis & Koch 1977)."""


def matrix_rows(result: RunResult) -> list[dict[str, str]]:
    """Every annotator's vote on every cluster, and what they decided, a row a cluster; the disputed first."""
    legend = result.legend
    matrix = vote_matrix(legend)
    rows = []
    for cluster in (*legend.disputed, *(cluster for cluster in legend.clusters if cluster not in legend.disputed)):
        entry = legend.entries[cluster]
        row = {t("asking.cluster"): str(cluster)}
        said = {answer.annotator: answer for answer in entry.voters}
        for name in matrix.annotators:
            answer = said.get(name)
            row[name] = "" if answer is None else _said(result, answer)
        row[t("asking.decided")] = class_name(result, entry.code)
        row[t("asking.lead")] = f"{entry.vote.margin:.0%}" if entry.vote.tally else "–"
        rows.append(row)
    return rows


def concord_line(result: RunResult) -> str:
    """How far the annotators agree with each other, in a line of plain text."""
    matrix = vote_matrix(result.legend)
    if len(matrix.annotators) < 2:
        return t("asking.one_annotator")
    kappa = fleiss_kappa(matrix)
    if kappa is None:
        return t("asking.kappa_unknown")
    word = next((word for most, word in LANDIS_KOCH if kappa <= most), LANDIS_KOCH[-1][1])
    return t("asking.kappa", word=t(f"asking.kappa_{word}"), kappa=f"{kappa:.2f}")


def compliance_rows(result: RunResult) -> list[dict[str, str]]:
    """How each model kept to the form, and what it used; annotators that were not asked live have no cost."""
    answers = [answer for answer in result.legend.answers if answer.style]
    used = usage_by_annotator(answers)
    return [
        {
            t("asking.annotator"): who,
            t("asking.model"): ", ".join(sorted({answer.model for answer in answers if answer.annotator == who})),
            t("asking.answers"): number(row.answers),
            t("asking.in_form"): "–" if row.share is None else f"{row.share:.0%}",
            t("asking.unusable"): number(sum(row.faults.values())),
            t("asking.tokens"): number(used[who].input_tokens + used[who].output_tokens),
            t("asking.dollars"): f"{used[who].dollars:.3f}",
        }
        for who, row in compliance(answers).items()
    ]


def estimate_rows(found: Estimate) -> list[dict[str, str]]:
    """What asking would take, a row a model."""
    return [
        {
            t("asking.model"): model.title,
            t("asking.questions"): number(model.calls),
            t("asking.known"): number(model.found),
            t("asking.tokens"): number(model.input_tokens + model.output_tokens),
            t("asking.dollars"): f"{model.dollars_low:.2f} – {model.dollars_high:.2f}"
            if model.dollars_high
            else t("asking.free"),
        }
        for model in found.models
    ]


def round_line(result: RunResult, report: RoundReport) -> str:
    """What a feedback round did, in a line of plain text."""
    parts = [
        t(
            "asking.round",
            number=report.number,
            asked=len(report.asked),
            split=len(report.splits),
            calls=report.calls,
            dollars=f"{report.usage.dollars:.3f}",
        ),
        t(
            "asking.round_decided",
            before=report.decided_before,
            of_before=report.clusters_before,
            after=report.decided_after,
            of_after=report.clusters_after,
        ),
    ]
    if report.changed:
        changes = (
            t(
                "asking.round_change",
                cluster=cluster,
                before=class_name(result, before),
                after=class_name(result, after),
            )
            for cluster, (before, after) in sorted(report.changed.items())
        )
        parts.append(t("asking.round_changed", changes=", ".join(changes)))
    if report.gain is not None:
        parts.append(t("asking.round_gain", points=f"{100 * report.gain:+.1f}"))
    return " ".join(["; ".join(parts) + ".", *report.remarks])


def reply_facts(answer: Answer) -> str:
    """How an answer came about, in a line of plain text."""
    parts = [answer.model]
    if answer.style:
        parts.append(t("asking.reply_shown", style=answer.style))
    if answer.round > 1:
        parts.append(t("asking.reply_round", number=answer.round))
    if answer.asks > 1:
        parts.append(t("asking.reply_twice"))
    if answer.usage.input_tokens:
        tokens = answer.usage.input_tokens + answer.usage.output_tokens
        parts.append(t("asking.reply_cost", tokens=number(tokens), dollars=f"{answer.usage.dollars:.4f}"))
    day = written_day(answer.answered.date())
    parts.append(t("asking.reply_recorded" if answer.recorded else "asking.reply_answered", day=day))
    return " · ".join(parts)


def _said(result: RunResult, answer: Answer) -> str:
    """A vote in a cell."""
    return class_name(result, answer.code) + (f" · {t('labels.mixed')}" if answer.mixed else "")
