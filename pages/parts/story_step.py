"""One step of the story: a large picture, and beside it a few plain sentences."""

from __future__ import annotations

import streamlit as st

from s2dash.dashboard.language import t
from s2dash.dashboard.story import StoryStep
from s2dash.dashboard.story_page import legend_list, story_table
from s2dash.dashboard.texts import plain

STYLE = """<style>
.st-key-story p { font-size: 1.08rem; line-height: 1.6; }
.st-key-story .legend { list-style: none; margin: 0; padding: 0; font-size: .92rem; }
.st-key-story .legend li { display: inline-block; margin: 0 1.1rem .2rem 0; }
.st-key-story table { border-collapse: collapse; width: 100%; font-size: .95rem; }
.st-key-story th, .st-key-story td { text-align: left; padding: .3rem .6rem .3rem 0; vertical-align: top;
  border-bottom: 1px solid rgba(128, 128, 128, .3); }
.st-key-story th { font-weight: 600; }
.st-key-story .n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.st-key-story .legend i, .st-key-story td i { display: inline-block; width: .9em; height: .9em; border-radius: .2em;
  margin-right: .4em;  border: 1px solid rgba(128, 128, 128, .8); vertical-align: -.08em; }
.st-key-story-one img { max-height: calc(100vh - 17rem); object-fit: contain; object-position: left top; }
[data-testid="stMainBlockContainer"]:has(.st-key-story-one) { padding-top: 3.6rem; }
@media (max-width: 1000px) {
  .st-key-story [data-testid="stHorizontalBlock"] { flex-direction: column; }
  .st-key-story [data-testid="stColumn"] { width: 100%; flex: 1 1 auto; min-width: 100%; }
  .st-key-story-one img { max-height: 50vh; }
}
@media print {
  [data-testid="stSidebar"], [data-testid="stHeader"], .st-key-story-ways { display: none; }
  [class*="st-key-story-step-"] { break-inside: avoid; }
}
</style>"""
"""Reading size, one column on narrow screens, a picture that fits the screen where one step is presented, and paper."""


def story_step(step: StoryStep, *, number: int, alone: bool = False) -> None:
    """Show a step.

    Args:
        step: The step.
        number: From 1.
        alone: Whether its title is already on top of the page.
    """
    with st.container(key=f"story-step-{number}"):
        if step.picture is None:
            _words(step, number=number, alone=alone)
            return
        left, right = st.columns([1, 1] if alone else [3, 2], gap="large")
        with left:
            picture = step.picture
            st.image(picture.content, caption=plain(picture.caption), width="stretch", alt=picture.caption)
            if picture.legend and not alone:
                st.html(legend_list(picture))
        with right:
            _words(step, number=number, alone=alone)
            if picture.legend and alone:  # below the picture it would be off the screen
                st.html(legend_list(picture))


def _words(step: StoryStep, *, number: int, alone: bool) -> None:
    if not alone:
        st.caption(t("story.step", number=number))
        st.header(plain(step.title), anchor=f"step-{number}")
    st.markdown("\n\n".join(plain(sentence) for sentence in step.sentences))
    if step.rows:
        st.html(story_table(step))
    if step.after:
        st.markdown("\n\n".join(plain(sentence) for sentence in step.after))
