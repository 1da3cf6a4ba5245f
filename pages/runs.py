"""Runs: every map made so far, to be opened again as it was."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from s2dash.dashboard import state
from s2dash.dashboard.files import person_path
from s2dash.dashboard.texts import plain, run_agreement, run_facts
from s2dash.store import RunRecord

STATUS = {
    "finished": ":green-badge[finished]",
    "running": ":blue-badge[running]",
    "failed": ":red-badge[failed]",
    "cancelled": ":gray-badge[cancelled]",
    "interrupted": ":orange-badge[interrupted]",
}
ON_A_PAGE = 12


def export(record: RunRecord) -> None:
    """Write the files of a run into a folder of the person's choice."""
    folder = st.text_input("Folder for the maps and tables", key=f"folder {record.id}", placeholder="/home/me/maps")
    if st.button("Write files", key=f"export {record.id}", disabled=not folder.strip(), icon=":material/save:"):
        with state.said(), st.spinner("Writing …"):
            files = state.workspace().export(record.id, Path(person_path(folder)))
            st.success(plain(f"Written: {', '.join(files)}"), icon=":material/check_circle:")


def rename(record: RunRecord) -> None:
    """Give a run another title."""
    title = st.text_input("Title", record.title, key=f"title {record.id} {record.title}")
    if st.button("Rename", key=f"rename {record.id}", disabled=not title.strip() or title == record.title):
        with state.said():
            state.workspace().store.rename_run(record.id, title.strip())
            st.rerun()


def delete(record: RunRecord) -> None:
    """Delete a run, after a second thought."""
    sure = st.checkbox("Delete it with all decisions; this cannot be undone", key=f"sure {record.id}")
    if st.button("Delete", key=f"delete {record.id}", disabled=not sure, icon=":material/delete:"):
        with state.said():
            state.workspace().delete(record.id)
            st.rerun()


def row(record: RunRecord) -> None:
    """One run."""
    finished = record.status == "finished"
    with st.container(border=True):
        what, scores, actions = st.columns([6, 3, 2], vertical_alignment="center")
        shown = " :violet-badge[shown]" if record.id == state.run_id() else ""
        what.markdown(f"**{plain(record.title)}** {STATUS[record.status]}{shown}")
        source = Path(str(record.scene.get("location", ""))).name
        what.caption(plain(f"{record.created:%d %b %Y, %H:%M} UTC · {run_facts(record)} · {source}"))
        if record.error:
            what.caption(f":red[{plain(record.error)}]")
        if finished:
            reached, since = run_agreement(record), len(state.workspace().store.events(record.id))
            scores.markdown(plain(reached) or "not compared")
            against = f"with {record.summary['reference']}" if reached else ""
            scores.caption(plain(f"{against} · decisions since: {since}" if since else against))
        with actions:
            if finished:
                there = {"run": record.id}
                st.page_link("pages/clusters.py", label="Open", icon=":material/map:", query_params=there)
            if record.status != "running":
                with st.popover("More", width="stretch"):
                    if finished:
                        export(record)
                        st.divider()
                        rename(record)
                        st.divider()
                    delete(record)


state.framed()
st.title("Runs")
records = state.workspace().store.runs()
if not records:
    state.nothing()
at = 0
if len(records) > ON_A_PAGE:
    at = st.pagination(-(-len(records) // ON_A_PAGE), key=f"runs_page {len(records)}") - 1
for record in records[at * ON_A_PAGE : (at + 1) * ON_A_PAGE]:
    row(record)
