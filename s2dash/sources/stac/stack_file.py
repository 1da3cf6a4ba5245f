"""The files a fetch leaves: the scene as a Cloud-Optimized GeoTIFF, and layers of the season beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox

from s2dash.errors import OutputError
from s2dash.masking import MaskRule
from s2dash.scene import Radiometry, Scene
from s2dash.sources.stac.cache import replacing
from s2dash.sources.stac.load import READ_ERRORS
from s2dash.types import FloatArray

FETCHED = "S2DASH_FETCHED"
"""Tag that says that a file was made here, and how: JSON of `Provenance` beyond what other tags say."""


@contextmanager
def writing_cog(
    path: Path,
    grid: GeoBox,
    names: Sequence[str],
    *,
    dtype: str,
    nodata: float,
    tags: Mapping[str, str],
    scales: Sequence[float] | None = None,
    offsets: Sequence[float] | None = None,
) -> Iterator[Any]:
    """A dataset to write blocks to, which is a Cloud-Optimized GeoTIFF at `path` when all went well.

    Raises:
        OutputError: If it cannot be written.
    """
    profile = {
        "driver": "GTiff",
        "width": int(grid.shape[1]),
        "height": int(grid.shape[0]),
        "count": len(names),
        "dtype": dtype,
        "crs": grid.crs.to_wkt() if grid.crs is not None else None,
        "transform": grid.transform,
        "nodata": nodata,
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "interleave": "band",
        "compress": "deflate",
        "zlevel": 1,
        "BIGTIFF": "IF_SAFER",
        "SPARSE_OK": True,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as whole:
            rough = whole.with_name(f"{whole.stem}-rough.tif")
            try:
                with rasterio.open(rough, "w", **profile) as file:
                    file.descriptions = tuple(names)
                    file.update_tags(**tags)
                    if scales is not None and offsets is not None:
                        file.scales, file.offsets = tuple(scales), tuple(offsets)
                    yield file
                _to_cog(rough, whole, dtype)
            finally:
                rough.unlink(missing_ok=True)
    except READ_ERRORS as error:
        raise OutputError(f"{path} cannot be written: {error}. Free some space, or choose another folder.") from error


def _to_cog(rough: Path, whole: Path, dtype: str) -> None:
    import rasterio.shutil

    rasterio.shutil.copy(
        str(rough),
        str(whole),
        driver="COG",
        compress="deflate",
        predictor="FLOATING_POINT" if dtype.startswith("float") else "STANDARD",
        overview_resampling="nearest",  # the scene classification must not be averaged
        bigtiff="IF_SAFER",
        blocksize=512,
        num_threads=str(min(os.cpu_count() or 1, 4)),
    )


def open_fetched(path: Path | str, *, mask: MaskRule | None = None) -> Scene:
    """Open a scene that `fetch_scene` wrote, with its scale and offset as they were decided then.

    Raises:
        OutputError: If it is none.
        SceneError: As `load_scene`.
    """
    from s2dash.sources.load import load_scene

    told = fetched_tags(path)
    if told is None:
        raise OutputError(f"{path} was not fetched by this program. Open it with load_scene.")
    return load_scene(path, mask=mask or MaskRule())


def as_fetched(scene: Scene, told: Mapping[str, Any]) -> Scene:
    """A scene with what its file says of itself: whence it is, and scale and offset as they were decided then."""
    radiometry = Radiometry(**told["radiometry"])
    provenance = replace(
        scene.provenance,
        title=told["title"],
        kind=told["kind"],
        attribution=told["attribution"],
        notes=(*scene.provenance.notes, *told["notes"]),
    )
    return replace(scene.with_radiometry(radiometry), provenance=provenance)


def fetched_tags(path: Path | str) -> dict[str, Any] | None:
    """What a fetched file says of itself; None where it is no such file."""
    try:
        with rasterio.open(path) as dataset:
            return told_by(dataset.tags())
    except READ_ERRORS:
        return None


def told_by(tags: Mapping[str, str]) -> dict[str, Any] | None:
    """The same from the tags of a file."""
    try:
        told = json.loads(tags.get(FETCHED, "null"))
    except ValueError:
        return None
    return told if isinstance(told, dict) and "radiometry" in told else None


def read_layers(path: Path | str) -> tuple[tuple[str, ...], FloatArray]:
    """The layers of the season beside a composite: their names, and values of shape (layer, y, x), float32.

    Raises:
        OutputError: If the file cannot be read.
    """
    try:
        with rasterio.open(path) as dataset:
            return tuple(str(name) for name in dataset.descriptions), np.asarray(dataset.read(), dtype=np.float32)
    except READ_ERRORS as error:
        raise OutputError(f"{path} cannot be read: {error}. Fetch the scene again.") from error
