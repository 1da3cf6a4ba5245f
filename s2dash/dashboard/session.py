"""Values of widgets between reruns, and what is asked before long work; `state` keeps the rest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

_guards: list[Callable[[], object]] = []


def first_value(value: Any, *, default: Any, options: Collection[Any] | None = None) -> Any:
    """What a widget shows, always one of its options.

    Args:
        value: What it showed before, or what was kept of an earlier time.
        default: Where that is none of the options.
        options: What can be chosen; where the default is a list, every item of the value is one of them.
    """
    if options is None:
        return value
    if isinstance(default, list):
        return [item for item in value if item in options] if isinstance(value, list | tuple) else default
    return value if value in options else default


def written_keys(kept: Mapping[Any, Any], fields: Mapping[Any, Any], *, prefix: str) -> dict[str, str]:
    """Keys of services by name, those typed before those kept.

    Args:
        kept: What a file of secrets holds; only texts are keys.
        fields: Everything the session holds.
        prefix: What the names of the fields for keys begin with; the rest is the key's own name.
    """
    typed = {str(name).removeprefix(prefix): value for name, value in fields.items() if str(name).startswith(prefix)}
    known = [*kept.items(), *((name, value) for name, value in typed.items() if value)]
    return {str(name): value for name, value in known if isinstance(value, str) and value.strip()}


def guard_by(check: Callable[[], object]) -> None:
    """Say what is asked before any long work: it raises where somebody may not begin any."""
    _guards[:] = [check]


def check_guards() -> None:
    """Ask it.

    Raises:
        NotAllowedError: If who sits here may not change anything.
    """
    for check in _guards:
        check()
