"""What all services share: a bounded connection, pictures that fit, a schema, and one way to fail."""

from __future__ import annotations

import base64
import io
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from s2dash.annotation.catalogue import ModelEntry, shrunk_size
from s2dash.annotation.keys import Keys
from s2dash.annotation.provider import ModelReply, ModelRequest, ProviderError
from s2dash.annotation.providers.faults import fault_of

if TYPE_CHECKING:
    import ssl

    import httpx2
    from pydantic import BaseModel

LONGEST_TEXT = 200_000
"""Characters of a reply that are kept; a form has a few hundred."""
LARGEST_BODY = 64_000_000
"""Bytes of a response that are read; a call whose response is larger fails."""
_CONNECT_S = 10.0
"""Seconds for a connection to come about."""
_PNG = b"\x89PNG\r\n\x1a\n"


class Service(ABC):
    """A provider: one SDK client over one pool of connections; safe to use from several threads.

    The SDK never tries again by itself, follows no redirect (a key must not travel on), and its own parsing of the form
    is left aside, because where it fails it loses the reply and its price.

    Args:
        entry: Which model, where.
        key: The key; empty for none.
        keys: All keys known, to be kept out of texts.
    """

    def __init__(self, entry: ModelEntry, key: str, *, keys: Keys) -> None:
        self._entry = entry
        self._keys = keys
        self._http = http_client(entry)
        self._connect(key)

    def ask(self, request: ModelRequest) -> ModelReply:
        """Make one call, once.

        Nothing may take longer than twice `request.timeout_s`, however slowly a response trickles in.

        Raises:
            ProviderError: If no reply came; says whether and when to try again.
        """
        try:
            return self._ask(request, [fitted(png, self._entry.max_side_px) for png in request.pictures])
        except Exception as error:
            fault = fault_of(error, entry=self._entry, keys=self._keys, timeout_s=request.timeout_s)
        # Outside the handler, so that the SDK's error, which holds the request with its key, is not chained to it.
        raise fault

    def close(self) -> None:
        """Give connections back."""
        self._http.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._entry.name!r})"

    @abstractmethod
    def _connect(self, key: str) -> None:
        """Make the SDK's client."""

    @abstractmethod
    def _ask(self, request: ModelRequest, pictures: list[bytes]) -> ModelReply:
        """Make the call; any error goes through."""


def http_client(entry: ModelEntry) -> httpx2.Client:
    """Connections for one service.

    Proxies of the environment count for services elsewhere, never for one on this machine.
    """
    import httpx2

    return httpx2.Client(
        timeout=time_limits(entry.timeout_s),
        verify=trusted(),
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=entry.limit),
        trust_env=not entry.local,
        follow_redirects=False,
        # Compressed bodies could grow beyond any bound.
        headers={"accept-encoding": "identity"},
        event_hooks={"request": [_note_start], "response": [_bound]},
    )


@cache
def trusted() -> ssl.SSLContext:
    """Certificates that are trusted, read once."""
    import httpx2

    return httpx2.create_ssl_context()


def time_limits(timeout_s: float) -> httpx2.Timeout:
    """Limits of the single steps of a call; reading is bounded as a whole besides."""
    import httpx2

    return httpx2.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S))


def _note_start(request: httpx2.Request) -> None:
    request.extensions = {**request.extensions, "s2dash_start": time.monotonic()}


def _bound(response: httpx2.Response) -> None:
    """See that a response neither grows nor lasts without end."""
    import httpx2

    request = response.request
    limit_s = (request.extensions.get("timeout") or {}).get("read")
    until = None if limit_s is None else request.extensions["s2dash_start"] + limit_s
    source: Any = response.stream

    class Bounded(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            size = 0
            for piece in source:
                size += len(piece)
                if size > LARGEST_BODY:
                    raise ProviderError(
                        f"The response of {request.url.host} is larger than {LARGEST_BODY // 10**6} MB, and was left."
                    )
                if until is not None and time.monotonic() > until:
                    raise httpx2.ReadTimeout("the response trickles in too slowly", request=request)
                yield piece

        def close(self) -> None:
            source.close()

    response.stream = Bounded()


@lru_cache(maxsize=32)  # every question of a scene shows the same first picture, and each is asked of several models
def fitted(png: bytes, most: int) -> bytes:
    """A picture as it is sent: as it is, or shrunk so that its longest side is `most` px.

    Shrinking takes the nearest pixel: every pixel sent is one of the card, so that no hue can appear that the card
    does not have, and the edge of a mask stays an edge.

    Raises:
        ProviderError: If it is no PNG.
    """
    from PIL import Image

    if not png.startswith(_PNG):
        raise ProviderError("A picture of the question is no PNG and was not sent. Write the cards again.")
    with Image.open(io.BytesIO(png)) as picture:
        size = shrunk_size(*picture.size, most)
        if size == picture.size:
            return png
        plain = picture.convert("RGB") if picture.mode == "P" else picture
        small = plain.resize(size, Image.Resampling.NEAREST)
    written = io.BytesIO()
    small.save(written, "PNG", compress_level=3)
    return written.getvalue()


def as_base64(png: bytes) -> str:
    """A picture as text."""
    return base64.b64encode(png).decode("ascii")


def as_address(png: bytes) -> str:
    """A picture as a data address."""
    return f"data:image/png;base64,{as_base64(png)}"


def strict_schema(model: type[BaseModel]) -> dict[str, Any]:
    """A form's JSON schema as strict services take it: no titles or defaults, all fields required, nothing besides."""
    schema: dict[str, Any] = _strict(model.model_json_schema())
    return schema


def _strict(value: Any, *, names: bool = False) -> Any:
    if isinstance(value, list):
        return [_strict(item) for item in value]
    if not isinstance(value, dict):
        return value
    # Below `properties` and `$defs` the keys are names, of which one may well be "title".
    kept = {
        key: _strict(item, names=key in {"properties", "$defs"})
        for key, item in value.items()
        if names or key not in {"title", "default"}
    }
    if not names and "properties" in kept:
        kept |= {"additionalProperties": False, "required": list(kept["properties"])}
    return kept


def bounded_text(text: str | None) -> str:
    """What a model wrote, cut where it is beyond all measure, without half characters; says that it was cut."""
    text = text or ""
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]}\n[cut here: the reply had {len(text)} characters]"
    return text.encode("utf-8", "replace").decode()


def counted(*numbers: Any) -> int:
    """The sum of token counts, of which some may be missing."""
    return sum(max(0, number) for number in numbers if isinstance(number, int))
