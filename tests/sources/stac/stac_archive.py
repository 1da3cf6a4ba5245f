"""Tiles of simulated scenes as the archives lay them out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from pyproj import Transformer
from server import StacServer

from s2dash.bands import method_bands, sensor_table
from s2dash.grid import full_window
from s2dash.simulation import simulate_scene
from s2dash.sources.stac.addresses import Patience
from s2dash.sources.stac.catalogues import Catalogue, known_catalogues

SIDE = 240
"""Pixels of 10 m a tile has each way."""
BRISK = Patience(attempts=4, delay_s=0.05, longest_s=1.0, timeout_s=10.0)


@cache
def _drawn(seed: int, *, shifted: bool, clouds: float, side: int) -> dict[str, np.ndarray]:
    return _draw(seed, shifted=shifted, clouds=clouds, side=side)


def numbers_of(seed: int, *, shifted: bool, clouds: float = 0.0, side: int = SIDE) -> dict[str, np.ndarray]:
    """Band (and SCL) → digital numbers, each at its own resolution."""
    found = _drawn(seed, shifted=shifted, clouds=clouds, side=side)
    return {band: values.copy() for band, values in found.items()}


def _draw(seed: int, *, shifted: bool, clouds: float, side: int) -> dict[str, np.ndarray]:
    scene = simulate_scene(size=side, seed=seed, cloud_share=clouds, shifted=shifted).scene
    window = full_window(scene.grid)
    found = {}
    for band, values in zip(method_bands(), scene.source.read(method_bands(), window), strict=True):
        if sensor_table()[band].resolution == 20:
            values = np.rint(values.reshape(side // 2, 2, side // 2, 2).mean(axis=(1, 3)))
        found[band] = values.astype(np.uint16)
    scl = scene.source.read_scl(window)
    assert scl is not None
    found["SCL"] = scl[::2, ::2].astype(np.uint8)
    return found


def write_cog(path: Path, values: np.ndarray, *, epsg: int, left: float, top: float, nodata: float | None = 0) -> None:
    pixel = 10.0 * SIDE / values.shape[0] if values.shape[0] != SIDE else 10.0
    profile = {"count": 1, "height": values.shape[0], "width": values.shape[1], "dtype": values.dtype.name}
    rough = path.with_suffix(".rough.tif")
    transform = Affine(pixel, 0, left, 0, -pixel, top)
    with rasterio.open(
        rough, "w", driver="GTiff", crs=f"EPSG:{epsg}", transform=transform, nodata=nodata, **profile
    ) as file:
        file.write(values, 1)
    rasterio.shutil.copy(
        str(rough), str(path), driver="COG", compress="deflate", blocksize=128, overview_resampling="nearest"
    )
    rough.unlink()


def outline(*, epsg: int, left: float, top: float, side_m: float = SIDE * 10.0) -> dict[str, Any]:
    turn = Transformer.from_crs(epsg, 4326, always_xy=True)
    corners = [(left, top), (left + side_m, top), (left + side_m, top - side_m), (left, top - side_m), (left, top)]
    ring = [list(turn.transform(x, y)) for x, y in corners]
    return {"type": "Polygon", "coordinates": [ring[::-1]]}


class Archive:
    """A server, and a way to add tiles to it."""

    def __init__(self, server: StacServer) -> None:
        self.server = server

    def catalogue(self, name: str = "earth-search", **more: Any) -> Catalogue:
        """A known catalogue, served from here."""
        return replace(known_catalogues()[name], url=self.server.url, **more)

    def add(
        self,
        identifier: str,
        *,
        day: str = "2023-07-14",
        moment: str = "09:50:31",
        epsg: int = 32633,
        left: float = 600_000.0,
        top: float = 5_000_040.0,
        seed: int = 1,
        shifted: bool = False,
        baseline: str = "03.00",
        cloud: float = 5.0,
        clouds: float = 0.0,
        place: str = "MGRS-33TXL",
        platform: str = "sentinel-2a",
        catalogue: str = "earth-search",
        collection: str = "sentinel-2-l2a",
        edit: Callable[[dict[str, np.ndarray]], None] | None = None,
        numbers: dict[str, np.ndarray] | None = None,
        nodata: float | None = 0,
        without: tuple[str, ...] = (),
    ) -> dict[str, np.ndarray]:
        """Add a tile; returns its numbers."""
        values = numbers or numbers_of(seed, shifted=shifted, clouds=clouds)
        if edit:
            edit(values)
        names = known_catalogues()[catalogue].collection(collection).assets
        assets = {"thumbnail": {"href": f"{self.server.url}/files/{identifier}.jpg", "type": "image/jpeg"}}
        for band, array in values.items():
            if band in without:
                continue
            path = self.server.folder / f"{identifier}-{band}.tif"
            write_cog(path, array, epsg=epsg, left=left, top=top, nodata=nodata)
            assets[names[band]] = {"href": f"{self.server.url}/files/{path.name}", "type": "image/tiff"}
        self.server.items.append(
            {
                "type": "Feature",
                "stac_version": "1.0.0",
                "id": identifier,
                "collection": collection,
                "geometry": outline(epsg=epsg, left=left, top=top),
                "bbox": [-180, -90, 180, 90],
                "properties": {
                    "datetime": f"{day}T{moment}Z",
                    "platform": platform,
                    "eo:cloud_cover": cloud,
                    "s2:processing_baseline": baseline,
                    "grid:code": place,
                    "proj:epsg": epsg,
                },
                "assets": assets,
                "links": [],
            }
        )
        return values
