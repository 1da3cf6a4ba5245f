import json
from pathlib import Path

import pytest

from s2dash.dashboard.assets import (
    LEAFLET_DRAW_VERSION,
    LEAFLET_VERSION,
    PUBLIC_CDN,
    find_assets,
    install_assets,
    main,
)
from s2dash.errors import OutputError

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "leaflet": ["leaflet.js", "leaflet.css", "images/layers.png", "images/layers-2x.png", "images/marker-icon.png"],
    "leaflet-draw": [
        "leaflet.draw.js",
        "leaflet.draw.css",
        "images/spritesheet.png",
        "images/spritesheet-2x.png",
        "images/spritesheet.svg",
    ],
}


@pytest.fixture
def node_modules(tmp_path: Path) -> Path:
    """A folder such as `npm install` leaves, with stand-ins for the files."""
    folder = tmp_path / "node_modules"
    for package, names in PACKAGES.items():
        for name in [*names, "leaflet-src.esm.js.map"]:
            path = folder / package / "dist" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{package} {name}")
        (folder / package / "LICENSE").write_text("licence")
        (folder / package / "package.json").write_text("{}")
    return folder


def test_the_files_of_a_map_are_copied_once(node_modules: Path, tmp_path: Path) -> None:
    static = tmp_path / "static"
    first = install_assets(node_modules, static)
    assert {path.relative_to(static).as_posix() for path in first} >= {
        f"{package}/{name}" for package, names in PACKAGES.items() for name in names
    }
    assert (static / "leaflet/leaflet.js").read_text() == "leaflet leaflet.js"
    assert not list(static.rglob("*.map"))
    assert not list(static.rglob("*.part"))
    assert install_assets(node_modules, static) == ()
    (static / "leaflet/leaflet.js").write_text("broken")
    assert install_assets(node_modules, static) == (static / "leaflet/leaflet.js",)


def test_local_files_are_used_only_when_all_are_there(node_modules: Path, tmp_path: Path) -> None:
    static = tmp_path / "static"
    assert find_assets(static) == PUBLIC_CDN
    install_assets(node_modules, static)
    found = find_assets(static)
    assert found.local
    assert found.leaflet_js == "/app/static/leaflet/leaflet.js"
    assert found.draw_css == "/app/static/leaflet-draw/leaflet.draw.css"
    assert find_assets(static, url="/base/app/static/").leaflet_css == "/base/app/static/leaflet/leaflet.css"
    (static / "leaflet-draw/images/spritesheet.svg").unlink()
    assert find_assets(static) == PUBLIC_CDN


def test_missing_packages_and_unwritable_folders_are_said(
    node_modules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(OutputError, match="npm ci"):
        install_assets(tmp_path / "nowhere", tmp_path / "static")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Cannot write"):
        install_assets(node_modules, tmp_path / "file")
    assert main(["--node-modules", str(tmp_path / "nowhere"), "--static", str(tmp_path / "static")]) == 1
    assert "npm ci" in capsys.readouterr().err
    assert main(["--node-modules", str(node_modules), "--static", str(tmp_path / "static")]) == 0
    assert "12 written" in capsys.readouterr().err


def test_versions_are_pinned_alike_and_the_lock_names_no_registry() -> None:
    wanted = {"leaflet": LEAFLET_VERSION, "leaflet-draw": LEAFLET_DRAW_VERSION}
    assert json.loads((ROOT / "package.json").read_text())["dependencies"] == wanted
    text = (ROOT / "package-lock.json").read_text()
    packages = json.loads(text)["packages"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert all(packages[f"node_modules/{name}"]["integrity"].startswith("sha512-") for name in wanted)
    assert "://" not in text
    assert f"leaflet@{LEAFLET_VERSION}/" in PUBLIC_CDN.leaflet_js
    assert f"leaflet-draw@{LEAFLET_DRAW_VERSION}/" in PUBLIC_CDN.draw_js
