"""Tables of how annotators vote: who said what, how far they agree, how they kept to the form, what they cost."""

from __future__ import annotations

from s2dash.annotation.answer import Answer
from s2dash.annotation.concord import compliance, fleiss_kappa, usage_by_annotator, vote_matrix
from s2dash.annotation.estimate import Estimate
from s2dash.annotation.second_look import RoundReport
from s2dash.dashboard.labels import class_name
from s2dash.pipeline import RunResult

LANDIS_KOCH = (
    (0.0, "poor"),
    (0.2, "slight"),
    (0.4, "fair"),
    (0.6, "moderate"),
    (0.8, "substantial"),
    (1.0, "almost perfect"),
)
"""Words for kappa up to a value (Landis & Koch 1977)."""


def matrix_rows(result: RunResult) -> list[dict[str, str]]:
    """Every annotator's vote on every cluster, and what they decided, a row a cluster; the disputed first."""
    legend = result.legend
    matrix = vote_matrix(legend)
    rows = []
    for cluster in (*legend.disputed, *(cluster for cluster in legend.clusters if cluster not in legend.disputed)):
        entry = legend.entries[cluster]
        row = {"Cluster": str(cluster)}
        said = {answer.annotator: answer for answer in entry.voters}
        for name in matrix.annotators:
            answer = said.get(name)
            row[name] = "" if answer is None else class_name(result, answer.code) + (" · mixed" if answer.mixed else "")
        row["Decided"] = class_name(result, entry.code)
        row["Lead"] = f"{entry.vote.margin:.0%}" if entry.vote.tally else "–"
        rows.append(row)
    return rows


def concord_line(result: RunResult) -> str:
    """How far the annotators agree with each other, in a line of plain text."""
    matrix = vote_matrix(result.legend)
    if len(matrix.annotators) < 2:
        return "One annotator has answered: there is nobody to compare it with."
    kappa = fleiss_kappa(matrix)
    if kappa is None:
        return "The annotators' agreement with each other cannot be told: they named one class only, or too few."
    word = next((word for most, word in LANDIS_KOCH if kappa <= most), LANDIS_KOCH[-1][1])
    return (
        f"Agreement between the annotators beyond chance: {word} (Fleiss' kappa {kappa:.2f}). It says how far they "
        "agree with each other, not whether they are right."
    )


def compliance_rows(result: RunResult) -> list[dict[str, str]]:
    """How each model kept to the form, and what it used; annotators that were not asked live have no cost."""
    answers = [answer for answer in result.legend.answers if answer.style]
    used = usage_by_annotator(answers)
    return [
        {
            "Annotator": who,
            "Model": ", ".join(sorted({answer.model for answer in answers if answer.annotator == who})),
            "Answers": f"{row.answers:,}",
            "In the form at once": "–" if row.share is None else f"{row.share:.0%}",
            "Without a usable reply": f"{sum(row.faults.values()):,}",
            "Tokens": f"{used[who].input_tokens + used[who].output_tokens:,}",
            "US$": f"{used[who].dollars:.3f}",
        }
        for who, row in compliance(answers).items()
    ]


def estimate_rows(found: Estimate) -> list[dict[str, str]]:
    """What asking would take, a row a model."""
    return [
        {
            "Model": model.title,
            "Questions": f"{model.calls:,}",
            "Known": f"{model.found:,}",
            "Tokens": f"{model.input_tokens + model.output_tokens:,}",
            "US$": f"{model.dollars_low:.2f} – {model.dollars_high:.2f}" if model.dollars_high else "free",
        }
        for model in found.models
    ]


def round_line(result: RunResult, report: RoundReport) -> str:
    """What a feedback round did, in a line of plain text."""
    parts = [
        f"Round {report.number}: {len(report.asked)} asked about, {len(report.splits)} split, {report.calls} calls, "
        f"${report.usage.dollars:.3f}",
        f"{report.decided_before} of {report.clusters_before} decided before, {report.decided_after} of "
        f"{report.clusters_after} after",
    ]
    if report.changed:
        changes = (
            f"{cluster} from {class_name(result, before)} to {class_name(result, after)}"
            for cluster, (before, after) in sorted(report.changed.items())
        )
        parts.append(f"changed: {', '.join(changes)}")
    if report.gain is not None:
        parts.append(f"agreement with the reference {100 * report.gain:+.1f} points")
    return " ".join(["; ".join(parts) + ".", *report.remarks])


def reply_facts(answer: Answer) -> str:
    """How an answer came about, in a line of plain text."""
    parts = [answer.model]
    if answer.style:
        parts.append(f"shown {answer.style}")
    if answer.round > 1:
        parts.append(f"round {answer.round}")
    if answer.asks > 1:
        parts.append("asked twice, its first reply was not in the form")
    if answer.usage.input_tokens:
        parts.append(f"{answer.usage.input_tokens + answer.usage.output_tokens:,} tokens, ${answer.usage.dollars:.4f}")
    parts.append(f"{'recorded' if answer.recorded else 'answered'} {answer.answered:%d %b %Y}")
    return " · ".join(parts)
