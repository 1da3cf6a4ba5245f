"""Go through places drawn by chance, one at a time, without seeing what the map says there."""

from __future__ import annotations

import streamlit as st

from pages.parts.one_cluster import DIGITS
from pages.parts.sign_in import may_write, who
from s2dash.check_points import (
    MOST,
    SampleDesign,
    draw_check_points,
    judged_edit,
    judgements,
    sample_designs,
    sample_edit,
)
from s2dash.dashboard import state
from s2dash.dashboard.correction_texts import code_name, place_text
from s2dash.dashboard.language import t
from s2dash.dashboard.pictures import Composite
from s2dash.dashboard.place_pictures import place_picture
from s2dash.dashboard.texts import number, plain
from s2dash.dashboard.view import ClusterView, SceneView
from s2dash.pipeline import RunResult
from s2dash.reference_points import ReferencePoint

USUAL = 60
NEAR, WIDE = 1000.0, 5000.0
"""How much ground the pictures show each way, metres."""
IN_A_ROW = 3


def draw(run: str) -> None:
    """Draw a sample of the map as it is now."""
    now = st.session_state
    with state.said(later=True):
        result = state.server().open_run(run)
        design = draw_check_points(result.landcover, int(now[f"check total {run}"]), int(now[f"check seed {run}"]))
        state.workspace().change_map(run, sample_edit(design, who=who()))
        now.pop(f"check skipped {run}", None)
        now.pop(f"check at {run}", None)
        st.toast(t("points.drawn", count=len(design.points)), icon=":material/casino:")


def judge(run: str, design: SampleDesign, place: int, code: int) -> None:
    """Keep what a person says is at a place, and go on."""
    with state.said(later=True):
        scheme = state.server().open_run(run).legend.scheme
        state.workspace().change_map(run, judged_edit(design, place, code, scheme=scheme, who=who()))
        st.session_state.pop(f"check at {run}", None)


def skip(run: str, place: int) -> None:
    """Leave a place for later."""
    st.session_state.setdefault(f"check skipped {run}", []).append(place)
    st.session_state.pop(f"check at {run}", None)


def back(run: str, place: int) -> None:
    """Look at the place again that was judged last."""
    st.session_state[f"check at {run}"] = place


def check_places(result: RunResult, view: ClusterView, run: str) -> None:
    """Draw check points, and judge them."""
    st.caption(t("points.check_about"))
    designs = sample_designs(result.map_edits)
    if not designs:
        draw_box(run)
        return
    design = designs[-1]
    said = judgements(design, result.map_edits)
    done = sum(point is not None for point in said)
    total = len(said)
    st.progress(done / total, text=t("points.progress", done=done, total=total))
    place = next_place(run, said)
    if place is None:
        st.success(t("points.all_done", total=total), icon=":material/check_circle:")
    elif view.scene is None:
        st.warning(t("points.no_scene"), icon=":material/image_not_supported:")
    else:
        with state.said():
            look(view.scene, design, place)
        answer(result, run, design, place, said)
    with st.expander(t("points.new_sample"), icon=":material/casino:"):
        st.caption(t("points.new_sample_help"))
        draw_box(run)


def draw_box(run: str) -> None:
    """How many places, and the button that draws them."""
    total, seed, button = st.columns([1, 1, 1], vertical_alignment="bottom")
    total.number_input(t("points.total"), 2, MOST, USUAL, step=10, key=f"check total {run}")
    seed.number_input(t("points.seed"), 0, 2**32 - 1, 0, key=f"check seed {run}")
    button.button(
        t("points.draw"),
        key=f"draw check points {run}",
        icon=":material/casino:",
        disabled=not may_write(),
        on_click=draw,
        args=(run,),
        width="stretch",
    )


def next_place(run: str, said: tuple[ReferencePoint | None, ...]) -> int | None:
    """The place to look at: one a person went back to, else the first that nobody judged or skipped."""
    now = st.session_state
    again: int | None = now.get(f"check at {run}")
    if again is not None and again < len(said):
        return again
    left = [place for place, point in enumerate(said) if point is None]
    skipped = set(now.get(f"check skipped {run}", ()))
    fresh = [place for place in left if place not in skipped]
    if left and not fresh:
        now[f"check skipped {run}"] = []
        st.caption(t("points.only_skipped"))
        fresh = left
    return fresh[0] if fresh else None


def look(scene: SceneView, design: SampleDesign, place: int) -> None:
    """The place from near, in true and false colour, and its surroundings."""
    at = design.points[place]
    heading = t("points.look", number=place + 1, place=place_text(at.longitude, at.latitude))
    st.markdown(f"**{plain(heading)}**")
    shown: list[tuple[Composite, float, float]] = [(kind, NEAR, 0.0) for kind in scene.composites]
    shown.append((scene.composites[0], WIDE, NEAR))
    for column, (kind, side, frame) in zip(st.columns(len(shown)), shown, strict=True):
        picture = state.kept(
            f"place {at.longitude} {at.latitude} {kind} {side}",
            lambda kind=kind, side=side, frame=frame: place_picture(  # type: ignore[misc]
                scene, longitude=at.longitude, latitude=at.latitude, kind=kind, side_m=side, frame_m=frame
            ),
        )
        ground = (
            t("points.metres", side=number(side)) if side < WIDE else t("points.kilometres", side=number(side / 1000))
        )
        words = {"true colour": "true_colour", "false colour": "false_colour", "grey": "grey"}[kind]
        caption = t("points.near" if side < WIDE else "points.wider", side=ground, kind=t(f"points.{words}"))
        column.image(picture, caption=plain(caption), width="stretch")


def answer(
    result: RunResult, run: str, design: SampleDesign, place: int, said: tuple[ReferencePoint | None, ...]
) -> None:
    """One button and key a class; the map's own answer is not shown, not even by their order."""
    st.markdown(f"**{t('points.which')}**")
    codes, shut = result.legend.scheme.codes, not may_write()
    earlier = said[place]  # of who looks again
    for start in range(0, len(codes), IN_A_ROW):
        row = list(enumerate(codes))[start : start + IN_A_ROW]
        for column, (digit, code) in zip(st.columns(IN_A_ROW), row, strict=False):
            column.button(
                plain(code_name(result, code)),
                key=f"judge {run} {design.seq} {place} {code}",
                type="primary" if earlier is not None and earlier.code == code else "secondary",
                shortcut=DIGITS[digit] if digit < len(DIGITS) else None,
                disabled=shut,
                on_click=judge,
                args=(run, design, place, code),
                width="stretch",
            )
    judged = [(point.seq, at) for at, point in enumerate(said) if point is not None and at != place]
    with st.container(horizontal=True):
        st.button(
            t("points.skip"),
            key=f"skip {run} {design.seq} {place}",
            icon=":material/skip_next:",
            on_click=skip,
            args=(run, place),
        )
        st.button(
            t("points.back"),
            key=f"back {run} {design.seq} {place}",
            icon=":material/arrow_back:",
            disabled=not judged,
            on_click=back,
            args=(run, max(judged)[1] if judged else 0),
        )
