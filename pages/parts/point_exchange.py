"""Reference points brought from a file, and taken away as one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from pages.parts.sign_in import may_write, who
from s2dash.dashboard import state
from s2dash.dashboard.language import t
from s2dash.dashboard.texts import plain
from s2dash.map_history import corrections
from s2dash.pipeline import RunResult
from s2dash.point_files import FORMATS, POINTS_FILE, points_csv, points_geojson, points_geopackage, read_points
from s2dash.reference_points import file_edit, reference_points


def point_files(result: RunResult, run: str) -> None:
    """Points to take away, and to bring."""
    scheme = result.legend.scheme
    points = reference_points(result.map_edits)
    stem = POINTS_FILE.removesuffix(".geojson")
    with st.expander(t("points.files"), icon=":material/download:"):
        if points:
            st.caption(t("points.download", count=len(points)))
            made: dict[str, tuple[str, Callable[..., str | bytes], str]] = {
                "geojson": ("GeoJSON", points_geojson, "application/geo+json"),
                "csv": ("CSV", points_csv, "text/csv"),
                "gpkg": ("GeoPackage", points_geopackage, "application/geopackage+sqlite3"),
            }
            with st.container(horizontal=True):
                for ending, (kind, write, mime) in made.items():  # written only when somebody wants it
                    content = partial(write, points, scheme)
                    key = f"points {ending} {run}"
                    st.download_button(kind, content, f"{stem}.{ending}", mime, key=key, on_click="ignore")
        else:
            st.caption(t("points.nothing_to_download"))
        # A new box after every change: what was added is not offered again.
        key = f"points file {run} {len(corrections(result.map_edits))}"
        shut = not may_write()
        file = st.file_uploader(
            t("points.upload"), type=list(FORMATS), key=key, help=t("points.upload_help"), disabled=shut
        )
        if file is not None:
            st.button(
                t("points.add"), key=f"add {key}", type="primary", disabled=shut, on_click=add_points, args=(run, key)
            )


def add_points(run: str, key: str) -> None:
    """Add the points of the file that was chosen."""
    file = st.session_state.get(key)
    if file is None:
        return
    with state.said(later=True):
        result = state.server().open_run(run)
        scheme = result.legend.scheme
        points = read_points(file.getvalue(), file.name, scheme=scheme)
        edit, left = file_edit(points, file=file.name, grid=result.clusters.grid, scheme=scheme, who=who())
        state.workspace().change_map(run, edit)
        said = t("points.added", count=len(points) - left, file=plain(file.name))
        st.toast(f"{said} {t('points.left_out', count=left)}" if left else said, icon=":material/check_circle:")
