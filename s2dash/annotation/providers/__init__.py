"""Services of vision-language models, each asked through its own SDK."""

from __future__ import annotations

import logging

from s2dash.annotation.catalogue import ModelEntry
from s2dash.annotation.keys import Keys
from s2dash.annotation.provider import Provider
from s2dash.errors import MissingKeyError, ProviderError

_TALKATIVE = ("anthropic", "openai", "google_genai", "httpx", "httpx2", "httpcore", "httpcore2")
"""Loggers that would write down whole requests, pictures and all, or every address."""


def make_provider(entry: ModelEntry, *, keys: Keys) -> Provider:
    """The service of a catalogue entry, ready to be asked from several threads.

    The caller closes it.

    Args:
        entry: Which model, where.
        keys: Where its key is taken from; none of them ever stands in an error's text.

    Raises:
        MissingKeyError: If the service needs a key and there is none, or what there is cannot be one.
        ProviderError: If its SDK is not installed.
    """
    key = keys.get(entry.key_name)
    if key is None and entry.key_required:
        raise MissingKeyError(
            f"{entry.title} needs a key. Set {' or '.join(entry.key_name)} in the environment, or type it in.",
            fatal=True,
        )
    if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
        # An HTTP library would show it in its error.
        name = next(name for name in entry.key_name if name in keys)
        raise MissingKeyError(
            f"What {name} holds is no key: keys are one word of plain letters. Set it again.", fatal=True
        )
    missing = ""
    try:
        provider = _make(entry, key or "", keys)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
    if missing:
        package = {"anthropic": "anthropic", "openai": "openai", "google": "google-genai"}.get(missing, missing)
        raise ProviderError(f"{entry.title} needs the package {package}: pip install {package}", fatal=True)
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        if logger.level < logging.WARNING:
            logger.setLevel(logging.WARNING)
    return provider


def _make(entry: ModelEntry, key: str, keys: Keys) -> Provider:
    if entry.provider == "claude":
        from s2dash.annotation.providers.claude import Claude

        return Claude(entry, key, keys=keys)
    if entry.provider == "gpt":
        from s2dash.annotation.providers.gpt import GPT

        return GPT(entry, key, keys=keys)
    if entry.provider == "gemini":
        from s2dash.annotation.providers.gemini import Gemini

        return Gemini(entry, key, keys=keys)
    from s2dash.annotation.providers.open_model import OpenModel

    return OpenModel(entry, key, keys=keys)


__all__ = ["make_provider"]
