"""Who sits at a browser and whether they may write: out of what a sign-in says of them, and who is listed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from s2dash.errors import SignInError

WRITERS = "S2DASH_WRITERS"
"""Environment variable with the addresses of those who may write, separated by commas."""
Bar = Literal["", "sign_in", "reader"]
"""Why somebody may not write: they have not signed in, or they are not listed. Empty: they may."""


@dataclass(frozen=True)
class Person:
    """Whoever sits at a browser."""

    name: str
    """What the history calls them; empty where nobody said, then it is the account's name."""
    may_write: bool
    """Whether they may change anything."""
    bar: Bar = ""
    """Why they may not."""
    signed_in: bool = False
    """Whether a provider vouches for the name."""


def listed_writers(secrets: Mapping[str, Any], environment: Mapping[str, str]) -> frozenset[str]:
    """Addresses of those who may write, in lower case; empty where nobody is listed, so that all may who signed in.

    Args:
        secrets: Streamlit's secrets; `[s2dash] writers = ["ada@example.org"]`.
        environment: Of the process; `S2DASH_WRITERS` adds to them.

    Raises:
        SignInError: If the list in the secrets is none: who may write must never be guessed.
    """
    section = secrets.get("s2dash", {})
    listed = section.get("writers", []) if isinstance(section, Mapping) else section
    if isinstance(listed, str):
        listed = listed.split(",")
    if isinstance(listed, Mapping) or not isinstance(listed, Iterable):
        raise SignInError(_NO_LIST.format(value=type(listed).__name__))
    addresses = [*listed, *environment.get(WRITERS, "").split(",")]
    if not all(isinstance(address, str) for address in addresses):
        raise SignInError(_NO_LIST.format(value="a list of something else"))
    return frozenset(address.strip().lower() for address in addresses if address.strip())


def providers(auth: Mapping[str, Any]) -> tuple[str | None, ...]:
    """The ways to sign in that are configured: None for the unnamed one, then those with names.

    Args:
        auth: The table `[auth]` of the secrets.
    """
    named = tuple(name for name, value in auth.items() if isinstance(value, Mapping) and "client_id" in value)
    return (None, *named) if "client_id" in auth or not named else named


def person_of(user: Mapping[str, Any] | None, *, writers: frozenset[str], typed: str = "") -> Person:
    """Who somebody is.

    An address counts only where the provider does not say that it was never verified: anybody could have typed it.

    Args:
        user: What the provider says of them, by OpenID Connect's names; None where no sign-in is configured.
        writers: Who may write, see `listed_writers`; empty for all who signed in.
        typed: The name they typed themselves; counts only where no sign-in is configured.
    """
    if user is None:
        return Person(typed.strip(), may_write=True)
    if not user.get("is_logged_in"):
        return Person("", may_write=False, bar="sign_in")
    address = _text(user, "email")
    allowed = not writers or (address.lower() in writers and _verified(user))
    called = _text(user, "name") or _text(user, "preferred_username")
    name = f"{called} ({address})" if called and address else called or address or _text(user, "sub")
    return Person(name, may_write=allowed, bar="" if allowed else "reader", signed_in=True)


def _verified(user: Mapping[str, Any]) -> bool:
    """Whether the provider did not say that the address is unverified; some say nothing, some say it as text."""
    return str(user.get("email_verified", True)).strip().lower() not in ("false", "0", "no")


def _text(user: Mapping[str, Any], name: str) -> str:
    """A claim as one line of text."""
    value = user.get(name)
    return " ".join(value.split()) if isinstance(value, str) else ""


_NO_LIST = (
    "The writers in the secrets cannot be read: a list of addresses was expected, not {value}. "
    'Write it as writers = ["ada@example.org"] under [s2dash].'
)
