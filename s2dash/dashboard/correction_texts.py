"""What people changed of a map, in words."""

from __future__ import annotations

from shapely.geometry import shape

from s2dash.dashboard.labels import name_in
from s2dash.dashboard.language import t, written_moment
from s2dash.map_edit import MapEdit, in_force
from s2dash.pipeline import RunResult
from s2dash.schemes import UNDECIDED, ClassScheme

LONGEST = 60
"""Most characters of a file's name that are shown."""


def code_name(result: RunResult, code: int) -> str:
    """Name of a class code of the map; of what nobody has named, that it is unknown."""
    return code_name_in(result.legend.scheme, code)


def code_name_in(scheme: ClassScheme, code: int) -> str:
    """The same, as a scheme calls it."""
    return name_in(scheme, None if code == UNDECIDED else code)


def edit_line(result: RunResult, edit: MapEdit, *, scheme: ClassScheme | None = None) -> str:
    """What was done, in a line of plain text.

    Args:
        result: The run.
        edit: What was done.
        scheme: The classes as they were called then; by default as they are called now.
    """
    about, scheme = edit.content, scheme or result.legend.scheme
    if edit.kind == "area":
        middle = shape(about["geometry"]).representative_point()
        return t(
            "corrections.edit_area", name=code_name_in(scheme, int(about["code"])), place=place_text(middle.x, middle.y)
        )
    if edit.kind == "sample":
        return t("points.edit_sample", count=len(about["points"]), seed=about["seed"])
    if about["origin"] == "file":
        return t("points.edit_file", count=len(about["points"]), file=str(about["file"])[:LONGEST])
    name = code_name_in(scheme, int(about["code"]))
    if about["origin"] == "sample":
        return t("points.edit_judged", number=int(about["place"]) + 1, name=name)
    return t("points.edit_click", name=name, place=place_text(about["longitude"], about["latitude"]))


def edit_facts(edit: MapEdit, edits: tuple[MapEdit, ...]) -> str:
    """By whom, when and why, and who took it back since, in a line of plain text."""
    facts = [edit.who, written_moment(edit.when), *([edit.why] if edit.why else [])]
    turns = [one for one in edits if one.kind in ("withdraw", "restore") and int(one.content["seq"]) == edit.seq]
    if turns:
        key = "corrections.taken_back" if turns[-1].kind == "withdraw" else "corrections.brought_back"
        facts.append(t(key, who=turns[-1].who, when=written_moment(turns[-1].when)))
    return " · ".join(facts)


def place_text(longitude: float, latitude: float) -> str:
    """A place as people write it, to about a metre: `45.15261° N, 33.00056° E`."""
    north = t("corrections.north" if latitude >= 0 else "corrections.south", degrees=f"{abs(latitude):.5f}")
    east = t("corrections.east" if longitude >= 0 else "corrections.west", degrees=f"{abs(longitude):.5f}")
    return f"{north}, {east}"


def ceiling_note(result: RunResult) -> str:
    """How to read the ceiling where areas were corrected by hand; empty where none was."""
    areas = sum(edit.kind == "area" for edit in in_force(result.map_edits))
    found = result.agreement
    if not areas or found is None or found.ceiling is None:
        return ""
    note = t("corrections.ceiling", count=areas)
    return f"{note} {t('corrections.above')}" if found.overall > found.ceiling.overall else note
