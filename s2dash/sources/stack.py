"""A scene in one file whose bands say, or are told, what they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from s2dash.bands import parse_band
from s2dash.errors import DuplicateBandsError, SceneError, TooFewBandsError, UnnamedBandsError
from s2dash.sources.header import Layer, RasterFile, inspect_raster
from s2dash.sources.layout import SKIP, BandNames, Layout, checked_name, listed_bands, split_layers, tagged_radiometry
from s2dash.sources.product import find_day, find_product, tagged_day

_GENERIC = frozenset({"scene", "stack", "image", "bands", "reflectance", "s2", "sentinel2"})


def stack_layout(path: Path, *, bands: BandNames | None = None) -> Layout:
    """Find the bands of a raster stack.

    Args:
        path: A GeoTIFF, JP2 or any other raster GDAL reads.
        bands: Names where the file has none, or wrong ones: by place (from 1) or description, or a list as long as
            the file has bands, with `-` for those to leave out.

    Raises:
        NotARasterError: If it cannot be read.
        UnnamedBandsError: If bands have no names and none were given.
        DuplicateBandsError: If two bands have the same name.
        TooFewBandsError: If it has one band only.
    """
    file = inspect_raster(path)
    if file.count == 1:
        raise TooFewBandsError(
            f"{path} has one band; the method needs at least two of the ten it uses. Give a stack of bands, or a "
            "folder with one file a band."
        )
    names = _given(file, bands) if bands is not None else [parse_band(text) for text in file.descriptions]
    if bands is None and sum(name is not None for name in names) < 2:
        raise UnnamedBandsError(_ask_for_names(file))
    found: dict[str, Layer] = {}
    for index, name in enumerate(names, start=1):
        if name is None:
            continue
        if name in found:
            raise DuplicateBandsError(
                f"Bands {found[name].index} and {index} of {path} are both called {name}. Say which is which with "
                f"--bands, one name a band in the file's order, '-' for those to leave out."
            )
        found[name] = Layer(name, file, index)
    layers, scl, notes = split_layers(found)
    ignored = [
        text or f"band {i}"
        for i, (name, text) in enumerate(zip(names, file.descriptions, strict=True), 1)
        if name is None
    ]
    if ignored and bands is None:
        notes += (f"Ignored, since they name no Sentinel-2 band: {', '.join(ignored)}.",)
    product = find_product([path.stem, *file.tags.values(), path.parent.name])
    day = find_day([product]) or find_day([path.stem])
    if day is None and (tagged := tagged_day(file.tags)) is not None:
        day, tag = tagged
        notes += (f"The date is from the tag {tag}.",) if tag == "TIFFTAG_DATETIME" else ()
    declared, remark = tagged_radiometry(layers)
    return Layout(
        layers=layers,
        scl=scl,
        title=f"{path.parent.name} {path.stem}" if path.stem.lower() in _GENERIC else path.stem,
        declared=declared,
        acquired=day,
        product=product,
        notes=notes + remark,
    )


def _given(file: RasterFile, bands: BandNames) -> list[str | None]:
    if isinstance(bands, Mapping):
        return _from_mapping(file, bands)
    if isinstance(bands, str):
        raise SceneError(f"Give the bands as a list such as ['B02', 'B03'], not as the text {bands!r}.")
    if len(bands) != file.count:
        raise SceneError(
            f"{len(bands)} band names were given for the {file.count} bands of {file.path}. Give one for each, in the "
            "file's order, with '-' for those to leave out."
        )
    return [None if text.strip() in SKIP else checked_name(text) for text in bands]


def _from_mapping(file: RasterFile, bands: Mapping[int | str, str]) -> list[str | None]:
    names: list[str | None] = [None] * file.count
    for key, text in bands.items():
        if isinstance(key, int) or key.isdecimal():
            index = int(key)
            if not 1 <= index <= file.count:
                raise SceneError(f"{file.path} has bands 1 to {file.count}, not {index}.")
        elif key in file.descriptions:
            index = file.descriptions.index(key) + 1
        else:
            raise SceneError(f"No band of {file.path} is described as {key!r}; there are: {_described(file)}.")
        names[index - 1] = None if text.strip() in SKIP else checked_name(text)
    return names


def _described(file: RasterFile) -> str:
    shown = [f"{index} {text!r}" if text else f"{index} (no name)" for index, text in enumerate(file.descriptions, 1)]
    return ", ".join(shown[:20]) + (", …" if len(shown) > 20 else "")


def _ask_for_names(file: RasterFile) -> str:
    usual = ["B02", "B03", "B04", "B08", "B05", "B06", "B07", "B8A", "B11", "B12"]
    example = [parse_band(text) or "" for text in file.descriptions]
    rest = iter([name for name in usual if name not in example])
    example = [name or next(rest, "-") for name in example]
    return (
        f"{file.path} does not say which Sentinel-2 band each of its {file.count} bands is: {_described(file)}. "
        f"Say it in the file's order, '-' for a band to leave out, for example: --bands {','.join(example)} "
        f"(in Python: bands={example}). Names: {listed_bands()}."
    )
