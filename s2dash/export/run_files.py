"""A run as files: what `run --out` writes, and what the workspace keeps of every run."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from s2dash.annotation.answer import ClusterCard
from s2dash.annotation.legend import Legend
from s2dash.annotation.second_look import RoundReport
from s2dash.cluster_state import ClusterState
from s2dash.clustering.methods import PRODUCTS
from s2dash.clustering.model import ClusterMap
from s2dash.clustering.quality import ClusterQuality
from s2dash.colours import file_cluster_colours, file_scheme_colours
from s2dash.edit_history import EditHistory
from s2dash.errors import GridMismatchError, OutputError, StoreError
from s2dash.export.cog import read_labels, write_class_cog, write_number_cog
from s2dash.export.folder import write_json
from s2dash.map_edit import MapEdit, in_force
from s2dash.map_values import unknown_from_json
from s2dash.pipeline import ReferenceSettings, RunResult, RunSettings
from s2dash.point_files import POINTS_FILE, points_collection
from s2dash.reference import Reference
from s2dash.reference_points import reference_points
from s2dash.schemes import UNDECIDED, ClassScheme

CLUSTERS, LANDCOVER, REFERENCE = "clusters.tif", "landcover.tif", "reference.tif"
"""Rasters of a run, Cloud-Optimized GeoTIFF."""
LEGEND, AGREEMENT, RUN, CARDS = "legend.json", "agreement.json", "run.json", "clusters.json"
QUALITY = "quality.json"
"""Tables of a run."""
MODEL = "model.npz"
"""The fitted model of a run."""
PRODUCT_FILES = {name: f"{name}.tif" for name in PRODUCTS}
"""Rasters of numbers that some methods make besides."""
RASTERS = (CLUSTERS, LANDCOVER, REFERENCE, *PRODUCT_FILES.values())
"""All rasters of a run."""
RUN_FILES = (
    *RASTERS,
    *(f"{raster}.aux.xml" for raster in RASTERS),
    *(LEGEND, AGREEMENT, RUN, CARDS, QUALITY, MODEL, POINTS_FILE),
)
"""All a run may write: what a new run in the same folder replaces, or removes where it has none of it."""


def earlier_files(folder: Path, *, also: Iterable[str] = ()) -> frozenset[str]:
    """What an earlier run left in a folder, and a new one may therefore replace or remove.

    A person's own `reference.tif` may well lie where the results are to go: it must be neither replaced by ours nor
    removed because the new run has none.

    Args:
        folder: Where results are to go; need not be there.
        also: Names of other files that will be written there, besides `RUN_FILES`.

    Raises:
        OutputError: If a file of such a name is there that no run made.
    """
    try:
        record = json.loads((folder / RUN).read_text("utf-8"))
        made = {RUN, *record["files"]} if "s2dash" in record["versions"] else set()
    except (OSError, ValueError, KeyError, TypeError):
        made = set()
    present = {name for name in (*RUN_FILES, *also) if os.path.lexists(folder / name)}
    strangers = sorted(name for name in present if name.removesuffix(".aux.xml") not in made)
    if strangers:
        raise OutputError(
            f"{folder} holds {', '.join(strangers)}, which no run of this program made and a run would replace. Choose "
            "another folder for the results, or move what is there away."
        )
    return frozenset(RUN_FILES) & present


STATES = "versions"
"""Folder in a run's own folder that keeps its clusters before and after every edit."""
_STATE = "state.json"


