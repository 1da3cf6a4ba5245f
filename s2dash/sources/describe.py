"""A scene in figures, for the command line and the page."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from s2dash.grid import blocks, latitude_longitude_bounds, pixel_area_ha, pixel_size_m, slices
from s2dash.masking import SCL_NAMES
from s2dash.parallel import ordered_map
from s2dash.progress import Progress, Silent, steps
from s2dash.scene import Scene, has_data
from s2dash.types import NumberArray


def describe_scene(
    scene: Scene, *, valid: NumberArray | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """All one wants to know of a scene before working with it; reads the whole scene once.

    Args:
        scene: The scene.
        valid: Which of its pixels are valid, where that is known already: shape (y, x), 0 or False where not. Then
            only the scene classification is read, and the bands of blocks in which it masks something.
        progress: Where to report.

    Returns:
        Plain values that `json.dumps` takes. Percentages are of all pixels, but `clear_percent` is of those with
        data. `scl` is None where there is no scene classification.
    """
    height, width = (int(side) for side in scene.grid.shape)
    filled = clear = 0
    classes = np.zeros(256, dtype=np.int64)
    windows = blocks(scene.grid)

    def count(window: Window) -> tuple[int, int, NDArray[np.int64] | None]:
        scl = scene.source.read_scl(window)
        seen = None if scl is None else scene.mask.valid(scl)
        if valid is not None and (seen is None or seen.all()):
            clear = filled = np.count_nonzero(valid[slices(window)])
        else:
            data = has_data(scene.source.read(scene.bands, window))
            filled = np.count_nonzero(data)
            clear = filled if seen is None else np.count_nonzero(data & seen)
        return int(filled), int(clear), None if scl is None else np.bincount(scl.ravel(), minlength=256)

    counted = ordered_map(count, windows)
    for data, unmasked, found in steps(
        counted, total=len(windows), progress=progress or Silent(), text="Looking at it"
    ):
        filled += data
        clear += unmasked
        if found is not None:
            classes += found
    west, south, east, north = latitude_longitude_bounds(scene.grid)
    crs = scene.grid.crs
    total = height * width
    return {
        "title": scene.provenance.title,
        "kind": scene.provenance.kind,
        "simulated": scene.simulated,
        "location": scene.provenance.location,
        "product": scene.provenance.product,
        "acquired": scene.provenance.acquired.isoformat() if scene.provenance.acquired else None,
        "width": width,
        "height": height,
        "crs": "" if crs is None else f"EPSG:{crs.epsg}" if crs.epsg else str(crs),
        "pixel_size_m": round(pixel_size_m(scene.grid), 3),
        "bounds": {"west": west, "south": south, "east": east, "north": north},
        "area_km2": round(float(pixel_area_ha(scene.grid).sum()) * width / 100, 4),
        "bands": list(scene.bands),
        "missing": list(scene.missing),
        "numbers": str(scene.source.dtype),
        "radiometry": {
            "scale": scene.radiometry.scale,
            "offset": scene.radiometry.offset,
            "rule": scene.radiometry.rule,
            "evidence": scene.radiometry.evidence,
            "certain": scene.radiometry.certain,
        },
        "filled_percent": round(100 * filled / total, 3),
        "clear_percent": round(100 * clear / filled, 3) if filled else 0.0,
        "valid_percent": round(100 * clear / total, 3),
        "masked_classes": sorted(scene.mask.invalid),
        "scl": _histogram(classes, scene) if classes.any() else None,
        "notes": list(scene.provenance.notes),
        "attribution": scene.provenance.attribution,
    }


def _histogram(classes: NDArray[np.int64], scene: Scene) -> list[dict[str, Any]]:
    total = int(classes.sum())
    return [
        {
            "code": int(code),
            "name": SCL_NAMES.get(int(code), "unknown"),
            "pixels": int(classes[code]),
            "percent": round(100 * int(classes[code]) / total, 3),
            "masked": int(code) in scene.mask.invalid or int(code) not in SCL_NAMES,
        }
        for code in np.flatnonzero(classes)
    ]
