"""The form that searches a catalogue for images: a place, dates, clouds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import streamlit as st

from pages.parts.chosen_area import choose, chosen_area
from s2dash.area import AreaOfInterest
from s2dash.dashboard import state
from s2dash.dashboard.image_search import (
    FIRST_DAY,
    OTHER,
    Asked,
    Awaited,
    Found,
    catalogue_titles,
    first_days,
    same_place,
    search,
)
from s2dash.dashboard.language import language, t
from s2dash.dashboard.texts import number, plain
from s2dash.presets import presets

KEEP: dict[str, Any] = {"persist_state": "session"}
CLOUD = 30
SEARCH, LOAD = "image search", "image load"
"""Where the session keeps what is being searched and fetched."""


def search_form() -> None:
    """Place, dates, clouds, catalogue, and the button that searches."""
    choose_preset()
    saved = state.recall("search") or {} if "search_cloud" not in st.session_state else {}
    titles = catalogue_titles()
    today = datetime.now(UTC).date()
    state.seed("search_days", first_days(today))
    state.seed("search_cloud", CLOUD, saved=saved.get("cloud"), options=range(101))
    state.seed("search_source", next(iter(titles)), saved=saved.get("source"), options=list(titles))
    area = chosen_area()
    st.caption(t("search.area_none") if area is None else t("search.area_is", area=area_words(area)))
    days = st.date_input(
        t("search.days"), min_value=FIRST_DAY, max_value=today, key="search_days", format="YYYY-MM-DD", **KEEP
    )
    cloud = st.slider(t("search.cloud"), 0, 100, key="search_cloud", help=t("search.cloud_help"), **KEEP)
    source = st.selectbox(
        t("search.catalogue"), list(titles), key="search_source", format_func=titles.__getitem__, **KEEP
    )
    if source == OTHER:
        source = st.text_input(
            t("search.address"), key="search_address", placeholder="https://", help=t("search.address_help"), **KEEP
        ).strip()
    period = days if isinstance(days, tuple) and len(days) == 2 else None
    if period is None:
        st.caption(t("search.days_two"))
    ready = area is not None and period is not None and bool(source) and not under_way()
    pressed = st.button(
        t("search.search"), type="primary", icon=":material/search:", disabled=not ready, width="stretch"
    )
    if pressed and area is not None and period is not None:
        state.remember("search", {"cloud": cloud, "source": st.session_state["search_source"]})
        begin_search(Asked(area, *period, cloud, source))


def choose_preset() -> None:
    """A place to try: it fills in the area, the dates and the clouds."""
    spoken, known = language(), presets()
    area = chosen_area()
    chosen = known.get(st.session_state.get("search_preset") or "")
    if chosen is not None and (area is None or not same_place(area, chosen.area(spoken))):
        st.session_state["search_preset"] = None  # another area was chosen since
    st.selectbox(
        t("search.preset"),
        list(known),
        key="search_preset",
        index=None,
        format_func=lambda key: known[key].name(spoken),
        placeholder=t("search.preset_none"),
        help=t("search.preset_help"),
        on_change=take_preset,
    )


def take_preset() -> None:
    """Fill in what the place to try says."""
    preset = presets().get(st.session_state.get("search_preset") or "")
    if preset is not None:
        choose(preset.area(language()))
        st.session_state["search_days"] = preset.season(datetime.now(UTC).date())
        st.session_state["search_cloud"] = preset.max_cloud


def area_words(area: AreaOfInterest) -> str:
    """An area in a few words."""
    size = t("texts.km2", area=number(area.area_km2, 1))
    return f"{plain(area.title)}, {size}" if area.title else size


def under_way() -> bool:
    """Whether this session searches or fetches already."""
    return any(kept is not None and not kept.over for kept in (awaited(SEARCH), awaited(LOAD)))


def awaited(name: str) -> Awaited[Any] | None:
    """Work this session began."""
    found: Awaited[Any] | None = st.session_state.get(name)
    return found


def begin_search(asked: Asked) -> None:
    """Search in the background."""
    waiting = Awaited[Found]()
    st.session_state[SEARCH] = waiting
    st.session_state.pop(LOAD, None)
    state.start_job(t("search.job"), waiting.work(lambda progress: search(asked, progress)))
    st.rerun()
