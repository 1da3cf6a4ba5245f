"""Reference maps from files of any kind: rasters and polygons."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from odc.geo.geobox import GeoBox

from s2dash.canvas import ClassCanvas
from s2dash.progress import Progress
from s2dash.reference import Reference, paint_raster, painted_reference
from s2dash.reference_vector import is_vector, paint_polygons
from s2dash.schemes import ClassScheme, SchemeMap


def load_reference(
    path: str | Path,
    *,
    grid: GeoBox,
    scheme: ClassScheme,
    scheme_map: SchemeMap | None = None,
    band: int | None = None,
    field: str = "",
    title: str | None = None,
    year: int | None = None,
    progress: Progress | None = None,
) -> Reference:
    """Bring a reference onto the scene's grid, and into the codes of a scheme.

    Rasters are laid over by nearest neighbour (`s2dash.reference`), polygons by the centres of the pixels
    (`s2dash.reference_vector`). What `scheme_map` does not know is counted in `unknown` and takes no part in any score.

    Args:
        path: A raster that GDAL can read, or polygons in a GeoJSON, GeoPackage, KML or Shapefile.
        grid: The scene's grid.
        scheme: The scheme of the result.
        scheme_map: How the file's codes and words become codes of `scheme`; by default they already are.
        band: Of a raster, which band, from 1; by default the only one it has besides an alpha band.
        field: Of polygons, which attribute says the class; by default the one that can be no other.
        title: What to call it; by default the file's own title, or its name.
        year: Year it shows; by default from the file's tags or name.
        progress: Told about each part.

    Raises:
        NotARasterError: If a raster cannot be read.
        MissingCRSError: If it does not say where it lies.
        NoOverlapError: If it holds no data on the grid.
        ReferenceMapError: If polygons cannot be read, nobody knows which band or attribute is meant, it holds other
            than whole numbers and words, or nothing but what is unknown.
        SchemeError: If `scheme_map` leads to another scheme.
    """
    path = Path(path)
    canvas = ClassCanvas(grid, scheme=scheme, scheme_map=scheme_map)
    tags: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()
    if is_vector(path):
        notes = paint_polygons(canvas, path, field=field, progress=progress)
    else:
        tags = paint_raster(canvas, path, band=band, progress=progress)
    return painted_reference(canvas, path, tags=tags, title=title, year=year, notes=notes)
