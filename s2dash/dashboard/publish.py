"""Pictures that the app serves: a page then holds their addresses, and not the pictures themselves every time."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable

Publish = Callable[[bytes, str], str]
"""Serve a file: its content and its media type give its address; an empty one where it cannot be served now."""

_by: list[Publish] = []


def publish_by(serve: Publish) -> None:
    """Say how files are served; until then pictures stay in the page."""
    _by[:] = [serve]


def published(content: bytes, kind: str) -> str:
    """The address of a picture that the app serves; empty where nothing is served.

    Args:
        content: The file.
        kind: `png` or `webp`.
    """
    return _by[0](content, f"image/{kind}") if _by else ""


def short_url(url: str) -> str:
    """The same picture under an address that the app serves, where it is a long `data:` address and something serves.

    A map's script is read several times over on every rerun: with four pictures of some hundred kilobytes in it, that
    takes seconds, with their addresses milliseconds.
    """
    head, comma, body = url.partition(",")
    if not (comma and head.startswith("data:image/") and head.endswith(";base64")):
        return url
    return published(b64decode(body), head.removeprefix("data:image/").removesuffix(";base64")) or url
