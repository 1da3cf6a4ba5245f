"""What a search for images found, what it takes to fetch it, and fetching it."""

from __future__ import annotations

import streamlit as st

from pages.parts.chosen_area import chosen_area
from pages.parts.search_form import KEEP, LOAD, SEARCH, awaited, under_way
from s2dash.area_budget import area_budget
from s2dash.dashboard import state
from s2dash.dashboard.area_words import refusal
from s2dash.dashboard.image_search import (
    WAYS,
    Awaited,
    Choice,
    Fetched,
    Found,
    cost_words,
    fetch,
    image_line,
    image_rows,
    image_words,
    images_by_id,
    period_words,
    same_place,
    thumbnails,
)
from s2dash.dashboard.language import t, written_day
from s2dash.dashboard.texts import plain
from s2dash.errors import NoImageryError
from s2dash.masking import MaskRule
from s2dash.sources.stac.choose import for_composite


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
