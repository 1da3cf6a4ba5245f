"""What is known of the place a person clicked: its spectrum, its cluster, the votes, the label and the reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.parts.split import split
from s2dash.dashboard import state
from s2dash.dashboard.language import t
from s2dash.dashboard.probe_views import pixel_figure, probe_facts, probe_place
from s2dash.dashboard.texts import plain
from s2dash.dashboard.view import SceneView
from s2dash.errors import S2DashError
from s2dash.pipeline import RunResult
from s2dash.probe import probe

CLICKED = "last_clicked"
"""What `state.show_map` has to return for this panel."""


def probe_panel(clicked: Mapping[str, Any] | None, result: RunResult | None, scene_view: SceneView | None) -> None:
    """The panel.

    Args:
        clicked: `state.show_map(…, returned=("last_clicked",)).get("last_clicked")`: latitude `lat` and longitude
            `lng`, degrees; None before the first click.
        result: The run that is shown, if there is one.
        scene_view: Its scene, or one without a run; None where it has gone.
    """
    if not clicked:
        st.caption(t("probe.click"))
        return
    latitude, longitude = float(clicked["lat"]), float(clicked["lng"])
    scene = scene_view.scene if scene_view is not None else None
    try:
        found = probe(result, scene, latitude, longitude)
    except S2DashError as error:
        state.say_error(t("probe.unreadable", error=error))
        return
    if found is None:
        st.caption(t("probe.outside"))
        return
    with st.container(border=True):
        facts, chart = split("probe", [2, 3])
        with facts:
            st.markdown(f"**{t('probe.title')}**")
            st.caption(plain(probe_place(found)))
            lines = probe_facts(found, result)
            st.markdown("  \n".join(f"**{plain(name)}** {plain(said)}" for name, said in lines))
        with chart:
            if found.spectrum:
                st.plotly_chart(pixel_figure(found), key="pixel spectrum", config={"displayModeBar": False})
            else:
                st.caption(t("probe.no_scene" if scene is None else "probe.no_data"))
