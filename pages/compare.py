"""Compare: clustering strategies side by side on the present scene."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import streamlit as st

from pages.parts.strategies import strategies_panel
from s2dash.dashboard import state
from s2dash.dashboard.language import t, written_moment
from s2dash.dashboard.study_figures import number_columns, study_figure, study_rows, title
from s2dash.dashboard.texts import plain
from s2dash.study import Study, kept_study

WIDTHS: dict[str, Any] = {"best": 110, "remarks": "medium"}


def against(study: Study) -> None:
    """What the strategies are measured by."""
    if study.reference is None:
        st.info(t("compare.no_reference"), icon=":material/info:")
        return
    name, year = plain(study.reference["title"]), study.reference["year"]
    what = t("compare.against_year", reference=name, year=year) if year else t("compare.against", reference=name)
    st.caption(f"{what} {plain(t('compare.meaning'))}")
    if study.reference["caution"] and not study.simulated:  # simulated truth has no errors of its own
        st.info(plain(study.reference["caution"]), icon=":material/info:")


def table(study: Study) -> None:
    """Every strategy with its figures, and why some could not be done."""
    columns: dict[str, Any] = {title(name): st.column_config.TextColumn(width=width) for name, width in WIDTHS.items()}
    for name, (form, text) in number_columns().items():
        columns[name] = st.column_config.NumberColumn(format=form, help=text)
    columns[title("strategy")] = st.column_config.TextColumn(pinned=True)
    st.dataframe(study_rows(study), hide_index=True, width="stretch", column_config=columns, placeholder="–")
    failed = {result.error: result.title for result in study.results if result.error}
    for error, name in failed.items():
        st.warning(plain(f"{name}: {error}"), icon=":material/warning:")


def show(study: Study) -> None:
    """Chart, table, and what to do with it."""
    st.subheader(t("compare.how_good"))
    st.caption(t("compare.compared", moment=plain(written_moment(datetime.fromisoformat(study.started)))))
    against(study)
    if any(result.done for result in study.results):
        st.plotly_chart(study_figure(study), key="strategies")
        use(study)
    table(study)
    content = json.dumps(study.to_json(), indent=2, ensure_ascii=False)
    with st.container(horizontal=True):
        for name, text in (("study.json", content), ("study.csv", study.to_csv())):
            label = t("compare.download", file=name)
            st.download_button(label, text, name, icon=":material/download:", on_click="ignore")


def use(study: Study) -> None:
    """Take a strategy over to the page Clusters, at first the one that reached most."""
    done = [place for place, result in enumerate(study.results) if result.done]
    best = study.best("reached") or study.best("silhouette")
    first = next((at for at, place in enumerate(done) if place in best), 0)
    pick, go = st.columns([3, 2], vertical_alignment="bottom")
    titles = [result.title for result in study.results]
    key = f"use {study.started}"
    place = pick.selectbox(t("compare.strategy"), done, index=first, format_func=titles.__getitem__, key=key)
    if go.button(t("compare.use"), icon=":material/arrow_forward:", width="stretch", help=t("compare.use_help")):
        chosen = study.results[place].settings.to_json()
        state.remember("settings", chosen)
        for name, value in chosen.items():  # widgets of the page Clusters that this session has seen
            if name in st.session_state:
                st.session_state[name] = value
        st.switch_page("pages/clusters.py", query_params={"run": run} if (run := state.run_id()) else None)


state.framed()
st.title(t("compare.title"))
result, asked = state.shown_run(), state.request()
scene = state.present_scene()
if asked is not None and scene is not None:
    state.subject(scene.scene.provenance.title, simulated=scene.scene.simulated)
    with st.container(border=True):
        strategies_panel(result, asked)
    with state.said():
        if (study := kept_study(asked, state.workspace().folder)) is not None:
            show(study)
        else:
            st.caption(t("compare.none_yet"))
