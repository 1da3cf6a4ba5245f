"""Story: how the map was made, in six steps, for people who have never made one."""

from __future__ import annotations

import streamlit as st

from pages.parts.story_step import STYLE, story_step
from pages.parts.story_ways import presented, ways
from s2dash.colours import palette
from s2dash.dashboard import state
from s2dash.dashboard.language import language, t
from s2dash.dashboard.story import sources, story_steps
from s2dash.dashboard.story_page import story_page
from s2dash.dashboard.texts import plain

state.framed()
step = presented()
heading = st.empty()
if step is None:
    heading.title(t("story.title"))
seen = state.changes()
result, run = state.result(), state.run_id() or ""
view = state.run_view(result)
simulated = result.scene["kind"] == "simulated"
name, credit = str(result.scene["title"]), sources(result)
kind = f"{language()} {palette()} {view.scene is not None}"
steps = state.kept(f"story {kind}", lambda: story_steps(result, view))
file = state.kept(f"story page {kind}", lambda: story_page(steps, title=name, simulated=simulated, sources=credit))
st.html(STYLE)
if step is not None:
    heading.title(plain(steps[step - 1].title))
state.subject(name, simulated=simulated)
ways(file, name=f"story-{language()}.html", step=step)
with st.container(key="story"):
    if step is None:
        st.markdown(t("story.lead"))
        for number, each in enumerate(steps, start=1):
            st.divider()
            story_step(each, number=number)
    else:
        with st.container(key="story-one"):
            story_step(steps[step - 1], number=step, alone=True)
if credit:
    st.caption(t("story.sources", sources=plain(credit)))
state.follow(run, seen)
