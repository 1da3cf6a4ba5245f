"""The plan of the house: a later room may import from an earlier one, never the reverse."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "s2dash"

NEVER = {
    "annotation": {"sources", "simulation", "comparison", "confusion", "ceiling", "reference", "canvas", "pipeline"},
    "comparison": {"annotation", "sources", "simulation", "export", "store", "pipeline"},
    "confusion": {"annotation", "sources", "export", "clustering"},
    "ceiling": {"annotation", "sources", "export", "clustering"},
    "reference": {"annotation", "clustering", "sources", "comparison", "export"},
    "features": {"sources", "clustering", "annotation"},
    "clustering": {"sources", "annotation", "comparison", "export"},
    "sources": {"features", "clustering", "annotation", "comparison", "export"},
    "simulation": {"sources", "features", "clustering", "annotation", "export"},
    "scene": {"sources", "features", "radiometry"},
    "pipeline": {"export", "store", "cli", "dashboard", "workspace"},
    "export": {"store", "cli", "dashboard", "workspace", "comparison"},
    "store": {"pipeline", "cli", "dashboard", "workspace"},
    "workspace": {"cli", "dashboard"},
    "cli": {"store", "workspace"},
    "dashboard": {"cli"},
}
"""Rooms that a room must know nothing of."""


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        yield name, path


@cache
def imported(path: Path) -> set[str]:
    """Modules a file imports, at the top or inside functions; not those for type checkers only."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room(module: str) -> str:
    """`s2dash.sources.load` → `sources`."""
    return [*module.split("."), ""][1]


def plan() -> dict[str, set[str]]:
    """Which rooms each room imports from; the package's own front door apart."""
    graph: dict[str, set[str]] = {}
    rooms = {path.stem if path.is_file() else path.name for path in PACKAGE.iterdir()}
    for name, path in modules():
        if name != "s2dash":
            used = {room(other) for other in imported(path) if other.startswith("s2dash.")}
            graph.setdefault(room(name), set()).update((used & rooms) - {room(name)})
    return graph


def test_no_room_imports_in_a_circle():
    TopologicalSorter(plan()).prepare()  # raises CycleError, which names the circle


def test_what_flows_flows_one_way():
    graph = plan()
    flow = ["scene", "sources", "features", "clustering", "annotation", "comparison", "pipeline", "export", "workspace"]
    for place, name in enumerate(flow):
        reached, waiting = set(), [name]
        while waiting:
            for other in graph[waiting.pop()] - reached:
                reached.add(other)
                waiting.append(other)
        assert not reached & set(flow[place + 1 :]), name


@pytest.mark.parametrize("name", NEVER)
def test_what_a_room_knows_nothing_of(name):
    graph = plan()
    assert name in graph, f"there is no room {name} any more: change the plan in this test and in the design"
    assert not graph[name] & NEVER[name]


def test_streamlit_stays_in_one_module_and_folium_in_the_dashboard():
    users = {name for name, path in modules() if any(other.split(".")[0] == "streamlit" for other in imported(path))}
    assert users <= {"s2dash.dashboard.state"}
    for library in ("folium", "plotly", "streamlit_folium", "streamlit"):
        users = {name for name, path in modules() if any(other.split(".")[0] == library for other in imported(path))}
        assert {room(name) for name in users} <= {"dashboard"}, library


def test_pages_compute_nothing():
    for path in [ROOT / "app.py", *sorted((ROOT / "pages").rglob("*.py"))]:
        heavy = {"numpy", "rasterio", "sklearn", "scipy", "torch", "sqlalchemy", "sqlite3", "requests", "httpx"}
        assert not {name.split(".")[0] for name in imported(path)} & heavy, path.name


def test_modules_are_of_readable_size():
    sizes = {name: len(path.read_text("utf-8").splitlines()) for name, path in modules()}
    assert not {name: lines for name, lines in sizes.items() if lines > 400}
