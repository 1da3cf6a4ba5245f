"""One cluster in detail: its spectrum among the others, what models are shown of it, and what came back."""

from __future__ import annotations

import streamlit as st

from s2dash.annotation.exhibit import Exhibit
from s2dash.annotation.legend import LegendEntry
from s2dash.annotation.reading import shown
from s2dash.dashboard import state
from s2dash.dashboard.figures import spectrum_figure
from s2dash.dashboard.labels import class_name, who
from s2dash.dashboard.texts import plain
from s2dash.dashboard.view import ClusterView
from s2dash.dashboard.vote_tables import reply_facts
from s2dash.pipeline import RunResult


def closer_look(result: RunResult, view: ClusterView, cluster: int, run: str) -> None:
    """Drawn only where a person asks for it."""
    spectrum(result, view, cluster)
    with state.said():
        with st.spinner("Drawing the clusters …"):
            exhibit = state.workspace().exhibits(run)[cluster]
        st.markdown("**What models are shown**")
        show_pictures(exhibit)
        if exhibit.words:
            with st.popover("Figures they are told", icon=":material/notes:"):
                st.code(exhibit.words, language=None, wrap_lines=True)


def show_pictures(exhibit: Exhibit) -> None:
    """What a model is shown of a cluster, three in a row."""
    for start in range(0, len(exhibit.pictures), 3):
        for column, picture in zip(st.columns(3), exhibit.pictures[start : start + 3], strict=False):
            column.image(picture.png, caption=plain(picture.caption), width="stretch")


def spectrum(result: RunResult, view: ClusterView, cluster: int) -> None:
    """Its spectrum, beside those of the other clusters."""
    names = {
        entry.cluster: f"{entry.cluster} · {class_name(result, entry.code)}" for entry in result.legend.entries.values()
    }
    means = {number: card.mean or card.median for number, card in result.cards.items()}
    spread = {number: card.spread for number, card in result.cards.items()}
    figure = state.kept(
        f"spectrum of {cluster}",
        lambda: spectrum_figure(means, spread=spread, names=names, colours=view.colours, highlight=cluster),
    )
    st.plotly_chart(figure, key=f"spectrum {cluster}")


def replies(entry: LegendEntry, run: str) -> None:
    """What came back word for word, as data; also a first reply that was asked for again."""
    models = [answer for answer in entry.answers if answer.raw]
    if models:
        kept = state.kept("replies", lambda: state.workspace().store.replies(run))
        with st.popover("Replies", icon=":material/data_object:", width="stretch"):
            for answer in models:
                st.markdown(f"**{plain(who(answer))}**")
                st.caption(plain(reply_facts(answer)))
                first = [
                    one.reply.text
                    for one in kept
                    if (one.cluster, one.annotator, one.key.prompt) == (entry.cluster, answer.annotator, answer.prompt)
                    and one.reply.text != answer.raw
                ]
                for text in [*first, answer.raw]:
                    st.code(shown(text, 4000), language=None, wrap_lines=True)