def write_run(result: RunResult, folder: Path, *, beside: Iterable[str] = (), kept: Collection[str] = ()) -> list[Path]:
    """Write all files of a run into an existing folder.

    To leave nothing half-written, let `folder` be the staging folder of `s2dash.export.folder.output_folder`.

    Args:
        result: The run.
        folder: Where to write.
        beside: Names of files that were made for this run and lie in the same folder.
        kept: Names of the run's own files that lie where these are going, and stay there as they are.

    Returns:
        The files a person should know of.

    Raises:
        OutputError: If a file cannot be written.
    """
    names = {
        cluster: f"{cluster}: {_class_name(result.legend, cluster)}" for cluster in sorted(result.clusters.counts())
    }
    _write_clusters(result.clusters, folder / CLUSTERS, names=names, tags=_tags(result))
    write_landcover(result, folder / LANDCOVER)
    written = [folder / CLUSTERS, folder / LANDCOVER, *(folder / name for name in kept)]
    if result.reference is not None and REFERENCE not in kept:
        scheme = result.reference.scheme
        write_class_cog(
            folder / REFERENCE,
            result.reference.codes,
            grid=result.reference.grid,
            names={cls.code: cls.name for cls in scheme.classes},
            colours={cls.code: cls.colour for cls in scheme.classes},
            tags=_reference_tags(result, result.reference),
        )
        written.append(folder / REFERENCE)
    for name, values in result.products.items():
        path = folder / PRODUCT_FILES[name]
        write_number_cog(path, values, grid=result.clusters.grid, description=PRODUCTS[name], tags=_tags(result))
        written.append(path)
    if result.saved is not None:
        result.saved.save(folder / MODEL)
        written.append(folder / MODEL)
    for name, path in result.kept_files.items():
        if name not in kept:
            shutil.copyfile(path, folder / name)
            written.append(folder / name)
    if points := reference_points(result.map_edits):
        write_json(folder / POINTS_FILE, points_collection(points, result.legend.scheme))
        written.append(folder / POINTS_FILE)
    tables = run_tables(result)
    written += [folder / name for name in tables]
    tables[RUN]["files"] = [*beside, *(path.name for path in written)]
    for name, content in tables.items():
        write_json(folder / name, content)
    return written


def write_landcover(result: RunResult, path: Path) -> None:
    """Write the named map alone, after a person changed the legend.

    Raises:
        OutputError: If it cannot be written.
    """
    scheme = result.legend.scheme
    write_class_cog(
        path,
        result.landcover.codes,
        grid=result.landcover.grid,
        names={cls.code: cls.name for cls in scheme.classes} | {UNDECIDED: "Not decided"},
        colours=file_scheme_colours(scheme),
        tags=_tags(result) | _correction_tags(result),
    )


def run_tables(result: RunResult) -> dict[str, Any]:
    """The JSON files of a run by name."""
    tables: dict[str, Any] = {
        LEGEND: result.legend.to_json(),
        RUN: result.to_json(),
        CARDS: [asdict(card) for card in result.cards.values()],
    }
    if result.agreement is not None:
        tables[AGREEMENT] = result.agreement.to_json()
    if result.quality is not None:
        tables[QUALITY] = result.quality.to_json()
    return tables


def state_folder(number: int) -> str:
    """Where, in a run's folder, its clusters after the edit of that number are kept; 0 is the fit."""
    return f"{STATES}/{number:04d}"


