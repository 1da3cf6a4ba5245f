"""Naming clusters: cards, questions, answers, votes, and the legend they make.

Functions that share their module's name (`annotate`, `normalise`, `vote`) are imported from there.
"""

from __future__ import annotations

from s2dash.annotation.answer import Annotator, Answer, ClusterCard, Question
from s2dash.annotation.legend import Legend, LegendEntry, LegendEvent, build_legend
from s2dash.annotation.registry import annotator, annotator_names

__all__ = [
    "Annotator",
    "Answer",
    "ClusterCard",
    "Legend",
    "LegendEntry",
    "LegendEvent",
    "Question",
    "annotator",
    "annotator_names",
    "build_legend",
]
