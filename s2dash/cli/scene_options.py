"""Options that say which scene to read and how."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from s2dash.area import AreaOfInterest
from s2dash.errors import SceneError
from s2dash.masking import MaskRule
from s2dash.progress import Progress
from s2dash.sources.request import SceneRequest
from s2dash.sources.stac.catalogues import known_catalogues

_FETCH = ("start", "end", "catalogue", "max_cloud", "composite")
"""Options that only matter where the scene is fetched."""
_MAX_CLOUD = 60.0
"""Greatest cloud cover, percent, unless told otherwise: as `fetch` has it."""


def add_scene_options(parser: argparse.ArgumentParser, *, fetch: bool = False) -> None:
    """Add the scene and how to read it.

    Args:
        parser: Of the command.
        fetch: Whether the scene may be left out, and is then fetched from a catalogue.
    """
    parser.add_argument(
        "scene",
        metavar="SCENE",
        nargs="?" if fetch else None,
        help="a GeoTIFF stack, a folder of one-band files, an unpacked .SAFE folder, or simulated:size=512,seed=0"
        + ("; without one, --bbox or --area with --start and --end fetch one" if fetch else ""),
    )
    parser.set_defaults(**dict.fromkeys(_FETCH))
    group = parser.add_argument_group("reading the scene")
    group.add_argument("--scl", type=Path, metavar="FILE", help="scene classification in a file of its own")
    group.add_argument("--bands", metavar="B02,B03,…", help="names of the bands, in file order, where it names none")
    group.add_argument(
        "--offset",
        default="auto",
        metavar="auto|NUMBER",
        help="added to the reflectance: -0.1 for numbers that still carry +1000 (default: found out)",
    )
    group.add_argument(
        "--scale", default="auto", metavar="auto|NUMBER", help="reflectance per number (default: found out)"
    )
    group.add_argument("--mask-dark", action="store_true", help="mask SCL class 2 too (hurts water and shaded forest)")
    group.add_argument("--mask-unclassified", action="store_true", help="mask SCL class 7 too")
    group.add_argument("--mask-snow", action="store_true", help="mask SCL class 11 too (removes snow from the map)")
    where = group.add_mutually_exclusive_group()
    where.add_argument(
        "--area",
        type=Path,
        metavar="FILE",
        help="use only the pixels under the polygons of this file: GeoJSON, GeoPackage, KML",
    )
    where.add_argument(
        "--bbox",
        metavar="W,S,E,N",
        help="use only the pixels in this box, degrees: west,south,east,north; write --bbox=-70,… if it begins with -",
    )
    if fetch:
        _add_fetch_options(parser)


def _add_fetch_options(parser: argparse.ArgumentParser) -> None:
    known = ", ".join(known_catalogues())
    group = parser.add_argument_group("fetching the scene, where none is named (`fetch` has more options)")
    group.add_argument("--start", metavar="DAY", help="first day, e.g. 2023-06-01")
    group.add_argument("--end", metavar="DAY", help="last day, included")
    group.add_argument(
        "--catalogue", metavar="NAME|ADDRESS", help=f"{known} (the first by default), or an address of another one"
    )
    group.add_argument("--max-cloud", type=float, metavar="PERCENT", help=f"default {_MAX_CLOUD:g}")
    group.add_argument(
        "--composite", choices=("none", "median", "best"), help="of all clear looks; by default the clearest image"
    )


def request_from(options: argparse.Namespace, progress: Progress | None = None) -> SceneRequest:
    """The scene the options name, or, where they name none, one that is fetched.

    Args:
        options: What was typed.
        progress: Told about the fetching.

    Raises:
        SceneError: If a number is none, or neither a scene nor an area with dates is named.
        AreaError: If the area is none.
        ImageryError: If there is no image, or it cannot be fetched.
    """
    if options.scene is None:
        return _fetched(options, progress)
    given = [f"--{name.replace('_', '-')}" for name in _FETCH if getattr(options, name) is not None]
    if given:
        raise SceneError(
            f"{', '.join(given)} and the scene {options.scene} do not go together: leave out the scene to have one "
            "fetched, or leave out these options to use it."
        )
    return SceneRequest(
        options.scene,
        scl=str(options.scl) if options.scl else "",
        bands=tuple(name.strip() for name in options.bands.split(",")) if options.bands else (),
        offset=_number(options.offset, "--offset"),
        scale=_number(options.scale, "--scale"),
        mask=MaskRule(options.mask_dark, options.mask_unclassified, options.mask_snow),
        area=_area(options),
    )


def _fetched(options: argparse.Namespace, progress: Progress | None) -> SceneRequest:
    """Fetch the scene of an area; a box is taken as it is, an outline cuts it."""
    area = _area_of(options)
    if area is None or options.start is None or options.end is None:
        raise SceneError(
            "There is no scene. Name one, or say where and when to fetch one: --bbox or --area, with --start and --end."
        )
    given = {"--scl": options.scl, "--bands": options.bands}
    given |= {f"--{name}": getattr(options, name) != "auto" for name in ("offset", "scale")}
    if any(given.values()):
        raise SceneError(
            f"{', '.join(name for name, value in given.items() if value)}: a scene that is fetched says itself how it "
            "is read. Leave this out."
        )
    from s2dash.sources.stac.fetch import fetch_scene

    mask = MaskRule(options.mask_dark, options.mask_unclassified, options.mask_snow)
    made = fetch_scene(
        area,
        options.start,
        options.end,
        source=options.catalogue or next(iter(known_catalogues())),
        max_cloud=_MAX_CLOUD if options.max_cloud is None else options.max_cloud,
        composite=options.composite or "none",
        season=bool(options.season),
        mask=mask,
        progress=progress,
    )
    return SceneRequest(str(made.path), mask=mask, area=None if options.bbox else area.geojson)


def _area(options: argparse.Namespace) -> dict[str, Any] | None:
    area = _area_of(options)
    return None if area is None else area.geojson


def _area_of(options: argparse.Namespace) -> AreaOfInterest | None:
    if options.bbox:
        return AreaOfInterest.from_text(options.bbox)
    if options.area:
        from s2dash.area_files import read_area

        return read_area(options.area)
    return None


def _number(text: str, option: str) -> Any:
    if text == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError as error:
        raise SceneError(f"{option} should be a number or `auto`, not {text!r}.") from error
