"""Signatures that let assets be read: fetched when needed, renewed before they expire, kept in memory only."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

import requests

from s2dash.errors import ImageryError
from s2dash.sources.stac.addresses import Patience, without_query, without_secrets
from s2dash.sources.stac.catalogues import Catalogue

KEY = "PC_SDK_SUBSCRIPTION_KEY"
"""Environment variable with the Planetary Computer's optional key, as its own package has it."""
MARGIN_S = 300.0
"""A signature is renewed when it is valid for less than this, seconds; a short-lived one after half its time."""


@dataclass(frozen=True)
class _Token:
    text: str = field(repr=False)
    renew_at: float
    """Unix time."""


@dataclass
class Signer:
    """Signs asset addresses of a catalogue; of one that needs no signature it returns them as they are.

    The Planetary Computer's documented way: `GET …/api/sas/v1/token/{collection}` returns `token` and `msft:expiry`,
    and the token is appended to the address. Safe to use from several threads.
    """

    catalogue: Catalogue
    """Whose assets."""
    patience: Patience = field(default_factory=Patience)
    """How long its token service is waited for."""
    now: Callable[[], float] = time.time
    """The clock, Unix time."""
    _tokens: dict[str, _Token] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def sign(self, address: str, *, collection: str) -> str:
        """The address with a signature that is still valid for a while.

        Raises:
            ImageryError: If the service gives none.
        """
        if not self.needed(address):
            return address
        with self._lock:
            token = self._tokens.get(collection)
            if token is None or self.now() >= token.renew_at:
                token = self._tokens[collection] = self._fetch(collection)
        return f"{address}{'&' if urlsplit(address).query else '?'}{token.text}"

    def needed(self, address: str) -> bool:
        """Whether an address must be signed: it lies on a host of the catalogue's and carries no signature."""
        parts = urlsplit(address)
        host = parts.hostname or ""
        signed = "sig=" in parts.query
        return bool(self.catalogue.token) and not signed and host.endswith(self.catalogue.token_hosts)

    def forget(self, collection: str) -> None:
        """Drop a signature that a server refused, whatever its expiry said."""
        with self._lock:
            self._tokens.pop(collection, None)

    def _fetch(self, collection: str) -> _Token:
        address = self.catalogue.token.format(collection=quote(collection, safe=""))
        key = os.environ.get(KEY)
        headers = {"Ocp-Apim-Subscription-Key": key} if key else {}
        problem = ""
        for attempt in range(1, self.patience.attempts + 1):
            try:
                reply = requests.get(address, headers=headers, timeout=self.patience.timeout_s)
                if reply.status_code == 200:
                    return self._read(reply)
                problem = f"it answered {reply.status_code}"
                if reply.status_code not in (408, 429, 500, 502, 503, 504):
                    break
            except (requests.RequestException, ValueError, KeyError, TypeError) as error:
                problem = without_secrets(error)[:200]
            if attempt < self.patience.attempts:
                time.sleep(self.patience.pause(attempt))
        raise ImageryError(
            f"{self.catalogue.title or self.catalogue.name} gave no signature for {collection!r} at "
            f"{without_query(address)}: {problem}. Try again later, or choose another catalogue."
        )

    def _read(self, reply: requests.Response) -> _Token:
        content = reply.json()
        text, expiry = str(content["token"]).lstrip("?"), str(content["msft:expiry"])
        moment = datetime.fromisoformat(expiry)
        expires = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        left = expires - self.now()
        return _Token(text, expires - min(MARGIN_S, max(left, 0.0) / 2))
