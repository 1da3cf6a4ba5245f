"""`cards`: what a model is shown of each cluster, as files, so that anyone can ask any model by hand."""

from __future__ import annotations

import argparse
from typing import Any

from s2dash.annotation.card_style import DEFAULT_STYLE, card_style, load_card_styles
from s2dash.annotation.pack import TEMPLATE, pack_files, write_pack
from s2dash.cli.output import Console, add_output_options, folder
from s2dash.cli.run_options import add_run_option, named_run
from s2dash.errors import OutputError
from s2dash.export.folder import output_folder


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("cards", help="write what a model is shown of each cluster, to ask it by hand")
    add_run_option(parser)
    names = ", ".join(load_card_styles())
    parser.add_argument("--style", default=DEFAULT_STYLE, help=f"card style: {names} (default {DEFAULT_STYLE})")
    parser.add_argument(
        "--cluster", type=int, action="append", metavar="N", help="only this cluster; may be given several times"
    )
    parser.add_argument("--out", type=folder, required=True, metavar="DIR", help="folder for the pack")
    add_output_options(parser)
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace, console: Console) -> None:
    """Write the pack."""
    style = card_style(options.style)
    run = named_run(options)
    owned = pack_files(options.out)
    questions = run.questions(style=style.label, only=options.cluster, progress=console)
    with output_folder(options.out, owns=owned) as staging:
        written = [str(path.relative_to(staging)) for path in write_pack(staging, questions)]
        strangers = sorted(name for name in written if (options.out / name).exists() and name not in owned)
        if strangers:
            raise OutputError(
                f"{options.out} holds {', '.join(strangers)}, which no pack of this program put there and a pack would "
                "replace. Choose another folder, or move what is there away."
            )
    clusters = [question.card.cluster for question in questions]
    console.result({"out": str(options.out), "style": style.label, "clusters": clusters, "files": written})
    console.line(
        f"{len(questions)} questions in the style {style.label} are in {options.out}, with README.txt. Answer them in "
        f"a copy of {TEMPLATE}, then: python -m s2dash answers {options.run} answers.json --as NAME"
    )
