"""Random numbers that depend on a place and a key only, so that every window sees the same ones.

The integer mixer is lowbias32 by C. Wellons ("Prospecting for Hash Functions", 2018).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2dash.types import FloatArray

HashArray = NDArray[np.uint32]
"""32 well-mixed bits an element."""


def mix(bits: NDArray[Any]) -> HashArray:
    """Scramble the bits of every element (at least one dimension), uint32 → uint32."""
    mixed = bits.astype(np.uint32)
    mixed ^= mixed >> np.uint32(16)
    mixed *= np.uint32(0x7FEB352D)
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(0x846CA68B)
    mixed ^= mixed >> np.uint32(16)
    return mixed


def stream_key(*parts: int) -> int:
    """One 32-bit key out of several integers of any sign."""
    key = 0x9E3779B9
    for part in parts:
        key ^= (part & 0xFFFFFFFF) + ((part >> 32) & 0xFFFF)
        key &= 0xFFFFFFFF
        key ^= key >> 16
        key = key * 0x7FEB352D & 0xFFFFFFFF
        key ^= key >> 15
        key = key * 0x846CA68B & 0xFFFFFFFF
        key ^= key >> 16
    return key


def lattice(rows: NDArray[np.int64], cols: NDArray[np.int64], *, key: int) -> HashArray:
    """Bits for every point of an integer lattice.

    Args:
        rows: Shape (y,), any integers.
        cols: Shape (x,), any integers.
        key: Which of many independent fields.

    Returns:
        Shape (y, x).
    """
    row_bits = mix(rows.astype(np.uint32) * np.uint32(0x9E3779B1) ^ np.uint32(key))
    return mix(row_bits[:, None] ^ (cols.astype(np.uint32) * np.uint32(0x85EBCA77))[None, :])


def combine(bits: HashArray, salt: int | NDArray[Any]) -> HashArray:
    """Independent bits from other bits and a salt (an integer or an array of them)."""
    other = np.uint32(stream_key(salt)) if isinstance(salt, int) else salt.astype(np.uint32) * np.uint32(0x9E3779B1)
    return mix(bits ^ other)


def uniform(bits: HashArray) -> FloatArray:
    """Uniform numbers in [0, 1), float32."""
    return (bits >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)


def four_uniform(bits: HashArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Four independent uniform numbers out of each 32 bits, float32, in steps of 1/256 between 0 and 1."""
    low, step = np.uint32(0xFF), np.float32(1 / 256)
    first, second, third, fourth = (
        (((bits >> np.uint32(shift)) & low).astype(np.float32) + np.float32(0.5)) * step for shift in (0, 8, 16, 24)
    )
    return first, second, third, fourth


def gaussian(bits: HashArray) -> FloatArray:
    """Nearly normal numbers of mean 0 and standard deviation 1 (sum of the four bytes), float32, within ±3.5."""
    total = bits & np.uint32(0xFF)
    total += (bits >> np.uint32(8)) & np.uint32(0xFF)
    total += (bits >> np.uint32(16)) & np.uint32(0xFF)
    total += bits >> np.uint32(24)
    return (total.astype(np.float32) - np.float32(510.0)) * np.float32(1 / 147.8)
