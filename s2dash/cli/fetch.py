"""`fetch`: from an area and dates to a scene on disk."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from s2dash.area import AreaOfInterest
from s2dash.cli.output import Console, add_output_options
from s2dash.errors import AreaError, ImageryError
from s2dash.masking import MaskRule
from s2dash.progress import Stage
from s2dash.sources.stac.catalogues import find_catalogue, known_catalogues
from s2dash.sources.stac.choose import MOST_LOOKS, by_id, clearest, for_composite
from s2dash.sources.stac.fetch import FetchSettings, check_area, fetch_images
from s2dash.sources.stac.items import SceneItem
from s2dash.sources.stac.search import parse_day, search_scenes


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("fetch", help="search a catalogue and fetch a scene, or a composite, for an area")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--bbox", metavar="W,S,E,N", help="west,south,east,north in degrees (write --bbox=-70,… )")
    where.add_argument("--area", type=Path, metavar="FILE", help="a GeoJSON file with polygons")
    parser.add_argument("--start", required=True, metavar="DAY", help="first day, e.g. 2023-06-01")
    parser.add_argument("--end", required=True, metavar="DAY", help="last day, included")
    parser.add_argument("--out", type=Path, metavar="FILE.tif", help="the scene to write")
    parser.add_argument("--list", action="store_true", help="only show what there is; fetch nothing")
    search = parser.add_argument_group("search")
    search.add_argument(
        "--catalogue",
        default=next(iter(known_catalogues())),
        metavar="NAME|ADDRESS",
        help=f"{', '.join(known_catalogues())} (the first by default), or the address of any STAC catalogue",
    )
    search.add_argument("--collection", help="collection to search; by default the catalogue's own")
    search.add_argument("--max-cloud", type=float, default=60.0, metavar="PERCENT", help="default 60")
    search.add_argument("--min-coverage", type=float, default=0.0, metavar="PERCENT", help="of the area, by an image")
    search.add_argument("--item", metavar="ID", help="take this image instead of the clearest")
    make = parser.add_argument_group("composite")
    make.add_argument("--composite", default="none", choices=("none", "median", "best"), help="of all clear looks")
    make.add_argument("--most", type=int, default=MOST_LOOKS, help=f"most images of a composite (default {MOST_LOOKS})")
    make.add_argument("--season", action="store_true", help="also write statistics of the season beside the composite")
    make.add_argument("--mask-dark", action="store_true", help="SCL class 2 is no clear look")
    make.add_argument("--mask-unclassified", action="store_true", help="SCL class 7 is no clear look")
    make.add_argument("--mask-snow", action="store_true", help="SCL class 11 is no clear look")
    add_output_options(parser)
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace, console: Console) -> None:
    """Search, choose, fetch."""
    if options.out is None and not options.list:
        raise ImageryError("Say where the scene goes with --out scene.tif, or only look with --list.")
    mask = MaskRule(options.mask_dark, options.mask_unclassified, options.mask_snow)
    settings = FetchSettings(options.composite, options.season, mask=mask)
    settings.check()
    area = area_from(options)
    check_area(area)
    place = find_catalogue(options.catalogue)
    found = search_scenes(
        area,
        options.start,
        options.end,
        catalogue=place,
        collection=options.collection,
        max_cloud=options.max_cloud,
        min_coverage=options.min_coverage,
        progress=Stage(console, 0.0, 0.05),
    )
    if options.list:
        console.result({"images": [image.to_json() for image in found]})
        show_images(found, console)
        return
    if options.composite == "none":
        chosen = [by_id(found, options.item) if options.item else clearest(found)]
    else:
        chosen = for_composite(found, most=options.most)
    period = (parse_day(options.start, what="first"), parse_day(options.end, what="last"))
    made = fetch_images(
        area,
        chosen,
        source=place,
        settings=settings,
        period=period,
        out=options.out,
        progress=Stage(console, 0.05, 1.0),
    )
    scene = made.load()
    console.result(
        made.to_json() | {"radiometry": scene.radiometry.evidence, "attribution": scene.provenance.attribution}
    )
    show_images(list(made.images), console)
    for note in made.notes:
        console.line(note)
    console.line(scene.radiometry.evidence)
    console.line(
        f"{made.clear_percent:.3g} % of the pixels are seen clearly; {made.downloaded} blocks were downloaded."
    )
    console.line(
        f"{scene.provenance.attribution}. Written to {made.path}{f', {made.layers.name}' if made.layers else ''}"
    )


def area_from(options: argparse.Namespace) -> AreaOfInterest:
    """The area the options name.

    Raises:
        AreaError: If it is none.
    """
    if options.bbox:
        return AreaOfInterest.from_text(options.bbox)
    try:
        content = json.loads(options.area.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise AreaError(f"{options.area} cannot be read as GeoJSON: {error}. Save the area as GeoJSON.") from None
    if not isinstance(content, dict):
        raise AreaError(f"{options.area} holds no GeoJSON object. Save the area as GeoJSON.")
    return AreaOfInterest.from_geojson(content, title=options.area.stem)


def show_images(images: list[SceneItem], console: Console) -> None:
    """Print a table of images."""
    rows = [
        [
            image.day.isoformat(),
            image.platform or "–",
            "–" if image.cloud_percent is None else f"{image.cloud_percent:.0f}",
            f"{image.coverage_percent:.0f}",
            str(len(image.tiles)),
            image.id,
        ]
        for image in images
    ]
    console.table("Images", ["date", "satellite", "cloud %", "of the area %", "tiles", "identifier"], rows)
