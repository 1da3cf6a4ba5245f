"""Class maps as Cloud-Optimized GeoTIFF, with the palette and the class names that gdalinfo and QGIS show."""

from __future__ import annotations

import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile
from rasterio.windows import Window

from s2dash.errors import GridMismatchError, MissingCRSError, NotARasterError, OutputError, SchemeError
from s2dash.export.pyramid import mode_pyramid
from s2dash.export.sidecar import attribute_table, sidecar_path, write_sidecar
from s2dash.grid import slices, strips
from s2dash.schemes import NO_DATA
from s2dash.types import BoolArray, FloatArray, LabelArray, NumberArray

NO_PERCENT = 255
"""No data in a confidence raster, where 0 is a value."""

_TILE = 512
"""Side of the tiles of the file, pixels."""
_IN_MEMORY = 32 * 2**20
"""A raster of more bytes is staged on the disk, to hold it in memory only once."""
_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
_RASTER_ERRORS = (RasterioError, CPLE_BaseError, OSError, ET.ParseError)


def write_class_cog(
    path: str | Path,
    codes: LabelArray,
    *,
    grid: GeoBox,
    names: Mapping[int, str],
    colours: Mapping[int, str],
    nodata: int = NO_DATA,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write class codes as a Cloud-Optimized GeoTIFF, and their names into the `.aux.xml` beside it.

    Palette, overviews (most frequent class), category names and a raster attribute table with pixel counts are
    written. Nothing appears under the final names before all of it has been read back; what was there before stays
    until then. Besides `codes` its overviews (a third), and of a small raster one copy, are held in memory,
    of a large one only until they are staged on the disk.

    Args:
        path: Ends in `.tif`; the folder must exist.
        codes: Shape (y, x), uint8.
        grid: Where the pixels lie.
        names: Name of every code that occurs; others may be there too.
        colours: `#RRGGBB` of every named code.
        nodata: The code that means no data; needs neither name nor colour.
        tags: Text to keep in the file.

    Raises:
        GridMismatchError: If shape and grid differ.
        MissingCRSError: If the grid has no reference system.
        SchemeError: If a code has no name, or a name no colour.
        OutputError: If it cannot be written.
    """
    _check_raster(codes, grid)
    counts = _count_codes(codes)
    names = {code: name for code, name in names.items() if code != nodata}
    _check_legend(counts, names, colours, nodata=nodata)
    palette = {code: (*_rgb(colours[code]), 255) for code in sorted(names)} | {nodata: (0, 0, 0, 0)}
    sidecar = attribute_table(names, palette, counts)
    _write(
        Path(path),
        codes,
        grid=grid,
        nodata=nodata,
        palette=palette,
        description="class",
        tags=tags,
        pyramid=mode_pyramid(codes, nodata=nodata, largest=_TILE),
        sidecar=sidecar,
    )


def write_confidence_cog(
    path: str | Path,
    percent: LabelArray,
    *,
    grid: GeoBox,
    valid: BoolArray | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write confidence in percent as a grey Cloud-Optimized GeoTIFF; 255 is no data.

    Args:
        path: Ends in `.tif`; the folder must exist.
        percent: Shape (y, x), uint8, 0-100, or 255 for no data.
        grid: Where the pixels lie.
        valid: Shape (y, x); where False, 255 is written. By default every pixel is taken as it is.
        tags: Text to keep in the file.

    Raises:
        GridMismatchError: If shape and grid differ.
        MissingCRSError: If the grid has no reference system.
        OutputError: If a value is not a percentage, or the file cannot be written.
    """
    _check_raster(percent, grid)
    if valid is not None:
        percent = np.where(valid, percent, np.uint8(NO_PERCENT))
    if (strangers := np.flatnonzero(_count_codes(percent)[101:NO_PERCENT])).size:
        raise OutputError(f"{path}: {strangers[0] + 101} is not a confidence in percent; 0-100 is.")
    _write(
        Path(path),
        percent,
        grid=grid,
        nodata=NO_PERCENT,
        description="confidence, percent",
        tags=tags,
    )


def write_number_cog(
    path: str | Path, values: FloatArray, *, grid: GeoBox, description: str, tags: Mapping[str, str] | None = None
) -> None:
    """Write numbers as a Cloud-Optimized GeoTIFF of float32; NaN is no data.

    Args:
        path: Ends in `.tif`; the folder must exist.
        values: Shape (y, x), any float.
        grid: Where the pixels lie.
        description: What the numbers are, with their unit.
        tags: Text to keep in the file.

    Raises:
        GridMismatchError: If shape and grid differ.
        MissingCRSError: If the grid has no reference system.
        OutputError: If it cannot be written.
    """
    _check_grid(values, grid)
    _write(
        Path(path),
        values.astype(np.float32, copy=False),
        grid=grid,
        nodata=float("nan"),
        description=description,
        tags=tags,
    )


def read_labels(path: str | Path) -> tuple[LabelArray, GeoBox]:
    """Read a class or cluster map back.

    Returns:
        Codes of shape (y, x), uint8, and their grid.

    Raises:
        NotARasterError: If the file cannot be read or does not hold bytes.
        MissingCRSError: If it does not say where it lies.
    """
    try:
        with warnings.catch_warnings():
            # Said more plainly below.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            dataset = rasterio.open(path)
        with dataset:
            if dataset.dtypes[0] != "uint8":
                raise NotARasterError(f"{path} holds {dataset.dtypes[0]}, not class codes in bytes.")
            if dataset.crs is None or dataset.transform.is_identity:
                raise MissingCRSError(f"{path} does not say where on Earth it lies.")
            return dataset.read(1), GeoBox.from_rio(dataset)
    except _RASTER_ERRORS as error:
        raise NotARasterError(f"{path} cannot be read: {error}. It is missing, damaged or no raster.") from error


def read_numbers(path: str | Path) -> tuple[FloatArray, GeoBox]:
    """Read what `write_number_cog` wrote: float32 of shape (y, x), NaN where there is no data, and its grid.

    Raises:
        NotARasterError: If the file cannot be read or does not hold float32.
    """
    try:
        with rasterio.open(path) as dataset:
            if dataset.dtypes[0] != "float32":
                raise NotARasterError(f"{path} holds {dataset.dtypes[0]}, not numbers of float32.")
            return dataset.read(1), GeoBox.from_rio(dataset)
    except _RASTER_ERRORS as error:
        raise NotARasterError(f"{path} cannot be read: {error}. It is missing, damaged or no raster.") from error


def _write(
    path: Path,
    values: NumberArray,
    *,
    grid: GeoBox,
    nodata: float,
    description: str,
    palette: Mapping[int, tuple[int, int, int, int]] | None = None,
    tags: Mapping[str, str] | None = None,
    pyramid: list[LabelArray] | None = None,
    sidecar: ET.Element | None = None,
) -> None:
    """Write a COG and its sidecar under other names, read them back, and only then put them in place.

    Without a `pyramid` the overviews are averages; one that is given is emptied.
    """
    with _staging(path) as folder, ExitStack() as stack:
        finished, source = folder / path.name, folder / "source.vrt"
        # The COG driver keeps a palette and overviews that it finds, but offers no way to give it either.
        place = folder / "plain.tif" if values.nbytes > _IN_MEMORY else None
        plain = stack.enter_context(_plain(values, grid, nodata, description, palette or {}, tags or {}, place=place))
        levels: list[str] = []
        while pyramid:  # each is let go of as soon as it is staged
            beside = None if place is None else folder / f"level-{len(levels)}.tif"
            levels.append(stack.enter_context(_plain(pyramid.pop(0), grid, nodata, place=beside)))
        rasterio.shutil.copy(plain, source, driver="VRT")
        _add_overviews(source, levels)
        rasterio.shutil.copy(
            source,
            finished,
            driver="COG",
            compress="DEFLATE",
            # Level 6 takes several times as long and saves a tenth.
            level=1,
            predictor="YES" if np.issubdtype(values.dtype, np.floating) else "NO",
            blocksize=_TILE,
            overview_resampling="average",
            bigtiff="IF_SAFER",
            num_threads="ALL_CPUS",
        )
        _read_back(finished, values, grid)
        if sidecar is not None:
            write_sidecar(sidecar_path(finished), sidecar)
        finished.replace(path)
        if sidecar_path(finished).is_file():
            sidecar_path(finished).replace(sidecar_path(path))
        else:
            # Names and statistics of an earlier file say nothing of this one.
            sidecar_path(path).unlink(missing_ok=True)


@contextmanager
def _plain(
    values: NumberArray,
    grid: GeoBox,
    nodata: float,
    description: str = "",
    palette: Mapping[int, tuple[int, int, int, int]] = MappingProxyType({}),
    tags: Mapping[str, str] = MappingProxyType({}),
    *,
    place: Path | None = None,
) -> Iterator[str]:
    """Name of a GeoTIFF in memory, or at `place`, that covers the grid, however many pixels it has."""
    height, width = values.shape
    profile = {
        "driver": "GTiff",
        "width": width,
        "height": height,
        "count": 1,
        "dtype": values.dtype.name,
        "crs": CRS.from_wkt(str(grid.crs.to_wkt())) if grid.crs else None,
        "transform": grid.transform @ Affine.scale(grid.shape[1] / width, grid.shape[0] / height),
        "nodata": nodata,
        "bigtiff": "IF_SAFER",
    }

    def write(dataset: Any) -> None:
        if palette:
            dataset.write_colormap(1, palette)
        if description:
            dataset.set_band_description(1, description)
        dataset.update_tags(**tags)
        for row in range(0, height, _TILE):  # all at once, rasterio would make a copy of it
            rows = values[row : row + _TILE]
            dataset.write(rows, 1, window=Window(0, row, width, len(rows)))

    if place is not None:
        with rasterio.open(place, "w", **profile) as dataset:
            write(dataset)
        yield str(place)
        return
    with MemoryFile(ext=".tif") as memory:
        with memory.open(**profile) as dataset:
            write(dataset)
        yield memory.name


def _add_overviews(vrt: Path, names: Sequence[str]) -> None:
    """Enter rasters into a VRT as the overviews of its band, fine to coarse."""
    root = ET.parse(vrt).getroot()
    band = root.find("VRTRasterBand")
    if band is None:
        raise OSError(f"GDAL wrote no band into {vrt.name}")
    for name in names:
        overview = ET.SubElement(band, "Overview")
        ET.SubElement(overview, "SourceFilename", relativeToVRT="0").text = name
        ET.SubElement(overview, "SourceBand").text = "1"
    vrt.write_bytes(ET.tostring(root, encoding="utf-8", xml_declaration=False))


@contextmanager
def _staging(path: Path) -> Iterator[Path]:
    """A folder beside `path` for files in the making; gone afterwards, whatever happened."""
    if path.is_dir():
        raise OutputError(f"{path} cannot be written: it is a folder. Choose another name.")
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}. Choose a folder that can be.") from error
    try:
        yield folder
    except _RASTER_ERRORS as error:
        free = shutil.disk_usage(path.parent).free / 2**20
        raise OutputError(
            f"{path} cannot be written: {error}. {free:.1f} MiB are free there. Make room, or choose another folder; "
            "an earlier file of that name is unchanged."
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _read_back(path: Path, values: NumberArray, grid: GeoBox) -> None:
    """Compare a finished file with what it should hold: GDAL does not report every failed write, least of all at close.

    Raises:
        OSError: If they differ.
    """
    with rasterio.open(path) as dataset:
        for window in strips(grid, rows=_TILE):
            there, ours = dataset.read(1, window=window), values[slices(window)]
            if not np.array_equal(there, ours, equal_nan=np.issubdtype(ours.dtype, np.floating)):
                raise OSError("the file does not hold what was written into it")


def _check_raster(values: LabelArray, grid: GeoBox) -> None:
    if values.dtype != np.uint8:
        raise OutputError(f"Class codes are bytes (uint8), not {values.dtype}.")
    _check_grid(values, grid)


def _check_grid(values: NumberArray, grid: GeoBox) -> None:
    if values.shape != tuple(grid.shape):
        raise GridMismatchError(f"A raster of {values.shape} does not lie on a grid of {tuple(grid.shape)}.")
    if grid.crs is None:
        raise MissingCRSError("The map does not say where on Earth it lies. Give its grid a reference system.")


def _check_legend(counts: Any, names: Mapping[int, str], colours: Mapping[int, str], *, nodata: int) -> None:
    if unnamed := sorted(set(np.flatnonzero(counts).tolist()) - {nodata, *names}):
        raise SchemeError(f"The map holds the codes {unnamed}, which have no name. Name every class that occurs.")
    if odd := sorted(code for code in names if not 0 <= code <= 255):
        raise SchemeError(f"The codes {odd} do not fit into a byte (0-255).")
    if bare := sorted(code for code in names if not _COLOUR.fullmatch(colours.get(code, ""))):
        raise SchemeError(f"The codes {bare} have no colour such as #0064C8.")


def _count_codes(values: LabelArray) -> Any:
    counts = np.zeros(256, dtype=np.int64)
    flat = np.ascontiguousarray(values).ravel()
    for start in range(0, len(flat), 1 << 22):
        part = flat[start : start + (1 << 22)]
        if len(part) % 2:
            counts[part[-1]] += 1
            part = part[:-1]
        # two bytes at a time: half as many numbers to count
        pairs = np.bincount(part.view(np.uint16), minlength=1 << 16).reshape(256, 256)
        counts += pairs.sum(axis=0) + pairs.sum(axis=1)
    return counts


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
