"""Why a call failed, in plain words, whatever the SDK: what to do, whether to try again, and never the key."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from s2dash.annotation.catalogue import ModelEntry
from s2dash.annotation.keys import Keys
from s2dash.annotation.provider import ProviderError

_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
"""HTTP states that pass."""
_HOPELESS = re.compile(
    r"api[ _]key|credit balance|billing|location is not supported|insufficient_quota|organization", re.I
)
"""What a refused call says when every other call will be refused too."""
_LONGEST_MESSAGE = 300


def fault_of(error: Exception, *, entry: ModelEntry, keys: Keys, timeout_s: float) -> ProviderError:
    """The failure behind an SDK's error.

    A response that came whole but makes no sense is not asked for again: it may have been paid for.

    Args:
        error: What was raised.
        entry: Which model was asked.
        keys: What must not stand in the text.
        timeout_s: How long the call was waited for, s.
    """
    chain = list(_chain(error))
    for one in chain:
        if isinstance(one, ProviderError):
            return one
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if isinstance(status, int) and status >= 300:
        return _refused(status, error, response, entry=entry, keys=keys)
    # SDKs and the HTTP library below them differ in class, not in name.
    kinds = {kind.__name__ for one in chain for kind in type(one).__mro__}
    if "TimeoutException" in kinds or "APITimeoutError" in kinds:
        if "ConnectTimeout" in kinds:
            return ProviderError(f"{entry.title} at {entry.host} could not be reached in time.", again=True)
        return ProviderError(f"{entry.title} did not answer within {timeout_s:g} s.", again=True)
    if "ConnectError" in kinds and entry.local:
        return ProviderError(
            f"Nothing answers at {entry.host}. Start the server of {entry.title} there, or change its address in the "
            "catalogue.",
            fatal=True,
        )
    if "ConnectError" in kinds or "ProxyError" in kinds:
        return ProviderError(f"{entry.title} at {entry.host} cannot be reached. Is there a connection?", again=True)
    if "TransportError" in kinds or "APIConnectionError" in kinds:
        return ProviderError(f"The connection to {entry.title} was lost before the reply was there.", again=True)
    return ProviderError(
        f"What {entry.title} at {entry.host} sent cannot be read ({type(error).__name__}). Is the address in the "
        "catalogue that of the service?"
    )


def unreadable(entry: ModelEntry) -> ProviderError:
    """A response that is not of the service's form, such as a page of a proxy."""
    return ProviderError(
        f"What {entry.title} at {entry.host} sent is not a reply of such a service. Is the address in the catalogue "
        "that of the service?"
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what caused it."""
    seen = 0
    while error is not None and seen < 10:
        yield error
        error, seen = error.__cause__ or error.__context__, seen + 1


def _refused(status: int, error: Exception, response: Any, *, entry: ModelEntry, keys: Keys) -> ProviderError:
    """An answer with a state that is no success."""
    message = _message(error)
    code = getattr(error, "code", None)
    hopeless = bool(_HOPELESS.search(message)) or code in {"insufficient_quota", "billing_hard_limit_reached"}
    says = f' It says: "{keys.redact(message)[:_LONGEST_MESSAGE]}"' if message else ""
    who = f"{entry.title} at {entry.host}"
    # What is said of a key may hold parts of it, so it is left out.
    if status == 401 or (status in {400, 403} and re.search(r"api[ _]key", message, re.I)):
        where = " or ".join(entry.key_name) or "the catalogue names no key"
        return ProviderError(
            f"{who} refused the key ({where}). Check that it is whole and of this service.", fatal=True
        )
    if status == 403:
        return ProviderError(f"{who} does not allow this key to use {entry.model}.", fatal=True)
    if status == 404:
        return ProviderError(
            f"{who} does not have the model {entry.model!r}, or not at this address.{says}", fatal=True
        )
    if status == 402 or (hopeless and status in {400, 429}):
        return ProviderError(f"{who} takes no calls of this account.{says}", fatal=True)
    if status < 400 or status == 405:
        return ProviderError(
            f"{who} answers with state {status}: the address in the catalogue is not right.", fatal=True
        )
    if status in _AGAIN:
        after_s = _after_s(getattr(response, "headers", None) or {}, getattr(error, "details", None))
        busy = {429: "has had too many calls for now", 529: "has too much to do", 503: "is not available"}
        return ProviderError(
            f"{who} {busy.get(status, 'has a fault of its own')} (state {status}).{says}", again=True, after_s=after_s
        )
    return ProviderError(f"{who} does not take this question (state {status}).{says}")


def _message(error: Exception) -> str:
    """What the service says of an error, as one line; empty where it sent no such thing."""
    body = getattr(error, "body", None) or getattr(error, "details", None)
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    inner = body.get("error", body) if isinstance(body, Mapping) else None
    message = inner.get("message") if isinstance(inner, Mapping) else inner
    if not isinstance(message, str) or message.lstrip().startswith("<"):
        return ""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in message[:5000]).split())


def _after_s(headers: Mapping[str, str], details: Any) -> float | None:
    """Seconds a service asks to wait: by a header in ms, s or as a date, or in Google's details."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    said = headers.get("retry-after")
    seconds = _number(said)
    if seconds is not None:
        return seconds
    if said:
        try:
            when = parsedate_to_datetime(said)
        except (TypeError, ValueError, IndexError, OverflowError):
            when = None
        if when is not None:
            when = when if when.tzinfo else when.replace(tzinfo=UTC)
            return max(0.0, (when - datetime.now(UTC)).total_seconds())
    inner = details.get("error", details) if isinstance(details, Mapping) else None
    items = inner.get("details") if isinstance(inner, Mapping) else None
    for item in items if isinstance(items, list) else []:
        if isinstance(item, Mapping) and str(item.get("@type", "")).endswith("RetryInfo"):
            return _number(str(item.get("retryDelay", "")).removesuffix("s"))
    return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
