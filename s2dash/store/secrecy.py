"""Keys, tokens and passwords never reach the workspace: it is copied, shared and put into reports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from s2dash.errors import StoreError

_WORDS = re.compile(
    r"(?:api|access|secret|private)?keys?|tokens?|secrets?|passwords?|passwd|passphrase|pwd|credentials?|authorization|bearer"
)
_COUNTED = frozenset({"token", "tokens"})
_INSIDE = ("apikey", "secret", "passw", "passphrase", "credential", "authtoken", "accesstoken")
_SIGNED = (
    "sig|signature|key|api_?key|subscription-key|(?:access_)?token|auth|password|secret|awsaccesskeyid|"
    "x-(?:amz|goog)-(?:signature|credential|security-token)"
)
_IN_ADDRESS = re.compile(rf"([?&](?:{_SIGNED})=)[^&\s'\"#]+", re.IGNORECASE)
_USER = re.compile(r"(\w+://[^\s/:@]*:)[^\s/@]+@")


def refuse_secrets(value: Any, *, where: str) -> None:
    """See that a value to be stored holds nothing that looks like a secret.

    Args:
        value: Plain JSON.
        where: What it is, for the error text.

    Raises:
        StoreError: If a key at any depth is called like a secret, or an address carries a password or a signature.
            The text never holds the secret.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            if is_secret_name(str(key)) and not _is_count(str(key), item):
                raise StoreError(
                    f"{where} holds {str(key)!r}, which looks like a secret, and secrets are never stored. "
                    "Keep it in an environment variable, and leave it out here."
                )
            refuse_secrets(item, where=f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            refuse_secrets(item, where=f"{where}[{place}]")
    elif isinstance(value, str) and redact(value) != value:
        raise StoreError(
            f"{where} holds an address with a password or a signature in it, and secrets are never stored. "
            "Store the address without that part."
        )


def is_secret_name(name: str) -> bool:
    """Whether a name says that a key, token, secret or password is kept under it."""
    words = re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower())
    return any(map(_WORDS.fullmatch, words)) or any(part in "".join(words) for part in _INSIDE)


def redact(text: str) -> str:
    """A text without the passwords and signatures in its addresses."""
    return _IN_ADDRESS.sub(r"\1…", _USER.sub(r"\1…@", text)) if "://" in text else text


def _is_count(name: str, value: Any) -> bool:
    """`max_tokens = 500` counts words of a language model."""
    return (
        name.lower().rpartition("_")[2] in _COUNTED and isinstance(value, int | float) and not isinstance(value, bool)
    )
