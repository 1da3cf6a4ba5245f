"""Text from people, files and models, made safe to show."""

from __future__ import annotations

_MARKUP = frozenset(r"\`*_{}[]()<>#+-.!|~:$&")


def plain(text: object) -> str:
    """Text with nothing in it read as Markdown, HTML, a formula or an emoji code."""
    return "".join(f"\\{char}" if char in _MARKUP else " " if char in "\r\n\t" else char for char in str(text))
