"""Agreement and ceiling on real scenes with a reference, as the table of the README.

    python benchmarks/real_scenes.py FOLDER [--k 12] [--seeds 3] [--texture 0]

FOLDER holds one folder a scene: `scene.tif` or one-band files, perhaps `scl.tif`, `reference.tif`, and an `about.json`
whose `reference.to_worldcover` says what the reference's codes mean. Nothing is fitted to the reference; no key, no
network.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from s2dash.errors import S2DashError
from s2dash.pipeline import ReferenceSettings, RunResult, RunSettings, run_chain
from s2dash.sources.request import SceneRequest

SCHEMES = ("worldcover", "main")


def scenes(folder: Path) -> list[SceneRequest]:
    """Everything in the folder that loads as a scene."""
    found = []
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        stacks = sorted(place.glob("scene*.tif"))
        scl = place / "scl.tif"
        locations = stacks or ([place] if list(place.glob("*B04*.tif")) else [])
        found += [SceneRequest(str(location), scl=str(scl) if scl.exists() else "") for location in locations]
    return found


def measure(request: SceneRequest, settings: RunSettings) -> tuple[RunResult, float]:
    """Run the chain once."""
    place = Path(request.location)
    place = place if place.is_dir() else place.parent
    reference = None
    if (place / "reference.tif").exists():
        reference = ReferenceSettings.from_map_file(str(place / "reference.tif"), place / "about.json")
    start = time.perf_counter()
    result = run_chain(request.load(), settings, reference=reference)
    return result, time.perf_counter() - start


def mean(values: list[float | None]) -> str:
    """Mean over the seeds with three digits, a dash where undefined."""
    return (
        "–" if any(value is None for value in values) else f"{statistics.mean(v for v in values if v is not None):.3f}"
    )


def main() -> None:
    """Measure and print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--k", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--texture", type=int, default=0)
    options = parser.parse_args()
    print("| scene | clear % | offset | scheme | overall, of ceiling | kappa | macro F1 | mean IoU | seconds |")
    print("|---|---|---|---|---|---|---|---|---|")
    for request in scenes(options.folder):
        name = request.location.removeprefix(str(options.folder)).strip("/")
        for scheme in SCHEMES:
            try:
                runs = [
                    measure(request, RunSettings(k=options.k, seed=seed, scheme=scheme, texture=options.texture))
                    for seed in range(options.seeds)
                ]
            except S2DashError as error:
                print(f"| {name} | {error} |")
                break
            first = runs[0][0]
            found = [result.agreement for result, _ in runs if result.agreement is not None]
            cells = ["no reference", "–", "–", "–"]
            if found:
                cells = [
                    f"{mean([getattr(one, score) for one in found])} of "
                    f"{mean([getattr(one.ceiling, score) for one in found if one.ceiling])}"
                    for score in ("overall", "kappa", "macro_f1", "miou")
                ]
            seconds = statistics.median(seconds for _, seconds in runs)
            clear, shift = first.scene["clear_percent"], first.scene["radiometry"]["offset"]
            print(f"| {name} | {clear:.1f} | {shift:g} | {scheme} | {' | '.join(cells)} | {seconds:.1f} |")
            if not found:
                break


if __name__ == "__main__":
    main()
