"""Addresses: the page that a link names, and the link that opens what is shown now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.parts.story_ways import presented
from s2dash.dashboard import state
from s2dash.dashboard.address import KEPT, kept_parameters, page_asked, permanent_link
from s2dash.dashboard.language import language, t

Pages = Mapping[str, Any]
"""`st.Page` by the name that addresses use for it."""


def name_of(page: Any, pages: Pages) -> str:
    """What addresses call a page."""
    return next((name for name, known in pages.items() if known == page or known.title == page.title), "")


def turn_to_asked(page: Any, pages: Pages) -> None:
    """Go to the page that the address names with `page`, once."""
    query = st.query_params.to_dict()
    turned = st.session_state.get("turned to")
    asked = page_asked(query, pages=pages, current=name_of(page, pages), turned=turned)
    if asked is not None:
        st.session_state["turned to"] = asked
        st.switch_page(pages[asked], query_params={name: value for name, value in query.items() if name != "page"})


def parameters(run: str | None) -> dict[str, str] | None:
    """The parameters of an address within the dashboard that shows a run."""
    return kept_parameters(st.query_params.to_dict(), run=run) or None


def link_panel(page: Any, pages: Pages) -> None:
    """The link that opens the same view elsewhere, to be copied."""
    step = presented() if name_of(page, pages) == "story" else None
    link = permanent_link(
        st.context.url or "",
        path=page.url_path,
        parameters={
            "run": state.run_id(),
            "page": name_of(page, pages),
            "lang": language(),
            **{name: _now(name) for name in KEPT if name != "lang"},
            "step": str(step) if step else None,
        },
    )
    with st.popover(t("frame.link"), icon=":material/link:"):
        st.caption(" ".join([t("frame.link_help"), *([t("frame.link_for_story")] if step else [])]))
        st.code(link, language=None, wrap_lines=True)


def _now(name: str) -> str | None:
    """What is chosen of something, else what the address says of it."""
    chosen = st.session_state.get(name) or st.query_params.get(name)
    return str(chosen) if chosen else None
