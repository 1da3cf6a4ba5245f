"""`points`: reference points of a run, brought from a file, taken away as one, or compared with the map."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from s2dash.cli.output import Console, add_output_options
from s2dash.cli.run_options import add_run_option, named_run
from s2dash.errors import CorrectionError
from s2dash.given_corrections import give_correction, write_points
from s2dash.pipeline import RunResult
from s2dash.point_agreement import point_agreement
from s2dash.point_files import read_points
from s2dash.reference_points import file_edit, reference_points


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("points", help="reference points of a run: add, write, compare with the map")
    add_run_option(parser)
    parser.add_argument(
        "--add", type=Path, metavar="FILE", help="CSV, GeoJSON or GeoPackage of points with a class, WGS 84"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write all points, as .geojson, .csv or .gpkg")
    parser.add_argument("--why", default="", metavar="TEXT", help="where added points are from, for the history")
    parser.add_argument("--as", dest="who", default="", metavar="NAME", help="who adds them (default: your account)")
    add_output_options(parser)
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace, console: Console) -> None:
    """Add, write, compare."""
    from s2dash.kept_runs import person

    run = named_run(options)
    result, scheme = run.result, run.result.legend.scheme
    added = left = 0
    if options.add is not None:
        try:
            content = options.add.read_bytes()
        except OSError as error:
            raise CorrectionError(f"{options.add} cannot be read: {error.strerror or error}.") from error
        points = read_points(content, options.add.name, scheme=scheme)
        edit, left = file_edit(
            points,
            file=options.add.name,
            grid=result.clusters.grid,
            scheme=scheme,
            who=options.who or person(),
            why=options.why,
        )
        added = len(points) - left
        result = give_correction(run, edit)
    points = reference_points(result.map_edits, scheme=scheme)
    if options.out is not None:
        if not points:
            raise CorrectionError("The run has no reference points to write. Add some with --add, or on the pages.")
        write_points(points, options.out, scheme=scheme)
    said = _compared(result, console)
    console.result(
        {
            "points": len(points),
            "added": added,
            "outside": left,
            "out": str(options.out) if options.out else None,
            "agreement_with_points": said,
        }
    )
    if added:
        console.line(f"{added} points added" + (f", {left} outside the map left out." if left else "."))
    if options.out is not None:
        console.line(f"{len(points)} points written to {options.out}.")


def _compared(result: RunResult, console: Console) -> dict[str, Any] | None:
    """Agreement with the points that people chose; those drawn by chance need weights and are not among them."""
    chosen = [
        point for point in reference_points(result.map_edits, scheme=result.legend.scheme) if point.origin != "sample"
    ]
    if not chosen:
        console.line("There are no reference points that people chose.")
        return None
    found = point_agreement(result.landcover, chosen)
    scheme, confusion = result.legend.scheme, found.confusion
    names = [scheme[code].name for code in confusion.codes]
    console.table(
        f"Agreement with {found.n} points: {found.overall:.3f}",
        ["points say / the map says", *names, "not decided"],
        [
            [name, *map(str, row), str(undecided)]
            for name, row, undecided in zip(names, confusion.matrix, confusion.undecided, strict=True)
        ],
    )
    console.line("People chose these places, so the figure is about them and not about the whole map.")
    return found.to_json()
