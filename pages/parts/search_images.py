"""The way to imagery through a catalogue: area and dates, what there is, what it takes, and fetching it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import streamlit as st

from pages.parts.choose_area import choose, chosen_area
from s2dash.area import AreaOfInterest
from s2dash.area_budget import area_budget
from s2dash.dashboard import state
from s2dash.dashboard.area_words import refusal
from s2dash.dashboard.image_search import (
    FIRST_DAY,
    OTHER,
    WAYS,
    Asked,
    Awaited,
    Choice,
    Fetched,
    Found,
    catalogue_titles,
    cost_words,
    fetch,
    first_days,
    image_line,
    image_rows,
    image_words,
    images_by_id,
    period_words,
    same_place,
    search,
    thumbnails,
)
from s2dash.dashboard.language import language, t, written_day
from s2dash.dashboard.texts import number, plain
from s2dash.errors import NoImageryError
from s2dash.masking import MaskRule
from s2dash.presets import presets
from s2dash.sources.stac.choose import for_composite

KEEP: dict[str, Any] = {"persist_state": "session"}
CLOUD = 30
SEARCH, LOAD = "image search", "image load"
"""Where the session keeps what is being searched and fetched."""


# ---- what is asked


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


# ---- what was found


def search_results(mask: MaskRule) -> None:
    """What the search found, and the way from there to a scene."""
    found, load = awaited(SEARCH), awaited(LOAD)
    if under_way():
        st.caption(t("search.under_way"))
    for kept in (found, load):
        if kept is not None and kept.broken and not isinstance(kept.error, NoImageryError):
            st.info(t("search.way_out"), icon=":material/wifi_off:")
            break
    if found is None or found.value is None:
        return
    results: Found = found.value
    if not same_place(chosen_area(), results.asked.area):
        st.caption(t("search.area_changed"))
        return
    show_images(results)
    choice = choose_images(results, mask)
    load_panel(choice)


def show_images(found: Found) -> None:
    """The images in a table, and their thumbnails for who wants them."""
    st.markdown(f"**{t('search.found', count=len(found.images))}**")
    st.caption(period_words(found.asked))
    columns = {
        "date": st.column_config.DateColumn(t("search.date")),
        "cloud": st.column_config.NumberColumn(t("search.cloud_column"), format="%.0f %%"),
        "coverage": st.column_config.NumberColumn(t("search.coverage"), format="%.0f %%"),
        "tiles": st.column_config.NumberColumn(t("search.tiles")),
        "platform": st.column_config.TextColumn(t("search.platform")),
    }
    rows = image_rows(found.images)
    st.dataframe(rows, hide_index=True, width="stretch", column_config=columns)
    if any(image.thumbnail for image in found.images):
        with st.expander(t("search.thumbnails"), icon=":material/photo_library:"):
            if st.toggle(t("search.thumbnails_show"), key="search_thumbnails"):
                show_thumbnails(found)


def show_thumbnails(found: Found) -> None:
    """Small pictures of the clearest images, if the network has them."""
    kept = st.session_state.get("image thumbnails")
    if kept is None or kept[0] is not found:
        with st.spinner(t("search.thumbnails_loading")):
            kept = st.session_state["image thumbnails"] = (found, thumbnails(found.images))
    pictures = kept[1]
    if not pictures:
        st.caption(t("search.thumbnails_none"))
    columns = st.columns(3)
    shown = [image for image in found.images if image.id in pictures]
    for place, image in enumerate(shown):
        columns[place % 3].image(pictures[image.id], caption=written_day(image.day), width="stretch")


def choose_images(found: Found, mask: MaskRule) -> Choice:
    """One image, the clearest, or those of a composite."""
    state.seed("search_way", WAYS[0], options=WAYS)
    names = {way: t(f"search.way_{way}") for way in WAYS}
    way = st.segmented_control(
        t("search.way"), WAYS, key="search_way", required=True, format_func=names.__getitem__, **KEEP
    )
    known = images_by_id(found.images)
    if way == "clearest":
        choice = Choice(found, way, mask=mask)
        st.caption(image_line(choice.images[0]))
        return choice
    if way == "one":
        state.seed("search_one", next(iter(known)), options=list(known))
        one = st.selectbox(
            t("search.image"), list(known), key="search_one", format_func=lambda name: image_line(known[name])
        )
        return Choice(found, way, (one,), mask)
    st.caption(t(f"search.about_{way}"))
    state.seed("search_many", [image.id for image in for_composite(found.images)], options=list(known))
    many = st.multiselect(
        t("search.images"), list(known), key="search_many", format_func=lambda name: image_words(known[name])
    )
    return Choice(found, way, tuple(many), mask)


def load_panel(choice: Choice) -> None:
    """What it takes, and the button that fetches it."""
    images, area = choice.images, choice.found.asked.area
    budget = area_budget(area)
    if reason := refusal(budget):
        st.error(plain(reason), icon=":material/error:")
    elif images:
        st.caption(plain(cost_words(budget, len(images))))
    blocked = budget.too_large or not images or under_way()
    if st.button(
        t("search.load"), type="primary", icon=":material/download:", disabled=blocked, width="stretch", key="load"
    ):
        folder = state.workspace().folder / "scenes" / "fetched"
        waiting = Awaited[Fetched]()
        st.session_state[LOAD] = waiting
        title = t("search.load_job", what=area.title or period_words(choice.found.asked))
        state.start_job(title, waiting.work(lambda progress: fetch(choice, folder, progress)))
        st.rerun()


def take_fetched() -> None:
    """Make a scene that was just fetched the present one; comes first on the page."""
    waiting = awaited(LOAD)
    if waiting is None or waiting.value is None:
        return
    fetched: Fetched = waiting.value
    del st.session_state[LOAD]
    with state.said():
        state.show_scene(fetched.request)
