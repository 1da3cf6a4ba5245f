"""Labels: what each cluster is called, by whom and why, and what a person says to that."""

from __future__ import annotations

import streamlit as st

from s2dash.annotation.legend import LegendEntry
from s2dash.dashboard import state
from s2dash.dashboard.texts import plain
from s2dash.dashboard.view import ClusterView, class_legend, landcover_layer
from s2dash.errors import LegendError
from s2dash.pipeline import RunResult
from s2dash.workspace import person

DECIDED = {
    "vote": "decided by the vote",
    "confidence": "tied, decided by confidence",
    "person": "decided by a person",
    "nobody": "waits for a person",
}


def class_name(result: RunResult, code: int | None) -> str:
    """Name of a class, or that there is none."""
    return "unknown" if code is None else result.legend.scheme[code].name


def toolbar(result: RunResult, run: str) -> str:
    """Undo, redo, what to show; returns the choice."""
    legend, space = result.legend, state.workspace()
    total, waiting = len(legend.entries), len(legend.queue)
    st.progress((total - waiting) / max(total, 1), text=f"{total - waiting} of {total} clusters have a class")
    show, name, undo, redo = st.columns([4, 2, 1, 1], vertical_alignment="bottom")
    name.text_input("Your name, for the history", key="who", persist_state="session", placeholder=person())
    choices = ["All", "Waiting for a person", "Changed by a person"]
    picked = show.segmented_control("Show", choices, default="All", key="labels_show", persist_state="session")
    if undo.button("Undo", icon=":material/undo:", disabled=not legend.can_undo, width="stretch", shortcut="Ctrl+Z"):
        space.undo(run, who=st.session_state.get("who", ""))
        st.rerun()
    if redo.button("Redo", icon=":material/redo:", disabled=not legend.can_redo, width="stretch", shortcut="Ctrl+Y"):
        space.redo(run, who=st.session_state.get("who", ""))
        st.rerun()
    return picked or "All"


def answers(result: RunResult, entry: LegendEntry) -> None:
    """What every annotator said."""
    for answer in entry.answers:
        word = class_name(result, answer.code)
        st.progress(answer.confidence, text=f"**{answer.annotator}**: {word} ({answer.confidence:.0%})")
        for reason in answer.evidence:
            st.caption(plain(reason))
        if answer.second is not None:
            st.caption(f"Second choice: {class_name(result, answer.second)}")
    if not entry.answers:
        st.caption("Nobody answered for this cluster.")


def override_box(result: RunResult, entry: LegendEntry, run: str) -> None:
    """Where a person decides; stored the moment it happens."""
    codes: list[int | None] = [*result.legend.scheme.codes, None]
    version = len(result.legend.events)
    chosen = st.selectbox(
        "Class",
        codes,
        index=codes.index(entry.code),
        format_func=lambda code: class_name(result, code),
        key=f"class {run} {entry.cluster} {version}",
    )
    why = st.text_input("Why (optional)", key=f"why {run} {entry.cluster}", placeholder="e.g. visited in June")
    label = "Accept" if chosen == entry.code else "Set class"
    if st.button(label, key=f"set {run} {entry.cluster}", icon=":material/check:", width="stretch"):
        try:
            state.workspace().override(run, entry.cluster, chosen, who=st.session_state.get("who", ""), why=why)
        except LegendError as error:
            state.say_error(error)
        else:
            st.rerun()


def cluster_card(result: RunResult, view: ClusterView, entry: LegendEntry, run: str) -> None:
    """One cluster: picture, answers, decision."""
    card = result.cards[entry.cluster]
    with st.container(border=True):
        picture, said, decide = st.columns([3, 4, 3], gap="medium")
        picture.image(view.highlight(entry.cluster), width="stretch")
        with said:
            st.markdown(f"#### {entry.cluster} · {class_name(result, entry.code)}")
            st.caption(f"{card.area_ha:,.1f} ha, {card.share:.1%} of the map · {DECIDED[entry.decided_by]}")
            answers(result, entry)
            if entry.override is not None:
                event = entry.override
                reason = f": {event.why}" if event.why else ""
                st.caption(plain(f"Set by {event.who} on {event.when:%d %b %Y, %H:%M} UTC{reason}"))
        with decide:
            override_box(result, entry, run)


def history(result: RunResult) -> None:
    """Every decision, newest first."""
    with st.expander(f"History ({len(result.legend.events)})", icon=":material/history:"):
        rows = [
            {
                "when": event.when,
                "who": event.who,
                "what": event.kind,
                "cluster": event.cluster,
                "from": class_name(result, event.before),
                "to": class_name(result, event.after),
                "why": event.why,
            }
            for event in result.legend.history
        ]
        if rows:
            st.dataframe(rows, hide_index=True, width="stretch")
        else:
            st.caption("Nobody has changed anything yet.")


st.title("Labels")
result, run = state.result(), state.run_id() or ""
view = state.run_view()
if result.scene["kind"] == "simulated":
    st.warning("This scene is **simulated**: it shows no real place.", icon=":material/science:")
show = toolbar(result, run)
history(result)
with st.expander("The land-cover map as it stands", icon=":material/map:"):
    version = len(result.legend.events)
    named = state.kept_layer("landcover", run, version, lambda: landcover_layer(result.landcover))
    layers = [*([view.scene.layer("true colour")] if view.scene else []), named]
    legend = class_legend(result.legend.scheme, result.landcover.codes)
    state.show_map(layers, key=f"labels {run}", legend=legend, legend_title="Land cover")
for entry in result.legend.entries.values():
    if show == "Waiting for a person" and entry.code is not None:
        continue
    if show == "Changed by a person" and entry.override is None:
        continue
    cluster_card(result, view, entry, run)
