"""Statistics of a season in a file beside a composite."""

from __future__ import annotations

from pathlib import Path

from odc.geo.geobox import GeoBox

from s2dash.errors import SceneError
from s2dash.sources.header import Layer, inspect_raster
from s2dash.sources.raster import RasterSource

SEASON_SUFFIX = "_season.tif"
"""How the name of such a file ends."""


def season_beside(path: Path, grid: GeoBox) -> tuple[RasterSource | None, tuple[str, ...]]:
    """The layers that lie beside a composite, if any.

    Args:
        path: The composite.
        grid: Its grid; layers on another one are left out, as they would have to be resampled.

    Returns:
        The layers by their names, floats, NaN without a clear look; and what a person should know.
    """
    beside = path.with_name(path.stem + SEASON_SUFFIX)
    if not path.is_file() or not beside.exists():
        return None, ()
    try:
        file = inspect_raster(beside)
        there = file.grid
    except SceneError as error:
        return None, (f"The statistics of the season are left out: {error}",)
    if there != grid:
        return None, (f"{beside.name} lies on another grid than {path.name}, so it is left out.",)
    named = [Layer(name, file, index) for index, name in enumerate(file.descriptions, start=1) if name]
    if not named or len({layer.band for layer in named}) != len(named):
        return None, (f"{beside.name} does not say what its layers are, so it is left out.",)
    return RasterSource(grid=grid, layers=tuple(named)), ()
