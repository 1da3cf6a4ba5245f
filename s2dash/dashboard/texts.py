"""Text from people, files and models, made safe to show; and how runs are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from babel.dates import format_datetime
from babel.numbers import format_decimal

from s2dash.clustering import METHODS
from s2dash.dashboard.language import language, t, written_day, written_moment
from s2dash.reference import Reference
from s2dash.run_settings import RunSettings
from s2dash.store import RunRecord

_MARKUP = frozenset(r"\`*_{}[]()<>#+-.!|~:$&")
METHOD_TITLES = {name: method.title for name, method in METHODS.items()}
"""Clustering methods as people call them."""


def plain(text: object) -> str:
    """Text with nothing in it read as Markdown, HTML, a formula or an emoji code."""
    return "".join(f"\\{char}" if char in _MARKUP else " " if char in "\r\n\t" else char for char in str(text))


def number(value: float, digits: int = 0) -> str:
    """A number as people write it, e.g. `1,234.5` or `1 234,5`.

    Args:
        value: Any.
        digits: Behind the decimal point.
    """
    return format_decimal(value, format="#,##0" + ("." + "0" * digits if digits else ""), locale=language())


def duration(seconds: float) -> str:
    """A time as people say it: seconds, at least one, minutes or hours."""
    if seconds < 90:
        return t("area.seconds", count=number(max(seconds, 1)))
    if seconds < 5400:
        return t("area.minutes", count=number(seconds / 60))
    return t("area.hours", count=number(seconds / 3600, 1))


def by_whom(who: str, when: datetime, why: str = "") -> str:
    """Who did something, when and, if a reason was given, why, in a line of plain text."""
    return f"{who}, {written_moment(when)}" + (f" ({why})" if why else "")


def rule_name(rule: str) -> str:
    """How the reflectance of a scene is known, in the language spoken; as it is where it is none of the usual ways."""
    return t(f"imagery.rule_{_RULES[rule]}") if rule in _RULES else rule


_RULES = {
    "given": "given",
    "metadata": "metadata",
    "pixel check": "pixels",
    "simulated": "simulated",
    "float reflectance": "reflectance",
    "float percent": "percent",
    "8-bit numbers": "bytes",
    "collection": "collection",
    "baseline": "baseline",
}


def unique_titles(records: Iterable[RunRecord]) -> dict[str, str]:
    """What to call each run in a list, by id: its title, with the time where two are called the same."""
    known = list(records)
    titles = {record.id: record.title for record in known}
    for form, end in (("d MMM HH:mm", ""), ("d MMM y, HH:mm:ss", " · {id}")):
        often = Counter(titles.values())
        for record in known:
            if often[titles[record.id]] > 1:
                created = format_datetime(record.created, form, locale=language())
                titles[record.id] = f"{record.title} · {created}" + end.format(id=record.id[-6:])
    return titles


def run_facts(record: RunRecord) -> str:
    """Method, K, seed and edits of a run, in a line of plain text."""
    settings, found = record.settings, record.summary.get("clusters")
    name, k = str(settings.get("method")), settings.get("k")
    facts = [METHOD_TITLES.get(name, name)]
    if name in METHODS and not METHODS[name].takes_k:
        facts += [t("texts.clusters_found", count=found)] if found is not None else []
    else:
        facts.append(t("texts.k_proposed") if k == "auto" else t("texts.k", k=k))
        facts += [t("texts.clusters_found", count=found)] if k == "auto" and found is not None else []
    facts.append(t("texts.seed", seed=settings.get("seed")))
    edits = record.summary.get("edits") or 0
    return ", ".join([*facts, *([t("texts.edits", count=edits)] if edits else [])])


def method_and_k(settings: RunSettings) -> str:
    """What a run is asked for, in a few words."""
    method = METHODS[settings.method]
    if not method.takes_k:
        return method.title
    return f"{method.title}, {t('texts.k_proposed') if settings.k == 'auto' else t('texts.k', k=settings.k)}"


def run_agreement(record: RunRecord) -> str:
    """What a run reached, in a line of plain text; empty where it was not compared."""
    overall, ceiling = record.summary.get("overall"), record.summary.get("ceiling")
    if overall is None:
        return ""
    told = t("texts.agreement", overall=number(overall, 3))
    return told + (", " + t("texts.ceiling", ceiling=number(ceiling, 3)) if ceiling is not None else "")


def day(written: str | None) -> str:
    """A day as people write it: `1 Jul 2021`."""
    return written_day(date.fromisoformat(written) if written else None)


def scene_figures(about: Mapping[str, Any]) -> dict[str, str]:
    """A scene in four figures, from `describe_scene`."""
    return {
        t("texts.clear"): f"{number(about['clear_percent'], 1)} %",
        t("texts.area"): t("texts.km2", area=number(about["area_km2"], 1)),
        t("texts.date"): day(about["acquired"]),
        t("texts.pixels"): f"{about['width']} × {about['height']}",
    }


def scene_facts(about: Mapping[str, Any]) -> dict[str, str]:
    """What else there is to know of a scene, from `describe_scene`; what is not known is left out."""
    facts = {
        t("texts.bands"): ", ".join(about["bands"]),
        t("texts.pixel"): t("texts.metres", size=f"{about['pixel_size_m']:.4g}", crs=about["crs"]),
        t("texts.product"): about["product"],
        t("texts.source"): about["location"],
    }
    return {name: str(fact) for name, fact in facts.items() if fact}


def comparison(report: Mapping[str, Any], reference: Reference) -> str:
    """What was compared with what, in a line of plain text, from `Agreement.to_json`."""
    parts = [
        t("texts.compared", year=report["image_year"] or t("texts.unknown_year"), title=reference.title),
        t("texts.compared_year", year=reference.year) if reference.year else "",
        "· " + t("texts.compared_pixels", count=number(report["n"])),
        f"· {reference.attribution}" if reference.attribution else "",
    ]
    return " ".join(filter(None, parts))
