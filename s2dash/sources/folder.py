"""A scene in a folder with one file a band."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from s2dash.bands import parse_band
from s2dash.errors import DuplicateBandsError, GridMismatchError, NotARasterError, SceneError, TooFewBandsError
from s2dash.sources.header import Layer, RasterFile, inspect_raster
from s2dash.sources.layout import SKIP, BandNames, Layout, checked_name, split_layers, tagged_radiometry
from s2dash.sources.product import acquisition, find_day, find_product, tagged_day

_SUFFIXES = frozenset({".tif", ".tiff", ".jp2"})
_RESOLUTIONS = ("R10m", "R20m", "R60m")
_KNOWN_EXTRAS = frozenset({"TCI", "AOT", "WVP", "PVI"})
"""Files of every product that hold no band."""


def folder_layout(path: Path, *, bands: BandNames | None = None) -> Layout:
    """Find the bands in a folder of GeoTIFF or JP2 files, also in its subfolders `R10m`, `R20m` and `R60m`.

    Where a band is there at several resolutions, the finest is taken.

    Args:
        path: The folder.
        bands: File name (with or without suffix) → band, for files whose names say nothing or something wrong.

    Raises:
        SceneError: If files of two acquisitions lie in it.
        DuplicateBandsError: If two files hold the same band at the same resolution.
        GridMismatchError: If files lie in different coordinate systems.
        TooFewBandsError: If no file is named after a band.
    """
    files = raster_paths(path)
    named, ignored = name_files(files, bands=bands)
    check_same_image(path, [item for _, item in named])
    found, multiband = choose_finest(named)
    layers, scl, notes = split_layers(found)
    strange = [item.name for item in ignored if not _KNOWN_EXTRAS & set(item.stem.upper().split("_"))] + multiband
    if strange:
        shown = ", ".join(strange[:5]) + (f" and {len(strange) - 5} more" if len(strange) > 5 else "")
        notes += (f"Ignored, since they are not one band of Sentinel-2 each: {shown}.",)
    if len(layers) < 2:
        raise TooFewBandsError(_nothing_here(path, files, [layer.band for layer in layers]))
    texts = [Path(layer.file.path).stem for layer in layers] + [path.name, path.parent.name]
    product = find_product(texts)
    day = find_day([product, *texts])
    if day is None:
        tagged = [found_day for layer in layers if (found_day := tagged_day(layer.file.tags))]
        day = tagged[0][0] if tagged else None
    declared, remark = tagged_radiometry(layers)
    return Layout(
        layers=layers,
        scl=scl,
        title=path.name,
        declared=declared,
        acquired=day,
        product=product,
        notes=notes + remark,
    )


def raster_paths(folder: Path) -> list[Path]:
    """GeoTIFF and JP2 files of a folder and its resolution subfolders, sorted."""
    folders = [folder, *(folder / name for name in _RESOLUTIONS)]
    try:
        return sorted(
            item
            for place in folders
            if place.is_dir()
            for item in place.iterdir()
            if item.suffix.lower() in _SUFFIXES and not item.name.startswith(".")
        )
    except OSError as error:
        raise SceneError(f"The folder {folder} cannot be read: {error.strerror}.") from error


def name_files(files: Iterable[Path], *, bands: BandNames | None = None) -> tuple[list[tuple[str, Path]], list[Path]]:
    """The band each file is named after, and the files that name none."""
    given = _given(bands, files := list(files))
    named: list[tuple[str, Path]] = []
    ignored: list[Path] = []
    for item in files:
        name = given[item] if item in given else _band_of(item)
        if name is None:
            ignored.append(item)
        else:
            named.append((name, item))
    return named, ignored


def _given(bands: BandNames | None, files: list[Path]) -> dict[Path, str | None]:
    if bands is None:
        return {}
    if not isinstance(bands, Mapping):
        raise SceneError(
            "A list of band names is for one file with several bands. For a folder, name the files: "
            "bands={'my_blue.tif': 'B02', ...}, or rename them to B02.tif, B03.tif, ..."
        )
    given: dict[Path, str | None] = {}
    for key, text in bands.items():
        matching = [item for item in files if str(key) in {item.name, item.stem}]
        if not matching:
            raise SceneError(f"There is no file {key!r} in the folder; there are: {_shown(files)}.")
        for item in matching:
            given[item] = None if text.strip() in SKIP else checked_name(text)
    return given


def _band_of(path: Path) -> str | None:
    """The band a file name speaks of; colour words count after a product-like name only."""
    name = parse_band(path.stem)
    if name is None and acquisition(path.stem) is not None:
        last = path.stem.replace("-", "_").replace(".", "_").split("_")[-1]
        name = parse_band(last)
    return name


def choose_finest(named: Iterable[tuple[str, Path]]) -> tuple[dict[str, Layer], list[str]]:
    """For each band the file with the smallest pixels; and the names of files that hold several bands.

    Raises:
        DuplicateBandsError: If two files hold a band at the same resolution.
    """
    found: dict[str, RasterFile] = {}
    several: list[str] = []
    rivals: dict[str, RasterFile] = {}
    for name, item in named:
        file = inspect_raster(item)
        if file.count != 1:
            several.append(f"{file.name} ({file.count} bands)")
            continue
        held = found.get(name)
        if held is not None and abs(file.pixel_area / held.pixel_area - 1) < 1e-6:
            rivals[name] = file
        elif held is None or file.pixel_area < held.pixel_area:
            found[name] = file
            rivals.pop(name, None)
    for name, file in rivals.items():
        raise DuplicateBandsError(
            f"Both {found[name].name} and {file.name} in {Path(file.path).parent} are {name} at the same resolution. "
            "Keep one of them; bands of another image belong into a folder of their own."
        )
    return {name: Layer(name, file, 1) for name, file in found.items()}, several


def check_same_image(folder: Path, paths: list[Path]) -> None:
    """Refuse files of two acquisitions or tiles.

    Raises:
        SceneError: With the acquisitions found.
    """
    keys = {key for path in paths if (key := acquisition(path.stem)) is not None}
    tiles, times = {tile for tile, _ in keys if tile}, {time for _, time in keys if time}
    if len(tiles) > 1 or len(times) > 1:
        shown = ", ".join(sorted(" ".join(filter(None, key)) for key in keys))
        raise SceneError(
            f"{folder} holds {len(keys)} images ({shown}), and a scene is one. Put the files of each into a folder "
            "of its own."
        )


def check_same_crs(layers: Iterable[Layer]) -> None:
    """Refuse bands in different coordinate systems: they are of two tiles.

    Raises:
        GridMismatchError: With two of the files.
    """
    first, *others = layers
    for layer in others:
        if layer.file.crs != first.file.crs:
            raise GridMismatchError(
                f"{first.file.name} is in {first.file.crs} and {layer.file.name} in {layer.file.crs}: they are of two "
                "tiles. Give the bands of one tile."
            )


def _nothing_here(path: Path, files: list[Path], found: list[str]) -> str:
    if not files:
        return f"{path} holds no GeoTIFF or JP2 file. Give a folder with one file a band, a .SAFE folder or a raster."
    stacks = []
    for item in files[:20]:
        try:
            if inspect_raster(item).count > 1:
                stacks.append(item)
        except (NotARasterError, SceneError):
            continue
    way_out = f" To open a stack, give the file: {stacks[0]}." if stacks else ""
    there = f"one band only: {found[0]}" if found else "no file named after a Sentinel-2 band"
    return (
        f"{path} holds {there}; the method needs at least two. Files: {_shown(files)}. Names such as B02.tif, "
        f"T30TXX_20200101_B02_10m.jp2 or blue.tif are understood.{way_out}"
    )


def _shown(files: list[Path]) -> str:
    names = [item.name for item in files]
    return ", ".join(names[:10]) + (", …" if len(names) > 10 else "") if names else "none"
