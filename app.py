"""The dashboard: page registry, frame, first start. Run with `streamlit run app.py`, or `make run`."""

from __future__ import annotations

import logging

import streamlit as st

from s2dash.dashboard import state
from s2dash.errors import S2DashError

PAGES = [
    st.Page("pages/imagery.py", title="Area & imagery", icon=":material/satellite_alt:", default=True),
    st.Page("pages/clusters.py", title="Clusters", icon=":material/bubble_chart:"),
    st.Page("pages/labels.py", title="Labels", icon=":material/label:"),
    st.Page("pages/agreement.py", title="Agreement", icon=":material/fact_check:"),
    st.Page("pages/runs.py", title="Runs", icon=":material/history:"),
]


def sidebar() -> None:
    """The run that is shown, and the work under way."""
    records = [record for record in state.workspace().store.runs() if record.status == "finished"]
    with st.sidebar:
        chosen = state.run_id()
        if records and chosen:
            ids = [record.id for record in records]
            titles = {record.id: record.title for record in records}
            picked = st.selectbox("Map shown", ids, index=ids.index(chosen), format_func=lambda run: titles[run])
            if picked != chosen:
                state.show_run(picked)
                st.rerun()
        state.job_panel()


ICON = state.ROOT / "static" / "icon.png"
st.set_page_config(page_title="s2dash", page_icon=str(ICON), layout="wide")
st.logo(str(ICON), size="large")
st.html("<style>.stMainBlockContainer { padding-top: 3rem; padding-bottom: 4rem; }</style>")
page = st.navigation(PAGES)
try:
    state.ensure_demo()
    sidebar()
    state.job_error()
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
