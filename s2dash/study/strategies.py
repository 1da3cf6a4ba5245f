"""Which strategies are compared: methods times numbers of clusters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from s2dash.clustering import METHODS, K, check_k, method_entry
from s2dash.errors import ClusteringError
from s2dash.run_settings import RunSettings

ALL = "all"
"""Stands for every method there is."""


def parse_ks(text: str) -> tuple[K, ...]:
    """Numbers of clusters from a list such as `8, 12, 20`; `auto` may be among them.

    Args:
        text: Whole numbers of 2 … 254, separated by commas or spaces. One given twice counts once.

    Raises:
        ClusteringError: If the list is empty, or holds something else.
    """
    found: list[K] = []
    for part in text.replace(",", " ").split():
        if part != "auto" and not re.fullmatch(r"-?[0-9]{1,9}", part):
            raise ClusteringError(
                f"{part!r} in the list of K is neither a whole number nor auto. Give numbers like 8, 12, 20."
            )
        k: K = "auto" if part == "auto" else int(part)
        check_k(k)
        found.append(k)
    if not found:
        raise ClusteringError("The list of K is empty. Give numbers of clusters like 8, 12, 20.")
    return tuple(dict.fromkeys(found))


def build_strategies(
    methods: Sequence[str],
    ks: Sequence[K],
    *,
    base: RunSettings | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[RunSettings, ...]:
    """Every method with every K; a method that finds the number of clusters itself comes once.

    Args:
        methods: Names of methods, or `all`.
        ks: Numbers of clusters.
        base: What all of them share: features, sample, seed, scheme, annotators.
        options: Settings of a method's own, by method.

    Returns:
        In the order given, of each method the K in the order given.

    Raises:
        ClusteringError: If no method or no K is given, or a method, a K or a setting is unknown or out of range.
    """
    names = tuple(METHODS) if ALL in methods else tuple(dict.fromkeys(methods))
    if not names:
        raise ClusteringError(f"No method is chosen. Choose some of {', '.join(METHODS)}, or all.")
    if not ks:
        raise ClusteringError("No number of clusters is chosen. Give some, like 8, 12, 20.")
    own = options or {}
    for name in own:
        method_entry(name)
        if name not in names:
            raise ClusteringError(f"A setting is given for {name}, which is not among the methods: {', '.join(names)}.")
    shared = base or RunSettings()
    made = []
    for name in names:
        chosen = replace(shared, method=name, options=dict(own.get(name, {})), model="")
        made += [replace(chosen, k=k) for k in (ks if method_entry(name).takes_k else ks[:1])]
    for settings in made:
        settings.check()
    return tuple(made)


def strategy_title(settings: RunSettings) -> str:
    """What to call a strategy: method, K where it is chosen, and settings of its own."""
    entry = METHODS.get(settings.method)
    parts = [entry.title if entry else settings.method]
    if entry is None or entry.takes_k:
        parts.append(f"K = {settings.k}")
    parts += [f"{name} = {value}" for name, value in settings.options.items()]
    return ", ".join(parts)
