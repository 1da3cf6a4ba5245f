"""The form for the next map: method, K or a proposal of it, features, and the method's own settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from s2dash.annotation.registry import LOCAL
from s2dash.clustering import METHODS, Method, Option
from s2dash.dashboard import state
from s2dash.dashboard.language import t
from s2dash.dashboard.method_options import first_value, help_text, method_line, number_limits, option_key, option_title
from s2dash.dashboard.texts import METHOD_TITLES, number, plain
from s2dash.features import SEASON_NDVI
from s2dash.indices import available_indices
from s2dash.pipeline import RunResult, RunSettings
from s2dash.scene import Scene
from s2dash.schemes import load_scheme, scheme_names

TEXTURES = [0, 3, 5, 7, 9]
SAMPLES = [10_000, 50_000, 100_000, 200_000, 500_000]
MOST = 60
KEEP: dict[str, Any] = {"persist_state": "session"}


def choose_settings(scene: Scene, result: RunResult | None) -> RunSettings:
    """What a run is asked for: at first what was asked for last, on whatever day."""
    first = result.settings if result is not None else RunSettings()
    saved: dict[str, Any] = (state.recall("settings") or {}) if "k" not in st.session_state else {}
    offered = list(available_indices(scene.bands))
    layers = list(scene.season.bands) if scene.season is not None else []
    fields: dict[str, tuple[Any, Any]] = {
        "method": (first.method, METHODS),
        "k": (12 if first.k == "auto" else first.k, range(2, MOST + 1)),
        "seed": (first.seed, range(10_000)),
        "indices": (list(first.indices), offered),
        "texture": (first.texture, TEXTURES),
        "season": ([name for name in (first.season if result else SEASON_NDVI) if name in layers], layers),
        "sample": (first.sample, SAMPLES),
        "scheme": (first.scheme, scheme_names()),
        "annotators": (list(first.annotators), LOCAL),
    }
    for key, (value, options) in fields.items():
        state.seed(key, value, saved=saved.get(key), options=options)
    state.seed("k_auto", first.k == "auto", saved=(saved["k"] == "auto") if "k" in saved else None)
    method = METHODS[
        st.selectbox(t("clusters.method"), METHODS, key="method", format_func=METHOD_TITLES.__getitem__, **KEEP)
    ]
    st.caption(plain(method_line(method)))
    k = number_of_clusters() if method.takes_k else first_k(fields["k"][0])
    st.multiselect(t("clusters.indices"), offered, key="indices", **KEEP)
    st.select_slider(
        t("clusters.texture"),
        TEXTURES,
        key="texture",
        format_func=lambda side: t("clusters.no_texture") if side == 0 else f"{side} × {side}",
        help=t("clusters.texture_help"),
        **KEEP,
    )
    if layers:
        st.multiselect(
            t("clusters.season"),
            layers,
            key="season",
            format_func=season_title,
            help=t("clusters.season_help"),
            **KEEP,
        )
    earlier = saved if saved.get("method") == method.name else first.to_json() if first.method == method.name else {}
    with st.expander(t("clusters.more"), icon=":material/tune:"):
        chosen = method_settings(method, earlier.get("options") or {})
        st.number_input(t("clusters.seed"), 0, 9999, key="seed", help=t("clusters.seed_help"), **KEEP)
        st.select_slider(t("clusters.sample"), SAMPLES, key="sample", format_func=number, **KEEP)
        schemes = scheme_names()
        st.selectbox(
            t("clusters.scheme"), schemes, key="scheme", format_func=lambda name: load_scheme(name).title, **KEEP
        )
        who, asked = t("clusters.annotators"), t("clusters.annotators_help")
        st.multiselect(who, LOCAL, key="annotators", help=asked, **KEEP)
    return RunSettings.from_json({key: st.session_state[key] for key in fields} | {"k": k, "options": chosen})


def season_title(name: str) -> str:
    """A layer of the season as a person reads it: `NDVI_P10` is `NDVI P10`."""
    return name.replace("_", " ")


def number_of_clusters() -> Any:
    """K, or the wish that one be proposed."""
    auto = bool(st.session_state.get("k_auto"))
    st.slider(t("clusters.k"), 2, MOST, key="k", disabled=auto, **KEEP)
    st.toggle(
        t("clusters.propose_k"),
        key="k_auto",
        help=t("clusters.propose_k_help"),
        **KEEP,
    )
    return "auto" if auto else st.session_state["k"]


def first_k(value: int) -> int:
    """K where the method does not ask for one: what it was, so that it is there again for the next method."""
    return int(st.session_state.get("k", value))


def method_settings(method: Method, earlier: Mapping[str, Any]) -> dict[str, Any]:
    """The method's own settings."""
    chosen = {option.name: field(method, option, earlier) for option in method.options}
    if method.options:
        st.divider()
    return chosen


def field(method: Method, option: Option, earlier: Mapping[str, Any]) -> Any:
    """One of them, as a field of its kind."""
    key = option_key(method.name, option.name)
    look: dict[str, Any] = {"key": key, "help": help_text(method, option), **KEEP}
    if key not in st.session_state:
        st.session_state[key] = first_value(option, earlier)
    if option.choices:
        return st.selectbox(option_title(method, option), option.choices, **look)
    if option.kind is str:
        return st.text_input(option_title(method, option), **look).strip()
    if option.default is None:
        look |= {"value": None, "placeholder": t("clusters.proposed")}
    return st.number_input(option_title(method, option), **number_limits(option), **look)
