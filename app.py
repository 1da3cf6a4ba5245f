"""The dashboard: page registry, frame, first start. Run with `streamlit run app.py`, or `make run`."""

from __future__ import annotations

import logging

import streamlit as st

from pages.parts.frame_panel import job_panel, links, run_choice, settings
from pages.parts.language_switch import language_of_address
from pages.parts.link_panel import turn_to_asked
from pages.parts.media import serve
from pages.parts.palette_switch import palette_of_address
from pages.parts.sign_in import sign_in_panel, who
from pages.parts.story_ways import presented, step_of_address
from pages.parts.style import STYLE
from s2dash.dashboard import state
from s2dash.dashboard.language import t
from s2dash.dashboard.publish import publish_by
from s2dash.errors import S2DashError

ICONS = {
    "imagery": ":material/satellite_alt:",
    "clusters": ":material/bubble_chart:",
    "labels": ":material/label:",
    "agreement": ":material/fact_check:",
    "compare": ":material/compare_arrows:",
    "runs": ":material/history:",
    "story": ":material/auto_stories:",
}
"""Pages by the name that addresses use for them."""

publish_by(serve)
state.guard_by(who)
language_of_address()
palette_of_address()
ICON = str(state.ROOT / "static" / "icon.png")
# The icon goes first: without it, the browser would fetch that of the page from a public server.
st.set_page_config(page_icon=ICON, layout="wide")
PAGES = {
    name: st.Page(f"pages/{name}.py", title=t(f"{name}.title"), icon=icon, default=name == "imagery")
    for name, icon in ICONS.items()
}
page = st.navigation(list(PAGES.values()), position="hidden")
step_of_address()
full = page == PAGES["story"] and presented() is not None
st.set_page_config(page_title=f"{page.title} · s2dash", initial_sidebar_state="collapsed" if full else "auto")
st.logo(ICON, size="large")
st.html(STYLE)
try:
    turn_to_asked(page, PAGES)
    state.begin()
    with st.sidebar:
        links(PAGES, state.run_id())
        run_choice(state.run_id())
        job_panel()
        settings(page, PAGES)
        sign_in_panel()
    state.messages()
    with state.frame():
        page.run()
except S2DashError as error:
    state.say_error(error)
except Exception:
    logging.getLogger("s2dash").exception("Page %s failed", page.title)
    st.error(t("frame.unforeseen"), icon=":material/error:")
