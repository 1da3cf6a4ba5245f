"""Corrections and points by a command: kept with the run whose files follow, and written where somebody asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from s2dash.errors import CorrectionError
from s2dash.export.folder import output_folder
from s2dash.map_edit import MapEdit
from s2dash.pipeline import RunResult
from s2dash.plain_runs import change_run
from s2dash.point_files import FORMATS, points_csv, points_geojson, points_geopackage
from s2dash.reference_points import ReferencePoint
from s2dash.schemes import ClassScheme

if TYPE_CHECKING:
    from s2dash.named_run import NamedRun


def give_correction(run: NamedRun, edit: MapEdit) -> RunResult:
    """Keep a correction with a run; of one in a plain folder all files are written anew, all or none.

    Args:
        run: The run.
        edit: What was corrected.

    Returns:
        The run as it is then.

    Raises:
        OutputError: If the folder cannot be written.
        StoreError: If the workspace cannot be written.
    """
    if run.workspace is not None:
        run.workspace.change_map(run.run_id, edit)
        return run.workspace.open_run(run.run_id)

    def corrected(now: RunResult) -> RunResult:
        last = max((one.seq for one in now.map_edits), default=0)
        return replace(now, map_edits=(*now.map_edits, replace(edit, seq=last + 1)))

    return change_run(run.folder, run.result, corrected)


def write_points(points: Iterable[ReferencePoint], path: Path, *, scheme: ClassScheme) -> None:
    """Write the points, in the format that the ending of the file's name says.

    Raises:
        CorrectionError: If the ending is not one of GeoJSON, CSV and GeoPackage.
        OutputError: If the file cannot be written.
    """
    ending = path.suffix.lower().removeprefix(".")
    if ending not in FORMATS:
        raise CorrectionError(f"Points cannot be written as {path.name}: call it .geojson, .csv or .gpkg.")
    if ending == "gpkg":
        content = points_geopackage(points, scheme)
    else:
        content = (points_csv if ending == "csv" else points_geojson)(points, scheme).encode()
    with output_folder(path.absolute().parent) as staging:
        (staging / path.name).write_bytes(content)
