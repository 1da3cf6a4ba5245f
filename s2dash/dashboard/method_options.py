"""What the page of clusters needs to know to ask for a method's own settings: kinds of fields, first values, steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from s2dash.clustering import Method, Option
from s2dash.clustering.methods import Value
from s2dash.dashboard.language import FIRST, t, texts
from s2dash.errors import ClusteringError


def option_key(method: str, option: str) -> str:
    """Under what name the page keeps a setting: every method has its own."""
    return f"option {method} {option}"


def first_value(option: Option, chosen: Mapping[str, Any]) -> Value:
    """What a field shows at first: what was chosen before where that is still possible, else the default."""
    try:
        return option.check(chosen.get(option.name, option.default))
    except ClusteringError:
        return option.default


def number_limits(option: Option) -> dict[str, Any]:
    """Least, most, step and format of a number's field, all of the option's own type."""
    limits: dict[str, Any] = {
        "min_value": None if option.least is None else option.kind(option.least),
        "max_value": None if option.most is None else option.kind(option.most),
        "step": option.kind(1),
    }
    if option.kind is float:
        size = float(option.default) if isinstance(option.default, int | float) and option.default else 0.1
        limits |= {"step": 10.0 ** math.floor(math.log10(abs(size))), "format": "%g"}
    return limits


def option_title(method: Method, option: Option) -> str:
    """What a setting is called, in the session's language."""
    return _said(f"clusters.option_{method.name}_{option.name}", option.title)


def default_text(option: Option) -> str:
    """The default as a person reads it."""
    return t("clusters.default_proposed") if option.default is None else str(option.default)


def help_text(method: Method, option: Option) -> str:
    """What a setting does, and its default, in the session's language."""
    said = _said(f"clusters.help_{method.name}_{option.name}", option.help)
    return f"{said} {t('clusters.default', value=default_text(option))}".strip()


def method_line(method: Method) -> str:
    """What a method does and where it is from, in a line."""
    said = _said(f"clusters.method_{method.name}", method.summary)
    return f"{said} ({method.source})" if method.source else said


def _said(key: str, otherwise: str) -> str:
    """A text of the interface; what the method itself says where there is none, as of a method of somebody else's."""
    return t(key) if key in texts(FIRST) else otherwise
