"""One cluster in detail: its spectrum among the others, what models are shown of it, and what came back."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from s2dash.annotation.exhibit import Exhibit
from s2dash.annotation.legend import LegendEntry
from s2dash.annotation.reading import shown
from s2dash.dashboard import state
from s2dash.dashboard.figures import spectrum_figure
from s2dash.dashboard.labels import class_name, who
from s2dash.dashboard.language import language, t
from s2dash.dashboard.texts import plain
from s2dash.dashboard.view import ClusterView
from s2dash.dashboard.vote_tables import reply_facts
from s2dash.pipeline import RunResult
from s2dash.store.replies import ReplyRecord


def closer_look(result: RunResult, view: ClusterView, cluster: int, run: str) -> None:
    """Drawn only where a person asks for it."""
    spectrum(result, view, cluster)
    st.markdown(f"**{t('labels.models_see')}**")
    models_view(run, cluster)


def models_view(run: str, cluster: int, *, side_by_side: int = 3) -> None:
    """A cluster as models are shown it, and what they are told of it."""
    with state.said():
        with st.spinner(t("asking.drawing")):
            exhibit = state.workspace().exhibits(run)[cluster]
        show_pictures(exhibit, side_by_side=side_by_side)
        if exhibit.words:
            with st.popover(t("labels.figures"), icon=":material/notes:"):
                st.code(exhibit.words, language=None, wrap_lines=True)


def show_pictures(exhibit: Exhibit, *, side_by_side: int = 3) -> None:
    """What a model is shown of a cluster, so many in a row."""
    for start in range(0, len(exhibit.pictures), side_by_side):
        pictures = exhibit.pictures[start : start + side_by_side]
        for column, picture in zip(st.columns(side_by_side), pictures, strict=False):
            column.image(picture.png, caption=plain(picture.caption), width="stretch")


def spectrum(result: RunResult, view: ClusterView, cluster: int) -> None:
    """Its spectrum, beside those of the other clusters."""
    names = {
        entry.cluster: f"{entry.cluster} · {class_name(result, entry.code)}" for entry in result.legend.entries.values()
    }
    means = {number: card.mean or card.median for number, card in result.cards.items()}
    spread = {number: card.spread for number, card in result.cards.items()}
    figure = state.kept(
        f"spectrum of {cluster} {language()}",
        lambda: spectrum_figure(means, spread=spread, names=names, colours=view.colours, highlight=cluster),
    )
    st.plotly_chart(figure, key=f"spectrum {cluster}")


def kept_replies(run: str) -> Sequence[ReplyRecord]:
    """Everything models wrote about the run; ask once for all its clusters."""
    return state.kept("replies", lambda: state.workspace().store.replies(run))


def replies(entry: LegendEntry, kept: Sequence[ReplyRecord]) -> None:
    """What came back word for word, as data; also a first reply that was asked for again."""
    models = [answer for answer in entry.answers if answer.raw]
    if models:
        with st.popover(t("asking.replies"), icon=":material/data_object:", width="stretch"):
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
