"""`run`: from a scene to a labelled, checked map."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from s2dash.annotation.file_book import FileBook, default_book
from s2dash.annotation.registry import is_local
from s2dash.cli.map_options import (
    add_annotator_options,
    add_map_options,
    add_reference_options,
    map_settings,
    names_in,
    reference_from,
)
from s2dash.cli.output import Console, add_output_options, folder, share_text
from s2dash.cli.scene_options import add_scene_options, request_from
from s2dash.clustering import METHODS, method_entry
from s2dash.clustering.methods import Value
from s2dash.errors import ClusteringError
from s2dash.export.folder import output_folder
from s2dash.export.run_files import earlier_files, write_run
from s2dash.names import check_run_name
from s2dash.pipeline import RunResult, RunSettings, run_chain
from s2dash.plain_runs import refuse_to_lose
from s2dash.scene import Scene
from s2dash.scheduler import SCHEDULER, using_scheduler


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("run", help="make a land-cover map of a scene and compare it with a reference")
    add_scene_options(parser, fetch=True)
    parser.add_argument("--out", type=folder, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--name", default="", help="what to call the run")
    method = parser.add_argument_group("clusters and names")
    add_map_options(method)
    method.add_argument("--method", default="kmeans", choices=tuple(METHODS), help="clustering method")
    method.add_argument("--k", type=k_value, default=12, help="number of clusters (default 12), or auto")
    method.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the method's own, e.g. eps=0.4; `python -m s2dash methods` lists them",
    )
    method.add_argument("--model", type=Path, metavar="FILE", help="apply the model.npz of another run; fits none")
    add_annotator_options(parser)
    add_reference_options(parser)
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help=f"label the blocks on the dask cluster at this address, e.g. tcp://10.0.0.5:8786 (default: ${SCHEDULER})",
    )
    add_output_options(parser)
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace, console: Console) -> None:
    """Run the chain and write its files."""
    name = check_run_name(options.name) if options.name else ""
    reference = reference_from(options)
    with output_folder(options.out, owns=earlier_files(options.out)) as staging:
        refuse_to_lose(options.out)
        request = request_from(options, console)
        scene = request.load()
        settings = settings_from(options, scene)
        paid = any(not is_local(annotator) for annotator in settings.annotators)
        book = FileBook(default_book()) if paid else None  # what models answer is kept, whatever becomes of the run
        with using_scheduler(options.scheduler):
            result = run_chain(scene, settings, reference=reference, request=request, book=book, progress=console)
        result = replace(result, name=name)
        written = [path.name for path in write_run(result, staging)]
    show(result, console, out=options.out, files=written)


def settings_from(options: argparse.Namespace, scene: Scene) -> RunSettings:
    """The run of a scene that the options ask for."""
    return replace(
        map_settings(options, scene),
        method=options.method,
        k=options.k,
        annotators=names_in(options.annotators),
        style=options.style,
        budget=options.budget,
        voting=options.voting,
        options=options_from(options.option, method=options.method),
        model=str(options.model or ""),
    )


def options_from(pairs: Sequence[str], *, method: str) -> dict[str, Value]:
    """Settings of a method given as `name=value`.

    Raises:
        ClusteringError: If one is not of that form, unknown or out of range.
    """
    for pair in pairs:
        if "=" not in pair:
            raise ClusteringError(f"--option {pair} is not of the form NAME=VALUE, e.g. eps=0.4.")
    given = {name.strip(): value.strip() for name, _, value in (pair.partition("=") for pair in pairs)}
    checked = method_entry(method).check_options(given)
    return {name: checked[name] for name in given}


def k_value(text: str) -> int | Literal["auto"]:
    """A number of clusters, or `auto`; whether the number makes sense is found out later."""
    if text == "auto":
        return "auto"
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a whole number nor auto") from error


def show(result: RunResult, console: Console, *, out: Path, files: list[str]) -> None:
    """Print what the run made."""
    legend = result.legend
    areas = result.landcover.area_ha()
    report = result.agreement.to_json() if result.agreement else None
    console.result({**result.to_json(), "out": str(out), "files": files, "agreement": report, "queue": legend.queue})
    rows = []
    for cluster, entry in legend.entries.items():
        answer = max(entry.answers, key=lambda given: given.confidence, default=None)
        rows.append(
            [
                str(cluster),
                "not decided" if entry.code is None else legend.scheme[entry.code].name,
                f"{entry.confidence:.2f}",
                f"{result.cards[cluster].area_ha:.1f}",
                "; ".join(answer.evidence) if answer else "",
            ]
        )
    console.table("Clusters", ["cluster", "class", "confidence", "hectares", "why"], rows)
    console.table(
        "Land cover", ["class", "hectares"], [[legend.scheme[code].name, f"{area:.1f}"] for code, area in areas.items()]
    )
    if report:
        show_agreement(report, console)
    for note in result.scene.get("notes", result.clusters.notes):
        console.line(str(note))
    if result.scene.get("kind") == "simulated":
        console.line("The scene is simulated: not a real place.")
    console.line(f"Written to {out}: {', '.join(files)}")


def show_agreement(report: Mapping[str, Any], console: Console) -> None:
    """Print the scores next to their ceiling."""
    scores = {"overall": "overall agreement", "kappa": "kappa", "macro_f1": "macro F1", "miou": "mean IoU"}
    console.table(
        f"Agreement with {report['reference']['title']}",
        ["", "reached", "ceiling"],
        [[title, share_text(report[key]), share_text(report["ceiling"][key])] for key, title in scores.items()],
    )
    console.line(f"Compared on {report['n']:,} pixels, {100 * report['coverage']:.3g} % of the scene.")
    console.line(report["caution"])
