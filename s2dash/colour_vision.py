"""How colours look to people who lack one kind of cone, and how far apart they then are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np

from s2dash.types import FloatArray, NumberArray

Vision = Literal["full", "protanopia", "deuteranopia", "tritanopia"]
"""Kinds of colour vision: all three kinds of cones, or those for long, medium or short waves lacking."""
VISIONS: tuple[Vision, ...] = get_args(Vision)

_MATRICES: Mapping[str, tuple[tuple[float, float, float], ...]] = MappingProxyType(
    {
        "full": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        "protanopia": (
            (0.152286, 1.052583, -0.204868),
            (0.114503, 0.786281, 0.099216),
            (-0.003882, -0.048116, 1.051998),
        ),
        "deuteranopia": (
            (0.367322, 0.860646, -0.227968),
            (0.280085, 0.672501, 0.047413),
            (-0.011820, 0.042940, 0.968881),
        ),
        "tritanopia": (
            (1.255528, -0.076749, -0.178779),
            (-0.078411, 0.930809, 0.147602),
            (0.004733, 0.691367, 0.303900),
        ),
    }
)


def linear_rgb(rgb: NumberArray) -> FloatArray:
    """Light of colours.

    Args:
        rgb: sRGB, shape (…, 3), 0-255.

    Returns:
        Linear RGB, same shape, 0-1; IEC 61966-2-1.
    """
    share = np.asarray(rgb, dtype=np.float64) / 255.0
    linear: FloatArray = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return linear


def seen(rgb: NumberArray, vision: Vision) -> FloatArray:
    """Colours as somebody sees them.

    Args:
        rgb: sRGB, shape (…, 3), 0-255.
        vision: The kind of colour vision.

    Returns:
        sRGB, same shape, 0-255, not rounded. The matrices are those of G. M. Machado, M. M. Oliveira, L. A. F.
        Fernandes, "A physiologically-based model for simulation of color vision deficiency", IEEE TVCG 15(6), 2009,
        for severity 1.0, applied to linear RGB; for the cones of short waves the authors call theirs approximate.
    """
    linear = np.clip(linear_rgb(rgb) @ np.array(_MATRICES[vision]).T, 0.0, 1.0)
    encoded: FloatArray = 255.0 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return encoded


def difference(one: str, other: str, vision: Vision = "full") -> float:
    """How different two colours look: CIEDE2000; 1 is hardly noticed, 100 is black against white.

    Args:
        one: `#RRGGBB`.
        other: `#RRGGBB`.
        vision: Who looks.
    """
    from skimage.color import deltaE_ciede2000, rgb2lab

    lab = rgb2lab(seen(np.array([_bytes(one), _bytes(other)]), vision) / 255.0)
    return float(deltaE_ciede2000(lab[0], lab[1]))  # type: ignore[no-untyped-call]


def least_difference(colours: Sequence[str], vision: Vision = "full") -> tuple[float, str, str]:
    """The two colours that are hardest to tell apart.

    Args:
        colours: At least two, `#RRGGBB`.
        vision: Who looks.

    Returns:
        CIEDE2000 difference, and the two.
    """
    return min((difference(one, other, vision), one, other) for one, other in combinations(colours, 2))


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours as WCAG 2.2 defines it: 1 for equal ones to 21 for black on white."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    light, dark = sorted(
        (float(linear_rgb(np.array(_bytes(colour))) @ weights) for colour in (one, other)), reverse=True
    )
    return (light + 0.05) / (dark + 0.05)


def _bytes(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
