"""What the values of a reference mean: listed, changed, and taken along as a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import streamlit as st

from s2dash.dashboard import state
from s2dash.dashboard.language import language, t
from s2dash.dashboard.reference_mapping import (
    CLASS,
    COUNT,
    OWN_CODES,
    VALUE,
    any_class,
    class_choices,
    found_key,
    mapping_json,
    mapping_rows,
    start_map,
    with_mapping,
)
from s2dash.errors import ReferenceMapError
from s2dash.pipeline import ReferenceSettings
from s2dash.reference_values import FoundValues, reference_values
from s2dash.reference_vector import class_field, is_vector, vector_fields


def edited_mapping(settings: ReferenceSettings) -> ReferenceSettings | None:
    """The settings with the field and the classes that a person chose; None where there is nothing to compare.

    A file that cannot be read is said in words here and leaves the settings as they are.
    """
    with state.said():
        if is_vector(settings.path):
            settings = replace(settings, field=chosen_field(settings.path))
            if not settings.field:
                return None
        grid = state.result().landcover.grid
        with st.spinner(t("agreement.values_reading")):
            found = state.kept(
                found_key(settings.path, settings.field),
                lambda: reference_values(settings.path, grid=grid, field=settings.field),
            )
        settings = table(settings, found)
        st.download_button(
            t("agreement.map_save"),
            mapping_json(settings, found),
            f"{Path(settings.path).stem}-classes.json",
            "application/json",
            icon=":material/download:",
            help=t("agreement.map_save_help"),
            on_click="ignore",
            key="ref_map_save",
        )
        if not any_class(settings, found):
            st.warning(t("agreement.values_none"), icon=":material/help:")
            return None
    return None if settings.scheme == OWN_CODES and not (settings.codes or settings.names) else settings


def chosen_field(path: str) -> str:
    """Which attribute of the polygons says the class; empty before anyone knows."""
    fields = vector_fields(Path(path))
    try:
        likely = fields.index(class_field(Path(path)))
    except ReferenceMapError:
        likely = None
    chosen = st.selectbox(
        t("agreement.field"),
        fields,
        index=likely,
        key=f"ref_field {path}",
        placeholder=t("agreement.field_choose"),
        help=t("agreement.field_help"),
    )
    return chosen or ""


def table(settings: ReferenceSettings, found: FoundValues) -> ReferenceSettings:
    """The values under the scene with their classes, to be changed."""
    start = start_map(settings)
    counted = t("agreement.value_pixels") if found.unit == "pixels" else t("agreement.value_polygons")
    edited = st.data_editor(
        mapping_rows(found, start),
        # Another file, field, scheme or language begins anew: its rows, or the names of the classes, are others.
        key=f"ref_table {found_key(settings.path, settings.field)} {hash(mapping_json(settings))} {language()}",
        hide_index=True,
        width="stretch",
        disabled=[VALUE, COUNT],
        column_config={
            VALUE: st.column_config.TextColumn(t("agreement.value")),
            COUNT: st.column_config.NumberColumn(counted, format="localized"),
            CLASS: st.column_config.SelectboxColumn(
                t("agreement.class"), options=list(class_choices()), required=True, help=t("agreement.value_help")
            ),
        },
    )
    if found.share < 1.0:
        st.caption(t("agreement.values_sampled", share=f"{100 * found.share:.0f}"))
    if found.unlisted:
        st.caption(t("agreement.values_unlisted", count=found.unlisted))
    return with_mapping(settings, found, [row[CLASS] for row in edited], start)
