"""Classes that people renamed, recoloured, defined anew or added while they worked on a run.

Class edits are kept in the run's append-only list of map edits; the scheme in force is the packaged one with every
edit replayed on it. A class that people added is never lost from under anybody: taking it back is refused while the
map uses it, and where two people act at the same time, what is in use stays.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from s2dash.annotation.colour_words import without_colour_words
from s2dash.annotation.legend import Legend
from s2dash.annotation.normalise import folded_term
from s2dash.errors import SchemeError
from s2dash.map_edit import MapEdit, in_force
from s2dash.reference_points import reference_points
from s2dash.schemes import UNDECIDED, ClassScheme, LandCoverClass, load_scheme, scheme_names

ClassOp = Literal["add", "rename", "recolour", "define"]
"""What can be done to a class."""

LONGEST_NAME = 60
"""Characters of a class name."""
LONGEST_DEFINITION = 400
"""Characters of a definition: models read it with every question."""
LANGUAGES = ("en", "uk")
"""Languages in which every class has a name."""

_OPS: tuple[ClassOp, ...] = ("add", "rename", "recolour", "define")
_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
_TAKEN_WORDS = frozenset(map(folded_term, ("unknown", "not decided", "not named yet", "no data", "невідомо")))


@dataclass(frozen=True)
class ClassUse:
    """Where a run uses a class."""

    where: Literal["decision", "answer", "area", "point"]
    """A person's decision, an annotator's answer, a drawn area or a reference point."""
    cluster: int = 0
    """Cluster of the decision or the answer."""
    who: str = ""
    """The person or the annotator."""

    @property
    def text(self) -> str:
        """In words."""
        if self.where == "decision":
            return f"{self.who} set cluster {self.cluster} to it"
        if self.where == "answer":
            return f"{self.who} answered it for cluster {self.cluster}"
        return f"{self.who} {'drew an area of' if self.where == 'area' else 'marked a point as'} it"


def edited_scheme(
    scheme: ClassScheme, edits: tuple[MapEdit, ...], *, used: Collection[int] | None = None
) -> ClassScheme:
    """A scheme with every class edit in force.

    Args:
        scheme: As it comes with the package.
        edits: All map edits of the run, oldest first.
        used: Codes that the run uses: a class that was added stays while it is used, even if it was taken back at the
            same moment as somebody used it. None keeps every class that was ever added.

    Returns:
        The scheme itself where nothing was edited, else one with the same name. Classes that were taken back are in
        `retired`.
    """
    own = [edit for edit in edits if edit.kind == "class"]
    if not own:
        return scheme
    held = {edit.seq for edit in in_force(edits)}
    steps = []
    for edit in own:
        content = edit.content
        stays = edit.seq in held or (content["op"] == "add" and (used is None or int(content["code"]) in used))
        steps.append([dict(content), stays])
    text = json.dumps(steps, sort_keys=True)
    if scheme.name in scheme_names() and scheme is load_scheme(scheme.name):
        return _packaged_edited(scheme.name, text)
    return _edited(scheme, text)


def codes_used(legend: Legend, edits: tuple[MapEdit, ...]) -> set[int]:
    """Codes of added classes that the run uses: in decisions, answers, areas and points in force."""
    return {code for code in _ever_added(edits) if uses(legend, edits, code)}


def uses(legend: Legend, edits: tuple[MapEdit, ...], code: int) -> tuple[ClassUse, ...]:
    """Where a class is in use.

    Args:
        legend: The legend in force.
        edits: All map edits of the run.
        code: The class.
    """
    found = []
    for cluster, entry in legend.entries.items():
        if entry.override is not None and entry.code == code:
            found.append(ClassUse("decision", cluster, entry.override.who))
        found += [
            ClassUse("answer", cluster, answer.annotator)
            for answer in entry.answers
            if code in (answer.code, answer.second)
        ]
    for edit in in_force(edits):
        if edit.kind == "area" and edit.content.get("code") == code:
            found.append(ClassUse("area", who=edit.who))
    found += [ClassUse("point", who=point.who) for point in reference_points(edits) if point.code == code]
    return tuple(dict.fromkeys(found))


def checked_class_edit(edit: MapEdit, legend: Legend, edits: tuple[MapEdit, ...]) -> MapEdit:
    """A class edit, or the taking back of one, made fit to be kept.

    Args:
        edit: What somebody wants to do. An `add` need not name a code: it gets the next free one.
        legend: The legend in force, with the scheme in force.
        edits: All map edits of the run so far.

    Raises:
        SchemeError: If it cannot be done; the text says why, and where the class is used.
    """
    if edit.kind == "class":
        return replace(edit, content=_checked_content(edit.content, legend.scheme, edits))
    target = next((one for one in edits if one.seq == edit.content.get("seq")), None)
    if target is None or target.kind in ("withdraw", "restore"):
        raise SchemeError(f"There is no change numbered {edit.content.get('seq')} to take back or bring back.")
    if target.kind == "class":
        _check_turn(edit, target, legend, edits)
    return edit


def free_code(scheme: ClassScheme, edits: tuple[MapEdit, ...]) -> int:
    """The code a new class gets: above those of the scheme where there is room, never one that a class ever had.

    Raises:
        SchemeError: If all are taken.
    """
    taken = {*scheme.codes, *(cls.code for cls in scheme.retired), *_ever_added(edits)}
    candidates: list[int] = [*range(max(scheme.codes, default=0) + 1, UNDECIDED), *range(1, UNDECIDED)]
    for code in candidates:
        if code not in taken:
            return code
    raise SchemeError(f"The scheme {scheme.name!r} has a class for every code from 1 to 254; no other can be added.")


def name_owner(name: str, scheme: ClassScheme, *, code: int | None = None) -> tuple[LandCoverClass, bool] | None:
    """The class that a name already belongs to.

    Args:
        name: The name.
        scheme: The scheme.
        code: The class that is to have it, which may.

    Returns:
        The other class, and whether it is called so: else the name is one of its synonyms, which passes over to the
        class that is called so. None where the name is free.
    """
    said = folded_term(name)
    others = [cls for cls in scheme.classes if cls.code != code]
    for cls in others:
        if said in {folded_term(own) for own in (cls.key, *cls.names.values())}:
            return cls, True
    alike = _spellings([name])
    for cls in others:
        if alike & {folded_term(word) for words in cls.synonyms.values() for word in words}:
            return cls, False
    return None


def _checked_content(content: Mapping[str, Any], scheme: ClassScheme, edits: tuple[MapEdit, ...]) -> dict[str, Any]:
    op = content.get("op")
    if op not in _OPS:
        raise SchemeError(f"A class can be changed by {', '.join(_OPS)}, not by {op!r}.")
    if op == "add":
        return _checked_new(content, scheme, edits)
    code = content.get("code")
    if not isinstance(code, int) or code not in scheme:
        raise SchemeError(
            f"The scheme {scheme.name!r} has no class {code!r}; somebody may have taken it back. Its classes are "
            + ", ".join(f"{cls.code} {cls.name}" for cls in scheme.classes)
            + "."
        )
    checked: dict[str, Any] = {"op": op, "code": code}
    if op == "rename":
        given = content.get("names", {})
        named = _names({**scheme[code].names, **given}, scheme, code)
        checked["names"] = {language: named[language] for language in LANGUAGES if language in given}
    elif op == "recolour":
        checked["colour"] = checked_colour(content.get("colour", ""))
    else:
        told = content.get("definitions", {})
        meant = _definitions({**scheme[code].definitions, **told})
        checked["definitions"] = {language: meant[language] for language in LANGUAGES if language in told}
    return checked


def _checked_new(content: Mapping[str, Any], scheme: ClassScheme, edits: tuple[MapEdit, ...]) -> dict[str, Any]:
    code = int(content["code"]) if content.get("code") else free_code(scheme, edits)
    if not 1 <= code < UNDECIDED or scheme.knows(code) or code in _ever_added(edits):
        raise SchemeError(f"A new class cannot have the code {code}: it is taken, or not from 1 to 254.")
    counts_as = content.get("counts_as")
    if counts_as is not None and (counts_as not in scheme or scheme[counts_as].added):
        raise SchemeError(
            f"A new class can count as one of the classes that {scheme.name!r} came with, not as {counts_as}."
        )
    given = {language: _line(str(name)) for language, name in content.get("names", {}).items()}
    said = next((given[language] for language in LANGUAGES if given.get(language)), "")
    names = _names({language: given.get(language) or said for language in LANGUAGES}, scheme, code)
    return {
        "op": "add",
        "code": code,
        "word": _key(names["en"], code, scheme),
        "names": names,
        "colour": checked_colour(content.get("colour", "")),
        "definitions": _definitions(content.get("definitions", {})),
        "counts_as": counts_as,
    }


def _names(names: Mapping[str, Any], scheme: ClassScheme, code: int) -> dict[str, str]:
    checked = {}
    for language in LANGUAGES:
        name = _line(str(names.get(language, "")))
        if not any(char.isalpha() for char in name):
            raise SchemeError("A class needs a name with at least one letter, in every language of the interface.")
        if len(name) > LONGEST_NAME:
            raise SchemeError(f"{name[:40]!r}… has {len(name)} characters; a class name has at most {LONGEST_NAME}.")
        if folded_term(name) in _TAKEN_WORDS:
            raise SchemeError(f"{name!r} already says that a cluster has no class. Choose another name.")
        owner = name_owner(name, scheme, code=code)
        if owner is not None and owner[1]:
            raise SchemeError(
                f"{name!r} is already the name of the class {owner[0].code} {owner[0].name}. Choose another name, or "
                "rename that class first."
            )
        checked[language] = name
    return checked


def _definitions(definitions: Mapping[str, Any]) -> dict[str, str]:
    said = {language: _line(str(definitions.get(language, ""))) for language in LANGUAGES}
    for text in said.values():
        if len(text) > LONGEST_DEFINITION:
            raise SchemeError(f"A definition has at most {LONGEST_DEFINITION} characters; this one has {len(text)}.")
    filled = next(filter(None, said.values()), "")
    return {language: text or filled for language, text in said.items()}


def checked_colour(colour: object) -> str:
    """A colour as schemes write it, `#RRGGBB` in capitals.

    Raises:
        SchemeError: If it is none.
    """
    if not isinstance(colour, str) or not _COLOUR.fullmatch(colour):
        raise SchemeError(f"A colour is written #RRGGBB, for example #1B7F5C, not {str(colour)[:40]!r}.")
    return colour.upper()


def _check_turn(edit: MapEdit, target: MapEdit, legend: Legend, edits: tuple[MapEdit, ...]) -> None:
    holds = target.seq in {one.seq for one in in_force(edits)}
    if holds != (edit.kind == "withdraw"):
        raise SchemeError(f"The change numbered {target.seq} {'holds already' if holds else 'was taken back already'}.")
    code = int(target.content["code"])
    if target.content["op"] == "add" and edit.kind == "withdraw" and (where := uses(legend, edits, code)):
        listed = "; ".join(use.text for use in where[:6]) + ("; …" if len(where) > 6 else "")
        raise SchemeError(
            f"The class {code} {legend.scheme[code].name} is in use and cannot be taken back: {listed}. Give these "
            "another class first, or rename the class instead."
        )
    after = edited_scheme(load_scheme(legend.scheme.name), (*edits, replace(edit, seq=edits[-1].seq + 1)), used=())
    for cls in after.classes:
        for name in cls.names.values():
            owner = name_owner(name, after, code=cls.code)
            if owner is not None and owner[1]:
                raise SchemeError(
                    f"This would give the classes {cls.code} and {owner[0].code} the same name, {name!r}. Rename one "
                    "of them first."
                )


def _ever_added(edits: tuple[MapEdit, ...]) -> set[int]:
    return {int(edit.content["code"]) for edit in edits if edit.kind == "class" and edit.content["op"] == "add"}


@lru_cache(maxsize=64)
def _packaged_edited(name: str, text: str) -> ClassScheme:
    # Kept, so that the same edits give the same object: what is indexed by scheme is indexed once.
    return _edited(load_scheme(name), text)


def _edited(scheme: ClassScheme, text: str) -> ClassScheme:
    classes = {cls.code: cls for cls in scheme.classes}
    retired: dict[int, LandCoverClass] = {}
    named: list[int] = []
    for content, stays in json.loads(text):
        code = int(content["code"])
        if content["op"] == "add":
            (classes if stays else retired)[code] = _new_class(content)
            named += [code] if stays else []
        elif stays:
            for place in (classes, retired):
                if code in place:
                    place[code] = _changed(place[code], content)
            named += [code] if content["op"] == "rename" else []
    for code in named:
        if code in classes:
            classes = _passed_over(classes, code)
    return replace(scheme, classes=tuple(classes.values()), retired=tuple(retired.values()))


def _new_class(content: Mapping[str, Any]) -> LandCoverClass:
    return LandCoverClass(
        code=int(content["code"]),
        key=content["word"],
        names=content["names"],
        colour=content["colour"],
        definitions=content["definitions"],
        synonyms=dict.fromkeys(LANGUAGES, ()),
        added=True,
        counts_as=content["counts_as"],
    )


def _changed(cls: LandCoverClass, content: Mapping[str, Any]) -> LandCoverClass:
    if content["op"] == "rename":
        # What it was called stays a word for it: models and people go on using it.
        words = {
            language: tuple(dict.fromkeys((*cls.synonyms.get(language, ()), cls.names[language])))
            for language in LANGUAGES
        }
        return replace(cls, names={**cls.names, **content["names"]}, synonyms=words)
    if content["op"] == "recolour":
        return replace(cls, colour=content["colour"])
    return replace(cls, definitions={**cls.definitions, **content["definitions"]})


def _passed_over(classes: Mapping[int, LandCoverClass], code: int) -> dict[int, LandCoverClass]:
    """The classes with the words for one of them that were synonyms of others passed over to it."""
    said = _spellings(classes[code].names.values())
    moved: dict[str, list[str]] = {language: [] for language in LANGUAGES}
    after = dict(classes)
    for other, cls in classes.items():
        kept = dict(cls.synonyms)
        for language, words in cls.synonyms.items() if other != code else ():
            gone = [word for word in words if folded_term(word) in said]
            kept[language] = tuple(word for word in words if word not in gone)
            moved.setdefault(language, []).extend(gone)
        if kept != cls.synonyms:
            after[other] = replace(cls, synonyms=kept)
    own = classes[code].synonyms
    gained = {language: tuple(dict.fromkeys((*own.get(language, ()), *found))) for language, found in moved.items()}
    after[code] = replace(classes[code], synonyms=gained)
    return after


def _spellings(names: Collection[str]) -> set[str]:
    """What the words that mean one of these names share, in singular and plural."""
    return {folded_term(word) for name in names for word in (name, f"{name}s", name.removesuffix("s"))}


def _key(name: str, code: int, scheme: ClassScheme) -> str:
    """A stable identifier from a name: models answer by it, so it is a word wherever the name can be one, and no
    word for a colour.
    """
    plain = unicodedata.normalize("NFKD", without_colour_words(name)).encode("ascii", "ignore").decode().casefold()
    key = re.sub("[^a-z]+", "_", plain).strip("_")
    taken = {cls.key for cls in (*scheme.classes, *scheme.retired)}
    if len(key) < 3 or key in taken:
        return f"class_{code}" if len(key) < 3 else f"{key}_{code}"
    return key


def _line(text: str) -> str:
    """One line of plain text."""
    shown = "".join(" " if unicodedata.category(char) in {"Cc", "Cf", "Cs"} else char for char in text)
    return " ".join(shown.split())
