"""What stands around every page: the pages, the map that is shown, work under way, and the settings."""

from __future__ import annotations

import streamlit as st

from pages.parts.language_switch import language_switch
from pages.parts.link_panel import Pages, link_panel, parameters
from pages.parts.palette_switch import palette_switch
from s2dash.dashboard import state
from s2dash.dashboard.language import t, written_moment
from s2dash.dashboard.texts import plain, run_facts, unique_titles
from s2dash.store import RunRecord


def links(pages: Pages, run: str | None) -> None:
    """The pages; their addresses name the run, so that they can be kept and passed on."""
    for entry in pages.values():
        st.page_link(entry, query_params=parameters(run), width="stretch")


def run_choice(run: str | None) -> None:
    """Which run is shown, and what it is."""
    records: dict[str, RunRecord] = {record.id: record for record in state.server().finished_runs()}
    if run not in records:
        return
    st.divider()
    titles, place = unique_titles(records.values()), list(records).index(run)
    picked = st.selectbox(t("frame.map_shown"), list(records), index=place, format_func=titles.__getitem__)
    if picked != run:
        state.show_run(picked)
        st.rerun()
    shown = records[run]
    st.caption(plain(run_facts(shown)) + "  \n" + plain(written_moment(shown.created)))


def job_panel() -> None:
    """Progress of all work under way, with a way to stop it."""
    if st.session_state["jobs"]:
        _watch_jobs()


@st.fragment(run_every=1.0)
def _watch_jobs() -> None:
    for job_id in st.session_state["jobs"]:
        state.watch(job_id, "all", width="stretch")


def settings(page: object, pages: Pages) -> None:
    """Language, colours and the link, in as many rows as the words need."""
    st.divider()
    language_switch()
    with st.container(horizontal=True):
        with st.popover(t("palette.title"), icon=":material/palette:"):
            palette_switch()
        link_panel(page, pages)
