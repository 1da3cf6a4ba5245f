"""The offline annotator: names a cluster from its median spectrum by published limits of bands and indices.

Each rule of `data/rules.toml` describes one kind of surface by ranges of a few measures; the publications they are from
are named there. How well a cluster fits a rule lies between the geometric mean of how well it fits the ranges and the
worst of them, so that one measure outside refutes the rule while near misses weaken it. A class is as good as its best
rule. Confidence grows with the fit and with the lead over the next class, shrinks with every measure that is missing,
and never exceeds what the rule says a single spectrum can tell.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources

from s2dash.annotation.answer import Answer, ClusterCard, Question
from s2dash.errors import AnnotationError, SchemeError
from s2dash.schemes import NO_DATA, load_scheme, load_scheme_map

RULES_SCHEME = "worldcover"
"""The scheme the rules are written in; for another one their answers are translated."""
LEAST_FIT = 0.30
"""Fit below which nothing is named: the cluster is like none of the surfaces described."""
LEAST_COVERAGE = 0.60
"""Share of a rule's measures that must be there for the rule to be used."""
MIXED_LEAD = 0.15
"""Lead of the best class over the next below which the cluster seems to mix both."""
DARKEST = 0.0005
"""Reflectance below which a band is noise; values are raised to it before ratios are taken."""

_DIFFERENCES = {
    "NDVI": (("B08",), ("B04",)),
    "NDWI": (("B03",), ("B08",)),
    "MNDWI": (("B03",), ("B11",)),
    "NDSI": (("B03",), ("B11",)),
    "NDBI": (("B11",), ("B08",)),
    "NDMI": (("B08",), ("B11",)),
    "BSI": (("B11", "B04"), ("B08", "B02")),
}
"""Normalised differences: sum of the first bands against that of the second, as in `spyndex` (BSI is its BI)."""
_RATIOS = {"B02/B04": ("B02", "B04"), "B12/B11": ("B12", "B11")}
_STAND_INS = {"B08": "B8A", "B8A": "B08"}
"""Bands that see nearly the same, one for the other where a product lacks one (60 m products have no B08)."""


@dataclass(frozen=True)
class Rule:
    """One kind of surface."""

    key: str
    """Key of the class in `RULES_SCHEME`."""
    reason: str
    """What such a cluster is, in words."""
    most: float
    """Confidence if everything fits, 0-1."""
    show: tuple[str, ...]
    """Measures the reason tells."""
    when: Mapping[str, tuple[float, float, float, float]]
    """Range of each measure: corners of a trapezoid."""


@dataclass(frozen=True)
class Fit:
    """How well a cluster fits a rule."""

    rule: Rule
    """The rule."""
    fit: float
    """Fit of the measures that could be had, 0-1: root of their worst membership times their geometric mean."""
    coverage: float
    """Share of the rule's measures that could be computed, 0-1."""

    @property
    def score(self) -> float:
        """By which rules are compared: what the rule can promise for such a fit, 0-1."""
        return self.fit * self.coverage * self.rule.most


@dataclass(frozen=True)
class RulesAnnotator:
    """Names clusters without any key or network."""

    name: str = "rules"
    """How it is chosen and shown."""
    model: str = "rules-1"
    """Version of the method; goes up when the same card could get another answer."""

    def prompt_fingerprint(self, question: Question) -> str:
        """Hash of the rule table and of the scheme the answer is given in."""
        scheme = question.scheme
        asked = f"{self.model}\n{_rules_text()}\n{scheme.name}\n{scheme.codes}"
        return sha256(asked.encode()).hexdigest()

    def answer(self, question: Question) -> Answer:
        """Name one cluster; unknown where it fits no rule, or where its class is not in the scheme.

        Raises:
            AnnotationError: If there is no map from the rules' scheme to the one asked for.
        """
        card, scheme = question.card, question.scheme
        measures = measure(card)
        fits = best_fits(measures)
        try:
            to = load_scheme_map(RULES_SCHEME, scheme.name).codes
        except SchemeError as error:
            raise AnnotationError(f"The rules cannot answer in the scheme {scheme.name!r}: {error}") from error
        own = load_scheme(RULES_SCHEME)
        # Two classes of the rules' scheme may be one class here; then the better of them speaks for it.
        ranked: dict[int, Fit] = {}
        for fit in fits:
            ranked.setdefault(to.get(own.by_key(fit.rule.key).code, NO_DATA), fit)
        (code, best), (second, runner_up) = [*ranked.items(), (NO_DATA, None), (NO_DATA, None)][:2]
        named = best is not None and best.fit >= LEAST_FIT
        known = named and code != NO_DATA
        lead = 1.0 if best is None or runner_up is None else 1.0 - runner_up.score / best.score
        return Answer(
            annotator=self.name,
            cluster=card.cluster,
            code=code if known else None,
            second=second if known and second != NO_DATA else None,
            term=own.by_key(best.rule.key).name if best is not None and named else "unknown",
            confidence=_confidence(best, lead) if known and best is not None else 0.0,
            evidence=(_reason(best, measures),),
            mixed=known and lead < MIXED_LEAD and _differ(best, runner_up),
            raw="; ".join(f"{fit.rule.key} {fit.score:.2f}" for fit in fits),
            card=card.fingerprint,
            prompt=self.prompt_fingerprint(question),
            model=self.model,
        )


