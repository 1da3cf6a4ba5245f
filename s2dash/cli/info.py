"""`info`: what a scene holds and how it will be read."""

from __future__ import annotations

import argparse
from typing import Any

from s2dash.cli.output import Console, add_output_options
from s2dash.cli.scene_options import add_scene_options, request_from
from s2dash.sources.describe import describe_scene


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("info", help="say what a scene holds and how it will be read")
    add_scene_options(parser)
    add_output_options(parser)
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace, console: Console) -> None:
    """Describe the scene."""
    scene = request_from(options).load()
    content = describe_scene(scene)
    console.result(content)
    console.table(content["title"], ["", ""], [[key.replace("_", " "), _text(value)] for key, value in content.items()])


def _text(value: Any) -> str:
    if value is None or value == [] or value == {}:
        return "–"
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_text(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)
