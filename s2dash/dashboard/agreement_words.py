"""Agreement in words: what is compared with what, how to read it, and what each way of naming is called."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from s2dash.agreement_by import HOW_AGREED
from s2dash.comparison import WORLDCOVER_OVERALL
from s2dash.confused_pairs import ConfusedPair
from s2dash.dashboard.chart import count_text, hectares_text
from s2dash.dashboard.language import language, t
from s2dash.dashboard.texts import number
from s2dash.map_values import in_order
from s2dash.reference import Reference
from s2dash.schemes import UNDECIDED, ClassScheme

_CODES_SHOWN = 12


def class_names(scheme: ClassScheme) -> dict[int, str]:
    """Names of all classes in the session's language by code, and of what nobody has named yet."""
    known = {cls.code: cls.names.get(language()) or cls.name for cls in (*scheme.retired, *scheme.classes)}
    return {**known, UNDECIDED: t("agreement.not_named")}


def compared_line(report: Mapping[str, Any], reference: Reference) -> str:
    """What was compared with what, with both years, in a line of plain text, from `Agreement.to_json`."""
    year = report["image_year"] or t("agreement.unknown_year")
    shown = (
        t("agreement.reference_of", year=reference.year) if reference.year else t("agreement.reference_year_unknown")
    )
    pixels = t("agreement.pixels_compared", count=report["n"], pixels=number(report["n"]))
    parts = [t("agreement.image_against", year=year, reference=reference.title), shown, f"· {pixels}"]
    return " ".join([*parts, *([f"· {reference.attribution}"] if reference.attribution else [])])


def cautions(
    report: Mapping[str, Any], reference: Reference, *, scheme: ClassScheme, present: Collection[int]
) -> list[str]:
    """How to read the figures, in sentences of plain text: what `Agreement.caution` says, in the session's language.

    Args:
        report: From `Agreement.to_json`.
        reference: What the map is compared with.
        scheme: Of the map.
        present: Class codes that the map has.
    """
    names = class_names(scheme)
    said = [t("agreement.caution", reference=reference.title)]
    if (published := WORLDCOVER_OVERALL.get(reference.worldcover_year or 0)) is not None:
        said.append(t("agreement.worldcover_own", year=reference.worldcover_year, share=published))
    image, shown = report["image_year"], reference.year
    if image is None or shown is None:
        which = "both" if image is None and shown is None else "image" if image is None else "reference"
        said.append(t(f"agreement.year_unknown_{which}"))
    elif image != shown:
        said.append(t("agreement.years_differ", image=image, reference=shown))
    for cls in scheme.classes:
        if cls.added and cls.code in present:
            counted = scheme.counted_as.get(cls.code)
            if counted is not None:
                said.append(t("agreement.added_counts", name=names[cls.code], other=names[counted]))
            else:
                said.append(t("agreement.added_alone", name=names[cls.code]))
    if reference.unknown:
        codes = ", ".join(str(code) for code in in_order(reference.unknown)[:_CODES_SHOWN])
        pixels = sum(reference.unknown.values())
        said.append(t("agreement.unknown_codes", count=pixels, pixels=pixels, codes=codes))
    return said


def how_titles() -> dict[str, str]:
    """What each way of finding a class is called."""
    return {how: t(f"agreement.how_{how}") for how in HOW_AGREED}


def pair_line(pair: ConfusedPair, names: Mapping[int, str]) -> str:
    """A pair of classes in a line of plain text."""
    key = "agreement.pair_agrees" if pair.mapped == pair.reference else "agreement.pair"
    return t(
        key,
        map=names.get(pair.mapped, str(pair.mapped)),
        reference=names.get(pair.reference, str(pair.reference)),
        ha=hectares_text(pair.ha),
        share=f"{100 * pair.share:.1f}",
        pixels=count_text(pair.pixels),
    )
