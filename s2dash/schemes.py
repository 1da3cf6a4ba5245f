"""Class schemes as data: which classes there are, what they are called, how one scheme maps onto another."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from s2dash.errors import SchemeError
from s2dash.map_values import map_value
from s2dash.types import LabelArray, NumberArray

NO_DATA = 0
"""Code for no data in every scheme."""
UNDECIDED = 255
"""Code for clusters that nobody has named yet: on the map, in no class, and counted as disagreement."""


@dataclass(frozen=True)
class LandCoverClass:
    """One class of a scheme."""

    code: int
    """Value in rasters, 1-254."""
    key: str
    """Stable identifier, e.g. `tree_cover`."""
    names: Mapping[str, str]
    """Name by language, `en` and `uk`."""
    colour: str
    """`#RRGGBB`, for maps and legends."""
    definitions: Mapping[str, str]
    """One sentence by language that separates it from its neighbours."""
    synonyms: Mapping[str, tuple[str, ...]]
    """Other words for it by language."""
    added: bool = False
    """Whether people added it to the scheme of one run; its key then says what it is, and its code only there."""
    counts_as: int | None = None
    """Of an added class, the class it counts as where the map is compared with others; None for itself."""

    @property
    def name(self) -> str:
        """The English name."""
        return self.names["en"]

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The colour as bytes."""
        return int(self.colour[1:3], 16), int(self.colour[3:5], 16), int(self.colour[5:7], 16)

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "code": self.code,
            "key": self.key,
            "name": dict(self.names),
            "colour": self.colour,
            "definition": dict(self.definitions),
            "synonyms": {language: list(words) for language, words in self.synonyms.items()},
            "added": self.added,
            "counts_as": self.counts_as,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> LandCoverClass:
        """Back from JSON, or from the TOML of a scheme.

        Raises:
            KeyError: If something is missing.
        """
        return cls(
            code=row["code"],
            key=row["key"],
            names=row["name"],
            colour=row["colour"].upper(),
            definitions=row["definition"],
            synonyms={language: tuple(words) for language, words in row["synonyms"].items()},
            added=row.get("added", False),
            counts_as=row.get("counts_as"),
        )


@dataclass(frozen=True)
class ClassScheme:
    """A closed list of land-cover classes."""

    name: str
    """Identifier, e.g. `worldcover`."""
    title: str
    """For the person."""
    classes: tuple[LandCoverClass, ...]
    """In the scheme's own order."""
    attribution: str = ""
    """Who defined it."""
    retired: tuple[LandCoverClass, ...] = ()
    """Classes that people added and took back: nothing can become one of them, but the history names them."""

    @property
    def codes(self) -> tuple[int, ...]:
        """All codes, in order."""
        return tuple(cls.code for cls in self.classes)

    def __getitem__(self, code: int) -> LandCoverClass:
        for cls in (*self.classes, *self.retired):
            if cls.code == code:
                return cls
        raise SchemeError(f"The scheme {self.name!r} has no class {code}; it has {list(self.codes)}.")

    def __contains__(self, code: object) -> bool:
        return code in self.codes

    def knows(self, code: int) -> bool:
        """Whether it has the class, or had it once."""
        return any(cls.code == code for cls in (*self.classes, *self.retired))

    @property
    def counted_as(self) -> dict[int, int]:
        """Classes that count as another one where the map is compared: code → code."""
        return {cls.code: cls.counts_as for cls in self.classes if cls.counts_as in self.codes and cls.counts_as}

    @property
    def counted_table(self) -> LabelArray:
        """By code, the code it counts as in comparisons: shape (256,), uint8."""
        table = np.arange(256, dtype=np.uint8)
        for code, other in self.counted_as.items():
            table[code] = other
        return table

    def edits_json(self) -> dict[str, Any]:
        """What people changed of the scheme that comes with the package, as JSON; empty where nothing."""
        own = {cls.code: cls for cls in load_scheme(self.name).classes} if self.name in scheme_names() else {}
        changed = [cls.to_json() for cls in self.classes if cls != own.get(cls.code)]
        if not changed and not self.retired:
            return {}
        return {"classes": changed, "retired_classes": [cls.to_json() for cls in self.retired]}

    def by_key(self, key: str) -> LandCoverClass:
        """The class with this key."""
        for cls in self.classes:
            if cls.key == key:
                return cls
        raise SchemeError(f"The scheme {self.name!r} has no class {key!r}; it has {[c.key for c in self.classes]}.")


