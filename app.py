"""The dashboard: page registry, frame, first start. Run with `streamlit run app.py`, or `make run`."""

from __future__ import annotations

import logging

import streamlit as st

from s2dash.dashboard import state
from s2dash.dashboard.texts import plain, run_facts, unique_titles
from s2dash.errors import S2DashError

PAGES = [
    st.Page("pages/imagery.py", title="Area & imagery", icon=":material/satellite_alt:", default=True),
    st.Page("pages/clusters.py", title="Clusters", icon=":material/bubble_chart:"),
    st.Page("pages/labels.py", title="Labels", icon=":material/label:"),
    st.Page("pages/agreement.py", title="Agreement", icon=":material/fact_check:"),
    st.Page("pages/compare.py", title="Compare", icon=":material/compare_arrows:"),
    st.Page("pages/runs.py", title="Runs", icon=":material/history:"),
]


def links(run: str | None) -> None:
    """The pages; their addresses name the run, so that they can be kept and passed on."""
    for entry in PAGES:
        st.page_link(entry, query_params={"run": run} if run else None, width="stretch")


def run_choice(run: str | None) -> None:
    """Which run is shown, and what it is."""
    records = {record.id: record for record in state.server().finished_runs()}
    if run not in records:
        return
    st.divider()
    titles = unique_titles(records.values())
    picked = st.selectbox("Map shown", list(records), index=list(records).index(run), format_func=titles.__getitem__)
    if picked != run:
        state.show_run(picked)
        st.rerun()
    shown = records[run]
    st.caption(plain(run_facts(shown)) + "  \n" + plain(f"{shown.created:%d %b %Y, %H:%M} UTC"))


ICON = str(state.ROOT / "static" / "icon.png")
# The icon goes first: without it, the browser would fetch that of the page from a public server.
st.set_page_config(page_icon=ICON, layout="wide")
page = st.navigation(PAGES, position="hidden")
st.set_page_config(page_title=f"{page.title} · s2dash")
st.logo(ICON, size="large")
try:
    state.begin()
    with st.sidebar:
        links(state.run_id())
        run_choice(state.run_id())
        state.job_panel()
    state.messages()
    with state.frame():
        page.run()
except S2DashError as error:
    state.say_error(error)
except Exception:
    logging.getLogger("s2dash").exception("Page %s failed", page.title)
    st.error(
        "Something went wrong that this program did not foresee. Nothing that was saved is lost: reload the page, and "
        "if it happens again, look into the program's log.",
        icon=":material/error:",
    )
