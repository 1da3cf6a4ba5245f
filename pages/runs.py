"""Runs: every map made so far, to be opened again as it was."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.parts.sign_in import may_write, who
from s2dash.dashboard import state
from s2dash.dashboard.files import person_path
from s2dash.dashboard.language import t, written_moment
from s2dash.dashboard.texts import plain, run_agreement, run_facts
from s2dash.store import RunRecord

COLOURS = {"finished": "green", "running": "blue", "failed": "red", "cancelled": "gray", "interrupted": "orange"}
ON_A_PAGE = 12


def export(record: RunRecord) -> None:
    """Write the files of a run into a folder of the person's choice."""
    folder = st.text_input(t("runs.folder"), key=f"folder {record.id}", placeholder="/home/me/maps")
    if st.button(
        t("runs.write"),
        key=f"export {record.id}",
        disabled=not (folder.strip() and may_write()),
        icon=":material/save:",
    ):
        with state.said(), st.spinner(t("runs.writing")):
            who()
            files = state.workspace().export(record.id, Path(person_path(folder)))
            st.success(plain(t("runs.written", files=", ".join(files))), icon=":material/check_circle:")


def rename(record: RunRecord) -> None:
    """Give a run another title."""
    title = st.text_input(t("runs.name"), record.title, key=f"title {record.id} {record.title}")
    same = not title.strip() or title == record.title
    if st.button(t("runs.rename"), key=f"rename {record.id}", disabled=same or not may_write()):
        with state.said():
            who()
            state.workspace().store.rename_run(record.id, title.strip())
            st.rerun()


def delete(record: RunRecord) -> None:
    """Delete a run, after a second thought."""
    sure = st.checkbox(t("runs.sure"), key=f"sure {record.id}")
    if st.button(
        t("runs.delete"), key=f"delete {record.id}", disabled=not (sure and may_write()), icon=":material/delete:"
    ):
        with state.said():
            who()
            state.workspace().delete(record.id)
            st.rerun()


def row(record: RunRecord) -> None:
    """One run."""
    finished = record.status == "finished"
    with st.container(border=True):
        what, scores, actions = st.columns([6, 3, 2], vertical_alignment="center")
        status = f":{COLOURS[record.status]}-badge[{t(f'runs.{record.status}')}]"
        shown = f" :violet-badge[{t('runs.shown')}]" if record.id == state.run_id() else ""
        what.markdown(f"**{plain(record.title)}** {status}{shown}")
        source = Path(str(record.scene.get("location", ""))).name
        what.caption(plain(" · ".join([written_moment(record.created), run_facts(record), source])))
        if record.error:
            what.caption(f":red[{plain(record.error)}]")
        if finished:
            reached, since = run_agreement(record), len(state.workspace().store.events(record.id))
            scores.markdown(plain(reached) or t("runs.not_compared"))
            facts = [t("runs.with", reference=record.summary["reference"])] if reached else []
            facts += [t("runs.since", count=since)] if since else []
            scores.caption(plain(" · ".join(facts)))
        with actions:
            if finished:
                there = {"run": record.id}
                st.page_link("pages/clusters.py", label=t("runs.open"), icon=":material/map:", query_params=there)
            if record.status != "running":
                with st.popover(t("runs.more"), width="stretch"):
                    if finished:
                        export(record)
                        st.divider()
                        rename(record)
                        st.divider()
                    delete(record)


state.framed()
st.title(t("runs.title"))
records = state.workspace().store.runs()
if not records:
    state.nothing()
at = 0
if len(records) > ON_A_PAGE:
    at = st.pagination(-(-len(records) // ON_A_PAGE), key=f"runs_page {len(records)}") - 1
for record in records[at * ON_A_PAGE : (at + 1) * ON_A_PAGE]:
    row(record)
