"""Aliases for the arrays that go from room to room."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
"""Reflectance, features, shares: any float, shape said where it is used."""
NumberArray = NDArray[Any]
"""Digital numbers as a file holds them."""
LabelArray = NDArray[np.uint8]
"""Cluster numbers or class codes, 0 = no data."""
BoolArray = NDArray[np.bool_]
"""A mask; True says valid unless said otherwise."""
