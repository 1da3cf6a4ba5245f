"""The browser files of the map: from npm into `static/`, and where a map finds them.

python -m s2dash.dashboard.assets [--node-modules node_modules] [--static static]
"""

from __future__ import annotations

import argparse
import filecmp
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from s2dash.errors import OutputError

LEAFLET_VERSION = "1.9.4"
"""The same as in `package.json`."""
LEAFLET_DRAW_VERSION = "1.0.4"
"""The same as in `package.json`."""
STATIC_URL = "/app/static"
"""Where Streamlit serves the folder `static/` beside the app (`server.enableStaticServing`)."""

_FILES = {
    "leaflet": ("leaflet.js", "leaflet.css", "images/layers.png", "images/layers-2x.png", "images/marker-icon.png"),
    "leaflet-draw": (
        "leaflet.draw.js",
        "leaflet.draw.css",
        "images/spritesheet.png",
        "images/spritesheet-2x.png",
        "images/spritesheet.svg",
    ),
}
# Their licences ask to be kept with the files; leaflet-draw carries its own in package.json only.
_LICENCES = {"leaflet": "LICENSE", "leaflet-draw": "package.json"}


@dataclass(frozen=True)
class MapAssets:
    """Where a map loads its browser files from."""

    leaflet: str
    """Address of the folder with `leaflet.js` and `leaflet.css`, without a slash at the end."""
    leaflet_draw: str
    """Address of the folder with `leaflet.draw.js` and `leaflet.draw.css`."""
    local: bool
    """Whether they come with the app: a map then needs no internet."""

    @property
    def leaflet_js(self) -> str:
        """Address of the map script."""
        return f"{self.leaflet}/leaflet.js"

    @property
    def leaflet_css(self) -> str:
        """Address of the map style."""
        return f"{self.leaflet}/leaflet.css"

    @property
    def draw_js(self) -> str:
        """Address of the drawing script."""
        return f"{self.leaflet_draw}/leaflet.draw.js"

    @property
    def draw_css(self) -> str:
        """Address of the drawing style."""
        return f"{self.leaflet_draw}/leaflet.draw.css"


PUBLIC_CDN = MapAssets(
    leaflet=f"https://cdn.jsdelivr.net/npm/leaflet@{LEAFLET_VERSION}/dist",
    leaflet_draw=f"https://cdn.jsdelivr.net/npm/leaflet-draw@{LEAFLET_DRAW_VERSION}/dist",
    local=False,
)
"""The public servers: for a machine without npm, and for maps that leave the app."""


def find_assets(static: Path, *, url: str = STATIC_URL) -> MapAssets:
    """The installed files where all are there, else the public CDN.

    Args:
        static: Folder that the app serves.
        url: Address under which it serves it. With `server.baseUrlPath` set, give `/<base>/app/static`.
    """
    if all((static / package / name).is_file() for package, names in _FILES.items() for name in names):
        root = url.rstrip("/")
        return MapAssets(leaflet=f"{root}/leaflet", leaflet_draw=f"{root}/leaflet-draw", local=True)
    return PUBLIC_CDN


def install_assets(node_modules: Path, static: Path) -> tuple[Path, ...]:
    """Copy the files a map needs out of npm packages; files that are there already and equal are left alone.

    Args:
        node_modules: Where `npm install` put the packages.
        static: Folder that the app serves; made where it is missing.

    Returns:
        The files that were written.

    Raises:
        OutputError: If a package is not there, or a file cannot be written.
    """
    wanted: list[tuple[Path, Path]] = []
    for package, names in _FILES.items():
        folder = node_modules / package
        wanted += [(folder / "dist" / name, static / package / name) for name in names]
        wanted.append((folder / _LICENCES[package], static / package / _LICENCES[package]))
    if missing := [source for source, _ in wanted if not source.is_file()]:
        raise OutputError(f"The map's browser files are not there: {missing[0]}. Run `npm ci` first.")
    written = []
    for source, target in wanted:
        if target.is_file() and filecmp.cmp(source, target, shallow=False):
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(target.name + ".part")
            shutil.copyfile(source, partial)
            partial.replace(target)
        except OSError as error:
            raise OutputError(f"Cannot write {target}: {error.strerror}. Free or unlock that folder.") from error
        written.append(target)
    return tuple(written)


def main(arguments: Sequence[str] | None = None) -> int:
    """Install the files from the command line; 0 when they are in place."""
    parser = argparse.ArgumentParser(prog="s2dash.dashboard.assets", description="Install the map's browser files.")
    parser.add_argument("--node-modules", type=Path, default=Path("node_modules"), help="where npm put the packages")
    parser.add_argument("--static", type=Path, default=Path("static"), help="folder that the app serves")
    chosen = parser.parse_args(arguments)
    try:
        written = install_assets(chosen.node_modules, chosen.static)
    except OutputError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Map files in {chosen.static}: {len(written)} written, the rest were up to date.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
