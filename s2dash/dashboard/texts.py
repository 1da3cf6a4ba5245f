"""Text from people, files and models, made safe to show; and how runs are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from s2dash.clustering import METHODS
from s2dash.reference import Reference
from s2dash.run_settings import RunSettings
from s2dash.store import RunRecord

_MARKUP = frozenset(r"\`*_{}[]()<>#+-.!|~:$&")
METHOD_TITLES = {name: method.title for name, method in METHODS.items()}
"""Clustering methods as people call them."""


def plain(text: object) -> str:
    """Text with nothing in it read as Markdown, HTML, a formula or an emoji code."""
    return "".join(f"\\{char}" if char in _MARKUP else " " if char in "\r\n\t" else char for char in str(text))


def unique_titles(records: Iterable[RunRecord]) -> dict[str, str]:
    """What to call each run in a list, by id: its title, with the time where two are called the same."""
    known = list(records)
    titles = {record.id: record.title for record in known}
    for form in ("{title} · {created:%d %b %H:%M}", "{title} · {created:%d %b %Y, %H:%M:%S} · {id}"):
        often = Counter(titles.values())
        for record in known:
            if often[titles[record.id]] > 1:
                titles[record.id] = form.format(title=record.title, created=record.created, id=record.id[-6:])
    return titles


def run_facts(record: RunRecord) -> str:
    """Method, K, seed and edits of a run, in a line of plain text."""
    settings, found = record.settings, record.summary.get("clusters")
    name, k = str(settings.get("method")), settings.get("k")
    facts = [METHOD_TITLES.get(name, name)]
    if name in METHODS and not METHODS[name].takes_k:
        facts += [f"{found} clusters"] if found is not None else []
    else:
        facts.append("K proposed" if k == "auto" else f"K = {k}")
        facts += [f"{found} clusters"] if k == "auto" and found is not None else []
    facts.append(f"seed {settings.get('seed')}")
    edits = record.summary.get("edits") or 0
    return ", ".join([*facts, *([f"{edits} edit{'s' if edits > 1 else ''}"] if edits else [])])


def method_and_k(settings: RunSettings) -> str:
    """What a run is asked for, in a few words."""
    method = METHODS[settings.method]
    if not method.takes_k:
        return method.title
    return f"{method.title}, {'K proposed' if settings.k == 'auto' else f'K = {settings.k}'}"


def run_agreement(record: RunRecord) -> str:
    """What a run reached, in a line of plain text; empty where it was not compared."""
    overall, ceiling = record.summary.get("overall"), record.summary.get("ceiling")
    if overall is None:
        return ""
    return f"agreement {overall:.3f}" + (f", ceiling {ceiling:.3f}" if ceiling is not None else "")


def day(written: str | None) -> str:
    """A day as people write it: `01 Jul 2021`."""
    return f"{date.fromisoformat(written):%d %b %Y}" if written else "unknown"


def scene_figures(about: Mapping[str, Any]) -> dict[str, str]:
    """A scene in four figures, from `describe_scene`."""
    return {
        "Clear": f"{about['clear_percent']:.1f} %",
        "Area": f"{about['area_km2']:,.1f} km²",
        "Date": day(about["acquired"]),
        "Pixels": f"{about['width']} × {about['height']}",
    }


def scene_facts(about: Mapping[str, Any]) -> dict[str, str]:
    """What else there is to know of a scene, from `describe_scene`; what is not known is left out."""
    facts = {
        "Bands": ", ".join(about["bands"]),
        "Pixel": f"{about['pixel_size_m']:.4g} m, {about['crs']}",
        "Product": about["product"],
        "Source": about["location"],
    }
    return {name: str(fact) for name, fact in facts.items() if fact}


def comparison(report: Mapping[str, Any], reference: Reference) -> str:
    """What was compared with what, in a line of plain text, from `Agreement.to_json`."""
    parts = [
        f"Image of {report['image_year'] or 'unknown year'} against {reference.title}",
        f"of {reference.year}" if reference.year else "",
        f"· {report['n']:,} pixels compared",
        f"· {reference.attribution}" if reference.attribution else "",
    ]
    return " ".join(filter(None, parts))
