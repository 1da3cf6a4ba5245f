"""Words that people taught: what they decided about a term becomes a synonym of a class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from s2dash.annotation.normalise import LONGEST_TERM, folded_term, normalise
from s2dash.errors import StoreError
from s2dash.schemes import ClassScheme
from s2dash.store import tables
from s2dash.store.part import StorePart, clean, now, plain


@dataclass(frozen=True)
class Synonym:
    """A word somebody taught."""

    term: str
    """The word."""
    code: int
    """Class code it stands for."""
    who: str
    """The person."""
    when: datetime
    """When, UTC."""
    key: str = ""
    """Key of the class where people added it to a run: its code means nothing in other runs. Else empty."""


class Synonyms(StorePart):
    """The synonyms learned in a workspace, by class scheme."""

    def add_synonym(self, scheme: ClassScheme, term: str, code: int, *, who: str) -> None:
        """Learn that a term means a class; in place of what it meant before, which stays in the history.

        Args:
            scheme: The scheme.
            term: A word or a few, with at least one letter.
            code: A code of the scheme.
            who: The person.

        Raises:
            StoreError: If the scheme has no such class, the term is empty or longer than `LONGEST_TERM` characters, or
                it is the name of another class: then it would mean two.
        """
        words = " ".join(clean(term).split())
        if code not in scheme:
            choices = ", ".join(f"{cls.code} {cls.name}" for cls in scheme.classes)
            raise StoreError(f"The scheme {scheme.name!r} has no class {code}. Choose one of: {choices}.")
        if not any(char.isalpha() for char in words) or len(words) > LONGEST_TERM:
            raise StoreError(
                f"{words[:80]!r} cannot become a synonym. Give a word or a few, at most {LONGEST_TERM} characters."
            )
        other = normalise(words, _without_synonyms(scheme), least=1.0).code
        if other not in (None, code):
            raise StoreError(
                f"{words!r} already is the name of {scheme[other].name!r} and cannot become a word for "
                f"{scheme[code].name!r} as well. Set the class of the cluster instead."
            )
        row = {"term": words, "code": int(code), "who": clean(who), "when": now().isoformat()}
        row = plain(row | ({"class": scheme[code].key} if scheme[code].added else {}), "The synonym")
        key, value = tables.settings.c.key, tables.settings.c.value
        name = _key(scheme)
        with self._database.write() as connection:
            self._database.insert(connection, tables.settings, {"key": name, "value": []})
            kept = connection.execute(select(value).where(key == name).with_for_update()).scalar_one()
            connection.execute(update(tables.settings).where(key == name).values(value=[*kept, row]))

    def synonyms(self, scheme: ClassScheme) -> dict[str, int]:
        """What was learned: term → class code, as `normalise` takes it; the latest word on a term counts.

        What was learned of a class that people added holds where a class of that name was added. A word that has
        become the name of a class meanwhile names that class.
        """
        added = {cls.key: cls.code for cls in scheme.classes if cls.added}
        names = {folded_term(name): cls.code for cls in scheme.classes for name in cls.names.values()}
        learned: dict[str, tuple[str, int]] = {}
        for one in self.synonym_history(scheme):
            code = added.get(one.key) if one.key else one.code
            if code is None:
                continue
            learned.pop(one.term.casefold(), None)  # so that the latest also stands last
            if code in scheme and names.get(folded_term(one.term), code) == code:
                learned[one.term.casefold()] = (one.term, code)
        return dict(learned.values())

    def synonym_history(self, scheme: ClassScheme) -> tuple[Synonym, ...]:
        """All that was ever learned for a scheme, oldest first."""
        settings = tables.settings.c
        with self._database.read() as connection:
            found = connection.execute(select(settings.value).where(settings.key == _key(scheme))).scalar_one_or_none()
        return tuple(_synonym(row) for row in found or ())


def _key(scheme: ClassScheme) -> str:
    return f"synonyms of {scheme.name}"


def _without_synonyms(scheme: ClassScheme) -> ClassScheme:
    return replace(scheme, classes=tuple(replace(cls, synonyms={}) for cls in scheme.classes))


def _synonym(row: dict[str, Any]) -> Synonym:
    return Synonym(row["term"], row["code"], row["who"], datetime.fromisoformat(row["when"]), row.get("class", ""))
