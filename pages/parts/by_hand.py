"""Asking any model by hand: the question of one cluster to take away, and a place to paste the answer."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import streamlit as st

from pages.parts.closer_look import show_pictures
from pages.parts.sign_in import may_write, who
from s2dash.annotation.card_style import DEFAULT_STYLE, load_card_styles
from s2dash.annotation.question_text import question_text
from s2dash.dashboard import state
from s2dash.dashboard.labels import class_name
from s2dash.dashboard.language import t
from s2dash.dashboard.texts import plain
from s2dash.pipeline import RunResult

KEEP: dict[str, Any] = {"persist_state": "session"}


def take(run: str, cluster: int, style: str) -> None:
    """Take a pasted answer in, before anything is drawn anew."""
    now = st.session_state
    with state.said(later=True):
        who()  # refuses those who may not write
        answer = state.workspace().paste(
            run, cluster, now[f"pasted {cluster}"], name=now.get("asked_by_hand") or t("asking.by_hand"), style=style
        )
        now[f"pasted {cluster}"] = ""
        now["took"] = (cluster, answer.code)


def by_hand(result: RunResult, run: str) -> None:
    """The panel."""
    st.caption(t("asking.hand"))
    left, right = st.columns(2)
    cluster = left.selectbox(t("asking.cluster"), list(result.cards), key="hand_cluster")
    styles = load_card_styles()
    state.seed("hand_style", DEFAULT_STYLE, options=list(styles))
    titles = {name: style.title for name, style in styles.items()}
    style = right.selectbox(
        t("asking.it_is_shown"), list(titles), format_func=titles.__getitem__, key="hand_style", **KEEP
    )
    if st.toggle(t("asking.draw"), key="hand_draw", help=t("asking.draw_help")):
        with state.said():
            question_box(run, cluster, style)
    st.text_input(t("asking.which_model"), key="asked_by_hand", placeholder=t("asking.which_example"), **KEEP)
    st.text_area(t("asking.its_answer"), key=f"pasted {cluster}", placeholder='{"land_cover": …}', height=120)
    filled = bool(st.session_state.get(f"pasted {cluster}", "").strip())
    wide: dict[str, Any] = {"width": "stretch", "on_click": take, "args": (run, cluster, style)}
    st.button(t("asking.take"), icon=":material/download:", disabled=not (filled and may_write()), **wide)
    if (took := st.session_state.pop("took", None)) is not None:
        said = t("asking.took", cluster=took[0], name=plain(class_name(result, took[1])))
        st.success(said, icon=":material/check:")


def question_box(run: str, cluster: int, style: str) -> None:
    """The question as any model would get it."""
    with st.spinner(t("asking.drawing")):
        question = state.workspace().question(run, cluster, style=style)
    asked = question_text(question)
    st.download_button(
        t("asking.question_zip"),
        zipped(question, asked),
        file_name=f"cluster-{cluster}-{style}.zip",
        mime="application/zip",
        icon=":material/folder_zip:",
        width="stretch",
    )
    if question.exhibit is not None:
        show_pictures(question.exhibit)
    st.code(f"{asked.system}\n\n{asked.text}", language=None, wrap_lines=True, height=320)


def zipped(question: Any, asked: Any) -> bytes:
    """Pictures and text of a question in one file; the same question gives the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, picture in enumerate(question.exhibit.pictures, start=1):
            archive.writestr(zipfile.ZipInfo(f"{number}-{picture.key}.png"), picture.png)
        archive.writestr(zipfile.ZipInfo("question.txt"), f"{asked.system}\n\n{asked.text}\n")
    return out.getvalue()
