"""A scene as one GeoTIFF stack with named bands, readable by this and any other program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from s2dash.errors import OutputError
from s2dash.grid import blocks
from s2dash.progress import Progress, Silent, steps
from s2dash.scene import Scene

TILE = 256
"""Side of a tile of the file, pixels."""


def write_scene(scene: Scene, path: Path, *, progress: Progress | None = None) -> None:
    """Write digital numbers, and the scene classification as a last band named `SCL` if there is one.

    Scale and offset are written into the file, so that it is read back with no guessing.

    Raises:
        OutputError: If the file cannot be written.
    """
    windows = blocks(scene.grid)
    height, width = scene.grid.shape
    with_scl = scene.source.read_scl(windows[0]) is not None
    names = [*scene.bands, *(["SCL"] if with_scl else [])]
    profile = {
        "driver": "GTiff",
        "width": width,
        "height": height,
        "count": len(names),
        "dtype": scene.source.dtype.name,
        "crs": scene.grid.crs.to_wkt() if scene.grid.crs is not None else None,
        "transform": scene.grid.transform,
        "nodata": np.nan if np.issubdtype(scene.source.dtype, np.floating) else 0,
        "tiled": True,
        "blockxsize": TILE,
        "blockysize": TILE,
        "compress": "deflate",
        "predictor": 3 if np.issubdtype(scene.source.dtype, np.floating) else 2,
        "interleave": "band",
        "BIGTIFF": "IF_SAFER",
    }
    about = scene.provenance
    tags = {"TITLE": about.title, "ATTRIBUTION": about.attribution, "LEVEL": "L2A"}
    if about.acquired:
        tags["DATETIME"] = about.acquired.isoformat()
    if scene.simulated:
        tags |= {"SIMULATED": "yes: not a real place", "SIMULATION": about.location}
    try:
        with rasterio.open(path, "w", **profile) as file:
            file.descriptions = names
            file.update_tags(**tags)
            file.scales = [scene.radiometry.scale] * len(scene.bands) + [1.0] * with_scl
            file.offsets = [scene.radiometry.offset] * len(scene.bands) + [0.0] * with_scl
            for window in steps(windows, total=len(windows), progress=progress or Silent(), text="Writing the scene"):
                numbers = scene.source.read(scene.bands, window)
                scl = scene.source.read_scl(window)
                if scl is not None:
                    numbers = np.concatenate([numbers, scl[None].astype(numbers.dtype)])
                file.write(numbers, window=window)
    except (RasterioError, OSError) as error:
        raise OutputError(f"{path} cannot be written: {error}. Free some space or choose another folder.") from error
