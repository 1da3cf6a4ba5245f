"""Options that say which scene to read and how."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from s2dash.errors import SceneError
from s2dash.masking import MaskRule
from s2dash.sources.request import SceneRequest


def add_scene_options(parser: argparse.ArgumentParser) -> None:
    """Add the scene and how to read it."""
    parser.add_argument(
        "scene",
        metavar="SCENE",
        help="a GeoTIFF stack, a folder of one-band files, an unpacked .SAFE folder, or simulated:size=512,seed=0",
    )
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


def request_from(options: argparse.Namespace) -> SceneRequest:
    """The scene the options name.

    Raises:
        SceneError: If a number is none.
    """
    return SceneRequest(
        options.scene,
        scl=str(options.scl) if options.scl else "",
        bands=tuple(name.strip() for name in options.bands.split(",")) if options.bands else (),
        offset=_number(options.offset, "--offset"),
        scale=_number(options.scale, "--scale"),
        mask=MaskRule(options.mask_dark, options.mask_unclassified, options.mask_snow),
    )


def _number(text: str, option: str) -> Any:
    if text == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError as error:
        raise SceneError(f"{option} should be a number or `auto`, not {text!r}.") from error