@dataclass(frozen=True)
class SchemeMap:
    """How the codes of one map become the codes of a scheme."""

    source: str
    """Name of the scheme the codes are from, or the file the map was read from."""
    target: str
    """Name of the scheme they become."""
    codes: Mapping[int, int]
    """Source code → target code; 0 leaves a class out of every comparison."""
    names: Mapping[str, int] = field(default_factory=dict)
    """The same for maps of polygons that say their classes in words: text → target code."""

    def apply(self, values: NumberArray) -> tuple[LabelArray, dict[int, int]]:
        """Translate a raster.

        Args:
            values: Shape (y, x), any integers.

        Returns:
            Target codes, uint8, 0 where the source is 0 or unknown; and how many pixels each unknown code has.
        """
        found, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        table = np.array([self.codes.get(int(code), NO_DATA) for code in found], dtype=np.uint8)
        unknown = {
            int(code): int(count)
            for code, count in zip(found, counts, strict=True)
            if int(code) not in self.codes and int(code) != NO_DATA
        }
        return table[inverse].reshape(values.shape), unknown

    def then(self, other: SchemeMap) -> SchemeMap:
        """This map followed by another; a code the other does not know is left out of comparisons."""
        codes = {code: other.codes.get(to, NO_DATA) for code, to in self.codes.items()}
        names = {name: other.codes.get(to, NO_DATA) for name, to in self.names.items()}
        return SchemeMap(self.source, other.target, codes, names)


def scheme_names() -> tuple[str, ...]:
    """Names of the schemes that come with the package."""
    folder = resources.files("s2dash.data").joinpath("schemes")
    return tuple(sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml")))


@cache
def load_scheme(name: str) -> ClassScheme:
    """A scheme that comes with the package.

    Raises:
        SchemeError: If there is none of that name.
    """
    if name not in scheme_names():
        raise SchemeError(f"There is no class scheme {name!r}. Choose one of: {', '.join(scheme_names())}.")
    text = resources.files("s2dash.data").joinpath("schemes", f"{name}.toml").read_text("utf-8")
    table = tomllib.loads(text)
    classes = tuple(LandCoverClass.from_json(row) for row in table["classes"])
    return ClassScheme(name=name, title=table["title"], classes=classes, attribution=table.get("attribution", ""))


def scheme_with_edits(name: str, content: Mapping[str, Any]) -> ClassScheme:
    """A scheme that comes with the package, with what people changed of it.

    Args:
        name: The scheme.
        content: What `ClassScheme.edits_json` gave, among other things.

    Raises:
        KeyError: If something of a class is missing.
        SchemeError: If there is no such scheme.
    """
    scheme = load_scheme(name)
    changed = {row["code"]: LandCoverClass.from_json(row) for row in content.get("classes", [])}
    retired = tuple(LandCoverClass.from_json(row) for row in content.get("retired_classes", []))
    if not changed and not retired:
        return scheme
    kept = [changed.pop(cls.code, cls) for cls in scheme.classes]
    return replace(scheme, classes=(*kept, *changed.values()), retired=retired)


@cache
def load_scheme_map(source: str, target: str) -> SchemeMap:
    """The map between two schemes that come with the package, or the identity.

    Raises:
        SchemeError: If neither is known.
    """
    if source == target:
        scheme = load_scheme(source)
        return SchemeMap(source, target, {code: code for code in scheme.codes})
    for row in _shipped_maps():
        if (row["source"], row["target"]) == (source, target):
            return SchemeMap(source, target, {int(code): int(to) for code, to in row["codes"].items()})
    known = ", ".join(scheme_map_sources(target))
    raise SchemeError(f"No map from {source!r} to {target!r} is known. Known sources for {target!r}: {known}.")


def scheme_map_sources(target: str) -> tuple[str, ...]:
    """Names of the schemes and published maps whose codes are known in a scheme, itself among them."""
    return tuple(sorted({target, *(row["source"] for row in _shipped_maps() if row["target"] == target)}))


@cache
def _shipped_maps() -> tuple[dict[str, Any], ...]:
    table = tomllib.loads(resources.files("s2dash.data").joinpath("scheme_maps.toml").read_text("utf-8"))
    return tuple(table["maps"])


def read_scheme_map(path: Path, *, target: str) -> SchemeMap:
    """A map from a JSON file: code or text → target code, at the top or under `reference.to_worldcover`.

    Raises:
        SchemeError: If the file is no such JSON, or names codes the target does not have.
    """
    try:
        content = json.loads(Path(path).read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise SchemeError(f"{path} is not a readable JSON file: {error}.") from error
    if isinstance(content, dict) and isinstance(content.get("reference"), dict):
        content = content["reference"].get("to_worldcover")
    try:
        found = {map_value(value): int(to) for value, to in content.items()}
        if not found:
            raise ValueError("empty")
    except (AttributeError, TypeError, ValueError) as error:
        raise SchemeError(
            f'{path} should hold an object such as {{"1": 80, "forest": 10}}, at the top or under '
            '"reference.to_worldcover".'
        ) from error
    strangers = sorted(set(found.values()) - {NO_DATA, *load_scheme(target).codes})
    if strangers:
        raise SchemeError(f"{path} maps to {strangers}, which the scheme {target!r} does not have.")
    codes = {value: to for value, to in found.items() if isinstance(value, int)}
    return SchemeMap(str(path), target, codes, {value: to for value, to in found.items() if isinstance(value, str)})
