"""The demo: a simulated scene with its exact truth, and the settings that suit it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError

from s2dash.export.cog import write_class_cog
from s2dash.export.folder import output_folder
from s2dash.export.scene import write_scene
from s2dash.pipeline import ReferenceSettings, RunSettings
from s2dash.progress import Progress, Silent
from s2dash.schemes import load_scheme
from s2dash.sources.request import SceneRequest

DEMO_TITLE = "Demo: a simulated landscape"
"""Title of the demo run."""
DEMO_PROJECT = "Demo"
"""Project of the demo run."""
DEMO_SETTINGS = RunSettings(k=16, annotators=("rules", "replay"))
"""Settings of the demo run."""
DEMO_SIZE, DEMO_SEED = 512, 0
"""Side of the demo scene, pixels, and its seed: the one that recorded answers are about."""
DEMO_DAY = date(2021, 7, 1)
"""Day the demo scene shows."""
DEMO_CLOUDS = 0.05
"""Share of the demo scene under clouds."""
DEMO_FILES = ("scene.tif", "truth.tif")
"""The scene and its truth."""


def make_demo_scene(
    folder: Path, *, size: int = DEMO_SIZE, seed: int = DEMO_SEED, progress: Progress | None = None
) -> tuple[SceneRequest, ReferenceSettings]:
    """Write a simulated scene and its truth as files.

    Args:
        folder: Where `scene.tif` (ten bands and the scene classification) and `truth.tif` are put.
        size: Side, pixels.
        seed: Same seed, same landscape.
        progress: Where to report.

    Returns:
        How to load the scene, and the truth as a reference map.

    Raises:
        OutputError: If the files cannot be written.
    """
    from s2dash.simulation import simulate_scene

    watch = progress or Silent()
    simulated = simulate_scene(size=size, seed=seed, day=DEMO_DAY, cloud_share=DEMO_CLOUDS)
    scheme = load_scheme("worldcover")
    with output_folder(folder) as staging:
        write_scene(simulated.scene, staging / "scene.tif", progress=watch)
        watch.report(1.0, "Writing the simulated truth")
        write_class_cog(
            staging / "truth.tif",
            simulated.truth(),
            grid=simulated.scene.grid,
            names={cls.code: cls.name for cls in scheme.classes},
            colours={cls.code: cls.colour for cls in scheme.classes},
            tags={"TITLE": "Simulated truth", "SIMULATED": "yes: not a real place", "DATETIME": DEMO_DAY.isoformat()},
        )
    return (
        SceneRequest(str(folder / "scene.tif")),
        ReferenceSettings(path=str(folder / "truth.tif"), year=DEMO_DAY.year),
    )


def made_by_demo(path: Path) -> bool:
    """Whether a file is a simulated one of an earlier demo, which a new one may replace."""
    try:
        with rasterio.open(path) as file:
            return "SIMULATED" in file.tags()
    except RasterioError:
        return False
