"""Runs: every map made so far, to be opened again as it was."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from s2dash.dashboard import state
from s2dash.dashboard.texts import plain
from s2dash.errors import S2DashError
from s2dash.store import RunRecord

STATUS = {
    "finished": ":green-badge[finished]",
    "running": ":blue-badge[running]",
    "failed": ":red-badge[failed]",
    "cancelled": ":gray-badge[cancelled]",
    "interrupted": ":orange-badge[interrupted]",
}


def export(record: RunRecord) -> None:
    """Write the files of a run into a folder of the person's choice."""
    folder = st.text_input("Folder", key=f"folder {record.id}", placeholder="/home/me/maps/region")
    if st.button("Write files", key=f"export {record.id}", disabled=not folder.strip(), icon=":material/save:"):
        try:
            files = state.workspace().export(record.id, Path(folder.strip()).expanduser())
        except S2DashError as error:
            state.say_error(error)
        else:
            st.success(f"Written: {', '.join(files)}", icon=":material/check_circle:")


def rename(record: RunRecord) -> None:
    """Give a run another title."""
    title = st.text_input("Title", record.title, key=f"title {record.id}")
    if st.button("Rename", key=f"rename {record.id}", disabled=not title.strip() or title == record.title):
        state.workspace().store.rename_run(record.id, title.strip())
        st.rerun()


def delete(record: RunRecord) -> None:
    """Delete a run, after a second thought."""
    sure = st.checkbox("Delete it with all decisions; this cannot be undone", key=f"sure {record.id}")
    if st.button("Delete", key=f"delete {record.id}", disabled=not sure, icon=":material/delete:"):
        state.workspace().delete(record.id)
        if st.session_state.get("run") == record.id:
            del st.session_state["run"]
        st.rerun()


def row(record: RunRecord) -> None:
    """One run."""
    summary, settings = record.summary, record.settings
    with st.container(border=True):
        what, scores, actions = st.columns([5, 3, 2], vertical_alignment="center")
        with what:
            shown = " :violet-badge[shown]" if record.id == state.run_id() else ""
            st.markdown(f"**{plain(record.title)}** {STATUS[record.status]}{shown}")
            st.caption(
                f"{record.created:%d %b %Y, %H:%M} UTC · {settings.get('method')} K = {settings.get('k')}, "
                f"seed {settings.get('seed')} · {plain(Path(str(record.scene.get('location', ''))).name)}"
            )
            if record.error:
                st.caption(f":red[{plain(record.error)}]")
        with scores:
            if summary.get("overall") is not None:
                st.markdown(f"agreement **{summary['overall']:.3f}** of {summary['ceiling']:.3f}")
                st.caption(plain(str(summary["reference"])))
            elif record.status == "finished":
                st.caption("not compared with a reference")
        with actions:
            finished = record.status == "finished"
            if finished and st.button("Open", key=f"open {record.id}", width="stretch", type="primary"):
                state.show_run(record.id)
                st.switch_page("pages/clusters.py")
            with st.popover("More", width="stretch"):
                if finished:
                    export(record)
                    rename(record)
                if record.status != "running":
                    delete(record)


st.title("Runs")
records = state.workspace().store.runs()
if not records:
    st.info("No runs yet. Make a map on the page *Clusters*.", icon=":material/history:")
for record in records:
    row(record)
