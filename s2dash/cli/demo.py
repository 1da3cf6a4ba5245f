"""`demo`: a simulated scene and its map, with no key and no network."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from s2dash.cli.output import Console, add_output_options, folder
from s2dash.cli.run import show
from s2dash.demo import DEMO_FILES, DEMO_SEED, DEMO_SETTINGS, DEMO_SIZE, made_by_demo, make_demo_scene
from s2dash.export.folder import output_folder
from s2dash.export.run_files import earlier_files, write_run
from s2dash.pipeline import run_chain
from s2dash.plain_runs import refuse_to_lose
from s2dash.progress import Stage


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("demo", help="simulate a scene, map it and check the map against the simulated truth")
    parser.add_argument("--out", type=folder, required=True, metavar="DIR", help="folder for the scene and the results")
    parser.add_argument("--size", type=int, default=DEMO_SIZE, help="side of the scene, pixels (default 512)")
    parser.add_argument("--seed", type=int, default=DEMO_SEED, help="same seed, same landscape")
    add_output_options(parser)
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace, console: Console) -> None:
    """Simulate, write, run."""
    owned = earlier_files(options.out, also=[name for name in DEMO_FILES if not made_by_demo(options.out / name)])
    refuse_to_lose(options.out)
    request, reference = make_demo_scene(
        options.out, size=options.size, seed=options.seed, progress=Stage(console, 0.0, 0.3)
    )
    recorded = (options.size, options.seed) == (DEMO_SIZE, DEMO_SEED)
    settings = DEMO_SETTINGS if recorded else replace(DEMO_SETTINGS, annotators=("rules",))
    result = run_chain(
        request.load(), settings, reference=reference, request=request, progress=Stage(console, 0.3, 1.0)
    )
    with output_folder(options.out, owns=owned) as staging:
        refuse_to_lose(options.out)  # somebody may have been at work meanwhile
        result = replace(result, name="demo")
        written = [path.name for path in write_run(result, staging, beside=DEMO_FILES)]
    show(result, console, out=options.out, files=[*DEMO_FILES, *written])
