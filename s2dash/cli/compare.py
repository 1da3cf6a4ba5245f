"""`compare`: clustering strategies side by side on one scene."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from s2dash.cli.map_options import add_map_options, add_reference_options, map_settings, names_in, reference_from
from s2dash.cli.output import Console, add_output_options, folder, share_text
from s2dash.cli.scene_options import add_scene_options, request_from
from s2dash.clustering import METHODS, method_entry
from s2dash.clustering.methods import Value
from s2dash.clustering.sam_weights import fetch_first
from s2dash.errors import ClusteringError, WeightsError
from s2dash.export.folder import output_folder
from s2dash.study import (
    STUDY_FILES,
    Study,
    build_strategies,
    check_study_folder,
    compare_strategies,
    parse_ks,
    write_tables,
)


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("compare", help="compare clustering strategies on one scene")
    add_scene_options(parser)
    parser.add_argument("--out", type=folder, metavar="DIR", help="folder for study.json, study.csv and study.html")
    what = parser.add_argument_group("what is compared")
    what.add_argument("--methods", default="all", metavar="A,B,…", help=f"all, or some of {', '.join(METHODS)}")
    what.add_argument("--k", default="8,12,20", metavar="K,K,…", help="numbers of clusters (default 8,12,20)")
    what.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="METHOD.NAME=VALUE",
        help="a setting of a method's own, e.g. dbscan.eps=0.4; `python -m s2dash methods` lists them",
    )
    shared = parser.add_argument_group("what they share")
    add_map_options(shared)
    add_reference_options(parser)
    add_output_options(parser)
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace, console: Console) -> None:
    """Compare, write and show."""
    own = options_by_method(options.option)
    reference, request = reference_from(options), request_from(options)
    base = map_settings(options, request.load())
    strategies = build_strategies(names_in(options.methods), parse_ks(options.k), base=base, options=own)
    if options.out is None:
        show(compare_strategies(request, strategies, reference=reference, progress=console), console)
        return
    check_study_folder(options.out)
    with output_folder(options.out, owns=STUDY_FILES) as staging:
        study = compare_strategies(request, strategies, reference=reference, progress=console)
        write_tables(study, staging)
        from s2dash.dashboard.study_figures import study_page

        (staging / "study.html").write_text(study_page(study), "utf-8")
    show(study, console, out=options.out)


def options_by_method(pairs: Sequence[str]) -> dict[str, dict[str, Value]]:
    """Settings of methods given as `method.name=value`, by method.

    Raises:
        ClusteringError: If one is not of that form, unknown or out of range.
        WeightsError: If one asks to fetch weights.
    """
    found: dict[str, dict[str, Value]] = {}
    for pair in pairs:
        place, equals, value = pair.partition("=")
        method, dot, name = place.strip().partition(".")
        if not (equals and dot and name):
            raise ClusteringError(f"--option {pair} is not of the form METHOD.NAME=VALUE, e.g. dbscan.eps=0.4.")
        found.setdefault(method, {})[name] = method_entry(method).check_options({name: value.strip()})[name]
    if (own := found.get("sam", {})).get("download"):
        raise WeightsError(fetch_first(str(method_entry("sam").check_options(own)["weights"])))
    return found


def show(study: Study, console: Console, *, out: Path | None = None) -> None:
    """Print what was found."""
    files = [] if out is None else list(STUDY_FILES)
    console.result({**study.to_json(), "out": None if out is None else str(out), "files": files})
    headings = ["method", "K", "found", "seconds", "peak MiB", "silhouette"]
    headings += ["ceiling", "reached"] if study.compared else []
    rows = []
    for place, result in enumerate(study.results):
        own = [f"{name}={value}" for name, value in result.settings.options.items()]
        row = [" ".join([result.settings.method, *own]), str(result.k or "–"), _count(result.clusters)]
        row += [_number(result.seconds, 2), _number(result.peak_mib, 0)]
        row.append(_marked(result.silhouette, place in study.best("silhouette")))
        if study.compared:
            for name in ("ceiling", "reached"):
                scores = getattr(result, name)
                row.append(_marked(scores.overall if scores else None, place in study.best(name)))
        rows.append(row)
    console.table(f"Strategies on {study.scene['title']}", headings, rows)
    said: dict[str, list[str]] = {}
    for result in study.results:
        for text in (*result.notes, *filter(None, [result.error])):
            said.setdefault(text, []).append(result.title)
    for text, titles in said.items():
        console.line(f"{'; '.join(titles)}: {text}")
    console.line("* the best. Seconds: from the opened scene to the cluster map; peak: of the strategy's own process.")
    if study.reference is not None:
        console.line(
            f"Agreement with {study.reference['title']}. Ceiling: what the clusters would reach with the best name "
            "each; reached: with the names the rules gave."
        )
        if not study.simulated:  # simulated truth has no errors of its own
            console.line(str(study.reference["caution"]))
    else:
        console.line("No reference was given (--reference), so there are neither ceilings nor agreement.")
    if study.simulated:
        console.line("The scene is simulated: not a real place.")
    if out is not None:
        console.line(f"Written to {out}: {', '.join(files)}")


def _marked(value: float | None, best: bool) -> str:
    return share_text(value) + (" *" if best else "")


def _count(value: int | None) -> str:
    return "–" if value is None else str(value)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
