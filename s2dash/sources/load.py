"""From a place on disk to a scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s2dash.bands import method_bands
from s2dash.errors import GridMismatchError, NoValidPixelsError, SceneError, SceneNotFoundError, TooFewBandsError
from s2dash.grid import spread_blocks
from s2dash.masking import SCL_NAMES, MaskRule
from s2dash.radiometry import Setting, detect_radiometry
from s2dash.scene import Provenance, Scene, has_data
from s2dash.sources.area_scene import clip_scene
from s2dash.sources.folder import check_same_crs, folder_layout
from s2dash.sources.header import Layer, inspect_raster, overlap
from s2dash.sources.layout import BandNames, Layout
from s2dash.sources.raster import RasterSource
from s2dash.sources.safe import METADATA, is_safe, safe_layout
from s2dash.sources.season import season_beside
from s2dash.sources.stack import stack_layout

if TYPE_CHECKING:
    from s2dash.area import AreaOfInterest

SIMULATED = "simulated:"
"""How locations begin that are computed, not read."""
_DEFAULT_MASK = MaskRule()
_CLASS_BLOCKS = 4


def load_scene(
    location: str | Path,
    *,
    scl: str | Path | None = None,
    bands: BandNames | None = None,
    offset: Setting = "auto",
    scale: Setting = "auto",
    mask: MaskRule = _DEFAULT_MASK,
    title: str | None = None,
    area: AreaOfInterest | Mapping[str, Any] | None = None,
) -> Scene:
    """Open a Sentinel-2 level 2A scene; only headers and a few pixels are read.

    All bands are brought to the grid of the finest one where they are read (bilinear, no-data left out; scene
    classification by nearest neighbour). Of the bands the ten of the method are kept.

    Args:
        location: A raster stack, a folder with one file a band, an unpacked `.SAFE` folder (or its
            `MTD_MSIL2A.xml`), or `simulated:…`.
        scl: A scene classification in a file of its own, on any grid; it goes before one found at the location.
        bands: Band names for a file or folder that has none: a list in the file's order (`-` leaves one out), or a
            mapping of place (from 1), description or file name to name.
        offset: Reflectance to add after scaling, e.g. −0.1; `"auto"` asks metadata, then the pixels.
        scale: Reflectance per digital number, e.g. 0.0001; `"auto"` likewise.
        mask: Which classes of the scene classification are masked.
        title: What to call the scene; defaults to the name of the file or folder.
        area: Use only the pixels under this area (GeoJSON, or an `AreaOfInterest`); outside is no data. Scale and
            offset are still found out from the whole scene.

    Raises:
        SceneNotFoundError: If nothing is there.
        NotARasterError: If a file is empty, truncated or no raster. Damage further inside a file is met, with the same
            error, when that part is read.
        MissingCRSError: If a file does not say where it lies.
        UnnamedBandsError: If nothing says which band is which.
        DuplicateBandsError: If two bands or files claim to be the same.
        TooFewBandsError: If fewer than two bands of the method are there.
        GridMismatchError: If the scene classification or a band lies elsewhere.
        NoValidPixelsError: If no pixel has data in every band.
        AreaError: If the area lies elsewhere, or covers too few pixels.
        SceneError: For anything else that makes no scene.
    """
    if str(location).startswith(SIMULATED):
        made = _simulated(str(location), scl=scl, bands=bands, offset=offset, scale=scale, mask=mask, title=title)
        return made if area is None else clip_scene(made, area)
    path = Path(location).expanduser().absolute()
    if not path.exists():
        raise SceneNotFoundError(f"There is no file or folder {path}. Check the spelling, or give the full path.")
    from s2dash.sources.stac.stack_file import as_fetched, told_by

    layout = _layout(path, bands)
    if len(layout.layers) < 2:
        raise TooFewBandsError(_too_few(path, layout))
    source, notes = _source(layout, scl=Path(scl).expanduser() if scl is not None else None)
    names = source.bands
    missing = tuple(band for band in method_bands() if band not in names)
    if missing:
        notes = (f"Missing bands: {', '.join(missing)}.", *notes)
    # written by `export.scene.write_scene`: a simulated scene stays one when it has been through a file
    tags = layout.layers[0].file.tags
    simulated = "SIMULATED" in tags
    provenance = Provenance(
        title=title or (tags.get("TITLE") if simulated else None) or layout.title,
        kind="simulated" if simulated else "local",
        attribution=tags.get("ATTRIBUTION", "Simulated") if simulated else Provenance.attribution,
        location=str(path),
        acquired=layout.acquired,
        product=layout.product,
        notes=notes,
    )
    scene = Scene(source=source, bands=names, missing=missing, mask=mask, provenance=provenance)
    _require_pixels(scene)
    season, remarks = season_beside(path, scene.grid)
    told = told_by(tags) if scale == offset == "auto" else None
    if told is not None:
        scene = as_fetched(scene, told)
    else:
        scene = scene.with_radiometry(
            detect_radiometry(source, bands=names, scale=scale, offset=offset, declared=layout.declared)
        )
    provenance = replace(scene.provenance, notes=(*scene.provenance.notes, *remarks))
    scene = replace(scene, season=season, provenance=provenance)
    if area is None:
        return scene
    scene = clip_scene(scene, area)
    _require_pixels(scene)
    return scene


def _simulated(
    location: str,
    *,
    scl: str | Path | None,
    bands: BandNames | None,
    offset: Setting,
    scale: Setting,
    mask: MaskRule,
    title: str | None,
) -> Scene:
    from s2dash.simulation import parse_location

    if scl is not None or bands is not None or offset != "auto" or scale != "auto":
        raise SceneError("A simulated scene brings its own bands, scale and classification; leave those options out.")
    scene: Scene = parse_location(location).scene
    if title is not None:
        scene = replace(scene, provenance=replace(scene.provenance, title=title))
    return scene.with_mask(mask)


def _layout(path: Path, bands: BandNames | None) -> Layout:
    if path.name == METADATA:
        path = path.parent
    if not path.is_dir():
        return stack_layout(path, bands=bands)
    if is_safe(path):
        if bands is not None:
            raise SceneError(f"{path} is a product whose files name their bands; leave the band names out.")
        return safe_layout(path)
    return folder_layout(path, bands=bands)


def _too_few(path: Path, layout: Layout) -> str:
    found = [layer.band for layer in layout.layers]
    return (
        f"{path} has {'only ' + found[0] if found else 'none'} of the bands that the method uses "
        f"({', '.join(method_bands())}); at least two are needed. Add bands, or name them with --bands."
    )


def _source(layout: Layout, *, scl: Path | None) -> tuple[RasterSource, tuple[str, ...]]:
    layers = layout.layers
    kinds = {layer.file.dtype.kind == "f" for layer in layers}
    if len(kinds) > 1:
        shown = ", ".join(f"{layer.band} {layer.file.dtype}" for layer in layers)
        raise SceneError(f"Some bands hold integers and some floats ({shown}), so they have no common scale.")
    finest = min(layers, key=lambda layer: layer.file.pixel_area).file  # the first of equals, in sensor order
    grid = finest.grid
    check_same_crs((Layer("", finest, 1), *layers))
    for layer in layers:
        if overlap(layer.file, grid, finest.crs) == 0:
            raise GridMismatchError(
                f"{layer.file.name} ({layer.band}) does not overlap {finest.name}: they show different ground."
            )
    classes = _classes(scl) if scl is not None else layout.scl
    notes = layout.notes
    if classes is not None:
        share = overlap(classes.file, grid, finest.crs)
        if share == 0:
            raise GridMismatchError(
                f"The scene classification {classes.file.path} does not overlap the scene {layout.title}. "
                "Give the one of the same image."
            )
        if share < 0.999:
            notes += (f"The scene classification covers {share:.0%} of the scene; the rest counts as no data.",)
    source = RasterSource(grid=grid, layers=layers, scl=classes)
    if classes is not None:
        notes += _strange_classes(source)
    return source, notes


def _classes(path: Path) -> Layer:
    file = inspect_raster(path)
    named = [index for index, text in enumerate(file.descriptions, 1) if text.upper() == "SCL"]
    if file.count > 1 and not named:
        raise SceneError(f"{path} has {file.count} bands, none called SCL. Give a file with the classification only.")
    return Layer("SCL", file, named[0] if named else 1)


def _strange_classes(source: RasterSource) -> tuple[str, ...]:
    """Look at a few blocks for classes that there are not; refuse a raster that has no other ones."""
    found: set[int] = set()
    for window in spread_blocks(source.grid, count=_CLASS_BLOCKS):
        values = source.read_scl(window)
        if values is not None:
            found |= {int(code) for code in np.unique(values)}
    codes = sorted(found)
    strange = [code for code in codes if code not in SCL_NAMES]
    if strange and not any(0 < code < 12 for code in codes):
        raise SceneError(f"The scene classification holds {codes[:10]}, none of its classes 1-11: is it another mask?")
    if not strange:
        return ()
    return (f"The scene classification holds unknown classes ({strange[:10]}), which count as no data.",)


def _require_pixels(scene: Scene) -> None:
    """Refuse a scene without any pixel that has data in every band; look where data is likely first."""
    if any(has_data(scene.source.read(scene.bands, window)).any() for window in spread_blocks(scene.grid, count=4)):
        return
    if scene.validity.filled:
        return
    raise NoValidPixelsError(
        f"{scene.provenance.title} has no pixel with data in every band ({', '.join(scene.bands)}): it is no-data "
        f"throughout, or one band is. Look at {scene.provenance.location} in a viewer, or choose another date."
    )
