"""`correct`: set the class inside an area of a run's map."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from s2dash.cli.output import Console, add_output_options
from s2dash.cli.run import show_agreement
from s2dash.cli.run_options import add_run_option, named_run
from s2dash.corrections import area_edit, preview_area
from s2dash.errors import CorrectionError
from s2dash.given_corrections import give_correction
from s2dash.point_files import class_code
from s2dash.schemes import UNDECIDED


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("correct", help="set the class inside an area of a map")
    add_run_option(parser)
    parser.add_argument(
        "--area", type=Path, required=True, metavar="FILE.geojson", help="polygons in longitude and latitude (WGS 84)"
    )
    parser.add_argument(
        "--class", dest="klass", required=True, metavar="NAME", help="what is there: a class's name, key or code"
    )
    parser.add_argument("--why", default="", metavar="TEXT", help="the reason, for the history")
    parser.add_argument("--as", dest="who", default="", metavar="NAME", help="who says so (default: your account)")
    add_output_options(parser)
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace, console: Console) -> None:
    """Set the class, write the run again."""
    from s2dash.kept_runs import person

    run = named_run(options)
    before = run.result.landcover
    code = class_code(options.klass, before.scheme)
    try:
        geometry = json.loads(options.area.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise CorrectionError(f"{options.area} is no GeoJSON file that can be read: {error}.") from error
    edit = area_edit(geometry, code, landcover=before, who=options.who or person(), why=options.why)
    found = preview_area(geometry, before)
    result = give_correction(run, edit)
    scheme = before.scheme
    names = {code: scheme[code].name for code in scheme.codes} | {UNDECIDED: "not decided"}
    console.result(
        {
            "class": scheme[code].key,
            "pixels": found.pixels,
            "hectares": found.hectares,
            "before_ha": {names[one]: area for one, area in found.classes.items()},
            "agreement": result.agreement.to_json() if result.agreement else None,
        }
    )
    console.table(
        f"Now {scheme[code].name}: {found.pixels} pixels, {found.hectares:,.2f} ha",
        ["what the map said", "ha"],
        [[names[one], f"{area:,.2f}"] for one, area in found.classes.items()],
    )
    if result.agreement:
        show_agreement(result.agreement.to_json(), console)
    console.line(f"Written to {run.folder}.")
