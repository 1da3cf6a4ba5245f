"""A cluster picked out of a picture: what is veiled, what is outlined, and what is left as it is."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy.ndimage import binary_dilation, generate_binary_structure

from s2dash.colours import HIGHLIGHT_COLOUR, rgb_of
from s2dash.dashboard.highlights import DIM, highlight_overlay, highlight_overlays

LABELS = arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 3))


@given(LABELS, st.integers(1, 3))
def test_the_cluster_is_left_as_it_is_and_all_else_is_veiled_or_outlined(labels, cluster):
    rgba = np.asarray(Image.open(io.BytesIO(highlight_overlay(labels, cluster))).convert("RGBA"))
    inside = labels == cluster
    touching = binary_dilation(inside, generate_binary_structure(2, 1)) & ~inside
    assert rgba.shape[:2] == labels.shape
    assert (rgba[inside, 3] == 0).all()
    assert (rgba[labels == 0, 3] == 0).all()
    outline = touching & (labels > 0)
    assert (rgba[outline] == (*rgb_of(HIGHLIGHT_COLOUR), 255)).all()
    assert (rgba[~inside & ~outline & (labels > 0), 3] == DIM).all()


def test_every_cluster_asked_for_gets_its_own():
    labels = np.array([[1, 2], [3, 1]], dtype=np.uint8)
    made = highlight_overlays(labels, [1, 3])
    assert made == {1: highlight_overlay(labels, 1), 3: highlight_overlay(labels, 3)}