def write_state(state: ClusterState, folder: Path) -> None:
    """Keep the clusters of a run as they are at one moment.

    Args:
        state: The clusters.
        folder: Made if it is not there; best in the staging folder of `s2dash.export.folder.output_folder`.

    Raises:
        OutputError: If a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = {cluster: str(cluster) for cluster in sorted(state.cards)}
    _write_clusters(state.clusters, folder / CLUSTERS, names=names, tags={})
    write_json(folder / _STATE, state.to_json())


def read_state(run: Path, number: int, *, settings: Mapping[str, Any]) -> ClusterState:
    """The clusters of a run as they were kept.

    Args:
        run: The run's folder.
        number: Of the edit that made them; 0 for the clusters as they were fitted.
        settings: Of the clustering.

    Raises:
        StoreError: If files are missing or damaged.
    """
    folder = run / state_folder(number)
    try:
        labels, grid = read_labels(folder / CLUSTERS)
        clusters = ClusterMap(grid=grid, labels=labels, model=None, settings=dict(settings))
        return ClusterState.from_json(_read_json(folder / _STATE), clusters=clusters)
    except StoreError:
        raise
    except Exception as error:
        raise StoreError(
            f"The clusters of the run in {run.name} after its edit {number} cannot be read: {error}. A file in "
            f"{folder} is missing or damaged; restore the folder from a copy."
        ) from error


def read_run(folder: Path) -> RunResult:
    """A run as it was when its files were written.

    Raises:
        StoreError: If files are missing or damaged.
    """
    try:
        run = _read_json(folder / RUN)
        legend = Legend.from_json(_read_json(folder / LEGEND))
        cards = [ClusterCard(**row) for row in _read_json(folder / CARDS)]
        labels, grid = read_labels(folder / CLUSTERS)
        clusters = ClusterMap(grid=grid, labels=labels, model=None, settings=run["clustering"])
        reference = _read_reference(folder / REFERENCE, run["reference"], legend.scheme)
        if reference is not None and reference.grid != grid:
            raise GridMismatchError(f"{REFERENCE} does not lie on the grid of {CLUSTERS}.")
        chosen = run["reference"]
        return RunResult(
            settings=RunSettings.from_json(run["settings"]),
            scene=run["scene"],
            clusters=clusters,
            cards={card.cluster: card for card in cards},
            legend=legend,
            reference=reference,
            reference_settings=ReferenceSettings.from_json(chosen["asked"]) if chosen and chosen["asked"] else None,
            timings=run["timings_s"],
            started=datetime.fromisoformat(run["started"]),
            name=run.get("name", ""),
            quality=_read_quality(folder / QUALITY),
            edits=EditHistory.from_json(run.get("edits", [])),
            rounds=tuple(RoundReport.from_json(row) for row in run.get("rounds", [])),
            map_edits=tuple(MapEdit.from_json(row) for row in run.get("map_edits", [])),
            kept_files={name: folder / name for name in (MODEL, *PRODUCT_FILES.values()) if (folder / name).is_file()},
        )
    except StoreError:
        raise
    except Exception as error:
        # What Python says of a table that lacks something helps nobody.
        broken = isinstance(error, KeyError | TypeError | AttributeError | IndexError)
        why = "its tables do not hold what a run does" if broken else error
        raise StoreError(
            f"The run in {folder.name} cannot be opened: {why}. A file is missing or damaged; run it again with the "
            "settings in its run.json, or restore the folder from a copy."
        ) from error


def _write_clusters(clusters: ClusterMap, path: Path, *, names: Mapping[int, str], tags: Mapping[str, str]) -> None:
    palette = file_cluster_colours(max(names, default=1), noise=clusters.noise)
    colours = {cluster: palette[cluster] for cluster in names}
    write_class_cog(path, clusters.labels, grid=clusters.grid, names=names, colours=colours, tags=tags)


def _read_quality(path: Path) -> ClusterQuality | None:
    """How good the clusters are; None in runs made before it was measured."""
    if not path.is_file():
        return None
    return ClusterQuality.from_json(_read_json(path))


def _read_reference(path: Path, about: Mapping[str, Any] | None, scheme: ClassScheme) -> Reference | None:
    if about is None:
        return None
    codes, grid = read_labels(path)
    return Reference(
        grid=grid,
        codes=codes,
        scheme=scheme,
        title=about["title"],
        year=about["year"],
        attribution=about["attribution"],
        unknown=unknown_from_json(about["unknown_codes"]),
        overlap_percent=about["overlap_percent"],
        notes=tuple(about["notes"]),
    )


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{path.name} of the run in {path.parent.name} cannot be read: {error}.") from error


def _class_name(legend: Legend, cluster: int) -> str:
    code = legend.entries[cluster].code
    return "not decided" if code is None else legend.scheme[code].name


def _tags(result: RunResult) -> dict[str, str]:
    """What every raster says of itself."""
    scene = result.scene
    tags = {
        "TITLE": str(scene.get("title", "")),
        "SOFTWARE": f"s2dash {result.to_json()['versions']['s2dash']}",
        "ATTRIBUTION": str(scene.get("attribution", "")),
    }
    if scene.get("kind") == "simulated":
        tags["SIMULATED"] = "yes: not a real place"
    if scene.get("acquired"):
        tags["DATETIME"] = str(scene["acquired"])
    return tags


def _correction_tags(result: RunResult) -> dict[str, str]:
    """That people corrected areas of the map, where they did; each of them is in `run.json`."""
    areas = sum(edit.kind == "area" for edit in in_force(result.map_edits))
    return {"CORRECTED_AREAS": str(areas)} if areas else {}


def _reference_tags(result: RunResult, reference: Reference) -> dict[str, str]:
    """What the reference says of itself, on the grid of a scene that may be simulated."""
    tags = {name: text for name, text in _tags(result).items() if name != "DATETIME"}
    tags |= {"TITLE": reference.title, "ATTRIBUTION": reference.attribution}
    return tags | ({"YEAR": str(reference.year)} if reference.year is not None else {})
