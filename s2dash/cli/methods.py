"""`methods`: which clustering methods there are, and what can be chosen for each."""

from __future__ import annotations

import argparse
from typing import Any

from s2dash.cli.output import Console, add_output_options
from s2dash.clustering import METHODS, Method


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("methods", help="list the clustering methods and their settings")
    add_output_options(parser)
    parser.set_defaults(handler=handle)


def handle(_options: argparse.Namespace, console: Console) -> None:
    """List them."""
    console.result({name: _as_json(method) for name, method in METHODS.items()})
    rows = []
    for name, method in METHODS.items():
        rows.append([name, method.title, method.summary])
        rows += [["", f"  {option.name}={_shown(option.default)}", option.help] for option in method.options]
    console.table("Clustering methods", ["name", "title, settings", "what it does"], rows)


def _as_json(method: Method) -> dict[str, Any]:
    return {
        "title": method.title,
        "summary": method.summary,
        "takes_k": method.takes_k,
        "source": method.source,
        "options": {
            option.name: {
                "title": option.title,
                "type": option.kind.__name__,
                "default": option.default,
                "least": option.least,
                "most": option.most,
                "choices": list(option.choices),
                "help": option.help,
            }
            for option in method.options
        },
    }


def _shown(value: object) -> str:
    return "proposed" if value is None else str(value)
