"""Keys of the services: where they come from, and how they are kept out of every text."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Mapping
from json import dumps
from typing import Any, NoReturn
from urllib.parse import quote, quote_plus

KEY_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,80}_(?:KEY|TOKEN)")
"""What an environment variable with a key in it is called; others are never looked at."""
SHORTEST_SECRET = 8
"""Characters; shorter values are placeholders such as `EMPTY`, and blotting them out would blot out plain words."""
_BLOT = "…"


class Keys:
    """Keys by the name of their environment variable.

    No way of showing, copying or writing it gives a value away: its text holds names only, and it cannot be pickled.

    Args:
        values: Key by name, for example `ANTHROPIC_API_KEY`. Names that no key has and what is no text are left out;
            blanks around a value are cut.
    """

    __slots__ = ("__secrets", "__values")

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        kept = {
            name: value.strip()
            for name, value in (values or {}).items()
            if isinstance(name, str) and KEY_NAME.fullmatch(name) and isinstance(value, str) and value.strip()
        }
        self.__values = kept
        secrets = {form for value in kept.values() if len(value) >= SHORTEST_SECRET for form in _forms(value)}
        self.__secrets = (
            re.compile("|".join(map(re.escape, sorted(secrets, key=len, reverse=True)))) if secrets else None
        )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Keys:
        """The keys in the environment as it is now.

        Args:
            environment: In place of the process's own.
        """
        return cls(dict(os.environ if environment is None else environment))

    def with_values(self, values: Mapping[str, Any]) -> Keys:
        """These keys and others, which go before them; for a secrets file and for what a person typed in.

        Args:
            values: As for the class. What is no text, such as the tables of a secrets file, is left out.
        """
        return Keys({**self.__values, **Keys(values).__values})

    def get(self, name: str | Iterable[str]) -> str | None:
        """A key.

        Args:
            name: Name of its environment variable, or several, of which the first that is there counts.

        Returns:
            The key, or None where there is none.
        """
        names = (name,) if isinstance(name, str) else name
        return next((self.__values[one] for one in names if one in self.__values), None)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the keys there are."""
        return tuple(sorted(self.__values))

    def redact(self, text: str) -> str:
        """A text with every key in it blotted out, also where it is encoded for an address, JSON or base64."""
        return text if self.__secrets is None else self.__secrets.sub(_BLOT, text)

    def __contains__(self, name: object) -> bool:
        return name in self.__values

    def __repr__(self) -> str:
        return f"Keys({', '.join(self.names)})"

    def __copy__(self) -> Keys:
        return self

    def __deepcopy__(self, memo: Any) -> Keys:
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("Keys are never pickled, so that no file holds them. Read them from the environment again.")


def _forms(value: str) -> set[str]:
    """A key as it may stand in a text: plain, quoted, in JSON, and in base64 at each of its three alignments."""
    forms = {value, quote(value, safe=""), quote(value), quote_plus(value), dumps(value)[1:-1], repr(value)[1:-1]}
    content = value.encode("utf-8", "replace")
    for lead in range(3):
        # The letters that also depend on what stands before and after the key are cut off.
        start, stop = (lead * 8 + 5) // 6, (lead + len(content)) * 8 // 6
        whole = base64.b64encode(b"\0" * lead + content).decode()[start:stop]
        forms |= {whole, whole.replace("+", "-").replace("/", "_")}
    return {form for form in forms if len(form) >= SHORTEST_SECRET}
