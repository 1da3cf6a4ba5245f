"""Writers of small scenes: stacks, folders and products as the archives lay them out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio import Affine

TEN = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")


def write_raster(
    path: Path, array: np.ndarray, *, names: Sequence[str] | None = None, pixel: float = 10, **more: Any
) -> Path:
    """Write (band, y, x) with its upper left corner at 600000, 5000000 in UTM 33N, unless told otherwise."""
    array = array if array.ndim == 3 else array[None]
    tags = more.pop("tags", {})
    scales, offsets = more.pop("scales", None), more.pop("offsets", None)
    profile = {
        "driver": "JP2OpenJPEG" if path.suffix == ".jp2" else "GTiff",
        "count": array.shape[0],
        "height": array.shape[1],
        "width": array.shape[2],
        "dtype": array.dtype.name,
        "crs": "EPSG:32633",
        "transform": Affine(pixel, 0, 600000, 0, -pixel, 5000000),
    } | more  # fmt: skip
    if path.suffix == ".jp2":
        profile |= {"QUALITY": 100, "REVERSIBLE": "YES"}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(array)
        for index, name in enumerate(names or (), start=1):
            if name:
                dataset.set_band_description(index, name)
        if tags:
            dataset.update_tags(**tags)
        if scales:
            dataset.scales = scales
        if offsets:
            dataset.offsets = offsets
    return path


@pytest.fixture(scope="session")
def raster() -> Callable[..., Path]:
    """Write a raster."""
    return write_raster


@pytest.fixture
def numbers() -> np.ndarray:
    """Ten bands of 60 x 90 digital numbers as after processing: dark in places, no no-data."""
    rng = np.random.default_rng(7)
    coarse = rng.integers(60, 3500, (10, 6, 9))
    return (np.kron(coarse, np.ones((1, 10, 10), int)) + rng.integers(0, 40, (10, 60, 90))).astype(np.uint16)


@pytest.fixture
def stack(tmp_path: Path, numbers: np.ndarray) -> Path:
    """The numbers as a stack whose descriptions name the bands."""
    return write_raster(tmp_path / "stack.tif", numbers, names=TEN, nodata=0)