def measure(card: ClusterCard) -> dict[str, float]:
    """All measures the rules speak of that can be had from the card.

    Indices are the card's own where it tells them, else they are computed from the median reflectances.

    Returns:
        Reflectances 0-1, indices -1 to 1 and band ratios by name; what cannot be computed is left out.
    """
    bands = {name: float(value) for name, value in card.median.items() if math.isfinite(value)}
    for missing, stand_in in _STAND_INS.items():
        if missing not in bands and stand_in in bands:
            bands[missing] = bands[stand_in]
    lit = {name: max(value, DARKEST) for name, value in bands.items()}
    measures = dict(bands)
    for name, (plus, minus) in _DIFFERENCES.items():
        told = card.indices.get(name, math.nan)
        if math.isfinite(told) and -1.0 <= told <= 1.0:
            measures[name] = float(told)
        elif all(band in lit for band in (*plus, *minus)):
            first, second = sum(lit[band] for band in plus), sum(lit[band] for band in minus)
            measures[name] = (first - second) / (first + second)
    for name, (upper, lower) in _RATIOS.items():
        if upper in lit and lower in lit:
            measures[name] = lit[upper] / lit[lower]
    if "NDSI" in measures:
        measures.setdefault("MNDWI", measures["NDSI"])  # one formula, two names
    return measures


def best_fits(measures: Mapping[str, float]) -> list[Fit]:
    """The best rule of each class that fits at all, best class first."""
    best: dict[str, Fit] = {}
    for rule in load_rules():
        fit = fit_rule(rule, measures)
        if fit.score > 0 and fit.coverage >= LEAST_COVERAGE:
            best[rule.key] = max(best.get(rule.key, fit), fit, key=lambda one: one.score)
    return sorted(best.values(), key=lambda fit: (-fit.score, fit.rule.key))


def fit_rule(rule: Rule, measures: Mapping[str, float]) -> Fit:
    """How well the measures fit a rule; measures that are missing are not held against it, but lower its coverage."""
    held = [membership(measures[name], corners) for name, corners in rule.when.items() if name in measures]
    coverage = len(held) / len(rule.when)
    if not held or min(held) == 0.0:
        return Fit(rule, 0.0, coverage)
    mean = math.exp(sum(map(math.log, held)) / len(held))
    return Fit(rule, math.sqrt(min(held) * mean), coverage)


def membership(value: float, corners: tuple[float, float, float, float]) -> float:
    """How far a value belongs to a range, 0-1: a trapezoid that rises from a to b and falls from c to d."""
    a, b, c, d = corners
    if b <= value <= c:
        return 1.0
    if value <= a or value >= d:
        return 0.0
    return (value - a) / (b - a) if value < b else (d - value) / (d - c)


@cache
def load_rules() -> tuple[Rule, ...]:
    """The rule table that comes with the package."""
    return tuple(
        Rule(
            key=row["class"],
            reason=row["reason"],
            most=float(row["most"]),
            show=tuple(row["show"]),
            when={name: _corners(corners) for name, corners in row["when"].items()},
        )
        for row in tomllib.loads(_rules_text())["rules"]
    )


@cache
def _rules_text() -> str:
    return resources.files("s2dash.data").joinpath("rules.toml").read_text("utf-8")


def _corners(numbers: list[float]) -> tuple[float, float, float, float]:
    a, b, c, d = map(float, numbers)
    return a, b, c, d


def _confidence(best: Fit, lead: float) -> float:
    """Half of what the rule can promise for the fit, and up to all of it with the lead over the next class."""
    return min(max(best.score * (0.5 + 0.5 * lead), 0.0), 1.0)


def _differ(best: Fit | None, other: Fit | None) -> bool:
    """Whether two fits are of different main classes: crops and grass look alike without being mixed."""
    if best is None or other is None:
        return False
    main, own = load_scheme_map(RULES_SCHEME, "main").codes, load_scheme(RULES_SCHEME)
    return main[own.by_key(best.rule.key).code] != main[own.by_key(other.rule.key).code]


def _reason(best: Fit | None, measures: Mapping[str, float]) -> str:
    if best is None or best.fit < LEAST_FIT:
        told = _tell(("NDVI", "NDWI", "NDBI", "B08", "B11"), measures)
        return f"{told}: like none of the surfaces the rules describe" if told else "no band the rules need is there"
    text = f"{_tell(best.rule.show, measures)}: {best.rule.reason}"
    missing = [name for name in best.rule.when if name not in measures]
    return f"{text} (without {', '.join(missing)})" if missing else text


def _tell(names: tuple[str, ...], measures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {measures[name]:.2f}" for name in names if name in measures)
